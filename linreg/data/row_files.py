"""CSV files larger than memory as Parquet files, and rows that are scaled on their way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from linreg.data.blocks import Block, Source, block_rows, in_blocks_of
from linreg.data.csv_files import Layout
from linreg.data.csv_types import Types
from linreg.data.tables import csv_frames

if TYPE_CHECKING:
    import polars

IN_MEMORY = 2**28
"""Bytes of numbers, or of text, up to which a file is read at once."""
READING_TEXT = 4
"""Bytes that reading a byte of text at once takes."""
TOGETHER = 4
"""So many pieces of a CSV file go into one file."""


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

    @property
    def block_rows(self) -> int:
        """Rows of the longest block."""
        return block_rows(self.source)

    def in_blocks_of(self, rows: int) -> ScaledRows:
        """Return the same rows in blocks of at most so many, where the source can be cut so."""
        return ScaledRows(in_blocks_of(self.source, rows), self.transformer)

    def read(self, block: int) -> Block:
        """Return a block; infinite values are missing ones in it."""
        rows, numbers, weight = self.source.read(block)
        X = np.where(np.isfinite(rows[:, :-1]), rows[:, :-1], np.nan)
        return Block(np.column_stack([self.transformer.transform(X), rows[:, -1]]), numbers, weight)


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
    """Return pieces of a table of text as what their columns hold: frames, or Parquet files, which are removed."""
    import polars

    if not isinstance(pieces[0], Path):
        return polars.concat([types.read(frame) for frame in pieces]).lazy()
    made = []
    for first in range(0, len(pieces), TOGETHER):
        some = pieces[first : first + TOGETHER]
        made.append(some[0].with_suffix(".rows.parquet"))
        frames = [types.read(polars.read_parquet(piece, glob=False)) for piece in some]
        polars.concat(frames).write_parquet(made[-1], compression="lz4")
        for piece in some:
            piece.unlink()
    return polars.scan_parquet(made, glob=False)
