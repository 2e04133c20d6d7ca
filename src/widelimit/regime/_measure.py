"""The measurements of one training run."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._typing import ApplyFn, Array, Callable, Params, PyTree
from ..dynamics import AbstractSquaredLoss
from . import _kernels, _linear
from ._features import FeatureFn, feature_changes
from ._layers import kernel_shares, movement
from ._lazy import Laziness, laziness
from ._report import Along, Layer, Report, Training
from ._run import Model, Run, WithRest, columns, floating, loss_targets, outputs, spread
from ._trainer import AbstractTrainer, Rule
from ._verdict import UNDECIDED


class Probe(NamedTuple):
    """The training inputs on which kernel matrices are held: all of them, or a part evenly picked."""

    x: PyTree
    y: Array
    whole: bool


def prepare(
    f: ApplyFn, params: Params, data: tuple[Any, Any], train: AbstractTrainer, x_test: Any, rates: PyTree = None
) -> tuple[Model, PyTree]:
    """Check what came in; return the model on its data, and the inputs of comparison, in the dtype of the parameters.

    Parameters
    ----------
    f, params
        The model and its initial parameters.
    data
        Inputs and targets.
    train
        How it is trained.
    x_test
        Inputs of comparison, or None.
    rates
        Factors of the step size where ``train`` has none.
    """
    _check_train(train)
    if not callable(f):
        raise ValueError(f"f is {f!r}; expected a function f(params, batch), or a network of this library.")
    rule = train.rule()
    f, params = split(f, params)
    leaves = jax.tree.leaves(params)
    if not leaves:
        raise ValueError("params has no floating arrays; expected the initial parameters as a pytree of them.")
    _check.parameters(params)
    dtype = jnp.result_type(*leaves)
    x = _batch(data[0], "x", dtype)
    if x_test is not None:
        x_test = _batch(x_test, "x_test", dtype)
        _check.same_batch(x_test, x, ("x_test", "x"))
    shape = eqx.filter_eval_shape(lambda f, p, x: columns(f(p, x)), f, params, x).shape
    n = len(jax.tree.leaves(x)[0])
    if shape[0] != n:
        raise ValueError(f"f(params, x) has {shape[0]} rows for {n} examples; expected one row per example.")
    y = _cast(loss_targets(rule.loss, data[1], shape), dtype)
    rates = rates if rule.learning_rates is None else rule.learning_rates
    spread(rates, params)
    _check.finite(np.asarray(outputs(f, params, x)), "f(params, x)")
    return Model(f, params, x, y, rates), x_test


def _check_train(train: Any) -> None:
    if isinstance(train, AbstractTrainer):
        return
    remedy = "GradientDescentTrainer(learning_rate, steps)"
    if isinstance(train, list | tuple):
        remedy = "Checkpoints(params, steps), with the parameters of your run as a list"
    elif callable(train):
        remedy = "CustomTrainer(fn) with your function fn(f, params, x, y) -> (list of params, list of steps)"
    raise ValueError(f"train is of type {type(train).__name__}; expected {remedy}.")


def _batch(x: Any, name: str, dtype: Any) -> PyTree:
    # A lone floating array without a feature axis is a slip more often than a model of scalars.
    if not isinstance(x, jax.Array | np.ndarray) or jnp.issubdtype(x.dtype, jnp.integer):
        x = _check.batch(x, name)
    else:
        x = _check.inputs(x, name)
    return jax.tree.map(lambda a: _cast(a, dtype), x)


def split(f: Callable, params: Params) -> tuple[Callable, Params]:
    """Return a function of the floating arrays alone, and those; the function itself where there are no others."""
    moving = floating(params)
    if len(jax.tree.leaves(moving)) == len(jax.tree.leaves(params)):
        return f, moving
    return WithRest(f, eqx.filter(params, lambda a: not eqx.is_inexact_array(a) and not _is_floating(a))), moving


def _is_floating(a: Any) -> bool:
    return isinstance(a, np.ndarray) and bool(jnp.issubdtype(a.dtype, jnp.inexact))


def pick(model: Model, entries: int) -> Probe:
    """Return the training inputs on which kernels are held: as many as ``entries`` allows, evenly picked."""
    n, o = len(model.y), outputs(model.f, model.params, model.x).shape[1]
    if n * o <= entries:
        return Probe(model.x, model.y, True)
    chosen = np.unique(np.linspace(0, n - 1, max(2, entries // o)).astype(int))
    x, y = jax.tree.map(lambda a: a[chosen], (model.x, model.y))
    return Probe(x, y, False)


def measure(
    model: Model,
    train: AbstractTrainer,
    x_test: PyTree,
    features: FeatureFn | None,
    entries: int,
    *,
    brief: bool = False,
) -> Report:
    """Train, and measure everything but the sweep over widths; the verdict is left open.

    With ``brief`` layers and the predicted velocity, which need further derivatives, are left out.
    """
    run, probe = train.run(model), pick(model, entries)
    theta = _kernels.kernel_matrix(model, model.params, probe.x)
    cross = theta if x_test is None else _kernels.kernel_matrix(model, model.params, x_test, probe.x)
    lane = _Lane(model, train, train.rule(), run, probe, x_test, theta, cross)
    along, last = follow(lane)
    return Report(
        verdict=UNDECIDED,
        training=_training(train.rule(), run),
        along=along,
        layers=() if brief else _layers(model, last, probe.x),
        features=() if features is None else feature_changes(features, model.params, last, probe.x),
        explained=_explained(lane, last),
        laziness=_laziness(lane, along),
        predicted_velocity=None if brief else _predicted_velocity(lane),
        sweep=None,
        setting=_setting(lane, along),
    )


class _Lane(NamedTuple):
    # One run with what is known at its start: the kernel of the probe, and of the inputs of comparison against it.
    model: Model
    train: AbstractTrainer
    rule: Rule
    run: Run
    probe: Probe
    x_test: PyTree
    theta: np.ndarray
    cross: np.ndarray


def follow(lane: _Lane) -> tuple[Along, Params]:
    """Return the quantities at every snapshot, and the last parameters that are finite."""
    model, run = lane.model, lane.run
    where = model.x if lane.x_test is None else lane.x_test
    rows, functions, last, previous = [], [], model.params, lane.theta
    for i, params in enumerate(run.params):
        functions.append(np.asarray(outputs(model.f, params, where), np.float64))
        if not (_finite(params) and np.isfinite(functions[-1]).all()):
            rows.append([np.nan] * 7)
            continue
        theta = lane.theta if i == 0 else _kernels.kernel_matrix(model, params, lane.probe.x)
        since = run.steps[i] - run.steps[i - 1] if i else 1
        speed = _kernels.drift(theta - previous + lane.theta, lane.theta) / since if i else np.nan
        align = _alignment(theta, lane)
        rows.append(
            [
                movement(params, model.params)[0],
                _kernels.drift(theta, lane.theta),
                _kernels.rotation(theta, lane.theta),
                speed,
                *align,
                _sharpness(lane, params, theta),
            ]
        )
        last, previous = params, theta
    functions, tangent = np.stack(functions), _tangent_functions(lane, where)
    change, gap, tangent_gap = _gaps(functions, _linear_functions(lane, functions[0], where), tangent)
    columns = np.array(rows, np.float64).T
    return Along(np.array(run.steps), *columns, function_change=change, gap=gap, tangent_gap=tangent_gap), last


def _alignment(theta: np.ndarray, lane: _Lane) -> tuple[float, float]:
    y = np.asarray(lane.probe.y, np.float64)
    n = len(y)
    if y.ndim != 2 or theta.shape[0] != y.size:
        return np.nan, np.nan
    found = _kernels.alignment(theta, y.reshape(n, -1))
    plain, centred = (np.nan if v is None else v for v in found)
    return plain, centred


def _sharpness(lane: _Lane, params: Params, theta: np.ndarray) -> float:
    loss = lane.rule.loss
    if isinstance(loss, AbstractSquaredLoss) and lane.probe.whole:
        return loss.scale(lane.model.y.size) * _kernels.largest_eigenvalue(theta)
    return _kernels.curvature(lane.model, params, loss)


def _linear_functions(lane: _Lane, f0: np.ndarray, where: PyTree) -> np.ndarray | None:
    model = lane.model
    if lane.probe.whole and _linear.has_closed_form(lane.train):
        start = f0 if lane.x_test is None else np.asarray(outputs(model.f, model.params, model.x), np.float64)
        residual = np.asarray(model.y, np.float64) - start
        return f0 + _linear.closed_form(lane.theta, lane.cross, residual, lane.train, lane.run.steps)
    return _linear.trained(model, lane.train, lane.run, where)


def _tangent_functions(lane: _Lane, where: PyTree) -> np.ndarray:
    return np.stack([_linear.tangent_outputs(lane.model, p, where) for p in lane.run.params])


def _gaps(
    functions: np.ndarray, linear: np.ndarray | None, tangent: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    def rms(a: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.sqrt(np.mean(a**2, (1, 2)))

    change = rms(functions - functions[0])
    size = change[-1] if np.isfinite(change[-1]) and change[-1] > 0 else np.nan
    gap = np.full(len(change), np.nan) if linear is None else rms(functions - linear) / size
    # Where the linearisation has diverged and the network has not, the gap is infinite, not unknown.
    if linear is not None and np.isfinite(size):
        gap = np.where(np.isfinite(gap), gap, np.inf)
    return change, gap, rms(functions - tangent) / size


def _training(rule: Rule, run: Run) -> Training:
    rate = None if rule.learning_rate is None else float(rule.learning_rate)
    finite = bool(np.isfinite(run.losses).all()) and all(_finite(p) for p in run.params)
    every = len(run.loss_steps) == run.steps[-1] + 1
    return Training(run.steps[-1], rate, type(rule.loss).__name__, run.losses, run.loss_steps, finite, not every)


def _layers(model: Model, last: Params, x: PyTree) -> tuple[Layer, ...]:
    before = kernel_shares(model, x)
    after = kernel_shares(eqx.tree_at(lambda m: m.params, model, last), x)
    moved = movement(last, model.params)[1]
    return tuple(Layer(name, moved[name], before[name], after[name]) for name in before)


def _explained(lane: _Lane, last: Params) -> float | None:
    if lane.x_test is None or last is not lane.run.params[-1]:
        return None
    model = lane.model
    changes = [
        np.asarray(outputs(model.f, last, x), np.float64) - np.asarray(outputs(model.f, model.params, x), np.float64)
        for x in (lane.probe.x, lane.x_test)
    ]
    return _known(_linear.explained_share(lane.theta, lane.cross, *changes))


def _laziness(lane: _Lane, along: Along) -> Laziness | None:
    loss = lane.rule.loss
    if not isinstance(loss, AbstractSquaredLoss) or not along.sharpness[0] > 0:
        return None
    return laziness(lane.model, float(np.sqrt(along.sharpness[0] / loss.scale(lane.model.y.size))))


def _predicted_velocity(lane: _Lane) -> float | None:
    rate = lane.rule.learning_rate
    if rate is None or not lane.rule.plain:
        return None
    return _known(float(rate) * _kernels.predicted_velocity(lane.model, lane.probe.x, lane.rule.loss))


def _setting(lane: _Lane, along: Along) -> dict[str, Any]:
    leaves = jax.tree.leaves(lane.model.params)
    closed = lane.probe.whole and _linear.has_closed_form(lane.train)
    return {
        "examples": len(lane.model.y),
        "outputs": int(lane.theta.shape[0] // len(lane.probe.y)),
        "parameters": int(sum(a.size for a in leaves)),
        "kernel_examples": len(lane.probe.y),
        "compared_on": "the training inputs"
        if lane.x_test is None
        else f"{len(jax.tree.leaves(lane.x_test)[0])} test inputs",
        "linearisation": "not trained" if np.isnan(along.gap).all() else "closed form" if closed else "trained",
        "dtype": str(jnp.result_type(*leaves)),
    }


def _finite(params: Params) -> bool:
    return all(bool(jnp.all(jnp.isfinite(a))) for a in jax.tree.leaves(eqx.filter(params, eqx.is_inexact_array)))


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _cast(x: Any, dtype: Any) -> Array:
    return jnp.asarray(x, dtype) if jnp.issubdtype(x.dtype, jnp.floating) else jnp.asarray(x)
