"""Witnesses: both sides of an equation or claim computed, one file each, with a function ``run() -> Witness``."""
