"""The convolutional NTK on real images learns from four of each class, as published (Arora et al. 2020)."""

import importlib.util
import json
import pathlib

import numpy as np
import pytest

import widelimit as wl

ROOT = pathlib.Path(__file__).parents[1]
IMAGES = ROOT.parent / "shared" / "data" / "cifar10" / "cifar10_exact_4k1k.npz"


def example():
    """Return the module of the example."""
    spec = importlib.util.spec_from_file_location("cifar_few_shot", ROOT / "examples" / "cifar_few_shot.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_draws_are_balanced_and_begin_with_the_smaller_ones():
    few_shot = example()
    y = np.random.default_rng(0).integers(0, 10, 400)
    chosen = few_shot.balanced(y, 160, 3)
    assert len(set(chosen)) == 160
    for n in (10, 20, 160):
        assert np.array_equal(np.bincount(y[chosen[:n]]), np.full(10, n // 10))
    np.testing.assert_array_equal(few_shot.balanced(y, 40, 3), chosen[:40])


@pytest.mark.slow
@pytest.mark.skipif(not IMAGES.exists(), reason="CIFAR-10 is not beside the checkout (shared/data)")
def test_few_images_of_cifar():
    """Published with CNTK-14: 21.3 % at n = 40. Here two draws on 150 test images, standard error about 2.5 %."""
    few_shot, depths = example(), (8, 14)
    images = x, y, x_test, _ = few_shot.data(IMAGES)
    draws = [next(few_shot.measure(depths, images, [40], draw, [(0, 150)])) for draw in range(2)]
    shares = np.mean([found for _, found, _ in draws], 0)[:, 0] / 150
    assert np.all(np.abs(shares - 0.213) < 0.075)
    # The kernels are those of each depth by itself.
    net, chosen = wl.NTK(few_shot.network(8)), few_shot.balanced(y, 10, 0)
    both = wl.kernels.together([net, wl.NTK(few_shot.network(9))], x_test[:3], x[chosen])
    np.testing.assert_array_equal(both[0], net(x_test[:3], x[chosen]))


def test_the_table_of_the_docs_is_what_was_measured():
    """Five draws of 1,000 test images; depth 14 within three errors (draws, test images) of the published row."""
    rows = [json.loads(line) for line in (ROOT / "benchmarks" / "few_shot_cifar10.jsonl").read_text().splitlines()]
    blocks = sorted((row["draw"], *row["block"]) for row in rows)
    assert blocks == [(draw, low, low + 100) for draw in range(5) for low in range(0, 1000, 100)]
    percents = np.array([sum(np.array(row["right"]) for row in rows if row["draw"] == draw) for draw in range(5)]) / 10
    mean, error = percents.mean(0), percents.std(0, ddof=1) / 5**0.5
    docs = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
    for k, depth in enumerate((8, 14)):
        told = " | ".join(f"{m:.1f} ± {e:.1f}" for m, e in zip(mean[k], error[k], strict=True))
        assert f"| depth {depth}, here | {told} |" in docs
    published = np.array(example().PUBLISHED["CNTK of depth 14, published"])
    assert np.all(np.abs(mean[1] - published) < 3 * np.hypot(error[1], np.sqrt(mean[1] * (100 - mean[1]) / 1000)))


def test_a_run_goes_on_behind_what_it_kept(tmp_path, monkeypatch, capsys):
    few_shot, out = example(), tmp_path / "kept.jsonl"
    monkeypatch.setenv("WIDELIMIT_EXAMPLE_SIZE", "small")
    options = ["--draws", "2", "--block", "8", "--out", str(out), "--plot", str(tmp_path / "figure.png")]
    monkeypatch.setattr("sys.argv", ["cifar_few_shot.py", *options])
    measured, measure = [], few_shot.measure
    monkeypatch.setattr(few_shot, "measure", lambda *a: measured.append((a[-2], a[-1])) or measure(*a))
    blocks = [(0, 8), (8, 16), (16, 20)]
    few_shot.main()
    first = capsys.readouterr().out
    assert "± " in first
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    few_shot.main()
    assert measured == [(0, blocks), (1, blocks)]
    assert capsys.readouterr().out == first
    lines = out.read_text().splitlines(keepends=True)
    out.write_text("".join(lines[:-1]) + lines[-1][:20])
    few_shot.main()
    assert measured[2:] == [(1, blocks[2:])]
    few_shot.main()
    assert len(measured) == 3
    assert capsys.readouterr().out.count(first.splitlines()[-2]) == 2
