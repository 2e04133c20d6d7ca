"""A lab in a process of its own."""

import asyncio
import concurrent.futures
import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
SCREENSHOTS = pathlib.Path(os.environ.get("LAB_SCREENSHOTS") or pathlib.Path(tempfile.gettempdir()) / "lab-screenshots")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PATIENCE = 120


@contextlib.contextmanager
def serving(*options, port=None):
    """Run ``widelimit lab`` and yield its address with the token; an error or warning from it fails the test."""
    port = port or free_port()
    command = [sys.executable, "-m", "widelimit", "lab", "--no-browser", "--port", str(port), *options]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment())
        try:
            address = wait_for(port, process, said)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        said.seek(0)
        words = said.read()
        assert not re.search("Traceback|Warning", words), words


def environment():
    """Return what a server runs in: a folder of its worker for compiled code; JAX warns of files that others write."""
    cache = f"{os.environ['JAX_COMPILATION_CACHE_DIR']}-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    return {**os.environ, "PYTHONUNBUFFERED": "1", "JAX_COMPILATION_CACHE_DIR": cache}


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(port, process, said):
    """Return the address that was printed once it answers; raise with what was said if that does not happen."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        said.seek(0)
        address = re.search(r"http://\S+", said.read())
        if address:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/page.json").close()
                return address[0]
        time.sleep(0.1)
    said.seek(0)
    raise RuntimeError(f"the lab did not start (exit code {process.poll()}); it said:\n{said.read()}")


def in_a_thread(work):
    """Return what a function returns in a thread of its own: Playwright's event loop runs in that of the tests."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def in_a_loop(coroutine):
    """Return what a coroutine returns."""
    return in_a_thread(lambda: asyncio.run(coroutine))
