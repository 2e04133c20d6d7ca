"""Any finite model ``f(params, x)``: its empirical kernels and Taylor expansions."""

from ._jacobian import JacobianContraction as JacobianContraction
from ._jacobian import jacobian_parts as jacobian_parts
from ._method import AbstractMethod as AbstractMethod
from ._ntk import empirical_ntk as empirical_ntk
from ._ntk import empirical_ntk_diagonal as empirical_ntk_diagonal
from ._operator import NTKOperator as NTKOperator
from ._operator import ntk_operator as ntk_operator
from ._outputs import AbstractOutputs as AbstractOutputs
from ._outputs import Diagonal as Diagonal
from ._outputs import Full as Full
from ._outputs import Trace as Trace
from ._problem import Problem as Problem
from ._problem import output_shapes as output_shapes
from ._problem import outputs_of as outputs_of
from ._problem import unflatten_block as unflatten_block
from ._sharded import Sharded as Sharded
from ._sharded import spread as spread
from ._sketch import Sketch as Sketch
from ._taylor import linearize as linearize
from ._taylor import taylor_expand as taylor_expand
from ._vector_products import NTKVectorProducts as NTKVectorProducts
