"""Files and frames as tables of numbers that training reads: what is encoded, filled in or left out is told."""

from __future__ import annotations

import copy
import csv
import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np

from linreg.data.account import notes
from linreg.data.blocks import Block, rows_in_a_block
from linreg.data.columns import encoding_of
from linreg.data.csv_files import shown_name
from linreg.data.encoding import MISSING, ColumnEncoding, Encoding, one_hot, require_different
from linreg.data.gaps import Gaps
from linreg.data.kinds import NUMERIC, Kind
from linreg.data.parts import Part, blocks_of, parts_of
from linreg.data.row_files import IN_MEMORY
from linreg.hyperparameters import nearest
from linreg.memory import in_bytes

Array = Any


def open_table(
    files: Any,
    target: str | None,
    *,
    columns: Sequence[str] | None = None,
    weights: str | None = None,
    missing: str = "error",
    categories: Sequence[str] = (),
    encoding: Encoding | None = None,
    early: bool = True,
    memory: int | str | None = None,
) -> Table:
    """Open files or a frame as a table of numbers, which is read block by block or at once.

    Parameters
    ----------
    files : str, path, sequence of them, or frame of shape (rows, columns)
        CSV files (separated by commas, semicolons, tabs or bars), Parquet, Arrow (Feather), .npy and .npz files, by
        name or by pattern (`2024-*.csv`), told by their endings. Several are one table, in that order, and need the
        same columns. Or a frame of pandas or polars.
    target : str or None
        Column to predict; None only with an encoding, for rows whose target is not known.
    columns : sequence of str, optional
        Columns that features are made of, in this order; all but target and weights if not given.
    weights : str, optional
        Column of the weights of rows, 0 or more.
    missing : {"error", "drop", "mean", "median"}, default="error"
        What to do about missing values: refuse them, with their number and places; leave rows with some out; fill in
        the mean or the median of the column, in features that are not categories.
    categories : sequence of str, default=()
        Columns of categories. Columns of text without numbers or dates are that anyway.
    encoding : Encoding, optional
        How another table was encoded: this one is encoded in the same way, and its gaps are filled with the same
        values. `columns`, `weights` and `categories` are then given by it.
    early : bool, default=True
        Look for missing and infinite values now. If not, missing values that are to be refused are found when they
        are read, which saves a pass over the files.
    memory : int or str, optional
        What reading CSV files may take, in bytes or as text like "512MB": larger ones go through a temporary file.

    Returns
    -------
    Table
        The table. Text that is numbers or dates is read by the rules of `linreg.data.reading`, booleans are 1 and 0,
        dates days since the earliest, each category but the first a column of 0 and 1.

    Raises
    ------
    ImportError
        If polars is needed and not installed.
    OSError
        If a file is missing or may not be read.
    TypeError
        If the target holds categories, or something no single values, or a list of columns is text.
    ValueError
        If a file cannot be read or there are no rows, a column is missing or cannot be numbers, its numbers or dates
        are written in ways that do not go together, two features get one name, values are missing and are to be
        refused, or something is infinite or a weight negative. The message names the column, the row and the value.

    Notes
    -----
    Rows are counted from 0 in each file, below its header. A file is read once to see what its text columns hold, once
    to count what is missing, and again in training. An .npz file, a frame, and CSV files up to 256 MiB, or a quarter of
    `memory`, are held in memory. The mean is that of all rows, unweighted; a median holds one column in memory.

    Examples
    --------
    >>> import polars
    >>> from linreg.data import open_table
    >>> frame = polars.DataFrame({"rooms": [1, 2, 4], "town": ["Ulm", "Ulm", "Bonn"], "rent": [500, 700, 1200]})
    >>> with open_table(frame, "rent") as table:
    ...     X, y, weight = table.arrays()
    >>> table.names
    ('rooms', 'town=Ulm')
    >>> X
    array([[1., 1.],
           [2., 1.],
           [4., 0.]])
    """
    if missing not in MISSING:
        raise ValueError(f"Unknown way with missing values {missing!r}{nearest(missing, MISSING)}.")
    for name, value in (("columns", columns), ("categories", categories)):
        if isinstance(value, str):
            raise TypeError(f"Expected a list of column names as {name}, got {value!r}: give [{value!r}].")
    size = None if memory is None else in_bytes("open_table", memory)
    with ExitStack() as stack:
        if encoding is None:
            if target is None:
                raise ValueError("The target is None, but a column to predict is needed: give its name.")
            parts = parts_of(files, stack, tuple(categories), size)
            encoding = encoding_of(parts, target, columns, weights, categories)
        elif columns is not None or weights is not None or categories or target not in (None, encoding.target.name):
            raise ValueError("An encoding says what columns there are: leave columns, weights, categories and target.")
        else:
            every = (*encoding.columns, encoding.target)
            text = [column.name for column in every if column.kind.name == "category" or column.kind.style]
            parts = parts_of(files, stack, tuple(text), size)
        table = Table(parts, encoding, missing, target is not None, early=early)
        table.close = stack.pop_all().close
        return table


