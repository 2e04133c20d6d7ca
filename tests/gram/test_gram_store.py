"""Matrices on disk: format, what is refused, damage of every file, the plan."""

import json
import os
import pathlib
import shutil
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zarr
from grams import NET, N, Product, X, build, files

import widelimit as wl
from widelimit import gram
from widelimit.arch import Zeros
from widelimit.gram import build_stored, open_stored, plan_stored, verify_stored

KERNEL = Product()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of a build that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole") / "gram.zarr"
    build(folder)
    return files(folder)


def test_it_is_a_zarr_array(tmp_path, whole):
    """One chunk a tile, none below the diagonal; no other files, and the same bytes each time and by threads."""
    build(tmp_path / "gram.zarr", schedule=gram.Distributed(threads=2))
    assert files(tmp_path / "gram.zarr") == whole
    chunks = {f"c/{i}/{j}" for i in range(3) for j in range(i, 3)}
    assert set(whole) == {"zarr.json", "widelimit.json", *chunks}
    array = zarr.open_array(str(tmp_path / "gram.zarr"), mode="r")
    assert (array.shape, array.chunks, array.dtype) == ((N, N), (9, 9), np.float64)
    found, exact = array[:], KERNEL.block(X)
    upper = np.arange(N)[:, None] // 9 <= np.arange(N) // 9
    np.testing.assert_allclose(found[upper], exact[upper], rtol=1e-14)
    assert np.isnan(found[~upper]).all()


def test_the_manifest_says_what_it_is_of(tmp_path):
    build_stored(wl.NTK(NET), X, tmp_path / "gram.zarr")
    manifest = json.loads((tmp_path / "gram.zarr" / "widelimit.json").read_text())
    assert manifest["kernel"] == {"kernel": "NTK", **json.loads(wl.to_json(NET))}
    assert (manifest["format"], manifest["n"], manifest["tile"], manifest["dtype"]) == (1, N, N, "float64")
    stored = open_stored(tmp_path / "gram.zarr", wl.NTK(NET), X)
    assert wl.from_json(json.dumps(stored.manifest.kernel)) == NET


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[:-1]}, "holds the matrix of 23 inputs, not of 22"),
        ({"x": X + 1e-16 * (np.arange(N) == 7)[:, None] * 1e3}, "holds the matrix of other inputs"),
        ({"x": X[:, ::-1]}, "holds the matrix of other inputs"),
        ({"x": X.reshape(N, 3, 1)}, "holds the matrix of other inputs"),
        ({"x": X.astype(np.float32)}, "inputs in float64, not in float32"),
        ({"label": "another"}, 'label is "product" there and "another" here'),
        ({"kernel": wl.NTK(NET), "label": None}, "a record"),
        ({"tile": 8}, "tile is 8, but .* has tiles of 9 rows"),
    ],
)
def test_another_matrix_is_refused(tmp_path, change, message):
    """With one sentence, whether the build is finished or not; the folder stays as it was."""
    build(tmp_path / "gram.zarr")
    before = files(tmp_path / "gram.zarr")
    with pytest.raises(ValueError, match=message):
        build(tmp_path / "gram.zarr", **change)
    assert files(tmp_path / "gram.zarr") == before
    if "tile" not in change:
        kernel, x = change.get("kernel", KERNEL), change.get("x", X)
        with pytest.raises(ValueError, match=message):
            open_stored(tmp_path / "gram.zarr", kernel, x, label=change.get("label", "product"))


