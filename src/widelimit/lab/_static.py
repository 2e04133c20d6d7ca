"""Files that the browser loads, and the import map that names its modules.

Modules import each other by the names of the map (``import { html } from "htm/preact"``, ``import { store } from
"lab/core/store.js"``), never by relative paths, so that an export can put all of them into one file.
"""

import base64
import functools
import hashlib
import importlib.resources
import json
import pathlib

import markupsafe

FOLDER = pathlib.Path(str(importlib.resources.files("widelimit.lab") / "static"))
VENDOR = {
    "preact": "preact.mjs",
    "preact/hooks": "preact-hooks.mjs",
    "htm": "htm.mjs",
    "htm/preact": "htm-preact.mjs",
    "@preact/signals": "signals.mjs",
    "@preact/signals-core": "signals-core.mjs",
    "uplot": "uPlot.esm.js",
}


@functools.cache
def modules() -> dict[str, str]:
    """Return the path below ``static`` of every module by the name it is imported with."""
    own = {f"lab/{path}": path for path in _scripts()}
    return {**{name: f"vendor/{file}" for name, file in VENDOR.items()}, **own}


def _scripts() -> list[str]:
    found = (path.relative_to(FOLDER) for path in sorted(FOLDER.rglob("*.js")))
    return [path.as_posix() for path in found if path.parts[0] != "vendor"]


@functools.cache
def import_map() -> markupsafe.Markup:
    """Return the import map of the served page."""
    return markupsafe.Markup(json.dumps({"imports": {name: f"/static/{path}" for name, path in modules().items()}}))


def import_map_hash() -> str:
    """Return the source expression with which a content security policy allows the import map."""
    digest = hashlib.sha256(str(import_map()).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
