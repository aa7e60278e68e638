"""Whatever a user has as the numbers that were meant, and what stood there instead.

`linreg.data.arrays` refuses what is no number; here it is repaired, and every repair is reported, so that a diagnosis
can name it and go on. Nothing given is ever modified.

Notes
-----
How a column of text is read, decided by the column as a whole:

1. As numbers, if every value that is not missing is one in the same notation: "1,234.5" if that fits them all, else
   "1.234,5", else decimals with either mark ("3,14" beside "2.5"). Spaces, apostrophes and underscores may separate
   thousands in each. A group of thousands has exactly three digits and the first does not begin with 0, so "0,125" is a
   decimal. Currency signs are dropped, and so are the percent sign, "12%" is 12, and a unit that all values end with:
   "6.5 kg" is 6.5.
2. As dates, if every value is one: "2024-01-31", "31.01.2024" or "01/31/2024", with or without a time. The month comes
   first between slashes if that makes dates of them all, else the day. Times with a zone count in UTC.
3. As categories. The first in alphabetical order has no column of its own; a missing value is nan in the columns of all
   others. With more than 50 categories there are no columns: no name begins with the column's.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from linreg.data import arrays

Array = Any

MOST_CATEGORIES = 50
"""A column with more categories is left out."""
LISTED = 20
"""So many categories of an identifier are listed."""
EXAMPLES = 3
"""So many values are shown, and so many rows."""
WIDTH = 40
"""So many characters of a value are shown."""

# What programs and people write where a value is missing, in lower case; then failed formulas of a spreadsheet.
_MISSING = {"", "na", "n/a", "nan", "null", "none", "?", "-", "<na>", "nat"}
_MISSING |= {"#n/a", "#div/0!", "#name?", "#null!", "#num!", "#ref!", "#value!"}

# Moments are counted in microseconds, as float64: exact within 285 years of 1970, and for whole days always.
_DAY = 86_400e6
_1970 = dt.date(1970, 1, 1).toordinal()
_SPACES = " \u00a0\u2009\u202f"
_CURRENCY = "$¢£¥₩₦₪₫€₭₮₱₴₸₹₺₼₽₿฿"


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
        If a shape is wrong, X is empty, or something holds complex numbers.

    Notes
    -----
    See the notes of this module on how text is read.
    """
    matrix, names = _columns(X)
    if isinstance(matrix, list):
        parsed = [_parsed(column, f"column {name!r} of X") for name, column in zip(names, matrix, strict=True)]
        columns = tuple(map(_described, names, parsed))
        repaired = [feature for name, column in zip(names, parsed, strict=True) for feature in _features(name, column)]
        names = [name for name, _ in repaired]
        numbers = np.empty((len(parsed[0].values), len(repaired)))
        for place, (_, values) in enumerate(repaired):
            numbers[:, place] = values
    else:
        numbers, columns = _plain(matrix, names)
    target = _parsed(_objects(y, arrays.one_a_row(y, len(numbers), name="y")).reshape(-1), "y")
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
    array = _objects(X, arrays.as_array(X, "X"))
    if array.dtype.kind in "cV":
        arrays.numbers(array, "X")  # says what is wrong with complex numbers and records
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
    numbers = _as_float64(matrix)
    kind = "boolean" if matrix.dtype.kind == "b" else "number"
    finite = np.isfinite(numbers)
    whole = np.ones(len(names), bool) if finite.all() else finite.all(axis=0)
    columns = tuple(
        Column(name, kind, 0, 0, (), (), ()) if good else _described(name, _parsed(numbers[:, place], name))
        for place, (name, good) in enumerate(zip(names, whole, strict=True))
    )
    return _finite(numbers), columns


def _as_float64(values: Array) -> Array:
    with np.errstate(over="ignore"):  # a long double may be too large
        return np.asarray(values, np.float64)


def _finite(values: Array) -> Array:
    """Return the values with nan for infinite ones."""
    infinite = np.isinf(values)
    return np.where(infinite, np.nan, values) if infinite.any() else values


class _Parsed(NamedTuple):
    """The values of a column as numbers, nan where missing; of a category column, places in the vocabulary."""

    kind: str
    values: Array
    examples: Sequence[str] = ()
    spelled: Sequence[str] = ()  # how missing values are written, where that says something
    vocabulary: tuple[str, ...] = ()


