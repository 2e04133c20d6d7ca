"""A diagnosis as a page: one self-contained HTML file."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from ._page import figure, notes, page

if TYPE_CHECKING:
    from ._regime import RegimeResult


def regime_page(result: RegimeResult, picture: bytes) -> str:
    """Return the diagnosis as one HTML page with the picture inside; it loads nothing from anywhere."""
    report, data, config = result.report, result.data, result.config
    shape = config.architecture
    scale = "" if config.output_scale is None else f", output scale {config.output_scale:g}"
    setting = (
        f"{data['train_examples']} training and {data['test_examples']} test examples, "
        f"{_count(data['features'], 'feature')}, {_count(data['outputs'], 'output')}; "
        f"{_count(shape.depth, 'hidden layer')} of width {config.width}, {shape.activation}, "
        f"weight_std {shape.weight_std}, bias_std {shape.bias_std}, {shape.parameterization} parameterization{scale}; "
        f"{_count(config.seeds, 'network')}."
    )
    verdict = report.verdict
    alt = f"Loss, motion of kernel and parameters, gap to the linearisation. {verdict.sentence}"
    body = (
        f"<h2>What would change it</h2>\n{_list(verdict.change)}\n"
        + f"<h2>How far to trust it</h2>\n{_list(verdict.cautions)}\n"
        + figure(picture, alt)
        + f"<h2>All numbers</h2>\n<pre>{html.escape(str(report))}</pre>\n"
        + notes(_notes(result))
    )
    return page(f"{report.regime.value.capitalize()}: {data['name']}", setting, verdict.sentence, body)


def _notes(result: RegimeResult) -> list[str]:
    environment, data = result.environment, result.data
    networks = "; ".join(f"network {i + 1}: {r.regime.value}" for i, r in enumerate(result.reports))
    return [
        *data["notes"],
        f"Full-batch gradient descent. {networks[:1].upper()}{networks[1:]}.",
        f"widelimit {environment['widelimit']}, JAX {environment['jax']}, {environment['device']}; networks in "
        f"{environment['network_dtype']}, kernels and closed forms in float64; {environment['seconds']} s.",
    ]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _list(lines: tuple[str, ...]) -> str:
    if not lines:
        return "<p class='note'>Nothing.</p>"
    return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"
