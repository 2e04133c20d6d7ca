"""The race as a page: one self-contained HTML file."""

import html
from typing import Any

from ._page import figure, notes, page


def race_page(document: dict[str, Any], picture: bytes) -> str:
    """Return the report as one HTML page with the picture inside; it loads nothing from anywhere."""
    data, config = document["data"], document["config"]
    shape = config["architecture"]
    setting = (
        f"{data['train_examples']} training and {data['test_examples']} test examples, {data['features']} features, "
        f"{data['outputs']} outputs; {shape['depth']} hidden layers, {shape['activation']}, "
        f"weight_std {shape['weight_std']}, bias_std {shape['bias_std']}, {shape['parameterization']} "
        f"parameterization; {config['seeds']} seeds per width."
    )
    alt = f"Learnt functions or losses, gaps and movement against width. {document['verdict']}"
    body = (
        figure(picture, alt)
        + f"<h2>Against width</h2>\n{html_table(*row_table(document))}\n"
        + f"<h2>How it scales</h2>\n{html_table(*trend_table(document))}\n"
        + f"<h2>The limit</h2>\n{html_table(*_limit_table(document))}\n"
        + notes(_notes(document))
    )
    return page(
        f"Finite networks against their infinite-width limit: {data['name']}", setting, document["verdict"], body
    )


def row_table(document: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table of widths, as text."""
    error = document["data"]["error_name"]
    header = [
        "width",
        "gap to linear",
        "of learnt",
        "gap to limit, same start",
        "ensemble mean − limit (chance)",
        "in ±2σ (should be)",
        "kernel drift",
        "θ moved",
        f"test {error}",
    ]
    rows = []
    for row in document["rows"]:
        band = row["coverage"]
        relative = None
        if None not in row["gap_linearisation"] and None not in row["function_change"]:
            pairs = zip(row["gap_linearisation"], row["function_change"], strict=True)
            relative = sum(a / b for a, b in pairs) / len(row["function_change"])
        rows.append(
            [
                _width(row),
                _mean(row["gap_linearisation"]),
                "–" if relative is None else f"{relative:.1%}",
                _mean(row["gap_limit"]),
                f"{_number(row['gap_mean'])} ({_number(row['gap_mean_expected'])})",
                "–" if band is None else f"{band['observed']:.0%} ({100 * band['low']:.0f}–{band['high']:.0%})",
                _mean(row["kernel_drift"]),
                _mean(row["parameter_movement"]),
                _mean(row["test_error"]),
            ]
        )
    rows.append(["infinite", *["–"] * 7, _number(document["limit"]["test_error"])])
    return header, rows


def footnotes(document: dict[str, Any]) -> list[str]:
    """Return a sentence for every width that is marked with a star in the table of widths."""
    return [
        f"* At width {row['width']} the step is beyond 2/λmax of the initial kernel of {row['beyond_stability']} "
        "network(s): their linearisation diverges, and they have no gap to it."
        for row in document["rows"]
        if row["beyond_stability"]
    ]


def _width(row: dict[str, Any]) -> str:
    diverged = f" ({row['diverged']} diverged)" if row["diverged"] else ""
    return f"{row['width']}{diverged}" + ("*" * bool(row["beyond_stability"]))


def trend_table(document: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table of fitted slopes, as text."""
    names = {
        "gap_linearisation": "gap to linearisation",
        "gap_limit": "gap to limit, same start",
        "kernel_drift": "kernel drift",
        "parameter_movement": "parameters moved",
    }
    rows = []
    for trend in document["trends"]:
        slope = trend["slope"]
        measured = "–"
        if slope["exponent"] is not None:
            measured = f"{slope['exponent']:.2f} ± {slope['standard_error']:.2f}"
        fit = "–" if slope["r_squared"] is None else f"{slope['r_squared']:.3f}"
        rows.append([names[trend["quantity"]], measured, fit, trend["theory"], slope["poor"] or "good"])
    return ["against width", "measured slope", "R²", "theory", "fit"], rows


def _limit_table(document: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    limit = document["limit"]
    rows = [
        ["largest eigenvalue of the NTK", _number(limit["largest_eigenvalue"])],
        ["smallest eigenvalue", _number(limit["smallest_eigenvalue"])],
        ["largest stable learning rate 2/λmax", _number(limit["max_learning_rate"])],
        ["learning rate used", _number(limit["learning_rate"])],
        ["steps", str(limit["steps"])],
    ]
    return ["quantity", "value"], rows


def _notes(document: dict[str, Any]) -> list[str]:
    environment = document["environment"]
    return [
        *document["data"]["notes"],
        "Networks train by full-batch gradient descent on ½Σ(f−y)². The gap is the largest over the recorded steps of "
        "the root mean square difference on the test inputs. The interval of the band's coverage is where 95 % of "
        "ensembles of this size would lie if they were drawn from the limit.",
        *footnotes(document),
        f"widelimit {environment['widelimit']}, JAX {environment['jax']}, {environment['device']}; networks in "
        f"{environment['network_dtype']}, kernels and closed forms in float64; {environment['seconds']} s.",
    ]


def html_table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table of text as HTML."""
    head = "".join(f"<th scope='col'>{html.escape(cell)}</th>" for cell in header)

    def cell(text: str) -> str:
        kind = " class='text'" if len(text) > 30 else ""
        return f"<td{kind}>{html.escape(text)}</td>"

    body = "".join("<tr>" + "".join(cell(c) for c in row) + "</tr>" for row in rows)
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _mean(values: list[float | None]) -> str:
    known = [v for v in values if v is not None]
    return _number(sum(known) / len(known)) if known else "–"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
