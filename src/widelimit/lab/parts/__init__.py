"""The parts of the page, in its order; each is one module, one content file and one template."""

from .._content import Part as Part
from ._demo import PART as DEMO
from ._shell import PART as SHELL

PARTS: tuple[Part, ...] = (SHELL, DEMO)
