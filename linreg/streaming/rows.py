"""Rows on their way into the loop: as matrix and target."""

from __future__ import annotations

from typing import Any

import numpy as np

from linreg.batches import Problem
from linreg.data.blocks import Block

Array = Any


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
