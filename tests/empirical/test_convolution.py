"""Convolutions in the layout that is fast inside loops: values and derivatives are those of JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from widelimit._convolution import convolve

# name -> (layouts, data, weights, groups, strides, padding, dilation of data, dilation of weights)
CASES = {
    "channels_last": (("NHWC", "HWIO", "NHWC"), (2, 8, 9, 4), (3, 2, 4, 6), 1, (1, 2), "SAME", None, None),
    "channels_first": (("NCHW", "OIHW", "NCHW"), (2, 4, 8, 9), (6, 2, 3, 2), 2, (2, 1), "VALID", None, (1, 2)),
    "one_dimension": (("NHC", "HIO", "NHC"), (2, 8, 4), (3, 1, 8), 4, (1,), [(1, 1)], (2,), None),
    "mixed": (("NHWC", "OIHW", "NCHW"), (1, 8, 9, 4), (6, 4, 3, 3), 1, (1, 1), [(1, 2), (0, 1)], (2, 1), None),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives_are_those_of_jax(name, x64):
    numbers, data, weights, groups, strides, padding, spread, dilation = CASES[name]
    rng = np.random.default_rng(0)
    x, dx, w, dw = (jnp.asarray(rng.standard_normal(shape)) for shape in (data, data, weights, weights))

    def plain(x, w):
        return lax.conv_general_dilated(x, w, strides, padding, spread, dilation, numbers, groups)

    (eqn,) = jax.make_jaxpr(plain)(x, w).eqns
    batch = jnp.stack([x, -2 * x])

    def everything(f):
        def pulled(x, w):
            y, pull = jax.vjp(lambda x, w: jnp.sin(f(x, w)), x, w)
            return pull(y)

        return f(x, w), jax.jvp(pulled, (x, w), (dx, dw)), jax.vmap(f, (0, None))(batch, w)

    mine = jax.jit(lambda: everything(lambda x, w: convolve(x, w, eqn.params)))()
    theirs = jax.jit(lambda: everything(plain))()
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * float(jnp.abs(b).max()))
