"""Networks by name, such as ``cntk:14``, or from a file of JSON."""

import pathlib
from collections.abc import Iterator

from .. import arch
from .._typing import Callable
from ._table import suggestion

WIDTH = 512
"""Of hidden layers; no kernel depends on it."""

WEIGHT_STD = 2**0.5


def _conv(strides: tuple[int, int] = (1, 1)) -> arch.Conv:
    return arch.Conv(WIDTH, (3, 3), WEIGHT_STD, 0.0, strides=strides, padding=arch.Zeros())


def _dense(depth: int) -> arch.Serial:
    hidden = (arch.Dense(WIDTH, WEIGHT_STD, 0.1), arch.Relu())
    return arch.serial(*hidden * depth, arch.Dense(1))


def _cntk(tail: Callable[[], arch.AbstractLayer]) -> Callable[[int], arch.Serial]:
    return lambda depth: arch.serial(*(_conv(), arch.Relu()) * depth, tail(), arch.Dense(1))


def _myrtle(*stages: int) -> Callable[[int], arch.Serial]:
    def build(_: int) -> arch.Serial:
        pool = arch.AvgPool((2, 2))
        body = [layer for count in stages for layer in ((_conv(), arch.Relu()) * count + (pool,))]
        return arch.serial(*body, pool, pool, arch.Flatten(), arch.Dense(1))

    return build


def _wide_resnet(depth: int) -> arch.Serial:
    def blocks() -> Iterator[arch.AbstractLayer]:
        for group in range(3):
            for i in range((depth - 4) // 6):
                first = (2, 2) if group and i == 0 else (1, 1)
                body = arch.serial(arch.Relu(), _conv(first), arch.Relu(), _conv())
                if i:
                    yield arch.residual(body)
                else:
                    yield from (arch.FanOut(2), arch.parallel(body, _conv(first)), arch.Sum())

    return arch.serial(_conv(), *blocks(), arch.GlobalAvgPool(), arch.Dense(1))


NETWORKS: dict[str, tuple[Callable[[int], arch.Serial], int | None]] = {
    "dense": (_dense, 3),
    "cntk": (_cntk(arch.GlobalAvgPool), 14),
    "cntk-flatten": (_cntk(arch.Flatten), 14),
    "myrtle5": (_myrtle(2, 1, 1), None),
    "myrtle7": (_myrtle(2, 2, 2), None),
    "myrtle10": (_myrtle(3, 3, 3), None),
    "wide-resnet": (_wide_resnet, 16),
}
"""What makes each, and its depth if none is given; None where there is one only."""


def network(name: str) -> arch.AbstractLayer:
    """Return a network of ReLU with weight variance 2, or the one in a file.

    Parameters
    ----------
    name
        ``dense``: hidden layers and a readout, biases of 0.1. ``cntk``, ``cntk-flatten``: 3×3 convolutions, then
        global average pooling or flattening. ``myrtle5``, ``myrtle7``, ``myrtle10``: those of Shankar et al. 2020
        (arXiv 2003.02237), with average pooling. ``wide-resnet``: three groups of residual blocks. Those without a
        number in their name may have a depth behind a colon, as in ``cntk:14``: hidden layers; of ``wide-resnet``
        4 + 6k. Or the path of a ``.json`` file that `to_json` made.

    Raises
    ------
    ValueError
        If there is no such network or file, or the file holds none.
    """
    if name.endswith(".json"):
        return _stored(pathlib.Path(name))
    kind, colon, given = name.partition(":")
    if kind not in NETWORKS:
        raise ValueError(
            f"net is {name!r}; expected one of {', '.join(NETWORKS)}, with a depth as in 'cntk:14', or a .json file."
            + suggestion(kind, list(NETWORKS))
        )
    build, depth = NETWORKS[kind]
    if colon and depth is None:
        raise ValueError(f"net is {name!r}, but {kind} has one depth only; leave {colon + given!r} out.")
    if colon:
        if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= 1000:
            raise ValueError(f"net is {name!r}; expected a depth from 1 to 1000 behind the colon.")
        depth = int(given)
        if kind == "wide-resnet" and (depth < 10 or depth % 6 != 4):
            raise ValueError(f"net is {name!r}; expected a depth of 4 + 6k, such as 10, 16, 22 or 28.")
    return build(depth or 0)


def _stored(path: pathlib.Path) -> arch.AbstractLayer:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(f"net is {str(path)!r}, which cannot be read: {reason}.") from None
    try:
        return arch.from_json(text)
    except ValueError as error:
        raise ValueError(f"net is {str(path)!r}, which holds no network: {error}") from None
