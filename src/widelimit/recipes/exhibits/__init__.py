"""Experiments of the lab: one file each, with a `Config` and a function ``run(config, progress) -> Exhibit``."""
