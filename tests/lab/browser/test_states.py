"""Every part in the states a reader brings it to: accessible, within the page, and with a picture to look at.

Each state is seen twice, wide in the light scheme and narrow in the dark one; `make thorough` sees the other two.
"""

import re

import pytest
from playwright.sync_api import expect

from widelimit.lab._content import load
from widelimit.lab.parts import PARTS

SLOW = 180_000
CONTENT = {part.key: load(part) for part in PARTS}
EXPERIMENTS = [one.name for one in CONTENT["demo"].experiments]
VIEWS = [view.label for view in CONTENT["demo"].views if view.key != "widths"]
STATIC = ["outline", "map", "intuition", "math", "code", "sources"]
STATIC += ["storyboard", "inquiry", "review", "practice", "room"]


@pytest.fixture(
    params=[
        pytest.param((1280, False), id="wide-light"),
        pytest.param((390, True), id="narrow-dark"),
        pytest.param((1280, True), id="wide-dark", marks=pytest.mark.thorough),
        pytest.param((390, False), id="narrow-light", marks=pytest.mark.thorough),
    ]
)
def opened(request, open_page, accessible, picture):
    """Return a function that opens the page, and one that judges what is then seen of a part."""
    width, dark = request.param

    def open_at(path="", part=None):
        page = open_page(path, width=width, height=900, dark=dark, reduced_motion="reduce")
        if part:
            show(page, part)
        return page

    def judge(page, selector, name):
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        accessible(page, selector)
        place = page.locator(selector).first
        place.scroll_into_view_if_needed()
        picture(page, name)

    return open_at, judge


def show(page, part):
    page.locator(f"#{part}").scroll_into_view_if_needed()
    expect(page.locator(f"[data-part={part}][data-attached]")).to_have_count(1, timeout=SLOW)


def at_rest(page):
    """Bring the picture of the demo into view and wait until it shows a frame."""
    expect(page.locator(".demo-step")).to_be_visible(timeout=SLOW)
    expect(page.locator("[data-number='loss']")).not_to_have_attribute("data-value", "", timeout=SLOW)
    page.locator(".demo-picture").scroll_into_view_if_needed()
    expect(page.locator(".demo-live canvas").first).to_be_visible(timeout=SLOW)


def test_every_part_before_anything_is_done(opened):
    open_at, judge = opened
    page = open_at()
    for part in STATIC:
        page.locator(f"#{part}").scroll_into_view_if_needed()
        if part == "code":
            # The cell may be run once the server has said so; until then its button is about to change.
            expect(page.locator("#code").get_by_role("button", name="Run")).to_be_enabled(timeout=SLOW)
        judge(page, f"#{part}", part)


@pytest.mark.parametrize("state", ["default", "mean-field", "diverged"])
def test_every_view_of_the_demo(opened, state):
    open_at, judge = opened
    config = CONTENT["demo"].state(next(one for one in CONTENT["demo"].presets if one.key == f"state:{state}"))
    fields = "&".join(f"{key}={value}" for key, value in config.items() if key in ("width", "parameterization", "step"))
    page = open_at(f"?v=1&{fields}&steps=6", "demo")
    at_rest(page)
    for view in VIEWS:
        page.get_by_role("button", name=view, exact=True).click()
        expect(page.locator(".demo-live canvas").first).to_be_visible(timeout=SLOW)
        judge(page, ".demo-stage", f"{state}-{view}")


@pytest.mark.thorough
def test_the_width_sweep_with_what_it_measured(opened):
    open_at, judge = opened
    page = open_at("?v=1&view=widths", "demo")
    page.get_by_role("button", name="Measure the sweep").click()
    expect(page.locator(".demo-widths .demo-task")).to_have_attribute("data-state", "done", timeout=SLOW)
    expect(page.locator(".demo-widths canvas")).to_have_count(2)
    judge(page, ".demo-stage", "sweep")


@pytest.mark.thorough
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_with_its_result(opened, name):
    open_at, judge = opened
    page = open_at("", "demo")
    place = page.locator(f"[data-experiment='{name}']")
    place.get_by_role("button", name="Run the experiment").click()
    expect(place.locator(".demo-task")).to_have_attribute("data-state", "done", timeout=SLOW)
    expect(place.locator(".panel canvas").first).to_be_visible(timeout=SLOW)
    judge(page, f"[data-experiment='{name}']", name)


def test_every_frame_of_the_storyboard_revealed(opened):
    open_at, judge = opened
    page = open_at("", "storyboard")
    board = page.locator("#storyboard")
    for number, frame in enumerate(CONTENT["storyboard"].frames):
        if number:
            board.get_by_role("button", name="Next frame").click()
        # The page draws the next frame a moment after the click; what is pressed before that belongs to the last one.
        expect(board.locator("figure.story")).to_have_attribute("aria-label", frame.title, timeout=SLOW)
        board.get_by_label("Step of the frame").press("End")
        board.locator("input[value=kernel]").check()
        board.get_by_role("button", name="Commit, then read").click()
        expect(board.locator(".story-told").first).to_be_visible(timeout=SLOW)
        judge(page, "#storyboard", f"frame-{number + 1}")


