"""The figure of a report; matplotlib is imported only when one is drawn."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from .._style import FAINT, FINITE, INFINITE, INK, LINEAR, SOFT, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ._report import Report

MOST_BARS = 10


def regime_figure(report: Report) -> Figure:
    """Draw a report: loss, kernel, function and layers over training, and slopes over widths where measured.

    Parameters
    ----------
    report
        What `diagnose` found.

    Returns
    -------
    Figure
        Six panels: loss and step size; motion of kernel and parameters; its velocity; gap to the linearisation;
        alignment with the targets; and layers, or, where widths were given, the slopes.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12.5, 7.6), layout="constrained")
        axes = figure.subplots(2, 3)
        _loss(axes[0, 0], report)
        _motion(axes[0, 1], report)
        _gap(axes[0, 2], report)
        _velocity(axes[1, 0], report)
        _alignment(axes[1, 1], report)
        (_layers if report.sweep is None else _widths)(axes[1, 2], report)
        figure.suptitle(_title(report), x=0.01, ha="left", fontsize=10.5, color=INK)
        figure.get_layout_engine().set(wspace=0.06, hspace=0.06, w_pad=0.08, h_pad=0.08)  # type: ignore[union-attr]
    return figure


def _title(report: Report) -> str:
    return "\n".join(textwrap.wrap(report.verdict.sentence, 150))


def _steps(axes: Axes, steps: np.ndarray) -> np.ndarray:
    # Step 0 has no place on a log scale: it is drawn at the left edge.
    axes.set(xscale="log", xlabel="step (0 at the left edge)")
    axes.set_xlim(0.42, 1.15 * float(steps[-1]))
    return np.where(steps > 0, steps, 0.5).astype(float)


def _loss(axes: Axes, report: Report) -> None:
    training, along = report.training, report.along
    place = _steps(axes, training.loss_steps)
    shown = np.where(np.isfinite(training.losses) & (training.losses > 0), training.losses, np.nan)
    axes.plot(place, shown, color=FINITE, marker="o" if len(place) < 20 else None, ms=3.5)
    axes.set(yscale="log", title="Loss, and step × sharpness", ylabel=f"loss ({training.loss})")
    axes.yaxis.label.set_color(FINITE)
    if training.learning_rate is None:
        axes.set_title("Loss")
        return
    other = axes.twinx()
    ratio = training.learning_rate * along.sharpness
    other.plot(_steps(axes, along.steps), ratio, "o-", color=INFINITE, ms=3.5, lw=1.4)
    known = ratio[np.isfinite(ratio)]
    top = min(max(2.6, 1.25 * float(known.max())), 12.0) if len(known) else 4.0
    # The loss starts in the upper left corner and the ratio below 2 unless the step is large: room is on that side.
    edge, side = (0.98, "right") if len(known) and known[0] > 1.6 else (0.02, "left")
    for level, text in ((2, "2: linearisation unstable"), (4, "4: wide networks diverge")):
        if level < top:
            other.axhline(level, color=SOFT, lw=0.9, ls="--")
            other.annotate(
                text, (edge, level), xycoords=("axes fraction", "data"), xytext=(0, 3), textcoords="offset points",
                fontsize=8, color=SOFT, ha=side,
            )  # fmt: skip
    other.set_ylim(0, top)
    other.set_ylabel(r"$\eta\,\lambda$", color=INFINITE)
    other.spines["right"].set_visible(True)
    other.spines["right"].set_color(FAINT)


def _motion(axes: Axes, report: Report) -> None:
    along = report.along
    place = _steps(axes, along.steps)
    curves = [
        (along.drift, FINITE, "-", r"kernel $\|\Theta_t-\Theta_0\|/\|\Theta_0\|$"),
        (along.rotation, INFINITE, "-", r"its rotation $1-\cos(\Theta_t,\Theta_0)$"),
        (along.movement, SOFT, "-", r"parameters $\|\theta_t-\theta_0\|/\|\theta_0\|$"),
    ]
    _positive_curves(axes, place, curves)
    axes.set(title="Motion away from the start", ylabel="relative change")
    for name, text, side in (("kernel_drift", "kernel below", -2), ("feature_drift", "features above", 2)):
        level = report.setting.get("rules", {}).get(name)
        low, high = axes.get_ylim()
        if level is not None and low < level < high:
            axes.axhline(level, color=FINITE, lw=0.8, ls="--", alpha=0.6)
            axes.annotate(
                text, (0.02, level), xycoords=("axes fraction", "data"), xytext=(0, side), textcoords="offset points",
                fontsize=8, color=FINITE, alpha=0.8, va="bottom" if side > 0 else "top",
            )  # fmt: skip


def _velocity(axes: Axes, report: Report) -> None:
    along = report.along
    place = _steps(axes, along.steps)
    if report.predicted_velocity:
        label = r"predicted by $d\Theta/dt$ at the start"
        axes.plot([1.0], [report.predicted_velocity], "*", color=INFINITE, ms=10, label=label)
    _positive_curves(axes, place, [(along.velocity, FINITE, "-", "measured")])
    axes.set(title="Kernel velocity", ylabel=r"$\|\Theta_t-\Theta_s\|/\|\Theta_0\|$ per step")


