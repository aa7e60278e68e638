"""A run as somebody planned it, from the raw table to the call of `fit`; a mistake is a change of the plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl

from benchmarks.faults.cases import Case, Law
from benchmarks.faults.objective import Array

Generator = np.random.Generator
Rows = tuple[Array, Array]
Write = Callable[[Any, Any, tuple[str, ...], bool], tuple[Any, Any, tuple[str, ...]]]
"""What is written over the numbers at the very end: (X, y, names, whether these are the rows of training)."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A table in its own units, and everything that is decided about it before `fit`.

    Parameters
    ----------
    place : str
        Where the table comes from.
    names : tuple of str
        Columns of X.
    X, y : array
        Rows to train on, in raw units.
    fresh : tuple of array
        Many clean rows of the same law.
    coef : array of shape (features,)
        True coefficients in raw units.
    noise : float
        Standard deviation of the clean noise in raw units.
    blocks : tuple of tuple of int
        Columns that are the dummies of one category, all but its reference.
    clock : int, optional
        The column that counts time.
    basis : str
        What the columns in `curve` may be mixed into, see `fifth_worlds.mixing`; empty for none.
    curve : tuple of int
        Columns that belong together.
    recipe : callable, optional
        Gives the mixing matrix for a strength.
    val : tuple of array, optional
        Rows to validate on, in raw units.
    weight : array, optional
        Sample weights.
    scaler : str
        "standard", "minmax", "maxabs" and "decades" are told by the training rows, "frozen" by clean ones; "times" is a
        standardisation that multiplies; "none" leaves the raw units.
    exempt : tuple of int
        Columns that the scaler does not see.
    gain : tuple of (int, float, float)
        Column, factor and shift of what happens to a column after the scaler.
    y_unit : tuple of float
        The target is given as (y - y_unit[0]) / y_unit[1].
    writes : tuple of callable
        What is written over the finished numbers, see `Write`.
    val_edits : tuple of callable
        What happens to the finished validation rows alone, (X, y) -> (X, y).
    container : str
        What X is held in.
    batch : int, optional
        Rows in a batch; None for all.
    settings : dict
        Keyword arguments of `LinearRegression`, without the batch size.
    natural : tuple of str
        See `Case`.
    """

    place: str
    names: tuple[str, ...]
    X: Array
    y: Array
    fresh: Rows
    coef: Array
    noise: float
    blocks: tuple[tuple[int, ...], ...] = ()
    clock: int | None = None
    basis: str = ""
    curve: tuple[int, ...] = ()
    recipe: Callable[[float], Array] | None = None
    val: Rows | None = None
    weight: Array | None = None
    scaler: str = "standard"
    exempt: tuple[int, ...] = ()
    gain: tuple[tuple[int, float, float], ...] = ()
    y_unit: tuple[float, float] = (0.0, 1.0)
    writes: tuple[Write, ...] = ()
    val_edits: tuple[Callable[[Array, Array], Rows], ...] = ()
    container: str = "array"
    batch: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    natural: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Rows to train on."""
        return len(self.y)

    @property
    def steps(self) -> int:
        """Batches in the whole run."""
        return int(self.settings["epochs"]) * -(-self.rows // min(self.batch or self.rows, self.rows))


Change = Callable[[Plan], Plan]


class Mistake(NamedTuple):
    """A mistake that needs the plan to be prepared for it: what it changes, and what is there without it as well."""

    change: Change
    prepared: Change


Form = Callable[[Generator, Plan, str], Change | Mistake | None]
"""One way to make a mistake in a plan, of a size "mild", "slight" or "gross"; None where it does not fit the plan."""


# Changes that several mistakes share.


def fit_with(plan: Plan, **settings: Any) -> Plan:
    """Return the plan with other settings."""
    return replace(plan, settings={**plan.settings, **settings})


def optimize(plan: Plan, **hyperparameters: Any) -> Plan:
    """Return the plan with other hyper-parameters of its optimizer."""
    return fit_with(plan, optimizer=replace(plan.settings["optimizer"], **hyperparameters))


def with_columns(plan: Plan, names: tuple[str, ...], columns: Callable[[Array], Array], coef: Array) -> Plan:
    """Return the plan with other columns, made from its own for training, fresh and validation rows alike."""
    val = None if plan.val is None else (columns(plan.val[0]), plan.val[1])
    fresh = (columns(plan.fresh[0]), plan.fresh[1])
    return replace(plan, names=names, X=columns(plan.X), fresh=fresh, val=val, coef=coef)


def append(plan: Plan, names: tuple[str, ...], columns: Callable[[Array], Array]) -> Plan:
    """Return the plan with further columns that have no effect of their own."""
    coef = np.append(plan.coef, np.zeros(len(names)))
    return with_columns(plan, plan.names + names, lambda X: np.column_stack([X, columns(X)]), coef)


def keep(plan: Plan, rows: Any) -> Plan:
    """Return the plan with only some of its training rows."""
    weight = None if plan.weight is None else plan.weight[rows]
    return replace(plan, X=plan.X[rows], y=plan.y[rows], weight=weight)


def write(plan: Plan, change: Write) -> Plan:
    """Return the plan with a further change of what is written."""
    return replace(plan, writes=(*plan.writes, change))


# From a plan to a case.


def scaled(plan: Plan, X: Array) -> tuple[Array, Array]:
    """Return X as it is given to `fit`, and what one unit of it is in raw units, column by column.

    Parameters
    ----------
    plan : Plan
        The plan.
    X : array of shape (rows, features)
        Rows in raw units.

    Returns
    -------
    Z : array of shape (rows, features)
        (X - shift) / unit.
    unit : array of shape (features,)
        The units.
    """
    known = plan.fresh[0] if plan.scaler == "frozen" else plan.X
    low, high, size = known.min(axis=0), known.max(axis=0), np.abs(known).max(axis=0)
    nothing, one = np.zeros(X.shape[1]), np.ones(X.shape[1])
    spread = np.where(known.std(axis=0) > 1e-9 * size, known.std(axis=0), 1)
    shift, unit = {
        "none": (nothing, one),
        "minmax": (low, np.where(high > low, high - low, 1)),
        "maxabs": (nothing, np.where(size > 0, size, 1)),
        "decades": (nothing, 10.0 ** np.ceil(np.log10(np.where(size > 0, size, 1)))),
        "times": (known.mean(axis=0), 1 / spread),
    }.get(plan.scaler, (known.mean(axis=0), spread))
    seen = ~np.isin(np.arange(X.shape[1]), plan.exempt)
    shift, unit = np.where(seen, shift, 0), np.where(seen, unit, 1)
    for column, factor, offset in plan.gain:
        unit[column] /= factor
        shift[column] -= offset * unit[column]
    return (X - shift) / unit, unit


def held(container: str, X: Any, y: Any, names: tuple[str, ...]) -> tuple[Any, Any]:
    """Return X and y in the container in which their owner has them."""
    mixed = X.dtype == object
    if container == "list":
        return X.tolist(), y.tolist()
    if container in ("pandas", "polars"):
        columns = {name: _column(X[:, j]) for j, name in enumerate(names)}
        if container == "polars":
            return pl.DataFrame(columns, strict=False), y
        return pd.DataFrame(columns), pd.Series(y, name="target")
    if mixed:
        return X, y
    if container == "float32" and np.abs(X[np.isfinite(X)]).max(initial=0) < 1e30:
        return X.astype(np.float32), y
    if container == "fortran":
        return np.asfortranarray(X), y
    return X, y.reshape(-1, 1) if container == "column" and y.dtype != object else y


def _column(values: Any) -> Any:
    """Return a column of a frame: whole numbers as such, as a reader of files would have it."""
    if values.dtype == object:
        return values.tolist()
    whole = np.isfinite(values).all() and (values == np.round(values)).all() and np.abs(values).max(initial=0) < 1e9
    return values.astype(np.int64) if whole else values


def case_of(plan: Plan, name: str = "", **told: Any) -> Case:
    """Return the run that a plan describes.

    Parameters
    ----------
    plan : Plan
        The plan.
    name : str
        Beginning of the case's name.
    **told : object
        Further fields of `Case`.

    Returns
    -------
    Case
        The run.
    """
    (low, unit), names = plan.y_unit, plan.names
    X, one = scaled(plan, plan.X)
    y, val = (plan.y - low) / unit, None
    if plan.val is not None:
        val_X, val_y = scaled(plan, plan.val[0])[0], (plan.val[1] - low) / unit
        for edit in plan.val_edits:
            val_X, val_y = edit(val_X, val_y)
        val_names = names
        for change in plan.writes:
            val_X, val_y, val_names = change(val_X, val_y, val_names, False)
        val = held(plan.container, val_X, val_y, val_names)
    for change in plan.writes:
        X, y, names = change(X, y, names, True)
    given_X, given_y = held(plan.container, X, y, names)
    words = (type(plan.settings["optimizer"]).__name__, type(plan.settings["loss"]).__name__, plan.scaler, plan.place)
    return Case(
        name=f"{name} | " + " ".join(words).lower(),
        X=given_X,
        y=given_y,
        settings={**plan.settings, "batch_size": min(plan.batch or plan.rows, plan.rows)},
        validation_data=val,
        sample_weight=plan.weight,
        law=Law(
            scaled(plan, plan.fresh[0])[0], (plan.fresh[1] - low) / unit, plan.coef * one / unit, plan.noise / unit
        ),
        natural=plan.natural,
        **told,
    )
