"""`widelimit gram --store`: the matrix of a file on disk, its plan, its check, and what is refused."""

import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import widelimit as wl
from widelimit import gram, recipes
from widelimit.cli import app

X = np.random.default_rng(0).standard_normal((12, 3))


def run(*arguments):
    return CliRunner().invoke(app, ["gram", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", x=X)
    return tmp_path


STORE = ("x.npz", "--net", "dense:2", "--store", "gram.zarr")


def test_the_command_stores_and_checks(folder):
    done = run(*STORE, "--tile", 5)
    assert done.exit_code == 0, done.output
    assert "6 tiles of 5 x 5 in float32" in done.output
    assert "Written: gram.zarr, 12 x 12 in float32, 6 tiles of 5 rows" in done.output
    net, x = recipes.network("dense:2"), X.astype(np.float32)
    stored = gram.open_stored("gram.zarr", wl.NTK(net), x)
    np.testing.assert_allclose(stored.tile(slice(None), slice(None)), wl.NTK(net)(x), rtol=1e-6)
    assert sorted(os.listdir()) == ["gram.zarr", "x.npz"]
    done = run(*STORE, "--verify")
    assert done.exit_code == 0
    assert "all 6 tiles are as they were written" in done.output
    tile = pathlib.Path("gram.zarr/c/1/2")
    tile.write_bytes(tile.read_bytes()[::-1])
    done = run(*STORE, "--verify")
    assert done.exit_code == 2
    assert "tile (1, 2) is damaged" in " ".join(done.output.split())
    assert run(*STORE).exit_code == 0
    assert run(*STORE, "--verify").exit_code == 0


def test_a_plan_writes_nothing(folder):
    done = run(*STORE, "--plan")
    assert done.exit_code == 0
    assert "on disk" in done.output
    assert os.listdir() == ["x.npz"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x.npz", "--verify"), "go with --store"),
        (("x.npz", "--tile", "5"), "go with --store"),
        (("x.npz", "--scheduler", "tcp://127.0.0.1:1"), "go with --store"),
        ((*STORE, "--other", "x.npz"), "leave --other out"),
        ((*STORE, "--tile", "0"), "tile is 0"),
        ((*STORE, "--kernel", "rbf"), "kernel is 'rbf'"),
        ((*STORE, "--scheduler", "nowhere"), "scheduler is 'nowhere'"),
        ((*STORE, "--verify"), "there is no folder 'gram.zarr'"),
        (("x.npz", "--store", "x.npz"), "x.npz is a file"),
        (("x.npz", "--net", "cntk", "--store", "gram.zarr"), "axes of space"),
        (("none.npz", "--store", "gram.zarr"), "there is no file"),
    ],
)
def test_what_cannot_be_used_is_refused(folder, arguments, message):
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())
    assert os.listdir() == ["x.npz"]


def test_another_matrix_is_refused(folder):
    assert run(*STORE).exit_code == 0
    for more, message in (
        (("--kernel", "nngp"), "another kernel"),
        (("--double",), "inputs in float32, not in float64"),
        (("--net", "dense:3"), "another kernel"),
    ):
        for check in ((), ("--verify",)):
            done = run(*STORE, *more, *check)
            assert done.exit_code == 2
            assert message in " ".join(done.output.split())


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(folder):
    np.savez("x.npz", x=np.random.default_rng(0).standard_normal((3000, 784)))
    command = [sys.executable, "-m", "widelimit", "gram", *STORE, "--tile", "200"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(pathlib.Path().glob("gram.zarr/c/0/5")):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, words = process.communicate()
    assert process.returncode == 130, words
    assert "of 120 tiles are kept in gram.zarr" in " ".join(words.split())
    assert "So does the same command" in " ".join(words.split())
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert gram.verify_stored("gram.zarr") == 120