def _gap(axes: Axes, report: Report) -> None:
    along = report.along
    place = _steps(axes, along.steps)
    gap = np.where(along.gap < 1e3, along.gap, np.nan)
    diverges = np.nanmax(along.gap, initial=0) >= 1e3
    final = along.function_change[np.isfinite(along.function_change)][-1]
    learnt = along.function_change / final if final > 0 else along.function_change
    curves = [
        (learnt, FAINT, "-", r"learnt, $\|f_t-f_0\|$"),
        (gap, LINEAR, "-", "to the linearised model,\ntrained in the same way" + (" (diverges)" if diverges else "")),
        (along.tangent_gap, SOFT, ":", "to the linearised model,\nat the same parameters"),
    ]
    _positive_curves(axes, place, curves)
    axes.set(title="Gap to the linearisation", ylabel=r"relative to $\|f_T-f_0\|$")


def _alignment(axes: Axes, report: Report) -> None:
    along = report.along
    place = _steps(axes, along.steps)
    for values, colour, style, label in (
        (along.alignment, INFINITE, "-", "as it is"),
        (along.centred_alignment, INFINITE, ":", "centred"),
    ):
        axes.plot(place, values, style, color=colour, marker="o", ms=3.5, label=label)
    axes.set(title="Kernel–target alignment", ylabel=r"$\cos(K_t,\ yy^\top)$")
    low, high = axes.get_ylim()
    axes.set_ylim(max(0.0, low - 0.02) if low > 0 else low, high + 0.35 * max(high - low, 0.02))
    axes.legend(frameon=False, fontsize=8.5, loc="upper left", ncols=2)


def _layers(axes: Axes, report: Report) -> None:
    layers = report.layers[:MOST_BARS]
    place = np.arange(len(layers))[::-1]
    axes.barh(place + 0.19, [a.share for a in layers], 0.36, color=FAINT, label=r"of $\Theta_0$")
    axes.barh(place - 0.19, [a.share_after for a in layers], 0.36, color=FINITE, label=r"of $\Theta_T$")
    axes.set_yticks(place, [a.name if len(a.name) < 22 else f"…{a.name[-20:]}" for a in layers])
    axes.set(title="Share of each layer in the kernel", xlabel="share of the trace", ylabel="layer")
    axes.margins(x=0.12)
    axes.set_ylim(-0.6 - 0.16 * len(layers), len(layers) - 0.4)  # room for the legend below the bars
    axes.legend(frameon=False, fontsize=8.5, loc="lower right", ncols=2)


def _widths(axes: Axes, report: Report) -> None:
    assert report.sweep is not None
    rows = report.sweep.rows
    widths = np.array([row.width for row in rows], float)
    looks: dict[str, tuple[str, str]] = {
        "drift": (FINITE, "kernel drift"),
        "gap": (LINEAR, "gap"),
        "feature_change": (INFINITE, "last features"),
        "kappa": (SOFT, "κ"),
    }
    for trend in report.sweep.trends:
        colour, label = looks[trend.quantity]
        values = np.array([getattr(row, trend.quantity) for row in rows])
        values = np.where(np.isfinite(values) & (values > 0), values, np.nan)
        known = np.isfinite(values).all(1)
        if not known.any():
            continue
        for seed in values.T:
            axes.plot(widths, seed, "o", ms=3, color=colour, alpha=0.35, mew=0)
        typical = np.exp(np.mean(np.log(values[known]), 1))
        text = label
        if np.isfinite(trend.slope.exponent):
            text += f", slope {trend.slope.exponent:.2f} ± {trend.slope.standard_error:.2f}"
        axes.plot(widths[known], typical, "o-", color=colour, ms=4.5, lw=1.4, label=text.replace("-", "−"))
    axes.set(xscale="log", yscale="log", title="Against width", xlabel="width", ylabel="relative change")
    axes.set_xticks(widths, [f"{int(w)}" for w in widths])
    axes.set_xticks([], minor=True)
    if axes.get_legend_handles_labels()[1]:
        _legend_below(axes, len(axes.get_legend_handles_labels()[1]))


def _positive_curves(axes: Axes, place: np.ndarray, curves: list[tuple[Any, str, str, str]]) -> None:
    drawn = False
    for values, colour, style, label in curves:
        shown = np.where(np.isfinite(values) & (values > 1e-12), values, np.nan)
        if np.isfinite(shown).any():
            axes.plot(place, shown, style, color=colour, marker="o", ms=3.5, label=label or None)
            drawn = True
    if not drawn:
        axes.annotate("exactly zero", (0.5, 0.5), xycoords="axes fraction", ha="center", color=SOFT)
        return
    axes.set_yscale("log")
    labels = sum(bool(label) + label.count("\n") for *_, label in curves)
    if labels:
        _legend_below(axes, max(labels, len(axes.get_legend_handles_labels()[1])))


def _legend_below(axes: Axes, lines: int) -> None:
    # On a log scale, with room below the curves.
    low, high = axes.get_ylim()
    axes.set_ylim(low * (high / low) ** (-0.16 * lines) / 2, high * 1.6)
    axes.legend(frameon=False, fontsize=8.5, loc="lower right")
