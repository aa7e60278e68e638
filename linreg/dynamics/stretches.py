"""An epoch of minibatches over blocks of rows: each block by itself, then put together, neighbours first.

What the batches of an epoch do is a product of affine maps, and products are associative: each block's part can be
computed where the block lies. A batch that begins in one block and ends in another is put together from a few rows of
both (`as_few_rows`), so no other row has to leave its block.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from linreg.dynamics.epoch_map import Epoch
from linreg.dynamics.quadratic import Quadratic, as_few_rows
from linreg.losses import Loss, divisor, row_factor
from linreg.optimizers import Optimizer
from linreg.regularizers import Regularizer

Array = Any

AT_ONCE = 2**16
"""Rows whose batches are taken at once."""


@dataclass(frozen=True)
class Steps:
    """The steps of an epoch, without its rows.

    Parameters
    ----------
    loss : Loss
        A squared error.
    regularizer : Regularizer or None
        A penalty with a linear slope.
    optimizer : Optimizer
        An SGD with a constant learning rate.
    batch_size : int
        Rows in a batch; the last one holds what is left.
    kernel_size : int
        How many of the parameters are the kernel.
    size : int
        How many parameters there are.
    rows : int
        Rows of an epoch.
    weighted : bool
        Whether rows have weights.
    owner : str
        Who asks, for errors.
    """

    loss: Loss
    regularizer: Regularizer | None
    optimizer: Optimizer
    batch_size: int
    kernel_size: int
    size: int
    rows: int
    weighted: bool
    owner: str

    def epoch(self) -> Epoch:
        """Return the steps as something that can be done to states, whatever the rows.

        Returns
        -------
        Epoch
            In coordinates of the parameters themselves.

        Raises
        ------
        TypeError or ValueError
            If some step is not linear.
        """
        none = np.empty((0, self.size))
        names = tuple(f"x{j}" for j in range(self.size))
        problem = Quadratic(none, np.empty(0), None, self.loss, self.regularizer, self.kernel_size, names)
        return Epoch(problem, self.optimizer, self.batch_size, self.owner, all_directions=True)

    def factor(self, count: int, weight: float) -> Array:
        """Return what the sum over a batch is multiplied by, given its rows and the sum of their weights."""
        total = np.array([weight]) if self.weighted else None
        return row_factor(np.float64, divisor(self.loss.reduction, count, total))


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows of one batch.

    Parameters
    ----------
    rows : array of shape (rows, parameters + 1)
        As few rows sqrt(weight) [A, y] as have the same products.
    count : int
        How many rows they stand for.
    weight : float
        Sum of their weights.
    """

    rows: Array
    count: int
    weight: float

    @classmethod
    def of(cls, rows: Array, weight: Array | None) -> Part:
        """Return a part of a batch, given its rows [A, y]."""
        if weight is None:
            return cls(as_few_rows(rows), len(rows), float(len(rows)))
        return cls(as_few_rows(rows * np.sqrt(weight)[:, np.newaxis]), len(rows), float(weight.sum()))

    def __add__(self, other: Part) -> Part:
        """Return both together."""
        rows = as_few_rows(np.concatenate([self.rows, other.rows]))
        return Part(rows, self.count + other.count, self.weight + other.weight)


