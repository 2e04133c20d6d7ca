"""Empirical kernels of PyTorch modules, with the outputs and methods of `widelimit.empirical`, and modules as JAX.

import widelimit.torch
kernel = widelimit.torch.empirical_ntk(module.eval(), x1, x2)      # tensors in, tensor out
kernel = widelimit.torch.TorchNTK(module.eval())                   # NumPy or JAX arrays, for flows and regression
f, params = widelimit.torch.from_torch(module.eval(), x)           # for all that takes a model in JAX
"""

from ._aten import OPERATIONS as OPERATIONS
from ._convert import TorchModel as TorchModel
from ._convert import from_torch as from_torch
from ._convert import params_of as params_of
from ._kernel import TorchNTK as TorchNTK
from ._kernel import as_function as as_function
from ._kernel import empirical_ntk as empirical_ntk
from ._kernel import empirical_ntk_diagonal as empirical_ntk_diagonal
from ._kernel import ntk_vector_product as ntk_vector_product
from ._methods import AbstractMethod as AbstractMethod
from ._methods import JacobianContraction as JacobianContraction
from ._methods import StructuredDerivatives as StructuredDerivatives
