r"""Classification by an average of one-vs-all kernel regressions, weighed by what each says of rows left out.

For a kernel matrix K (n, n), targets Y (n, c) that are 1 at the class of a row and 0 elsewhere, and a ridge r, the
regression with a free intercept is

.. math::
    f(x) = k(x)^\top A + b, \qquad A = G(Y - 1b), \quad b = \frac{1^\top G\,Y}{1^\top G\,1}, \quad G = (K + rI)^{-1},

and the fit to all rows but i has, with no further solve (Allen 1974; Rasmussen and Williams 2006, section 5.4.2), the
value

.. math:: f_{-i}(x_i) = y_i - A_i / D_i, \qquad D_i = G_{ii} - (G1)_i^2 / (1^\top G\,1).

One eigendecomposition :math:`K = V\Lambda V^\top` gives G for all ridges. With the error
:math:`e_m = \frac1n\sum_i |y_i - f^m_{-i}(x_i)|^2` of each pair m of a kernel and a ridge, the average is

.. math:: f = \sum_m w_m f^m, \qquad w_m \propto \exp(-\eta\,n\,e_m),

the aggregate with exponential weights (Dalalyan and Tsybakov 2008, arXiv 0803.2839): n small, it is a mean over much of
the grid, because nothing tells its members apart; n large, it is the best of them. It costs one matrix of weights per
kernel, because ridges are averaged before prediction. Where n is too large for many eigendecompositions, members are
weighed on some of the rows, and the few that count are fitted to all of them by Cholesky (`members`, `fitted`).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.special

from .. import _check

AVERAGED_RIDGES = tuple(10.0**i for i in range(-6, 3))


class InterceptPath(NamedTuple):
    """One kernel at r ridges: weights (r, n, c), intercepts (r, c), and values on each row left out, (r, n, c)."""

    weights: np.ndarray
    intercepts: np.ndarray
    left_out: np.ndarray


class Fit(NamedTuple):
    """One kernel's part of an average: weights (n, c) and intercept (c,), times its share."""

    weights: np.ndarray
    intercept: np.ndarray


