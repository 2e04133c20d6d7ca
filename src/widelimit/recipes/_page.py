"""The frame of a result as a page: one self-contained HTML file that loads nothing from anywhere."""

import base64
import html

STYLE = """
:root { color-scheme: light dark; --ink: #22252a; --soft: #5d646e; --rule: #dfe2e6; --ground: #fff; --mark: #33658a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7e9ec; --soft: #a4abb5; --rule: #3a3f46; --ground: #16181b; --mark: #8ab6d6; }
}
body { font: 16px/1.6 system-ui, sans-serif; color: var(--ink); background: var(--ground);
  max-width: 68rem; margin: 3rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .4rem; }
h2 { font-size: 1.1rem; margin: 2.6rem 0 .6rem; }
p.lead { font-size: 1.15rem; border-left: 3px solid var(--mark); padding-left: 1rem; margin: 1.4rem 0 2rem; }
p.note, td.note, caption { color: var(--soft); font-size: .9rem; }
figure { margin: 0; background: #fff; border: 1px solid var(--rule); border-radius: 6px; padding: .5rem; }
img { width: 100%; display: block; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .4rem .7rem; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; }
td.text { text-align: left; white-space: normal; }
caption { text-align: left; padding-bottom: .5rem; }
pre { overflow-x: auto; font: .85rem/1.5 ui-monospace, monospace; border: 1px solid var(--rule); border-radius: 6px;
  padding: 1rem; }
"""


def page(title: str, setting: str, verdict: str, body: str) -> str:
    """Return a page with a title, a line on what was done, the verdict, and HTML below; the texts are escaped."""
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n<h1>{html.escape(title)}</h1>\n"
        f'<p class="note">{html.escape(setting)}</p>\n<p class="lead">{html.escape(verdict)}</p>\n{body}</html>\n'
    )


def figure(picture: bytes, alt: str) -> str:
    """Return a PNG picture with its text alternative."""
    data = base64.b64encode(picture).decode("ascii")
    return f'<figure><img src="data:image/png;base64,{data}" alt="{html.escape(alt, True)}"></figure>\n'


def notes(lines: list[str]) -> str:
    """Return a paragraph in small print per line, under a heading."""
    return "<h2>What was done</h2>\n" + "".join(f"<p class='note'>{html.escape(line)}</p>" for line in lines) + "\n"
