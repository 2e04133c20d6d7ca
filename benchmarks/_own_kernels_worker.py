"""Our side of `kernels`: the NTK with its default engine, and the product of the inputs alone."""

import jax
import numpy as np
from _kernel_cases import CASES
from _own_networks import network
from _serve import serve

import widelimit as wl
from widelimit.engine._cost import pairs_of_positions
from widelimit.engine._lowering import lowered
from widelimit.engine._program import Dual


class Own:
    """Kernels of this package."""

    def load(self, network_name, params, x):
        """Take a case."""
        del params
        case = next(c for c in CASES if c.name == network_name)
        self.x, self.net = x, network(case)
        self.kernel = wl.NTK(self.net)
        return ["default", *(["gemm"] if x.ndim == 2 else [])]

    def call(self, variant):
        """Return the finished kernel, or the product of the inputs."""
        if variant == "gemm":
            return np.matmul(self.x, self.x.T)
        return jax.block_until_ready(self.kernel(self.x))

    def predict(self):
        """Return what `Auto` says, and how far some entries are from float64, relative to the largest."""
        choice = self.kernel.engine.select(self.net, self.x)
        few = self.x[: 200 if self.x.ndim == 2 else 2]
        kernel = wl.NTK(self.net, engine=choice.engine)
        exact = kernel(few.astype(np.float64))
        error = float(np.max(np.abs(kernel(few) - exact)) / np.max(np.abs(exact)))
        said = {"engine": type(choice.engine).__name__, "said": str(choice), "seconds": choice.seconds}
        program = lowered(self.net, self.x.shape[1:])
        pairs = zip(program.operations, pairs_of_positions(program), strict=True)
        said["duals"] = sum(count for operation, count in pairs if isinstance(operation, Dual))
        return {**said, "apart": error}


if __name__ == "__main__":
    serve(Own())