def _described(name: str, parsed: _Parsed) -> Column:
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


def _features(name: str, parsed: _Parsed) -> Iterator[tuple[str, Array]]:
    """Yield the names and values of the features that come of a column."""
    if parsed.kind != "category":
        yield name, _finite(parsed.values)
    elif len(parsed.vocabulary) <= MOST_CATEGORIES:
        missing = np.isnan(parsed.values)
        for place, category in enumerate(parsed.vocabulary[1:], start=1):
            yield f"{name}={category}", np.where(missing, np.nan, parsed.values == place)


def _parsed(values: Array, label: str) -> _Parsed:
    """Read one column of whatever type."""
    kind = values.dtype.kind
    if kind in "Mm":
        counted = values.astype(f"{kind}8[us]")
        microseconds = np.where(np.isnat(counted), np.nan, counted.view(np.int64).astype(np.float64))
        return _dates(microseconds) if kind == "M" else _durations(microseconds)
    if kind in "OUST":
        return _from_objects(values.tolist(), label)
    return _Parsed("boolean" if kind == "b" else "number", _as_float64(arrays.numbers(values, label)))


def _dates(microseconds: Array, examples: Sequence[str] = ()) -> _Parsed:
    """Return moments as days since the earliest; they are given in microseconds since 1970."""
    present = microseconds[~np.isnan(microseconds)]
    days = (microseconds - present.min(initial=np.inf)) / _DAY
    return _Parsed("date", days, examples or [_moment_text(moment) for moment in _different(present.tolist())])


def _durations(microseconds: Array) -> _Parsed:
    days = microseconds / _DAY
    return _Parsed("date", days, [f"{day:g} days" for day in _different(days[~np.isnan(days)].tolist())])


def _moment_text(microseconds: float) -> str:
    return str(np.datetime_as_string(np.datetime64(int(microseconds), "us"), unit="auto"))


def _different(values: Iterable[Any]) -> list[Any]:
    """Return the first few different values."""
    return list(dict.fromkeys(values))[:EXAMPLES]


def shown(text: str) -> str:
    """Return text from the user's data in quotation marks, on one line, without control characters, and cut.

    Parameters
    ----------
    text : str
        Whatever stands in a cell.

    Returns
    -------
    str
        At most 40 characters; the last is an ellipsis where something is left out.
    """
    quoted = repr(text[:WIDTH])
    return quoted if len(quoted) <= WIDTH else quoted[: WIDTH - 1] + "…"


# Python objects: each is of one family and has a number of its own; a column is what its families have in common.


def _from_objects(cells: list[Any], label: str) -> _Parsed:
    """Read a column of Python objects, text among them."""
    family, values = _sorted(cells, label)
    text = {row: _as_text(cells[row]) for row in np.flatnonzero(family == "text").tolist()}
    different = dict.fromkeys(text.values())
    spellings = dict.fromkeys(filter(_says_missing, different))
    words = [word for word in different if word not in spellings]
    families = set(family.tolist()) - {"text", ""}

    if words:
        read = _numbers_in(words) if families <= {"number", "boolean"} else None
        if read is None and families <= {"date"}:
            read = _dates_in(words)
        if read is None:
            return _categories(cells, family)
        for row, word in text.items():
            values[row] = read.values.get(word, np.nan)
        parsed = _dates(values, read.examples) if read.kind == "date" else _Parsed(read.kind, values, read.examples)
        return parsed._replace(spelled=list(map(shown, list(spellings)[:EXAMPLES])))
    gone = np.flatnonzero(np.isnan(values)).tolist()
    spelled = _different(shown(text[row]) if row in text else str(cells[row]) for row in gone)
    if families <= {"number", "boolean"}:
        kind = "number_as_text" if text else "boolean" if families == {"boolean"} else "number"
        return _Parsed(kind, values, spelled=spelled)
    if families <= {"date"}:
        return _dates(values)._replace(spelled=spelled)
    if families <= {"duration"}:
        return _durations(values)._replace(spelled=spelled)
    return _categories(cells, family)


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
        return "date", _moment
    if issubclass(kind, dt.timedelta | np.timedelta64 | dt.time):
        return "duration", _duration
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


