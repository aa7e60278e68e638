"""What the columns of CSV files hold: numbers, booleans, dates, or text whose notation is to be found out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars

    from linreg.data.csv_files import Layout

# What other programs write into a cell without a value (R, pandas, spreadsheets, databases).
_MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL")
# A number that has a decimal comma for sure, and one whose points may all stand between thousands.
_DECIMAL_COMMA = r"^[+-]?(?:0,[0-9]+|[0-9]{4,},[0-9]+|[0-9]{1,3},(?:[0-9]{1,2}|[0-9]{4,}))$"
_GROUPED = r"^[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+$"


class Types:
    """What the columns of a table of text hold, seen frame by frame: numbers, booleans, dates, or text.

    One of these looks at all files of a table before any is read, so that a column is of one type in all of them.

    Parameters
    ----------
    text : collection of str
        Columns that stay text whatever stands in them.
    """

    def __init__(self, text: Collection[str] = ()) -> None:
        self._text = text
        self._kinds: dict[str, str] = {}
        self._grouped: dict[str, bool] = {}
        self._decimal_commas = False

    def look(self, frame: polars.DataFrame, layout: Layout) -> None:
        """Look at more rows of a file of this layout."""
        for name, series in _bare(frame, [name for name in frame.columns if name not in self._text]):
            before = self._kinds.get(name, "")
            if before != "text" and series.null_count() < len(series):
                found = next((how for how, read in _READINGS.items() if _fits(read, series)), "text")
                both = {before, found} - {""}
                numbers = both == {"whole", "number"}
                self._kinds[name] = found if len(both) == 1 else "number" if numbers else "text"
            if layout.separator == ";":
                self._look_at_marks(name, series, layout)

    def _look_at_marks(self, name: str, series: polars.Series, layout: Layout) -> None:
        """Look for decimal commas, and whether all points may stand between thousands."""
        if self._kinds.get(name) == "text" and not layout.decimal_commas:
            layout.decimal_commas = bool(series.str.contains(_DECIMAL_COMMA).any())
            self._decimal_commas |= layout.decimal_commas
        if self._kinds.get(name) == "number" and self._grouped.get(name, True):
            pointed = series.filter(series.str.contains(".", literal=True).fill_null(value=False))
            if len(pointed):
                self._grouped[name] = bool(pointed.str.contains(_GROUPED).all())

    def keep_text(self, names: Collection[str]) -> None:
        """Keep these columns as text: elsewhere they are.

        Parameters
        ----------
        names : collection of str
            The columns.
        """
        self._kinds |= dict.fromkeys(names, "text")

    def read(self, frame: polars.DataFrame) -> polars.DataFrame:
        """Return rows as what their columns hold.

        Parameters
        ----------
        frame : polars.DataFrame
            Columns of type String.

        Returns
        -------
        polars.DataFrame
            Columns of type Int64, Float64, Boolean, Date or Datetime (of ISO 8601 dates), or String. Missing values,
            also spelled NA, N/A, NaN or null, are null, but in text; there are no spaces around text.
        """
        import polars

        kinds = {name: self._kinds.get(name, "number") for name in frame.columns if name not in self._text}
        if self._decimal_commas:  # "1.234" may be more than a thousand
            kinds = {name: how for name, how in kinds.items() if not self._grouped.get(name)}
        kinds = {name: how for name, how in kinds.items() if how != "text"}
        read = {name: _READINGS[kinds[name]](series) for name, series in _bare(frame, list(kinds))}
        for name in frame.columns:
            if name not in read:
                read[name] = frame.get_column(name).alias("").str.strip_chars().replace("", None)
        return polars.DataFrame([read[name].alias(name) for name in frame.columns])


def _bare(frame: polars.DataFrame, names: list[str]) -> Iterator[tuple[str, polars.Series]]:
    """Yield columns of text by name, without spaces around values, null where they say that they are missing."""
    for name in names:
        # What polars does to a series, it does by its name, which it reads like a pattern if it looks like one.
        stripped = frame.get_column(name).alias("").str.strip_chars()
        gone = stripped.is_in(list(_MISSING))
        yield name, stripped.set(gone, None) if gone.any() else stripped


def _fits(read: Callable[[polars.Series], polars.Series], series: polars.Series) -> bool:
    return read(series).null_count() == series.null_count()


def _boolean(series: polars.Series) -> polars.Series:
    import polars

    return series.str.to_lowercase().replace_strict(
        {"true": True, "false": False}, default=None, return_dtype=polars.Boolean
    )


def _cast(kind: str) -> Callable[[polars.Series], polars.Series]:
    def cast(series: polars.Series) -> polars.Series:
        import polars

        return series.cast(getattr(polars, kind), strict=False)

    return cast


def _moment(pattern: str) -> Callable[[polars.Series], polars.Series]:
    return lambda series: series.str.to_datetime(pattern, time_unit="us", strict=False, exact=True)


_READINGS: dict[str, Callable[[polars.Series], polars.Series]] = {
    "whole": _cast("Int64"),
    "number": _cast("Float64"),
    "boolean": _boolean,
    "date": lambda series: series.str.to_date("%Y-%m-%d", strict=False, exact=True),
    "moment": _moment("%Y-%m-%dT%H:%M:%S%.f"),
    "moment_apart": _moment("%Y-%m-%d %H:%M:%S%.f"),
}