class Average(NamedTuple):
    r"""An average of regressions: :math:`f(x) = \sum_k k_k(x)^\top A_k + b`.

    Attributes
    ----------
    weights
        :math:`A_k`, (k, n, c); for kernels as they were given, not scaled.
    intercept
        b, (c,).
    left_out
        What the average says of each row left out of all its members, (n, c). The weights of the average know the row.
    shares
        Share of each kernel and ridge, (k, r), summing to 1.
    errors
        Mean squared error of each kernel and ridge on rows left out, (k, r), summed over classes.
    """

    weights: np.ndarray
    intercept: np.ndarray
    left_out: np.ndarray
    shares: np.ndarray
    errors: np.ndarray

    def decision(self, kernels: Iterable[np.ndarray]) -> np.ndarray:
        """Return the values f (m, c) at m inputs, from their kernels with the n rows of the fit, in order, (m, n)."""
        found = self.intercept
        for kernel, weights in zip(kernels, self.weights, strict=True):
            found = found + np.asarray(kernel, float) @ weights
        return found


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return targets (n, classes) from labels (n,) in 0..classes-1."""
    return np.eye(classes)[np.asarray(labels)]


def intercept_path(kernel: np.ndarray, targets: np.ndarray, ridges: Sequence[float] = AVERAGED_RIDGES) -> InterceptPath:
    r"""Return kernel ridge regression with an intercept at all ridges, with its values on rows left out.

    Parameters
    ----------
    kernel
        :math:`K`, symmetric and positive semi-definite, (n, n).
    targets
        Y, (n, c).
    ridges
        Positive numbers, in units of the mean of the kernel's diagonal.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite, n < 2, the kernel's trace or a ridge is not positive.
    """
    k, y = _problem(kernel, targets)
    if not all(np.isfinite(r) and r > 0 for r in ridges) or not len(ridges):
        raise ValueError(f"ridges is {tuple(ridges)}; expected one or more positive numbers.")
    scale = _scale(k)
    values, vectors = scipy.linalg.eigh((k + k.T) / (2 * scale), driver="evd", overwrite_a=True)
    values = np.maximum(values, 0)
    ones, inner, squares = vectors.sum(0), vectors.T @ y, vectors**2
    paths = []
    for ridge in ridges:
        inverse = 1 / (values + ridge)
        g1 = vectors @ (inverse * ones)
        total = float(ones @ (inverse * ones))
        intercept = (ones * inverse) @ inner / total
        a = vectors @ (inverse[:, None] * (inner - np.outer(ones, intercept)))
        diagonal = squares @ inverse - g1**2 / total
        paths.append((a / scale, intercept, y - a / diagonal[:, None]))
    return InterceptPath(*(np.array(part) for part in zip(*paths, strict=True)))


def averaged(
    kernels: Iterable[np.ndarray],
    targets: np.ndarray,
    ridges: Sequence[float] = AVERAGED_RIDGES,
    *,
    sharpness: float = 0.5,
) -> Average:
    r"""Return the average over kernels and ridges with weights :math:`\exp(-\eta\,n\,e)`.

    Kernels are taken one at a time, so that an iterator keeps only one in memory.

    Parameters
    ----------
    kernels
        Matrices K of the same n rows, (n, n) each.
    targets
        Y, (n, c).
    ridges
        Positive numbers, in units of the mean of each kernel's diagonal.
    sharpness
        :math:`\eta`, positive. One half is a Gaussian likelihood of unit variance; infinity is the best pair alone.

    Raises
    ------
    ValueError
        If there is no kernel, or as in `intercept_path`.
    """
    if not sharpness > 0:
        raise ValueError(f"sharpness is {sharpness}; expected a positive number, or infinity for the best pair alone.")
    n = len(targets)
    errors, members = [], []
    for kernel in kernels:
        path = intercept_path(kernel, targets, ridges)
        error = np.mean(np.sum((path.left_out - targets) ** 2, axis=2), axis=1)
        share = exponential_shares(error, n, sharpness)
        errors.append(error)
        members.append([np.tensordot(share, part, 1) for part in path])
    if not errors:
        raise ValueError("kernels is empty; expected one or more matrices.")
    shares = exponential_shares(np.array(errors), n, sharpness)
    each = shares.sum(1)
    weights, intercepts, left_out = (np.array(part) for part in zip(*members, strict=True))
    weights = each[:, None, None] * weights
    return Average(weights, each @ intercepts, np.tensordot(each, left_out, 1), shares, np.array(errors))


def exponential_shares(errors: np.ndarray, n: int, sharpness: float) -> np.ndarray:
    r"""Return :math:`w_m \propto \exp(-\eta\,n\,e_m)`, of the shape of the errors, summing to 1."""
    excess = np.asarray(errors, float) - np.min(errors)
    if np.isinf(sharpness):
        best = (excess == 0).astype(float)
        return best / best.sum()
    share = np.exp(-sharpness * n * excess)
    return share / share.sum()


def members(shares: np.ndarray, *, total: float = 0.95, most: int = 8) -> np.ndarray:
    """Return shares of the largest members, up to ``total`` or ``most`` of them, the rest zero; they sum to 1."""
    flat = np.ravel(shares)
    order = np.argsort(-flat, kind="stable")
    count = min(int(np.searchsorted(np.cumsum(flat[order]), total)) + 1, most)
    kept = np.zeros_like(flat)
    kept[order[:count]] = flat[order[:count]]
    return np.reshape(kept / kept.sum(), np.shape(shares))


def fitted(kernel: np.ndarray, targets: np.ndarray, ridges: Sequence[float], shares: np.ndarray) -> Fit:
    r"""Return the average of one kernel's regressions with shares (r,) of its ridges, a Cholesky each.

    Raises
    ------
    ValueError
        As in `intercept_path`; LinAlgError where a ridge is too small for the matrix.
    """
    k, y = _problem(kernel, targets)
    scale = _scale(k)
    weights, intercept = np.zeros_like(y), np.zeros(y.shape[1])
    columns = np.concatenate([y, np.ones((len(y), 1))], axis=1)
    for ridge, share in zip(ridges, shares, strict=True):
        if share:
            factor = scipy.linalg.cho_factor(k / scale + ridge * np.eye(len(k)), overwrite_a=True, check_finite=False)
            solved = scipy.linalg.cho_solve(factor, columns, check_finite=False)
            gy, g1 = solved[:, :-1], solved[:, -1]
            b = np.sum(gy, axis=0) / np.sum(g1)
            weights, intercept = weights + share * (gy - np.outer(g1, b)) / scale, intercept + share * b
    return Fit(weights, intercept)


def temperature(left_out: np.ndarray, labels: np.ndarray) -> float:
    r"""Return the :math:`\beta` for which softmax of :math:`\beta f_{-i}` gives rows left out their best likelihood.

    Parameters
    ----------
    left_out
        Values on rows left out, (n, c).
    labels
        Their classes, (n,).

    Returns
    -------
    float
        Between 1e-2 and 1e3.
    """

    def loss(log_beta: float) -> float:
        scaled = np.exp(log_beta) * left_out
        chosen = np.take_along_axis(scaled, np.asarray(labels)[:, None], 1)[:, 0]
        return float(np.mean(scipy.special.logsumexp(scaled, axis=1) - chosen))

    found = scipy.optimize.minimize_scalar(loss, bounds=(np.log(1e-2), np.log(1e3)), method="bounded")
    return float(np.exp(found.x))


def probabilities(values: np.ndarray, beta: float) -> np.ndarray:
    r"""Return class probabilities, softmax of :math:`\beta f`, (m, c)."""
    return scipy.special.softmax(beta * np.asarray(values), axis=1)


def _problem(kernel: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    k, y = np.asarray(kernel, float), np.asarray(targets, float)
    if k.ndim != 2 or k.shape[0] != k.shape[1] or k.shape[0] < 2:
        raise ValueError(f"kernel has shape {k.shape}; expected (n, n) with n of two or more.")
    if y.ndim != 2 or len(y) != len(k):
        raise ValueError(f"targets has shape {y.shape}; expected ({len(k)}, c), one column a class: see one_hot.")
    _check.finite(k, "kernel")
    _check.finite(y, "targets")
    return k, y


def _scale(kernel: np.ndarray) -> float:
    scale = float(np.mean(np.diag(kernel)))
    if not scale > 0:
        raise ValueError(f"kernel has a mean diagonal of {scale}; expected a positive one: are all inputs zero?")
    return scale
