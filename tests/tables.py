"""The tables that the property tests run over: a new dual, layer or architecture is one row here."""

import jax.numpy as jnp

import widelimit as wl
from widelimit import dual


def exp_kernel(q12, q1, q2):
    return jnp.exp((q1 + q2) / 2 + q12)


# name -> (dual, whether it is smooth)
DUALS = {
    "identity": (dual.Identity(), True),
    "relu": (dual.PiecewiseLinear(0.0, 1.0), False),
    "leaky_relu": (dual.PiecewiseLinear(0.2, 1.0), False),
    "abs": (dual.PiecewiseLinear(-1.0, 1.0), False),
    "abrelu": (dual.PiecewiseLinear(-0.3, 1.2), False),
    "linear_by_slopes": (dual.PiecewiseLinear(0.7, 0.7), True),
    "erf": (dual.Erf(), True),
    "erf_scaled": (dual.Erf(0.5, 0.4, 0.5), True),
    "sin": (dual.Sin(), True),
    "sin_scaled": (dual.Sin(0.7, 1.3, 0.2), True),
    "cos": (dual.Cos(), True),
    "cos_scaled": (dual.Cos(1.2, 0.6, -0.4), True),
    "gaussian": (dual.Gaussian(), True),
    "gaussian_scaled": (dual.Gaussian(1.5, -0.3), True),
    "gelu_exact": (dual.Gelu(), True),
    "exp": (dual.Exp(0.7, 0.5), True),
    "gabor": (dual.Gabor(), True),
    "snake": (dual.Snake(0.8), True),
    "hermite": (dual.Hermite(3), True),
    "monomial": (dual.Monomial(4), True),
    "polynomial": (dual.Polynomial((0.3, -1.0, 0.5, 0.2)), True),
    "relu_squared": (dual.RectifiedMonomial(2), False),
    "relu_cubed": (dual.RectifiedMonomial(3), False),
    "kernel_function": (dual.KernelFunction(exp_kernel, fn=jnp.exp, mean_fn=lambda q: jnp.exp(q / 2)), True),
    "tanh": (dual.Series(jnp.tanh, tolerance=1e-13), True),
    "softplus": (dual.Series(dual.functions.scaled_softplus, (1.3,), tolerance=1e-13), True),
    "hard_tanh": (dual.Kinked((-1.0, 1.0), (0.0, 1.0, 0.0)), False),
    "relu6": (dual.Kinked((0.0, 6.0), (0.0, 1.0, 0.0)), False),
    "three_kinks": (dual.Kinked((-0.5, 0.2, 2.0), (0.3, -1.0, 1.0, 0.5), 0.7), False),
}


def dense(width: int, weight_std: float = 1.3, bias_std: float | None = 0.2) -> wl.Dense:
    return wl.Dense(width, weight_std, bias_std)


def standard(width: int, weight_std: float = 1.3, bias_std: float | None = 0.2) -> wl.Dense:
    return wl.Dense(width, weight_std, bias_std, wl.StandardParameterization())


# name -> (network with hidden layers of width 16, whether it is smooth)
NETS = {
    "linear": (wl.serial(dense(16), dense(1)), True),
    "shallow_relu": (wl.serial(dense(16), wl.Relu(), dense(1)), False),
    "deep_erf": (wl.serial(dense(16), wl.Erf(), dense(16), wl.Erf(), dense(16), wl.Erf(), dense(1)), True),
    "no_bias": (wl.serial(dense(16, 1.5, None), wl.LeakyRelu(0.2), dense(1, 1.5, None)), False),
    "mixed": (wl.serial(dense(16), wl.Sin(0.7, 1.3, 0.2), dense(16), wl.Abs(), dense(1)), False),
    "gaussian": (wl.serial(dense(16), wl.Gaussian(), dense(16), wl.Cos(), dense(1)), True),
    "tanh": (wl.serial(dense(16), wl.Elementwise(jnp.tanh), dense(1)), True),
    "identity": (wl.serial(dense(16), wl.Identity(), wl.Erf(), dense(1)), True),
    "residual": (
        wl.serial(dense(16), wl.residual(wl.Relu(), dense(16)), wl.residual(wl.Erf(), dense(16)), wl.Relu(), dense(1)),
        False,
    ),
    "residual_of_activation": (
        wl.serial(dense(16), wl.Erf(), wl.residual(dense(16), wl.Erf(), dense(16)), dense(1)),
        True,
    ),
    "standard": (wl.serial(standard(16), wl.Erf(), standard(16), wl.Relu(), standard(1)), False),
    "standard_no_bias": (wl.serial(standard(16, 1.2, None), wl.Erf(), standard(1, 1.2, None)), True),
}
