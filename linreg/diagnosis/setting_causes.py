"""Causes that lie in the settings and show in the loss: each turns a symptom into evidence, words and remedies.

It returns a `Finding`, its remedies not tried yet, where its symptom is there, else None. Whether the cause matters to
the run is decided afterwards, by trying them (`linreg.diagnosis.judge`); if they change nothing, it is dropped.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from linreg import dynamics
from linreg.diagnosis.cases import Case
from linreg.diagnosis.evidence import number
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.remedies import UNPENALISED, Remedy, at_rate, rounded
from linreg.diagnosis.symptoms import Symptoms
from linreg.optimizers import SGD, Adam, RMSprop

HEAVY = 2.0
"""Mean of the sample weights from which they change the length of a step."""

USUAL_MOMENTUM = 0.95
"""Momentum up to which nobody is surprised."""

FAR_OFF = 20.0
"""Highest rate of a schedule over its mean, or over its first, that nobody means."""

SMALL_LAST = 4
"""So many times smaller than the others is a last batch that is worth a word."""


def loss_reduction(case: Case, symptoms: Symptoms) -> Finding | None:
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
    return Finding(
        "loss_reduction",
        {"reduction": "sum", "batch_size": case.batch_size, "step_is_larger_by": case.batch_size},
        f"The loss is the sum over the {case.batch_size} rows of a batch instead of their mean, so each step is "
        f"{case.batch_size} times as long as the learning rate says.",
        (mean,),
    )


def _weights_that_count(case: Case) -> Finding | None:
    mean = float(np.mean(np.asarray(case.sample_weight)))
    if 1 / HEAVY < mean < HEAVY:
        return None
    divided = Remedy(
        "mean by weight",
        'Divide by the sum of the weights: reduction="mean_with_sample_weight"; or give weights that are 1 on average.',
        settings={"loss__reduction": "mean_with_sample_weight"},
    )
    return Finding(
        "loss_reduction",
        {"mean_weight": mean, "step_is_larger_by": mean},
        f"The sample weights are {number(mean)} on average, and the loss of a batch is divided by its rows, not by the "
        f"sum of their weights, so each step is {number(mean)} times as long as the learning rate says.",
        (divided,),
    )


def momentum_too_high(case: Case, symptoms: Symptoms) -> Finding | None:
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
    if isinstance(optimizer, Adam) and momentum > optimizer.beta_2:
        usual = {"optimizer__beta_1": 0.9, "optimizer__beta_2": 0.999}
        words = (
            f"beta_1={momentum:g} is above beta_2={optimizer.beta_2:g}: were they swapped? Keras' are 0.9 and 0.999."
        )
        remedies = (Remedy("usual betas", words, settings=usual), *remedies)
    return Finding(
        "momentum_too_high",
        {field: momentum, "steps_remembered": memory, "steps": case.steps},
        f"With {field} {momentum:g} every step "
        f"{f'goes on for about {number(memory)} more' if momentum < 1 else 'never fades'}, so the run overshoots the "
        f"optimum and swings; it has {case.steps} steps in all.",
        remedies,
    )


def _momentum(optimizer: Any) -> tuple[str, float]:
    """Return what an optimizer calls its momentum, and how much it has: none, where a rule of one's own has no such."""
    field = "beta_1" if isinstance(optimizer, Adam) else "momentum"
    return field, float(getattr(optimizer, field, 0.0))


def unusual_momentum(case: Case, symptoms: Symptoms) -> Finding | None:
    """Momentum above what anybody uses: suspected before the data are."""
    _, momentum = _momentum(case.settings.optimizer)
    return momentum_too_high(case, symptoms) if momentum > USUAL_MOMENTUM + 1e-12 else None


def learning_rate_too_high(case: Case, symptoms: Symptoms) -> Finding | None:
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
            "above it each step overshoots the optimum, and further each time."
        )
    else:
        name = type(case.settings.optimizer).__name__
        words = f"{name} moves a parameter by about {number(lr)} a step, so it cannot settle."
    return Finding(
        "learning_rate_too_high",
        {"learning_rate": lr, "limit": limit, "ratio": lr / limit if limit else math.inf},
        words,
        tuple(remedies),
    )


