"""Configurations of one structure, trained as the columns of one array, in one pass over shared batches."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from linreg.batches import Problem
from linreg.callbacks import Callback, CallbackList, Logs
from linreg.data.arrays import column_names
from linreg.devices import device_of, on_host
from linreg.fitting import runs_of, start
from linreg.regression import LinearRegression
from linreg.schedules import rates_of
from linreg.settings import Settings
from linreg.stacks import structure
from linreg.steps import State
from linreg.training import Run

Array = Any

DEAD_SHARE = 1 / 8
"""Share of columns without a number left at which the others go on without them."""

ERRORS_OF_A_BATCH = 2**22
"""Errors of one batch that a pass in NumPy holds: of large batches, fewer columns are trained at a time."""


@dataclass
class Member:
    """One configuration, ready to start.

    Parameters
    ----------
    index : int
        Which of the sweep's configurations it is.
    settings : Settings
        Its optimizer, loss and so on.
    start : State
        Where its own run would start, but for the state of the rule; configurations that start alike share it.
    """

    index: int
    settings: Settings
    start: State


@dataclass
class Group:
    """Configurations that are trained together.

    Parameters
    ----------
    problem : Problem
        The data, with a target of shape (rows, 1).
    validation : Problem or None
        Validation data, likewise.
    shuffle : bool
        Whether each epoch has its own order.
    members : list of Member
        The configurations.
    """

    problem: Problem
    validation: Problem | None
    shuffle: bool
    members: list[Member] = field(default_factory=list)


@dataclass
class Records:
    """What a sweep has found so far; rows are epochs, columns configurations, nan where nothing has been run.

    Parameters
    ----------
    history : dict of str to array of shape (epochs, K)
        Losses and learning rates.
    coef : array of shape (K, features)
        Coefficients.
    intercept : array of shape (K,)
        Intercepts.
    epochs : array of int of shape (K,)
        Epochs that were finished.
    interrupted : bool
        Whether Ctrl-C ended the sweep.
    """

    history: dict[str, Array]
    coef: Array
    intercept: Array
    epochs: Array
    interrupted: bool = False

    @classmethod
    def empty(cls, epochs: int, configurations: int, features: int, names: Sequence[str], dtype: Any) -> Records:
        """Return the records before the first epoch."""
        return cls(
            {name: np.full((epochs, configurations), np.nan) for name in names},
            np.full((configurations, features), np.nan, dtype),
            np.zeros(configurations),
            np.zeros(configurations, int),
        )


def together(
    models: Sequence[LinearRegression], X: Any, y: Any, sample_weight: Any, validation_data: Any
) -> list[Group]:
    """Return the configurations in groups that can share a pass.

    Parameters
    ----------
    models : sequence of LinearRegression
        The configurations.
    X, y, sample_weight, validation_data : object
        As `LinearRegression.fit` takes them.

    Returns
    -------
    list of Group
        The groups; their members are numbered by their place in `models`.
    """
    data: dict[Hashable, tuple[Problem, Problem | None]] = {}
    starts: dict[Hashable, tuple[State, Hashable]] = {}
    groups: dict[Hashable, Group] = {}
    for index, model in enumerate(models):
        settings = model.settings()
        layout = int(model.batch_size), bool(model.fit_intercept)
        if layout not in data:
            data[layout] = _read(model, settings, X, y, sample_weight, validation_data)
        problem, validation = data[layout]
        begins = layout, *map(id, (model.random_state, model.kernel_initializer, model.bias_initializer))
        if begins not in starts:
            starts[begins] = _start(model, problem, settings)
        begun, order = starts[begins]
        parts = settings.optimizer, settings.loss, settings.regularizer, settings.precision
        shuffle = model._shuffles(X)
        key = layout, shuffle, structure(*parts), order if shuffle else None
        member = Member(index, settings, begun)
        groups.setdefault(key, Group(problem, validation, shuffle)).members.append(member)
    if models[0].engine != "numpy":
        return list(groups.values())
    return [part for group in groups.values() for part in _in_parts(group)]


def _read(
    model: LinearRegression, settings: Settings, X: Any, y: Any, sample_weight: Any, validation_data: Any
) -> tuple[Problem, Problem | None]:
    """Return the data as `fit` reads them, with targets that broadcast against many columns."""
    device = model._training_device(X)
    problem = model._problem(X, y, sample_weight, settings, intercept=model.fit_intercept, device=device)
    validation = model._validation(validation_data, problem.kernel_size, column_names(X), settings, device)
    return _column(problem), validation and _column(validation)


def _column(problem: Problem) -> Problem:
    return dataclasses.replace(problem, target=problem.target[:, np.newaxis])


def _start(model: LinearRegression, problem: Problem, settings: Settings) -> tuple[State, Hashable]:
    """Return where a run starts, and what decides the order of its rows: the generator that has drawn the start."""
    alone = copy.copy(model)
    alone.random_state = copy.deepcopy(model.random_state)  # a generator moves on
    begun = start(alone, problem, settings)
    bits = getattr(begun.generator, "bit_generator", None)
    return begun, model.random_state if bits is None else repr(bits.state)


def _in_parts(group: Group) -> list[Group]:
    """Return a group as it fits into memory, whose batches may have many rows."""
    rows = min(group.problem.batch_size, len(group.problem.target))
    width = max(1, ERRORS_OF_A_BATCH // rows)
    parts = [group.members[first : first + width] for first in range(0, len(group.members), width)]
    return [dataclasses.replace(group, members=part) for part in parts]


def train(group: Group, engine: str, epochs: int, records: Records, bar: Sequence[Callback]) -> None:
    """Train a group and record what comes of it, also when it is interrupted.

    Parameters
    ----------
    group : Group
        The configurations.
    engine : {"numpy", "numba"}
        What runs the loop.
    epochs : int
        Epochs to run.
    records : Records
        Where to write.
    bar : sequence of Callback
        The progress bar, if there is one.
    """
    live = group.members
    first = live[0].start
    state = State.start(
        np.stack([member.start.parameters for member in live], axis=1),
        tuple(member.settings.optimizer for member in live),
        live[0].settings.precision,
        copy.deepcopy(first.generator),  # parts of a group all begin with the same order
    )
    kind = runs_of(engine)
    while live and state.epoch < epochs:
        begun = state.epoch
        penalties = tuple(one for member in live if (one := member.settings.regularizer) is not None)
        run = kind(
            group.problem,
            state,
            tuple(member.settings.optimizer for member in live),
            tuple(member.settings.loss for member in live),
            live[0].settings.precision,
            shuffle=group.shuffle,
            regularizer=penalties or None,
            validation=group.validation,
            callbacks=CallbackList((_Watch(bar),)),
        )
        try:
            run.train(epochs - begun)
        finally:
            _keep(run, begun, live, records)
        dead = _dead(state)
        _record_dead(group, live, dead, state.epoch, epochs, records)
        alive = np.flatnonzero(~dead)
        live, state = [live[k] for k in alive], _columns(state, alive)
    for epoch in range(state.epoch, epochs):
        for callback in bar:
            callback.on_epoch_end(epoch, {})


class _Watch(Callback):
    """Moves the bar, and ends the run when too many columns hold nothing but nan."""

    may_come_late = True

    def __init__(self, bar: Sequence[Callback]) -> None:
        self._bar = bar

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Act after each epoch."""
        losses = logs["loss"]
        if not np.isfinite(losses.max()):  # type: ignore[attr-defined]
            self.run.stop_training = bool(_dead(self.run.state).mean() >= DEAD_SHARE)  # type: ignore[attr-defined]
        if self._bar:
            shown = {name: float(np.nanmin(values)) for name, values in logs.items() if np.isfinite(values).any()}
            for callback in self._bar:
                callback.on_epoch_end(epoch, shown)


