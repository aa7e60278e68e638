"""`linreg parity`: where the installed TensorFlow differs from linreg, and from itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from linreg.cli import FOUND, output
from linreg.cli.places import check_places
from linreg.data.sources import open_table
from linreg.diagnosis.evidence import printable
from linreg.whole_files import file_path


def parity(
    model: Annotated[
        Path | None,
        typer.Option(help="Compare this compiled tf.keras model (a .keras file) with its twin, instead of the table."),
    ] = None,
    data: Annotated[str | None, typer.Option(help="A file with the data of --model: CSV, Parquet or Arrow.")] = None,
    target: Annotated[str | None, typer.Option(help="Column that the model predicts.")] = None,
    epochs: Annotated[int, typer.Option(help="Epochs that --model is trained further, unshuffled.")] = 10,
    batch_size: Annotated[int, typer.Option(help="Rows in a step of --model.")] = 32,
    rules: Annotated[
        str | None, typer.Option(help="Rules by name, such as 'Adam,RMSprop centered'; all nine if not given.")
    ] = None,
    examples: Annotated[
        int, typer.Option(help="Runs of each rule; the first has Keras' defaults, the others random hyper-parameters.")
    ] = 5,
    seed: Annotated[int, typer.Option(help="Decides gradients, hyper-parameters and data.")] = 0,
    max_ulp: Annotated[
        int | None,
        typer.Option(
            help="What is allowed in every cell of the table, in units in the last place. If not given, 0 where "
            "TensorFlow computes the formula as it stands on a CPU: eagerly, and as a graph but for RMSprop (whose "
            "division by a root becomes a product with rsqrt). There, under XLA (which fuses products and sums) and on "
            "a GPU, what rounding can carry two float32 runs apart is allowed."
        ),
    ] = None,
    one_setting: Annotated[
        bool, typer.Option("--one-setting", help="Leave out the other setting of oneDNN, which takes a second process.")
    ] = False,
    save: Annotated[Path | None, typer.Option(help="Write everything that was found into this JSON file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write everything, drawn step by step, into this one page.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> int:
    """Compare every rule with the installed TensorFlow, run eagerly, as a graph and by XLA, with oneDNN on and off.

    Then whole runs, then known behaviours, tested anew. Exits with 1 if something differs that nothing explains.
    """
    for path, example in ((save, "parity.json"), (html, "parity.html")):
        if path is not None:
            file_path(path, example)
    check_places({"--save": save, "--html": html}, [model, data])
    if (model is None) != (data is None) or (model is None) != (target is None):
        raise ValueError("Give a model, its data and its target (--model FILE.keras --data FILE --target COLUMN).")
    if model is not None and (rules is not None or max_ulp is not None or one_setting):
        raise ValueError("--rules, --max-ulp and --one-setting are about the table: leave them out with --model.")
    from linreg.keras import load
    from linreg.keras.parity import document as documents
    from linreg.keras.parity import page, user_model, words
    from linreg.keras.parity.settings import Asked

    named = {} if rules is None else {"rules": tuple(name.strip() for name in rules.split(","))}
    asked = Asked(**named, examples=examples, seed=seed, max_ulp=max_ulp)
    with output.working("Loading TensorFlow ...", show=not as_json), output.without_native_chatter():
        load().ops.zeros(1)
    with output.one_thread():
        if model is not None:
            with open_table(str(data), str(target)) as table:
                X, y, _ = table.arrays()
            with output.progress(user_model.parts(), "eager", show=not as_json) as advance:
                found = user_model.compare_model(
                    model, X, y, epochs=epochs, batch_size=batch_size, advance=advance
                )  # fmt: skip
        else:
            both = not one_setting
            total = documents.parts_of(asked, both_settings=both)
            with output.progress(total, "starting", show=not as_json) as advance:
                found = documents.compare(asked, both_settings=both, advance=advance)
    problems = words.problems(found)
    if as_json:
        sys.stdout.write(documents.text(found))
    else:
        _show(found, problems)
    try:
        if save is not None:
            documents.save(found, save)
    finally:
        if html is not None:
            page.write(found, html)
    if html is not None and not as_json:
        output.console().print(f"Page: {printable(str(html))}", markup=False)
    return FOUND if problems else 0


def _show(found: dict[str, Any], problems: list[str]) -> None:
    from linreg.keras.parity import words

    console = output.console()
    console.print(", ".join(f"{name} {version}" for name, version in found["versions"].items()), markup=False)
    if "table" in found:
        title = (
            "Each rule beside Keras' optimizer: the worst distance, and its share of what rounding explains (the bound)"
        )
        console.print(output.table(title, words.TABLE, [*words.table_rows(found["table"])], numbers=(3, 4, 5, 6)))
    title = "Whole runs of fit, unshuffled: the worst parameter, and the share of what rounding explains"
    console.print(output.table(title, words.RUNS, [*words.run_rows(found["runs"])], numbers=(3, 4, 5, 6, 7)))
    for doubt in sorted({doubt for run in found["runs"] for doubt in run["doubts"]}):
        console.print(f"A run cannot be followed to its end: {doubt}.", markup=False)
    behaviours = found.get("behaviours", [])
    if behaviours:
        rows = [(one["name"], "as known" if one["as_known"] else "changed", one["shown"]) for one in behaviours]
        console.print(output.table("What is known of TensorFlow, tested anew", ("behaviour", "", "seen"), rows))
    for problem in problems:
        console.print(f"\n{printable(problem)}", markup=False, style="bold red")
    if not problems:
        console.print(f"\n{words.verdict(found)}", style="bold green")
