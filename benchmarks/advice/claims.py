"""What is said about rising losses of linear models in TensorFlow, and the runs that decide it.

A claim is judged by a function of what its runs show, the same for those of NumPy and of tf.keras: it returns "true",
"true, with a condition" or "false", and the sentences that say why, with the numbers of the runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.advice.runs import EPOCHS, Seen, Trial
from linreg import SGD, Adam, Huber, RMSprop, dynamics, schedules
from linreg.experiments import known_experiments

Verdict = tuple[str, str]
Judge = Callable[[Mapping[str, Seen]], Verdict]

TRUE, CONDITION, FALSE = "true", "true, with a condition", "false"
NOT_DECIDED = "not decided", "The runs are not what they were when this was written."
OFTEN = 20
"""A loss that rises in more epochs than these does not settle."""


@dataclass(frozen=True, eq=False)
class Claim:
    """What is said, the runs that decide it, and the function that does."""

    name: str
    says: str
    trials: tuple[Trial, ...]
    judge: Judge


CLAIMS: list[Claim] = []


def claim(name: str, says: str, *trials: Trial) -> Callable[[Judge], Judge]:
    """Register the function below as the judge of a claim."""

    def register(judge: Judge) -> Judge:
        CLAIMS.append(Claim(name, says, trials, judge))
        return judge

    return register


def limit(X: Any, **settings: Any) -> float:
    return float(dynamics.max_learning_rate(X, **settings))


def standardised(X: Any) -> Any:
    return (X - X.mean(axis=0)) / X.std(axis=0)


def at(rate: float, **around: Any) -> dict[str, Any]:
    return {"optimizer": SGD(rate, **around)}


table, column, far = (known.trials[0] for known in known_experiments())
LINE = column.X, column.y
"""100 uniform x and y = 2x + 1 with noise of 0.1: the second of the known experiments."""
UNSCALED = Trial("unscaled table, rate 0.01", table.X, table.y, at(0.01))
RATE_10 = Trial("y = 2x + 1, rate 10", *LINE, at(10.0))
FAR_POINT = Trial("one far point, rate 0.01", far.X, far.y, at(0.01))


@claim(
    "final losses",
    "The losses at the end of the three well-known bad runs show which mistake is worst.",
    UNSCALED,
    RATE_10,
    FAR_POINT,
)
def _final_losses(seen: Mapping[str, Seen]) -> Verdict:
    ratios = [rate / limit(X) for rate, X in ((0.01, table.X), (10.0, LINE[0]), (0.01, far.X))]
    if not all(run.not_finite_from for run in seen.values()):
        return NOT_DECIDED
    return FALSE, (
        "All three end in nan, so there is nothing to compare. What can be compared is the learning rate over the "
        f"largest stable one: {ratios[0]:,.0f}, {ratios[1]:.1f} and {ratios[2]:.1f}."
    )


RNG = np.random.default_rng(0)
SMALL = 0.1 * (RNG.normal(size=(100, 1)) + 0.1 * RNG.normal(size=(100, 2)))
"""Two columns of the size of 0.1 that are strongly correlated."""
SMALL_Y = SMALL @ [1.0, 1.0] + 1


@claim(
    "scaling",
    "Unscaled features make the loss rise; standardise them.",
    UNSCALED,
    Trial("the same, standardised", standardised(table.X), table.y, at(0.01)),
    Trial("unscaled table, rate 1e-7", table.X, table.y, at(1e-7)),
    Trial("small correlated columns, rate 0.8", SMALL, SMALL_Y, at(0.8)),
    Trial("the same, standardised, rate 0.8", standardised(SMALL), SMALL_Y, at(0.8)),
)
def _scaling(seen: Mapping[str, Seen]) -> Verdict:
    unscaled, scaled, slow, small, small_scaled = seen.values()
    cures = not unscaled.falls and scaled.never_rises and slow.never_rises
    if not (cures and small.never_rises and not small_scaled.falls):
        return NOT_DECIDED
    return CONDITION, (
        f"What counts is the rate beside the limit of the features. The table's is {limit(table.X):.3g}, standardised "
        f"{limit(standardised(table.X)):.3g}: a rate of 0.01 lies between them, and 1e-7 is below both. Where columns "
        f"are small and correlated, standardising lowers the limit, here from {limit(SMALL):.2f} to "
        f"{limit(standardised(SMALL)):.2f}, and a run that was fine diverges."
    )


TENTHS = LINE[0] / 10


@claim(
    "rate 10",
    "A learning rate of 10 makes the loss explode.",
    RATE_10,
    Trial("x in tenths, no intercept, rate 10", TENTHS, 20 * TENTHS[:, 0], {**at(10.0), "fit_intercept": False}),
)
def _rate_10(seen: Mapping[str, Seen]) -> Verdict:
    usual, tenths = seen.values()
    if usual.falls or not tenths.never_rises:
        return NOT_DECIDED
    return CONDITION, (
        f"If the limit is below it. That of y = 2x + 1 is {limit(LINE[0]):.2f}. Without an intercept and with x ten "
        f"times smaller it is {limit(TENTHS, fit_intercept=False):.0f}, and a rate of 10 is slow."
    )


@claim(
    "rate 0.0001",
    "A learning rate that is too low, 0.0001 say, makes the loss rise.",
    Trial("y = 2x + 1, rate 0.0001", *LINE, at(0.0001)),
    Trial("unscaled table, rate 0.0001", table.X, table.y, at(0.0001)),
)
def _rate_too_low(seen: Mapping[str, Seen]) -> Verdict:
    usual, unscaled = seen.values()
    if not usual.never_rises or unscaled.falls:
        return NOT_DECIDED
    return FALSE, (
        f"It falls in every epoch, and after {EPOCHS} steps {100 * usual.share:.0f} % of it are left. Where 0.0001 "
        f"does make a loss rise, it is not too low but too high: {0.0001 / limit(table.X):.0f} times the limit of the "
        "unscaled table."
    )


@claim(
    "adaptive optimizers",
    "Use an adaptive optimizer, Adam or RMSprop, and the loss does not explode.",
    Trial("unscaled table, Adam 0.01", table.X, table.y, {"optimizer": Adam(0.01)}),
    Trial("unscaled table, RMSprop 0.01", table.X, table.y, {"optimizer": RMSprop(0.01)}),
    Trial("y = 2x + 1, Adam 10", *LINE, {"optimizer": Adam(10.0)}),
    Trial("y a thousand times as large, Adam 0.001", LINE[0], 1000 * LINE[1], {"optimizer": Adam(0.001)}),
)
def _adaptive(seen: Mapping[str, Seen]) -> Verdict:
    adam, rmsprop, high, short = seen.values()
    if any(run.not_finite_from for run in seen.values()):
        return NOT_DECIDED
    if not (adam.falls and adam.highest > 10 * adam.first and rmsprop.share > 10 and high.falls and short.share > 0.99):
        return NOT_DECIDED
    return CONDITION, (
        "It does not overflow, but it may rise: a step is as long as the rate whatever the gradient is, and times a "
        f"feature of thousands that is long. On the table Adam raises the loss {adam.highest / adam.first:.0f}-fold "
        f"before it comes down, and RMSprop ends at {rmsprop.share:.0f} times the first loss. A rate of 10 on "
        f"y = 2x + 1 raises it {high.highest / high.first:.0f}-fold first; a rate of 0.001 [reaches](adam-reach.md) "
        f"{dynamics.reach(Adam(0.001), EPOCHS):.2g} in {EPOCHS} steps, so {100 * short.share:.2f} % of the loss of a "
        "target in the thousands are left."
    )


@claim(
    "schedules",
    "Let the learning rate decay, and the loss comes down.",
    Trial("10, halved every 100 steps", *LINE, at(schedules.ExponentialDecay(10.0, 100, 0.5))),
    Trial("5 / (1 + step)", *LINE, at(schedules.InverseTimeDecay(5.0, 1, 1.0))),
    Trial("0.5, halved every 100 steps", *LINE, at(schedules.ExponentialDecay(0.5, 100, 0.5))),
    Trial("0.5, halved every step", *LINE, at(schedules.ExponentialDecay(0.5, 1, 0.5))),
)
def _schedules(seen: Mapping[str, Seen]) -> Verdict:
    late, soon, low, early = seen.values()
    comes_back = soon.falls and soon.highest > 1000 * soon.first
    if late.falls or not (comes_back and low.never_rises and early.falls and early.last > 2 * low.last):
        return NOT_DECIDED
    below = limit(LINE[0])
    return CONDITION, (
        f"If it comes below the limit ({below:.2f}) before float32 ends. Halved every 100 steps, 10 stays above it for "
        f"{100 * np.log2(10 / below):.0f} steps, and the loss is not finite from epoch {late.not_finite_from} on; "
        f"5 / (1 + step) is below it after {np.ceil(5 / below - 1):.0f}, when the loss has risen to "
        f"{soon.highest:,.0f}, and brings it back. Keras counts steps, not epochs: a rate that halves every step ends "
        f"the run early, at {early.last:.3g} instead of {low.last:.3g}."
    )


WILD = LINE[1].copy()
WILD[17] = 1000.0


@claim(
    "outliers",
    "Outliers make the loss rise.",
    Trial("one y of 1000, rate 0.1", LINE[0], WILD, at(0.1)),
    FAR_POINT,
    Trial("without it, rate 0.01", far.X[:3], far.y[:3], at(0.01)),
)
def _outliers(seen: Mapping[str, Seen]) -> Verdict:
    target, feature, without = seen.values()
    if not (target.never_rises and without.never_rises) or feature.falls:
        return NOT_DECIDED
    return CONDITION, (
        f"Only in x. A wild y makes the loss large ({target.first:,.0f} in the first epoch) and the line wrong, but "
        "the limit does not depend on y, and the loss falls in every epoch. A far x makes the loss steep: the limit is "
        f"{limit(far.X):.2g} with it and {limit(far.X[:3]):.2g} without."
    )


@claim(
    "Huber",
    "A robust loss, Huber's, cures it.",
    FAR_POINT,
    Trial("one far point, Huber", far.X, far.y, {**at(0.01), "loss": Huber()}),
    Trial("the same, standardised, Huber", standardised(far.X), far.y, {**at(0.01), "loss": Huber()}),
)
def _huber(seen: Mapping[str, Seen]) -> Verdict:
    squared, huber, scaled = seen.values()
    if squared.falls or huber.not_finite_from or huber.rises <= OFTEN or not scaled.never_rises:
        return NOT_DECIDED
    return CONDITION, (
        "It keeps the loss finite, because no row pulls with more than delta. It does not make the run settle: the "
        f"loss rises in {huber.rises} of {EPOCHS - 1} epochs, up to {huber.highest:.3g}. Scaling does, but at "
        f"this rate the loss comes down slowly then: {scaled.last:.3g} after {EPOCHS} epochs."
    )


@claim(
    "clipping",
    "Clip the gradient, and the loss does not explode.",
    Trial("y = 2x + 1, rate 10, clipnorm 1", *LINE, at(10.0, clipnorm=1.0)),
    Trial("y = 2x + 1, rate 10, clipnorm 0.01", *LINE, at(10.0, clipnorm=0.01)),
    Trial("y = 2x + 1, rate 0.4", *LINE, at(0.4)),
)
def _clipping(seen: Mapping[str, Seen]) -> Verdict:
    one, hundredth, low = seen.values()
    finite = not (one.not_finite_from or hundredth.not_finite_from)
    if not (finite and one.rises > OFTEN and low.never_rises and hundredth.last > low.last):
        return NOT_DECIDED
    return CONDITION, (
        "It stays finite: a step is no longer than rate × clipnorm. It need not settle: with clipnorm 1 the loss rises "
        f"in {one.rises} of {EPOCHS - 1} epochs and ends at {one.last:.3g}, with 0.01 at {hundredth.last:.2g}; a rate "
        f"below the limit ends at {low.last:.2g}."
    )


GAP, NO_Y = LINE[0].copy(), LINE[1].copy()
GAP[3, 0] = NO_Y[3] = np.nan


@claim(
    "missing values",
    "One missing value turns the loss into nan.",
    Trial("one x missing, rate 0.1", GAP, LINE[1], at(0.1)),
    Trial("one y missing, rate 0.1", LINE[0], NO_Y, at(0.1)),
)
def _missing(seen: Mapping[str, Seen]) -> Verdict:
    if not all(run.not_finite_from == 1 for run in seen.values()):
        return NOT_DECIDED
    return TRUE, (
        "From the first epoch on, whatever the rate: a loss that is nan at once has nan in the data, one that rises "
        "first has not. tf.keras says nothing; `LinearRegression` refuses such data and names the place, so the runs "
        "of NumPy here are a loop of its functions without the check."
    )


WHOLE = np.round(10 * LINE[0]), np.round(10 * LINE[1])
TEXT = np.array([[f"{x:.2f}"] for x in LINE[0][:, 0]])


@claim(
    "types",
    "The wrong type, integers or float64 instead of float32, makes the loss rise.",
    Trial("whole numbers as float32", WHOLE[0].astype(np.float32), WHOLE[1].astype(np.float32), at(0.01)),
    Trial("as float64", *WHOLE, at(0.01)),
    Trial("as int64", WHOLE[0].astype(np.int64), WHOLE[1].astype(np.int64), at(0.01)),
    Trial("as text", TEXT, LINE[1], at(0.01)),
)
def _types(seen: Mapping[str, Seen]) -> Verdict:
    single, double, whole, text = seen.values()
    if not (single.falls and single == double == whole and text.refused):
        return NOT_DECIDED
    return FALSE, (
        "All become float32 before the first step, so the losses are the same to the last bit. Text does not train at "
        "all: it is refused before the first step."
    )


FIRST, OTHER = standardised(np.random.default_rng(1).normal(size=(100, 2))).T
APART = np.column_stack([FIRST, OTHER])
TWICE = np.column_stack([FIRST, standardised(FIRST + 1e-2 * OTHER)])
NOISE = np.random.default_rng(2).normal(size=100)


@claim(
    "collinearity",
    "Collinear features make the loss rise.",
    Trial("two separate columns, rate 0.4", APART, APART.sum(axis=1) + NOISE, at(0.4)),
    Trial("two nearly equal columns, rate 0.4", TWICE, TWICE.sum(axis=1) + NOISE, at(0.4)),
    Trial("two separate columns, rate 0.7", APART, APART.sum(axis=1) + NOISE, at(0.7)),
    Trial("two nearly equal columns, rate 0.7", TWICE, TWICE.sum(axis=1) + NOISE, at(0.7)),
)
def _collinearity(seen: Mapping[str, Seen]) -> Verdict:
    apart, twice, apart_high, twice_high = seen.values()
    if not (apart.never_rises and twice.never_rises and apart_high.never_rises) or twice_high.falls:
        return NOT_DECIDED
    return FALSE, (
        "Below the limit the loss falls in every epoch, however collinear the columns are (correlation "
        f"{np.corrcoef(TWICE.T)[0, 1]:.5f}); what suffers are the coefficients. Correlation only lowers the limit, of "
        f"two columns to half at most: here from {limit(APART):.2f} to {limit(TWICE):.2f}, so that a rate "
        "of 0.7 that suits separate columns is too high for equal ones."
    )


MILLION = 2.0**20


@claim(
    "large targets",
    "A large target makes the loss rise; scale y.",
    Trial("y = 2x + 1, rate 0.1", *LINE, at(0.1)),
    Trial("a million times as large, rate 0.1", LINE[0], MILLION * LINE[1], at(0.1)),
)
def _large_targets(seen: Mapping[str, Seen]) -> Verdict:
    usual, large = seen.values()
    if not (usual.never_rises and large.never_rises and abs(large.share / usual.share - 1) < 1e-5):
        return NOT_DECIDED
    return FALSE, (
        f"With SGD every loss is a million squared times as large, no more: {100 * usual.share:.3g} % of the first are "
        "left either way. It is [Adam](adam-reach.md) for whom a large target is too far."
    )
