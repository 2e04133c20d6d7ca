"""Training dynamics of neural-tangents 0.6.6 in float64 (oracles/predict), through its own interface."""

import ast
import collections
import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from test_golden import build, names_in, tolerance
from widelimit.compat.neural_tangents import predict

ORACLES = pathlib.Path(__file__).parents[1] / "oracles"
ARRAYS = np.load(ORACLES / "predict.npz")
CASES = json.loads((ORACLES / "predict.json").read_text())
CASES_BY_ODE = [case for case in CASES if f"{case['name']}/labels" in ARRAYS]
TIMES = ("0.5", "5.0", "50.0", "None")
pytestmark = pytest.mark.thorough
Both = collections.namedtuple("Both", "nngp ntk")


@functools.cache
def kernels(name):
    """The NNGP and NTK of a case on its test and training inputs, by the numbers of rows and columns asked for."""
    net = build(ast.parse(next(c["net"] for c in CASES if c["name"] == name)).body[0].value)
    x, xt = ARRAYS[f"{name}/x"], ARRAYS[f"{name}/xt"]
    every = np.concatenate([x, xt])
    parts = {len(x): slice(len(x)), len(xt): slice(len(x), None)}
    whole = {"nngp": wl.NNGP(net)(every), "ntk": wl.NTK(net)(every)}
    return lambda get, rows, columns: whole[get][parts[len(rows)], parts[len(columns)]]


def kernel_fn_of(case):
    kernel = kernels(case["name"])

    def kernel_fn(x1, x2, get):
        x2 = x1 if x2 is None else x2
        return kernel(get, x1, x2) if isinstance(get, str) else Both(*(kernel(name, x1, x2) for name in get))

    return kernel_fn


def data(case, *keys):
    return (ARRAYS[f"{case['name']}/{key}"] for key in keys)


def close(measured, case, key, tolerance):
    expected = ARRAYS[f"{case['name']}/{key}"]
    assert measured.shape == expected.shape
    assert np.abs(measured - expected).max() < tolerance * np.abs(expected).max(), key


def seconds(t):
    return None if t == "None" else float(t)


def by_names(case):
    # The peer's kernel of a ReLU network carries an error of about 1e-8 at coincident inputs.
    return tolerance(names_in(case["net"]))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_ensembles(case, either_mode):
    x, xt, y = data(case, "x", "xt", "y")
    ensemble = predict.gradient_descent_mse_ensemble(kernel_fn_of(case), x, y, diag_reg=case["diag_reg"])
    for t in TIMES:
        both = ensemble(seconds(t), xt, None, compute_cov=True)
        for get, out in zip(("nngp", "ntk"), both, strict=True):
            close(out.mean, case, f"{get}/t{t}/mean", by_names(case))
            close(out.covariance, case, f"{get}/t{t}/cov", by_names(case))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_gaussian_processes_are_ensembles_at_the_end_of_training(case):
    x, xt, y = data(case, "x", "xt", "y")
    kernel_fn = kernel_fn_of(case)
    both = ("nngp", "ntk")
    posterior = predict.gp_inference(kernel_fn(x, None, both), y, diag_reg=case["diag_reg"])
    for get in both:
        out = posterior(get, kernel_fn(xt, x, both), kernel_fn(xt, None, "nngp"))
        close(out.mean, case, f"{get}/tNone/mean", by_names(case))
        close(out.covariance, case, f"{get}/tNone/cov", by_names(case))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_one_network(case):
    x, xt, y, f0, ft0 = data(case, "x", "xt", "y", "f0", "ft0")
    ntk = functools.partial(kernel_fn_of(case), get="ntk")
    predict_fn = predict.gradient_descent_mse(ntk(x, None), y, 0.7)
    for t in ("1.0", "20.0", "None"):
        train, test = predict_fn(seconds(t), f0, ft0, ntk(xt, x))
        close(train, case, f"mse/t{t}/train", by_names(case))
        close(test, case, f"mse/t{t}/test", by_names(case))


@pytest.mark.parametrize("case", CASES_BY_ODE, ids=lambda c: c["name"])
def test_cross_entropy_and_momentum(case):
    x, xt, y, f0, ft0, labels = data(case, "x", "xt", "y", "f0", "ft0", "labels")
    ntk = functools.partial(kernel_fn_of(case), get="ntk")
    entropy = predict.gradient_descent(lambda f, y: -jnp.mean(jax.nn.log_softmax(f) * y), ntk(x, None), labels)
    for t in ("1.0", "10.0", "100.0"):
        train, test = entropy(float(t), f0, ft0, ntk(xt, x))
        close(train, case, f"xent/t{t}/train", 1e-4)
        close(test, case, f"xent/t{t}/test", 1e-4)
    heavy = predict.gradient_descent(lambda f, y: jnp.mean((f - y) ** 2) / 2, ntk(x, None), y, momentum=0.9)
    for t in ("1.0", "10.0"):
        train, test = heavy(float(t), f0, ft0, ntk(xt, x))
        close(train, case, f"momentum/t{t}/train", 1e-4)
        close(test, case, f"momentum/t{t}/test", 1e-4)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_max_learning_rate(case):
    x, y = data(case, "x", "y")
    rate = predict.max_learning_rate(kernel_fn_of(case)(x, None, "ntk"), y_train_size=y.size)
    close(np.asarray(rate), case, "max_lr", 1e-6)
