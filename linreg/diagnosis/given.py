"""Tables in files on their way into a diagnosis: as they were found, or as `linreg fit` reads them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from linreg.data import row_files
from linreg.data.columns import chosen_columns
from linreg.data.encoding import ColumnEncoding, Encoding
from linreg.data.found import Columns, found
from linreg.data.kinds import Kind
from linreg.data.parts import Part, parts_of
from linreg.data.sources import Table, open_table
from linreg.data.tables import require_column

Array = Any
Rows = tuple[Columns, Columns, Array | None]

PLACES = 20
"""Places of a table from which rows are taken where no numbers can be drawn at random."""


@dataclasses.dataclass(frozen=True, eq=False)
class Given:
    """A table that is to be diagnosed.

    Parameters
    ----------
    parts : sequence of Part
        Where its rows lie.
    names : tuple of str
        The features.
    target : str
        Column to predict.
    weights : str or None
        Column of the weights of rows.
    table : Table or None
        Its numbers, block by block; None where some columns hold none.
    as_found : bool
        Whether nothing was filled in, left out or encoded: what is wrong is to be diagnosed.
    """

    parts: Sequence[Part]
    names: tuple[str, ...]
    target: str
    weights: str | None
    table: Table | None
    as_found: bool

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self.table.count if self.table is not None else sum(part.count for part in self.parts)

    @property
    def label(self) -> str:
        """What to call it in errors."""
        return self.parts[0].label if len(self.parts) == 1 else f"the table in {len(self.parts)} files"

    @property
    def no_numbers(self) -> list[str]:
        """The columns whose type says that they hold no numbers."""
        return [
            name for name in (*self.names, self.target) if not all(part.family(name) for part in self.parts)
        ]  # fmt: skip

    @property
    def large(self) -> bool:
        """Whether its numbers, or its files, take more than 256 MiB."""
        files = [Path(part.file) for part in self.parts if part.file]
        held = sum(file.stat().st_size for file in files if file.is_file())
        return max(held, self.count * (len(self.names) + 1) * 8) > row_files.IN_MEMORY

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the columns, in words."""
        return () if self.as_found or self.table is None else tuple(self.table.notes())

    def rows(self, most: int | None = None) -> Rows:
        """Return rows, as they are.

        Parameters
        ----------
        most : int, optional
            So many at most, from evenly spaced places; all if not given.

        Returns
        -------
        X : Columns
            Features.
        y : Columns
            Target, one column.
        weight : array of shape (rows,) or None
            Weights.
        """
        if most is None or self.count <= most:
            places = [(0, self.count)]
        else:
            each = most // PLACES
            places = [(first, each) for first in np.linspace(0, self.count - each, PLACES).astype(int).tolist()]
        if self.table is not None and not self.as_found:
            return _rows_of(self.table, self.target, places)
        extra = [] if self.weights is None else [self.weights]
        columns = found(self.parts, [*self.names, self.target, *extra], places)
        weight = None if self.weights is None else columns[self.weights]
        return columns.of(self.names), columns.of([self.target]), weight


def _rows_of(table: Table, target: str, places: Sequence[tuple[int, int]]) -> Rows:
    """Return the rows of a table at some places, counted among those that are read."""
    wanted = np.concatenate([np.arange(first, first + count) for first, count in places])
    blocks, before = [], 0
    for number in range(len(table)):
        block = table.read(number)
        inside = wanted[(wanted >= before) & (wanted < before + len(block.rows))] - before
        blocks.append((block.rows[inside], None if block.weight is None else block.weight[inside]))
        before += len(block.rows)
    rows = np.concatenate([rows for rows, _ in blocks])
    weight = None if blocks[0][1] is None else np.concatenate([weight for _, weight in blocks])
    columns = Columns(dict(zip((*table.names, target), rows.T, strict=True)))
    return columns.of(table.names), columns.of([target]), weight


@contextmanager
def opened(
    files: Any,
    target: str,
    *,
    columns: Sequence[str] | None = None,
    weights: str | None = None,
    missing: str | None = None,
    categories: Sequence[str] = (),
) -> Iterator[Given]:
    """Open files to be diagnosed.

    Parameters
    ----------
    files : str, path, or sequence of them
        What `linreg.data.open_table` reads.
    target : str
        Column to predict.
    columns : sequence of str, optional
        Columns that are features; all others if not given.
    weights : str, optional
        Column of the weights of rows.
    missing : {"error", "drop", "mean", "median"}, optional
        As for `open_table`. If this or `categories` is given, the table is the one that `open_table` makes; else it is
        as found.
    categories : sequence of str, default=()
        As for `open_table`.

    Yields
    ------
    Given
        The table; files that were made for it are gone at the end.

    Raises
    ------
    ImportError
        If polars is needed and not installed.
    OSError
        If a file is missing or may not be read, or the disk is full.
    ValueError
        If one cannot be read, or has no such column; where a table is not taken as found, all that `open_table` raises.
    """
    with ExitStack() as stack:
        if missing is not None or categories:
            table = stack.enter_context(open_table(
                files, target, columns=columns, weights=weights, missing=missing or "error", categories=categories,
            ))  # fmt: skip
            yield Given(table.parts, table.names, target, weights, table, as_found=False)
            return
        parts = parts_of(files, stack)
        names = chosen_columns(parts[0].names, target, columns, weights)
        yield _as_found(parts, tuple(names), target, weights)


def _as_found(parts: Sequence[Part], names: tuple[str, ...], target: str, weights: str | None) -> Given:
    used = [*names, target, *([] if weights is None else [weights])]
    table = None
    if all(part.family(name) for part in parts for name in used):
        numbers = [ColumnEncoding(name, Kind("number")) for name in (*names, target)]
        table = Table(parts, Encoding(tuple(numbers[:-1]), numbers[-1], weights), "keep", with_target=True)
    return Given(parts, names, target, weights, table, as_found=True)


@contextmanager
def opened_validation(given: Given, file: str | os.PathLike[str] | None) -> Iterator[Given | None]:
    """Open a file of validation rows with the columns of a table, read in the same way.

    Parameters
    ----------
    given : Given
        The training rows.
    file : str, path or None
        The file.

    Yields
    ------
    Given or None
        The validation rows; None where there is no file.

    Raises
    ------
    OSError
        If the file is missing or may not be read.
    ValueError
        If it cannot be read, or has other columns.
    """
    if file is None:
        yield None
        return
    with ExitStack() as stack:
        if given.table is not None and not given.as_found:
            encoding = dataclasses.replace(given.table.encoding, weights=None)
            missing = given.table.missing
            table = stack.enter_context(open_table(file, given.target, missing=missing, encoding=encoding))
            yield Given(table.parts, table.names, given.target, None, table, as_found=False)
            return
        parts = parts_of(file, stack)
        require_column(given.target, parts[0].names)
        absent = [name for name in given.names if name not in parts[0].names]
        if absent:
            raise ValueError(
                f"{os.fspath(file)!r} has no column {absent[0]!r}: validation rows need the columns of the training "
                "rows."
            )
        yield _as_found(parts, given.names, given.target, None)
