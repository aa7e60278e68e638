"""Holes and texts: what makes a table unreadable.

| cause | form | what is done | undone |
|---|---|---|---|
| missing_values | looking_back | the first rows of columns that look back are empty | they are filled |
| | failed_join | some columns together have no partner in some rows | they have one |
| | log_of_zero | minus infinity where a column is smallest, or infinity from a division by it | the numbers stay |
| | null | None from a data base, in a column or in the target | numbers |
| | pending | targets of some rows are not in yet | they are |
| | not_available | pandas' NA | numbers |
| | masked | a masked array, as readers of netCDF give it | no mask |
| wrong_dtype | all_text | every cell was read as text | numbers |
| | thousands | separators of thousands in the target, everywhere or where there is need of one | numbers |
| | percent | percent signs in a column or in some of its cells | shares |
| | labels | a category is still in words | its dummies |
| | dates | days as dates | day numbers |
| | two_words | TRUE and FALSE, on and off, for two values | numbers |
| | below_limit | "<0.05", ">12.00" beyond what the instrument can tell | numbers |
| | footnotes | "3.14*", "~3.1", "3.14 (est.)" in some cells | numbers |
| | repeated_header | the header of a second file among the rows | rows |
| | placeholder | "#N/A", "?", "NULL" in some cells; `missing_values` is then not wrong | numbers |

There are no harmless forms of these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.faults.fifth_plan import Change, Form, Generator, Plan, write
from benchmarks.faults.objective import Array


def some(rng: Generator, plan: Plan, low: float, high: float) -> Array:
    """Return the numbers of some rows, a share between two of all, at least one."""
    return np.sort(rng.choice(plan.rows, max(1, round(plan.rows * rng.uniform(low, high))), replace=False))


def varied(plan: Plan) -> Array:
    """Return the columns that take more than two values."""
    return np.array([j for j in range(plan.X.shape[1]) if len(np.unique(plan.X[:, j])) > 2], int)


def not_wrong(plan: Plan, *causes: str) -> Plan:
    """Return the plan with causes that nobody can rule out any more."""
    return replace(plan, natural=(*plan.natural, *causes))


# Holes.


def _fill(columns: Array, rows: Array | Callable[[int], Array], value: Any, container: str | None = None) -> Change:
    """Return the change that puts a value into cells; column -1 is the target."""

    def holes(X: Any, y: Any, names: tuple[str, ...], training: bool) -> tuple[Any, Any, tuple[str, ...]]:
        if not training:
            return X, y, names
        if not isinstance(value, float):
            X, y = X.astype(object), y.astype(object) if -1 in columns else y
        X, y, here = X.copy(), y.copy(), rows[rows < len(y)] if isinstance(rows, np.ndarray) else rows(len(y))
        for j in columns:
            if j < 0:
                y[here] = value
            else:
                X[here, j] = value
        return X, y, names

    return lambda plan: write(replace(plan, container=container or plan.container), holes)


def looking_back(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    count = int(rng.integers(1, min(31, plan.rows // 3)))
    begin = int(rng.integers(plan.X.shape[1]))
    columns = np.arange(begin, min(plan.X.shape[1], begin + int(rng.integers(1, 4))))
    return _fill(columns, np.arange(count), np.nan)


def failed_join(rng: Generator, plan: Plan, size: str) -> Change | None:
    width = int(rng.integers(1, max(2, plan.X.shape[1] // 2 + 1)))
    begin = int(rng.integers(plan.X.shape[1] - width + 1))
    rows = some(rng, plan, *((0.05, 0.3) if size == "gross" else (0.002, 0.02)))
    return _fill(np.arange(begin, begin + width), rows, np.nan)


def log_of_zero(rng: Generator, plan: Plan, size: str) -> Change | None:
    column = int(rng.integers(plan.X.shape[1]))
    rows = some(rng, plan, *((0.03, 0.15) if size == "gross" else (0.001, 0.01)))
    low = np.argsort(plan.X[:, column], kind="stable")[: len(rows)]
    return _fill(np.array([column]), low, -np.inf if rng.random() < 0.7 else np.inf)


def null(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    column = int(rng.integers(-1, plan.X.shape[1]))
    container = str(rng.choice(["list", "pandas", "polars"])) if column >= 0 else "list"
    return _fill(np.array([column]), some(rng, plan, 0.003, 0.08), None, container)


def pending(rng: Generator, plan: Plan, size: str) -> Change | None:
    return _fill(np.array([-1]), some(rng, plan, 0.01, 0.2 if size == "gross" else 0.04), np.nan)


def not_available(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    columns = rng.choice(plan.X.shape[1], int(rng.integers(1, min(3, plan.X.shape[1]) + 1)), replace=False)
    return _fill(columns, some(rng, plan, 0.005, 0.06), pd.NA, "pandas")


def masked(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    column, rows = int(rng.integers(plan.X.shape[1])), some(rng, plan, 0.005, 0.06)

    def mask(X: Any, y: Any, names: tuple[str, ...], training: bool) -> tuple[Any, Any, tuple[str, ...]]:
        if not training or X.dtype == object:
            return X, y, names
        X = X.copy()
        X[rows % len(X), column] = np.nan
        return np.ma.masked_invalid(X), y, names

    return lambda s: write(replace(s, container="array"), mask)


# Texts. What is missing stays missing under every one of them.


def _number(value: Any) -> bool:
    return isinstance(value, float) and bool(np.isfinite(value))


def _words(values: Any, text: Callable[[float], str]) -> list[Any]:
    """Return numbers as text; what is no number stays."""
    return [text(v) if _number(v) else v for v in values]


def _texts(column: int, text: Callable[[float], str], rows: Array | None = None, *, marks: bool = False) -> Change:
    """Return the change that writes numbers of a column (-1: the target) as text, in all rows or in some."""

    def words(X: Any, y: Any, names: tuple[str, ...], training: bool) -> tuple[Any, Any, tuple[str, ...]]:
        if rows is not None and not training:
            return X, y, names
        here = np.arange(len(y)) if rows is None else rows[rows < len(y)]
        if column < 0:
            y = y.astype(object)
            y[here] = _words(y[here], text)
        else:
            X = X.astype(object)
            X[here, column] = _words(X[here, column], text)
        return X, y, names

    def change(plan: Plan) -> Plan:
        container = "pandas" if plan.container == "polars" and rows is not None else plan.container
        plan = write(replace(plan, container=container), words)
        return not_wrong(plan, "missing_values") if marks else plan

    return change


def all_text(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    digits, with_target = int(rng.integers(3, 7)), rng.random() < 0.5

    def read(X: Any, y: Any, names: tuple[str, ...], training: bool) -> tuple[Any, Any, tuple[str, ...]]:  # noqa: ARG001
        def text(v: float) -> str:
            return f"{v:.{digits}g}"

        X = X.astype(object)
        for column in range(X.shape[1]):
            X[:, column] = _words(X[:, column], text)
        return X, np.array(_words(y, text), object) if with_target else y, names

    return lambda s: write(s, read)


def thousands(rng: Generator, plan: Plan, size: str) -> Change | None:
    y = (plan.y - plan.y_unit[0]) / plan.y_unit[1]
    if np.abs(y).max() < 1000:
        return None
    mark = str(rng.choice([",", " ", "'"]))
    rows = np.flatnonzero(np.abs(y) >= 1000) if size == "slight" else None
    return _texts(-1, lambda v: f"{v:,.1f}".replace(",", mark), rows)


def percent(rng: Generator, plan: Plan, size: str) -> Change | None:
    column = int(rng.integers(-1, plan.X.shape[1]))
    rows = some(rng, plan, 0.02, 0.2) if size == "slight" else None
    sign = str(rng.choice([" %", "%"]))
    return _texts(column, lambda v: f"{100 * v:.2f}{sign}", rows)


def labels(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    if not plan.blocks:
        return None
    block = np.array(plan.blocks[int(rng.integers(len(plan.blocks)))])
    kind = str(rng.choice(["Lot", "zone", "type ", "Ward "]))
    words = [f"{kind}{chr(65 + k % 26)}{k // 26 or ''}" for k in range(len(block) + 1)]

    def named(X: Any, y: Any, names: tuple[str, ...], training: bool) -> tuple[Any, Any, tuple[str, ...]]:  # noqa: ARG001
        values = np.array([[v if _number(v) else np.nan for v in row] for row in X[:, block]], float)
        high = values > np.nanmean(values, axis=0)
        chosen = np.where(high.any(axis=1), high.argmax(axis=1) + 1, 0)
        known = np.isfinite(values).all(axis=1)
        category = np.array([words[k] if here else None for k, here in zip(chosen, known, strict=True)], object)
        left = tuple(name for j, name in enumerate(names) if j not in set(block.tolist()))
        return np.column_stack([np.delete(X.astype(object), block, axis=1), category]), y, (*left, "category")

    return lambda s: write(s, named)


def dates(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    if plan.clock is None:
        return None
    begin, kind, clock = date(2015 + int(rng.integers(9)), 1, 1), str(rng.choice(["iso", "local", "date"])), plan.clock

    def dated(X: Any, y: Any, names: tuple[str, ...], training: bool) -> tuple[Any, Any, tuple[str, ...]]:  # noqa: ARG001
        X = X.astype(object)
        known = np.flatnonzero([_number(v) for v in X[:, clock]])
        order = np.argsort(np.argsort(X[known, clock].astype(float), kind="stable"))
        style = {"iso": "%Y-%m-%d", "local": "%d.%m.%Y"}.get(kind)
        for row, k in zip(known, order, strict=True):
            day = begin + timedelta(days=int(k))
            X[row, clock] = day.strftime(style) if style else day
        return X, y, names

    return lambda s: write(s, dated)


def two_words(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    two = [j for j in range(plan.X.shape[1]) if len(np.unique(plan.X[:, j])) == 2]
    if not two:
        return None
    column, words = int(rng.choice(two)), (("TRUE", "FALSE"), ("on", "off"), ("m", "f"))[int(rng.integers(3))]
    middle = float(np.mean(np.unique(plan.X[:, column])))
    high = set(np.flatnonzero(plan.X[:, column] > middle).tolist())

    def worded(X: Any, y: Any, names: tuple[str, ...], training: bool) -> tuple[Any, Any, tuple[str, ...]]:
        if not training:
            return X, y, names
        X = X.astype(object)
        X[:, column] = [words[i not in high] if _number(v) else v for i, v in enumerate(X[:, column])]
        return X, y, names

    return lambda s: write(s, worded)


def below_limit(rng: Generator, plan: Plan, size: str) -> Change | None:
    column = int(rng.choice(varied(plan))) if len(varied(plan)) else -1
    values = plan.y if column < 0 else plan.X[:, column]
    share = rng.uniform(0.05, 0.2) if size == "gross" else rng.uniform(0.005, 0.03)
    up = rng.random() < 0.3
    edge = np.quantile(values, 1 - share if up else share)
    rows = np.flatnonzero(values >= edge if up else values <= edge)
    return _texts(column, lambda v: f"{'>' if up else '<'}{v:.2f}", rows)


def footnotes(rng: Generator, plan: Plan, size: str) -> Change | None:
    column = int(rng.integers(-1, plan.X.shape[1]))
    form = str(rng.choice(["{:.2f}*", "{:.2f} (est.)", "~{:.1f}", "{:.2f}p"]))
    rows = some(rng, plan, *((0.05, 0.3) if size == "gross" else (0.003, 0.02)))
    return _texts(column, lambda v: form.format(v), rows)


def repeated_header(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    rows = some(rng, plan, 0.0, 0.01)[:3]

    def header(X: Any, y: Any, names: tuple[str, ...], training: bool) -> tuple[Any, Any, tuple[str, ...]]:
        if not training:
            return X, y, names
        X, y = X.astype(object), y.astype(object)
        whole = np.flatnonzero([all(map(_number, [*row, target])) for row, target in zip(X, y, strict=True)])
        here = whole[rows % len(whole)] if len(whole) else rows[:1]
        X[here] = list(names)
        y[here] = "target"
        return X, y, names

    return lambda s: write(replace(s, container="pandas" if s.container == "polars" else s.container), header)


def placeholder(rng: Generator, plan: Plan, size: str) -> Change | None:
    column = int(rng.integers(-1, plan.X.shape[1]))
    mark = str(rng.choice(["#N/A", "?", "NULL", "none", "#DIV/0!", "missing", "."]))
    rows = some(rng, plan, *((0.03, 0.15) if size == "gross" else (0.002, 0.02)))
    return _texts(column, lambda v: mark, rows, marks=True)  # noqa: ARG005


CELLS: dict[str, tuple[Form, ...]] = {
    "missing_values": (looking_back, failed_join, log_of_zero, null, pending, not_available, masked),
    "wrong_dtype": (
        all_text, thousands, percent, labels, dates, two_words, below_limit, footnotes, repeated_header, placeholder,
    ),
}  # fmt: skip
"""The forms of each cause."""
