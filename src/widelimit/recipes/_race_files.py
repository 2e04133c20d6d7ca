"""The files of a race."""

import io
import pathlib
from typing import Any

from .. import plot
from ._race_page import race_page
from ._write import write_folder, write_json, write_text


def write_race(document: dict[str, Any], folder: pathlib.Path) -> None:
    """Write ``race.png``, ``report.html`` and ``report.json`` into a folder, complete or not at all.

    Parameters
    ----------
    document
        ``RaceReport.to_dict()``.
    folder
        Where to; made if new.
    """
    buffer = io.BytesIO()
    plot.race_figure(document).savefig(buffer, format="png", dpi=160)
    picture = buffer.getvalue()
    files = {
        "race.png": lambda path: path.write_bytes(picture),
        "report.html": write_text(race_page(document, picture)),
        "report.json": write_json(document),
    }
    write_folder(folder, files)
