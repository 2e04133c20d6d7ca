"""Loading data: what good files become, and a table of bad ones."""

import pathlib
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from widelimit.recipes import load
from widelimit.recipes._data import Task

ROWS = "\n".join(f"{i},{i % 3},{'red' if i % 2 else 'blue'},{i * 0.5}" for i in range(20))
GOOD = f"size,kind,colour,price\n{ROWS}\n"


@pytest.fixture
def csv(tmp_path):
    """Write text or bytes as a CSV file and return its path."""

    def write(content):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


@pytest.mark.parametrize("name", ["sine", "digits", "digits:onehot", "diabetes"])
def test_built_in_sets(name):
    data = load(name)
    assert data.x_train.shape[0] == (16 if name == "sine" else 128)
    assert data.x_train.dtype == data.y_train.dtype == np.float64
    assert data.y_train.shape[1] == (10 if name == "digits:onehot" else 1)
    assert np.isfinite(data.x_test).all()
    again, other = load(name), load(name, seed=1)
    np.testing.assert_array_equal(again.x_train, data.x_train)
    assert not np.array_equal(other.x_train, data.x_train)


def test_sine_is_the_documented_toy():
    data = load("sine", n_train=50, n_test=9)
    assert np.abs(data.x_train).max() < 1.5
    np.testing.assert_allclose(data.x_test[:, 0], np.arange(-2, 2.25, 0.5))
    np.testing.assert_array_equal(data.y_train, np.sin(2 * data.x_train))


def test_digits_and_their_targets():
    two, ten = load("digits"), load("digits:onehot")
    assert np.mean(two.x_train**2) == pytest.approx(1)
    np.testing.assert_allclose(two.x_train.mean(0), 0, atol=1e-12)
    assert (two.classes, ten.classes) == (("odd", "even"), tuple("0123456789"))
    np.testing.assert_array_equal(np.unique(ten.y_train), [-0.1, 0.9])
    np.testing.assert_array_equal(two.y_train[:, 0] > 0, ten.y_train.argmax(1) % 2 == 0)
    assert "Of 1797 rows, 128 train and 128 test." in two.notes


@pytest.mark.parametrize(
    ("rows", "n_train", "n_test", "split"),
    [(8, None, None, (6, 2)), (14, None, None, (11, 3)), (200, None, None, (128, 72)), (400, None, None, (128, 128)),
     (20, 10, 5, (10, 5)), (20, 19, 1, (19, 1)), (20, 30, 3, (16, 3))],
)  # fmt: skip
def test_sizes_of_the_split(csv, rows, n_train, n_test, split):
    text = "a,price\n" + "\n".join(f"{i},{i * i}" for i in range(rows))
    data = load(csv(text), target="price", n_train=n_train, n_test=n_test)
    assert (len(data.x_train), len(data.x_test)) == split
    assert f"Of {rows} rows, {split[0]} train and {split[1]} test." in data.notes
    assert not set(data.x_train[:, 0]) & set(data.x_test[:, 0])


def test_training_columns_are_standardised_without_the_test_rows(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 3)) * [1, 10, 100] + 5, rng.standard_normal(40)
    np.savez(tmp_path / "a.npz", x=x, y=y)
    data = load(str(tmp_path / "a.npz"), n_train=20, n_test=10)
    np.testing.assert_allclose(data.x_train.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(data.x_train.std(0), 1, rtol=1e-12)
    test_rows = np.random.default_rng(0).permutation(40)[20:30]
    x[test_rows] *= 7
    np.savez(tmp_path / "b.npz", x=x, y=y)
    changed = load(str(tmp_path / "b.npz"), n_train=20, n_test=10)
    np.testing.assert_array_equal(changed.x_train, data.x_train)
    assert not np.array_equal(changed.x_test, data.x_test)


def test_csv_with_numbers_and_categories(csv):
    data = load(csv(GOOD), target="price")
    assert data.task is Task.REGRESSION
    assert data.feature_names == ("size", "kind", "colour=blue", "colour=red")
    assert len(data.x_train) + len(data.x_test) == 20
    assert any("categorical" in note for note in data.notes)
    # price is size / 2: the standardised columns agree.
    np.testing.assert_allclose(data.y_train[:, 0], data.x_train[:, 0], rtol=1e-9)


FLOATS = st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda v: v == 0 or abs(v) > 1e-6)


