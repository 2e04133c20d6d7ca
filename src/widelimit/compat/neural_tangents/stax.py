"""The layers of neural-tangents' ``stax``, as triples ``(init_fn, apply_fn, kernel_fn)`` around native layers.

Missing are the functions for writers of layers (``layer``, ``requires``, ``supports_masking``): a layer of your own is
a native one, and `docs/layers.md` shows how to write it.
"""

from ._stax_core import FanInConcat as FanInConcat
from ._stax_core import FanInProd as FanInProd
from ._stax_core import FanInSum as FanInSum
from ._stax_core import FanOut as FanOut
from ._stax_core import Identity as Identity
from ._stax_core import parallel as parallel
from ._stax_core import repeat as repeat
from ._stax_core import serial as serial
from ._stax_elementwise import *  # noqa: F403
from ._stax_linear import Conv as Conv
from ._stax_linear import ConvLocal as ConvLocal
from ._stax_linear import ConvTranspose as ConvTranspose
from ._stax_linear import Dense as Dense
from ._stax_linear import Padding as Padding
from ._stax_space import AvgPool as AvgPool
from ._stax_space import Dropout as Dropout
from ._stax_space import Flatten as Flatten
from ._stax_space import GlobalAvgPool as GlobalAvgPool
from ._stax_space import GlobalSumPool as GlobalSumPool
from ._stax_space import LayerNorm as LayerNorm
from ._stax_space import SumPool as SumPool
