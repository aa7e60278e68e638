"""Tables in files that may be larger than memory: polars reads their rows block by block."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from linreg.data.blocks import Block, Source, rows_in_a_block
from linreg.data.csv_files import Layout
from linreg.data.csv_types import Types
from linreg.data.tables import FRAMES, csv_frames, scan, split_names

if TYPE_CHECKING:
    import polars

IN_MEMORY = 2**28
"""Bytes of numbers, or of text, up to which a file is read at once."""


class FileRows:
    """The number columns of a table in a file as a source; nothing stays in memory.

    Parameters
    ----------
    table : polars.LazyFrame
        The table.
    target : str
        Column to predict.

    Raises
    ------
    ValueError
        If there is no such column, or no other, or no rows.
    """

    def __init__(self, table: polars.LazyFrame, target: str) -> None:
        import polars

        self.schema = dict(table.collect_schema())
        self.names, self.target = tuple(split_names(list(self.schema), target)), target
        self.table = table
        self.count = int(table.select(polars.len()).collect().item())
        self._columns = [polars.col(name) for name in (*self.names, target)]
        self._size = rows_in_a_block(len(self._columns))

    def other_kinds(self) -> tuple[str, ...]:
        """Return the columns that hold no numbers."""
        kinds = self.schema.items()
        return tuple(name for name, kind in kinds if not (kind.is_numeric() or str(kind) in ("Boolean", "Null")))

    def __len__(self) -> int:
        """Return how many blocks there are."""
        return -(-self.count // self._size)

    def frame(self, first: int, rows: int) -> polars.DataFrame:
        """Return consecutive rows as they are."""
        return self.table.slice(first, rows).select(self._columns).collect()

    def read(self, block: int) -> Block:
        """Return a block, nan where a value is missing."""
        import polars

        first = block * self._size
        frame = self.frame(first, self._size)
        rows = frame.cast(polars.Float64).to_numpy(order="c")
        return Block(rows, np.arange(first, first + len(rows)))


class ScaledRows:
    """A source whose features go through a transformer.

    Parameters
    ----------
    source : Source
        The rows as they are.
    transformer : object
        A fitted transformer of scikit-learn that keeps the columns.
    """

    def __init__(self, source: Source, transformer: Any) -> None:
        self.source, self.transformer, self.names, self.count = source, transformer, source.names, source.count

    def __len__(self) -> int:
        """Return how many blocks there are."""
        return len(self.source)

    def read(self, block: int) -> Block:
        """Return a block; infinite values are missing ones in it."""
        rows, numbers, weight = self.source.read(block)
        X = np.where(np.isfinite(rows[:, :-1]), rows[:, :-1], np.nan)
        return Block(np.column_stack([self.transformer.transform(X), rows[:, -1]]), numbers, weight)


def streams(file: str | os.PathLike[str]) -> bool:
    """Return whether a file is so large that it is read block by block.

    Parameters
    ----------
    file : str or path
        A Parquet, Arrow or CSV file; one that is missing is not large.

    Returns
    -------
    bool
        Whether its numbers, or the text of a CSV file, take more than 256 MiB.
    """
    place = Path(file)
    if not place.is_file():
        return False
    if place.suffix.lower() not in FRAMES:
        return place.stat().st_size > IN_MEMORY
    import polars

    table = scan(os.fspath(file))
    columns = len(table.collect_schema())
    return int(table.select(polars.len()).collect().item()) * columns * 8 > IN_MEMORY


@contextmanager
def opened(file: str | os.PathLike[str], target: str) -> Iterator[FileRows]:
    """Open a table in a file, to be read block by block.

    Parameters
    ----------
    file : str or path
        Parquet or Arrow (Feather); or text with values between commas, which is turned into a Parquet file in the
        folder for temporary files first.
    target : str
        Column to predict.

    Yields
    ------
    FileRows
        The table; files that were made for it are gone at the end.

    Raises
    ------
    ImportError
        If polars is not installed.
    OSError
        If the file is missing or may not be read, or the disk is full.
    ValueError
        If it cannot be read, or has no rows or no such column.
    """
    file = os.fspath(file)
    with ExitStack() as stack:
        if Path(file).suffix.lower() in FRAMES:
            table = scan(file)
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="linreg-"))
            table = as_parquet(file, Path(folder))
        source = FileRows(table, target)
        if source.count == 0:
            raise ValueError(f"{file!r} has column names but no rows: add one line for each row.")
        yield source


def as_parquet(file: str, folder: Path, text: Collection[str] = ()) -> polars.LazyFrame:
    """Return the table in a CSV file, which is turned into a Parquet file piece by piece.

    Parameters
    ----------
    file : str
        The file.
    folder : Path
        An empty folder, where files are put that have to stay as long as the table is used.
    text : collection of str
        Columns that are text, whatever stands in them.

    Returns
    -------
    polars.LazyFrame
        The table.

    Raises
    ------
    ImportError
        If polars is not installed.
    OSError
        If the file is missing or may not be read, or the disk is full.
    ValueError
        If it is no such file.
    """
    [(table, _)] = csv_tables([file], Types(text), folder)
    return table


def csv_tables(files: Sequence[str], types: Types, folder: Path | None = None) -> list[tuple[polars.LazyFrame, Layout]]:
    """Return the tables in CSV files, which are read as what their columns hold when all have been looked at.

    Parameters
    ----------
    files : sequence of str
        The files.
    types : Types
        What is known about the columns.
    folder : Path, optional
        An empty folder in which the tables are turned into Parquet files piece by piece, which have to stay as long as
        the tables are used. If not given, they are held in memory.

    Returns
    -------
    list of tuple of polars.LazyFrame and Layout
        The tables, and how their files are laid out.

    Raises
    ------
    ImportError
        If polars is not installed.
    OSError
        If a file is missing or may not be read, or the disk is full.
    ValueError
        If one is no such file.
    """
    looked_at = []
    for place, file in enumerate(files):
        layout, pieces = Layout(), list[Any]()
        for number, frame in enumerate(csv_frames(file, layout, any_separator=True)):
            types.look(frame, layout)
            if folder is None:
                pieces.append(frame)
            else:
                path = folder / f"{place}-{number}.parquet"
                frame.write_parquet(path, compression="lz4")
                pieces.append(path)
        looked_at.append((pieces, layout))
    return [(_read(pieces, types), layout) for pieces, layout in looked_at]


def _read(pieces: Sequence[Any], types: Types) -> polars.LazyFrame:
    """Return pieces of a table of text, frames or Parquet files, as what their columns hold."""
    import polars

    if not isinstance(pieces[0], Path):
        return polars.concat([types.read(frame) for frame in pieces]).lazy()
    made = []
    for piece in pieces:
        made.append(piece.with_suffix(".rows.parquet"))
        types.read(polars.read_parquet(piece, glob=False)).write_parquet(made[-1], compression="lz4")
        piece.unlink()
    return polars.scan_parquet(made, glob=False)
