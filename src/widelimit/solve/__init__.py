"""Solvers for kernel matrices."""

from .._result import Result as Result
from ._base import AbstractSolver as AbstractSolver
from ._base import Solution as Solution
from ._cholesky import Cholesky as Cholesky
from ._eigen import Eigen as Eigen
from ._eigen import Spectrum as Spectrum
from ._eigen import matrix_function as matrix_function
