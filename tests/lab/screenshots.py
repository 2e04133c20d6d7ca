"""Write the pictures of the documentation: ``python tests/lab/screenshots.py`` (not a test)."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from laboratory import CHROMIUM, FLAGS, serving
from playwright.sync_api import expect, sync_playwright

FOLDER = pathlib.Path(__file__).parents[2] / "docs" / "images"
SLOW = 60_000


def main():
    """Start a lab, visit six states, and keep a picture of each."""
    with serving() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        demo(browser, address, "lab-narrow", "state:default", {})
        demo(browser, address, "lab-wide-dark", "state:wide", {"color_scheme": "dark"})
        demo(browser, address, "lab-mean-field", "state:mean-field", {})
        demo(browser, address, "lab-phone", "state:catapult", {"viewport": {"width": 390, "height": 844}})
        part(browser, address, "lab-intuition", "intuition-figure", 0)
        part(browser, address, "lab-review", "review", 1)
        browser.close()


def demo(browser, address, name, key, options):
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}, "color_scheme": "light", **options})
    page = context.new_page()
    page.goto(address)
    page.locator("#demo").scroll_into_view_if_needed()
    page.locator("[data-part=demo][data-attached]").wait_for()
    page.locator(f"[data-preset='{key}']").first.click()
    page.wait_for_timeout(9000)
    top = ".demo-views" if page.viewport_size["width"] < 480 else ".demo-stage"
    page.locator(top).evaluate("e => scrollTo(0, e.getBoundingClientRect().top + scrollY - 16)")
    page.wait_for_timeout(700)
    page.screenshot(path=FOLDER / f"{name}.png")
    context.close()


def part(browser, address, name, anchor, checks):
    context = browser.new_context(viewport={"width": 1280, "height": 860}, color_scheme="light")
    page = context.new_page()
    page.goto(address)
    page.locator(f"#{anchor}").scroll_into_view_if_needed()
    if checks:
        page.get_by_role("button", name="Check all").click()
        expect(page.locator(".check-all")).to_contain_text(re.compile(r"(\d+) of \1 passed"), timeout=6 * SLOW)
        page.get_by_role("heading", name="Witnesses").scroll_into_view_if_needed()
        page.get_by_role("heading", name="Witnesses").evaluate("e => e.scrollIntoView()")
        page.wait_for_timeout(300)
        page.screenshot(path=FOLDER / f"{name}.png")
    else:
        page.wait_for_timeout(500)
        page.locator(f"#{anchor}").screenshot(path=FOLDER / f"{name}.png")
    context.close()


if __name__ == "__main__":
    main()
