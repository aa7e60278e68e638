"""What `LinearRegression.fit` is given, for the loop: rows of a source, batches of an iterable, validation rows."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np

from linreg.batches import Evaluated, Problem, evaluated_at_once
from linreg.data.arrays import refuse_all_zero
from linreg.data.blocks import Block, Source, windows
from linreg.data.checking import checked
from linreg.data.given import is_file, is_source, opened_source
from linreg.devices import HOST, device_of
from linreg.settings import OWNER, Settings
from linreg.streaming.feeds import BatchFeed, RowFeed
from linreg.streaming.plans import cut, least, plan, shared
from linreg.streaming.rows import problem_of
from linreg.streaming.runs import HeldOut

Array = Any


def fed(
    source: Source, *, unit: int, memory: int, batch_size: int, fit_intercept: bool, dtype: Any, shuffle: bool
) -> tuple[Problem, RowFeed | None]:
    """Return rows for the loop: in memory where they fit, else window by window.

    Parameters
    ----------
    source : Source
        The rows.
    unit : int
        Rows that stay together.
    memory : int
        Bytes that rows may take.
    batch_size : int
        Rows in a batch.
    fit_intercept : bool
        Whether there is one.
    dtype : type
        The type of the run.
    shuffle : bool
        Whether every epoch has its own order.

    Returns
    -------
    problem : Problem
        All rows, or none of them where they come through the feed.
    feed : RowFeed or None
        Where the rows come from.
    """
    source = cut(source, unit, memory, dtype)
    made = plan(source, unit, memory, dtype)
    if made is None:
        (block,) = windows(source, source.count, None, checked(source, dtype), together=len(source), dtype=dtype)
        refuse_all_zero(block.weight is None or bool(block.weight.any()), "weight")
        return problem_of(block, batch_size, fit_intercept), None
    empty = Block(np.empty((0, len(source.names) + 1), dtype), np.empty(0, np.int64))
    feed = RowFeed(source, made, batch_size, fit_intercept, dtype, shuffle)
    return problem_of(empty, batch_size, fit_intercept), feed


def shares(model: Any, rows: Source | None, others: Source | None, settings: Settings, memory: int) -> tuple[int, int]:
    """Return how many bytes the rows and the validation rows may take.

    Parameters
    ----------
    model : LinearRegression
        The model that is to be trained.
    rows, others : Source or None
        Both; None where they are no sources.
    settings : Settings
        Its settings.
    memory : int
        Bytes that they may take together.

    Returns
    -------
    rows : int
        Bytes for the rows.
    others : int
        Bytes for the validation rows.

    Raises
    ------
    ValueError
        If the memory does not do for both.
    """
    if others is None or rows is None:
        return memory, memory
    dtype = settings.precision.dtype
    needed = [least(rows, int(model.batch_size), dtype), least(others, _evaluated(model, len(others.names)), dtype)]
    return shared(memory, model.memory, *needed)


def _evaluated(model: Any, features: int) -> int:
    """Return how many rows are evaluated together, to the same bits in memory or not."""
    return int(model.batch_size) * evaluated_at_once(int(model.batch_size), features + bool(model.fit_intercept))


def from_source(
    model: Any, rows: Source, settings: Settings, memory: int, *, shuffle: bool
) -> tuple[Problem, RowFeed | None]:
    """Return the rows of a source: as arrays where they fit into memory, else what brings them.

    Parameters
    ----------
    model : LinearRegression
        The model that is to be trained.
    rows : Source
        The rows.
    settings : Settings
        Its settings.
    memory : int
        Bytes that they may take.
    shuffle : bool
        Whether every epoch has its own order.

    Returns
    -------
    problem : Problem
        All rows, where the model trains; none, where they come through the feed.
    feed : RowFeed or None
        Where they come from.

    Raises
    ------
    ValueError
        If they do not fit, and the model needs all at once; or if there are none, or one holds a bad value.
    """
    problem, feed = fed(
        rows, unit=int(model.batch_size), memory=memory, batch_size=int(model.batch_size),
        fit_intercept=bool(model.fit_intercept), dtype=settings.precision.dtype, shuffle=shuffle,
    )  # fmt: skip
    if feed is None:
        return _there(problem, model._training_device(problem.matrix)), None
    _check_streams(model, "the rows do not fit into memory", "or give more memory")
    return problem, feed


def _there(problem: Problem, device: Any) -> Problem:
    return replace(problem, matrix=device.put(problem.matrix), target=device.put(problem.target))


def _check_streams(model: Any, why: str, otherwise: str) -> None:
    """Raise unless a model can be trained on rows that come window by window."""
    for name, value, those in (("engine", model.engine, ("numpy", "numba")), ("device", model.device, ("cpu",))):
        if value not in those:
            good = " or ".join(f'{name}="{one}"' for one in those)
            raise ValueError(f'{OWNER}: {name}="{value}" needs all rows at once, but {why}: set {good}, {otherwise}.')


def from_batches(model: Any, batches: Iterable[Any], sample_weight: Any, settings: Settings) -> BatchFeed:
    """Return what brings the batches of an iterable.

    Parameters
    ----------
    model : LinearRegression
        The model that is to be trained.
    batches : iterable of tuple
        Yields (X, y) or (X, y, sample_weight).
    sample_weight : None
        None: batches bring their weights.
    settings : Settings
        Its settings.

    Returns
    -------
    BatchFeed
        The feed; it has read the first batch.

    Raises
    ------
    ValueError
        If weights are given, the model needs all rows at once, or the first batch is refused.
    """
    if sample_weight is not None:
        raise ValueError("X yields batches, but sample_weight was given too: yield (X, y, sample_weight) instead.")
    _check_streams(model, "X yields batches", "or give X and y as arrays")

    def problem(batch: Any, number: int) -> Problem:
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            raise ValueError(
                f"Every batch must be a tuple (X, y) or (X, y, sample_weight), but batch {number} (counted from 0) "
                f"is a {type(batch).__name__}."
            )
        names = f"X of batch {number}", f"y of batch {number}", f"sample_weight of batch {number}"
        weight = batch[2] if len(batch) == 3 else None
        made: Problem = model._problem(
            batch[0], batch[1], weight, settings, names, intercept=model.fit_intercept, device=HOST
        )  # fmt: skip
        return replace(made, batch_size=len(made.target))

    return BatchFeed(batches, problem, int(model.epochs))


def opened_validation(data: Any, stack: ExitStack, memory: int) -> Source | None:
    """Open validation rows that are in a file or a source; return None for arrays.

    Parameters
    ----------
    data : object
        What was given as `validation_data`.
    stack : contextlib.ExitStack
        What closes them.
    memory : int
        Bytes that reading them may take.

    Returns
    -------
    Source or None
        The rows.
    """
    if is_source(data):
        return stack.enter_context(opened_source(data, None, name="validation_data"))
    if isinstance(data, tuple | list) and len(data) == 2 and is_file(*data):
        return stack.enter_context(opened_source(*data, name="validation_data[0]", memory=memory))
    return None


def held_out(
    model: Any, rows: Source, problem: Problem, names: list[str] | None, settings: Settings, memory: int
) -> Problem | Evaluated:
    """Return validation rows of a source.

    Parameters
    ----------
    model : LinearRegression
        The model that is to be trained.
    rows : Source
        The validation rows.
    problem : Problem
        What it is trained on.
    names : list of str or None
        Names of its features, if they have any.
    settings : Settings
        Its settings.
    memory : int
        Bytes that the validation rows may take.

    Returns
    -------
    Problem or Evaluated
        All of them where they fit, else what reads them for each evaluation.
    """
    model._check_validation(len(rows.names), names and list(rows.names), problem.kernel_size, names)
    held, feed = fed(
        rows, unit=_evaluated(model, problem.kernel_size), memory=memory, batch_size=int(model.batch_size),
        fit_intercept=bool(model.fit_intercept), dtype=settings.precision.dtype, shuffle=False,
    )  # fmt: skip
    if feed is None:
        return _there(held, device_of(problem.matrix))
    _check_streams(model, "the validation rows do not fit into memory", "or give more memory")
    return HeldOut(feed, settings.loss, settings.precision)
