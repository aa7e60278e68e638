"""What brings a run its windows: blocks of a source, or batches that somebody yields."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from linreg.batches import Problem
from linreg.data.arrays import refuse_all_zero
from linreg.data.blocks import Block, Source, windows
from linreg.data.checking import checked
from linreg.memory import in_bytes
from linreg.precision import PRECISIONS
from linreg.settings import OWNER
from linreg.streaming.plans import Plan, cut, plan
from linreg.streaming.rows import problem_of

Array = Any


def _nobody_counts(rows: int) -> None:
    """Take no notice of rows that are done."""


class Feed(Protocol):
    """Where windows come from: `rows` of an epoch, and whom to tell of rows that are done."""

    moved: Callable[[int], None]

    @property
    def rows(self) -> int:
        """Rows of an epoch, or of a window, if an epoch does not tell."""
        ...

    def problems(self, generator: Any, look: Callable[[], None]) -> Generator[Problem, None, None]:
        """Yield the windows of an epoch, in an order that the generator draws; `look` is called while they come."""
        ...


@dataclass
class RowFeed:
    """Windows of rows of a source.

    Parameters
    ----------
    source : Source
        The rows.
    plan : Plan
        How they are taken.
    batch_size : int
        Rows in a batch.
    fit_intercept : bool
        Whether there is one.
    dtype : type
        The type of the run.
    shuffle : bool
        Whether every epoch has its own order.
    moved : callable, optional
        Given how many rows were trained on, after each window.
    """

    source: Source
    plan: Plan
    batch_size: int
    fit_intercept: bool
    dtype: Any
    shuffle: bool
    moved: Callable[[int], None] = _nobody_counts

    @property
    def rows(self) -> int:
        """Rows of an epoch."""
        return self.source.count

    def blocks(self, generator: Any, look: Callable[[], None] | None) -> Generator[Block, None, None]:
        """Return an iterator of windows as they were read."""
        return windows(
            self.source, self.plan.size, generator if self.shuffle else None, checked(self.source, self.dtype),
            together=self.plan.together, dtype=self.dtype, ahead=look,
        )  # fmt: skip

    def problems(self, generator: Any, look: Callable[[], None]) -> Generator[Problem, None, None]:
        """Yield the windows of an epoch.

        Parameters
        ----------
        generator : numpy.random.Generator
            Draws their order, where they are shuffled.
        look : callable
            Called while rows are waited for.

        Yields
        ------
        Problem
            A window.

        Raises
        ------
        ValueError
            If a value cannot be trained on; after the last window, if every weight was zero.
        """
        weighs = False
        with closing(self.blocks(generator, look)) as blocks:
            for block in blocks:
                weighs |= block.weight is None or bool(block.weight.any())
                yield problem_of(block, self.batch_size, self.fit_intercept)
        refuse_all_zero(weighs, "weight")


class BatchFeed:
    """Batches of an iterable: each is one step, an epoch is what it yields.

    Parameters
    ----------
    batches : iterable of tuple
        Yields (X, y) or (X, y, sample_weight).
    problem : callable
        Makes a Problem of such a tuple and its number.
    epochs : int
        Epochs that are asked for.

    Raises
    ------
    ValueError
        If it yields nothing, or can be read once only and there are more epochs.
    """

    def __init__(self, batches: Iterable[Any], problem: Callable[[Any, int], Problem], epochs: int) -> None:
        self.moved: Callable[[int], None] = _nobody_counts
        self._batches, self._problem = batches, problem
        started = iter(batches)
        self._once = started is batches
        if self._once and epochs > 1:
            raise ValueError(
                f"X is a {type(batches).__name__}, which yields its batches once, but epochs={epochs}: set epochs=1, "
                "or give a list of batches or an object whose __iter__ begins anew."
            )
        self._started: Iterator[Any] | None = started
        given = next(started, None)
        self.first = self._none() if given is None else problem(given, 0)
        self.first_X = None if given is None else given[0]

    def check_begins_anew(self, why: str) -> None:
        """Raise if the batches can be read once only.

        Parameters
        ----------
        why : str
            What needs more, for the error.

        Raises
        ------
        ValueError
            If they can.
        """
        if self._once:
            raise ValueError(
                f"X is a {type(self._batches).__name__}, which yields its batches once, but {why} reads them anew when "
                "the run goes on: leave it out, or give a list of batches or an object whose __iter__ begins anew."
            )

    def _none(self) -> Problem:
        raise ValueError("X yields no batches in this epoch: give (X, y) or (X, y, sample_weight) for each step.")

    @property
    def rows(self) -> int:
        """Rows of the first batch: how many an epoch has nobody knows."""
        return len(self.first.target)

    def problems(self, generator: Any, look: Callable[[], None]) -> Generator[Problem, None, None]:  # noqa: ARG002
        """Yield the batches of an epoch.

        Parameters
        ----------
        generator, look : object
            Not needed: batches come in their order when they are asked for.

        Yields
        ------
        Problem
            One batch.
        """
        started, self._started = self._started, None
        items, number = (iter(self._batches), 0) if started is None else (started, 1)
        if started is not None:
            yield self.first
        for item in items:
            problem = self._problem(item, number)
            if problem.kernel_size != self.first.kernel_size:
                raise ValueError(
                    f"Batch {number} (counted from 0) has {problem.kernel_size} features, but the first has "
                    f"{self.first.kernel_size}: give the same columns."
                )
            yield problem
            number += 1
        if not number:
            self._none()


def order(
    source: Source,
    generator: np.random.Generator,
    *,
    batch_size: int = 32,
    memory: Any = None,
    dtype: str = "float32",
) -> Array:
    """Return the order in which an epoch of `LinearRegression.fit(source)` takes the rows; it reads them all.

    Parameters
    ----------
    source : Source
        The rows.
    generator : numpy.random.Generator
        Draws the order, and moves on: one as it is before the epoch gives the order of that epoch.
    batch_size : int, default=32
        Rows in a batch.
    memory : None, int or str, default=None
        The budget, as in `LinearRegression`: how much is shuffled together depends on it.
    dtype : {"float32", "float64", "keras_float64"}, default="float32"
        The arithmetic of the run.

    Returns
    -------
    array of shape (rows,)
        Numbers of the rows, counted from 0.

    Raises
    ------
    ValueError
        If the budget is too small for two blocks, or a value is missing or infinite.

    Examples
    --------
    >>> import numpy as np
    >>> from linreg import streaming
    >>> from linreg.data.blocks import ArrayRows
    >>> rows = ArrayRows(np.zeros((5, 1)), np.zeros(5), ("x",), np.arange(5))
    >>> sorted(streaming.order(rows, np.random.default_rng(0)).tolist())
    [0, 1, 2, 3, 4]
    """
    kind = PRECISIONS[dtype].dtype
    source = cut(source, batch_size, in_bytes(OWNER, memory), kind)
    made = plan(source, batch_size, in_bytes(OWNER, memory), kind)
    if made is None:
        numbers = np.concatenate([source.read(block).numbers for block in range(len(source))])
        return numbers[generator.permutation(len(numbers))]
    feed = RowFeed(source, made, batch_size, True, kind, True)
    return np.concatenate([block.numbers for block in feed.blocks(generator, None)])
