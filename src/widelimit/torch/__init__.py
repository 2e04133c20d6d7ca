"""Empirical kernels of PyTorch modules, with the outputs and methods of `widelimit.empirical`.

import widelimit.torch
kernel = widelimit.torch.empirical_ntk(module.eval(), x1, x2)      # tensors in, tensor out
kernel = widelimit.torch.TorchNTK(module.eval())                   # NumPy or JAX arrays, for flows and regression
"""

from ._kernel import TorchNTK as TorchNTK
from ._kernel import as_function as as_function
from ._kernel import empirical_ntk as empirical_ntk
from ._kernel import empirical_ntk_diagonal as empirical_ntk_diagonal
from ._kernel import ntk_vector_product as ntk_vector_product
from ._methods import AbstractMethod as AbstractMethod
from ._methods import JacobianContraction as JacobianContraction
from ._methods import StructuredDerivatives as StructuredDerivatives
