"""What was seen of one step of a run that is watched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from linreg.study.tape import Node

Array = Any


@dataclass(frozen=True)
class Lines:
    """Rows of a matrix, or its columns over these rows: the lines of a product, read when they are asked for.

    Parameters
    ----------
    matrix : array of shape (all rows, parameters)
        The matrix [X, 1] in the order of the data as given.
    rows : array of int
        Which rows.
    across : bool
        Whether a line is a column over these rows, and not a row.
    """

    matrix: Array
    rows: Array
    across: bool

    def __getitem__(self, at: int) -> Array:
        """Return a line."""
        return self.matrix[self.rows, at] if self.across else self.matrix[self.rows[at]]


@dataclass
class Seen:
    """What was seen of one step.

    Parameters
    ----------
    step : int
        Its number, from 1.
    epoch, batch : int
        Where it stands, from 1.
    rows : array of int
        The rows of its batch, counted from 0 in the data as given.
    prediction, residual : Node
        Of the rows in the batch: prediction, and prediction minus target.
    slope : Node
        Derivative of the loss by the predictions.
    without_penalty : Node
        Gradient of the loss by the parameters, without the penalty.
    gradient : Node
        The gradient that the step is made of.
    penalty, pull : Node or None
        Value of the penalty, and its derivative by the kernel; None where there is no penalty.
    rate : Node
        What the rule takes for the learning rate: its effective step.
    learning_rate : float
        The learning rate that this was made of.
    before : array of shape (parameters,)
        The parameters before the step.
    after : dict of str to Node
        The parameters "p" and the state of the rule by its letters, after the step.
    extra : dict of str to Node
        Where there are such: "total", an accumulated gradient; "g'" and "p'", gradient and parameters as the rule gets
        them after clipping and decay; "p''", the parameters that their average then overwrites; "average".
    loss : Node
        Loss of the batch before the step, with the penalty.
    """

    step: int
    epoch: int
    batch: int
    rows: Array
    prediction: Any = None
    residual: Any = None
    slope: Any = None
    without_penalty: Any = None
    gradient: Any = None
    penalty: Node | None = None
    pull: Node | None = None
    rate: Any = None
    learning_rate: float = np.nan
    before: Array = None
    after: dict[str, Node] = field(default_factory=dict)
    extra: dict[str, Node] = field(default_factory=dict)
    loss: Any = None
