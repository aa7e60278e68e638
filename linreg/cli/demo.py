"""`linreg demo`: three known experiments, here and in tf.keras."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from linreg import experiments, keras
from linreg.cli import FOUND, output
from linreg.report import finite_or_none


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("linreg-demo"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
    with_keras: Annotated[bool, typer.Option("--keras/--no-keras", help="Run tf.keras beside NumPy.")] = True,
) -> int:
    """Run three known experiments on rising losses in NumPy and in tf.keras; print a table, draw a picture of each.

    Exits with 1 if the two libraries disagree.
    """
    console = output.console()
    known = experiments.known_experiments()
    experiments.check_folder(out)
    why_not = ""
    if with_keras:
        if not as_json:
            console.print("Loading TensorFlow ...")
        try:
            with output.without_native_chatter():
                keras.load().ops.zeros(1)
        except ImportError as error:
            with_keras, why_not = False, str(error)
    else:
        why_not = "--no-keras was given."
    total = sum(len(experiment.trials) for experiment in known)
    if not as_json:
        console.print(f"Training {total} models{' here and in tf.keras' if with_keras else ''} ...")
    with output.progress(total, "starting", show=not as_json) as advance:
        outcomes = list(experiments.run_all(known, with_keras=with_keras, after_each=advance))
    pictures = experiments.draw(known, outcomes, out)
    disagree = [outcome for outcome in outcomes if outcome.agrees is False]
    if as_json:
        rows = [finite_or_none(dataclasses.asdict(outcome)) for outcome in outcomes]
        output.print_json({"outcomes": rows, "keras": why_not or "ran", "pictures": [str(path) for path in pictures]})
        return FOUND if disagree else 0
    columns = ("", "run", "loss, NumPy", "loss, tf.keras", "agreement")
    rows = [
        (outcome.experiment, outcome.run, f"{outcome.loss:.6g}", output.number(outcome.keras_loss), outcome.agreement)
        for outcome in outcomes
    ]
    title = "Loss after 100 epochs, and how far the weights of the two libraries are apart"
    console.print()
    console.print(output.table(title, columns, rows, numbers=(0, 2, 3)))
    for number, experiment in enumerate(known, start=1):
        console.print(f"\n{number}. {experiment.title}", markup=False, style="bold")
        console.print(experiment.lesson, markup=False)
    console.print()
    if why_not:
        console.print(f"The column of tf.keras is empty: {why_not}", markup=False)
    for path in pictures:
        console.print(f"Picture: {path}", markup=False)
    if disagree:
        console.print(
            f"NumPy and tf.keras disagree in: {', '.join(outcome.run for outcome in disagree)}.", markup=False
        )
        return FOUND
    return 0
