"""A run whose steps are compiled: whole epochs in one call, between which callbacks and Ctrl-C have their turn."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import get_num_threads
from numba.core.errors import NumbaError

from linreg.around import Around, around
from linreg.batches import Problem
from linreg.callbacks import Logs
from linreg.compiled import loops
from linreg.compiled.binding import (
    CACHE_LINE,
    CompiledPowers,
    InOrder,
    added,
    at_a_line,
    columns_apart,
    in_loop,
    stands_there,
)
from linreg.compiled.kernels import TILE, Form, Formulas, kernel
from linreg.compiled.layout import BlocksOfModels, OneModel
from linreg.losses import Loss
from linreg.optimizers import Rule
from linreg.stacks import members, stacked
from linreg.steps import Rates
from linreg.training import Run, as_logged

Array = Any

AT_ONCE, AT_ONCE_OF_MANY = 2**24, 2**27
"""Numbers of the matrix that one call reads, times the models: some milliseconds of work for one model, or for many."""
MOST_STEPS, MOST_RATES = 2**16, 2**17
"""Steps of one call, whose learning rates are computed beforehand, while those of all models fit into the cache."""
FEW_COLUMNS, MANY_ROWS = 16, 16
"""Up to so many features, and from so many rows in a batch on, X is read by columns if rows come as they lie; if a row
is longer than a line of the cache, from `TILE` rows on. One feature always is."""
LONG_ROW, SMALL_BATCH = 4 * CACHE_LINE, 2**15
"""Unshuffled rows of so many bytes and more, in batches of up to so many, which the first cache holds, are read in two
passes. Of shorter rows four at a time are faster by more in the cache than they are slower from memory."""
LARGE = 2**19
"""Numbers in a batch from which on all cores work on it."""

_all_cores = threading.Lock()
"""Not every threading layer of Numba can be entered twice at a time."""


class NumbaRun(Run):
    """A compiled run of one model or of several, as `Run`, but for the order in which sums are added up.

    Raises
    ------
    TypeError
        If Numba cannot compile a rule, a loss or a penalty that is not linreg's own.
    """

    def _bind_loop(self) -> None:
        """Bind everything that a step needs."""
        problem, precision, parameters = self.problem, self.precision, self.state.parameters
        several = parameters.ndim == 2
        self._layout: Any = BlocksOfModels(parameters.shape[1]) if several else OneModel()
        features = problem.kernel_size
        shuffled = bool(self.shuffle) and self.epoch_rows > problem.batch_size
        over_rows = loops.by_rows if several else self._way_over_rows(features, problem.batch_size, shuffled)
        self._by_columns = over_rows in (loops.by_the_column, loops.by_columns)
        self._rates = Rates(self.optimizer, CompiledPowers.of(precision))
        terms = [one.terms() for one in members(self.regularizer or ())]
        given = in_loop(around(self.optimizer, precision), self._layout, precision.dtype)
        in_batch = min(problem.batch_size, self.epoch_rows) * parameters.size
        self._form = Form(
            over_rows=over_rows,
            in_blocks=not several and in_batch >= LARGE,
            shuffled=shuffled,
            around=stands_there(given),
            # Only where it makes another loop: the same loop is not to be compiled under two names.
            one_row=problem.batch_size == 1 and not (several or self._by_columns or stands_there(given) or any(terms)),
            width=self._layout.width,
        )
        self._on_all_cores = several or self._form.in_blocks
        if self._on_all_cores:
            get_num_threads()  # This starts them, which code from disk relies on: a crash in Numba 0.61 otherwise.
        self._bind_formulas(self._rates.rule, members(self.loss)[0], terms, given)
        self._bind_rows(problem)
        most = MOST_RATES // parameters.shape[1] if several else MOST_STEPS
        self._steps_at_once = max(1, min((AT_ONCE_OF_MANY if several else AT_ONCE) // in_batch, most))

    def _way_over_rows(self, features: int, batch_size: int, shuffled: bool) -> Callable[..., Any]:
        """Return what goes over the rows of a batch."""
        # The number of rows must not decide it: a stream does not know it, and gives the bits of rows in memory.
        in_row = features * self.state.parameters.itemsize
        if features == 1:
            return loops.by_the_column
        if shuffled or batch_size == 1:
            return loops.by_rows
        if features <= FEW_COLUMNS and batch_size >= (MANY_ROWS if in_row <= CACHE_LINE else TILE):
            return loops.by_columns
        return loops.row_after_row if in_row >= LONG_ROW and in_row * batch_size <= SMALL_BATCH else loops.by_rows

    def _bind_rows(self, problem: Problem) -> None:
        """Bind the rows that the loop runs over, as they lie in it."""
        self._rows = dataclasses.replace(problem, target=problem.target.reshape(-1))
        loss, parameters = members(self.loss)[0], self.state.parameters
        self._batches: InOrder = InOrder(self._rows, self.shuffle, loss, self.precision, parameters)
        if self._by_columns:
            self._matrix = columns_apart(problem.matrix[:, : problem.kernel_size])
        else:
            self._matrix = np.ascontiguousarray(problem.matrix)
        weighted = problem.weight is not None and parameters.ndim == 1
        self._train = kernel(self._formulas, self._form._replace(weighted=weighted))

    def _bind_formulas(self, rule: Rule, loss: Loss, terms: list[Any], given: Around) -> None:
        """Bind the compiled formulas and their constants."""
        layout, precision, dtype = self._layout, self.precision, self.state.parameters.dtype
        pairs = tuple((penalty, slope) for penalty, slope, _ in terms[0]) if terms else ()
        counts = len(rule.state), len(rule.constants), len(self._constants)
        self._formulas = Formulas(rule.update, loss.value, loss.slope, *counts, pairs)
        strengths = [stacked(precision.cast(one[k][-1]) for one in terms) for k in range(len(pairs))]
        self._bound = (
            layout.constants(self._constants, dtype),
            layout.constants(rule.constants, dtype),
            layout.constants(strengths or [precision.number(0)], dtype),
            given,
        )

    def _advance(self, end: int) -> Logs:
        """Run as many epochs as fit into one call, if nobody looks on between them."""
        batches, alone = self._batches, all(it.may_come_late for it in self.callbacks.callbacks)
        epochs = min(end - self.state.epoch, self._steps_at_once // len(batches))
        if epochs <= 1 or self.position.batches or not alone or self.validation is not None or batches.factors_change:
            return super()._advance(end)
        batches.reorder(self.state.generator, epochs)
        steps = self._steps(0, len(batches), epochs)
        means = added(steps, batches.rows) / self.epoch_rows
        losses, learning_rates = _entries(means), self._learning_rates(len(batches), epochs)
        first, self.state.epoch = self.state.epoch, self.state.epoch + epochs
        self._append({"loss": losses, "learning_rate": learning_rates}, epochs)
        for k in range(epochs if self.callbacks.callbacks else 0):
            logs = {"loss": losses[k], "learning_rate": learning_rates[k]}
            self.callbacks.call("on_epoch_end", first + k, logs)
        return {"loss": losses[-1], "learning_rate": learning_rates[-1]}

    def _chunk(self, first: int, last: int) -> Array:
        """Run the batches from `first` up to `last` of the epoch, and return their losses."""
        (losses,) = self._steps(first, last, 1)
        self._last_learning_rate = as_logged(self._lr[-1].copy())
        return losses.astype(np.float64, copy=False)

    def _steps(self, first: int, last: int, epochs: int) -> Array:
        """Run the batches from `first` up to `last` of some epochs.

        Returns
        -------
        array of shape (epochs, last - first) or (epochs, last - first, K)
            Their losses, of the type of the parameters, or with a penalty in float64.
        """
        problem, batches, state, layout = self._rows, self._batches, self.state, self._layout
        count = epochs * (last - first)
        rates, self._lr = self._rates.arrays(state.learning_rate, state.iterations, count)
        shape, dtype = state.parameters.shape, state.parameters.dtype
        # Arrays of the state may be shared (with `fitted`, with each other), and the loop writes into its own.
        p = layout.vectors(state.parameters)
        slots = layout.vectors(np.array(state.slots, dtype).reshape(len(state.slots), *shape))
        empty = np.empty((0, *shape[1:]), dtype)
        total, average = (layout.vectors(empty if it is None else it) for it in (state.total, state.average))
        g, e = at_a_line(p.shape, dtype), at_a_line((*p.shape[:-1], max(TILE, 5 * layout.width)), dtype)
        sums, penalties = layout.room(count, dtype), layout.room(count if self._penalty else 0, dtype)
        for_rule = lrs = layout.numbers(rates)
        if rates is not self._lr and self._form.around:
            lrs = layout.numbers(self._lr)
        self._call(
            *(self._matrix, problem.target, batches.orders, batches.weights, batches.factor),
            *(problem.batch_size, first, last, epochs, problem.kernel_size),
            *(for_rule, lrs, state.iterations),
            *(p, g, e, slots, total, average),
            *self._bound,
            *(sums, penalties),
        )
        state.parameters = layout.back(p, shape)
        state.slots = list(layout.back(slots, (len(state.slots), *shape)))
        state.total = None if state.total is None else layout.back(total, shape)
        state.average = None if state.average is None else layout.back(average, shape)
        state.iterations += count
        sums = layout.back(sums, (count, *shape[1:])).reshape(epochs, last - first, *shape[1:])
        losses = batches.means(sums, first, last, out=sums)
        if not self._penalty:
            return losses
        return losses.astype(np.float64) + layout.back(penalties, (count, *shape[1:])).reshape(losses.shape)

    def _learning_rates(self, batches: int, epochs: int) -> list[Any]:
        """Return the learning rate of the last step of each of the epochs that have been run."""
        if any(map(callable, members(self.state.learning_rate))):
            return _entries(self._lr[batches - 1 :: batches])
        return _entries(self._lr[:1].copy()) * epochs

    def _call(self, *arguments: Any) -> None:
        try:
            with _all_cores if self._on_all_cores else contextlib.nullcontext():
                self._train(*arguments)
        except NumbaError as error:
            names = f"{self.optimizer!r}, {self.loss!r} and {self.regularizer!r}"
            raise TypeError(
                f'engine="numba": Numba cannot compile the formulas of {names}. Make them of + - * / and NumPy '
                f'functions that Numba knows, or set engine="numpy". Numba says: {error}'
            ) from None


def _entries(values: Array) -> list[Any]:
    """Return the entries of a history: numbers, or arrays of shape (K,)."""
    return values.tolist() if values.ndim == 1 else list(values)
