"""Kernel matrices of data in files: networks by name, inputs of three kinds, the command, and what is refused."""

import os
import pathlib

import numpy as np
import pytest
from typer.testing import CliRunner

import widelimit as wl
from widelimit import recipes
from widelimit.cli import app

X = np.random.default_rng(0).standard_normal((4, 3))


def run(*arguments):
    return CliRunner().invoke(app, ["gram", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    np.savez("x.npz", x=X[:, ::-1], other=X)
    np.savez("one.npz", inputs=X)
    pathlib.Path("x.csv").write_text("a,b,c\n" + "\n".join(",".join(map(repr, map(float, row))) for row in X) + "\n")
    return tmp_path


@pytest.mark.parametrize("name", [*recipes.NETWORKS, "cntk:2", "wide-resnet:10"])
def test_networks_by_name(name):
    """A vector comes out of images of 32×32; parameters are not made."""
    shape = (7,) if name == "dense" else (32, 32, 3)
    assert recipes.network(name).out_shape(shape) == (1,)


def test_depths_are_numbers_of_weight_layers():
    weights = lambda name, kind: str(recipes.network(name).describe((32, 32, 3))).count(kind + "(")  # noqa: E731
    assert weights("cntk:5", "Conv") == 5
    assert weights("myrtle7", "Conv") == 6
    assert weights("myrtle10", "Conv") == 9
    assert weights("wide-resnet:16", "Conv") == 16  # 12 in the blocks, 3 shortcuts, 1 in front


def test_the_command_writes_the_kernel(folder):
    net = recipes.network("dense:2")
    exact = np.asarray(wl.NTK(net)(X.astype(np.float32)))
    for file, more in (("x.npy", ()), ("x.npz", ("--key", "other")), ("one.npz", ()), ("x.csv", ())):
        done = run(file, "--net", "dense:2", "--out", "new/gram.npy", *more)
        assert done.exit_code == 0, done.output
        assert "4 x 4 in float32" in done.output
        np.testing.assert_array_equal(np.load("new/gram.npy"), exact)
    assert os.listdir("new") == ["gram.npy"]


def test_other_inputs_precision_kernel_and_a_network_of_a_file(folder):
    net = wl.serial(wl.Dense(8, 1.5, 0.2), wl.Erf(), wl.Dense(1))
    pathlib.Path("net.json").write_text(wl.to_json(net))
    np.save("two.npy", X[:2])
    done = run("x.npy", "--net", "net.json", "--other", "two.npy", "--kernel", "nngp", "--double")
    assert done.exit_code == 0, done.output
    found = np.load("gram.npy")
    assert found.dtype == np.float64
    single = wl.NNGP(net)(X.astype(np.float32), X[:2].astype(np.float32))
    np.testing.assert_allclose(found, single, atol=1e-6 * found.max())


def test_a_plan_computes_and_writes_nothing(folder):
    done = run("x.npy", "--plan")
    assert done.exit_code == 0
    assert "Reference: for 16 moments per layer" in done.output
    assert not pathlib.Path("gram.npy").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.npy",), "there is no file 'none.npy'"),
        (("x.txt",), "x.txt is no .npy, .npz or .csv file"),
        (("nan.npy",), "nan.npy has nan at (0, 1); expected finite numbers"),
        (("text.npy",), "expected numbers (n, ...)"),
        (("line.npy",), "array of shape (4,)"),
        (("object.npy",), "object.npy is damaged or holds no plain array"),
        (("broken.npz",), "broken.npz is damaged"),
        (("x.npz", "--key", "z"), "x.npz has no array 'z'; it has x, other"),
        (("x.npy", "--key", "x"), "x.npy is no .npz file; leave key out"),
        (("x.npy", "--net", "dence"), "Did you mean 'dense'?"),
        (("x.npy", "--net", "dense:0"), "expected a depth from 1 to 1000"),
        (("x.npy", "--net", "myrtle5:3"), "leave ':3' out"),
        (("x.npy", "--net", "wide-resnet:12"), "expected a depth of 4 + 6k"),
        (("x.npy", "--net", "none.json"), "cannot be read"),
        (("x.npy", "--net", "bad.json"), "which holds no network"),
        (("x.npy", "--net", "cntk"), "axes of space"),
        (("x.npy", "--kernel", "rbf"), "kernel is 'rbf'; expected one of ntk, nngp"),
        (("x.npy", "--out", "gram.txt"), "expected a file that ends in .npy"),
        (("x.npy", "--out", "folder.npy"), "which is a folder"),
        (("x.npy", "--other", "wide.npy"), "x2"),
    ],
)
def test_what_cannot_be_used_is_refused(folder, arguments, message):
    pathlib.Path("x.txt").touch()
    pathlib.Path("bad.json").write_text("{")
    pathlib.Path("broken.npz").write_bytes(pathlib.Path("x.npz").read_bytes()[:-40])
    pathlib.Path("folder.npy").mkdir()
    np.save("nan.npy", np.where(np.arange(12).reshape(4, 3) == 1, np.nan, X))
    np.save("text.npy", np.array([["a"]]))
    np.save("line.npy", X[:, 0])
    np.save("wide.npy", np.zeros((2, 5)))
    np.save("object.npy", np.array([{}], object))
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())
    assert not pathlib.Path("gram.npy").exists()
