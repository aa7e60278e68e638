"""Far rows that are no observations at all: the lines of totals, and of subtotals, of a spreadsheet."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from linreg.diagnosis.cases import Case
from linreg.diagnosis.findings import Finding

Array = Any

SAME = 1e-6
"""Share of the sum of magnitudes to which a total is written: six digits, as many as spreadsheets show."""
ENOUGH = 2
"""So many values at least must agree; one may by chance."""


def is_total(table: Array, row: int, of: Array | None = None) -> bool:
    """Return whether a row looks like the total of others: most of its values are their sums, or their means.

    Parameters
    ----------
    table : array of shape (rows, columns)
        Features and target.
    row : int
        The row, counted from 0.
    of : array of int, optional
        The others; all if not given.

    Returns
    -------
    bool
        Whether more than half of its values, and at least two, are the sum or the mean of the column's other values,
        to six digits, and at least one is a sum that is not a mean. Columns of zeros are left out: they agree with
        everything.
    """
    others = np.delete(table, row, axis=0) if of is None else table[of]
    others, value = others[:, others.any(axis=0)], table[row, others.any(axis=0)]
    total, size = others.sum(axis=0), np.abs(others).sum(axis=0)
    sums = np.abs(value - total) <= SAME * size
    means = np.abs(value * len(others) - total) <= SAME * size
    agree = int((sums | means).sum())
    return bool((sums & ~means).any()) and agree >= ENOUGH and 2 * agree > len(value)


def totals(table: Array, places: Array) -> list[int]:
    """Return which of some rows are totals: of all other rows, or of those since the total before.

    Parameters
    ----------
    table : array of shape (rows, columns)
        Features and target, in the order of the file.
    places : array of int
        The rows in question.

    Returns
    -------
    list of int
        Those that are totals.
    """
    found: list[int] = []
    ordinary = np.setdiff1d(np.arange(len(table)), places)
    for place in map(int, np.sort(places)):
        since = ordinary[(ordinary < place) & (ordinary > (found[-1] if found else -1))]
        groups = (None, ordinary, since) if len(since) > 1 else (None, ordinary)
        if any(is_total(table, place, of) for of in groups):
            found.append(place)
    return found


def naming_totals(finding: Finding, case: Case, places: Array) -> Finding:
    """Return a finding that says of its rows which of them look like totals.

    Parameters
    ----------
    finding : Finding
        A finding about far rows.
    case : Case
        The case, features in the units that the rows were written in.
    places : array of int
        The far rows, by their places in the case.

    Returns
    -------
    Finding
        The finding; with `looks_like_a_total` in its evidence where there is such a row.
    """
    if case.counts is not None:  # a sample: the sums of all rows are not in it
        return finding
    table = np.column_stack([case.X, case.y])
    rows = case.row_numbers[totals(table, places)].tolist()
    if not rows:
        return finding
    one = "looks like a total: its values are the sums (or means) of the other rows."
    many = "look like totals: their values are the sums (or means) of other rows, all or those since the total before."
    words = f"Row {rows[0]} {one}" if len(rows) == 1 else f"{len(rows)} of them (row {rows[0]} first) {many}"
    return dataclasses.replace(
        finding,
        evidence={**finding.evidence, "looks_like_a_total": rows},
        explanation=f"{finding.explanation} {words}",
    )
