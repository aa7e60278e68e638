"""A third set of runs, made by sabotage of pipelines and kept for the final figure.

A pipeline is drawn (rows, units, preparation, target, optimizer, loss, batches) and its rate and epochs are chosen so
that it converges; then one, two or three steps of it are spoilt. Its twins are the same draw with a step left sound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from benchmarks.faults.cases import RESOLVED, Case, coefficient_error, correlated, test_error, truth
from benchmarks.faults.third_draws import RAW_IS_FINE, drawn, tuned
from benchmarks.faults.third_faults import FORMS, ORDER, Change, Form
from benchmarks.faults.third_runs import Run, case_of, limit, mean_rate

__all__ = ["ORDER", "cases"]

TRIES = 400
"""Draws for one case before it is given up."""
EXCLUSIVE = (
    {"learning_rate_too_high", "learning_rate_too_low"},
    {"collinearity", "ill_conditioned"},
    {"collinearity", "high_leverage"},
    {"ill_conditioned", "high_leverage"},
    {"missing_values", "wrong_dtype"},
    {"batch_noise", "overfitting"},
    {"ill_conditioned", "overfitting"},
    {"high_leverage", "outliers"},
)
"""Pairs that cannot be told apart or have no common twin."""
COMMON = np.array([0.4 if cause in {"missing_values", "wrong_dtype"} else 1.0 for cause in ORDER])
COMMON /= COMMON.sum()
"""How often a cause is drawn for a pair or a triple: holes and texts hide whatever stands beside them."""
LOOKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "raw columns at a tiny rate": {"scaler": "none", "optimizer": "SGD", "size": (1, 1e3)},
    "raw columns of like size": {"scaler": "none", "columns": RAW_IS_FINE},
    "large loss that falls": {"size": (1e4, 1e6), "target": "none", "optimizer": "SGD", "loss": "mse"},
    "long steps for a large target": {"size": (1e3, 1e5), "target": "none", "optimizer": ("Adam", "RMSprop")},
    "tiny target": {"size": (1e-5, 1e-3), "target": "none", "loss": "mse", "start": "zeros"},
    "loss that hardly falls for noise": {"r2": (0.08, 0.25), "offset": (0, 0.1), "rows": (400, 3000)},
    "heavy tails": {"tails": 3.0, "rows": (200, 3000), "r2": (0.3, 0.9)},
    "two sensors, both resolved": {"r2": (0.98, 0.9995), "slack": (20, 100), "rows": (200, 3000), "features": (1, 5)},
    "heavy momentum with patience": {"optimizer": "SGD", "momentum": (0.97, 0.98, 0.99), "epochs": (500, 3000)},
    "single rows at a tiny rate": {"optimizer": "SGD", "batch": (1, 2), "rows": (40, 250), "momentum": 0.0},
    "starts at the optimum": {"dtype": "float64", "batch": "full", "optimizer": "SGD"},
    "sum with a rate for it": {"reduction": "sum", "optimizer": "SGD"},
    "wide table": {"features": (10, 15), "rows": (170, 400), "r2": (0.3, 0.999)},
    "just below the limit": {"share": (0.85, 0.97), "batch": "full", "momentum": 0.0, "optimizer": "SGD"},
    "counts as weights": {"weight": "counts", "reduction": ("sum_over_batch_size", "mean_with_sample_weight")},
}
"""Healthy runs, most of them suspicious at first sight, and what they wish for."""


# Single changes that may cure.


def _rates(run: Run) -> tuple[list[Run], list[Run]]:
    """Return the run with lower and with higher rates."""
    lower = [replace(run, rate=run.rate / factor) for factor in (10, 100)]
    higher = [replace(run, rate=run.rate * factor) for factor in (10, 100, 1e3, 1e4, 1e5)]
    others = [] if run.schedule is None else [replace(run, schedule=None)]
    if run.optimizer == "SGD":
        others.append(replace(run, rate=limit(run) / 2, schedule=None))
    mean = mean_rate(run)
    lower += [other for other in others if other.rate < mean]
    higher += [other for other in others if other.rate > mean]
    return lower, higher


def _ill_sized(run: Run) -> bool:
    """Whether columns differ in size tenfold or lie far from zero."""
    X = run.ready.X
    size, std = np.sqrt((X**2).mean(axis=0)), X.std(axis=0)
    return bool(size.max() > 10 * size.min() or (np.abs(X.mean(axis=0)) > 3 * std)[std > 0].any())


def _remedies(run: Run) -> dict[str, list[Run]]:
    """Return the run with one thing changed, by the cause whose remedy that is."""
    standard = replace(run, cured=run.cured | {"features"})
    lower, higher = _rates(run)
    found = {
        "learning_rate_too_high": lower,
        "learning_rate_too_low": higher,
        "feature_scale": [standard],
        "target_scale": [replace(run, cured=run.cured | {"target"})],
    }
    if run.optimizer == "SGD" and _ill_sized(run):  # columns and rate do not fit each other: either name is right
        found["feature_scale"].append(replace(standard, rate=limit(standard) / 2))
    momentum = "beta_1" if run.optimizer == "Adam" else "momentum"
    if run.options.get(momentum, 0.0) > 0:
        values = (0.9, 0.0) if run.options[momentum] > 0.9 else (0.0,)
        found["momentum_too_high"] = [replace(run, options={**run.options, momentum: value}) for value in values]
    if run.batch_rows < run.rows:
        found["batch_noise"] = [replace(run, batch=None)]
    if run.reduction == "sum":
        found["loss_reduction"] = [replace(run, reduction="sum_over_batch_size")]
    elif run.ready.weight is not None:
        found["loss_reduction"] = [replace(run, reduction="mean_with_sample_weight")]
    if run.penalty is not None:
        found["regularization"] = [replace(run, penalty=None)]
    return found


# Cases.


@dataclass(frozen=True)
class Slot:
    """What a case should turn out to be: how many causes, which form of sabotage, and of what grade."""

    causes: int
    single: str | None = None
    harmless: bool = False


def _slots(seed: int, block: int) -> list[Slot]:
    """Return what the hundred cases of a block are to be, in random order."""
    healthy = [Slot(0)] * 20 + [Slot(0, harmless=True)] * 10
    single = [Slot(1, cause) for cause in ORDER] * 3
    slots = healthy + single + [Slot(2)] * 14 + [Slot(3)] * 5
    return [slots[k] for k in np.random.default_rng([seed, 3, block]).permutation(100)]


def cases(seed: int, count: int, dropped: Counter[str] | None = None) -> Iterator[Case]:
    """Make the cases of a seed; a case depends on its seed and index only.

    Parameters
    ----------
    seed : int
        Decides every case.
    count : int
        How many cases.
    dropped : Counter, optional
        Is told why draws were dropped.

    Yields
    ------
    Case
        The next case; its truth is clear.

    Raises
    ------
    RuntimeError
        If no draw fits a slot.
    """
    dropped = Counter() if dropped is None else dropped
    for index in range(count):
        slot = _slots(seed, index // 100)[index % 100]
        for attempt in range(TRIES):
            rng = np.random.default_rng([seed, index, attempt])
            with np.errstate(all="ignore"):
                found = _healthy(rng, index) if slot == Slot(0) else _spoilt(rng, index, slot)
                why = found if isinstance(found, str) else _misfit(rng, found, slot)
            if not why:
                yield found
                break
            dropped[why] += 1
        else:
            raise RuntimeError(f"case {index} of seed {seed}: no draw fits {slot}")


def _misfit(rng: np.random.Generator, found: Case, slot: Slot) -> str:
    """Return why a case does not fit its slot, or nothing."""
    known = truth(found)
    if not known.clear:
        return "unclear"
    if slot.causes == 0:
        return "" if known.verdict == "converges" and not known.causes else "not healthy"
    if known.verdict == "diverges" and known.main <= {"collinearity", "ill_conditioned"}:
        return "a rate for other columns"
    if len(known.causes) == len(found.faults):
        return ""
    return "" if slot.causes > 1 and known.causes and rng.random() < 0.15 else "fault without effect"


def _name(index: int, story: str, run: Run) -> str:
    return f"{index:04d} {story} | {run.optimizer} {run.loss} {run.dtype} {run.table}"


def _healthy(rng: np.random.Generator, index: int) -> Case | str:
    """Return a run without faults, or why there is none."""
    look = str(rng.choice(list(LOOKS)))
    wishes = LOOKS[look]
    run = drawn(rng, wishes)
    if run is not None and look == "two sensors, both resolved":
        jitter = [rng.normal(size=len(part.y)) for part in (run.train, run.clean)]
        std, share, first = run.train.X[:, 0].std(), rng.uniform(0.08, 0.15), len(run.train.y)
        run = replace(run, held=None).with_column(
            "second_sensor", lambda part: part.X[:, 0] + share * std * jitter[len(part.y) != first]
        )
    run = run and tuned(rng, run, wishes)
    if run is None:
        return "not to be tuned"
    if look == "starts at the optimum":
        best = case_of(run, "trial").outcome.minimiser
        d = len(run.names)
        run = replace(run, start=(best[:d], float(best[d]) if run.intercept else "zeros"))
    found = case_of(run, _name(index, f"healthy: {look}", run))
    if look == "two sensors, both resolved" and not (correlated(found) and coefficient_error(found) <= RESOLVED):
        return "not resolved"
    if look == "heavy tails" and test_error(found, found.outcome.minimiser) > 1.1 * run.ready.law.noise**2:
        return "tails do harm"
    return found


def _chosen(rng: np.random.Generator, slot: Slot) -> list[Form]:
    """Return the forms of sabotage for a slot."""
    while True:
        size = max(1, slot.causes)
        causes = [slot.single] if slot.single else list(rng.choice(ORDER, size=size, replace=False, p=COMMON))
        forms = [
            [form for form in FORMS[cause] if any((grade == 0) == slot.harmless for grade in form.grades)]
            for cause in sorted(causes, key=ORDER.index)
        ]
        if all(forms) and not any(pair <= set(causes) for pair in EXCLUSIVE):
            return [fit[int(rng.integers(len(fit)))] for fit in forms]


def _wishes(forms: list[Form]) -> dict[str, Any] | None:
    """Return what all forms wish for, None where their wishes contradict each other."""
    joint: dict[str, Any] = {}
    for form in forms:
        for key, wish in form.wishes.items():
            if key not in joint or joint[key] == wish:
                joint[key] = wish
            elif key in {"features", "rows", "r2", "share", "offset", "epochs", "size"}:
                joint[key] = (max(joint[key][0], wish[0]), min(joint[key][1], wish[1]))
                if joint[key][0] >= joint[key][1]:
                    return None
            elif isinstance(wish, tuple) and isinstance(joint[key], tuple):
                joint[key] = tuple(option for option in joint[key] if option in wish)
                if not joint[key]:
                    return None
            else:
                return None
    return joint


def _spoilt(rng: np.random.Generator, index: int, slot: Slot) -> Case | str:
    """Return a run with faults in it, or why there is none."""
    forms = _chosen(rng, slot)
    wishes = _wishes(forms)
    if wishes is None:
        return "wishes contradict"
    sound = drawn(rng, wishes)
    sound = sound and tuned(rng, sound, wishes)
    if sound is None:
        return "not to be tuned"
    changes: dict[str, Change] = {}
    for form in forms:
        grades = [grade for grade in form.grades if (grade == 0) == slot.harmless]
        change = form.make(rng, sound, int(rng.choice(grades)))
        if change is None:
            return "no hold for the fault"
        changes[form.cause] = change
    story = "+".join(f"{form.cause} ({form.name})" for form in forms)
    return _with_twins(sound, changes, _name(index, story, sound))


def _with_twins(sound: Run, changes: dict[str, Change], name: str) -> Case:
    """Return the run with all changes, and for each subset of them the run that has only those."""
    known: dict[tuple[str, ...], Case] = {}
    for many in range(len(changes) + 1):
        for faults in combinations(changes, many):
            run = sound
            for cause in faults:
                run = changes[cause](run)
            twins = {cause: known[tuple(other for other in faults if other != cause)] for cause in faults}
            more: dict[str, Any] = {}
            if many == len(changes):
                remedies = _remedies(run)
                more["also"] = {
                    cause: tuple(case_of(other, f"{name}, {cause} undone") for other in runs)
                    for cause, runs in remedies.items()
                }
            label = name if many == len(changes) else f"{name}, only {'+'.join(faults) or 'sound'}"
            more["healthy"] = known[()] if many else None
            known[faults] = case_of(run, label, faults=faults, undone=twins, **more)
    return known[tuple(changes)]
