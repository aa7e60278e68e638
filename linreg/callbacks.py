"""Callbacks: what happens between the steps of a run, with Keras' names and meaning.

A callback of one's own derives from `Callback` and overrides any of the hooks. Through `self.run` it sees the run:
`run.learning_rate` can be read and set, `run.stop_training = True` ends the run, and `run.get_weights()` and
`run.set_weights(weights)` copy the parameters out and in.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np

from linreg.hyperparameters import check_count, check_number, nearest

__all__ = [
    "Callback",
    "EarlyStopping",
    "LearningRateScheduler",
    "ReduceLROnPlateau",
    "Run",
    "TerminateOnNaN",
]

Logs = dict[str, float]


class Run(Protocol):
    """What a callback can see and change of the run.

    Attributes
    ----------
    stop_training : bool
        Set it to True to end the run: after the batch where a batch hook sets it, else after the epoch.
    learning_rate : float
        The rate of the next step, in units of parameter per unit of gradient; can be set.

    Examples
    --------
    >>> from linreg import LinearRegression
    >>> from linreg.callbacks import Callback
    >>> class TwoEpochs(Callback):
    ...     def on_epoch_end(self, epoch, logs):
    ...         self.run.stop_training = epoch == 1
    >>> LinearRegression(callbacks=[TwoEpochs()]).fit([[0.0], [1.0]], [1.0, 3.0]).n_iter_
    2
    """

    stop_training: bool
    learning_rate: float

    def get_weights(self) -> Any:
        """Return a copy of the parameters: the kernel, then the bias."""

    def set_weights(self, weights: Any) -> None:
        """Overwrite the parameters."""


class Callback:
    """Base of all callbacks: hooks that do nothing, and the run as `self.run`.

    Notes
    -----
    Dialect: Keras' `Callback`, with `self.run` in the place of `self.model`. As there, `logs` holds "loss" (for batches
    the mean over the epoch so far), at the end of an epoch also "val_loss" where validation data were given, and what
    a hook writes into it ends up in the history.

    Examples
    --------
    >>> from linreg import LinearRegression
    >>> from linreg.callbacks import Callback
    >>> class Halve(Callback):
    ...     def on_epoch_begin(self, epoch, logs):
    ...         self.run.learning_rate = 0.5 ** (epoch + 1)
    >>> model = LinearRegression(epochs=3, callbacks=[Halve()]).fit([[0.0], [1.0]], [1.0, 3.0])
    >>> model.history_["learning_rate"]
    [0.5, 0.25, 0.125]
    """

    run: Run
    may_come_late = False
    """Whether it only reads the logs at the end of epochs, so that it may be called for several epochs afterwards."""
    remembers: tuple[str, ...] = ()
    """Names of the attributes in which it notes what it has seen of the run: numbers, text, arrays of numbers, and
    lists, tuples and dicts of them. A run that goes on from a checkpoint finds them as they were, with their types and
    bits; whatever is not named begins anew."""

    def set_run(self, run: Run) -> None:
        """Receive the run, before it starts."""
        self.run = run

    def release_run(self) -> None:
        """Let go of the run, after it has ended: a callback outlives it and must not hold its data."""
        self.__dict__.pop("run", None)

    def get_state(self) -> dict[str, Any]:
        """Return what it has noted since the run began; a checkpoint keeps that."""
        return {name: getattr(self, name, None) for name in self.remembers}

    def set_state(self, state: dict[str, Any]) -> None:
        """Note again what `get_state` has returned, after `on_train_begin`."""
        for name in self.remembers:
            if name in state:
                setattr(self, name, state[name])

    def on_train_begin(self, logs: Logs) -> None:
        """Act once before the first epoch."""

    def on_train_end(self, logs: Logs) -> None:
        """Act once after the last epoch, also when the run was stopped."""

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        """Act before each epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Act after each epoch and its validation."""

    def on_train_batch_begin(self, batch: int, logs: Logs) -> None:
        """Act before each batch, counted from 0 in its epoch."""

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        """Act after each batch."""

    @property
    def watches_batches(self) -> bool:
        """Whether a batch hook is overridden; if none is, the loop runs many batches at a time."""
        own = type(self)
        return (
            own.on_train_batch_begin is not Callback.on_train_batch_begin
            or own.on_train_batch_end is not Callback.on_train_batch_end
        )


class CallbackList:
    """Several callbacks, called in the order given.

    Parameters
    ----------
    callbacks : iterable of Callback
        The callbacks.

    Raises
    ------
    TypeError
        If one of them is something else, for example a callback of Keras.
    """

    def __init__(self, callbacks: Iterable[Callback]) -> None:
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                own = "EarlyStopping, ReduceLROnPlateau, TerminateOnNaN, LearningRateScheduler, or your own"
                kind = f"{type(callback).__module__}.{type(callback).__qualname__}"
                raise TypeError(f"callbacks must derive from linreg.callbacks.Callback ({own}), got {kind}.")
        self.watches_batches = any(callback.watches_batches for callback in self.callbacks)

    def call(self, hook: str, *arguments: Any) -> None:
        """Call one method of every callback.

        Parameters
        ----------
        hook : str
            Name of the method, for example "on_epoch_end".
        *arguments : object
            Its arguments.
        """
        for callback in self.callbacks:
            getattr(callback, hook)(*arguments)


class Monitor(Callback):
    """Base of the callbacks that watch one number for improvement.

    Parameters
    ----------
    monitor : str
        Key in the logs.
    min_delta : float
        Smallest change that counts as an improvement, in units of the monitored number.
    mode : {"auto", "min", "max"}
        Which way is better; "auto" is "min" for the losses, the only numbers that are monitored here.
    """

    def __init__(self, monitor: str, min_delta: float, mode: str) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{type(self).__name__}: unknown mode {mode!r}{nearest(mode, ['auto', 'min', 'max'])}.")
        if mode == "auto" and monitor not in ("loss", "val_loss"):
            raise ValueError(f"{type(self).__name__}: which way is {monitor!r} better? Give mode='min' or mode='max'.")
        check_number(type(self).__name__, "min_delta", min_delta, low=-math.inf)
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(min_delta)
        self.best: float | None = None

    def monitored(self, logs: Logs) -> float | None:
        """Return the monitored number, warning once an epoch if the run does not have it."""
        value = logs.get(self.monitor)
        if value is None:
            warnings.warn(
                f"{type(self).__name__} watches {self.monitor!r}, which this run does not have, so it does nothing. "
                f"Available: {', '.join(logs)}. Give validation_data, or watch 'loss'.",
                stacklevel=2,
            )
        return value

    def improves(self, value: float, reference: float | None) -> bool:
        """Whether `value` is better than `reference` by more than `min_delta`."""
        if reference is None:
            return True
        if self.mode == "max":
            return value - self.min_delta > reference
        return value + self.min_delta < reference


class EarlyStopping(Monitor):
    """Stop when the monitored number has stopped improving.

    Parameters
    ----------
    monitor : {"val_loss", "loss"}, default="val_loss"
        Number to watch.
    min_delta : float, default=0
        Smallest change that counts as an improvement.
    patience : int, default=0
        Epochs without improvement after which the run stops.
    mode : {"auto", "min", "max"}, default="auto"
        Which way is better.
    baseline : float, optional
        The number must also beat this one for the patience to start again.
    restore_best_weights : bool, default=False
        End with the parameters of the best epoch instead of the last.
    start_from_epoch : int, default=0
        Epochs before which nothing is watched.

    Raises
    ------
    TypeError
        If a number is of the wrong type.
    ValueError
        If a number lies outside its range, the mode is unknown, or "auto" cannot know which way is better.

    Notes
    -----
    Dialect: Keras' `EarlyStopping`. As there, a number that is nan never counts as an improvement, and each call of
    `fit` starts anew.

    Examples
    --------
    >>> from linreg import LinearRegression
    >>> from linreg.callbacks import EarlyStopping
    >>> stop = EarlyStopping("loss", min_delta=0.01, patience=3)
    >>> model = LinearRegression("sgd", epochs=1000, callbacks=[stop], random_state=0)
    >>> model.fit([[-1.0], [0.0], [1.0]], [-1.0, 1.0, 3.0]).n_iter_ == stop.stopped_epoch + 1 < 1000
    True
    """

    remembers = ("best", "wait", "stopped_epoch", "best_epoch", "best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, min_delta, mode)
        check_count("EarlyStopping", "patience", patience, low=0)
        check_count("EarlyStopping", "start_from_epoch", start_from_epoch, low=0)
        self.patience = patience
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.wait = 0
        self.stopped_epoch = 0
        self.best_epoch = 0
        self.best_weights: Any = None

    def on_train_begin(self, logs: Logs) -> None:
        """Forget the run before."""
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = self.best_weights = None

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Stop the run if the patience is over."""
        current = self.monitored(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.run.get_weights(), epoch
        self.wait += 1
        if self.improves(current, self.best):
            self.best, self.best_epoch = current, epoch
            if self.restore_best_weights:
                self.best_weights = self.run.get_weights()
            if self.baseline is None or self.improves(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.run.stop_training = True

    def on_train_end(self, logs: Logs) -> None:
        """Restore the parameters of the best epoch, where that was asked for."""
        if self.restore_best_weights and self.best_weights is not None:
            self.run.set_weights(self.best_weights)


class ReduceLROnPlateau(Monitor):
    """Lower the learning rate when the monitored number has stopped improving.

    Parameters
    ----------
    monitor : {"val_loss", "loss"}, default="val_loss"
        Number to watch.
    factor : float, default=0.1
        What the learning rate is multiplied by, below 1.
    patience : int, default=10
        Epochs without improvement after which the rate is lowered.
    mode : {"auto", "min", "max"}, default="auto"
        Which way is better.
    min_delta : float, default=1e-4
        Smallest change that counts as an improvement. It is absolute: for a loss of 1e-6 no change ever counts.
    cooldown : int, default=0
        Epochs after a reduction in which nothing is counted.
    min_lr : float, default=0.0
        The rate is not lowered below this.

    Raises
    ------
    TypeError
        If a number is of the wrong type.
    ValueError
        If a number lies outside its range (a factor must be below 1), the mode is unknown, or "auto" cannot know which
        way is better.

    Notes
    -----
    Dialect: Keras' `ReduceLROnPlateau`; each call of `fit` starts counting anew.

    Examples
    --------
    >>> from linreg import LinearRegression
    >>> from linreg.callbacks import ReduceLROnPlateau
    >>> lower = ReduceLROnPlateau("loss", factor=0.5, patience=2)
    >>> model = LinearRegression(epochs=6, callbacks=[lower], kernel_initializer="zeros")
    >>> model.fit([[-1.0], [1.0]], [0.0, 0.0]).history_["loss"]  # nothing to learn, so nothing improves
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    >>> [round(rate, 6) for rate in model.history_["learning_rate"]]
    [0.01, 0.01, 0.01, 0.005, 0.005, 0.0025]
    """

    remembers = ("best", "cooldown_counter", "wait")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, min_delta, mode)
        check_number("ReduceLROnPlateau", "factor", factor)
        check_number("ReduceLROnPlateau", "min_lr", min_lr)
        check_count("ReduceLROnPlateau", "patience", patience, low=0)
        check_count("ReduceLROnPlateau", "cooldown", cooldown, low=0)
        if factor >= 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1 to reduce anything, got {factor!r}.")
        self.factor = factor
        self.patience = patience
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.cooldown_counter = 0
        self.wait = 0

    def on_train_begin(self, logs: Logs) -> None:
        """Forget the run before."""
        self.best = None
        self.cooldown_counter = self.wait = 0

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Lower the learning rate if the patience is over."""
        logs["learning_rate"] = self.run.learning_rate
        current = self.monitored(logs)
        if current is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(current, self.best):
            self.best, self.wait = current, 0
        elif self.cooldown_counter <= 0:
            self.wait += 1
            old = self.run.learning_rate
            if self.wait >= self.patience and old > np.float32(self.min_lr):
                self.run.learning_rate = max(old * self.factor, self.min_lr)
                self.cooldown_counter, self.wait = self.cooldown, 0


class TerminateOnNaN(Callback):
    """Stop as soon as the loss is nan or infinite, with a warning that says where.

    Notes
    -----
    Dialect: Keras' `TerminateOnNaN`. It watches every batch, so the loop runs one batch at a time.

    Examples
    --------
    >>> import warnings
    >>> from linreg import SGD, LinearRegression
    >>> from linreg.callbacks import TerminateOnNaN
    >>> model = LinearRegression(SGD(1e6), callbacks=[TerminateOnNaN()], kernel_initializer="zeros")
    >>> with warnings.catch_warnings(record=True) as said:
    ...     warnings.simplefilter("always")
    ...     epochs = model.fit([[-3.0], [3.0]], [-5.0, 7.0]).n_iter_
    >>> epochs < 10, str(said[0].message).startswith("The loss became inf in epoch")
    (True, True)
    """

    remembers = ("epoch",)

    def __init__(self) -> None:
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        """Remember the epoch."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        """Stop the run if the mean loss of the epoch so far is not finite."""
        if not math.isfinite(logs["loss"]):
            self.run.stop_training = True
            warnings.warn(
                f"The loss became {logs['loss']} in epoch {self.epoch + 1}, batch {batch + 1}: training stopped there.",
                RuntimeWarning,
                stacklevel=2,
            )


class LearningRateScheduler(Callback):
    """Set the learning rate at the beginning of each epoch.

    Parameters
    ----------
    schedule : callable
        `schedule(epoch, learning_rate)`, or `schedule(epoch)`, returning the new rate. Epochs count from 0.

    Raises
    ------
    TypeError
        If the schedule cannot be called.

    Notes
    -----
    Dialect: Keras' `LearningRateScheduler`. After `warm_start` epochs count on here; Keras starts at 0 again unless
    `fit` is given `initial_epoch`.

    Examples
    --------
    >>> from linreg import LinearRegression
    >>> from linreg.callbacks import LearningRateScheduler
    >>> halved = LearningRateScheduler(lambda epoch: 0.5 ** (epoch + 1))
    >>> model = LinearRegression(epochs=3, callbacks=[halved]).fit([[0.0], [1.0]], [1.0, 3.0])
    >>> model.history_["learning_rate"]
    [0.5, 0.25, 0.125]
    """

    def __init__(self, schedule: Callable[..., float]) -> None:
        if not callable(schedule):
            raise TypeError(f"LearningRateScheduler: schedule must be a callable of the epoch, got {schedule!r}.")
        self.schedule = schedule

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        """Set the learning rate."""
        try:
            new = self.schedule(epoch, self.run.learning_rate)
        except TypeError:
            new = self.schedule(epoch)
        self.run.learning_rate = new

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Log the learning rate."""
        logs["learning_rate"] = self.run.learning_rate
