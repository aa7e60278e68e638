"""`diagnose` for a table in a file that may be larger than memory."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from linreg.data.blocks import Source, complete
from linreg.data.reading import Reading, read
from linreg.data.row_files import FileRows, ScaledRows, opened
from linreg.data.scaling import scaler
from linreg.diagnosis.cases import Case
from linreg.diagnosis.diagnosis import Diagnosis, diagnose, judged
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.large import Large, Moved
from linreg.diagnosis.repairs import repairs, usual
from linreg.diagnosis.survey import SAMPLE, Tally
from linreg.regression import LinearRegression

if TYPE_CHECKING:
    import polars

Array = Any

PLACES = 20
"""Places of a file from which rows are taken where no numbers can be drawn at random."""


def diagnose_file(
    file: str | os.PathLike[str],
    target: str,
    *,
    validation: str | os.PathLike[str] | None = None,
    scale: str = "none",
    moved: Moved = lambda *_: None,
    **settings: Any,
) -> Diagnosis:
    """Say why the loss of a run on a table in a file rises or does not come down; the table need not fit into memory.

    Parameters
    ----------
    file : str or path
        A Parquet, Arrow (Feather) or CSV file.
    target : str
        Column to predict.
    validation : str or path, optional
        A file with validation rows.
    scale : str, default="none"
        How the features were scaled, one of `linreg.data.scaling`.
    moved : callable, optional
        Called as `moved(done, of, text)` after rows have been read: each of them is read up to three times.
    **settings : object
        Every setting of `LinearRegression`.

    Returns
    -------
    Diagnosis
        Verdict and findings. Its notes say what was computed on all rows and what on a sample.

    Raises
    ------
    ImportError
        If polars is not installed.
    OSError
        If a file is missing or may not be read.
    ValueError
        If a file cannot be read, or a setting is refused.

    Notes
    -----
    See `linreg.diagnosis.large`. Columns that hold no numbers are told by rows from twenty places of the file, and the
    run is then that on these rows.
    """
    model = LinearRegression(**settings).set_params(checkpoint=None)
    if model.random_state is None:
        model.set_params(random_state=0)
    model.settings()
    with opened(file, target) as table, _validation(validation, table) as others:
        if table.other_kinds():
            return _of_some_rows(table, settings, "Some columns hold no numbers")
        source: Source = table
        if scale != "none":
            fitted = _fitted(scaler(scale), table)
            source = ScaledRows(table, fitted)
            others = others and (np.asarray(fitted.transform(others[0]), np.float64), others[1])
        large = Large(source, model, moved, others).surveyed()
        if not np.isfinite(large.tally.moments.products).all():
            raise ValueError(
                f"{os.fspath(file)!r} holds values whose squares are too large for float64: divide their column by a "
                "power of ten first."
            )
        return _of_all_rows(large, table, settings)


def _of_all_rows(large: Large, table: FileRows, settings: dict[str, Any]) -> Diagnosis:
    tally, broken, repair, given = large.tally, [], None, None
    if tally.count < table.count:
        raw = tally.with_gaps()
        reading = _counted(read(raw[:, :-1], raw[:, -1]), tally, table)
        broken = repairs(raw[:, :-1], raw[:, -1], reading)
        broken = [_of_them_all(finding, table.count - tally.count, table.count) for finding in broken]
        whole = np.arange(table.count) < tally.count
        repair = usual(broken, whole)
        given = Case(reading.X, reading.y, large.source.names, large.model)
        if repair is None or not repair.complete:
            return _of_some_rows(table, settings, "Most rows are incomplete")
    case = large.stand_in()
    if given is None:
        given = case.replaced(counts=None, train=None)
    return judged(case, given, broken, repair, large)


def _counted(reading: Reading, tally: Tally, table: FileRows) -> Reading:
    """Return a reading of some rows with the counts and places of all."""
    columns = [
        dataclasses.replace(
            column, name=name, missing=int(tally.missing[j]), infinite=int(tally.infinite[j]),
            first_missing=tuple(tally.first[j]),
        )
        for j, (column, name) in enumerate(
            zip((*reading.columns, reading.target), (*table.names, table.target), strict=True)
        )
    ]  # fmt: skip
    return dataclasses.replace(reading, names=table.names, columns=tuple(columns[:-1]), target=columns[-1])


def _of_them_all(finding: Finding, rows: int, count: int) -> Finding:
    """Return a finding about missing values with the rows of all data in place of those looked at."""
    remedies = tuple(
        dataclasses.replace(remedy, words=f"Leave out the {rows} rows with missing values.")
        if remedy.complete
        else remedy
        for remedy in finding.remedies
    )
    return dataclasses.replace(finding, evidence={**finding.evidence, "rows": rows, "of": count}, remedies=remedies)


def _of_some_rows(table: FileRows, settings: dict[str, Any], why: str) -> Diagnosis:
    frame = some_rows(table)
    X = frame.clone()
    y = X.drop_in_place(table.target)
    found = diagnose(X, y, **settings)
    note = (
        f"{why}, so {frame.height} of the {table.count} rows were diagnosed, taken from {PLACES} places: rows are "
        "numbered among them."
    )
    return dataclasses.replace(found, notes=(*found.notes, note) if frame.height < table.count else found.notes)


def some_rows(table: FileRows) -> polars.DataFrame:
    """Return rows from evenly spaced places of a table, all of a small one."""
    import polars

    if table.count <= SAMPLE:
        return table.frame(0, table.count)
    each = SAMPLE // PLACES
    starts = np.linspace(0, table.count - each, PLACES).astype(int).tolist()
    return polars.concat([table.frame(start, each) for start in starts])


@contextmanager
def _validation(file: str | os.PathLike[str] | None, table: FileRows) -> Iterator[tuple[Array, Array] | None]:
    """Open a file of validation rows; give those of some places that are complete."""
    if file is None:
        yield None
        return
    import polars

    with opened(file, table.target) as other:
        absent = [name for name in table.names if name not in other.names]
        if absent:
            raise ValueError(
                f"{os.fspath(file)!r} has no column {absent[0]!r}: validation rows need the columns of the training "
                "rows."
            )
        if not set(other.other_kinds()).isdisjoint((*table.names, table.target)):
            raise ValueError(f"{os.fspath(file)!r} holds no numbers in {other.other_kinds()[0]!r}: give numbers.")
        frame = some_rows(other).select([polars.col(name) for name in (*table.names, table.target)])
        rows = frame.cast(polars.Float64).to_numpy(order="c")
        rows = rows[np.isfinite(rows).all(axis=1)]
        yield (rows[:, :-1], rows[:, -1]) if len(rows) else None


def _fitted(transformer: Any, table: FileRows) -> Any:
    """Return a scaler fitted to all rows block by block; one that cannot be, to some."""
    if not hasattr(transformer, "partial_fit"):
        rows = some_rows(table).select(list(table.names)).to_numpy(order="c").astype(np.float64)
        return transformer.fit(rows[np.isfinite(rows).all(axis=1)])
    for number in range(len(table)):
        transformer.partial_fit(complete(table.read(number)).rows[:, :-1])
    return transformer
