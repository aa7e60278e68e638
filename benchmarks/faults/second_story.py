"""What a story is, for the second generator, and what many of them begin with.

A story is a function `story(draw, put)` of a random generator and the faults that are in force, which returns a `Run`;
without a fault of its own in `put` it returns the same run with that fault taken back. It draws the same numbers
whatever `put` holds. Every module of stories lists them, with their faults, in its `STORIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from benchmarks.faults.second_runs import Draw, Run, bells, pick, settled, standardised, steps_an_epoch, table

Put = Collection[str]
Tell = Callable[[Draw, Put], Run]


@dataclass(frozen=True)
class Story:
    """A story and the faults that it puts in."""

    name: str
    tell: Tell
    faults: tuple[str, ...] = ()


def listing(stories: list[Story]) -> Callable[..., Callable[[Tell], Tell]]:
    """Return the decorator `story(*faults)` that appends to a module's list."""

    def story(*faults: str) -> Callable[[Tell], Tell]:
        def listed(tell: Tell) -> Tell:
            stories.append(Story(tell.__name__, tell, faults))
            return tell

        return listed

    return story


def plain(draw: Draw, features: int | None = None, **asked: Any) -> Run:
    """Return a sound run on a few standardised features."""
    drawn, correlation = pick(draw, 1, 2, 3, 3, 5, 8, 12), pick(draw, 0.0, 0.0, 0.3, 0.5)
    return settled(draw, standardised(table(draw, *bells(draw, features or drawn, correlation))), **asked)


def unscaled(draw: Draw, run: Run, put: Put, *rates: float, **asked: Any) -> Run:
    """Train on the table as it is, at a rate of the tutorials; without the fault, standardised."""
    asked = {"rule": "sgd", "loss": "mse", **asked}
    calm = settled(draw, standardised(run), **asked)
    rate, plenty = pick(draw, *rates), draw.uniform(1, 2)
    enough = plenty * 2.5 / (rate * steps_an_epoch(calm))
    epochs = int(np.clip(enough, 20, min(500, 8000 // steps_an_epoch(calm))))
    calm = calm.told(epochs=epochs).at_rate(rate)
    return replace(run, settings=calm.settings) if "feature_scale" in put else calm


def framed(run: Run, *names: str) -> Run:
    """Hand X over as a polars frame with column names."""
    return replace(run, dress=lambda X: pl.DataFrame(X, schema=list(names)))
