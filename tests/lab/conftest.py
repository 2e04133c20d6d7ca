"""A lab that runs in a process of its own, Chromium to look at it, and axe to judge it.

Each worker of pytest-xdist has its own lab on its own port, and its own browser. The browser resolves no name and the
page's security policy stays as it is: axe runs through the debugging protocol, in a world of its own.
"""

import importlib.resources
import json
import os
import re

import pytest
from laboratory import CHROMIUM, FLAGS, SCREENSHOTS, WCAG, serving


@pytest.fixture(scope="session")
def lab():
    """The address of one lab for all tests of a session; LAB_ADDRESS names one that runs already."""
    if os.environ.get("LAB_ADDRESS"):
        yield os.environ["LAB_ADDRESS"]
        return
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
def tolerated():
    """Patterns of console errors that a test provokes on purpose (a stopped server, a refused message)."""
    return []


@pytest.fixture
def open_page(browser, lab, tolerated):
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
        page.on("request", lambda request: note_outside(request.url, base))
        page.on("websocket", lambda websocket: note_outside(websocket.url, base))
        page.goto(f"{base}/{path}#{token}")
        return page

    def note_outside(url, base):
        if not url.startswith((f"{base}/", base.replace("http", "ws", 1) + "/", "data:", f"blob:{base}/")):
            complaints.append(f"request to {url}")

    yield open_page
    for context in contexts:
        context.close()
    unexpected = [text for text in complaints if not any(re.search(pattern, text) for pattern in tolerated)]
    assert not unexpected, "\n".join(unexpected)


@pytest.fixture
def picture(request):
    """Return a function that keeps a screenshot under the name of the test, to be looked at."""

    def picture(page, name, **options):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{request.node.name}-{name}.png", **options)

    return picture


@pytest.fixture(scope="session")
def accessible():
    """Return a function that asserts that axe finds nothing against WCAG 2.2 AA in a page, or in one part of it."""
    source = (importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")

    def accessible(page, selector=None, ignored=()):
        violations = axe(page, source, selector, ignored)
        assert not violations, "\n".join(violations)

    return accessible


def axe(page, source, selector, ignored):
    """Return what axe complains about, one line per element, after running it in a world of its own."""
    session = page.context.new_cdp_session(page)
    frame = session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
    world = session.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "axe"})["executionContextId"]

    def evaluate(expression):
        answer = session.send(
            "Runtime.evaluate",
            {"expression": expression, "contextId": world, "awaitPromise": True, "returnByValue": True},
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    rules = {"target-size": {"enabled": True}, **{rule: {"enabled": False} for rule in ignored}}
    options = {"runOnly": WCAG, "rules": rules, "resultTypes": ["violations"], "preload": False}
    evaluate(f"{source}; 0")
    found = evaluate(f"axe.run({json.dumps(selector) if selector else 'document'}, {json.dumps(options)})")
    session.detach()
    return [
        f"{violation['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary']}".replace("\n", " ")
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
