"""Files that are written whole or not at all, and still there after the machine has lost its power."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

PREVIOUS = ".previous"
"""What is appended to the name of a file that another one has taken the place of."""


class NotWrittenError(OSError):
    """A file that cannot be written.

    Parameters
    ----------
    target : pathlib.Path
        The file.
    reason : str
        What the system says.
    """

    def __init__(self, target: Path, reason: str) -> None:
        super().__init__(f"{str(target)!r} cannot be written ({reason}): choose another path.")
        self.reason = reason


def file_path(path: str | os.PathLike[str], example: str) -> Path:
    """Check, before any work is done, that a file can go to this path.

    Parameters
    ----------
    path : path
        Where the file is wanted.
    example : str
        The name of such a file, for the error.

    Returns
    -------
    pathlib.Path
        The same path.

    Raises
    ------
    FileNotFoundError
        If the folder is missing.
    IsADirectoryError
        If it is a folder itself.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{str(target)!r} is a folder: give the name of a file, for example {example}.")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(target.parent)!r} to put {target.name!r} in: make it first.")
    return target


def check_writable(target: Path) -> None:
    """Check, before any work is done, that the folder of a file can be written to.

    Parameters
    ----------
    target : pathlib.Path
        Where the file is wanted.

    Raises
    ------
    NotWrittenError
        If it cannot.
    """
    temporary = _beside(target)
    try:
        _create(temporary)
    except OSError as error:
        raise NotWrittenError(target, error.strerror or str(error)) from None
    with contextlib.suppress(OSError):
        temporary.unlink()


def write_whole(target: Path, write: Callable[[Path], object], *, keep_previous: bool = False) -> Path:
    """Write a file under a temporary name first, bring it to the disk, then rename it.

    Parameters
    ----------
    target : pathlib.Path
        The file. A symbolic link is replaced, not followed.
    write : callable
        Writes what is to be in it to the path that it is given, of an empty file.
    keep_previous : bool, default=False
        Whether the file that was there before stays, under its name with ".previous" behind it.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    NotWrittenError
        If it cannot be written; a file that was there before is left as it was.
    """
    temporary, former = _beside(target), _beside(target)
    try:
        _create(temporary)
        write(temporary)
        _to_disk(temporary)
        if keep_previous and target.is_file() and not target.is_symlink():
            _copy(target, former)
            former.replace(previous(target))
        temporary.replace(target)
        _names_to_disk(target.parent)
    except OSError as error:
        raise NotWrittenError(target, error.strerror or str(error)) from None
    finally:
        for file in (temporary, former):
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
    return target


def previous(target: Path) -> Path:
    """Return where the file that was at a path before is kept."""
    return target.with_name(target.name + PREVIOUS)


def remove_leftovers(target: Path) -> None:
    """Remove what writers of a file have left beside it that were killed; none may be at work.

    Parameters
    ----------
    target : pathlib.Path
        The file.
    """
    leftover = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.tmp")
    for name in os.listdir(target.parent):
        if leftover.fullmatch(name):
            with contextlib.suppress(OSError):
                target.with_name(name).unlink()


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")


def _create(file: Path) -> None:
    """Make an empty file where there was none, so that nobody can have put a link there."""
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))


def _copy(file: Path, other: Path) -> None:
    """Have a file under another name too."""
    try:
        os.link(file, other)
    except OSError:  # a file system without links
        shutil.copyfile(file, other)
        _to_disk(other)


def _to_disk(file: Path) -> None:
    """Wait until a file lies on the disk."""
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _names_to_disk(folder: Path) -> None:
    """Wait until the names in a folder lie on the disk, where the system can."""
    with contextlib.suppress(OSError):  # Windows opens no folders, and some file systems have nothing to wait for
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(target: Path, text: str) -> Path:
    """Write text to a file, whole or not at all.

    Parameters
    ----------
    target : pathlib.Path
        The file.
    text : str
        What is to be in it.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    NotWrittenError
        If it cannot be written; a file that was there before is left as it was.
    """
    return write_whole(target, lambda file: file.write_text(text, encoding="utf-8"))
