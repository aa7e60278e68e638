"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path


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


def write_whole(target: Path, write: Callable[[Path], object]) -> Path:
    """Write a file under a temporary name first, then rename it.

    Parameters
    ----------
    target : pathlib.Path
        The file.
    write : callable
        Writes what is to be in it to the path that it is given.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    OSError
        If it cannot be written; a file that was there before is left as it was.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        temporary.replace(target)
    except OSError as error:
        raise OSError(f"{str(target)!r} cannot be written ({error.strerror}): choose another path.") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return target


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
    OSError
        If it cannot be written; a file that was there before is left as it was.
    """
    return write_whole(target, lambda file: file.write_text(text, encoding="utf-8"))
