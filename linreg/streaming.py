"""Training on rows that do not fit into memory: they come window by window, read ahead while the last are trained on.

The hot loop, and everything else of a run, is that of the engine (`linreg.training`, `linreg.compiled`); here rows are
laid out for it. A window is a whole number of batches, so batches are the same as in memory, and so is every bit.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from linreg.batches import Batches, Problem
from linreg.data.blocks import Block, Source, windows
from linreg.losses import Loss
from linreg.memory import in_bytes, shown
from linreg.precision import PRECISIONS, Precision
from linreg.settings import OWNER
from linreg.training import Position, Run

Array = Any

WINDOW_BYTES = 2**23
"""Bytes of rows that are laid out at once: few beside the budget, and many beside a batch."""
READING = 4
"""Copies of a block, in float64, that reading one takes."""
FIRST_PLACES = 3
"""Bad values whose places are told."""


@dataclass(frozen=True)
class Plan:
    """How rows that do not fit into memory are taken.

    Parameters
    ----------
    together : int
        Blocks that are shuffled together; as many again are read in the meantime.
    size : int
        Rows that are laid out at once.
    """

    together: int
    size: int


def plan(source: Source, unit: int, memory: int, dtype: Any) -> Plan | None:
    """Return how rows are taken with so much memory.

    Parameters
    ----------
    source : Source
        The rows.
    unit : int
        Rows that stay together, a batch.
    memory : int
        Bytes that rows may take.
    dtype : type
        What rows are kept in.

    Returns
    -------
    Plan or None
        None where all of them fit, twice.

    Raises
    ------
    ValueError
        If there are no rows, or the memory does not hold two blocks.
    """
    count, columns = source.count, len(source.names) + 1
    if not count:
        raise ValueError("There are no rows to train on: look whether a filter has removed every row.")
    each = -(-count // len(source))
    row = (columns + 1) * np.dtype(dtype).itemsize + 16  # with weight, number and place in the order
    reading = READING * 8 * columns * each
    if reading + 2 * row * count <= memory:
        return None
    pools, laid_out = 2 * each * row, 4 * unit * row  # the least there can be of each
    if memory < reading + pools + laid_out:
        raise ValueError(
            f"memory={shown(memory)} is too little to read {columns} columns in blocks of {each} rows and to train on "
            f'batches of {unit}: give at least memory="{shown(reading + pools + laid_out)}".'
        )
    size = max(1, min(WINDOW_BYTES * 4, memory // 4, memory - reading - pools) // laid_out) * unit
    return Plan((memory - reading - 4 * size * row) // pools, size)


def problem_of(block: Block, batch_size: int, fit_intercept: bool) -> Problem:
    """Return rows as the loop reads them; they are changed in place.

    Parameters
    ----------
    block : Block
        The rows, in the type of the run, C-ordered.
    batch_size : int
        Rows of a batch.
    fit_intercept : bool
        Whether there is one.

    Returns
    -------
    Problem
        Where there is an intercept, its matrix is the rows' own memory, with ones in the place of the target.
    """
    rows, target = block.rows, block.rows[:, -1].copy()
    if fit_intercept:
        rows[:, -1] = 1
    matrix = rows if fit_intercept else np.ascontiguousarray(rows[:, :-1])
    return Problem(matrix, target, block.weight, batch_size, rows.shape[1] - 1)


def checked(source: Source, dtype: Any) -> Callable[[Block], Block]:
    """Return what brings blocks to the type of a run, and refuses values that cannot be trained on.

    Parameters
    ----------
    source : Source
        Whose blocks, for the errors.
    dtype : type
        The type of the run.

    Returns
    -------
    callable
        Takes a block and returns it, or raises a ValueError that names columns and rows.
    """
    names = [*(f"column {name!r}" for name in source.names), f"target {getattr(source, 'target', 'y')!r}", "weight"]

    def check(block: Block) -> Block:
        with np.errstate(over="ignore", invalid="ignore"):
            rows = block.rows.astype(dtype, copy=False)
            weight = None if block.weight is None else block.weight.astype(dtype, copy=False)
            good = np.isfinite(rows.sum()) and (weight is None or (np.isfinite(weight.sum()) and weight.min() >= 0))
        if not good:
            given = block.rows if block.weight is None else np.column_stack([block.rows, block.weight])
            _refuse(given, rows if weight is None else np.column_stack([rows, weight]), block.numbers, names)
        return Block(rows, block.numbers, weight)

    return check


def _refuse(given: Array, cast: Array, numbers: Array, names: list[str]) -> None:
    """Raise if some values of a block cannot be trained on; a sum that overflows is no reason."""
    drop = "drop those rows or fill them in first"
    limit = f"too large for {cast.dtype.name}"
    otherwise = "scale the column" if cast.dtype == np.float64 else 'scale the column, or train with dtype="float64"'
    complaints = {
        "missing": (np.isnan(given), f"Every loss after them would be nan: {drop}."),
        "infinite": (np.isinf(given), f"Replace them, or {drop}."),
        limit: (~np.isfinite(cast), f"Train on smaller numbers: {otherwise}."),
    }
    for what, (bad, advice) in complaints.items():
        places = np.argwhere(bad)
        if len(places):
            shown_places = [f"{names[column]} in row {numbers[row]}" for row, column in places[:FIRST_PLACES].tolist()]
            raise ValueError(
                f"{len(places)} value{'s are' if len(places) > 1 else ' is'} {what} in the {len(numbers)} rows that "
                f"were read last: {', '.join(shown_places)}{', ...' if len(places) > FIRST_PLACES else ''} (rows "
                f"counted from 0). {advice}"
            )
    if names[-1] == "weight" and given.shape[1] == len(names) and (given[:, -1] < 0).any():
        row = int(np.argmax(given[:, -1] < 0))
        raise ValueError(
            f"Weights must not be negative, got {given[row, -1]!s} in row {numbers[row]}: give each row a weight of 0 "
            "or more."
        )


def _nobody_counts(rows: int) -> None:
    """Take no notice of rows that are done."""


def _nobody_looks() -> None:
    """Take no notice of rows that are waited for."""


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
        """
        with closing(self.blocks(generator, look)) as blocks:
            for block in blocks:
                yield problem_of(block, self.batch_size, self.fit_intercept)


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
        if started is batches and epochs > 1:
            raise ValueError(
                f"X is a {type(batches).__name__}, which yields its batches once, but epochs={epochs}: set epochs=1, "
                "or give a list of batches or an object whose __iter__ begins anew."
            )
        self._started: Iterator[Any] | None = started
        given = next(started, None)
        self.first = self._none() if given is None else problem(given, 0)
        self.first_X = None if given is None else given[0]

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


