"""Our side: `EmpiricalNTK` with its default method, and each method by name."""

import jax
import jax.numpy as jnp
from _networks import NETWORKS
from _serve import serve

import widelimit as wl
from widelimit import empirical

METHODS = ("JacobianContraction", "NTKVectorProducts", "StructuredDerivatives")


class Own:
    """Empirical kernels of this package."""

    def load(self, network, params, x):
        """Take a case."""
        self.x = jnp.asarray(x)
        f, params = NETWORKS[network], [jnp.asarray(p) for p in params]
        self.kernels = {"default": wl.EmpiricalNTK(f, params, outputs=wl.Full())}
        for name in METHODS:
            if name in dir(empirical):
                method = getattr(empirical, name)()
                self.kernels[name] = wl.EmpiricalNTK(f, params, outputs=wl.Full(), method=method)
        return list(self.kernels)

    def call(self, variant):
        """Return the finished kernel."""
        return jax.block_until_ready(self.kernels[variant](self.x))


if __name__ == "__main__":
    serve(Own())
