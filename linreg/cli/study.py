"""`linreg study`: every number of a step, and pictures of the run, on anybody's data."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from linreg import experiments
from linreg import study as studies
from linreg.cli import output
from linreg.cli.options import FILES, MISSING, Categories, Columns, with_settings
from linreg.cli.places import check_places
from linreg.data.parts import matching
from linreg.data.scaling import scaler
from linreg.data.sources import names_in, open_table
from linreg.diagnosis.evidence import printable
from linreg.hyperparameters import nearest
from linreg.optimizers import Optimizer
from linreg.regression import LinearRegression
from linreg.report import finite_or_none
from linreg.study import animation, page
from linreg.study.traces import Quantity, Step, Trace, trace_path

SHOWN_ROWS = 5
"""Rows of a batch that are shown; the file holds all."""
SHOWN_PARAMETERS = 6
LETTERS = {"residual": "e", "gradient": "g"}


@with_settings
def study(
    files: Annotated[list[str], typer.Argument(help=FILES)],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    *,
    columns: Columns = None,
    missing: Annotated[str, typer.Option(help=MISSING)] = "error",
    categories: Categories = None,
    settings: dict[str, Any],
    scale: Annotated[str, typer.Option(help="Scale the features first: none, standard, minmax or robust.")] = "none",
    steps: Annotated[str | None, typer.Option(help="Show every number of these steps: 3, or 1:5 for 1 to 5.")] = None,
    parameter: Annotated[
        str | None, typer.Option(help="The feature whose numbers stand in the formulas; the first if not given.")
    ] = None,
    trace: Annotated[Path | None, typer.Option(help="Write the numbers of --steps into this .csv or .parquet.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Draw all pictures into this folder; linreg-study if nothing else is asked for.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the interactive page into this one file.")] = None,
    film: Annotated[
        Path | None, typer.Option("--animate", help="Film the run, step by step, into this .gif or .mp4.")
    ] = None,
    svg: Annotated[bool, typer.Option("--svg", help="Draw SVG instead of PNG.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> int:
    """Watch a run: with --steps every number of a step, under its formula; else pictures of the run.

    Pictures: every known optimizer at its best learning rate; their paths on the loss; the loss at the end by learning
    rate, with the computed limit; gradient and state by step; residuals and Huber's corner; before and after a remedy.
    """
    wanted = None if steps is None else _steps(steps)
    if wanted is None and (trace is not None or parameter is not None):
        raise ValueError("--trace and --parameter are about the numbers of steps: say which, for example --steps 1:5.")
    if trace is not None:
        trace_path(trace)
    if html is not None:
        page.page_path(html)
    if film is not None:
        animation.animation_path(film)
    if wanted is None and out is None and html is None and film is None:
        out = Path("linreg-study")
    if out is not None:
        experiments.check_folder(out)
    pictures = [] if out is None else [out / f"{name}.{'svg' if svg else 'png'}" for name in studies.PICTURES]
    drawn = {f"--out, {path.name}:": path for path in pictures}
    check_places({"--trace": trace, "--html": html, "--animate": film, **drawn}, matching(files))
    with output.without_native_chatter(), open_table(
        files, target, columns=names_in(columns), missing=missing, categories=names_in(categories) or ()
    ) as table:  # fmt: skip
        X, y, _ = table.arrays()
        names, notes = list(table.names), table.notes()
    if scale != "none":
        X = scaler(scale).fit_transform(X)
    if not as_json:
        for note in notes:
            output.console().print(printable(note), markup=False)
    subject = studies.Subject(X, y, names, target, LinearRegression(**settings), scale)
    printed: dict[str, Any] = {}
    if wanted is not None:
        found = studies.trace(X, y, steps=wanted, names=names, **settings)
        if trace is not None:
            found.write(trace)
        printed["trace"] = finite_or_none(list(found.rows()))
        if not as_json:
            _show(found, _place(parameter, found.names))
            _dialect(subject.optimizer)
            if trace is not None:
                output.console().print(f"\nAll numbers: {printable(str(trace))}", markup=False)
    if out is not None:
        printed |= _draw(subject, out, "svg" if svg else "png", show=not as_json)
    if html is not None:
        of = files[0] if len(files) == 1 else f"{len(files)} files"
        title = f"{of}, target {target}" + ("" if scale == "none" else f", --scale {scale}")
        printed["page"] = str(_page(subject, title, html, show=not as_json))
    if film is not None:
        printed["animation"] = str(_film(subject, film, show=not as_json))
    if as_json:
        output.print_json(printed)
    return 0


def _film(subject: studies.Subject, path: Path, *, show: bool) -> Path:
    with output.progress(animation.FRAMES + animation.LAST, "filming", show=show) as advance:
        written = studies.animate(subject, path, advance)
    if show:
        output.console().print(f"Animation: {printable(str(written))}", markup=False)
    return written


def _page(subject: studies.Subject, title: str, path: Path, *, show: bool) -> Path:
    with output.progress(page.parts(subject), "comparing optimizers", show=show) as advance:
        compared = subject.compared()
        written = page.write(page.page_data(subject, compared, title, advance), path)
    if show:
        output.console().print(f"Page: {printable(str(written))}", markup=False)
    return written


def _draw(subject: studies.Subject, folder: Path, ending: str, *, show: bool) -> dict[str, Any]:
    """Draw all pictures, and tell what they show."""
    with output.progress(1 + len(studies.PICTURES), "comparing optimizers", show=show) as advance:
        compared = subject.compared()
        files = []
        for name in studies.PICTURES:
            advance(f"drawing {name}")
            files.append(studies.save(studies.draw(name, subject, compared), folder / f"{name}.{ending}"))
        advance("")
    limit = subject.limit(subject.optimizer)
    rows = [
        (one.label, one.optimizer.learning_rate, one.rises_from, one.arrived, float(one.losses[-1])) for one in compared
    ]
    if show:
        console = output.console()
        own = subject.optimizer.learning_rate
        if not math.isnan(limit):
            told = "" if callable(own) else f"; this run has {own:.3g}, {own / limit:.3g} times that"
            console.print(f"Largest stable learning rate of full batches: {limit:.3g}{told}.", markup=False)
        cells = [
            (label, f"{rate:.3g}", "" if rises is None else f"{rises:.3g}", arrived or "not there", output.number(loss))
            for label, rate, rises, arrived, loss in rows
        ]
        columns = ("optimizer", "best rate", "loss rises at rate", "99 % of the way from epoch", "last loss")
        console.print(output.table("Which optimizer gets there first", columns, cells, numbers=(1, 2, 3, 4)))
        for file in files:
            console.print(f"Picture: {printable(str(file))}", markup=False)
    keys = ("optimizer", "learning_rate", "rises_from", "arrived", "loss")
    return {
        "max_learning_rate": None if math.isnan(limit) else limit,
        "optimizers": finite_or_none([dict(zip(keys, row, strict=True)) for row in rows]),
        "pictures": [str(file) for file in files],
    }


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
        whose = f"{step.quantities['residual'].labels[0]} and {found.names[parameter]}"
        console.print(printable(f"The formulas, with the numbers of {whose}:"), markup=False)
        for formula in step.formulas(parameter):
            console.print(f"  {formula.symbols}", style="bold", markup=False, soft_wrap=True)
            console.print(f"  {formula.numbers} = {formula.value:.6g}", markup=False, soft_wrap=True)


def _dialect(optimizer: Optimizer) -> None:
    """Say whose dialect of the rule this is, and how it differs from others: what stands with its hyper-parameters."""
    _, found, text = (inspect.getdoc(type(optimizer)) or "").partition("Dialect: ")
    if found:
        told = " ".join(text.partition("Source:")[0].split())
        output.console().print(f"\nDialect of {type(optimizer).__name__}: {told}", markup=False)


def _rows(step: Step) -> Any:
    columns = [q for q in step.quantities.values() if q.of == "row"]
    rows = [(label, *(f"{q.values[i]:.6g}" for q in columns)) for i, label in enumerate(columns[0].labels[:SHOWN_ROWS])]
    more = len(columns[0].labels) - len(rows)
    title = f"Rows of the batch (counted from 0){f', {more} more not shown' if more else ''}"
    return output.table(title, ("", *map(_with_letter, columns)), rows, numbers=range(1, len(columns) + 1))


def _with_letter(quantity: Quantity) -> str:
    """Return the name of a quantity with the letter that stands for it in the formulas."""
    letter = LETTERS.get(quantity.name)
    return f"{quantity.name} {letter}" if letter else quantity.name


def _parameters(step: Step, parameter: int) -> Any:
    quantities = [q for q in step.quantities.values() if q.of == "parameter"]
    labels = quantities[0].labels
    places = sorted({*range(min(len(labels), SHOWN_PARAMETERS - 2)), parameter, len(labels) - 1})
    rows = [(_with_letter(q), *(f"{q.values[j]:.6g}" if j < len(q.values) else "" for j in places)) for q in quantities]
    more = len(labels) - len(places)
    title = f"Parameters{f', {more} more not shown' if more else ''}"
    return output.table(title, ("", *(labels[j] for j in places)), rows, numbers=range(1, len(places) + 1))
