"""Causes that the training loss does not show, judged at the exact optimum: outliers, penalties, constant columns.

Each function takes the case and returns a `Finding` where the cause matters, else None.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from linreg.diagnosis.cases import Case
from linreg.diagnosis.data_causes import constant_feature, left_out
from linreg.diagnosis.evidence import number
from linreg.diagnosis.exact_fits import HARMFUL, clean_fit, optimum
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.remedies import UNPENALISED, Remedy, rounded
from linreg.diagnosis.symptoms import Symptoms
from linreg.diagnosis.totals import naming_totals
from linreg.losses import Huber
from linreg.optimizers import SGD

Array = Any

HUBER = 1.345
"""Delta, in robust standard deviations, that keeps 95 % efficiency: P. J. Huber, "Robust Statistics" (1981), sec. 7.
"""

MISSED = 0.05
"""Part of the intercept, in standard deviations of y, that a constant column may take before it matters."""

PER_MISSED = 20.0
"""Harm of an intercept that is off by a standard deviation of y, beside that of an error that has doubled."""

STUCK = 0.25
"""How often the other rows may have a value, beside the far ones, for it to be theirs."""

MOST_LISTED = 1000
"""Numbers of far rows that are told; all are counted."""


def outliers(case: Case, symptoms: Symptoms) -> Finding | None:
    """Rows far off the line that pull the fit away from the others."""
    clean, scale, near = clean_fit(case)
    if near.all():
        return None
    A, rows = case.objective.matrix, case.count
    residual = A @ clean - case.y
    # What the far rows do to the prediction of the others, beside the error that is left without them.
    error = float(np.mean(residual[near] ** 2))
    fitted = case.best if case.settings.regularizer is None else optimum(case, case.settings.loss)
    pulled = float(np.mean((A[near] @ (fitted - clean)) ** 2))
    harmless = error + pulled < HARMFUL * max(error, (1e-6 * float(case.y[near].std())) ** 2)
    # Far in the features too, they may keep the run from converging, whatever they do to the fit.
    if harmless and (case.outcome.healthy or near[symptoms.far_rows].any() or not len(symptoms.far_rows)):
        return None
    places = np.flatnonzero(~near)
    count = len(places) if case.counts is None else round(float(case.counts[places].sum()))
    worst = int(places[np.argmax(np.abs(residual[~near]))])
    numbers = case.row_numbers.tolist()
    delta = usual_delta(scale)
    lie, pull, them, those = "lie", "They pull", "them", f"all {count} far rows out if they are errors"
    if count == 1:
        lie, pull, them, those = "lies", "It pulls", "it", "it out if it is an error"
    rows_off = [numbers[row] for row in places]
    drop = left_out("drop outliers", f"Look at row {numbers[worst]}; leave {those}.", rows_off, symptoms)
    # Rows far out in the features pull Huber's loss, too.
    robust = float(np.mean((A[near] @ (optimum(case, Huber(delta)) - clean)) ** 2))
    resists = error + robust < HARMFUL * max(error, 1e-300)
    huber = Remedy("huber", f"Use Huber's loss: Huber(delta={delta:g}).", settings={"loss": Huber(delta)})
    found = Finding(
        "outliers",
        {
            "rows": rows_off[:MOST_LISTED],
            "count": count,
            "largest_residual": float(np.abs(residual[worst])),
            "scatter_of_the_others": math.sqrt(error),
            "error_on_the_others_as_fitted": math.sqrt(error + pulled),
        },
        f"{count} of {rows} rows {lie} far off the line: row {numbers[worst]} (counted from 0) by "
        f"{number(float(np.abs(residual[worst])))}, where the others scatter by {number(math.sqrt(error))}. {pull} "
        f"the fit: the error on all other rows is {number(math.sqrt(error + pulled))} with {them}."
        + _same_value(case, near),
        (drop,) if isinstance(case.settings.loss, Huber) else (huber, drop) if resists else (drop, huber),
        harm=(error + pulled) / max(error, 1e-300),
    )
    return naming_totals(found, case, places)


def usual_delta(scale: float) -> float:
    """Return the delta of Huber's loss for errors of this robust standard deviation."""
    return rounded(HUBER * scale)


