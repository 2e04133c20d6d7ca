"""Results as plain objects: what JSON can hold."""

import dataclasses
import enum
import math
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Return dataclasses as dictionaries, arrays as lists, members of an enumeration by name, NaN and inf as None."""
    if isinstance(value, enum.Enum):
        return value.name
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
