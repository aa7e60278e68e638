"""`diagnose` for tables in files, which may be larger than memory."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from linreg.data.arrays import feature_matrix
from linreg.data.blocks import Source
from linreg.data.found import Columns
from linreg.data.reading import Reading, read
from linreg.data.row_files import ScaledRows
from linreg.data.scaling import fitted_to, scaler
from linreg.diagnosis.cases import Case
from linreg.diagnosis.diagnosis import Diagnosis, diagnose, judged
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.given import PLACES, Given, opened, opened_validation
from linreg.diagnosis.large import Large, Moved
from linreg.diagnosis.repairs import points_between_thousands, repairs, usual
from linreg.diagnosis.survey import SAMPLE, Tally
from linreg.regression import LinearRegression

Array = Any

SCALED = (
    "The features were scaled first (--scale {scale}). Values and limits of features above are of the scaled ones, and "
    "so are X and the coefficients in code that is printed."
)
NOT_SCALED = (
    "The features were not scaled for this (--scale {scale}), because not all of them can be used as they are: mend "
    "what stands first above, then ask again."
)


def diagnose_table(
    files: Any,
    target: str,
    *,
    columns: Sequence[str] | None = None,
    weights: str | None = None,
    missing: str | None = None,
    categories: Sequence[str] = (),
    validation: str | os.PathLike[str] | None = None,
    scale: str = "none",
    front: Callable[[Any], Any] | None = None,
    moved: Moved = lambda *_: None,
    **settings: Any,
) -> Diagnosis:
    """Say why the loss of a run on a table in files rises or does not come down.

    Parameters
    ----------
    files : str, path, or sequence of them
        Files that `linreg.data.open_table` reads.
    target : str
        Column to predict.
    columns : sequence of str, optional
        Columns that are features; all others if not given.
    weights : str, optional
        Column of the weights of rows.
    missing : {"error", "drop", "mean", "median"}, optional
        If not given, columns are diagnosed as they were found: missing values, text and dates are causes. If this or
        `categories` is given, the table that `open_table` makes, the one that `linreg fit` trains on, is diagnosed.
    categories : sequence of str, default=()
        Columns of categories, as for `open_table`.
    validation : str or path, optional
        A file with validation rows.
    scale : str, default="none"
        How the features were scaled, one of `linreg.data.scaling`.
    front : callable, optional
        Makes of the features what the model is trained on; all rows are then held in memory.
    moved : callable, optional
        Called as `moved(done, of, text)` after rows of a table of more than 256 MiB have been read, each of them up
        to three times.
    **settings : object
        Every setting of `LinearRegression`.

    Returns
    -------
    Diagnosis
        Verdict and findings. Its notes say what was computed on all rows and what on a sample.

    Raises
    ------
    ImportError
        If polars is needed and not installed.
    OSError
        If a file is missing or may not be read.
    ValueError
        If a file cannot be read, or a setting is refused.

    Notes
    -----
    Tables of more than 256 MiB are read block by block, see `linreg.diagnosis.large`. Columns that hold no numbers, and
    weighted rows, are told by rows from twenty places of such a table, and the run is then that on these rows.
    """
    with (
        opened(
            files, target, columns=columns, weights=weights, missing=missing, categories=categories
        ) as given,
        opened_validation(given, validation) as others,
    ):  # fmt: skip
        if front is None and given.large:
            return _streamed(given, others, scale, moved, settings)
        return _of_rows(given, others, None, scale, front, settings)


def _streamed(given: Given, others: Given | None, scale: str, moved: Moved, settings: dict[str, Any]) -> Diagnosis:
    """Diagnose block by block."""
    model = LinearRegression(**settings).set_params(checkpoint=None)
    if model.random_state is None:
        model.set_params(random_state=0)
    model.settings()
    if given.table is None or given.weights is not None:
        why = "Some columns hold no numbers" if given.table is None else "Rows have weights"
        return _of_rows(given, others, why, scale, None, settings)
    held_out = None if others is None else _complete(others)
    source: Source = given.table
    if scale != "none":
        fitted = fitted_to(given.table, scale)
        source = ScaledRows(given.table, fitted)
        held_out = held_out and (np.asarray(fitted.transform(held_out[0]), np.float64), held_out[1])
    large = Large(source, model, moved, held_out).surveyed()
    if not np.isfinite(large.tally.moments.products).all():
        raise ValueError(
            f"{given.label} holds values whose squares are too large for float64: divide their column by a power of "
            "ten first."
        )
    notes = (*given.notes, *([] if scale == "none" else [SCALED.format(scale=scale)]))
    told = _of_all_rows(large, given, settings)
    return dataclasses.replace(told, notes=(*told.notes, *notes))


def _of_all_rows(large: Large, given: Given, settings: dict[str, Any]) -> Diagnosis:
    tally, broken, repair, case_given = large.tally, [], None, None
    if tally.count < given.count:
        raw = tally.with_gaps()
        reading = _counted(read(raw[:, :-1], raw[:, -1]), tally, given)
        broken = repairs(raw[:, :-1], raw[:, -1], reading)
        broken = [_of_them_all(finding, given.count - tally.count, given.count) for finding in broken]
        whole = np.arange(given.count) < tally.count
        repair = usual(broken, whole)
        case_given = Case(reading.X, reading.y, large.source.names, large.model)
        if repair is None or not repair.complete:
            return _of_rows(given, None, "Most rows are incomplete", "none", None, settings)
    case = large.stand_in()
    if case_given is None:
        case_given = case.replaced(counts=None, train=None)
    return judged(case, case_given, broken, repair, large)


def _counted(reading: Reading, tally: Tally, given: Given) -> Reading:
    """Return a reading of some rows with the counts and places of all."""
    columns = [
        dataclasses.replace(
            column, name=name, missing=int(tally.missing[j]), infinite=int(tally.infinite[j]),
            first_missing=tuple(tally.first[j]),
        )
        for j, (column, name) in enumerate(
            zip((*reading.columns, reading.target), (*given.names, given.target), strict=True)
        )
    ]  # fmt: skip
    return dataclasses.replace(reading, names=given.names, columns=tuple(columns[:-1]), target=columns[-1])


def _of_them_all(finding: Finding, rows: int, count: int) -> Finding:
    """Return a finding about missing values with the rows of all data in place of those looked at."""
    remedies = tuple(
        dataclasses.replace(remedy, words=f"Leave out the {rows} rows with missing values.")
        if remedy.complete
        else remedy
        for remedy in finding.remedies
    )
    return dataclasses.replace(finding, evidence={**finding.evidence, "rows": rows, "of": count}, remedies=remedies)


def _complete(others: Given) -> tuple[Array, Array] | None:
    """Return validation rows of some places, those that are complete."""
    if others.table is None:
        raise ValueError(f"{others.label} holds no numbers in {others.no_numbers[0]!r}: give numbers.")
    X, y, _ = others.rows(SAMPLE)
    rows = np.column_stack([np.asarray(X, np.float64), np.asarray(y, np.float64)])
    rows = rows[np.isfinite(rows).all(axis=1)]
    return (rows[:, :-1], rows[:, -1]) if len(rows) else None


def _of_rows(
    given: Given, others: Given | None, why: str | None, scale: str, front: Any, settings: dict[str, Any]
) -> Diagnosis:
    """Diagnose rows in memory: all of them, or, if there is a reason why not, some."""
    most = None if why is None else SAMPLE
    X, y, weight = given.rows(most)
    held_out = None if others is None else others.rows(most)[:2]
    if front is not None:
        X, held_out = front(X), held_out and (front(held_out[0]), held_out[1])
    first, last = [], list(given.notes)
    if most is not None and len(y) < given.count:
        last.append(
            f"{why}, so {len(y)} of the {given.count} rows were diagnosed, taken from {PLACES} places: rows are "
            "numbered among them."
        )
    if scale != "none" and not read(X, y).clean():
        first.append(NOT_SCALED.format(scale=scale))
    elif scale != "none":
        names, unscaled = list(X.columns), feature_matrix(X, np.float64, name=given.label)
        fitted = scaler(scale).fit(unscaled)
        X = _scaled(fitted, unscaled, names)
        if others is not None and held_out is not None:
            held_out = _scaled(fitted, feature_matrix(held_out[0], np.float64, name=others.label), names), held_out[1]
        # Scaling hides how a column was written.
        last += [*filter(None, [points_between_thousands(names, unscaled)]), SCALED.format(scale=scale)]
    found = diagnose(X, y, sample_weight=weight, validation_data=held_out, **settings)
    return dataclasses.replace(found, notes=(*first, *found.notes, *last))


def _scaled(fitted: Any, X: Array, names: list[str]) -> Columns:
    return Columns(dict(zip(names, np.asarray(fitted.transform(X)).T, strict=True)))
