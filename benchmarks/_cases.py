r"""What is measured, and the least that any direct method has to compute and move for it.

A layer meets its input at S positions with a weight of shape (fan_in, width); a dense layer has S = 1. For n examples
with o outputs, all pairs of outputs, in multiply-adds:

- forward: :math:`n\,S\,\mathrm{fan\_in}\,\mathrm{width}` per layer;
- backward: :math:`n\,o\,S\,\mathrm{fan\_in}\,\mathrm{width}` per layer that is neither the first nor the readout;
- dense layer: :math:`\tfrac12n^2\,\mathrm{fan\_in} + \tfrac12(no)^2\,\mathrm{width}` for the two factors of the kernel,
  without the second for the readout, whose signals are unit vectors;
- convolution: :math:`n\,o\,S\,\mathrm{fan\_in}\,\mathrm{width}` for the gradients (without the o for the last one: its
  signals are one mask times a column of the readout), :math:`\tfrac12(no)^2\,\mathrm{fan\_in}\,\mathrm{width}` for
  their inner products.

Half of a symmetric matrix is enough. Fast convolutions (Winograd, Fourier) could undercut it. Bytes: inputs, weights
and the result once; activations, signals and gradients of convolutions written once and read once.
"""

import dataclasses
import itertools
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Layer:
    r"""A weight of shape (\*window, channels, width) that meets its input at a number of positions."""

    positions: int
    window: tuple[int, ...]
    channels: int
    width: int

    @property
    def weight(self) -> tuple[int, ...]:
        """Shape of the weight."""
        return (*self.window, self.channels, self.width)

    @property
    def fan_in(self) -> int:
        """Numbers that one output sees."""
        return math.prod(self.window) * self.channels


@dataclasses.dataclass(frozen=True)
class Case:
    """A network of 3x3 convolutions (``space`` given) or of dense layers, with ReLU, and a batch for it."""

    name: str
    n: int
    outputs: int
    channels: int
    hidden: tuple[int, ...]
    space: tuple[int, ...] = ()

    @property
    def network(self) -> str:
        """Its name in ``_networks.NETWORKS``."""
        return "cnn" if self.space else "mlp"

    @property
    def layers(self) -> list[Layer]:
        """Its layers, the readout last."""
        positions, window = math.prod(self.space), (3, 3) if self.space else ()
        widths = [self.channels, *self.hidden]
        inner = [Layer(positions, window, c, q) for c, q in itertools.pairwise(widths)]
        return [*inner, Layer(1, (), widths[-1], self.outputs)]

    def draw(self, seed: int = 0) -> dict[str, np.ndarray]:
        """Return inputs ``x`` and parameters ``p0, p1, ...`` in float32."""
        rng = np.random.default_rng(seed)
        arrays = {"x": rng.standard_normal((self.n, *self.space, self.channels))}
        for i, layer in enumerate(self.layers):
            arrays[f"p{2 * i}"] = rng.standard_normal(layer.weight) * math.sqrt(2 / layer.fan_in)
            arrays[f"p{2 * i + 1}"] = 0.1 * rng.standard_normal(layer.width)
        return {name: a.astype(np.float32) for name, a in arrays.items()}


CASES = [
    Case("mlp-10", n=64, outputs=10, channels=784, hidden=(512, 512, 512)),
    Case("mlp-1", n=256, outputs=1, channels=784, hidden=(512, 512, 512)),
    Case("cnn-10", n=16, outputs=10, channels=3, hidden=(32, 32, 32, 32), space=(32, 32)),
]


def multiply_adds(case: Case) -> dict[str, int]:
    """Return the least multiply-adds by phase: forward, backward, contraction."""
    n, rows = case.n, case.n * case.outputs
    pairs, all_pairs = n * (n + 1) // 2, rows * (rows + 1) // 2
    layers = case.layers
    inner, last = layers[:-1], layers[-2]
    product = {layer: layer.positions * layer.fan_in * layer.width for layer in layers}
    contraction = pairs * layers[-1].fan_in
    for layer in inner:
        if layer.positions == 1:
            contraction += pairs * layer.fan_in + all_pairs * layer.width
    convolutions = [layer for layer in inner if layer.positions > 1]
    for i, layer in enumerate(convolutions):
        signals = n if i == len(convolutions) - 1 and layer is last else rows
        contraction += signals * product[layer] + all_pairs * layer.fan_in * layer.width
    return {
        "forward": n * sum(product[layer] for layer in layers),
        "backward": rows * sum(product[layer] for layer in inner[1:]),
        "contraction": contraction,
    }


def traffic(case: Case) -> int:
    """Return the least bytes moved in float32, where nothing but the operands of one operation stays in cache."""
    rows, inner = case.n * case.outputs, case.layers[:-1]
    once = case.n * math.prod((*case.space, case.channels)) + rows**2
    once += sum(layer.fan_in * layer.width + layer.width for layer in case.layers)
    twice = (case.n + rows) * sum(layer.positions * layer.width for layer in inner)
    twice += rows * sum(layer.fan_in * layer.width for layer in inner if layer.positions > 1)
    return 4 * (once + 2 * twice)
