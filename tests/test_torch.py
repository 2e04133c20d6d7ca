"""Kernels of torch modules: equal to JAX's with the same weights, to explicit Jacobians, and among the methods."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from widelimit.empirical import Diagonal

torch = pytest.importorskip("torch", reason="PyTorch is not installed (the extra 'torch')")

from widelimit import torch as wt  # noqa: E402

nn = torch.nn
# On a busy machine two threads that wait for each other are far slower than one.
torch.set_num_threads(1)
OUTPUTS = [wl.Trace(), Diagonal(), wl.Full()]


class Residual(nn.Module):
    """Convolutions with group and batch normalisation, an operation in place, a skip, strides, groups, a pool."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.norm, self.group = nn.BatchNorm2d(4), nn.GroupNorm(2, 4)
        self.grouped = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.down = nn.Conv2d(4, 6, 3, stride=2, dilation=2)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = nn.functional.relu(self.norm(self.stem(x)), inplace=True)
        x = x + torch.tanh(self.group(self.grouped(x)))
        return self.head(nn.functional.max_pool2d(self.down(x), 2).mean((2, 3)))


class Attention(nn.Module):
    """Tokens, attention written by hand, layer normalisation, a tied readout of the last token."""

    def __init__(self, tied):
        super().__init__()
        self.table, self.place = nn.Embedding(7, 4, padding_idx=0), nn.Parameter(torch.randn(5, 4))
        self.qkv, self.out = nn.Linear(4, 12), nn.Linear(4, 4)
        self.norm, self.rms = nn.LayerNorm(4), nn.RMSNorm(4)
        self.tied = tied
        self.head = nn.Linear(4, 3)

    def forward(self, tokens):
        h = self.table(tokens) + self.place
        q, k, v = self.qkv(self.norm(h)).chunk(3, -1)
        h = self.rms(h + self.out(torch.softmax(q @ k.transpose(1, 2), -1) @ v))
        return h[:, -1] @ self.table.weight.T if self.tied else self.head(h)


class Odd(nn.Module):
    """Layers that a naive recording gets wrong: called twice, batch axis second, batch merged with positions."""

    def __init__(self):
        super().__init__()
        self.twice, self.second, self.merged = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.one = nn.Conv1d(3, 3, 2, stride=2, padding=1)
        self.unused = nn.Linear(3, 3)

    def forward(self, x):
        x = torch.tanh(self.twice(torch.tanh(self.twice(x))))
        x = torch.sin(self.second(x.transpose(0, 1))).transpose(0, 1)
        x = self.one(x)
        return self.merged(torch.cat([x, x[..., :1]], -1).reshape(-1, 4)).reshape(len(x), -1)


class Recurrent(nn.Module):
    """An LSTM and a linear readout of its last state."""

    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.LSTM(4, 3, batch_first=True), nn.Linear(3, 2)

    def forward(self, x):
        return self.head(self.cell(x)[0][:, -1])


def mlp():
    return nn.Sequential(
        nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8, bias=False), nn.ReLU(inplace=True), nn.Linear(8, 3)
    )


def encoder():
    return nn.Sequential(nn.TransformerEncoderLayer(4, 2, 6, batch_first=True), nn.Flatten(), nn.Linear(12, 2))


IMAGES, SEQUENCES, TOKENS, ROWS = (2, 9, 9), (3, 4), None, (4,)
# name -> (module, shape of an example; None for tokens)
MODULES = {
    "mlp": (mlp, ROWS),
    "residual": (Residual, IMAGES),
    "attention": (lambda: Attention(False), TOKENS),
    "tied": (lambda: Attention(True), TOKENS),
    "odd": (Odd, SEQUENCES),
    "recurrent": (Recurrent, SEQUENCES),
    "encoder": (encoder, SEQUENCES),
}


def build(name, dtype=torch.float64):
    """Return the module, in evaluation mode with random running statistics, and two batches."""
    torch.manual_seed(0)
    make, shape = MODULES[name]
    module = make().to(dtype).eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    if shape is None:
        return module, torch.randint(0, 7, (4, 5)), torch.randint(0, 7, (3, 5))
    return module, torch.randn(4, *shape, dtype=dtype), torch.randn(3, *shape, dtype=dtype)


def explicit(module, x1, x2):
    """Return (n1, n2, o, o) by one backward pass per example and output."""

    def rows(x):
        out = []
        for i in range(len(x)):
            y = module(x[i : i + 1]).reshape(-1)
            params = [p for p in module.parameters() if p.requires_grad]
            grads = [torch.autograd.grad(v, params, retain_graph=True, allow_unused=True) for v in y]
            zero = [[torch.zeros_like(p) if g is None else g for p, g in zip(params, gs, strict=True)] for gs in grads]
            out.append(torch.stack([torch.cat([g.reshape(-1) for g in gs]) for gs in zero]))
        return torch.stack(out)

    return torch.einsum("nap,mbp->nmab", rows(x1), rows(x2))


