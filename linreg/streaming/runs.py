"""A run, and a validation, whose rows come window by window."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from linreg.batches import Batches, Problem
from linreg.losses import Loss
from linreg.precision import Precision
from linreg.streaming.feeds import Feed, RowFeed
from linreg.training import Position, Run

Array = Any


def _nobody_looks() -> None:
    """Take no notice of rows that are waited for."""


class Streamed(Run):
    """A run whose rows come window by window.

    Parameters
    ----------
    *arguments : Any
        As for `linreg.training.Run`; the problem holds no rows, only its sizes.
    feed : Feed
        Where the windows come from, in the order in which they are trained on: `shuffle` of the run is False.
    **options : Any
        As for `linreg.training.Run`. In the middle of an epoch, the generator is as it was before it drew the order.
    """

    def __init__(self, *arguments: Any, feed: Feed, **options: Any) -> None:
        self.feed = feed
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

    def _parts(self, at: Position) -> Generator[Batches, None, None]:
        """Bind window after window."""
        met, number = at.batches == 0, -1
        with closing(self.feed.problems(self.state.generator, self._look)) as problems:
            for number, problem in enumerate(problems):
                if number >= at.window:
                    self.window = problem
                    if not met:
                        self._meets(problem)
                    met = True
                    if number > at.window:
                        at.window, at.batch = number, 0
                        self._pause()
                    self._bind_rows(problem)
                    yield self._batches
                self.feed.moved(len(problem.target))
        if number < at.window:
            self._meets(None)
        self.window = None

    def _look(self) -> None:
        """Keep and end the run where that is asked for, while rows are waited for; after its last step, no more."""
        if self.position.rows != self.epoch_rows:
            self._pause()


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
