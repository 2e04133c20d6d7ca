"""The files of a diagnosis."""

import io
import pathlib

from .. import plot
from ._regime import RegimeResult
from ._regime_page import regime_page
from ._write import write_folder, write_json, write_text


def write_regime(result: RegimeResult, folder: pathlib.Path) -> None:
    """Write ``regime.png``, ``report.html`` and ``report.json`` into a folder, complete or not at all.

    Parameters
    ----------
    result
        What the recipe `regime` returned.
    folder
        Where to; made if new.
    """
    buffer = io.BytesIO()
    plot.regime_figure(result.report).savefig(buffer, format="png", dpi=160)
    picture = buffer.getvalue()
    files = {
        "regime.png": lambda path: path.write_bytes(picture),
        "report.html": write_text(regime_page(result, picture)),
        "report.json": write_json(result.to_dict()),
    }
    write_folder(folder, files)
