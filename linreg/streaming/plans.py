"""How much of the memory goes to what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.data.blocks import Source, block_rows, in_blocks_of
from linreg.memory import shown

WINDOW_BYTES = 2**23
"""Bytes of rows that are laid out at once: few beside the budget, and many beside a batch."""
READING = 4
"""Copies of a block, in float64, that reading one takes."""
LEAST_BYTES, LEAST_ROWS = 2**18, 2**12
"""Blocks are not cut finer than so many bytes of numbers, or so many rows."""


@dataclass(frozen=True)
class Plan:
    """How rows that do not fit into memory are taken.

    Parameters
    ----------
    together : int
        Blocks that are shuffled together; as many again are read in the meantime.
    size : int
        Rows that are laid out at once.
    """

    together: int
    size: int


@dataclass(frozen=True)
class Needs:
    """What rows take, in bytes.

    Parameters
    ----------
    reading : int
        To read a block.
    pools : int
        For two blocks, one to be trained on and one to be filled.
    laid_out : int
        For the least that is laid out at once, while it is trained on.
    whole : int
        For all rows at once.
    """

    reading: int
    pools: int
    laid_out: int
    whole: int

    @classmethod
    def of(cls, source: Source, unit: int, dtype: Any, each: int | None = None) -> Needs:
        """Return what the rows of a source take, in its blocks or in blocks of `each` rows."""
        each, columns = block_rows(source) if each is None else each, len(source.names) + 1
        row = (columns + 1) * np.dtype(dtype).itemsize + 16  # with weight, number and place in the order
        return cls(READING * 8 * columns * each, 2 * each * row, 4 * unit * row, 2 * row * source.count)

    @property
    def least(self) -> int:
        """What is enough for one of the two ways to take the rows."""
        return self.reading + min(self.whole, self.pools + self.laid_out)


def cut(source: Source, unit: int, memory: int, dtype: Any) -> Source:
    """Return rows in blocks that leave room for others: reading two takes no more than half of the memory.

    Parameters
    ----------
    source : Source
        The rows.
    unit : int
        Rows that stay together, a batch.
    memory : int
        Bytes that rows may take.
    dtype : type
        What rows are kept in.

    Returns
    -------
    Source
        The same rows, in blocks as they were where these are small enough or cannot be cut.
    """
    row = Needs.of(source, unit, dtype, 1)
    return in_blocks_of(source, max(_fewest(source), (memory - row.laid_out) // 2 // (row.reading + row.pools)))


def _fewest(source: Source) -> int:
    """Return the rows of the smallest blocks that a source is cut into."""
    return int(max(1, min(LEAST_ROWS, LEAST_BYTES // (8 * (len(source.names) + 1)))))


def least(source: Source, unit: int, dtype: Any) -> int:
    """Return the bytes with which rows can be taken.

    Parameters
    ----------
    source : Source
        The rows.
    unit : int
        Rows that stay together, a batch.
    dtype : type
        What rows are kept in.

    Returns
    -------
    int
        What `plan` does not refuse, once they are `cut`.
    """
    return Needs.of(in_blocks_of(source, _fewest(source)), unit, dtype).least


def shared(memory: int, given: Any, training: int, validation: int) -> tuple[int, int]:
    """Return how memory is shared between training and validation rows: a quarter is for the latter, if that will do.

    Parameters
    ----------
    memory : int
        Bytes of both.
    given : object
        What the user asked for, for the error.
    training, validation : int
        The least that each needs.

    Returns
    -------
    training : int
        Bytes for the rows.
    validation : int
        Bytes for the validation rows.

    Raises
    ------
    ValueError
        If it is too little for both.
    """
    if memory < training + validation:
        quarter = f"a quarter of the machine's memory, {shown(memory)}," if given is None else f"memory={given!r}"
        raise ValueError(
            f"{quarter} is too little for rows and validation rows, which need {shown(training)} and "
            f'{shown(validation)}: give at least memory="{shown(training + validation)}".'
        )
    for_validation = min(max(memory // 4, validation), memory - training)
    return memory - for_validation, for_validation


def plan(source: Source, unit: int, memory: int, dtype: Any) -> Plan | None:
    """Return how rows are taken with so much memory.

    Parameters
    ----------
    source : Source
        The rows.
    unit : int
        Rows that stay together, a batch.
    memory : int
        Bytes that rows may take.
    dtype : type
        What rows are kept in.

    Returns
    -------
    Plan or None
        None where all of them fit, twice.

    Raises
    ------
    ValueError
        If there are no rows, or the memory does not hold two blocks.
    """
    if not source.count:
        raise ValueError("There are no rows to train on: look whether a filter has removed every row.")
    needs = Needs.of(source, unit, dtype)
    if needs.reading + needs.whole <= memory:
        return None
    if memory < needs.least:
        raise ValueError(
            f"memory={shown(memory)} is too little to read {len(source.names) + 1} columns in blocks of "
            f"{block_rows(source)} rows and to train on batches of {unit}: give at least "
            f'memory="{shown(needs.least)}".'
        )
    left = memory - needs.reading
    times = max(1, min(WINDOW_BYTES * 4, memory // 4, left - needs.pools) // needs.laid_out)
    return Plan((left - times * needs.laid_out) // needs.pools, times * unit)
