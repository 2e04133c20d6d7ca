"""One side of a comparison: a process that answers requests, one JSON object a line, and is idle in between.

Requests: ``load`` a case, ``first`` call of a variant (which compiles; its result goes to a file), ``time`` a variant,
``memory`` of one call, and, of our side, ``predict``. Runs under any interpreter that has NumPy, old ones included.
"""

import gc
import json
import os
import re
import sys
import time

import numpy as np


def serve(side):
    """Answer requests from stdin until it ends.

    ``side`` has ``load(network, params, x)`` (which returns the names of its variants) and ``call(variant)`` (which
    returns the finished kernel).
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print belongs to the log
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = ACTIONS[request.pop("do")](side, **request)
        except Exception as error:  # the other end decides what to make of it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)


def load(side, network, file):
    """Read the weights and inputs of a case."""
    with np.load(file) as arrays:
        params = [arrays[f"p{i}"] for i in range(len(arrays) - 1)]
        return {"variants": side.load(network, params, arrays["x"])}


def first(side, variant, file):
    """Call a variant for the first time and write the kernel to a file."""
    start = time.perf_counter()
    kernel = side.call(variant)
    seconds = time.perf_counter() - start
    np.save(file, np.asarray(kernel))
    return {"seconds": seconds}


def timed(side, variant, least):
    """Return the median of repeated calls that together last ``least`` seconds or more, and their processor time."""
    seconds, processor = [], time.process_time()
    while not seconds or sum(seconds) < least:
        start = time.perf_counter()
        side.call(variant)
        seconds.append(time.perf_counter() - start)
    used = time.process_time() - processor
    return {"seconds": float(np.median(seconds)), "processor": used / len(seconds)}


def memory(side, variant):
    """Return by how many bytes one warm call raises the resident memory at most; None where the system cannot say."""
    side.call(variant)
    gc.collect()
    time.sleep(0.5)  # buffers are released behind the call's back
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak starts again from what is resident now
        before = _status("VmRSS")
    except OSError:
        return {"bytes": None}
    kept = side.call(variant)
    peak = _status("VmHWM")
    del kept
    return {"bytes": peak - before}


def _status(key):
    with open("/proc/self/status") as file:
        return 1024 * int(re.search(key + r":\s+(\d+)", file.read()).group(1))


def predict(side):
    """Return what the side expects of its variants."""
    return side.predict()


ACTIONS = {"load": load, "predict": predict, "first": first, "time": timed, "memory": memory}
