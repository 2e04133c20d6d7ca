"""One network that is watched while it trains: what can be set, within which limits, and why."""

import dataclasses
import math
from typing import Any, Literal, get_args

Activation = Literal["relu", "leaky_relu", "abs", "erf", "sin", "gaussian", "identity"]
Parameterization = Literal["ntk", "standard", "mean_field", "mup"]
Target = Literal["sin3x", "sine", "step", "bump", "two_frequencies", "line", "own"]

MOST_POINTS = 48
MOST_PARAMETERS = 2**21
MOST_DEPTH = 6
WIDTHS = tuple(2**k for k in range(3, 13))


@dataclasses.dataclass(frozen=True)
class LiveConfig:
    r"""The whole state of a live run, except how far it has come.

    Attributes
    ----------
    width, depth
        Units of every hidden layer, a power of two, and the number of hidden layers.
    activation, parameterization
        Of all hidden layers, and of all layers.
    weight_std, bias_std
        Scales of all layers.
    target, points
        Which function of x in [-1, 1] is sampled, and at how many training inputs; with ``target="own"`` the inputs and
        targets are ``x`` and ``y``.
    x, y
        The user's own points.
    ridge
        :math:`\lambda` in :math:`\tfrac12\sum_i (f(x_i) - y_i)^2 + \tfrac\lambda2\|\theta - \theta_0\|^2`.
    step
        Learning rate as a share of the largest stable step of the kernel at initialisation,
        :math:`\eta = \mathtt{step}\cdot 2/(\lambda_{\max}(\Theta_0) + \lambda)`: below 1 the linearisation converges,
        between 1 and 2 lies the catapult, beyond it training diverges. The largest eigenvalue of :math:`\Theta_\infty`
        differs, most at small widths, so that close to 1 the limit may diverge where the linearisation does not.
    freeze
        Train the readout alone; hidden features stay as they are.
    seed
        Of the initial parameters.
    """

    width: int = 64
    depth: int = 1
    activation: Activation = "erf"
    parameterization: Parameterization = "ntk"
    weight_std: float = 0.8
    bias_std: float = 0.3
    target: Target = "sin3x"
    points: int = 8
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    ridge: float = 0.0
    step: float = 0.9
    freeze: bool = False
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Change:
    """One control that was set to something else than asked, and why, as a sentence."""

    control: str
    asked: str
    used: str
    reason: str


RANGES: dict[str, tuple[float, float]] = {
    "width": (WIDTHS[0], WIDTHS[-1]),
    "depth": (1, MOST_DEPTH),
    "weight_std": (0.1, 4.0),
    "bias_std": (0.0, 2.0),
    "points": (2, 32),
    "ridge": (0.0, 10.0),
    "step": (0.01, 4.0),
    "seed": (0, 2**31 - 1),
}
"""Smallest and largest value of every number."""


def clamp(config: LiveConfig) -> tuple[LiveConfig, tuple[Change, ...]]:
    """Return the nearest state that this machine can show, and what had to be changed.

    Raises
    ------
    ValueError
        If a value is no number at all, or own points are missing, too many, unequally many or not finite.
    """
    changes: list[Change] = []
    # A decoder may leave defaults to the class; what is returned has every field of its own.
    config = dataclasses.replace(config)
    for name, (low, high) in RANGES.items():
        asked = getattr(config, name)
        if not math.isfinite(asked):
            raise ValueError(f"{name} is {asked}; expected a number from {low:g} to {high:g}.")
        used = type(asked)(min(max(asked, low), high))
        if used != asked:
            reason = f"{name} goes from {low:g} to {high:g} here."
            config = _change(config, name, used, reason, changes)
    near = min(WIDTHS, key=lambda width: abs(math.log(width / config.width)))
    if near != config.width:
        config = _change(config, "width", near, "widths are powers of two, so that compiled code is reused.", changes)
    widest = max(w for w in WIDTHS if parameters(w, config.depth) <= MOST_PARAMETERS)
    if config.width > widest:
        reason = (
            f"{config.depth} hidden layers of width {config.width} have {parameters(config.width, config.depth):,} "
            f"parameters; this page trains at most {MOST_PARAMETERS:,}, so that frames keep coming."
        )
        config = _change(config, "width", widest, reason, changes)
    _check_points(config)
    return config, tuple(changes)


def neighbours(config: LiveConfig) -> tuple[LiveConfig, ...]:
    """Return the states that differ by one control on which compiled code depends, the likeliest first."""
    activations, parameterizations = get_args(Activation), get_args(Parameterization)
    changed: list[dict[str, Any]] = [
        {"width": 2 * config.width},
        {"freeze": not config.freeze},
        {"depth": config.depth + 1},
        {"parameterization": "ntk" if config.parameterization == "mean_field" else "mean_field"},
        {"activation": "erf" if config.activation == "relu" else "relu"},
        {"width": config.width // 2},
        {"width": 4 * config.width},
        {"depth": config.depth - 1},
        *({"parameterization": name} for name in parameterizations),
        *({"activation": name} for name in activations),
    ]
    found = [dataclasses.replace(config, **change) for change in changed]
    low, high = RANGES["depth"]
    allowed = [c for c in found if c.width in WIDTHS and low <= c.depth <= high and c != config]
    return tuple(dict.fromkeys(c for c in allowed if parameters(c.width, c.depth) <= MOST_PARAMETERS))


def parameters(width: int, depth: int) -> int:
    """Return the number of parameters of a network with one input and one output."""
    return 2 * width + (depth - 1) * (width + 1) * width + width + 1


def _change(config: LiveConfig, name: str, used: object, reason: str, changes: list[Change]) -> LiveConfig:
    changes.append(Change(name, str(getattr(config, name)), str(used), reason[0].upper() + reason[1:]))
    return dataclasses.replace(config, **{name: used})


def _check_points(config: LiveConfig) -> None:
    if config.target != "own":
        return
    if len(config.x) != len(config.y) or not 2 <= len(config.x) <= MOST_POINTS:
        raise ValueError(
            f"own points are {len(config.x)} inputs and {len(config.y)} targets; expected equally many, "
            f"2 to {MOST_POINTS}."
        )
    if not all(math.isfinite(v) and abs(v) <= 10 for v in (*config.x, *config.y)):
        raise ValueError("own points have values that are not finite or beyond ±10; rescale them.")
