"""CSV files larger than memory as Parquet files, and rows that are scaled on their way."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from linreg.data.blocks import Block, Source, block_rows, in_blocks_of
from linreg.data.csv_files import Types
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
    pieces, types = [], Types(text)
    for number, frame in enumerate(csv_frames(file, any_separator=True)):
        types.look(frame)
        pieces.append(folder / f"{number}.parquet")
        frame.write_parquet(pieces[-1], compression="lz4")
    import polars

    return polars.scan_parquet(_read(pieces, types), glob=False)


def _read(pieces: Sequence[Path], types: Types) -> list[Path]:
    """Return files of rows as what their columns hold, a few pieces of text in each; the pieces are removed."""
    import polars

    made = []
    for first in range(0, len(pieces), TOGETHER):
        some = pieces[first : first + TOGETHER]
        made.append(some[0].with_suffix(".rows.parquet"))
        frames = [types.read(polars.read_parquet(piece, glob=False)) for piece in some]
        polars.concat(frames).write_parquet(made[-1], compression="lz4")
        for piece in some:
            piece.unlink()
    return made
