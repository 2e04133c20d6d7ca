"""Recipes: experiments as functions from a configuration to a result, shared by command line and lab."""

from ._architecture import ACTIVATIONS as ACTIVATIONS
from ._architecture import PARAMETERIZATIONS as PARAMETERIZATIONS
from ._architecture import Architecture as Architecture
from ._data import Dataset as Dataset
from ._data import load as load
from ._race import RaceConfig as RaceConfig
from ._race import race as race
from ._race_files import write_race as write_race
from ._race_page import footnotes as footnotes
from ._race_page import row_table as row_table
from ._race_page import trend_table as trend_table
from ._race_report import RaceReport as RaceReport
from ._regime import LOSSES as LOSSES
from ._regime import RegimeConfig as RegimeConfig
from ._regime import RegimeResult as RegimeResult
from ._regime import regime as regime
from ._regime_files import write_regime as write_regime
from ._widths import WidthsConfig as WidthsConfig
from ._widths import WidthSweep as WidthSweep
from ._widths import width_sweep as width_sweep
from ._write import prepare_folder as prepare_folder
