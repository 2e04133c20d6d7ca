"""What a reader writes stays in the browser: in two tabs, with damaged or full storage, without a server."""

import json

import pytest
from laboratory import serving
from playwright.sync_api import expect

SLOW = 60_000
NOTES = "widelimit-lab/"
FILL = """() => {
  let size = 2_000_000;
  for (let i = 0; size > 0; i++) {
    try { localStorage.setItem(`filler-${i}`, "x".repeat(size)); } catch { size = Math.floor(size / 2); }
  }
}"""


def show(page, part):
    page.locator(f"#{part}").scroll_into_view_if_needed()
    expect(page.locator(f"[data-part={part}][data-attached]")).to_have_count(1)


def desk(page, key="eq:ode"):
    """Open the room with an object."""
    show(page, "room")
    page.locator(".desk").get_by_label("Object").select_option(key)
    return page.locator(".desk")


def test_two_tabs_write_without_losing_each_others_notes(open_page):
    one = open_page()
    room = desk(one)
    two = one.context.new_page()
    two.goto(one.url)
    other = desk(two, "eq:loss")
    room.get_by_label("Note").fill("first tab")
    other.get_by_label("Note").fill("second tab")
    other.get_by_label("Object").select_option("eq:ode")
    expect(other.get_by_label("Note")).to_have_value("first tab")
    room.get_by_label("Object").select_option("eq:loss")
    expect(room.get_by_label("Note")).to_have_value("second tab")
    # The last one to write a record wins it, and the other tab shows that at once.
    other.get_by_label("Object").select_option("eq:loss")
    other.get_by_label("Note").fill("again")
    expect(room.get_by_label("Note")).to_have_value("again")


def test_a_damaged_record_is_set_aside_and_exported(open_page, tmp_path):
    page = open_page()
    page.evaluate(f"() => localStorage.setItem('{NOTES}room/eq:ode', '{{\"v\": 1, \"at')")
    page.evaluate(f"() => localStorage.setItem('{NOTES}states/state:own-x', '[]')")
    page.reload()
    room = desk(page)
    expect(room.get_by_text("kept as “room/eq:ode” is damaged")).to_be_visible()
    expect(room.get_by_text("kept as “states/state:own-x” is damaged")).to_be_visible()
    room.get_by_label("Note").fill("new")
    with page.expect_download() as download:
        room.get_by_role("button", name="Export").click()
    download.value.save_as(tmp_path / "kept.json")
    kept = json.loads((tmp_path / "kept.json").read_text())
    assert kept["damaged"] == {"room/eq:ode": '{"v": 1, "at', "states/state:own-x": "[]"}
    assert kept["records"]["room/eq:ode"]["value"] == {"note": "new"}


def test_a_full_storage_is_said_and_nothing_is_lost(open_page):
    page = open_page()
    room = desk(page)
    page.evaluate(FILL)
    room.get_by_label("Note").fill("x" * 400)
    status = room.locator(".status")
    expect(status).to_have_attribute("data-state", "unsaved")
    expect(status).to_contain_text("the storage of this browser is full. 1 record stays in this tab alone")
    room.get_by_label("Object").select_option("eq:loss")
    room.get_by_label("Object").select_option("eq:ode")
    expect(room.get_by_label("Note")).to_have_value("x" * 400)
    assert page.evaluate(f"() => localStorage.getItem('{NOTES}room/eq:ode')") is None
    page.evaluate("() => localStorage.removeItem('filler-0')")
    room.get_by_label("Note").fill("y" * 400)
    expect(status).to_have_attribute("data-state", "saved")
    assert "y" * 400 in page.evaluate(f"() => localStorage.getItem('{NOTES}room/eq:ode')")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no json", "The file is no JSON"),
        ('{"format": "other", "records": {}}', "was not exported by this page"),
        ('{"format": "widelimit-lab", "version": 9, "records": {}}', "of version 9; this page reads version 1"),
        (
            '{"format": "widelimit-lab", "version": 1, "records": {"room/x": {"v": 1, "at": "?", "value": {}}}}',
            "damaged",
        ),
    ],
)
def test_a_file_that_is_no_export_changes_nothing(open_page, tmp_path, text, words):
    page = open_page()
    room = desk(page)
    room.get_by_label("Note").fill("mine")
    before = page.evaluate("() => ({ ...localStorage })")
    (tmp_path / "file.json").write_text(text)
    room.locator("input[type=file]").set_input_files(tmp_path / "file.json")
    expect(room.locator(".keeping")).to_contain_text(words)
    expect(room.locator(".keeping")).to_contain_text("Nothing was changed")
    assert page.evaluate("() => ({ ...localStorage })") == before


