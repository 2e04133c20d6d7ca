"""The kernel of a PyTorch network, how training would go if it stayed as it is, and whether it did."""

import numpy as np

import widelimit as wl

try:
    import torch
except ImportError:
    print('This example needs PyTorch: pip install "widelimit[torch]"')
    raise SystemExit(0) from None

from widelimit.torch import TorchNTK, as_function, empirical_ntk, from_torch, params_of

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

f, params = from_torch(module, x)
print("the same kernel in JAX:", np.allclose(wl.EmpiricalNTK(f, params)(x), kernel.numpy(), rtol=1e-4))

rate = 1 / float(kernel.trace())
optimizer = torch.optim.SGD(module.parameters(), rate)
inputs, targets, steps, run = torch.as_tensor(x), torch.as_tensor(y), (0, 1, 10, 100, 500), []
for step in range(steps[-1] + 1):
    if step in steps:
        run.append(params_of(f, module))
    optimizer.zero_grad()
    (0.5 * ((module(inputs) - targets) ** 2).sum()).backward()
    optimizer.step()
report = wl.regime.diagnose(f, params, x, y, train=wl.regime.Checkpoints(run, steps, rate))
print(report.verdict.sentence)
