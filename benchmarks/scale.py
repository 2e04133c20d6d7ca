r"""Kernel regression where n is large: exact for 20,000 rows, on features for more, against scikit-learn.

``exact``: the NTK of depth three of n Gaussian inputs in 20 dimensions, float64: the matrix, its factorisation in place
and one right-hand side, against the floor of :math:`n^3/3` operations at the rate of a matrix product. ``kegg`` is
keggundirected of UCI (n = 63,608) and ``million`` the function of Friedman (1991) of five of 20 numbers, with noise of
standard deviation one, for n = 1,000,000: regression on as many features, in float32, by us (Nyström or random
features, ridge by evidence) and by scikit-learn's ``Nystroem`` with ``Ridge``. Each variant runs in a process of its
own. It first chooses hyperparameters on the same 6,000 training rows, which is told as ``tune_s`` and is no part of the
time: ours network and kernel, theirs gamma and alpha; variants that end in ``scaled`` also find factors of the inputs
(`features.input_scales`), which the peer has no counterpart of. Then it fits and predicts, and tells time, processor
time and its peak of resident memory.
"""

import contextlib
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

import numpy as np

from . import regression
from ._table import Record, show, table

COLUMNS = {
    "side": "{side}",
    "variant": "{variant}",
    "n": "{n}",
    "features": "{features}",
    "s": "{s:.1f}",
    "CPU s": "{cpu_s:.1f}",
    "floor s": "{floor_s:.1f}",
    "% floor": "{floor_percent:.0f}",
    "RMSE": "{rmse:.4f}",
    "GiB": "{peak_gib:.2f}",
    "residual": "{residual:.0e}",
}
ON_FEATURES = ["nystrom", "nystrom scaled", "random", "random scaled", "sklearn"]
VARIANTS = {"exact": ["cholesky"], "kegg": ON_FEATURES, "million": ON_FEATURES}
SIZES = {"exact": 20_000, "kegg": 63_608, "million": 1_000_000}
TUNING, TEST = 6000, 20_000
DATA = regression.DATA / "keggundirected.npz"


