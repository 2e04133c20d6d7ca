"""Models of tables: fitted, kept, read again, used on new tables; what is damaged or does not fit is refused."""

import csv
import json
import pathlib

import numpy as np
import pytest
from typer.testing import CliRunner

from widelimit import gp, recipes
from widelimit.cli import app

RNG = np.random.default_rng(0)
N = 80
X = RNG.standard_normal((N, 2))
COLOURS = np.array(["red", "green", "blue"])[RNG.integers(0, 3, N)]
PRICE = 10 + 5 * np.sin(X[:, 0]) + 2 * (COLOURS == "red") + 0.3 * RNG.standard_normal(N)
KIND = np.where(X[:, 0] + 0.3 * RNG.standard_normal(N) > 0.5, "high", np.where(X[:, 1] > 0, "mid", "low"))
CONFIG = recipes.FitConfig(depths=(1,))


def table(path, header, *columns):
    rows = "\n".join(",".join(str(cell) for cell in row) for row in zip(*columns, strict=True))
    pathlib.Path(path).write_text(f"{header}\n{rows}\n")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with tables, and with a model of numbers and one of classes."""
    folder = tmp_path_factory.mktemp("fit")
    inputs = (*np.round(X, 6).T, 100 + 0 * X[:, 0], COLOURS)
    table(folder / "price.csv", "a,b,constant,colour,price", *inputs, np.round(PRICE, 6))
    table(folder / "kind.csv", "a,b,constant,colour,kind", *inputs, KIND)
    table(
        folder / "new.csv", "colour,b,a,constant,note", COLOURS[:9], *np.round(X[:9, ::-1], 6).T, np.ones(9), KIND[:9]
    )
    np.savez(folder / "arrays.npz", x=X.reshape(N, 1, 2), y=np.stack([PRICE, X[:, 1] ** 2], 1))
    np.savez(folder / "new.npz", x=X[:5].reshape(5, 1, 2))
    for name, target in (("price", "price"), ("kind", "kind")):
        recipes.write_fit(recipes.fit(str(folder / f"{name}.csv"), target, CONFIG), folder / name)
    return folder


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def read(path):
    with pathlib.Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_commands_make_a_model_and_predict_with_it(tmp_path, home):
    done = run("fit", home / "price.csv", "--target", "price", "--out", tmp_path / "model", "--depths", "1")
    assert done.exit_code == 0, done.output
    assert "of the variance explained" in " ".join(done.output.split())
    assert done.output.count("NTK") >= 4
    done = run("predict", tmp_path / "model", home / "new.csv", "--out", tmp_path / "new.csv")
    assert done.exit_code == 0, done.output
    assert "not used: note" in done.output
    rows = read(tmp_path / "new.csv")
    assert list(rows[0]) == ["mean", "std", "low", "high"]
    mean = np.array([float(row["mean"]) for row in rows])
    np.testing.assert_allclose(mean, PRICE[:9], atol=1.5)
    assert all(float(row["low"]) < float(row["mean"]) < float(row["high"]) for row in rows)
    report = json.loads((tmp_path / "model" / "report.json").read_text())
    assert report["schema"] == "widelimit/fit/1"
    assert report["data"]["features"] == ["a", "b", "colour=blue", "colour=green", "colour=red"]
    assert "constant: constant" in " ".join(report["data"]["notes"])
    assert report["verdict"] in (tmp_path / "model" / "report.html").read_text().replace("&#x27;", "'")
    assert (tmp_path / "model" / "fit.png").stat().st_size > 10_000


def test_classes_have_probabilities(tmp_path, home):
    done = run("predict", home / "kind", home / "new.csv", "--out", tmp_path / "new.csv")
    assert done.exit_code == 0, done.output
    rows = read(tmp_path / "new.csv")
    assert list(rows[0]) == ["class", "p(high)", "p(low)", "p(mid)"]
    for row in rows:
        shares = {name: float(row[f"p({name})"]) for name in ("high", "low", "mid")}
        assert sum(shares.values()) == pytest.approx(1)
        assert row["class"] == max(shares, key=shares.__getitem__)
    assert np.mean([row["class"] == kind for row, kind in zip(rows, KIND[:9], strict=True)]) > 0.6


def test_the_report_says_what_the_test_said(home):
    found = recipes.fit(str(home / "price.csv"), "price", CONFIG)
    test = found.document["test"]
    assert test["rmse"] < 0.7 * test["rmse_of_mean"]
    assert test["nll"] < test["nll_of_normal"]
    assert test["explained"] == pytest.approx(1 - (test["rmse"] / test["rmse_of_mean"]) ** 2)
    assert test["interval_coverage"] > 0.8
    assert found.document["data"]["train_examples"] == 64
    assert len(found.model.predictor.fitted.x) == N
    classes = recipes.fit(str(home / "kind.csv"), "kind", CONFIG).document["test"]
    assert classes["accuracy"] > classes["accuracy_of_majority"]
    assert classes["nll"] < classes["nll_of_frequencies"]
    assert sum(row["count"] for row in classes["reliability"]) == 16


def test_the_best_candidate_is_the_one_of_choose(home):
    found = recipes.fit(str(home / "price.csv"), "price", CONFIG)
    scores = [row["score"] for row in found.document["candidates"]]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == len(gp.candidates(depths=(1,)))
    assert found.document["verdict"].startswith(found.document["candidates"][0]["name"])
    assert found.model.predictor.fitted.ridge == found.document["candidates"][0]["ridge"]
    assert found.model.predictor.fitted.kernel == found.choice.best.kernel


@pytest.mark.parametrize("name", ["price", "kind"])
def test_a_model_that_is_read_again_predicts_the_same_bytes(home, name):
    model = recipes.fit(str(home / f"{name}.csv"), name, CONFIG).model
    recipes.write_model(model, home / f"{name}_again")
    again = recipes.read_model(home / f"{name}_again")
    one, two = (recipes.predict(m, str(home / "new.csv")).columns for m in (model, again))
    assert list(one) == list(two)
    for key in one:
        assert one[key].tobytes() == two[key].tobytes()
    assert sorted(path.name for path in (home / f"{name}_again").iterdir()) == ["arrays.npz", "model.json"]


@pytest.mark.slow
def test_relevance_finds_the_features_that_say_something(home, tmp_path):
    config = recipes.FitConfig(depths=(1,), relevance=True)
    found = recipes.fit(str(home / "price.csv"), "price", config)
    scales = found.document["relevance"]
    assert scales["a"] > 3 * scales["b"]
    assert scales["colour=red"] > scales["b"]
    plainly = recipes.fit(str(home / "price.csv"), "price", CONFIG).document["test"]
    assert found.document["test"]["nll"] < plainly["nll"]
    recipes.write_fit(found, tmp_path / "model")
    again = recipes.predict(recipes.read_model(tmp_path / "model"), str(home / "new.csv")).columns
    expected = recipes.predict(found.model, str(home / "new.csv")).columns
    assert again["std"].tobytes() == expected["std"].tobytes()
    assert "Relevance of the features" in (tmp_path / "model" / "report.html").read_text()


def smooth(n, seed):
    """Return rows of two features with two numbers and a class that follow from them."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2))
    noise = rng.standard_normal((n, 2))
    numbers = np.stack([np.sin(2 * x[:, 0]) + 0.2 * noise[:, 0], 30 + 4 * x[:, 1] + noise[:, 1]], 1)
    return x, numbers, np.array(["below", "above"])[(numbers[:, 0] > 0).astype(int)]


