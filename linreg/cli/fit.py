"""`linreg fit`: train on a CSV file and tell how it went."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from linreg import study
from linreg.cli import FOUND, STOPPED, StoppedError, output
from linreg.cli.dask import connected
from linreg.cli.options import FILES, MISSING, Categories, Columns, Weights, with_settings
from linreg.cli.places import check_places
from linreg.data.dask_rows import DaskRows
from linreg.data.parts import matching
from linreg.data.scaling import scaler
from linreg.data.sources import names_in, open_table
from linreg.diagnosis.evidence import printable
from linreg.pipelines import PreparedModel, plain_step
from linreg.regression import LinearRegression
from linreg.report import (
    FitReport,
    finite_or_none,
    fit_and_report,
    fit_and_report_on_dask,
    report_on_source,
    summed_up,
)
from linreg.saving.models import archive_path
from linreg.settings import interval
from linreg.stopping import TERMINATED, Terminated
from linreg.whole_files import file_path


@with_settings
def fit(
    files: Annotated[list[str], typer.Argument(help=FILES)],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    *,
    columns: Columns = None,
    weights: Weights = None,
    missing: Annotated[str, typer.Option(help=MISSING)] = "error",
    categories: Categories = None,
    settings: dict[str, Any],
    options: list[str],
    scale: Annotated[str, typer.Option(help="Scale the features first: none, standard, minmax or robust.")] = "none",
    stream: Annotated[
        bool | None,
        typer.Option(help="Read the rows block by block; if not given, where they take more than 256 MiB."),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="What rows may take where they are streamed, as 512MB; a quarter of the machine's if not given."
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Keep the run in this file (.npz) while it lasts; go on from it where it is there already."),
    ] = None,
    every: Annotated[str, typer.Option(help="How often it is kept: after so many epochs, or 30s, 5min, 1h.")] = "60s",
    save: Annotated[
        Path | None,
        typer.Option(help="Save the model, and how its columns were read, in this file (.npz), for linreg predict."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the loss curve into this file (.png, .svg, .pdf).")] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            help="Train on Parquet files, in float64 and unshuffled, on a Dask scheduler: tcp://..., local, threads."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> int:
    """Train on tables; print coefficients, loss curve, R^2 and the gap to the exact least-squares optimum.

    Exits with 1 if the loss rose.
    """
    kept = {"checkpoint": checkpoint, "checkpoint_every": _how_often(every)}
    model = LinearRegression(**{**settings, **kept, "verbose": 0 if as_json else 1})
    model.settings()
    if plot is not None:
        study.picture_path(plot)
    if save is not None:
        archive_path(save)
    if checkpoint is not None:
        file_path(checkpoint, "run.npz")
    check_places({"--save": save, "--checkpoint": checkpoint, "--plot": plot}, matching(files))
    scaling = None if scale == "none" else scale
    chosen = {"columns": columns, "weights": weights, "categories": categories, "memory": memory}
    data: dict[str, Any] = {"notes": []}
    if dask is not None:
        others = {"stream": stream, "missing": None if missing == "error" else missing, "save": save}
        _only_with_dask(files, {**chosen, **others})
        with connected(dask), _told_where_it_stopped():
            model.set_params(engine="dask", dtype="float64", shuffle=False)
            report = fit_and_report_on_dask(model, DaskRows.of(files[0], target), scaling)
        parts, prepared = 1, None
    else:
        if stream is False and memory is not None:
            raise ValueError("--memory is for rows that are read block by block: leave --no-stream or --memory out.")
        with ExitStack() as stack:
            with output.without_native_chatter():
                table = stack.enter_context(open_table(
                    files, target, columns=names_in(columns), weights=weights, missing=missing,
                    categories=names_in(categories) or (), memory=memory,
                ))  # fmt: skip
                streamed = stream or (stream is None and (memory is not None or not table.fits))
                rows = None if streamed else table.arrays()
            stack.enter_context(_told_where_it_stopped())
            if rows is not None:
                X, y, weight = rows
                report = fit_and_report(model, X, y, list(table.names), scaling, weight)
                fitted = None if scaling is None or save is None else scaler(scaling).fit(X)
            else:
                model.set_params(memory=memory).settings()
                with output.passing("Summing up all rows", show=not as_json) as moved:
                    fitted, moments = summed_up(table, scaling, moved)
                report = report_on_source(model, table, fitted, moments)
            data, parts = finite_or_none(table.to_dict()), len(table.parts)
            steps = [] if fitted is None else [plain_step(fitted)]
            prepared = PreparedModel(model, steps, encoding=table.encoding) if save is not None else None
    scaled = [] if scale == "none" else ["--scale", scale]
    why = None
    if report.doubtful and dask is None:
        read = {"columns": columns, "weights": weights, "categories": categories}
        read["missing"] = missing if data["notes"] else None  # else `why` reads columns as they were found
        reading = [part for name, value in read.items() if value is not None for part in (f"--{name}", value)]
        why = shlex.join(["linreg", "why", *files, "--target", target, *reading, *scaled, *options])
    file = files[0] if parts == 1 else f"{parts} files"
    if as_json:
        resumed = {} if checkpoint is None else {"resumed": model.resumed_}
        output.print_json({**report.to_dict(), **resumed, "data": data, "why": why})
    else:
        extra = {**chosen, "missing": None if missing == "error" else missing, "dask": dask}
        again = [*files, "--target", target, *(p for k, v in extra.items() if v is not None for p in (f"--{k}", v))]
        _show(report, model, f"{file}: {report.rows} rows", target, data["notes"], scale, again)
        if why is not None:
            output.console().print(f"To see why: {printable(why)}", markup=False, soft_wrap=True)
    try:
        if save is not None and prepared is not None:
            prepared.save(save)
            predict = shlex.join(["linreg", "predict", str(save), files[0]])
            if not as_json:
                output.console().print(f"To predict: {printable(predict)}", markup=False, soft_wrap=True)
    finally:
        if plot is not None:
            _draw(report, f"{file}: {model.optimizer}, {model.loss}", plot)
    return FOUND if report.rose else 0


def _how_often(every: str) -> int | str:
    """Return `--every` as the estimator takes it."""
    try:
        asked = int(every) if every.isdecimal() else every
        interval(asked)
    except ValueError:
        raise ValueError(
            f"--every must be a number of epochs from 1 on, as 10, or a time, as 30s, 5min or 1h, got {every!r:.40}."
        ) from None
    return asked


def _only_with_dask(files: list[str], others: dict[str, Any]) -> None:
    """Refuse what --dask does not do."""
    if len(files) > 1:
        raise ValueError(
            "--dask trains on one Parquet file, folder or pattern of them: give it alone, a pattern in quotation marks."
        )
    given = [name for name, value in others.items() if value is not None]
    if given:
        raise ValueError(
            f"--{given[0]} does not go with --dask, which trains on Parquet files as they are: leave it out."
        )


@contextmanager
def _told_where_it_stopped() -> Iterator[None]:
    """Say in one line where a run was stopped, and how to go on."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        raise StoppedError(str(stopped), STOPPED) from None
    except Terminated as stopped:
        raise StoppedError(stopped.words, TERMINATED) from None


