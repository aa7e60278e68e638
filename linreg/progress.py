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
        shown = "  ".join(f"{name} {logs[name]:.4g}" for name in ("loss", "val_loss") if name in logs)
        self._bar.update(self._task, advance=1, description=shown)


@contextmanager
def progress_bar(epochs: int, *, enabled: bool) -> Iterator[tuple[Callback, ...]]:
    """Show a progress bar while the block runs, if stderr is a terminal.

    Parameters
    ----------
    epochs : int
        Length of the bar.
    enabled : bool
        Whether it is wanted.

    Yields
    ------
    tuple of Callback
        The callback that moves the bar, or nothing.
    """
    if not enabled or not sys.stderr.isatty():
        yield ()
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        warnings.warn("verbose=1 draws its progress bar with Rich: pip install 'linreg[cli]'.", stacklevel=3)
        yield ()
        return
    columns = (
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield (ProgressBar(bar, bar.add_task("", total=epochs)),)
