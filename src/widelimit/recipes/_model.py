"""Fitted models as folders of JSON and NPZ, which are checked before they are believed."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import pathlib
from typing import Any

import numpy as np

from .. import arch
from .._plain import plain
from ._columns import Columns
from ._gram import KERNELS
from ._predictors import PREDICTORS, AbstractPredictor, Kept
from ._table import DAMAGE, listed
from ._write import prepare_folder, write_folder, write_json

FORMAT, VERSION = "widelimit/model", 2
STATISTICS = ("keep", "mean", "std", "low", "high")


@dataclasses.dataclass(frozen=True)
class Model:
    """A kernel machine that predicts tables.

    Attributes
    ----------
    predictor
        A regression, or a classifier.
    columns
        How a table becomes its inputs.
    target
        What is predicted.
    about
        What the report of the fit says of it, in a sentence.
    """

    predictor: AbstractPredictor
    columns: Columns
    target: str
    about: str


def write_model(model: Model, folder: pathlib.Path, more: dict[str, Any] | None = None) -> None:
    """Write a model as ``model.json`` and ``arrays.npz``: complete, or not at all.

    Parameters
    ----------
    model
        A fitted model.
    folder
        Where to; made if new.
    more
        Further files: for each name a function that writes it.
    """
    prepare_folder(folder)
    kernel, kept, numbers = model.predictor.kept()
    arrays = {name: getattr(model.columns, name) for name in STATISTICS} | kept
    document = {
        "format": FORMAT,
        "version": VERSION,
        "task": model.predictor.name,
        "target": model.target,
        "about": model.about,
        "kernel": next(key for key, kind in KERNELS.items() if type(kernel) is kind),
        "architecture": json.loads(arch.to_json(kernel.net)),  # type: ignore[attr-defined]
        **plain(numbers),
        "columns": model.columns.to_dict(),
        "sha256": {key: _hash(array) for key, array in arrays.items()},
    }
    document["sha256"]["model"] = _signature(document)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    files = {"arrays.npz": lambda path: path.write_bytes(buffer.getvalue()), "model.json": write_json(document)}
    write_folder(folder, {**files, **(more or {})})


def read_model(folder: pathlib.Path) -> Model:
    """Return the model in a folder, or say why it is not to be trusted. Nothing in it is ever run.

    Raises
    ------
    ValueError
        If the folder holds no model, is damaged or changed, or comes from a newer version.
    """
    document = _document(folder)
    arrays = _arrays(folder, document)
    try:
        return _built(document, arrays)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(
            f"{folder / 'model.json'} is damaged: {type(error).__name__} at {error}. Fit the model again."
        ) from None


def _document(folder: pathlib.Path) -> dict[str, Any]:
    path = folder / "model.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"{str(folder)!r} holds no model: model.json cannot be read ({error.strerror}). Make one by widelimit fit."
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}. Fit the model again.") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"{path} is no model of widelimit; expected one that widelimit fit has written.")
    version = document.get("version")
    if version != VERSION:
        newer = isinstance(version, int) and version > VERSION
        remedy = "update widelimit" if newer else "fit the model again"
        raise ValueError(f"{path} has format version {version!r}, this widelimit reads {VERSION}; {remedy}.")
    hashes = document.get("sha256")
    if not isinstance(hashes, dict) or hashes.get("model") != _signature(document):
        raise ValueError(f"{path} has been changed since it was written: its SHA-256 differs. Fit the model again.")
    return document


def _arrays(folder: pathlib.Path, document: dict[str, Any]) -> dict[str, np.ndarray]:
    path = folder / "arrays.npz"
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}. Fit the model again.") from None
    except (*DAMAGE, ValueError) as error:
        raise ValueError(f"{path} is damaged: {str(error).rstrip('.')}. Fit the model again.") from None
    hashes = {key: value for key, value in document["sha256"].items() if key != "model"}
    if set(hashes) != set(arrays):
        raise ValueError(
            f"{path} holds {listed(sorted(arrays)) or 'nothing'}; expected {listed(sorted(hashes))}, as model.json "
            "says. Fit the model again."
        )
    for name, array in arrays.items():
        if _hash(array) != hashes[name]:
            raise ValueError(
                f"{path}: the array {name!r} is not the one that was written: its SHA-256 differs. Fit the model again."
            )
    return arrays


def _built(document: dict[str, Any], arrays: dict[str, np.ndarray]) -> Model:
    about = document["columns"]
    columns = Columns(
        tuple(about["names"]),
        tuple(None if known is None else tuple(known) for known in about["categories"]),
        tuple(about["shape"]),
        *(arrays[name] for name in STATISTICS),
    )
    kernel = KERNELS[document["kernel"]](arch.from_json(json.dumps(document["architecture"])))
    predictor = PREDICTORS[document["task"]].built(Kept(kernel, arrays, document))
    return Model(predictor, columns, document["target"], document["about"])


def _hash(array: np.ndarray) -> str:
    head = f"{array.dtype.str} {array.shape} ".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()


def _signature(document: dict[str, Any]) -> str:
    """Return the hash of all of a document but itself."""
    hashes = {key: value for key, value in document["sha256"].items() if key != "model"}
    return hashlib.sha256(json.dumps({**document, "sha256": hashes}, sort_keys=True).encode()).hexdigest()
