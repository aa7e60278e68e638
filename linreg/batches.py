"""The data as the loop reads them: [X, 1], y and weights, cut into batches, in an order that may change every epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from linreg.devices import device_of
from linreg.losses import Loss, divisor, row_factor
from linreg.precision import Precision

Array = Any

KEPT_VIEWS = 8192
"""Batches whose views are made once and kept; of more, they are made as they are needed."""

KEPT_ERRORS = 2**16
"""Errors of K models that are kept until their losses are taken: as many as stay in the processor's cache."""

EVALUATED = 2**20
"""Numbers of a matrix that are evaluated at once: always the same rows together, however many there are."""


@dataclass(frozen=True)
class Problem:
    """What is trained on: [X, 1], y and weights, and how they are cut into batches.

    Parameters
    ----------
    matrix : array of shape (rows, parameters)
        The matrix [X, 1], or X where there is no intercept.
    target : array of shape (rows,), or (rows, 1) where `State.parameters` holds K models
        The target y.
    weight : array of shape (rows,) or None
        Sample weights, always in the host's memory: what they make of a batch's factor is decided there.
    batch_size : int
        Rows in a batch; the last batch of an epoch holds what is left.
    kernel_size : int
        How many of the parameters are the kernel.
    """

    matrix: Array
    target: Array
    weight: Array | None
    batch_size: int
    kernel_size: int

    @property
    def starts(self) -> Array:
        """First row of each batch."""
        return np.arange(0, len(self.target), self.batch_size)


class Evaluated(Protocol):
    """Rows on which a loss can be taken."""

    def evaluate(self, parameters: Array, constants: tuple[Any, ...]) -> Any:
        """Return the loss at given parameters, without a penalty: the mean over batches, weighted by their rows."""
        ...


