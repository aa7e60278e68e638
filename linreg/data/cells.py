"""One column of whatever type as numbers: each value is of one family; a column is what its families have in common."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from linreg.data.conversion import numbers
from linreg.data.moments import DAY, duration, moment, moment_text
from linreg.data.notation import EXAMPLES, Read, dates_in, is_date, is_number, numbers_in, says_missing, shown

Array = Any


STRAY = 0.1
"""Share of the rows in which words may stand between numbers: a header that was pasted twice, "unknown"."""
DIFFERENT = 10
"""Different numbers, for each such word, of a column that holds no categories."""


class Parsed(NamedTuple):
    """The values of a column as numbers, nan where missing; of a category column, places in the vocabulary."""

    kind: str
    values: Array
    examples: Sequence[str] = ()
    spelled: Sequence[str] = ()  # how missing values are written, where that says something
    vocabulary: tuple[str, ...] = ()


def parsed_column(values: Array, label: str) -> Parsed:
    """Read one column of whatever type."""
    kind = values.dtype.kind
    if kind in "Mm":
        counted = values.astype(f"{kind}8[us]")
        microseconds = np.where(np.isnat(counted), np.nan, counted.view(np.int64).astype(np.float64))
        return _dates(microseconds) if kind == "M" else _durations(microseconds)
    if kind in "OUST":
        return _from_objects(values.tolist(), label)
    return Parsed("boolean" if kind == "b" else "number", as_float64(numbers(values, label)))


def as_float64(values: Array) -> Array:
    """Return numbers in float64."""
    with np.errstate(over="ignore"):  # a long double may be too large
        return np.asarray(values, np.float64)


def _dates(microseconds: Array, examples: Sequence[str] = ()) -> Parsed:
    """Return moments as days since the earliest; they are given in microseconds since 1970."""
    present = microseconds[~np.isnan(microseconds)]
    days = (microseconds - present.min(initial=np.inf)) / DAY
    return Parsed("date", days, examples or [moment_text(one) for one in _different(present.tolist())])


def _durations(microseconds: Array) -> Parsed:
    days = microseconds / DAY
    return Parsed("date", days, [f"{day:g} days" for day in _different(days[~np.isnan(days)].tolist())])


def _different(values: Iterable[Any]) -> list[Any]:
    """Return the first few different values."""
    return list(dict.fromkeys(values))[:EXAMPLES]


def _from_objects(cells: list[Any], label: str) -> Parsed:
    """Read a column of Python objects, text among them."""
    family, values = _sorted(cells, label)
    text = {row: _as_text(cells[row]) for row in np.flatnonzero(family == "text").tolist()}
    different = dict.fromkeys(text.values())
    spellings = dict.fromkeys(filter(says_missing, different))
    words = [word for word in different if word not in spellings]
    families = set(family.tolist()) - {"text", ""}

    if words:
        read = numbers_in(words) if families <= {"number", "boolean"} else None
        if read is None and families <= {"date"}:
            read = dates_in(words)
        if read is None and families <= {"number", "boolean"} and (odd := _strays(words, text, values)):
            rest = [word for word in words if word not in odd]
            read = numbers_in(rest) if rest else Read("number_as_text", {}, ())
            read = read and read._replace(examples=[shown(min(odd)), *read.examples])
        if read is None:
            return _categories(cells, family)
        for row, word in text.items():
            values[row] = read.values.get(word, np.nan)
        parsed = _dates(values, read.examples) if read.kind == "date" else Parsed(read.kind, values, read.examples)
        return parsed._replace(spelled=list(map(shown, list(spellings)[:EXAMPLES])))
    gone = np.flatnonzero(np.isnan(values)).tolist()
    spelled = _different(shown(text[row]) if row in text else str(cells[row]) for row in gone)
    if families <= {"number", "boolean"}:
        kind = "number_as_text" if text else "boolean" if families == {"boolean"} else "number"
        return Parsed(kind, values, spelled=spelled)
    if families <= {"date"}:
        return _dates(values)._replace(spelled=spelled)
    if families <= {"duration"}:
        return _durations(values)._replace(spelled=spelled)
    return _categories(cells, family)


def _strays(words: Sequence[str], text: dict[int, str], values: Array) -> set[str]:
    """Return the words between numbers that are none, if they are a few strays and no categories."""
    odd = {word for word in words if not is_number(word)}
    stray = sum(word in odd for word in text.values())
    different = len(words) - len(odd) + len(np.unique(values[~np.isnan(values)]))
    return odd if stray <= STRAY * len(values) and different >= DIFFERENT * max(len(odd), 1) else set()


def _sorted(cells: list[Any], label: str) -> tuple[Array, Array]:
    """Return the family of each cell ("" where missing), and its number (nan for text and what has none)."""
    reader = {kind: _reader(kind) for kind in set(map(type, cells))}
    family = np.array([reader[type(cell)][0] for cell in cells], "U8")
    found = [reader[type(cell)][1](cell) for cell in cells]
    values = np.array(found, np.float64)  # None becomes nan
    family[np.isnan(values) & (family != "text")] = ""
    for row, number in enumerate(found):
        if number is None:
            _refuse_containers(cells, row, label)
            family[row] = "other"
    return family, values


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


def _refuse_containers(cells: list[Any], row: int, label: str) -> None:
    """Raise for an object that is no single value; others, like an interval of pandas, make categories."""
    try:
        hash(cells[row])
        single = not isinstance(cells[row], Iterable | complex)
    except TypeError:
        single = False
    if not single:
        alone = np.full(len(cells), None)
        alone[row] = cells[row]
        numbers(alone, label)


def _as_text(cell: Any) -> str:
    return cell.decode("utf-8", "backslashreplace") if isinstance(cell, bytes) else str(cell)


def _categories(cells: list[Any], family: Array) -> Parsed:
    """Read a column as categories; if some of them are numbers or dates, those that are none are shown."""
    present = np.flatnonzero(family != "").tolist()
    texts = [_as_text(cells[row]) for row in present]
    vocabulary = tuple(sorted(set(texts)))
    places = {category: place for place, category in enumerate(vocabulary)}
    values = np.full(len(cells), np.nan)
    values[present] = [places[text] for text in texts]
    words = dict.fromkeys(texts)
    strange = (word for word in words if not (says_missing(word) or is_number(word) or is_date(word)))
    examples = list(itertools.islice(strange, EXAMPLES)) or list(words)[:EXAMPLES]
    return Parsed("category", values, list(map(shown, examples)), vocabulary=vocabulary)
