"""Runs one code cell; started as ``python -I _cell_child.py LIMITS``, with the code on standard input.

It limits itself first, then runs the code with standard output and standard error in one stream. What it says about
the end (the error and its line) goes to the real standard error, one JSON text per line. The limits are against
accidents: this is no sandbox.
"""

import contextlib
import json
import linecache
import os
import pathlib
import sys
import traceback

FILE = "<cell>"


def limit(limits):
    """Set the limits that this system knows; return the names of those that it does not."""
    try:
        import resource
    except ImportError:
        return sorted(limits)
    missing = []
    for name, value in limits.items():
        try:
            kind = getattr(resource, f"RLIMIT_{name}")
            _, hardest = resource.getrlimit(kind)
            hard = value if hardest == resource.RLIM_INFINITY else min(value, hardest)
            resource.setrlimit(kind, (hard, hard))
        except (AttributeError, ValueError, OSError):
            missing.append(name)
    # The number of processes of the superuser is not limited.
    if os.name == "posix" and os.geteuid() == 0 and "NPROC" not in missing:
        missing.append("NPROC")
    return missing


def line_of(error):
    """Return the line of the cell at which an error came up, or None."""
    if isinstance(error, SyntaxError) and error.filename == FILE:
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == FILE]
    return lines[-1] if lines else None


def run(code):
    """Run the code; return its error and the line of it, or two times None."""
    linecache.cache[FILE] = (len(code), None, code.splitlines(keepends=True), FILE)
    try:
        exec(compile(code, FILE, "exec"), {"__name__": "__main__"})
    except SystemExit as error:
        return (f"SystemExit: {error.code}", line_of(error)) if error.code else (None, None)
    except MemoryError as error:
        return "MemoryError: the cell needs more memory than it may have.", line_of(error)
    except BaseException as error:
        return "".join(traceback.format_exception_only(error)).strip(), line_of(error)
    return None, None


def main():
    """Limit this process, run the code, and say how it ended."""
    report = os.fdopen(os.dup(2), "w", encoding="utf-8")
    code = sys.stdin.buffer.read().decode("utf-8")
    sys.stdin = pathlib.Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115
    os.dup2(1, 2)
    sys.stderr = sys.stdout
    print(json.dumps({"missing": limit(json.loads(sys.argv[1]))}), file=report, flush=True)
    error, line = run(code)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    print(json.dumps({"error": error, "line": line}), file=report, flush=True)


main()
