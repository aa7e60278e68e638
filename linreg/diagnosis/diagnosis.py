"""`diagnose`: read the data, run the model, and say what is wrong, why, and what helps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.data.arrays import weight_vector
from linreg.data.reading import Column, Reading, read
from linreg.diagnosis import judge
from linreg.diagnosis.cases import Case, Outcome
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.remedies import Remedy, Step
from linreg.diagnosis.symptoms import Symptoms
from linreg.optimizers import SGD
from linreg.regression import LinearRegression

Array = Any

IMPUTE = Step("sklearn.impute", "SimpleImputer", (("strategy", "median"),))
SHOWN = 3
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
    """

    verdict: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    outcome: Outcome | None
    case: Case | None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, as `linreg why --json` prints them."""
        from linreg.diagnosis import words

        return words.to_dict(self)

    def __str__(self) -> str:
        """Say it in words, 80 columns wide."""
        from linreg.diagnosis import words

        return words.text(self)

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
        from linreg.diagnosis import code

        return code.apply(self, X, y, finding, remedy, sample_weight=sample_weight)


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
    cause is tried: its remedy is applied and the run repeated. A cause is named only if that makes this run better.
    """
    model = LinearRegression(**settings)
    if model.random_state is None:
        model.set_params(random_state=0)
    model.settings()
    try:
        reading = read(X, y)
    except TypeError as error:
        return _unreadable_target(X, y, error)
    findings = [*_wrong_types(reading), *_missing(reading)]
    case = _case(reading, model, sample_weight, validation_data)
    if case is None:
        return Diagnosis("cannot_run", tuple(findings), (), None, None)
    symptoms = Symptoms(case)
    # Values near the end of float64 overflow here; what comes of it is not finite, and judged as that.
    with np.errstate(all="ignore"):
        found = judge.findings(case, symptoms)
    causes = [finding.cause for finding in findings]
    findings += [finding for finding in found if finding.cause not in causes]
    judged = "cannot_run" if causes else case.outcome.verdict
    return Diagnosis(judged, tuple(findings), tuple(_notes(case, symptoms, findings)), case.outcome, case)


def _unreadable_target(X: Any, y: Any, error: TypeError) -> Diagnosis:
    """Return the diagnosis for a target that holds no numbers; raise the error again if it is about something else."""
    read(X, np.zeros(len(y)))
    advice = Remedy("convert", "Give numbers as the target: correct what is mistyped, and write no units behind them.")
    finding = Finding("wrong_dtype", {"columns": {"y": "category"}}, str(error), (advice,))
    return Diagnosis("cannot_run", (finding,), (), None, None)


def _notes(case: Case, symptoms: Symptoms, findings: list[Finding]) -> Iterator[str]:
    """Yield what is worth knowing about a run that it does no harm to."""
    lr = case.learning_rate
    if isinstance(case.settings.optimizer, SGD) and lr > symptoms.limit_now and case.outcome.healthy:
        yield (
            f"The learning rate {lr:.3g} is above {symptoms.limit_now:.3g}, from which full-batch steps diverge "
            f"along some "
            "direction; this run has nothing there to show it."
        )
    if _average_lags(case):
        yield (
            "The weights themselves converge. The model that you get is their average (use_ema=True, "
            f"ema_momentum={case.settings.optimizer.ema_momentum:g}), and it lags behind: lower ema_momentum, or train "
            "for more epochs."
        )
    if symptoms.constant.any() and "constant_feature" not in [finding.cause for finding in findings]:
        names = ", ".join(np.array(case.names)[symptoms.constant][:SHOWN])
        yield f"Column {names} has the same value in every row: it teaches nothing, and does no harm here."


def _average_lags(case: Case) -> bool:
    """Whether the run ends with an average of weights that converge, and the average does not."""
    optimizer = case.settings.optimizer
    if not optimizer.use_ema or case.outcome.healthy:
        return False
    return case.with_settings(optimizer=dataclasses.replace(optimizer, use_ema=False)).outcome.healthy


