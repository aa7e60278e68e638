"""How the owner of a table trains on it when nothing is wrong: units, optimizer, rate, epochs that suffice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.faults.cases import Case, test_error
from benchmarks.faults.fifth_plan import Generator, Plan, case_of, fit_with, scaled
from benchmarks.faults.fifth_worlds import Wish
from benchmarks.faults.objective import Objective
from linreg import L1, L2, SGD, Adam, Huber, MeanSquaredError, RMSprop, schedules

STEPPERS = frozenset(("sgd", "momentum", "nesterov", "schedule"))
ADAPTIVE = frozenset(("adam", "amsgrad", "adam_schedule", "rmsprop", "centered"))
EPOCHS = (5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 200, 250, 300, 400, 500, 600, 800, 1000, 1500, 2000)
MOST_STEPS = 4000
ENOUGH = 0.005
"""Share of the initial excess at which a sound run may end, half of what counts as converged."""


def human(number: float, *, up: bool = False) -> float:
    """Return the nearest of 1, 2, 3 and 5 times a power of ten below a number, or with `up` above it."""
    power = np.floor(np.log10(number))
    grid = [float(f"{digit:g}e{int(power) + k}") for k in (-1, 0, 1) for digit in (1, 2, 3, 5)]
    return min(g for g in grid if g >= number) if up else max(g for g in grid if g <= number * (1 + 1e-9))


def curvature(objective: Objective, batch: int | None) -> float:
    """Return the largest curvature that a step meets: of the whole loss, and more for a batch with the largest rows."""
    top = float(np.linalg.eigvalsh(objective.hessian())[-1])
    if batch is None or batch >= len(objective.y):
        return top
    share = objective.factor * len(objective.y) * np.sum(objective.matrix**2, axis=1)
    return top + (2 if objective.delta is None else 1) * float(share.max()) / batch


def _units(rng: Generator, plan: Plan, wish: Wish, kind: str, loss: str) -> tuple[float, float]:
    """Return the units of the target; steps of a fixed size need small ones, and gradient descent does not care."""
    fixed = kind in ADAPTIVE or kind == "clipped" or loss == "huber"
    allowed = wish.units & {"standard", "spread"} if fixed else wish.units
    form = str(rng.choice(sorted(allowed))) if allowed else "standard"
    mean, spread = float(plan.y.mean()), float(plan.y.std())
    if form == "spread" and fixed and abs(mean) > 3 * spread:
        mean = mean - spread * float(rng.choice([-1, 1])) * rng.uniform(0.5, 2)  # a level that such steps can reach
        return (float(f"{mean:.3g}"), spread)
    return {
        "standard": (mean, spread),
        "spread": (0.0, spread),
        "raw": (0.0, 1.0),
        "decade": (0.0, float(10 ** np.ceil(np.log10(spread + abs(mean))))),
    }[form]


def _scheduled(style: int, rate: float, steps: int) -> Any:
    """Return a schedule of about this rate on average over the steps."""
    high, low = float(f"{1.8 * rate:.3g}"), float(f"{0.5 * rate:.3g}")
    return (
        schedules.ExponentialDecay(high, max(1, steps // 4), 0.5),
        schedules.CosineDecay(high, steps, alpha=0.05),
        schedules.InverseTimeDecay(high, max(1, steps // 2), 1.0),
        schedules.PiecewiseConstantDecay((max(1, steps // 2),), (high, low)),
        schedules.PolynomialDecay(high, steps, low, power=1.0),
        schedules.CosineDecayRestarts(high, max(2, steps // 3), t_mul=1.0, m_mul=0.8, alpha=0.05),
    )[style]


def _optimizer(kind: str, rate: Any, momentum: float, extra: dict[str, Any]) -> Any:
    if kind in ("adam", "amsgrad", "adam_schedule"):
        return Adam(rate, amsgrad=kind == "amsgrad", **extra)
    if kind in ("rmsprop", "centered"):
        return RMSprop(rate, rho=0.9, momentum=momentum, centered=kind == "centered", **extra)
    return SGD(rate, momentum=momentum, nesterov=kind == "nesterov", **extra)


def trained(rng: Generator, plan: Plan, wish: Wish, **forced: Any) -> Plan | None:
    """Return the plan with a training that suits it and lasts long enough.

    Parameters
    ----------
    rng : Generator
        Decides everything.
    plan : Plan
        A table.
    wish : Wish
        What the training must be like.
    **forced : object
        Settings, or "scaler", "y_unit" and "batch", that are not drawn.

    Returns
    -------
    Plan or None
        The plan; None where the run would take too many steps or is not sound.
    """
    odds = {"sgd": 4, "adam": 2, "momentum": 1.5, "schedule": 1.5, "nesterov": 1}
    kinds = sorted(wish.kinds)
    weights = np.array([odds.get(name, 0.8) for name in kinds])
    kind = str(rng.choice(kinds, p=weights / weights.sum()))
    losses = sorted(wish.losses, reverse=True)
    loss = losses[0] if len(losses) == 1 or kind == "clipped" or rng.random() < 0.75 else losses[1]
    scalers = sorted(wish.scalers)
    usual = np.array([4.0 if name == "standard" else 1.0 for name in scalers])
    plan = replace(
        plan,
        scaler=forced.pop("scaler", str(rng.choice(scalers, p=usual / usual.sum()))),
        container=str(rng.choice(["array", "array", "pandas", "polars", "float32", "list", "fortran", "column"])),
    )
    y_unit = _units(rng, plan, wish, kind, loss)
    plan = replace(plan, y_unit=forced.pop("y_unit", y_unit))
    full = "mini" not in wish.batches or ("full" in wish.batches and (plan.rows < 40 or rng.random() < 0.3))
    batch = int(rng.choice([8, 16, 32, 32, 64, 128, 256]))
    plan = replace(plan, batch=forced.pop("batch", None if full or batch >= plan.rows else batch))
    noise = plan.noise / plan.y_unit[1]
    deltas = (1.0, 1.0, 1.345, float(f"{max(1.5 * noise, 0.05):.1g}"))
    settings: dict[str, Any] = {
        "optimizer": SGD(),
        "loss": Huber(float(rng.choice(deltas))) if loss == "huber" else MeanSquaredError(),
        "epochs": 1,
        "random_state": int(rng.integers(10000)),
        "dtype": str(rng.choice(["float32", "float64"], p=[0.7, 0.3])),
        "kernel_initializer": str(rng.choice(["glorot_uniform", "zeros"])),
        "shuffle": bool(rng.random() < 0.88),
    }
    if rng.random() < 0.1:
        settings["kernel_regularizer"] = L1(1e-4) if rng.random() < 0.3 else L2(float(rng.choice([1e-5, 1e-4, 1e-3])))
    if plan.weight is None and rng.random() < 0.07:
        plan = replace(plan, weight=np.round(rng.gamma(5, 0.2, plan.rows), 3) + 0.01)
    accumulate = rng.random() < 0.04 and plan.batch is not None
    extra: dict[str, Any] = {"gradient_accumulation_steps": 2} if accumulate else {}
    if kind == "clipped":
        extra[str(rng.choice(["clipnorm", "clipvalue", "global_clipnorm"]))] = float(rng.choice([1.0, 2.0, 5.0]))
    settings |= forced
    plan = replace(plan, settings=settings)
    return _tuned(rng, plan, wish, kind, extra)


def _tuned(rng: Generator, plan: Plan, wish: Wish, kind: str, extra: dict[str, Any]) -> Plan | None:
    """Choose a rate by hand, and the epochs by looking at the loss."""
    first = case_of(plan).outcome
    if first.objective is None or not np.isfinite(first.share):
        return None
    momentum = float(rng.choice(wish.momenta)) if kind in ("momentum", "nesterov") else 0.0
    if kind in ("rmsprop", "centered") and rng.random() < 0.4:
        momentum = float(rng.choice([0.5, 0.9]))
    share, style, more = rng.uniform(*wish.speed), int(rng.integers(6)), float(rng.choice([1, 1, 1.5, 2]))
    batches = -(-plan.rows // min(plan.batch or plan.rows, plan.rows))
    if kind in ADAPTIVE:
        distance = float(np.abs(first.minimiser).max())
        rate = human(distance * rng.uniform(0.008, 0.06) * (1 - momentum))
    else:
        limit = 2 / curvature(first.objective, plan.batch)
        rate = human(share * limit * (1 - momentum) * (1 if momentum == 0 else 1.5))
        if kind == "schedule":
            rate /= 2
    longest = max((e for e in EPOCHS if e * batches <= MOST_STEPS), default=0)
    if longest == 0:
        return None
    run = fit_with(plan, epochs=longest, optimizer=_optimizer(kind, rate, momentum, extra))
    excess = case_of(run).outcome.excess
    shares = excess / excess[0] if len(excess) and excess[0] > 0 else np.array([np.inf])
    late = [e for e in EPOCHS if e <= longest and (shares[e:] <= ENOUGH).all()]
    if not late or not np.isfinite(shares).all():
        return None
    epochs = min((e for e in EPOCHS if e >= late[0] * more * wish.patience), default=EPOCHS[-1])
    if epochs * batches > 2 * MOST_STEPS:
        return None
    if kind in ("schedule", "adam_schedule"):
        rate = _scheduled(style, rate, epochs * batches)
    plan = fit_with(plan, epochs=epochs, optimizer=_optimizer(kind, rate, momentum, extra))
    return plan if sound(plan, case_of(plan)) else None


def sound(plan: Plan, case: Case) -> bool:
    """Whether nothing is wrong with a run: it converges, and neither its penalty nor its validation rows mislead.

    Parameters
    ----------
    plan : Plan
        The plan.
    case : Case
        The run that it describes.

    Returns
    -------
    bool
        Whether it is sound.
    """
    outcome = case.outcome
    if outcome.verdict != "converges" or outcome.share > 1.2 * ENOUGH:
        return False
    if plan.settings.get("kernel_regularizer") is not None:
        free = case_of(fit_with(plan, kernel_regularizer=None))
        if test_error(case, outcome.minimiser) > 1.1 * test_error(free, free.outcome.minimiser):
            return False
    if plan.val is None:
        return True
    held, known = (_residuals(plan, outcome.minimiser, *rows) for rows in (plan.val, plan.fresh))
    return bool(0.6 < np.mean(held**2) / np.mean(known**2) < 1.5)


def _residuals(plan: Plan, weights: Any, X: Any, y: Any) -> Any:
    Z = scaled(plan, X)[0]
    intercept = weights[-1] if len(weights) > Z.shape[1] else 0
    return Z @ weights[: Z.shape[1]] + intercept - (y - plan.y_unit[0]) / plan.y_unit[1]
