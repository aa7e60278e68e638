"""Text as the numbers and dates that it stands for, in the notation that fits all of a column.

Words are different texts, none of which says that a value is missing.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import NamedTuple

from linreg.data.moments import moment, moment_text

EXAMPLES = 3
"""So many values are shown, and so many rows."""
WIDTH = 40
"""So many characters of a value are shown."""

# What programs and people write where a value is missing, in lower case; then failed formulas of a spreadsheet.
_MISSING = {"", "na", "n/a", "nan", "null", "none", "?", "-", "<na>", "nat"}
_MISSING |= {"#n/a", "#div/0!", "#name?", "#null!", "#num!", "#ref!", "#value!"}
_SPACES = " \u00a0\u2009\u202f"
_CURRENCY = "$¢£¥₩₦₪₫€₭₮₱₴₸₹₺₼₽₿฿"


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


def says_missing(text: str) -> bool:
    """Whether a text stands for a missing value."""
    return text.strip().lower() in _MISSING


class Read(NamedTuple):
    """What words stand for, and some of them as they are shown.

    Style and unit tell `written` how to read others in the same way.
    """

    kind: str
    values: dict[str, float]
    examples: Sequence[str]
    style: str = ""
    unit: str = ""


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
_NOTATIONS = {"point": _POINT, "comma": _COMMA, "either": _EITHER}
_TEXT_KINDS = ("percent", "decimal_comma", "thousands_separator", "number_as_text")


def numbers_in(words: Sequence[str]) -> Read | None:
    """Read words as numbers if all of them are, in the first notation that fits them all; one unit may follow each."""
    for bare, unit in ((words, ""), _without_unit(words)):
        for style, notation in _NOTATIONS.items():
            read = _written_in(notation, bare) if bare else None
            if read is not None:
                values = {word: read.values[number] for word, number in zip(words, bare, strict=True)}
                examples = list(map(shown, words[:EXAMPLES])) if unit else read.examples
                return Read(read.kind, values, examples, style, unit)
    return None


def written(word: str, style: str, unit: str = "") -> float | None:
    """Return what a word stands for in the style in which others were read; None if it is not written in it.

    Parameters
    ----------
    word : str
        The word.
    style, unit : str
        Of a `Read`; or "plain" for "-1.5e3", "year first" for "2024-01-31", "true or false" for those and plain ones.

    Returns
    -------
    float or None
        The number; of a date, microseconds since 1970.
    """
    if style in _READ:
        date = _date(word.strip(), _READ[style])
        return None if date is None else moment(date)
    if style == "true or false" and word.strip().lower() in ("true", "false"):
        return float(word.strip().lower() == "true")
    if style in ("plain", "true or false"):
        return float(word) if _PLAIN.fullmatch(word.strip()) else None
    bare, found = _without_unit((word,)) if unit else ((word,), "")
    read = _written_in(_NOTATIONS[style], bare) if bare and found == unit else None
    return None if read is None else read.values[bare[0]]


def _without_unit(words: Sequence[str]) -> tuple[Sequence[str], str]:
    """Return words without the unit that all of them end with, and that unit; nothing where they do not."""
    found = [_UNIT.fullmatch(word.strip()) for word in words]
    units = {match["unit"] or match["joined"] if match else "" for match in found}
    return ([match["number"] for match in found if match], units.pop()) if len(units) == 1 else ((), "")


def _written_in(notation: _Notation, words: Sequence[str]) -> Read | None:
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
    return Read(kind, values, [shown(word) for word in by_kind[kind][:EXAMPLES]])


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


_DATES = {"month first": _MONTH_FIRST, "day first": _DAY_FIRST}
_READ = {**_DATES, "year first": [re.compile(rf"{_YEAR}(?P<mark>-){_MONTH}-{_DAY_OF_MONTH}{_TIME}")]}
_PLAIN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?", re.ASCII | re.IGNORECASE)


def dates_in(words: Sequence[str]) -> Read | None:
    """Read words as dates if all of them are, with the month first between slashes or else with the day first."""
    for style, patterns in _DATES.items():
        values = {}
        for word in words:
            date = _date(word.strip(), patterns)
            if date is None:
                break
            values[word] = moment(date)
        else:
            examples = [f"{shown(word)} = {moment_text(values[word])}" for word in words[:EXAMPLES]]
            return Read("date", values, examples, style)
    return None


def is_number(word: str) -> bool:
    """Whether a word is a number in some notation."""
    return any(notation.pattern.fullmatch(word.strip()) for notation in _NOTATIONS.values())


def is_date(word: str) -> bool:
    """Whether a word is a date, whichever of day and month is first."""
    return any(_date(word.strip(), patterns) for patterns in _DATES.values())


def _date(text: str, patterns: Sequence[re.Pattern[str]]) -> dt.datetime | None:
    match = next(filter(None, (pattern.fullmatch(text) for pattern in patterns)), None)
    if match is None:
        return None
    year, month, day, hour, minute, zone = match.group("year", "month", "day", "hour", "minute", "zone")
    try:
        return dt.datetime.fromisoformat(f"{year}-{month:0>2}-{day:0>2}T{hour or 0:0>2}{minute or ':00'}{zone or ''}")
    except ValueError:  # the 30th of February
        return None
