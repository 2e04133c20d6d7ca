"""Where and with what a report was made."""

from importlib import metadata
from typing import Any

import jax


def environment(seconds: float) -> dict[str, Any]:
    """Return versions, device, dtype of networks and the time taken."""
    return {
        "widelimit": metadata.version("widelimit"),
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
        "network_dtype": str(jax.numpy.zeros(()).dtype),
        "seconds": round(seconds, 3),
    }