@dataclass(frozen=True, eq=False)
class Stretch:
    """Consecutive rows of an epoch: what the batches that lie in them do, and what is left at both ends.

    Parameters
    ----------
    steps : Steps
        The steps.
    before : Part
        Rows up to the first beginning of a batch; all of them, if none begins here.
    matrix : array of shape (width, width) or None
        What the batches inside do to (parameters, velocity, 1); None if no batch begins here.
    booked : array of shape (rows, width)
        The squared length of `booked @ state` is what they add to the loss that is booked for the epoch, from a state.
    after : Part
        Rows from the last beginning on, where that batch ends elsewhere.
    """

    steps: Steps
    before: Part
    matrix: Array | None
    booked: Array
    after: Part

    @classmethod
    @np.errstate(all="ignore")  # maps of a run that diverges overflow
    def of(cls, steps: Steps, rows: Array, weight: Array | None, first: int) -> Stretch:
        """Return a block.

        Parameters
        ----------
        steps : Steps
            The steps.
        rows : array of shape (rows, parameters + 1)
            Its rows [A, y].
        weight : array of shape (rows,) or None
            Their weights.
        first : int
            Number of its first row in the epoch.

        Returns
        -------
        Stretch
            The block.
        """

        def part(start: int, end: int) -> Part:
            return Part.of(rows[start:end], None if weight is None else weight[start:end])

        epoch = steps.epoch()
        nothing = np.zeros((0, epoch.width))
        begin = -first % steps.batch_size
        if begin > len(rows):
            return cls(steps, part(0, len(rows)), None, nothing, part(0, 0))
        end = begin + (len(rows) - begin) // steps.batch_size * steps.batch_size
        inside = cls(steps, part(0, begin), np.eye(epoch.width), nothing, part(end, len(rows)))
        for stack in _stacks(steps, rows[begin:end], None if weight is None else weight[begin:end]):
            inside = inside._continued(epoch, stack, steps.batch_size)
        return inside

    def _continued(self, epoch: Epoch, stack: Array, count: int) -> Stretch:
        """Return what comes of it when batches of so many rows follow: a stack of sqrt(c) [A, y]."""
        met: list[Array] = []

        def book(errors: Array, parameters: Array) -> None:
            pull = np.sqrt(epoch.problem.penalty_curvature() / 2)
            pulled = np.broadcast_to(pull[:, np.newaxis] * parameters, (len(stack), *parameters.shape))
            met.append(np.concatenate([errors, pulled], axis=1) if pull.any() else errors)

        maps = epoch.run(np.eye(epoch.width), [stack], [float(epoch.optimizer.learning_rate)], book)
        states: list[Array] = [self.matrix]
        for matrix in maps:
            states.append(matrix @ states[-1])
        booked = (met[0] @ np.stack(states[:-1])).reshape(-1, epoch.width) * math.sqrt(count / self.steps.rows)
        return replace(self, matrix=states[-1], booked=as_few_rows(np.concatenate([self.booked, booked])))

    @np.errstate(all="ignore")
    def __add__(self, other: Stretch) -> Stretch:
        """Return both together: this one, then the other."""
        if self.matrix is None:
            return replace(other, before=self.before + other.before)
        if other.matrix is None:
            return replace(self, after=self.after + other.before)
        whole = replace(self, after=self.after + other.before).ended()
        booked = np.concatenate([whole.booked, other.booked @ whole.matrix])
        return replace(whole, matrix=other.matrix @ whole.matrix, booked=as_few_rows(booked), after=other.after)

    @np.errstate(all="ignore")
    def ended(self) -> Stretch:
        """Return the same with the rows at its end as a batch of their own.

        Returns
        -------
        Stretch
            With nothing after it.
        """
        last = self.after
        if not last.count:
            return self
        stack = last.rows[np.newaxis] * np.sqrt(self.steps.factor(last.count, last.weight))
        return replace(self, after=Part(last.rows[:0], 0, 0.0))._continued(self.steps.epoch(), stack, last.count)


def _stacks(steps: Steps, rows: Array, weight: Array | None) -> Iterator[Array]:
    """Yield batches in stacks of shape (B, rows, parameters + 1), few rows of each, times the root of their factor."""
    size = steps.batch_size
    together = max(1, AT_ONCE // size)
    for first in range(0, len(rows) // size, together):
        cut = slice(first * size, (first + together) * size)
        stack = rows[cut].reshape(-1, size, rows.shape[1])
        if weight is None:
            yield as_few_rows(stack * np.sqrt(steps.factor(size, size)))
        else:
            weights = weight[cut].reshape(-1, size)
            factors = np.array([steps.factor(size, total) for total in weights.sum(axis=1).tolist()])
            yield as_few_rows(stack * np.sqrt(weights * factors[:, np.newaxis])[..., np.newaxis])
