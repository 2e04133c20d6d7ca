r"""Activations and their Gaussian expectations: :math:`\varphi \mapsto (k, \dot k)(q_{11}, q_{12}, q_{22})`."""

from . import functions as functions
from ._base import AbstractDual as AbstractDual
from ._base import covariance as covariance
from ._erf import Erf as Erf
from ._exp import Exp as Exp
from ._gabor import Gabor as Gabor
from ._gaussian import Gaussian as Gaussian
from ._gelu import Gelu as Gelu
from ._identity import Identity as Identity
from ._kernel_function import ExpNormalized as ExpNormalized
from ._kernel_function import KernelFunction as KernelFunction
from ._kinked import Kinked as Kinked
from ._piecewise import PiecewiseLinear as PiecewiseLinear
from ._polynomial import Hermite as Hermite
from ._polynomial import Monomial as Monomial
from ._polynomial import Polynomial as Polynomial
from ._rectified import RectifiedMonomial as RectifiedMonomial
from ._series import Series as Series
from ._sign import Sign as Sign
from ._sine import Cos as Cos
from ._sine import Sin as Sin
from ._snake import Snake as Snake
from ._two_sided import TwoSided as TwoSided
