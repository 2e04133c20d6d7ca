"""The layers of neural-tangents' ``stax``, as triples ``(init_fn, apply_fn, kernel_fn)`` around native layers.

Layers written for neural-tangents, functions from `Kernel` to `Kernel`, are taken as they are (`layer`); a native layer
is better, and docs/architecture.md shows how to write one.
"""

from ._stax_chain import layer as layer
from ._stax_core import FanInConcat as FanInConcat
from ._stax_core import FanInProd as FanInProd
from ._stax_core import FanInSum as FanInSum
from ._stax_core import FanOut as FanOut
from ._stax_core import Identity as Identity
from ._stax_core import parallel as parallel
from ._stax_core import repeat as repeat
from ._stax_core import serial as serial
from ._stax_elementwise import ABRelu as ABRelu
from ._stax_elementwise import Abs as Abs
from ._stax_elementwise import Cos as Cos
from ._stax_elementwise import Elementwise as Elementwise
from ._stax_elementwise import ElementwiseNumerical as ElementwiseNumerical
from ._stax_elementwise import Erf as Erf
from ._stax_elementwise import Exp as Exp
from ._stax_elementwise import ExpNormalized as ExpNormalized
from ._stax_elementwise import Gabor as Gabor
from ._stax_elementwise import Gaussian as Gaussian
from ._stax_elementwise import Gelu as Gelu
from ._stax_elementwise import Hermite as Hermite
from ._stax_elementwise import LeakyRelu as LeakyRelu
from ._stax_elementwise import Monomial as Monomial
from ._stax_elementwise import Polynomial as Polynomial
from ._stax_elementwise import Rbf as Rbf
from ._stax_elementwise import RectifiedMonomial as RectifiedMonomial
from ._stax_elementwise import Relu as Relu
from ._stax_elementwise import Sigmoid_like as Sigmoid_like
from ._stax_elementwise import Sign as Sign
from ._stax_elementwise import Sin as Sin
from ._stax_graph import Aggregate as Aggregate
from ._stax_graph import AggregateImplementation as AggregateImplementation
from ._stax_graph import AttentionMechanism as AttentionMechanism
from ._stax_graph import GlobalSelfAttention as GlobalSelfAttention
from ._stax_graph import PositionalEmbedding as PositionalEmbedding
from ._stax_linear import Conv as Conv
from ._stax_linear import ConvLocal as ConvLocal
from ._stax_linear import ConvTranspose as ConvTranspose
from ._stax_linear import Dense as Dense
from ._stax_linear import Padding as Padding
from ._stax_maps import DotGeneral as DotGeneral
from ._stax_maps import ImageResize as ImageResize
from ._stax_maps import Index as Index
from ._stax_maps import Slice as Slice
from ._stax_maps import unmask_fn as unmask_fn
from ._stax_own import Bool as Bool
from ._stax_own import Diagonal as Diagonal
from ._stax_own import requires as requires
from ._stax_own import supports_masking as supports_masking
from ._stax_space import AvgPool as AvgPool
from ._stax_space import Dropout as Dropout
from ._stax_space import Flatten as Flatten
from ._stax_space import GlobalAvgPool as GlobalAvgPool
from ._stax_space import GlobalSumPool as GlobalSumPool
from ._stax_space import LayerNorm as LayerNorm
from ._stax_space import SumPool as SumPool
