"""A kernel with the inputs of its matrix: where tiles come from, and what they are known by."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._precision import evaluate, result_dtype
from .._typing import Array, PyTree, Tracer
from ..arch import as_samples, cleared, example_shape
from ..empirical import Trace
from ..engine import Auto, Native, on_one_thread
from ..kernels import NNGP, NTK, AbstractKernel, EmpiricalNNGP, EmpiricalNTK


class Source(eqx.Module):
    """A kernel and n inputs.

    Parameters
    ----------
    kernel
        A kernel with one number for two inputs.
    x
        n inputs, an array or a pytree of arrays.
    """

    kernel: AbstractKernel
    x: PyTree

    @classmethod
    def of(cls, kernel: Any, x: Any) -> Source:
        """Return a kernel and inputs, checked; zeros stand where a position of an input is missing."""
        check_kernel(kernel)
        return cls(kernel, _check.batch(cleared(x), "x"))

    @property
    def n(self) -> int:
        """How many inputs there are."""
        return jax.tree.leaves(self.x)[0].shape[0]

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the matrix."""
        return result_dtype(*jax.tree.leaves(self.x))

    def ready(self) -> Source:
        """Return the same as tiles need it.

        Inputs are in NumPy, where slices cost nothing (random keys stay with JAX); where compiled loops compute the
        whole matrix, they compute small tiles too.
        """
        kernel, x = self.kernel, jax.tree.map(_to_host, self.x)
        if isinstance(kernel, NTK | NNGP) and isinstance(kernel.engine, Auto):
            kernel.net.out_shape(example_shape(as_samples(x)))
            if isinstance(kernel.engine.select(kernel.net, x).engine, Native):
                kernel = dataclasses.replace(kernel, engine=dataclasses.replace(kernel.engine, few=1))
        return Source(kernel, x)

    def part(self, rows: slice | range, columns: slice | range) -> np.ndarray:
        """Return the matrix at rows and columns, of which equal ones are computed as a symmetric matrix."""
        x1 = _picked(self.x, rows)
        found = np.asarray(self.kernel(x1) if rows == columns else self.kernel(x1, _picked(self.x, columns)))
        if found.ndim != 2:
            raise ValueError(f"kernel gives arrays of shape {found.shape}; expected one number for two inputs, (n, n).")
        if not np.isfinite(found.sum()) and not np.isfinite(found).all():
            i, j = (int(a) for a in np.argwhere(~np.isfinite(found))[0])
            raise ValueError(
                f"the kernel of inputs {_number(rows, i)} and {_number(columns, j)} is {found[i, j]}; expected finite "
                "numbers. Look at these inputs, and at the parameters of the kernel."
            )
        return found

    def some(self, count: int) -> Source:
        """Return the same with the first inputs alone."""
        return Source(self.kernel, _picked(self.x, slice(count)))

    def traced_part(self, rows: Array, columns: Array) -> Array:
        """Return the matrix at rows and columns that JAX may trace."""
        one, other = (jax.tree.map(lambda a, index=index: jnp.asarray(a)[index], self.x) for index in (rows, columns))
        return self.kernel.block(one, other)

    def diagonal(self) -> Any:
        """Return the kernel of each input with itself, (n,)."""
        return evaluate(lambda s: s.kernel.diagonal(s.x), self, compute=self.dtype, result=self.dtype)


def tile_on_one_thread(source: Source, spans: tuple[slice, slice]) -> np.ndarray:
    """Return a tile, computed on one thread: the same bytes whatever the number of cores."""
    with on_one_thread():
        return source.part(*spans)


def check_kernel(kernel: Any) -> None:
    """Refuse what is no kernel with one number for two inputs."""
    _check.instance(kernel, AbstractKernel, "kernel", "widelimit.NTK(net)")
    if isinstance(kernel, EmpiricalNTK | EmpiricalNNGP) and not isinstance(kernel.outputs, Trace):
        name = type(kernel.outputs).__name__
        raise ValueError(
            f"kernel keeps outputs apart ({name}), which gives no matrix (n, n); use outputs=Trace(), or "
            "gram.EmpiricalNTKGram for an empirical NTK with outputs=Full()."
        )


def is_traced(*trees: PyTree) -> bool:
    """Whether JAX is tracing any of these, or the code around."""
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((trees, jnp.zeros(()))))


def columns_of(v: Any, n: int) -> Any:
    """Return v, refusing what is not (n, k)."""
    if np.ndim(v) != 2 or np.shape(v)[0] != n:
        raise ValueError(f"v has shape {np.shape(v)}; expected ({n}, k). For one vector use v[:, None].")
    return v


def given(a: np.ndarray, dtype: np.dtype) -> Any:
    """Return an array in a dtype, to JAX where JAX does not round it."""
    a = a.astype(dtype, copy=False)
    return jnp.asarray(a) if jax.dtypes.canonicalize_dtype(dtype) == dtype else a


def entries_of(picked: slice, n: int) -> range:
    """Return the entries that a slice picks of n."""
    return range(n)[picked]


def _number(picked: slice | range, i: int) -> int:
    return picked.start + i if isinstance(picked, slice) else picked[i]


def _picked(x: PyTree, rows: slice | range) -> PyTree:
    if isinstance(rows, range):
        rows = slice(rows.start, rows.stop if rows.stop >= 0 else None, rows.step)
    return jax.tree.map(lambda a: a[rows], x)


def _to_host(leaf: Any) -> Any:
    return leaf if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else np.asarray(leaf)
