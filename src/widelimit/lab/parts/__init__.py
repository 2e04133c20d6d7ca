"""The parts of the page, in its order; each is one module, one content file and one template."""

from .._content import Part as Part
from ._code import PART as CODE
from ._demo import PART as DEMO
from ._inquiry import PART as INQUIRY
from ._intuition import PART as INTUITION
from ._map import PART as MAP
from ._math import PART as MATH
from ._outline import PART as OUTLINE
from ._practice import PART as PRACTICE
from ._review import PART as REVIEW
from ._room import PART as ROOM
from ._shell import PART as SHELL
from ._sources import PART as SOURCES
from ._storyboard import PART as STORYBOARD

PARTS: tuple[Part, ...] = (
    SHELL,
    OUTLINE,
    MAP,
    INTUITION,
    MATH,
    CODE,
    DEMO,
    STORYBOARD,
    INQUIRY,
    SOURCES,
    REVIEW,
    PRACTICE,
    ROOM,
)
