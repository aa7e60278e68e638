"""Arrays in files of NumPy's own as columns; nothing in them is executed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Array = Any

ENDINGS = (".npy", ".npz")
MOST_BYTES = 2**31
"""So much of an .npz file is held in memory; an .npy file stays on the disk."""


class _RefusedError(ValueError):
    """What this module refuses; other errors are NumPy's."""


def array_columns(file: str) -> dict[str, Array]:
    """Return the columns in a file of arrays.

    Parameters
    ----------
    file : str
        An .npy file: a table of shape (rows, columns), whose columns are called x0, x1, ..., or records, whose fields
        are columns. Or an .npz file, whose arrays are columns, or tables: those of X are called X0, X1, ...

    Returns
    -------
    dict of str to array of shape (rows,)
        The columns by name.

    Raises
    ------
    OSError
        If the file may not be read.
    ValueError
        If it is damaged, holds Python objects or arrays of other shapes or different lengths, or is too large.
    """
    columns: dict[str, Array] = {}
    owner: dict[str, str] = {}
    for name, array in _loaded(file):
        for column, values in _columns(name, array, file):
            if column in columns:
                raise ValueError(
                    f"{file!r} has two columns {column!r}, of the arrays {owner[column]!r} and {name!r}: rename one."
                )
            columns[column], owner[column] = values, name
    rows = {name: len(values) for name, values in columns.items()}
    if len(set(rows.values())) > 1:
        first = next(iter(rows))
        other = next(name for name in rows if rows[name] != rows[first])
        raise ValueError(
            f"In {file!r}, {owner[first]!r} has {rows[first]} rows and {owner[other]!r} has {rows[other]}: give every "
            "array the same number of rows."
        )
    if not columns or not max(rows.values()):
        raise ValueError(f"{file!r} holds no rows or no columns: expected a table of numbers, or an array for each.")
    return columns


def _loaded(file: str) -> list[tuple[str, Array]]:
    """Return the arrays in a file by name."""
    try:
        with open(file, "rb") as opened:
            single = opened.read(6) == b"\x93NUMPY"
            opened.seek(0)
            if single:
                return [("x", np.load(file, mmap_mode="r", allow_pickle=False))]
            with np.load(opened, allow_pickle=False) as archive:
                return _members(archive)
    except Exception as error:  # a damaged file fails in many ways: zip, zlib, the header's syntax, memory
        words = " ".join(str(error).split()) or type(error).__name__
        if "pickle" in words or "Python objects" in words:
            error = _RefusedError(words := "it holds Python objects, which are never loaded")
        reason = words if isinstance(error, _RefusedError) else f"NumPy says: {words.rstrip('.')}"
        raise ValueError(
            f"{file!r} cannot be read as arrays ({reason}): save numbers with numpy.save or numpy.savez."
        ) from None


def _members(archive: Any) -> list[tuple[str, Array]]:
    """Return the arrays in an archive by name."""
    unpacked = sum(member.file_size for member in archive.zip.infolist())
    if unpacked > MOST_BYTES:
        raise _RefusedError(f"{unpacked / 2**30:.1f} GiB when unpacked; .npy files are read from the disk")
    twice = [name for name in archive.files if archive.files.count(name) > 1]
    if twice:
        raise _RefusedError(f"the array {twice[0]!r} occurs twice")
    arrays = [(name, archive[name]) for name in archive.files]
    other = next((name for name, array in arrays if not isinstance(array, np.ndarray)), None)
    if other is not None:
        raise _RefusedError(f"its member {other!r} is no array")
    return arrays


def _columns(name: str, array: Array, file: str) -> Iterator[tuple[str, Array]]:
    """Yield the columns of an array."""
    if array.dtype.names:
        parts = {field: array[field] for field in array.dtype.names}
    elif array.ndim == 2 and (array.shape[1] > 1 or name == "x"):
        parts = {f"{name}{place}": array[:, place] for place in range(array.shape[1])}
    else:
        parts = {"x0" if name == "x" else name: array.reshape(-1) if array.ndim == 2 else array}
    for column, values in parts.items():
        if values.ndim != 1:
            raise ValueError(
                f"The array {name!r} in {file!r} has the shape {array.shape}: expected one column, of shape (rows,), "
                "or a table, of shape (rows, columns)."
            )
        yield column, values
