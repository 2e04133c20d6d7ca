"""Gram matrices: n by n, in memory or beyond it."""

from ._dense import AbstractGram as AbstractGram
from ._dense import Dense as Dense
from ._empirical import EmpiricalNTKGram as EmpiricalNTKGram
from ._lazy import Lazy as Lazy
from ._schedule import AbstractSchedule as AbstractSchedule
from ._schedule import Distributed as Distributed
from ._schedule import InTurn as InTurn
