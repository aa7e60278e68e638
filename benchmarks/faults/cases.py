"""A run with a known fault, and what is true of it: its verdict by formula, its causes by undoing them.

The criteria are written out in `criteria.md`; the numbers in them are the constants below.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np

from benchmarks.faults.objective import Array, Objective
from linreg import LinearRegression
from linreg.callbacks import Callback, Logs

CONVERGED = 0.01
"""Share of the initial excess at which a run counts as converged."""
MARGIN = 0.03
"""Runs that end this near to `CONVERGED` are dropped: another machine's roundings might decide."""
BETTER = 0.1
"""The excess must end at this share or less for a run that still fails to count as clearly better."""
HARM, HARMLESS = 2.0, 1.25
"""Clean-data (or validation) error with the fault over that without it: a cause from `HARM` on, harmless up to
`HARMLESS`; nobody could decide between the two, and such cases are dropped."""
LOST, RESOLVED = 0.5, 0.2
"""Relative error of the coefficients: lost from `LOST` on, resolved up to `RESOLVED`."""
SHIFTED, UNSHIFTED = 0.1, 0.02
"""Intercept taken away by a constant column, in standard deviations of y: a cause from `SHIFTED` on."""
CORRELATED = 10.0
"""Condition number of the standardised columns above which lost coefficients may be blamed on it."""
TIE = 2.0
"""Causes whose gain is within this factor of the best are all right as the main one."""
EQUALS = (
    {"feature_scale", "learning_rate_too_high"},
    {"feature_scale", "learning_rate_too_low"},
    {"target_scale", "learning_rate_too_low"},
    {"target_scale", "learning_rate_too_high"},
)
"""Two names of one mismatch: where either remedy cures, either is right as the main cause."""
VERDICTS = ("converges", "too_slow", "oscillates", "stuck", "diverges", "cannot_run")


@dataclass(frozen=True, eq=False)
class Law:
    """What only the maker of a run knows, in the units of its X and y.

    Parameters
    ----------
    X : array of shape (many, features)
        Clean rows that were not trained on (for real tables: the table itself).
    y : array of shape (many,)
        Their targets.
    coef : array of shape (features,)
        True coefficients (for real tables: those of the exact fit to the table).
    noise : float
        Standard deviation of the clean noise.
    """

    X: Array
    y: Array
    coef: Array
    noise: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Case:
    """A run as a user would start it, and the same run without its faults.

    Parameters
    ----------
    name : str
        Unique; says index, faults, grade, optimizer, loss and table.
    X, y : array, list or frame
        What is given to `fit`.
    settings : dict
        Keyword arguments of `LinearRegression`.
    validation_data : tuple, optional
        What is given to `fit`.
    sample_weight : array, optional
        What is given to `fit`.
    faults : tuple of str
        Causes that were put in; empty for a healthy run.
    undone : dict of str to Case
        The same run with that one fault taken back; the others stay.
    healthy : Case, optional
        The same run with all faults taken back.
    law : Law, optional
        What the maker knows. Criteria that need it are not met without it.
    also : dict of str to tuple of Case
        Other single changes, by the cause whose remedy they are: where one makes the run converge, naming that cause
        is not wrong.
    natural : tuple of str
        Causes that real data may bring along and nobody can rule out: naming them is not wrong.
    """

    name: str
    X: Any
    y: Any
    settings: dict[str, Any]
    validation_data: tuple[Any, Any] | None = None
    sample_weight: Any = None
    faults: tuple[str, ...] = ()
    undone: dict[str, Case] = field(default_factory=dict)
    healthy: Case | None = None
    law: Law | None = None
    also: dict[str, tuple[Case, ...]] = field(default_factory=dict)
    natural: tuple[str, ...] = ()

    @cached_property
    def outcome(self) -> Outcome:
        """How the run goes; it is run once, when first asked for."""
        return _outcome(self)


