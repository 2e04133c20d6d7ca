"""The live demo in the browser: what it shows is what the library computes, and it says what it does."""

import dataclasses
import importlib
import re

import numpy as np
import pytest
from playwright.sync_api import expect

from widelimit.lab._content import load
from widelimit.lab.parts._demo import PART
from widelimit.recipes.live import LiveConfig, LiveRun

PATIENT = 60_000
DEMO = load(PART)
STATES = {preset.key: LiveConfig(**DEMO.state(preset)) for preset in DEMO.presets}


def shown(page):
    """Bring the demo into view and wait for its first frame."""
    part = page.locator("[data-part='demo']")
    part.evaluate("element => element.scrollIntoView()")
    expect(page.locator(".demo-step")).to_be_visible(timeout=PATIENT)
    part.locator("[data-slot='stage']").evaluate("element => element.scrollIntoView()")
    return page


def at_step(page, step):
    """Wait until the run stands at a step."""
    expect(page.locator(".demo-step")).to_have_attribute("data-step", str(step), timeout=PATIENT)
    expect(page.locator("[data-number='loss']")).not_to_have_attribute("data-value", "", timeout=PATIENT)


def numbers(page, step):
    """Return the read-outs of a step as numbers."""
    at_step(page, step)
    page.wait_for_timeout(300)  # the read-outs follow a few times a second
    found = page.locator(".demo-readouts [data-number]").evaluate_all(
        "all => all.map(one => [one.dataset.number, one.dataset.value])"
    )
    return {key: float(value) if value else None for key, value in found}


def table(page, number=0):
    """Open the data table of a panel and return its cells."""
    panel = page.locator(".demo-live .panel").nth(number)
    panel.locator("summary").click()
    rows = panel.locator("table").first.locator("tr")
    expect(rows.nth(1)).to_be_visible()
    return panel.locator("table").first.evaluate(
        "table => [...table.rows].map(row => [...row.cells].map(cell => cell.textContent))"
    )


@pytest.fixture
def still(open_page):
    """Return a function that opens a state with reduced motion, where nothing plays by itself."""
    return lambda path="", **options: shown(open_page(path, reduced_motion="reduce", **options))


def test_the_default_plays_by_itself_once_it_is_seen(open_page, picture):
    page = shown(open_page())
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible(timeout=PATIENT)
    expect(page.locator(".status[data-state='training']").first).to_be_visible(timeout=PATIENT)
    expect(page.locator(".demo-sentence").first).to_contain_text(re.compile(r"kernel|features|start", re.I))
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".status[data-state='paused']").first).to_be_visible(timeout=PATIENT)
    step = int(page.locator(".demo-step").get_attribute("data-step"))
    assert step > 0
    picture(page, "paused")


def test_reduced_motion_waits_and_every_button_of_the_transport_works(still):
    page = still()
    stage = page.locator(".demo-stage")
    at_step(page, 0)
    stage.get_by_role("button", name="Step", exact=True).click()
    at_step(page, 1)
    stage.get_by_role("button", name="Step", exact=True).click()
    at_step(page, 2)
    stage.get_by_role("button", name="Reset", exact=True).click()
    at_step(page, 0)
    stage.get_by_role("button", name="New seed", exact=True).click()
    expect(page).to_have_url(re.compile(r"\?v=1&seed=1"))
    stage.get_by_role("combobox", name="Speed").select_option("5")
    stage.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator(".demo-step")).not_to_have_attribute("data-step", "0", timeout=PATIENT)
    stage.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".status[data-state='paused']").first).to_be_visible(timeout=PATIENT)


