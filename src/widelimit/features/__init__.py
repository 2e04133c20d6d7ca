"""Features whose products are a kernel, and regression on them for n beyond memory."""

from ._base import AbstractFeatureMap as AbstractFeatureMap
from ._base import features as features
from ._criterion import AbstractCriterion as AbstractCriterion
from ._criterion import Evidence as Evidence
from ._criterion import GeneralizedCrossValidation as GeneralizedCrossValidation
from ._criterion import LeaveOneOut as LeaveOneOut
from ._landmarks import AbstractLandmarks as AbstractLandmarks
from ._landmarks import KMeans as KMeans
from ._landmarks import Pivots as Pivots
from ._landmarks import RidgeLeverage as RidgeLeverage
from ._landmarks import Uniform as Uniform
from ._monte_carlo import GradientFeatures as GradientFeatures
from ._monte_carlo import OutputFeatures as OutputFeatures
from ._nystrom import NystromFeatures as NystromFeatures
from ._path import FeaturePath as FeaturePath
from ._path import feature_path as feature_path
from ._random import RandomFeatures as RandomFeatures
from ._regression import FeatureRegression as FeatureRegression
from ._regression import regress as regress
from ._scales import input_scales as input_scales
