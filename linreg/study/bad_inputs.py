"""Known bad inputs, each with what the diagnosis says of it: small enough to be worked out by hand."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.diagnosis import diagnose
from linreg.optimizers import SGD

Array = Any
EPOCHS = 100


@dataclass(frozen=True, eq=False)
class BadInput:
    """One bad input and what became of it.

    Parameters
    ----------
    name : str
        What a button says.
    story : str
        Data and run in one sentence.
    verdict : str
        What the run does, see `linreg.diagnose`.
    cause, why : str
        The main cause, and the diagnosis' words for it.
    change : str
        The remedy that was tried.
    before, after : array of shape (epochs + 1,)
        Loss on all rows before the first epoch and after each: as given, and with the remedy.
    """

    name: str
    story: str
    verdict: str
    cause: str
    why: str
    change: str
    before: Array
    after: Array


@functools.cache
def known_bad_inputs() -> tuple[BadInput, ...]:
    """Return the known bad inputs, diagnosed.

    Returns
    -------
    tuple of BadInput
        Columns of different scale, a rate too high, a rate too low, one far point.
    """
    X = np.random.default_rng(42).uniform(size=(100, 1))
    y = 2 * X[:, 0] + 1 + 0.1 * np.random.default_rng(43).normal(size=100)
    columns = [[1.0, 1000.0], [2.0, 2000.0], [3.0, 3000.0]]
    line = "100 rows of y = 2x + 1 with some noise"
    return (
        _diagnosed("Columns of different scale", "X = [[1, 1000], [2, 2000], [3, 3000]], y = [1, 2, 3]", columns,
                   [1.0, 2.0, 3.0], 0.01),
        _diagnosed("Learning rate too high", line, X, y, 10.0),
        _diagnosed("Learning rate too low", line, X, y, 0.0001),
        _diagnosed("One far point", "x = 1, 2, 3, 100, y = 1, 2, 3, 10", [[1.0], [2.0], [3.0], [100.0]],
                   [1.0, 2.0, 3.0, 10.0], 0.01),
    )  # fmt: skip


def _diagnosed(name: str, story: str, X: Any, y: Any, rate: float) -> BadInput:
    run = {"optimizer": SGD(rate), "epochs": EPOCHS, "random_state": 0, "kernel_initializer": "zeros"}
    found = diagnose(np.array(X), np.array(y), **run)
    main = found.findings[0]
    remedy = main.remedies[0]
    before, after = (outcome.curve if outcome else np.empty(0) for outcome in (found.outcome, remedy.after))
    told = f"{story}; SGD at {rate:g}, {EPOCHS} epochs."
    return BadInput(name, told, found.verdict, main.cause, main.explanation, remedy.words, before, after)
