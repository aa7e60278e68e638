"""CSV files as polars frames, some rows at a time, so that a file may be larger than memory.

Python's csv module reads headers and what has quotation marks in it, polars what has none: it renames a column that
occurs twice, takes a mark in the middle of a value for one around it, and fills short rows up, each without a word.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import polars

CHUNK = 2**21
"""So many bytes of a file are read at a time, and up to the end of their last row; they take up to 20 times as many."""
OPEN = 2**21
"""So many more bytes are read where a quotation mark is open; Python's csv module takes 2**17 characters in one."""
LINE = 2**26
"""A line may have so many bytes."""
RECORDS = 2**12
"""So many rows are held as Python's text at a time."""
SHOWN_NAMES = 20

_OTHER_FILES = {
    b"PAR1": "a Parquet file: give it a name that ends in .parquet",
    b"ARROW1": "an Arrow file: give it a name that ends in .arrow",
    b"\x93NUMPY": "a NumPy array: give it a name that ends in .npy",
    b"PK\x03\x04": "a zip archive, perhaps a spreadsheet (.xlsx): save the table as CSV",
    b"\x1f\x8b": "compressed by gzip: unpack it first",
    b"BZh": "compressed by bzip2: unpack it first",
    b"\xfd7zXZ": "compressed by xz: unpack it first",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: unpack it first",
    b"\xff\xfe\0\0": "text in UTF-32: save it as UTF-8",
    b"\xff\xfe": "text in UTF-16: save it as UTF-8",
    b"\xfe\xff": "text in UTF-16: save it as UTF-8",
}


@dataclass
class Layout:
    """How a CSV file is laid out, as far as it has been read.

    Parameters
    ----------
    separator : str
        What stands between values.
    skipped : int
        Lines that begin with # and are no rows.
    decimal_commas : bool
        Whether some column shows decimal commas, where commas do not separate values.
    """

    separator: str = ","
    skipped: int = 0
    decimal_commas: bool = False


def frames(place: Path, file: str, layout: Layout, *, any_separator: bool) -> Iterator[polars.DataFrame]:
    """Yield the rows of a CSV file as frames of text, null where a cell is empty.

    Parameters
    ----------
    place : Path
        Where it lies.
    file : str
        What to call it in errors.
    layout : Layout
        What is found out about it is put there.
    any_separator : bool
        Take semicolons, tabs or bars between values too, whichever the header has most of.

    Yields
    ------
    polars.DataFrame
        Some rows, every column of type String.

    Raises
    ------
    OSError
        If it may not be read.
    ValueError
        If it is no such file, has no rows, has rows of different lengths, or has columns without names of their own.
    """
    names: list[str] = []
    rows = 0
    with place.open("rb") as opened:
        for text, line in _texts(opened, file):
            below = 0
            if not names:
                layout.separator = _separator(text) if any_separator else ","
                names, below = _header(text, file, layout)
                if not names:
                    continue
            line += text.count("\n", 0, below)
            frame = _frame(text[below:], names, file, layout, line)
            rows += frame.height
            if frame.height:
                yield frame
    if not names:
        raise ValueError(f"{file!r} is empty: expected a line with column names, then one line for each row.")
    if not rows:
        known = ", ".join(map(shown_name, names[:SHOWN_NAMES])) + (", ..." if len(names) > SHOWN_NAMES else "")
        raise ValueError(f"{file!r} has a header ({known}) but no rows below it: add one line for each row.")


def column(name: str) -> polars.Expr:
    """Return a column by its name as it stands: polars takes a name like "^x.*$" for a pattern."""
    import polars

    return polars.col(f"^{re.escape(name)}$" if name == "*" or name.startswith("^") else name)


def shown_name(name: str) -> str:
    """Return a column name as it is shown in an error of one line, whatever it is."""
    return name if name.isprintable() else repr(name)


