"""Gram matrices."""

import abc

import equinox as eqx

from .._typing import Array


class AbstractGram(eqx.Module):
    """A symmetric positive semi-definite (n, n) matrix that may or may not be held in memory."""

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, int]:
        """The shape (n, n)."""

    @abc.abstractmethod
    def matmat(self, v: Array) -> Array:
        """Return the product with a matrix of shape (n, k)."""

    @abc.abstractmethod
    def tile(self, rows: slice, columns: slice) -> Array:
        """Return a rectangular part."""

    @abc.abstractmethod
    def diagonal(self) -> Array:
        """Return the diagonal, (n,)."""


class Dense(AbstractGram):
    """A matrix in memory.

    Parameters
    ----------
    matrix
        Shape (n, n).
    """

    matrix: Array

    def __check_init__(self) -> None:
        """Check that the matrix is square."""
        shape = getattr(self.matrix, "shape", None)
        if shape is None or len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"matrix has shape {shape}; expected a square matrix (n, n).")

    @property
    def shape(self) -> tuple[int, int]:
        """The shape (n, n)."""
        n, m = self.matrix.shape
        return n, m

    def matmat(self, v: Array) -> Array:
        """Return the product with a matrix of shape (n, k)."""
        return self.matrix @ v

    def tile(self, rows: slice, columns: slice) -> Array:
        """Return a rectangular part."""
        return self.matrix[rows, columns]

    def diagonal(self) -> Array:
        """Return the diagonal, (n,)."""
        return self.matrix.diagonal()