@pytest.mark.parametrize("kind", ["numbers", "classes"])
def test_with_all_rows_as_landmarks_the_model_is_the_exact_one(tmp_path, kind):
    x, numbers, classes = smooth(60, 0)
    np.savez(tmp_path / "data.npz", x=x, y=numbers if kind == "numbers" else classes)
    np.savez(tmp_path / "new.npz", x=smooth(9, 1)[0])
    found = recipes.fit(str(tmp_path / "data.npz"), None, recipes.FitConfig(depths=(1,), landmarks=60))
    kernel, arrays, numbers_of = found.model.predictor.kept()
    columns = found.model.columns
    inputs, again = columns.standardised(x), columns.standardised(np.load(tmp_path / "new.npz")["x"])
    predicted = recipes.predict(found.model, str(tmp_path / "new.npz")).columns
    if kind == "numbers":
        exact = gp.kernel_regression(kernel, inputs, numbers, ridge=numbers_of["ridge"])
        mean, std = exact.marginals(again)
        left_out, deviation = exact.left_out
        for i in range(2):
            np.testing.assert_allclose(predicted[f"mean_{i}"], mean[:, i], rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(predicted[f"std_{i}"], std[:, i], rtol=1e-5)
        np.testing.assert_allclose(arrays["left_out"], (numbers - left_out) / deviation, atol=1e-5)
        score = np.sort(np.abs(numbers - left_out) / deviation, 0)[57]
        np.testing.assert_allclose(predicted["high_1"], mean[:, 1] + score[1] * std[:, 1], rtol=1e-5)
    else:
        codes = np.unique(classes, return_inverse=True)[1]
        trained = gp.OneVsAll(numbers_of["penalty"]).fit(np.asarray(kernel(inputs)), codes, 2, np.ones(60))
        np.testing.assert_allclose(arrays["held_out"], trained.held_out, atol=1e-6)
        logits = (
            gp.Temperature()
            .fit(trained.held_out, codes, np.ones(60))
            .logits(trained.decision(np.asarray(kernel(again, inputs))))
        )
        np.testing.assert_allclose(predicted["p(above)"], 1 / (1 + np.exp(logits[:, 1] - logits[:, 0])), atol=1e-5)
        assert set(predicted["class"]) <= {"above", "below"}


@pytest.mark.parametrize("kind", ["numbers", "classes"])
def test_many_rows_are_fitted_on_landmarks(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("widelimit.recipes._fit.MOST_ROWS", 1000)
    monkeypatch.setattr("widelimit.recipes._fit.LANDMARKS", 100)
    x, numbers, classes = smooth(1500, 0)
    np.savez(tmp_path / "data.npz", x=x, y=numbers[:, 0] if kind == "numbers" else classes)
    np.savez(tmp_path / "new.npz", x=smooth(40, 1)[0])
    done = run("fit", tmp_path / "data.npz", "--depths", "1", "--rows", "300", "--out", tmp_path / "model")
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "model" / "report.json").read_text())
    assert "values at 100 of the training rows" in " ".join(report["data"]["notes"])
    test = report["test"]
    model = recipes.read_model(tmp_path / "model")
    assert len(model.predictor.x) == 100
    if kind == "numbers":
        assert test["rmse"] < 0.22
        assert 0.92 < test["interval_coverage"] < 0.98
        assert "95% leave-one-out intervals cover" in (tmp_path / "model" / "report.html").read_text()
    else:
        assert test["accuracy"] > 0.85
        assert test["ece"] < 0.06
    found = recipes.fit(str(tmp_path / "data.npz"), None, recipes.FitConfig(depths=(1,), rows=300))
    one, two = (recipes.predict(m, str(tmp_path / "new.npz")).columns for m in (model, found.model))
    for key in one:
        assert one[key].tobytes() == two[key].tobytes()


