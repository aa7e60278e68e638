"""Locks: a file that one run at a time may write to, whichever process it runs in."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(target: Path, what: str) -> Iterator[None]:
    """Hold a file for as long as the block runs.

    Parameters
    ----------
    target : pathlib.Path
        The file. The lock lies beside it, under its name with ".lock" behind it, and is gone afterwards. The system
        lets go of it when the process ends, however it ends.
    what : str
        What the file is, for the error.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    BlockingIOError
        If somebody else holds it.
    """
    place = target.with_name(f"{target.name}.lock")
    descriptor = _held(place, f"{str(target)!r} is {what}")
    try:
        yield
    finally:
        if os.name == "posix":  # under Windows nobody can remove what is open
            with contextlib.suppress(OSError):
                place.unlink()
        os.close(descriptor)
        if os.name != "posix":
            with contextlib.suppress(OSError):
                place.unlink()


def _held(place: Path, whose: str) -> int:
    """Return the descriptor of a lock that is held."""
    while True:
        try:
            descriptor = os.open(place, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except OSError as error:
            raise OSError(
                f"{str(place)!r} cannot be written ({error.strerror}): a checkpoint needs a folder to write to."
            ) from None
        if not _lock(descriptor):
            holder = os.read(descriptor, 20).decode(errors="replace").strip()
            os.close(descriptor)
            process = f" (process {holder})" if holder.isdecimal() else ""
            raise BlockingIOError(
                f"{whose} that is going on{process}: wait for its end, or give this run another file."
            )
        if os.name != "posix" or _is_still(place, descriptor):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
            return descriptor
        os.close(descriptor)  # whoever held it has removed it meanwhile


def _is_still(place: Path, descriptor: int) -> bool:
    """Whether a file that was opened still lies where it was."""
    try:
        there, opened = os.stat(place), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino)


def _lock(descriptor: int) -> bool:
    """Lock an open file, if nobody else has."""
    try:
        if os.name == "posix":
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            os.lseek(descriptor, 1000, os.SEEK_SET)  # beyond what is read: Windows locks bytes, not files
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError:
        return False
    return True
