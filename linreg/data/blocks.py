"""Rows block by block: so many at a time as memory holds, in an order that is drawn as far as memory goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

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
    """Rows that can be read block by block, any number of times: `names` of the features, `count` of all rows."""

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
    numbers : array of shape (rows,)
        The number of each row in the data as given.
    """

    def __init__(self, X: Array, y: Array, names: tuple[str, ...], numbers: Array) -> None:
        self.X, self.y, self.names, self.numbers, self.count = X, y, names, numbers, len(y)
        self._size = rows_in_a_block(X.shape[1] + 1)

    def __len__(self) -> int:
        """Return how many blocks there are."""
        return -(-self.count // self._size)

    def read(self, block: int) -> Block:
        """Return a block."""
        rows = slice(block * self._size, (block + 1) * self._size)
        return Block(np.column_stack([self.X[rows], self.y[rows]]), self.numbers[rows])


def complete(block: Block) -> Block:
    """Return the rows of a block in which every value is finite."""
    if np.isfinite(block.rows.sum()):
        return block
    whole = np.isfinite(block.rows).all(axis=1)
    weight = None if block.weight is None else block.weight[whole]
    return Block(block.rows[whole], block.numbers[whole], weight)


def windows(
    source: Source, size: int, generator: np.random.Generator | None, seen: Callable[[Block], None] | None = None
) -> Iterator[Block]:
    """Yield all complete rows in an order that is drawn as far as memory goes.

    Parameters
    ----------
    source : Source
        The rows.
    size : int
        Rows in a window; the last one holds what is left.
    generator : numpy.random.Generator or None
        Draws the order: blocks are taken in random order, as many together as fit into memory, and their rows are
        shuffled. None leaves the rows in their order.
    seen : callable, optional
        Is given every block as it is read, once.

    Yields
    ------
    Block
        So many rows.
    """
    blocks = np.arange(len(source)) if generator is None else generator.permutation(len(source))
    columns = len(source.names) + 1
    each = min(rows_in_a_block(columns), source.count)
    together = min(len(source), max(1, AT_ONCE // (8 * columns * each)))
    rows, numbers, held = np.empty((together * each + size, columns)), np.empty(together * each + size, np.int64), 0
    for first in range(0, len(blocks), together):
        for number in blocks[first : first + together].tolist():
            block = complete(source.read(number))
            if seen is not None:
                seen(block)
            end = held + len(block.rows)
            rows[held:end], numbers[held:end], held = block.rows, block.numbers, end
        order = np.arange(held) if generator is None else generator.permutation(held)
        last = held if first + together >= len(blocks) else held // size * size
        for start in range(0, last, size):
            chosen = order[start : min(start + size, last)]
            yield Block(rows[chosen], numbers[chosen])
        left, held = order[last:], held - last
        rows[:held], numbers[:held] = rows[left], numbers[left]
