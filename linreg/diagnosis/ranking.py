"""How well a cause explains a run: remedies that were tried on it, and which cause is told first where several cure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from linreg.diagnosis.cases import Case, Outcome
from linreg.diagnosis.data_causes import clipped
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.remedies import Remedy
from linreg.diagnosis.setting_causes import FAR_OFF, unusual_momentum
from linreg.diagnosis.symptoms import Symptoms
from linreg.optimizers import SGD

TENFOLD = 1.0
"""Powers of ten by which the excess has to fall to be clearly better."""
CLEAR = 0.5
"""The same where a little change is all that is asked: another order of the rows, or slightly larger batches."""
SMALLEST_SHARE = 1e-12
ODD_LAST = 0.1
"""Share of a batch that is odd as the last one."""
SMALL_BATCH, USUAL_BATCH = 8, 32
"""Rows in a batch up to which it is odder than the rate, and Keras' default, from which the rate is odder."""
SURE = 0.3
"""Rank up to which a cause is told even if another one explains the run too."""
LONG = 0.5
"""Step of an adaptive rule, as a share of the way to the optimum, from which no batch is large enough."""
IN_THE_LOSS = ("outliers", "regularization")
"""Causes told from the exact fit that may also keep a run from converging."""
TOO_LOW = 1 / 30
"""Share of the largest stable rate below which a rate is named, if it is all that is left once a cause is undone."""
OUT_OF_REACH = 1 / 3
"""The same for adaptive rules: share of the way that all steps of a run together can go."""
FAR_BELOW = 1 / 50
"""The same where something else explains the run too."""
FLAT = ("collinearity", "ill_conditioned")
RATES = ("learning_rate_too_high", "learning_rate_too_low")
ODD = {"outliers": 0.05, "regularization": 0.05, "high_leverage": 0.1, "constant_feature": 0.1, "loss_reduction": 0.2}
"""Ranks of causes that nobody wants in a run: where their remedy cures, they come first."""
UNUSUAL_MOMENTUM, ODD_SCHEDULE = 0.0, 0.05
OUTLIERS_OF_A_RISE = 0.11
"""Behind rows far out in the features: whether a squared error rises is up to the features alone."""
ANOTHER_ORDER = 0.12
"""Of batches, where another order of the rows, or no small batch at the end, is all that it takes."""
FLAT_DIRECTION, CLIPPED_TARGET = 0.15, 0.2
NOISE_OF_SMALL, NOISE_OF_USUAL, NOISE_OF_LARGE = 0.5, 0.9, 1.1
"""Of batch noise, by the size of the batch: odder than the rate, or less odd."""
THE_RATE, BEHIND_THE_RATE, USUAL, WITH_ANOTHER_RATE, EXPLAINED_ELSEWHERE = 1.0, 1.05, 1.5, 2.0, 3.0
"""Ranks beyond `SURE`: of the rate itself; of a flat direction that a longer step would cross; of data as they usually
are; of what cures only together with another rate; of what something else explains."""


def gain(before: Outcome, after: Outcome) -> float:
    """Return by how many powers of ten the share of the excess that is left at the end has fallen."""

    def left(outcome: Outcome) -> float:
        return math.log10(min(max(outcome.share, SMALLEST_SHARE), 1 / SMALLEST_SHARE))

    return left(before) - left(after)


def cures(remedy: Remedy) -> bool:
    """Whether the run converged with the remedy."""
    return remedy.after is not None and remedy.after.healthy


@dataclass(frozen=True, eq=False)
class Trial:
    """A suspicion with its remedies tried on a case."""

    case: Case
    symptoms: Symptoms
    suspicion: Finding
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
        return tuple(remedy for remedy in self.tried if not remedy.changes_rate)

    @property
    def stabilises(self) -> bool:
        """Whether a remedy at the learning rate given ends a rise of the loss, if it does not lead all the way."""
        return (
            self.case.outcome.rises
            and self.cause not in (*RATES, *FLAT, *IN_THE_LOSS, "momentum_too_high", "batch_noise")
            and any(r.after is not None and not r.after.rises and np.isfinite(r.after.share) for r in self.same_rate)
            and self.gain(self.same_rate) >= TENFOLD
        )

    def gain(self, remedies: Iterable[Remedy] | None = None) -> float:
        """Return what the best of the remedies wins."""
        some = self.tried if remedies is None else remedies
        return max((gain(self.case.outcome, remedy.after) for remedy in some if remedy.after is not None), default=0.0)

    @property
    def least(self) -> float:
        """The least share of the initial excess that any of the remedies leaves."""
        return min((remedy.after.share for remedy in self.tried if remedy.after is not None), default=math.inf)

    def finding(self) -> Finding:
        """Return it as a finding, the remedies that cure first, then those that win most."""
        order = sorted(self.tried, key=lambda remedy: (not cures(remedy), -gain(self.case.outcome, remedy.after)))  # type: ignore[arg-type]
        return dataclasses.replace(self.suspicion, remedies=tuple(order), gain=self.gain())


