r"""Models of other libraries as ``(f, params)``, the form in which everything here takes a finite model.

``f(params, batch) -> outputs`` is a pure function of the trainable parameters: running statistics and other state are
held fixed inside ``f``, dropout is off. ``f`` is a pytree whose static part compares by value, so that compiled
kernels are found again when the same model is adapted twice. No library is imported before its function is called.
"""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax

from ._typing import ApplyFn, Callable, Key, Params, PyTree

Arguments = Mapping[str, Any] | None


class FunctionModel(eqx.Module):
    """A function of parameters and one example, mapped over a batch."""

    function: Callable = eqx.field(static=True)

    def __call__(self, params: Params, x: PyTree) -> PyTree:
        """Return the outputs of a batch."""
        return jax.vmap(self.function, (None, 0))(params, x)


class LinenModel(eqx.Module):
    """A Flax linen module with its state."""

    module: Any = eqx.field(static=True)
    arguments: tuple[tuple[str, Any], ...] = eqx.field(static=True)
    method: str | None = eqx.field(static=True)
    state: PyTree
    rngs: PyTree

    def __call__(self, params: Params, x: PyTree) -> PyTree:
        """Return the outputs of a batch."""
        from flax.errors import ModifyScopeVariableError

        variables, method = {**self.state, "params": params}, self.method
        try:
            return self.module.apply(variables, x, rngs=self.rngs, method=method, **dict(self.arguments))
        except ModifyScopeVariableError as error:
            raise ValueError(
                "the module changes its state in a call, as batch normalisation in training does; expected evaluation "
                f"mode, such as arguments={{'train': False}}. Flax says: {str(error).partition(' (http')[0]}"
            ) from None


class NNXModel(eqx.Module):
    """A Flax NNX module taken apart."""

    graph: Any = eqx.field(static=True)
    arguments: tuple[tuple[str, Any], ...] = eqx.field(static=True)
    state: PyTree

    def __call__(self, params: Params, x: PyTree) -> PyTree:
        """Return the outputs of a batch."""
        from flax import nnx

        return nnx.merge(self.graph, params, self.state)(x, **dict(self.arguments))


class EquinoxModel(eqx.Module):
    """An Equinox module without its floating arrays."""

    rest: PyTree
    state: PyTree
    per_example: bool = eqx.field(static=True)

    def __call__(self, params: Params, x: PyTree) -> PyTree:
        """Return the outputs of a batch."""
        model = eqx.combine(params, self.rest)

        def call(x: PyTree) -> PyTree:
            return model(x) if self.state is None else model(x, self.state)[0]

        return jax.vmap(call)(x) if self.per_example else call(x)


class HaikuModel(eqx.Module):
    """A transformed Haiku function with its state and random key."""

    apply: Callable = eqx.field(static=True)
    arguments: tuple[tuple[str, Any], ...] = eqx.field(static=True)
    stateful: bool = eqx.field(static=True)
    takes_rng: bool = eqx.field(static=True)
    state: PyTree
    rng: Key | None

    def __call__(self, params: Params, x: PyTree) -> PyTree:
        """Return the outputs of a batch."""
        state = (self.state,) if self.stateful else ()
        rng = (self.rng,) if self.takes_rng else ()
        out = self.apply(params, *state, *rng, x, **dict(self.arguments))
        return out[0] if self.stateful else out


def from_function(f: Callable, params: Params, *, per_example: bool = False) -> tuple[ApplyFn, Params]:
    """Return a model written in plain JAX.

    Parameters
    ----------
    f
        ``f(params, batch) -> outputs``, or ``f(params, example) -> outputs`` if ``per_example``.
    params
        A pytree of arrays.
    per_example
        Whether ``f`` takes one example; it is then mapped over the batch.
    """
    return (FunctionModel(f) if per_example else f), params


def from_linen(
    module: Any,
    variables: Mapping[str, Any],
    *,
    arguments: Arguments = None,
    method: str | None = None,
    rngs: Mapping[str, Key] | None = None,
) -> tuple[ApplyFn, Params]:
    """Return a Flax linen module; all collections but ``"params"`` (running statistics, say) are held fixed.

    Parameters
    ----------
    module
        A ``flax.linen.Module``.
    variables
        What ``module.init`` returned, or the variables after training.
    arguments
        Keyword arguments of its call that are no arrays, such as ``{"train": False}``.
    method
        Name of the method that is called; None for ``__call__``.
    rngs
        Keys of modules that draw random numbers in every call; they are the same in each.

    Raises
    ------
    ValueError
        If ``module`` is no linen module or ``variables`` holds no ``"params"``; at the call, if the module wants to
        change its state.
    """
    linen = _library("flax.linen", "flax")
    if not isinstance(module, linen.Module):
        raise ValueError(f"module is {_kind(module)}; expected a flax.linen.Module (for flax.nnx use from_nnx).")
    if module.scope is not None:
        raise ValueError("module is bound to variables; pass both parts of 'module, variables = module.unbind()'.")
    if not isinstance(variables, Mapping) or "params" not in variables:
        names = list(variables) if isinstance(variables, Mapping) else _kind(variables)
        raise ValueError(
            f"variables holds {names}; expected the collections that module.init returned, 'params' among them. "
            "For bare parameters p pass {'params': p}."
        )
    state = {name: value for name, value in variables.items() if name != "params"}
    f = LinenModel(module, _hashable(arguments), method, state, None if rngs is None else dict(rngs))
    return f, variables["params"]


