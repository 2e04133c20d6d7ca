"""The report as a page of text, at most 80 columns wide."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ._report import Report

COLUMNS, LABEL, MOST_LAYERS = 80, 40, 12


def report_text(report: Report) -> str:
    """Return the report as text."""
    sections = [
        _heading(report),
        _listed("What would change it", report.verdict.change),
        _listed("How far to trust it", report.verdict.cautions),
        _training(report),
        _moved(report),
        _layers(report),
        _features(report),
        _lazy(report),
        _widths(report),
        _setting(report),
    ]
    return "\n\n".join(text for text in sections if text)


def number(value: float | None, form: str = ".3g") -> str:
    """Return a number as text, or a dash."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞"
    return format(value, form)


def _heading(report: Report) -> str:
    title = f"Regime: {report.regime.value.upper()}"
    return f"{title}\n{'=' * len(title)}\n{_wrapped(report.verdict.sentence)}"


def _listed(title: str, lines: tuple[str, ...]) -> str:
    return "\n".join([title, *(_wrapped(line, "  - ", "    ") for line in lines)]) if lines else ""


def _training(report: Report) -> str:
    training, along = report.training, report.along
    before, after = report.step_ratio
    rate = "" if training.learning_rate is None else f" of {training.learning_rate:.4g}"
    rows = [
        ("steps", f"{training.steps}{rate} under {training.loss}"),
        ("loss", f"{number(training.losses[0])} -> {_end(training.losses[-1])} ({_percent(training.remaining)})"),
        ("highest loss / initial loss", number(training.spike)),
        ("sharpness λ of the loss", _pair(along.sharpness)),
    ]
    if before is not None:
        rows.append(("step × λ (stable < 2, catapult < ~4)", f"{number(before)} -> {number(after)}"))
    return _table("Training", rows)


def _moved(report: Report) -> str:
    along = report.along
    gap = along.gap if not np.isnan(along.gap).all() else None
    rows = [
        ("parameters |θ_T − θ_0| / |θ_0|", number(_last(along.movement))),
        ("kernel |Θ_T − Θ_0| / |Θ_0|", _last_and_most(along.drift)),
        ("its rotation, 1 − cos(Θ_T, Θ_0)", _last_and_most(along.rotation)),
        ("kernel velocity per step, first, last", _pair(along.velocity[1:])),
        ("  predicted by dΘ/dt at the start", number(report.predicted_velocity)),
        ("kernel–target alignment", _pair(along.alignment)),
        ("  centred", _pair(along.centred_alignment)),
    ]
    if gap is not None:
        shown = _last_and_most(gap) if float(np.nanmax(gap)) < 1e3 else "it diverges at this step"
        rows.append(("gap to linearisation / learnt", shown))
    if (tangent := _last(along.tangent_gap)) is not None:
        rows.append(("  at the same parameters" if gap is not None else "gap at the same parameters", number(tangent)))
    if report.explained is not None:
        rows.append(("learnt function explained by Θ_0", f"R² = {report.explained:.4f}"))
    title = "What moved" if report.training.finite else "What moved, up to the last snapshot that is finite"
    return _table(title, rows)


def _layers(report: Report) -> str:
    lines = [f"{'Layers':<{LABEL}}  moved   share of Θ_0   share of Θ_T"]
    shown = report.layers[:MOST_LAYERS]
    lines += [
        f"  {_short(a.name):<{LABEL - 2}}{number(a.movement):>7}{a.share:>15.1%}{a.share_after:>15.1%}" for a in shown
    ]
    if len(report.layers) > MOST_LAYERS:
        rest = report.layers[MOST_LAYERS:]
        name = f"{len(rest)} more"
        lines.append(
            f"  {name:<{LABEL - 2}}{'':>7}{sum(a.share for a in rest):>15.1%}{sum(a.share_after for a in rest):>15.1%}"
        )
    return "\n".join(lines)


