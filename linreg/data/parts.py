"""Where the rows of a table lie: frames, files, arrays; each of them gives its columns, some rows at a time."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from linreg.data import array_files, arrays, tables, temporary
from linreg.data.csv_files import Layout, column
from linreg.data.csv_types import Types
from linreg.data.row_files import IN_MEMORY, READING_TEXT, csv_tables

if TYPE_CHECKING:
    import polars

Array = Any

COLUMN_BYTES = 2**26
"""So many columns of a file are read together as have so many bytes of numbers in what polars unpacks at once."""


class Part(Protocol):
    """Some rows: `file` they lie in, `label` in errors, `names` of columns, `count` of rows, `layout` of a CSV file."""

    file: str
    label: str
    names: tuple[str, ...]
    count: int
    layout: Layout

    def family(self, name: str) -> str:
        """Return "number", "boolean" or "empty" if that is what the type of a column says, else nothing."""
        ...

    def is_text(self, name: str) -> bool:
        """Whether the type of a column says that it is text."""
        ...

    def columns(self, names: Sequence[str], first: int, rows: int) -> list[Array]:
        """Return consecutive rows of some columns, as arrays of whatever type."""
        ...

    def matrix(self, names: Sequence[str], first: int, rows: int) -> Array:
        """Return consecutive rows of columns with a family side by side, in float64, nan where a value is missing."""
        ...


class ArraysPart:
    """Arrays of shape (rows,) by the name of their column."""

    def __init__(self, file: str, arrays: dict[str, Array]) -> None:
        self.file, self.label, self.names, self._arrays = file, _label(file), tuple(arrays), arrays
        self.layout = Layout()
        self.count = len(next(iter(arrays.values()), ()))

    def family(self, name: str) -> str:
        """Return what the type of a column says."""
        kind = self._arrays[name].dtype.kind
        return "boolean" if kind == "b" else "number" if kind in "fiu" else ""

    def is_text(self, name: str) -> bool:
        """Whether a column is text."""
        return self._arrays[name].dtype.kind in "UST"

    def columns(self, names: Sequence[str], first: int, rows: int) -> list[Array]:
        """Return consecutive rows of some columns."""
        return [self._arrays[name][first : first + rows] for name in names]

    def matrix(self, names: Sequence[str], first: int, rows: int) -> Array:
        """Return consecutive rows of columns of numbers."""
        return np.column_stack(self.columns(names, first, rows)).astype(np.float64, copy=False)


class QueryPart:
    """A polars frame or query, of which so much is read at a time as is asked for.

    Parameters
    ----------
    file : str
        What is read; "" of a frame.
    table : polars.LazyFrame
        The rows.
    text : collection of str, optional
        Columns in which whole numbers are text.
    layout : Layout, optional
        Of a text file, whose types are guesses.

    Raises
    ------
    ValueError
        If it cannot be read.
    """

    def __init__(
        self, file: str, table: polars.LazyFrame, text: Collection[str] = (), *, layout: Layout | None = None
    ) -> None:
        import polars

        self.file, self.label, self._typed, self.layout = file, _label(file), layout is None, layout or Layout()
        self._values: dict[str, int] = {}
        with tables.readable(self.label, of_file=bool(file)):
            schema = table.collect_schema()
        whole = [name for name, kind in schema.items() if name in text and kind.is_integer()]
        if whole:  # with a gap among them, NumPy would make 1.0 of 1
            table = table.with_columns(column(name).cast(polars.String) for name in whole)
        self._table, self._schema = table, dict(table.collect_schema())
        self.names = tuple(self._schema)
        self.count = int(self._collected(table.select(polars.len())).item()) if self.names else 0
        self._unpacked = self.count if file and layout is None else 0
        if Path(file).suffix.lower() == ".parquet" and self.count:
            self._unpacked = tables.rows_of_a_group(file, self.count, self.names)

    def _collected(self, query: polars.LazyFrame) -> polars.DataFrame:
        return tables.collected(query, self.label, of_file=bool(self.file))

    def family(self, name: str) -> str:
        """Return what the type of a column says."""
        kind = self._schema[name]
        if not self._typed and self._empty(name):
            return "empty"
        return "number" if kind.is_numeric() else {"Boolean": "boolean", "Null": "empty"}.get(str(kind), "")

    def _empty(self, name: str) -> bool:
        """Whether a column has no value."""
        if name not in self._values:
            missing = self._collected(self._table.select(column(name).null_count())).item()
            self._values[name] = self.count - int(missing)
        return not self._values[name]

    def is_text(self, name: str) -> bool:
        """Whether a column is text."""
        return str(self._schema[name]).partition("(")[0] in {"String", "Binary", "Categorical", "Enum"}

    def columns(self, names: Sequence[str], first: int, rows: int) -> list[Array]:
        """Return consecutive rows of some columns."""
        import polars

        for name in names:
            if self._schema[name].is_nested() or self._schema[name] == polars.Object:
                raise TypeError(
                    f"Column {name!r} of {self.label} is of type {self._schema[name]}, but one number is needed in "
                    "every row: give each of its parts a column of its own, or leave it out."
                )
        with tables.readable(self.label, of_file=bool(self.file)):
            frames = self._frames(names, first, rows)
            return [_array(frame.get_column(name).alias("")) for frame in frames for name in frame.columns]

    def matrix(self, names: Sequence[str], first: int, rows: int) -> Array:
        """Return consecutive rows of columns of numbers."""
        import polars

        out, start = np.empty((self._rows(first, rows), len(names))), 0
        with tables.readable(self.label, of_file=bool(self.file)):
            for frame in self._frames(names, first, rows):
                found, end = frame.cast(polars.Float64).to_numpy(order="c"), start + frame.width
                if frame.width == len(names):
                    return found
                out[:, start:end], start = found, end
        return out

    def _rows(self, first: int, rows: int) -> int:
        """Return how many of so many rows there are."""
        return max(0, min(rows, self.count - first))

    def _frames(self, names: Sequence[str], first: int, rows: int) -> Iterator[polars.DataFrame]:
        """Yield columns; of a file few at a time, since polars holds what it unpacks of a row group, however long."""
        expected = self._rows(first, rows)
        few = max(1, COLUMN_BYTES // (8 * max(1, self._unpacked)))
        for start in range(0, len(names), few):
            frame = self._collected(self._table.slice(first, rows).select(map(column, names[start : start + few])))
            for series in frame.get_columns():
                if len(series) != expected:
                    raise ValueError(
                        f"{self.label} cannot be read ({len(series)} values instead of {expected} in {series.name!r}): "
                        "the file is damaged, make it anew."
                    )
            yield frame


def _label(file: str) -> str:
    return repr(file) if file else "the table"


def _array(series: polars.Series) -> Array:
    """Return a column as an array, of whatever type."""
    import polars

    if series.dtype.is_decimal() or series.dtype in (polars.Null, getattr(polars, "Int128", None)):
        series = series.cast(polars.Float64)
    if series.dtype in (polars.Categorical, polars.Enum):
        series = series.cast(polars.String)
    return series.to_numpy()


def parts_of(files: Any, stack: ExitStack, text: Collection[str] = (), memory: int | None = None) -> list[Part]:
    """Return what a table is made of.

    Parameters
    ----------
    files : str, path, frame, or sequence of str and paths
        Files and patterns of files, or one frame of pandas or polars.
    stack : ExitStack
        Removes files that were made on the way.
    text : collection of str
        Columns that are text, whatever stands in them in CSV files, or whole numbers in others.
    memory : int, optional
        Bytes that reading CSV files at once may take, if less than usual.

    Returns
    -------
    list of Part
        In the order of the files.

    Raises
    ------
    ImportError
        If polars is needed and not installed.
    OSError
        If a file is missing or may not be read.
    TypeError
        If it is neither files nor a frame.
    ValueError
        If a file cannot be read, is named twice, or has other columns than the first.
    """
    if hasattr(files, "collect_schema") or hasattr(files, "columns"):
        part = _frame(files, text)
        if part.names and not part.count:
            raise ValueError("The table has column names but no rows: give at least one row.")
        return [part]
    found = matching(files)
    most = IN_MEMORY if memory is None else min(IN_MEMORY, memory // READING_TEXT)
    large = sum(os.path.getsize(file) for file in found if os.path.isfile(file)) > most
    parts = _files(found, stack, text, large=large)
    for part in parts[1:]:
        same_columns(parts[0], part)
    return parts


def matching(files: Any) -> list[str]:
    """Return the files that are named, and in natural order (part.2 before part.10) those that match a pattern.

    Parameters
    ----------
    files : str, path, or sequence of str and paths
        Names of files; patterns with `*`, `?` or `[...]`, and `**` for folders at any depth.

    Returns
    -------
    list of str
        At least one.

    Raises
    ------
    FileNotFoundError
        If no file matches a pattern.
    TypeError
        If something is no path.
    ValueError
        If a file is named twice, or none.
    """
    given = [files] if isinstance(files, str | os.PathLike) or not isinstance(files, Iterable) else list(files)
    if not all(isinstance(one, str | os.PathLike) for one in given):
        raise TypeError(f"Expected paths of files, or a frame, got {files!r:.60}: give a path, a pattern or a list.")
    found: list[str] = []
    for file in [os.fspath(one) for one in given]:
        if glob.has_magic(file) and not os.path.exists(file):
            matches = sorted((one for one in glob.glob(file, recursive=True) if not os.path.isdir(one)), key=_natural)
            if not matches:
                raise FileNotFoundError(f"No file matches {file!r}: look whether folder and ending are right.")
            found += matches
        else:
            found.append(file)
    places = [os.path.realpath(file) for file in found]
    first = {place: n for n, place in reversed(list(enumerate(places)))}
    twice = next((file for n, (file, place) in enumerate(zip(found, places, strict=True)) if first[place] < n), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is given twice, so its rows would count twice: give it once.")
    if not found:
        raise ValueError("No file is given: give the path of a CSV, Parquet, Arrow, .npy or .npz file.")
    return found


def _natural(path: str) -> tuple[list[str | int], str]:
    """Return what sorts paths with the numbers in them as numbers; Dask sorts a folder in the same way."""
    return [int(one) if one.isdecimal() else one for one in re.split(r"(\d+)", path)], path


def _frame(frame: Any, text: Collection[str]) -> Part:
    """Return a frame as a part."""
    if hasattr(frame, "collect_schema"):
        return QueryPart("", frame.lazy(), text)
    names = arrays.column_names(frame)
    if names is None:
        raise TypeError("The frame has no column names that are text: X.columns = X.columns.astype(str).")
    return ArraysPart("", {name: arrays.column_of(frame, name, _label("")) for name in names})


def _files(files: Sequence[str], stack: ExitStack, text: Collection[str], *, large: bool) -> list[Part]:
    """Return files as parts; CSV files are read when it is known of all files what they hold."""
    parts: dict[str, Part] = {}
    types = Types(text)
    for file in files:
        tables.require_file(file)
        ending = Path(file).suffix.lower()
        if ending in array_files.ENDINGS:
            parts[file] = ArraysPart(file, array_files.array_columns(file))
        elif ending in tables.FRAMES:
            parts[file] = QueryPart(file, tables.scan(file), text)
        if file in parts:
            types.keep_text([name for name in parts[file].names if parts[file].is_text(name)])
    rest = [file for file in files if file not in parts]
    folder = None
    if rest and large:
        folder = stack.enter_context(temporary.folder())
    for file, (table, layout) in zip(rest, csv_tables(rest, types, folder), strict=True):
        parts[file] = QueryPart(file, table, layout=layout)
    empty = next((file for file in files if not parts[file].count), None)
    if empty is not None:
        raise ValueError(f"{empty!r} has column names but no rows: add one line for each row.")
    return [parts[file] for file in files]


def same_columns(first: Part, other: Part) -> None:
    """Raise ValueError if a part has not the columns of the first, in whatever order."""
    for one, two in ((first, other), (other, first)):
        absent = next((name for name in one.names if name not in two.names), None)
        if absent is not None:
            raise ValueError(
                f"{two.label} has no column {absent!r}, which {one.label} has: files that are read as one table need "
                "the same columns."
            )


def blocks_of(parts: Sequence[Part], size: int) -> list[tuple[Part, int, int]]:
    """Return the blocks of some parts: the part, the first row in it, and the number of that row among all."""
    out, before = [], 0
    for part in parts:
        out += [(part, first, before + first) for first in range(0, part.count, size)]
        before += part.count
    return out
