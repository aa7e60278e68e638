"""Reading data that are no plain numbers: what was meant is what training gets, and what stood there is told."""

import datetime as dt
import decimal
import fractions
import itertools
import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from hypothesis import assume, given
from hypothesis import strategies as st
from test_bad_input import ANYTHING, SAME_X, SAME_Y, Y

from linreg.data import arrays
from linreg.data.reading import Column, read

NAN, INF = np.nan, np.inf
DATE, TIME = dt.date, dt.datetime


def column_of(cells):
    """The column that these cells make, and its numbers (None for nan) or those of all that it was made into.

    X has a plain column on either side of it.
    """
    rows = len(cells)
    frame = pd.DataFrame({"a": np.arange(rows), "b": pd.Series(cells, dtype=object), "c": np.arange(rows)})
    reading = read(frame, np.arange(rows))
    assert reading.X.dtype == np.float64
    assert reading.X.shape == (rows, len(reading.names))
    assert reading.target == Column("y", "number", 0, 0, (), (), ())
    assert [column.name for column in reading.columns] == ["a", "b", "c"]
    assert reading.columns[0].kind == reading.columns[2].kind == "number"
    own = [place for place, name in enumerate(reading.names) if name.startswith("b")]
    assert [reading.X[:, place].tolist() for place in (0, -1)] == [list(range(rows))] * 2
    if len(own) != 1:
        return reading.columns[1], reading.X[:, own]
    return reading.columns[1], [None if math.isnan(number) else number for number in reading.X[:, own[0]].tolist()]


