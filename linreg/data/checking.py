"""Blocks of a source on their way to training: in the type of the run, and refused if it cannot train on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from linreg.data.arrays import refuse_negative, refused
from linreg.data.blocks import Block, Source

Array = Any


def checked(source: Source, dtype: Any) -> Callable[[Block], Block]:
    """Return what brings blocks to the type of a run, and refuses values that cannot be trained on.

    Parameters
    ----------
    source : Source
        Whose blocks, for the errors.
    dtype : type
        The type of the run.

    Returns
    -------
    callable
        Takes a block and returns it, or raises a ValueError that names column and row.
    """
    names = [*(f"column {name!r}" for name in source.names), f"target {getattr(source, 'target', 'y')!r}", "weight"]

    def check(block: Block) -> Block:
        with np.errstate(over="ignore", invalid="ignore"):
            rows = block.rows.astype(dtype, copy=False)
            weight = None if block.weight is None else block.weight.astype(dtype, copy=False)
            good = np.isfinite(rows.sum()) and (
                weight is None or (np.isfinite(weight.sum()) and not (weight < 0).any())
            )
        if not good:
            _refuse(block, rows, weight, names)
        return Block(rows, block.numbers, weight)

    return check


def _refuse(block: Block, rows: Array, weight: Array | None, names: list[str]) -> None:
    """Raise if some values of a block cannot be trained on; a sum that overflows is no reason."""
    given, cast = block.rows, rows
    if weight is not None:
        given, cast = (np.column_stack(pair) for pair in ([block.rows, block.weight], [rows, weight]))
        names = [*names[: rows.shape[1]], names[-1]]

    def first(bad: Array) -> str:
        row, column = np.argwhere(bad)[0]
        return f"the first in {names[column]} in row {block.numbers[row]}, counted from 0"

    if not np.isfinite(cast).all():
        raise refused(given, cast, f"The {len(rows)} rows that were read last contain", first)
    if weight is not None:
        row = int(np.argmax(weight < 0))
        refuse_negative(weight[row:], "The weight of a row", int(block.numbers[row]))
