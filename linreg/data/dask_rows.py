"""Rows that Dask holds: arrays, frames, and Parquet and Arrow files, as blocks that are read where they lie.

Nothing here schedules, retries or sends anything: functions of a block are handed to Dask as a graph, and Dask runs it
on the client that is connected, or in threads where there is none.
"""

from __future__ import annotations

import functools
import math
import operator
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from linreg.data.arrays import column_names, feature_matrix, refuse_negative, row_vector
from linreg.data.blocks import Block
from linreg.data.dask_files import FileBlock, blocks_in

Array = Any

FAN_IN = 8
"""Parts that one task adds up."""


def dask() -> Any:
    """Return Dask.

    Returns
    -------
    module
        Dask.

    Raises
    ------
    ImportError
        If it is missing.
    """
    try:
        import dask
    except ImportError:
        raise ImportError('engine="dask" needs Dask: pip install \'linreg[dask]\', or set engine="numpy".') from None
    return dask


def on_dask(X: Any) -> bool:
    """Whether something is held by Dask: an array or a frame of Dask's, or `DaskRows`."""
    return isinstance(X, DaskRows) or hasattr(X, "__dask_graph__")


def summed(parts: Sequence[Any]) -> Any:
    """Return the sum of the results of some tasks as a task, added up as a tree, neighbours first.

    Parameters
    ----------
    parts : sequence of Delayed
        At least one; what they give is added by `+`, whose order is kept.

    Returns
    -------
    Delayed
        The sum.
    """
    add = dask().delayed(add_up)
    while len(parts) > 1:
        parts = [add(parts[first : first + FAN_IN]) for first in range(0, len(parts), FAN_IN)]
    return parts[0]


def add_up(parts: Sequence[Any]) -> Any:
    """Return the sum of some parts, from the first on."""
    return functools.reduce(operator.add, parts)


