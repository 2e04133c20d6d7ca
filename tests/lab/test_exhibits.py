"""Experiments: every number they state is in their panels or follows from an independent formula."""

import dataclasses
import importlib
import json
import math
import pkgutil

import jax
import msgspec
import numpy as np
import pytest
import scipy.optimize

import widelimit as wl
from widelimit.recipes import exhibits
from widelimit.recipes.exhibits import (
    catapult,
    edge_of_chaos,
    ensemble_band,
    rank_two_trap,
    spectral_bias,
    two_moons,
    unit_circle,
    width_sweep,
)

NAMES = [m.name for m in pkgutil.iter_modules(exhibits.__path__) if not m.name.startswith("_")]
SMALL = {
    "catapult": {"width": 512},
    "rank_two_trap": {"widths": (64, 1024)},
    "edge_of_chaos": {"weight_stds": (0.8, 2.0), "depth": 12},
    "ensemble_band": {"networks": 30},
    "spectral_bias": {"width": 256, "steps": 300, "points": 16, "depth": 1, "frequencies": (1, 2, 4)},
    "two_moons": {"points": 15, "cells": 11},
    "unit_circle": {"widths": (64, 1024), "seeds": 6, "steps": 50, "angles": 21},
    "width_sweep": {"widths": (32, 128, 512), "seeds": 4},
}


@pytest.fixture(scope="module")
def results():
    found = {}
    for name in NAMES:
        module = importlib.import_module(f"widelimit.recipes.exhibits.{name}")
        heard = []
        found[name] = module.run(module.Config(**SMALL[name]), lambda *words, to=heard: to.append(words))
        assert heard
        assert all(0 <= done <= total for done, total, _ in heard)
    return found


def number(exhibit, key):
    return next(n.value for n in exhibit.numbers if n.key == key)


@pytest.mark.parametrize("name", NAMES)
def test_an_exhibit_is_plain_and_complete(name, results):
    exhibit = results[name]
    assert exhibit.key == name
    assert exhibit.sentence.endswith(".")
    assert not exhibit.sentence[0].islower()
    assert exhibit.notes
    text = json.dumps(msgspec.to_builtins(exhibit), allow_nan=False)
    assert len(text) < 150_000
    for panel in exhibit.panels:
        assert panel.text.endswith(".")
        for series in getattr(panel, "series", []):
            assert len(series.x) == len(series.y)
    for n in exhibit.numbers:
        if n.expected is not None and n.tolerance is not None:
            assert abs(n.value - n.expected) <= n.tolerance, n


def test_the_width_sweep_fits_what_it_shows(results):
    exhibit = results["width_sweep"]
    for panel, key in zip(exhibit.panels, ("gap", "kernel_change"), strict=True):
        cloud = panel.series[0]
        slope = np.polyfit(np.log(cloud.x), np.log(cloud.y), 1)[0]
        assert number(exhibit, key) == pytest.approx(slope, abs=1e-6)
        assert number(exhibit, key) < -0.4


def test_features_do_not_freeze_with_width_in_mup():
    found = width_sweep.run(width_sweep.Config(parameterization="mup", widths=(32, 128, 512), seeds=3))
    assert abs(number(found, "kernel_change")) < 0.15


def test_order_and_chaos_by_the_closed_form(results):
    # For erf: c' = asin(2 q c / (1 + 2 q)) / asin(2 q / (1 + 2 q)), q' = σ² 2/π asin(2q/(1+2q)) (Williams 1997).
    exhibit = results["edge_of_chaos"]
    for series, scale in zip(exhibit.panels[0].series, SMALL["edge_of_chaos"]["weight_stds"], strict=True):
        q, c = scale**2, math.cos(0.6)
        for measured in series.y:
            top = 2 * q / (1 + 2 * q)
            c, q = math.asin(top * c) / math.asin(top), scale**2 * 2 / math.pi * math.asin(top)
            assert measured == pytest.approx(c, abs=1e-9)
    assert exhibit.panels[0].series[0].y[-1] > math.cos(0.6) - 0.2 > exhibit.panels[0].series[1].y[-1]


def test_the_depth_scale_is_that_of_the_correlations():
    # Far from the edge: the distance of two inputs of an ordered network shrinks by χ in every layer.
    found = edge_of_chaos.run(edge_of_chaos.Config(weight_stds=(0.5, 0.9), bias_std=0.4, depth=30))
    for series, scale in zip(found.panels[0].series, (0.5, 0.9), strict=True):
        left = 1 - np.array(series.y)
        late = slice(8, 16)
        slope = np.polyfit(np.arange(30)[late], np.log(left[late]), 1)[0]
        assert number(found, f"scale_{scale}") == pytest.approx(-1 / slope, rel=0.01)


@pytest.mark.parametrize(("activation", "bias"), [("erf", 0.2), ("tanh", 0.0)])
def test_the_critical_scale_solves_its_equation(activation, bias):
    found = edge_of_chaos.run(edge_of_chaos.Config(activation=activation, bias_std=bias, depth=2))
    critical = number(found, "critical")
    if bias == 0:
        assert critical == pytest.approx(1.0, abs=1e-12)
        return
    # q = σ² 2/π asin(2q/(1+2q)) + b² and σ² (4/π) / √((1+2q)² − 4q²) = 1 (Williams 1997).
    q = scipy.optimize.brentq(
        lambda q: critical**2 * 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q)) + bias**2 - q, 1e-9, 10, xtol=1e-14
    )
    assert critical**2 * 4 / np.pi / np.sqrt((1 + 2 * q) ** 2 - 4 * q**2) == pytest.approx(1, abs=1e-6)


