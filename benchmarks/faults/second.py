"""The second generator of the fault bench: runs as users would tell them, kept for the final figure only.

It was written without reading the first generator or the rules of diagnosis, so that a diagnosis that has learnt the
habits of the first finds none of them here. Its unit is not the cause but the story (`second_training`, `second_data`,
`second_pairs`, `second_healthy`); some stories get a slip more (`second_slips`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.faults import second_data, second_healthy, second_pairs, second_training
from benchmarks.faults.cases import Case, Law, truth
from benchmarks.faults.second_runs import Draw, Run, calmed, slopes, standardised
from benchmarks.faults.second_slips import SLIPS
from benchmarks.faults.second_story import Story

BROKEN = (*second_training.STORIES, *second_data.STORIES, *second_pairs.STORIES)
HEALTHY = tuple(second_healthy.STORIES)
TRIES_A_PLAN = 6

# A slip that would look at the rows, the columns or the rate of a table whose story changes them is left out: it would
# draw something else in the twin without the story's fault.
CHANGES = {
    "rows": {"high_leverage", "overfitting", "batch_noise", "missing_values"},
    "columns": {"constant_feature", "collinearity", "ill_conditioned", "feature_scale", "wrong_dtype"},
    "rate": {"learning_rate_too_high", "learning_rate_too_low", "momentum_too_high", "loss_reduction", "target_scale"},
}
LOOKS_AT = {
    "outliers": {"rows"},
    "high_leverage": {"rows", "columns"},
    "missing_values": {"rows", "columns"},
    "collinearity": {"columns"},
    "constant_feature": {"columns"},
    "feature_scale": {"columns", "rate"},
    "wrong_dtype": {"columns"},
    "learning_rate_too_high": {"rows", "columns", "rate"},
    "learning_rate_too_low": {"rows", "columns", "rate"},
    "regularization": {"rows", "columns", "rate"},
    "loss_reduction": {"rate"},
    "validation_shift": set(),
}


@dataclass(frozen=True)
class Plan:
    """A story, and perhaps a slip on top of it."""

    story: Story
    slip: str | None = None

    @property
    def faults(self) -> tuple[str, ...]:
        return self.story.faults + ((self.slip,) if self.slip else ())

    def run(self, seed: list[int], put: Collection[str]) -> Run:
        """Tell the story with the faults in `put`: the same seed gives the same run without the other faults."""
        draw = np.random.default_rng(seed)
        run = self.story.tell(draw, put)
        return SLIPS[self.slip](draw, run, self.slip in put) if self.slip else run


def planned(draw: Draw) -> Plan:
    """Draw a plan: 38 % healthy stories, 40 % broken ones; the rest, healthy or with one fault, get a slip."""
    kind = draw.random()
    sound = HEALTHY[int(draw.integers(len(HEALTHY)))]
    broken = BROKEN[int(draw.integers(len(BROKEN)))]
    if kind < 0.38:
        return Plan(sound)
    if kind < 0.78:
        return Plan(broken)
    story = sound if kind < 0.88 or len(broken.faults) > 1 else broken
    fitting = [cause for cause in SLIPS if _may_follow(cause, story.faults)]
    return Plan(story, fitting[int(draw.integers(len(fitting)))])


def _may_follow(cause: str, faults: tuple[str, ...]) -> bool:
    changed = {what for what, causes in CHANGES.items() if causes & set(faults)}
    return cause not in faults and not LOOKS_AT[cause] & changed


def _slip_fits(plan: Plan, seed: list[int]) -> bool:
    """Whether the story leaves the slip something to spoil."""
    run, slip = Plan(plan.story).run(seed, plan.story.faults), plan.slip
    settings = run.settings
    rate_is_number = not callable(settings["optimizer"].learning_rate)
    return {
        None: True,
        "wrong_dtype": run.dress is np.asarray,
        "learning_rate_too_high": rate_is_number,
        "learning_rate_too_low": rate_is_number,
        "regularization": rate_is_number and settings.get("kernel_regularizer") is None,
        "loss_reduction": settings["loss"].reduction != "sum",
        "validation_shift": run.validation is None,
        "outliers": True,
    }.get(slip, run.dress is np.asarray and isinstance(settings["kernel_initializer"], str))


def made(plan: Plan, seed: list[int], name: str) -> Case:
    """Return the case of a plan, with every set of its faults taken back."""
    told: dict[frozenset[str], Case] = {}

    def case_with(put: frozenset[str]) -> Case:
        if put not in told:
            run = plan.run(seed, put)
            whole = put == frozenset(plan.faults)
            told[put] = _case(
                run,
                name if whole else f"{name}; of these only {', '.join(sorted(put)) or 'none'}",
                np.random.default_rng([*seed, 2]),
                faults=tuple(cause for cause in plan.faults if cause in put),
                undone={cause: case_with(put - {cause}) for cause in plan.faults if cause in put},
                healthy=case_with(frozenset()) if put else None,
                also=_other_remedies(run, name) if whole and put else {},
            )
        return told[put]

    return case_with(frozenset(plan.faults))


def _other_remedies(run: Run, name: str) -> dict[str, tuple[Case, ...]]:
    """Return the run after each single change of rate, momentum, batch, reduction and scale, by the cause it remedies.

    A user who makes one of them and sees the run converge was not misled.
    """
    if not (np.isfinite(run.X).all() and np.isfinite(run.y).all()):
        return {}
    optimizer, loss, rows = run.settings["optimizer"], run.settings["loss"], len(run.y)
    changed: dict[str, Run] = {"feature_scale": standardised(run), "target_scale": _unit_target(run)}
    if not callable(optimizer.learning_rate):
        calm = calmed(run)
        bold = optimizer.learning_rate > calm.settings["optimizer"].learning_rate
        changed["learning_rate_too_high" if bold else "learning_rate_too_low"] = calm
    if getattr(optimizer, "momentum", 0) > 0:
        changed["momentum_too_high"] = run.told(optimizer=replace(optimizer, momentum=0.0))
    if run.settings["batch_size"] < rows:
        changed["batch_noise"] = run.told(batch_size=rows)
    if loss.reduction == "sum":
        changed["loss_reduction"] = run.told(loss=replace(loss, reduction="sum_over_batch_size"))
    noise = np.random.default_rng(0)
    return {cause: (_case(other, f"{name}; or {cause}", noise),) for cause, other in changed.items()}


def _unit_target(run: Run) -> Run:
    scale = float(run.y.std()) or 1.0
    return replace(run, y=(run.y - run.y.mean()) / scale, clean_y=(run.clean_y - run.y.mean()) / scale, validation=None)


def _case(run: Run, name: str, noise: Draw, **parts: Any) -> Case:
    measured = run.clean_y + run.noise * noise.normal(size=len(run.clean_y))
    return Case(
        name=name,
        X=run.dress(run.X),
        y=run.dress_y(run.y),
        settings=run.settings,
        validation_data=run.validation and (run.dress(run.validation[0]), run.dress_y(run.validation[1])),
        sample_weight=run.weight,
        law=Law(run.clean_x, measured, slopes(run), run.noise),
        natural=run.natural,
        **parts,
    )


def tries(seed: int, index: int) -> Iterator[Case]:
    """Make case `index` again and again, with another plan every few times."""
    for attempt in range(100 * TRIES_A_PLAN):
        plan = planned(np.random.default_rng([seed, index, attempt // TRIES_A_PLAN]))
        place = [seed, index, attempt, 1]
        if _slip_fits(plan, place):
            yield made(plan, place, _name(plan, index, place))


def _name(plan: Plan, index: int, seed: list[int]) -> str:
    settings = plan.run(seed, plan.faults).settings
    rule, loss = type(settings["optimizer"]).__name__, type(settings["loss"]).__name__
    return f"second {index:04d} {plan.story.name}: {', '.join(plan.faults) or 'healthy'}; {rule}, {loss}"


def cases(seed: int, count: int = 500) -> Iterator[Case]:
    """Make the cases of a seed; case i does not depend on `count`.

    A run whose faults do not matter is kept as healthy if it converges; what is not clear is dropped and drawn again.
    """
    for index in range(count):
        yield next(case for case in tries(seed, index) if truth(case).clear)
