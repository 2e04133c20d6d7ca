"""Outcomes of numerical work: a value is a sentence."""

import equinox as eqx


class Result(eqx.Enumeration):
    """How a computation ended; its text says what happened and what to do."""

    successful = "The computation succeeded."
    not_positive_definite = (
        "The matrix is not positive definite to working precision. Add noise or ridge, remove duplicated inputs, "
        "or use the eigendecomposition, which accepts a singular matrix."
    )
    not_converged = (
        "The iteration did not reach its tolerance. Allow more iterations, loosen the tolerance, add ridge, or use a "
        "direct method."
    )
    not_finite = (
        "The matrix or a right-hand side holds NaN or infinity, or products overflow. Remove or impute such rows, and "
        "bring inputs to a common scale."
    )
