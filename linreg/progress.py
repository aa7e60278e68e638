"""A progress bar for long runs, on a terminal only; drawn by Rich."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from linreg.callbacks import Callback, Logs


class ProgressBar(Callback):
    """Moves a bar of Rich by one after each epoch and shows the loss beside it."""

    may_come_late = True

    def __init__(self, bar: Any, task: Any) -> None:
        self._bar, self._task = bar, task

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Move on."""
        self._bar.update(self._task, advance=1, description=_shown(logs))


class RowBar(Callback):
    """Moves a bar of Rich by the rows that were trained on, and shows the loss of the last epoch beside it."""

    def __init__(self, bar: Any, task: Any) -> None:
        self._bar, self._task = bar, task

    def moved(self, rows: int) -> None:
        """Move on."""
        self._bar.update(self._task, advance=rows)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Show the loss."""
        self._bar.update(self._task, description=_shown(logs))


def _shown(logs: Logs) -> str:
    return "  ".join(f"{name} {logs[name]:.4g}" for name in ("loss", "val_loss") if name in logs)


@contextmanager
def progress_bar(epochs: int, rows: int | None = None, *, enabled: bool) -> Iterator[tuple[Any, ...]]:
    """Show a progress bar while the block runs, if stderr is a terminal.

    Parameters
    ----------
    epochs : int
        Length of the bar.
    rows : int, optional
        Rows of an epoch, where the bar is to count rows, with how many there are a second.
    enabled : bool
        Whether it is wanted.

    Yields
    ------
    tuple of Callback
        The callback that moves the bar, a `ProgressBar` or a `RowBar`; or nothing.
    """
    if not enabled or not sys.stderr.isatty():
        yield ()
        return
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            ProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text
    except ImportError:
        warnings.warn("verbose=1 draws its progress bar with Rich: pip install 'linreg[cli]'.", stacklevel=3)
        yield ()
        return

    class Speed(ProgressColumn):
        """Rows a second."""

        def render(self, task: Any) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f} rows/s")

    counted = [TextColumn("epoch"), MofNCompleteColumn()]
    if rows is not None:
        counted = [TextColumn("{task.completed:,.0f} of {task.total:,.0f} rows"), Speed()]
    columns = (*counted, BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        if rows is None:
            yield (ProgressBar(bar, bar.add_task("", total=epochs)),)
        else:
            yield (RowBar(bar, bar.add_task("", total=epochs * rows)),)
