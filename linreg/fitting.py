"""What a call of `fit` does around the loop: where its run starts or goes on, what executes it, and what keeps it."""

from __future__ import annotations

import copy
import functools
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.batches import Evaluated, Problem
from linreg.callbacks import CallbackList
from linreg.compiled import numba_run
from linreg.dask_runs import BlockProblem, dask_run
from linreg.data.conversion import numbers
from linreg.devices import device_of, on_host
from linreg.exact import ExactRun
from linreg.hyperparameters import with_nested
from linreg.initializers import initial_bias, initial_kernel
from linreg.progress import progress_bar
from linreg.seeds import generator_from
from linreg.settings import OWNER, Settings, interval, with_groups
from linreg.steps import State
from linreg.streaming.feeds import BatchFeed, RowFeed
from linreg.streaming.runs import HeldOut, streamed
from linreg.training import Position, Run

OF_VALIDATION = " of validation_data"


@dataclass(frozen=True)
class Given:
    """What a run is given.

    Parameters
    ----------
    problem : Problem
        Rows in memory, or their sizes where a feed brings them.
    names : list of str or None
        Names of the features.
    validation : Problem, Evaluated or None, optional
        Data whose loss is reported after each epoch.
    feed : RowFeed, BatchFeed or None, optional
        What brings rows that do not lie in memory.
    """

    problem: Problem
    names: list[str] | None
    validation: Problem | Evaluated | None = None
    feed: RowFeed | BatchFeed | None = None


def train(
    model: Any, given: Given, settings: Settings, *, go_on: bool, epochs: int, shuffle: bool, keep: bool = False
) -> None:
    """Train an estimator on what it is given; it keeps what comes of it, also of a run that is stopped.

    Parameters
    ----------
    model : LinearRegression
        The estimator.
    given : Given
        The data.
    settings : Settings
        Its settings.
    go_on : bool
        Whether to go on where it stands, if it is fitted.
    epochs : int
        Epochs to run.
    shuffle : bool
        Whether each epoch has its own order.
    keep : bool, default=False
        Whether its checkpoint is heeded.

    Raises
    ------
    ValueError
        If the run so far cannot go on, or the checkpoint is damaged or that of another run.
    OSError
        If the checkpoint cannot be read or written, or another run holds it.
    KeyboardInterrupt or linreg.stopping.Terminated
        After Ctrl-C or SIGTERM.
    """
    problem, feed = given.problem, given.feed
    going_on = go_on and hasattr(model, "state_")
    if going_on:
        check_same_kind_of_run(model, problem, settings)
    state = model.state_.moved(device_of(problem.matrix)) if going_on else start(model, problem, settings)
    if going_on and settings.optimizer.learning_rate != model._learning_rate:
        state.learning_rate = settings.optimizer.learning_rate
    history = {name: [*values] for name, values in model.history_.items()} if going_on else {}
    kind, counted = model._kind_of_run(), None
    if feed is not None:
        streaming: Any = runs_of(model.engine)
        kind, shuffle = functools.partial(streamed(streaming), feed=feed), False
        counted = feed.rows if isinstance(feed, RowFeed) else None
    with ExitStack() as stack:
        keeper, done, position = None, 0, Position()
        if keep:
            keeper = stack.enter_context(_kept(model, given, state, len(history.get("loss", ())), going_on=going_on))
        if keeper is not None:
            if keeper.found is not None:
                done, position, history = keeper.bring_back(keeper.found, state)
            _tell_resumed(model, done)
        else:
            model.__dict__.pop("resumed_", None)
        bar = stack.enter_context(progress_bar(epochs - done, counted, enabled=bool(model.verbose)))
        if feed is not None and counted is not None and bar:
            feed.moved = bar[0].moved
        run = kind(
            problem,
            state,
            settings.optimizer,
            settings.loss,
            settings.precision,
            shuffle=shuffle,
            regularizer=settings.regularizer,
            validation=given.validation,
            callbacks=CallbackList((*settings.callbacks, *bar)),
            history=history,
            position=position,
            keeper=keeper,
        )
        ended = False
        try:
            run.train(epochs - done)
            ended = True
        finally:
            model._keep(run, given.names)
            model._begun = None if keeper is None else keeper.begun(ended=ended)


def start(model: Any, problem: Problem, settings: Settings) -> State:
    """Return where a run starts anew, on the device of its rows.

    Parameters
    ----------
    model : LinearRegression
        The estimator; a generator that is its `random_state` moves on.
    problem : Problem
        The data.
    settings : Settings
        Its settings.

    Returns
    -------
    State
        The state before the first step.

    Raises
    ------
    ValueError
        If an initial value is none that the arithmetic can hold.
    """
    dtype = settings.precision.dtype
    generator = generator_from(model.random_state, dtype)
    parameters = np.empty(problem.matrix.shape[1], dtype)
    initializer = model.kernel_initializer
    if not isinstance(initializer, str):
        initializer = numbers(on_host(initializer), "kernel_initializer")
    with np.errstate(over="ignore"):
        kernel = initial_kernel(initializer, problem.kernel_size, generator, dtype)
        bias = initial_bias(model.bias_initializer, dtype)
    if not np.isfinite(bias):
        raise ValueError(
            f"{OWNER}: bias_initializer must be a number that {np.dtype(dtype).name} can hold, got "
            f"{model.bias_initializer!r}."
        )
    parameters[: problem.kernel_size] = kernel
    parameters[problem.kernel_size :] = bias
    there = device_of(problem.matrix).put(parameters)
    return State.start(there, settings.optimizer, settings.precision, generator)


