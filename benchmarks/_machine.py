"""What this machine can do, measured: single-precision matrix products and copies, on one core and on all."""

import concurrent.futures
import json
import os
import subprocess
import sys
import time


def measure() -> dict[str, float]:
    """Return GEMM rates (flop/s) and copy bandwidths (bytes read and written per second), on one core and on all.

    Each is the best of several tries, in a process of its own that is confined to the cores.
    """
    one, every = _measured(1), _measured(None)
    return {
        "cores": every["cores"],
        **{f"{k}_1": one[k] for k in ("gemm", "copy")},
        "gemm": max(every["gemm"], one["gemm"]),
        "copy": max(every["copy"], one["copy"]),
    }


def sentence(machine: dict[str, float]) -> str:
    """Return the measured rates in words."""
    giga = {key: value / 1e9 for key, value in machine.items() if key[:4] in ("gemm", "copy")}
    form = (
        "{cores} cores, float32: GEMM {gemm_1:.0f} Gflop/s on one and {gemm:.0f} on all, "
        "copy {copy_1:.1f} and {copy:.1f} GB/s"
    )
    return form.format(cores=machine["cores"], **giga)


def _measured(cores: int | None) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks._machine", *([str(cores)] if cores else [])]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _main(cores: int | None) -> None:
    if "sched_setaffinity" in dir(os):
        available = sorted(os.sched_getaffinity(0))[:cores]
        os.sched_setaffinity(0, available)
    else:
        available = list(range(os.cpu_count() or 1))
    print(json.dumps({"cores": len(available), "gemm": _gemm(), "copy": _copy(len(available))}))


def _gemm(n: int = 2048) -> float:
    # The best of XLA's and NumPy's: what is wanted is a bound.
    import jax
    import numpy as np

    a = np.random.default_rng(0).standard_normal((n, n)).astype(np.float32)
    b = jax.numpy.asarray(a)
    product = jax.jit(lambda b: b @ b)
    seconds = min(_best(lambda: product(b).block_until_ready()), _best(lambda: a @ a))
    return 2 * n**3 / seconds


def _copy(threads: int, size: int = 2**26) -> float:
    import numpy as np

    source, target = np.ones(size, np.float32), np.zeros(size, np.float32)
    parts = [slice(i * size // threads, (i + 1) * size // threads) for i in range(threads)]
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        seconds = _best(lambda: list(pool.map(lambda part: np.copyto(target[part], source[part]), parts)))
    return 2 * source.nbytes / seconds


def _best(call, tries: int = 7) -> float:
    seconds = []
    for _ in range(tries):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    _main(int(sys.argv[1]) if len(sys.argv) > 1 else None)
