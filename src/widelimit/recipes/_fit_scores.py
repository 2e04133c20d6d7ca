"""What a test says of predictions and of their uncertainty."""

from typing import Any

import numpy as np

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
BINS = 10


def regression_scores(
    y: np.ndarray, predicted: tuple[np.ndarray, ...], baseline: np.ndarray, level: float
) -> dict[str, Any]:
    r"""Return errors, likelihood and coverage of predictions of numbers.

    Parameters
    ----------
    y
        Test targets (m, o).
    predicted
        Mean, standard deviation, and lower and upper ends of intervals, each (m, o).
    baseline
        Mean of the training targets (o,), the prediction to beat.
    level
        Of the intervals.
    """
    from scipy.stats import norm

    mean, std, low, high = predicted
    squares = (y - mean) ** 2
    spread = ((y - baseline) ** 2).mean()
    scores = np.abs(y - mean) / std
    coverage = [{"level": p, "covered": float(np.mean(scores <= norm.ppf((1 + p) / 2)))} for p in LEVELS]
    rmse = float(np.sqrt(squares.mean()))
    inside = float(np.mean((low <= y) & (y <= high)))
    explained = 1 - float(squares.mean() / spread) if spread > 0 else float("nan")
    gaussian = next(row["covered"] for row in coverage if row["level"] == level)
    return {
        "rmse": rmse,
        "rmse_of_mean": float(np.sqrt(spread)),
        "mae": float(np.abs(y - mean).mean()),
        "explained": explained,
        "nll": float((0.5 * squares / std**2 + np.log(std) + 0.5 * np.log(2 * np.pi)).mean()),
        "nll_of_normal": float(0.5 * np.log(2 * np.pi * np.e * spread)) if spread > 0 else float("nan"),
        "interval_level": level,
        "interval_coverage": inside,
        "interval_width": float(np.mean(high - low)),
        "gaussian_coverage": gaussian,
        "calibration": coverage,
        "points": {"y": y[:500, 0], "mean": mean[:500, 0], "low": low[:500, 0], "high": high[:500, 0]},
        "sentence": (
            f"RMSE {rmse:.4g} on {len(y)} held-out rows, where the mean alone has {np.sqrt(spread):.4g} "
            f"({explained:.0%} of the variance explained); {level:.0%} intervals cover {inside:.1%}."
        ),
    }


def class_scores(probabilities: np.ndarray, codes: np.ndarray, classes: tuple[str, ...]) -> dict[str, Any]:
    r"""Return errors, likelihood and calibration of predicted classes.

    The expected calibration error is :math:`\sum_b \frac{m_b}{m}|\mathrm{accuracy}_b - \mathrm{confidence}_b|` over
    ten bins of the probability of the predicted class.

    Parameters
    ----------
    probabilities
        Shape (m, C).
    codes
        Classes (m,), numbers below C.
    classes
        Their labels.
    """
    m, predicted = len(codes), probabilities.argmax(1)
    right, confidence = predicted == codes, probabilities.max(1)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    reliability = [
        {
            "confidence": float(confidence[bins == b].mean()),
            "accuracy": float(right[bins == b].mean()),
            "count": int((bins == b).sum()),
        }
        for b in range(BINS)
        if (bins == b).any()
    ]
    counts = np.bincount(codes, minlength=len(classes))
    ece = sum(row["count"] * abs(row["accuracy"] - row["confidence"]) for row in reliability) / m
    accuracy, majority = float(right.mean()), float(counts.max() / m)
    chosen = probabilities[np.arange(m), codes].clip(np.finfo(np.float64).tiny)
    return {
        "accuracy": accuracy,
        "accuracy_of_majority": majority,
        "nll": float(-np.log(chosen).mean()),
        "nll_of_frequencies": float(-(counts[counts > 0] / m @ np.log(counts[counts > 0] / m))),
        "brier": float(((probabilities - (codes[:, None] == np.arange(len(classes)))) ** 2).sum(1).mean()),
        "ece": float(ece),
        "reliability": reliability,
        "classes": list(classes),
        "sentence": (
            f"accuracy {accuracy:.1%} on {m} held-out rows, where the largest class alone has {majority:.1%}; "
            f"predicted probabilities are off by {ece:.1%} (expected calibration error)."
        ),
    }
