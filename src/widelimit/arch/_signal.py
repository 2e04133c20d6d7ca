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
    alike
        Whether all channels have the same distribution, so that any group of them stands for all.
    given
        Whether this is the input of the architecture itself, which may be a tuple of inputs.
    tokens
        Whether the signal is a sequence of token numbers, which only an `Embedding` reads.
    mean_known
        Whether its mean over channels is known; it is zero for a Gaussian signal. It is not known behind a kernel
        that is no activation's.
    """

    gaussianity: Gaussianity
    roots: frozenset
    alike: bool = True
    given: bool = False
    tokens: bool = False
    mean_known: bool = True


def fresh() -> Signal:
    """Return the signal behind a layer of new weights: Gaussian, independent of everything before."""
    return Signal(Gaussianity.GAUSSIAN, frozenset([object()]))


def copies(signal: Signal, count: int) -> tuple[Signal, ...]:
    """Return ``count`` inputs. Data are not independent of other data; what is not known yet may be."""
    if signal.gaussianity is Gaussianity.UNKNOWN:
        return tuple(dataclasses.replace(signal, roots=frozenset([object()])) for _ in range(count))
    return (signal,) * count


def branches(signal: "Signal | tuple[Signal, ...]", what: str) -> tuple[Signal, ...]:
    """Return the signals that are joined; those of a part that is not yet composed are not known.

    Raises
    ------
    ValueError
        If there is one signal only.
    """
    if isinstance(signal, tuple):
        return signal
    if signal.given and signal.gaussianity is Gaussianity.UNKNOWN:
        return copies(signal, 2)
    raise ValueError(f"{what} got one signal; expected a tuple of branches. Put FanOut and parallel before it.")


def combine(signals: tuple[Signal, ...]) -> Signal:
    """Return what is known of a function of all signals, channel by channel: jointly Gaussian, all their roots."""
    kinds = {signal.gaussianity for signal in signals}
    order = (Gaussianity.NOT_GAUSSIAN, Gaussianity.UNKNOWN, Gaussianity.GAUSSIAN)
    return Signal(
        next(kind for kind in order if kind in kinds),
        frozenset().union(*(signal.roots for signal in signals)),
        all(signal.alike for signal in signals),
        mean_known=all(signal.mean_known for signal in signals),
    )


def check_independent(signals: tuple[Signal, ...], what: str) -> None:
    """Refuse branches that come out of the same random weights, naming the first two."""
    for j, later in enumerate(signals):
        for i, earlier in enumerate(signals[:j]):
            if earlier.roots & later.roots:
                raise ValueError(
                    f"branches {i} and {j} of {what} come out of the same random weights (or the same data), so they "
                    "are correlated and there is no closed form. End the branch with a Dense layer of its own."
                )


def check_means(signals: tuple[Signal, ...], what: str) -> None:
    """Refuse branches that are added or stand in one space if products of their means enter and one is not known."""
    uncentred = [i for i, signal in enumerate(signals) if signal.gaussianity is Gaussianity.NOT_GAUSSIAN]
    hidden = [i for i in uncentred if not signals[i].mean_known]
    if hidden and len(uncentred) > 1:
        other = next(i for i in uncentred if i != hidden[0])
        raise ValueError(
            f"branches {hidden[0]} and {other} of {what} are not Gaussian, and the mean of branch {hidden[0]} is not "
            f"known, which their sum needs. {KNOW_MEAN}"
        )


def check_mean(signal: Signal, what: str) -> None:
    """Refuse a signal whose mean is not known."""
    if not signal.mean_known:
        raise ValueError(f"{what} subtracts the mean of its input, which is not known here. {KNOW_MEAN}")


KNOW_MEAN = (
    "A kernel that is given by itself (KernelFunction without mean_fn, ExpNormalized, a non-Gaussian Kernel passed by "
    "hand) says nothing of means: give mean_fn, build the network as one, or put a Dense layer in between."
)
"""What to do about a mean that is not known."""

DATA = Signal(Gaussianity.NOT_GAUSSIAN, frozenset(["data"]), alike=False, given=True)
"""The signal at the input of a network: given numbers."""

TOKENS = Signal(Gaussianity.NOT_GAUSSIAN, frozenset(["data"]), alike=False, given=True, tokens=True)
"""The signal at the input of a network that reads token numbers."""

UNKNOWN = Signal(Gaussianity.UNKNOWN, frozenset(["input"]), given=True)
"""The signal at the input of a part that is not yet composed into a network."""
