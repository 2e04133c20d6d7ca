"""The kernel of a finite model."""

from .._typing import ApplyFn, Array, Params
from ..empirical import AbstractOutputs, Trace, empirical_ntk, empirical_ntk_diagonal
from ._base import AbstractKernel


class EmpiricalNTK(AbstractKernel):
    r"""The neural tangent kernel of a finite model at given parameters.

    .. math:: \Theta_{ab}(x, x') = \nabla_\theta f_a(x)\cdot\nabla_\theta f_b(x')

    Parameters
    ----------
    f
        Any ``f(params, batch) -> (n, o)`` or ``(n,)`` that treats examples independently.
    params
        A pytree of floating arrays.
    outputs
        `Trace` (default): the mean over outputs, (n1, n2), which converges to `NTK` with width;
        `Full`: all pairs of outputs, (n1, n2, o, o).
    """

    f: ApplyFn
    params: Params
    outputs: AbstractOutputs = Trace()

    def block(self, x1: Array, x2: Array) -> Array:
        """Return the kernel of two batches."""
        return empirical_ntk(self.f, self.params, x1, x2, outputs=self.outputs)

    def diagonal(self, x: Array) -> Array:
        """Return the kernel of each input with itself."""
        return empirical_ntk_diagonal(self.f, self.params, x, outputs=self.outputs)
