"""`linreg fit`: train on a CSV file and tell how it went."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from linreg import study
from linreg.cli import FOUND, output
from linreg.cli.options import FILE, with_settings
from linreg.data.arrays import feature_matrix, row_vector
from linreg.data.row_files import streams
from linreg.data.sources import opened_numbers
from linreg.data.tables import read_table, split_target
from linreg.diagnosis.evidence import printable
from linreg.regression import LinearRegression
from linreg.report import FitReport, fit_and_report, report_on_source, summed_up


@with_settings
def fit(
    file: Annotated[str, typer.Argument(help=FILE)],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    *,
    settings: dict[str, Any],
    options: list[str],
    scale: Annotated[str, typer.Option(help="Scale the features first: none, standard, minmax or robust.")] = "none",
    stream: Annotated[
        bool | None,
        typer.Option(help="Read the file block by block; if not given, where it takes more than 256 MiB."),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="What rows may take where the file is streamed, as 512MB; a quarter of the machine's if not given."
        ),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the loss curve into this file (.png, .svg, .pdf).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> int:
    """Train on a numeric CSV file; print coefficients, loss curve, R^2 and the gap to the exact least-squares optimum.

    Exits with 1 if the loss rose.
    """
    model = LinearRegression(**{**settings, "verbose": 0 if as_json else 1})
    if plot is not None:
        study.picture_path(plot)
    if stream is False and memory is not None:
        raise ValueError("--memory is for files that are read block by block: leave --no-stream or --memory out.")
    scaling = None if scale == "none" else scale
    if stream or (stream is None and (memory is not None or streams(file))):
        model.set_params(memory=memory).settings()
        with opened_numbers(file, target) as rows:
            with output.passing("Summing up all rows", show=not as_json) as moved:
                seen = summed_up(rows, scaling, moved)
            report = report_on_source(model, rows, *seen)
    else:
        features, y = split_target(read_table(file), target)
        X = feature_matrix(features, np.float64, name=file)
        report = fit_and_report(
            model, X, row_vector(y, np.float64, len(X), name=f"column {target!r} of {file}"), list(features.columns),
            scaling,
        )  # fmt: skip
    scaled = [] if scale == "none" else ["--scale", scale]
    why = shlex.join(["linreg", "why", file, "--target", target, *scaled, *options]) if report.doubtful else None
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
