"""Engines: how the limit of an architecture is evaluated on data."""

from ._base import AbstractEngine as AbstractEngine
from ._base import Block as Block
from ._reference import Reference as Reference