@dataclass(frozen=True)
class Truth:
    """What is true of a case.

    Parameters
    ----------
    verdict : str
        One of `VERDICTS`.
    causes : frozenset of str
        Faults that were put in and matter: all of them are to be found.
    main : frozenset of str
        The right answers for the main cause; empty for a run without causes.
    open : frozenset of str
        Further causes that are neither to be found nor wrong to name.
    clear : bool
        Whether the case belongs on the bench: its failure is explained, and no fault lies between harm and harmless.
    """

    verdict: str
    causes: frozenset[str]
    main: frozenset[str]
    open: frozenset[str]
    clear: bool


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a run went.

    Parameters
    ----------
    verdict : str
        One of `VERDICTS`.
    excess : array of shape (epochs + 1,)
        J - J* before the first epoch and after each; empty where it cannot run.
    share : float
        The last excess over the first; infinite where it cannot run or overflows.
    weights, minimiser : array of shape (parameters,)
        Where the run ended, and where J has its minimum.
    objective : Objective or None
        J; None where X or y are no finite numbers.
    """

    verdict: str
    excess: Array
    share: float
    weights: Array
    minimiser: Array
    objective: Objective | None


# The run.


class _Recorder(Callback):
    """Keeps the parameters before the first epoch and after each."""

    def __init__(self) -> None:
        self.weights: list[Array] = []

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002
        self.weights = [self.run.get_weights()]

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002
        self.weights.append(self.run.get_weights())


def finite_numbers(values: Any, dtype: Any) -> Array | None:
    """Return what a user gave as a float64 array, None if any of it is text, a date, missing or out of `dtype`'s range.

    Parameters
    ----------
    values : array, list or frame
        X or y.
    dtype : type
        Arithmetic of the run.

    Returns
    -------
    array or None
        The numbers.
    """
    if hasattr(values, "columns"):  # column by column: as one array, a frame may turn dates into numbers
        columns = [finite_numbers(values[name], dtype) for name in values.columns]
        return None if any(column is None for column in columns) else np.column_stack(columns)
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        return None
    array = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
    if array.dtype.kind == "O" and not all(isinstance(v, Real | np.bool_) for v in array.ravel()):
        return None
    if array.dtype.kind not in "fiubO":
        return None
    array = array.astype(np.float64)
    with np.errstate(over="ignore"):
        return array if np.isfinite(array.astype(dtype)).all() else None


def _objective(case: Case) -> Objective | None:
    """Return J of the training data in float64, None where they are no finite numbers."""
    settings, dtype = case.settings, _dtype(case)
    X, y = finite_numbers(case.X, dtype), finite_numbers(case.y, dtype)
    if X is None or y is None:
        return None
    y = y.reshape(-1)
    weight = np.ones(len(y)) if case.sample_weight is None else np.asarray(case.sample_weight, np.float64)
    reduction = settings["loss"].reduction
    divisor = {"sum": 1.0, "mean_with_sample_weight": weight.sum()}.get(reduction, float(len(y)))
    intercept = settings.get("fit_intercept", True)
    penalty = settings.get("kernel_regularizer")
    return Objective(
        matrix=np.column_stack([X, np.ones(len(y))]) if intercept else X,
        y=y,
        factor=weight / divisor,
        delta=getattr(settings["loss"], "delta", None),
        l1=float(getattr(penalty, "l1", 0)),
        l2=float(getattr(penalty, "l2", 0)),
        features=X.shape[1],
    )


def _dtype(case: Case) -> Any:
    return np.float32 if case.settings.get("dtype", "float32") == "float32" else np.float64


def _starts_finite(objective: Objective, weights: Array, dtype: Any) -> bool:
    """Whether the loss before the first step is finite in the arithmetic of the run."""
    rounded = Objective(
        objective.matrix.astype(dtype),
        objective.y.astype(dtype),
        objective.factor.astype(dtype),
        objective.delta,
        objective.l1,
        objective.l2,
        objective.features,
    )
    return bool(np.isfinite(rounded.values(weights[np.newaxis].astype(dtype)).astype(dtype))[0])


def _outcome(case: Case) -> Outcome:
    objective, nothing = _objective(case), np.empty(0)
    if objective is None:
        return Outcome("cannot_run", nothing, math.inf, nothing, nothing, None)
    recorder = _Recorder()
    callbacks = [*case.settings.get("callbacks", ()), recorder]
    model = LinearRegression(**{"fit_intercept": True, **case.settings, "callbacks": callbacks})
    model.fit(case.X, case.y, sample_weight=case.sample_weight)
    weights = np.array(recorder.weights, np.float64)
    minimiser = objective.minimiser()
    if not _starts_finite(objective, weights[0], _dtype(case)):
        return Outcome("cannot_run", nothing, math.inf, weights[-1], minimiser, objective)
    excess = objective.excess(weights, minimiser)
    least = float(objective.values(minimiser[np.newaxis])[0])
    floor = 1e-9 * (least + float(objective.y.var()))
    share = float(excess[-1] / max(excess[0], floor)) if np.isfinite(excess[-1]) else math.inf
    return Outcome(verdict_of(excess, floor), excess, share, weights[-1], minimiser, objective)


def verdict_of(excess: Array, floor: float) -> str:
    """Return the verdict on a curve of excesses, by the formulas of `criteria.md`.

    Parameters
    ----------
    excess : array of shape (epochs + 1,)
        J - J* before the first epoch and after each.
    floor : float
        Initial excess up to which a run began at the optimum.

    Returns
    -------
    str
        One of `VERDICTS` but "cannot_run".
    """
    if not np.isfinite(excess[-1]):
        return "diverges"
    q = max(1, len(excess) // 4)
    recent = excess[-2 * q :]
    before, last = recent[: len(recent) - q].mean(), recent[-q:].mean()
    # A run that began at the optimum may move by roundings.
    if excess[-1] > max(excess[0], floor) and not last <= before:
        return "diverges"
    if excess[0] <= floor or excess[-1] <= CONVERGED * excess[0]:
        return "converges"
    if last < 0.999 * before:
        return "too_slow"
    steps = np.diff(recent)
    rises = bool((steps > 1e-6 * recent[:-1]).any())
    return "oscillates" if rises and bool((steps < 0).any()) else "stuck"


# Harm that does not show in the training loss.


def test_error(case: Case, weights: Array) -> float:
    """Return the mean squared error on the clean rows of the law."""
    X = case.law.X if len(weights) == case.law.X.shape[1] else np.column_stack([case.law.X, np.ones(len(case.law.X))])
    with np.errstate(all="ignore"):
        return float(np.mean((X @ weights - case.law.y) ** 2))


def coefficient_error(case: Case) -> float:
    """Return how far the coefficients are from what they mean, relative to the true ones, in standard deviations of X.

    It adds what the data leave open (the standard errors of the exact fit under the clean noise) and what the run has
    left open (its distance from the exact minimum; only where its loss converged).
    """
    objective, d = case.outcome.objective, case.law.X.shape[1]
    matrix = objective.matrix
    spread = matrix[:, :d].std(axis=0)
    scale = np.append(np.where(spread > 0, spread, 1), np.ones(matrix.shape[1] - d))
    values, vectors = np.linalg.eigh((matrix / scale).T @ (matrix / scale))
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.where(values > 1e-12 * values[-1], 1 / np.maximum(values, 1e-300), math.inf)
    variance = float(np.sum(vectors[:d] ** 2, axis=0) @ np.minimum(inverse, 1e300)) * case.law.noise**2
    left = 0.0
    if case.outcome.verdict == "converges":
        left = float(np.sum(((case.outcome.weights - case.outcome.minimiser)[:d] * scale[:d]) ** 2))
    size = float(np.sum((case.law.coef * scale[:d]) ** 2))
    return math.sqrt((variance + left) / size) if size > 0 else 0.0


def correlated(case: Case) -> bool:
    """Whether the standardised columns (without constant ones) are correlated enough for it to matter."""
    objective = case.outcome.objective
    X = objective.matrix[:, : objective.features]
    varied = X.std(axis=0) > 1e-9 * np.abs(X).max(axis=0)
    if varied.sum() < 2:
        return False
    X = X[:, varied]
    values = np.linalg.svd((X - X.mean(axis=0)) / X.std(axis=0), compute_uv=False)
    return bool(values[0] > CORRELATED * values[-1])


def _fit_harm(case: Case, undone: Case) -> float:
    """Clean-data error of the exact minimum with the fault over that without it."""
    return test_error(case, case.outcome.minimiser) / test_error(undone, undone.outcome.minimiser)


def _run_harm(case: Case, undone: Case) -> float:
    """Clean-data error where the run ended, with the fault over that without it."""
    if not case.outcome.verdict == undone.outcome.verdict == "converges":
        return 1.0
    return test_error(case, case.outcome.weights) / test_error(undone, undone.outcome.weights)


def _validation_loss(case: Case) -> float:
    X, y = (finite_numbers(values, _dtype(case)) for values in case.validation_data)
    objective = case.outcome.objective
    if objective.matrix.shape[1] > X.shape[1]:
        X = np.column_stack([X, np.ones(len(X))])
    held = Objective(X, y.reshape(-1), np.full(len(X), 1 / len(X)), objective.delta, 0, 0, objective.features)
    return float(held.values(case.outcome.minimiser[np.newaxis])[0])


def _validation_harm(case: Case, undone: Case) -> float:
    """Validation loss of the exact minimum with the fault over that without it."""
    return _validation_loss(case) / _validation_loss(undone)


def _coefficient_harm(case: Case, undone: Case) -> float:
    """Coefficient error, on a scale where `HARM` is lost (and at most half as much undone) and `HARMLESS` resolved."""
    with_fault, without = coefficient_error(case), coefficient_error(undone)
    if with_fault >= LOST:
        return HARM * min(with_fault / LOST, with_fault / max(2 * without, 1e-12))
    return 1.0 if with_fault <= RESOLVED else math.sqrt(HARM * HARMLESS)


def _intercept_harm(case: Case, undone: Case) -> float:
    """Intercept lost to a constant column in deviations of y, scaled so that `HARM` is `SHIFTED`."""
    if not case.outcome.verdict == undone.outcome.verdict == "converges":
        return 1.0
    missed = abs(case.outcome.weights[-1] - undone.outcome.weights[-1])
    missed /= max(float(case.outcome.objective.y.std()), 1e-300)
    if missed >= SHIFTED:
        return HARM * missed / SHIFTED
    return 1.0 if missed <= UNSHIFTED else math.sqrt(HARM * HARMLESS)


OWN_CRITERION: dict[str, Callable[[Case, Case], float]] = {
    "outliers": _fit_harm,
    "regularization": _fit_harm,
    "overfitting": _run_harm,
    "validation_shift": _validation_harm,
    "collinearity": _coefficient_harm,
    "ill_conditioned": _coefficient_harm,
    "constant_feature": _intercept_harm,
}
"""Causes that may not show in the training loss: their harm, a cause from `HARM` on."""
NEVER_IN_THE_LOSS = ("overfitting", "validation_shift")
"""Causes that are no reason for a training loss that does not come down."""


# The truth.


def improved(case: Case, undone: Case) -> bool:
    """Whether the training of `undone` is clearly better: it converges instead, or can run, or ends far lower."""
    old, new = case.outcome, undone.outcome
    if old.verdict == "converges" or new.verdict == "cannot_run":
        return False
    if new.verdict == "converges" or old.verdict == "cannot_run":
        return True
    return new.share <= BETTER * old.share and math.isfinite(new.share)


def harm(case: Case, cause: str) -> float:
    """Return the harm of a fault by its own criterion, 1 where it has none or the data cannot be read."""
    criterion, undone = OWN_CRITERION.get(cause), case.undone[cause]
    readable = case.outcome.objective is not None and undone.outcome.objective is not None
    if criterion is None or not readable or (case.law is None and cause != "validation_shift"):
        return 1.0
    with np.errstate(all="ignore"):
        value = criterion(case, undone)
    return value if math.isfinite(value) else math.inf


def _contexts(case: Case, cause: str, undone: int = 0) -> list[tuple[int, Case]]:
    """Return the case, and those in which other faults than `cause` are undone, each with how many are."""
    found = [(undone, case)]
    for other in case.faults:
        if other != cause:
            found += _contexts(case.undone[other], cause, undone + 1)
    return found


def _hinders(case: Case, cause: str) -> bool:
    return cause not in NEVER_IN_THE_LOSS and improved(case, case.undone[cause])


def _main(case: Case, causes: frozenset[str]) -> frozenset[str]:
    """Return the causes whose undoing alone gains most."""
    if case.outcome.verdict == "converges":
        gains = {cause: harm(case, cause) for cause in causes}
        return frozenset(cause for cause in causes if gains[cause] * TIE >= max(gains.values()))
    shares = {cause: case.undone[cause].outcome.share for cause in causes if _hinders(case, cause)}
    cured = {cause for cause in shares if case.undone[cause].outcome.verdict == "converges"}
    if cured:
        return frozenset(cured)
    if shares:
        return frozenset(cause for cause in shares if shares[cause] <= TIE * min(shares.values()))
    # None helps alone: those that help once the fewest others are undone.
    needed = {cause: [many for many, c in _contexts(case, cause) if _hinders(c, cause)] for cause in causes}
    if not any(needed.values()):
        return frozenset()  # harm by other criteria alone does not explain a run that fails: not clear, drawn again
    fewest = min(min(many) for many in needed.values() if many)
    return frozenset(cause for cause in causes if fewest in needed[cause])


def _measured_open(case: Case) -> set[str]:
    """Return what the numbers of the case themselves suggest, whoever put it in."""
    outcome, law = case.outcome, case.law
    if outcome.objective is None or law is None:
        return set()
    found: set[str] = set()
    if correlated(case) and (outcome.verdict != "converges" or coefficient_error(case) > RESOLVED):
        found |= {"collinearity", "ill_conditioned"}
    rows, parameters = outcome.objective.matrix.shape
    if rows < 10 * parameters and test_error(case, outcome.minimiser) > HARMLESS * law.noise**2:
        found.add("overfitting")
    return found


def truth(case: Case) -> Truth:
    """Return what is true of a case, from how it was made and from what undoing each fault changes.

    Parameters
    ----------
    case : Case
        The case.

    Returns
    -------
    Truth
        Verdict, causes, main causes, open causes, and whether all of it is clear.
    """
    verdict, fails = case.outcome.verdict, case.outcome.verdict != "converges"
    contexts = {cause: [c for _, c in _contexts(case, cause)] for cause in case.faults}
    hinders = {cause for cause in case.faults if fails and any(_hinders(c, cause) for c in contexts[cause])}
    harms = {cause: max(harm(c, cause) for c in contexts[cause]) for cause in case.faults}
    causes = frozenset(hinders | {cause for cause in case.faults if harms[cause] >= HARM})
    main = _main(case, causes) if causes else frozenset()
    opened = set(case.natural) | _measured_open(case)
    if case.healthy is not None:
        opened |= _measured_open(case.healthy)
    if fails:
        opened |= {cause for cause, runs in case.also.items() if any(r.outcome.verdict == "converges" for r in runs)}
    if causes & {"collinearity", "ill_conditioned"}:
        opened |= {"collinearity", "ill_conditioned"}
    opened |= {"constant_feature"} & set(case.faults)
    equals = {other for other in opened - causes for cause in main if {cause, other} in EQUALS}
    if "ill_conditioned" in main:
        equals.add("collinearity")
    return Truth(
        verdict=verdict,
        causes=causes,
        main=main | equals,
        open=frozenset(opened - causes),
        clear=(bool(hinders) or not fails)
        and abs(case.outcome.share / CONVERGED - 1) > MARGIN
        and not any(harms[cause] > HARMLESS for cause in set(case.faults) - causes),
    )
