"""Data that no step can be taken with: what is wrong with them, and the remedies that make numbers of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from linreg.data.arrays import column_names, column_of
from linreg.data.conversion import ComplexDataError
from linreg.data.reading import Column, Reading
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.remedies import Remedy, Step, complete_rows, keep_columns

Array = Any

REPAIRED = {"missing_values", "wrong_dtype"}
"""Causes whose remedies take the data as they were given; those of all others take them repaired."""
IMPUTE = Step("sklearn.impute", "SimpleImputer", (("strategy", "median"),))
SHOWN = 3
DISTINCT, GAP, WIDE, TWO_UNITS = 20, 1.5, 0.05, 3.0
"""Values that a column has at least; ratio of the two beside a gap, and its share of the range; ratio of the middles of
the groups on both sides."""
FEW_COLUMNS = 2
"""With so few columns a row with a gap in most of them is no rarity."""
MIXED, HALF = 0.05, 0.5
"""Share of the rows that make a column mixed, and most of them."""
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


def repairs(X: Any, y: Any, reading: Reading) -> list[Finding]:
    """Return what keeps a run from its first step: columns that hold no numbers, and values that are missing.

    Parameters
    ----------
    X, y : array or frame
        Features and target as they were given.
    reading : Reading
        What was read of them.

    Returns
    -------
    list of Finding
        None where the data are finite numbers. Each of their remedies, not tried yet, repairs all that is wrong, the
        best one first.
    """
    wrong = [c for c in (*reading.columns, reading.target) if c.kind not in NUMBERS and c.kind != "empty"]
    used = [c for c in reading.columns if not _left_out(c, reading.names)]
    gaps = [c for c in (*used, reading.target) if c.missing or c.infinite]
    if not wrong and not gaps:
        return []
    reads = bool(wrong) or not _same_numbers(X, reading.X) or not _same_numbers(y, reading.y)
    convert = Remedy("convert", _converting(wrong, reading.names), reads=reads)
    filled = tuple(_filled(reading, reads)) if gaps else ()
    remedies = tuple(convert.and_then(remedy) for remedy in filled) if wrong and gaps else filled or (convert,)
    return [
        *([_wrong_types(wrong, remedies)] if wrong else []),
        *([_missing(reading, gaps, remedies)] if gaps else []),
    ]


def integers_that_overflow(X: Any) -> str | None:
    """Return a warning about integers whose products, summed over the rows, do not fit their type; None if all fit.

    Parameters
    ----------
    X : array or frame
        Features as they were given.

    Returns
    -------
    str or None
        What happens in a loop that is written by hand: `fit` makes floats of them.
    """
    names = column_names(X)
    columns = [np.asarray(X)] if names is None else [column_of(X, name, "X") for name in names]
    for column in columns:
        if column.dtype.kind in "iu" and column.size:
            largest, room = float(np.abs(column.astype(np.float64)).max()), float(np.iinfo(column.dtype).max)
            if largest * largest * len(column) > room:
                return (
                    f"X holds integers ({column.dtype}) up to {largest:.4g}: in a loop that is written by hand the sum "
                    f"of their squares, up to {largest * largest * len(column):.2g}, does not fit their type and turns "
                    "over without a word. Make floats of them first, X.astype(float), as fit does."
                )
    return None


def points_between_thousands(names: Sequence[str], X: Array) -> str | None:
    """Return a warning about a column in which 1.234 may mean 1234; None if no column looks like that.

    Parameters
    ----------
    names : sequence of str
        Names of the features.
    X : array of shape (rows, features)
        The features as numbers.

    Returns
    -------
    str or None
        Which column, and what to do: whole numbers below 1000 stand in it beside numbers with exactly three decimals.
    """
    for name, column in zip(names, X.T, strict=True):
        whole, thousands = column == np.round(column), np.round(1000 * column)
        exact = np.abs(1000 * column - thousands) <= 1e-6 * np.abs(thousands)
        three = ~whole & exact & (thousands % 10 != 0)
        mixed = min(whole.mean(), three.mean()) > MIXED and three.sum() > HALF * (~whole).sum()
        hundreds = np.abs(column[whole]) >= 100
        if mixed and exact.all() and np.abs(column).max() < 1000 and hundreds.mean() > HALF:
            value = float(column[three][0])
            return (
                f"Column {name} holds whole numbers up to {np.abs(column).max():g} and, in {int((~whole).sum())} rows, "
                f"numbers with three decimals such as {value:.3f}: was that written for {1000 * value:.0f}, with a "
                "point between thousands? Then multiply those by 1000."
            )
    return None


def two_groups(name: str, column: Array) -> str | None:
    """Return a question about a column whose values fall into two groups of different size; None if they do not.

    Parameters
    ----------
    name : str
        Its name.
    column : array of shape (rows,)
        Its numbers.

    Returns
    -------
    str or None
        Where the groups lie: the same quantity in two units, perhaps.
    """
    values = np.sort(column)
    few = max(2, int(MIXED * len(values)))
    inner = values[few - 1 : len(values) - few + 1]
    if len(np.unique(inner)) < DISTINCT or inner[0] <= 0:
        return None  # counts, codes and signs fall into groups as well
    ratios = inner[1:] / inner[:-1]
    gap = int(np.argmax(ratios))
    low, high = values[: few + gap], values[few + gap :]
    wide = inner[gap + 1] - inner[gap] >= WIDE * (values[-1] - values[0])
    if not wide or ratios[gap] < GAP or np.median(high) < TWO_UNITS * np.median(low):
        return None
    return (
        f"The values of {name} fall into two groups with nothing between them: {len(low)} from {low[0]:.4g} to "
        f"{low[-1]:.4g}, {len(high)} from {high[0]:.4g} to {high[-1]:.4g}. Is the same quantity written in two units? "
        "Then convert one of them."
    )


def usual(findings: Sequence[Finding], complete: Array) -> Remedy | None:
    """Return the remedy with which the run is looked at: without its incomplete rows unless they are the most.

    Parameters
    ----------
    findings : sequence of Finding
        What `repairs` returned.
    complete : array of bool
        Whether each row is complete.

    Returns
    -------
    Remedy or None
        The remedy; None where there is nothing to repair, or no remedy.
    """
    remedies = findings[0].remedies if findings else ()
    if complete.sum() >= max(2, len(complete) // 2):
        remedies = tuple(sorted(remedies, key=lambda remedy: not remedy.complete))
    return next((remedy for remedy in remedies if remedy.changes), None)


def unreadable_target(error: TypeError) -> Finding:
    """Return the finding for a target that holds no numbers.

    Parameters
    ----------
    error : TypeError
        What is wrong with it.

    Returns
    -------
    Finding
        With advice, as nothing can be tried.
    """
    advice = Remedy("convert", "Give numbers as the target: correct what is mistyped, and write no units behind them.")
    return Finding("wrong_dtype", {"columns": {"y": "category"}}, str(error), (advice,))


def not_real(error: ComplexDataError) -> Finding:
    """Return the finding for complex numbers.

    Parameters
    ----------
    error : ComplexDataError
        What is wrong with the data.

    Returns
    -------
    Finding
        With advice, as only the user knows which part is meant.
    """
    advice = Remedy("real", "Give the part that is meant: the real one (.real), or the size (abs).")
    return Finding("wrong_dtype", {}, str(error), (advice,))


def _same_numbers(given: Any, numbers: Array) -> bool:
    """Whether NumPy alone makes the same numbers of what was given, nan and infinite where they are nan."""
    if isinstance(given, np.ma.MaskedArray):
        return False
    try:
        plain = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        return False
    return np.array_equal(np.where(np.isfinite(plain), plain, np.nan).reshape(numbers.shape), numbers, equal_nan=True)


def _wrong_types(wrong: Sequence[Column], remedies: tuple[Remedy, ...]) -> Finding:
    listed = "; ".join(
        f"column {column.name} holds {KINDS[column.kind]}"
        + (f", {', '.join(column.examples[:2])}" if column.examples else "")
        for column in wrong[:SHOWN]
    )
    evidence = {"columns": {column.name: column.kind for column in wrong}}
    return Finding("wrong_dtype", evidence, f"{listed[0].upper()}{listed[1:]}, where numbers are needed.", remedies)


def _converting(wrong: Sequence[Column], features: Sequence[str]) -> str:
    """Say how numbers are made of columns."""
    words = "Make numbers of them before training (linreg.data.reading.read does)"
    useless = [column.name for column in wrong if _left_out(column, features)]
    encoded = [column.name for column in wrong if column.kind == "category" and column.name not in useless]
    if encoded:
        words += f", with a column for each category of {', '.join(encoded[:SHOWN])} but the first"
    if useless:
        words += f", and leave out {', '.join(useless[:SHOWN])}, with one category or too many"
    return f"{words}."


def _left_out(column: Column, features: Sequence[str]) -> bool:
    """Whether no feature comes of a column: categories, of which there are too many, or one."""
    return column.kind == "category" and not any(name.startswith(f"{column.name}=") for name in features)


def _missing(reading: Reading, gaps: Sequence[Column], remedies: tuple[Remedy, ...]) -> Finding:
    """Return the finding for values that are missing or infinite: the first loss is nan."""
    count = sum(column.missing + column.infinite for column in gaps)
    evidence = {
        "missing": {column.name: column.missing + column.infinite for column in gaps},
        "rows": int((~complete_rows(reading.X, reading.y)).sum()),
        "of": len(reading.y),
        "first_rows": list(gaps[0].first_missing),
    }
    words = (
        f"{count} value{'s are' if count > 1 else ' is'} missing or infinite, in column "
        f"{', '.join(column.name for column in gaps[:SHOWN])} (first in row {gaps[0].first_missing[0]}, counted from "
        "0). One of them makes the first loss nan, and every loss after it."
    )
    return Finding("missing_values", evidence, words, remedies)


def _filled(reading: Reading, reads: bool) -> list[Remedy]:
    """Return the remedies for missing values that leave something to train on; advice where there is none."""
    known, complete, remedies = np.isfinite(reading.y), complete_rows(reading.X, reading.y), []
    held = np.isfinite(reading.X[known])
    some = np.flatnonzero(held.any(axis=0))
    if known.sum() > 1 and len(some) and not held.all():
        steps: tuple[Step, ...] = (IMPUTE,)
        words = "Fill the gaps with the median of their column (SimpleImputer)."
        if len(some) < held.shape[1]:
            empty = np.array(reading.names)[~held.any(axis=0)]
            words = f"Leave out {', '.join(empty[:SHOWN])}, where every value is missing, then f{words[1:]}"
            steps = (keep_columns(some), IMPUTE)
        if not known.all():
            words = f"Leave out the {_rows(~known)} without a target, then {words[0].lower()}{words[1:]}"
        remedies.append(Remedy("impute", words, steps, reads=reads))
    if complete.sum() > 1:
        words = f"Leave out the {_rows(~complete)} with missing values."
        drop = Remedy("drop rows", words, complete=True, reads=reads)
        # Of a row that is hardly there, a pasted header say, a fill makes a row that nobody has seen.
        hollow = (
            reading.X.shape[1] > FEW_COLUMNS
            and not complete.all()
            and bool((np.isnan(reading.X[~complete]).mean(axis=1) > HALF).all())
        )
        remedies.insert(0 if hollow else len(remedies), drop)
    if not remedies:
        words = "Give more values: too few are left to train on. Look at how the data are read if they should be there."
        remedies.append(Remedy("collect", words))
    return remedies


def _rows(some: Array) -> str:
    count = int(some.sum())
    return f"{count} rows" if count > 1 else "row"
