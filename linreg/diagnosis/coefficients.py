"""Columns that depend on each other: they slow the loss down, or leave the coefficients open though it has arrived.

`collinearity` and `conditioning` return a `Finding` with remedies that are not tried yet, as in
`linreg.diagnosis.setting_causes`; `collinear` and `unfinished` judge at the exact fit, as in
`linreg.diagnosis.fit_causes`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from linreg.diagnosis.cases import Case
from linreg.diagnosis.evidence import number
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.remedies import STANDARDISE, STANDARDISED, WHITEN, Remedy, at_rate, faster, keep_columns, rounded
from linreg.diagnosis.symptoms import Symptoms
from linreg.regularizers import L2

Array = Any

LARGE_INFLATION = 10.0
"""Variance inflation above which columns count as collinear. Source: D. W. Marquardt, Technometrics 12 (1970)."""

CONDITION_INDEX = 10.0
"""Root of the condition of the correlations from which columns count as collinear. Source: D. Belsley, E. Kuh and
R. Welsch, "Regression Diagnostics" (1980), section 3.3: weak dependencies from 5 to 10 on, strong ones from 30."""

LOST = 0.35
"""Error of the coefficients, relative to them, from which they say nothing: between a fifth and a half."""

PER_LOST = 4.0
"""Harm of coefficients that are wrong by their own size, beside that of an error that has doubled."""

BY_CHANCE = 1.5
"""Harm of the same where there are two rows a parameter or fewer: that these are so few does more."""

RIDGE = Remedy(
    "small penalty", "Standardise the features and add a small penalty: kernel_regularizer=L2(0.01).", (STANDARDISE,),
    {"kernel_regularizer": L2(0.01)},
)  # fmt: skip


def collinearity(case: Case, symptoms: Symptoms) -> Finding | None:
    """Columns that say the same: along their difference the loss is almost flat."""
    inflation = symptoms.inflation
    if not (inflation > LARGE_INFLATION).any():
        return None
    varying = np.flatnonzero(~symptoms.constant)
    guilty = varying[np.flatnonzero(inflation > LARGE_INFLATION)]
    names = [case.names[j] for j in guilty]
    kept = varying[independent_columns(case.X[:, varying])]
    if len(kept) == len(varying):  # each is far from those before it, but not from all others
        kept = np.delete(varying, int(np.argmax(inflation)))
    gone = [case.names[j] for j in varying if j not in set(kept.tolist())]
    standardised = Remedy(
        "drop collinear columns and standardise",
        f"Drop {', '.join(gone[:5])} and standardise the rest (StandardScaler).",
        (keep_columns(kept), STANDARDISE),
    )  # fmt: skip
    limit = symptoms.limit(_standardised(case.X[:, kept]))
    largest = float(inflation.max())
    alike = f"variance inflation up to {number(largest)}" if math.isfinite(largest) else "some follow from the others"
    return Finding(
        "collinearity",
        {
            "columns": names,
            "variance_inflation": inflation[inflation > LARGE_INFLATION].tolist(),
            "condition_scaled": symptoms.condition_scaled,
        },
        f"Columns {', '.join(names[:5])} repeat each other ({alike}): along their difference the loss is almost flat, "
        "so their coefficients are hardly determined and slow to learn.",
        (
            Remedy("drop collinear columns", f"Drop {', '.join(gone[:5])}.", (keep_columns(kept),)),
            standardised,
            RIDGE,
            *(
                dataclasses.replace(
                    standardised, name=f"{standardised.name}, rate {number(rate)}", settings=at_rate(rate),
                    words=f"{standardised.words} Set the learning rate to {number(rate)}.",
                )
                for rate in faster(case, limit)
            ),
        ),
    )  # fmt: skip


def _standardised(X: Array) -> Array:
    return (X - X.mean(axis=0)) / X.std(axis=0)


def independent_columns(X: Array) -> Array:
    """Return numbers of columns, first come first kept, none of which the ones before nearly determine."""
    Z = _standardised(X)
    kept: list[int] = []
    for j in range(Z.shape[1]):
        if kept:
            fitted = Z[:, kept] @ np.linalg.lstsq(Z[:, kept], Z[:, j], rcond=None)[0]
            if np.mean((Z[:, j] - fitted) ** 2) < 1 / LARGE_INFLATION:
                continue
        kept.append(j)
    return np.array(kept)


def conditioning(case: Case, symptoms: Symptoms) -> Finding | None:
    """Columns that are correlated without any of them repeating others: a long narrow valley."""
    index = symptoms.condition_index
    if index < CONDITION_INDEX:
        return None
    varying = np.flatnonzero(~symptoms.constant)
    steps = (keep_columns(varying), STANDARDISE, WHITEN) if symptoms.constant.any() else (STANDARDISE, WHITEN)
    turned = Remedy(
        "principal components", "Standardise the features and train on their principal components (PCA).", steps
    )
    best = rounded(symptoms.limit(_whitened(symptoms.standardised)) / 2)
    return Finding(
        "ill_conditioned",
        {"condition_index": index, "condition_scaled": symptoms.condition_scaled},
        f"The features are correlated, so the loss is a long narrow valley: across it is "
        f"{number(symptoms.condition_scaled)} "
        f"times steeper than along it, even with all columns at one scale. Steps that are short enough for the steep "
        f"direction hardly move along the flat one.",
        (
            turned,
            RIDGE,
            dataclasses.replace(
                turned, name=f"principal components, rate {number(best)}", settings=at_rate(best),
                words=f"{turned.words} Set the learning rate to {number(best)}.",
            ),
        ),
    )  # fmt: skip


def _whitened(Z: Array) -> Array:
    rows, singular, _ = np.linalg.svd(Z, full_matrices=False)
    return rows[:, singular > 1e-10 * singular.max(initial=0)] * math.sqrt(len(Z))


def _left_open(case: Case, symptoms: Symptoms) -> tuple[float, float]:
    """Return how much of the coefficients the data and the run leave open: errors relative to them, standardised.

    By the data: their standard errors. By the run: their distance from the optimum, where the loss has converged.
    """
    rows, width = case.count, case.X.shape[1]
    free, size = rows - case.objective.size, float(np.sum((symptoms.spread * case.best[:width]) ** 2))
    if free < 1 or size == 0 or not symptoms.standardised.shape[1]:
        return 0.0, 0.0
    squares = (case.objective.matrix @ case.best - case.y) ** 2
    noise = float(np.average(squares, weights=case.counts)) * rows / free
    by_data = noise * float(np.minimum(symptoms.inflation, 1e15).sum()) / rows
    if case.settings.regularizer is not None:
        by_data = min(by_data, size)  # a penalty holds coefficients near zero: they are off by their own size at most
    # The fitted coefficients hold the noise too: what is left of their size is theirs.
    size = max(size - by_data, 1e-3 * size)
    outcome = case.outcome
    by_run = 0.0
    if outcome.healthy and np.isfinite(outcome.parameters).all():
        by_run = float(np.sum((symptoms.spread * (outcome.parameters - case.best)[:width]) ** 2))
    return math.sqrt(by_data / size), math.sqrt(by_run / size)


def collinear(case: Case, symptoms: Symptoms) -> Finding | None:
    """Coefficients that the data leave open, because columns repeat each other."""
    by_data, by_run = _left_open(case, symptoms)
    suspicion = collinearity(case, symptoms)
    if suspicion is None or math.hypot(by_data, by_run) < LOST or symptoms.condition_index < CONDITION_INDEX:
        return None
    evidence = {**suspicion.evidence, "standard_errors_over_coefficients": by_data}
    # What the same number of rows would leave open of columns that do not repeat each other is not their fault.
    repeated = math.sqrt(float(np.minimum(symptoms.inflation, 1e15).mean()))
    harm = min(PER_LOST * math.hypot(by_data, by_run), max(repeated, PER_LOST * by_run))
    harm = _unless_few(case, harm)
    return Finding("collinearity", evidence, suspicion.explanation, suspicion.remedies, harm=harm)


def unfinished(case: Case, symptoms: Symptoms) -> Finding | None:
    """Coefficients that the run leaves open although the loss has arrived."""
    _, by_run = _left_open(case, symptoms)
    if by_run < LOST or symptoms.condition_index < CONDITION_INDEX or not np.isfinite(symptoms.inflation).all():
        return None  # of columns that determine each other no coefficient is the right one
    width = case.X.shape[1]
    j = int(np.argmax(np.abs(symptoms.spread * (case.outcome.parameters - case.best)[:width])))
    trained, best = float(case.outcome.parameters[j]), float(case.best[j])
    evidence = {
        "condition": symptoms.condition_now,
        "condition_scaled": symptoms.condition_scaled,
        "distance_over_coefficients": by_run,
        "coefficient": case.names[j],
        "trained": trained,
        "optimum": best,
    }
    words = (
        f"The loss has come within {number(100 * case.outcome.share)} % of its optimum, but the coefficients have not: "
        f"{case.names[j]} is {number(trained)} where the optimum has {number(best)}. Along some combinations "
        f"the loss is "
        f"{number(symptoms.condition_now)} times flatter than along others."
    )
    suspicion = conditioning(case, symptoms)
    remedies = (STANDARDISED,) if suspicion is None else suspicion.remedies
    return Finding("ill_conditioned", evidence, words, remedies, harm=_unless_few(case, PER_LOST * by_run))


def _unless_few(case: Case, harm: float) -> float:
    """Return the harm of columns that repeat each other: little where the rows are so few that all columns seem to."""
    return min(harm, BY_CHANCE) if case.count <= 2 * case.objective.size + 1 else harm
