r"""The gradients of a model in factored form, so that their inner products are cheap.

The gradient of output a in a weight matrix that meets data in the product :math:`y = hW` is the outer product
:math:`h\,g_a^\top` of the operand and the signal :math:`g_a = \partial f_a/\partial y`. It is never formed: inner
products factor, :math:`\langle h g^\top, h' g'^\top\rangle = (h\cdot h')(g\cdot g')` (Novak et al. 2022,
arXiv 2206.08720, "structured derivatives"). Parameters used in any other way keep their Jacobian.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._jaxpr import Product, expose, find_products, trace
from .._typing import ApplyFn, Array, Params


class Features(eqx.Module):
    """Gradients of n examples and o outputs.

    Attributes
    ----------
    factors
        Pairs (h, g) of shapes (n, c) and (n, o, q), whose outer product is the gradient in a (c, q) weight.
    jacobians
        Gradients of all other parameters, each (n, o, p).
    """

    factors: list[tuple[Array, Array]]
    jacobians: list[Array]


def gradient_features(f: ApplyFn, params: Params, x: Array) -> Features:
    """Return the gradients of ``f`` on a batch, factored where a weight meets a vector in a matrix product."""
    leaves, treedef = jax.tree.flatten(params)

    def one(leaves: list[Array], x: Array) -> Array:
        return jnp.ravel(f(jax.tree.unflatten(treedef, leaves), x[None])[0])

    closed = trace(one, leaves, x[0])
    products = [p for p in find_products(closed, len(leaves)) if _meets_one_vector(p, leaves[p.leaf])]
    exposed = expose(closed, products)
    rest = [i for i in range(len(leaves)) if i not in {p.leaf for p in products}]

    def example(x: Array) -> tuple[list[tuple[Array, Array]], list[Array]]:
        def outputs(kept: list[Array], shifts: list[Array]) -> tuple[Array, list[Array]]:
            full = list(leaves)
            for i, leaf in zip(rest, kept, strict=True):
                full[i] = leaf
            (out,), operands = exposed([*full, x], shifts)
            return out, operands

        shifts = [jnp.zeros(p.shape, p.dtype) for p in products]
        out, pull, operands = jax.vjp(outputs, [leaves[i] for i in rest], shifts, has_aux=True)
        jacobians, signals = jax.vmap(pull)(jnp.eye(out.size, dtype=out.dtype))
        factors = [(jnp.ravel(h), _flat(g)) for h, g in zip(operands, signals, strict=True)]
        return factors, [_flat(j) for j in jacobians]

    return Features(*jax.vmap(example)(x))


def feature_size(f: ApplyFn, params: Params, x: Any) -> int:
    """Return the number of entries of the features of one example."""
    shapes = jax.eval_shape(lambda params, x: gradient_features(f, params, x), params, x[:1])
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def _meets_one_vector(product: Product, weight: Array) -> bool:
    # All axes of the operand are contracted but those of length one: the gradient is an outer product.
    axes = product.contracting[product.weight_side]
    free = weight.size
    for axis in axes:
        free //= weight.shape[axis]
    size = 1
    for length in product.shape:
        size *= length
    return size == free


def _flat(a: Array) -> Array:
    return jnp.reshape(a, (a.shape[0], -1))
