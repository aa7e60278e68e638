"""Which of the suspected causes matter to this run: their remedies are applied, and the run is repeated."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence

from linreg.diagnosis.cases import Case
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.fit_causes import BEHIND, FIT_CAUSES
from linreg.diagnosis.ranking import FLAT, IN_THE_LOSS, SURE, TENFOLD, Trial, cures, gain, prior, rank
from linreg.diagnosis.remedies import Remedy
from linreg.diagnosis.run_causes import Suspicion, learning_rate_too_low, suspicions
from linreg.diagnosis.symptoms import Symptoms
from linreg.optimizers import SGD

TRIED = 2
MOST_PAIRS = 60
DEPTH = 2
"""Remedies after one another that a run may need."""
TOO_LOW = 1 / 30
"""Share of the largest stable rate below which a rate is named, if it is all that is left once a cause is undone."""
OUT_OF_REACH = 1 / 3
"""The same for adaptive rules: share of the way that all steps of a run together can go."""
ONE_MISMATCH = {
    "feature_scale": ("learning_rate_too_high",),
    "high_leverage": ("feature_scale",),
    "collinearity": ("ill_conditioned",),
    "learning_rate_too_high": ("batch_noise",),
    "batch_noise": ("learning_rate_too_high",),
}
"""Names that belong together: the second is told with the first where both cure."""


def findings(case: Case, symptoms: Symptoms) -> list[Finding]:
    """Return the causes that matter, most important first."""
    seen = sorted(_seen(case, symptoms), key=lambda finding: -finding.harm)
    if case.outcome.healthy:
        return seen
    found = _explained(case, symptoms, seen, DEPTH)
    merged: dict[str, Finding] = {}
    for finding in (*found, *(_once_cured(case, found, finding) for finding in seen), *_behind(case, found)):
        merged.setdefault(finding.cause, finding)
    return list(merged.values())


def _seen(case: Case, symptoms: Symptoms) -> list[Finding]:
    """Return what the exact fit shows, with the remedies tried."""
    return [_proved(case, finding) for cause in FIT_CAUSES if (finding := cause(case, symptoms)) is not None]


def _once_cured(case: Case, found: Sequence[Finding], finding: Finding) -> Finding:
    """Return a finding with its remedies tried on top of the first one of all, where they do not cure by themselves."""
    first = next(iter(found[0].remedies), None) if found else None
    if first is None or not cures(first) or any(map(cures, finding.remedies)):
        return finding
    both = filter(None, (_together(first, remedy) for remedy in finding.remedies[:TRIED]))
    proved = [remedy for remedy in (remedy.tried(case) for remedy in both) if cures(remedy)]
    return dataclasses.replace(finding, remedies=(*proved, *finding.remedies))


def _explained(case: Case, symptoms: Symptoms, seen: Sequence[Finding], depth: int) -> list[Finding]:
    """Return why a run does not converge: causes whose remedies cure it, alone, in pairs, or one after the other."""
    trials = list(_trials(case, symptoms, seen))
    cured = sorted((trial for trial in trials if trial.cured or trial.stabilises), key=lambda t: rank(t, trials))
    sure = [trial for trial in cured if rank(trial, trials) <= SURE]
    if cured and not sure:
        # Another rate cures nearly everything; two odd things together may explain the run without.
        pair = _pair(case, [trial for trial in trials if prior(trial) <= SURE and trial.cause not in FLAT])
        if pair:
            return [*pair, cured[0].finding()]
    if cured:
        together = ONE_MISMATCH.get(cured[0].cause, ())
        told = [trial for trial in cured[1:] if trial in sure or trial.cause in together or _far_too_low(trial)]
        features = [trial for trial in trials if trial.cause == "feature_scale" and _needs_features(cured[0])]
        return [*_completed(cured[0], trials), *(trial.finding() for trial in (*told, *features))]
    return _pair(case, trials) or _one_after_the_other(case, trials, depth)


def _trials(case: Case, symptoms: Symptoms, seen: Sequence[Finding]) -> Iterator[Trial]:
    """Yield every cause once, with its remedies tried."""
    done = {finding.cause for finding in seen if finding.cause in IN_THE_LOSS}
    for suspicion in suspicions(case, symptoms):
        if suspicion.cause not in done:
            done.add(suspicion.cause)
            yield Trial(case, symptoms, suspicion, tuple(_until_cured(case, suspicion.remedies)))
    for finding in seen:
        if finding.cause in IN_THE_LOSS:
            suspicion = Suspicion(finding.cause, finding.evidence, finding.explanation, finding.remedies)
            # Huber's loss ends many divergences, whatever their cause: only what leaves the loss as it is proves one.
            tried = [remedy for remedy in finding.remedies if remedy.after and "loss" not in remedy.settings]
            yield Trial(case, symptoms, suspicion, tuple(tried))


def _until_cured(case: Case, remedies: Iterable[Remedy]) -> Iterator[Remedy]:
    """Try remedies one after the other until one cures."""
    for remedy in remedies:
        tried = remedy.tried(case)
        yield tried
        if cures(tried):
            return


def _needs_features(trial: Trial) -> bool:
    """Whether scaling the target cures only together with scaling the features."""
    return trial.cause == "target_scale" and any(cures(remedy) and remedy.steps for remedy in trial.tried)


def _behind(case: Case, found: list[Finding]) -> list[Finding]:
    """Return what shows once the run converges with its first remedy."""
    for remedy in found[0].remedies[:1] if found else ():
        if cures(remedy) and not (remedy.drop_rows or remedy.scale_target):
            cured = remedy.applied(case)
            symptoms = Symptoms(cured)
            behind = [finding for cause in BEHIND if (finding := cause(cured, symptoms)) is not None]
            return [finding for finding in behind if finding.cause != "regularization" or not _penalises(remedy)]
    return []


def _penalises(remedy: Remedy) -> bool:
    return remedy.settings.get("kernel_regularizer") is not None


def _completed(trial: Trial, trials: list[Trial]) -> list[Finding]:
    """Return the finding with a remedy that cures, if need be together with one of another suspicion."""
    finding = trial.finding()
    if trial.cured:
        return [finding]
    first = trial.suspicion.remedies[0]
    after = first.applied(trial.case)
    symptoms = Symptoms(after)
    again = learning_rate_too_low(after, symptoms)
    rates = again.remedies if again else ()
    others = (remedy for other in trials if other is not trial for remedy in other.suspicion.remedies[:2])
    both = itertools.chain(map(first.and_then, rates), filter(None, (_together(first, other) for other in others)))
    for number, attempt in enumerate(itertools.islice(both, MOST_PAIRS // 3)):
        proved = attempt.tried(trial.case)
        if cures(proved):
            low = again is not None and number < len(rates) and _far_too_low(Trial(after, symptoms, again, ()))
            return [_with(finding, proved), *([_as_finding(again)] if again and low else [])]
    return [finding]


def _far_too_low(trial: Trial) -> bool:
    """Whether the rate is far below what these data carry, whatever else is wrong."""
    if trial.cause != "learning_rate_too_low":
        return False
    evidence = trial.suspicion.evidence
    if isinstance(trial.case.settings.optimizer, SGD):
        return bool(evidence["ratio"] <= TOO_LOW)
    usual = trial.symptoms.abnormality["target_scale"] < TENFOLD  # else it is the target that is too large
    return bool(usual and evidence["reach"] <= OUT_OF_REACH * evidence["distance"])


def _as_finding(suspicion: Suspicion) -> Finding:
    return Finding(suspicion.cause, suspicion.evidence, suspicion.explanation, suspicion.remedies)


def _pair(case: Case, trials: list[Trial]) -> list[Finding]:
    """Return the first two causes whose remedies cure together what none cures alone."""
    likely = sorted(trials, key=prior)
    attempts = (
        (one, other, both)
        for one, other in sorted(itertools.combinations(likely, 2), key=lambda pair: sum(map(prior, pair)))
        for first, second in itertools.product(one.suspicion.remedies[:3], other.suspicion.remedies[:4])
        if (both := _together(first, second)) is not None
    )
    for one, other, both in itertools.islice(attempts, MOST_PAIRS):
        proved = both.tried(case)
        if cures(proved):
            order = sorted((one, other), key=lambda trial: -trial.gain())
            return [_with(trial.finding(), proved) for trial in order]
    return []


def _together(first: Remedy, second: Remedy) -> Remedy | None:
    """Return two remedies of a case as one; None if one of them is only advice, or something would be done twice."""
    twice = (first.scale_target and second.scale_target) or any(step in first.steps for step in second.steps)
    return first.together_with(second) if first.changes and second.changes and not twice else None


def _one_after_the_other(case: Case, trials: list[Trial], depth: int) -> list[Finding]:
    """Return the cause whose remedy wins most, then what is wrong after it."""
    better = sorted((trial for trial in trials if trial.gain() >= TENFOLD), key=lambda trial: -trial.gain())
    if not better:
        return []
    first = better[0].finding()
    if depth == 1:
        return [trial.finding() for trial in better[:2]]
    after = first.remedies[0].applied(case)
    symptoms = Symptoms(after)
    rest = _explained(after, symptoms, _seen(after, symptoms), depth - 1)
    if rest and rest[0].remedies and cures(rest[0].remedies[0]):
        proved = first.remedies[0].and_then(rest[0].remedies[0]).tried(case)
        if cures(proved):
            return [_with(first, proved), *rest]
    return [trial.finding() for trial in better[:2]]


def _with(finding: Finding, remedy: Remedy) -> Finding:
    return dataclasses.replace(finding, remedies=(remedy, *finding.remedies))


def _proved(case: Case, finding: Finding) -> Finding:
    """Return a finding with those of its remedies tried that change the run, those that cure first."""
    remedies = [
        remedy.tried(case) if remedy.after is None and remedy.changes else remedy for remedy in finding.remedies[:TRIED]
    ]
    won = max((gain(case.outcome, remedy.after) for remedy in remedies if remedy.after is not None), default=0.0)
    if not case.outcome.healthy:
        remedies.sort(key=lambda remedy: not cures(remedy))
    return dataclasses.replace(finding, remedies=(*remedies, *finding.remedies[TRIED:]), gain=won)
