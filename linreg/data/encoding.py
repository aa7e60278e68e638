"""How the columns of a table became numbers, kept so that new rows become numbers in the same way.

An encoding is plain values (`to_dict`, `from_dict`), so that a file can hold it beside a model.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.data.kinds import Kind
from linreg.data.notation import shown

Array = Any

NAMED = 6
"""So many categories are listed in an error or a note."""
MISSING = ("error", "drop", "mean", "median")
TYPED_KINDS = ("number", "boolean", "duration")
TEXT_KINDS = ("number_as_text", "thousands_separator", "decimal_comma", "percent")
SHAPES = {
    "point": "1,234.5", "comma": "1.234,5", "either": "12,5", "month first": "12/31/2024", "day first": "31/12/2024",
}  # fmt: skip
"""Every style in which text is read, and an example of it."""


@dataclass(frozen=True)
class ColumnEncoding:
    """How one column became numbers.

    Parameters
    ----------
    name : str
        Its name.
    kind : Kind
        How its values are read.
    fill : float or None
        What stands in the place of missing values, in units of the numbers; None where they stay missing.
    """

    name: str
    kind: Kind
    fill: float | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features: its own, or "colour=red" for each category but the first."""
        return tuple(feature_names(self.name, self.kind))

    def numbers(self, values: Array, label: str, first: int = 0) -> Array:
        """Return values as numbers.

        Parameters
        ----------
        values : array of shape (rows,)
            Values of whatever type.
        label : str
            What to call the table in errors.
        first : int, default=0
            Row of the first value.

        Returns
        -------
        array of shape (rows,)
            In float64, nan where missing and not filled; of categories, places in the vocabulary.

        Raises
        ------
        TypeError
            If something is no single value.
        ValueError
            If a value is not of this kind, such as a category that was not seen before.
        """
        found, strange = self.kind.numbers(values, f"column {self.name!r} of {label}", first)
        if len(strange):
            value = values[strange[0]]
            what = shown(value) if isinstance(value, str) else str(value)
            other = "train anew on rows that have it" if self.kind.name == "category" else "leave its row out"
            raise ValueError(
                f"Column {self.name!r} of {label} holds {what} in row {first + int(strange[0])} (counted from 0), but "
                f"{self._expected()}: correct it, or {other}."
            )
        return found if self.fill is None else np.where(np.isnan(found), self.fill, found)

    def _expected(self) -> str:
        if self.kind.name == "category":
            return f"its categories are {listed(self.kind.vocabulary)}"
        what = {"date": "dates", "duration": "durations", "boolean": "true and false"}.get(self.kind.name, "numbers")
        shape = {"number": "1234.5", "date": "2024-12-31"}.get(self.kind.name, "")
        written = " ".join(filter(None, [SHAPES.get(self.kind.style, shape), self.kind.unit]))
        example = self.kind.examples[0] if self.kind.examples else shown(written) if written else ""
        return f"{what}{f' like {example}' if example else ''} are expected there"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        kind = self.kind
        return {
            "column": self.name, "kind": kind.name, "style": kind.style, "unit": kind.unit,
            "strays": list(kind.strays), "origin": float(kind.origin), "categories": list(kind.vocabulary),
            "fill": self.fill,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, plain: Any) -> ColumnEncoding:
        """Return the encoding that `to_dict` has made plain; ValueError if it cannot be one."""
        expected = {"column": str, "kind": str, "style": str, "unit": str, "strays": list, "origin": float | int,
                    "categories": list, "fill": float | int | None}  # fmt: skip
        _require_fields(plain, expected, "an encoded column")
        texts = [*plain["strays"], *plain["categories"]]
        numbers = [plain["origin"], 0.0 if plain["fill"] is None else plain["fill"]]
        name = shown(plain["column"])
        if not all(isinstance(text, str) for text in texts) or not all(map(_is_finite, numbers)):
            raise ValueError(f"The encoding of column {name} holds values of a wrong type: write it anew.")
        kind = Kind(plain["kind"], plain["style"], plain["unit"], tuple(plain["strays"]), float(plain["origin"]),
                    tuple(plain["categories"]))  # fmt: skip
        if not _is_whole(kind) or (kind.name == "category" and plain["fill"] is not None):
            raise ValueError(f"The encoding of column {name} is of an unknown kind: write it anew.")
        return cls(plain["column"], kind, None if plain["fill"] is None else float(plain["fill"]))


