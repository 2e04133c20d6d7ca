"""What a composition must know of a signal to tell whether the architecture has a limit."""

import dataclasses
import enum


class Gaussianity(enum.Enum):
    """Whether a signal is a Gaussian process in the limit of infinite width."""

    GAUSSIAN = "Gaussian"
    NOT_GAUSSIAN = "not Gaussian"
    UNKNOWN = "not known until composed"


@dataclasses.dataclass(frozen=True)
class Signal:
    """What is tracked of a signal while an architecture is composed.

    Attributes
    ----------
    gaussianity
        Whether the signal is Gaussian.
    roots
        Identities of the weights whose outputs the signal is an element-wise function of (and of data). Signals
        without a common root are independent, channel by channel, in the limit.
    given
        Whether this is the input of the architecture itself, which may be a tuple of inputs.
    tokens
        Whether the signal is a sequence of token numbers, which only an `Embedding` reads.
    """

    gaussianity: Gaussianity
    roots: frozenset
    given: bool = False
    tokens: bool = False


def fresh() -> Signal:
    """Return the signal behind a layer of new weights: Gaussian, independent of everything before."""
    return Signal(Gaussianity.GAUSSIAN, frozenset([object()]))


def copies(signal: Signal, count: int) -> tuple[Signal, ...]:
    """Return ``count`` inputs that are independent of each other."""
    return tuple(dataclasses.replace(signal, roots=frozenset([object()])) for _ in range(count))


def combine(signals: tuple[Signal, ...]) -> tuple[Gaussianity, frozenset]:
    """Return whether signals are jointly Gaussian, and all their roots."""
    kinds = {signal.gaussianity for signal in signals}
    order = (Gaussianity.NOT_GAUSSIAN, Gaussianity.UNKNOWN, Gaussianity.GAUSSIAN)
    return next(kind for kind in order if kind in kinds), frozenset().union(*(signal.roots for signal in signals))


def check_independent(signals: tuple[Signal, ...], what: str) -> None:
    """Refuse branches that come out of the same random weights, naming the first two."""
    for j, later in enumerate(signals):
        for i, earlier in enumerate(signals[:j]):
            if earlier.roots & later.roots:
                raise ValueError(
                    f"branches {i} and {j} of {what} come out of the same random weights (or the same data), so they "
                    "are correlated and there is no closed form. End the branch that should differ with a layer of "
                    "its own weights: End the branch with a Dense layer."
                )


DATA = Signal(Gaussianity.NOT_GAUSSIAN, frozenset(["data"]), given=True)
"""The signal at the input of a network: given numbers."""

TOKENS = Signal(Gaussianity.NOT_GAUSSIAN, frozenset(["data"]), given=True, tokens=True)
"""The signal at the input of a network that reads token numbers."""

UNKNOWN = Signal(Gaussianity.UNKNOWN, frozenset(["input"]), given=True)
"""The signal at the input of a part that is not yet composed into a network."""
