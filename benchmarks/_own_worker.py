"""Our side: `EmpiricalNTK` with its default method, and each method that its `Auto` chooses from by name."""

import jax
import jax.numpy as jnp
from _networks import NETWORKS
from _serve import serve

import widelimit as wl
from widelimit import empirical

METHODS = [empirical.StructuredDerivatives(), empirical.JacobianContraction(), empirical.NTKVectorProducts()]


class Own:
    """Empirical kernels of this package."""

    def load(self, network, params, x):
        """Take a case."""
        self.x = jnp.asarray(x)
        f, params = NETWORKS[network], [jnp.asarray(p) for p in params]
        self.kernels = {"default": wl.EmpiricalNTK(f, params, outputs=wl.Full())}
        for method in METHODS:
            self.kernels[type(method).__name__] = wl.EmpiricalNTK(f, params, outputs=wl.Full(), method=method)
        return list(self.kernels)

    def call(self, variant):
        """Return the finished kernel."""
        return jax.block_until_ready(self.kernels[variant](self.x))

    def predict(self):
        """Return what `Auto` chooses, the time that it expects of each method, and its budget of memory."""
        kernel = self.kernels["default"]
        choice = kernel.method.select(kernel.problem(), self.x, None, kernel.outputs)
        best = min(e.time for e in choice.estimates)
        expected = {type(e.method).__name__: e.time / best for e in choice.estimates}
        return {"chosen": type(choice.method).__name__, "expected": expected, "budget": kernel.method.memory}


if __name__ == "__main__":
    serve(Own())
