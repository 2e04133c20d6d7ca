"""Which inputs a fit depends on."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _check
from .._typing import AnyArray, Callable


def input_scales(predict: Callable[[Any], Any], x: AnyArray, *, step: float = 0.1) -> np.ndarray:
    r"""Return factors of the inputs in proportion to how much a fit changes with each of them.

    .. math:: s_j^2 \propto E\,(\partial f/\partial x_j)^2, \qquad
              \sum_j s_j^2\,\mathrm{Var}\,x_j = \sum_j\mathrm{Var}\,x_j

    A kernel of :math:`s\cdot x` learns which inputs matter, as networks do whose first layer moves: fit, scale, and
    fit again, twice or so. It is the diagonal of the average gradient outer product.

    Parameters
    ----------
    predict
        ``predict(x) -> (t,)`` or (t, o), such as the ``mean`` of a `FeatureRegression`.
    x
        Inputs (t, d) at which derivatives are taken; some thousand are enough.
    step
        Of the central differences, in standard deviations of each input.

    Returns
    -------
    ndarray
        Shape (d,), zero for inputs that are constant or without effect.

    Raises
    ------
    ValueError
        If inputs have space, or the fit depends on none of them.

    References
    ----------
    Radhakrishnan, Beaglehole, Pandit and Belkin 2022, arXiv 2212.13881 (recursive feature machines).
    """
    x = np.asarray(_check.inputs(x, "x"))
    if x.ndim != 2:
        raise ValueError(f"x has shape {x.shape}; expected (t, d): scales are of inputs without space.")
    spread = x.std(0, dtype=np.float64)
    squares = np.zeros(x.shape[1])
    for j in np.flatnonzero(spread > 0):
        move = np.zeros(x.shape[1], x.dtype)
        move[j] = step * spread[j]
        rise = np.asarray(predict(x + move), np.float64) - np.asarray(predict(x - move), np.float64)
        squares[j] = np.sum(rise**2) / len(x) / (2.0 * float(move[j])) ** 2
    total = squares @ spread**2
    if not (np.isfinite(total) and total > 0):
        raise ValueError("the fit is constant or not finite at x; expected one that depends on its inputs.")
    return np.sqrt(squares * np.sum(spread**2) / total)
