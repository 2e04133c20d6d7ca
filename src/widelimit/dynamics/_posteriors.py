"""Two answers of one wide network: the Bayesian posterior, and the ensemble of trained networks."""

from __future__ import annotations

from typing import Any, NamedTuple

from .._typing import Scalar
from ..arch import AbstractLayer
from ..engine import AbstractEngine, Auto
from ..gp import Gaussian
from ._ensemble import infinite_ensemble, nngp_posterior


class Posteriors(NamedTuple):
    """Two distributions over the outputs of one architecture; see `posteriors`.

    Attributes
    ----------
    bayesian
        The posterior under the NNGP prior.
    ensemble
        The networks that gradient descent trains from random starts.
    """

    bayesian: Gaussian
    ensemble: Gaussian


def posteriors(
    net: AbstractLayer, x_train: Any, y_train: Any, x: Any, *, noise: Scalar, engine: AbstractEngine = Auto()
) -> Posteriors:
    r"""Return what a wide network believes, by Bayes' rule and by training, at the same inputs.

    The Bayesian posterior has NNGP :math:`K` and noise :math:`\sigma^2`. The ensemble is trained to the end at all
    layers, with the ridge :math:`\sigma^2` towards each network's own start, on targets to each of which it adds noise
    of variance :math:`\sigma^2` (`infinite_ensemble`). The second is no posterior of any prior: its mean comes from the
    NTK and its spread from both kernels (Lee et al. 2019, arXiv 1902.06720, section 2.3.1).

    Parameters
    ----------
    net
        The architecture; its last layer has to be a Dense layer.
    x_train, y_train
        Inputs (n, \*input_shape) and targets (n,) or (n, o).
    x
        Inputs (m, \*input_shape) at which both are wanted.
    noise
        Variance of the noise.
    engine
        How the kernels are evaluated.

    Returns
    -------
    Posteriors
        Two Gaussians, without observation noise.

    Raises
    ------
    ValueError
        As `infinite_ensemble`.
    """
    bayesian = nngp_posterior(net, x_train, y_train, noise=noise, engine=engine)
    ensemble = infinite_ensemble(net, x_train, y_train, ridge=noise, noise=noise, engine=engine)
    return Posteriors(bayesian.at(x=x), ensemble.at(x=x))
