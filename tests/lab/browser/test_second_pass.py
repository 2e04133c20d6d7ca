"""The second pass: predictions, storyboard, inquiry, claim review, practice, research room."""

import json
import re

from playwright.sync_api import expect

SLOW = 60_000


def show(page, part):
    page.locator(f"#{part}").scroll_into_view_if_needed()
    expect(page.locator(f"[data-part={part}][data-attached]")).to_have_count(1)


def test_a_prediction_comes_before_its_outcome_and_earns_the_edge(open_page):
    page = open_page()
    show(page, "demo")
    predict = page.locator("#demo .predict").first
    predict.scroll_into_view_if_needed()
    expect(predict.get_by_text("The run gave")).to_have_count(0)
    expect(predict.locator(".outcome, [data-outcome]")).to_have_count(0)
    predict.get_by_label("It falls").check()
    predict.get_by_role("button", name="Commit").click()
    expect(predict).to_contain_text("Your prediction was right", timeout=SLOW)
    expect(predict).to_contain_text("before")
    show(page, "map")
    expect(page.locator(".map-standing")).to_have_attribute("data-state", "earned")
    page.reload()
    show(page, "map")
    expect(page.locator(".map-standing")).to_have_attribute("data-state", "earned")


def test_being_shown_does_not_earn_the_edge(open_page):
    page = open_page()
    show(page, "demo")
    predict = page.locator("#demo .predict").first
    predict.get_by_role("button", name="Show me instead").click()
    expect(predict.get_by_role("button", name="Predict again")).to_be_visible(timeout=SLOW)
    show(page, "map")
    expect(page.locator(".map-standing")).to_have_attribute("data-state", "locked")


def test_the_storyboard_tells_after_a_commitment(open_page, picture):
    page = open_page()
    show(page, "storyboard")
    board = page.locator("#storyboard")
    expect(board.locator(".story-tabs button")).to_have_count(5)
    assert "The plane is the whole truth" not in page.content()
    assert "the plane is the whole truth" not in page.content()
    slider = board.get_by_label("Step of the frame")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(board).to_contain_text("2 of 5")
    picture(page, "before")
    board.locator("input[value=function]").check()
    board.get_by_role("button", name="Commit, then read").click()
    expect(board.locator(".story-told")).to_contain_text("the plane is the whole truth")
    board.get_by_role("button", name="Next frame").click()
    expect(board.locator(".story-told")).to_have_count(0)
    board.get_by_role("button", name="Play").click()
    expect(board).to_contain_text("5 of 5", timeout=SLOW)


def test_the_inquiry_gives_reasons_after_a_choice(open_page):
    page = open_page()
    show(page, "inquiry")
    inquiry = page.locator("#inquiry")
    assert "One step is always nearly linear" not in page.content()
    inquiry.locator("input[value=step]").check()
    inquiry.get_by_role("button", name="Choose, then see the reasons").click()
    expect(inquiry).to_contain_text("One step is always nearly linear")
    expect(inquiry.locator("[data-chosen=true]")).to_contain_text("One step, foretold")
    expect(inquiry.locator(".reasons a")).to_have_count(4)


def test_every_witness_of_the_review_passes_in_the_page(open_page, picture):
    page = open_page()
    show(page, "review")
    expect(page.locator(".witness .changed")).to_have_count(0)
    count = page.locator("#review .check[data-witness]").count()
    page.get_by_role("button", name=re.compile("Check all")).click()
    expect(page.locator(".check-all")).to_contain_text(f"{count} of {count} passed", timeout=4 * SLOW)
    expect(page.locator(".witnesses.counter .check-verdict[data-passed=true]")).to_have_count(3)
    picture(page, "checked", full_page=False)


def test_practice_gives_hints_in_order_and_keeps_the_answer(open_page):
    page = open_page()
    show(page, "practice")
    exercise = page.locator("[id='practice/share']")
    assert "factor that keeps it of order one" not in page.content()
    exercise.get_by_label("Your answer").fill("Each unit moves less.")
    exercise.get_by_role("button", name="Next hint (3 left)").click()
    expect(exercise.locator(".hints li")).to_have_count(1)
    expect(exercise.locator(".hints")).to_contain_text("factor that keeps it of order one")
    for _ in range(2):
        exercise.get_by_role("button", name="Next hint").click()
    expect(exercise.locator(".hints li")).to_have_count(3)
    expect(exercise.get_by_role("button", name="Next hint")).to_have_count(0)
    exercise.get_by_label("It is concrete").check()
    page.reload()
    show(page, "practice")
    expect(exercise.get_by_label("Your answer")).to_have_value("Each unit moves less.")
    expect(exercise.get_by_label("It is concrete")).to_be_checked()
    expect(exercise.locator(".hints li")).to_have_count(0)


def test_a_number_of_practice_is_judged_by_a_run(open_page):
    page = open_page()
    show(page, "practice")
    exercise = page.locator("[id='practice/share']")
    exercise.get_by_text("Then let the experiment answer").click()
    exercise.locator(".predict input[type=number], .predict input[type=text]").first.fill("0.25")
    exercise.get_by_role("button", name="Commit").click()
    expect(exercise.locator(".predict")).to_contain_text("Predict again", timeout=SLOW)
    expect(exercise.locator(".predict")).to_contain_text("1/√n")


def test_what_is_written_in_the_room_stays_in_the_browser(open_page, tmp_path):
    page = open_page()
    sent = []
    page.on("request", lambda request: sent.append((request.url, request.post_data or "")))
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(("frame", str(frame)))))
    show(page, "room")
    secret = "Zirkelschluss-42"
    room = page.locator(".desk")
    room.get_by_label("Object").select_option("eq:ode")
    room.get_by_label("Note").fill(secret)
    room.get_by_label("Next action").fill("Read theorem 2")
    room.get_by_text("Text to hand to a tutor").click()
    handoff = room.locator(".handoff pre")
    for line in ("Key: eq:ode", "Anchor: #eq/ode", f"My note: {secret}", "You are a tutor who works from sources."):
        expect(handoff).to_contain_text(line)
    page.reload()
    show(page, "room")
    room.get_by_label("Object").select_option("eq:ode")
    expect(room.get_by_label("Note")).to_have_value(secret)
    with page.expect_download() as download:
        room.get_by_role("button", name="Export").click()
    kept = tmp_path / "notes.json"
    download.value.save_as(kept)
    assert secret in kept.read_text()
    page.on("dialog", lambda dialog: dialog.accept())
    room.get_by_role("button", name="Delete this note").click()
    expect(room.get_by_label("Note")).to_have_value("")
    room.locator("input[type=file]").set_input_files(kept)
    expect(room.get_by_label("Note")).to_have_value(secret)
    assert not [entry for entry in sent if secret in json.dumps(entry)]


def test_asking_about_an_object_opens_it_in_the_room(open_page):
    page = open_page()
    show(page, "math")
    page.locator("[id='eq/solution']").get_by_role("button", name="Ask about this").click()
    show(page, "room")
    expect(page.locator(".desk").get_by_label("Object")).to_have_value("eq:solution")
