"""Write anew what the page keeps of computations: recorded runs, and the hashes of witnesses that were reviewed.

``python -m widelimit.lab.record [name ...]`` computes recorded runs (all without a name) and writes them.
``python -m widelimit.lab.record --review [key ...]`` shows the entry of the claim review for each witness (without a
key, for all that have changed) with the claim it supports, and runs it; with ``--approve``, and where it passes, its
hash is written, which says that somebody has read the entry against the witness as it is now.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import importlib.metadata
import json
import pathlib
import re
import sys
from typing import Any

from ..recipes import witnesses
from . import _content, _recorded
from .parts._review import PART, Content, Evidence

REVIEW = pathlib.Path(str(_content.FOLDER)) / PART.file


def compute(name: str) -> dict[str, Any]:
    """Return an artefact as plain values, computed now.

    Raises
    ------
    ValueError
        If there is no recipe of this name.
    """
    if name not in _recorded.names():
        raise ValueError(f"there is no story {name!r}; expected one of {', '.join(_recorded.names())}.")
    recipe = importlib.import_module(f"widelimit.recipes.stories.{name}")
    config = recipe.Config()
    values = {"name": name, "config": dataclasses.asdict(config), **dataclasses.asdict(recipe.run(config))}
    values = {**_recorded.rounded(values), "version": importlib.metadata.version("widelimit")}
    return {**values, "hash": _recorded.digest(values)}


def review(evidence: Evidence, content: Content, *, approve: bool) -> bool:
    """Show an entry of the review and its witness, run now; write its hash if approved and passed.

    Returns whether it passed.
    """
    found = witnesses.run(evidence.name)
    claims = [claim for claim in content.claims if claim.key == evidence.key] or list(content.claims)
    lines = [
        f"{evidence.name}: {evidence.title} ({evidence.kind}, {evidence.key})",
        *(f"  claim      {claim.statement}" for claim in claims),
        f"  witness    {found.statement}",
        f"  sides      {found.left[0]} {found.left[1]:.6g}; {found.right[0]} {found.right[1]:.6g}",
        f"  error      {found.error:.3g}, {'must exceed' if found.counter else 'tolerance'} {found.tolerance:.3g}",
        f"  hash       {evidence.hash} when last reviewed, {witnesses.witness_hash(evidence.name)[:16]} now",
        f"  {'passed' if found.passed else 'FAILED: the hash stays as it is'}",
    ]
    if approve and found.passed:
        REVIEW.write_text(approved(REVIEW.read_text(encoding="utf-8"), evidence.name), encoding="utf-8")
        lines.append("  approved: the hash was written")
    sys.stdout.write("\n".join(lines) + "\n\n")
    return found.passed


def approved(text: str, name: str) -> str:
    """Return the review as TOML text with the hash that a witness has now.

    Raises
    ------
    ValueError
        If the text does not have one entry of this name.
    """
    pattern = rf'(\[\[evidence\]\]\nname = "{re.escape(name)}"\n(?:(?!\[\[)[^\n]*\n)*?hash = ")[0-9a-f]*(")'
    written, count = re.subn(pattern, rf"\g<1>{witnesses.witness_hash(name)[:16]}\g<2>", text)
    if count != 1:
        raise ValueError(f"{PART.file} has {count} entries of the witness {name!r} with a hash; expected one.")
    return written


def chosen_of(content: Content, names: list[str]) -> list[Evidence]:
    """Return the entries named, or those that have changed.

    Raises
    ------
    ValueError
        If there is no entry of a name.
    """
    known = {evidence.name: evidence for evidence in content.evidence}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"there is no witness {unknown[0]!r} in the review; expected some of {', '.join(known)}.")
    return [known[name] for name in names] or [evidence for evidence in content.evidence if not evidence.stands]


def main(arguments: list[str]) -> int:
    """Write recorded runs, or review witnesses; return 1 if a witness failed."""
    parser = argparse.ArgumentParser(prog="python -m widelimit.lab.record", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", help="recorded runs, or with --review witnesses")
    parser.add_argument("--review", action="store_true", help="show and run witnesses instead")
    parser.add_argument("--approve", action="store_true", help="with --review: write the hashes of those that pass")
    given = parser.parse_args(arguments)
    if given.approve and not given.review:
        parser.error("--approve belongs to --review.")
    if given.review:
        content = _content.read(REVIEW.read_text(encoding="utf-8"), PART.record, PART.file)
        entries = chosen_of(content, given.names)
        return int(sum(not review(one, content, approve=given.approve) for one in entries) > 0)
    for name in given.names or _recorded.names():
        path = pathlib.Path(str(_recorded.FOLDER)) / f"{name}.json"
        path.write_text(json.dumps(compute(name), allow_nan=False, separators=(",", ":")) + "\n", encoding="utf-8")
        sys.stdout.write(f"{path.name}: {path.stat().st_size / 1000:.0f} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
