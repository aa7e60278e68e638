"""Causes that another one hides: each alone would keep the run from converging, once all others are undone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np

from linreg.diagnosis.cases import Case
from linreg.diagnosis.explaining import explained, seen_in, together, trials_of
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.ranking import RATES, SURE, Trial, cures, far_too_low, prior
from linreg.diagnosis.remedies import STANDARDISE, Remedy, Step
from linreg.diagnosis.symptoms import Symptoms

BY_THE_MIDDLE = Step("sklearn.preprocessing", "RobustScaler", (("unit_variance", True),))
"""Scales features by their middle half, so that rows far out in them stay as far out as they are."""
NOTHING = Remedy("nothing", "")


def hidden(case: Case, trials: Sequence[Trial], found: Sequence[Finding]) -> tuple[list[Finding], float]:
    """Return odd things beside those found that would keep the run from converging by themselves.

    Everything odd in the data and the settings is undone at once, at the learning rate given. If the run still fails,
    what is wrong with it then is looked for, and undone, too. Then each odd thing alone is put back.

    Parameters
    ----------
    case : Case
        A run that does not converge.
    trials : sequence of Trial
        Its suspicions.
    found : sequence of Finding
        Causes that explain the run.

    Returns
    -------
    further : list of Finding
        Further causes; their first remedy undoes everything.
    oddness : float
        How odd it is, 0 oddest, that all of them are there at once; inf if they need another rate as well.
    """
    odd = [(trial, remedy) for trial in trials if prior(trial) <= SURE and (remedy := _undone(trial)) is not None]
    told = {finding.cause for finding in found}
    everything = _all(remedy for _, remedy in odd)
    if not odd or everything is None:
        return [], math.inf
    clean = everything.applied(case)
    if not clean.outcome.healthy:
        # Momentum is the one setting that can be undone by more and by less.
        lower = [(trial, trial.suspicion.remedies[-1] if trial.cause == "momentum_too_high" else r) for trial, r in odd]
        without = _all(remedy for _, remedy in lower)
        if without is not None and lower != odd and (calm := without.applied(case)).outcome.healthy:
            odd, everything, clean = lower, without, calm
    rest: list[Finding] = []
    left: list[Trial] = []
    if not clean.outcome.healthy:
        symptoms = Symptoms(clean)
        left = list(trials_of(clean, symptoms, seen_in(clean, symptoms)))
        rest = explained(clean, left, 1)
        if not (rest and rest[0].remedies and cures(rest[0].remedies[0])):
            return [], math.inf
    last = rest[0].remedies[0] if rest else NOTHING
    whole = everything.and_then(last) if rest else everything
    more = [trial for trial, _ in odd if trial.cause not in told and _alone(case, trial, odd, last)]
    low = "learning_rate_too_high" not in told and any(map(far_too_low, left))
    as_well = rest[:1] if low or (rest and rest[0].cause != "learning_rate_too_low") else []
    if not (more or as_well):
        return [], math.inf
    proved = whole.tried(case)
    further = [_explained_so(trial.finding(), proved) for trial in more]
    further += [dataclasses.replace(f.told("With all else mended"), remedies=(proved,)) for f in as_well]
    oddness = math.inf if whole.changes_rate else sum(prior(trial) for trial, _ in odd)
    return further, oddness + sum(prior(trial) for trial in left for f in as_well if trial.cause == f.cause)


def _undone(trial: Trial) -> Remedy | None:
    """Return the first remedy of an odd thing that leaves the learning rate and the loss as they are."""
    if trial.cause in (*RATES, "ill_conditioned", "batch_noise"):
        return None  # the first are told of what is left; to train on components would undo scales as well
    kept = (r for r in trial.suspicion.remedies if r.changes and not r.changes_rate and "loss" not in r.settings)
    return next(kept, None)


def _all(remedies: Iterable[Remedy]) -> Remedy | None:
    """Return remedies of a case as one; None if they do not go together."""
    both: Remedy | None = None
    for remedy in remedies:
        both = remedy if both is None else together(both, remedy)
        if both is None:
            return None
    return both


def _alone(case: Case, trial: Trial, odd: Sequence[tuple[Trial, Remedy]], last: Remedy) -> bool:
    """Whether the run fails with one odd thing left in it."""
    others = _all(_beside(trial, remedy) for other, remedy in odd if other is not trial)
    if not all(step.columnwise for step in last.steps):
        return False  # its columns are those without the odd thing
    left_in = last if others is None else others.and_then(last) if last is not NOTHING else others
    return left_in is not NOTHING and not left_in.applied(case).outcome.healthy


def _beside(trial: Trial, remedy: Remedy) -> Remedy:
    """Return a remedy of something else that leaves this as it is, where standardising would change it as well."""
    if trial.cause == "high_leverage":
        scale = BY_THE_MIDDLE
    elif trial.cause == "constant_feature":
        varying = [int(j) for j in np.flatnonzero(~trial.symptoms.constant)]
        scaled = ("transformers", [("scaled", STANDARDISE.make(), varying)])
        scale = Step("sklearn.compose", "ColumnTransformer", (scaled, ("remainder", "passthrough")))
    else:
        return remedy
    return dataclasses.replace(remedy, steps=tuple(scale if step == STANDARDISE else step for step in remedy.steps))


def _explained_so(finding: Finding, proved: Remedy) -> Finding:
    scaled = " and the features scaled by their middle half" if finding.cause == "high_leverage" else ""
    words = f"{finding.explanation} Alone, with all else mended{scaled}, it would keep the run from converging as well."
    return dataclasses.replace(finding, explanation=words, remedies=(proved, *finding.remedies))
