"""Figures; matplotlib is imported only when one is drawn."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ._fit_figure import fit_figure as fit_figure
from ._style import FAINT, FINITE, INFINITE, INK, LINEAR, SOFT, STYLE
from .regime import regime_figure as regime_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def race_figure(document: dict[str, Any]) -> Figure:
    """Draw a race: what the networks learnt against the limit, and how gap and drift fall with width.

    Parameters
    ----------
    document
        A race report as plain objects, as ``RaceReport.to_dict()`` gives it or ``report.json`` holds it.

    Returns
    -------
    Figure
        Three panels: the functions with the limit's band (or, beyond one input, the training losses), gaps against
        width, and movement against width.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13, 4.6), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.35, 1, 1))
        if document["data"]["features"] == 1 and document["data"]["outputs"] == 1:
            _functions(left, document)
        else:
            _losses(left, document)
        rows = document["rows"]
        _against_width(
            middle,
            rows,
            {
                "gap_linearisation": (LINEAR, "to its linearisation"),
                "gap_limit": (INFINITE, "to the infinite network,\nsame start"),
            },
            document["trends"],
        )
        middle.set(title="Gap of the trained network", ylabel="root mean square over test inputs")
        _against_width(
            right,
            rows,
            {
                "kernel_drift": (FINITE, r"kernel $\|\Theta_T-\Theta_0\|/\|\Theta_0\|$"),
                "parameter_movement": (SOFT, r"parameters $\|\theta_T-\theta_0\|/\|\theta_0\|$"),
            },
            document["trends"],
        )
        right.set(title="What moved in training", ylabel="relative change")
        figure.get_layout_engine().set(wspace=0.06, w_pad=0.08, h_pad=0.08)  # type: ignore[union-attr]
    return figure


def save(figure: Figure, path: pathlib.Path) -> None:
    """Write a figure to a file whose ending names the format."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figure.savefig(path)


def _functions(axes: Axes, document: dict[str, Any]) -> None:
    data, limit = document["data"], document["limit"]
    x = np.ravel(data["x_test"])
    order = np.argsort(x)
    mean, std = np.ravel(limit["mean"])[order], np.ravel(limit["std"])[order]
    x = x[order]
    axes.fill_between(x, mean - 2 * std, mean + 2 * std, color=INFINITE, alpha=0.16, lw=0)
    rows = document["rows"]
    for row, alpha, style in ((rows[0], 0.5, ":"), (rows[-1], 0.9, "-")):
        for i, outputs in enumerate(row["outputs"]):
            label = f"networks of width {row['width']}" if i == 0 else None
            axes.plot(x, np.ravel(outputs)[order], style, color=FINITE, lw=1.1, alpha=alpha, label=label)
    axes.plot(x, mean, color=INFINITE, lw=2.2, label="infinite width: mean and ±2σ")
    axes.plot(
        np.ravel(data["x_train"]), np.ravel(data["y_train"]), "o", ms=5, color=INK, label="training data", zorder=5
    )
    axes.set(title=f"Functions after {limit['steps']} steps", xlabel="input", ylabel="output")
    axes.legend(frameon=False, fontsize=8.5, loc="upper left", handlelength=1.6)
    axes.margins(y=0.22)


def _losses(axes: Axes, document: dict[str, Any]) -> None:
    limit, rows = document["limit"], document["rows"]
    steps = np.asarray(limit["recorded_steps"], float)
    place = np.where(steps > 0, steps, 0.5)
    for i, row in enumerate(rows):
        losses = np.asarray(row["train_loss"], float)
        share = (i + 1) / len(rows)
        axes.plot(place, losses.mean(1), color=FINITE, alpha=0.25 + 0.75 * share, lw=0.9 + share)
        axes.annotate(
            f"width {row['width']}" if i in (0, len(rows) - 1) else "",
            (place[-1], losses.mean(1)[-1]),
            xytext=(4, 0),
            textcoords="offset points",
            fontsize=8.5,
            color=FINITE,
            va="center",
        )
    axes.plot(place, limit["train_loss"], "--", color=INFINITE, lw=2.2)
    middle = len(place) // 2
    axes.annotate(
        "infinite width, expected",
        (place[middle], limit["train_loss"][middle]),
        xytext=(-8, -14),
        textcoords="offset points",
        fontsize=8.5,
        color=INFINITE,
        ha="right",
    )
    axes.set(xscale="log", yscale="log", title="Training loss", xlabel="step (start at the left edge)")
    axes.set_ylabel(r"$\frac{1}{2}\sum(f-y)^2$")
    axes.margins(x=0.16)


def _against_width(axes: Axes, rows: list, curves: dict[str, tuple[str, str]], trends: list) -> None:
    widths = np.array([row["width"] for row in rows], float)
    for name, (colour, label) in curves.items():
        values = np.array([[np.nan if v is None else v for v in row[name]] for row in rows], float)
        if not np.isfinite(values).any():
            continue
        known = np.isfinite(values).any(1)
        for seed in values.T:
            axes.plot(widths, seed, "o", ms=3, color=colour, alpha=0.35, mew=0)
        typical = np.exp(np.nanmean(np.log(values[known]), 1))
        axes.plot(widths[known], typical, "o-", color=colour, ms=5)
        slope = next(t["slope"] for t in trends if t["quantity"] == name)
        text = label
        if slope["exponent"] is not None:
            text += f"\nslope {slope['exponent']:.2f} ± {slope['standard_error']:.2f}"
            text += " (poor fit)" if slope["poor"] else ""
        axes.annotate(
            text,
            (widths[known][-1], typical[-1]),
            xytext=(7, 0),
            textcoords="offset points",
            color=colour,
            fontsize=8.5,
            va="center",
        )
    _guides(axes, widths)
    axes.set(xscale="log", yscale="log", xlabel="width of the hidden layers")
    axes.set_xticks(widths, [f"{int(w)}" for w in widths])
    axes.set_xticks([], minor=True)
    axes.set_xlim(widths[0] * 0.8, widths[-1] * (widths[-1] / widths[0]) ** 0.62)


def _guides(axes: Axes, widths: np.ndarray) -> None:
    # The theory's slopes, from a common point above the narrowest width, named at their upper end.
    highest = max(float(np.nanmax(line.get_ydata())) for line in axes.get_lines())
    for exponent, text, height in ((-0.5, r"$n^{-1/2}$", 3.0), (-1.0, r"$n^{-1}$", 1.7)):
        y = height * highest * (widths / widths[0]) ** exponent
        axes.plot(widths, y, ":", color=FAINT, lw=1.2, zorder=0)
        axes.annotate(text, (widths[0], y[0]), xytext=(-3, 4), textcoords="offset points", color=SOFT, fontsize=8.5)
