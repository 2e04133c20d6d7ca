"""PyTorch's side: per-example Jacobians by ``torch.func`` and their contraction, leaf by leaf."""

import os

import torch
from _serve import serve
from torch.func import jacrev, vmap
from torch.nn import functional


def mlp(params, x):
    """Return the outputs (o,) of a ReLU network on one vector (d,)."""
    for w, b in zip(params[:-2:2], params[1:-2:2]):  # noqa: B905
        x = torch.relu(x @ w + b)
    return x @ params[-2] + params[-1]


def cnn(params, x):
    """Return the outputs (o,) on one image (h, w, c), with weights (3, 3, c, q)."""
    x = x.permute(2, 0, 1)[None]
    for w, b in zip(params[:-2:2], params[1:-2:2]):  # noqa: B905
        x = torch.relu(functional.conv2d(x, w.permute(3, 2, 0, 1), b, padding=1))
    return x[0].mean((1, 2)) @ params[-2] + params[-1]


class Torch:
    """Empirical kernels by Jacobian contraction."""

    def load(self, network, params, x):
        """Take a case."""
        self.f = {"mlp": mlp, "cnn": cnn}[network]
        self.x, self.params = torch.from_numpy(x), [torch.from_numpy(p) for p in params]
        return ["jacrev and contraction"]

    def call(self, variant):  # noqa: ARG002
        """Return the finished kernel."""
        jacobians = vmap(jacrev(self.f), (None, 0))(self.params, self.x)
        parts = [torch.einsum("naf,mbf->nmab", j.flatten(2), j.flatten(2)) for j in jacobians]
        return torch.stack(parts).sum(0)


if __name__ == "__main__":
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    serve(Torch())
