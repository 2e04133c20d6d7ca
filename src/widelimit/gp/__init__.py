"""Gaussian processes and kernel regression: posterior, evidence, leave-one-out, model choice."""

from ._evidence import LeaveOneOut as LeaveOneOut
from ._evidence import gradients as gradients
from ._evidence import leave_one_out as leave_one_out
from ._evidence import log_marginal_likelihood as log_marginal_likelihood
from ._gaussian import Gaussian as Gaussian
from ._path import RidgePath as RidgePath
from ._path import ridge_path as ridge_path
from ._posterior import Posterior as Posterior
from ._posterior import posterior as posterior
from ._maximize import Maximum as Maximum
from ._maximize import maximize as maximize
