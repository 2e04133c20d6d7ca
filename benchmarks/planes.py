r"""The plane engine on the device that JAX has, a GPU where there is one: time per entry against the device's floor.

Rectangular NTKs in float32 of two batches of n Gaussian inputs, so that n² entries are computed. The floor is the
arithmetic of one entry, in activations and filters, at the rate of a float32 matrix product on the same device: planes
can stay in its registers, so that bytes bind nothing. ``lanes`` are the numbers that one operation works on at once, of
which the engine makes a choice of its own (`engine/_planes_size.py`).
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from widelimit.engine import Native, Planes, _planes_size
from widelimit.engine._cost import pairs_of_positions
from widelimit.engine._lowering import lowered
from widelimit.engine._program import Dual, Linear

from ._kernel_cases import CASES, KernelCase
from ._own_networks import network
from ._table import Record, show, table
from ._timing import spread

COLUMNS = {
    "case": "{case}",
    "lanes": "{variant}",
    "n": "{n}",
    "ms": "{ms:.1f}",
    "quartiles": "{ms_low:.1f}-{ms_high:.1f}",
    "µs/entry": "{us:.4g}",
    "floor": "{floor_us:.3g}",
    "/ floor": "{to_floor:.1f}",
    "first s": "{first_s:.1f}",
    "error": "{error:.0e}",
}

POOLED = [case for case in CASES if {"global", "pool"} & {row[0] for row in case.layers}]
"""The cases of `kernels` in which pairs of positions meet."""

OWN = "own choice"
"""The name of the variant in which the engine chooses."""


def device() -> Record:
    """Return what the device of JAX is, its rate of float32 products in flop/s, and of copies in bytes/s."""
    one = jax.devices()[0]
    n, size = (2048, 2**24) if one.platform == "cpu" else (8192, 2**28)
    a, b = jnp.ones((n, n), jnp.float32), jnp.ones(size, jnp.float32)
    product = jax.jit(lambda a: jnp.matmul(a, a, precision="highest"))
    seconds = min(_times(lambda: product(a), 5)), min(_times(lambda: jax.jit(jnp.negative)(b), 5))
    named = {"benchmark": "planes", "kind": "machine", "platform": one.platform, "device": one.device_kind}
    return {**named, "gemm": 2 * n**3 / seconds[0], "copy": 2 * b.nbytes / seconds[1]}


def sentence(machine: Record) -> str:
    """Return the device in words."""
    form = "{device} ({platform}), float32: GEMM {gemm:.3g} Tflop/s, copy {copy:.4g} GB/s"
    return form.format(**{**machine, "gemm": machine["gemm"] / 1e12, "copy": machine["copy"] / 1e9})


def run(machine: Record, cases: Iterable[KernelCase], n: int, lanes: list[int], rounds: int) -> Iterator[list[Record]]:
    """Yield the records of each case: one for the engine's own choice of lanes, and one for each of ``lanes``."""
    for case in cases:
        net, x = network(case), case.draw(2 * n)["x"]
        rows, columns = jnp.asarray(x[:n]), jnp.asarray(x[n:])
        exact = np.asarray(Native().block(net, x[:1], x[n:])[1])
        floor = flop_of_entry(net, case.shape) / machine["gemm"]
        records: list[Record] = []
        for count in (None, *lanes):
            with _lanes(machine["platform"], count):
                call = lambda: Planes().block(net, rows, columns)[1]  # noqa: B023, E731
                (first,) = _times(call, 1)
                times = _times(call, rounds)
                found = np.asarray(call())
            time_of_call = spread(times)
            common = {"benchmark": "planes", "kind": "variant", "case": case.name, "side": "own", "n": n}
            each = time_of_call.median / n**2
            numbers = {"us": 1e6 * each, "floor_us": 1e6 * floor, "to_floor": each / floor, "first_s": first}
            quartiles = {"ms_low": 1e3 * time_of_call.low, "ms_high": 1e3 * time_of_call.high}
            numbers |= {"ms": 1e3 * time_of_call.median, **quartiles}
            error = float(np.abs(found[0] - exact).max() / np.abs(exact).max())
            name = OWN if count is None else f"{count:,}"
            records.append({**common, "variant": name, **numbers, "rounds": rounds, "error": error})
        yield records


def flop_of_entry(net, shape: tuple[int, ...]) -> float:
    """Return the operations of one entry: of activations as XLA counts them, of filters two per array and axis."""
    program = lowered(net, shape)
    total = 0.0
    for op, pairs in zip(program.operations, pairs_of_positions(program), strict=True):
        if isinstance(op, Dual):
            total += pairs * _flop_of(op.dual)
        elif isinstance(op, Linear):
            # A running sum along each axis, of gap and NTK; then gain, covariance, weight, bias and tangent.
            total += pairs * (4 * (0 if op.window is None else len(op.window.shape)) + 8)
    return total


def report(records: list[Record]) -> None:
    """Print the records of one case."""
    show(table(f"planes: {records[0]['case']}", COLUMNS, records))


def _flop_of(dual) -> float:
    def both(q1: jax.Array, q2: jax.Array, gap: jax.Array, ntk: jax.Array) -> tuple[jax.Array, jax.Array]:
        return dual.gap(q1, q2, gap), dual.slope(q1, q2, gap) * ntk

    n = 1024
    cost = jax.jit(both).lower(*[jnp.ones(n, jnp.float32)] * 4).compile().cost_analysis()
    return (cost["flops"] + cost.get("transcendentals", 0.0)) / n


def _times(call: Callable, count: int) -> list[float]:
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        jax.block_until_ready(call())
        seconds.append(time.perf_counter() - start)
    return seconds


@contextlib.contextmanager
def _lanes(platform: str, count: int | None) -> Iterator[None]:
    before = dict(_planes_size.LANES)
    if count is not None:
        _planes_size.LANES[platform] = count
    try:
        yield
    finally:
        _planes_size.LANES.clear()
        _planes_size.LANES.update(before)
