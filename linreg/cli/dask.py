"""The Dask scheduler that a command is told to work on."""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from linreg.data import dask_rows


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Run the block on a scheduler of Dask.

    Parameters
    ----------
    address : str
        Where it listens, for example tcp://10.0.0.1:8786; "local" starts workers on this machine, "threads" uses this
        process alone.

    Raises
    ------
    ImportError
        If Dask or its distributed scheduler is missing.
    ValueError
        If nothing answers there, or workers die of a task.
    """
    dask = dask_rows.dask()
    if address == "threads":
        with dask.config.set(scheduler="threads"):
            yield
        return
    try:
        from dask.distributed import Client, KilledWorker
    except ImportError:
        raise ImportError(
            "A scheduler needs dask.distributed: pip install 'linreg[dask]', or --dask threads."
        ) from None
    try:
        with warnings.catch_warnings(), _nobody_hears_ctrl_c():
            warnings.filterwarnings("ignore", r"Port \d+ is already in use")  # which one was taken is told below
            # A task that fails is told by this process, in one line; its worker would log it with a traceback, too.
            client = Client(silence_logs=logging.CRITICAL) if address == "local" else Client(address)
    except (OSError, TimeoutError, ValueError) as error:
        raise ValueError(
            f"No Dask scheduler answers at {address!r} ({str(error).splitlines()[0]}): give the address that `dask "
            "scheduler` prints, local or threads."
        ) from None
    with client:
        sys.stderr.write(f"Dask's dashboard: {client.dashboard_link}\n")
        try:
            yield
        except KilledWorker as error:
            raise ValueError(
                f"Every worker that took the task {str(error.task)!r} died of it, most often for want of memory, or of "
                "a damaged file: give the workers more memory, or make the file anew."
            ) from None


@contextmanager
def _nobody_hears_ctrl_c() -> Iterator[None]:
    """Have processes that the block starts take no notice of Ctrl-C, which goes to all of a terminal: it is ours."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
