"""Sabotage of everything but the table: target, validation rows, settings, and what the numbers look like."""

# ruff: noqa: ARG001, ARG005 (every form is given the same, whether it uses it or not)

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.faults.third_faults import Change, Maker, between, form, key_of, one_digit
from benchmarks.faults.third_runs import Rows, Run, case_of, limit

# The target and the validation rows.


def _retarget(factor: float, shift: float) -> Change:
    return lambda run: replace(run, target_unit=(factor * run.target_unit[0], factor * run.target_unit[1] + shift))


@form("target_scale", (1, 2), optimizer=("Adam", "RMSprop"))
def smaller_unit_of_y(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    return _retarget(float(rng.choice([10, 60, 100] if grade == 1 else [1000, 86400, 1e6])), 0.0)


@form("target_scale", (1, 2), loss="huber")
def huber_in_another_unit(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    return _retarget(float(rng.choice([60, 100, 365] if grade == 1 else [1000, 86400, 1e6])), 0.0)


@form("target_scale", (0,), optimizer=("SGD",), loss="mse")
def unit_that_does_not_matter(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    return _retarget(float(rng.choice([0.001, 0.01, 100, 1000, 1e6])), 0.0)


@form("target_scale", (1, 2), optimizer=("Adam", "RMSprop"), target=("standard",), size=(100, 1e6), table="drawn")
def scaler_of_y_forgotten(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    return lambda run: replace(run, target=(0.0, 1.0))


@form("target_scale", (1, 2), optimizer=("Adam", "RMSprop"), start="zeros")
def larger_unit_of_y(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    return _retarget(float(rng.choice([0.01, 0.001] if grade == 1 else [1e-4, 1e-6])), 0.0)


@form("target_scale", (1, 2), optimizer=("Adam", "RMSprop"), intercept=True)
def zero_of_y_moved(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    far = (between(rng, 20, 100) if grade == 1 else between(rng, 300, 1e5)) * run.ready.y.std()
    return _retarget(1.0, one_digit(far))


@form("target_scale", (1, 2), optimizer=("SGD",), loss="mse", clip=True)
def clipped_gradients(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    return _retarget(float(rng.choice([60, 100] if grade == 1 else [1000, 1e5])), 0.0)


@form("target_scale", (2,), dtype="float32", loss="mse")
def counted_in_molecules(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    return _retarget(6.022e23 / max(1.0, float(run.ready.y.std())), 0.0)


def _held_form(grades: tuple[int, ...]) -> Callable[[Maker], Maker]:
    return form("validation_shift", grades, held=True)


@_held_form((0, 1, 2))
def later_season(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    level = run.noise * [0.2, between(rng, 1.2, 3), between(rng, 4, 30)][grade] * rng.choice([-1, 1])
    return lambda run: replace(run, held=replace(run.held, y=run.held.y + level))


@_held_form((1, 2))
def another_site(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    key, spread = key_of(rng), 0.6 if grade == 1 else 2.0

    def change(run: Run) -> Run:
        luck, mean = np.random.default_rng(key), run.train.X.mean(axis=0)
        drift = run.coef * spread * luck.normal(size=64)[: len(run.coef)]
        return replace(run, held=replace(run.held, y=run.held.y + (run.held.X - mean) @ drift))

    return change


@_held_form((1, 2))
def unit_of_another_supplier(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    main = int(np.argmax(np.abs(run.coef) * run.train.X.std(axis=0)))
    factor = float(rng.choice([1.609, 2.2046, 0.4536, 1.8] if grade == 1 else [100, 1000, 0.001]))

    def change(run: Run) -> Run:
        X = run.held.X.copy()
        X[:, main] *= factor
        return replace(run, held=replace(run.held, X=X))

    return change


@form("validation_shift", (0, 1, 2), held=True, scaler=("standard", "minmax"), r2=(0.6, 0.99), offset=(0, 1))
def scaler_of_its_own(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    j = int(np.argmax(np.abs(run.coef) * run.train.X.std(axis=0)))

    def change(run: Run) -> Run:  # the validation rows come from one end of the range, or are a fair sample
        order = np.argsort(run.held.X[:, j])
        keep = order if grade == 0 else order[-max(8, len(order) // (3 if grade == 1 else 8)) :]
        return replace(run, held=Rows(run.held.X[keep], run.held.y[keep]), held_alone=True)

    return change


@form("validation_shift", (1, 2), held=True, target=("standard", "unit"))
def target_left_raw(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    shift, scale = run.target
    return lambda run: replace(run, held_unit=(scale * run.held_unit[0], scale * run.held_unit[1] + shift))


@form("validation_shift", (1, 2), held=True, features=(2, 15), table="drawn")
def columns_in_another_order(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    shift, scale = run.train.X.mean(axis=0), run.train.X.std(axis=0)
    d = len(run.names)

    def change(run: Run) -> Run:
        X = run.held.X.copy()
        standard = (X[:, :d] - shift) / scale
        X[:, :d] = np.roll(standard, 1, axis=1) * scale + shift
        return replace(run, held=replace(run.held, X=X))

    return change


# Training.


def needed(run: Run) -> float:
    """Return which share of its epochs the run needs to come down to 1 %."""
    excess = case_of(run, "base").outcome.excess
    above = np.flatnonzero(excess > 0.01 * excess[0])
    return float((above[-1] + 1) / run.epochs) if len(above) else 1 / run.epochs


def farthest(run: Run) -> float:
    """Return how far the parameters have to go, the farthest of them."""
    return float(max(np.abs(run.ready.law.coef).max(), abs(run.ready.bias) if run.intercept else 0.0, 1e-300))


@form("regularization", (0, 1, 2), share=(0.05, 0.4))
def ridge(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    unit = float((run.ready.X**2).mean()) * (run.batch_rows if run.reduction == "sum" else 1)
    low, high = [(1e-5, 1e-3), (0.1, 2), (2, 100)][grade]
    strength = one_digit(unit * between(rng, low, high))
    return lambda run: replace(run, penalty=("l2", {"l2": strength}))


@form("regularization", (0, 1, 2), share=(0.05, 0.4), features=(1, 8))
def lasso(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    slope = np.abs(run.ready.X.T @ (run.ready.y - run.ready.y.mean())).max() / len(run.ready.y)
    if run.loss == "huber":
        slope = min(slope, run.delta * float(np.abs(run.ready.X).mean()))
    slope *= run.batch_rows if run.reduction == "sum" else 1
    low, high = [(1e-4, 3e-3), (0.2, 1), (1, 5)][grade]
    strength = one_digit(slope * between(rng, low, high))
    mixed = rng.random() < 0.2
    return lambda run: replace(
        run, penalty=("l1l2", {"l1": strength, "l2": strength / 10}) if mixed else ("l1", {"l1": strength})
    )


@form("loss_reduction", (1, 2), optimizer=("SGD",), reduction=("sum_over_batch_size",), share=(0.03, 1))
def summed_over_the_batch(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    return lambda run: replace(run, reduction="sum")


@form("loss_reduction", (0,), optimizer=("Adam", "RMSprop"), reduction=("sum_over_batch_size",))
def summed_under_an_adaptive_rule(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    return lambda run: replace(run, reduction="sum")


@form("loss_reduction", (0, 1, 2), optimizer=("SGD",), reduction=("mean_with_sample_weight",), weight="counts")
def counts_as_weights(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    return lambda run: replace(run, reduction="sum_over_batch_size")


@form(
    "batch_noise",
    (0, 1, 2),
    optimizer=("SGD",),
    batch="full",
    schedule=None,
    rows=(60, 600),
    r2=(0.2, 0.8),
    epochs=(20, 200),
    share=(0.03, 0.5),
)
def tiny_batches(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    batch = int(rng.choice([[32, 50], [4, 8, 10, 16], [1, 2, 3]][grade]))
    return lambda run: replace(run, batch=batch)


@form(
    "batch_noise",
    (1, 2),
    optimizer=("Adam", "RMSprop"),
    batch="full",
    schedule=None,
    rows=(60, 600),
    r2=(0.1, 0.6),
    epochs=(20, 200),
    reach=(4, 12),
)
def tiny_batches_with_long_steps(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    return tiny_batches(rng, run, grade)


@form(
    "batch_noise",
    (1, 2),
    optimizer=("SGD",),
    batch="full",
    schedule=None,
    rows=(30, 90),
    r2=(0.1, 0.6),
    share=(0.1, 0.7),
)
def last_batch_of_one_row(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    sizes = [b for b in range(2, run.rows) if run.rows % b == 1]
    batch = int(rng.choice(sizes[-3:] if grade == 1 else sizes))
    return lambda run: replace(run, batch=batch)


@form("momentum_too_high", (0, 1, 2), optimizer=("SGD",), epochs=(20, 300), batch="full", momentum=(0.0, 0.5, 0.9))
def heavy_ball(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    beta = float(rng.choice([[0.5, 0.6, 0.8], [0.97, 0.98, 0.99, 0.995], [0.999, 0.9999, 1.0]][grade]))
    ahead = bool(rng.random() < 0.25)
    if beta <= run.options.get("momentum", 0.0):
        return None
    return lambda run: replace(run, options={**run.options, "momentum": beta, "nesterov": ahead})


@form("momentum_too_high", (1, 2), optimizer=("SGD",), batch="small", momentum=(0.0,), share=(0.3, 0.9), r2=(0.2, 0.8))
def momentum_on_small_batches(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    return heavy_ball(rng, run, grade)


@form("momentum_too_high", (1, 2), optimizer=("RMSprop", "Adam"), epochs=(20, 200))
def momentum_of_an_adaptive_rule(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    value = float(rng.choice([0.98, 0.99, 0.995] if grade == 1 else [0.999, 0.9999]))
    name = "momentum" if run.optimizer == "RMSprop" else "beta_1"
    return lambda run: replace(run, options={**run.options, name: value})


@form("learning_rate_too_high", (0, 1, 2), optimizer=("SGD",))
def beyond_the_limit(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    low, high = [(0.5, 0.8), (1.03, 3), (5, 1e4)][grade]
    rate = limit(run) * between(rng, low, high)
    rate = one_digit(rate) if grade == 2 else float(f"{rate:.2g}")
    return None if rate <= run.rate else lambda run: replace(run, rate=rate)


@form("learning_rate_too_high", (1, 2))
def a_zero_forgotten(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    factor = 10.0 if grade == 1 else float(rng.choice([100, 1000]))
    return lambda run: replace(run, rate=run.rate * factor)


@form("learning_rate_too_high", (1, 2), optimizer=("Adam", "RMSprop"))
def steps_longer_than_the_way(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    rate = one_digit(farthest(run) * (between(rng, 0.5, 5) if grade == 1 else between(rng, 10, 1e4)))
    return None if rate < 5 * run.rate else lambda run: replace(run, rate=rate)


@form("learning_rate_too_high", (1, 2), optimizer=("SGD",), schedule=None)
def peak_of_the_warm_up(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    peak = limit(run) / run.rate * (between(rng, 1.5, 4) if grade == 1 else between(rng, 5, 100))
    peak, part = float(f"{peak:.1g}"), int(rng.integers(3, 10))

    def change(run: Run) -> Run:
        more = {"decay_steps": run.steps, "warmup_target": peak, "warmup_steps": max(1, run.steps // part)}
        return replace(run, schedule=("CosineDecay", more))

    return change


@form("learning_rate_too_high", (1, 2), optimizer=("SGD",), schedule=None)
def schedule_that_ends_higher(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    end = limit(run) / run.rate * (between(rng, 1.3, 3) if grade == 1 else between(rng, 5, 300))
    more = {"end_learning_rate": float(f"{end:.1g}")}
    return lambda run: replace(run, schedule=("PolynomialDecay", {"decay_steps": run.steps, **more}))


@form("learning_rate_too_low", (0, 1, 2))
def too_many_zeros(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    slack = 1 / needed(run)
    low, high = [(0.3, 0.7), (2, 6), (20, 1e5)][grade]
    factor = slack * between(rng, low, high)
    return None if factor < 1.2 else lambda run: replace(run, rate=one_digit(run.rate / factor))


@form("learning_rate_too_low", (1, 2), optimizer=("Adam", "RMSprop"))
def default_of_keras(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    return None if run.rate < 0.003 else lambda run: replace(run, rate=0.001)


@form("learning_rate_too_low", (1, 2), schedule=None, batch="small")
def epochs_taken_for_steps(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    part, decay = between(rng, 0.3, 1) if grade == 1 else between(rng, 0.03, 0.1), float(rng.choice([0.1, 0.5, 0.9]))
    kind, steps = int(rng.integers(3)), max(1, round(run.epochs * part))
    if kind == 0:
        schedule = ("CosineDecay", {"decay_steps": steps})
    elif kind == 1:
        schedule = ("ExponentialDecay", {"decay_steps": max(1, steps // 5), "decay_rate": decay})
    else:
        schedule = ("PolynomialDecay", {"decay_steps": steps, "end_learning_rate": 1e-5})
    return lambda run: replace(run, schedule=schedule)


@form("learning_rate_too_low", (1, 2), optimizer=("SGD",), schedule=None)
def decay_that_never_ends(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
    times = between(rng, 20, 100) if grade == 1 else between(rng, 1000, 1e5)
    more = {"decay_steps": max(1, round(run.steps * needed(run) / 10)), "decay_rate": one_digit(times)}
    return lambda run: replace(run, schedule=("InverseTimeDecay", more))


# Presentation: holes and texts.


def _columns(rng: np.random.Generator, run: Run, many: int) -> list[str]:
    return [run.names[j] for j in rng.choice(len(run.names), size=min(many, len(run.names)), replace=False)]


def _hole_form(name: str, boxes: tuple[str, ...], draw: Callable[[np.random.Generator, Run, int], Any]) -> None:
    """Register a form that leaves holes: `draw` gives the columns, the share of rows and the value in them."""

    def make(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
        columns, share, value = draw(rng, run, grade)
        key = key_of(rng)
        holes = tuple((column, share, value, key) for column in columns)
        return lambda run: replace(run, holes=(*run.holes, *holes))

    make.__name__ = name
    form("missing_values", (1, 2), box=boxes)(make)


_ANY = ("array", "list", "pandas", "polars")
_hole_form("one_cell_empty", _ANY, lambda rng, run, grade: (_columns(rng, run, 1), 0.0, math.nan))
_hole_form(
    "join_without_match",
    ("array", "pandas"),
    lambda rng, run, grade: (_columns(rng, run, 3), between(rng, 0.02, 0.3), math.nan),
)
_hole_form(
    "lag_without_past",
    ("array", "pandas", "polars"),
    lambda rng, run, grade: (_columns(rng, run, 1), -float(rng.integers(1, 15)) / run.rows, math.nan),
)
_hole_form(
    "target_not_yet_known", ("array", "pandas"), lambda rng, run, grade: (["y"], between(rng, 0.002, 0.1), math.nan)
)
_hole_form(
    "ratio_by_zero",
    ("array", "pandas"),
    lambda rng, run, grade: (_columns(rng, run, 1), between(rng, 0.001, 0.05), math.inf),
)
_hole_form(
    "logarithm_of_zero",
    ("array", "polars"),
    lambda rng, run, grade: (_columns(rng, run, 1), between(rng, 0.001, 0.1), -math.inf),
)
_hole_form(
    "none_in_a_list",
    ("array", "list"),
    lambda rng, run, grade: (_columns(rng, run, 1), between(rng, 0.001, 0.05), None),
)
_hole_form(
    "not_available", ("pandas",), lambda rng, run, grade: (_columns(rng, run, 2), between(rng, 0.001, 0.2), pd.NA)
)
_hole_form(
    "masked_cells", ("masked",), lambda rng, run, grade: (_columns(rng, run, 2), between(rng, 0.001, 0.1), math.nan)
)


def _text_form(
    name: str,
    writer: Callable[[float], Any],
    boxes: tuple[str, ...] = _ANY,
    *,
    many: int = 1,
    whole: bool = True,
    target: bool = False,
    missing: bool = False,
) -> None:
    """Register a form in which numbers are written as something else, in whole columns or in some rows."""

    def make(rng: np.random.Generator, run: Run, grade: int) -> Change | None:
        columns = ["y"] if target else _columns(rng, run, many)
        share, key = 1.0 if whole else between(rng, 0.001, 0.2), key_of(rng)
        texts = tuple((column, share, writer, key) for column in columns)
        natural = ("missing_values",) if missing else ()
        return lambda run: replace(run, texts=(*run.texts, *texts), natural=(*run.natural, *natural))

    make.__name__ = name
    form("wrong_dtype", (1, 2), box=boxes)(make)


_FIRST_DAY = np.datetime64("2021-03-01")
_text_form("decimal_commas", lambda v: f"{v:.3f}".replace(".", ","))
_text_form("currency_signs", lambda v: f"${v:,.2f}")
_text_form("numbers_as_text", lambda v: f"{v:.4f}", many=99)
_text_form("units_written_out", lambda v: f"{v:.2f} kg")
_text_form("per_cent_signs", lambda v: f"{100 * v:.1f}%", ("array", "pandas", "polars"))
_text_form("unknown_among_numbers", lambda _: "unknown", whole=False, missing=True)
_text_form("dash_for_nothing", lambda _: "-", whole=False, missing=True)
_text_form("empty_strings", lambda _: "", ("array", "list", "pandas"), whole=False, missing=True)
_text_form("below_detection", lambda v: f"<{abs(v):.1f}", whole=False)
_text_form("dates", lambda v: _FIRST_DAY + round(math.remainder(50 * v, 3000)), ("pandas", "polars", "array"))
_text_form("dates_as_text", lambda v: str(_FIRST_DAY + round(math.remainder(50 * v, 3000))))
_text_form("yes_and_no", lambda v: "yes" if v > 0 else "no")
_text_form("spectrum_left_complex", lambda v: complex(v, 0.0), ("array",))
_text_form("bytes_of_a_file", lambda v: f"{v:.3f}".encode(), ("array",))
_text_form("target_with_commas", lambda v: f"{v:.2f}".replace(".", ","), target=True)
_text_form("target_as_text", lambda v: f"{v:.3g}", ("array", "list", "pandas"), target=True)