def _texts(opened: BinaryIO, file: str) -> Iterator[tuple[str, int]]:
    """Yield the text of a file in pieces of whole rows, newlines at line ends, and the lines before each."""
    line, start = 0, True
    while piece := _piece(opened, file):
        if start:
            other = next((what for magic, what in _OTHER_FILES.items() if piece.startswith(magic)), None)
            if other is not None:
                raise ValueError(f"{file!r} is no CSV file but {other}.")
            piece, start = piece.removeprefix(b"\xef\xbb\xbf"), False
        try:
            text = piece.decode("utf-8")
        except UnicodeDecodeError as error:
            line += piece.count(b"\n", 0, error.start) + 1
            raise ValueError(
                f"{file!r} is no text in UTF-8 (byte 0x{piece[error.start]:02x} in line {line}): give a CSV file, "
                "saved as UTF-8."
            ) from None
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if "\0" in text:
            line += text.count("\n", 0, text.index("\0")) + 1
            raise ValueError(
                f"{file!r} is no text (it holds zero bytes, the first in line {line}): give a CSV file, saved as UTF-8."
            )
        yield text, line
        line += text.count("\n")


def _piece(opened: BinaryIO, file: str) -> bytes:
    """Return the next bytes of a file, to the end of a line that ends no line within quotation marks if one is near."""
    pieces = [opened.read(CHUNK)]
    odd, more = pieces[0].count(b'"') % 2, 0
    while line := opened.readline(LINE):
        if len(line) == LINE:
            raise ValueError(
                f"{file!r} holds a line of more than {LINE >> 20} MiB: give it line ends, one (\\n) for each row."
            )
        pieces.append(line)
        odd, more = (odd + line.count(b'"')) % 2, more + len(line)
        if not odd or more > OPEN:
            break
    return b"".join(pieces)


def _frame(text: str, names: list[str], file: str, layout: Layout, line: int) -> polars.DataFrame:
    """Return rows as a frame of text; `line` lines stand before them."""
    import polars

    if '"' in text:
        return _quoted(text, names, file, layout, line)
    separator = layout.separator

    def kept(match: re.Match[str]) -> str:
        comment = match[0].count(separator) != len(names) - 1
        layout.skipped += comment and len(match[0]) > 1
        return "" if comment or len(match[0]) == 1 else match[0]

    rows = re.sub(r"\n(?:#[^\n]*)?(?=\n)", kept, f"\n{text}\n").strip("\n")
    lines = polars.Series(rows.split("\n") if rows else [], dtype=polars.String)
    if (lines.str.count_matches(separator, literal=True) != len(names) - 1).any():
        _refuse_ragged(text, names, file, layout, line)
    if len(names) == 1:
        return lines.str.strip_chars().replace("", None).alias(names[0]).to_frame()
    return polars.read_csv(
        rows.encode(), separator=separator, has_header=False, quote_char=None, infer_schema_length=0,
        schema=dict.fromkeys(names, polars.String),
    ) if rows else polars.DataFrame(schema=dict.fromkeys(names, polars.String))  # fmt: skip


def _quoted(text: str, names: list[str], file: str, layout: Layout, line: int) -> polars.DataFrame:
    """Return rows in which quotation marks stand, as a frame of text."""
    import polars

    number, below, records, frames = line, 0, list[list[str]](), []

    def frame() -> polars.DataFrame:
        columns = zip(*records, strict=True) if records else [()] * len(names)
        return polars.DataFrame(
            [
                polars.Series("", values, polars.String).replace("", None).alias(name)
                for name, values in zip(names, columns, strict=True)
            ]
        )

    try:
        for number, end, record in _records(text, layout, line, len(names)):
            below = end
            if len(record) != len(names):
                raise _ragged(number, len(record), names, file)
            records.append(record)
            if len(records) == RECORDS:
                frames.append(frame())
                records.clear()
    except csv.Error as error:
        opens = number + 1 + text.count("\n", below, max(below, text.find('"', below)))
        raise ValueError(
            f"{file!r} cannot be read as CSV below line {number} ({error}): look for a quotation mark that is never "
            f"closed, or that stands within a value and is not doubled; the first one there is in line {opens}."
        ) from None
    return polars.concat([*frames, frame()])


