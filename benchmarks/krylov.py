r"""Training in function space with a large kernel matrix: Lanczos against the eigendecomposition.

A ReLU NTK of depth three on n Gaussian inputs, one right-hand side, four times spread over the spectrum. Both methods
start from the matrix; differences are relative to the largest entry of the spectral result.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

import widelimit as wl
from widelimit import dynamics, gram

from ._table import Record, show, table

COLUMNS = {"method": "{variant}", "s": "{s:.2f}", "times faster": "{speedup:.1f}", "error": "{error:.1e}"}


def run(n: int, dimension: int = 20) -> list[Record]:
    """Return one record per method, the spectral one first."""
    with jax.enable_x64(True):
        matrix, y = problem(n, dimension)
        largest = float(jnp.linalg.norm(matrix @ y) / jnp.linalg.norm(y))
        t = jnp.asarray([1.0, 10.0, 100.0, 1000.0]) / largest
        results = {name: _timed(getattr(dynamics, name)(), matrix, t, y) for name in ("Spectral", "Krylov")}
    reference, slowest = results["Spectral"]
    records = []
    for name, (value, seconds) in results.items():
        error = float(np.max(np.abs(value - reference)) / np.max(np.abs(reference)))
        common = {"benchmark": "krylov", "kind": "variant", "case": f"n={n}", "side": "own", "variant": name}
        records.append({**common, "s": seconds, "speedup": slowest / seconds, "error": error})
    return records


def problem(n: int, dimension: int) -> tuple[jax.Array, jax.Array]:
    """Return a kernel matrix (n, n), made row block by row block, and targets (n, 1)."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, dimension))
    dense = [wl.Dense(64, weight_std=2**0.5, bias_std=0.1), wl.Relu()] * 3
    kernel = wl.NTK(wl.serial(*dense, wl.Dense(1)))
    rows = [np.asarray(kernel(x[i : i + 500], x)) for i in range(0, n, 500)]
    matrix = np.concatenate(rows)
    return jnp.asarray((matrix + matrix.T) / 2), jnp.asarray(np.sin(x[:, :1]) + 0.1 * rng.standard_normal((n, 1)))


def report(records: list[Record]) -> None:
    """Print the records."""
    show(table(f"krylov: {records[0]['case']}, one right-hand side, four times", COLUMNS, records))


def _timed(method: dynamics.AbstractFlowMethod, matrix: jax.Array, t: jax.Array, y: jax.Array) -> tuple:
    start = time.perf_counter()
    state = method.init(gram.Dense(matrix), 0.0)
    value = np.asarray(method.apply(state, dynamics.GradientFlow(), 1.0, t, y))
    return value, time.perf_counter() - start