def test_predictions_with_their_outcomes(opened):
    open_at, judge = opened
    page = open_at("", "demo")
    for number in range(len(CONTENT["demo"].predictions)):
        predict = page.locator("#demo .predict").nth(number)
        predict.get_by_role("radio").first.check()
        predict.get_by_role("button", name="Commit").click()
        expect(predict.locator(".outcome")).to_be_visible(timeout=SLOW)
        judge(page, f"#demo .predict[data-prediction={predict.get_attribute('data-prediction')}]", f"outcome-{number}")


def test_the_inquiry_with_its_reasons(opened):
    open_at, judge = opened
    page = open_at("", "inquiry")
    inquiry = page.locator("#inquiry")
    inquiry.locator("input[value=plane]").check()
    inquiry.get_by_role("button", name="Choose, then see the reasons").click()
    expect(inquiry.locator(".reasons")).to_be_visible(timeout=SLOW)
    judge(page, "#inquiry", "reasons")


def test_equations_and_claims_with_checks_that_ran(opened):
    open_at, judge = opened
    page = open_at("", "math")
    page.locator("#math .check[data-witness=eq_ntk]").get_by_role("button", name="Check").click()
    expect(page.locator("#math .check-verdict").first).to_be_visible(timeout=SLOW)
    judge(page, "#math", "checked")
    show(page, "review")
    page.locator("[data-name=counter_narrow]").get_by_role("button", name="Check").click()
    expect(page.locator("#review .counter .check-verdict")).to_be_visible(timeout=SLOW)
    judge(page, "#review", "claims-checked")


def test_the_cell_with_its_output(opened):
    open_at, judge = opened
    page = open_at("", "code")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".cell-answer")).to_contain_text("mean squared error", timeout=SLOW)
    judge(page, "#code", "ran")


def test_practice_with_an_answer_and_its_hints(opened):
    open_at, judge = opened
    page = open_at("", "practice")
    for exercise in page.locator(".exercise").all():
        exercise.get_by_label("Your answer").fill("Each unit moves less, because many share the work.")
        for _ in range(3):
            exercise.get_by_role("button", name=re.compile("^Next hint")).click()
        expect(exercise.locator(".hints li")).to_have_count(3, timeout=SLOW)
        exercise.get_by_text("Then let the experiment answer").click()
    judge(page, "#practice", "hints")


def test_the_room_with_a_note_and_its_text_for_a_tutor(opened):
    open_at, judge = opened
    page = open_at("", "room")
    desk = page.locator(".desk")
    desk.get_by_label("Object").select_option("eq:ode")
    desk.get_by_label("Note").fill("Where does the width enter?")
    desk.get_by_text("Text to hand to a tutor").click()
    expect(desk.locator(".handoff pre")).to_contain_text("Where does the width enter?")
    judge(page, "#room", "note")


@pytest.mark.parametrize("width", [1280, 390])
def test_a_narrow_picture_keeps_its_width_for_the_curves(open_page, width):
    page = open_page("?v=1&steps=6", width=width, reduced_motion="reduce")
    show(page, "demo")
    at_rest(page)
    whole, plot = (page.locator(f".demo-live {part}").bounding_box() for part in (".chart", ".u-over"))
    assert (plot["width"] > 0.82 * whole["width"]) is (width < 480)
    assert plot["y"] + plot["height"] < whole["y"] + whole["height"]


def test_a_band_is_named_only_while_it_is_seen(open_page):
    small = "weight_std=0.1&bias_std=0&steps=40"
    for state, named, words in (("steps=6", "mean over starts, ±2σ", 0), (small, "mean over starts", 1)):
        page = open_page(f"?v=1&width=512&{state}", reduced_motion="reduce")
        show(page, "demo")
        at_rest(page)
        panel = page.locator(".demo-live .panel")
        narrow = panel.locator("figcaption").filter(has_text="The band around the mean is too narrow")
        expect(narrow).to_have_count(words, timeout=SLOW)
        panel.locator("summary").click()
        expect(panel.locator("thead th").get_by_text(named, exact=True)).to_have_count(1)


def test_numbers_are_set_as_print_sets_them(open_page):
    page = open_page()
    texts = {
        "from -1 to 1e-06 at 5%": "from −1 to 10⁻⁶ at 5\u202f%",
        "2.5e+07, x = -0.92, [-1, 1]": "2.5·10⁷, x = −0.92, [−1, 1]",
        "width-64 e-mail 3e": "width-64 e-mail 3e",
    }
    for text, expected in texts.items():
        assert page.evaluate("async text => (await import('lab/core/format.js')).typeset(text)", text) == expected
