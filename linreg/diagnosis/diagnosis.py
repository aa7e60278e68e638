"""`diagnose`: read the data, run the model, and say what is wrong, why, and what helps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.data.arrays import column_names, weight_vector
from linreg.data.blocks import ArrayRows
from linreg.data.conversion import ComplexDataError, numbers
from linreg.data.reading import Reading, read
from linreg.devices import on_host
from linreg.diagnosis import judge
from linreg.diagnosis.cases import Case, Outcome, variance
from linreg.diagnosis.evidence import number
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.large import Large, is_large, thinned
from linreg.diagnosis.ranking import cures
from linreg.diagnosis.remedies import Remedy, complete_rows
from linreg.diagnosis.repairs import (
    REPAIRED,
    integers_that_overflow,
    not_real,
    points_between_thousands,
    repairs,
    two_groups,
    unreadable_target,
    usual,
)
from linreg.diagnosis.symptoms import Symptoms
from linreg.initializers import initial_kernel
from linreg.optimizers import SGD
from linreg.regression import LinearRegression

Array = Any

SHOWN = 3
MUCH = 0.05
"""Share of what the features explain that is worth a word where a run that converges has not learned it."""
POOR = 0.5
"""Share of the variance of the target below which a line is worth a word."""
TOO_FEW = "There is one row only: nothing can be told from it. Give two at least."
LARGEST = 1e140
"""Largest number whose square, and the sum of many of them, is surely finite."""


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What is wrong with a run, why, and what helps.

    Parameters
    ----------
    verdict : str
        "converges", "diverges", "oscillates", "too_slow", "stuck" or "cannot_run", of the run as it was given.
    findings : tuple of Finding
        The causes, most important first; none for a run with nothing wrong.
    notes : tuple of str
        What is worth knowing, but no cause: settings that are unstable in theory and harmless in this run, or an
        average of the weights that lags behind them.
    outcome : Outcome or None
        The run as it was given; None where no step could be taken.
    case : Case or None
        Data, repaired where that was needed, and model; None where they cannot be repaired.
    given : Case or None
        Data as they were given, with the gaps in them, and model.
    repair : Remedy or None
        What has made `case` of `given`; None where nothing was needed.

    Examples
    --------
    >>> from linreg import SGD, diagnose
    >>> found = diagnose([[-3.0], [3.0]], [-5.0, 7.0], optimizer=SGD(0.15))
    >>> found.verdict, len(found.findings), found.notes
    ('diverges', 1, ())
    >>> model = found.apply()  # trains with the first remedy of the first finding
    >>> found.to_dict()["findings"][0]["cause"]
    'learning_rate_too_high'
    """

    verdict: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    outcome: Outcome | None
    case: Case | None
    given: Case | None = None
    repair: Remedy | None = None

    @property
    def poor(self) -> bool:
        """Whether the run converges to a line that explains little of the target."""
        return self.case is not None and self.case.outcome.healthy and _explained_by_the_best_line(self.case) < POOR

    @property
    def left(self) -> float:
        """Share of what the features explain of the target that a run which converges has not learned; else 0."""
        case = self.case
        if case is None or not case.outcome.healthy or not case.objective.has_intercept:
            return 0.0
        mean = float(np.average(case.y, weights=case.counts))
        constant = case.objective.packed((np.zeros(case.X.shape[1]), mean))
        explained = float(case.objective.objective(constant)) - case.outcome.least
        return float(case.outcome.excess[-1]) / explained if explained > 0 else 0.0

    @property
    def could_end_lower(self) -> bool:
        """Whether the run converges and is told nothing, but leaves much of what the features explain unlearned."""
        return not self.findings and self.left > MUCH

    def from_given(self, finding: Finding, remedy: Remedy) -> Remedy:
        """Return a remedy of a finding for the data as they were given: where they need repair, with that before it.

        Parameters
        ----------
        finding : Finding
            One of the findings.
        remedy : Remedy
            One of its remedies.

        Returns
        -------
        Remedy
            The remedy, or both as one.
        """
        if self.repair is None or finding.cause in REPAIRED or not remedy.changes:
            return remedy
        return self.repair.and_then(remedy)

    def before(self, finding: Finding) -> Outcome | None:
        """Return the run that the remedies of a finding are compared with.

        Parameters
        ----------
        finding : Finding
            One of the findings.

        Returns
        -------
        Outcome or None
            The run, of the data repaired where that was needed; None where the finding keeps it from its first step.
        """
        return None if finding.cause in REPAIRED else self.outcome

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, as `linreg why --json` prints them."""
        from linreg.diagnosis import values

        return values.to_dict(self)

    def __str__(self) -> str:
        """Say it in words, 80 columns wide."""
        from linreg.diagnosis import terminal

        return terminal.text(self)

    def apply(
        self, X: Any = None, y: Any = None, finding: int = 0, remedy: int = 0, *, sample_weight: Any = None
    ) -> Any:
        """Train with a remedy.

        Parameters
        ----------
        X : array or frame of shape (rows, features), optional
            Features, as they were diagnosed; those that the diagnosis trained on if not given.
        y : array of shape (rows,), optional
            Target.
        finding : int, default=0
            Which finding, the most important first.
        remedy : int, default=0
            Which of its remedies, the best first.
        sample_weight : array of shape (rows,), optional
            Weights.

        Returns
        -------
        estimator
            A fitted scikit-learn pipeline around `LinearRegression`.
        """
        from linreg.diagnosis import estimators

        return estimators.apply(self, X, y, finding, remedy, sample_weight=sample_weight)


def diagnose(X: Any, y: Any, *, sample_weight: Any = None, validation_data: Any = None, **settings: Any) -> Diagnosis:
    """Say why the loss of a run rises or does not come down, with evidence and remedies that were tried.

    Parameters
    ----------
    X : array or frame of shape (rows, features)
        Features, as they would be given to `fit`: also with missing values, text or dates in them.
    y : array of shape (rows,)
        Target.
    sample_weight : array of shape (rows,), optional
        Weights.
    validation_data : tuple (X, y), optional
        Data on which the loss is compared.
    **settings : object
        Every setting of `LinearRegression`: optimizer, loss, epochs, batch_size, ...

    Returns
    -------
    Diagnosis
        Verdict and findings.

    Raises
    ------
    TypeError
        If a setting is of the wrong type, or y holds categories.
    ValueError
        If a setting is refused, or the shapes do not fit.

    Notes
    -----
    The run is made, in the arithmetic asked for, and judged by formula (`linreg.diagnosis.verdicts`). Every suspected
    cause is tried: its remedy is applied and the run repeated. A cause is named only if that makes this run better. All
    of it is done on the processor, whatever `device` says: CuPy arrays are copied to the host first.

    Examples
    --------
    >>> from linreg import SGD, diagnose
    >>> X, y = [[1, 1000], [2, 2000], [3, 3000]], [1, 2, 3]
    >>> found = diagnose(X, y, optimizer=SGD(0.01), kernel_initializer="zeros")
    >>> found.verdict, [finding.cause for finding in found.findings]
    ('diverges', ['feature_scale', 'learning_rate_too_high'])
    >>> found.findings[0].remedies[0].name
    'standardise, rate 0.25'
    """
    X, y, sample_weight = map(on_host, (X, y, sample_weight))
    if isinstance(validation_data, tuple | list):
        validation_data = tuple(map(on_host, validation_data))
    model = LinearRegression(**settings)
    if model.random_state is None:
        model.set_params(random_state=0)
    model.settings()
    model.set_params(device="cpu", checkpoint=None)
    try:
        reading = read(X, y)
    except ComplexDataError as error:
        return Diagnosis("cannot_run", (not_real(error),), (), None, None)
    except TypeError as error:
        read(X, np.zeros(len(y)))  # raises where the error is about something else
        return Diagnosis("cannot_run", (unreadable_target(error),), (), None, None)
    given = _given(reading, model, sample_weight, validation_data)
    broken = repairs(X, y, reading)
    repair = usual(broken, complete_rows(given.X, given.y))
    case = given if repair is None else repair.applied(given)
    if len(case.y) < 2 or not case.names or not complete_rows(case.X, case.y).all():
        return Diagnosis("cannot_run", tuple(broken), () if broken else (TOO_FEW,), None, None)
    large = None
    if is_large(case):
        large = Large(ArrayRows(case.X, case.y, case.names, case.row_numbers), case.model, validation=case.validation)
        case = large.surveyed().stand_in()
    found = judged(case, given, broken, repair, large)
    return dataclasses.replace(found, notes=(*found.notes, *filter(None, [integers_that_overflow(X)])))


def judged(
    case: Case, given: Case, broken: list[Finding], repair: Remedy | None = None, large: Large | None = None
) -> Diagnosis:
    """Return the diagnosis of a case.

    Parameters
    ----------
    case : Case
        The case, repaired where that was needed.
    given : Case
        The case as it was given.
    broken : list of Finding
        What was repaired.
    repair : Remedy or None
        How.
    large : Large or None
        The run on all rows, where the rows of the case stand for many.

    Returns
    -------
    Diagnosis
        Verdict and findings.
    """
    symptoms = Symptoms(case)
    # Values near the end of float64 overflow here; what comes of it is not finite, and judged as that.
    with np.errstate(all="ignore"):
        found = judge.findings(case, symptoms)
        found = found if large is None else large.proved(found)
        if repair is not None:
            few = given if large is None else thinned(given)
            tried = [one for remedy in broken[0].remedies for one in _proved(remedy, few, found)]
            ordered = tuple(sorted(tried, key=lambda remedy: not cures(remedy)))
            broken = [dataclasses.replace(finding, remedies=ordered) for finding in broken]
    findings = [*broken, *found]
    told = "cannot_run" if broken else case.outcome.verdict
    notes = (*_notes(case, symptoms, findings), *(() if large is None else large.notes()))
    diagnosis = Diagnosis(told, tuple(findings), notes, case.outcome, case, given, repair)
    if not diagnosis.could_end_lower:
        return diagnosis
    return dataclasses.replace(diagnosis, notes=(_could_end_lower(case, diagnosis.left), *notes))


def _notes(case: Case, symptoms: Symptoms, findings: list[Finding]) -> Iterator[str]:
    """Yield what is worth knowing about a run that it does no harm to."""
    lr = case.learning_rate
    if isinstance(case.settings.optimizer, SGD) and lr > symptoms.limit_now and case.outcome.healthy:
        yield (
            f"The learning rate {number(lr)} is above {number(symptoms.limit_now)}, from which full-batch steps "
            "diverge along some direction; this run has nothing there to show it."
        )
    if case.outcome.healthy and (explained := _explained_by_the_best_line(case)) < POOR:
        yield (
            f"The training has done its work, but even the best line explains only {100 * explained:.0f} % of the "
            "variance of the target. Look at the data: values that were read wrongly, a feature that is missing, or a "
            "relation that is no line."
        )
        columns = zip(("the target", *case.names), (case.y, *case.X.T), strict=True)
        yield from filter(None, (two_groups(name, column) for name, column in columns))
    yield from filter(None, [points_between_thousands(case.names, case.X)])
    if _average_lags(case):
        yield (
            "The weights themselves converge. The model that you get is their average (use_ema=True, "
            f"ema_momentum={case.settings.optimizer.ema_momentum:g}), and it lags behind: lower ema_momentum, or train "
            "for more epochs."
        )
    if symptoms.constant.any() and "constant_feature" not in [finding.cause for finding in findings]:
        names = ", ".join(np.array(case.names)[symptoms.constant][:SHOWN])
        yield f"Column {names} has the same value in every row: it teaches nothing, and does no harm here."


def _could_end_lower(case: Case, left: float) -> str:
    return (
        f"The loss ends at {number(case.outcome.end)}, above its least value {number(case.outcome.least)}: "
        f"{100 * left:.0f} % of what the features explain of the target are not learned. It counts as converged, "
        "because that is 1 % or less of the way from the start, most of which was the level of the target. A smaller "
        "learning rate, less momentum, larger batches or more epochs bring it nearer."
    )


def _explained_by_the_best_line(case: Case) -> float:
    """Return R^2 of the exact optimum on the rows of the case."""
    scatter = variance(case.y, case.counts)
    errors = case.objective.matrix @ case.best - case.y
    return 1 - float(np.average(errors**2, weights=case.counts)) / scatter if scatter else 1.0


def _average_lags(case: Case) -> bool:
    """Whether the run ends with an average of weights that converge, and the average does not."""
    optimizer = case.settings.optimizer
    if not optimizer.use_ema or case.outcome.healthy:
        return False
    return case.with_settings(optimizer=dataclasses.replace(optimizer, use_ema=False)).outcome.healthy


def _given(reading: Reading, model: LinearRegression, sample_weight: Any, validation_data: Any) -> Case:
    """Return the case as it was given, with the gaps in it."""
    largest = max(float(np.abs(np.nan_to_num(values)).max(initial=0)) for values in (reading.X, reading.y))
    if largest > LARGEST:
        raise ValueError(
            f"diagnose: X or y holds values up to {largest:.2g}, whose squares are too large for float64: divide the "
            "column by a power of ten first."
        )
    weight = weight_vector(sample_weight, np.float64, len(reading.y))
    model = _started(model, reading)
    return Case(reading.X, reading.y, reading.names, model, weight, _validation(reading, validation_data))


def _started(model: LinearRegression, reading: Reading) -> LinearRegression:
    """Return the model with a kernel to start from that fits the features: zeros where columns were made new."""
    if isinstance(model.kernel_initializer, str):
        return model
    kernel = numbers(model.kernel_initializer, "kernel_initializer")
    kernel = initial_kernel(kernel, len(reading.columns), np.random.default_rng(0), np.float64)
    names = tuple(column.name for column in reading.columns)
    return model.set_params(kernel_initializer=kernel if reading.names == names else "zeros")


def _validation(reading: Reading, given: Any) -> tuple[Array, Array] | None:
    """Return the validation rows that are complete; None if none is, none were given, or text makes other columns."""
    if given is None:
        return None
    other = read(given[0], given[1])
    unnamed = column_names(given[0]) is None and len(other.names) == len(reading.names)
    if unnamed and other.clean():
        other = dataclasses.replace(other, names=reading.names)
    if other.names != reading.names and reading.clean():
        raise ValueError(
            f"validation_data has the columns {', '.join(other.names)}, X has {', '.join(reading.names)}: give the "
            "same columns, with the same categories in them."
        )
    whole = complete_rows(other.X, other.y)
    return (other.X[whole], other.y[whole]) if whole.any() and other.names == reading.names else None


def _proved(repair: Remedy, given: Case, found: Sequence[Finding]) -> list[Remedy]:
    """Return the trial of a remedy that repairs the data; before it, where it does not cure, one that does.

    A run that is repaired may still need what helps against the next finding.
    """
    if not repair.changes:
        return [repair]
    alone = repair.tried(given)
    if not cures(alone):
        for other in (finding.remedies[0] for finding in found if finding.remedies):
            if cures(other) and cures(both := repair.and_then(other).tried(given)):
                return [both, alone]
    return [alone]