def evaluated_at_once(batch_size: int, parameters: int) -> int:
    """Return how many batches are evaluated at once, given the rows of a batch and the columns of its matrix."""
    return max(1, EVALUATED // (batch_size * parameters))


class Batches:
    """Views of the batches of one epoch, made once and refilled when the rows are shuffled.

    Parameters
    ----------
    problem : Problem
        The data.
    shuffle : bool
        Whether each epoch has its own order; if not, the batches are views of the data themselves.
    loss : Loss
        Its reduction decides the factor of each row.
    precision : Precision
        The arithmetic of the run.
    like : array
        The parameters: predictions and errors get their trailing shape.
    """

    def __init__(self, problem: Problem, shuffle: bool, loss: Loss, precision: Precision, like: Array) -> None:
        self._problem, self._loss, self._number = problem, loss, precision.number
        self._device = device_of(problem.matrix)
        self._shuffle = shuffle
        self.matrix = np.empty_like(problem.matrix) if shuffle else problem.matrix
        self.target = np.empty_like(problem.target) if shuffle else problem.target
        self.weight: Array = problem.weight
        self.starts = problem.starts
        self.many = like.ndim == 2
        # How many batches leave their errors behind before their losses are taken.
        self.at_once = len(self.starts)
        if self.many:
            self.at_once = max(1, min(self.at_once, KEPT_ERRORS // (problem.batch_size * like.shape[1])))
        self._kept_rows = self.at_once * problem.batch_size
        self._models = like.shape[1:]
        self.ends = np.minimum(self.starts + problem.batch_size, len(problem.target))
        self.rows = self._device.put((self.ends - self.starts).astype(np.float64))
        self._views: list[tuple[Array, ...]] | None = None
        self._divisors: Array = None
        if self.weight is not None:
            self._weights, self._factors = np.empty_like(self.target), np.empty_like(self.target)
        self._laid_out = self.weight is None

    @cached_property
    def error(self) -> Array:
        """Where the errors of some batches go."""
        rows = min(self._kept_rows, len(self._problem.target))
        # CuPy keeps the order of a matrix with one column, which is Fortran's too, and writes no product into that.
        return np.empty_like(self._problem.matrix, shape=(rows, *self._models), order="C")

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.starts)

    def reorder(self, generator: np.random.Generator) -> None:
        """Lay the rows out in the order of the next epoch."""
        if not self._shuffle:
            return
        order = generator.permutation(len(self.target))
        moved = self._device.put(order)
        self._device.gather(self._problem.matrix, moved, self.matrix)
        self._device.gather(self._problem.target, moved, self.target)
        if self._problem.weight is not None:
            self.weight = self._problem.weight[order]
            self._divisors = None
            self._laid_out = False

    def _lay_out_weights(self) -> None:
        """Bring the weights of the rows, and the factors in the slope that follow from them, to where the rows lie."""
        factors = np.concatenate([self.factor_of(end - start, self.weight[start:end]) for start, end in self._places()])
        for there, here in ((self._weights, self.weight), (self._factors, factors)):
            there[...] = self._device.put(here).reshape(there.shape)
        self._laid_out = True

    def _places(self) -> Iterator[tuple[int, int]]:
        """Return where each batch begins and ends."""
        return zip(self.starts.tolist(), self.ends.tolist(), strict=True)

    def views(self, first: int, last: int) -> Iterable[tuple[Array, ...]]:
        """Return what a step reads of the batches from `first` up to `last`.

        Parameters
        ----------
        first, last : int
            Batches of the epoch.

        Returns
        -------
        iterable of tuple
            For each batch with matrix A: `A.dot`, `A.T.dot`, y, where its errors go, and the factor of its rows in the
            slope.
        """
        if not self._laid_out:
            self._lay_out_weights()
        if self._views is None and len(self) <= KEPT_VIEWS:
            self._views = list(self._cut(0, len(self)))
        if self._views is not None:
            return self._views[first:last]
        return self._cut(first, last)

    def _cut(self, first: int, last: int) -> Iterator[tuple[Array, ...]]:
        factors: dict[int, Any] = {}
        for start, end in zip(self.starts[first:last].tolist(), self.ends[first:last].tolist(), strict=True):
            matrix, rows = self.matrix[start:end], end - start
            if self.weight is None:
                if rows not in factors:
                    factors[rows] = self._device.constant(self.factor_of(rows))
                factor = factors[rows]
            else:
                factor = self._factors[start:end]
            kept = start % self._kept_rows
            yield matrix.dot, matrix.T.dot, self.target[start:end], self.error[kept : kept + rows], factor

    def factor_of(self, rows: int, weight: Any = None) -> Array:
        """Return the factor of each row in the slope.

        Parameters
        ----------
        rows : int
            Rows in their batch.
        weight : array, optional
            Their weights.

        Returns
        -------
        array
            One factor for all, or one for each weight.
        """
        factor = row_factor(self._number, divisor(self._loss.reduction, rows, weight), weight)
        return self._loss.slope_factor * factor

    def losses(self, first: int, last: int, constants: tuple[Any, ...]) -> Array:
        """Return the loss of each batch, from the errors that their steps left behind.

        The errors of many rows lie in one buffer, so that the values cost next to nothing a step.

        Parameters
        ----------
        first, last : int
            Batches of the epoch, from `first` up to `last`; not beyond the next multiple of `at_once`.
        constants : tuple
            The constants of the loss.

        Returns
        -------
        array of shape (last - first,) or (last - first, K)
            Losses, without a penalty.
        """
        start, end = int(self.starts[first]), int(self.ends[last - 1])
        kept = start % self._kept_rows
        values = self._loss.value(self.error[kept : kept + end - start], *constants)
        if self.weight is not None:
            if not self._laid_out:
                self._lay_out_weights()
            values = values * self._weights[start:end]
        return self.means(self._sums(values, first, last), first, last)

    def means(self, sums: Array, first: int, last: int, out: Array | None = None) -> Array:
        """Return the loss of each batch, given the sums of its rows' values.

        Parameters
        ----------
        sums : array of shape (..., last - first) or (..., last - first, K)
            Sums of the values, times the weights where there are any.
        first, last : int
            Batches of the epoch, from `first` up to `last`.
        out : array, optional
            Where to write them; it may be `sums` itself.

        Returns
        -------
        array of the same shape
            Losses, without a penalty.
        """
        if self._divisors is None:
            self._divisors = self._batch_divisors()
        divisors = self._divisors[first:last]
        means: Array = np.divide(sums, divisors[:, np.newaxis] if self.many else divisors, out)
        return means

    def _sums(self, values: Array, first: int, last: int) -> Array:
        """Return the sum of the values of each batch."""
        starts = self.starts[first:last] - self.starts[first]
        if values.ndim == 1:
            return self._device.sums(values, starts)
        # Down columns `reduceat` is slow; a row of ones times each batch is not.
        rows = int(self.ends[first] - self.starts[first])
        whole = len(values) // rows
        cut, ones = whole * rows, np.ones_like(values, shape=rows)
        sums = ones @ values[:cut].reshape(whole, rows, -1)
        if cut == len(values):
            return sums
        return np.concatenate((sums, (ones[cut - len(values) :] @ values[cut:])[np.newaxis]))

    def _batch_divisors(self) -> Array:
        reduction, weight = self._loss.reduction, self.weight
        if weight is not None:
            divisors = [divisor(reduction, end - start, weight[start:end]) for start, end in self._places()]
            which = np.arange(len(divisors))
        else:  # all batches but the last have the same rows
            rows, which = np.unique(self.ends - self.starts, return_inverse=True)
            divisors = [divisor(reduction, count) for count in rows.tolist()]
        # A batch whose weights sum to nothing counts as 0 (Keras' divide_no_nan): its sum is 0 already.
        return self._device.put(np.array([self._number(d if d != 0 else 1) for d in divisors])[which])

    def evaluate(self, parameters: Array, constants: tuple[Any, ...]) -> Any:
        """Return the loss at given parameters, without a penalty: the mean over batches, weighted by their rows."""
        return self.added_to(0.0, parameters, constants) / len(self.target)

    def added_to(self, total: Any, parameters: Array, constants: tuple[Any, ...]) -> Any:
        """Return a sum to which the loss of each batch, times its rows, is added.

        Parameters
        ----------
        total : float or array of shape (K,)
            The sum so far.
        parameters : array of shape (parameters,) or (parameters, K)
            Where the losses are taken.
        constants : tuple
            The constants of the loss.

        Returns
        -------
        scalar or array of shape (K,)
            The sum.
        """
        at_once = self.at_once
        if not self.many:
            at_once = min(at_once, evaluated_at_once(self._problem.batch_size, self.matrix.shape[1]))
        for first in range(0, len(self), at_once):
            last = min(first + at_once, len(self))
            rows = slice(int(self.starts[first]), int(self.ends[last - 1]))
            kept = rows.start % self._kept_rows
            error = self.error[kept : kept + rows.stop - rows.start]
            self.matrix[rows].dot(parameters, error)
            np.subtract(error, self.target[rows], error)
            losses = self.losses(first, last, constants).astype(np.float64)
            total = self._device.added(losses, self.rows[first:last], total)
        return total