class Streamed(Run):
    """A run whose rows come window by window.

    Parameters
    ----------
    *arguments : Any
        As for `linreg.training.Run`; the problem holds no rows, only its sizes.
    feed : Feed
        Where the windows come from, in the order in which they are trained on: `shuffle` of the run is False.
    resumed : Position, optional
        Where in its next epoch the run goes on; the state is the one that belongs there.
    **options : Any
        As for `linreg.training.Run`.
    """

    def __init__(self, *arguments: Any, feed: Feed, resumed: Position | None = None, **options: Any) -> None:
        self.feed, self._resumed = feed, resumed
        super().__init__(*arguments, **options)

    @property
    def epoch_rows(self) -> int:
        """Rows of an epoch."""
        return self.feed.rows

    def _bind_rows(self, problem: Problem) -> None:
        """Bind a window; before the first there is none."""
        if len(problem.target):
            super()._bind_rows(problem)

    def _advance(self, end: int) -> Any:  # noqa: ARG002 (rows are read once an epoch)
        """Run the next epoch."""
        return self._epoch(self.state.epoch)

    def _begin(self, epoch: int) -> Position:
        """Return where an epoch begins or goes on, with the generator as it was before."""
        bits = getattr(self.state.generator, "bit_generator", None)
        if self._resumed is None:
            self.position = Position(epoch, generator=None if bits is None else bits.state)
        else:
            self.position, self._resumed = self._resumed, None
            if bits is not None:
                bits.state = self.position.generator
        return self.position

    def _parts(self, at: Position) -> Generator[Batches, None, None]:
        """Bind window after window."""
        with closing(self.feed.problems(self.state.generator, self._look)) as problems:
            for number, problem in enumerate(problems):
                if number >= at.window:
                    if number > at.window:
                        at.window, at.batch = number, 0
                    self._bind_rows(problem)
                    yield self._batches
                self.feed.moved(len(problem.target))

    def _look(self) -> None:
        """End the run after Ctrl-C, while rows are waited for."""
        if self._interrupted:
            raise KeyboardInterrupt


def streamed(kind: type[Run]) -> Callable[..., Run]:
    """Return an engine's run, for rows that come window by window.

    Parameters
    ----------
    kind : type
        What executes runs in the engine.

    Returns
    -------
    type
        A `Streamed` whose steps are the engine's.
    """
    made: Callable[..., Run] = type(f"Streamed{kind.__name__}", (Streamed, kind), {})
    return made


@dataclass
class HeldOut:
    """Validation rows that do not fit into memory.

    Parameters
    ----------
    feed : RowFeed
        The rows, in windows of as many as are evaluated at once in memory, or a multiple.
    loss : Loss
        The loss.
    precision : Precision
        The arithmetic.
    """

    feed: RowFeed
    loss: Loss
    precision: Precision

    def evaluate(self, parameters: Array, constants: tuple[Any, ...]) -> Any:
        """Return the loss at given parameters, without a penalty."""
        total, rows = 0.0, 0
        with closing(self.feed.problems(None, _nobody_looks)) as problems:
            for problem in problems:
                batches = Batches(problem, False, self.loss, self.precision, parameters)
                total, rows = batches.added_to(total, parameters, constants), rows + len(problem.target)
        return total / rows


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
    made = plan(source, unit, memory, dtype)
    if made is None:
        (block,) = windows(source, source.count, None, checked(source, dtype), together=len(source), dtype=dtype)
        return problem_of(block, batch_size, fit_intercept), None
    empty = Block(np.empty((0, len(source.names) + 1), dtype), np.empty(0, np.int64))
    feed = RowFeed(source, made, batch_size, fit_intercept, dtype, shuffle)
    return problem_of(empty, batch_size, fit_intercept), feed


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
        Numbers of the rows.
    """
    kind = PRECISIONS[dtype].dtype
    made = plan(source, batch_size, in_bytes(OWNER, memory), kind)
    if made is None:
        numbers = np.concatenate([source.read(block).numbers for block in range(len(source))])
        return numbers[generator.permutation(len(numbers))]
    feed = RowFeed(source, made, batch_size, True, kind, True)
    return np.concatenate([block.numbers for block in feed.blocks(generator, None)])
