"""Wrong values, far rows, too few rows.

| cause | form | what is done | undone |
|---|---|---|---|
| outliers | typed_twice | targets with a digit typed twice, about eleven times as large | as they were |
| | other_unit | targets of some rows in grams, pounds, cents, degrees Fahrenheit | in the unit of the others |
| | end_of_scale | targets at the end of the instrument's scale (mild: 4 deviations of the noise) | as they were |
| | several_days | some targets are the sum of several rows | their own |
| | wrapped_meter | the meter of the target wrapped around | it did not |
| | coded | 9999, -99, .. in a feature, where nothing was measured | what was measured |
| | year_for_age | the year in place of an age or a number of days | the age |
| high_leverage | giant | one row far out in one to three columns, its target with it | an ordinary row |
| | dilution | three to five rows, each twice as far out as the next | ordinary rows |
| | second_plant | one to five rows, far out in every column | ordinary rows |
| | viral | two to six rows in a heavy tail of one column | ordinary rows |
| overfitting | pilot, last_weeks, sample | hardly more rows than parameters (mild: ten for each) | all rows |

High leverage takes a rate that suits the other rows, so it needs a scaler told by them, or batches in which a far row
comes with few others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.faults.fifth_cells import not_wrong, some, varied
from benchmarks.faults.fifth_plan import Change, Form, Generator, Plan, keep
from benchmarks.faults.objective import Array

# Wrong values.


def _targets(rows: Array, value: Callable[[Plan, Array], Array]) -> Change:
    """Return the change that gives some rows other targets, in raw units."""

    def change(plan: Plan) -> Plan:
        y, here = plan.y.copy(), rows[rows < plan.rows]
        y[here] = value(plan, here)
        return not_wrong(replace(plan, y=y), "high_leverage")

    return change


def _few(rng: Generator, plan: Plan, size: str) -> Array:
    return some(rng, plan, *{"gross": (0.03, 0.08), "slight": (0.003, 0.03)}.get(size, (0, 0)))


def typed_twice(rng: Generator, plan: Plan, size: str) -> Change | None:
    return None if size == "mild" else _targets(_few(rng, plan, size), lambda s, i: s.y[i] * 11)


def other_unit(rng: Generator, plan: Plan, size: str) -> Change | None:
    factor, offset = ((1000, 0), (100, 0), (2.2046, 0), (1.8, 32), (0.001, 0), (0.01, 0))[int(rng.integers(6))]
    return None if size == "mild" else _targets(_few(rng, plan, size), lambda s, i: s.y[i] * factor + offset)


def end_of_scale(rng: Generator, plan: Plan, size: str) -> Change | None:
    far = {"gross": rng.uniform(30, 300), "slight": rng.uniform(10, 25)}.get(size, 4)
    size_of = plan.noise if size == "mild" else float(plan.y.std())
    end = plan.y.mean() + float(rng.choice([-1, 1])) * far * size_of
    return _targets(_few(rng, plan, size), lambda s, i: np.full(len(i), end))  # noqa: ARG005


def several_days(rng: Generator, plan: Plan, size: str) -> Change | None:
    many = int(rng.integers(3, 31))
    return (
        None
        if size == "mild"
        else _targets(_few(rng, plan, size), lambda s, i: np.array([s.y[max(0, k - many) : k + 1].sum() for k in i]))
    )


def wrapped_meter(rng: Generator, plan: Plan, size: str) -> Change | None:
    around = 10.0 ** np.ceil(np.log10(np.abs(plan.y).max() + 1e-9))
    return None if size == "mild" else _targets(_few(rng, plan, size), lambda s, i: s.y[i] - around)


def coded(rng: Generator, plan: Plan, size: str) -> Change | None:
    column, code = int(rng.integers(plan.X.shape[1])), float(rng.choice([9999, -99, 999, 99999, -9]))
    rows = _few(rng, plan, size)
    if size == "mild" or abs(code - plan.X[:, column].mean()) < 8 * plan.X[:, column].std():
        return None

    def change(s: Plan) -> Plan:
        X = s.X.copy()
        X[rows[rows < s.rows], column] = code
        return not_wrong(replace(s, X=X), "high_leverage")

    return change


def year_for_age(rng: Generator, plan: Plan, size: str) -> Change | None:
    ages = [j for j, name in enumerate(plan.names) if "year" in name.lower() or name == "age" or "days" in name]
    if size == "mild" or not ages or plan.X[:, ages[0]].max() > 500:
        return None
    column, rows = int(ages[0]), _few(rng, plan, size)

    def change(s: Plan) -> Plan:
        X = s.X.copy()
        X[rows[rows < s.rows], column] = 2024 - X[rows[rows < s.rows], column]
        return not_wrong(replace(s, X=X), "high_leverage")

    return change


# Far rows under the law.


def _moved(rows: Array, jump: Array) -> Change:
    """Return the change that moves rows by jumps in raw units, their targets with them."""

    def change(plan: Plan) -> Plan:
        X, y, here = plan.X.copy(), plan.y.copy(), rows % plan.rows
        X[here, : jump.shape[1]] += jump
        y[here] += jump @ plan.coef[: jump.shape[1]]
        return replace(plan, X=X, y=y)

    return change


def _far(rng: Generator, plan: Plan, size: str) -> tuple[float, Array]:
    """Return a distance in deviations and what one deviation is."""
    carried = {"mild": (3, 6), "slight": (12, 40), "gross": (40, 300)}[size]
    return float(np.exp(rng.uniform(*np.log(carried)))), plan.fresh[0].std(axis=0)


def giant(rng: Generator, plan: Plan, size: str) -> Change | None:
    far, one = _far(rng, plan, size)
    columns = varied(plan)
    if not len(columns):
        return None
    chosen = rng.choice(columns, int(rng.integers(1, min(3, len(columns)) + 1)), replace=False)
    jump = np.zeros((1, len(one)))
    jump[0, chosen] = far * one[chosen] * rng.uniform(0.6, 1, len(chosen))
    return _moved(rng.choice(plan.rows, 1), jump)


def dilution(rng: Generator, plan: Plan, size: str) -> Change | None:
    far, one = _far(rng, plan, size)
    columns = varied(plan)
    count = int(rng.integers(3, 6))
    if not len(columns) or plan.rows < 10 * count:
        return None
    jump = np.zeros((count, len(one)))
    jump[:, int(rng.choice(columns))] = far / 2.0 ** np.arange(count)
    return _moved(rng.choice(plan.rows, count, replace=False), jump * one)


def second_plant(rng: Generator, plan: Plan, size: str) -> Change | None:
    far, one = _far(rng, plan, size)
    columns = varied(plan)
    count = min(int(rng.integers(1, 6)), plan.rows // 20)
    if not len(columns):
        return None
    jump = np.zeros((count, len(one)))
    jump[:, columns] = 0.7 * far * rng.choice([-1, 1], len(columns)) * one[columns]
    return _moved(rng.choice(plan.rows, count, replace=False), jump)


def viral(rng: Generator, plan: Plan, size: str) -> Change | None:
    far, one = _far(rng, plan, size)
    columns = varied(plan)
    count = min(int(rng.integers(2, 7)), plan.rows // 20)
    if not len(columns):
        return None
    jump = np.zeros((count, len(one)))
    jump[:, int(rng.choice(columns))] = np.minimum(far * (rng.pareto(1.0, count) + 0.2) / 3, far)
    return _moved(rng.choice(plan.rows, count, replace=False), jump * one)


def carried(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    """Return one to three rows 5 to 15 deviations out in one column, for healthy runs whose rate bears them."""
    columns, one = varied(plan), plan.fresh[0].std(axis=0)
    if not len(columns):
        return None
    count = int(rng.integers(1, 4))
    jump = np.zeros((count, len(one)))
    jump[:, int(rng.choice(columns))] = rng.uniform(5, 15, count)
    return _moved(rng.choice(plan.rows, count, replace=False), jump * one)


# Too few rows.


def _count(rng: Generator, plan: Plan, size: str) -> int:
    parameters = plan.X.shape[1] + 1
    each = rng.uniform(*{"mild": (10, 15), "slight": (1.3, 1.8), "gross": (1.04, 1.3)}[size])
    return min(max(round(each * parameters), parameters + 1), plan.rows)


def pilot(rng: Generator, plan: Plan, size: str) -> Change | None:
    count = _count(rng, plan, size)
    return lambda s: keep(s, np.arange(count))


def last_weeks(rng: Generator, plan: Plan, size: str) -> Change | None:
    count = _count(rng, plan, size)
    return lambda s: keep(s, np.arange(s.rows - count, s.rows))


def sample(rng: Generator, plan: Plan, size: str) -> Change | None:
    chosen = np.sort(rng.choice(plan.rows, _count(rng, plan, size), replace=False))
    return lambda s: keep(s, chosen)


ROWS: dict[str, tuple[Form, ...]] = {
    "outliers": (typed_twice, other_unit, end_of_scale, several_days, wrapped_meter, coded, year_for_age),
    "high_leverage": (giant, dilution, second_plant, viral),
    "overfitting": (pilot, last_weeks, sample),
}
"""The forms of each cause."""
