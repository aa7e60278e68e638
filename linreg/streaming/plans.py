"""How much of the memory goes to what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.data.blocks import Source
from linreg.memory import shown

WINDOW_BYTES = 2**23
"""Bytes of rows that are laid out at once: few beside the budget, and many beside a batch."""
READING = 4
"""Copies of a block, in float64, that reading one takes."""


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
    count, columns = source.count, len(source.names) + 1
    if not count:
        raise ValueError("There are no rows to train on: look whether a filter has removed every row.")
    each = -(-count // len(source))
    row = (columns + 1) * np.dtype(dtype).itemsize + 16  # with weight, number and place in the order
    reading = READING * 8 * columns * each
    if reading + 2 * row * count <= memory:
        return None
    pools, laid_out = 2 * each * row, 4 * unit * row  # the least there can be of each
    if memory < reading + pools + laid_out:
        raise ValueError(
            f"memory={shown(memory)} is too little to read {columns} columns in blocks of {each} rows and to train on "
            f'batches of {unit}: give at least memory="{shown(reading + pools + laid_out)}".'
        )
    size = max(1, min(WINDOW_BYTES * 4, memory // 4, memory - reading - pools) // laid_out) * unit
    return Plan((memory - reading - 4 * size * row) // pools, size)
