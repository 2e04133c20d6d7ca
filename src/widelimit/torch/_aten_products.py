"""Products with weights: matrices, convolutions, look-ups of rows."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from .._typing import Array, Callable

Sizes = tuple[int, ...]


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Return x Wᵀ + b."""
    out = lax.dot_general(x, weight, (((x.ndim - 1,), (weight.ndim - 1,)), ((), ())))
    return out if bias is None else out + bias


def addmm(added: Array, x: Array, y: Array, beta: float = 1, alpha: float = 1) -> Array:
    """Return beta a + alpha x y."""
    product = jnp.matmul(x, y)
    return (added if beta == 1 else beta * added) + (product if alpha == 1 else alpha * product)


def einsum(equation: str, operands: tuple[Array, ...], path: Any = None) -> Array:  # noqa: ARG001
    """Return an Einstein sum."""
    return jnp.einsum(equation, *operands)


class Windows(NamedTuple):
    """The settings of a convolution, as PyTorch lists them."""

    stride: Sizes
    padding: Sizes
    dilation: Sizes
    transposed: bool
    more: Sizes
    groups: int


def convolution(x: Array, weight: Array, bias: Array | None, *settings: Any) -> Array:
    r"""Return a convolution of (n, c, \*space), or its transpose; the settings are those of `Windows`."""
    stride, padding, dilation, transposed, more, groups = Windows(*settings)
    rank = x.ndim - 2
    stride, padding, dilation, more = (s * rank if len(s) == 1 else s for s in (stride, padding, dilation, more))
    edges, moves, holes = [(p, p) for p in padding], stride, (1,) * rank
    if transposed:
        # The transpose is a convolution of x with stride - 1 zeros between its entries, by the mirrored window.
        reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        edges = [(r - p, r - p + m) for r, p, m in zip(reach, padding, more, strict=True)]
        moves, holes = holes, stride
        weight = jnp.flip(weight, tuple(range(2, 2 + rank)))
        split = jnp.reshape(weight, (groups, weight.shape[0] // groups, *weight.shape[1:]))
        weight = jnp.reshape(jnp.swapaxes(split, 1, 2), (-1, split.shape[1], *weight.shape[2:]))
    out = lax.conv_general_dilated(
        x, weight, moves, edges, lhs_dilation=holes, rhs_dilation=dilation, feature_group_count=groups
    )
    return out if bias is None else out + jnp.reshape(bias, (1, -1, *(1,) * rank))


def embedding(
    weight: Array,
    rows: Array,
    padding: int = -1,
    by_frequency: bool = False,  # noqa: ARG001
    sparse: bool = False,  # noqa: ARG001
) -> Array:
    """Return rows of a table; the row ``padding`` is not trained."""
    out = jnp.take(weight, rows, axis=0)
    return out if padding < 0 else jnp.where((rows == padding)[..., None], lax.stop_gradient(out), out)


RULES: dict[str, Callable] = {
    "addmm": addmm, "baddbmm": addmm, "bmm": jnp.matmul, "convolution": convolution, "dot": jnp.dot,
    "einsum": einsum, "embedding": embedding, "linear": linear, "matmul": jnp.matmul, "mm": jnp.matmul,
    "mv": jnp.matmul,
}  # fmt: skip
