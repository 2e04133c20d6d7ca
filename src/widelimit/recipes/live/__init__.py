"""One network watched while it trains, beside its linearisation and its infinite-width limit."""

from ._compile import code_of as code_of
from ._compile import compile_ahead as compile_ahead
from ._compile import forget as forget
from ._compile import let_go as let_go
from ._config import MOST_POINTS as MOST_POINTS
from ._config import RANGES as RANGES
from ._config import WIDTHS as WIDTHS
from ._config import Activation as Activation
from ._config import Change as Change
from ._config import LiveConfig as LiveConfig
from ._config import Parameterization as Parameterization
from ._config import Target as Target
from ._config import clamp as clamp
from ._config import neighbours as neighbours
from ._config import parameters as parameters
from ._frame import Frame as Frame
from ._frame import LivePhase as LivePhase
from ._measure import Measurement as Measurement
from ._measure import Recording as Recording
from ._measure import measure as measure
from ._measure import record as record
from ._run import LiveRun as LiveRun
from ._run import precompile as precompile
from ._snippet import snippet as snippet
