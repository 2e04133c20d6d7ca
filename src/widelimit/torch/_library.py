"""PyTorch, or one sentence that says how to get it."""

import importlib
from typing import Any


def _load() -> Any:
    try:
        return importlib.import_module("torch")
    except ImportError:
        raise ImportError('widelimit.torch needs PyTorch: pip install "widelimit[torch]"') from None


torch: Any = _load()

Tensor = Any
Module = Any
