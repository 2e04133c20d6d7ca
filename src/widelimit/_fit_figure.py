"""The picture of a fit; matplotlib is imported only when it is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._style import FAINT, FINITE, INFINITE, INK, SOFT, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


SCORES = {
    "evidence": "evidence",
    "loo": "−LOO MSE",
    "density": "LOO density",
    "accuracy": "LOO accuracy",
    "cv": "−CV MSE",
}
"""What the score of a criterion is called; the largest is best."""


def fit_figure(document: dict[str, Any]) -> Figure:
    """Draw a fit: predictions of held-out rows, whether their uncertainty is right, and the best candidates.

    Parameters
    ----------
    document
        The report of a fit as plain objects, as ``report.json`` holds it.

    Returns
    -------
    Figure
        Three panels.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13, 4.4), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        test = document["test"]
        if document["data"]["task"] == "regression":
            _predictions(left, test)
            _calibration(middle, [(row["level"], row["covered"]) for row in test["calibration"]], "nominal level")
            middle.set(title="How often intervals cover", ylabel="share of held-out targets")
        else:
            _confidence(left, test)
            _reliability(middle, test["reliability"])
            middle.set(title="Are probabilities right?", ylabel="share that is right")
        _candidates(right, document)
        figure.get_layout_engine().set(wspace=0.06, w_pad=0.08, h_pad=0.08)  # type: ignore[union-attr]
    return figure


def _predictions(axes: Axes, test: dict[str, Any]) -> None:
    points = test["points"]
    y, mean = np.array(points["y"]), np.array(points["mean"])
    low, high = (np.array(points[key], float) for key in ("low", "high"))
    finite = np.isfinite(low) & np.isfinite(high)
    axes.vlines(y[finite], low[finite], high[finite], color=FAINT, lw=0.8)
    axes.plot(y, mean, "o", ms=3, color=INFINITE)
    ends = [min(y.min(), mean.min()), max(y.max(), mean.max())]
    axes.plot(ends, ends, color=SOFT, lw=1)
    axes.set(title="Held-out rows", xlabel="target", ylabel=f"prediction, {test['interval_level']:.0%} interval")


def _confidence(axes: Axes, test: dict[str, Any]) -> None:
    rows = test["reliability"]
    axes.bar([row["confidence"] for row in rows], [row["count"] for row in rows], width=0.06, color=INFINITE)
    axes.set(title="How sure the model is", xlabel="predicted probability of the class", ylabel="held-out rows")
    axes.set_xlim(0, 1.05)


def _calibration(axes: Axes, rows: list[tuple[float, float]], label: str) -> None:
    axes.plot([0, 1], [0, 1], color=FAINT, lw=1)
    axes.plot(*zip(*rows, strict=True), "o-", ms=5, color=FINITE)
    axes.set(xlabel=label, xlim=(0, 1.03), ylim=(0, 1.03))


def _reliability(axes: Axes, rows: list[dict[str, Any]]) -> None:
    confidence, accuracy, count = (np.array([row[key] for row in rows]) for key in ("confidence", "accuracy", "count"))
    # One standard error of a share, with one success and one failure added so that it is never zero.
    share = (accuracy * count + 1) / (count + 2)
    error = np.sqrt(share * (1 - share) / (count + 2))
    axes.plot([0, 1], [0, 1], color=FAINT, lw=1)
    axes.errorbar(confidence, accuracy, yerr=error, fmt="o", ms=5, lw=1, color=FINITE)
    axes.set(xlabel="predicted probability of the class", xlim=(0, 1.03), ylim=(0, 1.03))


def _candidates(axes: Axes, document: dict[str, Any]) -> None:
    rows = document["candidates"][:10][::-1]
    places = np.arange(len(rows))
    axes.plot([row["score"] for row in rows], places, "o", ms=6, color=INK)
    axes.set_yticks(places, [row["name"] for row in rows], fontsize=8)
    axes.locator_params(axis="x", nbins=4)
    axes.set(title="Best candidates", xlabel=SCORES[document["criterion"]])
