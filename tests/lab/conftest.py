"""A lab that runs in a process of its own, and Chromium to look at it."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
SCREENSHOTS = pathlib.Path(os.environ.get("LAB_SCREENSHOTS") or pathlib.Path(tempfile.gettempdir()) / "lab-screenshots")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def serving(*options, port=None):
    """Run ``widelimit lab`` and yield its address with the token."""
    port = port or free_port()
    command = [sys.executable, "-m", "widelimit", "lab", "--no-browser", "--port", str(port), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = next(line.split()[-1] for line in process.stdout if "http://" in line)
        wait_for(f"http://127.0.0.1:{port}/page.json", process)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(url, process):
    """Return when the address answers; raise if the process ends first."""
    while process.poll() is None:
        try:
            urllib.request.urlopen(url).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the lab ended with exit code {process.returncode}")


@pytest.fixture(scope="session")
def lab():
    """The address of one lab for all tests of a session."""
    with serving() as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium; the tests fail rather than skip where CI says that it is there."""
    if CHROMIUM is None:
        if os.environ.get("CI_BROWSER"):
            pytest.fail("chromium is not installed, and the browser tests have to run here")
        pytest.skip("needs chromium: on Debian, apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, lab):
    """Return a function that opens the lab in a fresh profile; console errors and outside requests fail the test."""
    contexts, complaints = [], []

    def open_page(path="", width=1280, height=900, dark=False, **options):
        base, _, token = lab.partition("/#")
        scheme = "dark" if dark else "light"
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: note_outside(request, base))
        page.goto(f"{base}/{path}#{token}")
        return page

    def note_outside(request, base):
        if not request.url.startswith((base, base.replace("http", "ws"), "data:", "blob:")):
            complaints.append(f"request to {request.url}")

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def picture(request):
    """Return a function that keeps a screenshot under the name of the test, to be looked at."""

    def picture(page, name, **options):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{request.node.name}-{name}.png", **options)

    return picture