def test_an_import_merges_and_says_what_it_did(open_page, tmp_path):
    page = open_page()
    room = desk(page)
    room.get_by_label("Note").fill("mine")
    old, new = "2020-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"
    theirs = {
        "room/eq:ode": {"v": 1, "at": old, "value": {"note": "older"}},
        "room/eq:loss": {"v": 1, "at": old, "value": {"note": "added"}},
    }
    file = tmp_path / "theirs.json"
    file.write_text(json.dumps({"format": "widelimit-lab", "version": 1, "records": theirs}))
    room.locator("input[type=file]").set_input_files(file)
    expect(room.locator(".keeping")).to_contain_text("1 record added, 0 replaced by a newer version, 1 kept")
    expect(room.get_by_label("Note")).to_have_value("mine")
    theirs["room/eq:ode"]["at"] = new
    file.write_text(json.dumps({"format": "widelimit-lab", "version": 1, "records": theirs}))
    room.locator("input[type=file]").set_input_files(file)
    expect(room.locator(".keeping")).to_contain_text("0 records added, 1 replaced by a newer version, 1 kept")
    expect(room.get_by_label("Note")).to_have_value("older")


def test_deleting_everything_asks_first(open_page):
    page = open_page()
    show(page, "practice")
    answer = page.locator("[id='practice/share']").get_by_label("Your answer")
    answer.fill("words")
    room = desk(page)
    room.get_by_label("Note").fill("mine")
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    room.get_by_role("button", name="Delete everything").click()
    expect(room.get_by_label("Note")).to_have_value("mine")
    page.once("dialog", lambda dialog: dialog.accept())
    room.get_by_role("button", name="Delete everything").click()
    expect(room.get_by_label("Note")).to_have_value("")
    expect(answer).to_have_value("")
    assert "Delete everything" in asked[0]
    assert page.evaluate("() => Object.keys(localStorage).filter(key => key.startsWith('widelimit-lab'))") == []


def test_the_handoff_of_an_attached_state_carries_its_run(open_page):
    page = open_page(reduced_motion="reduce")
    show(page, "demo")
    expect(page.locator(".demo-step")).to_be_visible(timeout=SLOW)
    page.locator("#demo").get_by_role("button", name="Attach this state").click()
    state = page.locator(".demo-attached .object")
    key = state.get_attribute("data-key")
    state.get_by_role("button", name="Ask about this").click()
    show(page, "room")
    room = page.locator(".desk")
    expect(room.get_by_label("Object")).to_have_value(key)
    room.get_by_text("Text to hand to a tutor").click()
    text = room.locator(".handoff pre")
    for line in (
        f"Key: {key}",
        "Parameters: width=",
        "Seed: 0; step: ",
        "Metrics: ",
        "loss=",
        "one next action for me",
    ):
        expect(text).to_contain_text(line)


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_room_is_accessible_and_fits(open_page, accessible, picture, width, dark):
    page = open_page(width=width, dark=dark)
    room = desk(page, "misconception:wide-is-lazy")
    room.get_by_text("Text to hand to a tutor").click()
    expect(room.locator(".handoff pre")).to_contain_text("Refuted by: state:mean-field")
    expect(room.locator(".desk-links a").first).to_have_attribute("href", "#state/mean-field")
    accessible(page, "#room")
    accessible(page, "#practice")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    picture(page, f"{width}")


def test_the_room_works_with_the_server_stopped(open_page, tolerated):
    tolerated += ["ERR_CONNECTION_REFUSED", "WebSocket", "Failed to load resource"]
    page = open_page()
    with serving() as address:
        page = page.context.new_page()
        page.goto(address)
        room = desk(page)
        show(page, "practice")
    room.get_by_label("Note").fill("without a server")
    expect(room.locator(".status")).to_have_attribute("data-state", "saved")
    room.get_by_text("Text to hand to a tutor").click()
    expect(room.locator(".handoff pre")).to_contain_text("without a server")
    exercise = page.locator("[id='practice/share']")
    exercise.get_by_role("button", name="Next hint").click()
    expect(exercise.get_by_role("alert")).to_contain_text("the server of this page does not answer")
