"""What a stored matrix was made of, in one file of JSON with a seal over all of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._precision import result_dtype
from .._typing import PyTree
from ..arch import cleared, to_json
from ..kernels import NNGP, NTK
from ._durable import write_durably
from ._tiling import Tiling

FORMAT = 1
NAME, ARRAY = "widelimit.json", "zarr.json"

Digests = dict[tuple[int, int], str]
"""SHA-256 of the file of each tile, by its place."""


@dataclasses.dataclass(frozen=True, eq=False)
class Manifest:
    """What a store holds.

    Attributes
    ----------
    kernel
        Name of the kernel and its network as JSON, or the text by which it was named.
    data
        SHA-256 of the inputs: structure, shapes, dtypes and numbers.
    dtype
        Of the entries.
    tiling
        Rows of the matrix and of a tile.
    version
        Of the library.
    array
        SHA-256 of ``zarr.json``.
    digests
        Those of all tiles; None while the store is being built.
    """

    kernel: dict[str, Any]
    data: str
    dtype: str
    tiling: Tiling
    version: str
    array: str
    digests: Digests | None = None

    @classmethod
    def begun(cls, kernel: dict[str, Any], fields: dict[str, Any], array: bytes) -> Manifest:
        """Return that of a store without tiles, from what kernel and inputs are known by and the array's metadata."""
        return cls(kernel, version=library_version(), array=hashlib.sha256(array).hexdigest(), **fields)

    def write(self, folder: pathlib.Path) -> None:
        """Write the file in one step; its bytes depend on the content alone."""
        tiles = None if self.digests is None else {f"{i}/{j}": d for (i, j), d in sorted(self.digests.items())}
        content = {
            "format": FORMAT,
            "widelimit": self.version,
            "kernel": self.kernel,
            "data": self.data,
            "dtype": self.dtype,
            "n": self.tiling.n,
            "tile": self.tiling.side,
            "array": self.array,
            "tiles": tiles,
        }
        text = json.dumps({**content, "seal": _seal(content)}, indent=1) + "\n"
        write_durably(folder / NAME, text.encode())

    def is_array(self, folder: pathlib.Path) -> bool:
        """Whether the metadata of the Zarr array in a folder are those that were written."""
        try:
            return hashlib.sha256((folder / ARRAY).read_bytes()).hexdigest() == self.array
        except OSError:
            return False

    def refuse_other(self, wanted: Manifest, path: pathlib.Path) -> None:
        """Refuse a store that was made of something else, naming what differs.

        Raises
        ------
        ValueError
            Saying what.
        """
        if self.tiling.n != wanted.tiling.n:
            what = f"{self.tiling.n} inputs, not of {wanted.tiling.n}"
        elif self.dtype != wanted.dtype:
            what = f"inputs in {self.dtype}, not in {wanted.dtype}"
        elif self.data != wanted.data:
            what = "other inputs"
        elif self.kernel != wanted.kernel:
            what = f"another kernel ({_difference(self.kernel, wanted.kernel, '')})"
        else:
            return
        raise ValueError(f"{path} holds the matrix of {what}. Give another path, or delete that folder.")


def read_manifest(folder: pathlib.Path) -> Manifest:
    """Return the manifest of a store.

    Raises
    ------
    ValueError
        If there is none, it is damaged, or of a newer format.
    """
    try:
        content = json.loads((folder / NAME).read_bytes())
        seal = content.pop("seal")
        if seal != _seal(content):
            raise ValueError
    except OSError as error:
        raise ValueError(f"{folder} is no stored matrix: its {NAME} cannot be read ({error.strerror}).") from None
    except (ValueError, KeyError, AttributeError):
        raise ValueError(
            f"the {NAME} of {folder} is damaged, so that nothing in the folder can be trusted. Delete the folder, "
            "and build the matrix again."
        ) from None
    if content["format"] != FORMAT:
        raise ValueError(
            f"{folder} has format {content['format']}, this widelimit reads {FORMAT}; use the widelimit that wrote it "
            f"({content['widelimit']})."
        )
    tiles = content["tiles"]
    digests = None if tiles is None else {_place(key): digest for key, digest in tiles.items()}
    return Manifest(
        content["kernel"],
        content["data"],
        content["dtype"],
        Tiling(content["n"], content["tile"]),
        content["widelimit"],
        content["array"],
        digests,
    )


def kernel_identity(kernel: Any, label: str | None) -> dict[str, Any]:
    """Return what a kernel is known by: the JSON of its network, or a label where it has none.

    Raises
    ------
    ValueError
        If there is neither.
    """
    name = type(kernel).__name__
    if label is not None:
        return {"kernel": name, "label": label}
    if not isinstance(kernel, NTK | NNGP):
        raise ValueError(
            f"kernel is of type {name}, which has no JSON form by which its store could be told from others; give "
            "label='...', a text that names the model and its parameters."
        )
    try:
        return {"kernel": name, **json.loads(to_json(kernel.net))}
    except ValueError as error:
        raise ValueError(f"{error} Or give label='...', a text that names the network.") from None


def data_digest(x: PyTree) -> str:
    """Return the SHA-256 of inputs: their structure, and shape, dtype and numbers of each array."""
    found = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(cleared(x)):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        array = np.ascontiguousarray(leaf)
        found.update(f"{jax.tree_util.keystr(path)} {array.shape} {array.dtype.str}\n".encode())
        found.update(array.astype(array.dtype.newbyteorder("<"), copy=False).view(np.uint8).data)
    return found.hexdigest()


def known_by(x: PyTree, side: int) -> dict[str, Any]:
    """Return the fields of a manifest that inputs decide."""
    x = _check.batch(cleared(x), "x")
    leaves = jax.tree.leaves(x)
    return {
        "data": data_digest(x),
        "dtype": result_dtype(*leaves).name,
        "tiling": Tiling(leaves[0].shape[0], side),
    }


def library_version() -> str:
    """Return the version of this library."""
    from importlib import metadata

    return metadata.version("widelimit")


def _seal(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _place(key: str) -> tuple[int, int]:
    i, j = key.split("/")
    return int(i), int(j)


def _difference(there: Any, here: Any, path: str) -> str:
    """Return the first place at which two documents differ, with what stands there."""
    if isinstance(there, dict) and isinstance(here, dict) and there.keys() == here.keys():
        for key in there:
            if there[key] != here[key]:
                return _difference(there[key], here[key], f"{path}.{key}" if path else key)
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for i, (a, b) in enumerate(zip(there, here, strict=True)):
            if a != b:
                return _difference(a, b, f"{path}[{i}]")
    return f"{path} is {_brief(there)} there and {_brief(here)} here"


def _brief(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("type", f"a record of {', '.join(value)}"))
    return f"a list of {len(value)}" if isinstance(value, list) else json.dumps(value)
