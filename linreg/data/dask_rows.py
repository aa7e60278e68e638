"""Rows that Dask holds: arrays, frames and folders of Parquet files, as blocks that are read where they lie.

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
from pathlib import Path
from typing import Any, Self

import numpy as np

from linreg.data.arrays import column_names, feature_matrix, row_vector, weight_vector
from linreg.data.blocks import Block, rows_in_a_block

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
            Features. A path is that of a Parquet file, or of a folder of them that every worker can read.
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
        ValueError
            If parts do not fit, a column is missing, or there are no rows.
        """
        if isinstance(X, cls):
            return X
        lengths: Sequence[int]
        columns: list[str] | None = None
        if isinstance(X, str | os.PathLike):
            parts, lengths, columns = _parquet(X)
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
        own = [one for one in (y, weight) if isinstance(one, str)]
        for name in own:
            if columns is None or name not in columns:
                known = "X has no names" if columns is None else f"there are {', '.join(columns)}"
                raise ValueError(f"There is no column {name!r} in X, {known}: give one of them, or an array.")
        names = None if columns is None else [name for name in columns if name not in own]
        features = X.shape[1] if names is None else len(names)
        pieces = zip(
            parts, lengths, _pieces(y, lengths, "y"), _pieces(weight, lengths, "sample_weight"), strict=True
        )  # fmt: skip
        first, blocks, kept = 0, [], []
        for number, (part, rows, target, weights) in enumerate(pieces):
            if rows:
                blocks.append((part, target, weights, names, f"block {number}", first))
                kept.append(int(rows))
            first += int(rows)
        if not kept:
            raise ValueError("Found array with 0 sample(s) in X: look whether a filter has removed every row.")
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


def read_block(part: Any, target: Any, weight: Any, names: list[str] | None, place: str, first: int) -> Block:
    """Return a part of the data as checked numbers; this runs where the part lies.

    Parameters
    ----------
    part : array or frame of shape (rows, features)
        Features, and what of target and weights is named.
    target, weight : array or series of shape (rows,), or str
        Target and weights; a name stands for a column of the part. No weights are None.
    names : list of str or None
        Columns that are features.
    place : str
        What to call the part in errors.
    first : int
        Number of its first row.

    Returns
    -------
    Block
        The rows in float64.

    Raises
    ------
    TypeError or ValueError
        If a value is no finite number, or lengths differ.
    """
    target, weight = (part[one] if isinstance(one, str) else one for one in (target, weight))
    X = f"X in {place}"
    matrix = feature_matrix(part if names is None else part[names], np.float64, name=X)
    rows = np.column_stack([matrix, row_vector(target, np.float64, len(matrix), name=f"y in {place}", of=X)])
    if weight is not None:
        # The 1 stands for the other blocks: in one of them all weights may be zero.
        name = f"sample_weight in {place}"
        own = row_vector(weight, np.float64, len(matrix), name=name, of=X)
        checked: Array = weight_vector(np.append(own, 1.0), np.float64, len(matrix) + 1, name=name, of=X)
        weight = checked[:-1]
    return Block(rows, np.arange(first, first + len(rows)), weight)


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


def _parquet(path: str | os.PathLike[str]) -> tuple[list[Any], list[int], list[str]]:
    """Return the blocks of Parquet files in a folder, in the order of their names, their lengths, and the columns."""
    try:
        import polars
    except ImportError:
        raise ImportError("Parquet files are read by polars: pip install 'linreg[data]'.") from None
    place = Path(path)
    files = sorted(place.glob("*.parquet")) if place.is_dir() else [place]
    if not files or not files[0].exists():
        raise FileNotFoundError(
            f"{os.fspath(path)!r} is no Parquet file and no folder of them: give one that is there."
        )
    read, parts, lengths = dask().delayed(read_parquet), [], []
    columns = _columns_of(files[0])
    for file in files:
        if _columns_of(file) != columns:
            raise ValueError(f"{str(file)!r} has other columns than {str(files[0])!r}: give files of one table.")
        rows, size = int(polars.scan_parquet(file).select(polars.len()).collect().item()), rows_in_a_block(len(columns))
        for first in range(0, rows, size):
            parts.append(read(str(file), first, size))
            lengths.append(min(size, rows - first))
    return parts, lengths, columns


def _columns_of(file: Path) -> list[str]:
    import polars

    try:
        return list(polars.scan_parquet(file).collect_schema())
    except polars.exceptions.PolarsError as error:
        raise ValueError(f"{str(file)!r} is no Parquet file: {str(error).splitlines()[0]}.") from None


def read_parquet(file: str, first: int, rows: int) -> Any:
    """Return consecutive rows of a Parquet file as a frame."""
    import polars

    return polars.scan_parquet(file).slice(first, rows).collect()