def _features(report: Report) -> str:
    if not report.features:
        return ""
    lines = [f"{'Representations':<{LABEL}} change    CKA    angle   overlap"]
    for a in report.features[:MOST_LAYERS]:
        angle = "–" if a.angle is None else f"{a.angle:.1f}°"
        cells = f"{number(a.change):>7}{number(a.cka, '.4f'):>9}{angle:>8}{number(a.overlap, '.3f'):>10}"
        lines.append(f"  {_short(a.name):<{LABEL - 2}}{cells}")
    return "\n".join(lines)


def _lazy(report: Report) -> str:
    lazy = report.laziness
    if lazy is None:
        return ""
    rows = [
        ("κ = |f_0 − y| |D²f| / |Df|²", f"at least {number(lazy.kappa)} (lazy: much below 1)"),
        ("  along the gradient", number(lazy.kappa_gradient)),
        ("  of α(f − f_0), with step η/α²", f"{number(lazy.at_scale(1.0, centred=True))} / α"),
    ]
    return _table("Laziness (Chizat et al. 2019)", rows)


def _widths(report: Report) -> str:
    sweep = report.sweep
    if sweep is None:
        return ""
    lines = [f"{'Widths':<12}  drift      gap   features       κ   loss left   (means over seeds)"]
    for row in sweep.rows:
        cells = [_mean(row.drift), _mean(row.gap), _mean(row.feature_change), _mean(row.kappa), _mean(row.remaining)]
        lines.append(f"  {row.width:<10}" + "".join(f"{c:>{w}}" for c, w in zip(cells, (7, 9, 11, 8, 12), strict=True)))
    names = {"drift": "kernel drift", "gap": "gap to linearisation", "feature_change": "last features", "kappa": "κ"}
    lines.append(f"{'Slopes against width':<24}measured         theory")
    for trend in sweep.trends:
        slope = trend.slope
        measured = f"{number(slope.exponent, '.2f')} ± {number(slope.standard_error, '.2f')}"
        theory = "–" if trend.low is None else _interval(trend.low, trend.high)
        lines.append(
            f"  {names[trend.quantity]:<22}{measured:<17}{theory:<14}{'poor fit' if slope.poor else ''}".rstrip()
        )
    if sweep.theory:
        lines.append(_wrapped(f"Theory: {sweep.theory}.", "  ", "  "))
    return "\n".join(lines)


def _setting(report: Report) -> str:
    s = report.setting
    part = "" if s["kernel_examples"] == s["examples"] else f", kernels on {s['kernel_examples']} of them"
    outputs = "output" if s["outputs"] == 1 else "outputs"
    examples = "training example" if s["examples"] == 1 else "training examples"
    text = (
        f"{s['examples']} {examples}{part}, {s['outputs']} {outputs}, {s['parameters']:,} parameters in "
        f"{s['dtype']}. "
        f"Functions compared on {s['compared_on']}; linearised model: {s['linearisation']}."
    )
    return _wrapped(text)


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    return "\n".join([title, *(f"  {name:<{LABEL - 2}}{value}" for name, value in rows)])


def _wrapped(text: str, first: str = "", rest: str = "") -> str:
    return textwrap.fill(text, COLUMNS, initial_indent=first, subsequent_indent=rest, break_long_words=False)


def _pair(values: np.ndarray) -> str:
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return "–"
    return f"{number(float(known[0]))} -> {number(float(known[-1]))}"


def _last(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known[-1]) if len(known) else None


def _last_and_most(values: np.ndarray) -> str:
    # The verdict looks at the largest value on the way.
    last, most = number(_last(values)), number(float(np.nanmax(values)))
    return last if last == most else f"{last}, at most {most}"


def _mean(values: np.ndarray) -> str:
    known = values[np.isfinite(values)]
    return number(float(known.mean())) if len(known) else "–"


def _interval(low: float | None, high: float | None) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _end(loss: float) -> str:
    return number(loss) if math.isfinite(loss) else "not finite"


def _percent(share: float) -> str:
    return f"{share:.2%} left" if math.isfinite(share) and share < 10 else "grew"


def _short(name: str) -> str:
    return name if len(name) <= LABEL - 4 else f"…{name[-(LABEL - 5) :]}"
