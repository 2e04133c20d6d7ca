"""The exported page opens from a file, without any server, and replays what was recorded."""

import re

import pytest
from playwright.sync_api import expect

from widelimit.lab import _export
from widelimit.lab._page import page_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "lab"
    patch = pytest.MonkeyPatch()
    # A few states and steps stand for all; the content is read before, because it checks that all witnesses are listed.
    page_data()
    full = _export._presets()
    patch.setattr(_export, "_presets", lambda: {k: full[k] for k in ("state:default", "state:wide")})
    patch.setattr(_export, "_predictions", list)
    patch.setattr(_export, "STEPS", (1, 2, 5, 10, 30, 100))
    patch.setattr(_export, "names", lambda _: ["two_moons"])
    patch.setattr(_export.witnesses, "names", lambda: ("eq_ntk",))
    heard = []
    _export.export(folder, lambda *words: heard.append(words))
    patch.undo()
    assert heard[-1][0] == heard[-1][1]
    return folder


@pytest.mark.thorough
def test_it_replays_offline(folder, browser, tmp_path):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    complaints, requests = [], []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((folder / "index.html").as_uri())
    expect(page.locator("h1")).to_be_visible()
    page.locator("#demo").scroll_into_view_if_needed()
    expect(page.locator("[data-part=demo][data-attached]")).to_have_count(1)
    page.locator("#demo .demo-picture").scroll_into_view_if_needed()
    expect(page.locator("#demo")).to_contain_text("This is a recording", timeout=20_000)
    expect(page.locator("#demo .demo-step")).to_have_text(re.compile("step (30|100)"), timeout=20_000)
    page.locator("#math").scroll_into_view_if_needed()
    check = page.locator("#math .check[data-witness=eq_ntk]")
    check.get_by_role("button", name="Check").click()
    expect(check).to_contain_text("passed")
    page.locator("#practice").scroll_into_view_if_needed()
    page.locator("[id='practice/share']").get_by_role("button", name="Next hint").click()
    expect(page.locator("[id='practice/share'] .hints")).to_contain_text("order one")
    assert not complaints
    assert all(url.startswith(("file:", "data:", "blob:")) for url in requests), requests
    page.screenshot(path=tmp_path / "export.png")
    context.close()


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ValueError, match="which is a file"):
        _export.export(file, lambda *_: pytest.fail("work began"))
