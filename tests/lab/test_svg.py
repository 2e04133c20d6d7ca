"""Static pictures: names do not touch, axes are named, and the table holds what is drawn."""

import itertools
import re
from xml.etree import ElementTree

import pytest

from widelimit.lab import _recorded
from widelimit.lab._svg import HEIGHT, LETTER, LINE, curves, table
from widelimit.recipes._exhibit import Axis, Curves, Series

PANELS = [
    pytest.param(panel, id=f"{name}-{i}")
    for name in _recorded.names()
    for i, panel in enumerate(_recorded.load(name).steps[-1])
    if panel.kind == "curves"
]


def drawn(panel):
    return ElementTree.fromstring(str(curves(panel, "k")))


@pytest.mark.parametrize("panel", PANELS)
def test_names_of_curves_neither_touch_nor_leave_the_picture(panel):
    picture = drawn(panel)
    _, _, width, _ = map(float, picture.get("viewBox").split())
    boxes = []
    for one in picture.iter("text"):
        if one.get("class").startswith("name"):
            left, bottom = float(one.get("x")), float(one.get("y"))
            boxes.append((left, bottom, left + LETTER * len(one.text)))
    assert len(boxes) == sum(series.mark != "points" for series in panel.series)
    for left, bottom, right in boxes:
        assert left >= 0
        assert right <= width + 1
        assert LINE - 6 <= bottom <= HEIGHT
    for (a, b, c), (d, e, f) in itertools.combinations(boxes, 2):
        assert abs(b - e) >= LINE - 0.2 or c <= d or f <= a


@pytest.mark.parametrize("panel", PANELS)
def test_both_axes_are_named_and_texts_are_there(panel):
    picture = drawn(panel)
    labels = [one.text for one in picture.iter("text") if one.get("class") == "label"]
    assert labels == [panel.y.label, panel.x.label]
    assert picture.find("title").text == panel.title
    assert picture.find("desc").text == panel.text


def test_words_are_escaped():
    panel = Curves("<t>", "a & b", Axis("x < 1"), Axis("y"), [Series("<line>", "finite", [0, 1], [0, 1])])
    assert drawn(panel).find("title").text == "<t>"
    assert "<line>" not in str(curves(panel, "k"))


def test_the_table_has_every_value_once_and_gaps_where_a_curve_has_none():
    one, two = Series("a", "finite", [0, 1], [0.5, None]), Series("b", "data", [1, 2], [3, 4], mark="points")
    head, rows = table(Curves("T", "D.", Axis("x"), Axis("y"), [one, two]))
    assert head == ["x", "a", "b"]
    assert rows == [["0", "0.5", ""], ["1", "", "3"], ["2", "", "4"]]


def test_two_curves_of_one_name_keep_a_column_each():
    pair = [Series("a", "finite", [0], [1]), Series("a", "finite", [0], [2], mark="points")]
    head, rows = table(Curves("T", "D.", Axis("x"), Axis("y"), pair))
    assert head == ["x", "a", "a (points)"]
    assert rows == [["0", "1", "2"]]


def test_no_line_is_drawn_across_a_missing_value():
    panel = Curves("T", "D.", Axis("x"), Axis("y"), [Series("a", "finite", [0, 1, 2, 3, 4], [0, 1, None, 1, 0])])
    lines = [points.split() for points in re.findall(r'points="([^"]+)"', str(curves(panel, "k")))]
    assert [len(line) for line in lines] == [2, 2]