@dataclass(frozen=True, eq=False)
class DaskRows:
    """Rows in blocks that Dask holds or can read.

    Parameters
    ----------
    parts : tuple of tuple
        What `read_block` takes of each block.
    lengths : tuple of int
        Rows of each.
    names : tuple of str or None
        Names of the features, where they have any.
    features : int
        How many features there are.
    weighted : bool
        Whether rows have weights.
    standard : tuple of two arrays of shape (features,), optional
        Mean and standard deviation that features are standardised with.
    """

    parts: tuple[tuple[Any, ...], ...]
    lengths: tuple[int, ...]
    names: tuple[str, ...] | None
    features: int
    weighted: bool
    standard: tuple[Array, Array] | None = None

    @classmethod
    def of(cls, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Return rows as they are given to `LinearRegression.fit`.

        Parameters
        ----------
        X : array or frame of Dask, or path
            Features. A path is that of a Parquet or Arrow file, a pattern of them (`rows-*.parquet`), or a folder of
            Parquet files, that every worker can read; the files are taken in the natural order of their names.
        y : array or series, or str
            Target: one of Dask's, or a NumPy array; or the name of its column in the frame or the files.
        sample_weight : array, series or str, optional
            Weights, likewise.

        Returns
        -------
        DaskRows
            The rows. No value has been read yet, but for the lengths of the parts of a frame.

        Raises
        ------
        TypeError
            If X is not Dask's.
        OSError
            If there is no such file, or one may not be read.
        ValueError
            If there is no y, parts do not fit, a file cannot be read, a column is missing, or there are no rows.
        """
        if isinstance(X, cls):
            return X
        lengths: Sequence[int]
        columns: list[str] | None = None
        if isinstance(X, str | os.PathLike):
            parts, lengths, columns = blocks_in(X)
        elif not hasattr(X, "__dask_graph__"):
            raise TypeError(
                f'engine="dask" takes arrays or frames of Dask, or the path of Parquet files, but X is a '
                f'{type(X).__name__}: make one with dask.array.from_array(X), or set engine="numpy".'
            )
        elif hasattr(X, "npartitions") and hasattr(X, "columns"):
            parts, columns = list(X.to_delayed()), column_names(X)
            lengths = dask().compute(*map(dask().delayed(len), parts))
        else:
            parts, lengths = _row_blocks(X)
        return cls._paired(parts, lengths, columns, X, y, sample_weight)

    @classmethod
    def _paired(
        cls, parts: list[Any], lengths: Sequence[int], columns: list[str] | None, X: Any, y: Any, weight: Any
    ) -> Self:
        if not sum(lengths):
            raise ValueError("Found array with 0 sample(s) in X: look whether a filter has removed every row.")
        if y is None:
            how = "one number a row of X" if columns is None else "the name of its column, or one number a row of X"
            raise ValueError(f"requires y to be passed, but the target y is None: give {how}.")
        names = _features(columns, y, weight)
        features = X.shape[1] if names is None else len(names)
        pieces = zip(
            parts, lengths, _pieces(y, lengths, "y"), _pieces(weight, lengths, "sample_weight"), strict=True
        )  # fmt: skip
        first, blocks, kept = 0, [], []
        for part, rows, target, weights in pieces:
            if rows:
                blocks.append((part, target, weights, names, first))
                kept.append(int(rows))
            first += int(rows)
        return cls(tuple(blocks), tuple(kept), None if names is None else tuple(names), features, weight is not None)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return sum(self.lengths)

    def each(self, function: Callable[..., Any], *more: Any) -> list[Any]:
        """Return `function(block, *more)` of each block, as one task a block, which bears the name of the function.

        Parameters
        ----------
        function : callable
            Takes a `Block`.
        *more : object
            What else it takes.

        Returns
        -------
        list of Delayed
            The tasks.
        """
        take = dask().delayed(of_block)
        return [
            take(function, list(part), self.standard, *more, dask_key_name=f"{function.__name__}-{uuid.uuid4()}")
            for part in self.parts
        ]

    def summed(self, function: Callable[[Block], Any]) -> Any:
        """Return the sum of a function over all blocks, each taken where it lies."""
        (total,) = dask().compute(summed(self.each(function)))
        return total


def of_block(
    function: Callable[..., Any], part: Sequence[Any], standard: tuple[Array, Array] | None, *more: Any
) -> Any:
    """Return a function of a block; this runs where the block lies.

    Parameters
    ----------
    function : callable
        Takes a `Block`.
    part : sequence
        What `read_block` takes.
    standard : tuple of two arrays or None
        Mean and standard deviation that features are standardised with.
    *more : object
        What else the function takes.

    Returns
    -------
    object
        What the function returns.
    """
    block = read_block(*part)
    if standard is not None:
        mean, spread = standard
        block.rows[:, :-1] = (block.rows[:, :-1] - mean) / spread
    return function(block, *more)


def read_block(part: Any, target: Any, weight: Any, names: list[str] | None, first: int) -> Block:
    """Return a part of the data as checked numbers; this runs where the part lies.

    Parameters
    ----------
    part : array or frame of shape (rows, features), or FileBlock
        Features, and what of target and weights is named.
    target, weight : array or series of shape (rows,), or str
        Target and weights; a name stands for a column of the part. No weights are None.
    names : list of str or None
        Columns that are features.
    first : int
        Number of its first row.

    Returns
    -------
    Block
        The rows in float64.

    Raises
    ------
    TypeError or ValueError
        If a value is no finite number or a weight negative, or lengths differ. The message names the file, if it is in
        one, and the row of the file; else the row of the data.
    """
    named = [one for one in (target, weight) if isinstance(one, str)]
    X, own, start, lies = _taken(part, names, named, first)
    place = f"in rows {start} to {start + len(X) - 1}{lies}"
    y, w = (
        f"{what} {one!r} {place}" if isinstance(one, str) else f"{unnamed} {place}"
        for what, one, unnamed in (("target", target, "y"), ("weight", weight, "sample_weight"))
    )
    target, weight = (own[one] if isinstance(one, str) else one for one in (target, weight))
    matrix = feature_matrix(X, np.float64, name=f"X {place}", first=start)
    rows = np.column_stack([matrix, row_vector(target, np.float64, len(matrix), name=y, of=f"X {place}", first=start)])
    if weight is not None:
        weight = row_vector(weight, np.float64, len(matrix), name=w, of=f"X {place}", first=start)
        refuse_negative(weight, w, start)
    return Block(rows, np.arange(first, first + len(rows)), weight)


def _taken(part: Any, names: list[str] | None, named: list[str], first: int) -> tuple[Any, Any, int, str]:
    """Return features, what holds the named columns, the number of the first row, and words on what counts it."""
    if not isinstance(part, FileBlock):
        return part if names is None else part[names], part, first, ""
    from linreg.data.found import Columns  # not before there is a file

    features = names or []
    columns = part.read([*features, *named])
    return Columns({name: columns[name] for name in features}), columns, part.first, f" of {part.file!r}"


def _features(columns: list[str] | None, y: Any, weight: Any) -> list[str] | None:
    """Return the names of the features: of all columns, without what is named as target and weights."""
    own = [one for one in (y, weight) if isinstance(one, str)]
    if columns is None:
        if own:
            raise ValueError(f"There is no column {own[0]!r} in X, X has no names: give an array.")
        return None
    from linreg.data.columns import chosen_columns  # not before there are columns
    from linreg.data.tables import require_column

    if isinstance(y, str):
        return chosen_columns(columns, y, None, weight if isinstance(weight, str) else None)
    for name in own:
        require_column(name, columns)
    return [name for name in columns if name not in own]


def _row_blocks(X: Any) -> tuple[list[Any], Sequence[int]]:
    """Return the blocks of an array, each with all of its columns, and their lengths."""
    if X.ndim != 2:
        raise ValueError(
            f"Expected 2D array for X, got a {X.ndim}D array of Dask instead: X.reshape(-1, 1) or the like."
        )
    if any(map(math.isnan, X.chunks[0])):
        X = X.compute_chunk_sizes()
    X = X.rechunk({1: -1})
    return list(X.to_delayed().ravel()), X.chunks[0]


def _pieces(values: Any, lengths: Sequence[int], name: str) -> Iterator[Any]:
    """Yield what belongs to each block: a name or None as it is, a part of anything else."""
    if values is None or isinstance(values, str):
        yield from (values for _ in lengths)
    elif not hasattr(values, "__dask_graph__"):
        vector = row_vector(values, np.float64, sum(lengths), name=name)
        ends = np.cumsum(lengths).tolist()
        yield from (vector[end - rows : end] for end, rows in zip(ends, lengths, strict=True))
    elif hasattr(values, "chunks"):
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if any(map(math.isnan, values.chunks[0])):
            values = values.compute_chunk_sizes()
        if sum(values.chunks[0]) != sum(lengths):
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: X has {sum(lengths)} rows and {name} has "
                f"{sum(values.chunks[0])}. Give one {name} a row of X."
            )
        yield from values.rechunk({0: tuple(lengths)}).to_delayed().ravel()
    else:
        parts = list(values.to_delayed())
        if len(parts) != len(lengths):
            raise ValueError(
                f"X has {len(lengths)} partitions and {name} has {len(parts)}: take both from one frame, or give the "
                "name of the column."
            )
        yield from parts
