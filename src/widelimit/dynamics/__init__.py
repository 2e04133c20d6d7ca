"""Training in function space, in closed form."""

from ._ensemble import EnsembleFlow as EnsembleFlow
from ._ensemble import Gaussian as Gaussian
from ._ensemble import infinite_ensemble as infinite_ensemble
from ._loss import AbstractSquaredLoss as AbstractSquaredLoss
from ._loss import MeanSquares as MeanSquares
from ._loss import SumOfSquares as SumOfSquares
from ._method import AbstractFlowMethod as AbstractFlowMethod
from ._method import Spectral as Spectral
from ._network import NetworkFlow as NetworkFlow
from ._network import network_flow as network_flow
from ._optimizer import AbstractOptimizer as AbstractOptimizer
from ._optimizer import GradientDescent as GradientDescent
from ._optimizer import GradientFlow as GradientFlow
from ._rates import max_learning_rate as max_learning_rate
