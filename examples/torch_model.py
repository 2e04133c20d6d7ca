"""The kernel of a PyTorch network, and how training would go if it stayed as it is."""

import numpy as np

import widelimit as wl

try:
    import torch
except ImportError:
    print('This example needs PyTorch: pip install "widelimit[torch]"')
    raise SystemExit(0) from None

from widelimit.torch import TorchNTK, as_function, empirical_ntk

torch.manual_seed(0)
module = torch.nn.Sequential(torch.nn.Linear(2, 256), torch.nn.Tanh(), torch.nn.Linear(256, 1)).eval()
rng = np.random.default_rng(0)
x = rng.standard_normal((12, 2)).astype(np.float32)
y = np.sin(x[:, :1] * 2)

kernel = empirical_ntk(module, torch.as_tensor(x))
print("tensor in, tensor out:", tuple(kernel.shape), kernel.dtype)
last = empirical_ntk(module, torch.as_tensor(x), learning_rates={"0": False})
print(f"share of the last layer in the kernel {float(last.trace() / kernel.trace()):.2f}")

flow = wl.network_flow(TorchNTK(module), x, y, as_function(module))
print(f"largest stable learning rate {float(flow.max_learning_rate):.4f}")
for t in (0, 1, 10, 100):
    loss = 0.5 * np.sum((flow.at(float(t)) - y) ** 2)
    print(f"time {t:3d}: loss of the linearised network {loss:.4f}")
