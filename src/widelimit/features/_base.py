"""The contract of a feature map."""

import abc
from typing import Any

import equinox as eqx
import numpy as np
from threadpoolctl import ThreadpoolController

from .. import _check
from .._typing import AnyArray

CHUNK = 8192
"""Rows whose features are found at once."""


ALONE = 2000
"""Size up to which a matrix is decomposed on one thread."""


class AbstractFeatureMap(eqx.Module):
    r"""Numbers of an input whose products are a kernel: :math:`k(x, x') \approx \varphi(x)\cdot\varphi(x')`.

    Features are :math:`\varphi(x) = b(x)\,W`, a block of numbers times a small matrix, which may be multiplied once
    with sums over all rows in place of each row. `features` gives them.
    """

    @abc.abstractmethod
    def init(self, x: np.ndarray) -> Any:
        r"""Return the state that depends on the training inputs, (n, \*input_shape): random weights, landmarks."""

    @abc.abstractmethod
    def block(self, state: Any, x: np.ndarray) -> np.ndarray:
        r"""Return :math:`b(x)`, (n, p), in the dtype of x or in float64."""

    @abc.abstractmethod
    def mixing(self, state: Any) -> np.ndarray | None:
        r"""Return W, (p, m), or None for the identity."""

    @abc.abstractmethod
    def diagonal(self, state: Any, x: np.ndarray) -> np.ndarray | None:
        """Return the kernel of each input with itself, (n,), or None where it is the features' own."""


def features(feature_map: AbstractFeatureMap, state: Any, x: AnyArray) -> np.ndarray:
    r"""Return :math:`\varphi(x)`, (n, m).

    Parameters
    ----------
    feature_map, state
        A map, and what its ``init`` returned.
    x
        Inputs (n, \*input_shape).
    """
    _check.instance(feature_map, AbstractFeatureMap, "feature_map", "NystromFeatures(kernel)")
    x = np.asarray(_check.inputs(x, "x"))
    mixing = feature_map.mixing(state)
    parts = [feature_map.block(state, x[i : i + CHUNK]) for i in range(0, len(x), CHUNK)]
    return np.concatenate([part if mixing is None else part @ mixing for part in parts])


def eigh(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues and eigenvectors of a small symmetric matrix, ascending.

    On one thread: the many small steps of a decomposition wait for all threads each time, on a shared machine for
    longer than the work itself.
    """
    if len(matrix) > ALONE:
        return np.linalg.eigh(matrix)
    with ThreadpoolController().limit(limits=1, user_api="blas"):
        return np.linalg.eigh(matrix)