def _case(reading: Reading, model: LinearRegression, sample_weight: Any, validation_data: Any) -> Case | None:
    """Return the case of the rows that are complete; None if too few are."""
    kept = np.isfinite(reading.X).all(axis=1) & np.isfinite(reading.y)
    X, y = reading.X, reading.y
    if kept.sum() < max(2, len(y) // 2):
        # Too few rows are complete: fill the gaps, as the remedy does.
        some = np.isfinite(X).any(axis=0)
        X, names = X[:, some], tuple(np.array(reading.names)[some])
        X = np.where(np.isfinite(X), X, np.nanmedian(np.where(np.isfinite(X), X, np.nan), axis=0))
        kept = np.isfinite(y)
    else:
        names = reading.names
    if kept.sum() < 2 or X.shape[1] == 0:
        return None
    largest = max(float(np.abs(X[kept]).max()), float(np.abs(y[kept]).max()))
    if largest > LARGEST:
        raise ValueError(
            f"diagnose: X or y holds values up to {largest:.2g}, whose squares are too large for float64: "
            f"divide the column "
            "by a power of ten first."
        )
    weight = weight_vector(sample_weight, np.float64, len(y))
    validation = None
    if validation_data is not None:
        other = read(validation_data[0], validation_data[1])
        whole = np.isfinite(other.X).all(axis=1) & np.isfinite(other.y)
        if other.names != reading.names and reading.clean():
            raise ValueError(
                f"validation_data has the columns {', '.join(other.names)}, X has {', '.join(reading.names)}: give the "
                "same columns, with the same categories in them."
            )
        if whole.any() and other.names == reading.names:
            validation = other.X[whole], other.y[whole]
    weight = None if weight is None else weight[kept]
    return Case(X[kept], y[kept], names, model, weight, validation, rows=np.flatnonzero(kept))


def _missing(reading: Reading) -> list[Finding]:
    """Return the finding for values that are missing or infinite: the first loss is nan."""
    bad = [column for column in (*reading.columns, reading.target) if column.missing or column.infinite]
    if not bad:
        return []
    count = sum(column.missing + column.infinite for column in bad)
    rows = int((~(np.isfinite(reading.X).all(axis=1) & np.isfinite(reading.y))).sum())
    first = bad[0]
    places = ", ".join(map(str, first.first_missing)) or "?"
    remedies = [
        Remedy("drop rows", f"Leave out the {rows} rows with missing values.", drop_rows=_incomplete(reading)),
    ]
    if not (reading.target.missing or reading.target.infinite):
        remedies.insert(
            0, Remedy("impute", "Fill the gaps with the median of their column (SimpleImputer).", (IMPUTE,))
        )
    evidence = {
        "missing": {column.name: column.missing + column.infinite for column in bad},
        "rows": rows,
        "of": len(reading.y),
        "first_rows": list(first.first_missing),
    }
    words = (
        f"{count} value{'s are' if count > 1 else ' is'} missing or infinite, in column "
        f"{', '.join(column.name for column in bad[:SHOWN])} (first in row {places}, counted from 0). One of "
        f"them makes the "
        "first loss nan, and every loss after it."
    )
    return [Finding("missing_values", evidence, words, tuple(remedies))]


def _incomplete(reading: Reading) -> tuple[int, ...]:
    return tuple(map(int, np.flatnonzero(~(np.isfinite(reading.X).all(axis=1) & np.isfinite(reading.y)))))


NUMBERS = ("number", "boolean")
KINDS = {
    "number_as_text": "numbers written as text",
    "thousands_separator": "numbers with thousands separators, as text",
    "decimal_comma": "numbers with a decimal comma, as text",
    "percent": "percentages, as text",
    "date": "dates",
    "category": "categories",
    "empty": "nothing",
}


def _wrong_types(reading: Reading) -> list[Finding]:
    """Return the finding for columns that hold no numbers: no step can be taken."""
    bad: list[Column] = [c for c in (*reading.columns, reading.target) if c.kind not in NUMBERS and c.kind != "empty"]
    if not bad:
        return []
    listed = "; ".join(
        f"column {column.name} holds {KINDS[column.kind]}"
        + (f", {', '.join(column.examples[:2])}" if column.examples else "")
        for column in bad[:SHOWN]
    )
    categories = [column.name for column in bad if column.kind == "category"]
    remedies = [Remedy("convert", "Convert the columns to numbers before training.")]
    if categories:
        remedies.append(
            Remedy("one-hot", f"Give each category of {', '.join(categories[:SHOWN])} a column (OneHotEncoder).")
        )
    evidence = {"columns": {column.name: column.kind for column in bad}}
    return [
        Finding("wrong_dtype", evidence, f"{listed[0].upper()}{listed[1:]}, where numbers are needed.", tuple(remedies))
    ]
