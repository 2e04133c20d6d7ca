"""Native layers one after another."""

from __future__ import annotations

import functools
from typing import Any

from ... import arch
from ._layer import Record, first_graph


def series(records: list[Record]) -> Record:
    """Return native layers one after another.

    Parameters
    ----------
    records
        The layers.
    """

    def first(ndim: Any) -> Any:
        return next((found for found in (r.first(ndim) for r in records) if found is not None), None)

    def flow(where: Any) -> Any:
        for r in records:
            where = r.flow(where)
        return where

    def examples(where: Any) -> tuple[slice, ...]:
        found = ()
        for r in records:
            found += r.examples(where)
            where = r.flow(where)
        return found

    @functools.cache
    def build(where: Any) -> arch.AbstractLayer:
        nets = []
        for r in records:
            nets.append(r.net(where))
            where = r.flow(where)
        return arch.Serial(tuple(nets))

    return Record(
        "serial",
        build,
        first,
        flow,
        lambda params: [r.pack(p) for r, p in zip(records, params, strict=True)],
        lambda params: tuple(r.unpack(p) for r, p in zip(records, params, strict=True)),
        first_graph(records),
        examples,
    )
