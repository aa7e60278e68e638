"""A run as one HTML page, with its tables and pictures in it."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.hot_loop import pictures, show
from linreg.whole_files import write_text

HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>linreg bench</title><style>
body{font:15px/1.5 sans-serif;max-width:75em;margin:2em auto;padding:0 1em}table{border-collapse:collapse}
td,th{padding:.2em .6em;border-bottom:1px solid #ccc;text-align:left}img{max-width:100%}</style>
<h1>The hot loop beside its peers</h1>
"""


def write(document: dict[str, Any], path: Path) -> None:
    """Write the page.

    Parameters
    ----------
    document : dict
        One run.
    path : Path
        The page.
    """
    machine = f"{document['machine']['processor']}, {document['machine']['cores']} cores"
    parts = [HEAD, f"<p>{escape(machine)}</p>"]
    with tempfile.TemporaryDirectory() as folder:
        for drawn in pictures.draw(document, Path(folder)):
            data = base64.b64encode(drawn.read_bytes()).decode()
            parts.append(f'<p><img alt="{drawn.stem}" src="data:image/png;base64,{data}"></p>')
    parts.append(_table(show.DETAIL, show.detail(document)))
    for heads, rows in ((show.WHOLE, show.wholes(document)), (show.ASKED, show.asked(document))):
        if rows:
            parts.append(_table(heads, rows))
    parts += [f"<p>Skipped: {escape(name)}: {escape(why)}</p>" for name, why in show.skipped(document).items()]
    write_text(path, "\n".join(parts))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["<table><tr>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return "\n".join([*lines, "</table>"])
