"""Engines: how the limit of an architecture is evaluated on data."""

from ._base import AbstractEngine as AbstractEngine
from ._base import Block as Block
from ._moments import advance as advance
from ._moments import moments as moments
from ._moments import start as start
from ._reference import Reference as Reference
