"""The hot loop: batch -> prediction -> slope of the loss -> gradient -> rule -> parameters.

Everything that a step needs (rounded constants, views of batches, buffers) is bound before the loop starts, so that a
step is two matrix products, the slope and the rule. The loop runs over *chunks* of batches; between chunks it looks
for Ctrl-C and keeps a checkpoint where one is due, and between epochs it books the loss and calls the callbacks. Arrays
may lie on a GPU: no step looks at a value there, and the losses of an epoch are fetched in one transfer when they are
booked.
"""

from __future__ import annotations

import contextlib
import copy
import math
import signal
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from linreg.batches import Batches, Evaluated, Problem
from linreg.callbacks import CallbackList, Logs
from linreg.devices import device_of
from linreg.hyperparameters import check_number
from linreg.losses import Loss
from linreg.optimizers import Optimizer
from linreg.precision import Precision
from linreg.regularizers import Regularizer
from linreg.schedules import rates_of
from linreg.stacks import Several, constants_of, members, penalty_of
from linreg.steps import Rates, State, bind_step
from linreg.stopping import Watch, stop

Array = Any

CHUNK = 1024
"""Steps between two looks at the keyboard: a few milliseconds."""


@dataclass(slots=True)
class Position:
    """Where in an epoch a run stands between two chunks: what it takes, beside the state, to go on from there.

    Parameters
    ----------
    begun : bool, default=False
        Whether callbacks were told that the epoch begins; a new position stands between two epochs.
    window : int, default=0
        The part of its rows that the run is in; rows in memory are one part.
    batch : int, default=0
        Batches of that part that are done.
    batches : int, default=0
        Batches of the epoch that are done.
    rows : int, default=0
        Rows in them.
    loss_sum : float or array of shape (K,), default=0
        Sum of their losses, each times its rows.
    generator : numpy.random.Generator or other, optional
        A copy of the generator from before the order of the epoch was drawn, where the run is kept.
    ahead : int, default=0
        Epochs that are in the history although the state is that before them: of a run that is computed.
    """

    begun: bool = False
    window: int = 0
    batch: int = 0
    batches: int = 0
    rows: int = 0
    loss_sum: Any = 0.0
    generator: Any = None
    ahead: int = 0


class Keeper(Protocol):
    """What keeps a run, so that another process can go on with it."""

    def restore(self, run: Run) -> bool:
        """Bring callbacks to where they stood, after they were told that the run begins; return whether it is over."""

    def due_epoch(self, epoch: int) -> float:
        """Return before or after which epoch the run is to be kept next; inf if the clock decides."""

    def due(self, run: Run) -> bool:
        """Return whether it is to be kept now."""

    def keep(self, run: Run) -> None:
        """Keep it as it is."""

    def meets(self, window: Problem | None) -> None:
        """Refuse rows that are not those among which the run was kept; None where there are no more."""

    def words(self, run: Run) -> str:
        """Say how to go on with it."""


