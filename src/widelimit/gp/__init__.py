"""Gaussian processes and kernel regression."""

from ._classify import AVERAGED_RIDGES as AVERAGED_RIDGES
from ._classify import Average as Average
from ._classify import Fit as Fit
from ._classify import InterceptPath as InterceptPath
from ._classify import averaged as averaged
from ._classify import exponential_shares as exponential_shares
from ._classify import fitted as fitted
from ._classify import intercept_path as intercept_path
from ._classify import members as members
from ._classify import one_hot as one_hot
from ._classify import probabilities as probabilities
from ._classify import temperature as temperature
