"""What `model.fit` was given, as arrays: also of a `tf.data.Dataset`, of which a bounded number of rows is read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.data.arrays import column_names
from linreg.dynamics import least_squares
from linreg.keras.twins import LinearPart

Array = Any

DEFAULT_BATCH = 32
"""Rows in a batch of arrays where `fit` was not told."""
SHOWN = 3


@dataclass(frozen=True, eq=False)
class Inputs:
    """The data of a run of Keras.

    Parameters
    ----------
    X : array or frame of shape (rows, features)
        Features.
    y : array of shape (rows,)
        Target.
    sample_weight : array or None
        Weights.
    validation : tuple or None
        (X, y) of the validation data.
    batch_size : int
        Rows in a step.
    shuffle : bool
        Whether `fit` draws the order of the rows.
    sampled : bool
        Whether there are more rows than these.
    """

    X: Any
    y: Any
    sample_weight: Any
    validation: tuple[Any, Any] | None
    batch_size: int
    shuffle: bool
    sampled: bool = False

    @property
    def variance(self) -> float | None:
        """The variance of the target, None where it is not of numbers."""
        try:
            return float(np.nanvar(np.asarray(self.y, np.float64)))
        except (TypeError, ValueError):
            return None

    def least_loss(self, linear: LinearPart) -> float:
        """Return the loss of a linear model at the least squares solution, near its least; nan if it has none."""
        if self.sample_weight is not None or linear.model.kernel_regularizer is not None:
            return float("nan")
        try:
            X = np.asarray(linear.features(self.X), np.float64)
            y = np.asarray(self.y, np.float64)
            coef, intercept = least_squares(X, y, fit_intercept=linear.model.fit_intercept)
        except (TypeError, ValueError, np.linalg.LinAlgError):
            return float("nan")
        e = X @ coef + intercept - y
        loss = linear.model.settings().loss
        return float(np.mean(loss.value(e, *loss.constants(np.float64))))

    def facts(self) -> Iterator[str]:
        """Yield what the inputs of the first layer show by themselves.

        Yields
        ------
        str
            A sentence.
        """
        try:
            X = np.asarray(self.X, np.float64)
        except (TypeError, ValueError):
            yield "The inputs are not all numbers."
            return
        if X.ndim != 2:
            return
        names = column_names(self.X) or [f"x{j}" for j in range(X.shape[1])]
        bad = ~np.isfinite(X)
        if bad.any():
            columns = ", ".join(np.array(names)[bad.any(axis=0)][:SHOWN])
            yield f"Inputs: {int(bad.sum()):,} values are missing or infinite ({columns}): then the loss is nan."
        y = np.asarray(self.y, np.float64)
        if not np.isfinite(y).all():
            yield f"Target: {int((~np.isfinite(y)).sum()):,} values are missing or infinite: then the loss is nan."
        spread = np.nanstd(np.where(bad, np.nan, X), axis=0)
        moving = np.flatnonzero(spread > 0)
        if len(moving):
            large, small = moving[spread[moving].argmax()], moving[spread[moving].argmin()]
            yield (
                f"Inputs: standard deviations from {spread[small]:.3g} ({names[small]}) to {spread[large]:.3g} "
                f"({names[large]})."
            )


def told(arguments: dict[str, Any], X: Any, y: Any, steps: int | None) -> dict[str, Any]:
    """Return the arguments of `fit` with data that were given to the callback in the place of what came in batches.

    Parameters
    ----------
    arguments : dict
        Its arguments by name.
    X, y : array
        The data; y is None where X is a Dataset.
    steps : int or None
        Batches in an epoch, where Keras knows.

    Returns
    -------
    dict
        The arguments.
    """
    batched = arguments.get("x") is not None and _in_batches(arguments["x"])
    changed = {**arguments, "x": X, "y": y}
    if batched and steps and not _in_batches(X):
        changed |= {"batch_size": -(-len(X) // steps), "shuffle": False}
    return changed


def look_at(arguments: dict[str, Any], most_rows: int, *, read_batches: bool = True) -> Inputs:
    """Return the data that `fit` was given.

    Parameters
    ----------
    arguments : dict
        Its arguments by name: x, y, sample_weight, batch_size, shuffle, validation_data, steps_per_epoch, class_weight.
    most_rows : int
        Rows that are read of a Dataset.
    read_batches : bool, default=True
        Whether a Dataset is read at all.

    Returns
    -------
    Inputs
        The data.

    Raises
    ------
    ValueError
        If they cannot be read again, or are no table.
    """
    x = only(arguments.get("x"))
    if x is None:
        raise ValueError("what fit was given was not found. Give it to the callback: ExplainLoss(X, y).")
    if arguments.get("class_weight") is not None:
        raise ValueError("class_weight makes another loss of it, which is not repeated.")
    if _in_batches(x) and not read_batches:
        raise ValueError("they come in batches, which are not read again for a model that is not linear.")
    shuffle = bool(arguments.get("shuffle", True))
    validation = arguments.get("validation_data")
    if validation is not None:
        held = validation if isinstance(validation, tuple | list) else _rows(validation, most_rows)[0]
        validation = (table(only(held[0])), column(held[1]))
    if not _in_batches(x):
        batch_size = arguments.get("batch_size") or DEFAULT_BATCH
        weight, y = arguments.get("sample_weight"), arguments.get("y")
        return Inputs(
            table(x), column(y), None if weight is None else column(weight), validation, int(batch_size), shuffle
        )
    parts, batch_size, more = _rows(x, most_rows, arguments.get("steps_per_epoch"))
    weight = column(parts[2]) if len(parts) > 2 else None
    # A Dataset brings its own order, which is not shuffled again.
    return Inputs(table(only(parts[0])), column(parts[1]), weight, validation, batch_size, False, more)


def only(x: Any) -> Any:
    """Return the input itself where it comes alone in a list or a dict."""
    if isinstance(x, dict | list | tuple) and len(x) == 1:
        (x,) = x.values() if isinstance(x, dict) else x
        return x
    if isinstance(x, dict):
        raise ValueError(f"the model has {len(x)} inputs, one is a table of features.")
    return x


def table(X: Any) -> Any:
    """Return features as a frame or an array of shape (rows, features)."""
    if column_names(X) is not None:
        return X
    X = np.asarray(X)
    if X.ndim == 1:
        X = X[:, np.newaxis]
    if X.ndim != 2:
        raise ValueError(f"the inputs have shape {X.shape}, a table has (rows, features).")
    return X


def column(y: Any) -> Array:
    """Return a target or weights as an array of shape (rows,)."""
    return np.asarray(y).reshape(len(y), -1)[:, 0]


def _in_batches(x: Any) -> bool:
    """Whether data come as batches: a tf.data.Dataset, a PyDataset, a generator."""
    return hasattr(x, "element_spec") or hasattr(x, "num_batches") or hasattr(x, "__next__")


def _rows(dataset: Any, most: int, batches_of_epoch: int | None = None) -> tuple[list[Array], int, bool]:
    """Return the first rows of an epoch of data in batches, the rows of a batch, and whether there are more."""
    if hasattr(dataset, "__next__"):
        raise ValueError("a generator can be read once only. Give the data to the callback: ExplainLoss(X, y).")
    batches: Any = iter(dataset) if hasattr(dataset, "element_spec") else map(dataset.__getitem__, itertools.count())
    limit = None if hasattr(dataset, "element_spec") else dataset.num_batches
    if batches_of_epoch is not None:
        limit = batches_of_epoch if limit is None else min(limit, batches_of_epoch)
    taken: list[tuple[Array, ...]] = []
    rows = 0
    for batch in itertools.islice(batches, limit):
        if rows >= most:
            return _joined(taken), len(taken[0][1]), True
        if not isinstance(batch, tuple | list) or len(batch) < 2:
            raise ValueError("the Dataset holds no pairs (X, y).")
        taken.append(tuple(np.asarray(only(part)) for part in batch))
        rows += len(taken[-1][1])
    if not taken:
        raise ValueError("the Dataset is empty.")
    return _joined(taken), len(taken[0][1]), False


def _joined(batches: list[tuple[Array, ...]]) -> list[Array]:
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]