@given(st.lists(FLOATS, min_size=8, max_size=30, unique=True), st.integers(0, 9))
def test_numbers_in_a_csv_come_back(tmp_path_factory, numbers, seed):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text("a,y\n" + "\n".join(f" {v!r} ,{v:.17e}" for v in numbers))
    data = load(str(path), target="y", seed=seed)
    x = np.array(numbers)[np.random.default_rng(seed).permutation(len(numbers))]
    n = len(data.x_train)
    np.testing.assert_array_equal(data.x_train[:, 0], (x[:n] - x[:n].mean()) / x[:n].std())
    np.testing.assert_array_equal(data.x_test, data.y_test)
    assert data.y_train.std() == pytest.approx(1)


@pytest.mark.parametrize(
    "text",
    [
        '"size","kind","colour","price"\n' + ROWS,
        "size , kind, colour, price\n" + ROWS.replace(",", " , "),
        "\n \n" + GOOD.replace("\n", "\n\n").replace(",", ";"),
        GOOD.replace("\n", "\r"),
        GOOD.replace("red", '"red"').replace(",blue", ', "blue"'),
        GOOD.replace(",", ";").replace("colour", '"colour"'),
    ],
    ids=["quoted header", "spaces", "blank lines", "old Mac", "quoted cells", "quoted name"],
)
def test_csv_variants_are_the_same_table(csv, text):
    data, plain = load(csv(text), target="price"), load(csv(GOOD), target="price")
    np.testing.assert_array_equal(data.x_train, plain.x_train)
    assert data.feature_names == plain.feature_names


def test_delimiters_within_quotes_do_not_count(csv):
    text = '"a,b,c";price\n' + "\n".join(f'"{i}";{i}' for i in range(20))
    assert load(csv(text), target="price").feature_names == ("a,b,c",)


def test_a_constant_column_is_left_out_and_said(csv):
    data = load(
        csv(GOOD.replace("kind", "kind,same").replace("red", "3,red").replace("blue", "3,blue")), target="price"
    )
    assert "same" not in data.feature_names
    assert "Left out, since constant over the training rows: same." in data.notes


def test_reading_leaves_the_limit_of_the_csv_module_alone(csv):
    import csv as module

    before = module.field_size_limit()
    load(csv(GOOD), target="price")
    assert module.field_size_limit() == before


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_dialects(csv, delimiter, mark, newline):
    text = mark + GOOD.replace(",", delimiter).replace("\n", newline)
    data, plain = load(csv(text), target="price"), load(csv(GOOD), target="price")
    np.testing.assert_array_equal(data.x_train, plain.x_train)
    assert data.feature_names == plain.feature_names


def test_classes(csv):
    two = load(csv(GOOD), target="colour")
    assert two.task is Task.CLASSIFICATION
    assert set(np.unique(two.y_train)) == {-1.0, 1.0}
    three = load(csv(GOOD.replace(",0,", ",zero,").replace(",1,", ",one,").replace(",2,", ",two,")), target="kind")
    assert three.y_train.shape[1] == 3
    assert three.classes == ("one", "two", "zero")
    np.testing.assert_allclose(three.y_train.sum(1), 0, atol=1e-12)


def test_two_numbers_are_two_classes_in_the_order_of_the_numbers(csv):
    data = load(csv("a,price\n" + "\n".join(f"{i},{9 + i % 2}" for i in range(20))), target="price")
    assert data.classes == ("9", "10")
    odd = np.random.default_rng(0).permutation(20)[: len(data.y_train)] % 2
    np.testing.assert_array_equal(data.y_train[:, 0], 2 * odd - 1)
    assert "Classes: 9 is −1, 10 is +1." in data.notes


def test_errors_of_predictions():
    digits, onehot, sine = load("digits"), load("digits:onehot"), load("sine")
    assert digits.error(digits.y_test) == onehot.error(onehot.y_test) == sine.error(sine.y_test) == 0
    assert digits.error(-digits.y_test) == 1
    assert sine.error(sine.y_test + 2) == pytest.approx(2)
    assert np.isnan(sine.error(sine.y_test * np.nan))


