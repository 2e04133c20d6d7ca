"""Random architectures and inputs on which all engines have to agree; a new engine is one row in test_engines_agree."""

import numpy as np

import widelimit as wl
from widelimit import arch
from widelimit.arch._rates import with_learning_rate

SMOOTH = [arch.Tanh, arch.Silu, arch.Softplus, arch.Sigmoid, arch.Snake, wl.Gaussian, lambda: arch.Exp(0.7, 0.4)]
"""Activations that are series in compiled loops."""

KNOWN = [wl.Relu, wl.Erf, wl.Gelu, lambda: wl.LeakyRelu(0.3), wl.Sin, wl.Cos, wl.Abs, wl.Identity]
"""Activations with a closed form there."""


class Draw:
    """Draws layers at random; ``conv`` for images, where weights are convolutions."""

    def __init__(self, seed, conv=False):
        self.rng, self.conv = np.random.default_rng(seed), conv
        self.padding = self.one_of([arch.Zeros(), arch.Circular()])
        # A series is compiled anew in the reference: not many different ones in a network.
        self.smooth = self.one_of(SMOOTH)

    def one_of(self, things):
        return things[self.rng.integers(len(things))]

    def activation(self):
        return self.smooth() if self.rng.random() < 0.3 else self.one_of(KNOWN)()

    def weights(self, strides=(1, 1)):
        rng = self.rng
        scales = float(rng.uniform(0.6, 1.5)), float(rng.uniform(0, 0.5)) if rng.random() < 0.7 else None
        more = {"parameterization": wl.StandardParameterization()} if rng.random() < 0.3 else {}
        if self.conv:
            window = tuple(int(n) for n in rng.integers(1, 4, 2))
            layer = wl.Conv(4, window, *scales, strides=strides, padding=self.padding, **more)
        else:
            layer = wl.Dense(8, *scales, **more)
        return with_learning_rate(layer, self.one_of([0.0, 0.5, 2.0])) if rng.random() < 0.3 else layer


def dense_net(seed):
    """Return a random network for vectors: chains, residual branches, sums, layer norms."""
    draw = Draw(seed)

    def chain(depth):
        found = []
        for _ in range(draw.rng.integers(1, 4)):
            kind = draw.rng.integers(4) if depth else 0
            if kind == 1:
                found += [draw.weights(), wl.residual(draw.activation(), draw.weights())]
            elif kind == 2:
                branches = chain(depth - 1), chain(depth - 1)
                found += [draw.weights(), arch.FanOut(2), arch.parallel(*branches), arch.Sum()]
            elif kind == 3:
                found += [draw.weights(), wl.LayerNorm(eps=0.05), draw.activation()]
            else:
                found += [draw.weights(), draw.activation()]
        return wl.serial(*found, draw.weights())

    return wl.serial(*chain(2).layers, draw.activation(), wl.Dense(1, 1.2, 0.1))


def image_net(seed):
    """Return a random network for images of (6, 6): strides, local pools, residual branches, any end."""
    draw = Draw(seed, conv=True)
    layers = [draw.weights(), draw.activation()]
    for _ in range(draw.rng.integers(1, 4)):
        kind = draw.rng.integers(4)
        if kind == 0:
            layers += [draw.weights(), draw.activation()]
        elif kind == 1:
            layers += [draw.weights(), wl.residual(draw.activation(), draw.weights()), draw.activation()]
        elif kind == 2:
            layers += [draw.weights((2, 2)), draw.activation()] if len(layers) == 2 else [draw.weights()]
        else:
            layers += [draw.one_of([wl.AvgPool, arch.SumPool])((2, 2), strides=(1, 1))]
    pool = draw.one_of([wl.GlobalAvgPool(), arch.GlobalSumPool(), arch.Flatten()])
    return wl.serial(*layers, draw.weights(), draw.activation(), pool, wl.Dense(1))


def mixed_net(seed):
    """Return a random network for signals over one or two axes, and the shape of its inputs.

    Every convolution, pool and branch has a padding, stride and dilation of its own.
    """
    rng = np.random.default_rng(seed)
    axes = int(rng.integers(1, 3))
    shape = (*(int(n) for n in rng.integers(3, 7, axes)), 2)
    paddings = [arch.Zeros(), arch.Valid(), arch.Circular()]
    activations = [*KNOWN, arch.Tanh, lambda: wl.Sin(1.0, 1.2, 0.3), lambda: wl.ABRelu(-0.3, 1.1)]

    def one_of(things):
        return things[rng.integers(len(things))]

    def each_axis(numbers):
        return tuple(int(one_of(numbers)) for _ in range(axes))

    def conv(strides=True):
        stride = each_axis([1, 1, 1, 2]) if strides else (1,) * axes
        scales = float(rng.uniform(0.7, 1.6)), float(one_of([0, 0.2, 0.5]))
        where = {"strides": stride, "padding": one_of(paddings), "dilation": each_axis([1, 1, 1, 2])}
        return wl.Conv(4, each_axis([1, 2, 3, 3]), *scales, **where)

    def branch(depth):
        layers = [layer for _ in range(depth) for layer in (conv(rng.random() < 0.4), one_of(activations)())]
        layers += [conv(False)] if rng.random() < 0.6 else []
        return wl.serial(*layers or [wl.Identity()])

    def block():
        kind = rng.choice(5, p=[0.4, 0.15, 0.2, 0.2, 0.05])
        if kind == 0:
            return [conv(), one_of(activations)()]
        if kind == 1:
            pool = one_of([wl.AvgPool, arch.SumPool])
            return [pool(each_axis([1, 2, 2, 3]), strides=each_axis([1, 2]), padding=one_of(paddings))]
        if kind == 2:
            return [wl.residual(one_of(activations)(), wl.Conv(4, each_axis([1, 3]), 1.2, 0.1, padding=paddings[0]))]
        if kind == 3:
            other = branch(int(rng.integers(0, 2))) if rng.random() < 0.7 else wl.Identity()
            return [arch.FanOut(2), arch.parallel(branch(int(rng.integers(1, 3))), other), arch.Sum()]
        return [wl.Dense(4, 1.1, 0.2)]

    body = [layer for _ in range(int(rng.integers(1, 4))) for layer in block()]
    end = one_of([wl.GlobalAvgPool, arch.GlobalSumPool, wl.Flatten])()
    last = [wl.Dense(4, 1.2, 0.1), one_of(activations)()] if rng.random() < 0.5 else []
    return wl.serial(conv(), *body, end, *last, wl.Dense(1, 1.0, 0.1)), shape


def inputs(seed, shape, count):
    """Return random inputs of a shape."""
    return np.random.default_rng(seed).standard_normal((count, *shape))
