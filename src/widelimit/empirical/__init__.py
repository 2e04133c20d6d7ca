"""Any finite model ``f(params, x)``: its empirical kernels and Taylor expansions."""

from ._cost import Cost as Cost
from ._hierarchy import KernelVelocity as KernelVelocity
from ._hierarchy import flow_direction as flow_direction
from ._hierarchy import kernel_velocity as kernel_velocity
from ._method import AbstractMethod as AbstractMethod
from ._ntk import empirical_ntk as empirical_ntk
from ._ntk import empirical_ntk_diagonal as empirical_ntk_diagonal
from ._outputs import AbstractOutputs as AbstractOutputs
from ._outputs import Diagonal as Diagonal
from ._outputs import Full as Full
from ._outputs import Trace as Trace
from ._problem import Problem as Problem
from ._structured import Contribution as Contribution
from ._structured import StructuredDerivatives as StructuredDerivatives
from ._structured import describe as describe
from ._structured import structured_cost as structured_cost
from ._structured import structured_parts as structured_parts
from ._taylor import SecondOrder as SecondOrder
from ._taylor import linearize as linearize
from ._taylor import second_order as second_order
from ._taylor import taylor_expand as taylor_expand
from ._taylor import taylor_terms as taylor_terms
