"""`linreg bench`: a step of the hot loop beside every peer that is installed, at the same work."""

from __future__ import annotations

import importlib
import itertools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

import linreg
from linreg.cli import FOUND, STOPPED, output
from linreg.cli.places import check_places
from linreg.hyperparameters import check_number
from linreg.whole_files import file_path

FEW = 4
"""Cases of which every loop is shown."""


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Four cases and a sweep only, within two minutes.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Every case of the table; that takes more than an hour.")
    ] = False,
    peers: Annotated[
        str | None,
        typer.Option(help="Peers by name, such as 'JAX scan,keras fit'; all if not given."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    save: Annotated[Path | None, typer.Option(help="Write everything that was measured into this JSON file.")] = None,
    compare: Annotated[
        Path | None, typer.Option(help="Compare with such a file of the same machine; exit with 1 if linreg is slower.")
    ] = None,
    slowdown: Annotated[float, typer.Option(help="How many times slower --compare lets pass.")] = 1.5,
    html: Annotated[Path | None, typer.Option(help="Write tables and pictures into this one page.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the two pictures into this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> int:
    """Time a step of the hot loop beside every peer that is installed, at the same work, and print the ratios.

    Works in a checkout. Exits with 1 if a result differs, or linreg is slower than --compare allows. Ctrl-C keeps what
    there is.
    """
    if quick and everything:
        raise ValueError("Give --quick or --all, not both.")
    check_number("bench", "slowdown", slowdown, low=1.0)
    for path, example in ((save, "bench.json"), (html, "bench.html")):
        if path is not None:
            file_path(path, example)
    check_places({"--save": save, "--html": html}, [compare])
    if plot is not None and not plot.is_dir():
        raise ValueError(f"There is no folder {str(plot)!r} to put pictures in: make it first.")
    with _own_stderr():
        runs, record = _benchmarks("run"), _benchmarks("record")
        runs.check_device(device)
        old = None if compare is None else record.load(compare)
        planned = runs.jobs("quick" if quick else "all" if everything else "standard", runs.chosen(peers), device)
        with output.progress(len(planned), "loading the peers", show=not as_json) as advance:
            document = runs.run(planned, device, advance, save)
    if plot is not None:
        _benchmarks("pictures").draw(document, plot)
    if html is not None:
        _benchmarks("page").write(document, html)
    if as_json:
        sys.stdout.write(record.text(document))
    else:
        _show(document, quick)
    if document["interrupted"]:
        return STOPPED
    slower = [] if old is None else _slower(record, old, document, slowdown, as_json)
    return FOUND if slower or _benchmarks("show").unequal(document) else 0


def _benchmarks(module: str) -> Any:
    """Import a module of the benchmarks, which are in a checkout beside the package and are not installed."""
    checkout = next((folder for folder in _folders() if (folder / "benchmarks" / "hot_loop").is_dir()), None)
    if checkout is None:
        raise ValueError(
            "linreg bench needs a checkout: the benchmarks are not installed with the package, and the folder "
            "benchmarks is neither beside it nor here. Clone the repository and call it there."
        )
    if str(checkout) not in sys.path:
        sys.path.insert(0, str(checkout))
    return importlib.import_module(f"benchmarks.hot_loop.{module}")


def _folders() -> list[Path]:
    return [Path(linreg.__file__).parents[1], Path.cwd()]


@contextmanager
def _own_stderr() -> Iterator[None]:
    """Keep stderr for the progress bar: what compiled libraries write straight to file descriptor 2 is dropped."""
    if not sys.__stderr__ or sys.stderr is not sys.__stderr__:
        yield
        return
    sys.stderr.flush()
    kept, shown = os.dup(2), sys.stderr
    with open(os.devnull, "w") as nowhere, os.fdopen(os.dup(2), "w", encoding=shown.encoding) as own:
        os.dup2(nowhere.fileno(), 2)
        sys.stderr = own
        try:
            yield
        finally:
            sys.stderr = shown
            os.dup2(kept, 2)
            os.close(kept)


def _show(document: dict[str, Any], quick: bool) -> None:
    show, console = _benchmarks("show"), output.console()
    machine = document["machine"]
    threads = ", ".join(f"{name}={value}" for name, value in document["threads"].items())
    console.print(f"{machine['processor']}, {machine['cores']} cores{threads and f' ({threads})'}", markup=False)
    if not quick and len(document["cases"]) > FEW:
        title = (
            "Microseconds a step of both engines and the fastest peer, and its time over theirs: above 1, linreg wins"
        )
        console.print(output.table(title, show.SUMMARY, show.summary(document), numbers=(1, 2, *range(4, 12))))
        cells = [row[:7] for row in show.sweeps(document)]
        console.print(output.table("Sweeps", show.DETAIL[:7], cells, numbers=(2, 3, 4, 5)))
    else:
        for case, rows in itertools.groupby(show.detail(document), key=lambda row: row[0]):
            title = f"{case}: microseconds a step, and over those of linreg's engines: above 1, linreg wins"
            cells = [row[1:] for row in rows]
            console.print(output.table(title, show.DETAIL[1:], cells, numbers=(1, 2, 3, 4, 6)), "")
    if not quick:
        for title, heads, cells, numbers in (
            ("Full batches, whole fits, and what steps are made of", show.WHOLE, show.wholes(document), (2, 3, 4, 5)),
            ("What was asked of the loops, the worst of several cases", show.ASKED, show.asked(document), (2, 3, 4)),
        ):
            if cells:
                console.print(output.table(title, heads, cells, numbers=numbers))
    for name, reason in show.skipped(document).items():
        console.print(f"Skipped: {name}: {reason}", markup=False)
    for difference in show.unequal(document):
        console.print(f"Not the same result: {difference}", markup=False)
    if document["interrupted"]:
        console.print("Stopped by Ctrl-C; this is what there was.", markup=False)


def _slower(record: Any, old: Any, document: Any, slowdown: float, as_json: bool) -> list[str]:
    """Return the cases in which linreg has become too slow, and tell."""
    compared = list(record.slowdowns(old, document))
    if not compared:
        raise ValueError("--compare: the two runs have no case in common: give a file of the same kind of run.")
    slower = [f"{case}, {engine}: {factor:.2f} times" for case, engine, factor in compared if factor > slowdown]
    if not as_json:
        worst = max(factor for *_, factor in compared)
        print_line = output.console().print
        print_line(f"Compared with before: {len(compared)} engines and cases, at most {worst:.2f} times slower.")
        for line in slower:
            print_line(f"Slower than --slowdown {slowdown:g} allows: {line}", markup=False)
    return slower
