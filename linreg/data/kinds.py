"""How the values of a column are to be read: decided once, from all of them, then the same for any others.

The rules are in the notes of `linreg.data.reading`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from linreg.data.conversion import numbers
from linreg.data.families import as_text, families_of
from linreg.data.moments import DAY
from linreg.data.notation import TIME, bare_too, says_missing, written

Array = Any

NUMERIC = {"number", "boolean"}
TYPED = {
    "number": "plain",
    "number_as_text": "plain",
    "boolean": "true or false",
    "date": "year first",
    "duration": TIME,
}
"""How words are written in a column that was typed, and is text among other rows."""


@dataclass(frozen=True)
class Kind:
    """How a column is read.

    Parameters
    ----------
    name : str
        A kind of `linreg.data.reading.Column` but "empty"; "duration" for durations and times of day.
    style, unit : str
        How words are written that are numbers or dates.
    strays : tuple of str
        Words between numbers that count as missing.
    origin : float
        Microseconds since 1970 of the earliest date, from which days are counted.
    vocabulary : tuple of str
        Categories, in order.
    examples : sequence of str
        Values that show the kind, as they are shown.
    sample : str
        A word that shows the style.
    """

    name: str
    style: str = ""
    unit: str = ""
    strays: tuple[str, ...] = ()
    origin: float = 0.0
    vocabulary: tuple[str, ...] = ()
    examples: Sequence[str] = field(default=(), compare=False)
    sample: str = field(default="", compare=False)

    def numbers(self, values: Array, label: str, first: int = 0) -> tuple[Array, Array]:
        """Return values as numbers, and which rows hold something that is not of this kind.

        Parameters
        ----------
        values : array of shape (rows,)
            Values of whatever type.
        label : str
            What to call the column in errors.
        first : int, default=0
            Row of the first value.

        Returns
        -------
        values : array of shape (rows,)
            In float64, nan where missing or of another kind; dates and durations in days; of categories, places in
            the vocabulary.
        strange : array of int
            Places of values of another kind.

        Raises
        ------
        TypeError
            If something is no single value.
        """
        if self.name == "category":
            values = cells_of(values)
        cells = values.tolist() if values.dtype.kind in "OUST" else None
        if cells is None or not only_text(cells):
            return self.of_told(*told(values, label, first))
        place = {cell: i for i, cell in enumerate(dict.fromkeys(cells))}
        out, strange = self.of_told(*told(np.array(list(place), object), label, first))
        odd = np.zeros(len(place), bool)
        odd[strange] = True
        back = np.fromiter(map(place.__getitem__, cells), np.intp, len(cells))
        return out[back], np.flatnonzero(odd[back])

    def of_told(self, family: Any, found: Array, cells: list[Any] | None) -> tuple[Array, Array]:
        """Return the same of what `told` says of values."""
        if cells is not None:
            out, strange = self._of_cells(cells, family, found)
        elif family in self._families():
            out, strange = self._scaled(found), np.zeros(len(found), bool)
        else:
            out, strange = np.full(len(found), np.nan), ~np.isnan(found)
        if self.name == "boolean":
            strange |= ~(np.isnan(out) | (out == 0) | (out == 1))
        return out, np.flatnonzero(strange)

    def _families(self) -> set[str]:
        if self.name in {"date", "duration"}:
            return {self.name}
        return NUMERIC if self.name != "category" and bare_too(self.unit) else set()

    def _of_cells(self, cells: Sequence[Any], family: Array, found: Array) -> tuple[Array, Array]:
        """Return the numbers of cells, and whether each is of another kind."""
        out, strange = found.copy(), np.zeros(len(cells), bool)
        if self.name == "category":
            places = {category: place for place, category in enumerate(self.vocabulary)}
            for i in np.flatnonzero(family != "").tolist():
                out[i] = _place(places, as_text(cells[i]), found[i] if family[i] == "number" else np.nan)
            return out, (family != "") & np.isnan(out)
        allowed = self._families()
        style, strays = self.style or TYPED.get(self.name, ""), frozenset(self.strays)
        for i, of in enumerate(family.tolist()):
            if of == "text":
                word = as_text(cells[i])
                missing = says_missing(word) or word in strays
                read = written(word, style, self.unit) if style and not missing else None
                out[i] = np.nan if read is None else read
                strange[i] = read is None and not missing
            elif of and of not in allowed:
                out[i], strange[i] = np.nan, True
        return self._scaled(out), strange

    def _scaled(self, found: Array) -> Array:
        return (found - self.origin) / DAY if self.name in {"date", "duration"} else found


def cells_of(values: Array) -> Array:
    """Return values as they are to be taken as categories: numbers, booleans and dates as objects."""
    if values.dtype.kind in "mM" and np.datetime_data(values.dtype)[0] in ("ns", "ps", "fs", "as"):
        values = values.astype(f"{values.dtype.kind}8[us]")  # finer ones become whole numbers as objects
    return values.astype(object) if values.dtype.kind in "fiubmM" else values


def _place(places: dict[str, int], text: str, number: float) -> float:
    """Return the place of a cell among categories, nan if it is none: a number is also found as 1 or as 1.0."""
    same = [str(float(number)), f"{number:.0f}"] if float(number).is_integer() else []
    return next((places[one] for one in (text, *same) if one in places), np.nan)


def told(values: Array, label: str, first: int = 0) -> tuple[Any, Array, list[Any] | None]:
    """Return families and numbers of values; the values themselves as a list where they are objects or text.

    Parameters
    ----------
    values : array of shape (rows,)
        Values of whatever type.
    label : str
        What to call the column in errors.
    first : int, default=0
        Row of the first value.

    Returns
    -------
    family : array of str, or str
        As `families_of` gives them; one for all where they are numbers, dates or durations.
    numbers : array of shape (rows,)
        In float64; dates and durations in microseconds.
    cells : list or None
        The values, None where they are numbers, dates or durations.

    Raises
    ------
    TypeError
        If something is no single value.
    """
    kind = values.dtype.kind
    if kind in "Mm":
        counted = values.astype(f"{kind}8[us]")
        microseconds = np.where(np.isnat(counted), np.nan, counted.view(np.int64).astype(np.float64))
        return "date" if kind == "M" else "duration", microseconds, None
    if kind in "OUST":
        cells = values.tolist()
        family, found = families_of(cells, label, first)
        return family, found, cells
    with np.errstate(over="ignore"):  # a long double may be too large
        return "boolean" if kind == "b" else "number", np.asarray(numbers(values, label), np.float64), None


def only_text(cells: list[Any]) -> bool:
    """Whether there is nothing but text and None."""
    return set(map(type, cells)) <= {str, type(None)}
