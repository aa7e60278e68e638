"""Which of the suspected causes matter to this run: their remedies are applied, and the run is repeated."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

from linreg.diagnosis.cases import Case, Outcome
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.fit_causes import FIT_CAUSES, OF_THE_COEFFICIENTS
from linreg.diagnosis.remedies import Remedy
from linreg.diagnosis.run_causes import Suspicion, learning_rate_too_low, suspicions, unusual_momentum
from linreg.diagnosis.symptoms import Symptoms
from linreg.optimizers import SGD

TENFOLD = 1.0
"""Powers of ten by which the excess has to fall to be clearly better."""
TRIED = 2
SMALLEST_SHARE = 1e-12
SMALL_BATCH = 8
MOST_PAIRS = 60
SURE = 0.3
"""Rank up to which a cause is told even if another one explains the run too."""
USUAL_ADAPTIVE_RATE = 0.05
FLAT = ("collinearity", "ill_conditioned")
BEFORE_OUTLIERS = ("momentum_too_high", "loss_reduction")
RATES = ("learning_rate_too_high", "learning_rate_too_low")
ONE_MISMATCH = {
    "feature_scale": ("learning_rate_too_high",),
    "high_leverage": ("feature_scale",),
    "collinearity": ("ill_conditioned",),
    "learning_rate_too_high": ("batch_noise",),
    "batch_noise": ("learning_rate_too_high",),
}
"""Names that belong together: the second is told with the first where both cure."""


def gain(before: Outcome, after: Outcome) -> float:
    """Return by how many powers of ten the share of the excess that is left at the end has fallen."""

    def left(outcome: Outcome) -> float:
        return math.log10(min(max(outcome.share, SMALLEST_SHARE), 1 / SMALLEST_SHARE))

    return left(before) - left(after)


@dataclass(frozen=True, eq=False)
class Trial:
    """A suspicion with its remedies tried on a case."""

    case: Case
    symptoms: Symptoms
    suspicion: Suspicion
    tried: tuple[Remedy, ...]

    @property
    def cause(self) -> str:
        """The suspected cause."""
        return self.suspicion.cause

    @property
    def cured(self) -> bool:
        """Whether a remedy makes the run converge."""
        return any(map(cures, self.tried))

    @property
    def same_rate(self) -> tuple[Remedy, ...]:
        """The remedies that keep the learning rate."""
        return tuple(remedy for remedy in self.tried if not remedy.changes_rate(self.case))

    def gain(self, remedies: Iterable[Remedy] | None = None) -> float:
        """Return what the best of the remedies wins."""
        some = self.tried if remedies is None else remedies
        return max((gain(self.case.outcome, remedy.after) for remedy in some if remedy.after is not None), default=0.0)

    def finding(self) -> Finding:
        """Return it as a finding, the remedies that cure first."""
        order = sorted(self.tried, key=lambda remedy: not cures(remedy))
        return Finding(self.cause, self.suspicion.evidence, self.suspicion.explanation, tuple(order), self.gain())


def cures(remedy: Remedy) -> bool:
    """Whether the run converged with the remedy."""
    return remedy.after is not None and remedy.after.healthy


def tried(case: Case, symptoms: Symptoms, suspicion: Suspicion) -> Trial:
    """Try the remedies of a suspicion one after the other, until one cures."""
    done: list[Remedy] = []
    for remedy in suspicion.remedies:
        done.append(remedy.tried(case))
        if cures(done[-1]):
            break
    return Trial(case, symptoms, suspicion, tuple(done))


def findings(case: Case, symptoms: Symptoms) -> list[Finding]:
    """Return the causes that matter, most important first."""
    seen = [_proved(case, finding) for cause in FIT_CAUSES if (finding := cause(case, symptoms)) is not None]
    if case.outcome.healthy:
        return seen
    # Without its far rows, or its penalty, the run may be right.
    dropped = [
        finding
        for finding in seen
        if any(cures(remedy) for remedy in finding.remedies if remedy.drop_rows or finding.cause == "regularization")
    ]
    found = _run_findings(case, symptoms, bool(dropped))
    first = [finding for finding in found if finding.cause in BEFORE_OUTLIERS]
    merged: dict[str, Finding] = {}
    for finding in (*first, *dropped, *found, *seen, *_behind(case, found)):
        merged.setdefault(finding.cause, finding)
    return list(merged.values())


def _behind(case: Case, found: list[Finding]) -> list[Finding]:
    """Return what the coefficients show once the run converges, with its first remedy if that is a setting alone."""
    for remedy in found[0].remedies[:1] if found else ():
        if cures(remedy) and not (remedy.steps or remedy.drop_rows or remedy.scale_target):
            cured = remedy.applied(case)
            symptoms = Symptoms(cured)
            return [finding for cause in OF_THE_COEFFICIENTS if (finding := cause(cured, symptoms)) is not None]
    return []


def _run_findings(case: Case, symptoms: Symptoms, explained: bool) -> list[Finding]:
    """Return the causes for which a run does not converge; only those beyond doubt if it is explained already."""
    trials: list[Trial] = []
    for suspicion in suspicions(case, symptoms):
        if suspicion.cause not in [trial.cause for trial in trials]:
            trials.append(tried(case, symptoms, suspicion))
    cured = sorted((trial for trial in trials if trial.cured or _stabilises(trial)), key=_rank)
    sure = [trial for trial in cured if _rank(trial) <= SURE]
    if explained:
        return [trial.finding() for trial in sure]
    if cured:
        together = ONE_MISMATCH.get(cured[0].cause, ())
        told = [cured[0], *(trial for trial in cured[1:] if trial in sure or trial.cause in together)]
        return [_completed(told[0], trials), *(trial.finding() for trial in told[1:])]
    pair = _pair(case, trials)
    if pair:
        return pair
    better = [trial for trial in trials if trial.gain() >= TENFOLD]
    return [trial.finding() for trial in sorted(better, key=lambda trial: -trial.gain())[:2]]


def _stabilises(trial: Trial) -> bool:
    """Whether a remedy at the learning rate given ends a divergence, if it does not lead all the way."""
    return (
        trial.case.outcome.verdict == "diverges"
        and trial.cause not in (*RATES, *FLAT, "momentum_too_high")
        and any(r.after is not None and r.after.verdict not in ("diverges", "cannot_run") for r in trial.same_rate)
        and trial.gain(trial.same_rate) >= TENFOLD
    )


def _completed(trial: Trial, trials: list[Trial]) -> Finding:
    """Return the finding with a remedy that cures, if need be together with one of another suspicion."""
    if trial.cured:
        return trial.finding()
    others = (remedy for other in trials if other is not trial for remedy in other.suspicion.remedies[:2])
    first = trial.suspicion.remedies[0]
    again = _suspected_rates(first.applied(trial.case))
    for second in itertools.islice(itertools.chain(again, others), MOST_PAIRS // 3):
        both = first.together_with(second)
        if both is not None and cures(proved := both.tried(trial.case)):
            return _with(trial.finding(), proved)
    return trial.finding()


def _suspected_rates(case: Case) -> tuple[Remedy, ...]:
    suspicion = learning_rate_too_low(case, Symptoms(case))
    return () if suspicion is None else suspicion.remedies


def _rank(trial: Trial) -> float:
    """Return how well a cause explains the run, 0 best.

    A cause whose remedy cures at the learning rate given comes first, the more specific one before; then the rate; then
    causes whose remedies change the rate as well, and settings that are usual.
    """
    case, optimizer = trial.case, trial.case.settings.optimizer
    at_this_rate = any(map(cures, trial.same_rate))
    if trial.cause == "batch_noise":
        # Noise and rate make the same jitter; which of them is unusual?
        sgd = isinstance(optimizer, SGD)
        calm = trial.case.learning_rate <= (trial.symptoms.limit_now / 2 if sgd else USUAL_ADAPTIVE_RATE)
        last = len(case.y) % case.batch_size
        small = case.batch_size <= SMALL_BATCH or 0 < last <= case.batch_size / SMALL_BATCH
        return (0.5 if small else 0.9) if calm or (small and not sgd) else 2
    if trial.cause == "momentum_too_high":
        return 0 if unusual_momentum(case, trial.symptoms) else 3
    if trial.cause in FLAT and case.outcome.verdict == "diverges":
        return 3  # a flat direction makes no run diverge
    if trial.cause in RATES:
        return 1
    if at_this_rate or _stabilises(trial):
        off = trial.symptoms.abnormality.get(trial.cause, 20.0)
        return SURE - min(off, 20.0) / 100 if off >= TENFOLD else 0.6
    return 2


def _pair(case: Case, trials: list[Trial]) -> list[Finding]:
    """Return the first two causes whose remedies cure together what none cures alone."""
    attempts = (
        (one, other, both)
        for one, other in itertools.combinations(trials, 2)
        for first, second in itertools.product(one.suspicion.remedies[:3], other.suspicion.remedies[:4])
        if (both := first.together_with(second)) is not None
    )
    for one, other, both in itertools.islice(attempts, MOST_PAIRS):
        proved = both.tried(case)
        if cures(proved):
            order = sorted((one, other), key=lambda trial: -trial.gain())
            return [_with(trial.finding(), proved) for trial in order]
    return []


def _with(finding: Finding, remedy: Remedy) -> Finding:
    return dataclasses.replace(finding, remedies=(remedy, *finding.remedies))


def _proved(case: Case, finding: Finding) -> Finding:
    """Return a finding with those of its remedies tried that change the run."""
    remedies = [
        remedy.tried(case) if remedy.after is None and remedy.changes else remedy for remedy in finding.remedies[:TRIED]
    ]
    won = max((gain(case.outcome, remedy.after) for remedy in remedies if remedy.after is not None), default=0.0)
    return dataclasses.replace(finding, remedies=(*remedies, *finding.remedies[TRIED:]), gain=won)
