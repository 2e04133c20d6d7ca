r"""UCI regression: root mean square error, negative log-likelihood and coverage on held-out rows.

Splits are those of the files (every row is a test row in one of ten); 10 splits, 5 where there are more than 5,000
rows. Inputs and targets are standardised on the training rows; errors are in the units of the target. Both Gaussian
processes find their hyperparameters on at most 800 rows and their posterior on all. What a split gave is kept in a file
of JSON lines, so that an interrupted run goes on where it was.

A method wins, ties or loses against another on a set by a t-test of the differences of its splits, whose variance is
corrected for training rows that splits share (Nadeau and Bengio 2003): :math:`t = \bar d / \sqrt{(1/k + m/n)\,s^2}`,
at 5 percent, two-sided. Times are those of all processor cores together.
"""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Iterator

import numpy as np
import scipy.stats

from ._regression_methods import METHODS
from ._table import Record, show, table

DATA = pathlib.Path(__file__).parents[2] / "shared" / "data" / "uci_regression"
MOST_ROWS = 20_000
MANY = 5_000
LEVEL = 0.05
COLUMNS = {"set": "{set}", "method": "{method}", "n": "{n}", "d": "{d}", "splits": "{splits}"} | {
    "RMSE": "{rmse:.4g}",
    "±": "{rmse_error:.2g}",
    "NLL": "{nll:.3f}",
    "coverage": "{coverage:.3f}",
    "CPU, s": "{seconds:.1f}",
    "against": "{against}",
    "in RMSE": "{against_rmse}",
    "in NLL": "{against_nll}",
}
SUMMARY = {
    "method": "{method}",
    "sets": "{sets}",
    "mean rank RMSE": "{rank:.2f}",
    "mean rank NLL": "{rank_nll:.2f}",
} | {
    "against": "{against}",
    "wins/ties/losses RMSE": "{rmse}",
    "NLL": "{nll}",
    "better mean NLL": "{better}",
    "coverage": "{coverage:.3f}",
    "CPU, h": "{hours:.2f}",
}


def names(folder: pathlib.Path, asked: list[str] | None) -> list[str]:
    """Return the sets with at most 20,000 rows, smallest first.

    Raises
    ------
    ValueError
        If the folder is not there, or a set is not in it.
    """
    if not (folder / "index.json").is_file():
        raise ValueError(f"there are no data in {str(folder)!r}; expected a folder with index.json and one .npz a set.")
    sizes = {path.stem: len(np.load(path)["y"]) for path in folder.glob("*.npz")}
    found = sorted((name for name, n in sizes.items() if n <= MOST_ROWS), key=lambda name: (sizes[name], name))
    for name in asked or []:
        if name not in found:
            raise ValueError(f"set is {name!r}; expected one of {', '.join(found)}.")
    return [name for name in found if not asked or name in asked]


