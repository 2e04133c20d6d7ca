"""Content of the second pass: what is asked can be measured, and what is held back does not stand in the page."""

import itertools
import json
import re

import pytest

from widelimit.lab import _prediction
from widelimit.lab._content import load
from widelimit.lab._objects import PREFIXES
from widelimit.lab._page import objects, page_data, render, sealed
from widelimit.lab.parts import _demo, _inquiry, _practice, _room, _storyboard
from widelimit.recipes.live import LiveConfig, measure

DEMO, INQUIRY, PRACTICE, ROOM, STORYBOARD = (
    load(module.PART) for module in (_demo, _inquiry, _practice, _room, _storyboard)
)
PREDICTIONS = {
    **{f"practice-{one.key}": one.prediction for one in PRACTICE.exercises},
    **{f"storyboard-{one.key}": one.prediction for one in STORYBOARD.frames if one.prediction},
    **{str(one["key"]): one for one in DEMO.predictions},
    "inquiry": INQUIRY.prediction,
}
ONE = dict(PRACTICE.exercises[0].prediction)


@pytest.fixture(scope="module")
def frame():
    return measure(LiveConfig(width=8, points=4), 1).frame


@pytest.mark.parametrize("key", PREDICTIONS)
def test_every_prediction_is_about_something_that_a_run_gives(key, frame):
    prediction = PREDICTIONS[key]
    given = frame.arrays if prediction["answer"] == "curve" else frame.numbers
    assert prediction["quantity"] in given


def test_choices_leave_no_gap_and_do_not_overlap():
    for key, prediction in PREDICTIONS.items():
        if prediction["answer"] != "choice" or any("phase" in one for one in prediction["choices"]):
            continue
        ends = sorted((one.get("low", -float("inf")), one.get("high", float("inf"))) for one in prediction["choices"])
        assert all(low < high for low, high in ends), key
        assert all(first[1] == then[0] for first, then in itertools.pairwise(ends)), key


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"control": "breadth"}, "no controls"),
        ({"base": {"width": 8}}, "fixes its own control 'width'"),
        ({"to": 10**6}, "Width goes from"),
        ({"answer": "essay"}, "expected one of direction"),
        ({"answer": "choice"}, "needs 'choices'"),
        ({"of": "both"}, "expected 'after' or 'ratio'"),
        ({"hue": 1}, "unknown ['hue']"),
    ],
)
def test_a_prediction_that_no_run_can_answer_is_refused(change, words):
    _prediction.check(ONE, "share")
    with pytest.raises(ValueError, match="'share'.*" + re.escape(words)):
        _prediction.check({**ONE, **change}, "share")


def test_a_missing_field_of_a_prediction_is_named():
    with pytest.raises(ValueError, match="steps"):
        _prediction.check({key: value for key, value in ONE.items() if key != "steps"}, "share")


def texts(value):
    """Yield every text in plain values that is long enough to be recognised."""
    if isinstance(value, str):
        if len(value) > 25:
            yield value
    elif isinstance(value, dict | list | tuple):
        for one in value.values() if isinstance(value, dict) else value:
            yield from texts(one)


@pytest.mark.parametrize("part", ["storyboard", "inquiry", "practice"])
def test_what_is_sealed_does_not_stand_in_the_page(part):
    page = render() + json.dumps(page_data(), ensure_ascii=False)
    found = [text for key, value in sealed().items() if key.startswith(f"{part}/") for text in texts(value)]
    shown = {one.name for one in INQUIRY.cues}  # the names of the pictures are no secret
    assert len(found) > 5
    assert [text for text in found if text in page and text not in shown] == []


def test_hints_are_fetched_one_by_one():
    for exercise in PRACTICE.exercises:
        for number, hint in enumerate(exercise.hints, 1):
            assert sealed()[f"practice/{exercise.key}/hint-{number}"] == hint


def test_the_loop_has_a_refutation_and_every_way_to_answer():
    assert len(PRACTICE.exercises) >= 5
    assert {one.kind for one in PRACTICE.exercises} >= {"refute", "explain", "draw"}
    assert {one.prediction["answer"] for one in PRACTICE.exercises} == set(_prediction.ANSWERS)


def test_the_room_guides_every_kind_to_objects_that_exist():
    known = objects()
    assert {guide.kind for guide in ROOM.guides} == set(PREFIXES.values())
    assert len(ROOM.guides) == 7
    for guide in ROOM.guides:
        assert guide.inspect
        assert set(guide.inspect) <= known.keys()
    assert len(ROOM.misconceptions) >= 3
    for one in ROOM.misconceptions:
        assert known[one.state].kind == "demo-state"


def test_every_frame_and_cue_names_an_equation_that_exists():
    for one in (*STORYBOARD.frames, *INQUIRY.cues):
        assert objects()[one.equation].kind == "equation"
    assert {frame.change for frame in STORYBOARD.frames} <= set(STORYBOARD.changes)


def test_misconceptions_are_refuted_by_the_states_they_name():
    presets = {preset.key: preset for preset in DEMO.presets}
    state = {one.key: LiveConfig(**DEMO.state(presets[one.state])) for one in ROOM.misconceptions}
    moved = measure(state["misconception:wide-is-lazy"], 100).frame.numbers
    assert moved["feature_change"] > 0.3
    stuck = measure(state["misconception:width-fixes"], 2000).frame
    assert stuck.numbers["mse"] == pytest.approx(0.21687, abs=2e-4)
    catapult = measure(state["misconception:divergence"], 800).frame.numbers
    assert catapult["linear_diverged"] == 1
    assert catapult["loss_highest"] > 1.5 * catapult["loss_start"]
    assert catapult["loss"] < 0.1 * catapult["loss_start"]