def _with(line, text):
    lines = GOOD.splitlines()
    lines[line - 1] = text
    return "\n".join(lines)


BAD = {
    "missing value": (_with(4, "2,,red,1.0"), r"line 4, column 'kind': the value is missing"),
    "missing as NA": (_with(4, "2,NA,red,1.0"), r"line 4, column 'kind'.*'NA'"),
    "infinite": (_with(5, "2,inf,red,1.0"), r"line 5, column 'kind'.*not a finite number"),
    "typo": (_with(6, "2,1o,red,1.0"), r"line 6, column 'kind': '1o' is not a finite number"),
    "ragged": (_with(7, "2,1,red"), r"line 7 has 3 cells; expected 4"),
    "no header": (ROWS.replace("red", "1").replace("blue", "0"), "starts with numbers"),
    "empty": ("", "is empty"),
    "header only": ("a,b,price\n", "no rows"),
    "twice": (GOOD.replace("kind", "size"), "'size' is empty or appears twice"),
    "unnamed": (GOOD.replace("kind", ""), "is empty or appears twice"),
    "wrong target": (GOOD.replace("price", "prize"), r"no column 'price'.*Did you mean 'prize'"),
    "few rows": ("a,price\n1,2\n3,4\n", "2 rows; expected at least 8"),
    "identifier": ("id,price\n" + "\n".join(f"a{i},{i}" for i in range(20)), "looks like an identifier"),
    "constant": ("a,price\n" + "\n".join(f"1,{i}" for i in range(20)), "no feature that varies"),
    "constant target": ("a,price\n" + "\n".join(f"{i},5" for i in range(20)), "target is constant"),
    "only target": ("price\n" + "\n".join(map(str, range(20))), "no column beside the target"),
    "minus infinite category": (_with(5, "3,0,-Inf,1.0"), r"line 5, column 'colour': '-Inf' is not a finite number"),
    "overflowing": (_with(5, "3,1e999,red,1.0"), r"line 5, column 'kind': '1e999' is not a finite number"),
    "underscore": (_with(5, "3,1_0,red,1.0"), r"line 5, column 'kind': '1_0'"),
    "other digits": (_with(5, "3,\u0663,red,1.0"), r"line 5, column 'kind'"),
    "hexadecimal": (_with(5, "3,0x1,red,1.0"), r"line 5, column 'kind': '0x1'"),
    "first of two missing": (_with(9, "?,1,red,1.0").replace("2,2,blue,1.0", "2,2,blue,"), "line 4, column 'price'"),
    "after a cell of two lines": (_with(4, '2,2,"b\nlue",1.0').replace("5,2,red", "5,2,"), "line 8, column 'colour'"),
    "open quote": (_with(4, '2,2,"blue,1.0'), "line 4: unexpected end of data.*quote that is not closed"),
    "decimal comma": (GOOD.replace(",", ";").replace(".5", ",5").replace(".0", ",0"), "column 'price'.*with a comma"),
    "long cell": (_with(4, f"2,1,{'x' * 110_000},1"), "line 4, column 'colour': the cell has 110000 characters"),
    "huge cell": (_with(4, f"2,1,{'x' * 1_100_000},1"), "line 4: field larger than field limit"),
    "tiny numbers": ("a,price\n" + "\n".join(f"{i}e-200,{i}" for i in range(20)), "feature 'a': values too large or"),
    "inexact numbers": ("a,price\n" + "\n".join(f"{i}e-161,{i}" for i in range(20)), "feature 'a': values too large"),
    "tiny targets": ("a,price\n" + "\n".join(f"{i},{i}e-161" for i in range(20)), "target is too large or too small"),
    "huge numbers": ("a,price\n" + "\n".join(f"{i}e200,{i}" for i in range(20)), "feature 'a': values too large or"),
    "huge targets": ("a,price\n" + "\n".join(f"{i},{i}e200" for i in range(20)), "target is too large or too small"),
    "constant decimal target": ("a,price\n" + "\n".join(f"{i},0.1" for i in range(21)), "target is constant"),
    "names as target": ("a,price\n" + "\n".join(f"{i},n{i}" for i in range(20)), "column 'price'.*identifier"),
    "half as many": ("a,price\n" + "\n".join(f"u{i % 10},{i}" for i in range(20)), "column 'a'.*10 different values"),
    "one class": ("a,price\n" + "\n".join(f"{i},dear" for i in range(20)), "one value 'dear'; expected at least two"),
    "many columns": (",".join(f"c{i}" for i in range(90)) + "\n" + ",".join("1" * 90), r"c19, ... \(90 in all\)"),
    "UTF-16": (GOOD.encode("utf-16"), "NUL byte at offset 3.*UTF-8"),
    "latin-1": (GOOD.replace("red", "röd").encode("latin-1"), "not UTF-8 text: byte 0xf6 at offset"),
    "binary": (b"a,b\0c", "NUL byte at offset 3"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_csv_is_refused(case, csv):
    content, words = BAD[case]
    with pytest.raises(ValueError, match=words):
        load(csv(content), target="price")


def test_the_training_rows_need_both_classes(csv):
    last = np.random.default_rng(0).permutation(20)[-1]
    text = "a,price\n" + "\n".join(f"{i},{'dear' if i == last else 'cheap'}" for i in range(20))
    with pytest.raises(ValueError, match=r"one value 'cheap'.*another seed"):
        load(csv(text), target="price", n_train=2, n_test=2)


def test_a_target_has_to_be_named(csv):
    with pytest.raises(ValueError, match="give target, one of size, kind, colour, price"):
        load(csv(GOOD))


X, Y = np.random.default_rng(0).standard_normal((20, 2, 3)), np.arange(20) % 4


def test_npz_with_images_and_classes(tmp_path):
    np.savez(tmp_path / "a.npz", X=X, label=Y)
    data = load(str(tmp_path / "a.npz"), target="label")
    assert data.x_train.shape[1] == 6
    assert data.y_train.shape[1] == 4
    assert any("flattened" in note for note in data.notes)


def test_npz_with_test_arrays_of_its_own(tmp_path):
    x, y = X[:, 0], X[:, 1, 0]
    np.savez(tmp_path / "a.npz", x=x, y=y, x_test=x[:5] + 100, y_test=y[:5])
    data = load(str(tmp_path / "a.npz"))
    assert (len(data.x_train), len(data.x_test)) == (20, 5)
    np.testing.assert_allclose(data.x_train.mean(0), 0, atol=1e-12)
    assert data.x_test.min() > 50
    np.testing.assert_allclose(np.sort(data.y_test[:, 0]), np.sort((y[:5] - y.mean()) / y.std()))
    assert "Of 20 training rows 20 are used, of 5 test rows 5." in data.notes


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (Y, ("0", "1", "2", "3")),
        (Y[:, None], ("0", "1", "2", "3")),
        (Y > 1, ("False", "True")),
        (np.where(Y > 1, 1.0, -1.0), ("-1", "1")),
        (np.array(["b", "a"])[Y % 2], ("a", "b")),
        (np.array([b"b", b"\xff"])[Y % 2], ("\\xff", "b")),
        (Y.astype(float), ()),
        (np.arange(20) * 7, ("0", *(str(7 * i) for i in range(1, 20)))),
        (np.stack([Y, Y + 0.5], 1), ()),
    ],
)
def test_npz_targets(tmp_path, y, classes):
    np.savez(tmp_path / "a.npz", x=X, y=y, unrelated=np.array([{}], object))
    data = load(str(tmp_path / "a.npz"))
    assert data.classes == classes
    assert (data.task is Task.CLASSIFICATION) == bool(classes)
    assert all(type(name) is str for name in (*data.classes, *data.feature_names))


