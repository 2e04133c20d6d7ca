"""The documentation is true: its code runs and prints what it says, its links and commands exist, its examples work."""

import contextlib
import io
import os
import pathlib
import re
import subprocess
import sys

import jax
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
EXAMPLES = sorted(ROOT.glob("examples/*.py"))
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?")


def blocks(text):
    """Return (line, language, content) of every fenced block."""
    return [(text[: m.start()].count("\n") + 1, m[1], m[2]) for m in BLOCK.finditer(text)]


def same_output(printed, promised):
    """Whether two texts agree in words, and in numbers to 2 % (they come from float32 networks)."""
    if NUMBER.sub("#", printed).split() != NUMBER.sub("#", promised).split():
        return False
    a, b = (np.array([float(n) for n in NUMBER.findall(text)]) for text in (printed, promised))
    return bool(np.allclose(a, b, rtol=0.02, atol=2e-3))


@pytest.mark.parametrize(
    ("printed", "promised", "same"),
    [("a 1.0", "a  1.001", True), ("a 1.0", "b 1.0", False), ("a 1.0", "a 1.1", False), ("a", "a 1", False)],
)
def test_the_comparison_itself(printed, promised, same):
    assert same_output(printed, promised) is same


@pytest.mark.parametrize("page", [p for p in PAGES if "```python" in p.read_text()], ids=lambda p: p.name)
def test_python_blocks_run_and_print_what_they_promise(page):
    namespace, printed = {}, None
    for line, language, content in blocks(page.read_text()):
        if language == "python":
            out = io.StringIO()
            # The pages show JAX's default mode, in which random networks are drawn in float32.
            with contextlib.redirect_stdout(out), jax.enable_x64(False):
                exec(compile("\n" * line + content, str(page), "exec"), namespace)
            printed = out.getvalue()
        elif language == "output":
            assert printed is not None, f"{page.name}:{line}: output without code before it"
            assert same_output(printed, content), f"{page.name}:{line}: printed\n{printed}"


def test_the_readme_has_code_with_output():
    languages = [language for _, language, _ in blocks((ROOT / "README.md").read_text())]
    assert "python" in languages
    assert "output" in languages


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_pictures_exist(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_commands_and_targets_of_the_readme_exist():
    text = "\n".join(
        content for _, language, content in blocks((ROOT / "README.md").read_text()) if language == "console"
    )
    targets = re.findall(r"^make (\w+)", text, re.MULTILINE)
    assert {"lab", "test"} <= set(targets)
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    commands = re.findall(r"^widelimit (\w+)(.*)$", text, re.MULTILINE)
    assert commands
    for command, options in commands:
        shown = subprocess.run(
            [sys.executable, "-m", "widelimit", command, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
        ).stdout
        for option in re.findall(r"--[\w-]+", options):
            assert option in shown, f"widelimit {command} has no {option}"


def test_there_are_examples():
    assert len(EXAMPLES) >= 4


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.stem)
def test_examples_run(example, tmp_path):
    environment = {**os.environ, "WIDELIMIT_EXAMPLE_SIZE": "small"}
    done = subprocess.run(
        [sys.executable, str(example)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
