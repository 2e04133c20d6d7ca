"""The 90 UCI sets of Arora et al. 2020 (arXiv 1910.01663), with the partitions of Fernandez-Delgado et al. 2014."""

import dataclasses
import json
import pathlib

import numpy as np

DEFAULT = pathlib.Path(__file__).parents[2] / "shared" / "data" / "uci_classification"
Split = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Problem:
    """One set: rows x (n, d) in float64, labels y (n,) in 0..classes-1, and index arrays (rows to fit, rows to judge).

    ``validation`` is the one split on which hyperparameters are chosen, ``folds`` are the four that are reported. The
    folds are independent random splits, and the validation split is one of the same rows: so it was published.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    classes: int
    validation: Split
    folds: tuple[Split, ...]


def names(folder: pathlib.Path) -> list[str]:
    """Return the names of the 90 sets, small ones first.

    Raises
    ------
    ValueError
        If the folder has no index.
    """
    index = folder / "index.json"
    if not index.is_file():
        raise ValueError(
            f"data is {str(folder)!r}, which has no index.json; give the folder of the UCI sets by --data."
        )
    sets = [s for s in json.loads(index.read_text())["sets"] if s["arora90"]]
    return [s["name"] for s in sorted(sets, key=lambda s: (s["n"] ** 2 * s["classes"] ** 0.5, s["name"]))]


def load(folder: pathlib.Path, name: str) -> Problem:
    """Return one set.

    Raises
    ------
    ValueError
        If a row is both fitted and judged in one split.
    """
    with np.load(folder / f"{name}.npz") as file:
        held = {key: file[key] for key in file.files}
    splits = [(held["val_train"], held["val_valid"])]
    splits += [(held[f"fold{i}_train"], held[f"fold{i}_test"]) for i in range(4)]
    for fit, judge in splits:
        if np.intersect1d(fit, judge).size:
            raise ValueError(f"{name}: a row is fitted and judged in one split; expected disjoint rows.")
    classes = int(held["n_classes"])
    return Problem(name, held["X"].astype(float), held["y"].astype(int), classes, splits[0], tuple(splits[1:]))
