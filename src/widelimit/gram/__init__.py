"""Gram matrices: n by n, in memory or (later) beyond it."""

from ._dense import AbstractGram as AbstractGram
from ._dense import Dense as Dense
from ._empirical import EmpiricalNTKGram as EmpiricalNTKGram
