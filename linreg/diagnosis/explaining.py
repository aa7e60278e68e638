"""Why a run does not converge: causes whose remedies cure it, alone, in pairs, or one after the other."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence

from linreg.diagnosis.cases import Case
from linreg.diagnosis.causes import FIT_CAUSES, suspicions
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.ranking import FLAT, IN_THE_LOSS, SURE, TENFOLD, Trial, cures, far_too_low, gain, prior, rank
from linreg.diagnosis.remedies import Remedy
from linreg.diagnosis.setting_causes import learning_rate_too_low
from linreg.diagnosis.symptoms import Symptoms

TRIED = 2
MOST_PAIRS, LEAST_PAIRS, STEPS = 60, 12, 1_000_000
"""Pairs of remedies that are tried, and how many of long runs; these together may take about so many steps."""
DEPTH = 2
"""Remedies after one another that a run may need."""
ONE_MISMATCH = {
    "feature_scale": ("learning_rate_too_high",),
    "high_leverage": ("feature_scale",),
    "collinearity": ("ill_conditioned",),
    "learning_rate_too_high": ("batch_noise",),
    "batch_noise": ("learning_rate_too_high",),
}
"""Names that belong together: the second is told with the first where both cure."""


def seen_in(case: Case, symptoms: Symptoms) -> list[Finding]:
    """Return what the exact fit shows, with the remedies tried.

    Parameters
    ----------
    case : Case
        The run.
    symptoms : Symptoms
        Its numbers.

    Returns
    -------
    list of Finding
        In no order.
    """
    return [_proved(case, finding) for cause in FIT_CAUSES if (finding := cause(case, symptoms)) is not None]


def explained(case: Case, trials: Sequence[Trial], depth: int) -> list[Finding]:
    """Return why a run does not converge: causes whose remedies cure it, alone, in pairs, or one after the other.

    Parameters
    ----------
    case : Case
        The run.
    trials : sequence of Trial
        What is suspected.
    depth : int
        How many remedies after one another are tried.

    Returns
    -------
    list of Finding
        The causes, the one that explains it best first.
    """
    cured = sorted((trial for trial in trials if trial.cured or trial.stabilises), key=lambda t: rank(t, trials))
    sure = [trial for trial in cured if rank(trial, trials) <= SURE]
    if cured and not sure:
        # Another rate cures nearly everything; two odd things together may explain the run without.
        odd = [trial for trial in trials if prior(trial) <= SURE and trial.cause not in FLAT]
        pair = _pair(case, odd, same_rate=True)
        if pair:
            return [*pair, cured[0].finding()]
    if cured:
        first = _completed(cured[0], trials)
        if not any(map(cures, first[0].remedies)):
            # It ends the rise and leads nowhere: what leads to the optimum comes first.
            cured.sort(key=lambda trial: not trial.cured)
            first = _completed(cured[0], trials)
        alike = ONE_MISMATCH.get(cured[0].cause, ())
        told = [trial for trial in cured[1:] if trial in sure or trial.cause in alike or far_too_low(trial)]
        features = [trial for trial in trials if trial.cause == "feature_scale" and _needs_features(cured[0])]
        return [*first, *(trial.finding() for trial in (*told, *features))]
    return _pair(case, trials) or _one_after_the_other(case, trials, depth)


def trials_of(case: Case, symptoms: Symptoms, seen: Sequence[Finding]) -> Iterator[Trial]:
    """Yield every suspicion once, with its remedies tried.

    Parameters
    ----------
    case : Case
        The run.
    symptoms : Symptoms
        Its numbers.
    seen : sequence of Finding
        What the exact fit shows.

    Yields
    ------
    Trial
        A suspicion.
    """
    done = {finding.cause for finding in seen if finding.cause in IN_THE_LOSS}
    for suspicion in suspicions(case, symptoms):
        if suspicion.cause not in done:
            done.add(suspicion.cause)
            yield Trial(case, symptoms, suspicion, tuple(_until_cured(case, suspicion.remedies)))
    for finding in seen:
        if finding.cause in IN_THE_LOSS:
            # Huber's loss ends many divergences, whatever their cause: only what leaves the loss as it is proves one.
            tried = [remedy for remedy in finding.remedies if remedy.after and "loss" not in remedy.settings]
            yield Trial(case, symptoms, finding, tuple(tried))


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


def _completed(trial: Trial, trials: Sequence[Trial]) -> list[Finding]:
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
    both = itertools.chain(map(first.and_then, rates), filter(None, (together(first, other) for other in others)))
    for number, attempt in enumerate(itertools.islice(both, _most(trial.case) // 3)):
        proved = attempt.tried(trial.case)
        if cures(proved):
            low = again is not None and number < len(rates) and far_too_low(Trial(after, symptoms, again, ()))
            if again is None or not low:
                return [_with(finding, proved)]
            later = again.told(f"Once {finding.cause} is undone")
            return [_with(finding, proved), dataclasses.replace(later, remedies=(proved,))]
    return [finding]


def _most(case: Case) -> int:
    return max(LEAST_PAIRS, min(MOST_PAIRS, STEPS // case.steps))


def _pair(case: Case, trials: Sequence[Trial], *, same_rate: bool = False) -> list[Finding]:
    """Return the first two causes whose remedies cure together what none cures alone."""
    likely = sorted(trials, key=prior)
    attempts = (
        (one, other, both)
        for one, other in sorted(itertools.combinations(likely, 2), key=lambda pair: sum(map(prior, pair)))
        for first, second in itertools.product(one.suspicion.remedies[:3], other.suspicion.remedies[:4])
        if (both := together(first, second)) is not None and not (same_rate and both.changes_rate)
    )
    for one, other, both in itertools.islice(attempts, _most(case)):
        proved = both.tried(case)
        if cures(proved):
            order = sorted((one, other), key=lambda trial: trial.least)
            return [_with(trial.finding(), proved) for trial in order]
    return []


def together(first: Remedy, second: Remedy) -> Remedy | None:
    """Return two remedies of a case as one.

    Parameters
    ----------
    first, second : Remedy
        Remedies of the same case.

    Returns
    -------
    Remedy or None
        Not tried; None if one of them is only advice, or something would be done twice.
    """
    twice = (first.scale_target and second.scale_target) or any(step in first.steps for step in second.steps)
    return first.together_with(second) if first.changes and second.changes and not twice else None


def _one_after_the_other(case: Case, trials: Sequence[Trial], depth: int) -> list[Finding]:
    """Return the cause whose remedy wins most, then what is wrong after it."""
    better = sorted((trial for trial in trials if trial.gain() >= TENFOLD), key=lambda trial: -trial.gain())
    if not better:
        return []
    first = better[0].finding()
    if depth == 1:
        return [trial.finding() for trial in better[:2]]
    after = first.remedies[0].applied(case)
    symptoms = Symptoms(after)
    rest = explained(after, list(trials_of(after, symptoms, seen_in(after, symptoms))), depth - 1)
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
