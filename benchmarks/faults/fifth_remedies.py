"""Single changes that might cure a failing run, whatever was put into it: naming their cause is then not wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.faults.cases import Case
from benchmarks.faults.fifth_plan import Plan, case_of, fit_with, keep, optimize, scaled
from benchmarks.faults.fifth_rates import mean_rate
from benchmarks.faults.fifth_training import curvature
from benchmarks.faults.objective import Array
from linreg import SGD, Adam, Huber

CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")


def remedies(plan: Plan, case: Case) -> dict[str, tuple[Case, ...]]:
    """Return the run with single remedies, by the cause whose remedy each is.

    Parameters
    ----------
    plan : Plan
        A run that fails.
    case : Case
        The same.

    Returns
    -------
    dict of str to tuple of Case
        What `Case.also` takes.
    """
    optimizer, found = plan.settings["optimizer"], {}
    found["learning_rate_too_high"], found["learning_rate_too_low"] = _rates(plan, case)
    standard = replace(plan, scaler="standard", exempt=(), gain=())
    scales = [standard] if _differs(plan, standard) else []
    if scales and isinstance(optimizer, SGD):
        scales += [_safe(standard, case_of(standard))]
    elif scales:
        scales += [optimize(standard, learning_rate=mean_rate(plan) * f) for f in (0.1, 0.01, 10, 100, 1e3, 1e5)]
    found["feature_scale"] = scales
    y = (plan.y - plan.y_unit[0]) / plan.y_unit[1]
    unit = replace(plan, y_unit=(float(plan.y.mean()), float(plan.y.std())))
    free = optimize(plan, **dict.fromkeys(CLIPS))
    found["target_scale"] = [unit, optimize(unit, **dict.fromkeys(CLIPS)), free]
    if isinstance(plan.settings["loss"], Huber):
        found["target_scale"] += [fit_with(plan, loss=replace(plan.settings["loss"], delta=float(y.std())))]
    name = "beta_1" if isinstance(optimizer, Adam) else "momentum"
    lower = [value for value in (0.0, 0.5, 0.9) if value < getattr(optimizer, name)]
    found["momentum_too_high"] = [optimize(plan, **{name: value}) for value in lower]
    batch = min(plan.batch or plan.rows, plan.rows)
    found["batch_noise"] = [replace(plan, batch=b) for b in (None, 16 * batch, 4 * batch) if (b or plan.rows) > batch]
    if plan.weight is not None or plan.settings["loss"].reduction == "sum":
        loss = replace(plan.settings["loss"], reduction="mean_with_sample_weight")
        found["loss_reduction"] = [fit_with(plan, loss=loss), fit_with(replace(plan, weight=None), loss=loss)]
    if plan.settings.get("kernel_regularizer") is not None or optimizer.weight_decay is not None:
        found["regularization"] = [optimize(fit_with(plan, kernel_regularizer=None), weight_decay=None)]
    size = np.abs(plan.X).max(axis=0)
    constant = np.flatnonzero(np.ptp(plan.X, axis=0) <= 1e-9 * size)
    if len(constant):
        found["constant_feature"] = [_without(plan, constant)]
    found["high_leverage"] = [keep(plan, rows) for rows in _without_far(plan, case)]
    found["outliers"] = [keep(plan, rows) for rows in _without_odd(plan)]
    return {cause: tuple(case_of(run) for run in runs) for cause, runs in found.items() if runs}


def _differs(plan: Plan, other: Plan) -> bool:
    one, two = scaled(plan, plan.X)[0], scaled(other, plan.X)[0]
    return not np.allclose(one, two, rtol=0.2, atol=0.2)


def _safe(plan: Plan, case: Case) -> Plan:
    """Return the plan at half of the limit of its full batches."""
    return optimize(plan, learning_rate=1 / max(curvature(case.outcome.objective, None), 1e-300))


def _rates(plan: Plan, case: Case) -> tuple[list[Plan], list[Plan]]:
    rate = mean_rate(plan)
    rates = [rate * factor for factor in (0.3, 0.1, 0.03, 0.01, 1e-3, 1e-4, 3, 10, 100, 1000, 1e4, 1e5)]
    if isinstance(plan.settings["optimizer"], SGD):
        rates.append(1 / max(curvature(case.outcome.objective, None), 1e-300))
        rates.append(0.2 / max(curvature(case.outcome.objective, plan.batch), 1e-300))
    if not isinstance(plan.settings["optimizer"].learning_rate, float):
        rates.append(rate)
    runs = {each: optimize(plan, learning_rate=each) for each in rates if 0 < each < 1e30}
    return [runs[r] for r in runs if r <= rate], [runs[r] for r in runs if r > rate]


def _without(plan: Plan, columns: Array) -> Plan:
    """Return the plan without some columns; of a constant one, 0 in every row is left, which does nothing."""
    zero = np.ones(plan.X.shape[1])
    zero[columns] = 0
    fresh = (plan.fresh[0] * zero, plan.fresh[1])
    return replace(plan, X=plan.X * zero, fresh=fresh, gain=tuple(g for g in plan.gain if g[0] not in set(columns)))


def _without_far(plan: Plan, case: Case) -> list[Array]:
    """Return what is left without the rows of highest leverage: one, three, a hundredth, a twentieth."""
    left = np.linalg.svd(case.outcome.objective.matrix, full_matrices=False)[0]
    order = np.argsort(np.sum(left**2, axis=1))[::-1]
    counts = sorted({1, 3, plan.rows // 100, plan.rows // 20} - {0})
    return [np.sort(order[count:]) for count in counts if plan.rows - count > plan.X.shape[1] + 1]


def _without_odd(plan: Plan) -> list[Array]:
    """Return the rows that are left without those far from a trimmed fit."""
    matrix = np.column_stack([scaled(plan, plan.X)[0], np.ones(plan.rows)])
    rows = np.arange(plan.rows)
    for _ in range(5):
        fit = np.linalg.lstsq(matrix[rows], plan.y[rows], rcond=None)[0]
        off = np.abs(plan.y - matrix @ fit)
        rows = np.sort(np.argsort(off)[: max(matrix.shape[1] + 1, int(0.8 * plan.rows))])
    usual = 1.4826 * float(np.median(off))
    kept = np.flatnonzero(off <= 6 * usual)
    return [kept] if matrix.shape[1] < len(kept) < plan.rows else []