def split(folder: pathlib.Path, name: str, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Return training and test rows, standardised on the training rows, and the standard deviation of the targets."""
    with np.load(folder / f"{name}.npz") as data:
        x, y, test = data["X"].astype(float), data["y"].astype(float), data["test_split"] == number
    mean, std = x[~test].mean(0), x[~test].std(0)
    varies = std > 1e-9 * (1 + np.abs(mean))
    x = (x[:, varies] - mean[varies]) / std[varies]
    scale = float(y[~test].std())
    y = (y - y[~test].mean()) / scale
    return x[~test], y[~test], x[test], y[test], scale


def measure(name: str, number: int, method: str, folder: pathlib.Path) -> Record:
    """Return the record of one method on one split of one set."""
    x, y, x_test, y_test, scale = split(folder, name, number)
    start = time.process_time()
    mean, std = METHODS[method].fit(x, y, number)(x_test)
    seconds = time.process_time() - start
    error = np.asarray(mean) - y_test
    density = 0.5 * (np.log(2 * np.pi * std**2) + (error / std) ** 2) + np.log(scale)
    return {
        "benchmark": "regression",
        "kind": "split",
        "set": name,
        "split": number,
        "method": method,
        "n": len(y) + len(y_test),
        "d": x.shape[1],
        "test": len(y_test),
        "rmse": float(np.sqrt(np.mean(error**2))) * scale,
        "nll": float(density.mean()),
        "coverage": float(np.mean(np.abs(error) < scipy.stats.norm.ppf(0.975) * std)),
        "seconds": seconds,
    }


def run(
    sets: list[str], methods: list[str], splits: int | None, folder: pathlib.Path, cache: pathlib.Path
) -> Iterator[list[Record]]:
    """Yield the records of each set, one for each method, from the splits in the cache and those still to run."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    kept = {(r["set"], r["split"], r["method"]): r for r in _read(cache)}
    for name in sets:
        rows = len(np.load(folder / f"{name}.npz")["y"])
        numbers = range(min(splits or 10, 10 if rows <= MANY else 5))
        for number in numbers:
            for method in methods:
                if (name, number, method) not in kept:
                    record = measure(name, number, method, folder)
                    with cache.open("a") as file:
                        file.write(json.dumps(record) + "\n")
                    kept[name, number, method] = record
        found = {method: [kept[name, number, method] for number in numbers] for method in methods}
        yield [_summed(found, method) for method in methods]


def compared(mine: np.ndarray, other: np.ndarray, test_share: float) -> str:
    """Return ``win``, ``tie`` or ``loss`` of errors on splits against those of another method; smaller is better.

    Parameters
    ----------
    mine, other
        Errors on the same k splits.
    test_share
        Test rows divided by training rows.
    """
    difference = np.asarray(mine) - np.asarray(other)
    k, variance = len(difference), difference.var(ddof=1) if len(difference) > 1 else np.inf
    if variance == 0:
        return "tie" if difference[0] == 0 else "win" if difference[0] < 0 else "loss"
    t = difference.mean() / np.sqrt((1 / k + test_share) * variance)
    if 2 * scipy.stats.t.sf(abs(t), max(k - 1, 1)) >= LEVEL:
        return "tie"
    return "win" if t < 0 else "loss"


def summary(records: list[Record]) -> list[Record]:
    """Return one record for each method over all sets."""
    by_set: dict[object, list[Record]] = {}
    for record in records:
        by_set.setdefault(record["set"], []).append(record)
    ranks = {
        key: np.mean([scipy.stats.rankdata([r[key] for r in rows]) for rows in by_set.values()], 0)
        for key in ("rmse", "nll")
    }
    found: list[Record] = []
    for i, method in enumerate(dict.fromkeys(r["method"] for r in records)):
        mine = [r for r in records if r["method"] == method]
        counts = {
            key: "/".join(str(sum(r[f"against_{key}"] == word for r in mine)) for word in ("win", "tie", "loss"))
            for key in ("rmse", "nll")
        }
        better = [r["nll"] < r["other_nll"] for r in mine if r["other_nll"] is not None]
        counts |= {"against": mine[0]["against"], "better": f"{sum(better)} of {len(better)}" if better else None}
        numbers = {"rank": float(ranks["rmse"][i]), "rank_nll": float(ranks["nll"][i]), **counts}
        coverage = float(np.mean([r["coverage"] for r in mine]))
        hours = float(np.sum([r["seconds"] * r["splits"] for r in mine])) / 3600
        common = {"benchmark": "regression", "kind": "summary", "method": method, "sets": len(mine)}
        found.append({**common, **numbers, "coverage": coverage, "hours": hours})
    return found


def report(records: list[Record]) -> None:
    """Print the records of one set, or of the summary."""
    if records[0]["kind"] == "summary":
        show(
            table(
                "regression: all sets",
                SUMMARY,
                records,
                "wins, ties and losses in the mean of splits, by a corrected t-test",
            )
        )
    else:
        show(table(f"regression: {records[0]['set']}", COLUMNS, records))


def _summed(found: dict[str, list[Record]], method: str) -> Record:
    rows = found[method]
    column = {key: np.array([r[key] for r in rows], float) for key in ("rmse", "nll", "coverage", "seconds", "test")}
    first = rows[0]
    record: Record = {"benchmark": "regression", "kind": "set", "set": first["set"], "method": method}
    record |= {"n": first["n"], "d": first["d"], "splits": len(rows)}
    record |= {key: float(column[key].mean()) for key in ("rmse", "nll", "coverage", "seconds")}
    record["rmse_error"] = float(column["rmse"].std(ddof=1) / len(rows) ** 0.5) if len(rows) > 1 else None
    other = METHODS[method].against
    baseline = found.get(other) if other != method else None
    record |= {"against": other if baseline else None, "against_rmse": None, "against_nll": None, "other_nll": None}
    if baseline:
        record["other_nll"] = float(np.mean([float(str(r["nll"])) for r in baseline]))
        for key in ("rmse", "nll"):
            test = column["test"].mean()
            share = test / (float(str(first["n"])) - test)
            record[f"against_{key}"] = compared(column[key], np.array([r[key] for r in baseline], float), share)
    return record


def _read(cache: pathlib.Path) -> list[Record]:
    lines = cache.read_text(encoding="utf-8").splitlines() if cache.is_file() else []
    # A line that was cut off when a run was killed is measured again.
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
