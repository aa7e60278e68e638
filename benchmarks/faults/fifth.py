"""A fifth generator, kept for the final figure: plans of other fields, spoilt in other ways.

Case i of a seed depends on the two alone. A slot of a hundred is fixed as `criteria.md` has it: 20 healthy, 10 with a
fault that does no harm, 51 with one cause (all 17 in turn), 14 pairs, 5 triples. The forms of the causes are listed at
the head of `fifth_cells`, `fifth_rows`, `fifth_columns` and `fifth_rates`, the healthy ones in `fifth_healthy`.

Of several faults, each must be a cause in a run without the others as well: two that fail only together, or of which
one makes a run end less far off that fails of the other, are left out, because nobody need agree on their names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from benchmarks.faults.cases import CONVERGED, Case, truth
from benchmarks.faults.fifth_cells import CELLS
from benchmarks.faults.fifth_columns import COLUMNS
from benchmarks.faults.fifth_healthy import LOOKS, PLAIN, Look
from benchmarks.faults.fifth_plan import Change, Generator, Mistake, Plan, case_of
from benchmarks.faults.fifth_rates import RATES
from benchmarks.faults.fifth_real import real
from benchmarks.faults.fifth_remedies import remedies
from benchmarks.faults.fifth_rows import ROWS
from benchmarks.faults.fifth_training import ADAPTIVE, STEPPERS, trained
from benchmarks.faults.fifth_worlds import Wish, made

FORMS = {**CELLS, **ROWS, **COLUMNS, **RATES}
ORDER = (
    "overfitting", "ill_conditioned", "collinearity", "constant_feature", "high_leverage", "outliers", "feature_scale",
    "target_scale", "validation_shift", "loss_reduction", "regularization", "momentum_too_high",
    "learning_rate_too_high", "learning_rate_too_low", "batch_noise", "missing_values", "wrong_dtype",
)  # fmt: skip
"""Every cause, in the order in which a plan is spoilt: rows, columns, units, settings, cells."""
HUNDRED = {"healthy": 20, "mild": 10, "one": 51, "two": 14, "three": 5}
SLOTS = tuple(np.random.default_rng(5).permutation([kind for kind in HUNDRED for _ in range(HUNDRED[kind])]).tolist())
MILD = tuple(cause for cause in ORDER if cause not in ("missing_values", "wrong_dtype"))
PARTLY = 0.15
"""Share of draws for several faults that may be kept though only some of them are causes."""
TRIES = 40
"""Draws for one pair or triple, before another one takes its turn."""

_FULL = frozenset(("full",))
_MADE = Wish(real="made")
WISHES: dict[str, tuple[Wish, ...]] = {
    "missing_values": (Wish(),),
    "wrong_dtype": (Wish(),),
    "outliers": (Wish(real="made", rows=(25, 5000), noise=(0.05, 0.6), tails=("normal", "uniform", "laplace")),),
    "high_leverage": (
        Wish(real="made", rows=(40, 3000), kinds=STEPPERS, losses=frozenset(("mse",)), scalers=frozenset(("frozen",))),
        Wish(real="made", rows=(300, 5000), kinds=STEPPERS, losses=frozenset(("mse",)), batches=frozenset(("mini",))),
    ),
    "overfitting": (
        Wish(real="never", rows=(200, 1500), width=(8, 40), noise=(0.3, 1.5), val=True, batches=_FULL, patience=3),
    ),
    "collinearity": (Wish(real="made", width=(1, 14)),),
    "ill_conditioned": (Wish(real="never", basis=True, scalers=frozenset(("standard", "frozen"))),),
    "constant_feature": (Wish(units=frozenset(("spread", "raw", "decade"))),),
    "feature_scale": (Wish(),),
    "target_scale": (
        Wish(kinds=ADAPTIVE | {"clipped"}),
        Wish(kinds=ADAPTIVE | {"clipped"}),
        Wish(kinds=STEPPERS, losses=frozenset(("huber",))),
        Wish(kinds=STEPPERS, losses=frozenset(("mse",))),
    ),
    "validation_shift": (Wish(val=True),),
    "loss_reduction": (Wish(kinds=STEPPERS),),
    "regularization": (Wish(real="made", noise=(0.03, 0.3), tails=("normal", "uniform")),),
    "momentum_too_high": (
        Wish(kinds=frozenset(("sgd", "momentum", "nesterov"))),
        Wish(kinds=frozenset(("adam", "amsgrad", "rmsprop", "centered"))),
    ),
    "learning_rate_too_high": (Wish(),),
    "learning_rate_too_low": (Wish(),),
    "batch_noise": (
        Wish(real="made", batches=_FULL, rows=(25, 600), noise=(0.5, 2), speed=(0.3, 0.9), tails=("normal", "uniform")),
    ),
}
"""What a table and its training must be like for a mistake to matter; several are alternatives."""
_BLOWS_UP = (
    "learning_rate_too_high",
    "feature_scale",
    "loss_reduction",
    "high_leverage",
    "batch_noise",
    "momentum_too_high",
)
CONTRARY = (
    *({"learning_rate_too_low", other} for other in _BLOWS_UP),
    {"learning_rate_too_low", "target_scale"},
    {"learning_rate_too_high", "target_scale"},
    *(
        {"overfitting", other}
        for other in ("outliers", "collinearity", "ill_conditioned", "validation_shift", "high_leverage")
    ),
    {"collinearity", "ill_conditioned"},
    *({"regularization", other} for other in ("overfitting", "collinearity", "ill_conditioned")),
)
"""Two that make up for each other, are one under two names, or of which the one makes the other invisible."""


def _can_meet(names: tuple[str, ...]) -> bool:
    return not any(pair <= set(names) for pair in CONTRARY) and bool(_wishes(names))


def _wishes(names: tuple[str, ...]) -> list[Wish]:
    """Return the wishes that fulfil one alternative of each cause."""
    found = [Wish()]
    for name in names:
        met = [one.meet(other) for one in found for other in WISHES[name]]
        found = [wish for wish in met if wish is not None]
    return found


PAIRS = tuple(names for names in combinations(ORDER, 2) if _can_meet(names))
TRIPLES = tuple(names for names in combinations(ORDER, 3) if _can_meet(names))


def _due(kind: str, turn: int, attempt: int) -> tuple[str, ...]:
    """Return the causes whose turn it is; several that cannot be made to matter together give way to others."""
    if kind == "healthy":
        return ()
    if kind in ("mild", "one"):
        names = ORDER if kind == "one" else MILD
        return (names[turn % len(names)],)
    several = PAIRS if kind == "two" else TRIPLES
    order = np.random.default_rng(len(several)).permutation(len(several))
    return several[order[(turn + 31 * (attempt // TRIES)) % len(several)]]


def _mistake(rng: Generator, plan: Plan, cause: str, size: str) -> tuple[str, Change | Mistake] | None:
    """Draw a form of a cause that fits the plan; return its name and what it does."""
    forms = FORMS[cause]
    for k in rng.permutation(len(forms)):
        found = forms[k](rng, plan, size)
        if found is not None:
            return f"{cause}({plan.basis if cause == 'ill_conditioned' else forms[k].__name__})", found
    return None


def _look(rng: Generator, names: tuple[str, ...]) -> tuple[str, Look] | None:
    """Return what the table and the training are to be like."""
    if names:
        wishes = _wishes(names)
        return "", Look(wishes[int(rng.integers(len(wishes)))])
    look = str(rng.choice(["plain", *LOOKS], p=[0.3] + [0.7 / len(LOOKS)] * len(LOOKS)))
    return look, LOOKS.get(look, PLAIN)


def _drawn(rng: Generator, kind: str, names: tuple[str, ...], label: str) -> Case | None:
    """Draw a case; None where the draws do not go together."""
    told, look = _look(rng, names)
    plan = (real if look.wish.real != "never" and rng.random() < 0.25 else made)(rng, look.wish)
    if plan is None:
        return None
    plan, forced = look.prepared(rng, plan)
    plan = trained(rng, plan, look.wish, **forced)
    if plan is None:
        return None
    changes: dict[str, Change] = {}
    for cause in sorted(names, key=ORDER.index):
        size = "mild" if kind == "mild" else str(rng.choice(["slight", "gross"]))
        found = _mistake(rng, plan, cause, size)
        if found is None:
            return None
        told += ("+" if told else "") + f"{found[0]} {size}"
        if isinstance(found[1], Mistake):
            plan = found[1].prepared(plan)
        changes[cause] = found[1].change if isinstance(found[1], Mistake) else found[1]
    if not case_of(plan).outcome.share < 0.95 * CONVERGED:
        return None
    return _with_twins(plan, changes, f"{label} {kind} {told}")


def _with_twins(plan: Plan, changes: dict[str, Change], name: str) -> Case:
    """Return the case with all changes, and a twin for every part of them."""
    made_of: dict[tuple[str, ...], Case] = {}
    for many in range(len(changes) + 1):
        for names in combinations(changes, many):
            changed = plan
            for cause in names:
                changed = changes[cause](changed)
            undone = {cause: made_of[tuple(n for n in names if n != cause)] for cause in names}
            case = case_of(changed, name, faults=names, undone=undone, healthy=made_of.get(()))
            if many == len(changes) > 0 and case.outcome.verdict not in ("converges", "cannot_run"):
                case.also.update(remedies(changed, case))
            made_of[names] = case
    return made_of[tuple(changes)]


def _alone(case: Case, cause: str) -> Case:
    """Return the case with one of its faults only."""
    for other in case.faults:
        case = case if other == cause else case.undone[other]
    return case


def _fits(case: Case, kind: str, partly: bool) -> str:
    """Return why a case does not belong into a slot; empty where it does."""
    known = truth(case)
    if not known.clear:
        return "unclear"
    if kind in ("healthy", "mild"):
        return "harmful" if known.causes else ""
    if not known.causes or (len(known.causes) < len(case.faults) and not partly):
        return "not all of them causes"
    if len(case.faults) > 1 and any(cause not in truth(_alone(case, cause)).causes for cause in known.causes):
        return "not each of them a cause by itself"
    return ""


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
        If many draws give no clear case; the generator is then wrong.
    """
    kind = SLOTS[index % len(SLOTS)]
    turn = index // len(SLOTS) * SLOTS.count(kind) + SLOTS[: index % len(SLOTS)].count(kind)
    for attempt in range(50 * TRIES):
        rng = np.random.default_rng([seed, index, attempt, 5])
        names = _due(kind, turn, attempt)
        found = _drawn(rng, kind, names, f"{index:04d}")
        reason = "does not go together" if found is None else _fits(found, kind, bool(rng.random() < PARTLY))
        if not reason:
            return found
        if dropped is not None:
            dropped[f"{kind} {'+'.join(names)}: {reason}" if kind == "one" else f"{kind}: {reason}"] += 1
    raise RuntimeError(f"No clear case for seed {seed}, index {index} ({kind}, turn {turn}).")


def cases(seed: int, count: int = 1000, dropped: Counter[str] | None = None) -> Iterator[Case]:
    """Yield the cases of a seed.

    Parameters
    ----------
    seed : int
        Decides everything.
    count : int, default=1000
        How many.
    dropped : Counter, optional
        Is told what was drawn in vain.

    Yields
    ------
    Case
        The next case.
    """
    for index in range(count):
        yield case(seed, index, dropped)
