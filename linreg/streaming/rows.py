"""Rows on their way into the loop: checked, in the type of the run, as matrix and target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from linreg.batches import Problem
from linreg.data.blocks import Block, Source

Array = Any

FIRST_PLACES = 3
"""Bad values whose places are told."""


def problem_of(block: Block, batch_size: int, fit_intercept: bool) -> Problem:
    """Return rows as the loop reads them; they are changed in place.

    Parameters
    ----------
    block : Block
        The rows, in the type of the run, C-ordered.
    batch_size : int
        Rows of a batch.
    fit_intercept : bool
        Whether there is one.

    Returns
    -------
    Problem
        Where there is an intercept, its matrix is the rows' own memory, with ones in the place of the target.
    """
    rows, target = block.rows, block.rows[:, -1].copy()
    if fit_intercept:
        rows[:, -1] = 1
    matrix = rows if fit_intercept else np.ascontiguousarray(rows[:, :-1])
    return Problem(matrix, target, block.weight, batch_size, rows.shape[1] - 1)


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
        Takes a block and returns it, or raises a ValueError that names columns and rows.
    """
    names = [*(f"column {name!r}" for name in source.names), f"target {getattr(source, 'target', 'y')!r}", "weight"]

    def check(block: Block) -> Block:
        with np.errstate(over="ignore", invalid="ignore"):
            rows = block.rows.astype(dtype, copy=False)
            weight = None if block.weight is None else block.weight.astype(dtype, copy=False)
            good = np.isfinite(rows.sum()) and (weight is None or (np.isfinite(weight.sum()) and weight.min() >= 0))
        if not good:
            given = block.rows if block.weight is None else np.column_stack([block.rows, block.weight])
            _refuse(given, rows if weight is None else np.column_stack([rows, weight]), block.numbers, names)
        return Block(rows, block.numbers, weight)

    return check


def _refuse(given: Array, cast: Array, numbers: Array, names: list[str]) -> None:
    """Raise if some values of a block cannot be trained on; a sum that overflows is no reason."""
    drop = "drop those rows or fill them in first"
    limit = f"too large for {cast.dtype.name}"
    otherwise = "scale the column" if cast.dtype == np.float64 else 'scale the column, or train with dtype="float64"'
    complaints = {
        "missing": (np.isnan(given), f"Every loss after them would be nan: {drop}."),
        "infinite": (np.isinf(given), f"Replace them, or {drop}."),
        limit: (~np.isfinite(cast), f"Train on smaller numbers: {otherwise}."),
    }
    for what, (bad, advice) in complaints.items():
        places = np.argwhere(bad)
        if len(places):
            shown_places = [f"{names[column]} in row {numbers[row]}" for row, column in places[:FIRST_PLACES].tolist()]
            raise ValueError(
                f"{len(places)} value{'s are' if len(places) > 1 else ' is'} {what} in the {len(numbers)} rows that "
                f"were read last: {', '.join(shown_places)}{', ...' if len(places) > FIRST_PLACES else ''} (rows "
                f"counted from 0). {advice}"
            )
    if names[-1] == "weight" and given.shape[1] == len(names) and (given[:, -1] < 0).any():
        row = int(np.argmax(given[:, -1] < 0))
        raise ValueError(
            f"Weights must not be negative, got {given[row, -1]!s} in row {numbers[row]}: give each row a weight of 0 "
            "or more."
        )
