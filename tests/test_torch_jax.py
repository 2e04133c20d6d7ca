"""Torch modules as functions in JAX: outputs and kernels of PyTorch by every method, the diagnosis of a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from widelimit import regime
from widelimit.empirical import (
    Auto,
    JacobianContraction,
    NTKVectorProducts,
    Sketch,
    StructuredDerivatives,
    kernel_velocity,
    ntk_operator,
)

torch = pytest.importorskip("torch", reason="PyTorch is not installed (the extra 'torch')")

from widelimit import torch as wt  # noqa: E402

nn, F = torch.nn, torch.nn.functional
torch.set_num_threads(1)


class Encoder(nn.Module):
    """An embedding with a padding row, an encoder layer of batches first, a readout of the mean."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(9, 8, padding_idx=0), nn.Linear(8, 3)
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, activation="gelu")

    def forward(self, tokens):
        return self.head(self.layer(self.table(tokens)).mean(1))


class Tied(nn.Module):
    """A tied readout, causal attention, a mask, one frozen parameter, outputs of two axes."""

    def __init__(self):
        super().__init__()
        self.table, self.qkv = nn.Embedding(9, 4), nn.Linear(4, 12)
        self.out = nn.Linear(4, 9, bias=False)
        self.out.weight = self.table.weight
        self.shift = nn.Parameter(torch.ones(4), requires_grad=False)

    def forward(self, tokens):
        q, k, v = self.qkv(self.table(tokens) + self.shift).chunk(3, -1)
        h = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        mask = torch.tensor([True, True, False, True, True])
        h = F.scaled_dot_product_attention(q, h, v, attn_mask=mask) * torch.arange(1.0, 5)
        return self.out(F.normalize(h[:, -1], dim=-1)).unflatten(1, (3, 3))


def mlp():
    return nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 16), nn.ReLU(inplace=True), nn.Linear(16, 3))


def cnn():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding="same"), nn.BatchNorm2d(4), nn.GELU(), nn.MaxPool2d(2), nn.GroupNorm(2, 4),
        nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 3),
    )  # fmt: skip


IMAGES, TOKENS, ROWS = (2, 8, 8), None, (4,)
MODULES = {"mlp": (mlp, ROWS), "cnn": (cnn, IMAGES), "encoder": (Encoder, TOKENS)}


def build(make, shape, dtype=torch.float32):
    """Return a module in evaluation mode, with random running statistics, and a batch."""
    torch.manual_seed(0)
    module = make().to(dtype).eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    return module, torch.randint(0, 9, (5, 5)) if shape is None else torch.randn(5, *shape, dtype=dtype)


@pytest.fixture(scope="module", params=MODULES)
def case(request):
    """Return (module, batch, f, params, full kernel by PyTorch as (n, n, o, o))."""
    module, x = build(*MODULES[request.param])
    return module, x, *wt.from_torch(module, x), wt.empirical_ntk(module, x, outputs=wl.Full()).numpy()


apply = jax.jit(lambda f, params, x: f(params, x))


def largest(a, b):
    """Return the largest difference relative to the largest entry."""
    return np.max(np.abs(np.asarray(a) - np.asarray(b))) / np.max(np.abs(np.asarray(b)))


def test_outputs_are_those_of_the_module(case):
    module, x, f, params, _ = case
    other = x.flip(0)[:4]
    with torch.no_grad():
        expected = module(other).numpy()
    out = apply(f, params, other.numpy())
    assert out.shape == expected.shape
    assert out.dtype == np.float32
    assert largest(out, expected) < 1e-6


@pytest.mark.parametrize(
    "method", [StructuredDerivatives(), JacobianContraction(), NTKVectorProducts()], ids=lambda m: type(m).__name__
)
def test_kernels_are_those_of_torch(case, method):
    _, x, f, params, expected = case
    kernel = wl.EmpiricalNTK(f, params, wl.Full(), method=method)(x.numpy())
    assert largest(kernel, expected) < 1e-5


