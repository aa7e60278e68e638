"""Sabotage: every cause in several forms, each a change of one step of the pipeline, mild or gross.

A form wishes for a pipeline that it can spoil, and is then drawn for that pipeline: it returns what turns the sound run
into the spoilt one. Everything random in it is fixed when it is drawn, so it does the same beside other faults.
"""

# ruff: noqa: ARG001, ARG005 (every form is given the same, whether it uses it or not)

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.faults.objective import Array
from benchmarks.faults.third_runs import Rows, Run

Change = Callable[[Run], Run]
Maker = Callable[[np.random.Generator, Run, int], Change | None]


@dataclass(frozen=True)
class Form:
    """One way for a cause to come about.

    Parameters
    ----------
    cause, name : str
        The cause, and what a user did.
    wishes : dict
        The pipeline that it needs, see `third.drawn`.
    make : callable
        `make(rng, run, grade)` gives the change of the run, or None where the run offers no hold. Grade 0 is meant to
        do no harm, 1 is mild, 2 gross; what it does is measured.
    grades : tuple of int
        Grades that it has.
    """

    cause: str
    name: str
    wishes: dict[str, Any]
    make: Maker
    grades: tuple[int, ...]


FORMS: dict[str, list[Form]] = {}
ORDER = (
    "ill_conditioned",
    "collinearity",
    "constant_feature",
    "feature_scale",
    "overfitting",
    "target_scale",
    "high_leverage",
    "outliers",
    "validation_shift",
    "regularization",
    "loss_reduction",
    "batch_noise",
    "momentum_too_high",
    "learning_rate_too_high",
    "learning_rate_too_low",
    "missing_values",
    "wrong_dtype",
)
"""Causes in the order in which they enter a pipeline."""


def form(cause: str, grades: tuple[int, ...] = (1, 2), **wishes: Any) -> Callable[[Maker], Maker]:
    """Register a form of a cause."""

    def register(make: Maker) -> Maker:
        FORMS.setdefault(cause, []).append(Form(cause, make.__name__.strip("_"), wishes, make, grades))
        return make

    return register


def one_digit(value: float) -> float:
    """Return a number that a user would write: 1, 2, 3, 5 or 7 times a power of ten, not above `value`."""
    power = 10.0 ** math.floor(math.log10(value) + 1e-9)
    digit = max(d for d in (1, 2, 3, 5, 7) if d * power <= value * (1 + 1e-9))
    return float(f"{digit * power:.3g}")


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw evenly on the logarithmic scale."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def key_of(rng: np.random.Generator) -> int:
    """Draw a seed."""
    return int(rng.integers(2**31))


def _hit(key: int, share: float, rows: int) -> Array:
    """Return which rows are hit: a share of them, at least one, the same ones in a shorter table."""
    luck = np.random.default_rng(key).random(rows)
    return luck <= max(share, luck.min())


def _everywhere(run: Run, change: Callable[[Rows], Rows]) -> Run:
    held, far = run.held and change(run.held), run.far and change(run.far)
    return replace(run, train=change(run.train), clean=change(run.clean), held=held, far=far)


# Columns.


def _mixed(run: Run, mix: Callable[[Array], Array]) -> Run:
    """Return the run with other columns of the same sizes, y following the law."""
    mean, std = run.train.X.mean(axis=0), np.maximum(run.train.X.std(axis=0), 1e-300)

    def change(part: Rows) -> Rows:
        X = mean + std * mix((part.X - mean) / std)
        return Rows(X, part.y + run.law_of(X) - run.law_of(part.X), part.weight)

    return _everywhere(run, change)


