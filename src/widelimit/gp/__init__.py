"""Gaussian processes and kernel regression: posterior, evidence, leave-one-out, model choice."""

from ._choice import AbstractCriterion as AbstractCriterion
from ._choice import Candidate as Candidate
from ._choice import Choice as Choice
from ._choice import CrossValidation as CrossValidation
from ._choice import Evidence as Evidence
from ._choice import LeaveOneOutAccuracy as LeaveOneOutAccuracy
from ._choice import LeaveOneOutDensity as LeaveOneOutDensity
from ._choice import LeaveOneOutError as LeaveOneOutError
from ._choice import Scored as Scored
from ._choice import candidates as candidates
from ._choice import choose as choose
from ._choice import dense_network as dense_network
from ._evidence import LeaveOneOut as LeaveOneOut
from ._evidence import gradients as gradients
from ._evidence import leave_one_out as leave_one_out
from ._evidence import log_marginal_likelihood as log_marginal_likelihood
from ._gaussian import Gaussian as Gaussian
from ._maximize import Maximum as Maximum
from ._maximize import maximize as maximize
from ._path import RidgePath as RidgePath
from ._path import ridge_path as ridge_path
from ._posterior import Posterior as Posterior
from ._posterior import posterior as posterior
