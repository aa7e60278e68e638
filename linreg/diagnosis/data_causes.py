"""Causes that lie in the size of the data and show in the loss: far rows, constant columns, scales.

Each function returns a `Finding` with remedies that are not tried yet, as in `linreg.diagnosis.setting_causes`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from linreg import dynamics
from linreg.diagnosis.cases import Case
from linreg.diagnosis.evidence import number
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.remedies import STANDARDISE, STANDARDISED, Remedy, at_rate, faster, keep_columns
from linreg.diagnosis.symptoms import Symptoms, median_and_deviation
from linreg.diagnosis.totals import naming_totals
from linreg.losses import Huber
from linreg.optimizers import SGD, Adam, RMSprop

Array = Any

NARROWED = 1.3
"""By how much the variance of some feature has to fall without its far rows."""


def left_out(name: str, words: str, rows: Sequence[int], symptoms: Symptoms) -> Remedy:
    """Return the remedy that leaves rows out; features that were standardised with them are standardised anew."""
    if symptoms.is_standardised:
        return Remedy(name, f"{words} Standardise again without them.", (STANDARDISE,), drop_rows=tuple(rows))
    if symptoms.is_bounded:
        words = f"{words} Scale the features of the others (StandardScaler)."
        return Remedy(name, words, (STANDARDISE,), drop_rows=tuple(rows))
    return Remedy(name, words, drop_rows=tuple(rows))


def high_leverage(case: Case, symptoms: Symptoms) -> Finding | None:
    """A few rows far out in the features that make the loss steep for all."""
    leverage, rows = symptoms.leverage, len(case.y)
    far = symptoms.far_rows
    if rows < 4 or not len(far):
        return None
    kept = np.setdiff1d(np.arange(rows), far)
    narrowed = symptoms.spread / np.maximum(case.X[kept].std(axis=0), 1e-300)
    # In the batch that holds it, a far row weighs more than among all rows.
    batch, farthest = _limit_of_a_batch(case, symptoms, far)
    without = symptoms.limit(case.X[kept], kept)
    if (narrowed**2 < NARROWED).all() and batch * NARROWED > without and not symptoms.is_bounded:
        return None
    numbers = case.row_numbers[far].tolist()
    places = ", ".join(map(str, numbers[:3])) + (f" and {len(numbers) - 3} more" if len(numbers) > 3 else "")
    row, lie, them, whose, errors = "row", "lies", "it", "its own", "it is an error"
    if len(numbers) > 1:
        row, lie, them, whose, errors = "rows", "lie", "them", "theirs", "they are errors"
    if without >= NARROWED * symptoms.limit_now:
        what = (
            f"the loss is steep because of {them}: without {them} learning rates up to {number(without)} are stable, "
            f"with {them} up to {number(symptoms.limit_now)}"
        )
    elif batch * NARROWED <= symptoms.limit_now:
        what = (
            f"the batch of {case.batch_size} that holds row {case.row_numbers[farthest]} is steep: in it learning "
            f"rates up to {number(batch)} at most are stable, among all rows up to {number(symptoms.limit_now)}"
        )
    elif symptoms.is_bounded:
        j = int(np.argmax(narrowed))
        what = (
            f"the largest values, about 1, are {whose}, which leaves {case.names[j]} a standard deviation of "
            f"{number(case.X[kept, j].std())} in all other rows"
        )
    elif (narrowed**2 < NARROWED).all():
        what = f"in the batches that hold {them} all other rows hardly count"
    else:
        j = int(np.argmax(narrowed))
        what = (
            f"the spread of {case.names[j]} is {whose}: its standard deviation is {number(symptoms.spread[j])} with "
            f"{them} and {number(case.X[kept, j].std())} without"
        )
    found = Finding(
        "high_leverage",
        {
            "rows": numbers,
            "leverage": leverage[far].tolist(),
            "limit": symptoms.limit_now,
            "limit_without_them": without,
        },
        f"{row.capitalize()} {places} (counted from 0) {lie} so far from the others (leverage up to "
        f"{leverage[far].max():.2f} of 1) that {what}.",
        (left_out("drop far rows", f"Look at {row} {places}; leave {them} out if {errors}.", numbers, symptoms),),
    )
    return naming_totals(found, case, far)


def _limit_of_a_batch(case: Case, symptoms: Symptoms, far: Array) -> tuple[float, int]:
    """Return the rate up to which a batch can be stable that holds the farthest of some rows, and which row that is."""
    others = 1 if case.settings.loss.reduction == "sum" else case.batch_size  # a mean divides by them
    weight = case.weight()
    rows = [int(row) for row in far if weight is None or weight[row] > 0]
    limits = [others * symptoms.limit(case.X[[row]], [row]) for row in rows]
    return (min(limits), rows[int(np.argmin(limits))]) if rows else (math.inf, int(far[0]))


def constant_feature(case: Case, symptoms: Symptoms) -> Finding | None:
    """Columns that do not vary: they teach nothing, and large ones make the loss steep."""
    if not symptoms.constant.any() or not case.model.fit_intercept or symptoms.constant.all():
        return None
    columns = [case.names[j] for j in np.flatnonzero(symptoms.constant)]
    values = symptoms.mean[symptoms.constant]
    without = symptoms.limit(case.X[:, ~symptoms.constant])
    steep = "; it takes a part of the intercept"
    if without >= NARROWED * symptoms.limit_now:
        steep = (
            f"; it makes the loss steep all the same: without it full-batch SGD is stable at learning rates up to "
            f"{number(without)}, with it up to {number(symptoms.limit_now)}"
        )
    return Finding(
        "constant_feature",
        {"columns": columns, "values": values.tolist(), "limit": symptoms.limit_now, "limit_without": without},
        f"Column {', '.join(columns[:3])} has the same value in every row ({', '.join(map(number, values[:3]))}), so "
        f"it can teach nothing that the intercept does not{steep}.",
        (
            Remedy(
                "drop constant", f"Drop {', '.join(columns[:3])}.", (keep_columns(np.flatnonzero(~symptoms.constant)),)
            ),
        ),
    )


def feature_scale(case: Case, symptoms: Symptoms) -> Finding | None:
    """Columns of different size, or far from zero: one learning rate cannot suit all."""
    sizes = np.sqrt(np.average(case.X**2, axis=0, weights=case.counts))
    varying = sizes[~symptoms.constant]
    if not len(varying):
        return None
    if symptoms.is_standardised:
        return None
    largest = int(np.argmax(np.where(symptoms.constant, -1.0, sizes)))
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
    both = tuple(
        Remedy(
            f"standardise, rate {number(rate)}",
            f"Standardise the features (StandardScaler) and set the learning rate to {number(rate)}.",
            (STANDARDISE,), at_rate(rate),
        )
        for rate in faster(case, scaled)
    )  # fmt: skip
    return Finding(
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


def clipped(case: Case, symptoms: Symptoms) -> str:
    """Return the clip that keeps the run from its optimum, however large the gradients are; "" if none does."""
    optimizer = case.settings.optimizer
    for name in ("clipnorm", "global_clipnorm", "clipvalue"):
        if getattr(optimizer, name) and isinstance(optimizer, SGD) and _reach(case, name) < symptoms.distance:
            return name
    return ""


def _reach(case: Case, clip: str) -> float:
    """Return how far the clipped steps of SGD move a parameter at most; momentum makes each go on for longer."""
    optimizer = case.settings.optimizer
    longer = 1 / (1 - optimizer.momentum) if optimizer.momentum < 1 else math.inf
    return float(getattr(optimizer, clip) * case.learning_rate * case.steps * longer)


def target_scale(case: Case, symptoms: Symptoms) -> Finding | None:
    """A target of a size that the steps cannot reach, or that the arithmetic cannot hold."""
    level, deviation = map(float, median_and_deviation(case.y))
    spread = deviation or float(case.y.std())
    size, clip = math.hypot(level, spread), clipped(case, symptoms)
    if spread == 0 or (0.1 <= size <= 10 and not clip):
        return None
    optimizer = case.settings.optimizer
    evidence: dict[str, Any] = {"median": level, "standard_deviation": spread, "steps": case.steps}
    words = f"The target is about {number(size)} in size. "
    bounded = isinstance(optimizer, Adam | RMSprop) or isinstance(case.settings.loss, Huber) or bool(clip)
    if not bounded and size < 1e15:
        return None
    if isinstance(optimizer, Adam | RMSprop):
        evidence["reach"] = dynamics.reach(optimizer, case.steps)
        evidence["distance"] = symptoms.distance
        words += (
            f"{type(optimizer).__name__} moves a parameter by about the learning rate a step, "
            f"{number(evidence['reach'])} "
            f"in the {case.steps} steps of this run"
            + (
                f", but the farthest parameter is {number(evidence['distance'])} away."
                if evidence["reach"] < evidence["distance"]
                else f"; the farthest parameter is {number(evidence['distance'])} away, with little to spare."
            )
        )
    elif clip:
        evidence["reach"] = _reach(case, clip)
        evidence["distance"] = symptoms.distance
        words += (
            f"With {clip}={getattr(optimizer, clip):g} no gradient counts for more than that: the {case.steps} steps "
            f"of this run move a parameter by {number(evidence['reach'])} at most, but the farthest one is "
            f"{number(evidence['distance'])} away."
        )
    elif isinstance(case.settings.loss, Huber):
        words += f"Beyond delta = {case.settings.loss.delta:g} Huber's slope is bounded, so each step is short."
    else:
        words += "Squared, that is at the end of what float32 can hold."
    unclipped = [Remedy("no clipping", f"Leave {clip} out.", settings={f"optimizer__{clip}": None})] if clip else []
    scaled = Remedy("scale the target", "Standardise the target (TransformedTargetRegressor).", scale_target=True)
    both = dataclasses.replace(
        scaled, name="scale target and features", steps=(STANDARDISE,),
        words="Standardise the target (TransformedTargetRegressor) and the features (StandardScaler).",
    )  # fmt: skip
    return Finding("target_scale", evidence, words, (*unclipped, scaled, both, *_and_rates(case, both)))


def _and_rates(case: Case, remedy: Remedy) -> list[Remedy]:
    lr = case.learning_rate
    return [
        dataclasses.replace(
            remedy, name=f"{remedy.name}, rate {number(rate)}", settings=at_rate(rate),
            words=f"{remedy.words} Set the learning rate to {number(rate)}.",
        )
        for rate in (0.01, 0.1) if rate > lr
    ]  # fmt: skip
