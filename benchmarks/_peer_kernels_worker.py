"""The peer's side of `kernels`: the NTK of the same networks by neural-tangents, compiled by ``jax.jit``."""

import jax
import jax.numpy as jnp
from _kernel_cases import CASES
from _serve import serve
from neural_tangents import stax


def network(case):
    """Return the network of a case."""

    def conv(window, stride=1):
        return stax.Conv(8, window, (stride,) * len(window), "SAME", W_std=case.std, b_std=case.bias)

    def block(stride, widened):
        body = stax.serial(stax.Relu(), conv((3, 3), stride), stax.Relu(), conv((3, 3)))
        shortcut = conv((3, 3), stride) if widened else stax.Identity()
        return stax.serial(stax.FanOut(2), stax.parallel(body, shortcut), stax.FanInSum())

    made = {
        "dense": lambda: stax.Dense(8, W_std=case.std, b_std=case.bias),
        "relu": stax.Relu,
        "erf": stax.Erf,
        "conv": conv,
        "pool": lambda window: stax.AvgPool(window, strides=window),
        "global": stax.GlobalAvgPool,
        "flatten": stax.Flatten,
        "residual": block,
    }
    return stax.serial(*(made[name](*numbers) for name, *numbers in case.layers))


class Peer:
    """Kernels of neural-tangents."""

    def load(self, network_name, params, x):
        """Take a case."""
        del params
        case = next(c for c in CASES if c.name == network_name)
        kernel = network(case)[2]
        self.x, self.kernel = jnp.asarray(x), jax.jit(lambda x: kernel(x, None, "ntk"))
        return ["jit"]

    def call(self, variant):
        """Return the finished kernel."""
        del variant
        return self.kernel(self.x).block_until_ready()


if __name__ == "__main__":
    serve(Peer())