def check_can_start(model: Any, features: int, settings: Settings) -> None:
    """Raise unless a run of an estimator on so many features could start.

    Parameters
    ----------
    model : LinearRegression
        The estimator, which is not changed.
    features : int
        Number of features.
    settings : Settings
        Its settings.

    Raises
    ------
    TypeError or ValueError
        If an initial value or the random state is none.
    """
    alone, columns = copy.copy(model), features + bool(model.fit_intercept)
    alone.random_state = copy.deepcopy(model.random_state)  # a generator moves on
    start(alone, Problem(np.empty((0, columns)), np.empty(0), None, 1, features), settings)


def check_same_kind_of_run(model: Any, problem: Problem, settings: Settings) -> None:
    """Raise unless the run so far can go on with the settings and the data of now.

    Parameters
    ----------
    model : LinearRegression
        The fitted estimator.
    problem : Problem
        The data of now.
    settings : Settings
        Its settings of now.

    Raises
    ------
    ValueError
        If it cannot.
    """
    state, optimizer = model.state_, settings.optimizer
    pairs = {
        "the number of features": (model.n_features_in_, problem.kernel_size),
        "dtype": (state.parameters.dtype.name, np.dtype(settings.precision.dtype).name),
        "fit_intercept": (len(state.parameters) > model.n_features_in_, bool(model.fit_intercept)),
        "the state of the optimizer": (state.letters, optimizer.rule(settings.precision).state),
        "use_ema": (state.average is not None, optimizer.use_ema),
        "gradient accumulation": (state.total is not None, optimizer.gradient_accumulation_steps is not None),
    }
    changed = [f"{name} was {old!r} and is {new!r} now" for name, (old, new) in pairs.items() if old != new]
    if changed:
        raise ValueError(
            f"warm_start: the run so far cannot go on, because {', '.join(changed)}. Give the same as before, or "
            "set warm_start=False to start anew."
        )


def runs_of(engine: str) -> Callable[..., Run]:
    """Return what executes a run in an engine; an ImportError where its extra is missing."""
    if engine == "numba":
        kind: type[Run] = numba_run()
        return kind
    kinds: dict[str, Callable[..., Run]] = {"exact": ExactRun, "dask": dask_run}
    return kinds.get(engine, Run)


def _kept(model: Any, given: Given, state: State, booked: int, *, going_on: bool) -> AbstractContextManager[Any]:
    """Return what keeps the run in its checkpoint, or nothing where there is none."""
    if model.checkpoint is None:
        return nullcontext()
    from linreg.saving.checkpoints import kept
    from linreg.saving.fingerprints import fingerprint

    parameters = with_nested(with_groups(model.get_params(deep=False)))
    of = fingerprint(*_told(model, given), parameters, state if going_on else None)
    every, unit = interval(model.checkpoint_every)
    return kept(model.checkpoint, every, unit, of, tuple(model.callbacks), _course(given, state, booked), model._begun)


def _course(given: Given, state: State, booked: int) -> Any:
    """Return how a run goes through its rows from where it begins."""
    from linreg.saving.courses import Course

    problem, feed, validated = given.problem, given.feed, given.validation is not None
    begin = state.epoch, state.iterations
    if isinstance(feed, RowFeed):
        return Course(feed.batch_size, feed.rows, feed.plan.size, *begin, booked, validated)
    if feed is not None:
        return Course(1, None, 1, *begin, booked, validated)
    rows = problem.rows if isinstance(problem, BlockProblem) else len(problem.target)
    return Course(problem.batch_size, rows, rows, *begin, booked, validated)


def _told(model: Any, given: Given) -> tuple[dict[str, Any], dict[str, str]]:
    """Return digests of the data of a run, and words on how they are laid out."""
    from linreg.saving.fingerprints import HOW, described, of_arrays, of_blocks, of_source, sampled

    problem, feed, validation = given.problem, given.feed, given.validation
    settings = {"names of the features": described(given.names), "device": device_of(problem.matrix).name}
    if isinstance(feed, RowFeed):
        data = of_source(feed.source)
        size, together, blocks = feed.plan.size, feed.plan.together, len(feed.source)
        settings[HOW] = f"{size} rows at a time, {together} of {blocks} blocks together (memory)"
    elif feed is not None:
        feed.check_begins_anew(f"checkpoint={os.fspath(model.checkpoint)!r}")
        data = of_arrays(problem, " of the first batch")
        settings[HOW] = "in batches"
    elif isinstance(problem, BlockProblem):
        data = of_blocks(problem.each(sampled))
        settings[HOW] = f"in {len(problem.blocks)} blocks of Dask's"
    else:
        data = of_arrays(problem)
    if isinstance(validation, HeldOut):
        data |= of_source(validation.feed.source, OF_VALIDATION)
    elif isinstance(validation, Problem):
        data |= of_arrays(validation, OF_VALIDATION)
    return data, settings


def _tell_resumed(model: Any, done: int) -> None:
    """Say how much of the run came out of its checkpoint."""
    if done > model.epochs:
        raise ValueError(
            f"{os.fspath(model.checkpoint)!r} holds a run of {done} epochs, but epochs={model.epochs}: give at least "
            "as many, or another file."
        )
    model.resumed_ = done
    if done and model.verbose:
        sys.stderr.write(f"{os.fspath(model.checkpoint)!r}: goes on after {done} of {model.epochs} epochs.\n")
