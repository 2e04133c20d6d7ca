"""Kernel machines of infinitely wide networks as scikit-learn estimators, and kernels for its Gaussian processes."""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError:
    raise ImportError("widelimit.sklearn needs scikit-learn: pip install 'widelimit[sklearn]'") from None

from ._classification import NNGPClassifier as NNGPClassifier
from ._classification import NTKClassifier as NTKClassifier
from ._kernel import NNGPKernel as NNGPKernel
from ._kernel import NTKKernel as NTKKernel
from ._regression import NNGPRegressor as NNGPRegressor
from ._regression import NTKRegressor as NTKRegressor
from ._svm import SVM as SVM
