"""Lazy or feature-learning: the diagnosis of any model on its data."""

from __future__ import annotations

import dataclasses
from typing import Any

from .._typing import ApplyFn, Array, Callable, Params
from ..arch import AbstractLayer
from ._features import FeatureFn, net_features
from ._measure import measure, prepare
from ._numbers import Rules
from ._report import Report
from ._trainer import AbstractTrainer
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
        Training inputs (n, \*input_shape) and targets (n,) or (n, o).
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
    net = network_of(f)
    if net is not None:
        f, features = net.apply, features or net_features(net)
    model, x_test = prepare(f, params, (x, y), train, x_test)
    report = measure(model, train, x_test, features, entries)
    if widths is not None:
        maker = make or _maker(net, model)
        sweep = sweep_widths(maker, (model.x, y, x_test), train, features_of, _widths(widths), (seeds, seed))
        report = dataclasses.replace(report, sweep=sweep)
    return dataclasses.replace(report, verdict=decide(report.numbers(), rules))


def network_of(f: Any) -> AbstractLayer | None:
    """Return the network of this library whose outputs ``f`` gives, as itself or as its ``apply``; else None."""
    owner = f if isinstance(f, AbstractLayer) else getattr(f, "__self__", None)
    return owner if isinstance(owner, AbstractLayer) else None
