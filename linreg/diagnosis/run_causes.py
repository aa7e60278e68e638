"""Causes that show in the loss curve: each function turns a symptom into evidence, words and remedies to be tried.

A function returns a `Suspicion` where its symptom is there, else None. Whether the cause matters to the run is decided
afterwards, by trying its remedies (`linreg.diagnosis.judge`): a suspicion whose remedies change nothing is dropped.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg import dynamics
from linreg.diagnosis.cases import Case
from linreg.diagnosis.evidence import number
from linreg.diagnosis.remedies import STANDARDISE, STANDARDISED, WHITEN, Remedy, keep_columns
from linreg.diagnosis.symptoms import Symptoms, median_and_deviation
from linreg.losses import Huber
from linreg.optimizers import SGD, Adam, RMSprop
from linreg.regularizers import L2

Array = Any

LARGE_INFLATION = 10.0
"""Variance inflation above which columns count as collinear. Source: D. W. Marquardt, Technometrics 12 (1970)."""
HEAVY = 2.0
"""Mean of the sample weights from which they change the length of a step."""
NARROWED = 1.3
"""By how much the variance of some feature has to fall without its far rows."""
USUAL_MOMENTUM = 0.95
"""Momentum up to which nobody is surprised."""
SMALL_LAST = 4
"""So many times smaller than the others is a last batch that is worth a word."""
CONDITION_INDEX = 10.0
"""Root of the condition of the correlations from which columns count as collinear. Source: D. Belsley, E. Kuh and
R. Welsch, "Regression Diagnostics" (1980), section 3.3: weak dependencies from 5 to 10 on, strong ones from 30."""


@dataclass(frozen=True, eq=False)
class Suspicion:
    """A cause that may matter, with remedies in the order in which they are to be tried.

    Parameters
    ----------
    cause : str
        Its name.
    evidence : dict of str to object
        The numbers that show it.
    explanation : str
        What they mean, in words.
    remedies : tuple of Remedy
        Not tried yet.
    """

    cause: str
    evidence: dict[str, Any]
    explanation: str
    remedies: tuple[Remedy, ...]


RIDGE = Remedy(
    "small penalty", "Standardise the features and add a small penalty: kernel_regularizer=L2(0.01).", (STANDARDISE,),
    {"kernel_regularizer": L2(0.01)},
)  # fmt: skip


def at_rate(learning_rate: float) -> dict[str, Any]:
    """Return the settings that train with another, constant learning rate."""
    return {"optimizer__learning_rate": float(learning_rate)}


def rounded(value: float) -> float:
    """Round to two digits: nobody types more."""
    return float(f"{value:.2g}")


def loss_reduction(case: Case, symptoms: Symptoms) -> Suspicion | None:
    """A sum instead of a mean, or weights that are counts: the step grows with the batch, or with the weights."""
    loss = case.settings.loss
    if case.sample_weight is not None and loss.reduction == "sum_over_batch_size":
        return _weights_that_count(case)
    if loss.reduction != "sum" or case.batch_size < 2:
        return None
    mean = Remedy(
        "mean", 'Use the mean over the batch: reduction="sum_over_batch_size", Keras\' default.',
        settings={"loss__reduction": "sum_over_batch_size"},
    )  # fmt: skip
    return Suspicion(
        "loss_reduction",
        {"reduction": "sum", "batch_size": case.batch_size, "step_is_larger_by": case.batch_size},
        f"The loss is the sum over the {case.batch_size} rows of a batch instead of their mean, so each step is "
        f"{case.batch_size} times as long as the learning rate says.",
        (mean,),
    )


def _weights_that_count(case: Case) -> Suspicion | None:
    mean = float(np.mean(np.asarray(case.sample_weight)))
    if 1 / HEAVY < mean < HEAVY:
        return None
    divided = Remedy(
        "mean by weight",
        'Divide by the sum of the weights: reduction="mean_with_sample_weight"; or give weights that are 1 on average.',
        settings={"loss__reduction": "mean_with_sample_weight"},
    )
    return Suspicion(
        "loss_reduction",
        {"mean_weight": mean, "step_is_larger_by": mean},
        f"The sample weights are {number(mean)} on average, and the loss of a batch is divided by its rows, not by the "
        f"sum of their weights, so each step is {number(mean)} times as long as the learning rate says.",
        (divided,),
    )


def momentum_too_high(case: Case, symptoms: Symptoms) -> Suspicion | None:
    """Momentum that overshoots, or that remembers for longer than the run lasts."""
    optimizer = case.settings.optimizer
    field, momentum = _momentum(optimizer)
    if momentum <= (USUAL_MOMENTUM + 1e-12 if isinstance(optimizer, Adam) else 0.0):
        return None
    lower = [value for value in (0.9, 0.5, 0.0) if value < momentum]
    memory = 1 / (1 - momentum) if momentum < 1 else math.inf
    remedies = tuple(
        Remedy(
            f"momentum {value}", f"Lower {field} from {momentum:g} to {value:g}.",
            settings={f"optimizer__{field}": value},
        )
        for value in lower
    )  # fmt: skip
    return Suspicion(
        "momentum_too_high",
        {field: momentum, "steps_remembered": memory, "steps": case.steps},
        f"With {field} {momentum:g} every step goes on for about {number(memory)} more, so the run overshoots the "
        f"optimum and swings; it has {case.steps} steps in all.",
        remedies,
    )


def _momentum(optimizer: Any) -> tuple[str, float]:
    """Return what an optimizer calls its momentum, and how much it has."""
    field = "beta_1" if isinstance(optimizer, Adam) else "momentum"
    return field, float(getattr(optimizer, field))


def unusual_momentum(case: Case, symptoms: Symptoms) -> Suspicion | None:
    """Momentum above what anybody uses: suspected before the data are."""
    _, momentum = _momentum(case.settings.optimizer)
    return momentum_too_high(case, symptoms) if momentum > USUAL_MOMENTUM + 1e-12 else None


def left_out(name: str, words: str, rows: Sequence[int], symptoms: Symptoms) -> Remedy:
    """Return the remedy that leaves rows out; features that were standardised with them are standardised anew."""
    if not symptoms.is_standardised:
        return Remedy(name, words, drop_rows=tuple(rows))
    return Remedy(name, f"{words} Standardise again without them.", (STANDARDISE,), drop_rows=tuple(rows))


def high_leverage(case: Case, symptoms: Symptoms) -> Suspicion | None:
    """A few rows far out in the features that make the loss steep for all."""
    leverage, rows = symptoms.leverage, len(case.y)
    far = symptoms.far_rows
    if rows < 4 or not len(far):
        return None
    kept = np.setdiff1d(np.arange(rows), far)
    if (symptoms.spread**2 < NARROWED * np.maximum(case.X[kept].var(axis=0), 1e-300)).all():
        return None
    without = symptoms.limit(case.X[kept], kept)
    numbers = case.row_numbers[far].tolist()
    places = ", ".join(map(str, numbers[:3])) + (f" and {len(numbers) - 3} more" if len(numbers) > 3 else "")
    row, lie, them, errors = "row", "lies", "it", "it is an error"
    if len(numbers) > 1:
        row, lie, them, errors = "rows", "lie", "them", "they are errors"
    return Suspicion(
        "high_leverage",
        {
            "rows": numbers,
            "leverage": leverage[far].tolist(),
            "limit": symptoms.limit_now,
            "limit_without_them": without,
        },
        f"{row.capitalize()} {places} (counted from 0) {lie} so far from the others (leverage up to "
        f"{leverage[far].max():.2f} of 1) that the loss is steep because of {them}: without {them} learning rates up "
        f"to {number(without)} are stable, with {them} up to {number(symptoms.limit_now)}.",
        (left_out("drop far rows", f"Look at {row} {places}; leave {them} out if {errors}.", numbers, symptoms),),
    )


def constant_feature(case: Case, symptoms: Symptoms) -> Suspicion | None:
    """Columns that do not vary: they teach nothing, and large ones make the loss steep."""
    if not symptoms.constant.any() or not case.model.fit_intercept or symptoms.constant.all():
        return None
    columns = [case.names[j] for j in np.flatnonzero(symptoms.constant)]
    values = symptoms.mean[symptoms.constant]
    without = symptoms.limit(case.X[:, ~symptoms.constant])
    return Suspicion(
        "constant_feature",
        {"columns": columns, "values": values.tolist(), "limit": symptoms.limit_now, "limit_without": without},
        f"Column {', '.join(columns[:3])} has the same value in every row ({number(values[0])}), so it can teach "
        f"nothing that the intercept does not; it makes the loss steep all the same: without it learning rates up to "
        f"{number(without)} are stable, with it up to {number(symptoms.limit_now)}.",
        (
            Remedy(
                "drop constant", f"Drop {', '.join(columns[:3])}.", (keep_columns(np.flatnonzero(~symptoms.constant)),)
            ),
        ),
    )


def feature_scale(case: Case, symptoms: Symptoms) -> Suspicion | None:
    """Columns of different size, or far from zero: one learning rate cannot suit all."""
    sizes = np.sqrt(np.average(case.X**2, axis=0, weights=case.counts))
    varying = sizes[~symptoms.constant]
    if not len(varying):
        return None
    if symptoms.is_standardised:
        return None
    largest = int(np.argmax(sizes))
    lr, scaled = case.learning_rate, symptoms.limit_scaled
    if len(varying) > 1:
        shape = (
            f"The features differ in size or lie far from zero: {case.names[largest]} is about "
            f"{number(sizes[largest])}, the smallest about {number(varying.min())}. For these columns"
        )
    else:
        (only,) = np.flatnonzero(~symptoms.constant)
        shape = (
            f"The feature {case.names[only]} varies by {number(symptoms.spread[only])} about "
            f"{number(symptoms.mean[only])}, where 1 about 0 would suit. For this column"
        )
    faster = _faster(case, scaled)
    both = tuple(
        Remedy(
            f"standardise, rate {number(rate)}",
            f"Standardise the features (StandardScaler) and set the learning rate to {number(rate)}.",
            (STANDARDISE,), at_rate(rate),
        )
        for rate in faster
    )  # fmt: skip
    return Suspicion(
        "feature_scale",
        {
            "sizes": dict(zip(case.names, sizes.tolist(), strict=True)),
            "limit": symptoms.limit_now,
            "learning_rate": lr,
            "ratio": lr / symptoms.limit_now if symptoms.limit_now else math.inf,
            "limit_scaled": scaled,
            "condition": symptoms.condition_now,
            "condition_scaled": symptoms.condition_scaled,
        },
        f"{shape} learning rates up to {number(symptoms.limit_now)} are stable and yours is {number(lr)}; "
        f"standardised, the limit is {number(scaled)}.",
        (STANDARDISED, *both),
    )


def _faster(case: Case, limit: float) -> list[float]:
    """Return rates above the present one that are worth trying once the features are standardised."""
    lr = case.learning_rate
    if isinstance(case.settings.optimizer, SGD):
        return [rounded(limit / 2), rounded(limit / 10)] if math.isfinite(limit) and limit / 2 > lr else []
    return [rounded(lr * 10), rounded(lr * 100)] if lr < 0.05 else []


def target_scale(case: Case, symptoms: Symptoms) -> Suspicion | None:
    """A target of a size that the steps cannot reach, or that the arithmetic cannot hold."""
    level, deviation = map(float, median_and_deviation(case.y))
    spread = deviation or float(case.y.std())
    size = math.hypot(level, spread)
    if 0.1 <= size <= 10 or spread == 0:
        return None
    optimizer = case.settings.optimizer
    evidence: dict[str, Any] = {"mean": level, "standard_deviation": spread, "steps": case.steps}
    words = f"The target is about {number(size)} in size. "
    clips = [name for name in ("clipnorm", "global_clipnorm", "clipvalue") if getattr(optimizer, name)]
    bounded = isinstance(optimizer, Adam | RMSprop) or isinstance(case.settings.loss, Huber) or bool(clips)
    if not bounded and size < 1e15:
        return None
    if isinstance(optimizer, Adam | RMSprop):
        evidence["reach"] = dynamics.reach(optimizer, case.steps)
        evidence["distance"] = float(np.abs(case.best - start_of(case)).max())
        words += (
            f"{type(optimizer).__name__} moves a parameter by about the learning rate a step, "
            f"{number(evidence['reach'])} "
            f"in the {case.steps} steps of this run, but the farthest parameter is {number(evidence['distance'])} away."
        )
    elif isinstance(case.settings.loss, Huber):
        words += f"Beyond delta = {case.settings.loss.delta:g} Huber's slope is bounded, so each step is short."
    elif clips:
        words += f"With {clips[0]}={getattr(optimizer, clips[0]):g} no step is longer, however far it has to go."
    else:
        words += "Squared, that is at the end of what float32 can hold."
    scaled = Remedy("scale the target", "Standardise the target (TransformedTargetRegressor).", scale_target=True)
    both = dataclasses.replace(
        scaled, name="scale target and features", steps=(STANDARDISE,),
        words="Standardise the target (TransformedTargetRegressor) and the features (StandardScaler).",
    )  # fmt: skip
    return Suspicion("target_scale", evidence, words, (scaled, both, *_and_rates(case, both)))


def _and_rates(case: Case, remedy: Remedy) -> list[Remedy]:
    lr = case.learning_rate
    return [
        dataclasses.replace(
            remedy, name=f"{remedy.name}, rate {number(rate)}", settings=at_rate(rate),
            words=f"{remedy.words} Set the learning rate to {number(rate)}.",
        )
        for rate in (0.01, 0.1) if rate > lr
    ]  # fmt: skip


def start_of(case: Case) -> Array:
    """Return the parameters at the start, zero where they are drawn."""
    initializer = case.model.kernel_initializer
    start = np.zeros_like(case.best)
    if not isinstance(initializer, str):
        start[: case.X.shape[1]] = np.asarray(initializer, np.float64).reshape(-1)
    return start


def learning_rate_too_high(case: Case, symptoms: Symptoms) -> Suspicion | None:
    """Steps that are longer than the way to the optimum."""
    lr, limit = case.learning_rate, symptoms.limit_now
    sgd = isinstance(case.settings.optimizer, SGD)
    if lr == 0:
        return None
    rates = [limit / 2, limit / 6, limit / 20] if sgd and math.isfinite(limit) else []
    rates = [rate for rate in rates if rate < lr] + [lr / factor for factor in (3, 10, 30, 100, 1000)]
    remedies = [
        Remedy(f"rate {number(rate)}", f"Set the learning rate to {number(rate)}.", settings=at_rate(rate))
        for rate in dict.fromkeys(rounded(rate) for rate in rates)
    ]
    if sgd and lr <= limit:
        words = (
            f"The learning rate is {number(lr)}, below {number(limit)}, up to which full batches are stable. But "
            "batches differ, and at this rate their differences keep the loss from settling."
        )
    elif sgd:
        words = (
            f"The learning rate is {number(lr)}; with these data full-batch steps are stable up to {number(limit)}: "
            f"{'above it ' if lr > limit else ''}each step overshoots the optimum"
            f"{', and further each time' if lr > limit else ' in some batches'}."
        )
    else:
        name = type(case.settings.optimizer).__name__
        words = f"{name} moves a parameter by about {number(lr)} a step, so it cannot settle."
    return Suspicion(
        "learning_rate_too_high",
        {"learning_rate": lr, "limit": limit, "ratio": lr / limit if limit else math.inf},
        words,
        tuple(remedies),
    )


def learning_rate_too_low(case: Case, symptoms: Symptoms) -> Suspicion | None:
    """Steps so short that the run ends on its way."""
    lr, limit = case.learning_rate, symptoms.limit_now
    optimizer = case.settings.optimizer
    if isinstance(optimizer, SGD):
        rates = [rate for rate in (limit / 2, limit / 5, limit / 20, limit / 100) if rate > 1.5 * lr]
    else:
        rates = [lr * factor for factor in (10, 100, 1000, 10_000, 100_000)] if lr else [1e-3, 1e-2, 1e-1]
    rates = [rounded(rate) for rate in rates if math.isfinite(rate)]
    if not rates:
        return None
    evidence: dict[str, Any] = {"learning_rate": lr, "limit": limit, "ratio": lr / limit, "steps": case.steps}
    words = f"The learning rate is {number(lr)}, and {case.steps} steps of it do not lead to the optimum"
    if isinstance(optimizer, SGD):
        times = f", {number(limit / lr)} times that" if lr else ""
        words += f"; full-batch steps would be stable up to {number(limit)}{times}."
    else:
        evidence["reach"] = dynamics.reach(optimizer, case.steps)
        evidence["distance"] = float(np.abs(case.best - start_of(case)).max())
        words += (
            f": a parameter moves by {number(evidence['reach'])} at most, the farthest one is "
            f"{number(evidence['distance'])} away."
        )
    remedies = [
        Remedy(f"rate {number(rate)}", f"Set the learning rate to {number(rate)}.", settings=at_rate(rate))
        for rate in rates
    ]
    return Suspicion("learning_rate_too_low", evidence, words, tuple(remedies))


def batch_noise(case: Case, symptoms: Symptoms) -> Suspicion | None:
    """Batches so small that their noise keeps the run from settling."""
    rows = case.count
    if case.full_batch or callable(case.settings.optimizer.learning_rate):
        return None  # other batches change how many steps an epoch has, and so the rates of a schedule
    sizes = [size for size in (8 * case.batch_size, 32 * case.batch_size) if size < rows] + [rows]
    last = rows % case.batch_size
    remedies = [
        Remedy(f"batches of {size}", f"Use batches of {size} rows.", settings={"batch_size": size}) for size in sizes
    ]
    if not case.model.shuffle:
        words = "Shuffle the rows in every epoch: shuffle=True (they may be sorted)."
        remedies.insert(0, Remedy("shuffle", words, settings={"shuffle": True}))
    small = 0 < last <= case.batch_size / SMALL_LAST
    if small and (whole := _without_small_last(rows, case.batch_size)):
        remedies.insert(
            0,
            Remedy(
                f"whole batches of {whole}",
                f"Use batches of {whole} rows, so that the last one is not much smaller than the others.",
                settings={"batch_size": whole},
            ),
        )
    return Suspicion(
        "batch_noise",
        {"batch_size": case.batch_size, "rows": rows, "last_batch": last or case.batch_size},
        f"Batches of {case.batch_size} of the {rows} rows disagree about the direction, so the loss keeps "
        f"jumping about the "
        f"optimum instead of settling{f'; the last batch has only {last}' if small else ''}."
        + ("" if case.model.shuffle else " The rows are taken in the order in which they stand: shuffle=False."),
        tuple(remedies),
    )


def _without_small_last(rows: int, batch_size: int) -> int | None:
    """Return the next batch size, up to half as much again, whose last batch is at least half as large."""
    sizes = range(batch_size + 1, min(batch_size * 3 // 2, rows) + 1)
    return next((size for size in sizes if (rows % size or size) >= size / 2), None)


def collinearity(case: Case, symptoms: Symptoms) -> Suspicion | None:
    """Columns that say the same: along their difference the loss is almost flat."""
    inflation = symptoms.inflation
    if not (inflation > LARGE_INFLATION).any():
        return None
    varying = np.flatnonzero(~symptoms.constant)
    guilty = varying[np.flatnonzero(inflation > LARGE_INFLATION)]
    names = [case.names[j] for j in guilty]
    dropped = independent_columns(case.X[:, varying])
    kept = varying[dropped]
    gone = [case.names[j] for j in varying if j not in set(kept.tolist())]
    standardised = Remedy(
        "drop collinear columns and standardise",
        f"Drop {', '.join(gone[:5])} and standardise the rest (StandardScaler).",
        (keep_columns(kept), STANDARDISE),
    )  # fmt: skip
    limit = symptoms.limit(_standardised(case.X[:, kept]))
    largest = float(inflation.max())
    alike = f"variance inflation up to {number(largest)}" if math.isfinite(largest) else "some follow from the others"
    return Suspicion(
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
                for rate in _faster(case, limit)
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


def conditioning(case: Case, symptoms: Symptoms) -> Suspicion | None:
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
    return Suspicion(
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


def steep_penalty(case: Case, symptoms: Symptoms) -> Suspicion | None:
    """A penalty that keeps the run from settling: it makes the loss steep, or its sign flips with every step."""
    regularizer = case.settings.regularizer
    if regularizer is None:
        return None
    without = case.with_settings(kernel_regularizer=None)
    limits = symptoms.limit_now, Symptoms(without).limit_now
    return Suspicion(
        "regularization",
        {**regularizer.get_params(deep=False), "limit": limits[0], "limit_without_penalty": limits[1]},
        f"The penalty {regularizer!r} is part of what each step goes down: with it learning rates up to "
        f"{number(limits[0])} are stable, without it up to {number(limits[1])}"
        + (
            ", and the slope of its absolute values turns round at zero instead of vanishing." if _has_l1(case) else "."
        ),
        (
            Remedy(
                "no penalty", "Leave the penalty out (kernel_regularizer=None).", settings={"kernel_regularizer": None}
            ),
        ),
    )


def _has_l1(case: Case) -> bool:
    return bool(getattr(case.settings.regularizer, "l1", 0))


SPECIFIC: tuple[Callable[[Case, Symptoms], Suspicion | None], ...] = (
    loss_reduction,
    unusual_momentum,
    high_leverage,
    constant_feature,
    feature_scale,
    target_scale,
    momentum_too_high,
    collinearity,
    conditioning,
    batch_noise,
    steep_penalty,
)
RATES: tuple[Callable[[Case, Symptoms], Suspicion | None], ...] = (learning_rate_too_high, learning_rate_too_low)


def suspicions(case: Case, symptoms: Symptoms) -> Iterator[Suspicion]:
    """Yield every cause whose symptom is there, the specific ones first."""
    for cause in (*SPECIFIC, *RATES):
        suspicion = cause(case, symptoms)
        if suspicion is not None:
            yield suspicion