def test_other_networks_are_told_apart(tmp_path):
    folder = tmp_path / "gram.zarr"
    build_stored(wl.NTK(NET), X, folder)
    build_stored(wl.NTK(NET), X, folder)
    other = wl.serial(wl.Dense(8, 1.5, 0.2), wl.Relu(), wl.Dense(1))
    deeper = wl.serial(wl.Dense(8, 1.5, 0.1), wl.Relu(), wl.Dense(8), wl.Dense(1))
    for kernel, message in (
        (wl.NNGP(NET), 'kernel is "NTK" there and "NNGP" here'),
        (wl.NTK(other), r"net.layers\[0\].bias_std is 0.1 there and 0.2 here"),
        (wl.NTK(deeper), "net.layers is a list of 3 there and a list of 4 here"),
    ):
        with pytest.raises(ValueError, match=message):
            build_stored(kernel, X, folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": "ntk"}, "kernel is 'ntk'"),
        ({"label": None}, "kernel is of type Product, which has no JSON form .* label="),
        ({"kernel": wl.NTK(wl.serial(wl.Dense(1), wl.Elementwise(lambda u: u), wl.Dense(1))), "label": None}, "label="),
        ({"x": np.full_like(X, np.inf)}, "expected finite numbers"),
        ({"x": X[0, 0]}, "x has shape"),
        ({"tile": 0}, "tile is 0"),
        ({"schedule": "dask"}, "schedule is 'dask'"),
        ({"folder": "file"}, "file is a file; expected a folder"),
        ({"folder": "full"}, "full holds other things"),
        ({"folder": "file/below"}, "cannot be made or read|is a file"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path, monkeypatch, change, message):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("file").touch()
    pathlib.Path("full").mkdir()
    pathlib.Path("full/thesis.tex").touch()
    with pytest.raises(ValueError, match=message):
        build(**{"folder": "gram.zarr", **change})
    assert sorted(os.listdir()) == ["file", "full"]
    assert os.listdir("full") == ["thesis.tex"]


class Broken(wl.kernels.AbstractKernel):
    """A kernel that is NaN for two inputs."""

    def block(self, x1, x2=None):
        found = np.array(KERNEL.block(x1, x2))
        first, second = (np.isclose(np.asarray(x)[:, 0], X[i, 0]) for x, i in ((x1, 3), (x1 if x2 is None else x2, 20)))
        found[np.ix_(first, second)] = np.nan
        return found

    def diagonal(self, x):
        return KERNEL.diagonal(x)


def test_a_kernel_that_is_not_finite_is_refused(tmp_path):
    with pytest.raises(ValueError, match="the kernel of inputs 3 and 20 is nan; expected finite numbers"):
        build(tmp_path / "gram.zarr", Broken())
    with pytest.raises(ValueError, match="the kernel of inputs 3 and 20 is nan; expected finite numbers"):
        gram.Lazy(Broken(), X, 9).matmat(X)


def test_what_is_no_store_is_not_opened(tmp_path):
    with pytest.raises(ValueError, match="there is no folder"):
        open_stored(tmp_path / "gram.zarr")
    with pytest.raises(ValueError, match="is no stored matrix"):
        open_stored(tmp_path)


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    for name in ("dask", "distributed", "zarr"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(ValueError, match=rf"this needs {name}; .*pip install 'widelimit\[scale\]'"):
                build(tmp_path / "gram.zarr")
            with pytest.raises(ValueError, match=r"pip install 'widelimit\[scale\]'"):
                gram.Distributed()
    assert not (tmp_path / "gram.zarr").exists()


# Damage.


@pytest.mark.parametrize("place", [0, 5, -1])
@pytest.mark.parametrize("name", ["c/0/0", "c/0/2", "c/2/2"])
def test_a_flipped_byte_of_a_tile_is_found(tmp_path, whole, name, place):
    """On reading, by `verify_stored`, and by a build, which computes that tile anew."""
    folder = tmp_path / "gram.zarr"
    stored = build(folder)
    assert verify_stored(folder) == 6
    data = bytearray(whole[name])
    data[place] ^= 1
    (folder / name).write_bytes(data)
    where = tuple(int(i) for i in name.split("/")[1:])
    damaged = rf"tile \({where[0]}, {where[1]}\).*is damaged"
    with pytest.raises(ValueError, match=damaged):
        stored.matmat(X)
    with pytest.raises(ValueError, match=damaged):
        stored.tile(slice(where[0] * 9, where[0] * 9 + 1), slice(where[1] * 9, where[1] * 9 + 1))
    with pytest.raises(ValueError, match=damaged):
        verify_stored(folder)
    if where[0] == where[1]:
        with pytest.raises(ValueError, match=damaged):
            stored.diagonal()
    told = []
    build(folder, progress=lambda *news: told.append(news))
    assert told[-2:] == [(5, 6, "tiles"), (6, 6, "tiles")]
    assert files(folder) == whole


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: f.unlink(),
        lambda f: f.write_bytes(f.read_bytes()[:-8]),
        lambda f: f.write_bytes(f.read_bytes() + b"0"),
    ],
)
def test_missing_and_cut_tiles_are_found(tmp_path, whole, damage):
    build(tmp_path / "gram.zarr")
    damage(tmp_path / "gram.zarr" / "c" / "1" / "2")
    with pytest.raises(ValueError, match=r"tile \(1, 2\) is (missing|damaged)"):
        verify_stored(tmp_path / "gram.zarr")
    build(tmp_path / "gram.zarr")
    assert files(tmp_path / "gram.zarr") == whole