def from_nnx(model: Any, *, arguments: Arguments = None) -> tuple[ApplyFn, Params]:
    """Return a Flax NNX module in evaluation mode: all variables but ``nnx.Param`` are held fixed.

    Parameters
    ----------
    model
        A ``flax.nnx.Module``; it is copied, and the copy put into evaluation mode.
    arguments
        Keyword arguments of its call that are no arrays.

    Returns
    -------
    tuple
        ``f`` and the parameters as an ``nnx.State``, which ``nnx.update(model, params)`` writes back.

    Raises
    ------
    ValueError
        If ``model`` is no NNX module.
    """
    nnx = _library("flax.nnx", "flax")
    if not isinstance(model, nnx.Module):
        raise ValueError(f"model is {_kind(model)}; expected a flax.nnx.Module (for flax.linen use from_linen).")
    copy = nnx.clone(model)
    copy.eval()
    graph, params, state = nnx.split(copy, nnx.Param, ...)
    return NNXModel(graph, _hashable(arguments), state), params


def from_equinox(model: Any, *, state: Any = None, per_example: bool = True) -> tuple[ApplyFn, Params]:
    """Return an Equinox module in inference mode: its floating arrays are the parameters.

    Parameters
    ----------
    model
        A callable ``equinox.Module``.
    state
        The ``equinox.nn.State`` of a model that is called as ``model(x, state)``; it is held fixed.
    per_example
        Whether the model takes one example, as Equinox layers do; it is then mapped over the batch.

    Raises
    ------
    ValueError
        If ``model`` is no callable Equinox module.
    """
    if not isinstance(model, eqx.Module) or not callable(model):
        raise ValueError(f"model is {_kind(model)}; expected an equinox.Module that can be called.")
    if state is not None:
        # Initial values of the state would count as parameters.
        model = eqx.nn.delete_init_state(model)
    params, rest = eqx.partition(eqx.nn.inference_mode(model), eqx.is_inexact_array)
    return EquinoxModel(rest, state, per_example), params


def from_haiku(
    transformed: Any,
    params: Params,
    *,
    state: Any = None,
    rng: Key | None = None,
    arguments: Arguments = None,
) -> tuple[ApplyFn, Params]:
    """Return a Haiku function; its state is held fixed.

    Parameters
    ----------
    transformed
        What ``hk.transform``, ``hk.transform_with_state`` or ``hk.without_apply_rng`` returned.
    params
        Its parameters, from ``transformed.init``.
    state
        Its state, for ``hk.transform_with_state``.
    rng
        Key of a function that draws random numbers in every call; it is the same in each.
    arguments
        Keyword arguments of the function that are no arrays, such as ``{"is_training": False}``.

    Raises
    ------
    ValueError
        If ``transformed`` is not transformed, or its state is missing.
    """
    haiku = _library("haiku", "dm-haiku")
    stateful = isinstance(transformed, haiku.TransformedWithState)
    if not stateful and not isinstance(transformed, haiku.Transformed):
        raise ValueError(f"transformed is {_kind(transformed)}; expected the result of hk.transform(function).")
    if stateful and state is None:
        raise ValueError("state is None; expected the state of hk.transform_with_state: 'params, state = t.init(...)'.")
    if not stateful and state is not None:
        raise ValueError("state was given, but hk.transform has none; use hk.transform_with_state or leave it out.")
    takes_rng = "rng" in inspect.signature(transformed.apply).parameters
    if rng is not None and not takes_rng:
        raise ValueError("rng was given, but hk.without_apply_rng takes none; leave one of the two out.")
    return HaikuModel(transformed.apply, _hashable(arguments), stateful, takes_rng, state, rng), params


def _library(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ImportError(f"this adapter needs {package}: pip install {package}") from None


def _hashable(arguments: Arguments) -> tuple[tuple[str, Any], ...]:
    items = tuple(sorted((arguments or {}).items()))
    for name, value in items:
        if isinstance(value, jax.Array) or value.__hash__ is None:
            raise ValueError(
                f"arguments[{name!r}] is {_kind(value)}; expected settings such as True, numbers or strings. "
                "Close over arrays in a function of your own instead."
            )
    return items


def _kind(value: Any) -> str:
    kind = type(value)
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {kind.__module__}.{kind.__qualname__}"
