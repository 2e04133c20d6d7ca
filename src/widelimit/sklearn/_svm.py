"""Support vector machines on the kernel matrix."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from sklearn.svm import SVC

from .. import gp


@dataclasses.dataclass(frozen=True)
class SVM(gp.AbstractMachine):
    """One support vector machine for each class against the others, by scikit-learn's `SVC`.

    Attributes
    ----------
    costs
        Values of C to choose from by the share of held-out examples whose class is right. The kernel is divided by
        the mean of its diagonal, so that a value means the same for each kernel.
    folds
        For held-out values.
    """

    costs: Sequence[float] = (0.1, 1.0, 10.0, 100.0)
    folds: int = 5

    def fit(self, matrix: np.ndarray, codes: np.ndarray, classes: int, weights: np.ndarray) -> gp.Trained:
        """Return the machine of the cost that classifies held-out examples best."""
        unit = matrix.diagonal().mean()

        def solve(rows: np.ndarray, cost: float) -> tuple[np.ndarray, np.ndarray]:
            part = np.ascontiguousarray(matrix[np.ix_(rows, rows)] / unit)
            # Of two classes, one machine with both signs.
            count = 1 if classes == 2 else classes
            found = [_binary(part, codes[rows] == c, cost, weights[rows]) for c in range(count)]
            duals, biases = (np.stack(one, -1) for one in zip(*found, strict=True))
            if classes == 2:
                duals, biases = np.concatenate([duals, -duals], 1), np.concatenate([biases, -biases])
            return duals / unit, biases

        def loss(held_out: np.ndarray) -> float:
            return float(weights @ (held_out.argmax(1) != codes))

        return gp.choose_penalty(solve, loss, matrix, codes, (classes, self.costs, self.folds))


def _binary(matrix: np.ndarray, positive: np.ndarray, cost: float, weights: np.ndarray) -> tuple[np.ndarray, float]:
    dual = np.zeros(len(matrix))
    if positive.all() or not positive.any():
        return dual, 1.0 if positive.all() else -1.0
    machine = SVC(C=cost, kernel="precomputed").fit(matrix, positive, sample_weight=weights)
    dual[machine.support_] = machine.dual_coef_[0]
    return dual, float(machine.intercept_[0])
