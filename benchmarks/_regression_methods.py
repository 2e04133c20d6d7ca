"""Regression methods under one roof: fit on standardised rows, predict a mean and a standard deviation."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable

import numpy as np

import widelimit as wl
from widelimit import gp, kernels, solve

ROWS = 800
"""Rows on which both Gaussian processes look for their hyperparameters; the posterior is of all rows."""

MOST_SCALES = 50
"""Features up to which the RBF kernel has a length scale for each: with 128 a fit takes a quarter of an hour."""

Fitted = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Method:
    """A name, what fits rows (n, d) and targets (n,), and the method with which it is compared."""

    name: str
    fit: Callable[[np.ndarray, np.ndarray, int], Fitted]
    against: str = "RBF GP"


def _ours(x: np.ndarray, y: np.ndarray, _: int) -> Fitted:
    return gp.learn(x, y, relevance=gp.Relevance(rows=ROWS), rows=ROWS).predict


def _chosen(x: np.ndarray, y: np.ndarray, _: int) -> Fitted:
    return gp.learn(x, y, relevance=None, rows=ROWS).predict


def _untouched(x: np.ndarray, y: np.ndarray, _: int) -> Fitted:
    kernel, noise = _start()
    return _observed(gp.posterior(kernel, x, y, noise=noise, solver=solve.Cholesky()), noise)


def _evidence(x: np.ndarray, y: np.ndarray, _: int) -> Fitted:
    kernel, noise = _start()
    seen = gp.drawn_rows(len(x), ROWS)
    found = gp.maximize(kernel, x[seen], y[seen], noise=noise)
    return _observed(gp.posterior(found.kernel, x, y, noise=found.noise, solver=solve.Cholesky()), found.noise)


def _start() -> tuple[kernels.AbstractKernel, float]:
    # What one would write down without looking at the data, whose targets have variance one.
    return kernels.ScaledOutputs(wl.NTK(gp.dense_network(3, wl.Relu(), 2**0.5, 0.1)), 1.0), 0.1


def _observed(posterior: gp.Posterior, noise: float) -> Fitted:
    def predict(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, std = posterior.marginals(x)
        return np.asarray(mean), np.sqrt(np.asarray(std) ** 2 + noise)

    return predict


def _rbf(x: np.ndarray, y: np.ndarray, seed: int) -> Fitted:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    d = x.shape[1]
    scale = d**0.5 if d > MOST_SCALES else np.full(d, d**0.5)
    start = ConstantKernel() * RBF(scale, (1e-2, 1e4)) + WhiteKernel(0.1, (1e-6, 10.0))
    some = np.random.default_rng(seed).permutation(len(x))[:ROWS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of length scales at their bounds: features that do not matter
        model = GaussianProcessRegressor(start, random_state=seed).fit(x[some], y[some])
        if len(some) < len(x):
            model = GaussianProcessRegressor(model.kernel_, optimizer=None).fit(x, y)

    def predict(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = [model.predict(x[i : i + 1000], return_std=True) for i in range(0, len(x), 1000)]
        mean, std = (np.concatenate(part) for part in zip(*parts, strict=True))
        return mean, std

    return predict


def _forest(x: np.ndarray, y: np.ndarray, seed: int) -> Fitted:
    from sklearn.ensemble import RandomForestRegressor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rows that are in every bag, where there are few
        model = RandomForestRegressor(500, oob_score=True, n_jobs=-1, random_state=seed).fit(x, y)
    left_out = model.oob_prediction_ - y
    return _spread(model.predict, left_out)


def _boosting(x: np.ndarray, y: np.ndarray, seed: int) -> Fitted:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.model_selection import KFold, cross_val_predict

    model = HistGradientBoostingRegressor(random_state=seed)
    folds = KFold(min(5, len(x)), shuffle=True, random_state=seed)
    left_out = cross_val_predict(model, x, y, cv=folds) - y
    return _spread(model.fit(x, y).predict, left_out)


def _spread(predict: Callable[[np.ndarray], np.ndarray], left_out: np.ndarray) -> Fitted:
    # A Gaussian around the prediction, of the variance of errors on rows that were left out.
    std = float(np.sqrt(np.mean(left_out**2)))
    return lambda x: (predict(x), np.full(len(x), std))


METHODS = {
    method.name: method
    for method in (
        Method("ours", _ours),
        Method("ours, no relevance", _chosen),
        Method("one network", _untouched),
        Method("one network, evidence", _evidence, "one network"),
        Method("RBF GP", _rbf),
        Method("random forest", _forest),
        Method("boosting", _boosting),
    )
}
