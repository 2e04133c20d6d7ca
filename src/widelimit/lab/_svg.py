"""Curves as a static picture, so that a figure reads without scripts.

The picture is SVG with a title and a description; colours come from the classes of the page (``role-finite`` and so
on), so that it follows the colour scheme, and every curve carries its name at its end.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

import markupsafe

from ..recipes._exhibit import Axis, Curves, Series

WIDTH, HEIGHT = 420, 300
LEFT, RIGHT, TOP, BOTTOM = 46, 92, 32, 40
LETTER, LINE = 8.4, 17
"""Width of a letter of a name, generously, and the distance of two names."""
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class _Frame:
    # From values to places in the picture.
    def __init__(self, panel: Curves) -> None:
        xs = [v for s in panel.series for v in s.x]
        ys = [v for s in panel.series for v in (*s.y, *s.low, *s.high) if v is not None]
        self.x = _ends(panel.x, xs)
        self.y = _ends(panel.y, ys)
        self.panel = panel

    def place(self, x: float, y: float) -> tuple[float, float]:
        across = _share(x, self.x, self.panel.x) * (WIDTH - LEFT - RIGHT) + LEFT
        up = HEIGHT - BOTTOM - _share(y, self.y, self.panel.y) * (HEIGHT - TOP - BOTTOM)
        return across, up


def curves(panel: Curves, key: str) -> markupsafe.Markup:
    """Return a panel of curves as SVG; ``key`` makes the ids of its title and description unique."""
    frame, parts = _Frame(panel), []
    parts += _grid(frame)
    for series in panel.series:
        parts += _series(series, frame)
    parts += _labels(panel.series, frame)
    body = "\n".join(parts)
    longest = max((len(series.name) for series in panel.series if series.mark != "points"), default=0)
    width = max(WIDTH, round(WIDTH - RIGHT + 12 + LETTER * longest))
    return markupsafe.Markup(
        f'<svg class="static-chart" viewBox="0 0 {width} {HEIGHT}" width="{width}" role="img" '
        f'aria-labelledby="{key}-title {key}-text">'
        f'<title id="{key}-title">{html.escape(panel.title)}</title>'
        f'<desc id="{key}-text">{html.escape(panel.text)}</desc>\n{body}\n</svg>'
    )


def _ends(axis: Axis, values: list[float]) -> tuple[float, float]:
    low = min(values) if axis.low is None else axis.low
    high = max(values) if axis.high is None else axis.high
    if low == high:
        low, high = low - 1, high + 1
    if axis.scale == "log" and low <= 0:
        raise ValueError(f"the logarithmic axis {axis.label!r} begins at {low}; expected a positive number.")
    return low, high


def _share(value: float, ends: tuple[float, float], axis: Axis) -> float:
    if axis.scale == "log":
        low, high = math.log(ends[0]), math.log(ends[1])
        return (math.log(max(value, 1e-300)) - low) / (high - low)
    return (value - ends[0]) / (ends[1] - ends[0])


def ticks(ends: tuple[float, float], scale: str) -> list[float]:
    """Return three to six round numbers between the ends of an axis."""
    low, high = ends
    if scale == "log":
        powers = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
        return [10.0**p for p in powers] if len(powers) > 1 else [low, high]
    raw = (high - low) / 4
    unit = 10 ** math.floor(math.log10(raw))
    step = next(f * unit for f in (1, 2, 2.5, 5, 10) if f * unit >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _grid(frame: _Frame) -> list[str]:
    panel, parts = frame.panel, []
    for value in ticks(frame.y, panel.y.scale):
        _, up = frame.place(frame.x[0], value)
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up:.1f}" y2="{up:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{up + 3.5:.1f}" text-anchor="end">{_number(value)}</text>')
    for value in ticks(frame.x, panel.x.scale):
        across, _ = frame.place(value, frame.y[0])
        parts.append(
            f'<text class="tick" x="{across:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">'
            f"{_number(value)}</text>"
        )
    parts.append(f'<text class="label" x="0" y="14">{html.escape(panel.y.label)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="label" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{html.escape(panel.x.label)}</text>'
    )
    return parts


def _series(series: Series, frame: _Frame) -> list[str]:
    style, parts = f"role-{series.role}", []
    if series.low and series.high:
        up = [point for run in _runs(series.x, series.high, frame) for point in run]
        down = [point for run in _runs(series.x, series.low, frame) for point in run]
        parts.append(f'<polygon class="band {style}" points="{_points(up + down[::-1])}"/>')
    runs = _runs(series.x, series.y, frame)
    if series.mark == "points":
        circles = (f'<circle class="point {style}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for run in runs for x, y in run)
        return [*parts, *circles]
    dash = " dashed" if series.mark == "dashed" else ""
    return parts + [f'<polyline class="curve {style}{dash}" points="{_points(run)}"/>' for run in runs]


def _runs(xs: Sequence[float], ys: Sequence[float | None], frame: _Frame) -> list[list[tuple[float, float]]]:
    # A missing value ends a run, so that no line is drawn across it.
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(xs, ys, strict=True):
        if y is None:
            runs.append([])
        else:
            runs[-1].append(frame.place(x, y))
    return [run for run in runs if run]


def _labels(series: list[Series], frame: _Frame) -> list[str]:
    # Names at the right ends, from the lowest up; one that would touch another moves above it.
    named, placed = [], []
    for one in series:
        known = [(x, y) for x, y in zip(one.x, one.y, strict=True) if y is not None]
        if known and one.mark != "points":
            across, up = frame.place(*max(known))
            named.append((min(across, WIDTH - RIGHT) + 6, up + 5, one))
    for left, bottom, one in sorted(named, key=lambda entry: -entry[1]):
        bottom = min(bottom, HEIGHT - BOTTOM)
        right = left + LETTER * len(one.name)
        near = [(b, r) for (a, b, r, _) in placed if a < right and r > left]
        for other, _ in sorted(near, reverse=True):
            if abs(other - bottom) < LINE:
                bottom = other - LINE
        placed.append((left, bottom, right, one))
    return [
        f'<text class="name role-{one.role}" x="{left:.1f}" y="{bottom:.1f}">{html.escape(one.name)}</text>'
        for left, bottom, _, one in placed
    ]


def _points(points: list[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _number(value: float) -> str:
    if 1e3 <= abs(value) < 1e6:
        return f"{value:.6g}".replace("-", "−")
    if 0 < value < 1e-3 and math.log10(value).is_integer():
        return "10" + f"{math.log10(value):.0f}".translate(SUPERSCRIPT)
    return f"{value:.3g}".replace("-", "−")


def table(panel: Curves) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of a panel's data: all its curves over the values of the horizontal axis."""
    columns: dict[str, dict[float, float | None]] = {}
    for series in panel.series:
        name = series.name if series.name not in columns else f"{series.name} ({series.mark})"
        columns[name] = dict(zip(series.x, series.y, strict=True))
    places = sorted({x for column in columns.values() for x in column})
    rows = [[_number(x), *(_cell(column.get(x)) for column in columns.values())] for x in places]
    return [panel.x.label, *columns], rows


def _cell(value: float | None) -> str:
    return "" if value is None else _number(value)
