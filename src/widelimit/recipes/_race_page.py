"""The race as a page: one self-contained HTML file."""

import base64
import html
from typing import Any

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #22252a; --soft: #5d646e; --rule: #dfe2e6; --ground: #fff; --mark: #33658a; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e7e9ec; --soft: #a4abb5; --rule: #3a3f46; --ground: #16181b; --mark: #8ab6d6; }}
}}
body {{ font: 16px/1.6 system-ui, sans-serif; color: var(--ink); background: var(--ground);
  max-width: 68rem; margin: 3rem auto; padding: 0 1.25rem; }}
h1 {{ font-size: 1.7rem; line-height: 1.25; margin: 0 0 .4rem; }}
h2 {{ font-size: 1.1rem; margin: 2.6rem 0 .6rem; }}
p.lead {{ font-size: 1.15rem; border-left: 3px solid var(--mark); padding-left: 1rem; margin: 1.4rem 0 2rem; }}
p.note, td.note, caption {{ color: var(--soft); font-size: .9rem; }}
figure {{ margin: 0; background: #fff; border: 1px solid var(--rule); border-radius: 6px; padding: .5rem; }}
img {{ width: 100%; display: block; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: right; padding: .4rem .7rem; border-bottom: 1px solid var(--rule); white-space: nowrap; }}
th {{ white-space: normal; vertical-align: bottom; }}
th:first-child, td:first-child {{ text-align: left; }}
td.text {{ text-align: left; white-space: normal; }}
caption {{ text-align: left; padding-bottom: .5rem; }}
</style>
<h1>{title}</h1>
<p class="note">{setting}</p>
<p class="lead">{verdict}</p>
<figure><img src="data:image/png;base64,{picture}" alt="{alt}"></figure>
<h2>Against width</h2>
<div class="scroll">{rows}</div>
<h2>How it scales</h2>
<div class="scroll">{trends}</div>
<h2>The limit</h2>
<div class="scroll">{limit}</div>
<h2>What was done</h2>
{notes}
</html>
"""


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
    return PAGE.format(
        title=html.escape(f"Finite networks against their infinite-width limit: {data['name']}"),
        setting=html.escape(setting),
        verdict=html.escape(document["verdict"]),
        picture=base64.b64encode(picture).decode("ascii"),
        alt=html.escape(f"Learnt functions or losses, gaps and movement against width. {document['verdict']}", True),
        rows=_table(*row_table(document)),
        trends=_table(*trend_table(document)),
        limit=_table(*_limit_table(document)),
        notes="".join(f"<p class='note'>{html.escape(note)}</p>" for note in _notes(document)),
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


def _table(header: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th scope='col'>{html.escape(cell)}</th>" for cell in header)

    def cell(text: str) -> str:
        kind = " class='text'" if len(text) > 30 else ""
        return f"<td{kind}>{html.escape(text)}</td>"

    body = "".join("<tr>" + "".join(cell(c) for c in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _mean(values: list[float | None]) -> str:
    known = [v for v in values if v is not None]
    return _number(sum(known) / len(known)) if known else "–"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
