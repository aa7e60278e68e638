"""A file as a polars table, and a table as features and target; what is wrong with a file is said in one line.

polars reads the values. The header is read here, by the csv module: polars renames a column that occurs twice and
keeps the doubled quotation marks of a quoted name, both without a word.
"""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from linreg.data import datasets
from linreg.hyperparameters import nearest

if TYPE_CHECKING:
    import polars

# What other programs write into a cell without a value (R, pandas, spreadsheets, databases).
_MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL")
# A blank line or a comment, but no row that begins with what a spreadsheet writes for a failed formula.
_SKIPPED = r"(?:#(?!N/A|DIV/0!|NAME\?|NULL!|NUM!|REF!|VALUE!)[^\n]*)?"


FRAMES = {".parquet": "scan_parquet", ".feather": "scan_ipc", ".arrow": "scan_ipc", ".ipc": "scan_ipc"}
"""Names of files that hold a table with types, and what reads them."""
GUESSED_FROM = 10_000
"""Rows of a CSV file too large for memory from which the types of its columns are told."""


def read_table(file: str | os.PathLike[str], *, any_separator: bool = False) -> polars.DataFrame:
    """Read a Parquet or Arrow file, or a CSV file with a header line: values between commas, text in UTF-8.

    Blank lines and lines that start with `#` are skipped, and spaces around names and numbers do not count. Empty
    cells (also NA, N/A, NaN and null) become nulls, which training refuses with their place. A column's type comes
    from all of its rows.

    Parameters
    ----------
    file : str or path
        The file; Parquet and Arrow are told by their names (.parquet, .arrow, .feather, .ipc). Where there is none of
        that name, the bare name of a data set that ships with linreg ("longley", "norris", "stackloss").
    any_separator : bool, default=False
        Take semicolons, tabs or bars between values too, whichever the header has most of. Then "1,5" is text.

    Returns
    -------
    polars.DataFrame
        At least one row, and a name of its own for every column.

    Raises
    ------
    ImportError
        If polars is not installed.
    OSError
        If the file is missing (FileNotFoundError), is a directory (IsADirectoryError) or may not be read.
    ValueError
        If it is no text, is empty, has no rows, has rows of different lengths, or has columns without names of their
        own.
    """
    _require_polars()
    import polars

    file = os.fspath(file)
    if Path(file).suffix.lower() in FRAMES:
        return _whole_table(file)
    text = _text(file)
    separator = _separator(text) if any_separator else ","
    names, below = _header(text, file, separator)
    rows = re.sub(rf"\n{_SKIPPED}(?=\n)", "", f"\n{text[below:]}\n").strip("\n")
    if not rows:
        shown = ", ".join(map(_shown, names))
        raise ValueError(f"{file!r} has a header ({shown}) but no rows below it: add one line for each row.")
    try:
        frame = polars.read_csv(
            rows.encode(), separator=separator, has_header=False, infer_schema_length=None, try_parse_dates=True
        )
        frame.columns = names
    except polars.exceptions.PolarsError as error:
        _refuse_ragged(text, len(names), file, separator)
        reason = str(error).splitlines()[0]
        raise ValueError(f"{file!r} cannot be read as CSV: {reason}.") from None
    # polars pads a short row with nulls without a word, so nulls at the end of a row are worth a second, slower look.
    if frame.to_series(-1).null_count():
        _refuse_ragged(text, len(names), file, separator)
    return frame.with_columns([_numbers_if_any(column) for column in frame.get_columns()])


def _whole_table(file: str) -> polars.DataFrame:
    """Return a Parquet or Arrow file with all of its rows."""
    frame: polars.DataFrame = scan(file).collect()
    if not frame.height:
        raise ValueError(f"{file!r} has column names but no rows: add one line for each row.")
    return frame


def scan(file: str) -> polars.LazyFrame:
    """Return the table in a file as a query: nothing but its columns is read.

    Parameters
    ----------
    file : str
        Parquet, Arrow, or CSV with a header line.

    Returns
    -------
    polars.LazyFrame
        The query.

    Raises
    ------
    ImportError
        If polars is not installed.
    OSError
        If the file is missing (FileNotFoundError), is a directory (IsADirectoryError) or may not be read.
    ValueError
        If it is no such file.
    """
    _require_polars()
    import polars

    place = Path(file)
    if place.is_dir():
        raise IsADirectoryError(f"{file!r} is a directory: give the path of one file.")
    if not place.exists():
        raise FileNotFoundError(f"There is no file {file!r}: give the path of a Parquet, Arrow or CSV file.")
    how = FRAMES.get(place.suffix.lower())
    try:
        table: polars.LazyFrame
        if how is None:
            table = polars.scan_csv(
                place, separator=_separator(_first_lines(place)), null_values=list(_MISSING), try_parse_dates=True,
                infer_schema_length=GUESSED_FROM, comment_prefix="#",
            )  # fmt: skip
        else:
            table = getattr(polars, how)(place, glob=False) if how == "scan_parquet" else getattr(polars, how)(place)
        names = list(table.collect_schema())
    except (polars.exceptions.PolarsError, OSError) as error:
        reason = (str(error).splitlines() or ["it is no such file"])[0]
        raise ValueError(f"{file!r} cannot be read ({reason}): give a Parquet, Arrow or CSV file.") from None
    if not names:
        raise ValueError(f"{file!r} has no columns: expected features and a target.")
    return table


