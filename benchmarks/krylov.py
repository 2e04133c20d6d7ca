r"""Training in function space with a large kernel matrix: Lanczos against the eigendecomposition.

An NTK of depth three on n Gaussian inputs in 32 dimensions, one right-hand side, four times in units of
:math:`1/\lambda_{\max}`: 1, 100, 10⁴ and infinity; float64. Both methods start from the matrix and end with the
weights at all times, once to compile and once to measure where that is cheap (Krylov). Errors are those of the
outputs on the training inputs, relative to the norm of the targets.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

import widelimit as wl
from widelimit.dynamics import AbstractFlowMethod, Krylov, Spectral
from widelimit.gram import Dense

from ._table import Record, show, table

COLUMNS = {"method": "{variant}", "s": "{s:.2f}", "times faster": "{speedup:.1f}", "error": "{error:.1e}"}
NETS = {
    "relu": wl.serial(*[wl.Dense(512, 2**0.5, 0.1), wl.Relu()] * 3, wl.Dense(1)),
    "erf": wl.serial(*[wl.Dense(512, 1.5, 0.1), wl.Erf()] * 3, wl.Dense(1)),
}
TIMES = np.array([1.0, 1e2, 1e4, np.inf])


def run(n: int, activation: str = "relu") -> list[Record]:
    """Return one record per method, the spectral one first."""
    with jax.enable_x64(True):
        gram, y = problem(n, activation)
        krylov = Krylov()
        t = TIMES / float(krylov.largest(krylov.init(gram, 0.0)))
        _timed(krylov, gram, t, y)
        fast, seconds = _timed(krylov, gram, t, y)
        exact, slowest = _timed(Spectral(), gram, t, y)
        error = float(jnp.max(jnp.linalg.norm(gram.matmat((fast - exact)[..., 0].T), axis=0)) / jnp.linalg.norm(y))
    common = {"benchmark": "krylov", "kind": "variant", "case": f"{activation} n={n}", "side": "own"}
    return [
        {**common, "variant": "Spectral", "s": slowest, "speedup": 1.0, "error": 0.0},
        {**common, "variant": "Krylov", "s": seconds, "speedup": slowest / seconds, "error": error},
    ]


def problem(n: int, activation: str) -> tuple[Dense, jax.Array]:
    """Return a kernel matrix (n, n), made row block by row block, and noisy smooth targets (n, 1)."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 32))
    kernel = wl.NTK(NETS[activation])
    matrix = np.concatenate([np.asarray(kernel(x[i : i + 500], x)) for i in range(0, n, 500)])
    y = np.sin(x @ rng.standard_normal(32) / 4) + 0.1 * rng.standard_normal(n)
    return Dense(jnp.asarray((matrix + matrix.T) / 2)), jnp.asarray(y)[:, None]


def report(records: list[Record]) -> None:
    """Print the records."""
    show(table(f"krylov: {records[0]['case']}, one right-hand side, four times", COLUMNS, records))


def _timed(method: AbstractFlowMethod, gram: Dense, t: np.ndarray, y: jax.Array) -> tuple[jax.Array, float]:
    start = time.perf_counter()
    out = method.apply(method.init(gram, 0.0), wl.GradientFlow(), 1.0, jnp.asarray(t), y)
    return jax.block_until_ready(out), time.perf_counter() - start
