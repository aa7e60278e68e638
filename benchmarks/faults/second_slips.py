"""Slips: one mistake each, made on a run that may be sound. `slip(draw, run, made)` draws alike whether made or not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.faults.second_runs import Array, Draw, Run, between, calmed, limit, pick, slopes, typed, validated
from linreg import L2, SGD, Huber, MeanSquaredError

Slip = Callable[[Draw, Run, bool], Run]


def typos_in_target(draw: Draw, run: Run, made: bool) -> Run:
    """Typists put zeros too many into y, or the wrong sign of a large value."""
    rows = draw.choice(len(run.y), max(1, round(len(run.y) * pick(draw, 0.0, 0.01, 0.03))), replace=False)
    wrong = run.y.copy()
    largest = np.abs(run.y).max()
    wrong[rows] = draw.choice([-1, 1], len(rows)) * largest * pick(draw, 10, 100, 1000)
    return replace(run, y=wrong) if made else run


def stuck_channel(draw: Draw, run: Run, made: bool) -> Run:
    """One sensor reports the same number for ever."""
    value = pick(draw, 0.0, 1.0, 21.5, 100.0, 1023.0, 4095.0)
    return _with_column(run, lambda X: np.full(len(X), value)) if made else run


def same_column_twice(draw: Draw, run: Run, made: bool) -> Run:
    """A join has brought a column in a second time, in another unit or rounded."""
    factor, digits = pick(draw, 1.0, 1.0, 0.5, 1.8), pick(draw, 2, 3, 8)
    column = int(draw.integers(run.X.shape[1]))
    return _with_column(run, lambda X: np.round(X[:, column] * factor, digits)) if made else run


def bold_rate(draw: Draw, run: Run, made: bool) -> Run:
    """The rate is a few, or a thousand, times what the table carries."""
    factor = between(draw, 1.3, 1000)
    optimizer = run.settings["optimizer"]
    if not made:
        return run
    if isinstance(optimizer, SGD):
        return run.at_rate(typed(factor * limit(run) * (1 + optimizer.momentum)))
    return run.at_rate(typed(optimizer.learning_rate * (10 + factor)))


def timid_rate(draw: Draw, run: Run, made: bool) -> Run:
    """The rate has some zeros too many behind the point."""
    factor = between(draw, 20, 3000)
    return run.at_rate(typed(run.settings["optimizer"].learning_rate / factor)) if made else run


def holes(draw: Draw, run: Run, made: bool) -> Run:
    """Some cells are empty, in X or in y."""
    X, y = run.X.copy(), run.y.copy()
    rows = draw.choice(len(y), max(1, round(len(y) * pick(draw, 0.0, 0.02, 0.1))), replace=False)
    column, in_target = int(draw.integers(X.shape[1])), draw.random() < 0.25
    if in_target:
        y[rows] = np.nan
    else:
        X[rows, column] = np.nan
    return replace(run, X=X, y=y) if made else run


def far_but_right(draw: Draw, run: Run, made: bool) -> Run:
    """One row lies a long way out in a feature, and exactly where the line says."""
    row, column = int(draw.integers(len(run.y))), int(draw.integers(run.X.shape[1]))
    X, y = run.X.copy(), run.y.copy()
    far = between(draw, 10, 3000) * X[:, column].std()
    X[row, column] += far
    y[row] += far * slopes(run)[column]
    return replace(run, X=X, y=y) if made else run.rows_kept(np.arange(len(y)) != row)


def missing_code(draw: Draw, run: Run, made: bool) -> Run:
    """A missing reading is written as -999 (or 9999), and y is as it was."""
    rows = draw.choice(len(run.y), max(1, round(len(run.y) * pick(draw, 0.0, 0.0, 0.005, 0.02))), replace=False)
    column, code = int(draw.integers(run.X.shape[1])), pick(draw, -999.0, -99.0, 9999.0)
    X = run.X.copy()
    X[rows, column] = code
    run = replace(run, natural=("outliers", "high_leverage"))
    return replace(run, X=X) if made else run.rows_kept(np.setdiff1d(np.arange(len(run.y)), rows))


def heavy_penalty(draw: Draw, run: Run, made: bool) -> Run:
    """A penalty is copied from another problem, where it was divided by the rows."""
    penalty = L2(pick(draw, 1.0, 3.0, 10.0))
    penalised = run.told(kernel_regularizer=penalty)
    if isinstance(run.settings["optimizer"], SGD):
        share = limit(penalised) / limit(run)
        penalised = penalised.at_rate(typed(share * run.settings["optimizer"].learning_rate))
    return penalised if made else penalised.told(kernel_regularizer=None)


def summed_loss(draw: Draw, run: Run, made: bool) -> Run:  # noqa: ARG001 (nothing to draw)
    """The loss of a batch is summed, the rate is the one for means."""
    loss = run.settings["loss"]
    return run.told(loss=replace(loss, reduction="sum")) if made else run


def grams_for_kilograms(draw: Draw, run: Run, made: bool) -> Run:
    """One column is in a unit a thousand times smaller, so its numbers are a thousand times larger."""
    column, factor = int(draw.integers(run.X.shape[1])), pick(draw, 60.0, 100.0, 1000.0, 1e6)
    units = np.ones(run.X.shape[1])
    units[column] = factor
    return run.columns_mapped(lambda X: X * units) if made else run


def another_season(draw: Draw, run: Run, made: bool) -> Run:
    """The validation rows come from another time: features and level of y have moved."""
    run = validated(draw, run)
    moved = draw.uniform(1, 4) * run.clean_x.std(axis=0) * draw.choice([-1, 1], run.X.shape[1])
    risen, features_too = draw.uniform(1.5, 6) * run.clean_y.std() * pick(draw, -1, 1), draw.random() < 0.5
    X, y = run.validation or ()
    return replace(run, validation=(X + moved * features_too, y + risen)) if made else run


def numbers_as_text(draw: Draw, run: Run, made: bool) -> Run:
    """A column, or y, has been read as text."""
    column, in_target = int(draw.integers(run.X.shape[1])), draw.random() < 0.25
    style: Callable[[float], str] = pick(draw, str, _with_comma, _with_thousands, "{:.6g} kg".format, "${:.2f}".format)
    if not made:
        return run
    if in_target:
        return replace(run, dress_y=lambda y: np.array([style(float(value)) for value in y], dtype=object))

    def dress(X: Array) -> Any:
        dressed = X.astype(object)
        dressed[:, column] = [style(float(value)) for value in X[:, column]]
        return dressed

    return replace(run, dress=dress)


def momentum_of_another_task(draw: Draw, run: Run, made: bool) -> Run:
    """Momentum is set to 0.99 or more beside an unchanged rate, "because it smooths"."""
    momentum = pick(draw, 0.98, 0.99, 0.995, 0.999)
    plain = calmed(run.told(optimizer=SGD(0.01)))
    rate = plain.settings["optimizer"].learning_rate
    return run.told(optimizer=SGD(rate, momentum=momentum)) if made else run.told(optimizer=SGD(rate))


def target_in_small_units(draw: Draw, run: Run, made: bool) -> Run:
    """y is in cents or millimetres, so an adaptive rule with its usual rate never gets there."""
    factor = pick(draw, 1e3, 1e4, 1e6)
    loss = run.settings["loss"]
    if not made:
        return run
    clean = {"clean_y": run.clean_y * factor, "noise": run.noise * factor}
    validation = run.validation and (run.validation[0], run.validation[1] * factor)
    loss = replace(loss, delta=loss.delta * factor) if isinstance(loss, Huber) else MeanSquaredError()
    return replace(run, y=run.y * factor, validation=validation, **clean).told(loss=loss)


def _with_column(run: Run, column: Callable[[Array], Array]) -> Run:
    return run.columns_mapped(lambda X: np.column_stack([X, column(X)]))


def _with_comma(value: float) -> str:
    return f"{value:.4f}".replace(".", ",")


def _with_thousands(value: float) -> str:
    return f"{value:,.3f}" if math.fabs(value) >= 1000 else f"{value * 1000:,.3f}"


# What is added to a story to make a pair of it, by the cause that it puts in.
SLIPS: dict[str, Slip] = {
    "outliers": typos_in_target,
    "constant_feature": stuck_channel,
    "collinearity": same_column_twice,
    "learning_rate_too_high": bold_rate,
    "learning_rate_too_low": timid_rate,
    "missing_values": holes,
    "high_leverage": far_but_right,
    "regularization": heavy_penalty,
    "loss_reduction": summed_loss,
    "feature_scale": grams_for_kilograms,
    "validation_shift": another_season,
    "wrong_dtype": numbers_as_text,
}