def test_the_tables_and_read_outs_hold_the_numbers_of_the_library(still):
    page = still("?v=1&steps=40")
    seen = numbers(page, 40)
    run = LiveRun.open(STATES["state:default"])
    frame = run.advance(40)
    for key in ("parameter_change", "kernel_change", "feature_change", "gap", "loss"):
        np.testing.assert_allclose(seen[key], frame.numbers[key], rtol=1e-9, err_msg=key)
    cells = table(page)
    columns = {name: np.array([float(row[at]) for row in cells[1:]]) for at, name in enumerate(cells[0])}
    for name, array in {
        "finite, width 64": "finite",
        "linearised": "linear",
        "infinite width": "infinite",
        "mean over starts, ±2σ": "mean",
    }.items():
        np.testing.assert_allclose(columns[name], frame.arrays[array], rtol=1e-5, atol=1e-8, err_msg=name)
    upper, mean = columns["mean over starts, ±2σ, upper end"], frame.arrays["mean"]
    np.testing.assert_allclose(upper - mean, 2 * frame.arrays["std"], rtol=1e-3, atol=1e-5)
    page.get_by_role("button", name="Kernel", exact=True).click()
    cells = table(page)
    np.testing.assert_allclose(
        [[float(one) for one in row[1:]] for row in cells[1:]], run.opening.arrays["ntk_start"], rtol=1e-5
    )


@pytest.mark.thorough
def test_the_states_tell_their_story(still, picture):
    page, found = still(), {}
    for key in ("default", "wide", "mean-field", "frozen"):
        page.locator(f"[data-preset-short='state:{key}']").click()
        expect(page.locator(f"[data-preset-short='state:{key}']")).to_have_attribute("aria-pressed", "true")
        at_step(page, 0)
        page.wait_for_timeout(600)  # the address follows
        query = page.evaluate("location.search") or "?v=1"
        page.goto(f"{page.url.split('?')[0].split('#')[0]}{query}&steps=300")
        found[key] = numbers(shown(page), 300)
        picture(page, key)
    assert found["wide"]["gap"] < 0.05
    assert found["default"]["gap"] > max(0.1, 5 * found["wide"]["gap"])
    assert found["mean-field"]["gap"] > 0.1
    assert found["mean-field"]["kernel_change"] > 20 * found["wide"]["kernel_change"]
    assert found["frozen"]["gap"] < 1e-6


@pytest.mark.parametrize(("view", "panels"), [("Function", 1), ("Kernel", 1), ("Spectrum", 2), ("Trajectory", 1)])
def test_every_view_has_a_picture_words_and_a_table(still, picture, view, panels):
    page = still("?v=1&steps=30")
    at_step(page, 30)
    page.get_by_role("button", name=view, exact=True).click()
    expect(page.locator(".demo-live .panel")).to_have_count(panels)
    for number in range(panels):
        panel = page.locator(".demo-live .panel").nth(number)
        expect(panel.locator("canvas").first).to_be_visible()
        assert len(panel.locator("figcaption").inner_text()) > 40
        assert len(table(page, number)) > 2
    picture(page, view)


def test_the_address_holds_the_whole_state_and_brings_it_back(still):
    page = still()
    stage = page.locator(".demo-stage")
    page.locator("[data-control='width'] input").press("ArrowRight")
    stage.get_by_label("Freeze the features").check()
    stage.get_by_role("radio", name="mean-field").check()
    stage.get_by_text("More controls").click()
    stage.get_by_label("Activation").select_option("sin")
    stage.get_by_label("Hidden layers").press("ArrowRight")
    stage.get_by_label("Target").select_option("step")
    stage.get_by_label("Seed").fill("7")
    stage.get_by_label("Seed").press("Tab")
    stage.get_by_role("button", name="Trajectory", exact=True).click()
    parts = [
        "width=128",
        "freeze=1",
        "parameterization=mean_field",
        "activation=sin",
        "depth=2",
        "target=step",
        "seed=7",
    ]
    for part in [*parts, "view=trajectory"]:
        expect(page).to_have_url(re.compile(f"[?&]{part}(&|#|$)"))
    page.reload()
    shown(page)
    expect(page.locator("[data-control='width'] output")).to_contain_text("128")
    expect(stage.get_by_label("Freeze the features")).to_be_checked()
    expect(stage.get_by_role("button", name="Trajectory", exact=True)).to_have_attribute("aria-pressed", "true")
    stage.get_by_text("More controls").click()
    expect(stage.get_by_label("Activation")).to_have_value("sin")
    expect(stage.get_by_label("Seed")).to_have_value("7")


