"""Folders for temporary files, and what is left of those whose process was killed."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from linreg.locks import locked

PREFIX = "linreg-"
LOCK, WHAT = "rows", "a temporary folder of a run"
YOUNG = 60.0
"""Seconds for which a folder is left alone, in which it may not have its lock yet."""


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for temporary files, which is removed at the end.

    A signal that nobody handles ends a process at once, and its folder stays: folders whose lock nobody holds any more
    are removed here.

    Yields
    ------
    pathlib.Path
        The folder.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    _remove_abandoned(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX) as made, locked(Path(made) / LOCK, WHAT):
        yield Path(made)


def _remove_abandoned(where: Path) -> None:
    """Remove folders of this user whose process is gone."""
    for place in where.glob(f"{PREFIX}*"):
        with suppress(OSError):  # somebody else's, or it is in use
            about = place.lstat()
            own = not hasattr(os, "getuid") or about.st_uid == os.getuid()
            if own and time.time() - about.st_mtime > YOUNG and (place / f"{LOCK}.lock").is_file():
                with locked(place / LOCK, WHAT):
                    shutil.rmtree(place)
