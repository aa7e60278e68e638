"""`linreg predict`: what a saved model says of the rows of a table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from linreg.cli import output
from linreg.cli.options import FILE
from linreg.cli.places import check_places
from linreg.data.arrays import feature_matrix
from linreg.data.tables import read_table
from linreg.hyperparameters import nearest
from linreg.pipelines import load
from linreg.report import finite_or_none
from linreg.whole_files import file_path, write_whole

COLUMN = "prediction"


def predict(
    model: Annotated[Path, typer.Argument(help="A model that linreg fit --save, or model.save, has written.")],
    file: Annotated[str, typer.Argument(help=FILE)],
    *,
    out: Annotated[
        Path | None, typer.Option(help="Write the predictions into this file (.csv or .parquet), not to the screen.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> int:
    """Predict the rows of a table by a saved model, in their order.

    Columns are found by their names and read as those of the table that the model was trained on.
    """
    if out is not None and file_path(out, "predictions.csv").suffix.lower() not in (".csv", ".parquet"):
        raise ValueError(f"Predictions are written as .csv or .parquet, got {out.name!r}: change its ending.")
    check_places({"--out": out}, [model, file])
    fitted = load(model)
    with output.without_native_chatter():
        encoded = getattr(fitted, "encoding", None) is not None
        rows: Any = file if encoded else _features(fitted, read_table(file), file, str(model))
        predicted = fitted.predict(rows)
    if as_json:
        output.print_json({"predictions": finite_or_none(predicted.tolist())})
    if out is not None:
        _write(predicted, out)
    elif not as_json:
        sys.stdout.write("\n".join([COLUMN, *map(str, predicted.tolist())]) + "\n")
    return 0


def _features(fitted: Any, frame: Any, file: str, model: str) -> Any:
    """Return the columns that a model was trained on, in its order."""
    import polars

    names = getattr(fitted, "feature_names_in_", None)
    if names is None:
        return feature_matrix(frame, np.float64, name=file)
    absent = next((name for name in names if name not in frame.columns), None)
    if absent is not None:
        raise ValueError(
            f"{file!r} has no column {absent!r}, which the model in {model!r} was trained on"
            f"{nearest(absent, frame.columns)}."
        )
    return polars.DataFrame([frame.get_column(name) for name in names])


def _write(predicted: Any, path: Path) -> None:
    import polars

    frame = polars.DataFrame({COLUMN: predicted})
    write_whole(path, frame.write_csv if path.suffix.lower() == ".csv" else frame.write_parquet)
