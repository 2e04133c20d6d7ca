"""The record of kernels: parts, order of axes, masks and arithmetic, against kernels of random functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import normal

from widelimit.compat.neural_tangents import Kernel

pytestmark = pytest.mark.usefixtures("x64")
S1, S2 = (3, 2, 5, 4), (2, 2, 5, 4)


def record(one, two=None, *, diagonal=False, batch=True, **fields):
    """Return the products of functions (n, h, w, channels), summed over channels."""
    other = one if two is None else two

    def spatial(a, b, lead):
        axes = "nhwc,nHWc->nhHwW" if lead == 1 else "nhwc,mHWc->nmhHwW"
        if diagonal:
            axes = axes.replace("H", "h").replace("W", "w").replace("hh", "h").replace("ww", "w")
        return jnp.einsum(axes, a, b)

    own = 1 if batch else 2
    values = {
        "nngp": spatial(one, other, 2),
        "ntk": 3 * spatial(one, other, 2),
        "cov1": spatial(one, one, own),
        "cov2": None if two is None else spatial(two, two, own),
        "x1_is_x2": two is None,
        "is_gaussian": True,
        "is_reversed": False,
        "is_input": False,
        "diagonal_batch": batch,
        "diagonal_spatial": diagonal,
        "shape1": one.shape,
        "shape2": other.shape,
        "batch_axis": 0,
        "channel_axis": 3,
    }
    return Kernel(**{**values, **fields})


def close(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-12), a, b)


def functions():
    return normal(0, *S1), normal(1, *S2)


BOTH = pytest.mark.parametrize("diagonal", [False, True], ids=["pairs", "diagonal"])


@BOTH
def test_parts_are_kernels_of_parts(diagonal):
    f, g = functions()
    k = record(f, g, diagonal=diagonal)
    for idx in (np.s_[1:], np.s_[:, 1], np.s_[..., 1:3, :], np.s_[:, 0, ::2], np.s_[0:1, :, -1, :]):
        # A position that is taken alone leaves no axis.
        numbers = (
            {i + 1 for i, part in enumerate(idx[1:]) if isinstance(part, int)} if isinstance(idx, tuple) else set()
        )
        part = k[idx]
        expected = record(
            *(
                h[
                    tuple(
                        slice(p, p + 1 or None) if isinstance(p, int) else p
                        for p in (idx if isinstance(idx, tuple) else (idx,))
                    )
                ]
                for h in (f, g)
            ),
            diagonal=diagonal,
        )
        assert part.shape1 == f[idx].shape
        assert part.channel_axis == 3 - len(numbers)
        for name in ("nngp", "ntk", "cov1", "cov2"):
            np.testing.assert_allclose(
                getattr(part, name), getattr(expected, name).reshape(getattr(part, name).shape), atol=1e-12
            )
    close(k.slice(slice(1, 3), slice(0, 1)), record(f[1:], g[:1], diagonal=diagonal))
    alone = record(f, diagonal=diagonal)
    close(alone.slice(slice(0, 2), slice(2, 3)).replace(x1_is_x2=False), record(f[:2], f[2:], diagonal=diagonal))


@BOTH
@pytest.mark.parametrize("batch", [True, False])
def test_orders_of_axes(diagonal, batch):
    f, g = functions()
    k = record(f, g, diagonal=diagonal, batch=batch)
    turned = record(*(jnp.transpose(h, (0, 2, 1, 3)) for h in (f, g)), diagonal=diagonal, batch=batch)
    close(k.transpose((1, 0)), turned.replace(shape1=k.shape1, shape2=k.shape2))
    close(k.transpose(), k)
    close(k.reverse(), turned.replace(shape1=k.shape1, shape2=k.shape2, is_reversed=True))
    close(k.reverse().reverse(), k)
    # Indices mean the positions of the functions, in whatever order the axes stand.
    close(k.reverse()[:, 1].nngp, k[:, 1].nngp)


@BOTH
@pytest.mark.parametrize("batch", [True, False])
def test_masks_leave_the_kernels_of_what_is_not_masked(diagonal, batch):
    f, g = functions()
    one, two = normal(2, 3, 2, 5, 1) > 0.5, normal(3, 2, 1, 5, 1) > 0.5
    k = record(f, g, diagonal=diagonal, batch=batch)
    expected = record(jnp.where(one, 0, f), jnp.where(two, 0, g), diagonal=diagonal, batch=batch)
    close(k.mask(one, two), expected.replace(mask1=one, mask2=two))
    close(k.mask(None, two), record(f, jnp.where(two, 0, g), diagonal=diagonal, batch=batch, mask2=two))
    close(k.mask(one, None), record(jnp.where(one, 0, f), g, diagonal=diagonal, batch=batch, mask1=one))
    close(k.reverse().mask(one, two).reverse(), k.mask(one, two))
    close(k.mask(None, None), k)
    alone = record(f, diagonal=diagonal, batch=batch)
    masked = alone.mask(one, None)
    close(masked, record(jnp.where(one, 0, f), diagonal=diagonal, batch=batch, mask1=one))
    # A part of it has the mask of the first batch on both sides.
    part = masked.slice(slice(0, 2), slice(1, 3))
    np.testing.assert_array_equal(part.mask2, one[1:])
    with pytest.raises(NotImplementedError, match="masks of single channels"):
        k.mask(jnp.broadcast_to(one, S1), None)


def test_arithmetic_is_that_of_functions():
    f, g = functions()
    k = record(f, g)
    for scaled in (k * -2.0, -2.0 * k, k / -0.5, -(k * 2.0)):
        close(scaled, record(2 * f, 2 * g))
    for moved in (k + 3.0, k - 3.0):
        np.testing.assert_allclose(moved.nngp, k.nngp + 9)
        np.testing.assert_allclose(moved.cov2, k.cov2 + 9)
        np.testing.assert_array_equal(moved.ntk, k.ntk)
    zero = k.replace(ntk=jnp.zeros(()), cov2=None)
    assert (zero * 2.0).ntk.shape == zero.reverse().ntk.shape == zero[1:].ntk.shape == ()
    assert (k.replace(ntk=None) + 1.0).ntk is None


def test_it_is_a_record_and_a_pytree():
    k = record(*functions())
    assert k.astuple()[:2] == (k.nngp, k.ntk)
    close(Kernel(**k.asdict()), k)
    close(jax.jit(lambda k: k.replace(ntk=None))(k), k.replace(ntk=None))
    assert len(jax.tree.leaves(k)) == 5
    close(jax.vmap(lambda k: k * 2.0)(jax.tree.map(lambda a: jnp.asarray(a)[None], k)).nngp[0], 4 * k.nngp)


def test_what_cannot_be_indexed():
    k = record(*functions())
    with pytest.raises(NotImplementedError, match="channels"):
        k[..., 0]
    with pytest.raises(NotImplementedError, match="expected a slice"):
        k[0]
    with pytest.raises(ValueError, match="at most 4"):
        k[:, :, :, :, :]
    with pytest.raises(ValueError, match="no known length"):
        k.replace(shape1=(-1, *S1[1:]))[1:]
