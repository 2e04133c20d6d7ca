"""What an experiment shows: panels of curves, matrices and surfaces with their numbers, and one sentence.

An exhibit holds plain numbers and texts only, so that it can be written as JSON, drawn by any face and walked by a
test.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal

Role = Literal["finite", "linear", "infinite", "target", "data", "theory", "neutral"]
"""What a curve stands for; every face gives each role one colour."""

Scale = Literal["linear", "log"]


@dataclasses.dataclass(frozen=True)
class Axis:
    """The label and scale of an axis; the label holds the unit, if there is one.

    Attributes
    ----------
    low, high
        Ends of the axis where pictures are compared with each other, as the steps of one picture are; None for ends
        that fit the values.
    """

    label: str
    scale: Scale = "linear"
    low: float | None = None
    high: float | None = None


@dataclasses.dataclass(frozen=True)
class Series:
    """One curve or set of points.

    Attributes
    ----------
    name
        What its column of the table is called.
    role
        What it stands for.
    x, y
        Equally long; a missing value is None, never NaN.
    low, high
        A band around it, or empty.
    mark
        Drawn as a line, a dashed line or points.
    thin
        One of many of its kind, drawn so that what lies beneath stays visible.
    label
        The direct label where it is not the name; empty for one of many, of which the first is labelled.
    label_at
        The place of the label along x, where curves that end together need theirs elsewhere; None for the end.
    """

    name: str
    role: Role
    x: list[float]
    y: Sequence[float | None]
    low: Sequence[float | None] = dataclasses.field(default_factory=list)
    high: Sequence[float | None] = dataclasses.field(default_factory=list)
    mark: Literal["line", "dashed", "points"] = "line"
    thin: bool = False
    label: str | None = None
    label_at: float | None = None


@dataclasses.dataclass(frozen=True)
class Curves:
    """A chart of curves over one horizontal axis. ``text`` says in words what it shows."""

    title: str
    text: str
    x: Axis
    y: Axis
    series: list[Series]
    kind: Literal["curves"] = "curves"


@dataclasses.dataclass(frozen=True)
class Matrix:
    """A named matrix, drawn as a picture."""

    name: str
    role: Role
    values: list[list[float]]


@dataclasses.dataclass(frozen=True)
class Matrices:
    """Matrices side by side on one colour scale; ``labels`` name rows and columns alike."""

    title: str
    text: str
    labels: list[str]
    matrices: list[Matrix]
    kind: Literal["matrices"] = "matrices"


@dataclasses.dataclass(frozen=True)
class Point:
    """A labelled point of a surface."""

    x: float
    y: float
    label: str


@dataclasses.dataclass(frozen=True)
class Surface:
    """Values over a grid of two inputs (``values[j][i]`` at ``y[j]``, ``x[i]``), with points on it."""

    title: str
    text: str
    x_axis: Axis
    y_axis: Axis
    value: str
    x: list[float]
    y: list[float]
    values: list[list[float]]
    points: list[Point]
    kind: Literal["surface"] = "surface"


Panel = Curves | Matrices | Surface


@dataclasses.dataclass(frozen=True)
class Number:
    """A number the exhibit states, with what it should be if theory or a publication says so.

    Attributes
    ----------
    key, name
        Short identifier, and words.
    value
        Measured.
    error
        Its standard error, if it is an estimate.
    expected, tolerance
        What it is compared with, and how far it may be from it.
    """

    key: str
    name: str
    value: float | None
    error: float | None = None
    expected: float | None = None
    tolerance: float | None = None


@dataclasses.dataclass(frozen=True)
class Exhibit:
    """The result of an experiment.

    Attributes
    ----------
    key, title
        Which experiment.
    sentence
        What came out, with its numbers.
    config
        What it was asked, as plain values; the same config gives the same exhibit.
    panels, numbers
        What it shows.
    notes
        Caps, approximations and limits, each one sentence.
    """

    key: str
    title: str
    sentence: str
    config: dict[str, float | int | str | bool | list[float] | list[int]]
    panels: Sequence[Panel]
    numbers: list[Number]
    notes: list[str] = dataclasses.field(default_factory=list)
