"""What a witness returns: both sides of an equation or a claim, computed, and how far they are apart."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Witness:
    """The outcome of one check.

    Attributes
    ----------
    key
        Its name, that of its file.
    statement
        What was compared, in words.
    left, right
        What each side is, in words, and a number that stands for it (a norm, a slope, one entry).
    error
        The distance that is judged.
    tolerance
        How large it may be, or must at least be for a counter-witness.
    passed
        Whether it is on the right side of the tolerance.
    counter
        True where the claim must fail: then the error must exceed the tolerance.
    """

    key: str
    statement: str
    left: tuple[str, float]
    right: tuple[str, float]
    error: float
    tolerance: float
    passed: bool
    counter: bool = False
