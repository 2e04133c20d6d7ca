"""Times and sizes in words."""


def time_in_words(seconds: float) -> str:
    """Return a time such as ``"12 s"``."""
    if seconds < 1e-3:
        return "1 ms" if seconds > 5e-4 else "less than 1 ms"
    if seconds < 1:
        return f"{max(1, round(1000 * seconds))} ms"
    return (
        f"{seconds:.2g} s"
        if seconds < 100
        else f"{round(seconds / 60)} min"
        if seconds < 7200
        else f"{round(seconds / 3600)} h"
    )


def memory_in_words(count: float) -> str:
    """Return a number of bytes such as ``"1.5 GB"``."""
    return f"{max(1, round(count / 2**20))} MB" if count < 2**30 else f"{count / 2**30:.2g} GB"
