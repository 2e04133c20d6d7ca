"""Every ridge at once, from one eigendecomposition of a matrix as large as the number of features."""

from __future__ import annotations

import dataclasses

import numpy as np

from ._base import eigh
from ._moments import Moments


@dataclasses.dataclass(frozen=True)
class FeaturePath:
    r"""What features and targets say about each ridge r, with the scale of the kernel in its best place.

    The model is :math:`y \sim \mathcal N(0,\; s^2(\Phi\Phi^\top + rN))` for every output, with :math:`s^2` where the
    evidence is largest. With :math:`\Phi^\top N^{-1}\Phi = V\,\mathrm{diag}(g)\,V^\top` and
    :math:`z = V^\top\Phi^\top N^{-1}y`, all of it are sums over the m eigenvalues.

    Attributes
    ----------
    ridges
        Shape (k,).
    evidence
        :math:`\log p(y)` at the best scale, summed over outputs, (k,), in nats.
    validation
        Generalised cross-validation, :math:`\frac1{no}\|y - \hat y\|^2/(1 - \mathrm{degrees}/n)^2`, (k,).
    scale
        :math:`\hat s^2`, (k,).
    degrees
        Effective degrees of freedom :math:`\sum g/(g + r)`, (k,).
    values, vectors
        g ascending, (m,), and V, (m, m); eigenvalues that are zero to working precision are zero.
    projected
        z, (m, o).
    """

    ridges: np.ndarray
    evidence: np.ndarray
    validation: np.ndarray
    scale: np.ndarray
    degrees: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    projected: np.ndarray

    def weights(self, ridge: float) -> np.ndarray:
        """Return the weights of the features for one ridge, (m, o)."""
        return self.vectors @ (self.projected / (self.values + ridge)[:, None])


def feature_path(moments: Moments, ridges: np.ndarray | None) -> FeaturePath:
    r"""Return evidence and validation for every ridge.

    About :math:`9m^3` operations, then 10 m(o + 1) for each ridge.

    Parameters
    ----------
    moments
        Sums over rows.
    ridges
        Positive numbers (k,). None: 28 of them from 1e-8 to 10 times the mean of :math:`|\varphi(x)|^2`.

    Raises
    ------
    ValueError
        If a ridge is not positive and finite.
    """
    n, outputs = moments.rows, moments.cross.shape[1]
    if ridges is None:
        ridges = np.geomspace(1e-8, 10, 28) * max(np.trace(moments.gram) / n, np.finfo(float).tiny)
    ridges = np.asarray(ridges, np.float64).ravel()
    if not (len(ridges) and np.isfinite(ridges).all() and (ridges > 0).all()):
        raise ValueError(f"ridges is {ridges}; expected one or more positive numbers.")
    values, vectors = eigh(moments.gram)
    kept = values > len(values) * np.finfo(np.float64).eps * values[-1]
    values = np.where(kept, values, 0)
    projected = np.where(kept[:, None], vectors.T @ moments.cross, 0)
    safe = np.where(kept, values, 1)
    # What of the targets is out of reach of the features, and the square of each mode: no difference of large numbers.
    modes = (projected**2 / safe[:, None]).sum(1)
    beyond = float(max(moments.squares.sum() - modes.sum(), 0))
    evidence, validation, scale, degrees = (np.empty(len(ridges)) for _ in range(4))
    for k, r in enumerate(ridges):
        shrunk = r / (values + r)
        quadratic = beyond / r + float(modes @ (shrunk / r))
        degrees[k] = float(kept @ (1 - shrunk))
        scale[k] = quadratic / (n * outputs)
        determinant = float(np.log1p(values / r).sum()) + n * np.log(r) + moments.log_noise
        evidence[k] = -0.5 * (n * outputs * (np.log(2 * np.pi * max(scale[k], 1e-300)) + 1) + outputs * determinant)
        left = max(1 - degrees[k] / n, np.finfo(float).eps)
        validation[k] = (beyond + float(modes @ shrunk**2)) / (n * outputs) / left**2
    return FeaturePath(ridges, evidence, validation, scale, degrees, values, vectors, projected)
