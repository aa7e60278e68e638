"""Where a command may write: nowhere that costs anybody a file, and only where that can be done."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path

from linreg.whole_files import check_writable


def check_places(written: Mapping[str, Path | None], read: Iterable[str | Path | None] = ()) -> None:
    """Check, before any work is done, that what a command writes takes the place of nothing that it reads or writes.

    Parameters
    ----------
    written : mapping of str to Path or None
        Files that are written, by the options that name them; None where one is not given.
    read : iterable of str, Path or None, optional
        Files and folders that are read. What is there under no such name is passed over.

    Raises
    ------
    OSError
        If a file cannot be written there.
    ValueError
        If a file is one that is read, one that is written by another option, or a device, a pipe or a socket; links
        are followed.
    """
    places = {option: path for option, path in written.items() if path is not None}
    sources = [os.fspath(one) for one in read if one is not None]
    for option, path in places.items():
        if path.exists() and not path.is_file():
            raise ValueError(f"{option} {str(path)!r} is no regular file: choose another path.")
        taken = next((one for one in sources if _overwrites(path, one)), None)
        if taken is not None:
            raise ValueError(f"{option} {str(path)!r} would overwrite {taken!r}, which is read: choose another path.")
    for (option, path), (other, there) in combinations(places.items(), 2):
        if _same(path, there):
            raise ValueError(f"{option} {str(path)!r} and {other} {str(there)!r} are one file: give each its own.")
    for path in places.values():
        check_writable(path)


def _overwrites(path: Path, source: str) -> bool:
    """Whether a file is one that is read, or lies in a folder that is."""
    if os.path.isdir(source):
        return path.exists() and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(source))
    return _same(path, source)


def _same(one: Path, other: str | Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them is not there yet
        return os.path.realpath(one) == os.path.realpath(other)
