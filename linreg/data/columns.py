"""Which columns of a table are features, target and weights, and how each of them is read."""

from __future__ import annotations

from collections.abc import Sequence

from linreg.data.blocks import rows_in_a_block
from linreg.data.encoding import ColumnEncoding, Encoding
from linreg.data.kinds import NUMERIC, Kind, Seen, cells_of
from linreg.data.notation import shown
from linreg.data.parts import Part
from linreg.data.reading import MOST_CATEGORIES
from linreg.data.tables import require_column
from linreg.hyperparameters import nearest

MOST_TEXTS = 2**20
"""A column with more different texts is refused: they are held in memory."""
WEIGHTS_KINDS = NUMERIC | {"number_as_text"}


def encoding_of(
    parts: Sequence[Part], target: str, columns: Sequence[str] | None, weights: str | None, categories: Sequence[str]
) -> Encoding:
    """Look at columns and decide how they are encoded."""
    chosen = _chosen(parts[0].names, target, columns, weights)
    for name in categories:
        if name not in chosen:
            raise ValueError(f"Categories are asked for in {name!r}, which is no feature{nearest(name, chosen)}.")
    extra = [] if weights is None else [weights]
    kinds = {}
    for name in (*chosen, target, *extra):
        seen = _seen(parts, name, name in categories)
        kinds[name] = _kind(seen, name, parts, name in categories, feature=name in chosen)
    for name in extra:
        if kinds[name].name not in WEIGHTS_KINDS:
            raise ValueError(f"The weights {name!r} are no plain numbers ({kinds[name].name}): give numbers.")
    encoded = tuple(ColumnEncoding(name, kinds[name]) for name in chosen)
    return Encoding(encoded, ColumnEncoding(target, kinds[target]), weights)


def _chosen(names: Sequence[str], target: str, columns: Sequence[str] | None, weights: str | None) -> list[str]:
    """Return the columns that features are made of."""
    for name in (target, *([] if weights is None else [weights]), *(columns or ())):
        require_column(name, names)
    chosen = [name for name in names if name not in (target, weights)] if columns is None else list(columns)
    twice = next((name for name in chosen if chosen.count(name) > 1), None) if columns is not None else None
    if twice is not None:
        raise ValueError(f"The column {twice!r} is asked for twice: give every column once.")
    for taken, role in ((target, "target"), (weights, "weights")):
        if taken in chosen:
            raise ValueError(f"The {role} {taken!r} cannot be a feature, too: leave it out of the columns.")
    if target == weights:
        raise ValueError(f"The target {target!r} cannot be the weights, too: give another column.")
    if not chosen:
        raise ValueError(
            f"The target {target!r} is the only column of the table: add at least one feature to predict it from."
            if columns is None
            else "No column is asked for: give at least one feature."
        )
    return chosen


def _seen(parts: Sequence[Part], name: str, category: bool) -> Seen:
    """Look at all values of a column, unless its type says enough."""
    seen = Seen()
    for part in parts:
        family = "" if category else part.family(name)
        if family:
            seen.families.add(family)
            continue
        size = rows_in_a_block(1)
        for first in range(0, part.count, size):
            [values] = part.columns([name], first, size)
            seen.look(cells_of(values) if category else values, f"column {name!r} of {part.label}", first)
            if len(seen.texts) > MOST_TEXTS:
                raise ValueError(
                    f"Column {name!r} of {part.label} holds more than {MOST_TEXTS} different texts: leave it out "
                    "(columns), or make numbers of it."
                )
    return seen


def _kind(seen: Seen, name: str, parts: Sequence[Part], category: bool, *, feature: bool) -> Kind:
    """Decide how a column is read, or refuse it."""
    kind = seen.categories() if category else seen.kind()
    if kind.name != "category":
        return kind
    of, row = next(iter(seen.texts.values()), (f"column {name!r} of {parts[0].label}", 0))
    example = next(iter(seen.texts), "")
    odd = None if category else seen.strange()
    if odd is not None:
        of, row = seen.texts[odd]
        how = f"correct it, or say that these are categories (--categories {name})" if feature else "correct it"
        raise ValueError(
            f"{_upper(of)} holds {shown(odd)} in row {row} (counted from 0) among numbers or dates: {how}."
        )
    if not feature:
        raise TypeError(
            f"{_upper(of)} holds text, {shown(example)} in row {row} (counted from 0), but target and weights are "
            "numbers: correct what is mistyped, or give another column. Predicting categories is classification "
            "(sklearn.linear_model.LogisticRegression)."
        )
    if len(kind.vocabulary) > MOST_CATEGORIES:
        raise ValueError(
            f"{_upper(of)} holds text, {shown(example)} in row {row} (counted from 0), and {len(kind.vocabulary)} "
            f"different ones, more than the {MOST_CATEGORIES} categories that are encoded: leave the column out "
            "(--columns), or make numbers of it."
        )
    return kind


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
