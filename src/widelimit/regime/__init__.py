"""Lazy or feature-learning: how far a model is from a kernel machine while it trains."""

from ._diagnose import diagnose as diagnose
from ._diagnose import sharpness as sharpness
from ._figure import regime_figure as regime_figure
from ._lazy import scale_output as scale_output
from ._numbers import Regime as Regime
from ._numbers import Rules as Rules
from ._report import Report as Report
from ._run import snapshot_steps as snapshot_steps
from ._trainer import AbstractTrainer as AbstractTrainer
from ._trainer import Checkpoints as Checkpoints
from ._trainer import CustomTrainer as CustomTrainer
from ._trainer import GradientDescentTrainer as GradientDescentTrainer
from ._verdict import Seeds as Seeds
from ._verdict import Verdict as Verdict
from ._verdict import across_seeds as across_seeds
