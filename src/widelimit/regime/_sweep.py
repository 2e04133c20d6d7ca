r"""The same training at several widths: how drift, gap and feature change go with width, beside the theory.

With r the exponent of Yang & Hu (2021, arXiv 2011.14522): features move by :math:`n^{-r}`, and kernel and linearisation
gap by between :math:`n^{-2r}` (leading order for r = 1/2: Huang & Yau 2019, arXiv 1909.08156) and :math:`n^{-r}`
(proven: Lee et al. 2019, arXiv 1902.06720). At r = 0 nothing falls with width.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from .. import _check
from .._slope import fit_slope
from .._typing import Array, Callable, PyTree
from ._features import FeatureFn
from ._measure import measure, prepare, split
from ._numbers import Numbers
from ._report import Sweep, Trend, WidthRow
from ._trainer import AbstractTrainer

QUANTITIES = ("drift", "gap", "feature_change", "kappa")


class Variant(NamedTuple):
    """The model at one width, from one seed."""

    f: Any
    params: Any
    learning_rates: PyTree
    features: FeatureFn | None


class Theory(NamedTuple):
    """What is known of a family of networks: its exponent r, and in words where it comes from."""

    r: float | None
    text: str


def sweep_widths(
    variant: Callable[[int, Array], Variant],
    widths: tuple[int, ...],
    keys: Array,
    data: tuple[Any, Any, Any],
    train: AbstractTrainer,
    *,
    theory: Theory = Theory(None, ""),
    entries: int = 2048,
) -> Sweep:
    """Train one network per width and key, and fit power laws in width.

    Parameters
    ----------
    variant
        The model at a width, from a key.
    widths
        Ascending.
    keys
        One per seed.
    data
        Inputs, targets, and inputs of comparison or None.
    train
        How each is trained.
    theory
        What the slopes are held against.
    entries
        As for `diagnose`.
    """
    rows = []
    for width in widths:
        found = [_one(variant(width, jax.random.fold_in(key, width)), data, train, entries) for key in keys]
        rows.append(WidthRow(width, *(np.array(column, np.float64) for column in zip(*found, strict=True))))
    trends = []
    for name in QUANTITIES:
        values = np.array([getattr(row, name) for row in rows])
        if np.isfinite(values).any() and np.nanmax(np.where(np.isfinite(values), values, 0)) > 0:
            trends.append(Trend(name, fit_slope(widths, values), *predicted(name, theory.r)))
    return Sweep(tuple(rows), tuple(trends), theory.text)


def check_widths(widths: Any) -> tuple[int, ...]:
    """Return at least two different widths, ascending."""
    found = tuple(widths)
    for width in found:
        _check.positive_int(width, "widths")
    if len(set(found)) < 2:
        raise ValueError(f"widths is {found}; expected at least two different widths to compare.")
    return tuple(sorted({int(w) for w in found}))


def predicted(quantity: str, r: float | None) -> tuple[float | None, float | None]:
    """Return the interval of the exponent of a quantity for a family with exponent r; None if nothing is known."""
    if r is None or r < 0:
        return None, None
    return (-2 * r + 0.0, -r + 0.0) if quantity in ("drift", "gap") else (-r + 0.0, -r + 0.0)


def _gap(numbers: Numbers) -> float:
    # Beyond 2/λ the linearisation diverges, and the gap to it says nothing about the network.
    if numbers.gap is None or not numbers.finite or (numbers.step is not None and numbers.step > 2):
        return np.nan
    return numbers.gap


def _one(variant: Variant, data: tuple[Any, Any, Any], train: AbstractTrainer, entries: int) -> tuple[float, ...]:
    x, y, x_test = data
    model, x_test = prepare(variant.f, variant.params, (x, y), train, x_test, variant.learning_rates)
    features = None if variant.features is None else split(variant.features, variant.params)[0]
    report = measure(model, train, x_test, features, entries, brief=True)
    numbers = report.numbers()
    return (
        numbers.drift if numbers.finite else np.nan,
        _gap(numbers),
        float(report.along.movement[-1]),
        report.features[-1].change if report.features and numbers.finite else np.nan,
        np.nan if numbers.kappa is None else numbers.kappa,
        numbers.remaining,
    )
