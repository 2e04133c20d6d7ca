r"""What a live run shows at one step.

Arrays of the opening, which stay as they are (n training points, m = 161 points of a grid over [-1.5, 1.5]):

=================  ======  ==============================================================================
``grid``           (m,)    inputs of all curves
``target``         (m,)    the function that is sampled (absent for own points)
``x``, ``y``       (n,)    training points, sorted by x
``ntk_start``      (n, n)  :math:`\Theta_0` of the finite network, learning rates of the layers included
``ntk_infinite``   (n, n)  :math:`\Theta_\infty`, or of the NTK parameterization where there is no kernel limit
``spectrum_start``, ``spectrum_infinite``  (n,)  their eigenvalues, largest first
=================  ======  ==============================================================================

Arrays of every frame, opening included:

=================================  ======  ==================================================================
``finite``, ``linear``             (m,)    the network, and its linearisation, from the same start
``infinite``                       (m,)    the infinite-width network that starts from the same function
``mean``, ``std``                  (m,)    mean and standard deviation over all infinite-width networks
``finite_train``, ``linear_train``, ``infinite_train``  (n,)  outputs at the training inputs
``ntk``                            (n, n)  :math:`\Theta_t`
``spectrum``                       (n,)    its eigenvalues, largest first
``modes_finite``, ``modes_linear``, ``modes_infinite``  (n,)  absolute residuals along the eigenvectors of
                                           :math:`\Theta_0` (finite, linear) and :math:`\Theta_\infty` (infinite)
=================================  ======  ==================================================================

Numbers of the opening besides those of a frame: ``learning_rate`` :math:`\eta`; ``largest_step``
:math:`2/(\lambda_{\max}(\Theta_0) + \rho)` and ``largest_eigenvalue`` :math:`\lambda_{\max}(\Theta_0)` of the finite
network; ``parameters``; ``has_kernel_limit`` (0 or 1) and ``reference_scale``, by which the kernel that stands in for a
limit is multiplied where there is none (else 1); ``rank`` of :math:`\Theta_\infty`, numerically.

Numbers of every frame: ``step``, ``time`` :math:`\eta k`; ``loss``, ``loss_start``, ``loss_highest``, ``loss_linear``,
``loss_infinite``, ``mse``; ``parameter_change`` :math:`\|\theta_t-\theta_0\|/\|\theta_0\|`; ``kernel_change``
:math:`\|\Theta_t-\Theta_0\|/\|\Theta_0\|`; ``kernel_rotation``, one minus their cosine; ``feature_change``
:math:`\|h_t-h_0\|/\|h_0\|` of the last hidden layer; ``gap``, the root mean square over the grid of finite minus linear
as a share of what the network learnt; ``gap_infinite``, the same to ``infinite``; ``sharpness``
:math:`\eta(\lambda_{\max}(\Theta_t) + \rho)/2` and ``sharpness_start``; ``diverged``, ``linear_diverged`` and
``infinite_diverged`` (0 or 1): such a curve is drawn cut off at :math:`10^6`, and its gap is None.
"""

import dataclasses
import enum

import numpy as np


class LivePhase(enum.Enum):
    """Whether there is anything more to see."""

    TRAINING = "training"
    CONVERGED = "converged"
    DIVERGED = "diverged"


@dataclasses.dataclass(frozen=True)
class Frame:
    """The state of a live run at one step; see the module for names and shapes. Nothing in it is NaN or infinite.

    Attributes
    ----------
    step
        Gradient steps made.
    phase
        A diverged run stops at its last finite state.
    numbers
        A number that does not exist yet (a share of nothing learnt) is None.
    arrays
        float32.
    sentence
        Which regime this is, and why, with the numbers that say so.
    """

    step: int
    phase: LivePhase
    numbers: dict[str, float | None]
    arrays: dict[str, np.ndarray]
    sentence: str
