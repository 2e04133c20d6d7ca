"""Closed-form training of one network at several times: Krylov against the eigendecomposition, on a realistic NTK."""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np

import widelimit as wl
from widelimit.dynamics import AbstractFlowMethod, Krylov, Spectral
from widelimit.gram import Dense

NETS = {
    "relu": wl.serial(*[wl.Dense(512, 2**0.5, 0.1), wl.Relu()] * 3, wl.Dense(1)),
    "erf": wl.serial(*[wl.Dense(512, 1.5, 0.1), wl.Erf()] * 3, wl.Dense(1)),
}
# Times in units of the largest eigenvalue's own: one, and three that reach far into the spectrum.
TIMES = np.array([1.0, 1e2, 1e4, np.inf])


def run(n: int = 8000, activation: str = "relu", tolerance: float = 1e-8) -> list[dict]:
    """Return one row: seconds of both methods from the matrix to the weights, and the largest relative difference.

    Inputs are Gaussian in 32 dimensions, the target is a smooth function of them with noise; one right-hand side,
    four times, float64.
    """
    with jax.enable_x64(True):
        gram, y = _problem(NETS[activation], n)
        largest = float(Krylov().largest(Krylov().init(gram, 0.0)))
        t = TIMES / largest
        krylov = Krylov(tolerance=tolerance)
        fast, seconds = _timed(krylov, gram, t, y)
        stats = krylov.solve(krylov.init(gram, 0.0), wl.GradientFlow(), 1.0, jnp.asarray(t), y).stats
        exact, spectral_seconds = _timed(Spectral(), gram, t, y)
        # On the training outputs, which is what training moves, relative to the target.
        difference = np.asarray(jnp.linalg.norm(gram.matmat((fast - exact)[..., 0].T), axis=0) / jnp.linalg.norm(y))
        weights = np.asarray(jnp.linalg.norm(fast - exact, axis=(1, 2)) / jnp.linalg.norm(exact, axis=(1, 2)))
    return [
        {
            "case": f"krylov flow, {activation}, depth 3, d=32, float64",
            "n": n,
            "times": len(TIMES),
            "krylov_s": seconds,
            "spectral_s": spectral_seconds,
            "ratio": spectral_seconds / seconds,
            "iterations": stats["iterations"],
            "max_relative_difference_outputs": float(difference.max()),
            "max_relative_difference_weights": float(weights.max()),
        }
    ]


def _problem(net: wl.arch.AbstractLayer, n: int, rows: int = 500) -> tuple[Dense, jax.Array]:
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(n, 32)))
    block = jax.jit(wl.NTK(net).block)
    theta = np.concatenate([np.asarray(block(x[i : i + rows], x)) for i in range(0, n, rows)])
    theta = (theta + theta.T) / 2
    y = np.sin(x @ rng.normal(size=32) / 4) + 0.1 * rng.normal(size=n)
    return Dense(jnp.asarray(theta)), jnp.asarray(y)[:, None]


def _timed(method: AbstractFlowMethod, gram: Dense, t: np.ndarray, y: jax.Array) -> tuple[jax.Array, float]:
    begin = time.perf_counter()
    out = method.apply(method.init(gram, 0.0), wl.GradientFlow(), 1.0, jnp.asarray(t), y)
    jax.block_until_ready(out)
    return out, time.perf_counter() - begin
