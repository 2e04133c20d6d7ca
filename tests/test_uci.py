"""The UCI benchmark: the published kernels, splits that are honoured, measures counted by hand, runs that go on."""

import json
import pathlib
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import _uci_average, _uci_data, _uci_methods, _uci_scores, uci  # noqa: E402
from benchmarks.__main__ import app  # noqa: E402

import widelimit as wl  # noqa: E402


def make(folder, names=("small", "other"), n=24):
    """Write sets of two classes in the form of the data, and return the folder."""
    rng = np.random.default_rng(0)
    for name in names:
        y = np.arange(n) % 2
        x = rng.standard_normal((n, 3)).astype(np.float32)
        x[:, 0] += 2 * y
        order = [rng.permutation(n) for _ in range(5)]
        keys = ["val_train", "val_valid", *(f"fold{i}_{part}" for i in range(4) for part in ("train", "test"))]
        rows = [part for p in order for part in (p[: n // 2], p[n // 2 :])]
        np.savez(folder / f"{name}.npz", X=x, y=y.astype(np.int16), n_classes=2, **dict(zip(keys, rows, strict=True)))
    sets = [{"name": name, "n": n, "classes": 2, "arora90": True} for name in names]
    sets.append({"name": "left-out", "n": n, "classes": 2, "arora90": False})
    (folder / "index.json").write_text(json.dumps({"sets": sets}))
    return folder


def published(x, layers, fixed):
    """The recursion of the published method in NumPy, layer by layer."""
    s = x @ x.T
    h = s if fixed == 0 else 0 * s
    for layer in range(1, layers):
        p = np.sqrt(np.outer(np.diag(s), np.diag(s)))
        theta = np.arccos(np.clip(s / p, -1, 1))
        s = p * (np.sin(theta) + (np.pi - theta) * np.cos(theta)) / (2 * np.pi)
        h = h * (np.pi - theta) / (2 * np.pi) + (s if layer >= fixed else 0)
    return h


def test_the_fifteen_kernels_are_the_published_ones():
    x = np.random.default_rng(0).standard_normal((9, 4))
    count = 0
    for layers in range(1, _uci_methods.LAYERS + 1):
        for fixed in range(layers):
            found = np.asarray(wl.NTK(_uci_methods.published_network(4, layers, fixed), engine=_uci_methods.ENGINE)(x))
            expected = published(x, layers, fixed)
            # The plain recursion takes the arc cosine of 1 - 1e-16 on the diagonal.
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
            count += 1
    assert count == 15


def test_measures_counted_by_hand():
    rows = _uci_scores.summary(
        {"a": np.array([0.9, 0.5, 0.6]), "b": np.array([0.81, 0.5, 0.8]), "c": np.array([0.9, 0.47, 0.5])}
    )
    a, b, c = rows
    assert [row["variant"] for row in rows] == ["a", "b", "c"]
    assert a["mean"] == pytest.approx(100 * 2.0 / 3)
    assert a["std"] == pytest.approx(100 * np.sqrt((0.9**2 + 0.5**2 + 0.6**2) / 3 - (2 / 3) ** 2))
    # Ranks: (1.5, 3, 1.5), (1.5, 1.5, 3), (2, 1, 3).
    assert [row["rank"] for row in rows] == pytest.approx([5 / 3, 5.5 / 3, 7.5 / 3])
    # Shares of the best: a 1, 1, 0.75; b 0.9, 1, 1; c 1, 0.94, 0.625.
    assert [row["p90"] for row in rows] == pytest.approx([200 / 3, 100, 200 / 3])
    assert [row["p95"] for row in rows] == pytest.approx([200 / 3, 200 / 3, 100 / 3])
    assert [row["pma"] for row in rows] == pytest.approx([275 / 3, 290 / 3, 256.5 / 3])
    assert _uci_scores.summary({"a": np.zeros(1), "b": np.zeros(1)})[0]["pma"] == 100
    assert b["sets"] == c["sets"] == 3


def test_accuracies_of_other_sets_or_no_shares_are_refused():
    with pytest.raises(ValueError, match=r"\[1, 2\] accuracies; expected the same sets"):
        _uci_scores.summary({"a": np.zeros(1), "b": np.zeros(2)})
    with pytest.raises(ValueError, match="an accuracy is no share"):
        _uci_scores.summary({"a": np.array([99.0])})
    with pytest.raises(ValueError, match="an accuracy is no share"):
        _uci_scores.summary({"a": np.array([np.nan])})


def test_the_validation_split_chooses_the_first_of_the_best_and_folds_judge(tmp_path):
    problem = _uci_data.load(make(tmp_path), "small")
    asked = []

    def candidates(problem):
        """Candidates that are right on the first rows of whatever they judge; the second and third tie."""
        for label, right in (("worst", 2), ("best", 9), ("as good", 9)):

            def classify(fit, judge, label=label, right=right):
                asked.append((label, tuple(fit), tuple(judge)))
                return np.where(np.arange(len(judge)) < right, problem.y[judge], 1 - problem.y[judge])

            yield _uci_methods.Candidate(label, classify)

    record = uci.judged(problem, _uci_methods.Method("spy", "spy", candidates))
    splits = [problem.validation] * 3 + list(problem.folds)
    assert [split[1:] for split in asked] == [tuple(map(tuple, split)) for split in splits]
    assert [split[0] for split in asked] == ["worst", "best", "as good", *["best"] * 4]
    assert record["chosen"] == "best"
    assert record["validation"] == record["accuracy"] == 9 / 12
    assert record["folds"] == [9 / 12] * 4


@pytest.mark.parametrize("most", [1500, 20], ids=["all rows", "some rows"])
def test_our_choice_never_sees_the_labels_it_is_judged_by(tmp_path, monkeypatch, most):
    monkeypatch.setattr(_uci_average, "MOST", most)
    monkeypatch.setattr(_uci_average, "DEPTHS", (1,))
    problem = _uci_data.load(make(tmp_path, n=60), "small")
    fit, judge = problem.folds[0]
    (candidate,) = _uci_average.averages(problem)
    found = candidate.classify(fit, judge)
    assert np.mean(found == problem.y[judge]) > 0.6
    problem.y[judge] = 1 - problem.y[judge]
    (candidate,) = _uci_average.averages(problem)
    np.testing.assert_array_equal(candidate.classify(fit, judge), found)


def test_kernels_kept_and_made_anew_give_the_same_average(tmp_path, monkeypatch):
    monkeypatch.setattr(_uci_average, "DEPTHS", (2,))
    problem = _uci_data.load(make(tmp_path), "small")
    (candidate,) = _uci_average.averages(problem)
    kept = [candidate.classify(*split) for split in problem.folds]
    monkeypatch.setattr(_uci_average, "KEPT", 0)
    (candidate,) = _uci_average.averages(problem)
    for split, labels in zip(problem.folds, kept, strict=True):
        np.testing.assert_array_equal(candidate.classify(*split), labels)


def test_a_row_on_both_sides_of_a_split_is_refused(tmp_path):
    make(tmp_path, ["small"])
    with np.load(tmp_path / "small.npz") as file:
        held = dict(file)
    held["fold2_test"] = held["fold2_train"][:3]
    np.savez(tmp_path / "small.npz", **held)
    with pytest.raises(ValueError, match="small: a row is fitted and judged in one split"):
        _uci_data.load(tmp_path, "small")


def test_a_run_that_was_interrupted_goes_on_where_it_was(tmp_path, monkeypatch):
    made = []

    def candidates(problem):
        made.append(problem.name)
        yield _uci_methods.Candidate("ones", lambda fit, judge: np.ones(len(judge), int))

    method = _uci_methods.Method("ones", "all ones", candidates)
    monkeypatch.setattr(uci, "METHODS", {"ones": method})
    out = tmp_path / "out"
    todo = uci.plan(make(tmp_path), out, None, None)
    first = list(uci.run(todo))
    (out / "ones" / "other.json").unlink()
    (out / "ones" / "other.123.part").write_text('{"torn')
    again = list(uci.run(todo))
    assert made == ["other", "small", "other"]
    assert [r["case"] for r in again] == ["other", "small", "uci"]
    problems = [_uci_data.load(tmp_path, name) for name in todo.sets]
    expected = 100 * np.mean([np.mean(p.y[judge] == 1) for p in problems for _, judge in p.folds])
    assert first[-1]["mean"] == again[-1]["mean"] == pytest.approx(expected)
    assert first[1] == again[1]
    changed = _uci_methods.Method("ones", "all ones, in another way", candidates)
    monkeypatch.setattr(uci, "METHODS", {"ones": changed})
    list(uci.run(todo))
    assert made[3:] == ["other", "small"]


def test_the_command_line_prints_a_table_or_lines_and_refuses_what_it_does_not_know(tmp_path):
    make(tmp_path)
    common = ["uci", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--jobs", "1"]
    result = CliRunner().invoke(app, [*common, "--sets", "small", "--methods", "average"])
    assert result.exit_code == 0, result.output
    assert "Friedman rank" in result.output
    result = CliRunner().invoke(app, [*common, "--sets", "small", "--methods", "average", "--json"])
    lines = [json.loads(line) for line in result.output.splitlines()]
    assert [line["kind"] for line in lines] == ["set", "variant"]
    assert lines[0]["n"] == 24
    for wrong, words in (
        (["--sets", "left-out"], "sets has 'left-out'; expected some of other, small"),
        (["--methods", "magic"], "methods has 'magic'; expected some of ntk-svm, rbf-svm, forest, boosting, average"),
        (["--data", str(tmp_path / "nowhere")], "has no index.json; give the folder"),
    ):
        result = CliRunner().invoke(app, [*common, *wrong])
        assert result.exit_code == 2
        assert words in result.output
