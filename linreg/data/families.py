"""The family of each value of a column (number, boolean, text, date, duration, other), and the number that it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from linreg.data.conversion import numbers
from linreg.data.moments import duration, moment

Array = Any


def families_of(cells: list[Any], label: str, first: int = 0) -> tuple[Array, Array]:
    """Return the family of each cell ("" where missing), and its number: nan for text and what has none.

    Parameters
    ----------
    cells : list
        Values of whatever type.
    label : str
        What to call the column in errors.
    first : int, default=0
        Row of the first cell.

    Returns
    -------
    family : array of str of shape (cells,)
        One of "number", "boolean", "text", "date", "duration", "other" and "".
    numbers : array of shape (cells,)
        In float64; dates and durations in microseconds.

    Raises
    ------
    TypeError
        If a cell is no single value.
    ValueError
        If a cell is a complex number.
    """
    reader = {kind: _reader(kind) for kind in set(map(type, cells))}
    family = np.array([reader[type(cell)][0] for cell in cells], "U8")
    found = [reader[type(cell)][1](cell) for cell in cells]
    values = np.array(found, np.float64)  # None becomes nan
    family[np.isnan(values) & (family != "text")] = ""
    for row, number in enumerate(found):
        if number is None:
            _refuse_containers(cells, row, label, first)
            family[row] = "other"
    return family, values


def as_text(cell: Any) -> str:
    """Return a cell as text."""
    return cell.decode("utf-8", "backslashreplace") if isinstance(cell, bytes) else str(cell)


def _reader(kind: type) -> tuple[str, Callable[[Any], float | None]]:
    """Return the family of a type, and how to make a number of its values."""
    if kind.__name__ in {"NoneType", "NAType", "NaTType", "MaskedConstant"}:
        return "", lambda _: np.nan
    if issubclass(kind, str | bytes):
        return "text", lambda _: np.nan
    if issubclass(kind, bool | np.bool_):
        return "boolean", float
    if issubclass(kind, dt.date | np.datetime64) or kind.__name__ == "Period":
        return "date", moment
    if issubclass(kind, dt.timedelta | np.timedelta64 | dt.time):
        return "duration", duration
    return "number", _number


def _number(cell: Any) -> float | None:
    """Return a number, None for what is none."""
    if isinstance(cell, complex | np.complexfloating) or getattr(cell, "ndim", 0) != 0:
        return None
    try:
        return float(cell)
    except OverflowError:
        return np.inf if cell > 0 else -np.inf
    except (TypeError, ValueError):
        return None


def _refuse_containers(cells: list[Any], row: int, label: str, first: int) -> None:
    """Raise for an object that is no single value; others, like an interval of pandas, make categories."""
    try:
        hash(cells[row])
        single = not isinstance(cells[row], Iterable | complex)
    except TypeError:
        single = False
    if not single:
        alone = np.full(first + row + 1, None)
        alone[-1] = cells[row]
        numbers(alone, label)