def _moment(cell: Any) -> float:
    """Return a date or time as microseconds since 1970, in UTC."""
    if isinstance(cell, np.datetime64):
        return np.nan if np.isnat(cell) else float(cell.astype("M8[us]").astype(np.int64))
    if hasattr(cell, "to_timestamp"):  # a period of pandas
        cell = cell.to_timestamp()
    moment: float = (cell.toordinal() - _1970) * _DAY
    if isinstance(cell, dt.datetime):
        moment += _time_of_day(cell)
        if offset := cell.utcoffset():
            moment -= offset / dt.timedelta(microseconds=1)
    return moment


def _duration(cell: Any) -> float:
    """Return a duration, or the time since midnight, as microseconds."""
    if isinstance(cell, dt.time):
        return _time_of_day(cell)
    if isinstance(cell, np.timedelta64):
        return np.nan if np.isnat(cell) else float(cell.astype("m8[us]").astype(np.int64))
    return float(cell / dt.timedelta(microseconds=1))


def _time_of_day(time: dt.time | dt.datetime) -> float:
    return ((time.hour * 60 + time.minute) * 60 + time.second) * 1e6 + time.microsecond


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
        arrays.numbers(alone, label)


def _as_text(cell: Any) -> str:
    return cell.decode("utf-8", "backslashreplace") if isinstance(cell, bytes) else str(cell)


def _says_missing(text: str) -> bool:
    return text.strip().lower() in _MISSING


def _categories(cells: list[Any], family: Array) -> _Parsed:
    """Read a column as categories; if some of them are numbers or dates, those that are none are shown."""
    present = np.flatnonzero(family != "").tolist()
    texts = [_as_text(cells[row]) for row in present]
    vocabulary = tuple(sorted(set(texts)))
    places = {category: place for place, category in enumerate(vocabulary)}
    values = np.full(len(cells), np.nan)
    values[present] = [places[text] for text in texts]
    words = dict.fromkeys(texts)
    strange = (word for word in words if not (_says_missing(word) or _is_number(word) or _is_date(word)))
    examples = list(itertools.islice(strange, EXAMPLES)) or list(words)[:EXAMPLES]
    return _Parsed("category", values, list(map(shown, examples)), vocabulary=vocabulary)


# Words: different texts, none of which says that a value is missing.


class _Read(NamedTuple):
    kind: str
    values: dict[str, float]
    examples: Sequence[str]


class _Notation(NamedTuple):
    """How numbers are written: a pattern, and what to do to the digits for `float`."""

    pattern: re.Pattern[str]
    digits: dict[int, str | None]


def _notation(decimals: str, groups: str) -> _Notation:
    grouped = rf"[1-9][0-9]{{0,2}}(?P<group>[{groups}])[0-9]{{3}}(?:(?P=group)[0-9]{{3}})*"
    digits = rf"(?:{grouped}|[0-9]+)(?:[{decimals}][0-9]*)?|[{decimals}][0-9]+"
    space, currency = f"[{_SPACES}]?", f"[{_CURRENCY}]"
    pattern = re.compile(
        rf"(?:(?P<sign>[+−-]){space}(?:{currency}{space})?|(?:{currency}{space})?(?P<late_sign>[+−-]?))"
        rf"(?P<number>(?:{digits})(?:e[+-]?[0-9]+)?|inf(?:inity)?)"
        rf"(?:{space}{currency})?(?P<percent>{space}%)?",
        re.ASCII | re.IGNORECASE,
    )
    return _Notation(pattern, {**dict.fromkeys(map(ord, groups)), **dict.fromkeys(map(ord, decimals), ".")})


# "6 kg" and "6kg", but no "6a", which may be the number of a flat.
_UNIT = re.compile(rf"(?P<number>.*[0-9.,])(?:[{_SPACES}](?P<unit>[^\W\d_]+[²³]?)|(?P<joined>[^\W\d_]{{2,}}[²³]?))")
_APART = f"'’_{_SPACES}"
_POINT, _COMMA, _EITHER = _notation(".", f",{_APART}"), _notation(",", f".{_APART}"), _notation(".,", _APART)
_NOTATIONS = (_POINT, _COMMA, _EITHER)
_TEXT_KINDS = ("percent", "decimal_comma", "thousands_separator", "number_as_text")