def test_every_flipped_byte_of_the_manifest_is_found(tmp_path, whole):
    """Nothing in a folder is believed whose manifest is damaged; spaces between words do not count."""
    folder = tmp_path / "gram.zarr"
    build(folder)
    manifest = whole["widelimit.json"]
    for place in range(0, len(manifest), 7):
        data = bytearray(manifest)
        data[place] ^= 1
        (folder / "widelimit.json").write_bytes(data)
        try:
            stored = open_stored(folder)
        except ValueError as error:
            assert "damaged" in str(error) or "format" in str(error)  # noqa: PT017
        else:
            assert chr(manifest[place]).isspace()
            assert stored.manifest.digests
    (folder / "widelimit.json").unlink()
    with pytest.raises(ValueError, match="holds other things"):
        build(folder)


def test_the_array_metadata_are_mended(tmp_path, whole):
    folder = tmp_path / "gram.zarr"
    build(folder)
    (folder / "zarr.json").write_bytes(whole["zarr.json"].replace(b"float64", b"float32"))
    with pytest.raises(ValueError, match=r"zarr.json is damaged or missing"):
        open_stored(folder)
    build(folder)
    assert files(folder) == whole


def stop(done, total, what):
    if done == 2:
        raise RuntimeError("stop")


def test_a_store_of_another_version(tmp_path, monkeypatch):
    """One that is not finished is refused, one that is finished is read."""
    from widelimit.gram import _build, _manifest

    for place in (_manifest, _build):
        monkeypatch.setattr(place, "library_version", lambda: "0.0.1")
    build(tmp_path / "done.zarr")
    with pytest.raises(RuntimeError, match="stop"):
        build(tmp_path / "begun.zarr", progress=stop)
    monkeypatch.undo()
    build(tmp_path / "done.zarr")
    open_stored(tmp_path / "done.zarr")
    with pytest.raises(ValueError, match=r"was begun by widelimit 0.0.1"):
        build(tmp_path / "begun.zarr")
    document = json.loads((tmp_path / "done.zarr" / "widelimit.json").read_text())
    del document["seal"]
    document["format"] = 2
    document["seal"] = _manifest._seal(document)
    (tmp_path / "done.zarr" / "widelimit.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match="has format 2, this widelimit reads 1"):
        open_stored(tmp_path / "done.zarr")


# Plans.


def test_the_plan(tmp_path):
    x = np.zeros((5000, 40), np.float32)
    plan = plan_stored(wl.NTK(NET), x, tmp_path / "gram.zarr")
    assert (plan.n, plan.tile, plan.tiles, plan.dtype) == (5000, 1680, 6, "float32")
    assert plan.disk == 6 * 1680**2 * 4
    assert plan.free == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)
    assert 0.001 < plan.seconds < 10
    assert "6 tiles of 1680 x 1680 in float32" in str(plan)
    assert "Native: every layer has a native form" in str(plan)
    assert not (tmp_path / "gram.zarr").exists()


def test_tiles_of_slow_kernels_are_small(tmp_path):
    """So that a kill costs a minute at most."""
    net = wl.serial(*[wl.Conv(8, (3, 3), padding=Zeros()), wl.Relu()] * 20, wl.GlobalAvgPool(), wl.Dense(1))
    plan = plan_stored(wl.NTK(net), np.zeros((1000, 32, 32, 3), np.float32), tmp_path / "gram.zarr")
    assert plan.tile in range(16, 257, 16)
    assert plan.seconds > 600
    assert plan.seconds / plan.tiles < 90


def test_inputs_of_jax_and_keys(tmp_path):
    """Arrays of JAX are those of NumPy; random keys of inputs count."""
    build(tmp_path / "gram.zarr", x=X.astype(np.float32))
    build(tmp_path / "gram.zarr", x=jnp.asarray(X, jnp.float32))
    net = wl.serial(wl.Dense(8), wl.Dropout(0.5), wl.Dense(1))
    keyed = [wl.Sample(X.astype(np.float32), key=jax.random.split(jax.random.key(seed), N)) for seed in (0, 1)]
    stored = build_stored(wl.NTK(net), keyed[0], tmp_path / "keyed.zarr", 9)
    np.testing.assert_allclose(stored.tile(slice(None), slice(None)), wl.NTK(net)(keyed[0]), rtol=1e-5)
    with pytest.raises(ValueError, match="other inputs"):
        build_stored(wl.NTK(net), keyed[1], tmp_path / "keyed.zarr", 9)