def test_the_automatic_choice_and_a_sketch():
    module, x = build(mlp, ROWS)
    f, params = wt.from_torch(module, x)
    expected = wt.empirical_ntk(module, x, outputs=wl.Full()).numpy()
    assert largest(wl.EmpiricalNTK(f, params, wl.Full(), method=Auto())(x.numpy()), expected) < 1e-5
    sketch = wl.EmpiricalNTK(f, params, wl.Full(), method=Sketch(256))(x.numpy())
    squares = np.einsum("nnaa->na", expected)
    bound = np.sqrt((np.einsum("na,mb->nmab", squares, squares) + expected**2) / 256)
    assert np.max(np.abs(sketch - expected) / bound) < 5


def test_operator_linearization_and_velocity():
    module, x = build(mlp, ROWS, torch.float64)
    with jax.enable_x64(True):
        f, params = wt.from_torch(module, x)
        n, v = x.numpy(), np.random.default_rng(0).standard_normal((15, 2))
        kernel = wt.empirical_ntk(module, x, outputs=wl.Full()).numpy()
        matrix = kernel.swapaxes(1, 2).reshape(15, 15)
        np.testing.assert_allclose(ntk_operator(f, params, n, outputs=wl.Full()).matmat(v), matrix @ v, rtol=1e-10)

        named = dict(module.named_parameters())
        ahead = {name: 0.1 * torch.randn_like(p) for name, p in named.items()}
        call = lambda p: torch.func.functional_call(module, p, x)  # noqa: E731
        value, slope = torch.func.jvp(call, ({k: p.detach() for k, p in named.items()},), (ahead,))
        moved = wt.params_of(f, {name: p.detach() + ahead[name] for name, p in named.items()})
        np.testing.assert_allclose(wl.linearize(f, params)(moved, n), (value + slope).numpy(), rtol=1e-12)

        direction = jax.tree.map(lambda a, b: a - b, moved, params)
        velocity = kernel_velocity(f, params, direction, n).velocity
        sides = []
        for sign in (1, -1):
            with torch.no_grad():
                for name, p in named.items():
                    p.add_(sign * 1e-5 * ahead[name])
            sides.append(wt.empirical_ntk(module, x).numpy())
            with torch.no_grad():
                for name, p in named.items():
                    p.sub_(sign * 1e-5 * ahead[name])
        np.testing.assert_allclose(velocity, (sides[0] - sides[1]) / 2e-5, atol=1e-7 * np.abs(velocity).max())


@pytest.mark.parametrize("mode", [False, True], ids=["x32", "x64"])
def test_a_float64_module_is_computed_in_float64(mode):
    module, x = build(mlp, ROWS, torch.float64)
    with jax.enable_x64(mode):
        f, params = wt.from_torch(module, x)
        assert {a.dtype for a in jax.tree.leaves(params)} == {np.dtype(np.float64)}
        kernel = wl.EmpiricalNTK(f, params)(x.numpy())
    assert kernel.dtype == np.float64
    assert largest(kernel, wt.empirical_ntk(module, x).numpy()) < 1e-12


def test_the_dtype_is_that_of_the_parameters():
    module, x = build(cnn, IMAGES)
    module[0].requires_grad_(False)
    f, params = wt.from_torch(module, x)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: a.astype(np.float64), params)
        out, exact = apply(f, params, x.double().numpy()), apply(f, wide, x.numpy())
    assert (out.dtype, exact.dtype) == (np.float32, np.float64)
    assert largest(exact, module.double()(x.double()).detach().numpy()) < 1e-13


class Many(nn.Module):
    """A linear layer, and the sum of functions of what it gives."""

    def __init__(self, first, *functions):
        super().__init__()
        self.first, self.functions = first, functions

    def forward(self, x):
        x = self.first(x)
        values = [g(x) for g in self.functions]
        return sum(v.reshape(len(v), -1).sum(-1, keepdim=True) * (0.5 + i) for i, v in enumerate(values))


def replaced(x):
    """Operations in place on slices, rows and single entries."""
    y, z = x.clone(), torch.zeros_like(x)
    y[:, 1:3] = y[:, 1:3] * 2
    y[:, 0] = 1.0
    y[:, -1] += 2
    z[:, torch.tensor([0, 2])] = y[:, :2]
    return y.clamp_(min=-1) + z


