"""Distributions over outputs: the infinite ensemble during and after training, and Gaussian processes."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ..._precision import evaluate, result_dtype
from ..._typing import Array, Callable, PyTree, Scalar, Shape
from ...dynamics import ensemble_moments
from ...solve import Spectrum
from ._arguments import is_array, split
from ._get import Names, names_of, select
from ._layout import AxisNumbers, as_columns, as_matrix, as_pairs, axes_of, from_columns, output_shape
from ._training import TrainingKernel, response, scaled_time


class Gaussian(NamedTuple):
    """A Gaussian over outputs.

    Attributes
    ----------
    mean
        Of the shape of the outputs, after axes for the times.
    covariance
        Of the shape of their kernel, after axes for the times.
    """

    mean: Any
    covariance: Any


def gp_inference(
    k_train_train: Any,
    y_train: Array,
    diag_reg: Scalar = 0.0,
    diag_reg_absolute_scale: bool = False,
    trace_axes: AxisNumbers = (-1,),
) -> Callable:
    r"""Return ``predict_fn(get, k_test_train, k_test_test)``: the ensemble at the end of training.

    Parameters
    ----------
    k_train_train
        An array, or an object with kernels ``nngp`` and ``ntk``.
    y_train, diag_reg, diag_reg_absolute_scale, trace_axes
        As in `gradient_descent_mse`.
    """
    posterior = _Posterior(lambda name: _kernel_in(k_train_train, name, "k_train_train"), y_train, trace_axes)
    posterior.regularise(diag_reg, diag_reg_absolute_scale)

    def predict_fn(get: str | Names | None = None, k_test_train: Any = None, k_test_test: Any = None) -> Any:
        """Return a mean, or a `Gaussian` if ``k_test_test`` is given, of what ``get`` asks for.

        Parameters
        ----------
        get
            'nngp' (the Bayesian network), 'ntk' (the ensemble of trained networks), 'ntkgp' (a Gaussian process with
            the NTK for its covariance), or a tuple of them; None for those of 'nngp' and 'ntk' that are there.
        k_test_train, k_test_test
            Kernels like ``k_train_train``. Without ``k_test_train``: the targets themselves, with covariance zero.
        """

        def one(name: str) -> Any:
            trained, start = ("ntk" if name == "ntkgp" else name), ("nngp" if name == "ntk" else name)
            start = "ntk" if name == "ntkgp" else start
            if k_test_test is None:
                wanted = None
            elif k_test_train is None:
                wanted = True
            else:
                if name == "ntk" and (is_array(k_train_train) or is_array(k_test_train)):
                    raise ValueError(
                        "the covariance of 'ntk' needs both kernels, and k_train_train or k_test_train is one array; "
                        "expected objects with nngp and ntk, as from get=('nngp', 'ntk')."
                    )
                wanted = _kernel_in(k_test_test, start, "k_test_test")
            test = None
            if k_test_train is not None:
                needed = {trained, start} if wanted is not None else {trained}
                test = {g: _kernel_in(k_test_train, g, "k_test_train") for g in needed}
            return posterior.at(None, (trained, start), test, wanted)

        return select("Gaussians", get, one, _held(k_train_train))

    return predict_fn


def gradient_descent_mse_ensemble(
    kernel_fn: Callable,
    x_train: PyTree,
    y_train: Array,
    learning_rate: Scalar = 1.0,
    diag_reg: Scalar = 0.0,
    diag_reg_absolute_scale: bool = False,
    trace_axes: AxisNumbers = (-1,),
    **kernel_fn_train_train_kwargs: Any,
) -> Callable:
    r"""Return ``predict_fn(t, x_test, get, compute_cov, **kwargs)``: the infinite ensemble under gradient flow.

    Parameters
    ----------
    kernel_fn
        Any ``kernel_fn(x1, x2, get, **kwargs)``.
    x_train, y_train
        Inputs and targets.
    learning_rate, diag_reg, diag_reg_absolute_scale, trace_axes
        As in `gradient_descent_mse`.
    **kernel_fn_train_train_kwargs
        Keywords of ``kernel_fn``. For test inputs those of ``predict_fn`` come in their place; of tuples of two
        arrays, the first belongs to the test and the second to the training inputs.
    """
    train_kwargs = kernel_fn_train_train_kwargs
    known: dict[str, Any] = {}

    def kernels(names: Names) -> dict[str, Any]:
        missing = tuple(name for name in names if name not in known)
        if missing:
            known.update(_as_dict(kernel_fn(x_train, None, _get(missing), **train_kwargs), missing))
        return known

    posterior = _Posterior(lambda name: kernels((name,))[name], y_train, trace_axes)
    posterior.regularise(diag_reg, diag_reg_absolute_scale)

    def predict_fn(
        t: Any = None,
        x_test: PyTree | None = None,
        get: str | Names | None = None,
        compute_cov: bool = False,
        **kernel_fn_test_test_kwargs: Any,
    ) -> Any:
        r"""Return means (\*t.shape, \*outputs), or Gaussians if ``compute_cov``, at times ``t``.

        Parameters
        ----------
        t
            Times, in steps; None is the end of training.
        x_test
            Inputs; None for the training inputs, whose targets are then met exactly at the end.
        get
            'nngp' (training of the last layer), 'ntk' (of all layers), or a tuple of both; None for both.
        compute_cov
            Whether to give covariances too.
        **kernel_fn_test_test_kwargs
            Keywords of ``kernel_fn`` for the test inputs.
        """
        names = names_of(get) or ("nngp", "ntk")
        if unknown := set(names) - {"nngp", "ntk"}:
            raise ValueError(f"get is {get!r}; expected 'nngp', 'ntk' or both, and there is no {sorted(unknown)}.")
        needed = tuple(g for g in ("nngp", "ntk") if g in names or (g == "nngp" and compute_cov))
        kernels(needed)
        test, wanted = None, True if compute_cov else None
        if x_test is not None:
            mixed, own = _keywords(train_kwargs, kernel_fn_test_test_kwargs, x_train, x_test)
            test = _as_dict(kernel_fn(x_test, x_train, _get(needed), **mixed), needed)
            wanted = kernel_fn(x_test, None, "nngp", **own) if compute_cov else None
        time = None if t is None else (t, learning_rate)
        return select("Gaussians", get, lambda name: posterior.at(time, (name, "nngp"), test, wanted))

    return predict_fn


class _Posterior:
    """Outputs from the kernels of the training inputs, each factorised once."""

    def __init__(self, kernel: Callable[[str], Array], y: Array, trace_axes: AxisNumbers) -> None:
        self.kernel, self.y, self.trace = kernel, y, axes_of(trace_axes, jnp.ndim(y))

    def regularise(self, diag_reg: Scalar, absolute: bool) -> None:
        """Fix what is added to the diagonal."""
        size = jnp.size(self.y)
        self.system = functools.cache(lambda name: TrainingKernel(self.kernel(name), size, diag_reg, absolute))

    def at(self, time: tuple | None, names: tuple[str, str], test: dict[str, Any] | None, own: Any) -> Any:
        """Return the mean, and the covariance if ``own`` is given, from the kernel of training and that at the start.

        Parameters
        ----------
        time
            Times and learning rate, or None.
        names
            Kernel that governs training, and covariance at initialisation.
        test
            Kernels of test and training inputs, None for the training inputs themselves.
        own
            Covariance of the test inputs at initialisation; True for the training inputs; None if it is not wanted.
        """
        trained, start = names
        system = self.system(trained)
        dtype = result_dtype(system.k)
        if test is None and time is None:
            y, zeros = evaluate(_targets_alone, self.y, system.k, compute=jnp.float64, result=dtype)
            return y if own is None else Gaussian(y, zeros)
        nngp = None if own is None else self.kernel(start)
        moments = _Moments(jnp.shape(self.y), self.trace, system.size)
        cross = None if test is None else (test[trained], None if own is None else test[start])
        noise = system.ridge if trained == start else 0.0
        state = system.state(None if time is None else time[0])
        args = (self.y, time, cross, (None if test is None else own, nngp, noise))
        out = evaluate(moments, state, system.k, *args, compute=jnp.float64, result=dtype)
        return out[0] if own is None else Gaussian(*out)


class _Moments(eqx.Module):
    """Mean and covariance in float64."""

    shape: Shape = eqx.field(static=True)
    trace: Shape = eqx.field(static=True)
    size: int = eqx.field(static=True)

    def __call__(self, state: Any, k: Array, y: Array, time: tuple | None, cross: Any, starts: tuple) -> tuple:
        own, nngp, noise = starts
        y = as_columns(jnp.asarray(y, float), self.trace)
        t = None if time is None else scaled_time(time[0], time[1], y.dtype)
        rows = k.shape[::2] if cross is None else cross[0].shape[::2]
        pairs = k.shape if cross is None else cross[0].shape
        shape = output_shape(pairs, self.shape, self.trace)
        if cross is None:
            # On the training inputs the regularised kernel takes the place of the cross kernel.
            assert isinstance(state, Spectrum)
            trained = state.matrix
            start = None if nngp is None else as_matrix(nngp) + noise * jnp.eye(len(trained), dtype=trained.dtype)
            own = start
        else:
            trained = as_matrix(cross[0])
            start = None if cross[1] is None else as_matrix(cross[1])
            own = None if own is None else as_matrix(own)
        if own is None:
            mean = trained @ response(state, self.size, t, y)
            return (from_columns(mean, shape, self.trace),)
        assert start is not None
        assert nngp is not None
        a = response(state, self.size, t, trained.T)
        mean, covariance = ensemble_moments(a, start, own, as_matrix(nngp), noise, y)
        return from_columns(mean, shape, self.trace), as_pairs(covariance, rows, rows)


def _targets_alone(y: Array, k: Array) -> tuple[Array, Array]:
    return jnp.asarray(y, float), jnp.zeros_like(k)


def _keywords(train: dict, test: dict, x_train: PyTree, x_test: PyTree) -> tuple[dict, dict]:
    """Return the keywords for test and training inputs together, and for the test inputs alone."""
    of_train, _ = split(train, x_train)
    of_test, _ = split(test, x_test)
    mixed, own = {**train, **test}, {**train, **test}
    for name in test.keys() & train.keys():
        one, two = test[name], train[name]
        arrays = all(is_array(leaf) for leaf in jax.tree.leaves((one, two)))
        pair = all(isinstance(value, tuple) and len(value) == 2 for value in (one, two))
        if arrays and pair and name != "params":
            mixed[name] = (of_test[name], of_train[name])
        elif not arrays and one != two:
            raise ValueError(
                f"the keyword {name} of kernel_fn is {one!r} for test and {two!r} for training inputs; expected one "
                "value, or arrays."
            )
    return mixed, own


def _get(names: Names) -> str | Names:
    return names[0] if len(names) == 1 else names


def _as_dict(k: Any, names: Names) -> dict[str, Any]:
    return {name: _kernel_in(k, name, "the result of kernel_fn") for name in names}


def _kernel_in(k: Any, name: str, where: str) -> Array:
    if is_array(k):
        return k
    found = getattr(k, name, None)
    if found is None:
        raise ValueError(f"{where} holds no {name}; expected an array, or an object with the kernel {name}.")
    return found


def _held(k: Any) -> Names:
    if is_array(k):
        return ("nngp", "ntk")
    return tuple(name for name in ("nngp", "ntk") if getattr(k, name, None) is not None)
