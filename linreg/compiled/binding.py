"""What a compiled loop is given in the place of views and closures: orders, weights and constants as plain numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import config

from linreg.around import NO_CLIP, Around
from linreg.batches import Batches, Problem
from linreg.compiled.formulas import jit
from linreg.losses import Loss
from linreg.precision import Precision, rounded_both_ways

Array = Any

CACHE_LINE = 64
"""Bytes that come from memory together."""


class InOrder(Batches):
    """Batches of rows that stay where they are: an epoch is an order in which they are read.

    Parameters
    ----------
    problem, shuffle, loss, precision, like : Any
        As for `linreg.batches.Batches`.

    Attributes
    ----------
    shuffled : bool
        Whether rows are read in another order than they lie in.
    orders : array of shape (epochs, rows)
        That order for each of the next epochs.
    factors_change : bool
        Whether every epoch has factors of its own.
    weights : array of shape (rows,)
        Weights of the rows in their order, 1 without weights.
    factor : array of shape (rows,)
        The factor of each row in the slope, in its order.
    """

    def __init__(self, problem: Problem, shuffle: bool, loss: Loss, precision: Precision, like: Array) -> None:
        super().__init__(problem, False, loss, precision, like)
        self.at_once = len(self)  # the loop keeps no errors
        self._draws = shuffle
        # All rows of one batch: their order changes nothing but the order in which sums are added up.
        self.shuffled = shuffle and len(self) > 1
        self._all_weights: Array = problem.weight
        self.factors_change = self.shuffled and problem.weight is not None
        self.orders = np.empty((1, 0), np.uintp)
        self._weigh()

    def reorder(self, generator: np.random.Generator, epochs: int = 1) -> None:
        """Draw the orders of the next epochs, as `Batches` would draw them one by one."""
        if not self._draws:
            return
        orders = [generator.permutation(len(self.target)) for _ in range(epochs)]
        if self.shuffled:
            self.orders = np.array(orders, np.uintp)
        if self.factors_change:
            self.weight = self._all_weights[self.orders[0]]
            self._divisors = None
            self._weigh()

    def _weigh(self) -> None:
        rows = len(self.target)
        self.weights = np.ones(rows, self.target.dtype) if self.weight is None else self.weight
        self.factor = np.empty(rows, self.target.dtype)
        by_weight = self.weight is not None and self._loss.reduction == "mean_with_sample_weight"
        # Where only its number of rows decides the factor of a batch, those of all full batches are one piece.
        starts = self.starts if by_weight else np.unique([0, self.starts[-1]])
        for start, end in zip(starts, [*starts[1:], rows], strict=True):
            weight = None if self.weight is None else self.weight[start:end]
            self.factor[start:end] = self.factor_of(min(self._problem.batch_size, rows - start), weight)


class CompiledPowers(Precision):
    """A precision whose powers, the C library's as always, are taken in a compiled loop."""

    @classmethod
    def of(cls, precision: Precision) -> Precision:
        """Return the same precision with compiled powers, or itself where Numba has powers of its own."""
        if config.USING_SVML:
            return precision
        return cls(precision.dtype, precision.number, precision.cast, precision.schedules)

    def _rounded_products(self, first: Any, rest: Any, count: int) -> tuple[Any, Any]:
        if first.ndim > 1:
            return super()._rounded_products(first, rest, count)
        low, high = np.empty((2, len(first), len(rest)), np.float32)
        _round_products(first, rest, low, high)
        return low.reshape(-1)[:count], high.reshape(-1)[:count]

    def _library_power(self, base: Any, exponent: Any) -> Any:
        """Return the powers of the C library, in float64."""
        shape = np.broadcast_shapes(np.shape(base), np.shape(exponent))
        bases, exponents = (np.full(shape, numbers, np.float64).ravel() for numbers in (base, exponent))
        powers = np.empty(shape)
        _powers(bases, exponents, powers.ravel())
        return powers


def _fill_with_powers(bases: Array, exponents: Array, powers: Array) -> None:
    for i in range(len(powers)):
        # The C library takes its time to find that a power is too small for a number, and so is the next one.
        same = i > 0 and bases[i] == bases[i - 1] and 0 <= bases[i] < 1 and exponents[i] >= exponents[i - 1]
        powers[i] = 0.0 if same and powers[i - 1] == 0 else math.pow(bases[i], exponents[i])


