"""Rates, momenta, reductions, batches, penalties.

| cause | form | what is done | undone |
|---|---|---|---|
| learning_rate_too_high | copied | a round rate of another problem (mild: 1.2 to 1.5 times) | the rate that suits |
| | just_above | 1.03 to 1.4 times the limit | the rate that suits |
| | batch_rule | multiplied by what the batches would be larger, though they are not | not multiplied |
| | growing | a decay of more than 1 an epoch: it grows | the constant rate |
| | wrong_order | the pieces of a schedule in the wrong order, the largest last | the constant rate |
| | hot_start | a decay that begins far above the rate | the constant rate |
| learning_rate_too_low | cautious | 2e-5 or 1e-6, as for fine-tuning, or a twentieth | the rate that suits |
| | divided_twice | divided by the rows of a batch, though the loss is a mean | not divided |
| | counted_in_epochs | a cosine over as many steps as there are epochs | the constant rate |
| | boundaries_in_epochs | to a tenth and a hundredth after some steps; meant were epochs | the constant rate |
| | harsh_decay | an inverse of the step | the constant rate |
| momentum_too_high | nines | 0.98 to 0.9999, of RMSprop up to 1 (mild: 0.91 to 0.94) | what suits |
| | nesterov_too | likewise, with Nesterov's | what suits |
| | long_average | Adam's beta_1, likewise | 0.9 |
| | swapped_betas | Adam's beta_1 and beta_2 in each other's place | in their own |
| loss_reduction | summed | a sum beside a rate for means (mild: where steps do not grow with it) | a mean |
| | expansion | weights of hundreds, and a division by rows (mild: weights about 1) | a division by weights |
| | inverse_variance | weights of 1 / error^2, likewise | a division by weights |
| | exposure | weights of a hundredth or less, likewise | a division by weights |
| batch_noise | online | one row at a time | full batches |
| | handful | two to six rows (mild: 32 to 64) | full batches |
| | last_row | batches that leave one row for the last | full batches |
| regularization | ridge, lasso, elastic | a penalty of about the size of the loss (mild: a thousandth) | none |
| | decay | weight decay that holds the parameters back | none |
| | steep | an L2 penalty so large that its own slope is too steep for the rate | none |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.faults.fifth_plan import Change, Form, Generator, Mistake, Plan, case_of, fit_with, optimize
from benchmarks.faults.fifth_training import curvature, human
from benchmarks.faults.objective import Array
from linreg import L1, L1L2, L2, SGD, Adam, Huber, RMSprop, schedules
from linreg.precision import FLOAT64
from linreg.schedules import rates_of


def mean_rate(plan: Plan) -> float:
    """Return the learning rate, or a schedule's mean over the steps of the run."""
    return float(np.mean(rates_of(plan.settings["optimizer"].learning_rate, np.arange(plan.steps), FLOAT64)))


def _steady(plan: Plan) -> bool:
    return isinstance(plan.settings["optimizer"].learning_rate, float)


def _is_sgd(plan: Plan) -> bool:
    return isinstance(plan.settings["optimizer"], SGD)


def _limit(plan: Plan) -> float:
    """Return the largest stable rate of full batches."""
    momentum = plan.settings["optimizer"].momentum
    faster = (1 + momentum) / (1 + 2 * momentum) if plan.settings["optimizer"].nesterov else 1 + momentum
    return 2 * faster / curvature(case_of(plan).outcome.objective, None)


def _rate(rate: Any) -> Change:
    return lambda s: optimize(s, learning_rate=rate)


# Rates.


def copied(rng: Generator, plan: Plan, size: str) -> Change | None:
    rate = mean_rate(plan)
    if size == "mild":
        return _rate(float(f"{rate * rng.uniform(1.2, 1.5):.3g}")) if _steady(plan) else None
    factor = float(rng.choice([20, 50, 100] if size == "slight" else [200, 1000, 5000]))
    return _rate(human(max(rate * factor, 2 * _limit(plan)) if _is_sgd(plan) and size == "slight" else rate * factor))


def just_above(rng: Generator, plan: Plan, size: str) -> Change | None:
    if not _is_sgd(plan) or size != "slight":
        return None
    return _rate(float(f"{_limit(plan) * rng.uniform(1.03, 1.4):.3g}"))


def batch_rule(rng: Generator, plan: Plan, size: str) -> Change | None:
    factor = float(rng.choice([8, 16, 32] if size == "slight" else [64, 128, 256]))
    return None if size == "mild" or not _steady(plan) else _rate(float(f"{factor * mean_rate(plan):.3g}"))


