"""One function a cause: how the fault is put into a run that trains well.

Each draws from the *healthy* draft what the fault will be, and returns the change that puts it in. Taking a fault back
is not putting it in: a pair without one of its faults is the healthy draft with the other change alone, so numbers that
were drawn (a learning rate, a factor, a row) are the same in all twins.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.faults import tables
from benchmarks.faults.drafts import ADAPTIVE, STEPPERS, WITH_MOMENTUM, Draft, Needs, distance, limit
from benchmarks.faults.objective import Array

Change = Callable[[Draft], Draft]
GRADES = ("faint", "slight", "gross")
"""Faint faults are meant to be harmless most of the time; truth decides."""


@dataclass(frozen=True)
class Fault:
    """How a cause is made: `draw(rng, healthy draft, grade)` returns the change; `needs` says what it is put into."""

    draw: Callable[[np.random.Generator, Draft, str], Change]
    needs: Needs


def _between(rng: np.random.Generator, grade: str, faint: Any, slight: Any, gross: Any) -> float:
    """Draw a number whose logarithm is uniform in the range of the grade."""
    low, high = {"faint": faint, "slight": slight, "gross": gross}[grade]
    return float(10 ** rng.uniform(np.log10(low), np.log10(high)))


def _rows(rng: np.random.Generator, draft: Draft, count: int) -> Array:
    return rng.choice(draft.rows, max(1, min(count, draft.rows // 2)), replace=False)


# The data cannot be read.


def missing_values(rng: np.random.Generator, draft: Draft, grade: str) -> Change:
    """Lose one value (slight) or a tenth to a third of the rows of a column (gross), in X or sometimes in y."""
    count = 1 if grade != "gross" else int(rng.uniform(0.1, 0.33) * draft.rows)
    in_target, nothing = rng.random() < 0.25, None if rng.random() < 0.4 else float("nan")
    seed, column = int(rng.integers(2**31)), int(rng.integers(draft.X.shape[1]))

    def spoil(X: Any, y: Any) -> tuple[Any, Any]:
        rows = np.random.default_rng(seed).choice(len(y), min(count, len(y) // 2), replace=False)
        if in_target:
            y = y.astype(object) if nothing is None else y.copy()
            y[rows] = nothing
        else:
            X = X.astype(object) if nothing is None else X.copy()
            X[rows, column] = nothing
        return X, y

    return lambda healthy: replace(healthy, spoils=(*healthy.spoils, spoil))


def _thousands(value: float) -> str:
    return f"{value:,.2f}"


def _thousands_with_points(value: float) -> str:
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


def _decimal_comma(value: float) -> str:
    return repr(value).replace(".", ",")


def _label(value: float) -> str:
    return "low" if value < -0.5 else "high" if value > 0.5 else "middle"


def _date(value: float) -> dt.date:
    return dt.date(2020, 1, 1) + dt.timedelta(days=round(100 * value))


def _unit(value: float) -> str:
    return f"{value!r} kg"


WRITINGS: tuple[Callable[[float], Any], ...] = (repr, _decimal_comma, _label, _date, _unit)
LARGE_WRITINGS: tuple[Callable[[float], Any], ...] = (_thousands, _thousands_with_points)


def wrong_dtype(rng: np.random.Generator, draft: Draft, grade: str) -> Change:
    """Write numbers as text, with thousands separators, decimal commas or units, or a column as categories or dates.

    Slight: a single cell (never of a category or a date, which fill their column). Gross: the whole column, or y.
    The text stands for the number that was there, but for categories (three bins) and dates (a hundred days a unit).
    """
    in_thousands = float(np.abs(draft.y).max()) > 2000
    writings = LARGE_WRITINGS if in_thousands else WRITINGS
    written = writings[rng.integers(len(writings))]
    whole = grade == "gross" or written in (_label, _date)
    in_target, column = in_thousands or rng.random() < 0.15, int(rng.integers(draft.X.shape[1]))
    seed = int(rng.integers(2**31))

    def spoil(X: Any, y: Any) -> tuple[Any, Any]:
        rows = range(len(y)) if whole else [int(np.random.default_rng(seed).integers(len(y)))]
        X, y = X.astype(object), y.astype(object)
        cells = y if in_target else X[:, column]  # a view: what is written here is written there
        largest = max(abs(float(v)) for v in cells if v is not None and v == v)
        for row in rows:
            if cells[row] is not None and cells[row] == cells[row]:  # what is missing stays missing
                value = float(cells[row])
                # a calendar has an end
                cells[row] = written(value / max(1, largest / 10) if written is _date else value)
        return X, y

    # A single odd cell in a frame makes a column of mixed objects, which only lists and object arrays hold as it is.
    def change(healthy: Draft) -> Draft:
        held = healthy.container if whole or healthy.container not in ("polars", "pandas") else "objects"
        return replace(healthy, spoils=(*healthy.spoils, spoil), container=held)

    return change


# Columns.


def constant_feature(rng: np.random.Generator, draft: Draft, grade: str) -> Change:  # noqa: ARG001
    """Add a column with one value: 0 or tiny (faint), 0.3 to 3 (slight), 5 to 3000 (gross)."""
    value = 0.0 if grade == "faint" and rng.random() < 0.5 else _between(rng, grade, (0.01, 0.1), (0.3, 3), (5, 3000))
    value = float(f"{value:.3g}")
    return lambda healthy: healthy.with_columns(
        lambda X: np.column_stack([X, np.full(len(X), value)]), np.append(healthy.coef, 0.0)
    )


def collinearity(rng: np.random.Generator, draft: Draft, grade: str) -> Change:
    """Add a column that repeats another, or the sum of several, but for a little (slight) or hardly any (gross) noise.

    Its own effect is 0, or (a third of the time) opposite to the one it repeats, so that only their difference counts.
    """
    loose = _between(rng, grade, (0.3, 0.8), (0.01, 0.1), (1e-5, 1e-2)) * float(rng.random() < 0.85 or grade == "faint")
    d, seed = draft.X.shape[1], int(rng.integers(2**31))
    mix = np.zeros(d)
    mix[rng.choice(d, int(rng.integers(1, min(d, 3) + 1)), replace=False)] = 1
    width = float((draft.X @ mix).std())
    needed = rng.random() < 0.33 and loose > 0

    def add(X: Array) -> Array:
        fuzz = np.random.default_rng([seed, len(X)]).standard_normal(len(X))
        return np.column_stack([X, X @ mix + loose * width * fuzz])

    def change(healthy: Draft) -> Draft:
        wide = healthy.with_columns(add, np.append(healthy.coef, 0.0))
        if not needed:
            return wide
        effect = 0.5 * healthy.noise / (loose * width) + float(np.abs(healthy.coef).max())
        extra = effect * np.append(-mix, 1.0)
        moved = replace(wide, y=wide.y + wide.X @ extra, test_y=wide.test_y + wide.test_X @ extra)
        if wide.valid_X is not None:
            moved = replace(moved, valid_y=wide.valid_y + wide.valid_X @ extra)
        return replace(moved, coef=wide.coef + extra)

    return change


def longley_columns(healthy: Draft) -> Draft:
    """Longley with all its columns, the redundant ones included; `healthy` holds the three others."""
    table = tables.load("longley")
    X = (table.X - table.X.mean(axis=0)) / table.X.std(axis=0)
    fit = np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]), healthy.y, rcond=None)[0]
    return replace(healthy, X=X, test_X=X, coef=fit[:-1])


def ill_conditioned(rng: np.random.Generator, draft: Draft, grade: str) -> Change:
    """Mix all columns so that the singular values of the standardised ones fall geometrically over 10^1.5 to 10^4.

    No column repeats another; together they leave directions that training hardly sees. Coefficients keep their size.
    """
    d = draft.X.shape[1]
    condition = _between(rng, grade, (2, 6), (30, 200), (200, 1e4))
    left, right = (np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(2))
    mix = (left * np.geomspace(1, 1 / condition, d)) @ right.T
    centre, spread = draft.X.mean(axis=0), draft.X.std(axis=0)
    width = (((draft.X - centre) / spread) @ mix).std(axis=0)
    coef = rng.uniform(0.5, 2, d) * rng.choice([-1, 1], d)

    def change(healthy: Draft) -> Draft:
        mixed = healthy.with_columns(lambda X: ((X - centre) / spread) @ mix / width, coef)

        def target(old_X: Array, X: Array, y: Array) -> Array:
            return y - old_X @ healthy.coef + X @ coef

        mixed = replace(
            mixed,
            y=target(healthy.X, mixed.X, healthy.y),
            test_y=target(healthy.test_X, mixed.test_X, healthy.test_y),
        )
        if healthy.valid_X is None:
            return mixed
        return replace(mixed, valid_y=target(healthy.valid_X, mixed.valid_X, healthy.valid_y))

    return change


def feature_scale(rng: np.random.Generator, draft: Draft, grade: str) -> Change:
    """Give columns other units: one or all larger or smaller, each its own, far from 0, or those of the real table."""
    kinds = ["one", "all", "mixed", "offset", "tiny", *(["raw"] * 3 if draft.raw else [])]
    kind = str(rng.choice(kinds))
    d, factor = draft.X.shape[1], _between(rng, grade, (1.2, 2), (3, 20), (20, 1e5))
    stretch, move = np.ones(d), np.zeros(d)
    if kind == "one":
        stretch[rng.integers(d)] = factor
    elif kind == "all":
        stretch[:] = factor
    elif kind == "mixed":
        stretch = factor ** rng.uniform(-0.5, 1, d)
    elif kind == "tiny":
        stretch[rng.random(d) < 0.5] = 1 / factor
        stretch[rng.integers(d)] = 1 / factor
    elif kind == "offset":
        move[rng.integers(d)] = min(factor, 5e3) * draft.X.std()
    elif grade != "faint":
        move, stretch = draft.raw[0], draft.raw[1]

    def units(X: Array) -> Array:
        return np.column_stack([X[:, :d] * stretch + move, X[:, d:]])

    def change(healthy: Draft) -> Draft:
        return healthy.with_columns(units, np.append(healthy.coef[:d] / stretch, healthy.coef[d:]))

    return change


# The target and the rows.


def target_scale(rng: np.random.Generator, draft: Draft, grade: str) -> Change:
    """Give y other units: 10 to 1e6 times as large, sometimes as much smaller, or so large that float32 overflows."""
    factor = _between(rng, grade, (1.1, 2), (8, 50), (50, 1e6))
    if rng.random() < 0.15:
        factor = 1 / factor
    if draft.loss == "mse" and draft.dtype == "float32" and grade == "gross" and rng.random() < 0.6:
        factor = float(10 ** rng.uniform(20, 28))
    offset = 0.0
    if draft.raw and grade != "faint" and rng.random() < 0.5 and draft.loss + draft.family != "msesgd":
        offset, factor = draft.raw[2], draft.raw[3]
    return lambda healthy: healthy.with_target(lambda y: y * factor + offset, factor)


def outliers(rng: np.random.Generator, draft: Draft, grade: str) -> Change:
    """Spoil the targets of some rows: shifted one way, slipped decimal points, or a sentinel like 9999.

    Slight: 2 to 5 % of the rows, 10 to 30 deviations of the noise; gross: 4 to 12 %, 30 to 300. In a third of the cases
    the rows lie at one end of a column, so that they tilt the line.
    """
    share = _between(rng, grade, (0.004, 0.02), (0.02, 0.05), (0.04, 0.12))
    shift = _between(rng, grade, (4, 8), (10, 30), (30, 300)) * max(draft.noise, 0.02 * float(draft.y.std()))
    count, sign = max(1, round(share * draft.rows)), float(rng.choice([-1, 1]))
    if rng.random() < 0.33:
        ends = np.argsort(draft.X[:, rng.integers(draft.X.shape[1])])
        rows = ends[:count]
    else:
        rows = _rows(rng, draft, count)
    wobble = rng.uniform(0.7, 1.3, len(rows))
    kind = str(rng.choice(["shift", "shift", "slip", "sentinel"])) if grade == "gross" else "shift"

    def change(healthy: Draft) -> Draft:
        y = healthy.y.copy()
        here = rows[rows < len(y)]
        if kind == "slip":
            y[here] = y[here] * 100 + 10 * sign * shift
        elif kind == "sentinel":
            y[here] = sign * float(f"{'9' * len(str(int(10 * np.abs(y).max() + shift)))}")
        else:
            y[here] += sign * shift * wobble[: len(here)]
        return replace(healthy, y=y, natural=(*healthy.natural, "high_leverage"))

    return change


def stackloss_rows(healthy: Draft) -> Draft:
    """Stack loss with all its rows, the four outliers included; `healthy` holds the seventeen others."""
    table, (mean, spread, y_mean, y_spread) = tables.load("stackloss"), healthy.raw
    return replace(healthy, X=(table.X - mean) / spread, y=(table.y - y_mean) / y_spread)


def high_leverage(rng: np.random.Generator, draft: Draft, grade: str) -> Change:
    """Move one to three rows far out along a random direction, with the targets that the law gives them there.

    10 to 40 deviations out (slight) or 40 to 2000 (gross).
    """
    far = _between(rng, grade, (4, 10), (10, 40), (40, 2000))
    rows, d = _rows(rng, draft, int(rng.choice([1, 1, 1, 2, 3]))), draft.X.shape[1]
    direction = rng.standard_normal(d) if rng.random() < 0.5 else np.eye(d)[rng.integers(d)]
    jump = far * direction / np.linalg.norm(direction) * draft.X.std(axis=0) * rng.uniform(0.8, 1.2, (len(rows), 1))

    def change(healthy: Draft) -> Draft:
        X, y = healthy.X.copy(), healthy.y.copy()
        X[rows, :d] += jump
        y[rows] += jump @ healthy.coef[:d]
        return replace(healthy, X=X, y=y)

    return change


def overfitting(rng: np.random.Generator, draft: Draft, grade: str) -> Change:
    """Keep hardly more rows than parameters: 1.4 to 2 for each (slight) or 1.05 to 1.4 (gross)."""
    each = _between(rng, grade, (5, 9), (1.4, 2), (1.05, 1.4))
    rows = max(int(each * (draft.X.shape[1] + 1)), draft.X.shape[1] + 2)
    return lambda healthy: replace(healthy, X=healthy.X[:rows], y=healthy.y[:rows])


def validation_shift(rng: np.random.Generator, draft: Draft, grade: str) -> Change:
    """Take the validation data from elsewhere: another intercept, other slopes, or features that were not scaled alike.

    Shifts of 1.5 to 4 (slight) or 4 to 50 (gross) standard deviations of the noise.
    """
    size = _between(rng, grade, (0.1, 0.4), (1.5, 4), (4, 50)) * draft.noise
    kind = str(rng.choice(["intercept", "slopes", "unscaled"]))
    seed = int(rng.integers(2**31))

    def change(healthy: Draft) -> Draft:
        draws = np.random.default_rng(seed)
        X, y = healthy.valid_X, healthy.valid_y
        if kind == "intercept":
            return replace(healthy, valid_y=y + draws.choice([-1, 1]) * size)
        step = draws.standard_normal(X.shape[1])
        step *= size / max(float((X @ step).std()), 1e-12)
        if kind == "slopes":
            return replace(healthy, valid_y=y + X @ step)
        # stretched and moved so that the fitted coefficients miss by about `size`
        effect = max(float((X @ healthy.coef).std()), 1e-12)
        return replace(healthy, valid_X=X * (1 + size / effect) + 0.5 * size / effect * X.std(axis=0))

    return change


# Settings.


def learning_rate_too_high(rng: np.random.Generator, draft: Draft, grade: str) -> Change:
    """Set the rate above the limit (SGD: 1.05 to 1.6 times, gross 1.6 to 300), or 20 to 2000 times as high (others)."""
    if draft.family in STEPPERS:
        rate = _between(rng, grade, (0.7, 0.95), (1.05, 1.6), (1.6, 300)) * limit(draft)
    else:
        rate = _between(rng, grade, (1.5, 4), (20, 100), (100, 2000)) * max(draft.rate, 0.02 * distance(draft))
    return lambda healthy: replace(healthy, rate=float(f"{rate:.3g}"))


def learning_rate_too_low(rng: np.random.Generator, draft: Draft, grade: str) -> Change:
    """Divide the rate by 5 to 30 (slight) or by 30 to 1e5 (gross)."""
    rate = draft.rate / _between(rng, grade, (1.1, 2), (5, 30), (30, 1e5))
    return lambda healthy: replace(healthy, rate=float(f"{rate:.3g}"))


def momentum_too_high(rng: np.random.Generator, draft: Draft, grade: str) -> Change:
    """Set the momentum to 0.96 to 0.995 (slight) or 0.995 to 0.9999 (gross); RMSprop's, unbounded, to 1.02 too."""
    off = _between(rng, grade, (0.05, 0.2), (0.005, 0.04), (1e-4, 0.005))
    unbounded = draft.family in ADAPTIVE and grade == "gross" and rng.random() < 0.3
    momentum = 1.02 if unbounded else float(f"{1 - off:.4g}")
    return lambda healthy: replace(healthy, momentum=momentum)


