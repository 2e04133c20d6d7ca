"""The networks of `kernels` in this package; on its own, so that a worker and the benchmark itself can have them."""

import widelimit as wl
from widelimit import arch


def network(case):
    """Return the network of a `KernelCase`."""
    same = {"padding": arch.Zeros()}

    def conv(window, stride=1):
        return wl.Conv(8, window, case.std, case.bias, strides=(stride,) * len(window), **same)

    def block(stride, widened):
        body = wl.serial(wl.Relu(), conv((3, 3), stride), wl.Relu(), conv((3, 3)))
        if not widened:
            return wl.residual(body)
        return wl.serial(arch.FanOut(2), arch.parallel(body, conv((3, 3), stride)), arch.Sum())

    made = {
        "dense": lambda: wl.Dense(8, case.std, case.bias),
        "relu": wl.Relu,
        "erf": wl.Erf,
        "conv": conv,
        "pool": wl.AvgPool,
        "global": wl.GlobalAvgPool,
        "flatten": wl.Flatten,
        "residual": block,
    }
    return wl.serial(*(made[name](*numbers) for name, *numbers in case.layers))
