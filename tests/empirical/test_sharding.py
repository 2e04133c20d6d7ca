"""Rows on four devices are the rows on one, also when they do not divide."""

import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widelimit.empirical import Full, JacobianContraction, Problem, Sharded

SCRIPT = r"""
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from widelimit.empirical import Full, JacobianContraction, NTKVectorProducts, Sharded, Sketch
from widelimit.kernels import EmpiricalNTK

jax.config.update("jax_enable_x64", True)
devices = jax.devices()
assert len(devices) == 4
rng = np.random.default_rng(0)
w, v = rng.standard_normal((5, 4)), rng.standard_normal((4, 3))
x, y = rng.standard_normal((7, 5)), rng.standard_normal((3, 5))

def f(p, x):
    return jnp.tanh(x @ p[0]) @ p[1]

def close(a, b):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * np.abs(b).max())

def kernel(method):
    return EmpiricalNTK(f, [w, v], Full(), method)

for method in (JacobianContraction(3000), NTKVectorProducts(), Sketch(64)):
    one, four = kernel(method), kernel(Sharded(method))
    whole = one(x)
    close(four(x), whole)             # 7 rows on 4 devices
    close(four(y, x), one(y, x))      # fewer rows than devices
    close(four.diagonal(x), one.diagonal(x))
    if isinstance(method, NTKVectorProducts):
        close(kernel(Sharded(method, tuple(devices[1:3])))(x), whole)

# Inputs that are sharded already: the rows follow them, and the result is spread likewise.
for mesh in (jax.make_mesh((4,), ("batch",)), jax.sharding.Mesh(np.array(devices), ("batch",))):
    x8 = jax.device_put(rng.standard_normal((8, 5)), NamedSharding(mesh, PartitionSpec("batch")))
    block = kernel(JacobianContraction(3000))(x8)
    assert {s.data.shape for s in block.addressable_shards} == {(2, 8, 3, 3)}
    assert block.sharding.device_set == set(devices)
    close(block, kernel(JacobianContraction())(np.asarray(x8)))
    close(kernel(JacobianContraction()).diagonal(x8), kernel(JacobianContraction()).diagonal(np.asarray(x8)))
# Inputs committed to one device, on all devices.
close(kernel(Sharded(JacobianContraction()))(jax.device_put(x, devices[2])), kernel(JacobianContraction())(x))
print("done")
"""


@pytest.mark.thorough
def test_four_devices_agree_with_one():
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(pathlib.Path(__file__).parents[2] / "src"), *sys.path]),
    }
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "done"


def test_one_device_is_no_different(x64):
    x, w = jnp.asarray(np.random.default_rng(0).standard_normal((3, 2))), jnp.ones((2, 2))
    problem = Problem(lambda p, x: jnp.sin(x @ p), w)
    whole = JacobianContraction().block(problem, x, None, Full())
    one = Sharded(JacobianContraction(), (jax.devices()[0],)).block(problem, x, None, Full())
    np.testing.assert_allclose(one, whole, rtol=0, atol=1e-14)


def test_no_devices_are_refused():
    with pytest.raises(ValueError, match="devices is empty"):
        Sharded(JacobianContraction(), ())
