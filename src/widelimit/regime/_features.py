r"""How much the representations inside a model change.

Linear centred kernel alignment of features :math:`H_0, H_T` (n, d), centred over the examples,

.. math:: \mathrm{CKA} = \frac{\|H_0^\top H_T\|_F^2}{\|H_0^\top H_0\|_F\,\|H_T^\top H_T\|_F}

(Kornblith et al. 2019, arXiv 1905.00414, eq. 3), the principal angles between their leading subspaces of example space,
and :math:`\|H_T - H_0\|_F/\|H_0\|_F`, which for an abc-parameterization of width n falls as :math:`n^{-r}` (Yang & Hu
2021, arXiv 2011.14522).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .._typing import Array, Callable, Params, PyTree
from ..arch import AbstractLayer, Activation, Residual, Serial

FeatureFn = Callable[[Params, PyTree], Any]
"""``features(params, batch) -> dict or list`` of arrays (n, ...)."""


@dataclasses.dataclass(frozen=True)
class FeatureChange:
    r"""Change of one representation between the initial and the final parameters.

    Attributes
    ----------
    name
        Of the layer.
    change
        :math:`\|H_T - H_0\|_F/\|H_0\|_F`.
    cka
        Linear CKA: 1 where only rotations and one scale changed. None where features do not vary over examples.
    angle
        Largest principal angle, in degrees, between the subspaces that hold 90 % of the variance at the start, and as
        many dimensions at the end.
    overlap
        Mean squared cosine of these angles.
    dimensions
        Of the subspaces.
    """

    name: str
    change: float
    cka: float | None
    angle: float | None
    overlap: float | None
    dimensions: int


class NetFeatures(eqx.Module):
    """What leaves each activation and each residual block of a network of this library."""

    net: Serial

    def __call__(self, params: Params, x: PyTree) -> dict[str, Array]:
        """Return the representations of a batch by name."""

        def one(x: Array) -> dict[str, Array]:
            found: dict[str, Array] = {}
            for layer, p in zip(self.net.layers[:-1], params, strict=False):
                x = layer(p, x)
                if isinstance(layer, Activation | Residual):
                    found[f"hidden {len(found) + 1}"] = x
            return found

        return jax.vmap(one)(x)


def net_features(net: AbstractLayer) -> FeatureFn | None:
    """Return the representations of a network in series, or None where there are none."""
    if not isinstance(net, Serial) or not any(isinstance(a, Activation | Residual) for a in net.layers[:-1]):
        return None
    return NetFeatures(net)


def feature_changes(features: FeatureFn, initial: Params, final: Params, x: PyTree) -> tuple[FeatureChange, ...]:
    """Compare the representations of a batch at two parameters."""
    before, after = (_named(_evaluate(features, params, x), len(jax.tree.leaves(x)[0])) for params in (initial, final))
    return tuple(compare(name, before[name], after[name]) for name in before)


def compare(name: str, before: np.ndarray, after: np.ndarray) -> FeatureChange:
    """Compare two representations of the same examples, (n, d) each."""
    change = float(np.linalg.norm(after - before) / max(np.linalg.norm(before), np.finfo(float).tiny))
    if not np.isfinite(after).all():
        return FeatureChange(name, float("inf"), None, None, None, 0)
    before, after = before - before.mean(0), after - after.mean(0)
    norms = [np.linalg.norm(a @ a.T) for a in (before, after)]
    if min(norms) == 0:
        return FeatureChange(name, change, None, None, None, 0)
    cka = float(np.linalg.norm(before.T @ after) ** 2 / (norms[0] * norms[1]))
    left, values, _ = np.linalg.svd(before, full_matrices=False)
    kept = int(np.searchsorted(np.cumsum(values**2) / np.sum(values**2), 0.9) + 1)
    other, others, _ = np.linalg.svd(after, full_matrices=False)
    kept = min(kept, int(np.sum(others > 1e-10 * others[0])))
    cosines = np.clip(np.linalg.svd(left[:, :kept].T @ other[:, :kept], compute_uv=False), 0, 1)
    angle = float(np.degrees(np.arccos(cosines.min())))
    return FeatureChange(name, change, min(cka, 1.0), angle, float(np.mean(cosines**2)), kept)


@eqx.filter_jit
def _evaluate(features: FeatureFn, params: Params, x: PyTree) -> Any:
    return features(params, x)


def _named(found: Any, n: int) -> dict[str, np.ndarray]:
    items = found.items() if isinstance(found, dict) else ((f"layer {i + 1}", a) for i, a in enumerate(found))
    named = {str(name): np.asarray(a, np.float64) for name, a in items}
    for name, a in named.items():
        if a.ndim == 0 or a.shape[0] != n:
            raise ValueError(f"features gave {name!r} of shape {a.shape}; expected {n} rows, one per example.")
    return {name: a.reshape(n, -1) for name, a in named.items()}