ACTIVATIONS = (
    nn.ReLU6(), nn.LeakyReLU(0.2), nn.ELU(0.7), nn.SELU(), nn.CELU(0.5), nn.GELU("tanh"), nn.Mish(), nn.Softplus(2.0),
    nn.Softsign(), nn.Sigmoid(), nn.LogSigmoid(), nn.Tanhshrink(), nn.Hardtanh(), nn.Hardswish(),
    nn.Hardshrink(), nn.Softshrink(), nn.LogSoftmax(-1), nn.GLU(-1), nn.Threshold(0.1, 0.2), torch.erf, torch.atan,
)  # fmt: skip
SHAPES = (
    replaced, lambda x: x.roll(1, -1) * x.flip(-1), lambda x: F.pad(x, (1, -1))[:, 1:4:2] ** 3,
    lambda x: x[:, [0, 2, 0]] * 2,
    lambda x: x.sort(-1, descending=True)[0] * torch.arange(4),
    lambda x: x.topk(2)[0] * x.gather(1, x.argsort(-1))[:, :2],
    lambda x: x.unfold(1, 2, 1).prod(-1), lambda x: x.repeat(1, 2)[:, 1:5] * x, lambda x: torch.where(x > 0, x, x * x),
    lambda x: torch.stack([x, x * x], 1).transpose(1, 2), lambda x: x.split([1, 3], 1)[1] * x.select(1, 0)[:, None],
    lambda x: F.one_hot(x.argmax(-1), 4) * x, lambda x: x.masked_fill(x > 0.5, 0.0),
    lambda x: x.repeat_interleave(2, 1).cumsum(1),
)  # fmt: skip
SUMS = (
    lambda x: x.std(-1), lambda x: x.var(-1, correction=0), lambda x: torch.logsumexp(x, -1), lambda x: x.norm(dim=-1),
    lambda x: x.abs().amax(-1), lambda x: x.max(-1)[0] - x.min(-1)[0], lambda x: F.cosine_similarity(x, x.flip(-1)),
    lambda x: torch.einsum("bi,bj->bij", x, x).triu(), lambda x: torch.bmm(x[:, :, None], x[:, None]).tril(-1),
    lambda x: x[:, None] @ x[:, :, None], lambda x: torch.baddbmm(x[:, None], x[:, None], x[:, :, None] @ x[:, None]),
    lambda x: x.clamp(min=0.1).pow(1.5), lambda x: torch.lerp(x, x * x, 0.3), lambda x: x.remainder(0.7),
    lambda x: torch.atan2(x, x.flip(-1)), lambda x: torch.maximum(x, -x) / (1 + x * x),
)  # fmt: skip
POOLS = (
    nn.AvgPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
    nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.MaxPool2d(2, 1, dilation=2), nn.AdaptiveAvgPool2d((3, 2)),
    nn.AdaptiveMaxPool2d(3), nn.Upsample(scale_factor=1.5), nn.Upsample(size=9, mode="bilinear"),
    nn.Upsample(size=(5, 9), mode="bilinear", align_corners=True), nn.PixelShuffle(2), nn.InstanceNorm2d(4),
    nn.LocalResponseNorm(2), nn.ReflectionPad2d(1), nn.LPPool2d(2, 2),
)  # fmt: skip


@pytest.mark.parametrize(
    ("first", "functions", "shape"),
    [
        (lambda: nn.Linear(4, 4), ACTIVATIONS, (4,)),
        (lambda: nn.Linear(4, 4), SHAPES, (4,)),
        (lambda: nn.Linear(4, 4), SUMS, (4,)),
        (lambda: nn.ConvTranspose2d(2, 4, 3, 2, 1, output_padding=1, groups=2, dilation=2), POOLS, (2, 3, 4)),
        (lambda: nn.GRU(3, 2, bidirectional=True, batch_first=True), (lambda out: out[0] ** 2,), (4, 3)),
    ],
    ids=["activations", "shapes", "sums", "pools", "recurrent"],
)
def test_operations_and_their_derivatives(first, functions, shape):
    module, x = build(lambda: Many(first(), *functions), shape, torch.float64)
    with jax.enable_x64(True):
        f, params = wt.from_torch(module, x[:3])

        @jax.jit
        def both(params):
            return jax.value_and_grad(lambda p: jnp.vdot(f(p, x[:3].numpy()), 1 + jnp.arange(3)))(params)

        value, gradient = both(params)
    expected = module(x[:3])[:, 0] @ (1 + torch.arange(3.0, dtype=torch.float64))
    expected.backward()
    np.testing.assert_allclose(value, expected.item(), rtol=1e-13)
    wanted = np.concatenate([p.grad.numpy().ravel() for _, p in sorted(module.named_parameters())])
    assert largest(np.concatenate([np.ravel(a) for a in jax.tree.leaves(gradient)]), wanted) < 1e-12


