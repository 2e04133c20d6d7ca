"""Solvers for kernel matrices."""

from .._result import Result as Result
from ._base import AbstractSolver as AbstractSolver
from ._base import Solution as Solution
from ._cholesky import Cholesky as Cholesky
from ._eigen import Eigen as Eigen
from ._eigen import Spectrum as Spectrum
from ._eigen import matrix_function as matrix_function
from ._lanczos import KrylovBasis as KrylovBasis
from ._lanczos import basis_sizes as basis_sizes
from ._lanczos import grow_basis as grow_basis
from ._lanczos import krylov_basis as krylov_basis
from ._lanczos import largest_eigenvalue as largest_eigenvalue
from ._lanczos import tridiagonal_eigh as tridiagonal_eigh