def test_sliders_of_the_other_controls_reach_the_run(still):
    page = still()
    stage = page.locator(".demo-stage")
    stage.get_by_text("More controls").click()
    for label, part in {
        "Training points": "points=9",
        "Weight scale": "weight_std=0.85",
        "Bias scale": "bias_std=0.35",
        "Ridge": "ridge=0.01",
    }.items():
        stage.get_by_label(label).press("ArrowRight")
        expect(page).to_have_url(re.compile(f"[?&]{re.escape(part)}(&|#|$)"))
    before = page.locator("[data-number='learning_rate']").get_attribute("data-value")
    page.locator("[data-control='step'] input").press("End")
    expect(page).to_have_url(re.compile(r"[?&]step=4(&|#|$)"))
    expect(page.locator("[data-number='learning_rate']")).not_to_have_attribute("data-value", before, timeout=PATIENT)


def test_junk_in_the_address_is_ignored_with_words(still):
    page = still("?v=1&width=wide&colour=red&activation=swish&seed=3")
    for text in ("width is “wide”", "“colour”", "activation is “swish”"):
        expect(page.locator(".demo-plot .note").first).to_contain_text(text)
    expect(page).to_have_url(re.compile(r"\?v=1&seed=3"))


def test_another_version_of_the_address_is_refused_with_words(still):
    page = still("?v=9&width=128")
    expect(page.locator(".demo-plot .note").first).to_contain_text("version 9")
    expect(page.locator("[data-control='width'] output")).to_contain_text("64")


def test_a_clamped_control_says_what_was_changed_and_why(still):
    page = still("?v=1&width=100&points=500")
    for control, asked, used, reason in [
        ("width", "You asked for 100; 128 is shown", "128", "powers of two"),
        ("points", "You asked for 500; 32 is shown", "32", "from 2 to 32"),
    ]:
        words = page.locator(f"[data-control='{control}'] .error")
        expect(words).to_contain_text(asked, timeout=PATIENT)
        expect(words).to_contain_text(reason)
        expect(page.locator(f"[data-control='{control}'] output")).to_contain_text(used)


def test_divergence_is_told_and_nothing_but_numbers_is_drawn(still, picture):
    page = still()
    page.locator("[data-preset-short='state:diverged']").click()
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator(".status[data-state='diverged']").first).to_be_visible(timeout=PATIENT)
    assert "NaN" not in page.locator("[data-part='demo']").inner_text()
    assert not {"NaN", "Infinity"} & {cell for row in table(page) for cell in row}
    picture(page, "diverged")


def test_own_points_are_checked_and_trained_on(still, picture):
    page = still()
    page.get_by_text("More controls").click()
    page.get_by_label("Target").select_option("own")
    field = page.get_by_label("Your points")
    expect(field).not_to_be_empty()
    for text, words in {
        "x, y\n0.1, hello": "Line 2",
        "1 2 3": "Line 1 holds 3 values",
        "0, 11\n1, 1": "goes beyond ±10",
        "0, 1": "expected 2 to 48",
        "\n".join(f"{k / 100}, 0" for k in range(49)): "There are 49 points",
    }.items():
        field.fill(text)
        page.get_by_role("button", name="Use these points").click()
        expect(page.locator("#demo-own-errors")).to_contain_text(words)
    field.fill("x;y\n-1; 0.5\n0;−0.5\n1\t0.25")
    page.get_by_role("button", name="Use these points").click()
    expect(page).to_have_url(re.compile(r"x=-1,0,1&y=0\.5,-0\.5,0\.25"))
    plot = page.locator(".demo-live .u-over")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    plot.click(position={"x": box["width"] * 0.6, "y": box["height"] * 0.4})
    expect(page).to_have_url(re.compile(r"x=-1,0,1,0\.\d+"))
    picture(page, "own")


def test_a_state_is_attached_listed_and_forgotten(still):
    page = still("?v=1&width=128&steps=25")
    at_step(page, 25)
    page.get_by_role("button", name="Attach this state").click()
    link = page.locator(".demo-attached a")
    expect(link).to_contain_text("width 128, step 25")
    assert "width=128" in link.get_attribute("href")
    page.locator("[data-preset-short='state:default']").click()
    expect(page.locator("[data-control='width'] output")).to_contain_text("64")
    link.click()
    at_step(page, 25)
    expect(page.locator("[data-control='width'] output")).to_contain_text("128")
    page.reload()
    shown(page)
    page.get_by_role("button", name=re.compile("^Forget")).click()
    expect(page.locator(".demo-attached")).to_have_count(0)


