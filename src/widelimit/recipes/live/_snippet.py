"""A state as code: a short script with public names only that reproduces its curves."""

from ._config import LiveConfig
from ._run import LiveRun

PARAMETERIZATIONS = {"ntk": "NTKParameterization", "standard": "StandardParameterization"}
PARAMETERIZATIONS |= {"mup": "MuP", "mean_field": "MeanField"}
TARGETS = {
    "sin3x": "np.sin(3 * x)",
    "sine": "np.sin(np.pi * x)",
    "step": "np.where(x < 0, -0.8, 0.8)",
    "bump": "np.exp(-12 * x**2)",
    "two_frequencies": "0.7 * np.sin(2 * x) + 0.4 * np.sin(9 * x)",
    "line": "0.8 * x",
}
SCRIPT = """\
import jax
import jax.numpy as jnp
import numpy as np
import widelimit as wl

jax.config.update("jax_enable_x64", True)
{data}
grid = np.linspace(-1.5, 1.5, 161)[:, None]


def network(parameterization):
    def dense(n):
        return wl.Dense(n, {weight_std!r}, {bias_std!r}, parameterization)

    hidden = [layer for _ in range({depth}) for layer in (dense({width}), wl.{activation}())]
    return wl.serial(*hidden, dense(1))


net = network(wl.{parameterization}())
first = net.init(jax.random.key({seed}), (1,))
{rates}
theta = wl.EmpiricalNTK(net.apply, first, learning_rates=rates)
eta, ridge, steps = {learning_rate!r}, {ridge!r}, {steps}


@jax.jit
def train(params):
    def step(_, p):
        gradient = jax.grad(lambda q: 0.5 * jnp.sum((net.apply(q, x) - y) ** 2))(p)
        return jax.tree.map(
            lambda p, p0, r, g: p - eta * (r * g + (r > 0) * ridge * (p - p0)), p, first, rates, gradient
        )

    return jax.lax.fori_loop(0, steps, step, params)


def in_function_space(kernel, scale=1.0):
    start, descent = lambda inputs: net.apply(first, inputs), wl.GradientDescent(scale * eta)
    return wl.network_flow(kernel, x, y, start, optimizer=descent, ridge=ridge / scale).at(steps, grid)


finite = net.apply(train(first), grid)
linear = in_function_space(theta)
infinite = in_function_space({limit})
"""


def snippet(config: LiveConfig, steps: int) -> str:
    """Return a script whose ``finite``, ``linear`` and ``infinite`` are the curves after ``steps`` gradient steps."""
    run = LiveRun.open(config)
    config, opening = run.config, run.opening.numbers
    if config.target == "own":
        data = f"x = np.array({list(config.x)})[:, None]\ny = np.array({list(config.y)})[:, None]"
    else:
        data = f"x = np.linspace(-1, 1, {config.points})[:, None]\ny = {TARGETS[config.target]}"
    rates = "rates = net.learning_rates(first)"
    if config.freeze:
        rates += "\nrates = (*jax.tree.map(lambda r: 0.0, rates[:-1]), rates[-1])  # only the readout trains"
    has_limit = opening["has_kernel_limit"] == 1
    own = "net" if has_limit else "network(wl.NTKParameterization())"
    limit = f"wl.{'NNGP' if config.freeze else 'NTK'}({own})"
    if not has_limit:
        limit += f", scale={opening['reference_scale']!r}"
    names = {"leaky_relu": "LeakyRelu"}
    return SCRIPT.format(
        data=data,
        weight_std=config.weight_std,
        bias_std=config.bias_std,
        depth=config.depth,
        width=config.width,
        activation=names.get(config.activation, config.activation.capitalize()),
        parameterization=PARAMETERIZATIONS[config.parameterization],
        seed=config.seed,
        rates=rates,
        learning_rate=opening["learning_rate"],
        ridge=config.ridge,
        steps=steps,
        limit=limit,
    )