def reduced(full, outputs):
    """Return what the outputs make of a full kernel."""
    diagonal = np.einsum("nmaa->nma", full)
    return full if isinstance(outputs, wl.Full) else diagonal if isinstance(outputs, Diagonal) else diagonal.mean(2)


@pytest.mark.parametrize("name", MODULES)
def test_both_methods_are_the_contraction_of_jacobians(name):
    module, x1, x2 = build(name)
    expected = explicit(module, x1, x2).numpy()
    own = explicit(module, x1, x1).numpy()
    close = {"rtol": 0, "atol": 1e-12 * np.abs(expected).max()}
    for method in (wt.StructuredDerivatives(), wt.JacobianContraction()):
        for outputs in OUTPUTS:
            got = wt.empirical_ntk(module, x1, x2, outputs=outputs, method=method)
            np.testing.assert_allclose(got, reduced(expected, outputs), **close)
    full = wl.Full()
    np.testing.assert_allclose(wt.empirical_ntk(module, x1, outputs=full), own, **close)
    small = wt.empirical_ntk(module, x1, outputs=full, method=wt.StructuredDerivatives(memory=1))
    np.testing.assert_allclose(small, own, **close)
    diagonal = wt.empirical_ntk_diagonal(module, x1, outputs=full)
    np.testing.assert_allclose(diagonal, np.einsum("nnab->nab", own), **close)


@pytest.mark.parametrize("name", ["mlp", "residual", "attention"])
def test_layers_with_a_rule_have_no_jacobian(name, monkeypatch):
    from widelimit.torch import _methods

    module, x1, _ = build(name)
    kept = []
    original = _methods._jacobians
    monkeypatch.setattr(_methods, "_jacobians", lambda task, names, x: kept.extend(names) or original(task, names, x))
    wt.empirical_ntk(module, x1)
    assert set(kept) <= {"place"}


def jax_weights(module):
    return [(jnp.asarray(p.detach().numpy().T)) for p in module.parameters()]


def test_the_same_weights_give_the_kernel_of_jax():
    module, x1, x2 = build("mlp", torch.float32)

    def f(p, x):
        w1, b1, w2, w3, b3 = p
        return jax.nn.relu(jnp.tanh(x @ w1 + b1) @ w2) @ w3 + b3

    for outputs in OUTPUTS:
        expected = np.asarray(wl.EmpiricalNTK(f, jax_weights(module), outputs)(x1.numpy(), x2.numpy()))
        close = {"rtol": 1e-5, "atol": 1e-5 * np.abs(expected).max()}
        np.testing.assert_allclose(wt.empirical_ntk(module, x1, x2, outputs=outputs), expected, **close)
        kernel = wt.TorchNTK(module, outputs)
        np.testing.assert_allclose(kernel(x1.numpy(), x2.numpy()), expected, **close)
        assert kernel(x1.numpy()).dtype == np.float32
        own = wl.EmpiricalNTK(f, jax_weights(module), outputs).diagonal(jnp.asarray(x1.numpy()))
        np.testing.assert_allclose(kernel.diagonal(jnp.asarray(x1.numpy())), own, rtol=1e-5, atol=1e-5)


def test_convolutions_give_the_kernel_of_jax():
    torch.manual_seed(1)
    module = nn.Sequential(
        nn.Conv2d(2, 5, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 25, 3)
    ).eval()
    x = torch.randn(4, 2, 9, 9)

    def f(p, x):
        h = jax.lax.conv_general_dilated(x, p[0], (2, 2), [(1, 1), (1, 1)]) + p[1][:, None, None]
        return jax.nn.relu(h).reshape(len(x), -1) @ p[2].T + p[3]

    params = [jnp.asarray(p.detach().numpy()) for p in module.parameters()]
    expected = np.asarray(wl.EmpiricalNTK(f, params, wl.Full())(x.numpy()))
    got = wt.empirical_ntk(module, x, outputs=wl.Full())
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_frozen_parameters_and_learning_rates():
    module, x1, x2 = build("mlp")
    parts = {}
    for name, _ in module.named_parameters():
        rates = {other: other == name for other, _ in module.named_parameters()}
        parts[name] = wt.empirical_ntk(module, x1, x2, learning_rates=rates).numpy()
    whole = wt.empirical_ntk(module, x1, x2).numpy()
    np.testing.assert_allclose(sum(parts.values()), whole, rtol=1e-12)
    scaled = wt.empirical_ntk(module, x1, x2, learning_rates={"0": 0.5, "2": False}).numpy()
    first = 0.5 * (parts["0.weight"] + parts["0.bias"])
    np.testing.assert_allclose(scaled, first + parts["4.weight"] + parts["4.bias"], rtol=1e-12)
    module[0].weight.requires_grad_(False)
    np.testing.assert_allclose(wt.empirical_ntk(module, x1, x2), whole - parts["0.weight"], rtol=1e-10)


