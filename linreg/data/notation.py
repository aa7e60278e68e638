"""Text as the numbers and dates that it stands for, in the notation that fits all of a column.

Words are different texts, none of which says that a value is missing.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from linreg.data.moments import duration, moment

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
TEXT_KINDS = ("percent", "decimal_comma", "thousands_separator", "number_as_text")
"""Kinds of numbers in text, the oddest first."""
STYLES = tuple(_NOTATIONS)
TIME = "time of day"
"""The style of a time of day, as microseconds since midnight."""


class Form(NamedTuple):
    """What a word may stand for: the same for all words that differ in their digits only, but for dates and times.

    `kinds` has its kind in each of `STYLES`, "" where it is no number in it; `dates` the styles in which it is a
    date. A word is `ambiguous` if it is another number with a decimal comma than
    with a point; `unread` if it looks like a number, a date or a time but in no notation that is read.
    """

    kinds: tuple[str, ...] = ("",) * len(STYLES)
    currency: str = ""
    unit: str = ""
    ambiguous: bool = False
    dates: tuple[str, ...] = ()
    time: bool = False
    unread: bool = False

    @property
    def is_number(self) -> bool:
        """Whether it is a number without a unit."""
        return any(self.kinds) and not self.unit

    @property
    def mark(self) -> str:
        """Return what stands beside the number: a unit, a percent sign, a currency."""
        return self.unit or ("%" if "percent" in self.kinds else self.currency)

    @property
    def readings(self) -> frozenset[tuple[str, str]]:
        """Return all ways to read it: what it is and the style; of a number, percentage or unit are what it is."""
        what = "number" if bare_too(self.mark) else f"number of {self.mark}"
        numbers = {(what, style) for style, kind in zip(STYLES, self.kinds, strict=True) if kind}
        dates = {("date", style) for style in self.dates}
        return frozenset(numbers | dates | ({("time", TIME)} if self.time else set()))


class _Shape(NamedTuple):
    """What the form of a word without its digits tells, what stands beside the number, and its sign and place."""

    form: Form
    mark: str
    numbers: tuple[tuple[float, int, int] | None, ...]
    grouped: bool
    date: bool
    time: bool


_ANY_DIGIT = str.maketrans("023456789", "1" * 9)
_LONG = 64
"""The shapes of longer words are not kept, and they are no dates."""


def form_of(word: str) -> Form:
    """Return what a word may stand for.

    Parameters
    ----------
    word : str
        A text that does not say that a value is missing.

    Returns
    -------
    Form
        `Form()` of a word that is neither number nor date nor time.
    """
    bare = word.strip()
    shape = _shape_of(bare)
    if any(shape.form.kinds) and not (shape.form.unit and _UNREAD.fullmatch(bare)):  # 0xff is no 0 of unit xff
        return shape.form
    if shape.date:
        styles = tuple(_DATES) if "/" in bare else ("month first",)  # it matters between slashes only
        dates = tuple(style for style in styles if _moment(bare, style) is not None)
        dates = tuple(_DATES) if dates and "/" not in bare else dates
        return Form(dates=dates, unread=not dates)
    if shape.time and _time(bare) is not None:
        return Form(time=True)
    return Form(unread=shape.time or _UNREAD.fullmatch(bare) is not None)


def _shape_of(bare: str) -> _Shape:
    """Return the shape of a word; a group of thousands does not begin with 0."""
    text = bare.translate(_ANY_DIGIT)
    shape = _shape(text)
    if shape.grouped:
        start = next(number for number in shape.numbers if number is not None)[1]
        if bare[start] == "0":
            return _shape(f"{text[:start]}0{text[start + 1 :]}")
    return shape


def _shape(text: str) -> _Shape:
    return _kept_shape(text) if len(text) <= _LONG else _new_shape(text)


def _new_shape(text: str) -> _Shape:
    """Return the shape of a word in which every digit is 1, or the first 0."""
    matches = [notation.pattern.fullmatch(text) for notation in _NOTATIONS.values()]
    if not any(matches):
        if (apart := _UNIT.fullmatch(text)) and any((within := _shape(apart["number"])).form.kinds):
            unit = apart["unit"] or apart["joined"]
            return within._replace(form=within.form._replace(unit=unit), mark=unit)
        date = any(pattern.fullmatch(text) for patterns in _DATES.values() for pattern in patterns)
        time = _CLOCK.fullmatch(text) is not None
        return _Shape(Form(), "", (None,) * len(STYLES), grouped=False, date=date, time=time)
    kinds, numbers, read = [], [], []
    for (style, notation), match in zip(_NOTATIONS.items(), matches, strict=True):
        kinds.append(_kind(match, style) if match else "")
        sign = -1.0 if match and {match["sign"], match["late_sign"]} & {"-", "−"} else 1.0
        numbers.append((sign, *match.span("number")) if match else None)
        read.append(match["number"].translate(notation.digits) if match else "")
    currency = "".join(sorted(set(text) & set(_CURRENCY)))
    ambiguous = bool(matches[0] and matches[1]) and read[0] != read[1]
    grouped = any(match and match["group"] for match in matches)
    form = Form(tuple(kinds), currency, ambiguous=ambiguous)
    return _Shape(form, form.mark, tuple(numbers), grouped, date=False, time=False)


_kept_shape = lru_cache(maxsize=4096)(_new_shape)


def _kind(match: re.Match[str], style: str) -> str:
    if match["percent"]:
        return "percent"
    if style != "point" and "," in match["number"]:
        return "decimal_comma"
    return "thousands_separator" if match["group"] else "number_as_text"


def bare_too(unit: str) -> bool:
    """Return whether numbers without a unit mean the same as those with it: of a currency they do."""
    return set(unit) <= set(_CURRENCY)


def written(word: str, style: str, unit: str = "") -> float | None:
    """Return what a word stands for in the style in which others were read; None if it is not written in it.

    Parameters
    ----------
    word : str
        The word.
    style, unit : str
        One of `STYLES` and the unit, percent sign or currency, a style of dates, or `TIME`; or "plain" for "-1.5e3",
        "year first" for "2024-01-31", "true or false" for those and plain numbers.

    Returns
    -------
    float or None
        The number; of a date microseconds since 1970, of a time since midnight.
    """
    bare = word.strip()
    if style in _READ:
        return _moment(bare, style) if len(bare) <= _LONG else None
    if style == TIME:
        return _time(bare)
    if style == "true or false" and bare.lower() in ("true", "false"):
        return float(bare.lower() == "true")
    if style in ("plain", "true or false"):
        return float(bare) if _PLAIN.fullmatch(bare) else None
    shape = _shape_of(bare)
    number = shape.numbers[STYLES.index(style)]
    if number is None or (shape.mark != unit and (shape.mark or not bare_too(unit))):
        return None
    sign, start, end = number
    return sign * float(bare[start:end].translate(_NOTATIONS[style].digits))


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


_CLOCK = re.compile(r"(?P<hour>[0-9]{1,2}):(?P<rest>[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)(?P<half> ?[ap]m)?", re.I)
# Hexadecimal numbers, groups of two digits as in India, and dates and times in other orders or with names of months.
_UNREAD = re.compile(
    r"0x[0-9a-f]+|[+-]?[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]*)?"
    r"|(?:[0-9]{4}([-/.])[0-9]{1,2}\1[0-9]{1,2}|[0-9]{1,2}([-/.])[0-9]{1,2}\2[0-9]{4}|[0-9]{1,2}/[0-9]{1,2}/[0-9]{2})"
    r"(?:[T ,].*)?|[0-9]{1,2}[-. ]{1,2}[a-z]{3,9}[-. ]{1,2}[0-9]{2,4}|[a-z]{3,9}\.? [0-9]{1,2},? [0-9]{4}"
    r"|[0-9]{1,3}:[0-9]{2}(?::[0-9]{2}.*)?",
    re.IGNORECASE,
)


def is_number(word: str) -> bool:
    """Whether a word is a number in some notation."""
    return form_of(word).is_number


def is_date(word: str) -> bool:
    """Whether a word is a date, whichever of day and month is first."""
    return bool(form_of(word).dates)


def _time(text: str) -> float | None:
    """Return a time of day in microseconds since midnight."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    hour = int(match["hour"])
    if match["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (match["half"].strip().lower() == "pm")
    try:
        return duration(dt.time.fromisoformat(f"{hour:02}:{match['rest']}"))
    except ValueError:  # 25 o'clock
        return None


@lru_cache(maxsize=2**16)
def _moment(text: str, style: str) -> float | None:
    """Return a date in microseconds since 1970."""
    date = _date(text, _READ[style])
    return None if date is None else moment(date)


def _date(text: str, patterns: Sequence[re.Pattern[str]]) -> dt.datetime | None:
    match = next(filter(None, (pattern.fullmatch(text) for pattern in patterns)), None)
    if match is None:
        return None
    year, month, day, hour, minute, zone = match.group("year", "month", "day", "hour", "minute", "zone")
    try:
        return dt.datetime.fromisoformat(f"{year}-{month:0>2}-{day:0>2}T{hour or 0:0>2}{minute or ':00'}{zone or ''}")
    except ValueError:  # the 30th of February
        return None
