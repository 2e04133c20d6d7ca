"""Gram matrices: n by n, in memory or beyond it."""

from ._build import build_stored as build_stored
from ._dense import AbstractGram as AbstractGram
from ._dense import Dense as Dense
from ._empirical import EmpiricalNTKGram as EmpiricalNTKGram
from ._lazy import Lazy as Lazy
from ._plan import StoredPlan as StoredPlan
from ._plan import plan_stored as plan_stored
from ._schedule import AbstractSchedule as AbstractSchedule
from ._schedule import Distributed as Distributed
from ._schedule import InTurn as InTurn
from ._schedule import need_scale as need_scale
from ._stored import Stored as Stored
from ._stored import open_stored as open_stored
from ._stored import verify_stored as verify_stored
