"""`linreg fit`: train on a CSV file and tell how it went."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from linreg import study
from linreg.cli import FOUND, STOPPED, StoppedError, output
from linreg.cli.options import FILE, with_settings
from linreg.data.arrays import feature_matrix, row_vector
from linreg.data.scaling import scaler
from linreg.data.tables import read_table, split_target
from linreg.diagnosis.evidence import printable
from linreg.pipelines import PreparedModel, plain_step
from linreg.regression import LinearRegression
from linreg.report import FitReport, fit_and_report
from linreg.saving.models import archive_path
from linreg.stopping import TERMINATED, Terminated


@with_settings
def fit(
    file: Annotated[str, typer.Argument(help=FILE)],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    *,
    settings: dict[str, Any],
    options: list[str],
    scale: Annotated[str, typer.Option(help="Scale the features first: none, standard, minmax or robust.")] = "none",
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Keep the run in this file (.npz) while it lasts; go on from it where it is there already."),
    ] = None,
    every: Annotated[str, typer.Option(help="How often it is kept: after so many epochs, or 30s, 5min, 1h.")] = "60s",
    save: Annotated[Path | None, typer.Option(help="Save the model in this file (.npz), for linreg predict.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the loss curve into this file (.png, .svg, .pdf).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> int:
    """Train on a numeric CSV file; print coefficients, loss curve, R^2 and the gap to the exact least-squares optimum.

    Exits with 1 if the loss rose.
    """
    kept = {"checkpoint": checkpoint, "checkpoint_every": int(every) if every.isdecimal() else every}
    model = LinearRegression(**{**settings, **kept, "verbose": 0 if as_json else 1})
    model.settings()
    if plot is not None:
        study.picture_path(plot)
    if save is not None:
        archive_path(save)
    features, y = split_target(read_table(file), target)
    X = feature_matrix(features, np.float64, name=file)
    target_values = row_vector(y, np.float64, len(X), name=f"column {target!r} of {file}")
    try:
        report = fit_and_report(model, X, target_values, list(features.columns), None if scale == "none" else scale)
    except KeyboardInterrupt as stopped:
        raise StoppedError(str(stopped), STOPPED) from None
    except Terminated as stopped:
        raise StoppedError(stopped.words, TERMINATED) from None
    if save is not None:
        steps = [] if scale == "none" else [plain_step(scaler(scale).fit(X))]
        PreparedModel(model, steps, names=list(features.columns)).save(save)
    scaled = [] if scale == "none" else ["--scale", scale]
    why = shlex.join(["linreg", "why", file, "--target", target, *scaled, *options]) if report.doubtful else None
    if as_json:
        resumed = {} if checkpoint is None else {"resumed": model.resumed_}
        output.print_json({**report.to_dict(), **resumed, "why": why})
    else:
        _show(report, model, file, target, scale)
        if why is not None:
            output.console().print(f"To see why: {printable(why)}", markup=False, soft_wrap=True)
        if save is not None:
            again = shlex.join(["linreg", "predict", str(save), file])
            output.console().print(f"To predict: {printable(again)}", markup=False, soft_wrap=True)
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
