"""Any finite model ``f(params, x)``: its empirical kernels and Taylor expansions."""

from ._ntk import AbstractOutputs as AbstractOutputs
from ._ntk import Full as Full
from ._ntk import Trace as Trace
from ._ntk import empirical_ntk as empirical_ntk
from ._ntk import empirical_ntk_diagonal as empirical_ntk_diagonal
from ._taylor import linearize as linearize
from ._taylor import taylor_expand as taylor_expand
