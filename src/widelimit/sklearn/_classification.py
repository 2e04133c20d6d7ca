"""Classifiers."""

import abc
from typing import Any

import numpy as np
import scipy.special
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .. import _check, gp
from ..kernels import NNGP, NTK, AbstractKernel
from ._network import network


class AbstractClassifier(ClassifierMixin, BaseEstimator, abc.ABC):
    """What the classifiers have in common."""

    def __init__(
        self,
        *,
        depth: int = 3,
        activation: Any = None,
        weight_std: float = 2**0.5,
        bias_std: float = 0.1,
        net: Any = None,
        machine: gp.AbstractMachine | None = None,
        calibration: gp.AbstractCalibration | None = None,
    ) -> None:
        self.depth = depth
        self.activation = activation
        self.weight_std = weight_std
        self.bias_std = bias_std
        self.net = net
        self.machine = machine
        self.calibration = calibration

    @abc.abstractmethod
    def _kernel(self) -> AbstractKernel:
        """Return the kernel that the parameters stand for."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "AbstractClassifier":
        """Fit the machine, and the calibration on what it says of examples it has not seen.

        Parameters
        ----------
        X
            Inputs (n, d), at least two; taken as they are, so put a ``StandardScaler`` in front.
        y
            Labels (n,) of at least two classes.
        sample_weight
            Zero or more, (n,): an example of weight w counts as w equal observations.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        x, y, weights = gp.weighted(X, y, weights)
        self.classes_, codes = np.unique(y, return_inverse=True)
        count = len(self.classes_)
        if count < 2:
            raise ValueError(f"y has the 1 class {self.classes_[0]!r}; expected at least two classes to tell apart.")
        machine = gp.OneVsAll() if self.machine is None else self.machine
        calibration = gp.Temperature() if self.calibration is None else self.calibration
        _check.instance(machine, gp.AbstractMachine, "machine", "gp.OneVsAll()")
        _check.instance(calibration, gp.AbstractCalibration, "calibration", "gp.Temperature()")
        kernel = self._kernel()
        self.trained_ = machine.fit(np.asarray(kernel(x)), codes, count, weights)
        self.calibrated_ = calibration.fit(self.trained_.held_out, codes, weights)
        self.kernel_ = kernel
        self.X_fit_ = x
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logits of the probabilities, (m, C); of two classes, the log odds of the second, (m,)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        logits = self.calibrated_.logits(self.trained_.decision(np.asarray(self.kernel_(X, self.X_fit_))))
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of the probability of each class, (m, C)."""
        logits = self.decision_function(X)
        return scipy.special.log_softmax(_both(logits), 1)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, (m, C), in the order of ``classes_``."""
        return scipy.special.softmax(_both(self.decision_function(X)), 1)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each input, (m,)."""
        check_is_fitted(self)
        return self.classes_[_both(self.decision_function(X)).argmax(1)]

    @property
    def loo_proba_(self) -> np.ndarray:
        """Probabilities of each training example from a machine that has not seen it, (n, C)."""
        check_is_fitted(self)
        return scipy.special.softmax(self.calibrated_.logits(self.trained_.held_out), 1)


class NTKClassifier(AbstractClassifier):
    r"""Classification by kernel regression with the neural tangent kernel, with calibrated probabilities.

    Parameters
    ----------
    depth
        Number of hidden layers.
    activation
        A layer such as ``wl.Erf()``; None for ``wl.Relu()``.
    weight_std, bias_std
        Scales of weights and biases of all layers.
    net
        Any architecture that takes vectors, in place of the four above.
    machine
        How classes are learnt: ``gp.OneVsAll(ridge)`` (None), ``gp.SoftmaxLoss(penalties)``, or ``SVM(costs)``.
    calibration
        How decision values become probabilities, by maximum likelihood on held-out values: ``gp.Temperature()`` (None)
        or ``gp.Dirichlet()``.

    Attributes
    ----------
    classes_
        Labels in the order of the probabilities.
    trained_, calibrated_
        The machine's and the calibration's result; ``trained_.penalty`` is the ridge that was chosen.
    kernel_, X_fit_
        The kernel and the training inputs that count.
    loo_proba_
        Probabilities of each training example from a machine that has not seen it.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    References
    ----------
    Arora et al. 2020, "Harnessing the power of infinitely wide deep nets on small-data tasks", arXiv 1910.01663.
    """

    def _kernel(self) -> AbstractKernel:
        return NTK(network(self.depth, self.activation, self.weight_std, self.bias_std, self.net))


class NNGPClassifier(AbstractClassifier):
    """Classification with the kernel of a wide network at initialisation.

    Parameters and attributes are those of `NTKClassifier`.
    """

    def _kernel(self) -> AbstractKernel:
        return NNGP(network(self.depth, self.activation, self.weight_std, self.bias_std, self.net))


def _both(logits: np.ndarray) -> np.ndarray:
    return np.stack([np.zeros_like(logits), logits], 1) if logits.ndim == 1 else logits
