r"""A live run: gradient descent on a finite network, with its linearisation and its infinite-width limit beside it.

All three start from the same function :math:`f_0` and take the same discrete steps, so that they differ by width alone:
the finite network is trained, the others follow the closed form of `_linear` with :math:`\Theta_0` and
:math:`\Theta_\infty`. Everything is computed in float64.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import jax
import numpy as np

from ._compile import compiled
from ._config import Change, LiveConfig, clamp
from ._draws import numbers
from ._frame import Frame, LivePhase
from ._linear import ConstantKernel, variance
from ._network import Look, Motion, Problem, Shape, limit, look, pad, start, train
from ._regime import sentence
from ._targets import TARGETS, grid, training_points

GROWTH = 0.04
SECONDS_PER_FRAME = 0.045
MOST_STEPS = 2_000_000
BOUND = 1e6
LARGEST = 1e6
FITTED, STILL = 1e-4, 1e-3


@dataclasses.dataclass(frozen=True)
class _Fixed:
    # What stays as it is during a run.
    config: LiveConfig
    shape: Shape
    problem: Problem
    first: Any
    grid: np.ndarray
    x: np.ndarray
    y: np.ndarray
    f_grid: np.ndarray
    f_train: np.ndarray
    features: np.ndarray
    linear: ConstantKernel
    infinite: ConstantKernel
    nngp: tuple[np.ndarray, np.ndarray, np.ndarray]
    has_limit: bool
    reference_scale: float
    loss: float
    length: float


class LiveRun:
    """One run; `open` begins it, `advance` moves it. It is not safe to share between threads."""

    def __init__(self, fixed: _Fixed, changes: tuple[Change, ...]) -> None:
        self._fixed = fixed
        self.changes = changes
        # Seconds that looking takes in each frame, and each step.
        self._look, self._per_step = 0.01, 1e-4
        self._opening = self._open(self.rewind())

    @staticmethod
    def open(config: LiveConfig) -> LiveRun:
        """Return a run at step 0 in the nearest state that can be shown.

        Raises
        ------
        ValueError
            If the state makes no sense; see `clamp`.
        """
        config, changes = clamp(config)
        return LiveRun(_begin(config), changes)

    @property
    def config(self) -> LiveConfig:
        """The state, as clamped."""
        return self._fixed.config

    def rewind(self) -> Frame:
        """Go back to step 0 with the same initial parameters."""
        self._motion = _still(self._fixed.first, self._fixed.loss)
        return self.frame()

    @property
    def opening(self) -> Frame:
        """The frame of step 0 with all that does not change."""
        return self._opening

    def _open(self, frame: Frame) -> Frame:
        fixed = self._fixed
        arrays = {
            "grid": fixed.grid,
            "x": fixed.x,
            "y": fixed.y,
            "ntk_start": fixed.linear.train,
            "ntk_infinite": fixed.infinite.train,
            "spectrum_start": fixed.linear.eigenvalues,
            "spectrum_infinite": fixed.infinite.eigenvalues,
        }
        if fixed.config.target != "own":
            arrays["target"] = TARGETS[fixed.config.target](fixed.grid)
        largest = float(fixed.linear.eigenvalues[0])
        numbers = {
            "learning_rate": float(fixed.problem.learning_rate),
            "largest_step": 2 / (largest + fixed.config.ridge),
            "largest_eigenvalue": largest,
            "parameters": float(sum(leaf.size for leaf in jax.tree.leaves(fixed.first))),
            "has_kernel_limit": float(fixed.has_limit),
            "reference_scale": fixed.reference_scale,
            "rank": float(fixed.infinite.rank),
        }
        return dataclasses.replace(frame, arrays=_float32(arrays) | frame.arrays, numbers=numbers | frame.numbers)

    def pace(self, wanted: int = 0) -> int:
        """Return how many steps the next frame should make, so that frames keep coming.

        Parameters
        ----------
        wanted
            At most so many; 0 grows them with the step, so that all time scales are seen.
        """
        wanted = wanted or max(1, round(GROWTH * int(self._motion.step)))
        return max(1, min(wanted, int((SECONDS_PER_FRAME - self._look) / self._per_step)))

    def advance(self, steps: int) -> Frame:
        """Make at most ``steps`` gradient steps and return what is then seen."""
        if steps < 1:
            raise ValueError(f"steps is {steps}; expected a positive number of gradient steps.")
        began = time.perf_counter()
        frame = self._move(steps)
        taken = time.perf_counter() - began
        self._look = min(self._look, taken)
        self._per_step = 0.5 * (self._per_step + max(taken - self._look, 1e-6) / steps)
        return frame

    def frame(self) -> Frame:
        """Return what is seen now."""
        began = time.perf_counter()
        frame = self._move(0)
        self._look = time.perf_counter() - began
        return frame

    def _move(self, steps: int) -> Frame:
        fixed = self._fixed
        if steps:
            self._motion = train(fixed.shape, fixed.problem, fixed.first, self._motion, np.asarray(steps, np.int64))
        seen = look(fixed.shape, fixed.problem, fixed.first, self._motion.params)
        seen = Look(*(np.asarray(a) for a in seen))
        step, diverged = int(self._motion.step), bool(self._motion.diverged)
        highest, speed = float(self._motion.highest), float(self._motion.speed)
        arrays = _arrays(fixed, seen, step)
        numbers = _numbers(fixed, seen, arrays, step) | {"diverged": float(diverged), "loss_highest": highest}
        phase = _phase(fixed, numbers, speed, float(seen.moved), step, diverged)
        return Frame(
            step, phase, numbers, _float32(arrays), sentence(fixed.config, numbers, phase, fixed.infinite.rank)
        )


def precompile(config: LiveConfig = LiveConfig()) -> None:
    """Compile what a state needs, so that its first frame comes at once; other values of it then need nothing more."""
    LiveRun.open(config).advance(1)


def _begin(config: LiveConfig) -> _Fixed:
    x, y = training_points(config)
    n, inputs = len(x), grid()
    weight = np.r_[np.ones(n), np.zeros(len(pad(x)) - n)]
    values = [pad(x)[:, None], pad(y), weight, config.weight_std, config.bias_std, 0.0, config.ridge, np.inf]
    problem = Problem(*(np.asarray(v, np.float64) for v in (*values, inputs[:, None])))
    shape, infinite = Shape.of(config), Shape.of_limit(config)
    compiled(shape, infinite, len(problem.x), len(inputs))
    normal = numbers(shape.net(config.weight_std, config.bias_std), config.seed)
    first, length, (train, cross) = start(shape, problem, normal)
    train, cross = np.asarray(train)[:n, :n], np.asarray(cross)[:, :n]
    largest = np.linalg.eigvalsh(train)[-1]
    if not np.isfinite(largest) or largest <= 0:
        raise ValueError(
            "the kernel of this network is zero at its start, so that nothing can be learnt: raise a scale."
        )
    rate = config.step * 2 / (largest + config.ridge)
    problem = problem._replace(learning_rate=np.asarray(rate))
    ntk, nngp, own = (np.asarray(a) for a in limit(infinite, problem))
    size = len(problem.x)
    ntk_train, ntk_cross = ntk[:n, :n], ntk[size:, :n]
    has_limit = config.parameterization in ("ntk", "standard")
    # Without a kernel limit the reference keeps its own time: its step is as large a share of its largest stable one.
    ratio = 1.0 if has_limit else largest / np.linalg.eigvalsh(ntk_train)[-1]
    seen = look(shape, problem, first, first)
    bound = BOUND * (float(seen.loss) + 0.5 * float(np.sum(y**2)) + 1e-12)
    problem = problem._replace(bound=np.asarray(bound))
    return _Fixed(
        config=config,
        shape=shape,
        problem=problem,
        first=first,
        grid=inputs,
        x=x,
        y=y,
        f_grid=np.asarray(seen.grid),
        f_train=np.asarray(seen.train)[:n],
        features=np.asarray(seen.features)[:n],
        linear=ConstantKernel.of(train, cross, rate, config.ridge),
        infinite=ConstantKernel.of(ratio * ntk_train, ratio * ntk_cross, rate, config.ridge),
        nngp=(own, nngp[size:, :n], nngp[:n, :n]),
        has_limit=has_limit,
        reference_scale=float(ratio),
        loss=float(seen.loss),
        length=float(length),
    )


def _still(first: Any, loss: float) -> Motion:
    # The gradient is not known yet, and anything finite may stand in its place; both are given up to `train`.
    params, gradient = (jax.tree.map(np.array, first) for _ in range(2))
    zero = np.zeros(())
    return Motion(params, gradient, np.zeros((), np.int64), zero + loss, zero, np.zeros((), np.bool_))


def _arrays(fixed: _Fixed, seen: Look, step: int) -> dict[str, np.ndarray]:
    n, left = len(fixed.x), fixed.y - fixed.f_train
    b = fixed.infinite.grid_map(step)
    outputs = {
        "finite_train": seen.train[:n],
        "linear_train": fixed.f_train + fixed.linear.train_map(step) @ left,
        "infinite_train": fixed.f_train + fixed.infinite.train_map(step) @ left,
    }
    ntk = seen.ntk[:n, :n]
    modes = {
        f"modes_{name}": np.abs(vectors.T @ (outputs[f"{name}_train"] - fixed.y))
        for name, vectors in (
            ("finite", fixed.linear.vectors),
            ("linear", fixed.linear.vectors),
            ("infinite", fixed.infinite.vectors),
        )
    }
    curves = {
        "finite": seen.grid,
        "linear": fixed.f_grid + fixed.linear.grid_map(step) @ left,
        "infinite": fixed.f_grid + b @ left,
        "mean": b @ fixed.y,
        "std": np.sqrt(variance(b, *fixed.nngp)),
    }
    spectrum = np.maximum(np.linalg.eigvalsh(ntk)[::-1], 0.0)
    return curves | outputs | {"ntk": ntk, "spectrum": spectrum} | modes


def _numbers(fixed: _Fixed, seen: Look, arrays: dict[str, np.ndarray], step: int) -> dict[str, float | None]:
    n, ntk, start = len(fixed.x), arrays["ntk"], fixed.linear.train
    h, h0 = seen.features[:n], fixed.features
    learnt = _rms(arrays["finite"] - fixed.f_grid)
    rate = float(fixed.problem.learning_rate)
    far = {name: bool(np.abs(arrays[name]).max() > LARGEST) for name in ("linear", "infinite")}
    half = {name: 0.5 * float(np.sum((arrays[f"{name}_train"] - fixed.y) ** 2)) for name in ("linear", "infinite")}
    cosine = float(np.sum(ntk * start) / (_length(ntk) * _length(start)))
    numbers = {
        "step": float(step),
        "time": rate * step,
        "loss": float(seen.loss),
        "loss_start": fixed.loss,
        "loss_linear": half["linear"],
        "loss_infinite": half["infinite"],
        "mse": 2 * float(seen.loss) / n,
        "parameter_change": float(seen.moved) / fixed.length,
        "kernel_change": _length(ntk - start) / _length(start),
        "kernel_rotation": 1 - cosine,
        "feature_change": _length(h - h0) / _length(h0),
        "gap": _share(arrays["finite"] - arrays["linear"], learnt, far["linear"]),
        "gap_infinite": _share(arrays["finite"] - arrays["infinite"], learnt, far["infinite"]),
        "sharpness": rate * float(arrays["spectrum"][0] + fixed.config.ridge) / 2,
        "sharpness_start": rate * float(fixed.linear.eigenvalues[0] + fixed.config.ridge) / 2,
        "linear_diverged": float(far["linear"]),
        "infinite_diverged": float(far["infinite"]),
    }
    return {name: None if value is None else _bounded(value) for name, value in numbers.items()}


def _phase(fixed: _Fixed, numbers: dict, speed: float, moved: float, step: int, diverged: bool) -> LivePhase:
    if diverged:
        return LivePhase.DIVERGED
    fitted = numbers["mse"] < FITTED**2 * max(float(np.mean(fixed.y**2)), 1e-12)
    still = step >= 50 and step * speed < STILL * moved
    return LivePhase.CONVERGED if fitted or still or step >= MOST_STEPS else LivePhase.TRAINING


def _share(difference: np.ndarray, learnt: float, far: bool) -> float | None:
    return None if far or learnt < 1e-12 else _rms(difference) / learnt


def _length(values: np.ndarray) -> float:
    # `np.linalg.norm` wakes the threads of BLAS, which then wait for work beside those of JAX.
    return float(np.sqrt(np.sum(values**2)))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.minimum(np.abs(values), 1e100) ** 2)))


def _bounded(value: float) -> float:
    return float(np.clip(np.nan_to_num(value, nan=1e300, posinf=1e300, neginf=-1e300), -1e300, 1e300))


def _float32(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.clip(np.nan_to_num(a), -LARGEST, LARGEST).astype(np.float32) for name, a in arrays.items()}
