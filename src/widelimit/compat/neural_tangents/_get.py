"""What ``get`` asks for: one kernel by its name, several as a namedtuple, or everything."""

import collections
import functools
from typing import Any

from ..._typing import Callable

Names = tuple[str, ...]


def names_of(get: str | Names | None) -> Names | None:
    """Return the names in ``get`` in lower case; None for None.

    Raises
    ------
    ValueError
        If ``get`` is empty or names something twice.
    """
    if get is None:
        return None
    names = (get,) if isinstance(get, str) else tuple(get)
    names = tuple(name.lower() for name in names)
    if not names or not all(names):
        raise ValueError(f"get is {get!r}; expected a name such as 'ntk', a tuple of names, or None.")
    if len(set(names)) < len(names):
        raise ValueError(f"get is {get!r}; expected different names.")
    return names


def select(kind: str, get: str | Names | None, value: Callable[[str], Any], every: Names = ("nngp", "ntk")) -> Any:
    """Return ``value(name)`` for a string, else a namedtuple called ``kind`` of the values asked for, in their order.

    Parameters
    ----------
    kind
        Name of the type of a tuple.
    get
        A name, a tuple of names, or None for ``every``. Upper and lower case are the same.
    value
        From a name in lower case to its value.
    every
        The names for None.
    """
    names = names_of(get)
    if isinstance(get, str):
        assert names is not None
        return value(names[0])
    names = every if names is None else names
    return named_tuple(kind, names)(*[value(name) for name in names])


@functools.cache
def named_tuple(kind: str, names: Names) -> type:
    """Return one type for each kind and names, so that two results are pytrees of one structure."""
    return collections.namedtuple(kind, names)
