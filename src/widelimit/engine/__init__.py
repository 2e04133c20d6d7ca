"""Engines: how the limit of an architecture is evaluated on data."""

from ._auto import Auto as Auto
from ._auto import Selection as Selection
from ._base import AbstractEngine as AbstractEngine
from ._base import Block as Block
from ._base import Wanted as Wanted
from ._lowering import NoNativeForm as NoNativeForm
from ._moments import advance as advance
from ._moments import moments as moments
from ._moments import start as start
from ._native import Native as Native
from ._planes import Planes as Planes
from ._reference import Reference as Reference
from ._sharded import Sharded as Sharded
from ._threads import on_one_thread as on_one_thread
from ._threads import thread_count as thread_count
from ._together import blocks as blocks