def test_whole_numbers_of_many_values_are_a_regression(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(42).reshape(21, 2), y=np.arange(21))
    assert load(str(tmp_path / "a.npz")).task is Task.REGRESSION


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": X}, "holds x; expected arrays 'x' and 'y'"),
        ({"x": X, "y": Y[:5]}, r"expected \(n, ...\) and \(n,\)"),
        ({"x": np.where(X > 2, np.nan, X) * np.array(np.nan), "y": Y}, r"x\[0, 0, 0\] is nan"),
        ({"x": X, "y": np.full(20, np.inf)}, r"y\[0\] is inf"),
        ({"x": X.astype(object), "y": Y}, "Object arrays cannot be loaded"),
        ({"x": X, "y": np.zeros(20, int)}, "expected at least two classes"),
        ({"x": X, "y": np.eye(4, dtype=int)[Y]}, r"class labels have shape \(20, 4\).*argmax"),
        ({"x": X, "y": Y + 1j}, "y has dtype complex128"),
        ({"x": X[:, 0, 0], "y": Y}, r"make x\[:, None\]"),
        ({"x": X[:0], "y": Y[:0]}, "none empty"),
        ({"x": X[:6], "y": Y[:6]}, "6 rows; expected at least 8"),
        ({"x": X, "y": Y, "x_test": X}, "holds 'x_test' alone"),
        ({"x": X, "y": Y, "x_test": X[:, :1], "y_test": Y}, r"test examples have shapes \(1, 3\)"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y.astype(str)}, "expected the same"),
        ({"x": X * 1e-10, "y": Y, "x_test": X * 1e300, "y_test": Y}, "feature 'x0': values too large or too small"),
        ({"x": X, "y": Y, "x_test": X * np.inf, "y_test": Y}, r"x_test\[0, 0, 0\]"),
    ],
)
def test_bad_npz_is_refused(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=words):
        load(str(tmp_path / "a.npz"))