# What stands in a column, its kind, its numbers, and which examples are shown.
COLUMNS = {
    # numbers
    "floats": ([1.5, -2.0], "number", [1.5, -2], []),
    "ints": ([1, 2**70], "number", [1, 2.0**70], []),
    "decimals": ([decimal.Decimal("0.1"), decimal.Decimal("NaN")], "number", [0.1, None], ["NaN"]),
    "fractions": ([fractions.Fraction(1, 4), 2], "number", [0.25, 2], []),
    "NumPy scalars": ([np.float32(0.5), np.int8(3)], "number", [0.5, 3], []),
    "nan": ([1.0, NAN], "number", [1, None], ["nan"]),
    "None and NA and NaT": ([None, pd.NA, pd.NaT, 1], "number", [None, None, None, 1], ["None", "<NA>", "NaT"]),
    "masked": ([np.ma.masked, 1], "number", [None, 1], ["--"]),
    "infinity": ([INF, -INF, 1.0], "number", [None, None, 1], ["-inf", "inf"]),
    "beyond float64": ([10**400, -(10**400), 1], "number", [None, None, 1], ["-inf", "inf"]),
    "missing in words among numbers": ([1, "NA", "?"], "number_as_text", [1, None, None], ["'NA'", "'?'"]),
    "numbers and booleans": ([1, True], "number", [1, 1], []),
    # booleans
    "booleans": ([True, False], "boolean", [1, 0], []),
    "NumPy booleans": ([np.True_, np.False_], "boolean", [1, 0], []),
    "booleans and None": ([True, None], "boolean", [1, None], ["None"]),
    "booleans and NA in words": ([True, "NA"], "number_as_text", [1, None], ["'NA'"]),
    # nothing
    "only None": ([None, None], "empty", [None, None], ["None"]),
    "only words for missing": (["", "NA"], "empty", [None, None], ["''", "'NA'"]),
    "only NaT": ([pd.NaT, pd.NaT], "empty", [None, None], ["NaT"]),
    # numbers as text
    "a unit behind each": (["1 kg", "2.5 kg"], "number_as_text", [1, 2.5], ["'1 kg'", "'2.5 kg'"]),
    "a unit joined to each": (["1kg", "2,500kg"], "thousands_separator", [1, 2500], ["'1kg'", "'2,500kg'"]),
    "digits": (["1", "2.5"], "number_as_text", [1, 2.5], ["'1'", "'2.5'"]),
    "spaces around": ([" 1", "2\t", "\u00a03"], "number_as_text", [1, 2, 3], ["' 1'", "'2\\t'", "'\\xa03'"]),
    "signs and exponents": (["+1", "-2e3", "4E-1"], "number_as_text", [1, -2000, 0.4], ["'+1'", "'-2e3'", "'4E-1'"]),
    "bare points": ([".5", "5."], "number_as_text", [0.5, 5], ["'.5'", "'5.'"]),
    "minus of typographers": (["−5", "1"], "number_as_text", [-5, 1], ["'−5'", "'1'"]),
    "bytes": ([b"1", b"2"], "number_as_text", [1, 2], ["'1'", "'2'"]),
    "text among numbers": ([1, "2", 3.5], "number_as_text", [1, 2, 3.5], ["'2'"]),
    "text among booleans": ([True, "2"], "number_as_text", [1, 2], ["'2'"]),
    "one question mark": (["1", "?", "3", "4"], "number_as_text", [1, None, 3, 4], ["'1'", "'3'", "'?'"]),
    "a spreadsheet's errors": (["1", "#DIV/0!"], "number_as_text", [1, None], ["'1'", "'#DIV/0!'"]),
    "infinity in words": (["-inf", "Infinity"], "number_as_text", [None, None], ["'-inf'", "'Infinity'"]),
    "text beyond float64": (["1", "1e400"], "number_as_text", [1, None], ["'1'", "'1e400'"]),
    "dollars": (["$5", "-$6", "$-7"], "number_as_text", [5, -6, -7], ["'$5'", "'-$6'", "'$-7'"]),
    "euros": (["5 €", "6€", "€ 7"], "number_as_text", [5, 6, 7], ["'5 €'", "'6€'", "'€ 7'"]),
    # thousands
    "commas": (["1,234", "1,234,567.8"], "thousands_separator", [1234, 1234567.8], ["'1,234'", "'1,234,567.8'"]),
    "commas in some": (["5", "1,234", "0.5"], "thousands_separator", [5, 1234, 0.5], ["'1,234'"]),
    "blanks": (["1 234", "-12 345"], "thousands_separator", [1234, -12345], ["'1 234'", "'-12 345'"]),
    "narrow blanks": (["1\u202f234", "1"], "thousands_separator", [1234, 1], ["'1\\u202f234'"]),
    "apostrophes": (["1'234.5", "1"], "thousands_separator", [1234.5, 1], ['"1\'234.5"']),
    "underscores": (["1_234", "1"], "thousands_separator", [1234, 1], ["'1_234'"]),
    "points, twice": (["1.234.567", "1.234"], "thousands_separator", [1234567, 1234], ["'1.234.567'", "'1.234'"]),
    "dollars and commas": (["$1,234", "$5"], "thousands_separator", [1234, 5], ["'$1,234'"]),
    "commas and None": (["1,234", None], "thousands_separator", [1234, None], ["'1,234'"]),
    "commas among numbers": ([5, "1,234"], "thousands_separator", [5, 1234], ["'1,234'"]),
    # decimal commas
    "comma": (["3,14", "2"], "decimal_comma", [3.14, 2], ["'3,14'"]),
    "comma that once might be thousands": (["1,234", "3,14"], "decimal_comma", [1.234, 3.14], ["'1,234'", "'3,14'"]),
    "comma behind zero": (["0,125", "1,250"], "decimal_comma", [0.125, 1.25], ["'0,125'", "'1,250'"]),
    "comma behind four digits": (["1234,567", "1"], "decimal_comma", [1234.567, 1], ["'1234,567'"]),
    "points for thousands": (["1.234,56", "1.234"], "decimal_comma", [1234.56, 1234], ["'1.234,56'"]),
    "blanks for thousands": (["1 234,5", "1"], "decimal_comma", [1234.5, 1], ["'1 234,5'"]),
    "price in euros": (["1.234,50 €", "2,00 €"], "decimal_comma", [1234.5, 2], ["'1.234,50 €'", "'2,00 €'"]),
    "comma and point by turns": (["3,14", "2.5"], "decimal_comma", [3.14, 2.5], ["'3,14'"]),
    "bare comma": ([",5", "1"], "decimal_comma", [0.5, 1], ["',5'"]),
    # percent
    "percent": (["12%", "5.5 %"], "percent", [12, 5.5], ["'12%'", "'5.5 %'"]),
    "percent with a comma": (["12,5%", "3%"], "percent", [12.5, 3], ["'12,5%'", "'3%'"]),
    "all percent": (["12%", "0%"], "percent", [12, 0], ["'12%'", "'0%'"]),
    # dates
    "dates": ([DATE(2024, 1, 31), DATE(2024, 1, 1)], "date", [30, 0], ["2024-01-31", "2024-01-01"]),
    "times": ([TIME(2024, 1, 1), TIME(2024, 1, 2, 12)], "date", [0, 1.5], ["2024-01-01", "2024-01-02T12:00"]),
    "times in zones": (
        [TIME(2024, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))), TIME(2024, 1, 1, 12, tzinfo=dt.UTC)],
        "date", [0, 0.5], ["2024-01-01", "2024-01-01T12:00"],
    ),
    "first and last day": ([DATE.min, DATE.max], "date", [0, 3652058], ["0001-01-01", "9999-12-31"]),
    "NumPy dates": ([np.datetime64("2024-01-02"), np.datetime64("NaT")], "date", [0, None], ["2024-01-02", "NaT"]),
    "pandas times": (list(pd.date_range("2024-01-01", periods=2)), "date", [0, 1], ["2024-01-01", "2024-01-02"]),
    "periods": (list(pd.period_range("2024-01", periods=2, freq="M")), "date", [0, 31], ["2024-01-01", "2024-02-01"]),
    "durations": ([dt.timedelta(2), np.timedelta64(12, "h")], "date", [2, 0.5], ["2 days", "0.5 days"]),
    "NumPy NaT and years": (
        [np.timedelta64("NaT"), np.timedelta64(1, "W")], "date", [None, 7], ["7 days", "NaT"],
    ),
    "times of day in words": (["6:00", "18:00:00", "6:00 pm", None], "date", [0.25, 0.75, 0.75, None],
                              ["0.25 days", "0.75 days"]),
    "times of day": ([dt.time(6), dt.time(18)], "date", [0.25, 0.75], ["0.25 days", "0.75 days"]),
    "ISO": (["2024-02-01", "2024-01-31"], "date", [1, 0], ["'2024-02-01' = 2024-02-01", "'2024-01-31' = 2024-01-31"]),
    "ISO with times": (
        ["2024-01-31 12:00", "2024-01-31T00:00:00.5"], "date", [(12 * 3600 - 0.5) / 86400, 0],
        ["'2024-01-31 12:00' = 2024-01-31T12:00", "'2024-01-31T00:00:00.5' = 2024-01-31T00:00:00.500"],
    ),
    "ISO with zones": (
        ["2024-01-31T12:00Z", "2024-01-31 12:00+12:00"], "date", [0.5, 0],
        ["'2024-01-31T12:00Z' = 2024-01-31T12:00", "'2024-01-31 12:00+12:00' = 2024-01-31"],
    ),
    "points": (["31.01.2024", "1.2.2024"], "date", [0, 1], ["'31.01.2024' = 2024-01-31", "'1.2.2024' = 2024-02-01"]),
    "month first": (
        ["01/31/2024", "02/01/2024"], "date", [0, 1],
        ["'01/31/2024' = 2024-01-31", "'02/01/2024' = 2024-02-01"],
    ),
    "month first if in doubt": (
        ["02/01/2024", "01/01/2024"], "date", [31, 0],
        ["'02/01/2024' = 2024-02-01", "'01/01/2024' = 2024-01-01"],
    ),
    "day first": (
        ["01/02/2024", "31/01/2024"], "date", [1, 0],
        ["'01/02/2024' = 2024-02-01", "'31/01/2024' = 2024-01-31"],
    ),
    "spreadsheet": (
        ["1/31/2024 9:30", "1/31/2024 0:00"], "date", [9.5 / 24, 0],
        ["'1/31/2024 9:30' = 2024-01-31T09:30", "'1/31/2024 0:00' = 2024-01-31"],
    ),
    "dates and missing": (["2024-01-01", "-", None], "date", [0, None, None], ["'2024-01-01' = 2024-01-01", "'-'"]),
    "dates and text": ([DATE(2024, 1, 1), "2024-01-02"], "date", [0, 1], ["'2024-01-02' = 2024-01-02"]),
    # categories
    "two words": (["red", "blue", "red"], "category", [1, 0, 1], ["'red'", "'blue'"]),
    "words and None": (["red", None, "blue"], "category", [1, None, 0], ["'red'", "'blue'"]),
    "words and NA": (["x", "NA"], "category", [1, 0], ["'x'"]),
    "bytes that are words": ([b"y", b"\xff"], "category", [1, 0], ["'y'", "'\\\\xff'"]),
    "one typing error": ([1, "l"], "category", [0, 1], ["'l'"]),
    "a number and a range": (["12", "10-20"], "category", [1, 0], ["'10-20'"]),
    "no such day": (["2024-02-30", "2024-02-28"], "category", [1, 0], ["'2024-02-30'"]),
    "no such day either way": (["31/31/2024", "01/02/2024"], "category", [1, 0], ["'31/31/2024'"]),
    "both orders in one column": (["31/01/2024", "01/31/2024"], "category", [1, 0], ["'31/01/2024'", "'01/31/2024'"]),
    "contradicting notations": (["1,234,567", "3,14"], "category", [0, 1], ["'1,234,567'", "'3,14'"]),
    "some percent": (["12%", "0"], "category", [1, 0], ["'12%'", "'0'"]),
    "two currencies": (["$3", "€3"], "category", [0, 1], ["'$3'", "'€3'"]),
    "two units": (["1 kg", "500 g"], "category", [0, 1], ["'1 kg'", "'500 g'"]),
    "hexadecimal": (["0xff", "0x10"], "category", [1, 0], ["'0xff'", "'0x10'"]),
    "numbers and dates": ([1, DATE(2024, 1, 1)], "category", [0, 1], ["'1'", "'2024-01-01'"]),
    "dates and durations": ([dt.timedelta(1), DATE(2024, 1, 1)], "category", [0, 1], ["'1 day, 0:00:00'"]),
    "a group of two digits": (["1,23,456", "x"], "category", [0, 1], ["'1,23,456'", "'x'"]),
    "two separators": (["1,234 567", "1"], "category", [1, 0], ["'1,234 567'"]),
    "a letter like another": (["ınf", "1"], "category", [1, 0], ["'ınf'"]),
    "two signs": (["+-5", "5"], "category", [0, 1], ["'+-5'"]),
    "underscore within": (["1_0", "5"], "category", [0, 1], ["'1_0'"]),
    "other digits": (["٣", "5"], "category", [1, 0], ["'٣'"]),
    "a version": (["1.2.3", "1.2"], "category", [1, 0], ["'1.2.3'"]),
    "intervals": (
        [pd.Interval(1, 2), pd.Interval(0, 1)], "category", [1, 0], ["'(1, 2]'", "'(0, 1]'"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("cells", "kind", "numbers", "examples"), COLUMNS.values(), ids=COLUMNS.keys())
def test_a_column_gives_the_numbers_that_were_meant(cells, kind, numbers, examples):
    column, values = column_of(cells)
    assert column.kind == kind
    # Only the times of day are no float64 numbers themselves: microseconds are divided by those of a day.
    np.testing.assert_allclose(np.array(values, float), np.array(numbers, float), rtol=2**-52)
    assert column.examples == tuple(examples)
    gone = [row for row, number in enumerate(values) if number is None]
    assert column.missing + column.infinite == len(gone)
    assert column.first_missing == tuple(gone[:3]) or (column.missing and column.infinite)
    assert column.clean() == (kind in {"number", "boolean"} and not gone)


@pytest.mark.parametrize("word", ["", " ", "NA", "N/A", "nan", "NaN", "null", "None", "?", "-", "NULL", "#N/A", "<NA>"])
@pytest.mark.parametrize("others", [["1", "2"], [1.5, 2.5], ["3,14", "1,5"], ["2024-01-01", "2024-01-02"]])
def test_a_word_for_missing_is_missing_among_numbers_and_dates_and_a_category_among_words(word, others):
    column, values = column_of([others[0], word, others[1]])
    assert (column.missing, column.first_missing, values[1]) == (1, (1,), None)
    column, _ = column_of(["red", word])
    assert (column.kind, column.missing, column.categories) == ("category", 0, tuple(sorted(["red", word])))


def test_missing_and_infinite_values_are_counted_apart():
    X = np.ones((6, 2))
    X[[1, 2, 4, 5], 1] = NAN
    X[3, 1] = -INF
    reading = read(X, [1, 2, INF, 4, 5, 6])
    assert reading.columns == (
        Column("x0", "number", 0, 0, (), (), ()),
        Column("x1", "number", 4, 1, (1, 2, 4), ("nan", "-inf"), ()),
    )
    np.testing.assert_array_equal(reading.X, np.where(np.isfinite(X), X, NAN))
    assert reading.target == Column("y", "number", 0, 1, (2,), ("inf",), ())
    np.testing.assert_array_equal(reading.y, [1, 2, NAN, 4, 5, 6])
    assert not reading.clean()
    assert X[3, 1] == -INF


# Categories


def test_the_first_category_has_no_column_and_a_missing_one_is_nan_in_all_others():
    reading = read(pd.DataFrame({"colour": ["red", "green", None, "blue"]}), [1, 2, 3, 4])
    assert reading.names == ("colour=green", "colour=red")
    np.testing.assert_array_equal(reading.X, [[0, 1], [1, 0], [NAN, NAN], [0, 0]])
    assert reading.columns[0].categories == ("blue", "green", "red")


def test_a_single_category_has_no_column_at_all():
    reading = read(pd.DataFrame({"a": ["red", "red"], "b": [1, 2]}), [1, 2])
    assert reading.names == ("b",)
    assert reading.columns[0].categories == ("red",)


@pytest.mark.parametrize(("different", "columns"), [(50, 49), (51, 0)])
def test_more_than_50_categories_are_left_out(different, columns):
    words = [f"w{number:03}" for number in range(different)]
    reading = read(pd.DataFrame({"word": words * 2}), np.arange(2 * different))
    assert reading.X.shape == (2 * different, columns)
    assert [name.startswith("word=") for name in reading.names] == [True] * columns
    assert (reading.columns[0].kind, reading.columns[0].categories) == ("category", tuple(words))


@pytest.mark.parametrize("rows", [20, 21, 1000])
def test_of_an_identifier_20_are_listed(rows):
    words = [f"w{number:04}" for number in range(rows)]
    column = read(pd.DataFrame({"id": [*words, None]}), np.arange(rows + 1)).columns[0]
    assert column.categories == tuple(words[:20])
    assert (column.missing, column.first_missing) == (1, (rows,))


# Ways to give a table

KINDS = {"n": "number", "b": "boolean", "t": "number_as_text", "c": "category", "d": "date"}
CELLS = {
    "n": [1.0, 2.0, 3.0],
    "b": [True, False, True],
    "t": ["1", "2", "3"],
    "c": ["x", "y", "x"],
    "d": [DATE(2024, 1, 1), DATE(2024, 1, 2), DATE(2024, 1, 4)],
}
MEANT = np.array([[1, 1, 1, 0, 0], [2, 0, 2, 1, 1], [3, 1, 3, 0, 3]], dtype=float)
TABLE = pd.DataFrame(CELLS)
POLARS = pl.DataFrame(CELLS)
TABLES = {
    "pandas": TABLE,
    "pandas objects": TABLE.astype(object),
    "pandas nullable": TABLE.astype({"n": "Int64", "b": "boolean", "t": "string", "c": "string"}),
    "pandas categories": TABLE.astype({"c": "category"}),
    "pandas datetime": TABLE.astype({"d": "datetime64[ns]"}),
    "pandas with another index": TABLE.set_index(pd.Index([5, 6, 7])),
    "polars": POLARS,
    "polars of other types": POLARS.cast({"n": pl.Decimal(10, 2), "c": pl.Categorical, "d": pl.Datetime}),
    "rows": TABLE.to_numpy().tolist(),
    "rows in tuples": tuple(map(tuple, TABLE.to_numpy().tolist())),
    "objects": TABLE.to_numpy(),
    "unnamed pandas": TABLE.set_axis(range(5), axis="columns"),
    "two levels of columns": TABLE.set_axis(pd.MultiIndex.from_product([["a"], list("nbtcd")]), axis="columns"),
    "masked objects": np.ma.array(TABLE.to_numpy()),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_a_table_may_be_given_in_many_ways(table):
    reading = read(table, [1, 2, 3])
    assert [column.kind for column in reading.columns] == list(KINDS.values())
    np.testing.assert_array_equal(reading.X, MEANT)
    names = list(KINDS) if list(getattr(table, "columns", ())) == list(KINDS) else [f"x{place}" for place in range(5)]
    assert [column.name for column in reading.columns] == names
    assert reading.names == tuple(f"{name}=y" if place == 3 else name for place, name in enumerate(names))
    assert not reading.clean()


COLUMNS_OF_TYPES = {
    "strings": (np.array([["1"], ["x"], ["1"]]), "category", [0, 1, 0]),
    "bytes": (np.array([[b"1"], [b"2"], [b"3"]]), "number_as_text", [1, 2, 3]),
    "strings of any width": (np.array([["1"], ["2"], ["3"]], np.dtypes.StringDType()), "number_as_text", [1, 2, 3]),
    "datetime64": (np.array([["2024-01-01"], ["NaT"], ["2024-01-03"]], "datetime64[s]"), "date", [0, None, 2]),
    "years": (np.array([["2020"], ["2021"], ["2022"]], "datetime64[Y]"), "date", [0, 366, 731]),
    "only NaT": (np.full((3, 1), "NaT", "datetime64[D]"), "empty", [None] * 3),
    "timedelta64": (np.array([[1], [2], [3]], "timedelta64[h]"), "date", [1 / 24, 2 / 24, 3 / 24]),
    "booleans": (np.array([[True], [False], [True]]), "boolean", [1, 0, 1]),
    "masked floats": (np.ma.array([[1.0], [2.0], [3.0]], mask=[[0], [1], [0]]), "number", [1, None, 3]),
    "masked ints": (np.ma.array([1, 2, 3], mask=[0, 1, 0]), "number", [1, None, 3]),
    "masked booleans": (np.ma.array([True, True, False], mask=[0, 1, 0]), "boolean", [1, None, 0]),
    "masked text": (np.ma.array(["1", "2", "3"], mask=[0, 1, 0]), "number_as_text", [1, None, 3]),
    "masked rows in a list": ([[1], [np.ma.masked], [3]], "number", [1, None, 3]),
    "long doubles": (np.array([[1], [np.longdouble("1e4000")], [3]]), "number", [1, None, 3]),
    "one dimension": (np.array([1.0, 2.0, 3.0]), "number", [1, 2, 3]),
    "one dimension of text": (["1", "2", "3"], "number_as_text", [1, 2, 3]),
    "nullable ints": (pd.DataFrame({"x0": pd.array([1, None, 3], "Int64")}), "number", [1, None, 3]),
    "nullable booleans": (pd.DataFrame({"x0": pd.array([True, None, False], "boolean")}), "boolean", [1, None, 0]),
    "categories that are numbers": (pd.DataFrame({"x0": pd.Categorical([1, 2, 1])}), "number", [1, 2, 1]),
    "cut": (pd.DataFrame({"x0": pd.cut([1, 2, 3], [0, 2, 4])}), "category", [0, 0, 1]),
    "times with a zone": (
        pd.DataFrame({"x0": pd.date_range("2024-01-01", periods=3, tz="Asia/Tokyo")}), "date", [0, 1, 2],
    ),
    "polars nulls": (pl.DataFrame({"x0": [1, None, 3]}), "number", [1, None, 3]),
    "polars boolean nulls": (pl.DataFrame({"x0": [True, None, False]}), "boolean", [1, None, 0]),
    "polars nothing": (pl.DataFrame({"x0": [None] * 3}), "empty", [None] * 3),
    "polars times": (pl.DataFrame({"x0": [dt.time(12)] * 3}), "date", [0.5] * 3),
    "polars durations": (pl.DataFrame({"x0": [dt.timedelta(1)] * 3}), "date", [1] * 3),
    "polars bytes": (pl.DataFrame({"x0": [b"1", b"2", None]}), "number_as_text", [1, 2, None]),
    "pandas series without a name": (pd.Series([1, 2, 3]), "number", [1, 2, 3]),
    "polars series without a name": (pl.Series([1, 2, 3]), "number", [1, 2, 3]),
}  # fmt: skip


@pytest.mark.parametrize(("X", "kind", "numbers"), COLUMNS_OF_TYPES.values(), ids=COLUMNS_OF_TYPES.keys())
def test_a_column_may_be_of_many_types(X, kind, numbers):
    reading = read(X, [1, 2, 3])
    [column] = reading.columns
    assert (column.name, column.kind) == ("x0", kind)
    assert column.missing + column.infinite == numbers.count(None)
    np.testing.assert_allclose(reading.X[:, 0], np.array(numbers, float), rtol=1e-15)


@pytest.mark.parametrize("rows", [[[1, "x"], [2.5, "y"]], ((1, "x"), (2.5, "y")), [(1, b"x"), (2.5, b"y")]])
def test_numbers_stay_numbers_beside_text_in_a_list(rows):
    reading = read(rows, [1, "2"])
    assert [column.kind for column in reading.columns] == ["number", "category"]
    assert reading.X.tolist() == [[1, 0], [2.5, 1]]
    assert reading.target.examples == ("'2'",)


@pytest.mark.parametrize("series", [pd.Series([1, 2], name="a"), pl.Series("a", [1, 2])])
def test_a_series_keeps_its_name(series):
    reading = read(series, series)
    assert (reading.names, reading.columns[0].name, reading.target.name) == (("a",), "a", "a")


@pytest.mark.parametrize("name", SAME_X)
def test_what_training_takes_as_it_is_is_read_the_same_and_clean(name, tmp_path):
    given, plain = SAME_X[name]
    reading = read(given(tmp_path) if callable(given) else given, Y)
    np.testing.assert_array_equal(reading.X, plain)
    assert reading.clean()


@pytest.mark.parametrize("name", SAME_Y)
def test_a_target_that_training_takes_as_it_is_is_read_the_same_and_clean(name, tmp_path):
    given, plain = SAME_Y[name]
    reading = read(np.ones((len(Y), 1)), given(tmp_path) if callable(given) else given)
    np.testing.assert_array_equal(reading.y, plain)
    assert reading.clean()


def test_plain_floats_are_not_copied():
    X = np.ones((3, 2))
    assert np.shares_memory(read(X, np.ones(3)).X, X)


# Targets

TARGETS = {
    "text": (["1", "2,5", None], "decimal_comma", [1, 2.5, NAN]),
    "column of text": ([["1"], ["2"], ["3"]], "number_as_text", [1, 2, 3]),
    "mixed": ([1, "2", "?"], "number_as_text", [1, 2, NAN]),
    "strings": (np.array(["1%", "2%", "3%"]), "percent", [1, 2, 3]),
    "column of strings": (np.array([["$1"], ["$2"], ["$3"]]), "number_as_text", [1, 2, 3]),
    "dates": (["2024-01-02", "2024-01-01", "2024-01-04"], "date", [1, 0, 3]),
    "booleans": ([True, False, None], "boolean", [1, 0, NAN]),
    "nothing": ([None] * 3, "empty", [NAN] * 3),
    "masked": (np.ma.array([1, 2, 3], mask=[1, 0, 0]), "number", [NAN, 2, 3]),
    "one-column frame": (pd.DataFrame({"y": ["1", "2", "3"]}), "number_as_text", [1, 2, 3]),
    "polars": (pl.Series("y", [1, None, 3]), "number", [1, NAN, 3]),
}


@pytest.mark.parametrize(("y", "kind", "numbers"), TARGETS.values(), ids=TARGETS.keys())
def test_a_target_is_repaired_like_a_column(y, kind, numbers):
    reading = read([[1], [2], [3]], y)
    assert (reading.target.name, reading.target.kind) == ("y", kind)
    np.testing.assert_array_equal(reading.y, numbers)
    assert reading.clean() == (reading.target.clean()) == False  # noqa: E712


@pytest.mark.parametrize("y", [["red", "blue", "red"], np.array(["1", "2", "x"]), pd.Series(["a", None, "b"])])
def test_a_target_of_categories_is_refused_in_one_line(y):
    with pytest.raises(TypeError, match=r"y holds categories, for example '\w+', .* is classification") as caught:
        read(np.ones((3, 1)), y)
    assert "\n" not in str(caught.value)


# What cannot be repaired is refused in the words of `arrays`.

BAD_X = {
    "None": None,
    "scalar": 3.0,
    "three dimensions": np.ones((3, 2, 1)),
    "ragged": [[1, 2], [3], [4]],
    "empty": np.empty((0, 2)),
    "empty list": [[], [], []],
    "empty pandas": pd.DataFrame(),
    "no rows": pd.DataFrame({"a": []}),
    "no columns": pd.DataFrame(index=range(3)),
    "empty polars": pl.DataFrame(),
    "polars query": pl.LazyFrame({"a": [1.0]}),
    "sparse": scipy.sparse.csr_matrix(np.ones((3, 2))),
    "sparse array": scipy.sparse.coo_array(np.ones((3, 2))),
    "complex": np.ones((3, 2)) * 1j,
    "complex objects": np.array([[1], [1j], [2]], dtype=object),
    "complex column": pd.DataFrame({"a": [1j, 2, 3]}),
    "records": np.zeros(3, dtype=[("a", float)]),
    "void": np.zeros((3, 2), "V4"),
    "lists in a column": pd.DataFrame({"a": [[1, 2]] * 3}),
    "arrays in a column": pl.DataFrame({"a": pl.Series([[1.0, 2.0]] * 3, dtype=pl.Array(pl.Float64, 2))}),
    "dicts": [[1], [{"a": 1}], [2]],
    "a name twice": pd.DataFrame(np.ones((3, 2)), columns=["a", "a"]),
    "names of two types": pd.DataFrame(np.ones((3, 2)), columns=["a", 1]),
    "generator": (row for row in [[1], [2], [3]]),
}


@pytest.mark.parametrize("X", BAD_X.values(), ids=BAD_X.keys())
def test_x_is_refused_in_the_words_of_training(X):
    with pytest.raises((TypeError, ValueError)) as expected:
        arrays.feature_matrix(X, np.float64)
    with pytest.raises(expected.type) as caught:
        read(X, np.arange(3))
    said = str(caught.value).replace("column 'x0' of X", "X").replace(" at row 1:", " at row 1, column 0:")
    assert said.split("(shape")[0] == str(expected.value).split("(shape")[0]


@pytest.mark.parametrize("X", ["red", np.full((3, 2, 1), "a"), np.full((3, 2, 1), None)])
def test_a_wrong_shape_is_told_whatever_stands_in_it(X):
    with pytest.raises(ValueError, match=r"Expected 2D array for X, got a (scalar, red|3D array of shape)"):
        read(X, np.arange(3))


BAD_Y = {
    "None": None,
    "scalar": 1.0,
    "too short": [1, 2],
    "too long": ["1"] * 4,
    "two columns": np.ones((3, 2)),
    "sparse": scipy.sparse.csr_matrix(np.ones((3, 1))),
    "complex": np.ones(3) * 1j,
    "ragged": [[1, 2], [3], [4]],
    "lists": pd.Series([[1], [2], [3]]),
    "generator": (value for value in range(3)),
}


@pytest.mark.parametrize("y", BAD_Y.values(), ids=BAD_Y.keys())
def test_y_is_refused_in_the_words_of_training(y):
    with pytest.raises((TypeError, ValueError)) as expected:
        arrays.row_vector(y, np.float64, 3, name="y")
    with pytest.raises(expected.type) as caught:
        read(np.ones((3, 2)), y)
    assert str(caught.value) == str(expected.value)


def rows_of(given):
    try:
        return max(1, len(given))
    except TypeError:
        return 1


@given(ANYTHING)
def test_anything_is_read_or_refused_in_words(data):
    for X, y in ((data, np.arange(rows_of(data))), (np.ones((rows_of(data), 1)), data)):
        try:
            reading = read(X, y)
        except (TypeError, ValueError) as error:
            words = str(error)
        else:
            words = None
        assert words is None or len(words) >= 30
        if words is None:
            assert reading.X.shape == (len(reading.y), len(reading.names))
            assert not np.isinf(reading.X).any()
            assert not np.isinf(reading.y).any()
            for column in (*reading.columns, reading.target):
                assert 0 <= column.missing + column.infinite <= len(reading.y)
                assert len(column.first_missing) == min(3, column.missing or column.infinite)
                assert len(column.examples) <= 3
                assert (column.kind == "category") == bool(column.categories)


# Round trips: numbers and dates, written in each notation, come back.

NUMBERS = st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=10)
MARKS = [" ", "'", "’", "_", "\u00a0", "\u2009", "\u202f"]


@given(NUMBERS)
def test_numbers_written_by_python_come_back(numbers):
    column, values = column_of([repr(number) for number in numbers])
    assert column.kind == "number_as_text"
    assert values == numbers


@given(NUMBERS, st.sampled_from([",", *MARKS]), st.integers(0, 6), st.sampled_from(["{}", "${}", "{} €", " {}"]))
def test_thousands_come_back_whatever_separates_them(numbers, mark, digits, around):
    texts = [f"{number:,.{digits}f}" for number in numbers]
    column, values = column_of([around.format(text.replace(",", mark)) for text in texts])
    assert column.kind == ("thousands_separator" if any("," in text for text in texts) else "number_as_text")
    assert values == [float(text.replace(",", "")) for text in texts]


@given(NUMBERS, st.sampled_from(["", ".", *MARKS]), st.sampled_from([1, 2, 4, 5, 6]), st.sampled_from(["{}", "{} €"]))
def test_decimal_commas_come_back_whatever_separates_thousands(numbers, mark, digits, around):
    texts = [f"{number:,.{digits}f}" for number in numbers]
    written = [around.format(text.translate(str.maketrans({",": mark, ".": ","}))) for text in texts]
    column, values = column_of(written)
    assert column.kind == "decimal_comma"
    assert values == [float(text.replace(",", "")) for text in texts]


@given(NUMBERS, st.booleans(), st.sampled_from(["%", " %", "\u00a0%"]))
def test_percentages_come_back(numbers, comma, sign):
    texts = [f"{number:.2f}" for number in numbers]
    column, values = column_of([(text.replace(".", ",") if comma else text) + sign for text in texts])
    assert column.kind == "percent"
    assert values == [float(text) for text in texts]


@given(st.lists(st.integers(1, 999_999), min_size=1), st.data())
def test_commas_before_three_digits_are_thousands_only_as_long_as_all_are(numbers, data):
    written = [f"{number:,}" for number in numbers]
    assume(any("," in text for text in written))
    assert column_of(written)[0].kind == "thousands_separator"
    written.insert(data.draw(st.integers(0, len(written))), "3,14")
    column, values = column_of(written)
    assert column.kind == "decimal_comma"
    assert values == [float(text.replace(",", ".")) for text in written]


DAYS, MINUTES, SECONDS = {"hour": 0, "minute": 0, "second": 0}, {"second": 0}, {}
FORMS = {  # how a date is written, and what is lost thereby
    "ISO": ("{0.year:04}-{0.month:02}-{0.day:02}", DAYS),
    "ISO with seconds": ("{0.year:04}-{0.month:02}-{0.day:02} {0.hour:02}:{0.minute:02}:{0.second:02}", SECONDS),
    "ISO in UTC": ("{0.year:04}-{0.month:02}-{0.day:02}T{0.hour:02}:{0.minute:02}:{0.second:02}Z", SECONDS),
    "year first": ("{0.year:04}/{0.month}/{0.day}", DAYS),
    "points": ("{0.day:02}.{0.month:02}.{0.year:04}", DAYS),
    "points without zeros": ("{0.day}.{0.month}.{0.year:04} {0.hour}:{0.minute:02}", MINUTES),
    "month first": ("{0.month:02}/{0.day:02}/{0.year:04}", DAYS),
    "day first": ("{0.day}/{0.month}/{0.year:04} {0.hour}:{0.minute:02}:{0.second:02}", SECONDS),
}


@pytest.mark.parametrize("form", FORMS)
@given(st.lists(st.datetimes(), min_size=1, max_size=10))
def test_dates_come_back_in_every_form(form, moments):
    written, lost = FORMS[form]
    if form == "day first":
        moments = [dt.datetime(2000, 1, 31), *moments]  # tells that it is
    moments = [moment.replace(microsecond=0, **lost) for moment in moments]
    texts = [written.format(moment) for moment in moments]
    column, values = column_of(texts)
    assert column.kind == "date"
    # Of microseconds in the years 1 and 9999, float64 keeps every 32nd.
    expected = [(moment - min(moments)) / dt.timedelta(days=1) for moment in moments]
    assert values == pytest.approx(expected, rel=2**-50, abs=32e-6 / 86400)
    assert column_of([*texts, "x"])[0].kind == "category"


@given(st.lists(st.none() | st.text(max_size=3), min_size=1, max_size=8))
def test_categories_can_be_told_from_their_columns(texts):
    reading = read(pd.DataFrame({"a": pd.Series([*texts, "word"], dtype=object)}), np.arange(len(texts) + 1))
    [column] = reading.columns
    assert column.kind == "category"
    assert column.categories == tuple(sorted({text for text in [*texts, "word"] if text is not None}))
    assert reading.names == tuple(f"a={category}" for category in column.categories[1:])
    for row, text in zip(reading.X, texts, strict=False):
        expected = [NAN if text is None else text == category for category in column.categories[1:]]
        np.testing.assert_array_equal(row, np.array(expected, float))


# Hostile data

LONG = 1_000_000
HOSTILE = {
    "control characters": "\x1b[2J\x07\r\n\0",
    "right to left": "\u202egnp.exe",
    "lone surrogate": "\ud800",
    "markup": "[bold]<script>alert('1')</script>",
    "long word": "x" * LONG,
    "long blank": " " * LONG + "x",
    "long number": "1" * LONG,
    "long fraction": "0," + "1" * LONG,
    "long groups": "1" + ",000" * (LONG // 4),
    "long groups that end badly": "1" + ",000" * (LONG // 4) + "x",
    "long points": "." * LONG,
    "long spaces within": "1" + " " * LONG + "1",
    "long exponent": "1e" + "9" * LONG,
    "long date": "2024-01-01" + "0" * LONG,
    "surrogate bytes": b"\xff\xfe\x1b",
    "format": "{0} %s {cell!r}",
}


@pytest.mark.parametrize("cells", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_does_no_harm(cells):
    column, _ = column_of([cells, "1", None])
    assert column.missing == 1
    for example in column.examples:
        assert len(example) <= 40
        assert example.isprintable()


def test_many_spellings_of_missing_values_are_read_in_linear_time():
    cells = [" " * length for length in range(5000)]
    column, _ = column_of([*cells, "1"])
    assert (column.kind, column.missing) == ("number_as_text", 5000)


def test_hostile_names_are_kept():
    names = ["\x1b[2J", "a\nb", "", "[red]", "y"]
    reading = read(pd.DataFrame([[1, 2, 3, 4, 5]] * 2, columns=names), [1, 2])
    assert list(reading.names) == [column.name for column in reading.columns] == names


def test_nothing_given_is_modified():
    objects = np.array([["1", INF], [None, 2.0]], dtype=object)
    floats = np.array([[1.0, INF], [NAN, 2.0]])
    y = np.array([INF, 1.0])
    for X in (objects, floats, pd.DataFrame(objects), np.ma.array(floats, mask=[[1, 0], [0, 0]])):
        before = X.copy()
        read(X, y)
        assert all(map(same, itertools.chain(*np.asarray(X).tolist()), itertools.chain(*np.asarray(before).tolist())))
    assert y[0] == INF


def same(one, other):
    return one is other or one == other or (one != one and other != other)
