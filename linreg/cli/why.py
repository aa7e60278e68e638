"""`linreg why`: say why the loss of a run rises or does not come down, and what helps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from linreg.cli import FOUND, output
from linreg.cli.options import FILE, of_keras, with_settings
from linreg.cli.places import check_places
from linreg.data.arrays import feature_matrix
from linreg.data.reading import read
from linreg.data.row_files import streams
from linreg.data.scaling import scaler
from linreg.data.tables import read_table, split_target
from linreg.diagnosis import Diagnosis, diagnose, history, page, terminal, values, words
from linreg.diagnosis.code import listing
from linreg.diagnosis.evidence import printable
from linreg.diagnosis.files import diagnose_file
from linreg.diagnosis.repairs import points_between_thousands
from linreg.hyperparameters import nearest

SCALED = (
    "The features were scaled first (--scale {scale}). Values and limits of features above are of the scaled ones, and "
    "so are X and the coefficients in code that is printed."
)
NOT_SCALED = (
    "The features were not scaled for this (--scale {scale}), because not all of them can be used as they are: mend "
    "what stands first above, then ask again."
)
STYLES = {"good": "bold green", "bad": "bold red", "heading": "bold", "advice": "bold", "quiet": "dim"}


@with_settings
def why(
    file: Annotated[str | None, typer.Argument(help=FILE)] = None,
    target: Annotated[str | None, typer.Option(help="Column to predict.")] = None,
    *,
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
    file = _one_of(file, data)
    if (file is None) != (target is None) or (file is None and past is None):
        raise ValueError("Give a file and its column to predict (FILE --target COLUMN), or a loss history (--history).")
    if code not in (None, "python", "keras"):
        raise ValueError(f"Unknown kind of code {code!r}{nearest(code, ('python', 'keras'))}.")
    if html is not None:
        page.page_path(html)
    check_places({"--html": html}, [file, validation, model, past])
    front = None
    if model is not None:
        if past is not None:
            raise ValueError("Give a model (--model) or a loss history (--history), not both.")
        settings, front = of_keras(model, settings, options)
    if past is None and front is None and streams(str(file)):
        with output.passing("Reading the file", show=not as_json) as moved, output.one_thread():
            found = diagnose_file(
                str(file), str(target), validation=validation, scale=scale, moved=moved, **settings
            )  # fmt: skip
    else:
        with output.working("Looking for the cause ...", show=not as_json), output.one_thread():
            if past is not None:
                found = _of_history(past, file, target)
            else:
                found = _of_run(str(file), str(target), settings, scale, validation, front)
    title = f"{file}, target {target}" if past is None else str(past)
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


def _of_history(past: Path, file: str | None, target: str | None) -> Diagnosis:
    losses, val_losses = history.read(past)
    variance = None
    if file is not None and target is not None:
        y = read(*_columns(file, target)).y
        variance = float(np.nanvar(y))
    return history.explain(losses, val_losses, variance=variance)


def _one_of(file: str | None, data: str | None) -> str | None:
    if file is not None and data is not None:
        raise ValueError(f"Give one file: {file!r} or --data {data!r}.")
    return file if data is None else data


def _of_run(
    file: str, target: str, settings: dict[str, Any], scale: str, validation: str | None, front: Any = None
) -> Diagnosis:
    X, y = _columns(file, target)
    others = None if validation is None else _columns(validation, target, like=X)
    if front is not None:
        X, others = front(X), others and (front(others[0]), others[1])
    if scale == "none":
        return diagnose(X, y, validation_data=others, **settings)
    if not read(X, y).clean():
        found = diagnose(X, y, validation_data=others, **settings)
        return replace(found, notes=(NOT_SCALED.format(scale=scale), *found.notes))
    given = feature_matrix(X, np.float64, name=file)
    fitted = scaler(scale).fit(given)
    names, X = X.columns, _scaled(fitted, X, file)
    others = others and (_scaled(fitted, others[0], str(validation)), others[1])
    found = diagnose(X, y, validation_data=others, **settings)
    # Scaling hides how a column was written.
    read_wrongly = filter(None, [points_between_thousands(names, given)])
    return replace(found, notes=(*found.notes, *read_wrongly, SCALED.format(scale=scale)))


def _columns(file: str, target: str, like: Any = None) -> tuple[Any, Any]:
    """Return features and target of a table; the features in the order of another table, if one is given."""
    X, y = split_target(read_table(file, any_separator=True), target)
    if like is None:
        return X, y
    absent = [name for name in like.columns if name not in X.columns]
    if absent:
        raise ValueError(
            f"{file!r} has no column {absent[0]!r}: validation rows need the columns of the training rows."
        )
    return X.select(like.columns), y


def _scaled(fitted: Any, X: Any, name: str) -> Any:
    import polars

    return polars.DataFrame(fitted.transform(feature_matrix(X, np.float64, name=name)), schema=X.columns)


def _show(found: Diagnosis, code: str | None) -> None:
    console = output.console()
    for line in terminal.lines(found, min(terminal.WIDTH, console.width)):
        console.print(output.styled(line.label, "bold", line.text, STYLES.get(line.role, "")))
    if any("counted from 0" in finding.explanation for finding in found.findings):
        console.print("\nRows are counted from 0: row 0 stands in line 2 of a file, below the header.", markup=False)
    if code is not None:
        # As it stands, so that it can be pasted.
        typer.echo(f"\n{listing(found, code) or 'There is no remedy that code could follow.'}")
