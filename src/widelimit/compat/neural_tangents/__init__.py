"""The interface of neural-tangents on top of this library, for code that was written for it.

The functions have its names, arguments, conventions and shapes; the numbers come from the native library. What differs
is listed in docs/neural_tangents.md.
"""

from . import predict as predict
from . import stax as stax
from ._batch import batch as batch
from ._empirical import NtkImplementation as NtkImplementation
from ._empirical import empirical_kernel_fn as empirical_kernel_fn
from ._empirical import empirical_nngp_fn as empirical_nngp_fn
from ._empirical import empirical_ntk_fn as empirical_ntk_fn
from ._empirical import empirical_ntk_vp_fn as empirical_ntk_vp_fn
from ._empirical import linearize as linearize
from ._empirical import taylor_expand as taylor_expand
from ._kernel import Kernel as Kernel
from ._monte_carlo import monte_carlo_kernel_fn as monte_carlo_kernel_fn
