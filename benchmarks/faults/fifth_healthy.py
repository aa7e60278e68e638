"""Runs with which nothing is wrong: plain ones, and those that look as if something were.

| look | what is seen |
|---|---|
| raw_units | no scaler, and a rate that suits the raw units |
| far_rows | rows 5 to 15 deviations out, and a rate that bears them |
| huge_target, tiny_target | a loss of 1e8 or 1e-8, which gradient descent does not mind |
| weak_signal | a loss that hardly falls, because X explains hardly anything |
| heavy_tails | residuals of five deviations, from the law of the noise |
| edge | a rate just below the limit, whose loss zigzags down |
| correlated | a column that is much like another, with coefficients that are found all the same |
| summed | a sum, and a rate that suits it |
| counts | weights of hundreds, divided by their sum |
| one_by_one | batches of one to four rows, and little noise |
| heavy_ball | a momentum of 0.95 to 0.98, and epochs enough for it |
| sorted_rows | rows in order of a column, never shuffled |
| begun_at_mean, begun_far | the intercept begins at the mean of y; the coefficients begin far away |
| elsewhere | validation rows from another range of X, of the same law |
| few_rows | a dozen or two |
| long | many more epochs than needed |
| small_columns | columns of 1e-3, and a rate to match |
| repeated | every row three times |
| no_intercept | none is trained, with means taken away beforehand |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from benchmarks.faults.fifth_columns import average, gross_and_net, same_law
from benchmarks.faults.fifth_plan import Change, Generator, Plan
from benchmarks.faults.fifth_rows import carried
from benchmarks.faults.fifth_training import STEPPERS
from benchmarks.faults.fifth_worlds import Wish
from linreg import Huber, MeanSquaredError

Prepared = Callable[[Generator, Plan], tuple[Plan, dict[str, Any]]]


class Look(NamedTuple):
    """What the table and the training must be like, and what is decided beforehand."""

    wish: Wish = Wish()
    prepared: Prepared = lambda rng, plan: (plan, {})  # noqa: ARG005


def _with(**forced: Any) -> Prepared:
    return lambda rng, plan: (plan, forced)  # noqa: ARG005


def _changed(*forms: Any, size: str = "mild") -> Prepared:
    def prepared(rng: Generator, plan: Plan) -> tuple[Plan, dict[str, Any]]:
        found: Change | None = forms[int(rng.integers(len(forms)))](rng, plan, size)
        return (plan if found is None else found(plan)), {}

    return prepared


def _sum(rng: Generator, plan: Plan) -> tuple[Plan, dict[str, Any]]:
    loss = Huber(float(rng.choice([1.0, 2.0])), "sum") if rng.random() < 0.2 else MeanSquaredError("sum")
    return plan, {"loss": loss, "y_unit": (float(plan.y.mean()), float(plan.y.std()))}


def _counts(rng: Generator, plan: Plan) -> tuple[Plan, dict[str, Any]]:
    weight = np.round(rng.gamma(3, 10 ** rng.uniform(1, 3), plan.rows)) + 1
    return replace(plan, weight=weight), {"loss": MeanSquaredError("mean_with_sample_weight")}


def _sorted(rng: Generator, plan: Plan) -> tuple[Plan, dict[str, Any]]:
    order = np.argsort(plan.X[:, int(rng.integers(plan.X.shape[1]))], kind="stable")
    return replace(plan, X=plan.X[order], y=plan.y[order]), {"shuffle": False}


def _at_mean(rng: Generator, plan: Plan) -> tuple[Plan, dict[str, Any]]:  # noqa: ARG001
    unit = (0.0, float(plan.y.std()))
    return plan, {"y_unit": unit, "bias_initializer": float(plan.y.mean() / unit[1]), "kernel_initializer": "zeros"}


def _far_start(rng: Generator, plan: Plan) -> tuple[Plan, dict[str, Any]]:
    unit = (float(plan.y.mean()), float(plan.y.std()))
    return plan, {"y_unit": unit, "kernel_initializer": rng.normal(size=plan.X.shape[1]) * rng.uniform(3, 30)}


def _small(rng: Generator, plan: Plan) -> tuple[Plan, dict[str, Any]]:
    factor = 10 ** -rng.uniform(1, 3)
    unit = (float(plan.y.mean()), float(plan.y.std()))
    return replace(plan, gain=tuple((j, factor, 0.0) for j in range(plan.X.shape[1]))), {"y_unit": unit}


def _unit(low: float, high: float) -> Prepared:
    return lambda rng, plan: (plan, {"y_unit": (0.0, float(plan.y.std()) / 10 ** rng.uniform(low, high))})


def _tiny(rng: Generator, plan: Plan) -> tuple[Plan, dict[str, Any]]:
    return plan, {"batch": int(rng.integers(1, 5))}


def _thrice(rng: Generator, plan: Plan) -> tuple[Plan, dict[str, Any]]:  # noqa: ARG001
    return replace(plan, X=np.tile(plan.X, (3, 1)), y=np.tile(plan.y, 3)), {}


_SQUARES = frozenset(("mse",))
_STEPS = Wish(kinds=STEPPERS, losses=_SQUARES)
LOOKS: dict[str, Look] = {
    "raw_units": Look(replace(_STEPS, scalers=frozenset(("none",)))),
    "far_rows": Look(replace(_STEPS, rows=(30, 1500)), _changed(carried)),
    "huge_target": Look(_STEPS, _unit(2, 5)),
    "tiny_target": Look(_STEPS, _unit(-5, -2)),
    "weak_signal": Look(Wish(noise=(3, 12))),
    "heavy_tails": Look(Wish(tails=("heavy",), rows=(60, 5000), real="never")),
    "edge": Look(replace(_STEPS, speed=(0.8, 0.97), batches=frozenset(("full",)))),
    "correlated": Look(Wish(noise=(0.05, 0.3), rows=(60, 3000), width=(1, 12)), _changed(average, gross_and_net)),
    "summed": Look(_STEPS, _sum),
    "counts": Look(replace(_STEPS, rows=(12, 2000)), _counts),
    "one_by_one": Look(Wish(rows=(12, 400), noise=(0.03, 0.12), real="made"), _tiny),
    "heavy_ball": Look(Wish(kinds=frozenset(("momentum", "nesterov")), momenta=(0.95, 0.97, 0.98))),
    "sorted_rows": Look(Wish(), _sorted),
    "begun_at_mean": Look(Wish(), _at_mean),
    "begun_far": Look(Wish(losses=_SQUARES), _far_start),
    "elsewhere": Look(Wish(val=True, real="made"), _changed(same_law)),
    "few_rows": Look(Wish(rows=(12, 26), width=(1, 3))),
    "long": Look(Wish(patience=6)),
    "small_columns": Look(_STEPS, _small),
    "no_intercept": Look(
        Wish(scalers=frozenset(("standard",)), units=frozenset(("standard",))), _with(fit_intercept=False)
    ),
    "repeated": Look(Wish(rows=(12, 600)), _thrice),
}  # fmt: skip
"""The healthy runs that look bad."""
PLAIN = Look()
