"""Which of the suspected causes matter to this run: their remedies are applied, and the run is repeated."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from linreg.diagnosis.cases import Case
from linreg.diagnosis.causes import BEHIND
from linreg.diagnosis.explaining import DEPTH, TRIED, explained, seen_in, together, trials_of
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.hidden import hidden
from linreg.diagnosis.ranking import RATES, cures, prior
from linreg.diagnosis.remedies import Remedy
from linreg.diagnosis.symptoms import Symptoms


def findings(case: Case, symptoms: Symptoms) -> list[Finding]:
    """Return the causes that matter.

    Parameters
    ----------
    case : Case
        The run.
    symptoms : Symptoms
        Its numbers.

    Returns
    -------
    list of Finding
        Most important first.
    """
    seen = sorted(seen_in(case, symptoms), key=lambda finding: -finding.harm)
    if case.outcome.healthy:
        return sorted(_merged(seen, _behind_far_rows(case, seen)), key=lambda finding: -finding.harm)
    trials = list(trials_of(case, symptoms, seen))
    found = explained(case, trials, DEPTH)
    on_top = [_once_cured(case, found, finding) for finding in seen]
    more, oddness = hidden(case, trials, found)
    rate = next((prior(trial) for trial in trials if found and trial.cause == found[0].cause in RATES), 0.0)
    if more and oddness < rate:
        found, more = more, found  # they explain the run at the learning rate given
    every = _merged(found, more, on_top, _behind(case, found))
    return sorted(every, key=lambda finding: "looks_like_a_total" not in finding.evidence)  # no observations at all


def _merged(*groups: Sequence[Finding]) -> list[Finding]:
    """Return findings in their order, each cause as it was found first."""
    merged: dict[str, Finding] = {}
    for group in groups:
        for finding in group:
            merged.setdefault(finding.cause, finding)
    return list(merged.values())


def _once_cured(case: Case, found: Sequence[Finding], finding: Finding) -> Finding:
    """Return a finding with its remedies tried on top of the first one of all, where they do not cure by themselves."""
    first = next(iter(found[0].remedies), None) if found else None
    if first is None or not cures(first) or any(map(cures, finding.remedies)):
        return finding
    both = filter(None, (together(first, remedy) for remedy in finding.remedies[:TRIED]))
    proved = [remedy for remedy in (remedy.tried(case) for remedy in both) if cures(remedy)]
    return dataclasses.replace(finding, remedies=(*proved, *finding.remedies))


def _behind(case: Case, found: Sequence[Finding]) -> list[Finding]:
    """Return what shows once the run converges with its first remedy."""
    for remedy in found[0].remedies[:1] if found else ():
        if cures(remedy) and not (remedy.drop_rows or remedy.scale_target):
            return _seen_after(case, remedy)
    return []


def _behind_far_rows(case: Case, seen: Sequence[Finding]) -> list[Finding]:
    """Return what shows of a run that converges once its far rows are left out."""
    drops = (remedy for finding in seen for remedy in finding.remedies if finding.cause == "outliers")
    return next((_seen_after(case, remedy) for remedy in drops if remedy.drop_rows and cures(remedy)), [])


def _seen_after(case: Case, remedy: Remedy) -> list[Finding]:
    cured = remedy.applied(case)
    symptoms = Symptoms(cured)
    behind = [finding for cause in BEHIND if (finding := cause(cured, symptoms)) is not None]
    return [
        finding.told(f"With the first remedy ({remedy.name})")
        for finding in behind
        if finding.cause != "regularization" or not _penalises(remedy)
    ]


def _penalises(remedy: Remedy) -> bool:
    return remedy.settings.get("kernel_regularizer") is not None
