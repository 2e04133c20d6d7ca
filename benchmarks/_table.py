"""Results as JSON lines, and as tables for people. A record is a flat dictionary; None is 'not measured'."""

import json
import pathlib
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

Record = dict[str, object]


def write_lines(records: Iterable[Record], file: pathlib.Path | None) -> None:
    """Write one JSON object a line, to stdout if ``file`` is None."""
    text = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)
    if file is None:
        print(text, end="", flush=True)
    else:
        with file.open("a") as out:
            out.write(text)


def table(title: str, columns: dict[str, str], records: Iterable[Record], caption: str = "") -> Table:
    """Return a table with one row per record; ``columns`` maps headings to format strings such as ``{median:.1f}``.

    A cell that needs a value which is None or absent stays empty.
    """
    made = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    for i, heading in enumerate(columns):
        made.add_column(heading, justify="left" if i < 2 else "right", no_wrap=True)
    for record in records:
        made.add_row(*(_cell(form, record) for form in columns.values()))
    return made


def show(made: Table) -> None:
    """Print a table, wide enough for its columns where stdout is no terminal."""
    console = Console()
    Console(width=None if console.is_terminal else 180).print(made)


def _cell(form: str, record: Record) -> str:
    known = {key: value for key, value in record.items() if value is not None}
    try:
        return form.format(**known)
    except KeyError:
        return ""