def test_a_target_that_is_constant_on_the_training_rows_is_predicted_as_it_is(tmp_path):
    x, numbers, _ = smooth(60, 0)
    rare = np.zeros(60)
    np.savez(
        tmp_path / "data.npz",
        x=x,
        y=np.stack([numbers[:, 0], rare], 1),
        x_test=smooth(8, 1)[0],
        y_test=np.stack([smooth(8, 1)[1][:, 0], np.ones(8)], 1),
    )
    found = recipes.fit(str(tmp_path / "data.npz"), None, recipes.FitConfig(depths=(1,), landmarks=30))
    assert np.isfinite(found.document["test"]["rmse"])
    assert found.document["test"]["rmse"] < 1


def test_a_ridge_at_the_end_of_its_grid_is_told_on_landmarks_too(tmp_path):
    x = np.repeat(smooth(40, 0)[0], 2, 0)
    np.savez(tmp_path / "data.npz", x=x, y=np.tile([-1.0, 1.5], 40) + 0.01 * x[:, 0])
    found = recipes.fit(str(tmp_path / "data.npz"), None, recipes.FitConfig(depths=(1,), landmarks=20))
    assert "at the largest ridge" in found.document["verdict"]


def test_arrays_with_many_targets(home, tmp_path):
    done = run("fit", home / "arrays.npz", "--depths", "1", "--out", tmp_path / "model", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["data"]["task"] == "regression"
    done = run("predict", tmp_path / "model", home / "new.npz", "--out", tmp_path / "new.npz", "--level", "0.5")
    assert done.exit_code == 0, done.output
    with np.load(tmp_path / "new.npz") as found:
        assert sorted(found.files) == ["high_0", "high_1", "low_0", "low_1", "mean_0", "mean_1", "std_0", "std_1"]
        assert found["mean_1"].shape == (5,)


def change_json(folder, **fields):
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def flip_byte(folder):
    path = folder / "arrays.npz"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))


