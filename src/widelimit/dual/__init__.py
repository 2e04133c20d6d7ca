r"""Activations and their Gaussian expectations: :math:`\varphi \mapsto (k, \dot k)(q_{11}, q_{12}, q_{22})`."""

from ._base import AbstractDual as AbstractDual
from ._base import covariance as covariance
from ._erf import Erf as Erf
from ._gaussian import Gaussian as Gaussian
from ._identity import Identity as Identity
from ._piecewise import PiecewiseLinear as PiecewiseLinear
from ._quadrature import Quadrature as Quadrature
from ._sine import Cos as Cos
from ._sine import Sin as Sin