def test_functions_of_large_numbers_have_finite_derivatives():
    module = nn.Sequential(nn.Linear(1, 1), nn.Softplus(), nn.CELU(), nn.ELU(), nn.Mish()).eval()
    x = torch.tensor([[1e3], [-1e3]]) / module[0].weight.detach()
    f, params = wt.from_torch(module, x)
    kernel = wl.EmpiricalNTK(f, params)(x.numpy())
    assert largest(kernel, wt.empirical_ntk(module, x).numpy()) < 1e-6


def test_modules_that_do_the_same_share_compiled_code():
    torch.manual_seed(0)
    x, traces = torch.randn(3, 4), []

    @jax.jit
    def outputs(f, params, x):
        traces.append(f)
        return f(params, x)

    for make in (mlp, mlp, lambda: nn.Sequential(*mlp()[:1], nn.Sigmoid(), *mlp()[2:])):
        module = make().eval()
        f, params = wt.from_torch(module, x)
        np.testing.assert_allclose(outputs(f, params, x.numpy()), module(x).detach().numpy(), atol=1e-6)
    assert len(traces) == 2


def test_several_inputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 2), nn.Linear(2, 2)

        def forward(self, x, y):
            return self.a(x) * torch.sin(self.b(y))

    module, x = Two(), (torch.randn(4, 3), torch.randn(4, 2))
    f, params = wt.from_torch(module, x)
    kernel = wl.EmpiricalNTK(f, params)(tuple(a.numpy() for a in x))
    assert largest(kernel, wt.empirical_ntk(module, x).numpy()) < 1e-5


def test_outputs_that_lose_the_batch_axis_for_one_example():
    module, x = Bad(lambda y: y[:, :1].squeeze()), torch.randn(3, 2)
    f, params = wt.from_torch(module, x)
    assert f(params, x.numpy()).shape == (3,)
    np.testing.assert_allclose(f(params, x.numpy()[:1]), module(x).detach().numpy()[:1], rtol=1e-6)


def test_the_module_is_left_as_it_was_and_its_weights_are_copied():
    module, x = build(cnn, IMAGES)
    before = {name: p.clone() for name, p in module.state_dict().items()}
    f, params = wt.from_torch(module, x)
    assert all(torch.equal(before[name], p) for name, p in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())
    out = np.asarray(apply(f, params, x.numpy()))
    with torch.no_grad():
        module[0].weight.zero_()
        module[1].running_mean.zero_()
    np.testing.assert_array_equal(apply(f, params, x.numpy()), out)


def problem(width):
    """Return a network in the NTK parameterization, with inputs and targets."""

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.out = nn.Linear(2, width), nn.Linear(width, 1, bias=False)
            nn.init.normal_(self.hidden.weight)
            nn.init.normal_(self.out.weight)

        def forward(self, x):
            return self.out(torch.tanh(self.hidden(x))) / self.out.in_features**0.5

    torch.manual_seed(0)
    x = torch.randn(8, 2)
    return Scaled(), x, torch.sin(2 * x[:, :1])


def test_the_diagnosis_of_a_torch_module_and_of_a_run_in_torch():
    module, x, y = problem(512)
    f, params = wt.from_torch(module, x)
    steps, rate, loss = 100, 0.2, wl.MeanSquares()
    trainer = regime.GradientDescentTrainer(rate, steps, loss, snapshots=5)
    ours = regime.diagnose(f, params, x.numpy(), y.numpy(), train=trainer)
    assert ours.regime is regime.Regime.KERNEL
    assert {layer.name for layer in ours.layers} == {"hidden", "out"}

    optimizer, run = torch.optim.SGD(module.parameters(), rate), []
    kept = [int(k) for k in ours.along.steps]
    for step in range(steps + 1):
        if step in kept:
            run.append(wt.params_of(f, module if step % 2 else module.state_dict()))
        optimizer.zero_grad()
        (((module(x) - y) ** 2).mean() / 2).backward()
        optimizer.step()
    theirs = regime.diagnose(f, params, x.numpy(), y.numpy(), train=regime.Checkpoints(run, kept, rate, loss=loss))
    assert theirs.regime is regime.Regime.KERNEL
    np.testing.assert_allclose(theirs.along.drift, ours.along.drift, atol=1e-4)
    np.testing.assert_allclose(theirs.along.gap, ours.along.gap, atol=1e-4)


