"""``python -m widelimit``."""

from .cli import app

app()
