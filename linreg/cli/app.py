"""The commands by name."""

from __future__ import annotations

from typing import Annotated

import typer

import linreg
from linreg.cli import bench, demo, fit, parity, predict, study, why

app = typer.Typer(
    name="linreg",
    help="Linear regression by gradient descent, step for step as tf.keras does it.",
    add_completion=False,
    rich_markup_mode="rich",
)
app.command("demo")(demo.demo)
app.command("fit")(fit.fit)
app.command("predict")(predict.predict)
app.command("why")(why.why)
app.command("study")(study.study)
app.command("parity")(parity.parity)
app.command("bench")(bench.bench)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"linreg {linreg.__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Linear regression by gradient descent, step for step as tf.keras does it."""
