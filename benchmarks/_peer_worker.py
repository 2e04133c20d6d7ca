"""The peer's side: the three implementations of neural-tangents, each with and without the hint ``vmap_axes=0``."""

import jax
import jax.numpy as jnp
import neural_tangents as nt
from _networks import NETWORKS
from _serve import serve

METHODS = ("JACOBIAN_CONTRACTION", "NTK_VECTOR_PRODUCTS", "STRUCTURED_DERIVATIVES")


class Peer:
    """Empirical kernels of neural-tangents, compiled by ``jax.jit``."""

    def load(self, network, params, x):
        """Take a case."""
        self.x, self.params = jnp.asarray(x), [jnp.asarray(p) for p in params]
        self.kernels = {}
        for name in METHODS:
            for hint, axes in (("", None), (", vmap_axes=0", 0)):
                kernel = nt.empirical_ntk_fn(
                    NETWORKS[network], trace_axes=(), vmap_axes=axes, implementation=nt.NtkImplementation[name]
                )
                self.kernels[name + hint] = jax.jit(lambda x, params, kernel=kernel: kernel(x, None, params))
        return list(self.kernels)

    def call(self, variant):
        """Return the finished kernel."""
        return self.kernels[variant](self.x, self.params).block_until_ready()


if __name__ == "__main__":
    serve(Peer())