def _dead(state: State) -> Array:
    """Return which columns hold nothing but nan: whatever they are given, they stay so."""
    dead: Array = on_host(np.isnan(state.parameters).all(axis=0))
    return dead


def _keep(run: Run, begun: int, live: Sequence[Member], records: Records) -> None:
    """Record what a run that has ended has found since epoch `begun`."""
    kernel, columns = run.problem.kernel_size, [member.index for member in live]
    done = run.state.epoch
    for name, values in run.history.items():
        if done > begun:
            records.history[name][begun:done, columns] = values[: done - begun]
    records.epochs[columns] = done
    fitted = on_host(run.state.fitted if run.state.fitted is not None else run.state.parameters)
    records.coef[columns] = fitted[:kernel].T
    if len(fitted) > kernel:
        records.intercept[columns] = fitted[kernel]


def _record_dead(group: Group, live: Sequence[Member], dead: Array, done: int, epochs: int, records: Records) -> None:
    """Record what the epochs to come would bring for columns of nan: a loss of nan at the learning rates to come."""
    last_steps = np.arange(done + 1, epochs + 1) * len(group.problem.starts) - 1
    for member, gone in zip(live, dead, strict=True):
        if gone:
            optimizer, precision = member.settings.optimizer, member.settings.precision
            rates = rates_of(optimizer.learning_rate, last_steps, precision)
            records.history["learning_rate"][done:, member.index] = rates
            records.epochs[member.index] = epochs


def _columns(state: State, kept: Array) -> State:
    """Return the state of some of the columns."""

    def cut(array: Array) -> Array:
        return None if array is None else array.take(device_of(array).put(kept), axis=1)

    return dataclasses.replace(
        state,
        parameters=cut(state.parameters),
        slots=[cut(slot) for slot in state.slots],
        learning_rate=tuple(state.learning_rate[k] for k in kept),
        total=cut(state.total),
        average=cut(state.average),
        fitted=None,
    )