def _numbers_in(words: Sequence[str]) -> _Read | None:
    """Read words as numbers if all of them are, in the first notation that fits them all; one unit may follow each."""
    for bare in filter(None, (words, _without_unit(words))):
        read = next(filter(None, (_written_in(notation, bare) for notation in _NOTATIONS)), None)
        if read is not None:
            values = {word: read.values[number] for word, number in zip(words, bare, strict=True)}
            return _Read(read.kind, values, read.examples if bare is words else list(map(shown, words[:EXAMPLES])))
    return None


def _without_unit(words: Sequence[str]) -> Sequence[str]:
    """Return words without the unit that all of them end with; nothing where they do not."""
    found = [_UNIT.fullmatch(word.strip()) for word in words]
    units = {match and (match["unit"] or match["joined"]) for match in found}
    return [match["number"] for match in found if match] if len(units) == 1 else ()


def _written_in(notation: _Notation, words: Sequence[str]) -> _Read | None:
    """Read words as numbers if all of them are, in this notation; the kind is that of the oddest."""
    values = {}
    by_kind: dict[str, list[str]] = {kind: [] for kind in _TEXT_KINDS}
    for word in words:
        match = notation.pattern.fullmatch(word.strip())
        if match is None:
            return None
        sign, late_sign, number, group, percent = match.group("sign", "late_sign", "number", "group", "percent")
        size = float(number.translate(notation.digits))
        values[word] = -size if (sign or late_sign) in {"-", "−"} else size
        if percent:
            kind = "percent"
        elif notation is not _POINT and "," in number:
            kind = "decimal_comma"
        else:
            kind = "thousands_separator" if group else "number_as_text"
        by_kind[kind].append(word)
    kind = next(filter(by_kind.get, _TEXT_KINDS))
    return _Read(kind, values, [shown(word) for word in by_kind[kind][:EXAMPLES]])


_MINUTE = r"(?P<minute>:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)"
_TIME = rf"(?:[T ](?P<hour>[0-9]{{1,2}}){_MINUTE} ?(?P<zone>Z|[+-][0-9]{{2}}:?[0-9]{{2}})?)?"
_YEAR, _MONTH, _DAY_OF_MONTH = r"(?P<year>[0-9]{4})", r"(?P<month>[0-9]{1,2})", r"(?P<day>[0-9]{1,2})"
_MONTH_FIRST, _DAY_FIRST = (
    [
        re.compile(date + _TIME)
        for date in (
            rf"{_YEAR}(?P<mark>[-/.]){_MONTH}(?P=mark){_DAY_OF_MONTH}",
            rf"{_DAY_OF_MONTH}\.{_MONTH}\.{_YEAR}",
            f"{slashed}/{_YEAR}",
        )
    ]
    for slashed in (f"{_MONTH}/{_DAY_OF_MONTH}", f"{_DAY_OF_MONTH}/{_MONTH}")
)


def _dates_in(words: Sequence[str]) -> _Read | None:
    """Read words as dates if all of them are, with the month first between slashes or else with the day first."""
    for patterns in (_MONTH_FIRST, _DAY_FIRST):
        values = {}
        for word in words:
            moment = _date(word.strip(), patterns)
            if moment is None:
                break
            values[word] = _moment(moment)
        else:
            examples = [f"{shown(word)} = {_moment_text(values[word])}" for word in words[:EXAMPLES]]
            return _Read("date", values, examples)
    return None


def _is_number(word: str) -> bool:
    return any(notation.pattern.fullmatch(word.strip()) for notation in _NOTATIONS)


def _is_date(word: str) -> bool:
    return any(_date(word.strip(), patterns) for patterns in (_MONTH_FIRST, _DAY_FIRST))


def _date(text: str, patterns: Sequence[re.Pattern[str]]) -> dt.datetime | None:
    match = next(filter(None, (pattern.fullmatch(text) for pattern in patterns)), None)
    if match is None:
        return None
    year, month, day, hour, minute, zone = match.group("year", "month", "day", "hour", "minute", "zone")
    try:
        return dt.datetime.fromisoformat(f"{year}-{month:0>2}-{day:0>2}T{hour or 0:0>2}{minute or ':00'}{zone or ''}")
    except ValueError:  # the 30th of February
        return None
