"""A picture of several comparisons side by side: how far each rule and run came out in each version, what changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from linreg.diagnosis.svg import WIDTH, Chart

MODE, LEFT, ROW, GAP = 262.0, 306.0, 19.0, 7.0
STYLE = (
    "text { font: 12px system-ui, sans-serif; fill: #1b1f24; } .small { font-size: 11px; } .bold { font-weight: 600; }"
)
NONE, LEAST, MOST = (207, 232, 220), (253, 240, 225), (230, 138, 60)
"""Colours of 0 ULP, of 1, and of `DARKEST` powers of ten and more."""
DARKEST = 7.0


@dataclass(frozen=True)
class Row:
    """One mode of a rule or of a run.

    Parameters
    ----------
    name, mode : str
        What it is.
    worst : sequence of int or None
        Worst ULP by column; None where it was not compared.
    changed : sequence of bool
        By column, whether it came out other than in an earlier version.
    """

    name: str
    mode: str
    worst: Sequence[int | None]
    changed: Sequence[bool]


def draw(columns: Sequence[tuple[str, str]], sections: dict[str, list[Row]]) -> str:
    """Return a picture as SVG that stands by itself.

    Parameters
    ----------
    columns : sequence of tuple of str
        Two lines of words above each column.
    sections : dict of str to list of Row
        The rows under their headings.

    Returns
    -------
    str
        SVG.
    """
    chart = Chart("Worst ULP of each rule and run in each mode, by version", 0)
    width, y = (WIDTH - LEFT) / len(columns), 40.0
    for j, lines in enumerate(columns):
        for line, words in enumerate(lines):
            chart.text(LEFT + (j + 0.5) * width, 18 + 15 * line, words, anchor="middle")
    for heading, rows in sections.items():
        y += ROW + GAP
        chart.text(8, y - 2, heading, kind="bold")
        name = ""
        for row in rows:
            if row.name != name:
                name = row.name
                y += GAP
                chart.text(8, y + 13.5, name)
            chart.text(MODE, y + 13.5, row.mode)
            _cells(chart, row, y, width)
            y += ROW
    chart.text(
        8,
        y + 22,
        "● came out other than with the TensorFlow or the Keras before, if only in other numbers than the worst",
    )
    chart.height = y + 34
    svg = chart.svg().replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    end = svg.index(">") + 1
    return f'{svg[:end]}<style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{svg[end:]}\n'


def _cells(chart: Chart, row: Row, y: float, width: float) -> None:
    for j, (worst, changed) in enumerate(zip(row.worst, row.changed, strict=True)):
        if worst is not None:
            x = LEFT + j * width
            chart.box(x + 1, y + 1, width - 2, ROW - 2, "cell", style=f"fill:{_colour(worst)}")
            chart.text(x + width / 2, y + 13.5, f"{'● ' if changed else ''}{worst:,}", kind="small", anchor="middle")


def _colour(ulp: int) -> str:
    """Return green for 0, and the darker an orange the more."""
    depth = min(math.log10(max(ulp, 1)) / DARKEST, 1.0)
    mixed = NONE if ulp == 0 else [low + depth * (high - low) for low, high in zip(LEAST, MOST, strict=True)]
    return "#" + "".join(f"{round(part):02x}" for part in mixed)