def growing(rng: Generator, plan: Plan, size: str) -> Change | None:
    if size == "mild" or not _steady(plan):
        return None
    batches, rate = max(1, plan.steps // plan.settings["epochs"]), mean_rate(plan)
    top = float(np.exp(rng.uniform(*np.log((300, 1e4) if size == "slight" else (1e4, 1e7)))))
    each = float(f"{top ** (1 / plan.settings['epochs']):.4g}")
    return _rate(schedules.ExponentialDecay(rate, batches, each)) if each > 1.001 else None


def wrong_order(rng: Generator, plan: Plan, size: str) -> Change | None:
    if size == "mild" or not _steady(plan) or plan.steps < 20:
        return None
    rate, up = mean_rate(plan), float(10 if size == "slight" else 30)
    ends = (round(plan.steps * 0.3), round(plan.steps * rng.uniform(0.5, 0.7)))
    return _rate(schedules.PiecewiseConstantDecay(ends, tuple(float(f"{rate * f:.3g}") for f in (1, up, up * up))))


def hot_start(rng: Generator, plan: Plan, size: str) -> Change | None:
    if size == "mild" or not _steady(plan):
        return None
    rate = mean_rate(plan)
    high = float(f"{rate * float(rng.choice([100, 300] if size == 'slight' else [1000, 1e4])):.3g}")
    if rng.random() < 0.5:
        return _rate(schedules.PolynomialDecay(high, plan.steps, rate, power=1.0))
    return _rate(schedules.CosineDecayRestarts(high, max(2, plan.steps // 4), t_mul=1.0, m_mul=0.9))


def cautious(rng: Generator, plan: Plan, size: str) -> Change | None:
    rate = mean_rate(plan)
    if size == "mild":
        return _rate(float(f"{rate * rng.uniform(0.6, 0.85):.3g}")) if _steady(plan) else None
    low = [r for r in (1e-3, 5e-5, 3e-5, 2e-5, 1e-5, 1e-6) if r < rate / (10 if size == "slight" else 100)]
    if size == "gross" and low:
        return _rate(float(rng.choice(low)))
    return _rate(human(rate / float(rng.choice([8, 20, 40]))))


def divided_twice(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    rows = min(plan.batch or plan.rows, plan.rows)
    return None if size == "mild" or not _steady(plan) or rows < 8 else _rate(float(f"{mean_rate(plan) / rows:.3g}"))


def counted_in_epochs(rng: Generator, plan: Plan, size: str) -> Change | None:
    epochs = plan.settings["epochs"]
    if size == "mild" or not _steady(plan) or plan.steps < 8 * epochs:
        return None
    return _rate(schedules.CosineDecay(mean_rate(plan), epochs, alpha=float(rng.choice([0.0, 0.001]))))


def boundaries_in_epochs(rng: Generator, plan: Plan, size: str) -> Change | None:
    if size == "mild" or not _steady(plan) or plan.steps < 60:
        return None
    first = int(rng.integers(2, 11))
    rate = mean_rate(plan)
    pieces = tuple(float(f"{rate * f:.3g}") for f in (1, 0.1, 0.01, 0.001))
    return _rate(schedules.PiecewiseConstantDecay((first, 2 * first, 3 * first), pieces))


def harsh_decay(rng: Generator, plan: Plan, size: str) -> Change | None:
    if size == "mild" or not _steady(plan):
        return None
    return _rate(
        schedules.InverseTimeDecay(mean_rate(plan), 1, float(rng.choice([1.0, 5.0] if size == "slight" else [10, 100])))
    )


# Momentum.


def _nine(rng: Generator, size: str) -> float:
    values = {"mild": [0.91, 0.94], "slight": [0.98, 0.99, 0.995], "gross": [0.998, 0.999, 0.9995, 0.9999]}
    return float(rng.choice(values[size]))


def nines(rng: Generator, plan: Plan, size: str) -> Change | None:
    optimizer, value = plan.settings["optimizer"], _nine(rng, size)
    if isinstance(optimizer, Adam):
        return None
    if isinstance(optimizer, RMSprop) and size == "gross" and rng.random() < 0.2:
        value = 1.0
    return lambda s: optimize(s, momentum=value)


def nesterov_too(rng: Generator, plan: Plan, size: str) -> Change | None:
    value = _nine(rng, size)
    return (lambda s: optimize(s, momentum=value, nesterov=True)) if _is_sgd(plan) else None


def long_average(rng: Generator, plan: Plan, size: str) -> Change | None:
    value = _nine(rng, size)
    return (lambda s: optimize(s, beta_1=value)) if isinstance(plan.settings["optimizer"], Adam) else None


def swapped_betas(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    if size == "mild" or not isinstance(plan.settings["optimizer"], Adam):
        return None
    return lambda s: optimize(s, beta_1=0.999, beta_2=0.9)


# Reductions.


def summed(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    if (size == "mild") == _is_sgd(plan):
        return None
    return lambda s: fit_with(s, loss=replace(s.settings["loss"], reduction="sum"))


def _weighted(plan: Plan, weights: Callable[[Generator, int], Array], seed: int) -> Mistake:
    """Return a mistake whose plan has weights without it as well, divided by their sum there and by rows here."""

    def prepared(s: Plan) -> Plan:
        weight = weights(np.random.default_rng(seed), s.rows)
        return fit_with(
            replace(s, weight=weight), loss=replace(s.settings["loss"], reduction="mean_with_sample_weight")
        )

    loss = replace(plan.settings["loss"], reduction="sum_over_batch_size")
    return Mistake(lambda s: fit_with(s, loss=loss), prepared)


def expansion(rng: Generator, plan: Plan, size: str) -> Mistake | None:
    seed, many = int(rng.integers(2**31)), float(rng.choice([30, 100, 300] if size == "slight" else [1000, 5000]))
    if size == "mild":
        return _weighted(plan, lambda r, n: np.round(r.gamma(8, 0.13, n), 2) + 0.01, seed)
    return _weighted(plan, lambda r, n: np.round(r.gamma(3, many / 3, n)) + 1, seed) if _is_sgd(plan) else None


def inverse_variance(rng: Generator, plan: Plan, size: str) -> Mistake | None:
    seed, error = int(rng.integers(2**31)), float(rng.choice([0.1, 0.2] if size == "slight" else [0.01, 0.03]))
    if size == "mild" or not _is_sgd(plan):
        return None
    return _weighted(plan, lambda r, n: 1 / (error * r.uniform(0.7, 1.4, n)) ** 2, seed)


def exposure(rng: Generator, plan: Plan, size: str) -> Mistake | None:
    seed, share = int(rng.integers(2**31)), float(rng.choice([0.03, 0.01] if size == "slight" else [1e-3, 1e-4]))
    if size == "mild" or not _is_sgd(plan):
        return None
    return _weighted(plan, lambda r, n: share * r.uniform(0.3, 1.7, n), seed)


# Batches.


def _batch(plan: Plan, rows: int) -> Change | None:
    """Return the change to batches of so many rows, None where that takes too many steps."""
    return None if plan.settings["epochs"] * plan.rows > 25_000 * rows else lambda s: replace(s, batch=rows)


def online(rng: Generator, plan: Plan, size: str) -> Change | None:  # noqa: ARG001
    return None if size == "mild" else _batch(plan, 1)


def handful(rng: Generator, plan: Plan, size: str) -> Change | None:
    rows = int(rng.choice({"mild": [32, 64], "slight": [4, 5, 6], "gross": [2, 3]}[size]))
    return _batch(plan, rows) if rows < plan.rows else None


def last_row(rng: Generator, plan: Plan, size: str) -> Change | None:
    sizes = [b for b in range(8, plan.rows // 2) if plan.rows % b == 1]
    return None if size == "mild" or not sizes else _batch(plan, int(rng.choice(sizes)))


# Penalties.


def _strength(rng: Generator, plan: Plan, size: str) -> float:
    """Return a penalty per squared coefficient, in units of the loss's own curvature."""
    own = case_of(plan).outcome.objective.hessian()
    each = float(np.median(np.diag(own)[: plan.X.shape[1]])) / 2
    return each * float(
        np.exp(rng.uniform(*np.log({"mild": (1e-4, 1e-3), "slight": (0.1, 0.6), "gross": (0.6, 20)}[size])))
    )


def ridge(rng: Generator, plan: Plan, size: str) -> Change | None:
    strength = human(_strength(rng, plan, size))
    return lambda s: fit_with(s, kernel_regularizer=L2(strength))


def _typical(plan: Plan) -> float:
    return float(np.abs(case_of(plan).outcome.minimiser[: plan.X.shape[1]]).mean())


def lasso(rng: Generator, plan: Plan, size: str) -> Change | None:
    strength = human(_strength(rng, plan, size) * _typical(plan))
    return lambda s: fit_with(s, kernel_regularizer=L1(strength))


def elastic(rng: Generator, plan: Plan, size: str) -> Change | None:
    if isinstance(plan.settings["loss"], Huber):
        return None
    strength = _strength(rng, plan, size) / 2
    return lambda s: fit_with(s, kernel_regularizer=L1L2(human(strength * _typical(plan)), human(strength)))


def decay(rng: Generator, plan: Plan, size: str) -> Change | None:
    if size == "mild":
        return lambda s: optimize(s, weight_decay=1e-5)
    strength = human(2 * _strength(rng, plan, size))
    return lambda s: optimize(s, weight_decay=strength)


def steep(rng: Generator, plan: Plan, size: str) -> Change | None:
    if not _is_sgd(plan) or size != "gross":
        return None
    strength = human(float(rng.uniform(1.5, 20)) / mean_rate(plan), up=True)
    return lambda s: fit_with(s, kernel_regularizer=L2(strength))


RATES: dict[str, tuple[Form, ...]] = {
    "learning_rate_too_high": (copied, just_above, just_above, batch_rule, growing, wrong_order, hot_start),
    "learning_rate_too_low": (cautious, divided_twice, counted_in_epochs, boundaries_in_epochs, harsh_decay),
    "momentum_too_high": (nines, nesterov_too, long_average, swapped_betas),
    "loss_reduction": (summed, summed, expansion, inverse_variance, exposure),
    "batch_noise": (online, handful, handful, last_row),
    "regularization": (ridge, ridge, lasso, elastic, decay, steep),
}
"""The forms of each cause."""
