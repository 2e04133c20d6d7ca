"""Kernels of finite networks, in the shapes and with the arguments of neural-tangents."""

from __future__ import annotations

import enum
from typing import Any

import jax

from ..._typing import Callable, Params, PyTree
from ...empirical import AbstractMethod, Auto, JacobianContraction, NTKVectorProducts, StructuredDerivatives
from ...empirical import linearize as native_linearize
from ...empirical import taylor_expand as native_taylor_expand
from ._arguments import broadcasting, is_missing, split
from ._blocks import Asked, nngp, ntk
from ._get import Names, named_tuple, names_of
from ._layout import AxisNumbers


class NtkImplementation(enum.IntEnum):
    """How an empirical NTK is computed; all give the same numbers. `AUTO` estimates costs, and measures nothing."""

    AUTO = 0
    JACOBIAN_CONTRACTION = 1
    NTK_VECTOR_PRODUCTS = 2
    STRUCTURED_DERIVATIVES = 3


METHODS: dict[NtkImplementation, Callable[[], AbstractMethod]] = {
    NtkImplementation.AUTO: Auto,
    NtkImplementation.JACOBIAN_CONTRACTION: JacobianContraction,
    NtkImplementation.NTK_VECTOR_PRODUCTS: NTKVectorProducts,
    NtkImplementation.STRUCTURED_DERIVATIVES: StructuredDerivatives,
}


def empirical_nngp_fn(f: Any, trace_axes: AxisNumbers = (-1,), diagonal_axes: AxisNumbers = ()) -> Callable:
    """Return ``nngp_fn(x1, x2, params, **kwargs)``, the products of outputs.

    Parameters
    ----------
    f
        ``f(params, x, **kwargs)``; inputs and outputs are arrays or pytrees of arrays, each output with itself.
    trace_axes
        Axes of the outputs that are averaged over.
    diagonal_axes
        Axes that are kept once. All others stand in pairs, in the order of the outputs: (n1, n2, h, h', ...).
    """
    asked = Asked(f, trace_axes, diagonal_axes)

    @broadcasting
    def nngp_fn(x1: PyTree, x2: PyTree | None, params: Params, **apply_fn_kwargs: Any) -> PyTree:
        """Return the kernel of two batches; ``x2=None`` for ``x1`` again."""
        first, second = split(apply_fn_kwargs, x1, x2)
        return nngp(asked, params, (x1, first), None if is_missing(x2) else (x2, second))

    return nngp_fn


def empirical_ntk_fn(
    f: Any,
    trace_axes: AxisNumbers = (-1,),
    diagonal_axes: AxisNumbers = (),
    vmap_axes: Any = None,
    implementation: NtkImplementation | int = NtkImplementation.JACOBIAN_CONTRACTION,
    _j_rules: bool = True,
    _s_rules: bool = True,
    _fwd: bool | None = None,
) -> Callable:
    """Return ``ntk_fn(x1, x2, params, **kwargs)``, the NTK of a network at its parameters.

    Parameters
    ----------
    f, trace_axes, diagonal_axes
        As for `empirical_nngp_fn`.
    vmap_axes
        Where examples are independent, their axis in inputs and outputs: an axis, a pytree of axes, or (axes of inputs,
        of outputs, of keywords). None for a network that mixes them, at a cost that grows with the square of the batch.
    implementation
        The method.
    _j_rules, _s_rules, _fwd
        Accepted and without effect: structured derivatives have no such rules here.
    """
    del _j_rules, _s_rules, _fwd
    asked = Asked(f, trace_axes, diagonal_axes, vmap_axes, METHODS[NtkImplementation(implementation)]())

    @broadcasting
    def ntk_fn(x1: PyTree, x2: PyTree | None, params: Params, **apply_fn_kwargs: Any) -> PyTree:
        """Return the kernel of two batches; ``x2=None`` for ``x1`` again."""
        first, second = split(apply_fn_kwargs, x1, x2)
        return ntk(asked, params, (x1, first), None if is_missing(x2) else (x2, second))

    return ntk_fn


def empirical_kernel_fn(
    f: Any,
    trace_axes: AxisNumbers = (-1,),
    diagonal_axes: AxisNumbers = (),
    vmap_axes: Any = None,
    implementation: NtkImplementation | int = NtkImplementation.JACOBIAN_CONTRACTION,
    _j_rules: bool = True,
    _s_rules: bool = True,
    _fwd: bool | None = None,
) -> Callable:
    """Return ``kernel_fn(x1, x2, get, params, **kwargs)``; ``get`` is 'nngp', 'ntk', a tuple of them, or None for both.

    Parameters
    ----------
    f, trace_axes, diagonal_axes, vmap_axes, implementation, _j_rules, _s_rules, _fwd
        As for `empirical_ntk_fn`.
    """
    fns = {
        "nngp": empirical_nngp_fn(f, trace_axes, diagonal_axes),
        "ntk": empirical_ntk_fn(f, trace_axes, diagonal_axes, vmap_axes, implementation, _j_rules, _s_rules, _fwd),
    }

    def kernel_fn(
        x1: PyTree, x2: PyTree | None, get: str | Names | None, params: Params, **apply_fn_kwargs: Any
    ) -> PyTree:
        """Return the kernels asked for; those of several outputs come as a pytree of tuples."""
        names = names_of(get) or ("nngp", "ntk")
        if unknown := set(names) - set(fns):
            raise ValueError(f"get is {get!r}; expected 'nngp', 'ntk' or both, and there is no {sorted(unknown)}.")
        kernels = [fns[name](x1, x2, params, **apply_fn_kwargs) for name in names]
        if isinstance(get, str):
            return kernels[0]
        return jax.tree.map(lambda *parts: named_tuple("EmpiricalKernel", names)(*parts), *kernels)

    return kernel_fn


def empirical_ntk_vp_fn(f: Any, x1: PyTree, x2: PyTree | None, params: Params, **apply_fn_kwargs: Any) -> Callable:
    r"""Return the product with the NTK, :math:`v \mapsto J(x_1)\,J(x_2)^\top v`, which is never formed.

    It takes cotangents like ``f(params, x2)`` and returns what is like ``f(params, x1)``. Nothing is assumed about the
    axes of ``f``; for a batch that exceeds memory see `widelimit.empirical.ntk_operator`.
    """
    first, second = split(apply_fn_kwargs, x1, x2)
    x2, second = (x1, first) if is_missing(x2) else (x2, second)

    def ntk_vp_fn(cotangents: PyTree) -> PyTree:
        """Return the product."""
        _, pull = jax.vjp(lambda p: f(p, x2, **second), params)
        return jax.jvp(lambda p: f(p, x1, **first), (params,), pull(cotangents))[1]

    return ntk_vp_fn


def linearize(f: Any, params: Params) -> Callable:
    """Return the linearisation of ``f(params, *args, **kwargs)`` in its parameters, a function of the same kind."""
    linear: Any = native_linearize(_of_rest(f), params)
    return lambda p, *args, **kwargs: linear(p, (args, kwargs))


def taylor_expand(f: Any, params: Params, degree: int) -> Callable:
    """Return the Taylor polynomial of ``f(params, *args, **kwargs)`` in its parameters, a function of the same kind."""
    polynomial: Any = native_taylor_expand(_of_rest(f), params, degree)
    return lambda p, *args, **kwargs: polynomial(p, (args, kwargs))


def _of_rest(f: Any) -> Any:
    # The native functions have one argument beside the parameters.
    return lambda p, rest: f(p, *rest[0], **rest[1])