def learning_rate_too_low(case: Case, symptoms: Symptoms) -> Finding | None:
    """Steps so short that the run ends on its way."""
    lr, limit = case.learning_rate, symptoms.limit_now
    optimizer = case.settings.optimizer
    if isinstance(optimizer, SGD):
        rates = [rate for rate in (limit / 2, limit / 5, limit / 20, limit / 100) if rate > 1.5 * lr]
    else:
        # First powers of ten, then what lies between.
        factors = (10, 100, 1000, 10_000, 100_000, 30, 300, 3)
        rates = [lr * factor for factor in factors] if lr else [1e-3, 1e-2, 1e-1]
    rates = [rounded(rate) for rate in rates if math.isfinite(rate)]
    if not rates:
        return None
    evidence: dict[str, Any] = {"learning_rate": lr, "limit": limit, "ratio": lr / limit, "steps": case.steps}
    words = f"The learning rate is {number(lr)}, and {case.steps} steps of it do not lead to the optimum"
    if isinstance(optimizer, SGD):
        times = f", {number(limit / lr)} times that" if lr else ""
        words += f"; full-batch steps would be stable up to {number(limit)}{times}."
    elif not isinstance(optimizer, Adam | RMSprop):  # a rule of one's own, whose reach nobody has worked out
        words += "."
    else:
        evidence["reach"] = dynamics.reach(optimizer, case.steps)
        evidence["distance"] = symptoms.distance
        far = evidence["reach"] < evidence["distance"]
        words += (
            f": a parameter moves by {number(evidence['reach'])} at most, the farthest one is "
            f"{number(evidence['distance'])} away."
            if far
            else ", which lies in a flat direction or far from where most steps go."
        )
    remedies = [
        Remedy(f"rate {number(rate)}", f"Set the learning rate to {number(rate)}.", settings=at_rate(rate))
        for rate in rates
    ]
    return Finding("learning_rate_too_low", evidence, words, tuple(remedies))


def batch_noise(case: Case, symptoms: Symptoms) -> Finding | None:
    """Batches so small that their noise keeps the run from settling."""
    rows = case.count
    if case.full_batch or case.rates.mean() * FAR_OFF < case.rates.max():
        return None  # larger batches make fewer steps: a schedule that decays too soon would seem cured by them
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
    return Finding(
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


def steep_penalty(case: Case, symptoms: Symptoms) -> Finding | None:
    """A penalty that keeps the run from settling: it makes the loss steep, its sign flips, or it decays the weights."""
    regularizer, decay = case.settings.regularizer, case.settings.optimizer.weight_decay
    if regularizer is None:
        return _weight_decay(decay) if decay else None
    without = case.with_settings(kernel_regularizer=None)
    limits = symptoms.limit_now, Symptoms(without).limit_now
    return Finding(
        "regularization",
        {**regularizer.get_params(deep=False), "limit": limits[0], "limit_without_penalty": limits[1]},
        f"The penalty {regularizer!r} is part of what each step goes down: with it learning rates up to "
        f"{number(limits[0])} are stable, without it up to {number(limits[1])}"
        + (
            ", and the slope of its absolute values turns round at zero instead of vanishing." if _has_l1(case) else "."
        ),
        (UNPENALISED,),
    )


def _weight_decay(decay: float) -> Finding:
    weaker = rounded(decay / 100)
    return Finding(
        "regularization",
        {"weight_decay": decay},
        f"weight_decay={decay:g} takes that share of the learning rate from every weight at each step, the intercept "
        "too, whatever the loss says: the weights settle where both pulls are equal, short of the optimum.",
        (
            Remedy("no decay", "Leave it out (weight_decay=None).", settings={"optimizer__weight_decay": None}),
            Remedy(
                "weaker decay", f"Weaken it a hundredfold: weight_decay={weaker:g}.",
                settings={"optimizer__weight_decay": weaker},
            ),
        ),
    )  # fmt: skip


def _has_l1(case: Case) -> bool:
    return bool(getattr(case.settings.regularizer, "l1", 0))
