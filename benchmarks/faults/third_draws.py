"""Sound pipelines: rows, units, preparation, target and training are drawn, rate and epochs found by trying."""

# ruff: noqa: ARG005 (every column is given a normal number and the time, whether it uses it or not)

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.faults import tables
from benchmarks.faults.objective import Array
from benchmarks.faults.third_faults import between, one_digit
from benchmarks.faults.third_runs import Rows, Run, case_of, limit
from benchmarks.faults.third_training import farthest, needed

STEPS = 12_000
"""Steps that a sound run may take."""
EPOCHS = (10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 200, 250, 300, 400, 500, 750, 1000, 1500, 2000, 3000)
REAL = tuple(name for name in tables.NAMES if name not in {"longley", "nile", "stackloss"})


# Rows.

COLUMNS: dict[str, Callable[[Array, Array], Array]] = {
    "age_years": lambda z, t: np.clip(45 + 14 * z, 18, 95).round(),
    "income_eur": lambda z, t: np.exp(10.3 + 0.5 * z).round(),
    "distance_km": lambda z, t: stats.gamma.ppf(stats.norm.cdf(z), 2) * 6,
    "temperature_c": lambda z, t: 11 + 9 * np.sin(8 * np.pi * t) + 3 * z,
    "pressure_hpa": lambda z, t: 1013 + 8 * z,
    "humidity": lambda z, t: 0.3 + 0.6 * stats.norm.cdf(z),
    "visits": lambda z, t: stats.poisson.ppf(stats.norm.cdf(z), 6),
    "weekend": lambda z, t: (z > 0.6).astype(float),
    "returned": lambda z, t: (z > 0).astype(float),
    "weight_kg": lambda z, t: 75 + 12 * z,
    "area_m2": lambda z, t: np.exp(4.4 + 0.4 * z),
    "voltage": lambda z, t: 230 + 4 * z,
    "return_pct": lambda z, t: 1.2 * stats.t.ppf(stats.norm.cdf(z), 5),
    "load_mw": lambda z, t: 50 + 20 * np.cos(26 * np.pi * t) + 5 * z,
    "signal": lambda z, t: z,
    "lead_days": lambda z, t: -9 * np.log1p(-stats.norm.cdf(np.minimum(z, 4))),
    "rating": lambda z, t: np.clip(np.round(3.4 + z), 1, 5),
    "share": lambda z, t: stats.norm.cdf(z),
}
"""Columns by name and unit, from a normal number and the time of the row (0 to 1)."""
RAW_IS_FINE = ("humidity", "weekend", "returned", "return_pct", "signal", "share", "rating")


def _sampler(rng: np.random.Generator, wishes: dict[str, Any]) -> tuple[tuple[str, ...], Callable[..., Array]]:
    """Return the names of drawn columns and a function that draws rows of them."""
    count = int(rng.integers(*wishes.get("features", (1, 15)), endpoint=True))
    kinds = [str(kind) for kind in rng.choice(wishes.get("columns", list(COLUMNS)), size=count)]
    names = [kind if kinds.index(kind) == j else f"{kind}#{j}" for j, kind in enumerate(kinds)]
    levels = int(rng.integers(3, 6)) if wishes.get("categories") or (count > 3 and rng.random() < 0.2) else 0
    names += [f"region_{letter}" for letter in "bcdef"[: max(0, levels - 1)]]
    group = rng.random(count) < (0.5 if rng.random() < 0.4 else 0.0)
    loading = np.where(group, rng.uniform(0.5, 0.85), 0.0)

    def sample(rng: np.random.Generator, rows: int) -> Array:
        t = np.sort(rng.random(rows))
        z = loading * rng.normal(size=(rows, 1)) + np.sqrt(1 - loading**2) * rng.normal(size=(rows, count))
        columns = [COLUMNS[kind](z[:, j], t) for j, kind in enumerate(kinds)]
        level = rng.integers(levels, size=rows) if levels else np.zeros(rows)
        return np.column_stack([*columns, *((level == k).astype(float) for k in range(1, levels))])

    return tuple(names), sample


