"""Small statistics that a report needs: what a band should cover."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How often a band covers an ensemble, and how often it should.

    Attributes
    ----------
    observed
        Share of (seed, test point) pairs within the band.
    expected
        Share under the Gaussian itself.
    low, high
        Central 95 % interval of the observed share if the ensemble were drawn from the Gaussian; values at
        different points of one draw are correlated, which this takes into account.
    """

    observed: float
    expected: float
    low: float
    high: float

    @property
    def as_it_should(self) -> bool:
        """Whether the observed share lies in the interval."""
        return self.low - 1e-9 <= self.observed <= self.high + 1e-9


def band_coverage(outputs: Any, mean: Any, covariance: Any, deviations: float = 2.0, seed: int = 0) -> Coverage:
    """Compare an ensemble of functions with a Gaussian band of ``deviations`` standard deviations.

    Parameters
    ----------
    outputs
        Shape (seeds, m, o).
    mean, covariance
        Shapes (m, o) and (m, m) of the Gaussian, equal and independent over outputs.
    deviations
        Half-width of the band in standard deviations.
    seed
        Of the 2,000 simulated ensembles that give the interval.
    """
    outputs, mean, covariance = (np.asarray(a, np.float64) for a in (outputs, mean, covariance))
    std = np.sqrt(np.clip(np.diag(covariance), 0, None))
    seeds, points, dim = outputs.shape
    observed = float(np.mean(np.abs(outputs - mean) <= deviations * std[:, None]))
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    rng = np.random.default_rng(seed)
    inside = np.empty((2000, seeds, dim))
    for i in range(len(inside)):
        draws = root @ rng.standard_normal((points, seeds * dim))
        inside[i] = np.mean(np.abs(draws) <= deviations * std[:, None] + 1e-12, axis=0).reshape(seeds, dim)
    shares = inside.mean((1, 2))
    low, high = np.quantile(shares, [0.025, 0.975])
    return Coverage(observed, float(shares.mean()), float(low), float(high))
