"""`linreg fit`: train on a CSV file and tell how it went."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from linreg import study
from linreg.cli import FOUND, output
from linreg.cli.dask import connected
from linreg.cli.options import FILE, with_settings
from linreg.data.arrays import feature_matrix, row_vector
from linreg.data.dask_rows import DaskRows
from linreg.data.tables import read_table, split_target
from linreg.diagnosis.evidence import printable
from linreg.regression import LinearRegression
from linreg.report import FitReport, fit_and_report, fit_and_report_on_dask


@with_settings
def fit(
    file: Annotated[str, typer.Argument(help=FILE)],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    *,
    settings: dict[str, Any],
    options: list[str],
    scale: Annotated[str, typer.Option(help="Scale the features first: none, standard, minmax or robust.")] = "none",
    plot: Annotated[Path | None, typer.Option(help="Draw the loss curve into this file (.png, .svg, .pdf).")] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            help="Train on Parquet files, in float64 and unshuffled, on a Dask scheduler: tcp://..., local, threads."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> int:
    """Train on a numeric CSV file; print coefficients, loss curve, R^2 and the gap to the exact least-squares optimum.

    Exits with 1 if the loss rose.
    """
    model = LinearRegression(**{**settings, "verbose": 0 if as_json else 1})
    if plot is not None:
        study.picture_path(plot)
    scaling = None if scale == "none" else scale
    if dask is None:
        features, y = split_target(read_table(file), target)
        X = feature_matrix(features, np.float64, name=file)
        y = row_vector(y, np.float64, len(X), name=f"column {target!r} of {file}")
        report = fit_and_report(model, X, y, list(features.columns), scaling)
    else:
        with connected(dask):
            model.set_params(engine="dask", dtype="float64", shuffle=False)
            report = fit_and_report_on_dask(model, DaskRows.of(file, target), scaling)
    scaled = [] if scale == "none" else ["--scale", scale]
    why = (
        shlex.join(["linreg", "why", file, "--target", target, *scaled, *options])
        if report.doubtful and dask is None
        else None
    )
    if as_json:
        output.print_json({**report.to_dict(), "why": why})
    else:
        _show(report, model, file, target, scale)
        if why is not None:
            output.console().print(f"To see why: {printable(why)}", markup=False, soft_wrap=True)
    if plot is not None:
        _draw(report, f"{file}: {model.optimizer}, {model.loss}", plot)
    return FOUND if report.rose else 0


def _draw(report: FitReport, title: str, path: Path) -> None:
    figure, axes = study.new_figure(1, title)
    study.draw_losses(axes[0], {"loss": report.history["loss"]}, {})
    study.save(figure, path)


def _show(report: FitReport, model: LinearRegression, file: str, target: str, scale: str) -> None:
    settings = model.settings()
    console = output.console()
    trained: list[Any] = [
        settings.optimizer,
        settings.loss,
        f"{model.epochs} epoch{'s'[: model.epochs > 1]}",
        f"batches of {model.batch_size}",
    ]
    if scale != "none":
        trained.append(f"{scale} scaling")
    console.print(
        printable(f"{file}: {report.rows} rows, features {', '.join(report.coefficients)}, target {target}"),
        markup=False,
    )
    console.print("Trained with " + ", ".join(map(str, trained)), markup=False)
    rows = [
        (name, output.number(value), output.number(report.optimum[name])) for name, value in report.coefficients.items()
    ]
    rows.append(("(intercept)", output.number(report.intercept), output.number(report.optimum_intercept)))
    console.print()
    console.print(output.table("Coefficients", ("feature", "trained", "exact optimum"), rows, numbers=(1, 2)))
    console.print(f"\nLoss  {output.curve(report.history['loss'])}")
    console.print(f"R^2   {output.number(report.r2)}\n")
    for sentence in report.story():
        console.print(sentence, markup=False)
    if report.diverged and scale == "none":
        again = shlex.join(["linreg", "fit", file, "--target", target, "--scale", "standard"])
        console.print(f"To try next: {printable(again)}", markup=False)
