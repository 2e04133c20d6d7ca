"""Lazy or feature-learning: the diagnosis of any model on its data."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from .. import _check
from .._typing import ApplyFn, Array, Callable, Params, PyTree, Scalar, Shape
from ..arch import AbstractLayer
from ..dynamics import AbstractLoss, AbstractSquaredLoss, SumOfSquares
from ._features import FeatureFn, net_features
from ._kernels import curvature
from ._lazy import scale_output
from ._measure import measure, prepare, split
from ._networks import layer_title, network_of, network_rates, network_theory, outputs_of
from ._numbers import Rules
from ._report import Report
from ._sweep import Theory, Variant, check_widths, sweep_widths
from ._trainer import AbstractTrainer, GradientDescentTrainer
from ._verdict import decide

MakeFn = Callable[[int, Array], Any]
"""``make(width, key) -> (f, params)``, or ``(f, params, learning_rates)``."""


def diagnose(
    f: ApplyFn | AbstractLayer,
    params: Params,
    x: Any,
    y: Any,
    *,
    train: AbstractTrainer,
    x_test: Any = None,
    features: FeatureFn | None = None,
    widths: Any = None,
    make: MakeFn | None = None,
    seeds: int = 3,
    seed: int = 0,
    output_scale: Scalar | None = None,
    rules: Rules = Rules(),
    entries: int = 2048,
) -> Report:
    r"""Measure how far a model is from a kernel machine while it trains, and name its regime.

    A model is *lazy* when it trains as its linearisation at the start does, and its kernel

    .. math:: \Theta_t(x, x') = \sum_\theta\eta_\theta\,\partial_\theta f(x;\theta_t)\,\partial_\theta f(x';\theta_t)

    stays where it was (Jacot et al. 2018, arXiv 1806.07572; Chizat et al. 2019, arXiv 1812.07956); it *learns features*
    when the kernel turns. Everything is measured and stands in the report; the rules of the verdict are `Rules`, and
    explained in ``docs/regime.md``.

    Parameters
    ----------
    f
        ``f(params, batch) -> (n, o)`` or ``(n,)``, treating examples independently; or a network of this library.
    params
        The *initial* parameters, a pytree with floating arrays.
    x, y
        Training inputs (n, \*input_shape), or a pytree of such arrays of any dtype, and targets (n,) or (n, o).
    train
        How it is trained: `GradientDescentTrainer`, `CustomTrainer`, or `Checkpoints` of a run of your own.
    x_test
        Inputs on which functions are compared; None for the training inputs. With it the report has the share of the
        learnt function that the initial kernel explains.
    features
        ``features(params, batch) -> dict or list`` of representations (n, ...), one per layer. None for those of a
        network of this library, else for none.
    widths
        At least two widths at which the training is repeated, for slopes. The model has to be a network of this
        library, or ``make`` be given.
    make
        ``make(width, key) -> (f, params)``, or ``(f, params, learning_rates)``: the model at another width.
    seeds, seed
        Networks per width, and the seed of their keys.
    output_scale
        :math:`\alpha`, to diagnose :math:`\alpha(f - f_0)` in place of :math:`f`; the step size of ``train`` is not
        divided by :math:`\alpha^2`. None for the model as it is.
    rules
        Thresholds of the verdict.
    entries
        Most training entries (examples times outputs) for which kernel matrices are held. Beyond it kernels are
        measured on a part of the examples, evenly picked.

    Returns
    -------
    Report
        Print it, ``plot()`` it, or keep it with ``to_json()``.

    Raises
    ------
    ValueError
        If data, parameters or checkpoints do not fit together or are not finite.

    Notes
    -----
    Kernels, alignments and the linearised model's closed form are computed in float64, the training in the dtype of the
    parameters. Beyond training, one run costs about ten kernel matrices.
    """
    _check.positive_int(entries, "entries")
    net = network_of(f)
    function, rates = outputs_of(f), None
    if net is not None:
        features, rates = features or net_features(net), network_rates(net, params)
    if output_scale is not None:
        function = scale_output(function, output_scale, params)
    model, compared = prepare(function, params, (x, y), train, x_test, rates)
    seen = None if features is None else split(features, params)[0]
    report = measure(model, train, compared, seen, entries)
    layers = tuple(dataclasses.replace(a, name=layer_title(net, a.name)) for a in report.layers)
    theory = Theory(None, "") if net is None else network_theory(net)
    setting = {**report.setting, "rules": dataclasses.asdict(rules), "parameterization": theory.text, "r": theory.r}
    report = dataclasses.replace(report, layers=layers, setting=setting)
    if widths is not None:
        shape = jax.tree.leaves(model.x)[0].shape[1:]
        variant = _variant(net, make, features, shape, output_scale)
        keys = jax.random.split(jax.random.key(seed), _seeds(seeds))
        theory = theory if make is None else Theory(None, "")
        data = (x, y, x_test)
        sweep = sweep_widths(variant, check_widths(widths), keys, data, train, theory=theory, entries=entries)
        report = dataclasses.replace(report, sweep=sweep)
    return dataclasses.replace(report, verdict=decide(report.numbers(), rules))


def _variant(
    net: AbstractLayer | None, make: MakeFn | None, features: FeatureFn | None, shape: Shape, alpha: Scalar | None
) -> Callable[[int, Array], Variant]:
    def scaled(f: ApplyFn, params: Params) -> ApplyFn:
        return f if alpha is None else scale_output(f, alpha, params)

    if make is not None:

        def made(width: int, key: Array) -> Variant:
            result = make(width, key)
            if not isinstance(result, tuple) or len(result) not in (2, 3):
                raise ValueError(
                    "make(width, key) gave something else than two or three things; expected (f, params) or "
                    "(f, params, learning_rates)."
                )
            f, params, *rest = result
            return Variant(scaled(f, params), params, rest[0] if rest else None, features)

        return made
    if net is None:
        raise ValueError(
            "widths were given, but f is no network of this library, so its width cannot be changed; expected "
            "make=..., a function make(width, key) -> (f, params)."
        )

    def resized(width: int, key: Array) -> Variant:
        other = net.at_width(width)
        params = other.init(key, shape)
        return Variant(scaled(other.apply, params), params, network_rates(other, params), net_features(other))

    return resized


def _seeds(seeds: int) -> int:
    _check.positive_int(seeds, "seeds")
    return seeds


def sharpness(
    f: ApplyFn | AbstractLayer,
    params: Params,
    x: Any,
    y: Any,
    *,
    loss: AbstractSquaredLoss | AbstractLoss = SumOfSquares(),
    learning_rates: PyTree = None,
) -> float:
    r"""Return the largest eigenvalue of :math:`J^\top HJ`, so that 2 over it is the largest stable step at the start.

    :math:`J` is the derivative of the outputs in the parameters, :math:`H` the second one of the loss in the outputs.
    For a squared loss of scale s it is :math:`s\,\lambda_{\max}(\Theta)`. By power iteration, without forming a matrix.

    Parameters
    ----------
    f, params, x, y
        As for `diagnose`.
    loss
        Its convention fixes the unit of the step.
    learning_rates
        Factors of the step size: a pytree prefix of the parameters; None as for `GradientDescentTrainer`.
    """
    net = network_of(f)
    rates = None if net is None else network_rates(net, params)
    train = GradientDescentTrainer(0.0, 1, loss, learning_rates)
    model, _ = prepare(outputs_of(f), params, (x, y), train, None, rates)
    return curvature(model, model.params, loss)
