"""Traced programs on disk: found again, told apart, and missed without harm."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widelimit.recipes.live import LiveConfig, LiveRun, _program, _stored, forget

ONE, TWO = np.linspace(0, 1, 3), np.linspace(0, 1, 4)


@pytest.fixture
def folder(tmp_path):
    """Let JAX keep compiled code in a new folder."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    yield tmp_path
    jax.config.update("jax_compilation_cache_dir", before)


@pytest.fixture
def traces():
    """Return a program, and the static arguments with which it was traced."""
    found = []

    def scaled_sine(scale, x):
        found.append(scale)
        return scale * jnp.sin(x)

    yield _program.program(1)(scaled_sine), found
    _program.drop_all()


def test_a_program_is_traced_once_on_a_machine(folder, traces):
    scaled_sine, found = traces
    first = scaled_sine(2.0, ONE)
    _program.drop_all()
    again = scaled_sine(2.0, ONE)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(again, 2 * np.sin(ONE), rtol=1e-15)
    assert again.dtype == np.float64
    assert found == [2.0]
    scaled_sine(3.0, ONE)
    scaled_sine(3.0, TWO)
    assert found == [2.0, 3.0, 3.0]
    assert len(list(folder.glob("widelimit-scaled_sine-*.program"))) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: b"",
        lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:],
        lambda data: b"0" * len(data),
    ],
    ids=["cut", "empty", "another bit", "zeros"],
)
def test_a_file_that_is_no_program_is_written_anew(folder, traces, change):
    scaled_sine, found = traces
    scaled_sine(2.0, ONE)
    (path,) = folder.glob("*.program")
    right = path.read_bytes()
    path.write_bytes(change(right))
    _program.drop_all()
    np.testing.assert_allclose(scaled_sine(2.0, ONE), 2 * np.sin(ONE), rtol=1e-15)
    assert found == [2.0, 2.0]
    assert _stored._read(path) is not None


def test_another_source_or_setting_is_another_program(folder, traces, monkeypatch):
    scaled_sine, found = traces
    scaled_sine(2.0, ONE)
    _program.drop_all()
    with jax.default_matmul_precision("float32"):
        scaled_sine(2.0, ONE)
    _program.drop_all()
    monkeypatch.setattr(_stored, "_source", lambda: "changed")
    scaled_sine(2.0, ONE)
    assert found == [2.0] * 3


def test_without_a_place_everything_works(tmp_path, traces):
    scaled_sine, _ = traces
    before = jax.config.jax_compilation_cache_dir
    try:
        for folder in (None, str(tmp_path / "not there")):
            jax.config.update("jax_compilation_cache_dir", folder)
            _program.drop_all()
            np.testing.assert_allclose(scaled_sine(2.0, ONE), 2 * np.sin(ONE), rtol=1e-15)
        blocked = tmp_path / "blocked"
        blocked.mkdir()
        found = jax.export.export(jax.jit(jnp.sin))(ONE)
        _stored._write(blocked / "missing" / "x.program", found)
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    assert list(blocked.iterdir()) == []


@pytest.mark.parametrize("parameterization", ["ntk", "mup"])
def test_a_run_from_disk_shows_what_the_first_one_showed(folder, parameterization):
    config = LiveConfig(width=8, depth=2, points=4, parameterization=parameterization, ridge=0.1)
    frames = []
    for _ in range(2):
        run = LiveRun.open(config)
        frames.append((run.opening, run.advance(9)))
        forget()
    assert len(list(folder.glob("widelimit-*.program"))) == 5
    for one, other in zip(*frames, strict=True):
        assert one.numbers == other.numbers
        for name, array in one.arrays.items():
            np.testing.assert_array_equal(array, other.arrays[name], err_msg=name)
    wider = LiveRun.open(dataclasses.replace(config, width=16)).opening
    assert wider.numbers["parameters"] > frames[0][0].numbers["parameters"]