_powers = jit(_fill_with_powers, cache=True)


_rounded = jit(rounded_both_ways, allocates=False)


def _fill_with_products(first: Array, rest: Array, low: Array, high: Array) -> None:
    for i in range(len(first)):
        for j in range(len(rest)):
            low[i, j], high[i, j] = _rounded(first[i] * rest[j])


_round_products = jit(_fill_with_products, cache=True)


def _add_in_order(losses: Array, rows: Array, sums: Array) -> None:
    fours = len(losses) // 4 * 4
    for epoch in range(0, fours, 4):  # a sum waits for each of its additions, and four of them wait together
        a = b = c = d = 0.0
        for batch in range(len(rows)):
            a += losses[epoch, batch] * rows[batch]
            b += losses[epoch + 1, batch] * rows[batch]
            c += losses[epoch + 2, batch] * rows[batch]
            d += losses[epoch + 3, batch] * rows[batch]
        sums[epoch], sums[epoch + 1], sums[epoch + 2], sums[epoch + 3] = a, b, c, d
    for epoch in range(fours, len(losses)):
        for batch in range(len(rows)):
            sums[epoch] += losses[epoch, batch] * rows[batch]


_added_in_order = jit(_add_in_order, cache=True)


def _add_columns_in_order(losses: Array, rows: Array, sums: Array) -> None:
    for epoch in range(len(losses)):
        for batch in range(len(rows)):
            for k in range(sums.shape[1]):
                sums[epoch, k] += losses[epoch, batch, k] * rows[batch]


_columns_added_in_order = jit(_add_columns_in_order, cache=True)


def added(losses: Array, rows: Array) -> Array:
    """Return what `linreg.devices.Host.added` does, of many epochs: the terms of each are added one after the other.

    Parameters
    ----------
    losses : array of shape (epochs, batches) or (epochs, batches, K)
        Losses, in float32 or float64.
    rows : array of shape (batches,)
        Rows of each batch.

    Returns
    -------
    array of shape (epochs,) or (epochs, K)
        The sums of losses times rows.
    """
    sums = np.zeros((len(losses), *losses.shape[2:]))
    (_added_in_order if losses.ndim == 2 else _columns_added_in_order)(losses, rows, sums)
    return sums


def at_a_line(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an empty array that begins at a line of the cache.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    dtype : type
        The type of its numbers.

    Returns
    -------
    array of that shape and type
        Where registers as wide as a line are written to memory and read back, as a gradient is, what lies across two
        lines may take twice the time, and NumPy's own arrays begin anywhere.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    there = np.empty(size + CACHE_LINE, np.uint8)
    first = -there.ctypes.data % CACHE_LINE
    return there[first : first + size].view(dtype).reshape(shape)


def columns_apart(matrix: Array) -> Array:
    """Return the columns of a matrix one after the other, each in an odd number of lines of the cache.

    Parameters
    ----------
    matrix : array of shape (rows, features)
        Any matrix.

    Returns
    -------
    array of shape (features, rows or more)
        What it holds beyond the rows says nothing. Columns a power of two apart would share a few places of the cache
        and drive each other out.
    """
    rows, features = matrix.shape
    in_line = CACHE_LINE // matrix.itemsize
    lines = -(-rows // in_line) // 2 * 2 + 1
    columns = at_a_line((features, lines * in_line), matrix.dtype)
    columns[:, :rows] = matrix.T
    return columns


def in_loop(given: Around, layout: Any, dtype: Any) -> Around:
    """Return what stands around a rule as the compiled loop reads it.

    Parameters
    ----------
    given : Around
        What stands there.
    layout : OneModel or BlocksOfModels
        How numbers of models lie in memory.
    dtype : type
        Their type.

    Returns
    -------
    Around
        The same, with numbers where the loop finds them.
    """
    names = ("limit", "one_over_limit", "weight_decay", "first_share", "later_share")
    return given._replace(**{name: layout.constant(getattr(given, name), dtype) for name in names})


def stands_there(given: Around) -> bool:
    """Whether anything stands around the rule."""
    return given.every > 1 or given.clip != NO_CLIP or given.decays or given.averages
