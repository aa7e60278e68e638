"""`engine="exact"`: a run of SGD on a squared error computed by `linreg.dynamics` instead of step by step."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np

from linreg.batches import Problem
from linreg.dynamics.epoch_map import (
    LARGEST_MAP,
    RUN_INSTEAD,
    Epoch,
    mean_over_batches,
    require_linear,
)
from linreg.dynamics.quadratic import Quadratic, as_few_rows
from linreg.dynamics.runs import ClosedForm
from linreg.losses import Loss
from linreg.optimizers import Optimizer
from linreg.precision import FLOAT64
from linreg.progress import ProgressBar
from linreg.regularizers import Regularizer
from linreg.seeds import KerasGenerator
from linreg.training import Position, Run

Array = Any

OWNER = 'LinearRegression with engine="exact"'
AT_ONCE = 2**16
"""Epochs whose losses are computed together."""


class ExactRun(Run):
    """A run that is computed, as `Run`, to float64 rounding.

    Raises
    ------
    TypeError
        If the optimizer is not SGD.
    ValueError
        If the run is not the same affine map in every epoch: reshuffled minibatches, callbacks, another arithmetic than
        float64, or what `linreg.dynamics.closed_form` refuses.
    """

    # One model, never a stack of them.
    optimizer: Optimizer
    loss: Loss
    regularizer: Regularizer | None
    validation: Problem | None

    def __post_init__(self) -> None:
        """Refuse what cannot be computed, then bind as any run does."""
        if self.precision is not FLOAT64:
            raise ValueError(f'{OWNER} computes in float64: set dtype="float64" too.')
        reshuffled = self.shuffle and self.problem.batch_size < len(self.problem.target)
        if reshuffled and not isinstance(self.state.generator, KerasGenerator):
            raise ValueError(
                f"{OWNER} needs the same batches in every epoch: set shuffle=False, batch_size=len(X), or "
                "random_state=KerasSeed(...), which keeps one order."
            )
        if any(not isinstance(callback, ProgressBar) for callback in self.callbacks.callbacks):
            raise ValueError(f"{OWNER} has no moment between two epochs for callbacks to act: leave them out.")
        if self.problem.kernel_size > LARGEST_MAP:
            raise ValueError(
                f"{OWNER}: X has {self.problem.kernel_size} features, but the linear algebra is done for up to "
                f"{LARGEST_MAP}: {RUN_INSTEAD}."
            )
        require_linear(self._quadratic(self.problem), self.optimizer, OWNER)
        super().__post_init__()

    def train(self, epochs: int) -> None:
        """Compute the state after so many epochs more, and the history on the way.

        Parameters
        ----------
        epochs : int
            Epochs.

        Raises
        ------
        KeyboardInterrupt or linreg.stopping.Terminated
            After Ctrl-C or SIGTERM; the state then is that before the first epoch.
        """
        with self._watch():
            try:
                self._compute(self.position.ahead, self.position.ahead + epochs)
            except BaseException:
                self._unbook(self.position.ahead)
                raise
        if self._signal:
            self._stop()

    def _compute(self, done: int, epochs: int) -> None:
        """Compute the state after so many epochs, of which some are in the history."""
        state, rows = self.state, len(self.problem.target)
        self.position.generator = copy.deepcopy(state.generator)
        optimizer = dataclasses.replace(self.optimizer, learning_rate=state.learning_rate)
        epoch = Epoch(self._quadratic(self.problem), optimizer, self.problem.batch_size, OWNER)
        order = state.generator.permutation(rows) if self.shuffle else None
        velocity = state.slots[0] if state.slots else None
        form = ClosedForm(epoch, state.parameters, order, velocity, state.iterations)
        if epochs > done:  # what is booked together decides the last bit
            self._unbook(done % AT_ONCE)
        for first in range(self.position.ahead, epochs, AT_ONCE):
            last = min(first + AT_ONCE, epochs)
            self._book(form, first, last)
            self.position.ahead = last
            if last < epochs:
                self._pause()
        if self.keeper is not None:
            self.keeper.keep(self)
        end = form.states([epochs])
        state.parameters = state.fitted = form.parameters(end)[:, 0]
        state.slots = [epoch.basis @ end[epoch.rank : -1, 0] for _ in state.slots]
        state.iterations += epochs * epoch.steps
        state.epoch += epochs
        self.position = Position()

    def _unbook(self, epochs: int) -> None:
        """Take the last epochs out of the history."""
        self.position.ahead -= epochs
        for values in self.history.values():
            del values[len(values) - epochs :]

    def _book(self, form: ClosedForm, first: int, last: int) -> None:
        """Append what the epochs from `first` up to `last` have in the history."""
        states = form.states(np.arange(first, last + 1))
        rates = form.last_rates(first, last)
        logs = {"loss": form.booked_losses(states[:, :-1], first), "learning_rate": rates}
        if self.validation is not None:
            logs["val_loss"] = self._validation_losses(self.validation, form.parameters(states[:, 1:]))
        self._append({name: values.tolist() for name, values in logs.items()}, last - first)

    def _validation_losses(self, validation: Problem, parameters: Array) -> Array:
        """Return the loss of the validation data at K sets of parameters (columns), with the penalty."""
        quadratic, batch_size = self._quadratic(validation), validation.batch_size
        starts = range(0, len(quadratic.target), batch_size)
        batches = [quadratic.weighted_rows(slice(start, start + batch_size)) for start in starts]
        rows = as_few_rows(mean_over_batches(batches, batch_size, len(quadratic.target)))
        with np.errstate(all="ignore"):
            losses = np.square(rows[:, :-1] @ parameters - rows[:, -1:]).sum(axis=0)
            return losses + quadratic.penalty(parameters)

    def _quadratic(self, problem: Problem) -> Quadratic:
        names = tuple(f"x{j}" for j in range(problem.matrix.shape[1]))
        data = problem.matrix, problem.target, problem.weight
        return Quadratic(*data, self.loss, self.regularizer, problem.kernel_size, names)