def _draw(report: FitReport, title: str, path: Path) -> None:
    figure, axes = study.new_figure(1, title)
    study.draw_losses(axes[0], {"loss": report.history["loss"]}, {})
    study.save(figure, path)


def _show(
    report: FitReport, model: LinearRegression, rows: str, target: str, notes: list[str], scale: str, again: list[str]
) -> None:
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
        printable(f"{rows}, features {', '.join(report.coefficients)}, target {target}"),
        markup=False,
    )
    for note in notes:
        console.print(printable(note), markup=False)
    console.print("Trained with " + ", ".join(map(str, trained)), markup=False)
    lines = [
        (name, output.number(value), output.number(report.optimum[name])) for name, value in report.coefficients.items()
    ]
    lines.append(("(intercept)", output.number(report.intercept), output.number(report.optimum_intercept)))
    console.print()
    console.print(output.table("Coefficients", ("feature", "trained", "exact optimum"), lines, numbers=(1, 2)))
    console.print(f"\nLoss  {output.curve(report.history['loss'])}")
    console.print(f"R^2   {output.number(report.r2)}\n")
    for sentence in report.story():
        console.print(sentence, markup=False)
    if report.diverged and scale == "none":
        command = shlex.join(["linreg", "fit", *again, "--scale", "standard"])
        console.print(f"To try next: {printable(command)}", markup=False)
