r"""How methods compare over many sets (Fernandez-Delgado et al. 2014, section 3; Arora et al. 2020, section 5).

With the accuracy :math:`a_{ms}` of method m on set s and the best one of a set, :math:`b_s = \max_m a_{ms}`:

- mean and standard deviation of :math:`a_{ms}` over sets, in percent;
- Friedman rank: mean over sets of the rank of m, the best being 1, methods that tie sharing the mean of their ranks;
- P90, P95: share of the sets with :math:`a_{ms} \ge 0.9\, b_s`, :math:`\ge 0.95\, b_s`;
- PMA: mean of :math:`a_{ms} / b_s`.

The best is the best *of the methods in the table*: published values are among 180 methods, and are not comparable.
"""

import numpy as np
import scipy.stats

from ._table import Record

SLACK = 1e-12  # 0.9 times a ratio of counts is no exact number


def summary(accuracy: dict[str, np.ndarray]) -> list[Record]:
    """Return one record for each method, from its accuracies on the same sets, shares in 0..1.

    Raises
    ------
    ValueError
        If methods differ in their number of sets, or an accuracy is no share.
    """
    table = [np.asarray(row, float) for row in accuracy.values()]
    if len({row.shape for row in table}) != 1:
        raise ValueError(f"methods have {[row.size for row in table]} accuracies; expected the same sets for each.")
    a = np.array(table)
    if not np.all((a >= 0) & (a <= 1)):
        raise ValueError("an accuracy is no share; expected numbers from 0 to 1.")
    best = np.max(a, axis=0)
    ranks = scipy.stats.rankdata(-a, axis=0)
    kept = np.where(best > 0, a / np.where(best > 0, best, 1), 1.0)
    return [
        {
            "variant": name,
            "sets": a.shape[1],
            "mean": 100 * float(np.mean(a[m])),
            "std": 100 * float(np.std(a[m])),
            "rank": float(np.mean(ranks[m])),
            "p90": 100 * float(np.mean(kept[m] >= 0.9 - SLACK)),
            "p95": 100 * float(np.mean(kept[m] >= 0.95 - SLACK)),
            "pma": 100 * float(np.mean(kept[m])),
        }
        for m, name in enumerate(accuracy)
    ]
