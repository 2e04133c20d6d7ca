"""Training from outputs that already move: split anywhere, it is one path; without a push it only coasts."""

import jax.numpy as jnp
import numpy as np
import pytest

from widelimit.dynamics import ODE, AnyLoss, GradientFlow, MomentumFlow, Task
from widelimit.gram import Dense

pytestmark = pytest.mark.usefixtures("x64")
K = np.array([[2.0, 0.3], [0.3, 1.0]])
F0, Y, V = np.array([[1.0], [-1.0]]), np.array([[0.5], [2.0]]), np.array([[0.2], [-0.1]])


def motion(optimizer, f, velocity, t, loss):
    method = ODE()
    state, task = method.init(Dense(jnp.asarray(K)), 0.0), Task(optimizer, AnyLoss(loss), jnp.asarray(f), Y)
    m = method.motion(state, task, jnp.asarray(velocity), jnp.asarray(t))
    return f + m.coasted * velocity + K @ m.weights, m.coasting * velocity + K @ m.velocity


def quartic(f, y):
    return jnp.sum((f - y) ** 4) / 4


def test_a_path_that_is_split_is_one_path():
    optimizer = MomentumFlow(0.1, 0.7)
    whole = motion(optimizer, F0, V, 9.0, quartic)
    middle = motion(optimizer, F0, V, 4.0, quartic)
    for one, two in zip(motion(optimizer, *middle, 5.0, quartic), whole, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-8)
    still = ODE().weights(
        ODE().init(Dense(jnp.asarray(K)), 0.0), Task(optimizer, AnyLoss(quartic), jnp.asarray(F0), Y), jnp.asarray(9.0)
    )
    np.testing.assert_allclose(motion(optimizer, F0, 0 * V, 9.0, quartic)[0], F0 + K @ still, atol=1e-9)


def test_without_a_push_outputs_coast_against_friction():
    f, speed = motion(MomentumFlow(0.1, 0.7), F0, V, 6.0, lambda f, y: 0.0 * jnp.sum(f))
    np.testing.assert_allclose(f, F0 + V * (1 - np.exp(-0.3 * 6)) / 0.3, atol=1e-9)
    np.testing.assert_allclose(speed, V * np.exp(-0.3 * 6), atol=1e-9)
    np.testing.assert_allclose(motion(GradientFlow(), F0, V, 6.0, lambda f, y: 0.0 * jnp.sum(f))[0], F0, atol=1e-12)
