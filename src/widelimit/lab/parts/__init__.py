"""The parts of the page, in its order; each is one module, one content file and one template."""

from .._content import Part as Part
from ._code import PART as CODE
from ._demo import PART as DEMO
from ._intuition import PART as INTUITION
from ._math import PART as MATH
from ._outline import PART as OUTLINE
from ._review import PART as REVIEW
from ._shell import PART as SHELL
from ._sources import PART as SOURCES

PARTS: tuple[Part, ...] = (SHELL, OUTLINE, INTUITION, MATH, CODE, DEMO, SOURCES, REVIEW)
