"""The suite about itself: where browser tests have to run, a run without them fails."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
QUICK = "tests/test_suite.py::test_which_files_are_unseen"
BROWSER = sorted(path.name for path in (ROOT / "tests" / "lab" / "browser").glob("test_*.py"))


def suite(*options, **environment):
    """Return the exit code and the words of a run."""
    kept = {k: v for k, v in os.environ.items() if k != "CI_BROWSER" and not k.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=ROOT, env=kept | environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_which_files_are_unseen(monkeypatch, request):
    conftest = request.config.pluginmanager.getplugin(str(ROOT / "tests" / "conftest.py"))
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.setenv("CI_BROWSER", "1")
    monkeypatch.setattr(conftest, "seen_in_browser", {"test_demo.py"})
    assert conftest.unseen_in_browser(request.config) == [name for name in BROWSER if name != "test_demo.py"]
    monkeypatch.delenv("CI_BROWSER")
    assert conftest.unseen_in_browser(request.config) == []


def test_the_list_of_slow_tests_leaves_one_of_each_file(request):
    conftest = request.config.pluginmanager.getplugin(str(ROOT / "tests" / "conftest.py"))
    took = {"a.py::one": 5.0, "a.py::two[b c]": 9.0, "b.py::one": 1.0, "b.py::two": 4.0, "c.py::one": 7.0}
    assert conftest.slow_tests(took, 3) == ["a.py::two[b c]", "b.py::two"]


@pytest.mark.thorough
def test_a_run_without_browser_tests_fails_where_they_have_to_run():
    # The one test that runs passes: without the check, this run would have passed.
    code, words = suite("-n", "1", QUICK, "tests/lab/browser", "--deselect", "tests/lab/browser", CI_BROWSER="1")
    assert code == 1, words
    assert "1 passed" in words
    assert "no browser test passed in" in words
    assert ", ".join(BROWSER) in words
