"""Columns, units and validation rows.

| cause | form | what is done | undone |
|---|---|---|---|
| collinearity | dummy_trap | the dummy of the reference too: the dummies of a category add up to 1 | left out |
| | remainder | what some columns leave of a whole (the rest of the day, of 100 %), rounded | left out |
| | gross_and_net | a price with its tax beside it, rounded | left out |
| | high_and_low | the day's highest and lowest value beside its mean | left out |
| | average | the average of several columns beside them, rounded | left out |
| | born | a year of birth beside the age: a constant less the column | left out |
| ill_conditioned | bands, probes, windows, hinges, transforms | columns that overlap, see `mixing` | orthogonal ones |
| constant_feature | unplugged | a sensor that shows the same number in every row, behind the scaler | left out |
| | filtered | the dummy of what the table was filtered by: all 1 | left out |
| | version | a small whole number that never changes | left out |
| | ambient | a large number that never changes: pressure, year, altitude | left out |
| | (mild) | the same behind a scaler that makes it 0, or a constant near 0 | left out |
| feature_scale | raw | no scaler at all | the scaler |
| | times | the scaler multiplies by the deviations instead of dividing | divides |
| | timestamp | one column in seconds since 1970 | as scaled |
| | small_unit, large_unit | one column in bytes for megabytes, micrograms for grams; or tonnes for grams | as scaled |
| | percent | all columns in hundredths, thousandths or steps of 255 | as scaled |
| | calendar | one column counts from a year 0 far away | centred |
| target_scale | larger | cents for euros, grams for tonnes, where steps have a fixed size | as it was |
| | smaller | tonnes for grams, shares for parts per million, where steps have a fixed size | as it was |
| | level | a level of hundreds of deviations: kelvins, altitudes, years | as it was |
| | tight_clip | gradients clipped far below their size | not clipped |
| | molecules | so large a number that its square is none in float32 | counted in moles |
| validation_shift | later | targets of a later year, at another level | of the same |
| | column_order | columns of the validation rows in another order | in the same |
| | foreign_unit | validation targets in another unit | in the same |
| | misaligned | validation targets out of step with their rows | in step |
| | cheap_lab | a noise of several times that of training | the same |
| | population | some slopes are others | the same |
| | own_range | validation features scaled to 0..1 by their own range | by the scaler |
| | the_best | only the rows with the highest targets are held out | any rows |
| | (mild) | other rows of the same law, or a level a fifth of the noise away | - |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.faults.fifth_cells import varied
from benchmarks.faults.fifth_plan import Change, Form, Generator, Plan, append, optimize, scaled, with_columns
from benchmarks.faults.objective import Array
from linreg import SGD, Huber

# Columns that say the same.


def _share(rng: Generator, size: str) -> float:
    """Return how much of its own a column has, in its deviations."""
    low, high = {"mild": (0.4, 0.9), "slight": (3e-3, 3e-2), "gross": (1e-6, 3e-3)}[size]
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _copy(rng: Generator, share: float, name: str, columns: Any) -> Change:
    """Return the change that appends columns which others determine but for a share of their own."""
    key = int(rng.integers(2**31))

    def change(plan: Plan) -> Plan:
        exact = columns(plan.fresh[0])
        names = (name,) if exact.ndim == 1 else tuple(f"{name}_{k + 1}" for k in range(exact.shape[1]))
        size = exact.reshape(len(exact), -1).std(axis=0)

        def rounded(X: Array) -> Array:
            found = columns(X).reshape(len(X), -1)
            return found + share * size * np.random.default_rng([key, len(X)]).uniform(-1, 1, found.shape)

        return append(plan, names, rounded)

    return change


def dummy_trap(rng: Generator, plan: Plan, size: str) -> Change | None:
    if not plan.blocks or size == "mild":
        return None
    block = list(plan.blocks[int(rng.integers(len(plan.blocks)))])
    return lambda s: append(s, ("reference",), lambda X: 1 - X[:, block].sum(axis=1))


def remainder(rng: Generator, plan: Plan, size: str) -> Change | None:
    columns = varied(plan)
    if len(columns) < 2:
        return None
    chosen, total = rng.choice(columns, int(rng.integers(2, min(4, len(columns)) + 1)), replace=False), 100.0
    return _copy(rng, _share(rng, size), "rest", lambda X: total - X[:, chosen].sum(axis=1))


def gross_and_net(rng: Generator, plan: Plan, size: str) -> Change | None:
    columns, tax = varied(plan), float(rng.choice([1.19, 1.07, 1.2]))
    if not len(columns):
        return None
    j = int(rng.choice(columns))
    return _copy(rng, _share(rng, size), f"{plan.names[j]}_gross", lambda X: tax * X[:, j])


def high_and_low(rng: Generator, plan: Plan, size: str) -> Change | None:
    columns = varied(plan)
    if not len(columns):
        return None
    j = int(rng.choice(columns))
    apart = float(plan.fresh[0][:, j].std()) * rng.uniform(0.2, 1)
    both = lambda X: np.column_stack([X[:, j] + apart, X[:, j] - apart])  # noqa: E731
    return _copy(rng, _share(rng, size), f"{plan.names[j]}_edge", both)


def average(rng: Generator, plan: Plan, size: str) -> Change | None:
    columns = varied(plan)
    if len(columns) < 2:
        return None
    chosen = rng.choice(columns, int(rng.integers(2, min(6, len(columns)) + 1)), replace=False)
    return _copy(rng, _share(rng, size), "average", lambda X: X[:, chosen].mean(axis=1))


def born(rng: Generator, plan: Plan, size: str) -> Change | None:
    columns = varied(plan)
    if not len(columns):
        return None
    j, year = int(rng.choice(columns)), float(rng.integers(2010, 2025))
    return _copy(rng, _share(rng, size) if size == "mild" else 0.0, "born", lambda X: year - X[:, j])


def mixed(rng: Generator, plan: Plan, size: str) -> Change | None:
    if plan.recipe is None:
        return None
    if size == "mild" and plan.basis not in ("bands", "probes"):
        return None
    strength = rng.uniform(*{"mild": (0, 0.12), "slight": (0.35, 0.6), "gross": (0.6, 1)}[size])
    matrix, columns = plan.recipe(strength), list(plan.curve)

    def change(s: Plan) -> Plan:
        whole = np.eye(s.X.shape[1])
        whole[np.ix_(columns, columns)] = matrix
        return with_columns(s, s.names, lambda X: X @ whole, np.linalg.solve(whole, s.coef))

    return change


def _constant(name: str, value: float, *, scaled: bool = False) -> Change:
    def change(plan: Plan) -> Plan:
        exempt = plan.exempt if scaled else (*plan.exempt, plan.X.shape[1])
        return append(replace(plan, exempt=exempt), (name,), lambda X: np.full(len(X), value))

    return change


def unplugged(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    if size == "mild":
        return _constant("probe_7", float(rng.choice([0.02, 0.05, 0.1])))
    return _constant("probe_7", float(rng.choice([0.8, 1.25, 4.0, 5.0, 21.5])))


def filtered(rng: Generator, plan: Plan, size: str) -> Change | None:
    if size == "mild" and plan.scaler not in ("standard", "frozen"):
        return None
    return _constant(str(rng.choice(["is_2023", "country_DE", "weekday"])), 1.0, scaled=size == "mild")


def version(rng: Generator, plan: Plan, size: str) -> Change | None:
    if size == "mild" and plan.scaler not in ("standard", "frozen"):
        return None
    return _constant("version", float(rng.integers(2, 10)), scaled=size == "mild")


def ambient(rng: Generator, plan: Plan, size: str) -> Change | None:
    name, value = (("pressure_hpa", 1013.0), ("year", 2024.0), ("altitude_m", 520.0), ("mains_v", 230.0))[
        rng.integers(4)
    ]
    if size == "mild" and plan.scaler not in ("standard", "frozen"):
        return None
    return _constant(name, value, scaled=size == "mild")


# Units of features.


def _gained(plan: Plan, columns: Any, factor: float, shift: float = 0.0) -> Plan:
    return replace(plan, gain=(*plan.gain, *((int(j), factor, shift) for j in columns)))


def _apart(plan: Plan, scaler: str) -> Change | None:
    """Return the change to a scaler, None where it leaves all columns between a twentieth and twenty."""
    changed = replace(plan, scaler=scaler)
    sizes = np.sqrt(np.mean(scaled(changed, plan.X)[0] ** 2, axis=0))
    far = sizes.max() > 20 or sizes.min() < 1 / 20
    return (lambda s: replace(s, scaler=scaler)) if far else None


def raw(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    return None if size == "mild" or plan.scaler == "none" else _apart(plan, "none")


def times(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    return None if size == "mild" else _apart(plan, "times")


def timestamp(rng: Generator, plan: Plan, size: str) -> Change | None:
    j = plan.clock if plan.clock is not None else int(rng.choice(plan.X.shape[1]))
    days = float(rng.uniform(20, 400))
    return None if size == "mild" else lambda s: _gained(s, [j], 86400 * days, 1.7e9)


def small_unit(rng: Generator, plan: Plan, size: str) -> Change | None:
    j = int(rng.integers(plan.X.shape[1]))
    factor = float(rng.choice({"mild": [1.5, 2.0], "slight": [10, 25.4, 60], "gross": [1e3, 1e4, 1e6]}[size]))
    return lambda s: _gained(s, [j], factor)


def large_unit(rng: Generator, plan: Plan, size: str) -> Change | None:
    j = int(rng.integers(plan.X.shape[1]))
    factor = float(rng.choice({"mild": [0.7], "slight": [1 / 25.4, 1 / 60, 0.01], "gross": [1e-3, 1e-4, 1e-6]}[size]))
    return lambda s: _gained(s, [j], factor)


def percent(rng: Generator, plan: Plan, size: str) -> Change | None:
    if size == "mild":
        return None
    factor = float(rng.choice([100, 255, 1000, 10]))
    return lambda s: _gained(s, range(plan.X.shape[1]), factor)


def calendar(rng: Generator, plan: Plan, size: str) -> Change | None:
    if size == "mild":
        return None
    j = plan.clock if plan.clock is not None else int(rng.integers(plan.X.shape[1]))
    size_of_one, zero = ((6.0, 1995.0), (9.0, 283.0), (25.0, 1013.0), (4.0, 120.0))[int(rng.integers(4))]
    return lambda s: _gained(s, [j], size_of_one, zero)


# Units of the target.


def _fixed_steps(plan: Plan) -> bool:
    """Whether steps have a size that does not grow with the target."""
    optimizer = plan.settings["optimizer"]
    clipped = any(getattr(optimizer, name) is not None for name in ("clipnorm", "clipvalue", "global_clipnorm"))
    return not isinstance(optimizer, SGD) or clipped or isinstance(plan.settings["loss"], Huber)


def _unit(factor: float) -> Change:
    return lambda s: replace(s, y_unit=(s.y_unit[0], s.y_unit[1] / factor))


def larger(rng: Generator, plan: Plan, size: str) -> Change | None:
    if not _fixed_steps(plan):
        return None
    return _unit(float(rng.choice({"mild": [1.3, 1.8], "slight": [60, 100, 453.6], "gross": [1e3, 1e4, 1e6]}[size])))


def smaller(rng: Generator, plan: Plan, size: str) -> Change | None:
    if isinstance(plan.settings["optimizer"], SGD) or size == "mild":
        return None
    return _unit(float(rng.choice({"slight": [1 / 60, 0.01], "gross": [1e-3, 1e-4, 1e-6]}[size])))


def level(rng: Generator, plan: Plan, size: str) -> Change | None:
    if not _fixed_steps(plan) or size == "mild":
        return None
    far = float(rng.uniform(*{"slight": (30, 100), "gross": (100, 3000)}[size])) * plan.y.std()
    return lambda s: replace(s, y_unit=(s.y_unit[0] - far, s.y_unit[1]))


def tight_clip(rng: Generator, plan: Plan, size: str) -> Change | None:
    optimizer = plan.settings["optimizer"]
    if not isinstance(optimizer, SGD) or size == "mild":
        return None
    clips = ("clipnorm", "clipvalue", "global_clipnorm")
    if any(getattr(optimizer, name) is not None for name in clips):
        return None
    name, to = str(rng.choice(clips)), float(rng.choice([0.01, 0.003] if size == "slight" else [1e-3, 1e-4, 1e-5]))
    spread = float(f"{plan.y.std() / plan.y_unit[1] * to:.1g}")
    return lambda s: optimize(s, **{name: spread})


def molecules(rng: Generator, plan: Plan, size: str) -> Change | None:
    if size == "mild" or plan.settings["dtype"] != "float32":
        return None
    return _unit(float(rng.choice([6.022e23, 1e21, 2.5e25])) / float(np.abs(plan.y).max()) * plan.y_unit[1])


# Validation rows.


def _held(change: Callable[[Plan, Array, Array], Array]) -> Change:
    """Return the change that gives the validation rows other targets, in raw units."""
    return lambda s: replace(s, val=(s.val[0], change(s, *s.val)))


def later(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    far = rng.uniform(*{"mild": (0.1, 0.2), "slight": (1.3, 3), "gross": (3, 60)}[size]) * rng.choice([-1, 1])
    return _held(lambda s, X, y: y + far * s.noise)  # noqa: ARG005


def column_order(rng: Generator, plan: Plan, size: str) -> Change | None:
    d = plan.X.shape[1]
    if size == "mild" or d < 2:
        return None
    order = np.roll(np.arange(d), int(rng.integers(1, d))) if rng.random() < 0.5 else np.arange(d)[::-1]

    def swapped(X: Array, y: Array) -> tuple[Array, Array]:
        return np.column_stack([X[:, order], X[:, d:]]), y

    def change(s: Plan) -> Plan:
        container = "array" if s.container in ("pandas", "polars") else s.container  # names would tell
        return replace(s, container=container, val_edits=(*s.val_edits, swapped))

    return change


def foreign_unit(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    factor, shift = ((100, 0), (0.01, 0), (1000, 0), (1.8, 32), (2.2046, 0), (0.4536, 0))[int(rng.integers(6))]
    return None if size == "mild" else _held(lambda s, X, y: factor * y + shift)  # noqa: ARG005


def misaligned(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    step = int(rng.integers(1, 6))
    return None if size == "mild" else _held(lambda s, X, y: np.roll(y, step))  # noqa: ARG005


def cheap_lab(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    key, more = int(rng.integers(2**31)), float(rng.uniform(*((2, 4) if size == "slight" else (4, 20))))
    if size == "mild":
        return None
    return _held(lambda s, X, y: y + more * s.noise * np.random.default_rng(key).normal(size=len(X)))


def population(rng: Generator, plan: Plan, size: str) -> Change | None:
    if size == "mild":
        return None
    j, factor = int(rng.choice(plan.X.shape[1])), float(rng.choice([-1, 0, 2, 3]))

    def other(s: Plan) -> Plan:
        X, y = s.val
        return replace(s, val=(X, y + (factor - 1) * s.coef[j] * (X[:, j] - s.fresh[0][:, j].mean())))

    return other


def own_range(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    if size == "mild" or plan.scaler not in ("standard", "frozen"):
        return None

    def ranged(X: Array, y: Array) -> tuple[Array, Array]:
        width = np.ptp(X, axis=0)
        return (X - X.min(axis=0)) / np.where(width > 0, width, 1), y

    return lambda s: replace(s, val_edits=(*s.val_edits, ranged))


def the_best(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    share = rng.uniform(0.02, 0.1)
    if size == "mild":
        return None

    def best(s: Plan) -> Plan:
        X, y = s.fresh
        chosen = np.argsort(y)[-max(8, round(share * len(y))) :]
        return replace(s, val=(X[chosen], y[chosen]))

    return best


def same_law(rng: Generator, plan: Plan, size: str) -> Change | None:
    moved, direction = rng.uniform(0.5, 2), rng.normal(size=plan.X.shape[1])

    def elsewhere(s: Plan) -> Plan:
        (X, y), d = s.val, len(direction)
        step = np.zeros(X.shape[1])
        step[:d] = moved * direction * s.fresh[0].std(axis=0)[:d] / np.linalg.norm(direction)
        return replace(s, val=(X + step, y + step @ s.coef))

    return elsewhere if size == "mild" else None


COLUMNS: dict[str, tuple[Form, ...]] = {
    "collinearity": (dummy_trap, remainder, gross_and_net, high_and_low, average, born),
    "ill_conditioned": (mixed,),
    "constant_feature": (unplugged, filtered, version, ambient),
    "feature_scale": (raw, raw, times, timestamp, small_unit, large_unit, percent, calendar),
    "target_scale": (larger, smaller, level, tight_clip, molecules),
    "validation_shift": (
        later, column_order, foreign_unit, misaligned, cheap_lab, population, own_range, the_best, same_law,
    ),
}  # fmt: skip
"""The forms of each cause."""
