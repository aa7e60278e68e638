"""A fourth generator: tables and habits of practitioners, kept for the final figure only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count as counted
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from benchmarks.faults.cases import Case, Law, truth
from benchmarks.faults.fourth_fields import Generator, Study, study_of
from benchmarks.faults.fourth_mistakes import MISTAKES, NEEDS, ORDER, Slip, optimize, steps, train
from benchmarks.faults.objective import Array
from linreg import L1, L2, SGD, Adam, Huber, MeanSquaredError, RMSprop, schedules
from linreg.precision import FLOAT64
from linreg.schedules import rates_of

SLOTS = ("healthy",) * 20 + ("mild",) * 10 + ("one",) * 48 + ("two",) * 17 + ("three",) * 5
LOOKS_BAD = ("noisy", "tails", "correlated", "few", "edge", "big numbers", "sorted", "mean start", "other season", "")
"""What a healthy run may have that looks like a fault; "" is nothing."""
HIDES_ALL = ("missing_values", "wrong_dtype")
BLOWS_UP = {"learning_rate_too_high", "feature_scale", "loss_reduction", "high_leverage", "batch_noise"}
CONTRARY = {
    "learning_rate_too_low": BLOWS_UP | {"momentum_too_high"},
    "target_scale": {"learning_rate_too_high"},
    "wrong_dtype": {"missing_values"},
}
"""Mistakes that make up for each other, or are one: never together."""


# From a study to a case.


def _prepared(study: Study, X: Array, rows: Array, how: str) -> tuple[Array, Array]:
    """Return X prepared with what `rows` tell, and the scales of its columns."""
    if how == "robust":
        shift, scale = np.median(rows, axis=0), np.subtract(*np.percentile(rows, [75, 25], axis=0)) / 1.349
    else:
        shift, scale = rows.mean(axis=0), rows.std(axis=0)
    scale = np.where(scale > 1e-9 * np.abs(rows).max(axis=0), scale, 1)
    left = np.isin(np.arange(X.shape[1]), study.raw) | (how == "none")
    shift, scale = np.where(left, 0, shift), np.where(left, 1, scale)
    return (X - shift) / scale, scale


def _container(study: Study, X: Array, cells: list[tuple[int, int, Any]]) -> Any:
    X = X.astype(object) if any(isinstance(value, str) for *_, value in cells) else X.copy()
    for i, j, value in cells:
        X[i, j] = value
    if study.container == "array":
        return X
    columns = {name: list(X[:, j]) if X.dtype == object else X[:, j] for j, name in enumerate(study.names)}
    return pl.DataFrame(columns) if study.container == "polars" else pd.DataFrame(columns)


def case_of(study: Study, name: str = "", **told: Any) -> Case:
    """Return the run that a study describes."""
    known = study.fresh[0] if study.prep == "pilot" else study.X
    X, scale = _prepared(study, study.X, known, study.prep)
    y, val, (low, unit) = (study.y - study.unit[0]) / study.unit[1], None, study.unit
    if study.val is not None:
        held, how = (study.val[0], "standard") if study.val_prep == "own" else (known, study.prep)
        val_X = _prepared(study, study.val[0], held, "none" if study.val_prep == "raw X" else how)[0]
        val_y = study.val[1] if study.val_prep == "raw y" else (study.val[1] - low) / unit
        val = (_container(study, val_X, []), val_y)
    in_y = [(i, value) for i, j, value in study.cells if j < 0]
    given = y.astype(object) if any(isinstance(value, str) for _, value in in_y) else y.copy()
    for i, value in in_y:
        given[i] = value
    fresh = _prepared(study, study.fresh[0], known, study.prep)[0]
    settings = {**study.settings, "batch_size": study.batch or len(y)}
    words = (type(settings["optimizer"]).__name__, type(settings["loss"]).__name__, study.prep, study.place)
    return Case(
        name=f"{name} | " + " ".join(words).lower(),
        X=_container(study, X, [cell for cell in study.cells if cell[1] >= 0]),
        y=given,
        settings=settings,
        validation_data=val,
        sample_weight=study.weight,
        law=Law(fresh, (study.fresh[1] - low) / unit, study.coef * scale / unit, study.noise / unit),
        natural=study.natural,
        **told,
    )


def _with_twins(base: Study, slips: dict[str, Slip], name: str) -> Case:
    """Return the case with all mistakes, and its twins for every subset of them, each made once."""
    made: dict[tuple[str, ...], Case] = {}

    def build(present: tuple[str, ...]) -> Case:
        if present not in made:
            study = base
            for cause in present:
                study = slips[cause](study)
            undone = {cause: build(tuple(other for other in present if other != cause)) for cause in present}
            told = {"faults": present, "undone": undone, "healthy": build(()) if present else None}
            case = case_of(study, name, **told)
            if present == tuple(slips) and case.outcome.verdict not in ("converges", "cannot_run"):
                case.also.update(_remedies(study, case))
            made[present] = case
        return made[present]

    return build(tuple(slips))


def _half_of_limit(study: Study, case: Case) -> Study:
    top = float(np.linalg.eigvalsh(case.outcome.objective.hessian())[-1])
    return optimize(study, learning_rate=1 / max(top, 1e-300))


def _remedies(study: Study, case: Case) -> dict[str, tuple[Case, ...]]:
    """Return the single changes that might make a failing run converge, by the cause whose remedy each is."""
    optimizer, found = study.settings["optimizer"], {cause: [] for cause in ORDER}
    plain = isinstance(optimizer, SGD)

    rate = float(np.mean(rates_of(optimizer.learning_rate, np.arange(steps(study)), FLOAT64)))
    rates = [rate * factor for factor in (0.1, 0.01, 1, 10, 100, 1000, 1e4, 1e5)]
    rates += [_half_of_limit(study, case).settings["optimizer"].learning_rate] if plain else []
    for each in rates:
        cause = "learning_rate_too_low" if each > rate else "learning_rate_too_high"
        if each != rate or not isinstance(optimizer.learning_rate, float):
            found[cause].append(case_of(optimize(study, learning_rate=each)))
    if study.prep != "standard" or study.raw:
        standard = replace(study, prep="standard", raw=())
        found["feature_scale"] = [case_of(standard)]
        if plain and (study.prep == "none" or np.ptp(study.X[:, list(study.raw)], axis=0).any()):
            found["feature_scale"] += [case_of(_half_of_limit(standard, found["feature_scale"][0]))]
    if study.unit != (study.y.mean(), study.y.std()):
        found["target_scale"] = [case_of(replace(study, unit=(float(study.y.mean()), float(study.y.std()))))]
    name = "beta_1" if isinstance(optimizer, Adam) else "momentum"
    lower = [value for value in (0.0, 0.5, 0.9) if value < getattr(optimizer, name)]
    found["momentum_too_high"] = [case_of(optimize(study, **{name: value})) for value in lower]
    if study.batch is not None and study.batch < len(study.y):
        found["batch_noise"] = [case_of(replace(study, batch=None))]
    if study.weight is not None or study.settings["loss"].reduction == "sum":
        loss = replace(study.settings["loss"], reduction="mean_with_sample_weight")
        found["loss_reduction"] = [case_of(train(study, loss=loss))]
    if study.settings.get("kernel_regularizer") is not None:
        found["regularization"] = [case_of(train(study, kernel_regularizer=None))]
    return {cause: tuple(runs) for cause, runs in found.items() if runs}


# How people train.


def _trained(rng: Generator, study: Study, flags: set[str]) -> Study | None:
    """Return the study with a training as its owner would set it up, long enough to converge; None if none is."""
    kinds, odds = ("sgd", "momentum", "adam", "rmsprop", "schedule"), (0.4, 0.15, 0.25, 0.07, 0.13)
    kind = str(rng.choice(kinds, p=odds))
    if flags & {"full", "plain"}:
        kind = str(rng.choice(["sgd", "sgd", "momentum"]))
    if flags & {"touchy"}:
        kind = str(rng.choice(["adam", "rmsprop", "clipped", "huber"]))
    if flags & {"momentum"}:
        kind = str(rng.choice(["sgd", "momentum", "momentum", "adam", "rmsprop"]))
    if flags & {"big numbers", "edge"}:
        kind = "sgd"
    huber = kind == "huber" or (not flags & {"touchy", "big numbers", "edge"} and rng.random() < 0.18)
    study = replace(study, prep=str(rng.choice(["standard", "robust", "pilot", "none"], p=[0.66, 0.08, 0.08, 0.18])))
    if "plain" in flags:
        study = replace(study, prep=str(rng.choice(["robust", "pilot", "none"])))
    adaptive = kind in ("adam", "rmsprop")
    if flags & {"full", "mean start"} or adaptive or kind == "clipped" or huber or rng.random() < 0.3:
        study = replace(study, unit=(float(study.y.mean()), float(study.y.std())))
    if "big numbers" in flags:
        study = replace(study, unit=(0.0, 1e-4))
    batch = None if flags & {"full", "edge"} or rng.random() < 0.25 else int(rng.choice([16, 32, 32, 64]))
    study = replace(study, batch=batch if batch is None or batch < len(study.y) else None)
    settings: dict[str, Any] = {
        "optimizer": SGD(),
        "loss": Huber(float(rng.choice([1.0, 1.35, 2.0]))) if huber else MeanSquaredError(),
        "random_state": int(rng.integers(1000)),
        "dtype": str(rng.choice(["float32", "float64"])),
    }
    if rng.random() < 0.12:
        settings["kernel_regularizer"] = L1(1e-4) if rng.random() < 0.3 else L2(float(rng.choice([1e-4, 1e-3])))
    if "sorted" in flags:
        order = np.argsort(study.X[:, 0])
        study, settings["shuffle"] = replace(study, X=study.X[order], y=study.y[order]), False
    if "mean start" in flags:
        study = replace(study, unit=(0.0, study.unit[1]))
        settings |= {"bias_initializer": float(np.mean(study.y) / study.unit[1]), "kernel_initializer": "zeros"}
    if rng.random() < 0.08:
        study = replace(study, weight=rng.gamma(4, 0.25, len(study.y)).round(3) + 0.01)
    optimizer = _optimizer(rng, replace(study, settings=settings), kind, flags)
    begin, more = int(rng.integers(0, 4)), int(rng.choice([1, 1, 2]))
    for epochs in (20, 50, 100, 200, 300, 500, 1000)[begin:]:
        found = replace(study, settings={**settings, "epochs": epochs * more})
        found = train(found, optimizer=optimizer(steps(found)))
        if case_of(found).outcome.share < 0.006:
            return found
    return None


def _optimizer(rng: Generator, study: Study, kind: str, flags: set[str]) -> Callable[[int], Any]:
    """Return the optimizer for a number of steps; a rate that tutorials name, tuned down by hand where it must be."""
    if kind in ("adam", "rmsprop"):
        rate = float(rng.choice([0.001, 0.01, 0.01, 0.03, 0.1]))
        return lambda many: Adam(rate) if kind == "adam" else RMSprop(min(rate, 0.01))  # noqa: ARG005
    case = case_of(train(study, epochs=1))
    rows = case.outcome.objective
    top = float(np.linalg.eigvalsh(rows.hessian())[-1])
    if study.batch is not None:
        top += 2 * float(np.max(np.sum(rows.matrix**2, axis=1))) / study.batch
    share = 0.1 if kind == "momentum" else 0.4
    grid = [digit * 10.0**power for power in range(-12, 1) for digit in (1, 2, 5)]
    rate = max((float(f"{r:g}") for r in grid if r < share * 2 / top), default=1e-13)
    rate = min(rate, float(rng.choice([0.01, 0.01, 0.05, 0.1])))
    if "edge" in flags:
        rate = float(f"{rng.uniform(0.85, 0.97) * 2 / top:.3g}")
    style, nesterov = int(rng.integers(5)), bool(rng.random() < 0.3)
    if kind == "schedule":
        return lambda many: SGD(
            (
                schedules.ExponentialDecay(2 * rate, many / 3, 0.5),
                schedules.CosineDecay(2 * rate, many),
                schedules.InverseTimeDecay(2 * rate, many / 3, 1.0),
                schedules.PiecewiseConstantDecay((many // 2,), (2 * rate, 0.2 * rate)),
                schedules.PolynomialDecay(2 * rate, many, 0.01 * rate),
            )[style]
        )
    if kind == "clipped":
        return lambda many: SGD(rate, global_clipnorm=1.0)  # noqa: ARG005
    momentum = 0.9 if kind == "momentum" else 0.0
    return lambda many: SGD(rate, momentum=momentum, nesterov=nesterov and momentum > 0)  # noqa: ARG005


# The bench.


def _slot(seed: int, index: int) -> tuple[str, str | None]:
    """Return what the case is to be, and for a single cause which."""
    block = index // len(SLOTS)
    order = np.random.default_rng([seed, block, 4]).permutation(len(SLOTS))
    kind = SLOTS[order[index % len(SLOTS)]]
    turn = SLOTS.count("one") * block + int(order[index % len(SLOTS)]) - SLOTS.index("one")
    return kind, ORDER[turn % len(ORDER)] if kind == "one" else None


def _drawn(rng: Generator, index: int, kind: str, cause: str | None) -> Case | None:
    """Draw a case for a slot; None where the draw does not go together."""
    many = {"healthy": 0, "mild": 1, "one": 1, "two": 2, "three": 3}[kind]
    pool = [name for name in ORDER if kind not in ("mild", "three") or name not in HIDES_ALL]
    chosen = {cause} if cause else set(rng.choice(pool, many, replace=False).tolist())
    if any(first in chosen and chosen & others for first, others in CONTRARY.items()):
        return None
    flags = set().union(*(NEEDS.get(name, set()) for name in chosen)) if chosen else set()
    if kind == "healthy":
        flags = {str(rng.choice(LOOKS_BAD))}
    if "ill_conditioned" in chosen and rng.random() < 0.4:
        flags.add("curve")
    study = study_of(rng, frozenset(flags | ({"val"} if "other season" in flags else set())))
    base = _trained(rng, study, flags)
    raw = base is not None and base.prep == "none" and isinstance(base.settings["optimizer"], SGD)
    if base is None or (raw and kind not in ("healthy", "mild") and np.abs(base.X).max() > 100):
        return None  # a tiny rate for large numbers is a mistake in itself, though not the one that was put in
    if "other season" in flags:
        base = MISTAKES["validation_shift"](rng, base, True)(base)
    slips = {name: MISTAKES[name](rng, base, kind == "mild") for name in ORDER if name in chosen}
    if any(slip is None for slip in slips.values()):
        return None
    return _with_twins(base, slips, f"{index:04d} {kind} {'+'.join(slips) or '-'.join(flags) or 'plain'}")


def cases(seed: int, count: int, dropped: Counter[str] | None = None) -> Iterator[Case]:
    """Make the bench: cases whose truth is clear and that fit their slots; case i depends on the seed and i alone."""
    dropped = Counter() if dropped is None else dropped
    for index in range(count):
        kind, cause = _slot(seed, index)
        for attempt in counted():
            found = _drawn(np.random.default_rng([seed, index, attempt, 4]), index, kind, cause)
            if found is None:
                dropped["does not go together"] += 1
                continue
            known = truth(found)
            wanted = set() if kind in ("healthy", "mild") else set(found.faults)
            if known.clear and known.causes == wanted:
                yield found
                break
            dropped[f"{kind} {'+'.join(found.faults) if kind == 'one' else ''}" if known.clear else "unclear"] += 1
