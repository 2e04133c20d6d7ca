"""Intervals that hold their level whatever the distribution of the data, from residuals of examples held out."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from .. import _check
from .._blas import blas_threads
from ._regression import KernelRegression

CHUNK = 512


@dataclasses.dataclass(frozen=True)
class SplitConformal:
    r"""Half-widths of intervals in units of the predicted standard deviation.

    Attributes
    ----------
    quantile
        For each target, (o,); infinite where there are too few examples for the level.
    level
        What was asked for.
    """

    quantile: np.ndarray
    level: float

    def interval(self, mean: Any, std: Any) -> tuple[np.ndarray, np.ndarray]:
        r"""Return :math:`\mu \mp q\sigma` for predictions (m,) or (m, o)."""
        mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
        quantile = self.quantile[0] if mean.ndim == 1 else self.quantile
        # An infinite interval also where the standard deviation is zero.
        half = np.where(np.isinf(quantile), np.inf, np.nan_to_num(quantile, posinf=0.0) * std)
        return mean - half, mean + half


def split_conformal(y: Any, mean: Any, std: Any, *, level: float = 0.95) -> SplitConformal:
    r"""Return intervals calibrated on examples that the model has not seen.

    With scores :math:`R_i = |y_i - \mu_i|/\sigma_i` of n examples, q is the
    :math:`\lceil(n+1)\,\mathrm{level}\rceil`-th smallest. A new example that is exchangeable with them lies in
    :math:`\mu \pm q\sigma` with a probability of at least the level, and at most :math:`1/(n+1)` more if scores have
    no ties.

    Parameters
    ----------
    y, mean, std
        Targets of held-out examples, predictions and standard deviations, each (n,) or (n, o).
    level
        Between 0 and 1.

    Raises
    ------
    ValueError
        If shapes do not match, a standard deviation is not positive, or the level is not between 0 and 1.

    References
    ----------
    Lei et al. 2018, "Distribution-free predictive inference for regression", arXiv 1604.04173, algorithm 2 and eq. 12.
    """
    check_level(level)
    y, mean, std = (
        np.asarray(_check.real(a, name), np.float64) for a, name in ((y, "y"), (mean, "mean"), (std, "std"))
    )
    if not y.shape == mean.shape == std.shape or y.ndim not in (1, 2) or not len(y):
        raise ValueError(
            f"y, mean and std have shapes {y.shape}, {mean.shape}, {std.shape}; expected (n,) or (n, o) for all."
        )
    if not (std > 0).all():
        raise ValueError(f"std holds {std.min():g}; expected positive standard deviations.")
    scores = np.sort((np.abs(y - mean) / std).reshape(len(y), -1), axis=0)
    place = math.ceil((len(y) + 1) * level - 1e-9)
    quantile = scores[place - 1] if place <= len(y) else np.full(scores.shape[1], np.inf)
    return SplitConformal(quantile, level)


def jackknife_plus(model: KernelRegression, x: Any, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    r"""Return intervals from all models that lack one training example, without refitting any.

    With :math:`A = (K + rW^{-1})^{-1}` and :math:`a = A\,k(X, x)`, the model without example i predicts

    .. math::
        \mu_{-i}(x) = \mu(x) - a_i\frac{\alpha_i}{A_{ii}},\qquad
        \sigma^2_{-i}(x) = \sigma^2(x) + s^2\frac{a_i^2}{A_{ii}},\qquad
        R_i = \frac{|y_i - \mu_{-i}(x_i)|}{\sigma_{-i}(x_i)},

    and the interval reaches from the :math:`\lfloor(n+1)(1-\mathrm{level})\rfloor`-th smallest
    :math:`\mu_{-i}(x) - R_i\sigma_{-i}(x)` to the :math:`\lceil(n+1)\,\mathrm{level}\rceil`-th smallest
    :math:`\mu_{-i}(x) + R_i\sigma_{-i}(x)`. For exchangeable data and a fixed ridge it covers a new observation with a
    probability of at least :math:`2\,\mathrm{level} - 1`, in practice close to the level. Ridge, centre and spread of
    the targets are those of all data.

    Parameters
    ----------
    model
        A regression.
    x
        Inputs (m, \*input_shape). It takes :math:`2mn^2` operations.
    level
        Between 0 and 1.

    Returns
    -------
    tuple
        Lower and upper ends, (m, o) or (m,); infinite where n is too small for the level.

    Raises
    ------
    ValueError
        If the level is not between 0 and 1, or the inputs do not fit the model.

    References
    ----------
    Barber et al. 2021, "Predictive inference with the jackknife+", arXiv 1905.02928, eq. 1.3 and theorem 1; scores in
    units of a standard deviation as in Kuchibhotla and Ramdas 2020, arXiv 1910.10562, section 3.
    """
    check_level(level)
    _check.instance(model, KernelRegression, "model", "gp.kernel_regression(kernel, x, y)")
    x = np.asarray(_check.inputs(x, "x"), np.float64)
    parts = [_jackknife(model, x[i : i + CHUNK], level) for i in range(0, len(x), CHUNK)]
    low, high = (np.concatenate(part) * model.spread + model.center for part in zip(*parts, strict=True))
    return (low[:, 0], high[:, 0]) if model.vector else (low, high)


def check_level(level: float) -> None:
    """Refuse a level of coverage that is none."""
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a number between 0 and 1, such as 0.95.")


def _jackknife(model: KernelRegression, x: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    # In the units of standardised targets.
    n, diagonal = len(model.x), model.inverse.diagonal()
    cross = model.kernel(x, model.x)
    with blas_threads(n):
        weights = cross @ model.inverse
    prior = model.prior(x)
    variance = (prior - (cross * weights).sum(1)).clip(0) + model.ridge
    # Over the scale of the kernel, which is common to both and drops out of R σ.
    spread = np.sqrt(variance[:, None] + weights**2 / diagonal)
    own = np.sqrt(1 / diagonal)
    low_place, high_place = math.floor((n + 1) * (1 - level) + 1e-9), math.ceil((n + 1) * level - 1e-9)
    lows, highs = [], []
    for dual in model.dual.T:
        residual = dual / diagonal
        mean = (cross @ dual)[:, None] - weights * residual
        half = np.abs(residual) / own * spread
        lows.append(_place(mean - half, low_place))
        highs.append(_place(mean + half, high_place))
    return np.stack(lows, 1), np.stack(highs, 1)


def _place(values: np.ndarray, place: int) -> np.ndarray:
    # The place-th smallest of each row, counted from 1; outside of the row it is infinite.
    if place < 1:
        return np.full(len(values), -np.inf)
    if place > values.shape[1]:
        return np.full(len(values), np.inf)
    return np.partition(values, place - 1, axis=1)[:, place - 1]
