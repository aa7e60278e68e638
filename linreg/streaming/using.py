"""A fitted model on rows of a source: predictions, loss and R^2, block by block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from linreg.batches import Batches, Evaluated, evaluated_at_once
from linreg.data.blocks import Source
from linreg.data.checking import checked
from linreg.gram import Moments
from linreg.settings import Settings
from linreg.sklearn_adapter import check_feature_names
from linreg.streaming.fitting import fed
from linreg.streaming.runs import HeldOut

Array = Any


def check_features(owner: str, source: Source, features: int, names: Any) -> None:
    """Raise unless a source has the features that a model was fitted to.

    Parameters
    ----------
    owner : str
        Name of the estimator, for the error.
    source : Source
        The rows.
    features : int
        Features of the model.
    names : array of str or None
        Their names, if they had any: sources always have.

    Raises
    ------
    ValueError
        If there are others, or as many as are expected, but under other names.
    """
    if names is not None:
        check_feature_names(owner, list(source.names), names)
    if len(source.names) != features:
        raise ValueError(
            f"X has {len(source.names)} features, but {owner} is expecting {features} features as input: give the "
            "columns that fit was given."
        )


def predicted(source: Source, dtype: Any, predict: Callable[[Array], Array]) -> Array:
    """Return predictions for the rows of a source.

    Parameters
    ----------
    source : Source
        The rows, with a target or without.
    dtype : type
        The arithmetic of the model.
    predict : callable
        Takes a matrix of features, in that type, and returns its predictions.

    Returns
    -------
    array of shape (rows,)
        In units of the target. Rows that the source leaves out have none.
    """
    features, check = len(source.names), checked(source, dtype)
    blocks = (check(source.read(number)).rows[:, :features] for number in range(len(source)))
    return np.concatenate([np.empty(0, dtype), *(predict(np.ascontiguousarray(rows)) for rows in blocks)])


def evaluation(source: Source, batch_size: int, memory: int, settings: Settings, parameters: Array) -> Evaluated:
    """Return what evaluates a loss on the rows of a source, to the same bits as on arrays of them.

    Parameters
    ----------
    source : Source
        The rows.
    batch_size : int
        Rows in a batch.
    memory : int
        Bytes that they may take.
    settings : Settings
        Loss and arithmetic.
    parameters : array of shape (features + 1,)
        Coefficients and intercept.

    Returns
    -------
    Evaluated
        All rows where they fit into memory, else what reads them.
    """
    unit = batch_size * evaluated_at_once(batch_size, len(parameters))
    problem, feed = fed(
        source, unit=unit, memory=memory, batch_size=batch_size, fit_intercept=True, dtype=settings.precision.dtype,
        shuffle=False,
    )  # fmt: skip
    if feed is not None:
        return HeldOut(feed, settings.loss, settings.precision)
    return Batches(problem, False, settings.loss, settings.precision, parameters)


def squares(source: Source, dtype: Any, predict: Callable[[Array], Array]) -> tuple[float, float, int]:
    """Return the sums of squares that make up R^2 on the rows of a source.

    Parameters
    ----------
    source : Source
        The rows.
    dtype : type
        The arithmetic of the model.
    predict : callable
        Takes a matrix of features, in that type, and returns its predictions.

    Returns
    -------
    residual, total : float
        Weighted sums of squares of the errors, and of the target about its mean, in units of it squared.
    rows : int
        How many rows there are.
    """
    check, residual, rows = checked(source, dtype), 0.0, 0
    target = Moments.of(np.empty((0, 1)))
    for number in range(len(source)):
        block = source.read(number)
        X = np.ascontiguousarray(check(block).rows[:, :-1])
        y = block.rows[:, -1]
        squared = (y - predict(X)) ** 2
        residual += float(squared.sum() if block.weight is None else block.weight @ squared)
        target, rows = target + Moments.of(y[:, np.newaxis], block.weight), rows + len(y)
    return residual, float(target.products[0, 0]), rows
