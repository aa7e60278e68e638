"""One column of whatever type as numbers: each value is of one family; a column is what its families have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from linreg.data.families import as_text
from linreg.data.kinds import told
from linreg.data.moments import moment_text
from linreg.data.notation import EXAMPLES, shown
from linreg.data.seen import Seen

Array = Any


class Parsed(NamedTuple):
    """The values of a column as numbers, nan where missing; of a category column, places in the vocabulary."""

    kind: str
    values: Array
    examples: Sequence[str] = ()
    spelled: Sequence[str] = ()  # how missing values are written, where that says something
    vocabulary: tuple[str, ...] = ()


def parsed_column(values: Array, label: str) -> Parsed:
    """Read one column of whatever type."""
    family, found, cells = told(values, label)
    if cells is None and family in {"number", "boolean"}:
        return Parsed(family, found)
    seen = Seen()
    seen.add(family, found, cells)
    kind = seen.kind()
    read, _ = kind.of_told(family, found, cells)
    examples = kind.examples
    if kind.name == "duration":
        examples = [f"{day:g} days" for day in _different(read[~np.isnan(read)].tolist())]
    elif kind.name == "date" and not examples:
        examples = [moment_text(one) for one in _different(found[~np.isnan(found)].tolist())]
    name = "date" if kind.name == "duration" else kind.name
    spelled = [] if name == "category" else _spelled(cells, read, family, seen)
    return Parsed(name, read, examples, spelled, kind.vocabulary)


def as_float64(values: Array) -> Array:
    """Return numbers in float64."""
    with np.errstate(over="ignore"):  # a long double may be too large
        return np.asarray(values, np.float64)


def _different(values: Iterable[Any]) -> list[Any]:
    """Return the first few different values."""
    return list(dict.fromkeys(values))[:EXAMPLES]


def _spelled(cells: list[Any] | None, read: Array, family: Any, seen: Seen) -> list[str]:
    """Return how missing values are written; of text beside other text only words for them."""
    if cells is None:
        return []
    if seen.words:
        return list(map(shown, seen.gone))
    gone = np.flatnonzero(np.isnan(read)).tolist()
    return _different(shown(as_text(cells[row])) if family[row] == "text" else str(cells[row]) for row in gone)
