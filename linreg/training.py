"""The hot loop: batch -> prediction -> slope of the loss -> gradient -> rule -> parameters.

Everything that a step needs (rounded constants, views of batches, buffers) is bound before the loop starts, so that a
step is two matrix products, the slope and the rule. The loop runs over *chunks* of batches; between chunks it looks
for Ctrl-C, and between epochs it books the loss and calls the callbacks.
"""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from linreg import optimizers
from linreg.callbacks import CallbackList, Logs
from linreg.hyperparameters import check_number
from linreg.losses import Loss, divisor, row_factor
from linreg.optimizers import Optimizer
from linreg.precision import Precision
from linreg.regularizers import Regularizer
from linreg.schedules import Schedule, rates_of

Array = Any
Step = Callable[["State", Array, Any, Any], None]

CHUNK = 1024
"""Steps between two looks at the keyboard: a few milliseconds."""


@dataclass(frozen=True)
class Problem:
    """What is trained on: [X, 1], y and weights, and how they are cut into batches.

    Parameters
    ----------
    matrix : array of shape (rows, parameters)
        [X, 1], or X where there is no intercept.
    target : array of shape (rows,), or (rows, 1) where `State.parameters` holds K models
        y.
    weight : array of shape (rows,) or None
        Sample weights.
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


@dataclass
class State:
    """All that a run needs to go on bit for bit.

    Parameters
    ----------
    parameters : array of shape (parameters,) or (parameters, K)
        The kernel, then the bias.
    slots : list of array
        The state of the rule, each of the shape of the parameters.
    letters : tuple of str
        What each of the slots is: m, v, ...
    learning_rate : float, Schedule or callable
        The learning rate as callbacks may have changed it.
    generator : numpy.random.Generator
        Draws the order of each epoch.
    total : array or None
        Gradients accumulated since the last update.
    average : array or None
        Moving average of the parameters.
    iterations : int
        Batches done.
    epoch : int
        Epochs done.
    fitted : array or None
        The parameters of the fitted model: those of the last step, or their average where there is one, or what a
        callback restored.
    """

    parameters: Array
    slots: list[Array]
    letters: tuple[str, ...]
    learning_rate: Any
    generator: np.random.Generator
    total: Array | None = None
    average: Array | None = None
    iterations: int = 0
    epoch: int = 0
    fitted: Array | None = None

    @classmethod
    def start(
        cls, parameters: Array, optimizer: Optimizer, precision: Precision, generator: np.random.Generator
    ) -> State:
        """Return the state before the first step: everything but the parameters is zero."""
        letters = optimizer.rule(precision).state
        return cls(
            parameters,
            [np.zeros_like(parameters) for _ in letters],
            letters,
            optimizer.learning_rate,
            generator,
            total=np.zeros_like(parameters) if optimizer.gradient_accumulation_steps else None,
            average=np.zeros_like(parameters) if optimizer.use_ema else None,
        )


def bind_step(optimizer: Optimizer, precision: Precision, kernel_size: int) -> Step:
    """Return `step(state, g, rate, lr)`: accumulate -> clip -> decay -> rule -> average, only those that are asked for.

    Parameters
    ----------
    optimizer : Optimizer
        The rule and what stands around it.
    precision : Precision
        The arithmetic of the run.
    kernel_size : int
        Where the kernel ends and the bias begins, since `clipnorm` treats each by itself.

    Returns
    -------
    callable
        Changes the state by one batch; `rate` is what the rule takes, `lr` the learning rate it came from.
    """
    number, cast = precision.number, precision.cast
    rule = optimizer.rule(precision)
    update, constants = rule.update, rule.constants

    def follow_rule(state: State, g: Array, rate: Any, lr: Any) -> None:  # noqa: ARG001 (weight decay needs lr)
        state.parameters, *state.slots = update(state.parameters, g, *state.slots, rate, *constants)

    step: Step = follow_rule
    if optimizer.weight_decay is not None:
        step = _with_decay(step, cast(optimizer.weight_decay))
    if optimizer.clipnorm:
        step = _with_clipping(step, _clip_each(number(optimizer.clipnorm), kernel_size))
    elif optimizer.global_clipnorm:
        step = _with_clipping(step, _clip_all(number(optimizer.global_clipnorm)))
    elif optimizer.clipvalue:
        clipvalue = number(optimizer.clipvalue)
        step = _with_clipping(step, lambda g: optimizers.clip_by_value(g, clipvalue))
    if optimizer.gradient_accumulation_steps:
        step = _with_accumulation(step, optimizer.gradient_accumulation_steps)
    if optimizer.use_ema:
        step = _with_average(step, optimizer, number)
    return step


def _with_decay(inner: Step, weight_decay: Any) -> Step:
    def step(state: State, g: Array, rate: Any, lr: Any) -> None:
        state.parameters = optimizers.decayed(state.parameters, weight_decay, lr)
        inner(state, g, rate, lr)

    return step


def _with_clipping(inner: Step, clip: Callable[[Array], Array]) -> Step:
    def step(state: State, g: Array, rate: Any, lr: Any) -> None:
        inner(state, clip(g), rate, lr)

    return step


def _clip_each(clipnorm: Any, kernel_size: int) -> Callable[[Array], Array]:
    def clip(g: Array) -> Array:
        parts = (part for part in (g[:kernel_size], g[kernel_size:]) if len(part))
        return np.concatenate([optimizers.clip_by_norm(part, optimizers.norm(part), clipnorm) for part in parts])

    return clip


def _clip_all(clipnorm: Any) -> Callable[[Array], Array]:
    def clip(g: Array) -> Array:
        return optimizers.clip_by_global_norm(g, optimizers.norm(g), clipnorm)

    return clip


def _with_accumulation(inner: Step, every: int) -> Step:
    def step(state: State, g: Array, rate: Any, lr: Any) -> None:
        state.total = optimizers.accumulated(state.total, g)
        if (state.iterations + 1) % every == 0:
            inner(state, state.total / every, rate, lr)
            state.total = np.zeros_like(g)

    return step


def _with_average(inner: Step, optimizer: Optimizer, number: Callable[[float], Any]) -> Step:
    every, overwrite = optimizer.gradient_accumulation_steps or 1, optimizer.ema_overwrite_frequency
    first, later = number(0), number(optimizer.ema_momentum)

    def step(state: State, g: Array, rate: Any, lr: Any) -> None:
        inner(state, g, rate, lr)
        updates = state.iterations // every
        state.average = optimizers.averaged(state.average, state.parameters, later if updates else first)
        if overwrite and (updates + 1) % overwrite == 0:
            state.parameters = state.average

    return step


class Rates:
    """The learning rate of each step and what the rule takes in its place, computed many steps at a time.

    Parameters
    ----------
    optimizer : Optimizer
        Knows what its rule takes.
    precision : Precision
        The arithmetic of the run.
    """

    def __init__(self, optimizer: Optimizer, precision: Precision) -> None:
        self._rate = optimizer.rule(precision).rate
        self._every = optimizer.gradient_accumulation_steps or 1
        self._precision = precision
        self._source: Any = None
        self._first = self._end = 0
        self._pairs: list[tuple[Any, Any]] = []

    def pairs(self, source: Any, first: int, count: int) -> list[tuple[Any, Any]]:
        """Return (rate, lr) of `count` steps from step `first`, with learning rates from `source`."""
        if source is not self._source or not self._first <= first <= first + count <= self._end:
            # A callable of the user's is asked for no more steps than are run now.
            ahead = count if callable(source) and not isinstance(source, Schedule) else max(count, CHUNK)
            steps = np.arange(first, first + ahead)
            lr = rates_of(source, steps, self._precision)
            rate = self._rate(lr, steps // self._every + 1)
            self._source, self._first, self._end = source, first, first + ahead
            self._pairs = list(zip(rate, lr, strict=True))
        offset = first - self._first
        return self._pairs[offset : offset + count]


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
        self._shuffle = shuffle
        self.matrix = np.empty_like(problem.matrix) if shuffle else problem.matrix
        self.target = np.empty_like(problem.target) if shuffle else problem.target
        self.weight = problem.weight
        self.error = np.empty_like(problem.matrix, shape=(len(problem.target), *like.shape[1:]))
        self.starts = problem.starts
        self.ends = np.minimum(self.starts + problem.batch_size, len(problem.target))
        self.rows = self.ends - self.starts
        self._views: list[tuple[Array, ...]] | None = None
        self._divisors: Array = None

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.starts)

    def reorder(self, generator: np.random.Generator) -> None:
        """Lay the rows out in the order of the next epoch."""
        if not self._shuffle:
            return
        order = generator.permutation(len(self.target))
        np.take(self._problem.matrix, order, axis=0, out=self.matrix, mode="clip")
        np.take(self._problem.target, order, axis=0, out=self.target, mode="clip")
        if self._problem.weight is not None:
            self.weight = self._problem.weight[order]
            self._views = self._divisors = None

    def views(self, first: int, last: int) -> Iterable[tuple[Array, ...]]:
        """Return (A, transposed A, y, error, row factor) of the batches from `first` up to `last`."""
        if self._views is None and len(self) <= 8 * CHUNK:
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
                    factors[rows] = row_factor(self._number, divisor(self._loss.reduction, rows))
                factor = factors[rows]
            else:
                weight = self.weight[start:end]
                factor = row_factor(self._number, divisor(self._loss.reduction, rows, weight), weight)
                if self.error.ndim == 2:
                    factor = factor[:, np.newaxis]
            yield matrix, matrix.T, self.target[start:end], self.error[start:end], factor

    def losses(self, first: int, last: int, constants: tuple[Any, ...]) -> Array:
        """Return the loss of each batch from `first` up to `last`, from the errors that their steps left behind.

        The errors of many rows lie in one buffer, so that the values cost next to nothing a step.
        """
        start, end = int(self.starts[first]), int(self.ends[last - 1])
        values = self._loss.value(self.error[start:end], *constants)
        if self.weight is not None:
            weight = self.weight[start:end]
            values = values * (weight if values.ndim == 1 else weight[:, np.newaxis])
        sums = np.add.reduceat(values, self.starts[first:last] - start, axis=0)
        if self._divisors is None:
            self._divisors = self._batch_divisors()
        return (sums.T / self._divisors[first:last]).T

    def _batch_divisors(self) -> Array:
        parts = itertools.repeat(None) if self.weight is None else iter(np.split(self.weight, self.starts[1:]))
        divisors = [divisor(self._loss.reduction, rows, next(parts)) for rows in self.rows.tolist()]
        # A batch whose weights sum to nothing counts as 0 (Keras' divide_no_nan): its sum is 0 already.
        return np.array([self._number(d if d != 0 else 1) for d in divisors])

    def evaluate(self, parameters: Array, constants: tuple[Any, ...]) -> Any:
        """Return the loss at given parameters, without a penalty: the mean over batches, weighted by their rows."""
        np.dot(self.matrix, parameters, out=self.error)
        np.subtract(self.error, self.target, out=self.error)
        return np.average(self.losses(0, len(self), constants).astype(np.float64), axis=0, weights=self.rows)


@dataclass
class Run:
    """One call of fit: it drives the loop, keeps the history, and is what callbacks see.

    Parameters
    ----------
    problem : Problem
        The data.
    state : State
        Where to start; it is changed in place, so that an interrupted run keeps what it had.
    optimizer : Optimizer
        The rule and what stands around it.
    loss : Loss
        The loss.
    precision : Precision
        The arithmetic.
    shuffle : bool, default=True
        Whether each epoch has its own order.
    regularizer : Regularizer, optional
        Penalty on the kernel.
    validation : Problem, optional
        Data whose loss is reported as `val_loss` after each epoch.
    callbacks : CallbackList
        What to call between steps.
    history : dict of str to list
        One entry an epoch; a run that goes on appends.
    """

    problem: Problem
    state: State
    optimizer: Optimizer
    loss: Loss
    precision: Precision
    shuffle: bool = True
    regularizer: Regularizer | None = None
    validation: Problem | None = None
    callbacks: CallbackList = field(default_factory=lambda: CallbackList(()))
    history: dict[str, list[float]] = field(default_factory=dict)
    stop_training: bool = False

    def __post_init__(self) -> None:
        """Bind everything that a step needs."""
        self._batches = Batches(self.problem, self.shuffle, self.loss, self.precision, self.state.parameters)
        self._step = bind_step(self.optimizer, self.precision, self.problem.kernel_size)
        self._rates = Rates(self.optimizer, self.precision)
        self._constants = self.loss.constants(self.precision.number)
        self._penalty = self.regularizer.bind(self.precision.number) if self.regularizer is not None else None
        self._validation: Batches | None = None
        if self.validation is not None:
            self._validation = Batches(self.validation, False, self.loss, self.precision, self.state.parameters)
        self._interrupted = False

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
        """Return a copy of the parameters: the kernel, then the bias."""
        return self.state.parameters.copy()

    def set_weights(self, weights: Array) -> None:
        """Overwrite the parameters."""
        shape, dtype = self.state.parameters.shape, self.state.parameters.dtype
        self.state.parameters = self.state.fitted = np.array(weights, dtype=dtype).reshape(shape)

    def train(self, epochs: int) -> None:
        """Run so many epochs more, unless a callback stops the run.

        Parameters
        ----------
        epochs : int
            Epochs to run.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C; the state then holds all steps that were finished, the history all epochs.
        """
        self.callbacks.set_run(self)
        logs: Logs = {}
        # A diverging run overflows; that is its result, not a reason to warn.
        with _KeyboardWatch(self), np.errstate(all="ignore"):
            try:
                self.callbacks.on_train_begin(logs)
                for epoch in range(self.state.epoch, self.state.epoch + epochs):
                    logs = self._epoch(epoch)
                    if self.stop_training:
                        break
            finally:
                self.state.fitted = self.state.parameters if self.state.average is None else self.state.average
            self.callbacks.on_train_end(logs)
        if self._interrupted:
            raise KeyboardInterrupt

    def _validation_loss(self, validation: Batches) -> Any:
        """Return the loss of the validation data at the parameters as they are, with the penalty."""
        loss, kernel = validation.evaluate(self.state.parameters, self._constants), self.problem.kernel_size
        return loss if self._penalty is None else loss + self._penalty[0](self.state.parameters[:kernel])

    def _epoch(self, epoch: int) -> Logs:
        self.callbacks.on_epoch_begin(epoch, {})
        batches, watched = self._batches, self.callbacks.watches_batches
        batches.reorder(self.state.generator)
        weighted_sum, rows = 0.0, 0
        for first in range(0, len(batches), 1 if watched else CHUNK):
            last = first + 1 if watched else min(first + CHUNK, len(batches))
            if watched:
                self.callbacks.on_train_batch_begin(first, {})
            losses = self._chunk(first, last)
            weighted_sum = weighted_sum + np.dot(batches.rows[first:last], losses)
            rows = int(batches.ends[last - 1])
            if watched:
                self.callbacks.on_train_batch_end(first, {"loss": _as_logged(weighted_sum / rows)})
                if self.stop_training:
                    break
        logs = {"loss": _as_logged(weighted_sum / rows), "learning_rate": self._last_learning_rate()}
        if self._validation is not None:
            logs["val_loss"] = _as_logged(self._validation_loss(self._validation))
        self.state.epoch = epoch + 1
        self.callbacks.on_epoch_end(epoch, logs)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)
        return logs

    def _chunk(self, first: int, last: int) -> Array:
        """Run the batches from `first` up to `last` of the epoch, the hot loop, and return their losses."""
        state, step, slope, constants = self.state, self._step, self.loss.slope, self._constants
        penalty, kernel, penalties = self._penalty, slice(0, self.problem.kernel_size), []
        dot, subtract = np.dot, np.subtract
        views = self._batches.views(first, last)
        pairs = self._rates.pairs(state.learning_rate, state.iterations, last - first)
        for (matrix, transposed, target, error, factor), (rate, lr) in zip(views, pairs, strict=True):
            dot(matrix, state.parameters, out=error)
            subtract(error, target, out=error)
            g = dot(transposed, slope(error, factor, *constants))
            if penalty is not None:
                w = state.parameters[kernel]
                penalties.append(penalty[0](w))
                g[kernel] += penalty[1](w)
            step(state, g, rate, lr)
            state.iterations += 1
        if self._interrupted:
            raise KeyboardInterrupt
        losses = self._batches.losses(first, last, constants).astype(np.float64)
        return losses + np.array(penalties) if penalties else losses

    def _last_learning_rate(self) -> float:
        return float(self._rates.pairs(self.state.learning_rate, self.state.iterations - 1, 1)[0][1])

    def interrupt(self) -> None:
        """End the run with a KeyboardInterrupt as soon as the chunk that is running is finished."""
        self._interrupted = True


def _as_logged(loss: Any) -> Any:
    return loss if np.ndim(loss) else float(loss)


class _KeyboardWatch:
    """While a run lasts, Ctrl-C ends it between two steps; a second Ctrl-C ends it at once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._previous: Any = None

    def __enter__(self) -> None:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            self._previous = signal.signal(signal.SIGINT, self._handle)

    def _handle(self, *_: object) -> None:
        self._run.interrupt()
        signal.signal(signal.SIGINT, self._previous)

    def __exit__(self, *exception: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
