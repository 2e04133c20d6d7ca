r"""Methods of ``python -m benchmarks uci``: each yields candidates, among which the validation split chooses.

`ntk_svm` is the published one (Arora et al. 2020, arXiv 1910.01663, section 5.1): an SVM on the NTK of a ReLU network
without biases, the kernel of which is, with the inputs as they are, :math:`\Sigma^0 = XX^\top` and

.. math::
    \Sigma^{l+1} = \frac{1}{2\pi}\big(\sin\theta + (\pi-\theta)\cos\theta\big)\sqrt{\Sigma^l_{ii}\Sigma^l_{jj}}, \qquad
    \Theta^{l+1} = \frac{\pi-\theta}{2\pi}\,\Theta^l + [l + 1 \ge k]\,\Sigma^{l+1}

for networks of 1 to 5 layers of which the first k are not trained. The factor :math:`2^{-l}` of this scale
matters, because C is one grid for all: variance d of the first layer's weights (NTK parameterization), and 1 behind.
"""

import dataclasses
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import SVC

import widelimit as wl
from widelimit.engine import Native

from ._uci_data import Problem

ENGINE = Native(threads=1)  # sets are shared out to processes
LAYERS = 5
C = tuple(10.0**i for i in range(-2, 5))
# Without a bound, linear kernels of noisy labels take minutes at large C, where they are not the best anyway.
STEPS = 200_000
GAMMA = tuple(4.0**i for i in range(-8, 5))
TREES = 500
RATES, LEAVES = (0.05, 0.2), (3, 20)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """What may be chosen: ``classify(fit, judge)`` returns labels of rows ``judge`` from those of rows ``fit``."""

    label: str
    classify: Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Method:
    """A name, a sentence that changes whenever results may (it guards the cache), and candidates of a problem."""

    name: str
    said: str
    candidates: Callable[[Problem], Iterator[Candidate]]


def published_network(d: int, layers: int, fixed: int) -> wl.arch.AbstractLayer:
    """Return the network of ``layers`` layers with weights on d numbers, the first ``fixed`` of them not trained."""
    made: list[wl.arch.AbstractLayer] = []
    for i in range(layers):
        dense = wl.Dense(512 if i + 1 < layers else 1, d**0.5 if i == 0 else 1.0, None)
        made += [*([wl.Relu()] if i else []), wl.arch.frozen(dense) if i < fixed else dense]
    return wl.serial(*made)


def ntk_svm(problem: Problem) -> Iterator[Candidate]:
    """Yield the SVM on each of the 15 kernels, for each C."""
    for layers in range(1, LAYERS + 1):
        for fixed in range(layers):
            net = published_network(problem.x.shape[1], layers, fixed)
            gram = np.asarray(wl.NTK(net, engine=ENGINE)(problem.x))
            yield from (svm_on_gram(gram, problem.y, c, f"layers={layers} fixed={fixed} C={c:g}") for c in C)


def svm_on_gram(gram: np.ndarray, y: np.ndarray, c: float, label: str) -> Candidate:
    """Return an SVM (one-vs-one, as in the published code) on a matrix of kernels of all rows."""

    def classify(fit: np.ndarray, judge: np.ndarray) -> np.ndarray:
        model = SVC(kernel="precomputed", C=c, cache_size=1000, max_iter=STEPS)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            model.fit(gram[np.ix_(fit, fit)], y[fit])
        return model.predict(gram[np.ix_(judge, fit)])

    return Candidate(label, classify)


def rbf_svm(problem: Problem) -> Iterator[Candidate]:
    """Yield the SVM with a Gaussian kernel, for each width and C."""
    for gamma in GAMMA:
        for c in C:
            made = _sklearn(problem, SVC, {"gamma": gamma, "C": c, "cache_size": 1000, "max_iter": STEPS})
            yield Candidate(f"gamma={gamma:g} C={c:g}", made)


def random_forest(problem: Problem) -> Iterator[Candidate]:
    """Yield the forest with the root of d features at a split: what it chooses matters little, and takes long."""
    settings = {"n_estimators": TREES, "max_features": "sqrt", "random_state": 0}
    yield Candidate("max_features=sqrt", _sklearn(problem, RandomForestClassifier, settings))


def boosting(problem: Problem) -> Iterator[Candidate]:
    """Yield gradient boosting on histograms, for each learning rate and size of leaves."""
    for rate in RATES:
        for leaf in LEAVES:
            settings = {"learning_rate": rate, "min_samples_leaf": leaf, "random_state": 0}
            made = _sklearn(problem, HistGradientBoostingClassifier, settings)
            yield Candidate(f"learning_rate={rate} min_samples_leaf={leaf}", made)


def _sklearn(problem: Problem, kind: type, settings: dict) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def classify(fit: np.ndarray, judge: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            model = kind(**settings).fit(problem.x[fit], problem.y[fit])
        return model.predict(problem.x[judge])

    return classify


PUBLISHED = (
    Method("ntk-svm", f"15 NTKs, C in {C}, {STEPS} steps", ntk_svm),
    Method("rbf-svm", f"gamma in {GAMMA}, C in {C}, {STEPS} steps", rbf_svm),
    Method("forest", f"{TREES} trees, max_features sqrt", random_forest),
    Method("boosting", f"100 rounds, learning_rate in {RATES}, min_samples_leaf in {LEAVES}", boosting),
)
