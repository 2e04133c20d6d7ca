"""The checks of the claim review as a reader runs them."""

import re

from playwright.sync_api import expect

SLOW = 60_000


def show(page):
    page.locator("#review").scroll_into_view_if_needed()
    expect(page.locator("[data-part=review][data-attached]")).to_have_count(1)


def figures(place):
    rows = place.locator(".check-numbers div")
    values = [text.replace("−", "-") for text in rows.locator("dd").all_inner_texts()]
    return dict(zip(rows.locator("dt").all_inner_texts(), values, strict=True))


def test_a_check_runs_and_shows_its_numbers(open_page, picture):
    page = open_page()
    show(page)
    place = page.locator("[data-name=limit_start]")
    expect(place.locator(".check-verdict")).to_have_count(0)
    button = place.get_by_role("button", name="Check")
    button.focus()
    page.keyboard.press("Enter")
    expect(place.locator(".check-verdict strong")).to_have_text("passed", timeout=SLOW)
    seen = figures(place)
    assert abs(float(seen["measured power of the width"]) + 0.5) <= float(seen["tolerance"]) == 0.1
    assert float(seen["error"]) <= 0.1
    assert float(seen["seconds"]) > 0
    # The others have not run.
    expect(page.locator("#review .check-verdict")).to_have_count(1)
    picture(page, "one")


def test_a_counter_witness_has_to_exceed(open_page, picture):
    page = open_page(width=390, height=844, dark=True)
    show(page)
    place = page.locator("[data-name=counter_narrow]")
    place.get_by_role("button", name="Check").click()
    expect(place.locator(".check-verdict strong")).to_have_text("the claim fails here, as it must", timeout=SLOW)
    seen = figures(place)
    assert float(seen["error"]) > float(seen["must exceed"])
    assert "tolerance" not in seen
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    picture(page, "counter")


def test_what_is_not_certified_is_as_visible_as_what_is(open_page, picture):
    page = open_page()
    show(page)
    page.locator(".review-sides").scroll_into_view_if_needed()
    sides = [side.bounding_box() for side in page.locator(".review-sides > div").all()]
    assert len(sides) == 2
    assert abs(sides[0]["width"] - sides[1]["width"]) < 0.25 * sides[0]["width"]
    sizes = page.locator(".supports dd, .silent li").evaluate_all("all => all.map(e => getComputedStyle(e).fontSize)")
    assert len(set(sizes)) == 1
    picture(page, "sides")


def test_a_failed_check_says_so(open_page):
    page = open_page()
    show(page)

    def refuse(route):
        text = route.fetch().text().replace("{ name }", '{ name: "nothing" }')
        route.fulfill(body=text, content_type="text/javascript")

    page.route(re.compile("core/check.js"), refuse)
    page.reload()
    show(page)
    place = page.locator("[data-name=eq_ntk]")
    place.get_by_role("button", name="Check").click()
    expect(place.locator(".check-answer")).to_contain_text("There is no witness 'nothing'", timeout=SLOW)
    expect(place.locator(".check-verdict")).to_have_count(0)
