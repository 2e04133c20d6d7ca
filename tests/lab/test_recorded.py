"""Recorded pictures: every number they state follows from what they show, and their captions say it."""

import math
import re

import numpy as np
import pytest

from widelimit.lab import _recorded, record


def numbers(story):
    return {number.key: number.value for number in story.numbers}


def series(panel, name):
    (found,) = (one for one in panel.series if one.name == name)
    return found


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.mark.parametrize("name", _recorded.names())
def test_a_recording_is_small_and_its_steps_are_alike(name):
    story = _recorded.load(name)
    assert (_recorded.FOLDER / f"{name}.json").stat().st_size < 150_000
    for step in story.steps:
        assert [panel.kind for panel in step] == [panel.kind for panel in story.steps[0]]
        for first, panel in zip(story.steps[0], step, strict=True):
            assert panel.text.endswith(".")
            if panel.kind == "curves":
                assert (panel.x, panel.y) == (first.x, first.y)
                assert all(len(one.x) == len(one.y) > 0 for one in panel.series)
    assert all(caption.endswith((".", ".)")) for caption in story.captions)


def test_the_tangent_plane_is_as_far_as_the_curves_show():
    story = _recorded.load("tangent_plane")
    for (function, line), share in zip(story.steps, story.config["shares"], strict=True):
        apart = np.array(series(function, "network").y) - series(function, "tangent plane").y
        assert numbers(story)[f"gap_{share:g}"] == pytest.approx(rms(apart), rel=1e-3, abs=1e-6)
        assert numbers(story)[f"moved_{share:g}"] == pytest.approx(series(line, "here").x[0], abs=1e-6)
    plane = series(story.steps[0][1], "tangent plane")
    assert np.max(np.abs(np.diff(plane.y, 2))) < 1e-4


def test_little_movement_goes_with_a_small_gap():
    story = _recorded.load("intuition")
    widths, learnt = story.config["widths"], story.config["learnt"]
    for step, share in zip(story.steps, learnt, strict=True):
        now = series(step[2], "now")
        for width, moved, gap in zip(widths, now.x, now.y, strict=True):
            assert numbers(story)[f"moved_{width}_{share:g}"] == moved
            assert numbers(story)[f"gap_{width}_{share:g}"] == gap
        assert now.x == sorted(now.x, reverse=True)
        assert now.y == sorted(now.y, reverse=True)
    slope = np.polyfit(np.log(widths), np.log(now.x), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.06)


def test_the_kernel_misses_one_step_by_what_is_said():
    story = _recorded.load("one_step")
    for (_, change), share, caption in zip(story.steps, story.config["shares"], story.captions, strict=True):
        moved, expected = (np.array(series(change, name).y) for name in ("the network", "kernel times residuals"))
        off = rms(moved - expected) / rms(moved)
        assert numbers(story)[f"off_{share:g}"] == pytest.approx(off, rel=1e-2, abs=1e-5)
        assert f"{numbers(story)[f'off_{share:g}']:.1%}" in caption


def test_the_limit_of_the_kernel_is_that_of_the_formula():
    story = _recorded.load("kernel_freezes")
    x = np.linspace(-1, 1, 12)
    # One hidden layer of erf with σ_w = 2, σ_b = 1/2: Θ = K' + σ_w² E[φ'φ'] K, K' = σ_w² E[φφ] + σ_b² (Williams 1997).
    k = 4 * np.outer(x, x) + 0.25
    d = 1 + 2 * np.diag(k)
    root = np.sqrt(np.outer(d, d))
    expected = 4 * 2 / math.pi * np.arcsin(2 * k / root) + 0.25
    expected = expected + 4 * 4 / math.pi / np.sqrt(np.outer(d, d) - 4 * k**2) * k
    for (panel,), width in zip(story.steps, story.config["widths"], strict=True):
        before, after, limit = (np.array(one.values) for one in panel.matrices)
        np.testing.assert_allclose(limit, expected, rtol=1e-4)
        assert (after - before).any()
        assert f"Width {width}: training moves the kernel by {numbers(story)[f'change_{width}']:.1%}" in panel.text
    changes = [numbers(story)[f"change_{width}"] for width in story.config["widths"]]
    assert changes == sorted(changes, reverse=True)


def test_modes_decay_as_the_limit_says():
    story = _recorded.load("modes_decay")
    for (_, decay), step in zip(story.steps, story.config["steps"], strict=True):
        for i in range(1, story.config["modes"] + 1):
            mode = series(decay, f"mode {i}")
            assert mode.x[-1] == step
            left = numbers(story)[f"left_{i}_{step}"]
            assert left == pytest.approx(mode.y[-1] / mode.y[0], rel=1e-4)
            limit = series(decay, f"limit {i}")
            expected = dict(zip(limit.x, limit.y, strict=True))[float(step)]
            if expected is not None and expected > 0.05 * mode.y[0]:
                assert mode.y[-1] == pytest.approx(expected, rel=0.15)


def test_wider_networks_move_less_at_the_rate_of_theory():
    story = _recorded.load("wider_moves_less")
    panel = story.steps[-1][1]
    cloud, mean = series(panel, "networks"), series(panel, "mean")
    for width, value in zip(mean.x, mean.y, strict=True):
        own = [y for x, y in zip(cloud.x, cloud.y, strict=True) if x == width]
        assert value == pytest.approx(np.mean(own), rel=1e-4)
        assert numbers(story)[f"moved_{width:g}"] == pytest.approx(value, rel=1e-5)
    slope = np.polyfit(np.log(cloud.x), np.log(cloud.y), 1)[0]
    (kept,) = (number for number in story.numbers if number.key == "slope")
    assert kept.value == pytest.approx(slope, abs=1e-3)
    assert abs(kept.value - kept.expected) <= kept.tolerance


@pytest.mark.parametrize("name", ["tangent_plane", "modes_decay"])
def test_every_value_of_a_recording_comes_out_again(name):
    kept, now = _recorded.load(name).plain(), record.compute(name)
    assert re.fullmatch(r"[0-9a-f]{64}", now["hash"])
    for step, again in zip(kept["steps"], now["steps"], strict=True):
        for panel, other in zip(step, again, strict=True):
            for one, two in zip(panel["series"], other["series"], strict=True):
                assert one["name"] == two["name"]
                a, b = (np.array(values["y"], float) for values in (one, two))
                np.testing.assert_allclose(a, b, rtol=5e-3, atol=2e-4, equal_nan=True)


def test_nothing_that_is_no_number_is_recorded():
    with pytest.raises(ValueError, match="expected finite numbers"):
        _recorded.rounded({"a": [1.0, float("nan")]})
    assert _recorded.rounded({"a": (1.23456789, 2)}) == {"a": [1.23457, 2]}


def test_an_unknown_story_is_refused_with_the_list():
    with pytest.raises(ValueError, match="no story 'nothing'; expected one of intuition"):
        record.compute("nothing")
