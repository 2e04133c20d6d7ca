"""The report of a fit as a page: one self-contained HTML file."""

import html
from typing import Any

from .._fit_figure import SCORES
from ._page import figure, notes, page
from ._race_page import html_table

BORDERS = "< and > mark the smallest and the largest ridge that was tried."


def fit_page(document: dict[str, Any], picture: bytes) -> str:
    """Return the report as one HTML page with the picture inside; it loads nothing from anywhere."""
    data = document["data"]
    setting = (
        f"{data['train_examples']} training and {data['test_examples']} test rows, {len(data['features'])} features, "
        f"{data['task']}; {len(document['candidates'])} candidates compared on {document['compared_rows']} rows by "
        f"{document['criterion']}."
    )
    found = "".join(
        f"<p>{html.escape(finding['sentence'])} <strong>{html.escape(finding['remedy'])}</strong></p>\n"
        for finding in document["findings"]
    )
    body = (
        figure(picture, f"Predictions against held-out targets, and calibration. {document['verdict']}")
        + f"<h2>On held-out rows</h2>\n{html_table(*score_table(document))}\n"
        + f"<h2>What may be wrong</h2>\n{found or '<p>Nothing was found.</p>'}\n"
        + _relevance(document)
        + f"<h2>All candidates</h2>\n{html_table(*candidate_table(document))}\n"
        + notes(_notes(document))
    )
    return page(f"Kernel machine for {data['name']}", setting, document["verdict"], body)


def score_table(document: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table of test scores, as text."""
    test = document["test"]
    if document["data"]["task"] == "regression":
        level = test["interval_level"]
        rows = [
            ["RMSE", f"{test['rmse']:.4g}", f"{test['rmse_of_mean']:.4g} (mean of the targets)"],
            ["mean absolute error", f"{test['mae']:.4g}", "–"],
            ["negative log likelihood", _number(test["nll"]), f"{_number(test['nll_of_normal'])} (one normal)"],
            [f"{level:.0%} {test['intervals']} intervals cover", f"{test['interval_coverage']:.1%}", f"{level:.0%}"],
            ["their mean width", _number(test["interval_width"]), "–"],
        ]
        rows += [
            [f"mean ± {row['level']:.0%} of a normal covers", f"{row['covered']:.1%}", f"{row['level']:.0%}"]
            for row in test["calibration"]
        ]
        return ["quantity", "this model", "to compare"], rows
    rows = [
        ["accuracy", f"{test['accuracy']:.1%}", f"{test['accuracy_of_majority']:.1%} (largest class)"],
        ["negative log likelihood", f"{test['nll']:.4g}", f"{test['nll_of_frequencies']:.4g} (frequencies)"],
        ["Brier score", f"{test['brier']:.4g}", "–"],
        ["expected calibration error", f"{test['ece']:.1%}", "0 %"],
    ]
    return ["quantity", "this model", "to compare"], rows


def candidate_table(document: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table of candidates, best first, as text."""
    mark = {"": "", "smallest": " <", "largest": " >"}
    rows = [
        [
            row["name"],
            f"{row['score']:.4f}",
            f"{row['ridge']:.2g}{mark[row['at_border']]}",
            f"{row['loo_error'] ** 0.5:.4f}",
            f"{row['degrees']:.1f}",
            f"{row['seconds']:.2f}",
        ]
        for row in document["candidates"]
    ]
    return ["candidate", SCORES[document["criterion"]], "ridge", "LOO RMSE", "degrees", "seconds"], rows


def _relevance(document: dict[str, Any]) -> str:
    scales = sorted(document["relevance"].items(), key=lambda pair: -pair[1])
    if not scales:
        return ""
    largest = max(scales[0][1], 1e-300)
    rows = [[name, f"{scale:.4g}", f"{scale / largest:.1%}"] for name, scale in scales]
    return f"<h2>Relevance of the features</h2>\n{html_table(['feature', 'scale', 'of the largest'], rows)}\n"


def _notes(document: dict[str, Any]) -> list[str]:
    environment = document["environment"]
    return [
        BORDERS,
        *document["data"]["notes"],
        "Inputs are standardised with the training rows. Candidates are compared on training rows alone, where targets "
        "have mean zero (and variance one, but for classes); the best was tested on rows it has not seen, then fitted "
        "on all. Degrees are the effective degrees of freedom.",
        f"widelimit {environment['widelimit']}, JAX {environment['jax']}, {environment['device']}; everything in "
        f"float64; {environment['seconds']} s.",
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
