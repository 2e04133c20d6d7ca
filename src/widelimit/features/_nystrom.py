"""Features from landmarks: a kernel known through its values at few inputs."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import numpy as np

from .. import _check
from .._typing import AnyArray
from ..kernels import AbstractKernel, prior_variances
from ._base import AbstractFeatureMap, eigh
from ._landmarks import AbstractLandmarks, Pivots

LATE = 1e-13
"""Squared ratio of the least to the largest eigenvalue down to which sums over rows may be mixed in place of rows."""


class Landmarked(NamedTuple):
    """Landmarks (m, ...), the whitening W (m, r), and whether it waits until rows are summed."""

    landmarks: np.ndarray
    whitening: np.ndarray
    late: bool


class NystromFeatures(AbstractFeatureMap):
    r"""Nyström features of m landmarks Z.

    .. math:: \varphi(x) = k(x, Z)\,V S^{-1/2}, \qquad k(Z, Z) = V S V^\top

    Their kernel is :math:`k(x, Z)\,k(Z, Z)^{-1}\,k(Z, x')`, exact where x or x' is a landmark, and so is regression
    where all inputs are landmarks. Directions whose eigenvalue is below ``cutoff`` of the largest are left out:
    what rounding leaves of them in single precision is noise.

    Parameters
    ----------
    kernel
        Any kernel that gives one number per pair. Of float32 inputs it is evaluated in float32, but among landmarks
        always in float64.
    landmarks
        How they are chosen.
    cutoff
        As above. None: the precision of the inputs' dtype, times m in float64.

    References
    ----------
    Williams and Seeger 2001; as a solver for large n, Rudi, Carratino and Rosasco 2017, arXiv 1705.10958 (Falkon).
    """

    kernel: AbstractKernel
    landmarks: AbstractLandmarks = Pivots(1000)
    cutoff: float | None = eqx.field(default=None, static=True)

    def __check_init__(self) -> None:
        """Check the strategies."""
        _check.instance(self.kernel, AbstractKernel, "kernel", "NTK(net)")
        _check.instance(self.landmarks, AbstractLandmarks, "landmarks", "Uniform(1000)")
        if self.cutoff is not None and not 0 <= self.cutoff < 1:
            raise ValueError(f"cutoff is {self.cutoff}; expected a number from 0 to 1, or None.")

    def init(self, x: np.ndarray) -> Landmarked:
        """Choose landmarks, and whiten them."""
        landmarks = np.asarray(self.landmarks.choose(self.kernel, x), x.dtype)
        small: AnyArray = landmarks.astype(np.float64)
        matrix = np.asarray(self.kernel(small), np.float64)
        if matrix.ndim != 2:
            raise ValueError(f"the kernel has the shape {matrix.shape}; expected one number per pair: outputs=Trace().")
        values, vectors = eigh((matrix + matrix.T) / 2)
        cutoff = self._cutoff(x.dtype, len(values))
        kept = (values > cutoff * values[-1]) & (values > 0)
        if not kept.any():
            raise ValueError("the kernel of the landmarks vanishes; expected inputs and a network that are not zero.")
        whitening = vectors[:, kept] / values[kept] ** 0.5
        return Landmarked(landmarks, whitening, bool((values[kept][0] / values[-1]) ** 2 > LATE))

    def block(self, state: Landmarked, x: np.ndarray) -> np.ndarray:
        """Return the kernel with the landmarks, whitened at once where sums would lose digits."""
        given: AnyArray = x
        found = np.asarray(self.kernel(given, state.landmarks))
        return found if state.late else found @ state.whitening

    def mixing(self, state: Landmarked) -> np.ndarray | None:
        """Return the whitening."""
        return state.whitening if state.late else None

    def diagonal(self, state: Landmarked, x: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the kernel of each input with itself."""
        return prior_variances(self.kernel, x)

    def _cutoff(self, dtype: Any, count: int) -> float:
        if self.cutoff is not None:
            return self.cutoff
        eps = float(np.finfo(dtype).eps)
        return eps if dtype == np.float32 else count * eps
