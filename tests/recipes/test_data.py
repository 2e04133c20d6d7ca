"""Loading data: what good files become, and a table of bad ones."""

import sys

import numpy as np
import pytest

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


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_dialects(csv, delimiter, mark, newline):
    text = mark + GOOD.replace(",", delimiter).replace("\n", newline)
    np.testing.assert_array_equal(load(csv(text), target="price").x_train, load(csv(GOOD), target="price").x_train)


def test_classes(csv):
    two = load(csv(GOOD), target="colour")
    assert two.task is Task.CLASSIFICATION
    assert set(np.unique(two.y_train)) == {-1.0, 1.0}
    three = load(csv(GOOD.replace(",0,", ",zero,").replace(",1,", ",one,").replace(",2,", ",two,")), target="kind")
    assert three.y_train.shape[1] == 3
    np.testing.assert_allclose(three.y_train.sum(1), 0, atol=1e-12)


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
    "long cell": (_with(4, f"2,1,{'x' * 200_000},1"), "200000 characters"),
    "huge cell": (_with(4, f"2,1,{'x' * 1_100_000},1"), "line 4"),
    "latin-1": (GOOD.replace("red", "röd").encode("latin-1"), "not UTF-8 text: byte 0xf6 at offset"),
    "binary": (b"a,b\0c", "NUL byte at offset 3"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_csv_is_refused(case, csv):
    content, words = BAD[case]
    with pytest.raises(ValueError, match=words):
        load(csv(content), target="price")


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


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": X}, "holds x; expected arrays 'x' and 'y'"),
        ({"x": X, "y": Y[:5]}, r"expected \(n, ...\) and \(n,\)"),
        ({"x": np.where(X > 2, np.nan, X) * np.array(np.nan), "y": Y}, r"x\[0, 0, 0\] is nan"),
        ({"x": X, "y": np.full(20, np.inf)}, r"y\[0\] is inf"),
        ({"x": X.astype(object), "y": Y}, "Object arrays cannot be loaded"),
        ({"x": X, "y": np.zeros(20, int)}, "expected at least two classes"),
    ],
)
def test_bad_npz_is_refused(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=words):
        load(str(tmp_path / "a.npz"))


def test_other_bad_sources(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="Did you mean 'digits'"):
        load("digts")
    with pytest.raises(ValueError, match=r"expected a file ending in .csv or .npz"):
        load(str(tmp_path))
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 but not really")
    with pytest.raises(ValueError, match=r"damaged|cannot be used"):
        load(str(tmp_path / "a.npz"))
    with pytest.raises(ValueError, match="n_train is 1"):
        load("sine", n_train=1)
    with pytest.raises(ValueError, match="n_test is 0"):
        load("sine", n_test=0)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ValueError, match=r"needs scikit-learn: pip install 'widelimit\[sklearn\]'"):
        load("digits")
