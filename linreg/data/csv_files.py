"""CSV files as polars frames, some rows at a time, so that a file may be larger than memory.

Python's csv module reads headers and what has quotation marks in it, polars what has none: it renames a column that
occurs twice, takes a mark in the middle of a value for one around it, and fills short rows up, each without a word.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import polars

# What other programs write into a cell without a value (R, pandas, spreadsheets, databases).
_MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL")
# A blank line or a comment, but no row that begins with what a spreadsheet writes for a failed formula.
_SKIPPED = r"(?:#(?!N/A|DIV/0!|NAME\?|NULL!|NUM!|REF!|VALUE!)[^\n]*)?"

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


def frames(place: Path, file: str, *, any_separator: bool) -> Iterator[polars.DataFrame]:
    """Yield the rows of a CSV file as frames of text, null where a cell is empty.

    Parameters
    ----------
    place : Path
        Where it lies.
    file : str
        What to call it in errors.
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
    separator, rows = ",", 0
    with place.open("rb") as opened:
        for text, line in _texts(opened, file):
            below = 0
            if not names:
                separator = _separator(text) if any_separator else ","
                names, below = _header(text, file, separator)
            line += text.count("\n", 0, below)
            frame = _frame(text[below:], names, file, separator, line)
            rows += frame.height
            if frame.height:
                yield frame
    if not names:
        raise ValueError(f"{file!r} is empty: expected a line with column names, then one line for each row.")
    if not rows:
        known = ", ".join(map(shown_name, names[:SHOWN_NAMES])) + (", ..." if len(names) > SHOWN_NAMES else "")
        raise ValueError(f"{file!r} has a header ({known}) but no rows below it: add one line for each row.")


class Types:
    """What the columns of a table of text hold, seen frame by frame: numbers, booleans, dates, or text.

    Parameters
    ----------
    text : collection of str
        Columns that stay text whatever stands in them.
    """

    def __init__(self, text: Collection[str] = ()) -> None:
        self._text = text
        self._kinds: dict[str, str] = {}

    def look(self, frame: polars.DataFrame) -> None:
        """Look at more rows."""
        for name, series in _bare(frame, [name for name in frame.columns if name not in self._text]):
            before = self._kinds.get(name, "")
            if before != "text" and series.null_count() < len(series):
                found = next((how for how, read in _READINGS.items() if _fits(read, series)), "text")
                both = {before, found} - {""}
                numbers = both == {"whole", "number"}
                self._kinds[name] = found if len(both) == 1 else "number" if numbers else "text"

    def read(self, frame: polars.DataFrame) -> polars.DataFrame:
        """Return rows as what their columns hold.

        Parameters
        ----------
        frame : polars.DataFrame
            Columns of type String.

        Returns
        -------
        polars.DataFrame
            Columns of type Int64, Float64, Boolean, Date or Datetime (of ISO 8601 dates), or String. Missing values,
            also spelled NA, N/A, NaN or null, are null, but in text; there are no spaces around text.
        """
        import polars

        kinds = {name: self._kinds.get(name, "number") for name in frame.columns if name not in self._text}
        kinds = {name: how for name, how in kinds.items() if how != "text"}
        read = {name: _READINGS[kinds[name]](series) for name, series in _bare(frame, list(kinds))}
        for name in frame.columns:
            if name not in read:
                read[name] = frame.get_column(name).alias("").str.strip_chars().replace("", None)
        return polars.DataFrame([read[name].alias(name) for name in frame.columns])


def _bare(frame: polars.DataFrame, names: list[str]) -> Iterator[tuple[str, polars.Series]]:
    """Yield columns of text by name, without spaces around values, null where they say that they are missing."""
    for name in names:
        # What polars does to a series, it does by its name, which it reads like a pattern if it looks like one.
        stripped = frame.get_column(name).alias("").str.strip_chars()
        gone = stripped.is_in(list(_MISSING))
        yield name, stripped.set(gone, None) if gone.any() else stripped


def _fits(read: Callable[[polars.Series], polars.Series], series: polars.Series) -> bool:
    return read(series).null_count() == series.null_count()


