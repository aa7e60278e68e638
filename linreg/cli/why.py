"""`linreg why`: say why the loss of a run rises or does not come down, and what helps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from linreg.cli import FOUND, output
from linreg.cli.options import FILES, Categories, Columns, Weights, of_keras, with_settings
from linreg.cli.places import check_places
from linreg.data.parts import matching
from linreg.data.reading import read
from linreg.data.sources import names_in
from linreg.diagnosis import Diagnosis, history, page, terminal, values, words
from linreg.diagnosis.code import listing
from linreg.diagnosis.evidence import printable
from linreg.diagnosis.files import diagnose_table
from linreg.diagnosis.given import opened
from linreg.hyperparameters import nearest

STYLES = {"good": "bold green", "bad": "bold red", "heading": "bold", "advice": "bold", "quiet": "dim"}


@with_settings
def why(
    files: Annotated[list[str] | None, typer.Argument(help=FILES)] = None,
    target: Annotated[str | None, typer.Option(help="Column to predict.")] = None,
    *,
    columns: Columns = None,
    weights: Weights = None,
    missing: Annotated[
        str | None,
        typer.Option(
            help="If given, ask about the table that fit makes: error, drop (rows), mean or median. Else missing "
            "values, text and dates are looked at as causes."
        ),
    ] = None,
    categories: Categories = None,
    data: Annotated[str | None, typer.Option(help="The file, in another place of the command.")] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="A compiled tf.keras model in a .keras file: its weights, optimizer and loss in the place of "
            "the options that say them."
        ),
    ] = None,
    settings: dict[str, Any],
    options: list[str],
    scale: Annotated[
        str, typer.Option(help="How the features were scaled: none, standard, minmax or robust.")
    ] = "none",
    validation: Annotated[str | None, typer.Option(help="A file with validation rows, same columns.")] = None,
    past: Annotated[
        Path | None,
        typer.Option(
            "--history",
            help="Explain this loss history instead, one loss a line or columns loss and val_loss; FILE and --target "
            "then only tell the variance of y.",
        ),
    ] = None,
    code: Annotated[
        str | None, typer.Option(help="Print the remedies as code that can be pasted, too: python or keras.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write everything, with pictures, into this one page.")] = None,
) -> int:
    """Say why the loss of a run rises or does not come down: cause, numbers that prove it, remedies that were tried.

    The options describe the run. Exits with 1 if something is wrong with it.
    """
    files = files or []
    if files and data is not None:
        raise ValueError(f"Give one file: {files[0]!r} or --data {data!r}.")
    files = files if data is None else [data]
    if (not files) != (target is None) or (not files and past is None):
        raise ValueError("Give a file and its column to predict (FILE --target COLUMN), or a loss history (--history).")
    if code not in (None, "python", "keras"):
        raise ValueError(f"Unknown kind of code {code!r}{nearest(code, ('python', 'keras'))}.")
    if html is not None:
        page.page_path(html)
    check_places({"--html": html}, [*(matching(files) if files else ()), validation, model, past])
    front = None
    if model is not None:
        if past is not None:
            raise ValueError("Give a model (--model) or a loss history (--history), not both.")
        settings, front = of_keras(model, settings, options)
    with (
        output.without_native_chatter(),
        output.passing("Looking for the cause ...", show=not as_json) as moved,
        output.one_thread(),
    ):
        if past is not None:
            found = _of_history(past, files, target)
        else:
            found = diagnose_table(
                files, str(target), columns=names_in(columns), weights=weights, missing=missing,
                categories=names_in(categories) or (), validation=validation, scale=scale, front=front, moved=moved,
                **settings,
            )  # fmt: skip
    title = f"{files[0] if len(files) == 1 else f'{len(files)} files'}, target {target}" if past is None else str(past)
    if as_json:
        output.print_json(values.to_dict(found))
    else:
        _show(found, code)
    if html is not None:
        with output.working("Drawing the page ...", show=not as_json):
            page.write(found, html, title)
        if not as_json:
            output.console().print(f"\nPage: {printable(str(html))}", markup=False)
    return 0 if words.healthy(found) else FOUND


def _of_history(past: Path, files: list[str], target: str | None) -> Diagnosis:
    losses, val_losses = history.read(past)
    variance = None
    if files and target is not None:
        with opened(files, target) as given:
            X, y, _ = given.rows()
            variance = float(np.nanvar(read(X, y).y))
    return history.explain(losses, val_losses, variance=variance)


def _show(found: Diagnosis, code: str | None) -> None:
    console = output.console()
    for line in terminal.lines(found, min(terminal.WIDTH, console.width)):
        console.print(output.styled(line.label, "bold", line.text, STYLES.get(line.role, "")))
    if any("counted from 0" in finding.explanation for finding in found.findings):
        console.print("\nRows are counted from 0: row 0 stands in line 2 of a file, below the header.", markup=False)
    if code is not None:
        # As it stands, so that it can be pasted.
        typer.echo(f"\n{listing(found, code) or 'There is no remedy that code could follow.'}")