def _same_value(case: Case, near: Array) -> str:
    """Say which column sets the far rows apart, if most of them share a value in it that the others hardly have."""
    for name, column in zip(case.names, case.X.T, strict=True):
        values, times = np.unique(column[~near], return_counts=True)
        code, shared = float(values[np.argmax(times)]), int(times.max())
        if shared < 2 or shared <= len(column[~near]) / 2:
            continue
        low, high = float(column[near].min()), float(column[near].max())
        have = f" {'All' if len(values) == 1 else shared} of them have {name} = {number(code)}"
        if not 2 * low - high <= code <= 2 * high - low:
            return (
                f"{have}, where the others lie between {number(low)} and {number(high)}: is that a code for a missing "
                "value?"
            )
        others = int((column[near] == code).sum())
        if others < STUCK * len(column[near]) * shared / len(column[~near]):
            also = f" (and {others} of the other rows)" if others else ""
            return f"{have}{also}: did something stand still, or was a value copied down the column?"
    return ""


def regularization(case: Case, symptoms: Symptoms) -> Finding | None:
    """A penalty that keeps the model from the data."""
    regularizer = case.settings.regularizer
    if regularizer is None or (isinstance(case.settings.loss, Huber) and len(case.y) < case.objective.size):
        return None
    A = case.objective.matrix
    free = optimum(case, case.settings.loss)
    factor, loss = case.objective.factor(), case.settings.loss
    values = [float(loss.value(A @ p - case.y, *loss.constants(np.float64)) @ factor) for p in (case.best, free)]
    penalty = float(case.objective.objective(case.best)) - values[0]
    noise = values[1] * case.objective.size / max(case.count - case.objective.size, 1)
    level = np.append(
        np.zeros(case.X.shape[1]), [np.average(case.y, weights=case.counts)] * case.objective.has_intercept
    )
    nothing = float(loss.value(A @ level - case.y, *loss.constants(np.float64)) @ factor)
    lost = (values[0] - values[1]) / (nothing - values[1]) if nothing > values[1] else 0.0
    ratio = values[0] / max(values[1], 1e-300)
    if isinstance(loss, Huber):
        # Far from the line it counts errors, not their squares: with the penalty they may have doubled all the same.
        squares = [float(np.average((A @ p - case.y) ** 2, weights=case.counts)) for p in (case.best, free)]
        ratio = max(ratio, squares[0] / max(squares[1], 1e-300))
    if ratio < HARMFUL + noise / max(values[1], 1e-300) or lost < 1e-6:
        return None
    strengths = regularizer.get_params(deep=False)
    weaker = type(regularizer)(**{name: value / 100 for name, value in strengths.items()})
    weak = ", ".join(f"{name}={value:g}" for name, value in weaker.get_params(deep=False).items())
    return Finding(
        "regularization",
        {
            **strengths,
            "loss_at_the_optimum": values[0],
            "penalty_at_the_optimum": penalty,
            "loss_without_penalty": values[1],
            "share_of_the_fit_lost": lost,
        },
        f"The penalty {regularizer!r} keeps the coefficients from the data: at its optimum the loss is "
        f"{number(values[0])} "
        f"and the penalty adds {number(penalty)}, without it the loss would be {number(values[1])}. The "
        f"reported loss is the "
        f"sum of both.",
        (
            UNPENALISED,
            Remedy("weaker penalty", f"Weaken it a hundredfold: {weak}.", settings={"kernel_regularizer": weaker}),
        ),
        harm=ratio,
    )


def constant(case: Case, symptoms: Symptoms) -> Finding | None:
    """A constant column that takes a part of the intercept."""
    suspicion = constant_feature(case, symptoms)
    if suspicion is None:
        return None
    level = float(
        np.average(case.y, weights=case.counts)
        - symptoms.mean @ np.where(symptoms.constant, 0.0, case.best[: case.X.shape[1]])
    )
    if case.outcome.healthy:
        without = suspicion.remedies[0].tried(case)
        if without.after is not None and without.after.healthy:
            taken = float(without.after.parameters[-1] - case.outcome.parameters[-1])
            return _taken(case, suspicion, level, taken)
    # From zero, SGD shares the level out like the squares of the columns, 1 for the intercept; adaptive rules alike.
    values = symptoms.mean[symptoms.constant]
    adaptive = not isinstance(case.settings.optimizer, SGD)
    pull = float(np.abs(values).sum()) if adaptive else float(values @ values)
    return _taken(case, suspicion, level, level * pull / (1 + pull))


def _taken(case: Case, suspicion: Finding, level: float, taken: float) -> Finding | None:
    scatter = float(case.y.std()) or 1.0
    if abs(taken) < MISSED * scatter:
        return None
    evidence = {**suspicion.evidence, "intercept_without": level, "part_of_it_taken": taken}
    harm = PER_MISSED * abs(taken) / scatter
    return Finding("constant_feature", evidence, suspicion.explanation, suspicion.remedies, harm=harm)