def _separator(text: str) -> str:
    """Return the character that stands between the names of the header: a comma if it has none of those known."""
    header = next((line for line in text.split("\n") if line and not line.startswith("#")), "")
    unquoted = re.sub('"[^"]*"', "", header)
    return max(",;\t|", key=unquoted.count)


def _records(
    text: str, layout: Layout, number: int = 0, values: int | None = None
) -> Iterator[tuple[int, int, list[str]]]:
    """Yield the number of the last line of each record, where that line ends in the text, and the record's values.

    A line that begins with # is a record if it has so many values; none is before it is known how many there are.
    """
    end, fresh = 0, True

    def lines() -> Iterator[str]:
        nonlocal number, end, fresh
        while end < len(text):
            start, end = end, text.find("\n", end) + 1 or len(text)
            number += 1
            line = text[start:end]
            if fresh and line.startswith("#") and _is_comment(line, layout.separator, values):
                layout.skipped += 1
            elif not fresh or line != "\n":
                fresh = False
                yield line

    for record in csv.reader(lines(), delimiter=layout.separator, skipinitialspace=True, strict=True):
        yield number, end, record
        fresh = True


def _is_comment(line: str, separator: str, values: int | None) -> bool:
    """Whether a line that begins with # has not so many values as a row."""
    if values is None:
        return True
    try:
        return len(next(csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True))) != values
    except csv.Error:  # quotation marks that are not closed in this line
        return False


def _header(text: str, file: str, layout: Layout) -> tuple[list[str], int]:
    """Return the column names, none where there are comments only, and where in the text the lines below them begin."""
    try:
        _, below, record = next(_records(text, layout), (0, 0, []))
    except csv.Error as error:
        raise ValueError(
            f"The header of {file!r} cannot be read as CSV ({error}): look for a quotation mark that is never closed."
        ) from None
    names = [name.strip() for name in record]
    if "" in names:
        raise ValueError(
            f"Column {names.index('') + 1} of {file!r} has no name: name it in the header, or leave it out (pandas "
            "writes its index that way: to_csv(index=False))."
        )
    name, times = Counter(names).most_common(1)[0] if names else ("", 0)
    if times > 1:
        raise ValueError(
            f"The column name {name!r} occurs {times} times in {file!r}: give every column a name of its own."
        )
    if len(names) == 1 and (mark := re.search("[;\t|]", name)):
        raise ValueError(
            f"The header of {file!r} has {mark[0]!r} between its names: separate values by commas, and write decimals "
            "with a point."
        )
    _refuse_values(names, file)
    return names, below


def _refuse_values(names: list[str], file: str) -> None:
    """Raise for a header of nothing but numbers one of which is no whole one: that is a row of a file without one."""
    try:
        values = [float(name) for name in names]
    except ValueError:
        return
    value = next((name for name, value in zip(names, values, strict=True) if not name.isdecimal()), None)
    if value is not None:
        raise ValueError(
            f"{file!r} has no header: its first line holds numbers, such as {value}. Put a line with column names on "
            "top."
        )


def _refuse_ragged(text: str, names: list[str], file: str, layout: Layout, line: int) -> None:
    """Raise for the first row that has not one value a column."""
    for number, _, record in _records(text, layout, line, len(names)):
        if len(record) != len(names):
            raise _ragged(number, len(record), names, file)


def _ragged(line: int, values: int, names: list[str], file: str) -> ValueError:
    return ValueError(
        f"Line {line} of {file!r} does not fit its header, with {values} value(s) for {len(names)} column(s): leave "
        "missing values empty between their commas, and put values that hold a comma in quotation marks."
    )
