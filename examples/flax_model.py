"""The kernel of a Flax network with batch normalisation: spectrum, largest stable step, and how fast it moves."""

import jax
import numpy as np

import widelimit as wl
from widelimit.adapters import from_linen
from widelimit.empirical import flow_direction, kernel_velocity

try:
    from flax import linen as nn
except ImportError:
    print("This example needs Flax: pip install flax")
    raise SystemExit(0) from None


class Net(nn.Module):
    """A small convolutional network."""

    @nn.compact
    def __call__(self, x, train=True):
        """Return two outputs per image."""
        x = nn.Conv(16, (3, 3))(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        x = nn.relu(nn.Conv(32, (3, 3), strides=2)(x))
        return nn.Dense(2)(x.mean((1, 2)))


rng = np.random.default_rng(0)
x = rng.standard_normal((12, 8, 8, 3)).astype(np.float32)
y = np.stack([x.mean((1, 2, 3)), x.std((1, 2, 3))], 1)

net = Net()
f, params = from_linen(net, net.init(jax.random.key(0), x), arguments={"train": False})
kernel = wl.EmpiricalNTK(f, params)(x)
eigenvalues = np.linalg.eigvalsh(kernel)
print(f"eigenvalues of the kernel from {eigenvalues[0]:.4f} to {eigenvalues[-1]:.2f}")
flow = wl.network_flow(wl.EmpiricalNTK(f, params, outputs=wl.Full()), x, y, lambda x: f(params, x))
print(f"largest stable learning rate {float(flow.max_learning_rate):.4f}")

direction = flow_direction(f, params, x, y, wl.SumOfSquares().value)
speed = kernel_velocity(f, params, direction, x).relative_speed
print(f"the kernel starts to move at {float(speed):.1f} times its own size per unit of time")
