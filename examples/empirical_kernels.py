"""The kernel of a model with two heads: which layer makes it, which parameters matter, and how it is computed."""

import jax
import jax.numpy as jnp
import numpy as np

import widelimit as wl
from widelimit import empirical


def model(params, batch):
    """Return class scores and a rating of short texts: embeddings, one hidden layer, two heads."""
    text = params["embedding"][batch["tokens"]].mean(1)
    features = jnp.concatenate([text, batch["features"]], 1)
    hidden = jax.nn.gelu(features @ params["hidden"]["w"] + params["hidden"]["b"])
    return {"scores": hidden @ params["heads"]["scores"], "rating": (hidden @ params["heads"]["rating"])[:, 0]}


rng = np.random.default_rng(0)
width = 128
params = {
    "embedding": rng.standard_normal((50, 16)),
    "hidden": {"w": rng.standard_normal((20, width)) / 20**0.5, "b": 0.1 * rng.standard_normal(width)},
    "heads": {
        "scores": rng.standard_normal((width, 3)) / width**0.5,
        "rating": rng.standard_normal((width, 1)) / width**0.5,
    },
}
batch = {"tokens": rng.integers(0, 50, (12, 6)), "features": rng.standard_normal((12, 4))}

kernel = wl.EmpiricalNTK(model, params)
theta = kernel(batch)
print(f"kernel {theta.shape}, largest eigenvalue {np.linalg.eigvalsh(theta)[-1]:.2f}")

print("\nshare of each parameter in the trace:")
for path, part in jax.tree_util.tree_leaves_with_path(kernel.contributions(batch)):
    print(f"  {jax.tree_util.keystr(path):22} {np.trace(part) / np.trace(theta):6.1%}")

frozen = wl.EmpiricalNTK(model, params, learning_rates={"embedding": False, "hidden": True, "heads": True})
print(f"\nwith frozen embeddings the trace falls to {np.trace(frozen(batch)) / np.trace(theta):.1%}")

full = wl.EmpiricalNTK(model, params, outputs=wl.Full())
pair = full(batch)["scores"]["rating"]
print(f"scores and rating are coupled by a block of shape {pair.shape}, rms {np.sqrt(np.mean(pair**2)):.3f}")

print(f"\n{empirical.Auto().select(full.problem(), batch, None, wl.Full())}")

operator = full.operator(batch)
v = rng.standard_normal(operator.shape[1])
print(f"\nmatrix-free: shape {operator.shape}, v'Kv = {v @ np.asarray(operator.matvec(v)):.2f}")

sketch = wl.EmpiricalNTK(model, params, method=empirical.Sketch(2048, jax.random.key(0)))(batch)
print(
    f"sketch of 2048 numbers per gradient: relative error {np.linalg.norm(sketch - theta) / np.linalg.norm(theta):.1%}"
)
