"""Parquet and Arrow files as blocks of rows, each of which is read by the worker that needs it.

What reads tables is imported when there is a file: training on Dask's arrays needs none of it.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from linreg.data.blocks import rows_in_a_block

Array = Any


class FileBlock(NamedTuple):
    """Consecutive rows of a file.

    Parameters
    ----------
    file : str
        A Parquet or Arrow file.
    first : int
        Number of the first row in it.
    rows : int
        How many rows.
    """

    file: str
    first: int
    rows: int

    def read(self, names: Sequence[str]) -> dict[str, Array]:
        """Return some columns of the rows, by their names; this runs where they are needed."""
        from linreg.data.parts import QueryPart
        from linreg.data.tables import scan

        part = QueryPart(self.file, scan(self.file))
        return dict(zip(names, part.columns(names, self.first, self.rows), strict=True))


def blocks_in(path: str | os.PathLike[str]) -> tuple[list[FileBlock], list[int], list[str]]:
    """Return the blocks of a file, of the files of a pattern, or of the Parquet files in a folder.

    Parameters
    ----------
    path : str or path
        What every worker can read. Several files are taken in the natural order of their names, part.2 before part.10.

    Returns
    -------
    blocks : list of FileBlock
        All of them.
    rows : list of int
        How many rows each has.
    names : list of str
        The columns, in the order of the first file.

    Raises
    ------
    ImportError
        If polars is not installed.
    OSError
        If there is no such file, or one may not be read.
    ValueError
        If one cannot be read, or has not the columns of the first.
    """
    from linreg.data.parts import QueryPart, matching, same_columns
    from linreg.data.tables import FRAMES, scan

    place = os.fspath(path)
    if os.path.isdir(place):
        pattern = os.path.join(glob.escape(place), "*.parquet")
        if not glob.glob(pattern):
            raise FileNotFoundError(
                f"The folder {place!r} holds no file whose name ends in .parquet: give another one."
            )
        place = pattern
    files = matching(place)
    for file in files:
        if not os.path.exists(file):
            raise FileNotFoundError(f"{file!r} is no Parquet file and no folder of them: give one that is there.")
        if Path(file).suffix.lower() not in FRAMES:
            raise ValueError(
                f"{file!r} is no Parquet file by its name: Dask's workers read files that end in {', '.join(FRAMES)}."
            )
    parts = [QueryPart(file, scan(file)) for file in files]
    for part in parts[1:]:
        same_columns(parts[0], part)
    size = rows_in_a_block(len(parts[0].names))
    blocks = [
        FileBlock(part.file, first, min(size, part.count - first))
        for part in parts
        for first in range(0, part.count, size)
    ]
    return blocks, [block.rows for block in blocks], list(parts[0].names)