@dataclass
class Run:
    """One call of fit: it drives the loop, keeps the history, and is what callbacks see.

    Parameters
    ----------
    problem : Problem
        The data.
    state : State
        Where to start; it is changed in place, so that an interrupted run keeps what it had.
    optimizer : Optimizer or tuple of Optimizer
        The rule and what stands around it; a stack of them (see `linreg.stacks`) where the state holds K models.
    loss : Loss or tuple of Loss
        The loss.
    precision : Precision
        The arithmetic.
    shuffle : bool, default=True
        Whether each epoch has its own order.
    regularizer : Regularizer or tuple of Regularizer, optional
        Penalty on the kernel.
    validation : Problem or Evaluated, optional
        Data whose loss is reported as `val_loss` after each epoch.
    callbacks : CallbackList
        What to call between steps.
    history : dict of str to list
        One entry an epoch; a run that goes on appends.
    stop_training : bool, default=False
        Set by callbacks to end the run after this batch or epoch.
    position : Position
        Where in its epoch the run stands.
    keeper : Keeper, optional
        Keeps the run where it asks to be kept, at its end, and when it is stopped.
    """

    problem: Problem
    state: State
    optimizer: Several[Optimizer]
    loss: Several[Loss]
    precision: Precision
    shuffle: bool = True
    regularizer: Several[Regularizer] | None = None
    validation: Problem | Evaluated | None = None
    callbacks: CallbackList = field(default_factory=lambda: CallbackList(()))
    history: dict[str, list[float]] = field(default_factory=dict)
    stop_training: bool = False
    position: Position = field(default_factory=Position)
    keeper: Keeper | None = None

    def __post_init__(self) -> None:
        """Bind everything that a step needs."""
        loss, parameters = members(self.loss)[0], self.state.parameters
        self._device = device_of(self.problem.matrix)
        self._slope = loss.slope
        self._constants = tuple(map(self._device.put, constants_of(self.loss, self.precision.number)))
        self._penalty = None
        if self.regularizer is not None:
            self._penalty = penalty_of(self.regularizer, self.precision.cast, self._device)
        self._validation: Evaluated | None = None
        if not isinstance(self.validation, Problem):
            self._validation = self.validation
        else:
            self._validation = Batches(self.validation, False, loss, self.precision, parameters)
        self._steps_at_once = CHUNK
        self._signal = 0
        self.window: Problem | None = None
        self._last_learning_rate: Any = math.nan
        self._bind_loop()

    def _bind_loop(self) -> None:
        """Bind what the loop itself needs, which other engines run in another way."""
        self._bind_rows(self.problem)
        self._g = np.empty_like(self.state.parameters)
        self._step = bind_step(self.optimizer, self.precision, self.problem.kernel_size, self._device, self._g)
        self._rates = Rates(self.optimizer, self.precision, self._device)

    def _bind_rows(self, problem: Problem) -> None:
        """Bind the rows that the loop runs over."""
        parameters = self.state.parameters
        self._batches = Batches(problem, self.shuffle, members(self.loss)[0], self.precision, parameters)

    @property
    def epoch_rows(self) -> int:
        """Rows of an epoch."""
        return len(self.problem.target)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return float(rates_of(self.state.learning_rate, np.array([self.state.iterations]), self.precision)[0])

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        if callable(self.state.learning_rate):
            raise TypeError(
                f"The optimizer was given the schedule {self.state.learning_rate!r} as its learning rate, so callbacks "
                "cannot set it: give it a number."
            )
        check_number("learning rate", "set by a callback", value)
        self.state.learning_rate = float(value)

    def get_weights(self) -> Array:
        """Return a copy of the parameters: the kernel, then the bias; a CuPy array where they lie on a GPU."""
        return self.state.parameters.copy()

    def set_weights(self, weights: Array) -> None:
        """Overwrite the parameters."""
        parameters = np.empty_like(self.state.parameters)
        parameters[...] = np.reshape(self._device.put(weights, "weights"), parameters.shape)
        self.state.parameters = self.state.fitted = parameters

    def train(self, epochs: int) -> None:
        """Run so many epochs more, unless a callback stops the run.

        Parameters
        ----------
        epochs : int
            Epochs to run; 0 where all of them were kept.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C; the state then holds all steps that were finished, the history all epochs.
        linreg.stopping.Terminated
            The same after SIGTERM, where that is heard: with a keeper, and on the command line.
        """
        self.callbacks.call("set_run", self)
        # A diverging run overflows; that is its result, not a reason to warn.
        with self._watch(), np.errstate(all="ignore"):
            try:
                self.callbacks.call("on_train_begin", {})
                ended = self.keeper is not None and self.keeper.restore(self)
                logs: Logs = {name: values[-1] for name, values in self.history.items()}
                end = self.state.epoch + epochs
                while not ended and self.state.epoch < end:
                    logs = self._advance(self._next_stop(end))
                    ended = self.stop_training
                    if not ended and self.state.epoch < end:
                        self._pause()
                if self.keeper is not None:
                    self.keeper.keep(self)
                self._finish()
                self.callbacks.call("on_train_end", logs)
            except BaseException:
                self._finish()
                raise
            finally:
                self.callbacks.call("release_run")
        if self._signal:
            self._stop()

    def _watch(self) -> Watch:
        return Watch(self.interrupt, terminates=self.keeper is not None)

    def _next_stop(self, end: int) -> int:
        """Return up to which epoch the run may go before it is looked at."""
        return end if self.keeper is None else int(min(end, self.keeper.due_epoch(self.state.epoch)))

    def _pause(self) -> None:
        """Keep the run if that is due, and end it if somebody has asked for that."""
        if self.keeper is not None and (self._signal or self.keeper.due(self)):
            self.keeper.keep(self)
        if self._signal:
            self._stop()

    def _stop(self) -> None:
        epoch, batch = self.state.epoch + self.position.ahead, self.position.batches
        within = f", batch {batch} of epoch {epoch + 1}" if batch else ""
        kept = "" if self.keeper is None else f" {self.keeper.words(self)}"
        stop(self._signal, f"stopped after {epoch} epoch{'s'[: epoch != 1]}{within}.{kept}")

    def _validation_loss(self, validation: Evaluated) -> Any:
        """Return the loss of the validation data at the parameters as they are, with the penalty."""
        loss, kernel = validation.evaluate(self.state.parameters, self._constants), self.problem.kernel_size
        return loss if self._penalty is None else loss + self._penalty[0](self.state.parameters[:kernel])

    def _advance(self, end: int) -> Logs:  # noqa: ARG002 (other engines may run up to epoch `end` at once)
        """Run the next epoch, and return its logs."""
        return self._epoch(self.state.epoch)

    def _parts(self, at: Position) -> Generator[Batches, None, None]:  # noqa: ARG002 (rows in memory are one part)
        """Bind the rows of the next epoch, part by part from where `at` says, and yield their batches."""
        self._batches.reorder(self.state.generator)
        yield self._batches

    def _epoch(self, epoch: int) -> Logs:
        at, watched = self._begin(epoch), self.callbacks.watches_batches
        with contextlib.closing(self._parts(at)) as parts:
            for batches in parts:
                self._part(batches, at, 1 if watched else min(self._steps_at_once, batches.at_once), watched)
                if watched and self.stop_training:
                    break
        self.position = Position()
        return self._end_epoch(epoch, at.loss_sum / at.rows, self._last_learning_rate)

    def _begin(self, epoch: int) -> Position:
        """Return where an epoch begins or goes on."""
        at = self.position
        if not at.begun:
            self.callbacks.call("on_epoch_begin", epoch, {})
            at.begun = True
            if self.keeper is not None:
                at.generator = copy.deepcopy(self.state.generator)
        return at

    def _part(self, batches: Batches, at: Position, at_once: int, watched: bool) -> None:
        """Run the batches of a part that are left, so many at a time."""
        if at.batch > len(batches):
            self._meets(None)
        rows = at.rows - (int(batches.ends[at.batch - 1]) if at.batch else 0)
        while at.batch < len(batches):
            first, number = at.batch, at.batches
            last = min(first + at_once, len(batches))
            if watched:
                self.callbacks.call("on_train_batch_begin", number, {})
            losses = self._chunk(first, last)
            at.loss_sum = self._device.added(losses, batches.rows[first:last], at.loss_sum)
            at.batch, at.batches, at.rows = last, number + last - first, rows + int(batches.ends[last - 1])
            if watched:
                (so_far,) = self._logged(at.loss_sum / at.rows)
                self.callbacks.call("on_train_batch_end", number, {"loss": so_far})
                if self.stop_training:
                    break
            if at.batch < len(batches):
                self._pause()

    def _meets(self, window: Problem | None) -> None:
        """Have a run that goes on in the middle of an epoch look whether its rows are those that it knew."""
        if self.keeper is not None:
            self.keeper.meets(window)

    def _logged(self, *losses: Any) -> list[Any]:
        """Return losses as the logs hold them, in the host's memory: floats, or arrays where there are K models."""
        return list(map(as_logged, self._device.fetch(*losses)))

    def _end_epoch(self, epoch: int, loss: Any, learning_rate: float) -> Logs:
        """Book an epoch that has been run, and return its logs."""
        if self._validation is None:
            logs = {"loss": self._logged(loss)[0], "learning_rate": learning_rate}
        else:
            loss, val_loss = self._logged(loss, self._validation_loss(self._validation))
            logs = {"loss": loss, "learning_rate": learning_rate, "val_loss": val_loss}
        self.callbacks.call("on_epoch_end", epoch, logs)
        self.state.epoch = epoch + 1
        self._append({name: [value] for name, value in logs.items()}, 1)
        return logs

    def _append(self, logs: dict[str, list[float]], epochs: int) -> None:
        """Append some epochs to the history: one entry an epoch, nan where an epoch has no such number."""
        booked = len(self.history.get("loss", ()))
        for name in logs.keys() - self.history.keys():
            self.history[name] = [math.nan] * booked
        for name, values in self.history.items():
            values.extend(logs.get(name) or [math.nan] * epochs)

    def _finish(self) -> None:
        self.state.fitted = self.state.parameters if self.state.average is None else self.state.average

    def _chunk(self, first: int, last: int) -> Array:
        """Run the batches from `first` up to `last` of the epoch, the hot loop, and return their losses."""
        state, step, slope, constants = self.state, self._step, self._slope, self._constants
        penalty, kernel = self._penalty, slice(0, self.problem.kernel_size)
        subtract, g = np.subtract, self._g
        if penalty is not None:
            began, penalties = state.iterations, np.empty_like(g, shape=(last - first, *g.shape[1:]))
        views = self._batches.views(first, last)
        pairs = self._rates.pairs(state.learning_rate, state.iterations, last - first)
        for (predict, add_up, target, error, factor), (rate, lr) in zip(views, pairs, strict=True):
            predict(state.parameters, error)
            subtract(error, target, error)
            add_up(slope(error, factor, *constants), g)
            if penalty is not None:
                w = state.parameters[kernel]
                penalties[state.iterations - began] = penalty[0](w)
                g[kernel] += penalty[1](w)
            step(state, g, rate, lr)
            state.iterations += 1
        state.settle()
        self._last_learning_rate = as_logged(self._rates.last)
        losses = self._batches.losses(first, last, constants).astype(np.float64)
        return losses if penalty is None else losses + penalties

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """End the run, as a signal asks, as soon as the chunk that is running is finished: with a KeyboardInterrupt."""
        self._signal = number


def as_logged(loss: Any) -> Any:
    """Return a number of the logs: a float, or an array of shape (K,) of K models."""
    return loss if getattr(loss, "shape", ()) else float(loss)