def rank(trial: Trial, trials: Sequence[Trial]) -> float:
    """Return how well a cause explains the run, 0 best.

    Parameters
    ----------
    trial : Trial
        A cause whose remedy cures the run, or ends its divergence.
    trials : sequence of Trial
        All causes that were tried.

    Returns
    -------
    float
        What is odd in itself comes first, if undoing it cures at the learning rate given; then the rate; then what
        cures only together with another rate, and settings that are usual.
    """
    scale = next((other for other in trials if other.cause == "feature_scale"), None)
    if trial.cause in FLAT and scale and prior(scale) <= SURE and any(map(cures, scale.same_rate)):
        # Its remedies standardise too: that alone is enough.
        return EXPLAINED_ELSEWHERE
    if trial.cause in FLAT and isinstance(trial.case.settings.optimizer, SGD):
        low = next((other for other in trials if other.cause == "learning_rate_too_low" and other.cured), None)
        if low is not None and far_too_low(low, FAR_BELOW):
            return BEHIND_THE_RATE
    if trial.cause not in (*RATES, "momentum_too_high", "batch_noise") and not (
        any(map(cures, trial.same_rate)) or trial.stabilises
    ):
        return WITH_ANOTHER_RATE
    odd = prior(trial)
    if trial.cause == "batch_noise" and odd <= SURE:
        # Where the data are odd and undoing that wins far more, the batches only show it.
        others = (other for other in trials if other is not trial and prior(other) <= SURE)
        won = max((other.gain(other.same_rate) for other in others if any(map(cures, other.same_rate))), default=0.0)
        return SURE if won > trial.gain() + TENFOLD else odd
    return odd


def prior(trial: Trial) -> float:
    """Return how odd the data or the setting is that a cause is about, 0 oddest, whatever its remedy does."""
    case, symptoms = trial.case, trial.symptoms
    if trial.cause == "outliers" and case.outcome.rises:
        return OUTLIERS_OF_A_RISE
    if trial.cause in ODD:
        return ODD[trial.cause]
    if trial.cause == "momentum_too_high":
        return UNUSUAL_MOMENTUM if unusual_momentum(case, symptoms) else EXPLAINED_ELSEWHERE
    if trial.cause == "batch_noise":
        return _rank_of_noise(trial)
    if trial.cause in RATES:
        return ODD_SCHEDULE if _odd_schedule(trial) else THE_RATE
    if trial.cause in FLAT:
        steep = isinstance(case.settings.optimizer, SGD) and case.learning_rate > symptoms.limit_now
        too_long = steep or case.outcome.verdict == "diverges"  # which no flat direction makes a step
        return EXPLAINED_ELSEWHERE if too_long else FLAT_DIRECTION
    if trial.cause == "target_scale" and clipped(case, symptoms):
        return CLIPPED_TARGET
    off = symptoms.abnormality[trial.cause]
    return SURE - min(off, 20.0) / 100 if off >= TENFOLD else USUAL


def _odd_schedule(trial: Trial) -> bool:
    """Whether a schedule leaves the rate that it starts from so far that it is the reason itself."""
    rates = trial.case.rates
    if trial.cause == "learning_rate_too_low":
        return bool(rates.mean() * FAR_OFF < rates.max())
    return bool(rates[0] > 0 and rates.max() > FAR_OFF * rates[0])  # a warm-up begins at zero


def _rank_of_noise(trial: Trial) -> float:
    """Return the prior of small batches: noise and rate make the same jitter, and one of them may be the odder."""
    case = trial.case
    if isinstance(case.settings.optimizer, SGD):
        calm = case.learning_rate <= trial.symptoms.limit_now
    else:
        calm = case.learning_rate <= LONG * trial.symptoms.distance
        if not calm:
            return WITH_ANOTHER_RATE
    if any(cures(r) and r.name.startswith(("whole", "shuffle")) and trial.gain([r]) >= CLEAR for r in trial.tried):
        return ANOTHER_ORDER
    if not calm:
        return WITH_ANOTHER_RATE
    last = case.count % case.batch_size
    if 0 < last <= case.batch_size * ODD_LAST and any(cures(remedy) for remedy in trial.tried):
        return NOISE_OF_SMALL
    if case.batch_size <= SMALL_BATCH:
        return NOISE_OF_SMALL
    return NOISE_OF_USUAL if case.batch_size <= USUAL_BATCH else NOISE_OF_LARGE


def far_too_low(trial: Trial, share: float = TOO_LOW) -> bool:
    """Return whether the rate is far below what these data carry, whatever else is wrong.

    Parameters
    ----------
    trial : Trial
        A suspicion.
    share : float, default=1/30
        Share of the largest stable rate.

    Returns
    -------
    bool
        False for any other suspicion.
    """
    if trial.cause != "learning_rate_too_low":
        return False
    evidence = trial.suspicion.evidence
    if isinstance(trial.case.settings.optimizer, SGD):
        return bool(evidence["ratio"] <= share)
    usual = trial.symptoms.abnormality["target_scale"] < TENFOLD  # else it is the target that is too large
    return bool(usual and evidence["reach"] <= OUT_OF_REACH * evidence["distance"])