def names_in(text: str | None) -> list[str] | None:
    """Return the column names in a list such as `size,rooms`; names with commas stand in quotation marks.

    Parameters
    ----------
    text : str or None
        The list.

    Returns
    -------
    list of str or None
        The names; None for None.

    Raises
    ------
    ValueError
        If quotation marks are not closed.
    """
    if text is None:
        return None
    try:
        return [name.strip() for name in next(csv.reader([text], skipinitialspace=True, strict=True), [])]
    except csv.Error as error:
        raise ValueError(f"{text!r} is no list of column names ({error}): separate them by commas.") from None


class Table:
    """Rows of numbers out of files or a frame: a `linreg.data.blocks.Source`, made by `open_table`.

    Use it in a `with` statement: a CSV file larger than memory is turned into a temporary file, gone at its end.

    Parameters
    ----------
    parts : sequence of Part
        Where the rows lie.
    encoding : Encoding
        How columns become numbers.
    missing : {"error", "drop", "mean", "median", "keep"}
        What to do about missing values; "keep" leaves them and infinite ones as they are.
    with_target : bool
        Whether there is a target, and weights.
    early : bool, default=True
        Whether missing values that are to be refused are looked for now; else when they are read.

    Attributes
    ----------
    names : tuple of str
        Names of the features.
    count : int
        Rows that training reads.
    given : int
        Rows of the files.
    encoding : Encoding
        How new rows are encoded in the same way.
    gaps : dict of str to int
        Missing values by column, where there are some.
    """

    close: Callable[[], None]

    def __init__(
        self, parts: Sequence[Part], encoding: Encoding, missing: str, with_target: bool, *, early: bool = True
    ) -> None:
        self.parts, self.missing = tuple(parts), missing
        self.given = sum(part.count for part in parts)
        self.names = encoding.features
        self.target = encoding.target.name if with_target else None
        require_different([*self.names, *([] if self.target is None else [self.target])])
        self._weights = None
        if with_target and encoding.weights is not None:
            self._weights = ColumnEncoding(encoding.weights, Kind("number"))
        if not self.names:
            one = ", ".join(repr(column.name) for column in encoding.columns)
            raise ValueError(f"No column gives a feature, {one} has one category only: add a column that varies.")
        for part in parts:
            for column in (*encoding.columns, *([encoding.target] if with_target else [])):
                if column.name not in part.names:
                    raise ValueError(
                        f"{part.label} has no column {column.name!r}, which the table of the training had"
                        f"{nearest(column.name, map(shown_name, part.names))}. Add it, or rename the one that holds it."
                    )
        self._cut(rows_in_a_block(len(self.names) + 1))
        self._use(encoding)
        self._late = missing == "error" and not early and self._weights is None
        self.gaps, self.count = ({}, self.given) if missing == "keep" or self._late else Gaps(self).checked()
        if missing in ("mean", "median"):
            self._use(replace(encoding, columns=self._filled(), missing=missing))
        elif missing == "drop":
            self._use(replace(encoding, missing=missing))

    def _use(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.encoded = [*encoding.columns]
        if self.target is not None:
            self.encoded.append(encoding.target)
        if self._weights is not None:
            self.encoded.append(self._weights)
        self.plain = all(
            column.fill is None and column.kind.name in NUMERIC and all(part.family(column.name) for part in self.parts)
            for column in self.encoded
        )

    def _cut(self, rows: int) -> None:
        self._size, self._blocks = rows, blocks_of(self.parts, rows)

    @property
    def block_rows(self) -> int:
        """Rows of the longest block."""
        return min(self._size, max(part.count for part in self.parts))

    def in_blocks_of(self, rows: int) -> Table:
        """Return the same table in blocks of at most so many rows."""
        other = copy.copy(self)
        other._cut(rows)
        return other

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Return how many blocks there are."""
        return len(self._blocks)

    @property
    def fits(self) -> bool:
        """Whether its numbers take at most 256 MiB, so that they are well held in memory."""
        return self.count * (len(self.names) + 1) * 8 <= IN_MEMORY

    def numbers(self, block: int, columns: Sequence[ColumnEncoding] | None = None) -> tuple[Part, int, list[Array]]:
        """Return where a block stands, and columns of it as numbers: categories as places in their vocabulary."""
        part, first, _ = self._blocks[block]
        columns = self.encoded if columns is None else columns
        values = part.columns([column.name for column in columns], first, self._size)
        label = part.label
        return part, first, [one.numbers(v, label, first) for one, v in zip(columns, values, strict=True)]

    def matrix(self, block: int) -> Array:
        """Return a block of a table that is `plain`: all that is encoded, in float64, nan where missing."""
        part, first, _ = self._blocks[block]
        return part.matrix([column.name for column in self.encoded], first, self._size)

    def read(self, block: int) -> Block:
        """Return a block: features, then the target if there is one; rows that are to be left out are."""
        rows, weight, whole = self._rows(block)
        numbers = np.arange(len(rows)) + self._blocks[block][2]
        if self._late and not np.isfinite(rows.sum()):
            Gaps(self).checked()
            self._late = False  # a sum that overflows, of numbers that are all right
        if self.missing != "drop":
            return Block(rows, numbers, weight)
        return Block(rows[whole], numbers[whole], None if weight is None else weight[whole])

    def _rows(self, block: int) -> tuple[Array, Array | None, Array | None]:
        """Return features and target of a block, its weights, and which rows are complete, where that is asked."""
        if self.plain:
            matrix = self.matrix(block)
            whole = ~np.isnan(matrix).any(axis=1) if self.missing == "drop" else None
            return (matrix, None, whole) if self._weights is None else (matrix[:, :-1].copy(), matrix[:, -1], whole)
        _, _, found = self.numbers(block)
        whole = ~np.isnan(found).any(axis=0)
        weight = found.pop() if self._weights is not None else None
        kinds = [(column.name, column.kind) for column in self.encoded[: len(found)]]
        expanded = [
            v for (name, kind), values in zip(kinds, found, strict=True) for _, v in one_hot(name, kind, values)
        ]
        rows = np.empty((len(found[0]), len(expanded)))
        for place, values in enumerate(expanded):
            rows[:, place] = values
        return rows, weight, whole

    def arrays(self) -> tuple[Array, Array | None, Array | None]:
        """Return all rows at once.

        Returns
        -------
        X : array of shape (rows, features)
            Features, float64.
        y : array of shape (rows,) or None
            Target, if there is one.
        weight : array of shape (rows,) or None
            Weights, if there are some.
        """
        features, first = len(self.names), 0
        X, y = np.empty((self.count, features)), None if self.target is None else np.empty(self.count)
        weight = None if self._weights is None else np.empty(self.count)
        for number in range(len(self)):
            block = self.read(number)
            last = first + len(block.rows)
            X[first:last] = block.rows[:, :features]
            if y is not None:
                y[first:last] = block.rows[:, features]
            if weight is not None:
                weight[first:last] = block.weight
            first = last
        return X, y, weight

    def notes(self) -> list[str]:
        """Say in words what was encoded, filled in and left out; nothing of plain numbers."""
        return notes(self)

    def to_dict(self) -> dict[str, Any]:
        """Return what was done as plain values."""
        return {
            "files": [part.file for part in self.parts if part.file],
            "rows": self.given,
            "left_out": self.given - self.count,
            "missing": self.gaps,
            "encoding": self.encoding.to_dict(),
            "notes": self.notes(),
        }

    def _filled(self) -> tuple[ColumnEncoding, ...]:
        """Return the columns, each with the value that fills its gaps."""
        return tuple(
            column if column.kind.name == "category" or column.fill is not None
            else replace(column, fill=self._middle(column))
            for column in self.encoding.columns
        )  # fmt: skip

    def _middle(self, column: ColumnEncoding) -> float:
        """Return the mean or the median of a column."""
        found = [self.numbers(number, [column])[2][0] for number in range(len(self))]
        present = [values[~np.isnan(values)] for values in found]
        count = sum(map(len, present))
        if not count:
            raise ValueError(
                f"Column {column.name!r} has no value, so it has no {self.missing}: leave it out (columns)."
            )
        if self.missing == "median":
            return float(np.median(np.concatenate(present)))
        return math.fsum(float(np.sum(values / count)) for values in present)
