"""What is missing, infinite or negative in a table, counted and placed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from linreg.data.arrays import refuse_all_zero, refuse_negative
from linreg.data.encoding import listed
from linreg.data.notation import EXAMPLES, shown

if TYPE_CHECKING:
    from linreg.data.parts import Part
    from linreg.data.sources import Table

Array = Any


class Gaps:
    """What is missing, infinite or negative in a table."""

    def __init__(self, table: Table) -> None:
        self.table, self.whole = table, 0
        self.missing: dict[str, int] = {}
        self.places: dict[str, list[str]] = {}
        weights, positive = table.encoding.weights if table.target is not None else None, False
        for number in range(len(table)):
            if table.plain and weights is None:
                rows = table.matrix(number)
                if np.isfinite(rows.sum()):
                    self.whole += len(rows)
                    continue
            part, first, found = table.numbers(number)
            self.whole += int((~np.isnan(found).any(axis=0)).sum())
            for column, values in zip(table.encoded, found, strict=True):
                self._look(column.name, values, part, first)
                if column.name == weights:
                    refuse_negative(values, f"Column {column.name!r} of {part.label}", first)
                    positive |= bool((values > 0).any())
        if weights is not None:
            refuse_all_zero(positive, f"weight in {weights!r}")

    def _look(self, name: str, values: Array, part: Part, first: int) -> None:
        _refuse(np.isinf(values), values, name, part, first, "an infinite value, or one beyond 1.8e+308",
                "correct it, or leave its row out")  # fmt: skip
        gaps = np.flatnonzero(np.isnan(values))
        if len(gaps):
            self.missing[name] = self.missing.get(name, 0) + len(gaps)
            places = self.places.setdefault(name, [])
            where = f" of {part.label}" if len(self.table.parts) > 1 else ""
            some = gaps[: EXAMPLES - len(places)].tolist()
            places += [f"row {first + row}{where}{_spelled(part, name, first + row)}" for row in some]

    def checked(self) -> tuple[dict[str, int], int]:
        """Return missing values by column and the rows that are read; raise where they are not to be handled."""
        table = self.table
        if not self.missing:
            return {}, table.given
        if table.missing == "drop":
            if not self.whole:
                name = max(self.missing, key=lambda name: self.missing[name])
                raise ValueError(
                    f"No row is complete, most often {name!r} is missing ({self.missing[name]} of {table.given} rows): "
                    "leave that column out (--columns), or fill it in (--missing mean)."
                )
            return self.missing, self.whole
        unfilled = {
            column.name: column.kind.name == "category"
            for place, column in enumerate(table.encoded)
            if column.name in self.missing
            and (table.missing == "error" or place >= len(table.encoding.columns) or column.kind.name == "category")
        }
        for name, category in unfilled.items():
            what = f"Column {name!r} of {self._labels()}: {self._counted(name)}"
            if table.missing == "error" and table.target is None:
                raise ValueError(f"{what}, and nothing fills them in: mend them, or leave such rows out.")
            if table.missing == "error":
                more = len(unfilled) - 1
                others = f"; {more} more column{'s'[: more > 1]} ha{'ve' if more > 1 else 's'} gaps" if more else ""
                feature = name in {column.name for column in table.encoding.columns} and not category
                fill = " fill the gaps in (--missing mean or median)," if feature else ""
                raise ValueError(f"{what}{others}. Leave such rows out (--missing drop),{fill} or mend them.")
            why = f"categories have no {table.missing}" if category else "only features are filled in"
            raise ValueError(f"{what}, and {why}: leave such rows out (--missing drop), or mend them.")
        return self.missing, table.given

    def _labels(self) -> str:
        parts = self.table.parts
        return parts[0].label if len(parts) == 1 else f"{len(parts)} files"

    def _counted(self, name: str) -> str:
        places, count = self.places[name], self.missing[name]
        column = next(column for column in self.table.encoded if column.name == name)
        strays = f" (words like {listed(column.kind.strays[:EXAMPLES])} count as missing)" if column.kind.strays else ""
        first = "in " if count == len(places) else "the first in "
        are = "is" if count == 1 else "are"
        return f"{count} of {self.table.given} values {are} missing{strays}, {first}{', '.join(places)}, counted from 0"


def _spelled(part: Part, name: str, row: int) -> str:
    """Return how a missing value is written, if it is."""
    [value] = part.columns([name], row, 1)[0].tolist()
    return f" ({shown(value)})" if isinstance(value, str) else ""


def _refuse(bad: Array, values: Array, name: str, part: Part, first: int, what: str, do: str) -> None:
    """Raise for the first of some bad values."""
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"Column {name!r} of {part.label} holds {values[row]!s} in row {first + row} (counted from 0), {what}: "
            f"{do}."
        )
