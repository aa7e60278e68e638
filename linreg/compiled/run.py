"""A run whose steps are compiled: whole epochs in one call, between which callbacks and Ctrl-C have their turn."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import numpy as np
from numba import get_num_threads
from numba.core.errors import NumbaError

from linreg.callbacks import Logs
from linreg.compiled.binding import CompiledPowers, InOrder, around, stands_there
from linreg.compiled.kernels import TILE, Form, kernel
from linreg.progress import ProgressBar
from linreg.stacks import members
from linreg.steps import Rates
from linreg.training import Run

Array = Any

AT_ONCE = 2**24
"""Numbers of the matrix that one call reads: some milliseconds of work."""
MOST_STEPS = 2**13
"""Steps of one call, whose learning rates are computed beforehand, while they fit into the cache."""
FEW_COLUMNS, MANY_ROWS = 4, 16
"""Up to so many features, and from so many rows in a batch on, X is read by columns."""
LARGE = 2**19
"""Numbers in a batch from which on all cores work on it."""

_all_cores = threading.Lock()
"""Not every threading layer of Numba can be entered twice at a time."""


class NumbaRun(Run):
    """A compiled run: the same state, history and parameters as `Run`, but for the order in which sums are added up.

    Parameters
    ----------
    problem, state, optimizer, loss, precision, shuffle, regularizer : Any
        As for `linreg.training.Run`.
    validation, callbacks, history, stop_training : Any
        As there.

    Raises
    ------
    TypeError
        If Numba cannot compile a rule, a loss or a penalty that is not linreg's own.
    """

    def __post_init__(self) -> None:
        """Bind everything that a step needs."""
        super().__post_init__()
        problem, precision, size = self.problem, self.precision, len(self.state.parameters)
        (optimizer,), (loss,) = members(self.optimizer), members(self.loss)  # one model: a sweep has a loop of its own
        self._batches: InOrder = InOrder(problem, self.shuffle, loss, precision, self.state.parameters)
        self._rates = Rates(self.optimizer, CompiledPowers.of(precision))
        rule, given = optimizer.rule(precision), around(optimizer, precision)
        terms = [] if self.regularizer is None else members(self.regularizer)[0].terms()
        in_batch = min(problem.batch_size, len(problem.target)) * size
        self._form = Form(
            columns=problem.kernel_size <= FEW_COLUMNS and problem.batch_size >= MANY_ROWS,
            blocks=in_batch >= LARGE,
            shuffled=self._batches.shuffled,
            around=stands_there(given),
        )
        if self._form.blocks:
            get_num_threads()  # This starts them, which code from disk relies on: a crash in Numba 0.61 otherwise.
        matrix = problem.matrix[:, : problem.kernel_size].T if self._form.columns else problem.matrix
        self._matrix = np.ascontiguousarray(matrix)
        pairs = tuple((penalty, slope) for penalty, slope, _ in terms)
        self._train = kernel(rule.update, len(rule.state), loss.value, loss.slope, pairs, self._form)
        strengths = tuple(precision.cast(strength) for *_, strength in terms) or (precision.number(0),)
        self._bound = self._constants, tuple(rule.constants), strengths, given
        self._steps_at_once = min(max(1, AT_ONCE // in_batch), MOST_STEPS)

    def _advance(self, end: int) -> Logs:
        """Run as many epochs as fit into one call, if nobody looks on between them."""
        batches, alone = self._batches, all(isinstance(it, ProgressBar) for it in self.callbacks.callbacks)
        epochs = min(end - self.state.epoch, self._steps_at_once // len(batches))
        if epochs <= 1 or not alone or self.validation is not None or batches.factors_change:
            return super()._advance(end)
        batches.reorder(self.state.generator, epochs)
        losses = (self._steps(0, len(batches), epochs) @ batches.rows / len(self.problem.target)).tolist()
        learning_rates = self._lr[len(batches) - 1 :: len(batches)].tolist()
        first, self.state.epoch = self.state.epoch, self.state.epoch + epochs
        self._append({"loss": losses, "learning_rate": learning_rates}, epochs)
        for k in range(epochs if self.callbacks.callbacks else 0):
            logs = {"loss": losses[k], "learning_rate": learning_rates[k]}
            self.callbacks.call("on_epoch_end", first + k, logs)
        if self._interrupted:
            raise KeyboardInterrupt
        return {"loss": losses[-1], "learning_rate": learning_rates[-1]}

    def _chunk(self, first: int, last: int) -> Array:
        """Run the batches from `first` up to `last` of the epoch, and return their losses."""
        (losses,) = self._steps(first, last, 1)
        self._last_learning_rate = float(self._lr[-1])
        if self._interrupted:
            raise KeyboardInterrupt
        return losses

    def _steps(self, first: int, last: int, epochs: int) -> Array:
        """Run the batches from `first` up to `last` of some epochs, and return their losses, (epochs, last - first)."""
        problem, batches, state = self.problem, self._batches, self.state
        count = epochs * (last - first)
        rates, self._lr = self._rates.arrays(state.learning_rate, state.iterations, count)
        # Arrays of the state may be shared (with `fitted`, with each other), and the loop writes into its own.
        p = state.parameters.copy()
        slots = np.array(state.slots, p.dtype).reshape(len(state.slots), len(p))
        total, average = (np.empty(0, p.dtype) if it is None else it.copy() for it in (state.total, state.average))
        sums, penalties = np.empty(count, p.dtype), np.empty(count if self._penalty else 0, p.dtype)
        steps = problem.batch_size, first, last, epochs
        buffers = p, np.empty_like(p), np.empty(TILE, p.dtype), slots, total, average
        self._call(
            *(self._matrix, problem.target, batches.orders, batches.weights, batches.factor),
            *steps,
            problem.kernel_size,
            *(rates, self._lr, state.iterations),
            *buffers,
            *self._bound,
            *(sums, penalties),
        )
        state.parameters, state.slots = p, list(slots)
        state.total = None if state.total is None else total
        state.average = None if state.average is None else average
        state.iterations += count
        shape = (epochs, last - first)
        means = batches.means(sums.reshape(shape).T, first, last).T.astype(np.float64)
        return means + penalties.reshape(shape) if self._penalty else means

    def _call(self, *arguments: Any) -> None:
        try:
            with _all_cores if self._form.blocks else contextlib.nullcontext():
                self._train(*arguments)
        except NumbaError as error:
            names = f"{self.optimizer!r}, {self.loss!r} and {self.regularizer!r}"
            raise TypeError(
                f'engine="numba": Numba cannot compile the formulas of {names}. Make them of + - * / and NumPy '
                f'functions that Numba knows, or set engine="numpy". Numba says: {error}'
            ) from None
