"""A run as a pipeline: raw rows, their preparation, their presentation, the training; every step can be sabotaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from benchmarks.faults.cases import Case, Law
from benchmarks.faults.objective import Array
from linreg import SGD, Adam, Huber, MeanSquaredError, RMSprop, schedules
from linreg.precision import FLOAT64
from linreg.regularizers import L1, L1L2, L2

OPTIMIZERS = {"SGD": SGD, "RMSprop": RMSprop, "Adam": Adam}
PENALTIES = {"l1": L1, "l2": L2, "l1l2": L1L2}


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a raw table.

    Parameters
    ----------
    X : array of shape (rows, features)
        Features in the units in which they were recorded.
    y : array of shape (rows,)
        Target.
    weight : array of shape (rows,), optional
        Sample weights.
    """

    X: Array
    y: Array
    weight: Array | None = None

    def cut(self, count: int) -> Rows:
        """Return the first rows only."""
        return Rows(self.X[:count], self.y[:count], None if self.weight is None else self.weight[:count])


@dataclass(frozen=True, eq=False)
class Ready:
    """What the preparation makes of a run: numbers for training and validation, and the law in their units."""

    X: Array
    y: Array
    weight: Array | None
    held: tuple[Array, Array] | None
    law: Law
    bias: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """A run from the raw table to the last epoch.

    Parameters
    ----------
    train, clean : Rows
        Rows that are trained on, and rows of the same law that nobody sees.
    held : Rows, optional
        Rows for validation.
    names : tuple of str
        Columns.
    coef, bias, noise : array, float, float
        The law, in raw units.
    table : str
        Where the rows come from.
    natural : tuple of str
        Causes that the rows may bring along.
    far : Rows, optional
        Rows that came in after the scaler was fitted.
    scaler : str
        standard, minmax, robust, maxabs, uncentred (divides by the deviation only) or none.
    unscaled : frozenset of str
        Columns that the scaler passes through.
    units : tuple of (column, factor, shift)
        Columns that arrive in another unit than the one the scaler was fitted in.
    target : (shift, scale)
        Preparation of y: (y - shift) / scale.
    target_unit : (factor, shift)
        Change of unit of the prepared y.
    held_unit : (factor, shift)
        Change of unit of the prepared validation target alone.
    held_alone : bool
        Whether the validation rows have a scaler of their own.
    cured : frozenset of str
        "features" or "target": standardised last of all.
    optimizer, rate, options, schedule, clip
        Name and hyper-parameters; the schedule is (class name, other arguments), its rates being multiples of `rate`.
    loss, delta, reduction, penalty
        Loss and the penalty, as (name, strengths).
    batch, epochs, start, intercept, dtype, shuffle, seed
        The training; no batch stands for all rows. The start is a name, or numbers for kernel and bias.
    holes : tuple of (column or "y", share of rows, value, seed)
        Numbers that are missing.
    texts : tuple of (column or "y", share of rows, writer, seed)
        Numbers that are written as something else.
    box : str
        array, list, pandas, polars or masked.
    """

    train: Rows
    clean: Rows
    held: Rows | None
    names: tuple[str, ...]
    coef: Array
    bias: float
    noise: float
    table: str = "drawn"
    natural: tuple[str, ...] = ()
    far: Rows | None = None
    scaler: str = "standard"
    unscaled: frozenset[str] = frozenset()
    units: tuple[tuple[str, float, float], ...] = ()
    target: tuple[float, float] = (0.0, 1.0)
    target_unit: tuple[float, float] = (1.0, 0.0)
    held_unit: tuple[float, float] = (1.0, 0.0)
    held_alone: bool = False
    cured: frozenset[str] = frozenset()
    optimizer: str = "SGD"
    rate: float = 0.01
    options: dict[str, Any] = field(default_factory=dict)
    schedule: tuple[str, dict[str, Any]] | None = None
    loss: str = "mse"
    delta: float = 1.0
    reduction: str = "sum_over_batch_size"
    penalty: tuple[str, dict[str, float]] | None = None
    batch: int | None = 32
    epochs: int = 100
    start: Any = "zeros"
    intercept: bool = True
    dtype: str = "float32"
    shuffle: bool = True
    seed: int = 0
    holes: tuple[tuple[str, float, Any, int], ...] = ()
    texts: tuple[tuple[str, float, Callable[[float], Any], int], ...] = ()
    box: str = "array"

    @cached_property
    def ready(self) -> Ready:
        """The numbers that come out of the preparation."""
        return _prepared(self)

    @property
    def rows(self) -> int:
        """Rows that are trained on."""
        return len(self.train.y) + (0 if self.far is None else len(self.far.y))

    @property
    def batch_rows(self) -> int:
        """Rows in a step."""
        return min(self.batch or self.rows, self.rows)

    @property
    def steps(self) -> int:
        """Steps in all epochs."""
        return self.epochs * -(-self.rows // self.batch_rows)

    def with_column(self, name: str, values: Callable[[Rows], Array], *, scaled: bool = True) -> Run:
        """Return the run with one more column that has no effect of its own."""

        def wider(part: Rows | None) -> Rows | None:
            return None if part is None else Rows(np.column_stack([part.X, values(part)]), part.y, part.weight)

        return replace(
            self,
            train=wider(self.train),
            clean=wider(self.clean),
            held=wider(self.held),
            far=wider(self.far),
            names=(*self.names, name),
            coef=np.append(self.coef, 0.0),
            unscaled=self.unscaled if scaled else self.unscaled | {name},
        )

    def law_of(self, X: Array) -> Array:
        """Return what the law says without noise, in raw units."""
        return X @ self.coef + self.bias


# Preparation.


def _scaler(run: Run, X: Array) -> tuple[Array, Array]:
    """Return what is subtracted from each column and by what it is divided then."""
    none = np.zeros(X.shape[1])
    if run.scaler == "standard":
        shift, scale = X.mean(axis=0), X.std(axis=0)
    elif run.scaler == "minmax":
        shift, scale = X.min(axis=0), np.ptp(X, axis=0)
    elif run.scaler == "robust":
        shift, scale = np.median(X, axis=0), np.subtract(*np.percentile(X, [75, 25], axis=0))
    elif run.scaler == "maxabs":
        shift, scale = none, np.abs(X).max(axis=0)
    elif run.scaler == "uncentred":
        shift, scale = none, X.std(axis=0)
    else:
        shift, scale = none, none + 1
    scale = np.where(scale > 1e-12 * np.abs(X).max(axis=0), scale, 1.0)
    passed = np.array([name in run.unscaled for name in run.names])
    return np.where(passed, 0.0, shift), np.where(passed, 1.0, scale)


def _prepared(run: Run) -> Ready:
    shift, scale = _scaler(run, run.train.X)
    factor, moved = np.ones(len(run.names)), np.zeros(len(run.names))
    for name, times, plus in run.units:
        j = run.names.index(name)
        factor[j], moved[j] = factor[j] * times, moved[j] * times + plus

    def features(X: Array, shift: Array = shift, scale: Array = scale) -> Array:
        return (X * factor + moved - shift) / scale

    times, plus = run.target_unit

    def targets(y: Array) -> Array:
        return (y - run.target[0]) / run.target[1] * times + plus

    train, clean = run.train, features(run.clean.X)
    X, y, weight = features(train.X), targets(train.y), train.weight
    if run.far is not None:
        X, y = np.vstack([X, features(run.far.X)]), np.append(y, targets(run.far.y))
        weight = None if weight is None else np.append(weight, np.full(len(run.far.y), weight.mean()))
    coef = run.coef * scale / factor * times / run.target[1]
    noise, clean_y = run.noise * abs(times / run.target[1]), targets(run.clean.y)
    bias = float(targets(np.array([run.bias]))[0] + coef @ ((shift - moved) / scale))
    held = None
    if run.held is not None:
        own = _scaler(run, run.held.X) if run.held_alone else (shift, scale)
        held = [features(run.held.X, *own), targets(run.held.y) * run.held_unit[0] + run.held_unit[1]]
    if "features" in run.cured:
        mean, std = X.mean(axis=0), X.std(axis=0)
        std = np.where(std > 1e-12 * np.abs(X).max(axis=0), std, 1.0)
        X, clean, bias, coef = (X - mean) / std, (clean - mean) / std, bias + float(coef @ mean), coef * std
        held = held and [(held[0] - mean) / std, held[1]]
    if "target" in run.cured:
        mean, std = float(y.mean()), float(y.std()) or 1.0
        y, clean_y, bias, coef, noise = (
            (y - mean) / std,
            (clean_y - mean) / std,
            (bias - mean) / std,
            coef / std,
            noise / std,
        )
        held = held and [held[0], (held[1] - mean) / std]
    return Ready(X, y, weight, held and (held[0], held[1]), Law(clean, clean_y, coef, noise), bias)


# Training.


def rate_of(run: Run) -> Any:
    """Return the learning rate or schedule; rates within the schedule are multiples of the run's rate."""
    if run.schedule is None:
        return run.rate
    name, others = run.schedule
    scaled = {"end_learning_rate", "warmup_target"} & set(others)
    others = {**others, **{key: others[key] * run.rate for key in scaled}}
    if name == "PiecewiseConstantDecay":
        return schedules.PiecewiseConstantDecay(others["boundaries"], [v * run.rate for v in others["values"]])
    return getattr(schedules, name)(run.rate, **others)


def mean_rate(run: Run) -> float:
    """Return the mean of the rates over all steps."""
    rate = rate_of(run)
    return float(rate.rates(np.arange(run.steps), FLOAT64).mean()) if isinstance(rate, schedules.Schedule) else rate


def settings(run: Run) -> dict[str, Any]:
    """Return the keyword arguments of `LinearRegression`."""
    loss = MeanSquaredError(run.reduction) if run.loss == "mse" else Huber(run.delta, run.reduction)
    kernel, bias = (run.start, "zeros") if isinstance(run.start, str) else run.start
    if not isinstance(kernel, str) and len(kernel) < len(run.names):  # a column came in: its coefficient starts at 0
        kernel = np.append(kernel, np.zeros(len(run.names) - len(kernel)))
    found = {
        "optimizer": OPTIMIZERS[run.optimizer](rate_of(run), **run.options),
        "loss": loss,
        "epochs": run.epochs,
        "batch_size": run.batch_rows,
        "shuffle": run.shuffle,
        "random_state": run.seed,
        "kernel_initializer": kernel,
        "bias_initializer": bias,
        "dtype": run.dtype,
    }
    if run.penalty is not None:
        found["kernel_regularizer"] = PENALTIES[run.penalty[0]](**run.penalty[1])
    return found if run.intercept else {**found, "fit_intercept": False}


def limit(run: Run) -> float:
    """Return the largest stable rate of gradient descent on full batches, that of the Hessian."""
    ready = run.ready
    matrix = np.column_stack([ready.X, np.ones(len(ready.y))]) if run.intercept else ready.X
    weight = np.ones(len(ready.y)) if ready.weight is None else ready.weight
    hessian = (2 if run.loss == "mse" else 1) * (matrix.T * weight) @ matrix / len(weight)
    if run.reduction == "sum":
        hessian *= run.batch_rows
    elif run.reduction == "mean_with_sample_weight":
        hessian /= weight.mean()
    d = len(run.names)
    hessian[np.arange(d), np.arange(d)] += 2 * (run.penalty or ("", {}))[1].get("l2", 0.0)
    momentum = run.options.get("momentum", 0.0) if run.optimizer == "SGD" else 0.0
    ahead = 1 + 2 * momentum if run.options.get("nesterov") else 1.0
    return float(2 * (1 + momentum) / ahead / max(np.linalg.eigvalsh(hessian)[-1], 1e-300))


# Presentation.


def _picked(share: float, seed: int, rows: int) -> Array:
    """Return which rows are hit: a few at random, at least one; a negative share stands for the first rows."""
    if share < 0:
        return np.arange(rows) < max(1, round(-share * rows))
    luck = np.random.default_rng(seed).random(rows)
    return luck <= max(share, luck.min())


def _boxed(run: Run) -> tuple[Any, Any]:
    """Return X and y as the user holds them, with holes and texts."""
    columns: dict[str, Any] = dict(zip(run.names, run.ready.X.T, strict=True)) | {"y": run.ready.y}
    for name, share, value, seed in run.holes:
        kind = float if isinstance(value, float) else object
        columns[name] = np.array(columns[name], kind)
        columns[name][_picked(share, seed, run.rows)] = value
    for name, share, writer, seed in run.texts:
        hit = _picked(share, seed, run.rows)
        written = [writer(value) if yes else value for value, yes in zip(columns[name].tolist(), hit, strict=True)]
        whole = hit.all() and not isinstance(written[0], str)
        columns[name] = np.array(written) if whole else np.array(written, object)
    y = columns.pop("y")
    if run.box == "pandas":
        return pd.DataFrame(columns), pd.Series(y, name="target")
    if run.box == "polars":
        X = {name: _polars(column) for name, column in columns.items()}
        return pl.DataFrame(X), _polars(y)
    if any(column.dtype.kind not in "fc" for column in columns.values()):
        X = np.array([list(row) for row in zip(*(c.tolist() for c in columns.values()), strict=True)], object)
    else:
        X = np.column_stack(list(columns.values()))
    if run.box == "masked":
        return np.ma.masked_invalid(X), y
    return (X.tolist(), y.tolist()) if run.box == "list" else (X, y)


def _polars(column: Any) -> Any:
    """Return a column as polars reads it: all text as soon as one value is."""
    values = column.tolist()
    return pl.Series([str(v) for v in values] if any(isinstance(v, str) for v in values) else column)


def case_of(run: Run, name: str, **more: Any) -> Case:
    """Return the run as a case.

    Parameters
    ----------
    run : Run
        The run.
    name : str
        Name of the case.
    **more : object
        Further fields of `Case`.

    Returns
    -------
    Case
        The case.
    """
    X, y = _boxed(run)
    return Case(
        name=name,
        X=X,
        y=y,
        settings=settings(run),
        validation_data=run.ready.held,
        sample_weight=run.ready.weight,
        law=run.ready.law,
        natural=run.natural,
        **more,
    )
