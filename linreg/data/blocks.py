"""Rows block by block: so many at a time as memory holds, in an order that is drawn as far as memory goes."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, NamedTuple, Protocol

import numpy as np

from linreg.data.prefetch import prefetched

Array = Any

BLOCK_ROWS = 2**18
BLOCK_BYTES = 2**26
"""A block holds at most so many rows, and so many bytes."""
AT_ONCE = 2**28
"""Bytes of blocks that are shuffled together."""


class Block(NamedTuple):
    """Some rows.

    Parameters
    ----------
    rows : array of shape (rows, features + 1)
        Features, then the target, in float64.
    numbers : array of shape (rows,)
        The number of each row in the data, counted from 0.
    weight : array of shape (rows,), optional
        Weight of each row in the loss, in float64; None where all weigh the same.
    """

    rows: Array
    numbers: Array
    weight: Array | None = None


class Source(Protocol):
    """Rows that can be read block by block, any number of times: `names` of the features, `count` of all rows.

    A source whose blocks are of very different lengths has `block_rows`, that of the longest. One that has
    `in_blocks_of(rows)`, which returns the same rows in blocks of at most so many, is cut finer where memory is scarce.
    """

    names: tuple[str, ...]
    count: int

    def __len__(self) -> int:
        """Return how many blocks there are."""
        ...

    def read(self, block: int) -> Block:
        """Return a block, incomplete rows included."""
        ...


def rows_in_a_block(columns: int) -> int:
    """Return how many rows of so many columns make a block."""
    return int(max(1, min(BLOCK_ROWS, BLOCK_BYTES // (8 * columns))))


def block_rows(source: Source) -> int:
    """Return the rows of the longest block of a source."""
    return int(getattr(source, "block_rows", -(-source.count // max(1, len(source)))))


def in_blocks_of(source: Source, rows: int) -> Source:
    """Return a source in blocks of at most so many rows, if it can be cut anew; else as it is."""
    if block_rows(source) <= rows or not hasattr(source, "in_blocks_of"):
        return source
    made: Source = source.in_blocks_of(rows)
    return made


class ArrayRows:
    """Arrays as a source.

    Parameters
    ----------
    X : array of shape (rows, features)
        Features.
    y : array of shape (rows,)
        Target.
    names : tuple of str
        Names of the features.
    numbers : array of shape (rows,), optional
        The number of each row in the data as given; 0, 1, 2, ... if left out.
    weight : array of shape (rows,), optional
        Weight of each row in the loss.
    size : int, optional
        Rows in a block; as many as make a block of usual size if left out, or fewer where memory is scarce.
    """

    _fixed = True

    def __init__(
        self,
        X: Array,
        y: Array,
        names: tuple[str, ...],
        numbers: Array = None,
        weight: Array | None = None,
        size: int | None = None,
    ) -> None:
        self.X, self.y, self.names, self.weight, self.count = X, y, names, weight, len(y)
        self.numbers = np.arange(len(y)) if numbers is None else numbers
        self._fixed, self._size = size is not None, rows_in_a_block(X.shape[1] + 1) if size is None else size

    def __len__(self) -> int:
        """Return how many blocks there are."""
        return -(-self.count // self._size)

    def in_blocks_of(self, rows: int) -> ArrayRows:
        """Return the same rows in blocks of at most so many, if their size was not given."""
        if self._fixed:
            return self
        other = copy.copy(self)
        other._size = rows
        return other

    def read(self, block: int) -> Block:
        """Return a block."""
        rows = slice(block * self._size, (block + 1) * self._size)
        values = np.column_stack([self.X[rows], self.y[rows]]).astype(np.float64, copy=False)
        return Block(values, self.numbers[rows], None if self.weight is None else self.weight[rows])


def complete(block: Block) -> Block:
    """Return the rows of a block in which every value is finite."""
    if np.isfinite(block.rows.sum()):
        return block
    whole = np.isfinite(block.rows).all(axis=1)
    weight = None if block.weight is None else block.weight[whole]
    return Block(block.rows[whole], block.numbers[whole], weight)


class Pool:
    """Rows that are shuffled together, with room in front of them for a few that are left of others.

    Parameters
    ----------
    room : int
        That room.
    rows : int
        How many rows are expected; it grows where there are more.
    columns : int
        Columns of a row.
    dtype : type
        What the rows are kept in.
    """

    def __init__(self, room: int, rows: int, columns: int, dtype: Any) -> None:
        self._room = room
        self._rows, self._numbers = np.empty((room + rows, columns), dtype), np.empty(room + rows, np.int64)
        self.clear()

    def clear(self) -> None:
        """Forget all rows."""
        self._start = self._end = self._room
        self._weight: Array | None = None

    def __len__(self) -> int:
        """Return how many rows there are."""
        return self._end - self._start

    def add(self, block: Block) -> None:
        """Put rows behind the others."""
        start, self._end = self._end, self._end + len(block.rows)
        if self._end > len(self._rows):
            more = self._end - len(self._rows)
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows, shape=(more, self._rows.shape[1]))])
            self._numbers = np.concatenate([self._numbers, np.empty(more, np.int64)])
        self._put(slice(start, self._end), block)

    def begin_with(self, left: Block) -> None:
        """Put a few rows in front of the others."""
        end, self._start = self._start, self._start - len(left.rows)
        self._put(slice(self._start, end), left)

    def _put(self, places: slice, block: Block) -> None:
        self._rows[places], self._numbers[places] = block.rows, block.numbers
        if self._weight is None and block.weight is not None:
            self._weight = np.ones(len(self._rows), self._rows.dtype)
        if self._weight is not None:
            self._weight.resize(len(self._rows), refcheck=False)
            self._weight[places] = 1.0 if block.weight is None else block.weight

    def take(self, chosen: Array) -> Block:
        """Return a copy of some rows, counted from the first."""
        chosen = chosen + self._start
        weight = None if self._weight is None else self._weight.take(chosen)
        return Block(self._rows.take(chosen, axis=0), self._numbers.take(chosen), weight)


def _filled(
    source: Source, groups: list[list[int]], pools: list[Pool], prepare: Callable[[Block], Block], stop: threading.Event
) -> Generator[Pool, None, None]:
    """Yield the blocks of each group in a pool; the pools are used in turn."""
    for number, group in enumerate(groups):
        pool = pools[number % len(pools)]
        pool.clear()
        for block in group:
            if stop.is_set():
                return
            pool.add(prepare(source.read(block)))
        yield pool


def windows(
    source: Source,
    size: int,
    generator: np.random.Generator | None,
    prepare: Callable[[Block], Block] = complete,
    *,
    together: int | None = None,
    dtype: Any = np.float64,
    ahead: Callable[[], None] | None = None,
) -> Generator[Block, None, None]:
    """Yield all rows in an order that is drawn as far as memory goes.

    Parameters
    ----------
    source : Source
        The rows.
    size : int
        Rows in a window; the last one holds what is left.
    generator : numpy.random.Generator or None
        Draws the order: blocks are taken in random order, as many together as fit into memory, and their rows are
        shuffled; those that fill no window go on to the next blocks. None leaves the rows in their order.
    prepare : callable, optional
        Is given every block as it is read, once, and returns the rows of it that are wanted; by default those in which
        every value is finite.
    together : int, optional
        Blocks that are shuffled together; as many as fit into 256 MiB if left out.
    dtype : type, default=numpy.float64
        What rows and weights are kept in.
    ahead : callable, optional
        If given, the next blocks are read in the background, into as much memory once more, and this is called while
        they are waited for (see `linreg.data.prefetch`).

    Yields
    ------
    Block
        So many rows, which nobody else holds.
    """
    count, columns = len(source), len(source.names) + 1
    blocks = range(count) if generator is None else generator.permutation(count).tolist()
    each = min(rows_in_a_block(columns), source.count) if together is None else -(-source.count // count)
    together = min(count, max(1, AT_ONCE // (8 * columns * each) if together is None else together))
    groups = [list(blocks[first : first + together]) for first in range(0, count, together)]
    room = size if len(groups) > 1 else 0
    pools = [Pool(room, together * each, columns, dtype) for _ in range(1 if ahead is None else 2)]
    stop = threading.Event()
    filled, left = _filled(source, groups, pools, prepare, stop), Block(np.empty((0, columns)), np.empty(0, np.int64))
    with closing(filled if ahead is None else prefetched(filled, stop, ahead)) as ready:
        for number, pool in enumerate(ready, start=1):
            pool.begin_with(left)
            order = np.arange(len(pool)) if generator is None else generator.permutation(len(pool))
            last = len(pool) if number == len(groups) else len(pool) // size * size
            for start in range(0, last, size):
                yield pool.take(order[start : min(start + size, last)])
            left = pool.take(order[last:])
