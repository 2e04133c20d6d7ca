"""Predict first: drawn curves, numbers in their units, two controls, records that stay as they are, and the edge."""

import json

import pytest
from playwright.sync_api import expect

SLOW = 120_000


def show(page, part):
    page.locator(f"#{part}").scroll_into_view_if_needed()
    expect(page.locator(f"[data-part={part}][data-attached]")).to_have_count(1)


def records(page):
    """Return what is kept of predictions, oldest first."""
    kept = page.evaluate("() => Object.entries({ ...localStorage }).filter(([key]) => key.includes('/prediction/'))")
    return [json.loads(text)["value"] for _, text in sorted(kept)]


@pytest.fixture
def corner(open_page):
    """The exercise in which a curve is drawn, opened."""
    page = open_page()
    show(page, "practice")
    exercise = page.locator("[id='practice/corner']")
    exercise.locator("summary").click()
    expect(exercise.locator(".sketch-curve[data-role=data] circle")).to_have_count(12, timeout=SLOW)
    return page, exercise


def test_a_curve_is_drawn_with_the_keyboard_and_judged_by_a_run(corner, accessible, picture):
    page, exercise = corner
    expect(exercise.get_by_role("slider")).to_have_count(11)
    expect(exercise.locator(".outcome")).to_have_count(0)
    points = exercise.get_by_role("slider")
    points.first.focus()
    for i in range(11):
        for _ in range(abs(i - 5)):
            page.keyboard.press("ArrowUp" if i > 5 else "ArrowDown")
            page.keyboard.press("ArrowUp" if i > 5 else "ArrowDown")
            page.keyboard.press("ArrowUp" if i > 5 else "ArrowDown")
        page.keyboard.press("ArrowRight")
    # Without biases the network is linear through the corner at zero: so is this line, of slope 0.75.
    expect(points.first).to_have_attribute("aria-valuenow", "-1.125")
    expect(points.last).to_have_attribute("aria-valuenow", "1.125")
    accessible(page, "[id='practice/corner']")
    exercise.get_by_role("button", name="Commit").click()
    expect(exercise.locator(".outcome")).to_contain_text("Your prediction was right", timeout=SLOW)
    accessible(page, "[id='practice/corner']")
    exercise.get_by_text("The two curves as a table").click()
    row = exercise.locator(".outcome table tbody tr").last.locator("td")
    expect(row.nth(0)).to_contain_text("1.12")
    expect(row.nth(1)).to_have_text("1.22")
    (record,) = records(page)
    assert record["prediction"]["y"][0] == pytest.approx(-1.125)
    # The slope of least squares on the samples, (Σ x sin 3x)/(Σ x²), for x > 0 and, by symmetry, x < 0.
    slope = record["outcome"]["y"][-1] / 1.5
    assert slope == pytest.approx(0.8160, abs=2e-4)
    error = [(drawn - slope * x) ** 2 for x, drawn in zip(*record["prediction"].values(), strict=True)]
    assert record["gap"] == pytest.approx((sum(error) / 11) ** 0.5, rel=1e-3)
    picture(page, "outcome")


def test_a_curve_is_drawn_with_the_pointer(corner):
    page, exercise = corner
    sketch = exercise.locator(".sketch")
    sketch.scroll_into_view_if_needed()
    box = sketch.bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.95 * box["width"], box["y"] + 0.2 * box["height"], steps=4)
    page.mouse.up()
    values = [float(point.get_attribute("aria-valuenow")) for point in exercise.get_by_role("slider").all()]
    assert values[:4] == [0, 0, 0, 0]
    assert len({round(value, 1) for value in values[6:10]}) == 1
    assert values[8] > 0.7


