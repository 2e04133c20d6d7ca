"""What theory says: stability of parameterizations."""

from ._stability import Condition as Condition
from ._stability import Stability as Stability
from ._stability import stability as stability