def loss_reduction(rng: np.random.Generator, draft: Draft, grade: str) -> Change:  # noqa: ARG001
    """Sum the loss over the batch instead of averaging it; more rows make it worse."""
    return lambda healthy: replace(healthy, reduction="sum")


def regularization(rng: np.random.Generator, draft: Draft, grade: str) -> Change:
    """Add an L2 penalty, or L1 with the squared error: 0.1 to 1 (slight) or 1 to 30 (gross) times the variance of X."""
    weight = float(draft.X.var(axis=0).mean()) * (1 if draft.loss == "mse" else 0.3)
    strength = _between(rng, grade, (1e-4, 1e-2), (0.1, 1), (1, 30)) * weight
    if draft.loss == "mse" and rng.random() < 0.3:
        l1 = float(f"{strength * np.abs(draft.coef).mean():.3g}")
        return lambda healthy: replace(healthy, l1=l1)
    return lambda healthy: replace(healthy, l2=float(f"{strength:.3g}"))


def batch_noise(rng: np.random.Generator, draft: Draft, grade: str) -> Change:
    """Cut the data into batches of 8 to 16 rows (slight) or 1 to 7 (gross), or so that the last one holds one row."""
    low, high = {"faint": (32, 64), "slight": (8, 16), "gross": (1, 7)}[grade]
    batch = min(int(rng.integers(low, high + 1)), draft.rows - 1)
    if grade != "faint" and rng.random() < 0.2:
        sizes = [b for b in range(2, draft.rows) if draft.rows % b == 1]
        batch = int(rng.choice(sizes)) if sizes else batch
    return lambda healthy: replace(healthy, batch=batch)


