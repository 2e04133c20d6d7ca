"""Which layer makes a kernel overflow? Asked after a kernel of finite inputs came out infinite or NaN."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._base import AbstractLayer
from ._branches import Parallel
from ._compose import Residual, Serial
from ._join import sum_pairs
from ._pair import Pair
from ._repeat import Repeat
from ._step import step


def explain_overflow(net: AbstractLayer, pair: Any) -> str:
    """Return a sentence that names the first layer behind which the moments of a pair of inputs are not finite.

    Parameters
    ----------
    net
        The network.
    pair
        The pair at its input, a tuple of pairs for several inputs; concrete.
    """
    kind = jax.tree.leaves(pair)[0].dtype
    if not _finite(pair):
        return f"the products of the inputs are not finite in {kind}. Scale the inputs down{_wider(kind)}."
    found = _walk(net, "", pair)
    if isinstance(found, str):
        return found
    return "the kernel is not finite, though every layer by itself is."


def _walk(layer: AbstractLayer, path: str, pair: Any) -> Any:
    # The pair behind a part, or the sentence about the first layer in it that is not finite.
    if isinstance(layer, Serial):
        return _through([(one, _under(path, i)) for i, one in enumerate(layer.layers)], pair)
    if isinstance(layer, Repeat):
        return _through([(layer.body, f"{path} (repetition {i})") for i in range(layer.times)], pair)
    if isinstance(layer, Residual):
        branch = _walk(layer.body, _under(path, "branch"), pair)
        return branch if isinstance(branch, str) else _judged(layer, path, pair, sum_pairs((pair, branch)))
    if isinstance(layer, Parallel):
        found = [_walk(b, _under(path, i), p) for i, (b, p) in enumerate(zip(layer.branches, pair, strict=True))]
        return next((f for f in found if isinstance(f, str)), tuple(found))
    return _judged(layer, path, pair, step(layer, pair))


def _through(parts: list[tuple[AbstractLayer, str]], pair: Any) -> Any:
    for layer, path in parts:
        pair = _walk(layer, path, pair)
        if isinstance(pair, str):
            break
    return pair


def _judged(layer: AbstractLayer, path: str, before: Any, after: Any) -> Any:
    if _finite(after):
        return after
    kind = jax.tree.leaves(after)[0].dtype
    where = f"layer {path}" if path else "the layer"
    written = jax.tree.map(lambda a: np.asarray(a).item() if np.ndim(a) == 0 else a, layer)
    return (
        f"{where} of the network, {written!r}, is the first whose moments are not finite in {kind}: the largest E u^2 "
        f"goes from {_largest(before, 'xx', 'yy')} to {_largest(after, 'xx', 'yy')}, the NTK from "
        f"{_largest(before, 'ntk')} to {_largest(after, 'ntk')}. Give smaller weight_std and bias_std to this layer "
        f"and those before it{_wider(kind)}."
    )


def _finite(pair: Any) -> bool:
    return all(bool(jnp.isfinite(a).all()) for a in jax.tree.leaves(pair) if jnp.issubdtype(a.dtype, jnp.floating))


def _largest(pair: Any, *names: str) -> str:
    pairs = [p for p in jax.tree.leaves(pair, is_leaf=lambda a: isinstance(a, Pair)) if isinstance(p, Pair)]
    # max of NumPy keeps NaN.
    return f"{np.max([np.max(np.abs(np.asarray(getattr(p, n), np.float64))) for p in pairs for n in names]):.3g}"


def _wider(kind: Any) -> str:
    return "" if kind == np.float64 else ", or give float64 inputs"


def _under(path: str, i: Any) -> str:
    return f"{path}.{i}" if path else str(i)
