"""Our side of `kernels`: the NTK with its default engine, and the product of the inputs alone."""

import jax
import numpy as np
from _kernel_cases import BIAS, CASES, STD
from _serve import serve

import widelimit as wl
from widelimit import arch
from widelimit.engine._cost import pairs_of_positions
from widelimit.engine._lowering import lowered
from widelimit.engine._program import Dual


def network(layers):
    """Return the network of a case."""
    std = 1.5 if ("erf",) in layers else STD
    same = {"padding": arch.Zeros()}

    def conv(window, stride=1):
        return wl.Conv(8, window, STD, BIAS, strides=(stride,) * len(window), **same)

    def block(stride, widened):
        body = wl.serial(wl.Relu(), conv((3, 3), stride), wl.Relu(), conv((3, 3)))
        if not widened:
            return wl.residual(body)
        return wl.serial(arch.FanOut(2), arch.parallel(body, conv((3, 3), stride)), arch.Sum())

    made = {
        "dense": lambda: wl.Dense(8, std, BIAS),
        "relu": wl.Relu,
        "erf": wl.Erf,
        "conv": conv,
        "pool": wl.AvgPool,
        "global": wl.GlobalAvgPool,
        "flatten": wl.Flatten,
        "residual": block,
    }
    return wl.serial(*(made[name](*numbers) for name, *numbers in layers))


class Own:
    """Kernels of this package."""

    def load(self, network_name, params, x):
        """Take a case."""
        del params
        case = next(c for c in CASES if c.name == network_name)
        self.x, self.net = x, network(case.layers)
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
