"""Regressors."""

import abc
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .. import gp
from ..kernels import NNGP, NTK, AbstractKernel
from ._network import network


class AbstractRegressor(RegressorMixin, MultiOutputMixin, BaseEstimator, abc.ABC):
    """What the regressors have in common."""

    def __init__(
        self,
        *,
        depth: int = 3,
        activation: Any = None,
        weight_std: float = 2**0.5,
        bias_std: float = 0.1,
        net: Any = None,
        ridge: float | None = None,
        criterion: gp.AbstractCriterion | None = None,
    ) -> None:
        self.depth = depth
        self.activation = activation
        self.weight_std = weight_std
        self.bias_std = bias_std
        self.net = net
        self.ridge = ridge
        self.criterion = criterion

    @abc.abstractmethod
    def _kernel(self) -> AbstractKernel:
        """Return the kernel that the parameters stand for."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "AbstractRegressor":
        """Fit the regression.

        Parameters
        ----------
        X
            Inputs (n, d), at least two; taken as they are, so put a ``StandardScaler`` in front.
        y
            Targets (n,) or (n, o); centred and scaled inside, each for itself.
        sample_weight
            Zero or more, (n,): an example of weight w counts as w equal observations, so its noise is divided by w.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2, multi_output=True, y_numeric=True)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        kernel = self._kernel()
        criterion = gp.Evidence() if self.criterion is None else self.criterion
        y = y.astype(np.float64, copy=False)
        model = gp.kernel_regression(kernel, X, y, ridge=self.ridge, weights=weights, criterion=criterion)
        self.model_ = model
        self.kernel_ = kernel
        self.ridge_ = model.ridge
        self.scale_ = model.scale
        self.noise_ = float(model.noise[0]) if model.vector else model.noise
        self.log_marginal_likelihood_ = model.evidence
        return self

    def predict(self, X: Any, return_std: bool = False, return_cov: bool = False) -> Any:
        """Predict targets.

        Parameters
        ----------
        X
            Inputs (m, d).
        return_std
            Also return the standard deviation of a new observation at each input, noise included, of the shape of the
            prediction. ``noise_`` is the variance of the noise alone.
        return_cov
            Also return the covariance of new observations, (m, m) or (m, m, o).
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        if return_std and return_cov:
            raise ValueError("return_std and return_cov are both true; ask for one: the covariance has both.")
        if return_std:
            return self.model_.marginals(X)
        mean = self.model_.mean(X)
        return (mean, self.model_.covariance(X)) if return_cov else mean

    def predict_interval(self, X: Any, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper ends of intervals that do not rest on Gaussian noise, by the jackknife+.

        Parameters
        ----------
        X
            Inputs (m, d).
        level
            Between 0 and 1.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return gp.jackknife_plus(self.model_, X, level=level)

    @property
    def loo_(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each training target as predicted from all others, in closed form."""
        check_is_fitted(self)
        mean, std = self.model_.left_out
        return (mean[:, 0], std[:, 0]) if self.model_.vector else (mean, std)


class NTKRegressor(AbstractRegressor):
    r"""Kernel regression with the neural tangent kernel: what training all layers of a wide network converges to.

    .. math:: f(x) = \bar y + \Theta(x, X)(\Theta + rW^{-1})^{-1}(y - \bar y)

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
    ridge
        The number r, in the units of the kernel; None to choose it from 29 ridges, all from one eigendecomposition.
    criterion
        What chooses the ridge: ``gp.Evidence()`` (None), ``gp.LeaveOneOutError()``, ``gp.LeaveOneOutDensity()``,
        ``gp.CrossValidation(5)``.

    Attributes
    ----------
    model_
        The `gp.KernelRegression`.
    kernel_, ridge_, scale_, noise_
        The kernel, the ridge, the factor of the kernel where the evidence is largest, and the variance of the noise.
    log_marginal_likelihood_
        Of the targets, in nats.
    loo_
        Mean and standard deviation of each training target from all others.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    References
    ----------
    Jacot et al. 2018, arXiv 1806.07572; Arora et al. 2020, arXiv 1910.01663.
    """

    def _kernel(self) -> AbstractKernel:
        return NTK(network(self.depth, self.activation, self.weight_std, self.bias_std, self.net))


class NNGPRegressor(AbstractRegressor):
    r"""Gaussian process regression with the kernel of a wide network at initialisation: the Bayesian posterior.

    Parameters and attributes are those of `NTKRegressor`.

    References
    ----------
    Lee et al. 2018, arXiv 1711.00165; Matthews et al. 2018, arXiv 1804.11271.
    """

    def _kernel(self) -> AbstractKernel:
        return NNGP(network(self.depth, self.activation, self.weight_std, self.bias_std, self.net))