def swap_array(folder):
    with np.load(folder / "arrays.npz") as archive:
        arrays = dict(archive)
    np.savez(folder / "arrays.npz", **{**arrays, "dual": arrays["dual"] * 1.001})


def drop_array(folder):
    with np.load(folder / "arrays.npz") as archive:
        arrays = dict(archive)
    np.savez(folder / "arrays.npz", **{key: value for key, value in arrays.items() if key != "dual"})


def cut(name, share):
    def damage(folder):
        raw = (folder / name).read_bytes()
        (folder / name).write_bytes(raw[: int(len(raw) * share)])

    return damage


DAMAGES = {
    "no folder": (lambda folder: (folder / "model.json").unlink(), "holds no model"),
    "no arrays": (lambda folder: (folder / "arrays.npz").unlink(), "cannot be read"),
    "cut json": (cut("model.json", 0.5), "is damaged"),
    "empty json": (cut("model.json", 0), "is damaged"),
    "cut arrays": (cut("arrays.npz", 0.7), "is damaged"),
    "empty arrays": (cut("arrays.npz", 0), "damaged"),
    "flipped byte": (flip_byte, "damaged|SHA-256"),
    "another array": (swap_array, "'dual' is not the one that was written"),
    "missing array": (drop_array, "expected .*dual"),
    "other ridge": (lambda folder: change_json(folder, ridge=1.0), "has been changed"),
    "other classes": (lambda folder: change_json(folder, columns={}), "has been changed"),
    "newer": (lambda folder: change_json(folder, version=99), "format version 99.*update widelimit"),
    "older": (lambda folder: change_json(folder, version=0), "format version 0.*fit the model again"),
    "no model": (lambda folder: (folder / "model.json").write_text("[]"), "no model of widelimit"),
    "not utf-8": (lambda folder: (folder / "model.json").write_bytes(b"\xff{}"), "is damaged"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_model_that_is_not_whole_is_refused(home, tmp_path, case):
    damage, message = DAMAGES[case]
    for name in ("model.json", "arrays.npz"):
        (tmp_path / name).write_bytes((home / "price" / name).read_bytes())
    recipes.read_model(tmp_path)
    damage(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        recipes.read_model(tmp_path)
    assert "\n" not in str(caught.value)
    done = run("predict", tmp_path, home / "new.csv", "--out", tmp_path / "new.csv")
    assert done.exit_code == 2
    assert not (tmp_path / "new.csv").exists()


def write(text, encoding="utf-8"):
    return lambda folder: (folder / "data.csv").write_bytes(text.encode(encoding))


def lines(header, row, n=40):
    return header + "\n" + "\n".join(row.format(i=i, half=i % 2, v=(7 * i) % 11 / 3) for i in range(n)) + "\n"


GOOD = lines("a,b,y", "{i},{v},{half}.{i}")
BAD_TABLES = {
    "no file": (lambda folder: None, "no such file"),
    "empty": (write(""), "is empty"),
    "header alone": (write("a,b,y\n"), "no rows"),
    "no header": (write("1,2,3\n4,5,6\n"), "starts with numbers"),
    "few rows": (write("a,b,y\n1,2,3\n4,5,7\n"), "has 2 rows"),
    "nan": (write(GOOD + "nan,1,2\n"), "line 42, column 'a': the value is missing"),
    "inf": (write(GOOD + "inf,1,2\n"), "is not a finite number"),
    "a missing cell": (write(GOOD + "1,,2\n"), "column 'b': the value is missing"),
    "ragged": (write(GOOD + "1,2\n"), "line 42 has 2 cells"),
    "typing error": (write(GOOD + "x1,1,2\n"), "'x1' is not a finite number"),
    "free text": (write(lines("a,y", "word{i},{v}")), "looks like an identifier or free text"),
    "long cell": (write(GOOD + '"' + "z" * 10**6 + '",1,2\n'), "field larger than field limit|has 1000000 characters"),
    "not utf-8": (write(GOOD + "ä,1,2\n", "latin-1"), "is not UTF-8"),
    "binary": (lambda folder: (folder / "data.csv").write_bytes(b"a,y\n\0\0\n"), "NUL byte"),
    "no such target": (write(lines("a,b,z", "{i},{v},{half}.{i}")), "has no column 'y'"),
    "constant target": (write(lines("a,y", "{i},3")), "target is constant"),
    "one class": (write(lines("a,y", "{i},yes")), "one class only"),
    "constant inputs": (write(lines("a,b,y", "1,2,{v}")), "no feature that varies"),
    "target alone": (write(lines("y", "{v}")), "no column beside the target"),
    "huge numbers": (write(lines("a,y", "{i}e300,{v}")), "too large or too small"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_table_is_a_sentence(tmp_path, case):
    make, message = BAD_TABLES[case]
    make(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        recipes.fit(str(tmp_path / "data.csv"), "y", CONFIG)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    done = run("fit", tmp_path / "data.csv", "--target", "y", "--out", tmp_path / "model", "--depths", "1")
    assert done.exit_code == 2
    assert done.output.strip().startswith("widelimit: ")
    assert "\n" not in done.output.strip()
    assert not (tmp_path / "model").exists()


def test_training_rows_of_the_file_need_every_class(tmp_path):
    arrays = {"x": X, "y": np.array(["a", "b"] * (N // 2)), "x_test": X[:4], "y_test": np.array(["a", "c", "b", "c"])}
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(ValueError, match="no training row of class 'c'"):
        recipes.fit(str(tmp_path / "data.npz"), None, CONFIG)
    arrays["y_test"] = np.array(["a", "b", "b", "a"])
    np.savez(tmp_path / "data.npz", **arrays)
    found = recipes.fit(str(tmp_path / "data.npz"), None, CONFIG).document
    assert (found["data"]["train_examples"], found["data"]["test_examples"]) == (N, 4)


BAD_ARRAYS = {
    "nan": ({"x": np.where(X > 2, np.nan, X), "y": PRICE}, "is nan"),
    "no y": ({"x": X}, "expected arrays 'x' and 'y'"),
    "shapes": ({"x": X, "y": PRICE[:5]}, "expected"),
    "a vector": ({"x": X[:, 0], "y": PRICE}, r"make x\[:, None\]"),
    "objects": ({"x": X.astype(object), "y": PRICE}, "Object arrays"),
    "strings": ({"x": COLOURS[:, None], "y": PRICE}, "expected real numbers"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_arrays_are_a_sentence(tmp_path, case):
    arrays, message = BAD_ARRAYS[case]
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        recipes.fit(str(tmp_path / "data.npz"), None, CONFIG)


BAD_NEW = {
    "missing": (("colour,b", COLOURS[:3], X[:3, 1]), "has no column 'a', 'constant'"),
    "renamed": (("colour,b,A,constant", COLOURS[:3], *X[:3].T, X[:3, 0]), "no column 'a'. Its other columns are A"),
    "nearly": (("color,b,a,constant", COLOURS[:3], *X[:3].T, X[:3, 0]), "no column 'colour'. Did you mean 'color'"),
    "category": (
        ("colour,b,a,constant", ["red", "gren", "red"], *X[:3].T, X[:3, 0]),
        "holds 'gren', which the model has never seen; it knows blue, green, red. Did you mean 'green'",
    ),
    "text": (("colour,b,a,constant", COLOURS[:3], X[:3, 0], ["x", "y", "z"], X[:3, 0]), "column 'a' holds 'x'"),
}


@pytest.mark.parametrize("case", BAD_NEW)
def test_a_table_that_does_not_fit_the_model_is_refused(home, tmp_path, case):
    (header, *columns), message = BAD_NEW[case]
    table(tmp_path / "data.csv", header, *columns)
    with pytest.raises(ValueError) as caught:
        recipes.predict(recipes.read_model(home / "price"), str(tmp_path / "data.csv"))
    assert message in str(caught.value)


def test_other_things_that_do_not_fit(home, tmp_path):
    model = recipes.read_model(home / "price")
    for source, message in (
        (home / "none.csv", "no such file"),
        (home / "price", "which is no table"),
        (home / "new.npz", "fitted on a table"),
    ):
        with pytest.raises(ValueError, match=message):
            recipes.predict(model, str(source))
    with pytest.raises(ValueError, match="level is 2"):
        recipes.predict(model, str(home / "new.csv"), level=2)
    assert run("predict", home / "price", home / "new.csv", "--out", tmp_path / "x.txt").exit_code == 2
    wrong = {"criterion": "best", "test": 0.0, "depths": (), "seed": -1, "rows": 0, "landmarks": 0}
    for field, value in wrong.items():
        with pytest.raises(ValueError, match=f"{field} is"):
            recipes.FitConfig(**{field: value})
    assert run("fit", home / "price.csv", "--target", "price", "--out", home / "price.csv").exit_code == 2


def test_rows_far_beyond_those_of_training_are_told(home, tmp_path):
    low, high = X[:, 0].round(6).min(), X[:, 0].round(6).max()
    a = [0.0, high + 1.5 * (high - low), high + 0.5 * (high - low), low - 2 * (high - low)]
    table(tmp_path / "far.csv", "a,b,constant,colour", a, [0.1] * 4, [1.0] * 4, ["red"] * 4)
    done = run("predict", home / "price", tmp_path / "far.csv", "--out", tmp_path / "out.csv")
    assert done.exit_code == 0, done.output
    assert "2 of 4 rows hold values far beyond all that the model has seen" in done.output
    assert f"(row 4: a is {a[3]:.6g}, was {low:.6g} to {high:.6g})" in done.output
    assert recipes.predict(recipes.read_model(home / "price"), str(home / "new.csv")).notes[1:] == ()


def test_documented_behaviour_of_odd_tables(tmp_path):
    """One row to predict, more columns than rows, and duplicated rows are no error."""
    rng = np.random.default_rng(1)
    wide = rng.standard_normal((30, 50)).round(4)
    header = ",".join([*(f"x{i}" for i in range(50)), "y"])
    table(tmp_path / "wide.csv", header, *wide.T, wide[:, 0])
    model = recipes.fit(str(tmp_path / "wide.csv"), "y", CONFIG).model
    table(tmp_path / "one.csv", header.removesuffix(",y"), *wide[:1].T)
    assert recipes.predict(model, str(tmp_path / "one.csv")).columns["mean"].shape == (1,)
    x = np.tile(X[:20].round(4), (2, 1))
    table(tmp_path / "twice.csv", "a,b,y", *x.T, PRICE[:40].round(4))
    found = recipes.fit(str(tmp_path / "twice.csv"), "y", CONFIG)
    assert "conflicting_duplicates" in {finding["name"] for finding in found.document["findings"]}
