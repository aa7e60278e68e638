"""Which columns of a table are features, target and weights, and how each of them is read."""

from __future__ import annotations

from collections.abc import Sequence

from linreg.data.blocks import rows_in_a_block
from linreg.data.encoding import ColumnEncoding, Encoding
from linreg.data.kinds import NUMERIC, Kind, cells_of
from linreg.data.notation import shown, written
from linreg.data.parts import Part
from linreg.data.reading import MOST_CATEGORIES
from linreg.data.seen import Seen, Value
from linreg.data.tables import require_column
from linreg.hyperparameters import nearest

MOST_TEXTS = 2**16
"""So many different texts of a column are held in memory; with more of them it is refused, unless it holds numbers."""
WEIGHTS_KINDS = NUMERIC | {"number_as_text"}


def encoding_of(
    parts: Sequence[Part], target: str, columns: Sequence[str] | None, weights: str | None, categories: Sequence[str]
) -> Encoding:
    """Look at columns and decide how they are encoded."""
    chosen = chosen_columns(parts[0].names, target, columns, weights)
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


def chosen_columns(names: Sequence[str], target: str, columns: Sequence[str] | None, weights: str | None) -> list[str]:
    """Return the columns that features are made of.

    Parameters
    ----------
    names : sequence of str
        All columns.
    target : str
        Column to predict.
    columns : sequence of str or None
        What is asked for; None for all but target and weights.
    weights : str or None
        Column of the weights of rows.

    Returns
    -------
    list of str
        The columns.

    Raises
    ------
    ValueError
        If one is missing, asked for twice or in two roles, or there is none.
    """
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
    seen, alike = Seen(MOST_TEXTS), len({part.family(name) for part in parts}) == 1
    for part in parts:
        family, label = "" if category else part.family(name), f"column {name!r} of {part.label}"
        if family and alike:
            seen.families |= {family} - {"empty"}
            continue
        size = rows_in_a_block(1)
        for first in range(0, part.count, size):
            [values] = part.columns([name], first, size)
            seen.look(cells_of(values) if category else values, label, first, bare_commas=part.layout.separator == ";")
            if family and family in seen.families:
                break
            if seen.more and (category or seen.hopeless()):
                raise _too_many(label)
    return seen


def _too_many(label: str) -> ValueError:
    return ValueError(
        f"{_upper(label)} holds more than {MOST_TEXTS} different texts: leave it out (columns), or make numbers of it."
    )


def _kind(seen: Seen, name: str, parts: Sequence[Part], category: bool, *, feature: bool) -> Kind:
    """Decide how a column is read, or refuse it."""
    decimal_commas = any(part.layout.decimal_commas for part in parts)
    kind = seen.categories() if category else seen.kind(decimal_commas=decimal_commas)
    or_categories = f", or say that these are categories (--categories {name})" if feature else ""
    if not category:
        _refuse_clash(seen.clash(), or_categories)
        if seen.unsure is not None and not decimal_commas:
            _refuse_unsure(seen.unsure, kind, seen.kind(decimal_commas=True))
    if kind.name != "category":
        return kind
    example, of, row, _ = next(iter(seen.texts.values()), Value("", f"column {name!r} of {parts[0].label}", 0))
    odd = None if category else seen.strange()
    if odd is not None:
        raise ValueError(
            f"{_upper(odd.label)} holds {shown(odd.text)} in row {odd.row} (counted from 0) among numbers or dates: "
            f"correct it{or_categories}."
        )
    if seen.more:
        raise _too_many(of)
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


def _refuse_clash(values: Sequence[Value], or_categories: str) -> None:
    """Raise for two values that cannot be read in one way, or one that cannot be read at all."""
    if not values:
        return
    first, *others = values
    held = f"{_upper(first.label)} holds {shown(first.text)} in row {first.row}"
    if not others:
        raise ValueError(
            f"{held} (counted from 0), which looks like a number, a date or a time but is in no notation that is read: "
            f"write it in another{or_categories}."
        )
    [other] = others
    where = "" if other.label == first.label else f" of {other.label.partition(' of ')[2]}"
    raise ValueError(
        f"{held} and {shown(other.text)} in row {other.row}{where} (counted from 0), which are not numbers, dates or "
        f"times in one notation and one unit: write them alike{or_categories}."
    )


def _refuse_unsure(value: Value, point: Kind, comma: Kind) -> None:
    """Raise if a value is read as another number in either kind."""
    one, other = (written(value.text, kind.style, kind.unit) if kind.style else None for kind in (point, comma))
    if one != other and one is not None and other is not None:
        raise ValueError(
            f"{_upper(value.label)} holds {shown(value.text)} in row {value.row} (counted from 0), which is {one:.15g} "
            f"or {other:.15g}, and no other column of the file shows a decimal comma: leave commas between thousands "
            "out, or write decimals with a point."
        )


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
