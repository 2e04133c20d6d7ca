"""Kernels of infinitely wide networks."""

import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, PyTree, Tracer
from ..arch import (
    AbstractLayer,
    Space,
    batch,
    check_kernel_limit,
    check_start,
    check_vocabulary,
    example_shape,
    explain_overflow,
    input_signal,
    is_sample,
)
from ..engine import AbstractEngine, Auto, Wanted, start
from ._base import AbstractKernel


class NNGP(AbstractKernel):
    r"""The neural network Gaussian process kernel: the covariance of a wide network at initialisation.

    .. math:: K(x, x') = \lim_{n\to\infty} E\, f(x; \theta_0) f(x'; \theta_0)

    per output; outputs are independent (Lee et al. 2018, arXiv 1711.00165; Matthews et al. 2018, arXiv 1804.11271).

    Parameters
    ----------
    net
        The architecture.
    engine
        How it is evaluated: `Auto` takes compiled loops where the architecture has a native form, and says so.

    Raises
    ------
    ValueError
        If the architecture has no limit in closed form; the message names the layer and the remedy. On evaluation, if
        a layer overflows; the message names it.
    """

    net: AbstractLayer
    engine: AbstractEngine = Auto()

    def __check_init__(self) -> None:
        """Check that the architecture has a limit on data."""
        self.net.transmit(input_signal(self.net))
        check_start(self.net)

    def block(self, x1: Array, x2: Array | None = None) -> Array:
        """Return the kernel of two batches, (n1, n2)."""
        x1 = read(self.net, x1, "x1")
        x2 = x1 if x2 is None else read(self.net, x2, "x2")
        found = self.engine.block(self.net, x1, x2, wanted=Wanted(ntk=False))
        return finite(self.net, found.nngp, x1, x2)

    def diagonal(self, x: Array) -> Array:
        """Return the kernel of each input with itself, (n,)."""
        x = read(self.net, x, "x")
        return finite(self.net, self.engine.diagonal(self.net, x).nngp, x, x)


class NTK(AbstractKernel):
    r"""The neural tangent kernel of an infinitely wide network.

    .. math:: \Theta(x, x') = \lim_{n\to\infty} \nabla_\theta f(x)\cdot\nabla_\theta f(x')

    per output; between different outputs it vanishes (Jacot et al. 2018, arXiv 1806.07572). Learning rates per layer
    count: each parameter's term is multiplied by the factor of its rate, so training at rate :math:`\eta` follows it.

    Parameters
    ----------
    net
        The architecture.
    engine
        How it is evaluated: `Auto` takes compiled loops where the architecture has a native form, and says so.

    Raises
    ------
    ValueError
        If the architecture has no limit in closed form, or its parameterization no kernel limit; the message names
        the layer and the remedy. On evaluation, if a layer overflows; the message names it.
    """

    net: AbstractLayer
    engine: AbstractEngine = Auto()

    def __check_init__(self) -> None:
        """Check that the architecture has a limit on data, and that it is a kernel machine."""
        self.net.transmit(input_signal(self.net))
        check_kernel_limit(self.net)

    def block(self, x1: Array, x2: Array | None = None) -> Array:
        """Return the kernel of two batches, (n1, n2)."""
        x1 = read(self.net, x1, "x1")
        x2 = x1 if x2 is None else read(self.net, x2, "x2")
        found = self.engine.block(self.net, x1, x2, wanted=Wanted(nngp=False))
        return finite(self.net, found.ntk, x1, x2)

    def diagonal(self, x: Array) -> Array:
        """Return the kernel of each input with itself, (n,)."""
        x = read(self.net, x, "x")
        return finite(self.net, self.engine.diagonal(self.net, x).ntk, x, x)


def read(net: AbstractLayer, x: PyTree, name: str) -> PyTree:
    """Return a batch as engines take it, refusing what does not fit the network."""
    x = batch(x, name)
    net.out_shape(example_shape(x))
    if input_signal(net).tokens:
        check_vocabulary(net, x, name)
        return x
    return jax.tree.map(lambda s: s.with_values(_floating(s.values)), x, is_leaf=is_sample)


def _floating(x: Array) -> Array:
    return x if jnp.issubdtype(x.dtype, jnp.floating) else jnp.asarray(x, float)


def finite(net: AbstractLayer, kernel: Array, x1: PyTree, x2: PyTree) -> Array:
    """Return a kernel, refusing a concrete one of finite inputs that is not finite: some layer overflows."""
    # The sum of what is finite may overflow, so that it is the entries that decide.
    if isinstance(kernel, Tracer) or bool(jnp.isfinite(jnp.sum(kernel))) or bool(jnp.isfinite(kernel).all()):
        return kernel
    where = np.argwhere(~np.isfinite(np.asarray(kernel)))[0]
    x, y = (jax.tree.map(lambda a, i=i: jnp.asarray(a)[i], many) for many, i in ((x1, where[0]), (x2, where[-1])))
    found = f"[{', '.join(map(str, where))}]"
    net, space = jax.tree.map(jnp.asarray, net), net.spatial_needed(Space.DIAGONAL)
    raise ValueError(f"the kernel at {found} is {kernel[tuple(where)]}: {explain_overflow(net, start(x, y, space))}")
