"""An open page and its server: stopped, started again, started with another token."""

import pathlib
import re

import pytest
from laboratory import free_port, serving
from playwright.sync_api import expect

PATIENT = 90_000


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Where the servers of a test keep their token."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def status(page, words):
    expect(page.locator(".demo-status .status")).to_contain_text(re.compile(words), timeout=PATIENT)


def test_an_open_page_finds_a_server_that_was_started_again(kept, browser):
    port = free_port()
    context = browser.new_context()
    page = context.new_page()
    sockets = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    with serving(port=port) as address:
        page.goto(address)
        assert "token" not in page.url
        page.locator("[data-part='demo']").evaluate("element => element.scrollIntoView()")
        # It plays by itself as soon as its picture is seen: a click on Play could come right after that, and pause it.
        page.locator(".demo-picture").evaluate("element => element.scrollIntoView()")
        status(page, "Training|Converged")
    status(page, "Disconnected. The server does not answer; this page tries again by itself")
    with serving(port=port) as again:
        # The token is the same, and the page is where it was.
        assert again == address
        status(page, "Training|Converged")
        expect(page.locator(".demo-step")).not_to_have_attribute("data-step", "0", timeout=PATIENT)
    for path in pathlib.Path(kept).rglob("lab-token"):
        path.unlink()
    status(page, "Disconnected")
    with serving(port=port) as other:
        assert other != address
        status(page, "The token is not that of this server. Open the address that the server printed.")
        # It does not knock again.
        knocked = len(sockets)
        page.wait_for_timeout(2000)
        assert len(sockets) == knocked
        # Opening that address in the same tab is enough, although it does not load the page anew.
        page.evaluate("hash => { location.hash = hash }", "#" + other.partition("#")[2])
        status(page, "Training|Converged")
        assert "token" not in page.url
    context.close()


def test_a_page_without_the_token_says_what_to_do(lab, browser):
    context = browser.new_context()
    page = context.new_page()
    page.goto(lab.partition("#")[0])
    page.locator("[data-part='demo']").evaluate("element => element.scrollIntoView()")
    status(page, "Open the address that the server printed")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_disabled()
    context.close()
