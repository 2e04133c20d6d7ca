r"""How fast the kernel of a finite network starts to move: the first step of the neural tangent hierarchy.

Under gradient flow :math:`\dot\theta = -\eta\,\partial_\theta L` the outputs obey
:math:`\dot f_\alpha = -\Theta_{\alpha\beta}\,\partial L/\partial f_\beta`, and the kernel itself

.. math:: \dot\Theta_{\alpha\beta} = -\sum_\gamma K^{(3)}_{\alpha\beta\gamma}\,\frac{\partial L}{\partial f_\gamma},
          \qquad K^{(3)}_{\alpha\beta\gamma} = \nabla\Theta_{\alpha\beta}\cdot\eta\,\nabla f_\gamma

(Huang & Yau 2019, arXiv 1909.08156; Dyer & Gur-Ari 2019, arXiv 1909.11304). It vanishes as 1/n with the width. The
third-order kernel is never built: :math:`\dot\Theta = \frac{d}{ds}\Theta(\theta + s\dot\theta)` is one forward
derivative through the computation of the kernel.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _check
from .._typing import ApplyFn, Array, Callable, Params, PyTree
from ._method import AbstractMethod
from ._outputs import AbstractOutputs, Trace
from ._problem import Problem, flatten
from ._structured import StructuredDerivatives


class KernelVelocity(eqx.Module):
    r"""A kernel and its derivative in time.

    Attributes
    ----------
    kernel
        :math:`\Theta`, of the shape that the outputs ask for.
    velocity
        :math:`\dot\Theta`, of the same shape.
    """

    kernel: Array
    velocity: Array

    @property
    def relative_speed(self) -> Array:
        r""":math:`\|\dot\Theta\|_F / \|\Theta\|_F`, per unit of time.

        Its inverse is the time after which the kernel would have moved by its own size, had it kept this speed.
        """
        return jnp.linalg.norm(jnp.ravel(self.velocity)) / jnp.linalg.norm(jnp.ravel(self.kernel))


def flow_direction(
    f: ApplyFn,
    params: Params,
    x: PyTree,
    y: PyTree,
    loss: Callable[[PyTree, PyTree], Array],
    *,
    learning_rates: PyTree = None,
) -> Params:
    r"""Return the velocity of the parameters under gradient flow, :math:`\dot\theta = -\eta\,\partial_\theta L`.

    Parameters
    ----------
    f
        ``f(params, batch) -> outputs``.
    params
        Its parameters.
    x, y
        The training set.
    loss
        ``loss(outputs, y)``, one number for the whole training set: ``wl.SumOfSquares().value``, for example. Its
        scale fixes the unit of time.
    learning_rates
        Factor of each parameter: a pytree prefix of ``params`` of numbers, booleans or arrays; None for one.

    Returns
    -------
    Params
        A pytree like ``params``, zero where nothing is trained.

    Raises
    ------
    ValueError
        If the loss is not one real number.
    """
    flat = flatten(Problem(f, params, learning_rates))
    every, treedef = jax.tree.flatten(params)

    def objective(leaves: list[Array]) -> Array:
        value = jnp.asarray(loss(f(_with(every, treedef, flat.index, leaves), x), y))
        if value.shape or not jnp.issubdtype(value.dtype, jnp.floating):
            raise ValueError(
                f"loss returned an array of shape {value.shape} and dtype {value.dtype}; expected one real number for "
                "the whole training set. Sum or average over examples and outputs."
            )
        return value

    gradients = jax.grad(objective)(flat.leaves)
    moves = [jnp.asarray(-rate * g, g.dtype) for rate, g in zip(flat.rates, gradients, strict=True)]
    return _with([jnp.zeros_like(leaf) for leaf in every], treedef, flat.index, moves)


def kernel_velocity(
    f: ApplyFn,
    params: Params,
    direction: Params,
    x1: PyTree,
    x2: PyTree | None = None,
    *,
    outputs: AbstractOutputs = Trace(),
    learning_rates: PyTree = None,
    method: AbstractMethod = StructuredDerivatives(),
) -> KernelVelocity:
    r"""Return the empirical NTK and its derivative along a direction, :math:`\frac{d}{ds}\Theta(\theta + s\,d)|_{s=0}`.

    Parameters
    ----------
    f
        ``f(params, batch) -> outputs``, treating the examples of a batch independently.
    params
        Its parameters, a pytree of floating arrays.
    direction
        A pytree like ``params``: `flow_direction` for training, or any other direction.
    x1, x2
        Batches; ``x2=None`` for ``x1`` again.
    outputs
        What becomes of the output axes.
    learning_rates
        Factor of each parameter in the kernel, as for `flow_direction`.
    method
        How the kernel is computed.

    Returns
    -------
    KernelVelocity
        Kernel and velocity, of shape (n1, n2) for `Trace`, (n1, n2, o) for `Diagonal`, (n1, n2, o, o) for `Full`.

    Raises
    ------
    ValueError
        If ``direction`` does not have the structure and shapes of ``params``.

    Notes
    -----
    About three times the cost of the kernel alone, and twice its memory.
    """
    _check.parameters(params)
    every, treedef = jax.tree.flatten(params)
    if jax.tree.structure(direction) != treedef:
        raise ValueError(f"direction has the structure {jax.tree.structure(direction)}; expected that of params.")
    moves = jax.tree.leaves(direction)
    if [jnp.shape(d) for d in moves] != [jnp.shape(p) for p in every]:
        raise ValueError(f"direction has leaves of shapes {[jnp.shape(d) for d in moves]}; expected those of params.")
    index = flatten(Problem(f, params, learning_rates)).index

    def kernel(leaves: list[Array]) -> Array:
        return method.block(Problem(f, _with(every, treedef, index, leaves), learning_rates), x1, x2, outputs)

    leaves = [jnp.asarray(every[i]) for i in index]
    tangents = [jnp.asarray(moves[i], leaf.dtype) for i, leaf in zip(index, leaves, strict=True)]
    return KernelVelocity(*jax.jvp(kernel, (leaves,), (tangents,)))


def _with(every: list[Any], treedef: Any, index: list[int], leaves: list[Array]) -> Params:
    full = list(every)
    for i, leaf in zip(index, leaves, strict=True):
        full[i] = leaf
    return jax.tree.unflatten(treedef, full)
