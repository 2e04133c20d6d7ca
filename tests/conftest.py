"""Fixtures shared by all tests."""

import os
import pathlib
import tempfile

# Compiled code is shared between the workers of a run, the commands that tests start, and later runs on this machine.
CACHE = pathlib.Path(tempfile.gettempdir()) / f"widelimit-tests-{os.getuid() if hasattr(os, 'getuid') else 0}"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import jax  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture
def x64():
    """float64 in JAX for the time of one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=[False, True], ids=["x32", "x64"])
def either_mode(request):
    """Run a test with JAX's x64 mode off and on."""
    with jax.enable_x64(request.param):
        yield request.param


@pytest.fixture(autouse=True, scope="module")
def compiled_code_is_dropped():
    """Drop what a module compiled: a worker that keeps all of it grows by gigabytes."""
    yield
    jax.clear_caches()


SLOW = pathlib.Path(__file__).parent / "slow.txt"
measured: dict[str, float] = {}


def pytest_addoption(parser):
    """Add the option by which `make measure` renews the list of slow tests."""
    words = "write the tests that took longer into tests/slow.txt"
    parser.addoption("--slow-over", type=float, metavar="SECONDS", help=words)


def slow_tests(seconds, over):
    """Return the tests that took longer, but for the quickest of each file: the quick suite has one of all."""
    quickest = {}
    for name in sorted(seconds, key=seconds.__getitem__):
        quickest.setdefault(name.partition("::")[0], name)
    return sorted(name for name, took in seconds.items() if took > over and name not in quickest.values())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark the tests that were measured to take long as slow."""
    listed = frozenset(SLOW.read_text().splitlines())
    for item in items:
        if item.nodeid in listed:
            item.add_marker(pytest.mark.slow)


BROWSER = pathlib.Path(__file__).parent / "lab" / "browser"
seen_in_browser: set[str] = set()


def pytest_runtest_logreport(report):
    """Note what a test took, and which files of browser tests have one that passed; reports of all workers come."""
    measured[report.nodeid] = measured.get(report.nodeid, 0.0) + report.duration
    file = report.nodeid.partition("::")[0]
    if report.when == "call" and report.passed and f"{BROWSER.parent.name}/{BROWSER.name}/" in file:
        seen_in_browser.add(file.rpartition("/")[2])


def pytest_sessionfinish(session):
    """Write the list of slow tests where asked to; fail a run in which browser tests have to run and did not."""
    over = session.config.option.slow_over
    if over is not None and "PYTEST_XDIST_WORKER" not in os.environ:
        SLOW.write_text("".join(f"{name}\n" for name in slow_tests(measured, over)))
    if unseen_in_browser(session.config) and session.exitstatus in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    """Say which files those are."""
    if unseen := unseen_in_browser(config):
        terminalreporter.section("CI_BROWSER is set, and no browser test passed in")
        terminalreporter.line(", ".join(unseen))


def unseen_in_browser(config):
    """Return the files of browser tests that must have run and did not; none in a worker of xdist."""
    if not os.environ.get("CI_BROWSER") or "PYTEST_XDIST_WORKER" in os.environ or config.option.collectonly:
        return []
    return sorted({path.name for path in BROWSER.glob("test_*.py")} - seen_in_browser)