_OPEN = Needs()
FAULTS: dict[str, Fault] = {
    "missing_values": Fault(missing_values, _OPEN),
    "wrong_dtype": Fault(wrong_dtype, _OPEN),
    "constant_feature": Fault(constant_feature, replace(_OPEN, real=False)),
    "collinearity": Fault(collinearity, replace(_OPEN, features=(1, 8))),
    "feature_scale": Fault(feature_scale, _OPEN),
    "target_scale": Fault(target_scale, _OPEN),
    "learning_rate_too_high": Fault(learning_rate_too_high, _OPEN),
    "learning_rate_too_low": Fault(learning_rate_too_low, _OPEN),
    "momentum_too_high": Fault(momentum_too_high, replace(_OPEN, families=WITH_MOMENTUM)),
    "ill_conditioned": Fault(ill_conditioned, replace(_OPEN, real=False, features=(4, 8))),
    "outliers": Fault(outliers, replace(_OPEN, noise=(0.02, 0.5))),
    "high_leverage": Fault(high_leverage, replace(_OPEN, rows=(20, 500))),
    "loss_reduction": Fault(loss_reduction, _OPEN),
    "regularization": Fault(regularization, replace(_OPEN, noise=(0.02, 0.3))),
    "batch_noise": Fault(
        batch_noise, replace(_OPEN, rows=(20, 400), batches=("full",), noise=(0.5, 1.0), speed=(0.25, 0.7))
    ),
    "validation_shift": Fault(validation_shift, replace(_OPEN, validation=True)),
    "overfitting": Fault(
        overfitting,
        Needs(real=False, rows=(150, 500), features=(4, 10), batches=("full",), validation=True, noise=(0.2, 1.0)),
    ),
}
