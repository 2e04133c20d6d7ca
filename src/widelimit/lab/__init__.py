"""The lab: a page that computes what it says. Start it with ``widelimit lab``."""
