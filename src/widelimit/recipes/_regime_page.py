"""A diagnosis as a page: one self-contained HTML file."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._regime import RegimeResult

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
p.note {{ color: var(--soft); font-size: .9rem; }}
figure {{ margin: 0; background: #fff; border: 1px solid var(--rule); border-radius: 6px; padding: .5rem; }}
img {{ width: 100%; display: block; }}
pre {{ overflow-x: auto; font: .85rem/1.5 ui-monospace, monospace; border: 1px solid var(--rule); border-radius: 6px;
  padding: 1rem; }}
</style>
<h1>{title}</h1>
<p class="note">{setting}</p>
<p class="lead">{verdict}</p>
<h2>What would change it</h2>
{change}
<h2>How far to trust it</h2>
{cautions}
<figure><img src="data:image/png;base64,{picture}" alt="{alt}"></figure>
<h2>All numbers</h2>
<pre>{report}</pre>
<h2>What was done</h2>
{notes}
</html>
"""


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
    return PAGE.format(
        title=html.escape(f"{report.regime.value.capitalize()}: {data['name']}"),
        setting=html.escape(setting),
        verdict=html.escape(verdict.sentence),
        change=_list(verdict.change),
        cautions=_list(verdict.cautions),
        picture=base64.b64encode(picture).decode("ascii"),
        alt=html.escape(f"Loss, motion of kernel and parameters, gap to the linearisation. {verdict.sentence}", True),
        report=html.escape(str(report)),
        notes="".join(f"<p class='note'>{html.escape(note)}</p>" for note in _notes(result)),
    )


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