def test_code_for_this_state_is_a_program(still):
    page = still("?v=1&width=128&steps=25")
    at_step(page, 25)
    page.get_by_role("button", name="Code for this state").click()
    code = page.locator(".demo-code code")
    expect(code).to_contain_text("import", timeout=PATIENT)
    compile(code.inner_text(), "snippet", "exec")
    assert "128" in code.inner_text()
    assert "25" in code.inner_text()


def test_a_lost_connection_is_told_and_found_again(still, tolerated):
    tolerated.append("WebSocket")
    page = still()
    sockets = []

    def through(socket):
        sockets.append(socket)
        socket.connect_to_server()

    page.route_web_socket(re.compile("/lab$"), through)
    page.reload()
    shown(page)
    sockets[0].close()
    expect(page.get_by_text("Disconnected. The server does not answer").first).to_be_visible()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_enabled(timeout=PATIENT)
    at_step(page, 0)


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_axe_finds_nothing(still, accessible, picture, width, dark):
    page = still("?v=1&steps=30", width=width, dark=dark)
    at_step(page, 30)
    page.get_by_text("More controls").click()
    table(page)
    accessible(page, "[data-part='demo']")
    picture(page, "open", full_page=True)


def test_without_scripts_the_demo_is_explained(open_page):
    page = open_page(java_script_enabled=False)
    part = page.locator("[data-part='demo']")
    for preset in DEMO.presets:
        expect(part.get_by_text(preset.watch)).to_be_visible()
    part.get_by_text("What each control does").click()
    for control in DEMO.controls:
        expect(part.get_by_text(control.help).first).to_be_visible()


@pytest.mark.parametrize("name", [one.name for one in DEMO.experiments] + [DEMO.sweep.name])
def test_what_an_experiment_offers_its_recipe_knows(name):
    config = importlib.import_module(f"widelimit.recipes.exhibits.{name}").Config
    known = {field.name for field in dataclasses.fields(config)}
    if name == DEMO.sweep.name:
        assert set(DEMO.sweep.fields) <= known
        return
    (experiment,) = [one for one in DEMO.experiments if one.name == name]
    for field in experiment.fields:
        assert field.key in known
        assert field.value in [choice.value for choice in field.choices]
        for choice in field.choices:
            kind = type(getattr(config(), field.key))
            config(**{field.key: choice.value if kind is str else kind(float(choice.value))})


def test_an_experiment_runs_and_draws_what_it_found(still, picture):
    page = still()
    place = page.locator("[data-experiment='edge_of_chaos']")
    place.get_by_label("Layers").select_option("10")
    place.get_by_role("button", name="Run the experiment").click()
    expect(place.locator(".demo-task")).to_have_attribute("data-state", "done", timeout=PATIENT)
    expect(place.locator(".panel canvas").first).to_be_visible()
    seen = place.locator("[data-number='critical']").get_attribute("data-value")
    np.testing.assert_allclose(float(seen), np.sqrt(np.pi) / 2, rtol=1e-9)
    picture(page, "edge")


def test_an_experiment_can_be_stopped(still):
    page = still()
    place = page.locator("[data-experiment='ensemble_band']")
    place.get_by_role("button", name="Run the experiment").click()
    place.get_by_role("button", name="Stop", exact=True).click()
    expect(place.locator(".demo-task")).to_have_attribute("data-state", "stopped", timeout=PATIENT)
    expect(place.get_by_role("button", name="Run the experiment")).to_be_enabled()


def test_the_width_sweep_refuses_in_words_what_it_cannot_do(still):
    page = still("?v=1&step=1.5&view=widths")
    page.get_by_role("button", name="Measure the sweep").click()
    expect(page.locator(".demo-widths .demo-task")).to_have_attribute("data-state", "failed", timeout=PATIENT)
    expect(page.locator(".demo-widths [role='status']")).to_contain_text("step")