def run(case: str, n: int | None, features: int, data: pathlib.Path, variants: list[str] | None = None) -> list[Record]:
    """Return one record per variant of a case, each from a process of its own.

    Raises
    ------
    ValueError
        If there is no case or variant of that name, or no data.
    """
    if case not in VARIANTS:
        raise ValueError(f"case is {case!r}; expected one of {', '.join(VARIANTS)}.")
    if case == "kegg" and not data.exists():
        raise ValueError(f"{data} does not exist; give the file keggundirected.npz of the UCI sets with --data.")
    records = []
    for variant in variants or VARIANTS[case]:
        if variant not in VARIANTS[case]:
            raise ValueError(f"variant is {variant!r}; expected one of {', '.join(VARIANTS[case])}.")
        task = {"case": case, "variant": variant, "n": n or SIZES[case], "features": features, "data": str(data)}
        command = [sys.executable, "-m", "benchmarks.scale", json.dumps(task)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        records.append(json.loads(done.stdout.splitlines()[-1]))
    return records


def report(records: list[Record]) -> None:
    """Print the records of one case."""
    first = records[0]
    caption = f"GEMM here, float32 {first['gemm32'] / 1e9:.0f} and float64 {first['gemm64'] / 1e9:.0f} Gflop/s"
    show(table(f"scale: {first['case']}", COLUMNS, records, caption))


def friedman(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n inputs in 20 dimensions and targets with noise of standard deviation one (Friedman 1991, eq. 56)."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, 20), np.float32)
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    return x, y + rng.standard_normal(n, np.float32)


def _main(task: Record) -> None:
    rates = {"gemm32": _gemm(np.float32), "gemm64": _gemm(np.float64)}
    found = _exact(task) if task["case"] == "exact" else _features(task)
    floor = found.pop("flop64") / rates["gemm64"] + found.pop("flop32") / rates["gemm32"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    common = {"benchmark": "scale", "kind": "variant", "case": task["case"], "variant": task["variant"]}
    side = "sklearn" if task["variant"] == "sklearn" else "own"
    load = os.getloadavg()[0]
    told = {
        **rates,
        "floor_s": floor,
        "floor_percent": 100 * floor / found["s"],
        "peak_gib": peak / 2**30,
        "load": load,
    }
    print(json.dumps({**common, "side": side, "n": task["n"], **found, **told}))


def _exact(task: Record) -> Record:
    import widelimit as wl
    from widelimit import gram, solve

    n = task["n"]
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((n, 20)), rng.standard_normal(n)
    kernel = wl.NTK(_net(3, 0.1))
    kernel(x[:1200])
    with _timed() as making:
        matrix = np.asarray(kernel(x)).copy() if n < 2000 else np.asarray(kernel(x))
    matrix = matrix if matrix.flags.writeable else matrix.copy()
    solver = solve.Cholesky(overwrite=True)
    with _timed() as factorising:
        state = solver.init(gram.Dense(matrix), 0.1)
    with _timed() as solving:
        solution = solver.compute(state, y)
    parts = {"gram_s": making.s, "factor_s": factorising.s, "solve_s": solving.s, "factor_cpu_s": factorising.cpu}
    total = making.s + factorising.s + solving.s
    work = {"flop64": n**3 / 3, "flop32": 0.0}
    cpu = making.cpu + factorising.cpu + solving.cpu
    told = {"jitter": float(solution.stats["jitter"]), "residual": float(solution.stats["residual"])}
    return {"s": total, "cpu_s": cpu, **parts, **told, **work}


def _features(task: Record) -> Record:
    (x, y), (test, truth) = _data(task)
    mean, std = x.mean(0), x.std(0)
    std[std == 0] = 1
    center, spread = y.mean(), y.std()
    x, test = (x - mean) / std, (test - mean) / std
    y = (y - center) / spread
    some = np.random.default_rng(1).permutation(len(x))[:TUNING]
    tuning = (x[some], y[some])
    with _timed() as choosing:
        fit, chosen, work = (_theirs if task["variant"] == "sklearn" else _ours)(task, tuning)
    predict = fit(*(a[:3000] for a in tuning))
    predict(test[:100])
    with _timed() as fitting:
        predict = fit(x, y)
    with _timed() as predicting:
        found = predict(test)
    rmse = float(np.sqrt(np.mean((found.astype(np.float64) - (truth - center) / spread) ** 2)) * spread)
    total, cpu = fitting.s + predicting.s, fitting.cpu + predicting.cpu
    told = {"rmse": rmse, "rmse_of_std": rmse / float(spread), "fit_s": fitting.s, "tune_s": choosing.s}
    work = {kind: count * float(len(x)) * task["features"] ** 2 for kind, count in work.items()}
    return {"features": task["features"], "s": total, "cpu_s": cpu, "chosen": chosen, **told, **work}


def _data(task: Record) -> tuple:
    if task["case"] == "million":
        return friedman(task["n"], 0), friedman(TEST, 1)
    file = np.load(task["data"])
    x, y, split = (file[name][: task["n"]] for name in ("X", "y", "test_split"))
    return (x[split != 0], y[split != 0]), (x[split == 0], y[split == 0])


def _ours(task: Record, tuning: tuple) -> tuple:
    import widelimit as wl
    from widelimit import features

    size, (x, y), count = task["features"], tuning, len(tuning[0]) * 2 // 3
    small = min(size, 300)

    def fit(choice: tuple, scales: np.ndarray, size: int, x: np.ndarray, y: np.ndarray) -> object:
        depth, bias, ntk = choice
        net = _net(depth, bias)
        if task["variant"].startswith("random"):
            made = features.RandomFeatures(net, (size - 1) // 2 if ntk else size, ntk=ntk)
        else:
            made = features.NystromFeatures(
                (wl.NTK if ntk else wl.NNGP)(net, wl.engine.Native()), features.Pivots(size)
            )
        model = features.regress(made, x * scales, y)
        return lambda x: model.mean(x * scales)

    def error(choice: tuple, scales: np.ndarray) -> float:
        predict = fit(choice, scales, small, x[:count], y[:count])
        return float(np.mean((predict(x[count:]) - y[count:]) ** 2))

    choices = [(depth, bias, False) for depth in (1, 2) for bias in (0.1, 0.5, 1.0)] + [(1, 0.5, True), (2, 0.5, True)]
    scales = np.ones(x.shape[1], x.dtype)
    errors = {choice: error(choice, scales) for choice in choices}
    best = min(errors, key=errors.__getitem__)
    for _ in range(2 if task["variant"].endswith("scaled") else 0):
        predict = fit(best, scales, small, x[:count], y[:count])
        scales = features.input_scales(predict, x[:1000]).astype(x.dtype)
        errors = {choice: error(choice, scales) for choice in choices}
        best = min(errors, key=errors.__getitem__)
    chosen = f"depth {best[0]}, bias_std {best[1]}, {'NTK' if best[2] else 'NNGP'}"
    work = {"flop32": 1, "flop64": 0} if task["variant"].startswith("random") else {"flop32": 0, "flop64": 1}
    return (lambda x, y: fit(best, scales, size, x, y)), chosen, work


def _theirs(task: Record, tuning: tuple) -> tuple:
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    size, (x, y), count = task["features"], tuning, len(tuning[0]) * 2 // 3

    def made(gamma: float, alpha: float, size: int) -> object:
        ridge = Ridge(alpha=alpha, copy_X=False, solver="cholesky")
        return make_pipeline(Nystroem(gamma=gamma, n_components=size, random_state=0), ridge)

    errors = {}
    for gamma in np.array([0.02, 0.05, 0.1, 0.2, 0.5, 1.0]) / x.shape[1]:
        for alpha in (1e-4, 1e-3, 1e-2, 1e-1):
            # Where rounding leaves the matrix indefinite, the pair is not taken.
            with contextlib.suppress(np.linalg.LinAlgError):
                model = made(gamma, alpha, min(size, 300)).fit(x[:count], y[:count])
                errors[gamma, alpha] = float(np.mean((model.predict(x[count:]) - y[count:]) ** 2))
    best = min(errors, key=errors.__getitem__)
    chosen = f"gamma {best[0]:.3g}, alpha {best[1]:g}"
    # Features take a product with a square matrix, and the ridge half of one.
    return (lambda x, y: made(*best, size).fit(x, y).predict), chosen, {"flop32": 3, "flop64": 0}


def _net(depth: int, bias: float) -> object:
    import widelimit as wl

    return wl.serial(*[wl.Dense(512, 2**0.5, bias), wl.Relu()] * depth, wl.Dense(1))


class _timed:
    """Wall-clock and processor time of a block, ``s`` and ``cpu``."""

    def __enter__(self) -> "_timed":
        self.start = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.s, self.cpu = time.perf_counter() - self.start[0], time.process_time() - self.start[1]


def _gemm(kind: type, n: int = 2048) -> float:
    a = np.random.default_rng(0).standard_normal((n, n)).astype(kind)
    best = float("inf")
    for _ in range(5):
        with _timed() as product:
            a @ a
        best = min(best, product.s)
    return 2 * n**3 / best


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
