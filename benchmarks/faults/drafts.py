"""A run in the making: tables, their law, and settings that suit them; faults change it, `as_case` makes it a case.

Everything is numbers here, in the units of the run. How the user holds them (array, list, frame) comes last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from benchmarks.faults import tables
from benchmarks.faults.cases import Case, Law
from benchmarks.faults.objective import Array, Objective
from linreg import SGD, Adam, Huber, MeanSquaredError, RMSprop
from linreg.regularizers import L1, L2

STEPPERS = ("sgd", "momentum", "nesterov")
"""Families whose step is proportional to the gradient."""
ADAPTIVE = ("rmsprop", "rmsprop_momentum", "rmsprop_centered", "rmsprop_both", "adam", "amsgrad")
"""Families whose step has about the length of the learning rate."""
WITH_MOMENTUM = ("momentum", "nesterov", "rmsprop_momentum", "rmsprop_both")
MOST_EPOCHS = 500
MOST_STEPS = 6000

Spoil = Callable[[Any, Any], tuple[Any, Any]]


@dataclass(frozen=True, eq=False)
class Draft:
    """A run in the making.

    Parameters
    ----------
    table : str
        Where the rows come from: a real table or "made".
    X, y : array of shape (rows, features), (rows,)
        Training data.
    test_X, test_y : array
        Clean rows of the same law.
    valid_X, valid_y : array or None
        Validation data.
    coef : array of shape (features,)
        True coefficients.
    noise : float
        Standard deviation of the clean noise.
    family : str
        One of `STEPPERS` and `ADAPTIVE`.
    rate, momentum, rho : float
        Hyper-parameters of the optimizer.
    loss : {"mse", "huber"}
        The loss.
    delta : float
        Huber's delta.
    reduction : str
        Keras' name of the reduction.
    epochs : int
        Passes over the data.
    batch : int or None
        Rows in a batch; None for all of them.
    seed : int
        `random_state`.
    start : str or array
        Kernel initializer.
    start_bias : float
        Bias initializer.
    l1, l2 : float
        Penalties.
    dtype : str
        Arithmetic.
    container : str
        How the user holds the data: "array", "float32", "list", "objects", "polars", "pandas", "column".
    spoils : tuple of callable
        What happens to (X, y) once they are objects: missing values and text are put in here.
    raw : tuple (means, deviations, mean of y, deviation of y)
        The units that a real table came in.
    natural : tuple of str
        Causes that the real table may bring along.
    """

    table: str
    X: Array
    y: Array
    test_X: Array  # noqa: N815 (X is the name of the features)
    test_y: Array
    valid_X: Array | None  # noqa: N815
    valid_y: Array | None
    coef: Array
    noise: float
    family: str = "sgd"
    rate: float = 0.01
    momentum: float = 0.0
    rho: float = 0.9
    loss: str = "mse"
    delta: float = 1.0
    reduction: str = "sum_over_batch_size"
    epochs: int = 100
    batch: int | None = None
    seed: int = 0
    start: Any = "glorot_uniform"
    start_bias: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    dtype: str = "float32"
    container: str = "array"
    spoils: tuple[Spoil, ...] = ()
    raw: tuple[Array, Array, float, float] | None = None
    natural: tuple[str, ...] = field(default=())

    @property
    def rows(self) -> int:
        """Training rows."""
        return len(self.y)

    def with_columns(self, change: Callable[[Array], Array], coef: Array) -> Draft:
        """Return the draft with its columns changed in all tables alike: `change` maps (rows, d) to (rows, d')."""
        valid = None if self.valid_X is None else change(self.valid_X)
        return replace(self, X=change(self.X), test_X=change(self.test_X), valid_X=valid, coef=coef)

    def with_target(self, change: Callable[[Array], Array], factor: float) -> Draft:
        """Return the draft with its target changed in all tables alike; a unit of y becomes `factor`."""
        valid = None if self.valid_y is None else change(self.valid_y)
        return replace(
            self,
            y=change(self.y),
            test_y=change(self.test_y),
            valid_y=valid,
            coef=self.coef * factor,
            noise=self.noise * factor,
        )


# Learning rates.


def curvature(draft: Draft) -> float:
    """Return the largest eigenvalue of the Hessian of a batch like the whole (its upper bound for Huber)."""
    rows = min(draft.batch or draft.rows, draft.rows)
    factor = np.full(draft.rows, (rows if draft.reduction == "sum" else 1) / draft.rows)
    matrix = np.column_stack([draft.X, np.ones(draft.rows)])
    delta = draft.delta if draft.loss == "huber" else None
    objective = Objective(matrix, draft.y, factor, delta, 0, draft.l2, draft.X.shape[1])
    return float(np.linalg.eigvalsh(objective.hessian())[-1])


def limit(draft: Draft) -> float:
    """Return the largest stable learning rate of full-batch gradient descent, with the momentum of the draft."""
    beta = draft.momentum
    reach = {"sgd": 2.0, "momentum": 2 * (1 + beta), "nesterov": 2 * (1 + beta) / (1 + 2 * beta)}[draft.family]
    return reach / curvature(draft)


def distance(draft: Draft) -> float:
    """Return how far the parameters have to go: the largest of the exact fit."""
    matrix = np.column_stack([draft.X, np.ones(draft.rows)])
    return float(np.abs(np.linalg.lstsq(matrix, draft.y, rcond=None)[0]).max())


def steps(draft: Draft) -> int:
    """Return the number of updates of the run."""
    return draft.epochs * math.ceil(draft.rows / (draft.batch or draft.rows))


# Healthy drafts.


@dataclass(frozen=True)
class Needs:
    """What a fault asks of the run that it is put into; `and_` joins the needs of several faults.

    Parameters
    ----------
    families, losses : tuple of str
        Those to choose from.
    rows, features, noise : tuple (low, high)
        Ranges; noise is relative to the standard deviation of the signal.
    batches : tuple of str
        Of "full" and "mini".
    validation : bool or None
        Whether there must be validation data; None leaves it open.
    real : bool
        Whether real tables will do.
    speed : tuple (low, high)
        Learning rate as a share of the limit, for `STEPPERS`.
    large_target : bool
        Whether y may be large where that does no harm.
    """

    families: tuple[str, ...] = STEPPERS + ADAPTIVE
    losses: tuple[str, ...] = ("mse", "huber")
    rows: tuple[int, int] = (20, 2000)
    features: tuple[int, int] = (1, 10)
    noise: tuple[float, float] = (0.02, 1.0)
    batches: tuple[str, ...] = ("full", "mini")
    validation: bool | None = None
    real: bool = True
    speed: tuple[float, float] = (0.1, 0.7)
    large_target: bool = True

    def and_(self, other: Needs) -> Needs:
        """Return what satisfies both."""

        def both(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(x for x in a if x in b)

        def overlap(a: tuple[Any, Any], b: tuple[Any, Any]) -> tuple[Any, Any]:
            low, high = max(a[0], b[0]), min(a[1], b[1])
            if low > high:
                raise ValueError(f"No run satisfies both ranges, {a} and {b}: do not pair these faults.")
            return low, high

        return Needs(
            both(self.families, other.families),
            both(self.losses, other.losses),
            overlap(self.rows, other.rows),
            overlap(self.features, other.features),
            overlap(self.noise, other.noise),
            both(self.batches, other.batches),
            self.validation if other.validation is None else other.validation,
            self.real and other.real,
            overlap(self.speed, other.speed),
            self.large_target and other.large_target,
        )


def healthy_draft(rng: np.random.Generator, needs: Needs) -> Draft:
    """Return a draft that should train well: tame columns, and a learning rate within the limit.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws everything.
    needs : Needs
        What to choose from.

    Returns
    -------
    Draft
        The draft. Whether it does train well is for the truth to say.
    """
    draft = real_rows(rng, needs) if needs.real and rng.random() < 0.3 else made_rows(rng, needs)
    return with_settings(rng, with_validation(rng, draft, needs), needs)


def made_rows(rng: np.random.Generator, needs: Needs) -> Draft:
    """Draw a law and its rows: columns of spread 0.5 to 2 around -1 to 1, mildly correlated, some of them 0 or 1."""
    d = int(rng.integers(needs.features[0], needs.features[1] + 1))
    low, high = max(needs.rows[0], min(8 * (d + 1), needs.rows[1])), needs.rows[1]
    rows = round(math.exp(rng.uniform(math.log(low), math.log(high))))
    mean, spread = rng.uniform(-1, 1, d), rng.uniform(0.5, 2, d)
    mix = np.eye(d) + rng.uniform(0, 0.4) * rng.standard_normal((d, d)) / math.sqrt(d)
    shape = rng.choice(["normal", "uniform", "binary"], d, p=[0.6, 0.3, 0.1])
    coef = rng.uniform(0.5, 2, d) * rng.choice([-1, 1], d) * 10 ** rng.uniform(-0.5, 0.5)
    intercept = rng.uniform(-2, 2)
    kind = rng.choice(["normal", "uniform", "laplace"], p=[0.8, 0.1, 0.1])
    ratio = math.exp(rng.uniform(math.log(needs.noise[0]), math.log(needs.noise[1])))

    def draw(count: int) -> Array:
        z = rng.standard_normal((count, d)) @ mix
        z = np.where(shape == "uniform", rng.uniform(-1.7, 1.7, (count, d)), z)
        return np.where(shape == "binary", rng.random((count, d)) < 0.4, mean + spread * z)

    def errors(count: int) -> Array:
        if kind == "laplace":
            return rng.laplace(size=count) / math.sqrt(2)
        return rng.standard_normal(count) if kind == "normal" else rng.uniform(-1, 1, count) * math.sqrt(3)

    X, test_X = draw(rows), draw(1000)
    noise = ratio * float((test_X @ coef).std())
    y = X @ coef + intercept + noise * errors(rows)
    test_y = test_X @ coef + intercept + noise * errors(1000)
    return Draft("made", X, y, test_X, test_y, None, None, coef, noise)


def real_rows(rng: np.random.Generator, needs: Needs) -> Draft:
    """Draw a real table, standardised; half of the time with its own target, else with one of a known law."""
    fitting = [t for t in map(tables.load, tables.NAMES) if _fits(t, needs)]
    if not fitting:
        return made_rows(rng, needs)
    return from_table(rng, fitting[rng.integers(len(fitting))], needs, own_target=rng.random() < 0.5)


def _fits(table: tables.Table, needs: Needs) -> bool:
    rows, features = table.X.shape
    return needs.rows[0] <= rows <= needs.rows[1] and needs.features[0] <= features <= needs.features[1]


def from_table(rng: np.random.Generator, table: tables.Table, needs: Needs, *, own_target: bool) -> Draft:
    """Return a draft of a real table, standardised."""
    mean, spread = table.X.mean(axis=0), table.X.std(axis=0)
    X, (rows, d) = (table.X - mean) / spread, table.X.shape
    raw = (mean, spread, float(table.y.mean()), float(table.y.std()))
    if own_target:
        y = (table.y - raw[2]) / raw[3]
        fit = np.linalg.lstsq(np.column_stack([X, np.ones(rows)]), y, rcond=None)[0]
        noise = float((y - X @ fit[:d] - fit[d]).std())
        natural = ("outliers", "high_leverage")
        return Draft(table.name, X, y, X, y, None, None, fit[:d], noise, raw=raw, natural=natural)
    coef = rng.uniform(0.5, 2, d) * rng.choice([-1, 1], d)
    noise = float((X @ coef).std()) * math.exp(rng.uniform(math.log(needs.noise[0]), math.log(needs.noise[1])))
    test_X = np.tile(X, (math.ceil(1000 / rows), 1))
    y = X @ coef + noise * rng.standard_normal(rows)
    test_y = test_X @ coef + noise * rng.standard_normal(len(test_X))
    raw = (mean, spread, 0.0, float(10 ** rng.uniform(1, 4)))
    return Draft(f"{table.name} (made y)", X, y, test_X, test_y, None, None, coef, noise, raw=raw)


def with_validation(rng: np.random.Generator, draft: Draft, needs: Needs) -> Draft:
    """Set a random share of the rows aside for validation, where that is asked for or in a third of the others."""
    wanted = rng.random() < 0.33 if needs.validation is None else needs.validation
    held = max(5, draft.rows // 4)
    tight = draft.rows - held < 8 * (draft.X.shape[1] + 1)
    if not wanted or (tight and needs.validation is None):
        return draft
    if draft.table == "made":  # so many new rows, so that training keeps its own
        pick = rng.permutation(len(draft.test_y))[: max(held, 40)]
        keep = np.setdiff1d(np.arange(len(draft.test_y)), pick)
        return replace(
            draft,
            valid_X=draft.test_X[pick],
            valid_y=draft.test_y[pick],
            test_X=draft.test_X[keep],
            test_y=draft.test_y[keep],
        )
    order = rng.permutation(draft.rows)
    aside, kept = order[:held], order[held:]
    return replace(draft, X=draft.X[kept], y=draft.y[kept], valid_X=draft.X[aside], valid_y=draft.y[aside])


def with_settings(rng: np.random.Generator, draft: Draft, needs: Needs) -> Draft:
    """Draw optimizer, loss, batches, epochs and a learning rate that suits them."""
    family, loss = str(rng.choice(needs.families)), str(rng.choice(needs.losses, p=_favouring_first(needs.losses)))
    batch, epochs = None, round(math.exp(rng.uniform(math.log(40), math.log(MOST_EPOCHS))))
    if rng.choice(needs.batches) == "mini" and draft.rows >= 24:
        batch = min(int(rng.choice([8, 16, 32, 32, 64])), draft.rows // 2)
        epochs = max(20, min(epochs, MOST_STEPS // math.ceil(draft.rows / batch)))
    draft = replace(
        draft,
        family=family,
        loss=loss,
        delta=float(rng.choice([1.0, 1.0, 1.35 * draft.noise, 3 * draft.noise])) if loss == "huber" else 1.0,
        batch=batch,
        epochs=epochs,
        momentum=float(rng.choice([0.5, 0.8, 0.9, 0.95])) if family in WITH_MOMENTUM else 0.0,
        rho=float(rng.choice([0.9, 0.95, 0.99])),
        seed=int(rng.integers(2**31)),
        start=str(rng.choice(["zeros", "glorot_uniform"])),
        dtype=str(rng.choice(["float32", "float64"], p=[0.85, 0.15])),
        container=str(rng.choice(["array", "float32", "list", "objects", "polars", "pandas", "column"])),
    )
    draft = replace(draft, rate=_three_digits(_suitable_rate(rng, draft, needs)))
    if needs.large_target and loss == "mse" and family in STEPPERS and rng.random() < 0.3:
        factor = float(10 ** rng.uniform(1, 5))  # gradient descent on squares does not mind
        draft = draft.with_target(lambda y: factor * y, factor)
    return draft


def _favouring_first(names: tuple[str, ...]) -> list[float] | None:
    return [0.65, 0.35] if len(names) == 2 else None


def _suitable_rate(rng: np.random.Generator, draft: Draft, needs: Needs) -> float:
    if draft.family in STEPPERS:
        share = math.exp(rng.uniform(*map(math.log, needs.speed)))
        if draft.batch is not None:
            share *= min(1, math.sqrt(draft.batch / draft.rows) + 0.1)
        return share * limit(draft) / (1 + 4 * draft.momentum)
    slower = 1 / (1 - draft.momentum) if draft.family in WITH_MOMENTUM else 1
    rate = rng.uniform(3, 12) * max(distance(draft), 0.1) / steps(draft) / slower
    return min(rate, 0.3 * max(distance(draft), 0.1) / slower)


def _three_digits(number: float) -> float:
    """Round as people do."""
    return float(f"{number:.3g}")


def longer(draft: Draft) -> Draft:
    """Return the draft with twice the epochs, as far as that stays quick."""
    batches = math.ceil(draft.rows / (draft.batch or draft.rows))
    return replace(draft, epochs=min(2 * draft.epochs, MOST_EPOCHS, max(draft.epochs, 2 * MOST_STEPS // batches)))


# Cases.


def optimizer(draft: Draft) -> SGD | RMSprop | Adam:
    """Return the optimizer of the draft."""
    rate, momentum = draft.rate, draft.momentum
    if draft.family in STEPPERS:
        return SGD(rate, momentum=momentum, nesterov=draft.family == "nesterov")
    if draft.family in ("adam", "amsgrad"):
        return Adam(rate, amsgrad=draft.family == "amsgrad")
    centered = draft.family in ("rmsprop_centered", "rmsprop_both")
    return RMSprop(rate, rho=draft.rho, momentum=momentum, centered=centered)


def settings(draft: Draft) -> dict[str, Any]:
    """Return the keyword arguments of `LinearRegression`."""
    loss = Huber(draft.delta, draft.reduction) if draft.loss == "huber" else MeanSquaredError(draft.reduction)
    start = draft.start
    if not isinstance(start, str) and len(start) < draft.X.shape[1]:
        start = np.append(start, np.zeros(draft.X.shape[1] - len(start)))
    given = {
        "optimizer": optimizer(draft),
        "loss": loss,
        "epochs": draft.epochs,
        "batch_size": draft.rows if draft.batch is None else draft.batch,
        "shuffle": draft.batch is not None,
        "random_state": draft.seed,
        "kernel_initializer": start,
        "bias_initializer": draft.start_bias or "zeros",
        "dtype": draft.dtype,
    }
    if draft.l1 or draft.l2:
        given["kernel_regularizer"] = L1(draft.l1) if draft.l1 else L2(draft.l2)
    return given


def held_in(container: str, X: Any, y: Any) -> tuple[Any, Any]:
    """Return X and y as a user holds them; X may hold objects that are no numbers."""
    mixed = X.dtype == object
    if container == "list" or (container == "float32" and mixed):
        return X.tolist(), y.tolist()
    if container == "objects":
        return X.astype(object), y.astype(object)
    if container == "float32":
        return X.astype(np.float32), np.asarray(y, object if y.dtype == object else np.float32)
    if container == "column" and not mixed:
        return X, y.reshape(-1, 1)
    if container in ("polars", "pandas"):
        columns = {f"x{j + 1}": X[:, j].tolist() for j in range(X.shape[1])}
        if container == "polars":
            return pl.DataFrame(columns, strict=False), pl.Series("y", y.tolist(), strict=False)
        return pd.DataFrame(columns), pd.Series(y.tolist(), name="y")
    return X, y


def as_case(draft: Draft, name: str, **known: Any) -> Case:
    """Return the draft as a user would run it.

    Parameters
    ----------
    draft : Draft
        The draft.
    name : str
        Name of the case.
    **known : object
        Further fields of `Case`.

    Returns
    -------
    Case
        The case.
    """
    X, y = draft.X, draft.y
    for spoil in draft.spoils:
        X, y = spoil(X, y)
    X, y = held_in(draft.container, X, y)
    valid = None if draft.valid_X is None else held_in(draft.container, draft.valid_X, draft.valid_y)
    law = Law(draft.test_X, draft.test_y, draft.coef, draft.noise)
    return Case(
        name=name, X=X, y=y, settings=settings(draft), validation_data=valid, law=law, natural=draft.natural, **known
    )
