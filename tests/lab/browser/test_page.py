"""The page as a whole: accessible in both schemes, readable when narrow, on paper, offline, and light to load."""

import gzip
import re

import pytest
from playwright.sync_api import expect

PARTS = ["outline", "map", "math", "code", "demo", "storyboard", "inquiry", "review", "practice", "room"]
MOST_JAVASCRIPT = 90_000


def attach_all(page):
    for part in PARTS:
        page.locator(f"[data-part={part}]").scroll_into_view_if_needed()
        expect(page.locator(f"[data-part={part}][data-attached]")).to_have_count(1, timeout=30_000)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(open_page, accessible, picture, dark):
    page = open_page(dark=dark)
    attach_all(page)
    picture(page, "whole", full_page=True)
    accessible(page)


def test_axe_finds_what_is_wrong(open_page, accessible):
    page = open_page()
    page.locator(".carry-in").evaluate("e => { e.appendChild(document.createElement('button')) }")
    with pytest.raises(AssertionError, match="button-name"):
        accessible(page, ".carry-in")


@pytest.mark.parametrize("script", ["export function attach() { throw new Error('no film'); }", "this is no script"])
def test_a_part_whose_script_fails_says_so_and_keeps_its_text(open_page, tolerated, script):
    tolerated.append("no film|Unexpected identifier")
    page = open_page()
    answer = {"content_type": "text/javascript", "body": script}
    page.route("**/static/parts/storyboard.js", lambda route: route.fulfill(**answer))
    page.reload()
    part = page.locator("[data-part=storyboard]")
    part.scroll_into_view_if_needed()
    expect(part.get_by_role("alert")).to_contain_text("could not be started")
    expect(part.get_by_role("heading", name="Mechanism Storyboard")).to_be_visible()


def test_it_reflows_at_320_pixels(open_page, picture):
    page = open_page(width=320, height=640)
    attach_all(page)
    wide = page.evaluate("() => document.documentElement.scrollWidth")
    picture(page, "narrow", full_page=True)
    assert wide <= 320


def test_it_prints_as_an_article(open_page, tmp_path):
    page = open_page()
    attach_all(page)
    page.emulate_media(media="print")
    expect(page.locator("#demo .buttons").first).to_be_hidden()
    expect(page.locator("h1")).to_be_visible()
    expect(page.get_by_label("Code of the cell")).to_be_visible()
    assert page.get_by_role("button").filter(visible=True).count() == 0
    # The numbers of a figure are printed, its table of data is not.
    expect(page.locator("#intuition-figure .table").first).to_be_visible()
    expect(page.locator("#intuition-figure .table").last).to_be_hidden()
    pdf = page.pdf(path=tmp_path / "page.pdf")
    assert pdf.startswith(b"%PDF")


def test_what_loads_first_is_small(open_page, lab):
    page = open_page()
    sizes = {}

    def keep(response):
        if response.url.split("?")[0].endswith((".js", ".mjs")):
            sizes[response.url] = len(gzip.compress(response.body(), 6))

    page.on("response", keep)
    page.goto("about:blank")
    page.goto(lab)
    expect(page.locator("[data-part=outline][data-attached]")).to_have_count(1)
    page.wait_for_load_state("load")
    assert sizes
    assert sum(sizes.values()) <= MOST_JAVASCRIPT, sizes


def test_the_keyboard_reaches_everything_and_is_never_trapped(open_page):
    page = open_page()
    attach_all(page)
    page.evaluate("() => { scrollTo(0, 0); document.activeElement.blur() }")
    seen = []
    for _ in range(400):
        page.keyboard.press("Tab")
        where = page.evaluate(
            "() => { const e = document.activeElement; const p = e.closest('[data-part]'); "
            "const ring = [e, e.closest('label, .cell-editor, .sketch-point')].filter(Boolean); "
            "const seen = ring.some(one => getComputedStyle(one).outlineStyle !== 'none'); "
            "return [e.tagName, p?.dataset.part ?? '', seen || e.type === 'range', e.outerHTML.slice(0, 120)] }"
        )
        if where[0] == "BODY":
            break
        assert where[2], f"the focus is not visible on {where[3]}"
        seen.append(where[1])
    assert {"outline", "map", "code", "demo", "storyboard", "inquiry", "review", "practice", "room"} <= set(seen)


def test_ids_are_unique_and_there_is_one_h1(open_page):
    page = open_page()
    attach_all(page)
    ids = page.evaluate("() => [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids)), sorted({i for i in ids if ids.count(i) > 1})
    expect(page.locator("h1")).to_have_count(1)


def test_a_stopped_server_is_told_and_what_is_written_is_kept(open_page, browser, tolerated):
    from laboratory import serving

    tolerated.append("WebSocket|ERR_CONNECTION_REFUSED")
    with serving() as address:
        base, _, _ = address.partition("/#")
        page = browser.new_context().new_page()
        page.goto(address)
        attach_all(page)
    expect(page.locator("#demo")).to_contain_text(re.compile("connect", re.IGNORECASE), timeout=30_000)
    note = page.locator(".desk").get_by_label("Note")
    note.fill("Written without a server.")
    assert "Written without a server." in page.evaluate("() => JSON.stringify(localStorage)")
    assert base
    page.context.close()