def _first_lines(place: Path) -> str:
    with place.open(encoding="utf-8-sig", errors="replace") as lines:
        return lines.read(2**16)


def _require_polars() -> None:
    try:
        import polars  # noqa: F401 (only asks whether it is there)
    except ImportError:
        raise ImportError("Reading a table needs polars, which is not installed: pip install 'linreg[data]'.") from None


def split_names(names: Sequence[str], target: str) -> list[str]:
    """Return the names of the features: all but the target.

    Parameters
    ----------
    names : sequence of str
        Columns of a table.
    target : str
        Name of the column to predict.

    Returns
    -------
    list of str
        The others, in their order.

    Raises
    ------
    ValueError
        If there is no such column, or no other.
    """
    if target not in names:
        raise ValueError(f"The table has no column {target!r}{nearest(target, map(_shown, names))}.")
    if len(names) == 1:
        raise ValueError(
            f"The target {target!r} is the only column of the table: add at least one feature to predict it from."
        )
    return [name for name in names if name != target]


def split_target(frame: polars.DataFrame, target: str) -> tuple[polars.DataFrame, polars.Series]:
    """Split a table into its features and its target.

    Parameters
    ----------
    frame : polars.DataFrame
        The table; it is not changed.
    target : str
        Name of the column to predict.

    Returns
    -------
    features : polars.DataFrame
        All other columns, in their order.
    target : polars.Series
        The column to predict.

    Raises
    ------
    ValueError
        If there is no such column, or no other.
    """
    split_names(frame.columns, target)
    # In a selection, polars would read a name like "^x.*$" as a pattern; here it is taken as it stands.
    features = frame.clone()
    return features, features.drop_in_place(target)


def _text(file: str) -> str:
    """Return what stands in the file, with every line end as a newline and without a byte order mark."""
    place = Path(file)
    if not place.exists() and file in datasets.NAMES:
        place = datasets.path(file)
    if place.is_dir():
        raise IsADirectoryError(f"{file!r} is a directory: give the path of one CSV file.")
    try:
        text = place.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There is no file {file!r}: give the path of a CSV file, or the name of a data set that ships with linreg "
            f"({', '.join(datasets.NAMES)})."
        ) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{file!r} is no text in UTF-8 (byte 0x{error.object[error.start]:02x} in line {line}): give a CSV file, "
            "saved as UTF-8."
        ) from None
    if "\0" in text:
        raise ValueError(f"{file!r} is no text (it holds zero bytes): give a CSV file, saved as UTF-8.")
    return text


def _separator(text: str) -> str:
    """Return the character that stands between the names of the header: a comma if it has none of those known."""
    header = next((line for line in text.splitlines() if not re.fullmatch(_SKIPPED, line)), "")
    unquoted = re.sub('"[^"]*"', "", header)
    return max(",;\t|", key=unquoted.count)


def _records(text: str, separator: str) -> Iterator[tuple[int, int, list[str]]]:
    """Yield the number of the last line of each record, where that line ends in the text, and the record's values."""
    number = end = 0

    def lines() -> Iterator[str]:
        nonlocal number, end
        while end < len(text):
            start, end = end, text.find("\n", end) + 1 or len(text)
            number += 1
            line = text[start:end]
            if not re.fullmatch(rf"{_SKIPPED}\n?", line):
                yield line

    for record in csv.reader(lines(), delimiter=separator, skipinitialspace=True, strict=True):
        yield number, end, record


def _header(text: str, file: str, separator: str) -> tuple[list[str], int]:
    """Return the column names, and where in the text the lines below them begin."""
    try:
        _, below, record = next(_records(text, separator))
    except StopIteration:
        raise ValueError(f"{file!r} is empty: expected a line with column names, then one line for each row.") from None
    except csv.Error as error:
        raise ValueError(f"The header of {file!r} cannot be read as CSV: {error}.") from None
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
    return names, below


def _refuse_ragged(text: str, width: int, file: str, separator: str) -> None:
    """Raise for the first row that has not one value a column."""
    line = 0
    try:
        for line, _, record in _records(text, separator):
            if len(record) != width:
                raise ValueError(
                    f"Line {line} of {file!r} does not fit its header, with {len(record)} value(s) for {width} "
                    "column(s): leave missing values empty between their commas, and put values that hold a comma in "
                    "quotation marks."
                ) from None
    except csv.Error as error:
        raise ValueError(f"{file!r} cannot be read as CSV below line {line}: {error}.") from None


def _numbers_if_any(column: polars.Series) -> polars.Series:
    """Turn text into numbers where a column holds nothing else; polars leaves ` 2` and `NA` as text."""
    import polars

    if column.dtype == getattr(polars, "Int128", None):  # how newer polars reads huge integers; NumPy has no such type
        return column.cast(polars.Float64)
    if column.dtype != polars.String:
        return column
    text = column.str.strip_chars().replace(dict.fromkeys(_MISSING))
    numbers = text.cast(polars.Float64, strict=False)
    return numbers if numbers.null_count() == text.null_count() else column


def _shown(name: str) -> str:
    """Keep an error on one line whatever a column is called."""
    return name if name.isprintable() else repr(name)
