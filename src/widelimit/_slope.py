"""A power law fitted in log-log, with its error."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Slope:
    r"""A power law :math:`y \propto n^{p}` fitted by least squares in log-log.

    Attributes
    ----------
    exponent, standard_error
        :math:`p` and its standard error; the error joins the scatter around the line with the scatter of seeds.
    r_squared
        Share of the variance of log y that the line explains.
    poor
        Why the fit should not be trusted, or an empty text.
    """

    exponent: float
    standard_error: float
    r_squared: float
    poor: str


def fit_slope(widths: Any, values: Any) -> Slope:
    """Fit a power law through values of several seeds at several widths.

    Parameters
    ----------
    widths
        Shape (w,), at least two different ones.
    values
        Positive numbers of shape (w, seeds); rows with a value that is not finite or not positive are left out.

    Returns
    -------
    Slope
        Fitted to the means of log y over seeds. The standard error is the larger of the residual one (from three
        widths on) and the one that follows from the scatter of seeds.
    """
    values = np.asarray(values, float)
    usable = np.all(np.isfinite(values) & (values > 0), axis=1)
    x, logs = np.log(np.asarray(widths, float)[usable]), np.log(values[usable])
    if len(x) < 2:
        return Slope(np.nan, np.nan, np.nan, "fewer than two widths gave usable values")
    y = logs.mean(1)
    centred = x - x.mean()
    spread = float(centred @ centred)
    exponent = float(centred @ y / spread)
    residual = y - y.mean() - exponent * centred
    total = float(np.sum((y - y.mean()) ** 2))
    r_squared = 1 - float(residual @ residual) / total if total > 0 else 1.0
    from_scatter = float(np.sqrt(residual @ residual / max(len(x) - 2, 1) / spread)) if len(x) > 2 else 0.0
    seeds = logs.shape[1]
    variance = logs.var(1, ddof=1) / seeds if seeds > 1 else np.zeros(len(x))
    from_seeds = float(np.sqrt(centred**2 @ variance) / spread)
    return Slope(exponent, max(from_scatter, from_seeds), r_squared, _poor(len(x), seeds, r_squared))


def _poor(widths: int, seeds: int, r_squared: float) -> str:
    if widths < 3:
        return "only two widths: no check whether a power law holds"
    if r_squared < 0.9:
        return f"the line explains only {r_squared:.0%} of the variation: not a clean power law over these widths"
    if seeds < 3:
        return "fewer than three seeds"
    return ""