@dataclass(frozen=True)
class Encoding:
    """How a table became features, target and weights.

    Parameters
    ----------
    columns : tuple of ColumnEncoding
        The columns that features come of, in order.
    target : ColumnEncoding
        The column to predict.
    weights : str or None
        The column of weights.
    missing : {"error", "drop", "mean", "median"}
        What was done to rows with missing values.
    """

    columns: tuple[ColumnEncoding, ...]
    target: ColumnEncoding
    weights: str | None = None
    missing: str = "error"

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(name for column in self.columns for name in feature_names(column.name, column.kind))

    def makes(self, names: Sequence[str]) -> bool:
        """Whether the features have these names; of others, no more are made than there are names."""
        made = (name for column in self.columns for name in feature_names(column.name, column.kind))
        return all(one == other for one, other in itertools.zip_longest(made, names))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "columns": [column.to_dict() for column in self.columns],
            "target": self.target.to_dict(),
            "weights": self.weights,
            "missing": self.missing,
        }

    @classmethod
    def from_dict(cls, plain: Any) -> Encoding:
        """Return the encoding that `to_dict` has made plain; ValueError if it cannot be one."""
        expected = {"columns": list, "target": dict, "weights": str | None, "missing": str}
        _require_fields(plain, expected, "an encoding")
        columns = tuple(map(ColumnEncoding.from_dict, plain["columns"]))
        target = ColumnEncoding.from_dict(plain["target"])
        names = [column.name for column in (*columns, target)] + [plain["weights"]]
        if not columns or len(set(names)) < len(names):
            raise ValueError("The encoding has no columns, or the same one twice: write it anew.")
        if target.kind.name == "category" or target.fill is not None:
            raise ValueError(f"The target {shown(target.name)} of the encoding is no number: write it anew.")
        if plain["missing"] not in MISSING:
            raise ValueError("The encoding does not say what was done to missing values: write it anew.")
        return cls(columns, target, plain["weights"], plain["missing"])


def feature_names(name: str, kind: Kind) -> Iterator[str]:
    """Yield the names of the features that come of a column.

    Parameters
    ----------
    name : str
        Name of the column.
    kind : Kind
        Its kind.

    Yields
    ------
    str
        The column's, or "colour=red" for each category but the first.
    """
    if kind.name != "category":
        yield name
    else:
        yield from (f"{name}={category}" for category in kind.vocabulary[1:])


def one_hot(name: str, kind: Kind, values: Array) -> Iterator[tuple[str, Array]]:
    """Yield the names and values of the features that come of a column.

    Parameters
    ----------
    name : str
        Name of the column.
    kind : Kind
        Its kind.
    values : array of shape (rows,)
        Its numbers; of categories, places in the vocabulary.

    Yields
    ------
    name : str
        The column's, or "colour=red" for each category but the first.
    values : array of shape (rows,)
        The numbers; 1 where that category stands, else 0, nan where none does.
    """
    missing = np.isnan(values)
    for place, feature in enumerate(feature_names(name, kind), start=1):
        yield feature, np.where(missing, np.nan, values == place) if kind.name == "category" else values


def require_different(names: Sequence[str]) -> None:
    """Raise if a name is there twice: that of a column "c=b" beside the category "b" of a column "c".

    Parameters
    ----------
    names : sequence of str
        Names of features, and of the target if there is one.

    Raises
    ------
    ValueError
        If one occurs twice.
    """
    name, times = Counter(names).most_common(1)[0] if names else ("", 1)
    if times > 1:
        raise ValueError(
            f"{times} columns of numbers would be called {shown(name)}, one of them for a category: rename the column "
            "of that name, or leave it out (columns)."
        )


def listed(texts: tuple[str, ...]) -> str:
    """Return some texts as they are shown in an error: the first few."""
    return ", ".join(map(shown, texts[:NAMED])) + (f" and {len(texts) - NAMED} more" if len(texts) > NAMED else "")


def _is_finite(number: Any) -> bool:
    """Whether this is a number that float64 holds."""
    try:
        return type(number) in (int, float) and math.isfinite(number)
    except OverflowError:
        return False


def _is_whole(kind: Kind) -> bool:
    """Whether `linreg.data.kinds.Seen` can have decided on a kind: on this name with this style and these words."""
    if any(one >= other for texts in (kind.strays, kind.vocabulary) for one, other in itertools.pairwise(texts)):
        return False
    if kind.name == "category":
        return len(kind.vocabulary) > 0 and kind == Kind("category", vocabulary=kind.vocabulary)
    if kind.name == "date":
        return kind.style in ("", "month first", "day first") and kind == Kind("date", kind.style, origin=kind.origin)
    if kind.name in TYPED_KINDS:
        return kind == Kind(kind.name)
    unread = kind == Kind("number_as_text", strays=kind.strays)
    read = kind.name in TEXT_KINDS and kind.style in ("point", "comma", "either")
    return unread or (read and kind == Kind(kind.name, kind.style, kind.unit, kind.strays))


def _require_fields(plain: Any, expected: dict[str, Any], what: str) -> None:
    """Raise unless this is a dict of just these fields, each of its type."""
    if not isinstance(plain, dict) or set(plain) != set(expected):
        raise ValueError(f"Expected {what} as a dict with {', '.join(expected)}: write it anew with to_dict().")
    wrong = next((name for name, kind in expected.items() if not isinstance(plain[name], kind)), None)
    if wrong is not None:
        value = " ".join(repr(plain[wrong]).split())
        raise ValueError(f"{what[0].upper()}{what[1:]} has {value:.60} as {wrong!r}: write it anew.")
