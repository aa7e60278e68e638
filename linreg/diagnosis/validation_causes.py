"""A model that learns the noise of its rows, and validation rows that come from elsewhere.

Each function takes the case and returns a `Finding` where the cause matters, else None.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from linreg.data.arrays import design_matrix
from linreg.diagnosis.cases import Case
from linreg.diagnosis.evidence import number
from linreg.diagnosis.exact_fits import HARMFUL, clean_fit
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.remedies import STANDARDISE, Remedy
from linreg.diagnosis.symptoms import Symptoms
from linreg.regularizers import L2

Array = Any

BEYOND = 2.5
"""Validation loss, over what learning the noise explains, that only other data explain."""

RARE = 2.576
"""Standard deviations of a normal distribution that one value in 200 lies below."""

MANY_FEATURES = 3
"""Fewer features are looked at one by one: of one or two nobody would say that they learn the noise."""

TWICE, HARDLY_ANY, MOST_LEARNED = 2.0, 4.0, 10.0
"""Validation loss over training loss, as few rows explain it: from which the two curves lie apart, and from which it
may be any number; and the largest that can be told of a sample."""

FEW_FREE, FAR_BEYOND = 4, 100.0
"""Degrees of freedom from which it is not any number, and what is then beyond all of them: a variance that 4 degrees of
freedom show is below a hundredth of itself in one sample of 5,000."""

UNSURE, NO_CHANCE = 2.0, 4.0
"""Standard errors by which the mean of many, skewed losses is above another for sure."""

STRENGTHS = (0.001, 0.01, 0.1, 1.0)
"""Penalties that are tried against overfitting, on standardised features."""

MOST_OUTSIDE = 0.5
"""Share of the validation targets outside nine tenths of the training ones from which the split was not at random."""

STANDARD_ERRORS = 5.0
"""Standard errors from which a difference of means is no chance."""


def validation_causes(case: Case, symptoms: Symptoms) -> Finding | None:
    """A validation loss that is far above the training loss: other data, or a model that has learned the noise."""
    if case.validation is None:
        return None
    X, y = case.validation
    A = design_matrix(X, case.model.fit_intercept)
    clean, _, near = clean_fit(case)
    residual, held = (case.objective.matrix @ clean - case.y)[near], _without_far(A @ clean - y, float(1 - near.mean()))
    loss, constants = case.settings.loss, case.settings.loss.constants(np.float64)
    values = loss.value(residual, *constants)
    train, ideal = float(np.mean(values)), float(np.mean(loss.value(held, *constants)))
    free = len(residual) - case.objective.size
    if train <= 0 or ideal <= HARMFUL * train:
        return None
    # What rows of the same kind would show, since the fit has learned the noise of its own.
    size, many = case.objective.size, len(residual)
    learned = (1 + size / (free - 1)) / (free / many) if free > 1 else math.inf
    unlucky = least_scatter(free)
    spread = np.where(symptoms.constant, np.inf, symptoms.spread)
    moved = np.abs(X.mean(axis=0) - symptoms.mean) / spread
    sure = moved / math.sqrt(1 / len(y) + 1 / case.count)
    # A shift that the line carries along does no harm; one of the errors does.
    noise = math.sqrt(float(residual @ residual) / max(free, 1) / unlucky)
    bias = abs(float(held.mean())) / (noise * math.sqrt(1 / len(y) + 1 / case.count)) if noise else math.inf
    evidence: dict[str, Any] = {
        "training_loss": train,
        "validation_loss": ideal,
        "rows": case.count,
        "parameters": case.objective.size,
    }
    words = (
        f"the best model for the training rows has the loss {number(train)} on them and {number(ideal)} on the "
        "validation rows"
    )
    j = int(np.argmax(moved)) if len(moved) else 0
    few = learned >= TWICE  # of so few rows, not even the means say where they come from
    elsewhere = not few and len(moved) > 0 and moved[j] > 1.0 and sure[j] > STANDARD_ERRORS
    times = max(BEYOND, 1 / unlucky) if learned < HARDLY_ANY else FAR_BEYOND if free >= FEW_FREE else math.inf
    beyond = times * learned * train
    chance = float(np.std(values)) * math.sqrt(1 / many + 1 / len(held))
    surely = not few and (
        bias > STANDARD_ERRORS or (learned < HARMFUL and ideal / learned - train > NO_CHANCE * chance)
    )
    if elsewhere or ideal > beyond or (surely and ideal > HARMFUL * learned * train):
        evidence |= {"feature": case.names[j], "shift_in_standard_deviations": float(moved[j])}
        where = "their features lie where those of training do, but their target follows another line"
        advice = "Shuffle all rows before you split; fit scalers on the training rows alone."
        if (outside := _outside(case.y, y)) > MOST_OUTSIDE:
            where = (
                f"{100 * outside:.0f} % of their targets lie outside those of nine training rows in ten (were the rows "
                "sorted before they were split?)"
            )
        elif moved[j] > 1.0 or (moved[j] > 0.1 and sure[j] > STANDARD_ERRORS):
            name, there, here = case.names[j], float(X[:, j].mean()), float(symptoms.mean[j])
            here = here if abs(here) > 1e-9 * float(symptoms.spread[j]) else 0.0  # of scaled features
            where = (
                f"{name} is {number(there)} on average in them and {number(here)} in the training rows, "
                f"{number(float(moved[j]))} standard deviations away"
            )
            advice = (
                f"See that {name} has the same unit, and went through the same scaler, in both; if it has, shuffle all "
                "rows before you split."
            )
        return Finding(
            "validation_shift", evidence,
            f"The validation rows come from elsewhere: {where}, and {words}. "
            "No setting of the training can change that.",
            (Remedy("split at random", advice),),
            harm=ideal / (learned * train) if math.isfinite(learned) else ideal / train,
        )  # fmt: skip
    # A penalty may have kept this model from the noise: what counts is its own optimum, against the noise itself.
    held_losses = loss.value(A @ case.best - y, *constants)
    own = float(np.mean(held_losses))
    clean_error = train * many / max(free, 1)
    # Of very few rows the residuals may tell too much noise by chance; the gap between the curves is there all the same
    trained = float(np.mean(loss.value(case.objective.matrix @ case.best - case.y, *constants)))
    gap = own / trained if trained > 0 else math.inf
    by_chance = 1 + UNSURE * float(np.std(held_losses)) / math.sqrt(len(y)) * gap / own if own else math.inf
    apart = few and gap >= max(TWICE, by_chance)
    if not apart and (learned < HARMFUL or own < HARMFUL * clean_error):
        return None
    return _overfitting(case, evidence, words, min(max(own / clean_error, TWICE if apart else 0.0), MOST_LEARNED))


def _outside(trained: Array, held: Array) -> float:
    """Return the share of held-out targets outside the middle nine tenths of those of training."""
    low, high = np.quantile(trained, [0.05, 0.95])
    return float(np.mean((held < low) | (held > high)))


def _without_far(errors: Array, share: float) -> Array:
    """Return errors without the largest: as many as a sample may hold of rows that are this share of all."""
    far = math.ceil(share * len(errors) + 3 * math.sqrt(share * len(errors)))
    return errors[np.argsort(np.abs(errors))[: max(len(errors) - far, 1)]]


def _overfitting(case: Case, evidence: dict[str, Any], words: str, harm: float) -> Finding:
    early = Remedy(
        "stop early",
        "Stop when the validation loss rises: "
        "callbacks=[EarlyStopping(monitor='val_loss', restore_best_weights=True)].",
    )
    more = Remedy("more rows", "Collect more rows, or leave out the columns that you have least reason to keep.")
    return Finding(
        "overfitting", evidence,
        f"There are {case.count} rows for {case.objective.size} parameters, so the model learns the noise: {words}.",
        (*_penalty(case), early, more),
        harm=harm,
    )  # fmt: skip


def _penalty(case: Case) -> list[Remedy]:
    """Return the penalty, of a few, with which rows that were not trained on are predicted best; none if none helps."""
    errors = {strength: _error_on_unseen_rows(_penalised(strength).applied(case)) for strength in (0.0, *STRENGTHS)}
    best = min(errors, key=lambda strength: errors[strength])
    if best == 0:
        return []
    where = "the validation rows" if case.validation else "rows left out one at a time"
    better = f"the mean squared error on {where} falls from {number(errors[0.0])} to {number(errors[best])}."
    remedy = _penalised(best)
    return [dataclasses.replace(remedy, words=f"{remedy.words} At its optimum, {better}")]


def _penalised(strength: float) -> Remedy:
    words = f"Add a penalty on the standardised features: kernel_regularizer=L2({strength:g})."
    return Remedy("penalty", words, (STANDARDISE,), {"kernel_regularizer": L2(strength) if strength else None})


def _error_on_unseen_rows(case: Case) -> float:
    """Return the mean squared error on the validation rows; without any, on rows left out one at a time.

    A row that is left out is off by its residual over 1 - h, h being its entry of the matrix that makes predictions of
    y. Source: D. M. Allen, Technometrics 16 (1974), 125-127; with a penalty it holds alike.
    """
    if case.validation is not None:
        X, y = case.validation
        return float(np.mean((design_matrix(X, case.model.fit_intercept) @ case.best - y) ** 2))
    hat, residual = _squares(case)
    return float(np.mean((residual / np.maximum(1 - hat, 1e-9)) ** 2))


def _squares(case: Case) -> tuple[Array, Array]:
    """Return the leverages and the residuals of the fit with the least squares and the L2 penalty of the case."""
    A = case.objective.matrix
    strength = getattr(case.settings.regularizer, "l2", 0.0)
    penalty = len(A) * strength * np.diag([1.0] * case.X.shape[1] + [0.0] * case.objective.has_intercept)
    solved = np.linalg.pinv(A.T @ A + penalty, hermitian=True) @ A.T
    return np.einsum("ij,ji->i", A, solved), case.y - A @ (solved @ case.y)


def _more_parameters_than_rows(case: Case) -> Finding | None:
    """Return what is wrong with rows that any target is fitted to; None under a penalty or with validation rows."""
    if case.settings.regularizer is not None or case.validation is not None:
        return None
    evidence = {"rows": case.count, "parameters": case.objective.size}
    return _overfitting(case, evidence, "so many parameters fit any numbers exactly, noise as well", MOST_LEARNED)


def least_scatter(free: int) -> float:
    """Return which share of the variance of the noise the residuals show at least, in 199 of 200 samples.

    Wilson and Hilferty's cube root of chi squared over its degrees of freedom: Proceedings of the National Academy of
    Sciences 17 (1931), 684-688.
    """
    spread = 2 / (9 * max(free, 1))
    return max(1 - spread - RARE * math.sqrt(spread), 0.2) ** 3


def few_rows(case: Case, symptoms: Symptoms) -> Finding | None:
    """So few rows that each decides its own prediction: told by leaving them out one at a time."""
    size, rows = case.objective.size, case.count
    sparse = getattr(case.settings.regularizer, "l1", 0.0) > 0  # how many parameters it leaves is up to the data
    if sparse or case.X.shape[1] < MANY_FEATURES or not case.model.fit_intercept:
        return None
    if rows <= size:
        return _more_parameters_than_rows(case)
    if case.validation is not None:
        held = validation_causes(case, symptoms)
        if held is None or held.cause != "validation_shift":
            return None  # the validation rows have told it
        case = case.replaced(validation=None)  # they come from elsewhere, and tell nothing of these
    hat, residual = _squares(case)
    used = float(hat.sum())  # parameters, fewer under a penalty
    expected = 1 + used / max(rows - used - 1, 0.5)
    train, alone = float(np.mean(residual**2)), _error_on_unseen_rows(case)
    if expected < TWICE or train <= 1e-12 * float(np.var(case.y)):
        return None
    evidence = {"training_loss": train, "left_out_loss": alone, "rows": rows, "parameters": size}
    words = f"its mean squared error is {number(train)} on these rows, and {number(alone)} on a row that is left out"
    return _overfitting(case, evidence, words, expected)
