"""What was done to a table until it was numbers, in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from linreg.data import datasets
from linreg.data.encoding import NAMED, ColumnEncoding, listed
from linreg.data.moments import moment_text
from linreg.data.notation import shown, written

if TYPE_CHECKING:
    from linreg.data.sources import Table

AS_TEXT = {
    "number_as_text": "numbers as text",
    "thousands_separator": "numbers with marks between thousands",
    "decimal_comma": "numbers with decimal commas",
    "percent": "percentages",
}


def notes(table: Table) -> list[str]:
    """Return a sentence for each thing that was done to a table.

    Parameters
    ----------
    table : Table
        The table.

    Returns
    -------
    list of str
        Nothing of plain numbers.
    """
    columns = [*table.encoding.columns, *([] if table.target is None else [table.encoding.target])]
    out = [note for column in columns for note in _read(column)]
    for part in table.parts:
        shipped = part.file in datasets.NAMES and not Path(part.file).exists()
        if (skipped := part.layout.skipped) and not shipped:
            lines = "1 line" if skipped == 1 else f"{skipped} lines"
            was = "was" if skipped == 1 else "were"
            out.append(f"{lines} of {part.label} with # at the front {was} skipped as no row{'s'[: skipped > 1]}.")
    if all(name.isdecimal() for part in table.parts for name in part.names):
        out.append(f"All column names are numbers ({', '.join(table.names[:NAMED])}): is there a header?")
    return [*out, *_gaps(table)]


def _read(column: ColumnEncoding) -> Iterator[str]:
    """Say how the values of a column were read."""
    kind, name = column.kind, column.name
    if kind.name == "category":
        first, *others = kind.vocabulary or ("",)
        if others:
            became = f"{len(others)} column{'s'[: len(others) > 1]} of 0 and 1 ({listed(tuple(others))})"
            yield f"Column {name!r} holds categories, which became {became}; all are 0 for {shown(first)}."
        else:
            yield f"Column {name!r} has one category only, {shown(first)}, and gives no feature."
    elif kind.name == "date":
        first = f", the {kind.style} between slashes" if "/" in kind.sample else ""
        yield f"Column {name!r} holds dates, read as days since {moment_text(kind.origin)}{first}."
    elif kind.name == "duration":
        yield f"Column {name!r} holds durations or times of day, read as days."
    elif kind.name == "boolean":
        yield f"Column {name!r} holds true and false, read as 1 and 0."
    elif kind.name in AS_TEXT:
        yield f"Column {name!r} holds {AS_TEXT[kind.name]}{_example(column)}."
    if kind.strays:
        yield f"Words between the numbers of column {name!r} count as missing: {listed(kind.strays)}."


def _example(column: ColumnEncoding) -> str:
    """Show how a text was read."""
    kind = column.kind
    if not kind.sample or not kind.style:
        return ""
    return f": {shown(kind.sample)} is {written(kind.sample, kind.style, kind.unit):.15g}"


def _gaps(table: Table) -> Iterator[str]:
    """Say what became of missing values."""
    by_column = ", ".join(f"{name!r} {count}" for name, count in list(table.gaps.items())[:NAMED])
    by_column += f" and {len(table.gaps) - NAMED} more columns" if len(table.gaps) > NAMED else ""
    if table.count < table.given:
        yield f"{table.given - table.count} of {table.given} rows have missing values and were left out: {by_column}."
    elif table.gaps:
        fills = {column.name: column.fill for column in table.encoding.columns}
        for name, count in table.gaps.items():
            values = "1 missing value" if count == 1 else f"{count} missing values"
            filled = f"{'was' if count == 1 else 'were'} filled in with {fills[name]:.15g}"
            yield f"{values} of column {name!r} {filled}, its {table.encoding.missing}."
