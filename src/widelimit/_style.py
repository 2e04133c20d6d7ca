"""Colours and settings of figures; nothing is imported until one is drawn."""

from typing import Any

FINITE, LINEAR, INFINITE, INK, SOFT, FAINT = "#c8553d", "#2a7f62", "#33658a", "#22252a", "#6b727c", "#b4b9c0"
"""One colour per model, used everywhere, and the colours of text and rules."""

STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.8,
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "figure.facecolor": "white",
}