def test_a_tied_module():
    module, x = build(Tied, TOKENS)
    f, params = wt.from_torch(module, x)
    assert set(params) == {"table", "qkv"}
    assert jax.eval_shape(f, params, x.numpy()).shape == (5, 3, 3)
    assert largest(wl.EmpiricalNTK(f, params)(x.numpy()), wt.empirical_ntk(module, x).numpy()) < 1e-5
    again = wt.params_of(f, module.state_dict())
    assert jax.tree.all(jax.tree.map(lambda a, b: jnp.array_equal(a, b), params, again))
    assert jax.tree.structure(again) == jax.tree.structure(params)


class Bad(nn.Module):
    """A linear layer and a function of its outputs."""

    def __init__(self, function):
        super().__init__()
        self.layer, self.function = nn.Linear(2, 2), function

    def forward(self, x):
        return self.function(self.layer(x))


def without_gradients(x):
    with torch.no_grad():
        return x + 1


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (lambda x: x, "module is a function"),
        (nn.Sequential(nn.Linear(2, 2), nn.Dropout()), "call module.eval"),
        (Bad(lambda x: F.dropout(x, 0.5)), "random numbers"),
        (Bad(lambda x: x * x.detach()), "'layer'|'Bad' stops gradients"),
        (Bad(lambda x: x * without_gradients(x)), "stops gradients"),
        (Bad(lambda x: x - x.mean(0)), "treats examples independently"),
        (Bad(lambda x: x if x.sum() > 0 else 2 * x), "torch.export says"),
        (Bad(torch.special.i1e), "module uses aten.special_i1e.default in module 'Bad': no rule"),
        (Bad(lambda x: (x, x)), "module returned tuple"),
        (Bad(lambda x: x.argmax(-1)), "module returned torch.int64"),
    ],
)  # fmt: skip
def test_modules_without_a_function_in_jax_are_refused(module, words):
    torch.manual_seed(0)
    with pytest.raises(ValueError, match=words):
        wt.from_torch(module, torch.randn(3, 2))


def test_what_stops_no_gradient_of_a_parameter_is_accepted():
    def function(x):
        with torch.no_grad():
            angle = torch.arange(2.0).cos()
        return x * angle * torch.tensor([1.0, 2.0]).detach()

    module, x = Bad(function), torch.randn(3, 2)
    f, params = wt.from_torch(module, x)
    assert largest(wl.EmpiricalNTK(f, params)(x.numpy()), wt.empirical_ntk(module, x).numpy()) < 1e-5


def test_bad_input_of_the_function_and_of_checkpoints():
    module, x = build(cnn, IMAGES)
    f, params = wt.from_torch(module, x)
    with pytest.raises(ValueError, match=r"examples of shape \(2, 9, 9\); expected \(2, 8, 8\)"):
        f(params, jnp.zeros((1, 2, 9, 9)))
    with pytest.raises(ValueError, match=r"params has no '0.weight'"):
        f(dict(module.named_parameters()), x.numpy())
    with pytest.raises(ValueError, match=r"source has no \['0.weight'"):
        wt.params_of(f, {})
    state = {name: t.clone() for name, t in module.state_dict().items()}
    with pytest.raises(ValueError, match="other shapes"):
        wt.params_of(f, {**state, "0.weight": state["0.weight"][:2]})
    state["1.running_mean"] += 1
    with pytest.raises(ValueError, match=r"other values of '1.running_mean', which f holds fixed"):
        wt.params_of(f, state)
    with pytest.raises(ValueError, match="example holds NaN"):
        wt.from_torch(module, x * np.nan)