def test_the_target_of_an_npz_is_not_its_inputs(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    with pytest.raises(ValueError, match="target is 'x', the inputs"):
        load(str(tmp_path / "a.npz"), target="x")


def _load_or_message(path):
    try:
        return load(str(path))
    except ValueError as error:
        return str(error)


def test_a_damaged_npz_is_refused_or_read_right(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=X, y=Y)
    raw, good = path.read_bytes(), load(str(path))
    for i in range(0, len(raw), 5):
        changed = bytearray(raw)
        changed[i] ^= 0x5A
        path.write_bytes(changed)
        data = _load_or_message(path)
        if isinstance(data, str):
            assert data.startswith("a.npz")
        else:
            np.testing.assert_array_equal(data.x_train, good.x_train)
    for i in range(0, len(raw), 50):
        path.write_bytes(raw[:i])
        with pytest.raises(ValueError, match=r"a.npz is damaged or no NPZ file"):
            load(str(path))


def test_a_single_array_named_npz_is_refused(tmp_path):
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, X)
    with pytest.raises(ValueError, match=r"no NPZ file. Write it with numpy.savez"):
        load(str(tmp_path / "a.npz"))


@pytest.mark.parametrize("name", ["a.csv", "a.npz"])
def test_a_file_that_cannot_be_opened(tmp_path, monkeypatch, name):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    (tmp_path / name).write_text(GOOD)
    monkeypatch.setattr(pathlib.Path, "open", refuse)
    monkeypatch.setattr(pathlib.Path, "read_bytes", refuse)
    with pytest.raises(ValueError, match="cannot be read: Permission denied"):
        load(str(tmp_path / name), target="price")


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ("digts", {}, "no such file, and no built-in set .*Did you mean 'digits'"),
        ("nowhere.csv", {}, "'nowhere.csv': no such file"),
        ("", {}, "data is '': no such file"),
        ("a" * 5000 + ".csv", {}, "cannot be read: File name too long"),
        ("sine", {"n_train": 1}, "n_train is 1"),
        ("sine", {"n_test": 0}, "n_test is 0"),
        ("sine", {"seed": -1}, "seed is -1; expected a whole number"),
        ("digits", {"target": "price"}, "'digits' has its own target. Leave target out"),
    ],
)
def test_bad_arguments(source, options, words):
    with pytest.raises(ValueError, match=words):
        load(source, **options)


def test_folders_and_other_endings_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a directory; expected a file ending in .csv or .npz"):
        load(str(tmp_path))
    (tmp_path / "a.xlsx").write_text(GOOD)
    with pytest.raises(ValueError, match=r"a.xlsx'; expected a file ending in .csv or .npz"):
        load(str(tmp_path / "a.xlsx"))


@pytest.mark.parametrize("name", ["digits", "digits:onehot", "diabetes"])
def test_without_scikit_learn(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ValueError) as caught:
        load(name)
    assert str(caught.value) == f'the data set {name!r} needs scikit-learn: pip install "widelimit[sklearn]"'
