"""The first pass: outline, map, intuition, equations, the code cell, sources; with and without scripts."""

import re

import pytest
from playwright.sync_api import expect

SLOW = 60_000


def test_everything_reads_without_scripts(open_page):
    page = open_page(java_script_enabled=False)
    expect(page.locator("h1")).to_have_count(1)
    headings = (
        "Intuition",
        "Math",
        "Code",
        "Interactive Demo",
        "Source Grounding",
        "Claim Review",
        "Practice Loop",
    )
    for heading in headings:
        expect(page.get_by_role("heading", name=heading).first).to_be_visible()
    expect(page.locator("math[display=block]")).to_have_count(11)
    expect(page.locator("#intuition svg")).to_have_count(3)
    expect(page.locator("pre.listing")).to_have_count(2)
    expect(page.locator(".sources li")).to_have_count(7)
    expect(page.locator("#storyboard noscript")).to_have_count(1)
    expect(page.get_by_text("In the wide limit a network stays close enough")).to_be_visible()
    # What only scripts can do is not offered.
    for words in page.get_by_text("press Check").all():
        expect(words).to_be_hidden()
    page.get_by_role("link", name=re.compile("Math")).first.click()
    expect(page).to_have_url(re.compile("#math$"))


def test_the_outline_leads_to_the_sections_and_says_where_one_is(open_page):
    page = open_page()
    links = page.locator("#outline ol a")
    expect(links).to_have_count(4)
    links.nth(1).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#math")).to_be_in_viewport()
    page.locator("#math .equation-block").first.scroll_into_view_if_needed()
    expect(links.nth(1)).to_have_attribute("aria-current", "true")


def test_every_object_is_reached_by_its_deep_link_and_takes_the_focus(open_page):
    page = open_page()
    objects = page.evaluate("() => Object.values(JSON.parse(document.getElementById('page-data').textContent).objects)")
    assert len(objects) > 25
    for one in objects:
        page.evaluate("anchor => { location.hash = anchor }", one["anchor"])
        expect(page.locator(f"[id='{one['anchor']}']")).to_be_focused()


@pytest.mark.parametrize("name", ["eq_ntk", "eq_solution"])
def test_a_check_computes_both_sides(open_page, name):
    page = open_page("", height=1200)
    page.locator("#math").scroll_into_view_if_needed()
    check = page.locator(f"#math .check[data-witness={name}]")
    check.get_by_role("button", name="Check").click()
    expect(check.locator(".check-verdict")).to_have_attribute("data-passed", "true", timeout=SLOW)
    expect(check).to_contain_text("tolerance")


def test_the_cell_runs_is_edited_fails_and_comes_back(open_page, picture):
    page = open_page()
    page.locator("#code").scroll_into_view_if_needed()
    run, cell = page.get_by_role("button", name="Run", exact=True), page.get_by_label("Code of the cell")
    answer, standing = page.locator(".cell-answer"), page.locator(".cell-standing")
    expect(standing).to_have_text("as reviewed: a witness")
    expect(page.locator(".cell-lines span")).to_have_text([str(number) for number in range(1, 37)])
    run.click()
    expect(answer).to_contain_text("mean squared error 0.0004", timeout=SLOW)
    picture(page, "ran")
    original = cell.input_value()
    cell.fill(original.replace("bias = 1.0", "bias = 0.0"))
    expect(standing).to_have_text("edited: no longer a witness")
    run.click()
    expect(answer).to_contain_text("mean squared error 0.169", timeout=SLOW)
    cell.fill("x = 1\n\nprint(1 / 0)")
    run.click()
    expect(answer).to_contain_text("Line 3: ZeroDivisionError", timeout=SLOW)
    cell.fill("while True:\n    pass")
    run.click()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(answer).to_contain_text("Stopped", timeout=SLOW)
    page.get_by_role("button", name="Reset", exact=True).first.click()
    expect(cell).to_have_value(original)


def test_sources_leave_the_page_only_on_a_click(open_page):
    page = open_page()
    links = page.locator(".sources a.outgoing")
    expect(links).to_have_count(7)
    for link in links.all():
        assert link.get_attribute("href").startswith("https://arxiv.org/abs/")
        assert "noopener" in link.get_attribute("rel")


def test_the_next_edge_is_not_earned_by_going_on_and_is_reset(open_page):
    page = open_page()
    standing = page.locator(".map-standing")
    expect(standing).to_have_attribute("data-state", "locked")
    page.get_by_role("button", name="Continue anyway").click()
    expect(standing).to_have_attribute("data-state", "continued")
    expect(standing).to_contain_text("not earned")
    page.reload()
    expect(page.locator(".map-standing")).to_have_attribute("data-state", "continued")
    page.locator("#map").get_by_role("button", name="Reset").click()
    expect(page.locator(".map-standing")).to_have_attribute("data-state", "locked")