@form("ill_conditioned", table="drawn", features=(3, 10), r2=(0.3, 0.95), share=(0.02, 0.2))
def common_factor(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    own, key = between(rng, 0.02, 0.1) if grade == 1 else between(rng, 1e-3, 0.02), key_of(rng)
    sign = np.sign(np.random.default_rng(key).normal(size=len(run.names)))

    def mix(Z: Array) -> Array:
        common = Z.mean(axis=1, keepdims=True) * math.sqrt(Z.shape[1])
        return math.sqrt(1 - own**2) * common * sign[: Z.shape[1]] + own * Z

    return lambda run: _mixed(run, mix)


@form("ill_conditioned", table="drawn", features=(4, 12), r2=(0.3, 0.98), share=(0.02, 0.2))
def neighbouring_channels(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    width = rng.uniform(0.8, 1.5) if grade == 1 else rng.uniform(1.5, 4)
    place = np.arange(len(run.names))
    kernel = np.exp(-(((place[:, np.newaxis] - place) / width) ** 2) / 2)
    kernel /= np.sqrt((kernel**2).sum(axis=0))
    return lambda run: _mixed(run, lambda Z: Z @ kernel)


@form("ill_conditioned", table="drawn", features=(2, 5), r2=(0.3, 0.98), share=(0.02, 0.2))
def powers_of_a_narrow_range(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    narrow = rng.uniform(0.1, 0.3) if grade == 1 else rng.uniform(0.02, 0.1)
    grid = 1 + narrow * np.tanh(np.random.default_rng(key_of(rng)).normal(size=4000))
    power = np.arange(1, len(run.names) + 1)
    mean, std = (grid[:, np.newaxis] ** power).mean(axis=0), (grid[:, np.newaxis] ** power).std(axis=0)
    return lambda run: _mixed(run, lambda Z: ((1 + narrow * np.tanh(Z[:, :1])) ** power - mean) / std)


@form("collinearity", grades=(0, 1, 2), features=(1, 8), r2=(0.3, 0.95), share=(0.02, 0.3))
def second_sensor(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    error = [between(rng, 0.3, 0.8), between(rng, 0.003, 0.05), float(rng.choice([0, 1e-4, 1e-3]))][grade]
    j, key, factor = (
        int(rng.integers(len(run.names))),
        key_of(rng),
        float(rng.choice([1.8, 0.3048, 1000, 2.2046, 1.19])),
    )
    std = float(run.train.X[:, j].std())

    def values(part: Rows) -> Array:
        jitter = np.random.default_rng([key, len(part.y)]).normal(size=len(part.y))
        return (part.X[:, j] + error * std * jitter) * factor

    return lambda run: run.with_column(f"{run.names[j]}_b", values, scaled=run.scaler != "none")


@form("collinearity", features=(3, 10), scaler=("standard", "minmax", "robust"), share=(0.02, 0.3))
def total_of_parts(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    parts = rng.choice(len(run.names), size=int(rng.integers(2, min(4, len(run.names)) + 1)), replace=False)
    std, key = run.train.X[:, parts].std(axis=0), key_of(rng)
    rounding = 0.0 if grade == 2 else between(rng, 0.003, 0.03)

    def values(part: Rows) -> Array:
        jitter = np.random.default_rng([key, len(part.y)]).normal(size=len(part.y))
        return part.X[:, parts] @ (1 / std) + rounding * jitter

    return lambda run: run.with_column("total", values)


@form("collinearity", (2,), table="drawn", categories=True, share=(0.02, 0.3), features=(1, 8))
def dummy_trap(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    levels = [j for j, name in enumerate(run.names) if name.startswith("region_")]
    if not levels or not run.intercept:
        return None
    return lambda run: run.with_column("region_a", lambda part: 1 - part.X[:, levels].sum(axis=1))


@form("constant_feature", (0, 1, 2), intercept=True, offset=(1, 8), target=("none", "unit"))
def stuck_column(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    low, high = [(0.01, 0.1), (0.5, 3), (3, 300)][grade]
    value, scaled = one_digit(between(rng, low, high)), grade == 0 and rng.random() < 0.6
    return lambda run: run.with_column(
        "firmware", lambda part: np.full(len(part.y), value), scaled=scaled and run.scaler != "none"
    )


@form("constant_feature", (1,), intercept=True, offset=(0.6, 8), target=("none", "unit"))
def column_of_ones(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    return lambda run: run.with_column("const", lambda part: np.ones(len(part.y)), scaled=False)


UNITS: dict[str, tuple[tuple[float, float], ...]] = {
    "income_eur": ((100, 0), (0.001, 0)),
    "distance_km": ((1000, 0), (1e6, 0)),
    "temperature_c": ((1, 273.15), (1.8, 32)),
    "pressure_hpa": ((100, 0), (0.1, 0)),
    "humidity": ((100, 0), (1e6, 0)),
    "weight_kg": ((1000, 0), (0.001, 0), (1e6, 0)),
    "area_m2": ((1e4, 0), (1e6, 0), (1e-6, 0)),
    "voltage": ((1000, 0), (0.001, 0)),
    "return_pct": ((100, 0), (0.01, 0)),
    "lead_days": ((24, 0), (86400, 0), (1 / 365, 0)),
    "signal": ((1000, 0), (1e-3, 0), (1e6, 0)),
    "age_years": ((12, 0), (365.25, 0)),
    "visits": ((1000, 0), (1e-3, 0)),
}
"""Other units of a column, as factor and shift."""


def _unit_of(rng: np.random.Generator, run: Run, want: Callable[[float], bool]) -> tuple[str, float, float] | None:
    known = [(name, *unit) for name in run.names for unit in UNITS.get(name.rsplit("#")[0], ((1000, 0), (0.001, 0)))]
    known = [unit for unit in known if want(unit[1]) or unit[2] > 100]
    return known[int(rng.integers(len(known)))] if known else None


@form("feature_scale", (1, 2), scaler=("standard", "minmax", "robust", "maxabs"))
def unit_changed_after_scaling(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    unit = _unit_of(rng, run, (lambda f: 1 < f <= 100) if grade == 1 else (lambda f: f > 100))
    return None if unit is None else lambda run: replace(run, units=(*run.units, unit))


@form("feature_scale", (0,), scaler=("standard", "minmax", "robust", "maxabs"))
def unit_changed_before_scaling(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    unit = _unit_of(rng, run, lambda _: True)
    if unit is None:
        return None
    j = run.names.index(unit[0])

    def change(run: Run) -> Run:
        factor, shift = np.ones(len(run.names)), np.zeros(len(run.names))
        factor[j], shift[j] = unit[1:]
        coef = run.coef / factor
        run = _everywhere(run, lambda part: Rows(part.X * factor + shift, part.y, part.weight))
        return replace(run, coef=coef, bias=run.bias - float(coef @ shift))

    return change


@form("feature_scale", (1, 2), scaler=("standard", "robust"), features=(1, 5))
def column_too_small(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    main = int(np.argmax(np.abs(run.coef) * run.train.X.std(axis=0)))
    name, mean = run.names[main], float(run.train.X[:, main].mean())
    factor = between(rng, 0.02, 0.1) if grade == 1 else 10.0 ** -rng.integers(2, 6)
    return lambda run: replace(run, units=(*run.units, (name, factor, mean * (1 - factor))))


@form("feature_scale", (0, 1, 2), scaler=("standard", "minmax", "robust"))
def scaler_forgotten(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    scaler = "uncentred" if grade == 1 and rng.random() < 0.6 else "none"
    return lambda run: replace(run, scaler=scaler)


@form("feature_scale", (0, 1, 2), held=False)
def number_left_in(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    kinds = [("batch_no", 1, 0), ("customer_id", 7, int(rng.integers(1000, 90000))), ("day", 1, 0)]
    name, step, first = kinds[int(rng.integers(3))] if grade < 2 else ("created_at", 60, 1_700_000_000)

    def values(part: Rows) -> Array:
        return first + step * np.arange(len(part.y), dtype=float) % (step * len(run.train.y))

    scaled = grade == 0 and run.scaler != "none"
    return lambda run: run.with_column(name, values, scaled=scaled)


@form("feature_scale", (1, 2), features=(1, 4), table="drawn")
def powers_left_unscaled(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    j, top = int(rng.integers(len(run.names))), 2 if grade == 1 else 3

    def change(run: Run) -> Run:
        for power in range(2, top + 1):
            run = run.with_column(f"{run.names[j]}^{power}", lambda part, p=power: part.X[:, j] ** p, scaled=False)
        return run

    return change


# Rows.


@form(
    "overfitting",
    (0, 1, 2),
    features=(6, 15),
    rows=(300, 900),
    r2=(0.2, 0.8),
    batch="full",
    slack=(6, 60),
    share=(0.05, 0.3),
    held=True,
    table="drawn",
    weight=None,
)
def few_rows(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    p = len(run.names) + 1
    count = int([rng.integers(6 * p, 9 * p), rng.integers(p + 2, 2 * p), rng.integers(max(4, p - 4), p + 1)][grade])
    return lambda run: replace(run, train=run.train.cut(count))


@form("high_leverage", (0, 1, 2), scaler=("standard", "minmax", "robust"), table="drawn")
def customers_of_another_size(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    low, high = [(3, 6), (20, 100), (100, 3000)][grade]
    count, key = int(rng.integers(1, 4)), key_of(rng)
    far = np.random.default_rng(key).uniform(low, high, size=count)

    def change(run: Run) -> Run:
        luck, d = np.random.default_rng(key + 1), len(run.names)
        mean, std = run.train.X.mean(axis=0), run.train.X.std(axis=0)
        direction = np.abs(luck.normal(size=(count, d)))
        direction /= np.sqrt((direction**2).mean(axis=1, keepdims=True))
        extra = {f"{name}_b" for name in run.names} | {"total", "region_a", "firmware", "const"}
        fixed = np.array([name in extra for name in run.names])
        X = mean + std * np.where(fixed, 0, direction * far[:, np.newaxis])
        return replace(run, far=Rows(X, run.law_of(X) + run.noise * luck.normal(size=count)))

    return change


@form("high_leverage", (1, 2), scaler=("standard", "minmax"), batch="small", table="drawn", optimizer=("SGD",))
def one_far_row_in_a_batch(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    return customers_of_another_size(rng, run, grade)


def _spoilt_y(run: Run, key: int, share: float, spoil: Callable[[Array, np.random.Generator], Array]) -> Run:
    y, luck = run.train.y.copy(), np.random.default_rng([key, 1])
    hit = _hit(key, share, len(y))
    y[hit] = spoil(y[hit], luck)
    return replace(run, train=Rows(run.train.X, y, run.train.weight), natural=(*run.natural, "high_leverage"))


def _y_form(name: str, grades: tuple[int, ...], spoil: Callable[[np.random.Generator, Run, int], Any]) -> None:
    """Register a form in which some targets of the training rows are spoilt."""

    def make(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
        share = [between(rng, 0.002, 0.01), between(rng, 0.01, 0.04), between(rng, 0.03, 0.1)][grade]
        key, change = key_of(rng), spoil(rng, run, grade)
        return lambda run: _spoilt_y(run, key, share, change)

    make.__name__ = name
    form("outliers", grades, rows=(60, 2000), table="drawn", target=("none", "unit"))(make)


def _sentinel(rng: np.random.Generator, run: Run, grade: int) -> Any:
    size = 10.0 ** math.ceil(math.log10(np.abs(run.train.y).max() + 1e-300)) * (1 if grade < 2 else 10)
    value = float(rng.choice([-size, size]) * (0.999 if size >= 10 else 1))
    return lambda y, luck: np.full(len(y), value)


_y_form("sentinel_in_y", (1, 2), _sentinel)
_y_form("decimal_point_lost", (0, 1, 2), lambda rng, run, grade: lambda y, luck: y * [2, 10, 100][grade])
_y_form("sign_lost", (0, 1, 2), lambda rng, run, grade: lambda y, luck: -y)
_y_form("zero_for_missing", (0, 1, 2), lambda rng, run, grade: lambda y, luck: np.zeros(len(y)))
_y_form("pounds_among_kilograms", (0, 1, 2), lambda rng, run, grade: lambda y, luck: y * [1.1, 2.2046, 28.35][grade])
_y_form("joined_to_the_wrong_row", (0, 1), lambda rng, run, grade: lambda y, luck: np.roll(y, 1))
_y_form(
    "bursts",
    (0, 1, 2),
    lambda rng, run, grade: lambda y, luck: y + run.train.y.std() * [0.5, 8, 60][grade] * luck.standard_t(3, len(y)),
)


@form("outliers", (1, 2), rows=(60, 2000), table="drawn", scaler=("standard", "minmax", "uncentred"))
def sentinel_in_a_column(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    j, key, share = int(np.argmax(np.abs(run.coef) * run.train.X.std(axis=0))), key_of(rng), between(rng, 0.005, 0.05)
    value = float(rng.choice([-999, -1, 0, 9999] if grade == 1 else [-9999, 99999, 1e6]))

    def change(run: Run) -> Run:
        X = run.train.X.copy()
        X[_hit(key, share, len(X)), j] = value
        return replace(run, train=replace(run.train, X=X), natural=(*run.natural, "high_leverage"))

    return change
