"""What commands share in what they print: the console, tables, a curve in one line, JSON, a progress bar."""

from __future__ import annotations

import itertools
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from linreg.diagnosis.evidence import printable

BLOCKS = "▁▂▃▄▅▆▇█"


def console() -> Console:
    """Return a console on stdout; where that is no terminal, lines are as long as they need to be."""
    terminal = sys.stdout.isatty()
    return _Console(highlight=False, soft_wrap=not terminal, width=None if terminal else 120)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command line to end quietly; Rich would exit with 1, which means that something was found."""
        raise BrokenPipeError


def print_json(value: Any) -> None:
    """Print a value as JSON; the caller has replaced what JSON cannot hold."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Sequence[int] = ()
) -> Table:
    """Return a Rich table whose cells are plain text, whatever a file has put into them.

    Parameters
    ----------
    title : str
        Title.
    columns : sequence of str
        Headings.
    rows : sequence of sequence
        Cells.
    numbers : sequence of int
        Columns that hold numbers and are aligned to the right.

    Returns
    -------
    rich.table.Table
        The table.
    """
    made = Table(title=Text(printable(title)), title_justify="left", title_style="bold")
    for i, column in enumerate(columns):
        made.add_column(Text(printable(column)), justify="right" if i in numbers else "left", no_wrap=i in numbers)
    for row in rows:
        made.add_row(*(Text(printable(str(cell))) for cell in row))
    return made


def styled(label: str, label_style: str, text: str, style: str) -> Text:
    """Return a line of plain text with a label in front, each in its style; nothing in it is markup."""
    return Text.assemble((label, label_style), (text, style))


def number(value: float | None) -> str:
    """Show a number with six digits, None as nothing."""
    return "" if value is None else f"{value:.6g}"


def curve(values: Sequence[float], width: int = 60) -> str:
    """Draw a curve in one line of blocks, on a logarithmic scale where all values are positive.

    Parameters
    ----------
    values : sequence of float
        The curve; it is drawn up to its first nan or inf, which is marked by a cross.
    width : int, default=60
        Longest line; a longer curve is sampled.

    Returns
    -------
    str
        The line.
    """
    finite = list(itertools.takewhile(math.isfinite, values))
    end = "" if len(finite) == len(values) else "\N{BALLOT X} (no longer finite)"
    if not finite:
        return end
    step = math.ceil(len(finite) / width)
    sampled = [*finite[:-1:step], finite[-1]]
    scale: Callable[[float], float] = math.log if min(sampled) > 0 else float
    low, high = scale(min(sampled)), scale(max(sampled))
    steps = (len(BLOCKS) - 1) / (high - low) if high > low else 0
    return "".join(BLOCKS[round(steps * (scale(value) - low))] for value in sampled) + end


@contextmanager
def without_native_chatter() -> Iterator[None]:
    """Hide what compiled libraries write straight to file descriptor 2; what Python writes still comes through."""
    sys.stderr.flush()
    kept, errors = os.dup(2), sys.stderr
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    with open(kept, "w", buffering=1, encoding=errors.encoding, errors="backslashreplace") as through:
        if errors is sys.__stderr__:
            sys.stderr = through
        try:
            yield
        finally:
            sys.stderr.flush()
            sys.stderr = errors
            os.dup2(kept, 2)


@contextmanager
def working(what: str, *, show: bool = True) -> Iterator[None]:
    """Show on stderr that work is going on while the block runs, on a terminal only.

    Parameters
    ----------
    what : str
        What is going on.
    show : bool, default=True
        Whether it is wanted at all.
    """
    errors = Console(stderr=True)
    with errors.status(what) if show and errors.is_terminal else nullcontext():
        yield


@contextmanager
def passing(what: str, *, show: bool = True) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar for work whose length turns out on the way, on stderr and on a terminal only.

    Parameters
    ----------
    what : str
        What is going on.
    show : bool, default=True
        Whether it is wanted at all.

    Yields
    ------
    callable
        Given how much of how much is done and what is being done, moves the bar there.
    """
    errors = Console(stderr=True)
    if not (show and errors.is_terminal):
        yield lambda *_: None  # older Rich ends also a hidden bar with an empty line
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of, text: bar.update(task, completed=done, total=of, description=text)


@contextmanager
def progress(total: int, what: str, *, show: bool = True) -> Iterator[Callable[[str], None]]:
    """Show a progress bar on stderr while the block runs, on a terminal only.

    Parameters
    ----------
    total : int
        Length of the bar, as far as it is known: where more comes, the bar grows.
    what : str
        What is going on.
    show : bool, default=True
        Whether it is wanted at all.

    Yields
    ------
    callable
        Moves the bar by one and shows the text given.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    errors = Console(stderr=True)
    if not (show and errors.is_terminal):
        yield lambda _: None  # older Rich ends also a hidden bar with an empty line
        return
    with Progress(*columns, console=errors, transient=True) as bar:
        task, done = bar.add_task(what, total=total), itertools.count(1)

        def advance(text: str) -> None:
            completed = next(done)
            bar.update(task, completed=completed, total=max(total, completed), description=text)

        yield advance


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep the linear algebra to one thread while the block runs: its matrices are small, and threads would wait."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:  # it comes with scikit-learn
        yield
        return
    with threadpool_limits(limits=1, user_api="blas"):
        yield
