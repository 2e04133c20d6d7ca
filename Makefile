# Two commands for a fresh machine that has Python and pip: `make lab` and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: lab race test slow thorough measure check clean

lab: $(VENV)/.installed-run  ## Install, start the lab, and open it in the browser (or print its address)
	$(BIN)/widelimit lab

race: $(VENV)/.installed-run  ## Install, and run the main job on real data
	$(BIN)/widelimit race --data digits --depth 2 --widths 32,128,512,2048 --seeds 5 --out race-digits

test: $(VENV)/.installed-dev  ## Install, and run the test suite
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not thorough"

slow: $(VENV)/.installed-dev  ## The tests that are left out by `make test` because each takes long
	$(BIN)/python -m pytest -n $(WORKERS) -m "slow and not thorough"

thorough: $(VENV)/.installed-dev  ## Long checks, and every row of the tables of layers, duals and engines
	$(BIN)/python -m pytest -n $(WORKERS) -m thorough

measure: $(VENV)/.installed-dev  ## Run all but those, and renew the list of slow tests; on a quiet machine
	$(BIN)/python -m pytest -n $(WORKERS) -m "not thorough" --slow-over 4

check: $(VENV)/.installed-dev  ## Linters and type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

clean:
	rm -rf $(VENV) race-digits

$(VENV)/.installed-run: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet -e '.[lab,sklearn]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet -e '.[dev]'
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "widelimit needs Python 3.11 or newer: set PYTHON, as in 'make test PYTHON=python3.12'."; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "$(PYTHON) has no venv module: install it (on Debian: apt-get install python3-venv)."; exit 1; }
