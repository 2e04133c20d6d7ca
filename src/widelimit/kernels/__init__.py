"""Kernels as objects: of infinite networks, and of any finite model."""

from ._base import AbstractKernel as AbstractKernel
from ._base import prior_variances as prior_variances
from ._empirical import EmpiricalNNGP as EmpiricalNNGP
from ._empirical import EmpiricalNTK as EmpiricalNTK
from ._infinite import NNGP as NNGP
from ._infinite import NTK as NTK
from ._monte_carlo import Estimate as Estimate
from ._monte_carlo import MonteCarloNNGP as MonteCarloNNGP
from ._monte_carlo import MonteCarloNTK as MonteCarloNTK
from ._nodes import node_kernels as node_kernels
from ._pullback import Pullback as Pullback
from ._pullback import pullback as pullback
from ._scaled import ScaledInputs as ScaledInputs
from ._scaled import ScaledOutputs as ScaledOutputs
from ._together import together as together