@pytest.mark.parametrize("name", ["mlp", "residual", "attention"])
def test_vector_products(name):
    module, x1, x2 = build(name)
    full = wt.empirical_ntk(
        module, x1, x2, outputs=wl.Full(), learning_rates={next(iter(dict(module.named_parameters()))): 0.5}
    )
    o = full.shape[2]
    v = torch.randn(len(x2), o, dtype=torch.float64)
    rates = {next(iter(dict(module.named_parameters()))): 0.5}
    for size in (2, 100):
        got = wt.ntk_vector_product(module, x1, x2, v, learning_rates=rates, batch_size=size)
        np.testing.assert_allclose(got, torch.einsum("nmab,mb->na", full, v), rtol=1e-10, atol=1e-12)


def test_several_inputs_and_scalar_outputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 1, dtype=torch.float64), nn.Linear(2, 1, dtype=torch.float64)

        def forward(self, x, y):
            return (self.a(x) * torch.sin(self.b(y)))[:, 0]

    module = Two()
    x = (torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64))
    a, b = wt.empirical_ntk(module, x), wt.empirical_ntk(module, x, method=wt.JacobianContraction())
    np.testing.assert_allclose(a, b, rtol=1e-12)
    v = torch.randn(4, dtype=torch.float64)
    np.testing.assert_allclose(wt.ntk_vector_product(module, x, x, v), a @ v, rtol=1e-12)


def test_batches_of_different_lengths():
    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.wide, self.head = nn.Embedding(7, 4), nn.Linear(4, 9), nn.Linear(9, 2)

        def forward(self, tokens):
            return self.head(torch.tanh(self.wide(self.table(tokens))).mean(1))

    module, long, short = Bag().double(), torch.randint(0, 7, (9, 12)), torch.randint(0, 7, (8, 1))
    expected = explicit(module, long, short)
    got = wt.empirical_ntk(module, long, short, outputs=wl.Full())
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))


def test_a_flow_runs_on_a_torch_kernel():
    module, x1, _ = build("mlp", torch.float32)
    x, y = x1.numpy(), np.ones((4, 3), np.float32)
    flow = wl.network_flow(wt.TorchNTK(module), x, y, wt.as_function(module))
    np.testing.assert_allclose(flow.at(np.inf), y, atol=1e-3)


def test_the_module_is_left_as_it_was():
    module, x1, _ = build("residual")
    before = {name: p.clone() for name, p in module.state_dict().items()}
    wt.empirical_ntk(module, x1)
    assert all(torch.equal(before[name], p) for name, p in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())
    assert not any(part._forward_hooks for part in module.modules())
    with torch.no_grad():
        wt.empirical_ntk(module, x1)


def linear():
    return nn.Linear(2, 1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: wt.empirical_ntk(lambda x: x, x), "module is a function"),
        (lambda x: wt.empirical_ntk(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), x), "call module.eval"),
        (lambda x: wt.empirical_ntk(nn.Sequential(nn.Linear(2, 2), nn.Dropout()), x), "draws random numbers"),
        (lambda x: wt.empirical_ntk(nn.Tanh(), x), "no parameter is trained"),
        (lambda x: wt.empirical_ntk(linear(), x, learning_rates={"wieght": 1}), "names 'wieght'"),
        (lambda x: wt.empirical_ntk(linear(), x, learning_rates={"weight": -1}), "is -1; expected"),
        (lambda x: wt.empirical_ntk(linear(), x, outputs="trace"), "outputs is 'trace'"),
        (lambda x: wt.empirical_ntk(linear(), x.numpy()), "x1 is .*ndarray"),
        (lambda x: wt.empirical_ntk(linear(), x, x[:0]), r"x2 is \[\(0, 2\)\]"),
        (lambda x: wt.empirical_ntk(linear(), x * np.nan), "x1 holds NaN"),
        (lambda x: wt.empirical_ntk(nn.LSTM(2, 2), x), "module returned tuple"),
        (lambda x: wt.ntk_vector_product(linear(), x, x, x[:2]), "one row per row of x2"),
        (lambda x: wt.ntk_vector_product(linear(), x, x, x), "vector has 2 columns"),
        (lambda x: jax.jit(wt.TorchNTK(linear()).block)(jnp.ones((2, 2)), jnp.ones((2, 2))), "outside of jit"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call(torch.ones(3, 2))


def test_a_missing_torch_is_named():
    code = "import sys; sys.modules['torch'] = None\ntry: import widelimit.torch\nexcept ImportError as e: print(e)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == 'widelimit.torch needs PyTorch: pip install "widelimit[torch]"'


@pytest.mark.parametrize("method", [wt.StructuredDerivatives, wt.JacobianContraction])
@pytest.mark.parametrize("memory", [0, -5, 1.5])
def test_a_budget_is_a_positive_number_of_bytes(method, memory):
    with pytest.raises(ValueError, match="memory is"):
        method(memory)
