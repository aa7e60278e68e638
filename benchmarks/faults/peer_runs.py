"""What a tool is asked and what it answers: the run as a callback of Keras sees it, and the changes a user may make.

Numbers in any container (a list, a frame, an array of objects) are handed over as an array of floats. What is no number
is handed over as it is: then Keras raises before any tool can speak, and its error names the type, for which every peer
that runs in Keras gets credit; nan is a float, so that the loss is nan from the first batch on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.faults.cases import Case, finite_numbers
from benchmarks.faults.objective import Array
from linreg import LinearRegression
from linreg.callbacks import Callback, Logs


@dataclass(frozen=True, eq=False)
class Answer:
    """What a tool says about a run.

    Parameters
    ----------
    alarm : bool
        Whether it says that something is wrong.
    causes : tuple of str
        Causes that it points at, in this project's names and in its own order; empty for a tool that only detects.
    advice : Case, optional
        The run with its advice followed.
    cured : bool, optional
        Whether that cures, from a tool that has tried it.
    words : str
        What it says.
    """

    alarm: bool
    causes: tuple[str, ...] = ()
    advice: Case | None = None
    cured: bool | None = None
    words: str = ""

    def cures(self) -> bool:
        """Whether the run with the advice followed converges, by the formula of the verdicts."""
        if self.cured is not None:
            return self.cured
        return self.advice is not None and self.advice.outcome.verdict == "converges"


# The run, as a tool inside Keras sees it.


@dataclass(frozen=True, eq=False)
class Trace:
    """What a callback of Keras can see of a run.

    Parameters
    ----------
    X, y : array of shape (rows, features), (rows,)
        Training data, in the arithmetic of the run.
    batch_size : int
        Rows in a batch.
    weights : array of shape (steps + 1, parameters)
        Before the first step and after each.
    batch_loss : array of shape (steps,)
        Loss of each batch, before its step.
    loss, val_loss : array of shape (epochs,)
        As logged after each epoch; `val_loss` is empty without validation data. All losses are in float32.
    """

    X: Array
    y: Array
    batch_size: int
    weights: Array
    batch_loss: Array
    loss: Array
    val_loss: Array

    @property
    def batches(self) -> int:
        """Steps an epoch."""
        return -(-len(self.y) // self.batch_size)

    def batch(self, step: int) -> slice:
        """Rows of the batch with the number of `step`, unshuffled, as tools that hold the data themselves take it."""
        first = step % self.batches * self.batch_size
        return slice(first, first + self.batch_size)


class Batches(Callback):
    """Keeps the parameters and the loss of every batch."""

    def __init__(self, rows: int, batch_size: int) -> None:
        self.rows, self.batch_size = rows, batch_size
        self.weights: list[Array] = []
        self.losses: list[float] = []
        self.total = 0.0

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002
        self.weights.append(self.run.get_weights())

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        before = batch * self.batch_size
        seen = min(before + self.batch_size, self.rows)
        total = logs["loss"] * seen  # the log is the mean over the epoch so far
        self.losses.append((total - (self.total if batch else 0.0)) / (seen - before))
        self.total = total
        self.weights.append(self.run.get_weights())


def dtype(case: Case) -> type:
    """Return the arithmetic of the run."""
    return np.float32 if case.settings.get("dtype", "float32") == "float32" else np.float64


def floats(values: Any, number: type) -> Array:
    """Return what a user gave as floats, nan included.

    Parameters
    ----------
    values : array, list or frame
        X or y.
    number : type
        Arithmetic of the run.

    Returns
    -------
    array
        The floats.

    Raises
    ------
    TypeError
        If some of it is no number, with the words that Keras has for it.
    """
    finite = finite_numbers(values, number)
    if finite is not None:
        return finite
    columns = [values[name] for name in values.columns] if hasattr(values, "columns") else [values]
    arrays = [np.asarray(column.to_numpy() if hasattr(column, "to_numpy") else column) for column in columns]
    for array in arrays:
        if array.dtype.kind not in "fiub":
            raise TypeError(f"Invalid dtype: {array.dtype}")
    with np.errstate(over="ignore"):
        joined = np.column_stack(arrays) if hasattr(values, "columns") else arrays[0]
        return joined.astype(number).astype(np.float64)


@lru_cache(maxsize=4)
def watched(case: Case) -> Trace:
    """Make the run and keep what a callback can see of it; raises TypeError where Keras would."""
    number = dtype(case)
    X, y = floats(case.X, number), floats(case.y, number).reshape(-1)
    batch_size, epochs = case.settings["batch_size"], case.settings["epochs"]
    data = X.astype(number), y.astype(number)
    if not (np.isfinite(data[0]).all() and np.isfinite(data[1]).all()):
        steps = -(-len(y) // batch_size) * epochs
        nothing = np.full((steps + 1, X.shape[1] + 1), math.nan)
        lost = np.full(epochs, math.nan)
        return Trace(*data, batch_size, nothing, nothing[1:, 0], lost, lost if case.validation_data else lost[:0])
    batches = Batches(len(y), batch_size)
    validation = case.validation_data and tuple(finite_numbers(part, number) for part in case.validation_data)
    if validation and any(part is None for part in validation):
        validation = None
    model = LinearRegression(**{**case.settings, "callbacks": [batches]})
    model.fit(X, y, sample_weight=case.sample_weight, validation_data=validation)
    logged = (batches.losses, model.history_["loss"], model.history_.get("val_loss", ()))
    with np.errstate(over="ignore"):
        return Trace(*data, batch_size, np.array(batches.weights), *(np.array(losses, np.float32) for losses in logged))


def raised(error: TypeError) -> Answer:
    """Return the answer of every tool that runs in Keras where Keras cannot run."""
    return Answer(True, ("wrong_dtype",), words=f"cannot run: {error}")


# What a user changes.


def rate(case: Case) -> float:
    """Return the learning rate, of a schedule the first."""
    given = case.settings["optimizer"].learning_rate
    return float(given(0) if callable(given) else given)


def with_rate(case: Case, learning_rate: float) -> Case:
    """Return the run with another learning rate."""
    optimizer = replace(case.settings["optimizer"], learning_rate=learning_rate)
    return replace(case, settings={**case.settings, "optimizer": optimizer})


def normalised(case: Case) -> Case:
    """Return the run with every column scaled to [-1, 1]."""
    X = floats(case.X, dtype(case))
    low, high = X.min(axis=0), X.max(axis=0)
    centre, half = (low + high) / 2, (high - low) / 2
    constant = half <= 1e-12 * np.abs(centre)
    scale = np.where(constant, np.maximum(np.abs(centre), 1), half)
    return replace(case, X=np.where(constant, X, X - centre) / scale)