def test_a_number_is_judged_in_its_unit_and_the_record_never_changes(open_page, accessible):
    page = open_page()
    show(page, "inquiry")
    predict = page.locator(".inquiry-prediction .predict")
    predict.get_by_role("button", name="Commit").click()
    expect(predict.get_by_role("status")).to_contain_text("Give an answer first")
    predict.get_by_role("textbox").fill("1.6")
    predict.get_by_role("button", name="Commit").click()
    expect(predict.locator(".outcome")).to_contain_text("Your prediction was right", timeout=SLOW)
    expect(predict.locator(".outcome")).to_be_focused()
    expect(predict).to_contain_text("You predicted1.6 %")
    expect(predict).to_contain_text("The run gave1.66 % (before the change: 14.2 %)")
    expect(predict).to_contain_text("where it moves by a fifth")
    (record,) = records(page)
    assert record["prediction"] == pytest.approx(0.016)
    assert record["outcome"]["after"] == pytest.approx(record["numbers"]["kernel_change"])
    assert record["gap"] == pytest.approx(abs(0.016 - record["numbers"]["kernel_change"]))
    assert record["library"]
    assert record["config"]["seed"] == 0
    assert record["config"]["width"] == 1024
    accessible(page, "#inquiry")
    predict.get_by_role("button", name="Predict again").click()
    expect(predict.locator(".outcome")).to_have_count(0)
    predict.get_by_role("textbox").fill("90")
    predict.get_by_role("button", name="Commit").click()
    expect(predict.locator(".outcome")).to_contain_text("It came out differently", timeout=SLOW)
    first, second = records(page)
    assert first == record
    assert second["hit"] is False
    page.reload()
    show(page, "inquiry")
    expect(predict.locator(".outcome")).to_contain_text("It came out differently")
    # A prediction made elsewhere than in the demo earns nothing.
    show(page, "map")
    expect(page.locator(".map-standing")).to_have_attribute("data-state", "locked")


def test_a_second_control_voids_the_prediction(open_page):
    page = open_page(reduced_motion="reduce")
    show(page, "demo")
    expect(page.locator(".demo-step")).to_be_visible(timeout=SLOW)
    predict = page.locator("#demo .predict").first
    predict.get_by_label("It falls").check()
    # The control that the question is about may move; another one may not.
    width = page.locator("#demo").get_by_label("Width", exact=True).first
    width.press("ArrowRight")
    expect(predict).to_have_attribute("data-stage", "asking")
    page.locator("#demo").get_by_label("Freeze the features").check()
    expect(predict).to_have_attribute("data-stage", "void")
    expect(predict.get_by_role("status")).to_contain_text("void: you changed freeze. It is about width alone")
    assert records(page) == []
    predict.get_by_label("It rises").check()
    expect(predict).to_have_attribute("data-stage", "asking")


def test_the_edge_can_be_passed_without_earning_it_and_reset(open_page, accessible):
    page = open_page()
    standing = page.locator(".map-standing")
    expect(standing).to_have_attribute("data-state", "locked")
    page.get_by_role("button", name="Continue anyway").click()
    expect(standing).to_have_attribute("data-state", "continued")
    expect(standing).to_contain_text("not earned")
    page.reload()
    expect(standing).to_have_attribute("data-state", "continued")
    accessible(page, "#map")
    page.locator("#map").get_by_role("button", name="Reset").click()
    expect(standing).to_have_attribute("data-state", "locked")
    page.reload()
    expect(standing).to_have_attribute("data-state", "locked")


def test_the_storyboard_keeps_still_where_motion_is_not_wanted(open_page, accessible):
    page = open_page(reduced_motion="reduce")
    show(page, "storyboard")
    board = page.locator("#storyboard")
    board.get_by_role("button", name="Next step").click()
    expect(board).to_contain_text("2 of 5")
    board.get_by_label("Step of the frame").focus()
    page.keyboard.press("End")
    expect(board).to_contain_text("5 of 5")
    page.keyboard.press("PageDown")
    expect(board.locator("[aria-current=step]")).to_contain_text("2. One gradient step")
    expect(board).to_contain_text("1 of 5")
    board.get_by_role("button", name="Commit, then read").click()
    expect(board.get_by_role("status")).to_contain_text("Choose one of the four first")
    board.get_by_role("radio", name="the kernel").check()
    board.get_by_role("button", name="Commit, then read").click()
    expect(board.locator(".story-told").first).to_contain_text(
        "You said the kernel; this frame was chosen for the function"
    )
    accessible(page, "#storyboard")
    page.reload()
    show(page, "storyboard")
    expect(board.locator(".story-told")).to_have_count(0)
    board.get_by_role("button", name="Next frame").click()
    expect(board.locator(".story-told").first).to_contain_text("You said the kernel")
