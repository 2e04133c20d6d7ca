"""The files of a fit: the model and its report."""

import io
import pathlib

from .. import plot
from ._fit import Fit
from ._fit_page import fit_page
from ._model import write_model
from ._write import write_json, write_text


def write_fit(fit: Fit, folder: pathlib.Path) -> None:
    """Write the model, ``report.html``, ``report.json`` and ``fit.png`` into a folder, complete or not at all.

    Parameters
    ----------
    fit
        What the recipe `fit` returned.
    folder
        Where to; made if new.
    """
    buffer = io.BytesIO()
    plot.fit_figure(fit.document).savefig(buffer, format="png", dpi=160)
    picture = buffer.getvalue()
    more = {
        "fit.png": lambda path: path.write_bytes(picture),
        "report.html": write_text(fit_page(fit.document, picture)),
        "report.json": write_json(fit.document),
    }
    write_model(fit.model, folder, more)
