"""`linreg study`: every number of a step, on anybody's data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from linreg import study as studies
from linreg.cli import output
from linreg.cli.options import FILE, with_settings
from linreg.data.arrays import feature_matrix, row_vector
from linreg.data.scaling import scaler
from linreg.data.tables import read_table, split_target
from linreg.diagnosis.evidence import printable
from linreg.hyperparameters import nearest
from linreg.report import finite_or_none
from linreg.study.traces import Step, Trace, trace_path

SHOWN_ROWS = 5
"""Rows of a batch that are shown; the file holds all."""
SHOWN_PARAMETERS = 6


@with_settings
def study(
    file: Annotated[str, typer.Argument(help=FILE)],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    *,
    settings: dict[str, Any],
    scale: Annotated[str, typer.Option(help="Scale the features first: none, standard, minmax or robust.")] = "none",
    steps: Annotated[str, typer.Option(help="Show every number of these steps: 3, or 1:5 for 1 to 5.")] = "1:3",
    parameter: Annotated[
        str | None, typer.Option(help="The feature whose numbers stand in the formulas; the first if not given.")
    ] = None,
    trace: Annotated[Path | None, typer.Option(help="Write the numbers of --steps into this .csv or .parquet.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> int:
    """Show every number of some steps of a run: the formula with its symbols, and below it with its numbers."""
    wanted = _steps(steps)
    if trace is not None:
        trace_path(trace)
    X, y, names = _columns(file, target, scale)
    found = studies.trace(X, y, steps=wanted, names=names, **settings)
    if trace is not None:
        found.write(trace)
    if as_json:
        output.print_json({"trace": finite_or_none(list(found.rows()))})
    else:
        _show(found, _place(parameter, found.names))
        if trace is not None:
            output.console().print(f"\nAll numbers: {printable(str(trace))}", markup=False)
    return 0


def _columns(file: str, target: str, scale: str) -> tuple[Any, Any, list[str]]:
    features, y = split_target(read_table(file), target)
    X = feature_matrix(features, np.float64, name=file)
    if scale != "none":
        X = scaler(scale).fit_transform(X)
    return X, row_vector(y, np.float64, len(X), name=f"column {target!r} of {file}"), list(features.columns)


def _steps(given: str) -> range:
    """Return the steps that are asked for: "3", "1:5"."""
    first, colon, last = given.partition(":")
    try:
        found = range(int(first), int(last if colon else first) + 1)
    except ValueError:
        found = range(0)
    if not found or found[0] < 1:
        raise ValueError(f"--steps must be one step, as 3, or some in a row, as 1:5, counted from 1; got {given!r}.")
    return found


def _place(parameter: str | None, names: list[str]) -> int:
    if parameter is None:
        return 0
    if parameter not in names:
        raise ValueError(f"--parameter: there is no parameter {parameter!r}{nearest(parameter, names)}.")
    return names.index(parameter)


def _show(found: Trace, parameter: int) -> None:
    console = output.console()
    if not found.steps:
        console.print("The run ends before these steps: ask for earlier ones, or for more epochs (--epochs).")
    for step in found.steps:
        title = f"Step {step.number} (epoch {step.epoch}, batch {step.batch})"
        console.print(f"\n{title}", style="bold", markup=False)
        single = [q for q in step.quantities.values() if q.of == "step"]
        console.print("  ".join(f"{q.name} = {q.values[0]:.6g}" for q in single), markup=False, soft_wrap=True)
        console.print(_rows(step))
        console.print(_parameters(step, parameter))
        console.print(printable(f"The formulas, with the numbers of {found.names[parameter]}:"), markup=False)
        for formula in step.formulas(parameter):
            console.print(f"  {formula.symbols}", style="bold", markup=False, soft_wrap=True)
            console.print(f"  {formula.numbers} = {formula.value:.6g}", markup=False, soft_wrap=True)


def _rows(step: Step) -> Any:
    columns = [q for q in step.quantities.values() if q.of == "row"]
    rows = [(label, *(f"{q.values[i]:.6g}" for q in columns)) for i, label in enumerate(columns[0].labels[:SHOWN_ROWS])]
    more = len(columns[0].labels) - len(rows)
    title = f"Rows of the batch (counted from 0){f', {more} more not shown' if more else ''}"
    return output.table(title, ("", *(q.name for q in columns)), rows, numbers=range(1, len(columns) + 1))


def _parameters(step: Step, parameter: int) -> Any:
    quantities = [q for q in step.quantities.values() if q.of == "parameter"]
    labels = quantities[0].labels
    places = sorted({*range(min(len(labels), SHOWN_PARAMETERS - 2)), parameter, len(labels) - 1})
    rows = [(q.name, *(f"{q.values[j]:.6g}" for j in places)) for q in quantities]
    more = len(labels) - len(places)
    title = f"Parameters{f', {more} more not shown' if more else ''}"
    return output.table(title, ("", *(labels[j] for j in places)), rows, numbers=range(1, len(places) + 1))