def test_the_catapult_follows_the_recursion_of_two_numbers(results):
    # f' = f (1 − ηλ + η² f² / n), λ' = λ + η f² (ηλ − 4) / n, exact for this model at x = 1.
    exhibit, width = results["catapult"], SMALL["catapult"]["width"]
    losses, sharpness = exhibit.panels
    for share, loss, seen in zip((1.5, 2.5, 3.5, 4.5), losses.series, sharpness.series, strict=False):
        f = math.sqrt(2 * loss.y[0])
        net = wl.serial(wl.Dense(width, 1.0, None), wl.Identity(), wl.Dense(1, 1.0, None))
        kernel = sum(float(np.sum(leaf**2)) for leaf in jax.tree.leaves(net.init(jax.random.key(0), (1,)))) / width
        rate = share / kernel
        for measured, product in zip(loss.y, seen.y, strict=True):
            if measured is not None:
                assert measured == pytest.approx(f**2 / 2, rel=0.02, abs=1e-6)
            if product is not None:
                assert product == pytest.approx(rate * kernel, rel=1e-3)
            if f**2 / 2 > catapult.LARGEST_LOSS:
                break
            f, kernel = (
                f * (1 - rate * kernel + rate**2 * f**2 / width),
                kernel + rate * f**2 / width * (rate * kernel - 4),
            )


def test_the_catapult_settles_only_within_its_band(results):
    exhibit = results["catapult"]
    assert number(exhibit, "kernel_1.5") == pytest.approx(1, abs=0.02)
    assert number(exhibit, "peak_1.5") == 1
    for share in (2.5, 3.5):
        assert number(exhibit, f"kernel_{share}") * share < 2
        assert number(exhibit, f"peak_{share}") > 10
    assert number(exhibit, "peak_4.5") > 1e3
    assert "4.5 the loss passes 1e+09 after" in exhibit.sentence
    assert len(exhibit.panels[0].series[3].y) < 15
    assert number(catapult.run(catapult.Config(width=4096)), "kernel_2.5") == pytest.approx(0.513, abs=0.02)


def test_biases_free_the_network_from_two_half_lines(results):
    exhibit = results["rank_two_trap"]
    fits, spectra, errors = exhibit.panels
    target, trapped, free, _ = fits.series
    for series, key in ((trapped, "trap_1024"), (free, "free_1024")):
        error = np.mean((np.array(series.y) - np.array(target.y)) ** 2)
        assert number(exhibit, key) == pytest.approx(error, rel=1e-9)
    assert number(exhibit, "trap_1024") == pytest.approx(0.169, abs=5e-4)
    for half in (slice(0, 100), slice(101, 201)):
        assert np.max(np.abs(np.diff(trapped.y[half], 2))) < 1e-12
    assert sum(value is not None for value in spectra.series[0].y) == 2
    assert number(exhibit, "free_1024") < number(exhibit, "free_64") < 0.01
    assert errors.series[1].y == [number(exhibit, "free_64"), number(exhibit, "free_1024")]


def test_low_frequencies_come_first(results):
    exhibit = results["spectral_bias"]
    values = [number(exhibit, f"eigenvalue_{k}") for k in SMALL["spectral_bias"]["frequencies"]]
    assert values == sorted(values, reverse=True)
    halves = [number(exhibit, f"half_{k}") for k in SMALL["spectral_bias"]["frequencies"]]
    assert halves == sorted(halves)


def test_the_wide_network_moves_less_and_varies_less_on_the_circle(results):
    exhibit = results["unit_circle"]
    for key in ("moved", "spread"):
        assert number(exhibit, f"{key}_1024") < 0.6 * number(exhibit, f"{key}_64")
    limit = exhibit.panels[1].series[-1]
    assert limit.name == "limit"
    assert limit.y[0] == pytest.approx(limit.y[-1], rel=1e-5)
    assert max(limit.y) == limit.y[len(limit.y) // 2]


def test_networks_lie_in_the_band(results):
    exhibit = results["ensemble_band"]
    band = exhibit.panels[0].series[0]
    assert np.all(np.array(band.low) <= np.array(band.high))
    assert number(exhibit, "low") < number(exhibit, "inside") < number(exhibit, "high")
    narrow = ensemble_band.run(ensemble_band.Config(width=32, networks=30))
    assert number(narrow, "inside") < number(narrow, "low")
    assert "can be told from the limit" in narrow.sentence


def test_moons_are_told_apart_and_doubt_grows_away_from_them(results):
    exhibit = results["two_moons"]
    probability, deviation = exhibit.panels
    values = np.array(probability.values)
    assert 0 <= values.min() <= values.max() <= 1
    assert number(exhibit, "right") > 0.9
    assert number(exhibit, "far") > 3 * number(exhibit, "near")
    assert np.shape(deviation.values) == (11, 11)


@pytest.mark.parametrize(
    ("module", "wrong"),
    [
        (width_sweep, {"widths": (32, 100000, 64)}),
        (width_sweep, {"step": 1.5}),
        (width_sweep, {"target": "own"}),
        (edge_of_chaos, {"depth": 1000}),
        (edge_of_chaos, {"angle": 0.0}),
        (catapult, {"steps_times_kernel": (9.0,)}),
        (rank_two_trap, {"bias_std": 0.0}),
        (spectral_bias, {"frequencies": (99,)}),
        (unit_circle, {"widths": (10000,)}),
        (ensemble_band, {"networks": 10000}),
        (two_moons, {"ridge": -1.0}),
    ],
)
def test_what_is_too_much_is_refused_with_the_range(module, wrong):
    with pytest.raises(ValueError, match=r"expected|takes one"):
        module.Config(**wrong)


def test_whoever_listens_can_stop_the_work():
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensemble_band.run(ensemble_band.Config(), stop)


def test_configurations_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        two_moons.Config().ridge = 1.0
