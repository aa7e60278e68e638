"""Columns of a table as they were found, for a reader that says itself what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from linreg.data.parts import Part

Array = Any


class Columns:
    """Arrays of shape (rows,) by the name of their column, read like a frame.

    Parameters
    ----------
    columns : mapping of str to array of shape (rows,)
        The columns, of whatever types.
    """

    def __init__(self, columns: Mapping[str, Array]) -> None:
        self._arrays, self.columns = dict(columns), list(columns)

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._arrays[self.columns[0]])

    def __getitem__(self, name: str) -> Array:
        """Return a column."""
        return self._arrays[name]

    def of(self, names: Sequence[str]) -> Columns:
        """Return some of the columns."""
        return Columns({name: self._arrays[name] for name in names})

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return all columns side by side, where one type holds them."""
        return np.column_stack([self._arrays[name] for name in self.columns]).astype(dtype, copy=bool(copy))


def found(parts: Sequence[Part], names: Sequence[str], rows: Sequence[tuple[int, int]] | None = None) -> Columns:
    """Return columns as they stand in the parts of a table.

    Parameters
    ----------
    parts : sequence of Part
        The table.
    names : sequence of str
        The columns.
    rows : sequence of tuple of int, optional
        First rows and numbers of rows, counted through all parts, of what is read; all of it if not given.

    Returns
    -------
    Columns
        The columns. One that holds numbers in one part and text in another is of type object.
    """
    pieces: list[list[Array]] = [[] for _ in names]
    for first, count in [(0, sum(part.count for part in parts))] if rows is None else rows:
        before = 0
        for part in parts:
            start, end = max(first, before), min(first + count, before + part.count)
            if start < end:
                for piece, values in zip(pieces, part.columns(names, start - before, end - start), strict=True):
                    piece.append(values)
            before += part.count
    return Columns({name: _joined(piece) for name, piece in zip(names, pieces, strict=True)})


def _joined(pieces: list[Array]) -> Array:
    if len(pieces) == 1:
        return pieces[0]
    kinds = {piece.dtype.kind for piece in pieces}
    if len(kinds) > 1 and not kinds <= set("fiub"):
        pieces = [(piece.astype("M8[us]") if piece.dtype.kind == "M" else piece).astype(object) for piece in pieces]
    return np.concatenate(pieces)
