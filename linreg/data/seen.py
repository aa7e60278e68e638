"""What has been seen of a column, and how it is to be read: what is kept does not grow with the rows.

A word counts by its form, by what it may stand for. The forms are few, however many different words there are.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from linreg.data.families import as_text
from linreg.data.kinds import NUMERIC, Kind, only_text, told
from linreg.data.moments import DAY, moment_text
from linreg.data.notation import (
    EXAMPLES,
    STYLES,
    TEXT_KINDS,
    TIME,
    Form,
    bare_too,
    form_of,
    is_date,
    is_number,
    says_missing,
    shown,
    written,
)

Array = Any

STRAY = 0.1
"""Share of the rows in which words may stand between numbers: a header that was pasted twice, "unknown"."""
DIFFERENT = 10
"""Different numbers, for each such word, of a column that holds no categories."""
MOST_STRAYS = 2**12
"""With more different words between them numbers are no numbers."""
MOST_FORMS = 2**10
"""So many forms are kept: there are more only of units, and the first two of these are as good as all."""
MOST_KNOWN = 2**16
"""Of so many words the form is kept."""
TYPES = {
    "number": frozenset(("number", style) for style in STYLES),
    "boolean": frozenset({("boolean", "")}),
    "date": frozenset({("date", "month first"), ("date", "day first")}),
    "duration": frozenset({("time", TIME)}),
}
"""How values may be read that are no text, as `linreg.data.notation.Form.readings`."""


class Value(NamedTuple):
    """A value as it is shown, the column and row where it stands, and its number among all that were seen."""

    text: str
    label: str
    row: int
    place: int = 0


class _Read(NamedTuple):
    """How a value, the first of those like it, may be read, and its currency."""

    first: Value
    readings: frozenset[tuple[str, str]]
    currency: str

    def fits(self, other: _Read) -> bool:
        return bool(self.readings & other.readings) and (
            "" in (self.currency, other.currency) or self.currency == other.currency
        )


@dataclass
class Words:
    """Words of one form: in how many rows they stand, and the first few of them."""

    rows: int = 0
    first: list[Value] = field(default_factory=list)


class Seen:
    """What has been seen of a column, some of its values at a time.

    Parameters
    ----------
    most : float, default=inf
        So many different texts are kept, for they may be categories.

    Attributes
    ----------
    families : set of str
        What values are that are no text.
    texts : dict of str to Value
        Different texts with the place where each stands first.
    more : bool
        Whether there are others.
    gone : list of str
        The first words that say that a value is missing.
    unsure : Value or None
        The first word that is another number with a decimal comma than with a point, where a comma needs no quotation
        marks.
    """

    def __init__(self, most: float = math.inf) -> None:
        self.families: set[str] = set()
        self.texts: dict[str, Value] = {}
        self.more = False
        self.gone: list[str] = []
        self.unsure: Value | None = None
        self._most = most
        self._rows = 0
        self._forms: dict[Form, Words] = {}
        self._known: dict[str, Form] = {}
        self._typed: dict[str, Value] = {}
        self._odd: set[str] = set()
        self._numbers: set[str | float] = set()
        self._earliest = math.inf
        self._earliest_in = dict.fromkeys(("month first", "day first"), math.inf)
        self._place = itertools.count()

    @property
    def words(self) -> bool:
        """Whether there are words that do not say that a value is missing."""
        return bool(self._forms)

    def look(self, values: Array, label: str, first: int = 0, *, bare_commas: bool = False) -> None:
        """Look at more values of the column; label and row tell where they stand.

        Parameters
        ----------
        values : array of shape (rows,)
            Values of whatever type.
        label : str
            What to call the column in errors.
        first : int, default=0
            Row of the first value.
        bare_commas : bool, default=False
            Whether they come of a file in which a value may hold a comma without quotation marks.
        """
        if values.dtype.kind == "O" and only_text(cells := values.tolist()):
            self._rows += len(cells)
            rows = dict(zip(reversed(cells), range(first + len(cells) - 1, first - 1, -1), strict=True))
            counts = Counter(cells)
            counts.pop(None, None)
            for word, count in counts.items():
                self._word(word, count, label, rows[word], bare_commas=bare_commas)
        else:
            self.add(*told(values, label, first), label, first)

    def add(self, family: Any, found: Array, cells: list[Any] | None, label: str = "", first: int = 0) -> None:
        """Add what `told` says of more values of the column."""
        self._rows += len(found)
        present = np.flatnonzero(~np.isnan(found))
        if cells is None:
            if len(present):
                self.holds(family, found[present[0]], label, first + int(present[0]))
                self._earliest = min(self._earliest, found[present].min()) if family == "date" else self._earliest
            return
        self._earliest = min(self._earliest, found[family == "date"].min(initial=np.inf))
        if len(self._numbers) < DIFFERENT * MOST_STRAYS:
            self._numbers |= set(found[present].tolist())
        for row, (cell, of) in enumerate(zip(cells, family.tolist(), strict=True), start=first):
            if of == "text":
                self._word(as_text(cell), 1, label, row)
            elif of:
                self.holds(of, cell, label, row)
                self._text(as_text(cell), label, row)

    def holds(self, family: str, value: Any, label: str, row: int) -> None:
        """Take down that there are values of a type, and the first of them.

        Parameters
        ----------
        family : str
            As `families_of` gives it.
        value : object
            The value; a date or a duration that is a float, in microseconds.
        label : str
            What to call the column in errors.
        row : int
            Its row.
        """
        if family not in self.families:
            self.families.add(family)
            text = f"{bool(value)}".lower() if family == "boolean" else f"{value}"
            if isinstance(value, float) and family in {"date", "duration"}:
                text = moment_text(value) if family == "date" else f"{value / DAY:g} days"
            self._typed[family] = Value(text, label, row, next(self._place))

    def _text(self, word: str, label: str, row: int) -> None:
        if len(self.texts) < self._most:
            if word not in self.texts:
                self.texts[word] = Value(word, label, row)
        elif not self.more and word not in self.texts:
            self.more = True

    def _word(self, word: str, count: int, label: str, row: int, *, bare_commas: bool = False) -> None:
        """Add a word that stands in `count` rows, in `row` first."""
        form = self._known.get(word)
        if form is not None:
            if form in self._forms:
                self._forms[form].rows += count
                if form.ambiguous and bare_commas and self.unsure is None:
                    self.unsure = Value(word, label, row)
            return
        if not self.more:
            self._text(word, label, row)
        form = form_of(word)
        if form == _WORD and says_missing(word):
            form = _MISSING
        if len(self._known) < MOST_KNOWN:
            self._known[word] = form
        self._new_word(word, form, count, Value(word, label, row, next(self._place)), bare_commas=bare_commas)

    def _new_word(self, word: str, form: Form, count: int, value: Value, *, bare_commas: bool) -> None:
        if form is _MISSING:
            if len(self.gone) < EXAMPLES and word not in self.gone:
                self.gone.append(word)
            return
        words = self._forms.get(form)
        if words is None:
            if len(self._forms) >= MOST_FORMS:
                return
            words = self._forms[form] = Words()
        words.rows += count
        if len(words.first) < EXAMPLES and all(word != other.text for other in words.first):
            words.first.append(value)
        if form.ambiguous and bare_commas and self.unsure is None:
            self.unsure = value
        if form.is_number:
            if len(self._numbers) < DIFFERENT * MOST_STRAYS:
                self._numbers.add(word)
        elif len(self._odd) <= MOST_STRAYS:
            self._odd.add(word)
        moment = math.inf
        for place, style in enumerate(form.dates):
            if place == 0 or "/" in word:
                moment = written(word, style) or 0.0
            self._earliest_in[style] = min(self._earliest_in[style], moment)

    def kind(self, *, decimal_commas: bool = False) -> Kind:
        """Decide how the column is to be read.

        Parameters
        ----------
        decimal_commas : bool, default=False
            Whether other columns show that "1,234" is a bit more than 1.

        Returns
        -------
        Kind
            The kind.
        """
        if self._forms:
            return self._of_words(decimal_commas=decimal_commas) or self.categories()
        if self.families <= NUMERIC:
            of_them_all = "boolean" if self.families == {"boolean"} else "number"
            return Kind("number_as_text" if self.gone else of_them_all)
        if self.families <= {"date"}:
            return Kind("date", origin=float(self._earliest))
        return Kind("duration") if self.families <= {"duration"} else self.categories()

    def _of_words(self, *, decimal_commas: bool) -> Kind | None:
        """Read words as numbers, dates or times, if that is what they are; with strays among them."""
        forms = list(self._forms)
        if self.families <= NUMERIC and (kind := self._numeric(forms, decimal_commas=decimal_commas)):
            return kind
        if self.families <= {"date"} and (styles := _shared(form.dates for form in forms)):
            style = next(style for style in self._earliest_in if style in styles)
            first = self._first(forms)
            examples = [f"{shown(word)} = {moment_text(written(word, style) or 0.0)}" for word in first]
            origin = float(min(self._earliest, self._earliest_in[style]))
            return Kind("date", style, origin=origin, examples=examples, sample=first[0])
        if self.families <= {"duration"} and all(form.time for form in forms):
            return Kind("duration")
        return self._with_strays(decimal_commas=decimal_commas) if self.families <= NUMERIC else None

    def _with_strays(self, *, decimal_commas: bool) -> Kind | None:
        """Read numbers between which a few words stand that count as missing, if they are no categories."""
        numbers = [form for form in self._forms if form.is_number]
        stray = sum(words.rows for form, words in self._forms.items() if not form.is_number)
        different = len(self._numbers)
        if stray > STRAY * self._rows or different < DIFFERENT * len(self._odd) or len(self._odd) > MOST_STRAYS:
            return None
        kind = self._numeric(numbers, decimal_commas=decimal_commas) if numbers else Kind("number_as_text")
        if kind is None:
            return None
        odd = sorted(self._odd)
        return Kind(kind.name, kind.style, kind.unit, tuple(odd), examples=[shown(odd[0]), *kind.examples],
                    sample=kind.sample)  # fmt: skip

    def _numeric(self, forms: Sequence[Form], *, decimal_commas: bool) -> Kind | None:
        """Read words of some forms as numbers in one notation, with one unit or currency, or all of them as percent."""
        marks = {form.mark for form in forms}
        unit = max(marks)  # a currency, if there is one
        order = ("comma", "point", "either") if decimal_commas and any(form.ambiguous for form in forms) else STYLES
        style = next((style for style in order if all(form.kinds[STYLES.index(style)] for form in forms)), None)
        if style is None or (self.families and not bare_too(unit)):
            return None
        if len(marks - ({""} if bare_too(unit) else set())) > 1:
            return None
        kinds = {form: form.kinds[STYLES.index(style)] for form in forms}
        name = next(kind for kind in TEXT_KINDS if kind in kinds.values())
        first = self._first(forms if not bare_too(unit) else [form for form in forms if kinds[form] == name])
        return Kind(name, style, unit, examples=list(map(shown, first)), sample=first[0])

    def _first(self, forms: Iterable[Form]) -> list[str]:
        """Return the first few words of some forms."""
        first = sorted((value for form in forms for value in self._forms[form].first), key=lambda value: value.place)
        return [value.text for value in first[:EXAMPLES]]

    def strange(self) -> Value | None:
        """Return the first word that is no number, date or time, if there are others that are."""
        odd = self._forms.get(_WORD)
        return odd.first[0] if odd is not None and (self.families or len(self._forms) > 1) else None

    def clash(self) -> list[Value]:
        """Return the first two numbers, dates or times that cannot be read in one way, or one that is not read at all.

        Returns
        -------
        list of Value
            Nothing where there is one way to read all of them.
        """
        found = [_Read(value, TYPES[family], "") for family, value in self._typed.items() if family in TYPES]
        found += [_Read(words.first[0], form.readings, form.currency)
                  for form, words in self._forms.items() if form != _WORD]  # fmt: skip
        found.sort(key=lambda one: one.first.place)
        for i, one in enumerate(found):
            shared = frozenset.intersection(*(other.readings for other in found[: i + 1]))
            if not shared or len({other.currency for other in found[: i + 1]} - {""}) > 1:
                others = [other for other in found[:i] if not one.fits(other)] or found[:i]
                return [other.first for other in others[:1]] + [one.first]
        return []

    def hopeless(self) -> bool:
        """Whether there are more texts than are kept, and nothing but words so far."""
        return self.more and not self.families and all(form in (_WORD, _UNREAD) for form in self._forms)

    def categories(self) -> Kind:
        """Read as categories; if some of them are numbers or dates, those that are none are shown."""
        strange = (word for word in self.texts if not (says_missing(word) or is_number(word) or is_date(word)))
        examples = list(itertools.islice(strange, EXAMPLES)) or list(self.texts)[:EXAMPLES]
        return Kind("category", vocabulary=tuple(sorted(self.texts)), examples=list(map(shown, examples)))


_WORD, _UNREAD, _MISSING = Form(), Form(unread=True), Form(unit="missing")


def _shared(sets: Iterable[Iterable[str]]) -> set[str]:
    """Return what all have."""
    return set.intersection(*map(set, sets))
