"""The networks and inputs of `kernels`, told once for every side: layers are rows of names and numbers."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class KernelCase:
    """A network, and numbers of inputs for us and for the peer, whose time per entry is compared.

    ``layers`` are rows: ``("dense",)``, ``("conv", window)``, ``("relu",)``, ``("erf",)``, ``("pool", window)``,
    ``("global",)``, ``("flatten",)``, or ``("residual", stride, widened)`` for a block of a wide ResNet.
    """

    name: str
    shape: tuple[int, ...]
    layers: tuple[tuple, ...]
    n: int
    peer_n: int
    bias = 0.1

    @property
    def std(self) -> float:
        """Scale of the weights."""
        return 1.5 if ("erf",) in self.layers else 2**0.5

    @property
    def activations(self) -> int:
        """How many activations there are."""
        return sum({"relu": 1, "erf": 1, "residual": 2}.get(row[0], 0) for row in self.layers)

    def draw(self, count: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Return ``x``: the first ``count`` of the inputs, float32, Gaussian."""
        rng = np.random.default_rng(seed)
        return {"x": rng.standard_normal((count, *self.shape)).astype(np.float32)}


def _dense(depth: int, activation: str = "relu") -> tuple[tuple, ...]:
    return (*(("dense",), (activation,)) * depth, ("dense",))


def _myrtle(one: int, two: int, three: int) -> tuple[tuple, ...]:
    conv, pool = (("conv", (3, 3)), ("relu",)), (("pool", (2, 2)),)
    return (*conv * one, *pool, *conv * two, *pool, *conv * three, *pool * 3, ("flatten",), ("dense",))


def _wide_resnet(blocks: int) -> tuple[tuple, ...]:
    groups = [(("residual", stride, True), *(("residual", 1, False),) * (blocks - 1)) for stride in (1, 2, 2)]
    return (("conv", (3, 3)), *(row for group in groups for row in group), ("global",), ("dense",))


_CNTK = (("conv", (3, 3)), ("relu",)) * 20

CASES = [
    KernelCase("dense-relu-32", (32,), _dense(3), 8000, 2000),
    KernelCase("dense-erf-32", (32,), _dense(3, "erf"), 8000, 2000),
    KernelCase("dense-relu-784", (784,), _dense(3), 4000, 2000),
    KernelCase("dense-relu-784-deep", (784,), _dense(10), 4000, 2000),
    KernelCase("cntk-21-global", (32, 32, 3), (*_CNTK, ("global",), ("dense",)), 32, 2),
    KernelCase("cntk-21-flatten", (32, 32, 3), (*_CNTK, ("flatten",), ("dense",)), 200, 50),
    KernelCase("myrtle-5", (32, 32, 3), _myrtle(2, 1, 1), 16, 2),
    KernelCase("myrtle-10", (32, 32, 3), _myrtle(3, 3, 3), 16, 2),
    KernelCase("wide-resnet-16-4", (32, 32, 3), _wide_resnet(2), 8, 2),
    KernelCase("conv-1d", (128, 20), (*(("conv", (5,)), ("relu",)) * 6, ("global",), ("dense",)), 128, 32),
]