def _boolean(series: polars.Series) -> polars.Series:
    import polars

    return series.str.to_lowercase().replace_strict(
        {"true": True, "false": False}, default=None, return_dtype=polars.Boolean
    )


def _cast(kind: str) -> Callable[[polars.Series], polars.Series]:
    def cast(series: polars.Series) -> polars.Series:
        import polars

        return series.cast(getattr(polars, kind), strict=False)

    return cast


def _moment(pattern: str) -> Callable[[polars.Series], polars.Series]:
    return lambda series: series.str.to_datetime(pattern, time_unit="us", strict=False, exact=True)


_READINGS: dict[str, Callable[[polars.Series], polars.Series]] = {
    "whole": _cast("Int64"),
    "number": _cast("Float64"),
    "boolean": _boolean,
    "date": lambda series: series.str.to_date("%Y-%m-%d", strict=False, exact=True),
    "moment": _moment("%Y-%m-%dT%H:%M:%S%.f"),
    "moment_apart": _moment("%Y-%m-%d %H:%M:%S%.f"),
}


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


def _frame(text: str, names: list[str], file: str, separator: str, line: int) -> polars.DataFrame:
    """Return rows as a frame of text; `line` lines stand before them."""
    import polars

    if '"' in text:
        return _quoted(text, names, file, separator, line)
    kept = re.sub(rf"\n{_SKIPPED}(?=\n)", "", f"\n{text}\n").strip("\n")
    lines = polars.Series(kept.split("\n") if kept else [], dtype=polars.String)
    if (lines.str.count_matches(separator, literal=True) != len(names) - 1).any():
        _refuse_ragged(text, names, file, separator, line)
    if len(names) == 1:
        return lines.str.strip_chars().replace("", None).alias(names[0]).to_frame()
    return polars.read_csv(
        kept.encode(), separator=separator, has_header=False, quote_char=None, infer_schema_length=0,
        schema=dict.fromkeys(names, polars.String),
    ) if kept else polars.DataFrame(schema=dict.fromkeys(names, polars.String))  # fmt: skip


def _quoted(text: str, names: list[str], file: str, separator: str, line: int) -> polars.DataFrame:
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
        for number, end, record in _records(text, separator, line):
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
    header = next((line for line in text.split("\n") if not re.fullmatch(_SKIPPED, line)), "")
    unquoted = re.sub('"[^"]*"', "", header)
    return max(",;\t|", key=unquoted.count)


def _records(text: str, separator: str, number: int = 0) -> Iterator[tuple[int, int, list[str]]]:
    """Yield the number of the last line of each record, where that line ends in the text, and the record's values."""
    end, fresh = 0, True

    def lines() -> Iterator[str]:
        nonlocal number, end, fresh
        while end < len(text):
            start, end = end, text.find("\n", end) + 1 or len(text)
            number += 1
            line = text[start:end]
            if not (fresh and re.fullmatch(rf"{_SKIPPED}\n?", line)):
                fresh = False
                yield line

    for record in csv.reader(lines(), delimiter=separator, skipinitialspace=True, strict=True):
        yield number, end, record
        fresh = True


def _header(text: str, file: str, separator: str) -> tuple[list[str], int]:
    """Return the column names, and where in the text the lines below them begin."""
    try:
        _, below, record = next(_records(text, separator))
    except StopIteration:
        raise ValueError(f"{file!r} is empty: expected a line with column names, then one line for each row.") from None
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
    name, times = Counter(names).most_common(1)[0]
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


def _refuse_ragged(text: str, names: list[str], file: str, separator: str, line: int) -> None:
    """Raise for the first row that has not one value a column."""
    for number, _, record in _records(text, separator, line):
        if len(record) != len(names):
            raise _ragged(number, len(record), names, file)


def _ragged(line: int, values: int, names: list[str], file: str) -> ValueError:
    return ValueError(
        f"Line {line} of {file!r} does not fit its header, with {values} value(s) for {len(names)} column(s): leave "
        "missing values empty between their commas, and put values that hold a comma in quotation marks."
    )