def _drawn_rows(rng: np.random.Generator, wishes: dict[str, Any]) -> dict[str, Any] | None:
    """Draw the rows of a law; the columns may be those of a real table."""
    rows = round(between(rng, *wishes.get("rows", (30, 3000))))
    table = "drawn"
    if wishes.get("table") is None and rng.random() < 0.12:
        real = tables.load(str(rng.choice(REAL)))
        names, table = tuple(f"{real.name}_{j}" for j in range(real.X.shape[1])), f"{real.name} columns"

        def sample(rng: np.random.Generator, rows: int) -> Array:
            return real.X[rng.integers(len(real.X), size=rows)]
    else:
        names, sample = _sampler(rng, wishes)
    rows = max(rows, 3 * len(names) + 10)
    X, clean, held = sample(rng, rows), sample(rng, 2000), sample(rng, max(40, min(rows // 2, 500)))
    if (X.std(axis=0) == 0).any():
        return None
    effect = rng.normal(size=len(names)) * (rng.random(len(names)) < rng.choice([0.6, 1.0]))
    if not effect.any():
        effect[0] = 1.0
    std = clean.std(axis=0)
    coef = effect / np.where(std > 0, std, 1)
    signal = float((clean @ coef).std())
    size = one_digit(between(rng, *wishes.get("size", (0.05, 1e5) if rng.random() < 0.7 else (0.5, 5))))
    coef *= size / signal
    r2 = rng.uniform(*wishes["r2"]) if "r2" in wishes else float(rng.choice([0.3, 0.5, 0.7, 0.9, 0.97, 0.999]))
    noise = size * math.sqrt(1 / r2 - 1)
    offset = rng.uniform(*wishes["offset"]) if "offset" in wishes else float(rng.choice([0, 0.5, 2, 6]))
    bias = float(offset * size * rng.choice([-1, 1]) - (clean @ coef).mean())
    tails = wishes.get("tails", float(rng.choice([0, 0, 0, 5])))

    def answered(X: Array) -> Rows:
        e = rng.standard_t(tails, len(X)) * math.sqrt(1 - 2 / tails) if tails else rng.normal(size=len(X))
        return Rows(X, X @ coef + bias + noise * e)

    parts = {"train": answered(X), "clean": answered(clean), "held": answered(held)}
    return {**parts, "names": names, "coef": coef, "bias": bias, "noise": noise, "table": table}


def _real_rows(rng: np.random.Generator) -> dict[str, Any]:
    """Take a real table with its own target; the law is its exact fit."""
    real = tables.load(str(rng.choice(REAL)))
    X, y = real.X, real.y
    fit = np.linalg.lstsq(np.column_stack([(X - X.mean(axis=0)) / X.std(axis=0), np.ones(len(y))]), y, rcond=None)[0]
    coef = fit[:-1] / X.std(axis=0)
    bias = float(fit[-1] - X.mean(axis=0) @ coef)
    noise = float(np.std(y - X @ coef - bias))
    part, held = Rows(X, y), rng.permutation(len(y))[: max(10, len(y) // 3)]
    names = tuple(f"{real.name}_{j}" for j in range(X.shape[1]))
    parts = {"train": part, "clean": part, "held": Rows(X[held], y[held])}
    return {
        **parts,
        "names": names,
        "coef": coef,
        "bias": bias,
        "noise": noise,
        "table": real.name,
        "natural": ("outliers", "high_leverage"),
    }


# Settings.


def _one(rng: np.random.Generator, options: Any, default: Any) -> Any:
    """Choose among what is wished for, or else among what is usual; usual options may repeat to be likelier."""
    options = default if options is None else options
    return options[int(rng.integers(len(options)))] if isinstance(options, tuple | list) else options


def _batch(rng: np.random.Generator, wish: Any, rows: int) -> int | None:
    sizes = [b for b in (1, 2, 4, 8, 10, 16, 20, 32, 50, 64, 100, 128, 256) if 2 * b <= rows]
    if isinstance(wish, int):
        return wish
    if wish == "full" or (wish is None and rng.random() < 0.45):
        return None
    return 32 if rng.random() < 0.3 and rows >= 64 else int(rng.choice([b for b in sizes if rows / b <= 200]))


def _schedule(rng: np.random.Generator, steps: int) -> tuple[str, dict[str, Any]]:
    kind = int(rng.integers(6))
    return [
        ("ExponentialDecay", {"decay_steps": max(1, steps // 4), "decay_rate": 0.5, "staircase": bool(steps % 2)}),
        ("InverseTimeDecay", {"decay_steps": max(1, steps // 3), "decay_rate": 1.0}),
        ("PolynomialDecay", {"decay_steps": steps, "end_learning_rate": 0.05}),
        ("CosineDecay", {"decay_steps": steps, "warmup_target": 2.0, "warmup_steps": max(1, steps // 10)}),
        ("CosineDecayRestarts", {"first_decay_steps": max(1, steps // 5), "alpha": 0.1}),
        ("PiecewiseConstantDecay", {"boundaries": (steps // 2, 3 * steps // 4), "values": (1.0, 0.3, 0.1)}),
    ][kind]


def drawn(rng: np.random.Generator, wishes: dict[str, Any]) -> Run | None:
    """Draw a pipeline that meets wishes; its rate and epochs are still to be chosen.

    Parameters
    ----------
    rng : Generator
        Source of randomness.
    wishes : dict
        What the faults need, by the names used here.

    Returns
    -------
    Run or None
        The pipeline, None where the draw came to nothing.
    """
    own = wishes.get("table") is None and not {"features", "size", "r2", "tails"} & set(wishes) and rng.random() < 0.12
    found = _real_rows(rng) if own else _drawn_rows(rng, wishes)
    if found is None:
        return None
    train: Rows = found["train"]
    rows, mean, std = len(train.y), float(train.y.mean()), float(train.y.std())
    intercept = wishes.get("intercept", rng.random() > 0.06)
    prepared = _one(rng, wishes.get("target"), ("none", "none", "standard", "unit"))
    if prepared == "unit":
        target = (0.0, 10.0 ** round(math.log10(std)))
    else:
        target = (mean, std) if prepared == "standard" or not intercept else (0.0, 1.0)
    usual = ("standard",) * 5 + ("minmax", "minmax", "robust", "maxabs", "none")
    optimizer = _one(rng, wishes.get("optimizer"), ("SGD", "SGD", "SGD", "Adam", "Adam", "RMSprop"))
    options: dict[str, Any] = {}
    if optimizer == "SGD":
        options["momentum"] = float(_one(rng, wishes.get("momentum"), (0.0, 0.0, 0.0, 0.5, 0.9, 0.9)))
        options["nesterov"] = bool(options["momentum"] and rng.random() < 0.3)
        if wishes.get("clip"):
            options["clipnorm"] = one_digit(between(rng, 0.5, 5) * std / target[1])
    elif optimizer == "Adam":
        options |= _one(rng, None, ({}, {}, {"amsgrad": True}, {"beta_2": 0.99}))
    else:
        options |= _one(rng, None, ({}, {"centered": True}, {"rho": 0.95}, {"momentum": 0.5}))
    loss = _one(rng, wishes.get("loss"), ("mse", "mse", "mse", "huber"))
    spread = std / target[1]
    delta = one_digit(spread * _one(rng, None, (0.3, 1.0, 1.5, 5.0))) if loss == "huber" else 1.0
    reduction = _one(rng, wishes.get("reduction"), ("sum_over_batch_size",) * 9 + ("sum", "mean_with_sample_weight"))
    weight = wishes["weight"] if "weight" in wishes else _one(rng, None, (None,) * 8 + ("even",))
    if weight is not None:
        low, high = (0.3, 3.0) if weight == "even" else (5.0, 400.0)
        weights = np.exp(rng.uniform(math.log(low), math.log(high), size=rows))
        weights = np.ceil(weights) if weight == "counts" else weights / weights.mean()
        found["train"] = Rows(train.X, train.y, weights)
    if not (wishes.get("held") or (wishes.get("held") is None and rng.random() < 0.4)):
        found["held"] = None
    return Run(
        **found,
        scaler=_one(rng, wishes.get("scaler"), usual if intercept else ("standard",)),
        target=target,
        optimizer=optimizer,
        options=options,
        loss=loss,
        delta=delta,
        reduction=reduction,
        batch=_batch(rng, wishes.get("batch"), rows),
        epochs=int(rng.choice([e for e in EPOCHS if wishes.get("epochs", (10, 1000))[0] <= e])),
        start=_one(rng, wishes.get("start"), ("zeros", "glorot_uniform", "glorot_uniform")),
        intercept=bool(intercept),
        dtype=_one(rng, wishes.get("dtype"), ("float32", "float32", "float64")),
        shuffle=bool(rng.random() < 0.85),
        seed=int(rng.integers(10_000)),
        box=_one(rng, wishes.get("box"), ("array", "array", "array", "list", "pandas", "polars")),
    )


# Rate and epochs.


def _safe(run: Run) -> float:
    """Return a rate that batches of this size bear: the limit, with what single rows add to it."""
    if run.batch is None or run.batch_rows == run.rows:
        return limit(run)
    X = run.ready.X
    lengths = (X**2).sum(axis=1) + 1
    whole = float(np.linalg.eigvalsh(X.T @ X / len(X))[-1]) + 1
    return limit(run) / (1 + float(np.quantile(lengths, 0.98)) / run.batch_rows / whole)


def tuned(rng: np.random.Generator, run: Run, wishes: dict[str, Any]) -> Run | None:
    """Find a rate and epochs with which the run converges, in numbers that a user would write.

    Parameters
    ----------
    rng : Generator
        Source of randomness.
    run : Run
        The pipeline.
    wishes : dict
        `share` of the limit of the rate, `reach` of an adaptive rule, `epochs`, `slack` beyond the epochs needed.

    Returns
    -------
    Run or None
        The run, None where no trial converged.
    """
    scheduled = "schedule" not in wishes and rng.random() < 0.2
    for trial in range(6):
        most = min(STEPS * run.batch_rows // run.rows, wishes.get("epochs", (10, 3000))[1])
        epochs = min(run.epochs * 2 ** (trial // 2), most)
        if epochs < 5:
            return None
        run = replace(run, epochs=max([e for e in EPOCHS if e <= epochs], default=epochs))
        if run.optimizer == "SGD":
            rate = _safe(run) * between(rng, *wishes.get("share", (0.05, 0.9)))
            if run.batch is not None:
                rate *= 1 - run.options["momentum"]
            run = replace(run, rate=one_digit(rate))
        else:
            steps = farthest(run) * between(rng, *wishes.get("reach", (2, 15))) / run.steps
            run = replace(run, rate=one_digit(min(steps, 0.1 * farthest(run))))
        run = replace(run, schedule=_schedule(rng, run.steps) if scheduled else None)
        outcome = case_of(run, "trial").outcome
        if outcome.verdict == "converges" and outcome.share < 0.008:
            if "slack" in wishes:
                want = run.epochs * needed(run) * between(rng, *wishes["slack"])
                run = replace(run, epochs=int(max(run.epochs, min(want, most))))
            return run
    return None
