"""Whatever a user has as the numbers that were meant, and what stood there instead.

`linreg.data.conversion` refuses what is no number; here it is repaired, and every repair is reported, so that a
diagnosis can name it and go on. Nothing given is ever modified.

Notes
-----
How a column of text is read, decided by the column as a whole:

1. As numbers, if every value that is not missing is one in the same notation: "1,234.5" if that fits them all, else
   "1.234,5", else decimals with either mark ("3,14" beside "2.5"). Spaces, apostrophes and underscores may separate
   thousands in each. A group of thousands has exactly three digits and the first does not begin with 0, so "0,125" is a
   decimal. A currency sign is dropped, if there is only one; so are a percent sign, "12%" is 12, and a unit, "6.5 kg"
   is 6.5, if all values have it.
2. As dates, if every value is one: "2024-01-31", "31.01.2024" or "01/31/2024", with or without a time. The month comes
   first between slashes if that makes dates of them all, else the day. Times with a zone count in UTC. Or as times of
   day, if every value is one: "12:30", "12:30:15.5" or "1:30 pm".
3. As numbers, if at most a tenth of the rows hold words and the numbers are many: those rows count as missing.
4. As categories. The first in alphabetical order has no column of its own; a missing value is nan in the columns of all
   others. With more than 50 categories there are no columns: no name begins with the column's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.data import arrays, conversion
from linreg.data.cells import Parsed, as_float64, parsed_column
from linreg.data.encoding import one_hot, require_different
from linreg.data.kinds import Kind
from linreg.data.notation import EXAMPLES

Array = Any

MOST_CATEGORIES = 50
"""A column with more categories is left out."""
LISTED = 20
"""So many categories of an identifier are listed."""


@dataclass(frozen=True)
class Column:
    """What a column holds.

    Parameters
    ----------
    name : str
        The user's name for it; "x0", "x1", ... in arrays, "y" for a target without a name.
    kind : str
        One of "number", "boolean", "number_as_text", "thousands_separator", "decimal_comma", "percent", "date" (also
        durations and times of day), "category" and "empty" (every value is missing).
    missing : int
        Rows without a value. Spellings like "", "NA" and "?" count where the others are numbers or dates.
    infinite : int
        Rows with an infinite value, or with a number beyond 1.8e+308.
    first_missing : tuple of int
        The first rows without a value, at most 3, counted from 0; where no value is missing, those that are infinite.
    examples : tuple of str
        At most 3 different values that show the kind, and among them a spelling of a missing value; of plain numbers,
        the missing and infinite ones. Text is quoted, its control characters escaped, cut to 40 characters; behind a
        date that is text stands how it was read. In a category column with some numbers, those that are none.
    categories : tuple of str
        The categories in order; 20 at most if no value occurs twice (an identifier). Empty for all other kinds.
    """

    name: str
    kind: str
    missing: int
    infinite: int
    first_missing: tuple[int, ...]
    examples: tuple[str, ...]
    categories: tuple[str, ...]

    def clean(self) -> bool:
        """Whether it holds finite numbers or booleans only."""
        return self.kind in {"number", "boolean"} and not self.missing and not self.infinite


@dataclass(frozen=True, eq=False)
class Reading:
    """Data as numbers, and what was given.

    Parameters
    ----------
    X : array of shape (rows, features)
        Of float64, nan where missing or infinite. It may share memory with what was given: do not write to it.
    y : array of shape (rows,)
        The same for the target.
    names : tuple of str
        Names of the features: a column's own, or "colour=red" for a category.
    columns : tuple of Column
        Every column as it was given.
    target : Column
        The target as it was given.
    """

    X: Array
    y: Array
    names: tuple[str, ...]
    columns: tuple[Column, ...]
    target: Column

    def clean(self) -> bool:
        """Whether there was nothing to repair: finite numbers and booleans only."""
        return all(column.clean() for column in (*self.columns, self.target))


def read(X: Any, y: Any) -> Reading:
    """Read features and target, repairing what are no plain numbers.

    Parameters
    ----------
    X : array, list or frame of shape (rows, columns)
        Features of any kind; a single column may come as shape (rows,).
    y : array, list, series or one-column frame of shape (rows,)
        Target: numbers or dates, in whatever notation.

    Returns
    -------
    Reading
        The numbers, and what was repaired. Booleans become 0 and 1, dates days since the earliest in the column,
        durations and times of day days, categories columns of 0 and 1.

    Raises
    ------
    TypeError
        If the target holds categories, something holds objects that are no single value (lists, dicts), or X or y is
        sparse.
    ValueError
        If a shape is wrong, X is empty, something holds complex numbers, or two features get one name.

    Notes
    -----
    See the notes of this module on how text is read.
    """
    matrix, names = _columns(X)
    if isinstance(matrix, list):
        parsed = [parsed_column(column, f"column {name!r} of X") for name, column in zip(names, matrix, strict=True)]
        columns = tuple(map(_described, names, parsed))
        repaired = [feature for name, column in zip(names, parsed, strict=True) for feature in _features(name, column)]
        names = [name for name, _ in repaired]
        require_different(names)
        numbers = np.empty((len(parsed[0].values), len(repaired)))
        for place, (_, values) in enumerate(repaired):
            numbers[:, place] = values
    else:
        numbers, columns = _plain(matrix, names)
    target = parsed_column(_objects(y, arrays.one_a_row(y, len(numbers), name="y")).reshape(-1), "y")
    if target.kind == "category":
        raise TypeError(
            f"y holds categories, for example {target.examples[0]}, but linear regression predicts a number: correct "
            "what is mistyped; predicting categories is classification (sklearn.linear_model.LogisticRegression)."
        )
    return Reading(numbers, _finite(target.values), tuple(names), columns, _described(_name_of(y, "y"), target))


def _columns(X: Any) -> tuple[Array | list[Array], list[str]]:
    """Return a plain array of numbers of shape (rows, columns), or a list of columns of any type; and their names."""
    names = arrays.column_names(X)
    if names is not None:
        columns = [arrays.column_of(X, name, "X") for name in names]
        arrays.rows_and_features(np.broadcast_to(0, (len(columns[0]), len(columns))), "X")
        return columns, names
    if isinstance(X, np.ma.MaskedArray) and X.dtype.kind in "fiu":
        X = np.ma.filled(X.astype(np.float64), np.nan)
    array = _objects(X, conversion.as_array(X, "X"))
    if array.dtype.kind in "cV":
        conversion.numbers(array, "X")  # says what is wrong with complex numbers and records
    single = array.ndim == 1
    matrix = arrays.rows_and_features(array.reshape(-1, 1) if single else array, "X")
    names = [_name_of(X, "x0")] if single else [f"x{place}" for place in range(matrix.shape[1])]
    return matrix if matrix.dtype.kind in "fiub" else list(matrix.T), names


def _objects(given: Any, array: Array) -> Array:
    """Return an array of the objects in a list as they are: NumPy makes the numbers beside a text text too."""
    return np.array(given, dtype=object) if isinstance(given, list | tuple) and array.dtype.kind in "US" else array


def _name_of(given: Any, otherwise: str) -> str:
    """Return the name of a series or of the only column of a frame."""
    names = arrays.column_names(given)
    name = names[0] if names else getattr(given, "name", None)
    return name if isinstance(name, str) and name else otherwise


def _plain(matrix: Array, names: Sequence[str]) -> tuple[Array, tuple[Column, ...]]:
    """Return numbers as float64 with nan for infinite ones, and their columns; looks closer only at what needs it."""
    numbers = as_float64(matrix)
    kind = "boolean" if matrix.dtype.kind == "b" else "number"
    finite = np.isfinite(numbers)
    whole = np.ones(len(names), bool) if finite.all() else finite.all(axis=0)
    columns = tuple(
        Column(name, kind, 0, 0, (), (), ()) if good else _described(name, parsed_column(numbers[:, place], name))
        for place, (name, good) in enumerate(zip(names, whole, strict=True))
    )
    return _finite(numbers), columns


def _finite(values: Array) -> Array:
    """Return the values with nan for infinite ones."""
    infinite = np.isinf(values)
    return np.where(infinite, np.nan, values) if infinite.any() else values


def _described(name: str, parsed: Parsed) -> Column:
    """Return what the user is told about a column."""
    missing, infinite = np.isnan(parsed.values), np.isinf(parsed.values)
    rows = np.flatnonzero(missing if missing.any() else infinite)[:EXAMPLES]
    kind = "empty" if missing.all() else parsed.kind
    examples = [*parsed.examples[: EXAMPLES - bool(parsed.spelled)], *parsed.spelled]
    if kind in {"number", "boolean", "empty"}:
        if missing.any() and not examples:
            examples = ["nan"]
        examples += map(str, np.unique(parsed.values[infinite]).tolist())
    identifier = len(parsed.vocabulary) == np.count_nonzero(~missing)
    return Column(
        name=name,
        kind=kind,
        missing=int(missing.sum()),
        infinite=int(infinite.sum()),
        first_missing=tuple(rows.tolist()),
        examples=tuple(examples[:EXAMPLES]),
        categories=parsed.vocabulary[:LISTED] if identifier else parsed.vocabulary,
    )


def _features(name: str, parsed: Parsed) -> Iterator[tuple[str, Array]]:
    """Yield the names and values of the features that come of a column."""
    if len(parsed.vocabulary) <= MOST_CATEGORIES:
        yield from one_hot(name, Kind(parsed.kind, vocabulary=parsed.vocabulary), _finite(parsed.values))
