r"""Our own choice of a model: none is chosen, but an average is taken over NTKs and ridges (`widelimit.gp.averaged`).

Members are ReLU networks of 1, 2 and 3 hidden layers (weight variance 2), without biases and with biases of variance 1,
on the inputs as they are and on soft-clipped ones, :math:`x / \sqrt{1 + x^2}`, standardised again over all rows, as the
files are: 12 kernels, each at 9 ridges. Weights are :math:`\exp(-\frac12\sum_i |y_i - f_{-i}(x_i)|^2)` over the rows of
the *fit* left out one at a time. The validation split is not used. Above `MOST` rows members are weighed on a random
part of them, and the few that count fitted to all.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

import widelimit as wl
from widelimit import gp

from ._uci_data import Problem
from ._uci_methods import ENGINE, Candidate, Method

DEPTHS, BIASES = (1, 2, 3), (None, 1.0)
MOST = 1000
KEPT = 2000  # up to so many rows, the kernels of all pairs are kept in memory for the four folds


@dataclasses.dataclass(frozen=True)
class Member:
    """A kernel of rows: the network, its inputs (n, d), and the kernel of all pairs, or None where n is large."""

    kernel: wl.NTK
    x: np.ndarray
    full: np.ndarray | None

    @classmethod
    def on(cls, kernel: wl.NTK, x: np.ndarray) -> "Member":
        """Return the member on all rows."""
        return cls(kernel, x, np.asarray(kernel(x)) if len(x) <= KEPT else None)

    def gram(self, rows: np.ndarray, columns: np.ndarray | None = None) -> np.ndarray:
        """Return the kernel of rows with columns, of rows with themselves where None."""
        if self.full is not None:
            return self.full[np.ix_(rows, rows if columns is None else columns)]
        return np.asarray(self.kernel(self.x[rows], None if columns is None else self.x[columns]))


def networks() -> list[wl.arch.AbstractLayer]:
    """Return the networks of the average."""
    hidden = [[wl.Dense(512, 2**0.5, bias), wl.Relu()] * depth for depth in DEPTHS for bias in BIASES]
    return [wl.serial(*layers, wl.Dense(1, 2**0.5, layers[0].bias_std)) for layers in hidden]


def soft_clipped(x: np.ndarray) -> np.ndarray:
    r"""Return :math:`x/\sqrt{1 + x^2}`, standardised; a column that is constant is zero."""
    soft = x / np.sqrt(1 + x**2)
    spread = np.std(soft, axis=0)
    return (soft - np.mean(soft, axis=0)) / np.where(spread > 0, spread, 1)


def averages(problem: Problem) -> Iterator[Candidate]:
    """Yield the one average."""
    y, inputs = gp.one_hot(problem.y, problem.classes), (problem.x, soft_clipped(problem.x))
    members = [Member.on(wl.NTK(net, engine=ENGINE), x) for x in inputs for net in networks()]

    def classify(fit: np.ndarray, judge: np.ndarray) -> np.ndarray:
        if len(fit) > MOST:
            return np.argmax(_thinned(members, y, fit, judge), axis=1)
        average = gp.averaged((member.gram(fit) for member in members), y[fit])
        return np.argmax(average.decision(member.gram(judge, fit) for member in members), axis=1)

    yield Candidate("average", classify)


def _thinned(members: list[Member], y: np.ndarray, fit: np.ndarray, judge: np.ndarray) -> np.ndarray:
    some = np.random.default_rng(0).permutation(fit)[:MOST]
    average = gp.averaged((member.gram(some) for member in members), y[some])
    found = np.zeros((len(judge), y.shape[1]))
    for member, shares in zip(members, gp.members(average.shares), strict=True):
        if shares.any():
            part = gp.fitted(member.gram(fit), y[fit], gp.AVERAGED_RIDGES, shares)
            found += member.gram(judge, fit) @ part.weights + part.intercept
    return found


AVERAGE = Method(
    "average", f"NTK depths {DEPTHS}, biases {BIASES}, raw and soft inputs, eta 1/2, {MOST} rows", averages
)
