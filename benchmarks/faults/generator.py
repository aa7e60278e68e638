"""The first generator: healthy runs, suspicious-looking ones, and runs with one, two or three faults.

Case i of a seed is drawn from a generator of its own, `default_rng([seed, i])`, so it does not depend on how many are
asked for. What a slot of a hundred holds is fixed below; a draw that the truth finds unclear (or, in a slot for a
single fault, harmless) is dropped, and the slot drawn again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from benchmarks.faults import tables
from benchmarks.faults.cases import Case, truth
from benchmarks.faults.causes import FAULTS, Change, longley_columns, stackloss_rows
from benchmarks.faults.drafts import (
    ADAPTIVE,
    STEPPERS,
    Draft,
    Needs,
    as_case,
    from_table,
    healthy_draft,
    limit,
    longer,
    real_rows,
    with_settings,
    with_validation,
)
from benchmarks.faults.lookalikes import LOOKALIKES

ORDER = (
    "overfitting",
    "ill_conditioned",
    "collinearity",
    "constant_feature",
    "high_leverage",
    "outliers",
    "feature_scale",
    "target_scale",
    "loss_reduction",
    "regularization",
    "batch_noise",
    "learning_rate_too_high",
    "learning_rate_too_low",
    "momentum_too_high",
    "validation_shift",
    "missing_values",
    "wrong_dtype",
)
"""The order in which faults are put in: rows, columns, units, settings, writing."""
PAIRS = tuple(
    tuple(names.split("+"))
    for names in (
        "outliers+feature_scale",
        "missing_values+feature_scale",
        "collinearity+learning_rate_too_low",
        "wrong_dtype+missing_values",
        "outliers+learning_rate_too_high",
        "constant_feature+feature_scale",
        "missing_values+outliers",
        "collinearity+feature_scale",
        "loss_reduction+outliers",
        "feature_scale+target_scale",
        "regularization+learning_rate_too_low",
        "validation_shift+learning_rate_too_low",
        "momentum_too_high+outliers",
        "wrong_dtype+learning_rate_too_high",
        "ill_conditioned+learning_rate_too_low",
        "validation_shift+feature_scale",
        "high_leverage+outliers",
        "outliers+learning_rate_too_low",
        "wrong_dtype+feature_scale",
        "constant_feature+outliers",
        "collinearity+outliers",
        "loss_reduction+feature_scale",
        "regularization+feature_scale",
        "batch_noise+validation_shift",
        "overfitting+feature_scale",
        "momentum_too_high+regularization",
        "validation_shift+outliers",
        "learning_rate_too_high+constant_feature",
        "target_scale+missing_values",
        "collinearity+missing_values",
        "momentum_too_high+validation_shift",
        "high_leverage+validation_shift",
        "overfitting+learning_rate_too_low",
        "target_scale+validation_shift",
        "batch_noise+collinearity",
    )
)
TRIPLES = tuple(
    tuple(names.split("+"))
    for names in (
        "missing_values+feature_scale+outliers",
        "outliers+collinearity+learning_rate_too_low",
        "feature_scale+validation_shift+outliers",
        "wrong_dtype+missing_values+feature_scale",
        "constant_feature+feature_scale+outliers",
        "loss_reduction+outliers+validation_shift",
        "regularization+learning_rate_too_low+validation_shift",
        "momentum_too_high+outliers+validation_shift",
        "wrong_dtype+feature_scale+target_scale",
        "missing_values+collinearity+learning_rate_too_high",
        "missing_values+outliers+loss_reduction",
        "outliers+constant_feature+learning_rate_too_low",
    )
)
NEAR_MISSES = tuple(cause for cause in ORDER if cause not in ("missing_values", "wrong_dtype", "momentum_too_high"))
"""Faults that may be put in without being a cause."""
HUNDRED = {"healthy": 20, "near miss": 10, "single": 51, "pair": 14, "triple": 5}
SLOTS = tuple(np.random.default_rng(0).permutation([kind for kind in HUNDRED for _ in range(HUNDRED[kind])]).tolist())
"""What each of a hundred cases is."""
PARTLY = 0.15
"""Share of draws for several faults that may be kept though not all of them are causes."""
TRIES = 300


def cases(seed: int, count: int = 1000, dropped: Counter[str] | None = None) -> Iterator[Case]:
    """Yield cases whose truth is clear.

    Parameters
    ----------
    seed : int
        Decides everything.
    count : int, default=1000
        How many.
    dropped : Counter, optional
        Is told what was drawn in vain, by kind of slot.

    Yields
    ------
    Case
        The next case.
    """
    for index in range(count):
        yield case(seed, index, dropped)


def case(seed: int, index: int, dropped: Counter[str] | None = None) -> Case:
    """Return one case of a seed.

    Parameters
    ----------
    seed : int
        The seed.
    index : int
        Which case.
    dropped : Counter, optional
        Is told what was drawn in vain.

    Returns
    -------
    Case
        The case.

    Raises
    ------
    RuntimeError
        If no clear case was found in many tries; the generator is then wrong.
    """
    rng = np.random.default_rng([seed, index])
    kind = SLOTS[index % len(SLOTS)]
    turn = index // len(SLOTS) * SLOTS.count(kind) + SLOTS[: index % len(SLOTS)].count(kind)
    for _ in range(TRIES):
        found = _drawn(rng, kind, turn, f"{index:04d}")
        partly = rng.random() < PARTLY
        if found is not None and _fits_slot(found, kind, partly):
            return found
        if dropped is not None:
            dropped[f"{kind}: {_reason(found, kind)}" if kind != "single" else f"single {_turns(kind, turn)[0]}"] += 1
    raise RuntimeError(f"No clear case for seed {seed}, index {index} ({kind}, turn {turn}) in {TRIES} tries.")


def _reason(found: Case | None, kind: str) -> str:
    if found is None:
        return "the healthy run does not train"
    return "unclear" if not truth(found).clear else f"not what a {kind} should be"


def _fits_slot(found: Case, kind: str, partly: bool) -> bool:
    """Whether the case is clear and all of its faults are causes (some, if `partly`), or those of a near miss none."""
    known = truth(found)
    if not known.clear:
        return False
    if kind in ("healthy", "near miss"):
        return not known.causes
    return bool(known.causes) and (partly or len(known.causes) == len(found.faults))


def _turns(kind: str, turn: int) -> tuple[str, ...]:
    """Return the faults that are due, so that all come up about evenly."""
    if kind in ("single", "near miss"):
        names = ORDER if kind == "single" else NEAR_MISSES
        return (names[turn % len(names)],)
    several = PAIRS if kind == "pair" else TRIPLES
    return several[turn % len(several)]


def _drawn(rng: np.random.Generator, kind: str, turn: int, label: str) -> Case | None:
    if kind == "healthy":
        return _healthy(rng, turn, label)
    names = _turns(kind, turn)
    grade = "faint" if kind == "near miss" and rng.random() < 0.7 else str(rng.choice(["slight", "gross"]))
    if kind == "single" and names[0] in ("collinearity", "outliers") and rng.random() < 0.1:
        draft, changes = _natural(rng, names[0])
    else:
        needs = Needs(large_target=kind != "near miss" or names[0] != "target_scale")
        for name in names:
            needs = needs.and_(FAULTS[name].needs)
        draft = healthy_draft(rng, needs)
        changes = {}
        for name in sorted(names, key=ORDER.index):
            mixed = str(rng.choice(["slight", "gross"])) if kind in ("pair", "triple") else grade
            changes[name] = FAULTS[name].draw(rng, draft, mixed)
    return _faulty(draft, changes, label, grade if len(names) == 1 else "mixed")


def _healthy(rng: np.random.Generator, turn: int, label: str) -> Case | None:
    name = list(LOOKALIKES)[turn % len(LOOKALIKES)]
    look = LOOKALIKES[name]
    if name == "plain real table":
        draft = with_settings(rng, with_validation(rng, real_rows(rng, look.needs), look.needs), look.needs)
    else:
        draft = healthy_draft(rng, look.needs)
    found = as_case(look.change(rng, draft), _name(label, name, draft))
    return found if found.outcome.verdict == "converges" else None


def _natural(rng: np.random.Generator, cause: str) -> tuple[Draft, dict[str, Change]]:
    """Return Longley or stack loss, whose fault is their own, and the change that puts it back."""
    if cause == "collinearity":
        table = tables.load("longley")
        clean = replace(table, X=np.delete(table.X, tables.REDUNDANT_LONGLEY, axis=1))
        change = longley_columns
    else:
        table = tables.load("stackloss")
        rows = tables.OUTLYING_STACKLOSS
        clean = replace(table, X=np.delete(table.X, rows, axis=0), y=np.delete(table.y, rows))
        change = stackloss_rows
    needs = Needs(batches=("full",), validation=False, large_target=False)
    draft = from_table(rng, clean, needs, own_target=True)
    return with_settings(rng, draft, needs), {cause: change}


def _name(label: str, what: str, draft: Draft, grade: str = "") -> str:
    graded = f"{what} ({grade})" if grade else what
    return f"{label} {graded} | {draft.family} {draft.loss} {draft.batch or 'full'} {draft.table}"


def _faulty(draft: Draft, changes: dict[str, Change], label: str, grade: str) -> Case | None:
    """Return the case with every twin, None where the run without faults does not converge even with more epochs."""
    for _ in range(3):
        if as_case(draft, label).outcome.verdict == "converges":
            return _with_twins(draft, changes, label, grade)
        draft = longer(draft)
    return None


def _with_twins(draft: Draft, changes: dict[str, Change], label: str, grade: str) -> Case:
    """Return the case, built from the healthy run up, so that twins are shared."""
    built: dict[tuple[str, ...], Case] = {}
    for many in range(len(changes) + 1):
        for names in combinations(changes, many):
            changed = draft
            for name in names:
                changed = changes[name](changed)
            whole = many == len(changes)
            what = _name(label, "+".join(names) or "healthy", changed, grade if whole else "")
            fields: dict[str, Any] = {"faults": names, "healthy": built.get(())}
            fields["undone"] = {name: built[tuple(n for n in names if n != name)] for name in names}
            fields["also"] = _alternatives(changed, names, label) if whole else {}
            built[names] = as_case(changed, what, **fields)
    return built[tuple(changes)]


def _alternatives(draft: Draft, names: tuple[str, ...], label: str) -> dict[str, tuple[Case, ...]]:
    """Return the single remedies of causes that were not put in, to see whether they would cure the run as well."""
    found: dict[str, list[Draft]] = {
        "learning_rate_too_high": [replace(draft, rate=draft.rate / by) for by in (10, 100)],
        "learning_rate_too_low": [replace(draft, rate=draft.rate * by) for by in (10, 100, 1e3, 1e4, 1e5)],
        "feature_scale": [_standardised(draft)],
        "target_scale": [draft.with_target(lambda y: (y - draft.y.mean()) / draft.y.std(), 1 / draft.y.std())],
        "momentum_too_high": [replace(draft, momentum=m) for m in (0.0, 0.5, 0.9) if m < draft.momentum],
        "batch_noise": [] if draft.batch is None else [replace(draft, batch=None)],
        "loss_reduction": [] if draft.reduction != "sum" else [replace(draft, reduction="sum_over_batch_size")],
        "regularization": [] if not draft.l1 + draft.l2 else [replace(draft, l1=0.0, l2=0.0)],
    }
    if draft.family in STEPPERS and draft.momentum <= 1:
        half = replace(draft, rate=limit(draft) / 2)
        found["learning_rate_too_high"].insert(0, half) if half.rate < draft.rate else None
        found["learning_rate_too_low"] = [half] if half.rate > draft.rate else []
    if draft.family in ADAPTIVE and draft.momentum > 1:
        found["learning_rate_too_low"] = []
    return {
        cause: tuple(as_case(d, f"{label} with the remedy of {cause}") for d in drafts)
        for cause, drafts in found.items()
        if drafts and cause not in names
    }


def _standardised(draft: Draft) -> Draft:
    mean, spread = draft.X.mean(axis=0), draft.X.std(axis=0)
    constant = spread <= 1e-9 * np.abs(draft.X).max(axis=0)
    spread = np.where(constant, 1, spread)
    return draft.with_columns(lambda X: (X - mean) / spread, draft.coef * spread)
