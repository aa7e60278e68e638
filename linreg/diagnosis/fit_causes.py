"""Causes that the training loss does not show: what the run would learn, judged at the exact optimum or by validation.

Each function takes the case and returns a `Finding` where the cause matters, else None.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from linreg.diagnosis.cases import Case
from linreg.diagnosis.evidence import number
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.remedies import STANDARDISE, STANDARDISED, Remedy
from linreg.diagnosis.robust import least_trimmed_squares
from linreg.diagnosis.run_causes import (
    CONDITION_INDEX,
    Suspicion,
    collinearity,
    conditioning,
    constant_feature,
    left_out,
    rounded,
)
from linreg.diagnosis.symptoms import Symptoms, median_and_deviation
from linreg.dynamics.optima import exact_optimum
from linreg.dynamics.quadratic import Quadratic
from linreg.losses import Huber, MeanSquaredError
from linreg.optimizers import SGD
from linreg.regularizers import L2

Array = Any

FAR, FAR_OF_MANY, MANY = 6.0, 5.0, 50
"""Robust residual, in standard deviations, from which a row is far off the line; few rows make a few of them look far:
with 16 to 30 rows of normal noise the farthest is beyond 6 in 1 to 7 % of samples, with 50 and more none of 60."""
ROWS_A_PARAMETER, LEAST_ROWS, FAR_OF_FEW = 5, 3, 40.0
"""Fewer rows a parameter fit any three quarters of themselves so well that the others look far. P. J. Rousseeuw and
A. M. Leroy, "Robust Regression and Outlier Detection" (1987), section 5.1, ask for 5; with 3 to 5, rows of normal noise
were up to 36 deviations off in 150 samples of each size, with fewer anything may be."""
REFUSED, REFUSED_OF_FEW = 4.0, 15.0
"""Once there is such a row, the others that are left out beside it."""
HUBER = 1.345
"""Delta, in robust standard deviations, that keeps 95 % efficiency: P. J. Huber, "Robust Statistics" (1981), sec. 7.
"""
HARMFUL = 1.6
"""Squared error on clean rows, over that without the fault, from which the fault matters."""
LOST = 0.35
"""Error of the coefficients, relative to them, from which they say nothing: between a fifth and a half."""
MISSED = 0.05
"""Part of the intercept, in standard deviations of y, that a constant column may take before it matters."""
PER_LOST, PER_MISSED = 4.0, 20.0
"""Harm of coefficients that are wrong by their own size, and of an intercept off by a standard deviation of y, beside
that of an error that has doubled."""
MOST_LISTED = 1000
MOST_OUTLIERS = 0.3
BEYOND = 2.5
"""Validation loss, over what learning the noise explains, that only other data explain."""
RARE = 2.576
"""Standard deviations of a normal distribution that one value in 200 lies below."""
MANY_FEATURES = 3
"""Fewer features are looked at one by one: of one or two nobody would say that they learn the noise."""
TWICE, HARDLY_ANY, MOST_LEARNED = 2.0, 4.0, 10.0
"""Validation loss over training loss, as few rows explain it: from which the two curves lie apart, and from which it
may be any number; and the largest that can be told of a sample."""
UNSURE, NO_CHANCE = 2.0, 4.0
"""Standard errors by which the mean of many, skewed losses is above another for sure."""
SURE = 5.0
"""Standard errors from which a difference of means is no chance."""


def _fitted(case: Case, loss: Any, rows: Array | None = None, penalised: bool = False) -> Array:
    """Return the exact optimum of another loss on some rows, without penalty unless asked."""
    rows = slice(None) if rows is None else rows
    weight = None if case.counts is None else case.counts[rows] / case.counts[rows].mean()
    problem = Quadratic.of(
        case.X[rows], case.y[rows], loss=loss, sample_weight=weight, fit_intercept=case.model.fit_intercept,
        owner="diagnose", largest=2000, instead="give fewer columns",
        kernel_regularizer=case.settings.regularizer if penalised else None,
    )  # fmt: skip
    return exact_optimum(problem)


def clean_fit(case: Case) -> tuple[Array, float, Array]:
    """Return the least squares fit of the rows that are not far off, their robust scale, and which rows those are."""
    if "clean" not in case.kept:
        A = case.objective.matrix
        everywhere = np.ones(len(case.y), bool)
        near, scale = everywhere, 0.0
        rows, size = len(case.y), case.objective.size
        if rows >= LEAST_ROWS * size:
            robust, scale = least_trimmed_squares(A, case.y)
            scale = max(scale, 1e-9 * (float(np.abs(case.y).max()) or 1.0))
            away = np.abs(A @ robust - case.y)
            few = rows < ROWS_A_PARAMETER * size
            if away.max() > (FAR_OF_FEW if few else FAR if rows < MANY else FAR_OF_MANY) * scale:
                near = away <= (REFUSED_OF_FEW if few else REFUSED) * scale
            if (~near).sum() > MOST_OUTLIERS * len(near) or near.sum() <= case.objective.size:
                near = everywhere
        case.kept["clean"] = _fitted(case, MeanSquaredError(), near), scale, near
    clean: tuple[Array, float, Array] = case.kept["clean"]
    return clean


def outliers(case: Case, symptoms: Symptoms) -> Finding | None:
    """Rows far off the line that pull the fit away from the others."""
    clean, scale, near = clean_fit(case)
    if near.all():
        return None
    A, rows = case.objective.matrix, case.count
    residual = A @ clean - case.y
    # What the far rows do to the prediction of the others, beside the error that is left without them.
    error = float(np.mean(residual[near] ** 2))
    fitted = case.best if case.settings.regularizer is None else _fitted(case, case.settings.loss)
    pulled = float(np.mean((A[near] @ (fitted - clean)) ** 2))
    if error + pulled < HARMFUL * max(error, (1e-6 * float(case.y[near].std())) ** 2):
        return None
    places = np.flatnonzero(~near)
    count = len(places) if case.counts is None else round(float(case.counts[places].sum()))
    worst = int(places[np.argmax(np.abs(residual[~near]))])
    numbers = case.row_numbers.tolist()
    delta = rounded(HUBER * scale)
    lie, pull, them, those = "lie", "They pull", "them", "the far rows out if they are errors"
    if count == 1:
        lie, pull, them, those = "lies", "It pulls", "it", "it out if it is an error"
    rows_off = [numbers[row] for row in places]
    drop = left_out("drop outliers", f"Look at row {numbers[worst]}; leave {those}.", rows_off, symptoms)
    # Rows far out in the features pull Huber's loss, too.
    robust = float(np.mean((A[near] @ (_fitted(case, Huber(delta)) - clean)) ** 2))
    resists = error + robust < HARMFUL * max(error, 1e-300)
    huber = Remedy("huber", f"Use Huber's loss: Huber(delta={delta:g}).", settings={"loss": Huber(delta)})
    return Finding(
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


def _same_value(case: Case, near: Array) -> str:
    """Say which column sets the far rows apart, if most share a value in it that no other row comes near."""
    for name, column in zip(case.names, case.X.T, strict=True):
        values, times = np.unique(column[~near], return_counts=True)
        code, shared = float(values[np.argmax(times)]), int(times.max())
        low, high = float(column[near].min()), float(column[near].max())
        if shared > 1 and shared > len(column[~near]) / 2 and not 2 * low - high <= code <= 2 * high - low:
            return (
                f" {'All' if len(values) == 1 else shared} of them have {name} = {number(code)}, where the others lie "
                f"between {number(low)} and {number(high)}: is that a code for a missing value?"
            )
    return ""


def regularization(case: Case, symptoms: Symptoms) -> Finding | None:
    """A penalty that keeps the model from the data."""
    regularizer = case.settings.regularizer
    if regularizer is None or (isinstance(case.settings.loss, Huber) and len(case.y) < case.objective.size):
        return None
    A = case.objective.matrix
    free = _fitted(case, case.settings.loss)
    factor, loss = case.objective.factor(), case.settings.loss
    values = [float(loss.value(A @ p - case.y, *loss.constants(np.float64)) @ factor) for p in (case.best, free)]
    penalty = float(case.objective.objective(case.best)) - values[0]
    noise = values[1] * case.objective.size / max(case.count - case.objective.size, 1)
    level = np.append(
        np.zeros(case.X.shape[1]), [np.average(case.y, weights=case.counts)] * case.objective.has_intercept
    )
    nothing = float(loss.value(A @ level - case.y, *loss.constants(np.float64)) @ factor)
    lost = (values[0] - values[1]) / (nothing - values[1]) if nothing > values[1] else 0.0
    if values[0] < HARMFUL * values[1] + noise or lost < 1e-6:
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
            Remedy(
                "no penalty", "Leave the penalty out (kernel_regularizer=None).", settings={"kernel_regularizer": None}
            ),
            Remedy("weaker penalty", f"Weaken it a hundredfold: {weak}.", settings={"kernel_regularizer": weaker}),
        ),
        harm=values[0] / max(values[1], 1e-300),
    )


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
    return Finding("collinearity", evidence, suspicion.explanation, suspicion.remedies, harm=harm)


def unfinished(case: Case, symptoms: Symptoms) -> Finding | None:
    """Coefficients that the run leaves open although the loss has arrived."""
    _, by_run = _left_open(case, symptoms)
    if by_run < LOST or symptoms.condition_index < CONDITION_INDEX:
        return None
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
    return Finding("ill_conditioned", evidence, words, remedies, harm=PER_LOST * by_run)


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


def _taken(case: Case, suspicion: Suspicion, level: float, taken: float) -> Finding | None:
    scatter = float(median_and_deviation(case.y)[1]) or float(case.y.std()) or 1.0
    if abs(taken) < MISSED * scatter:
        return None
    evidence = {**suspicion.evidence, "intercept_without": level, "part_of_it_taken": taken}
    harm = PER_MISSED * abs(taken) / scatter
    return Finding("constant_feature", evidence, suspicion.explanation, suspicion.remedies, harm=harm)


def validation_causes(case: Case, symptoms: Symptoms) -> Finding | None:
    """A validation loss that is far above the training loss: other data, or a model that has learned the noise."""
    if case.validation is None:
        return None
    X, y = case.validation
    A = np.column_stack([X, np.ones(len(X))])[:, : case.objective.size]
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
    elsewhere = not few and len(moved) > 0 and moved[j] > 1.0 and sure[j] > SURE
    beyond = max(BEYOND, 1 / unlucky) * learned * train if learned < HARDLY_ANY else math.inf
    chance = float(np.std(values)) * math.sqrt(1 / many + 1 / len(held))
    surely = not few and (bias > SURE or (learned < HARMFUL and ideal / learned - train > NO_CHANCE * chance))
    if elsewhere or ideal > beyond or (surely and ideal > HARMFUL * learned * train):
        evidence |= {"feature": case.names[j], "shift_in_standard_deviations": float(moved[j])}
        return Finding(
            "validation_shift", evidence,
            f"The validation rows come from elsewhere: {case.names[j]} lies {number(float(moved[j]))} standard "
            f"deviations from "
            f"its mean in training, and {words}. No setting of the training can change that.",
            (Remedy("split at random", "Shuffle all rows before you split; fit scalers on the training rows alone."),),
            harm=ideal / (learned * train) if math.isfinite(learned) else ideal / train,
        )  # fmt: skip
    # A penalty may have kept this model from the noise: what counts is its own optimum, against the noise itself.
    held_losses = loss.value(A @ case.best - y, *constants)
    own = float(np.mean(held_losses))
    clean_error = train * many / max(free, 1)
    # Of very few rows the residuals may tell too much noise by chance; the gap between the curves is there all the same
    gap = own / float(np.mean(loss.value(case.objective.matrix @ case.best - case.y, *constants)))
    by_chance = 1 + UNSURE * float(np.std(held_losses)) / math.sqrt(len(y)) * gap / own if own else math.inf
    apart = few and gap >= max(TWICE, by_chance)
    if not apart and (learned < HARMFUL or own < HARMFUL * clean_error):
        return None
    return _overfitting(case, evidence, words, min(max(own / clean_error, TWICE if apart else 0.0), MOST_LEARNED))


def _without_far(errors: Array, share: float) -> Array:
    """Return errors without the largest: as many as a sample may hold of rows that are this share of all."""
    far = math.ceil(share * len(errors) + 3 * math.sqrt(share * len(errors)))
    return errors[np.argsort(np.abs(errors))[: max(len(errors) - far, 1)]]


def _overfitting(case: Case, evidence: dict[str, Any], words: str, harm: float) -> Finding:
    return Finding(
        "overfitting", evidence,
        f"There are {case.count} rows for {case.objective.size} parameters, so the model learns the noise: {words}.",
        (
            Remedy("penalty", "Add a penalty on the standardised features: kernel_regularizer=L2(0.1).", (STANDARDISE,),
                   {"kernel_regularizer": L2(0.1)}),
            Remedy("stop early", "Stop when the validation loss rises: "
                   "callbacks=[EarlyStopping(monitor='val_loss', restore_best_weights=True)]."),
        ),
        harm=harm,
    )  # fmt: skip


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
    free = rows - size
    told = case.validation is not None or case.settings.regularizer is not None
    if told or free < 1 or case.X.shape[1] < MANY_FEATURES:
        return None
    expected = 1 + size / max(free - 1, 0.5)
    if expected < TWICE or not case.model.fit_intercept:
        return None
    residual = case.objective.matrix @ _fitted(case, MeanSquaredError()) - case.y
    left_out = residual / np.maximum(1 - symptoms.leverage, 1e-9)
    train, alone = float(np.mean(residual**2)), float(np.mean(left_out**2))
    if train <= 1e-12 * float(np.var(case.y)):
        return None
    evidence = {"training_loss": train, "left_out_loss": alone, "rows": rows, "parameters": size}
    words = f"its mean squared error is {number(train)} on these rows, and {number(alone)} on a row that is left out"
    return _overfitting(case, evidence, words, expected)


FIT_CAUSES = (outliers, regularization, validation_causes, few_rows, constant, collinear, unfinished)
BEHIND = (regularization, constant, collinear, unfinished)
"""Causes that show, or show better, once the run converges."""
