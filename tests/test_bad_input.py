"""Whatever is given, there is a result, the same as for plain float64, or one error.

The error says what was given, what is expected and what to do. What is given is never modified.
"""

import array
import datetime as dt
import decimal
import fractions
import pickle
import re
import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from linreg import L2, SGD, Adam, Huber, LinearRegression, MeanSquaredError, RMSprop
from linreg.callbacks import TerminateOnNaN

X = np.array([[0.0, 1], [1, 0], [2, 1], [3, 1], [0, 0], [1, 1]])
Y = np.array([1.0, 0, 3, 4, 0, 2])
WEIGHT = np.array([1.0, 2, 0, 1, 3, 1])
TABLE = pd.DataFrame(X, columns=["a", "b"])
ROWS = len(Y)


@dataclass(frozen=True)
class Refused:
    """An error, with what its message must say; `{name}` stands for what the message calls the data."""

    kind: type[Exception]
    given: str
    expected: str
    do: str


@dataclass(frozen=True)
class SameAs:
    """The result, bit for bit, that this plain array gives."""

    plain: np.ndarray


# Where data can be given: each function uses them there and returns all numbers that come out.


def model(**settings):
    # Adam, because its steps are bounded: numbers of any size give finite coefficients.
    return LinearRegression(**{"optimizer": "adam", "dtype": "float64", "epochs": 3, "random_state": 0, **settings})


def fitted(X=X):
    """A model that was fitted with the column names that X has."""
    return model().fit(TABLE if list(getattr(X, "columns", ())) == ["a", "b"] else globals()["X"], Y)


def numbers_of(trained):
    return np.array([*trained.coef_, trained.intercept_, *trained.history_["loss"]])


def fit_x(X):
    return numbers_of(model().fit(X, Y))


def fit_x_in_float32(X):
    return numbers_of(model(dtype="float32").fit(X, Y))


def fit_y(y):
    return numbers_of(model().fit(X, y))


def fit_y_in_float32(y):
    return numbers_of(model(dtype="float32").fit(X, y))


def fit_weight(weight):
    return numbers_of(model().fit(X, Y, sample_weight=weight))


def validate_x(data):
    names = list(getattr(data, "columns", ())) == ["a", "b"]
    return model().fit(TABLE if names else X, Y, validation_data=(data, Y)).history_["val_loss"]


def validate_y(y):
    return model().fit(X, Y, validation_data=(X, y)).history_["val_loss"]


def validate_weight(weight):
    return model().fit(X, Y, validation_data=(X, Y, weight)).history_["val_loss"]


def validate(data):
    return model().fit(X, Y, validation_data=data).history_["val_loss"]


def predict(X):
    return fitted(X).predict(X)


def score_x(X):
    return fitted(X).score(X, Y)


def score_y(y):
    return fitted().score(X, y)


def score_weight(weight):
    return fitted().score(X, Y, weight)


def evaluate_x(X):
    return fitted(X).evaluate(X, Y)


def evaluate_y(y):
    return fitted().evaluate(X, y)


def evaluate_weight(weight):
    return fitted().evaluate(X, Y, weight)


def construct(settings):
    # A partial makes an object that refuses its own settings.
    settings = {name: value() if isinstance(value, partial) else value for name, value in settings.items()}
    return numbers_of(model(**settings).fit(X, Y))


def refit(changes):
    """Go on with a run after the settings have changed."""
    trained = model(warm_start=True).fit(X, Y)
    return numbers_of(trained.set_params(**changes).fit(X, Y))


def set_params(params):
    return LinearRegression().set_params(**params)


def use_before_fit(method):
    return getattr(LinearRegression(), method)(*{"predict": (X,)}.get(method, (X, Y)))


PLACES_OF_X = {
    fit_x: "X",
    predict: "X",
    score_x: "X",
    evaluate_x: "X",
    validate_x: "validation_data[0]",
}
PLACES_OF_Y = {fit_y: "y", score_y: "y", evaluate_y: "y", validate_y: "validation_data[1]"}
PLACES_OF_WEIGHT = {
    fit_weight: "sample_weight",
    score_weight: "sample_weight",
    evaluate_weight: "sample_weight",
    validate_weight: "validation_data[2]",
}


# What can be wrong with data.


def text(where, value, do="encode it as numbers"):
    return Refused(TypeError, f"{where} holds text, {value}", "numbers are needed", do)


def dates(where):
    return Refused(TypeError, f"{where} holds dates or durations", "numbers are needed", "days since the first")


def missing(place):
    return Refused(ValueError, rf"{{name}} contains NaN: .*{place}", "Every loss after it would be nan", "drop those")


def infinite(place):
    return Refused(ValueError, rf"{{name}} contains infinity: 1 of .*{place}", "infinity", "Replace them")


def not_rows(what):
    return Refused(TypeError, f"{{name}} is {what}", "rows of numbers are needed", "give an array, a list or a frame")


def no_number(what, where):
    return Refused(TypeError, f"{where} holds .*{what}", "a number that stands for a real number", "Encode it")


def no_rows(what):
    return Refused(ValueError, what, "a minimum of 1 is required", "look whether")


COMPLEX = Refused(ValueError, "{name} has type complex", "real numbers are needed", r"real part \(\.real\)")
MASKED = np.ma.masked


def changed(X, place, value, dtype=object):
    """X with another value in one place."""
    out = np.array(X, dtype=dtype)
    out[place] = value
    return out


def memory_mapped(values, mode):
    def given(folder):
        np.save(folder / "values.npy", values)
        return np.load(folder / "values.npy", mmap_mode=mode)

    return given


def read_only(values):
    values = values.copy()
    values.flags.writeable = False
    return values


def every_other(values):
    wide = np.full(tuple(2 * length for length in values.shape), np.nan)
    wide[(slice(None, None, 2),) * values.ndim] = values
    return wide[(slice(None, None, 2),) * values.ndim]


def matrix(values):
    def given(folder):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            return np.asmatrix(values)

    return given


class ArrayLike:
    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


class Unreadable:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("lies on another device")


def arrays_of(values):
    """Ways of giving `values`, all of which are small whole numbers."""
    whole = values.astype(int)
    return {
        "list": values.tolist(),
        "tuple": tuple(map(tuple, values)) if values.ndim == 2 else tuple(values),
        "list_of_arrays": list(values),
        "array_like": ArrayLike(values),
        **{kind: whole.astype(kind) for kind in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint64")},
        **{kind: values.astype(kind) for kind in ("float16", "float32", "longdouble", ">f8", ">i4")},
        "fortran_ordered": np.asfortranarray(values),
        "non_contiguous": every_other(values),
        "backwards": values[::-1].copy()[::-1],
        "read_only": read_only(values),
        "memory_mapped_to_read": memory_mapped(values, "r"),
        "memory_mapped_to_write": memory_mapped(values, "r+"),
        "memory_mapped_copy_on_write": memory_mapped(values, "c"),
        "masked_array_without_a_mask": np.ma.array(values),
        "objects_int": whole.astype(object),
        "objects_float": values.astype(object),
        "objects_fraction": np.vectorize(fractions.Fraction, otypes=[object])(values),
        "objects_decimal": np.vectorize(decimal.Decimal, otypes=[object])(values),
    }


def tables_of(X, names=("a", "b")):
    pandas, polars = pd.DataFrame(X, columns=list(names)), pl.DataFrame(X, schema=list(names), orient="row")
    return {
        "pandas": pandas,
        "pandas_int32": pandas.astype("int32"),
        "pandas_of_two_types": pandas.astype({"a": "int8", "b": "float32"}),
        "pandas_nullable": pandas.astype({"a": "Int64", "b": "Float64"}),
        "pandas_object": pandas.astype(object),
        "pandas_categories_that_are_numbers": pandas.astype("category"),
        "pandas_sparse": pandas.astype(pd.SparseDtype("float64", 0.0)),
        "pandas_with_another_index": pandas.set_index(pd.Index(range(100, 100 + len(X)))),
        "polars": polars,
        "polars_int32": polars.cast(pl.Int32),
        "polars_of_two_types": polars.cast({"a": pl.UInt8, "b": pl.Float32}),
        "polars_decimal": polars.cast(pl.Decimal(10, 2)),
    }


BITS = (X > 0).astype(float)
SAME_X = {
    **{kind: (given, X) for kind, given in (arrays_of(X) | tables_of(X)).items()},
    "np_matrix": (matrix(X), X),
    "pandas_with_numbered_columns": (pd.DataFrame(X), X),
    "pandas_with_two_levels_of_columns": (pd.DataFrame(X, columns=pd.MultiIndex.from_product([["a"], ["b", "c"]])), X),
    "bool": (BITS.astype(bool), BITS),
    "pandas_bool": (TABLE > 0, BITS),
    "pandas_nullable_bool": ((TABLE > 0).astype("boolean"), BITS),
    "polars_bool": (pl.DataFrame(BITS.astype(bool), schema=["a", "b"]), BITS),
    "int32_at_its_limits": (changed(X, (0, 0), 2**31 - 1, np.int32), changed(X, (0, 0), 2.0**31 - 1, float)),
    "int64_at_its_limits": (changed(X, (0, 0), -(2**63), np.int64), changed(X, (0, 0), -(2.0**63), float)),
    "int64_beside_uint64": (
        pd.DataFrame({"a": X[:, 0].astype(np.int64), "b": np.full(ROWS, 2**64 - 1, np.uint64)}),
        np.column_stack([X[:, 0], np.full(ROWS, 2.0**64)]),
    ),
    "int_beyond_64_bits": (changed(X, (0, 0), 10**30), changed(X, (0, 0), 1e30, float)),
    "denormals": (X * 5e-324, np.ldexp(X, -1074)),
    "list_of_huge_ints": ([[10**30, 1]] * ROWS, np.array([[1e30, 1.0]] * ROWS)),
}
COLUMN_B = "column 'b' of {name}"
BAD_X = {
    "none": (None, not_rows("None")),
    "generator": (lambda _: (row for row in X), not_rows("a generator")),
    "set": ({1, 2}, not_rows("a set")),
    "dict": ({"a": [1, 2]}, not_rows("a dict")),
    "unreadable": (Unreadable(), Refused(TypeError, "lies on another device", "{name} cannot be read", "NumPy array")),
    "ragged": ([[1, 2], [3]], Refused(ValueError, "{name} cannot be read", "as an array", "every row the same length")),
    "scalar": (3.0, Refused(ValueError, "got a scalar, 3.0", "Expected 2D array for {name}", r"reshape\(-1, 1\)")),
    "one_dimension": (
        X[:, 0],
        Refused(ValueError, r"got a 1D array of shape \(6,\)", "Expected 2D array for {name}", r"reshape\(-1, 1\)"),
    ),
    "three_dimensions": (
        X[:, :, np.newaxis],
        Refused(ValueError, r"got a 3D array of shape \(6, 2, 1\)", "Expected 2D array", r"\.reshape\(len"),
    ),
    "pandas_series": (TABLE["a"], Refused(ValueError, "a 1D array", "Expected 2D array", r"reshape\(-1, 1\)")),
    "polars_series": (pl.Series([1.0] * ROWS), Refused(ValueError, "a 1D array", "Expected 2D", r"reshape\(-1, 1\)")),
    "empty": (np.empty((0, 2)), no_rows(r"0 sample\(s\) \(shape=\(0, 2\)\)")),
    "empty_text": (np.empty((0, 2), dtype="U3"), no_rows(r"0 sample\(s\) \(shape=\(0, 2\)\)")),
    "no_columns": (np.empty((6, 0)), no_rows(r"0 feature\(s\) \(shape=\(6, 0\)\)")),
    "empty_list_in_a_list": ([[]], no_rows(r"0 feature\(s\) \(shape=\(1, 0\)\)")),
    "empty_pandas": (pd.DataFrame(), no_rows(r"0 sample\(s\)")),
    "empty_polars": (pl.DataFrame(), no_rows(r"0 sample\(s\)")),
    "pandas_without_rows": (TABLE.iloc[:0], no_rows(r"0 sample\(s\)")),
    "pandas_text_without_rows": (TABLE.iloc[:0].astype(str), no_rows(r"0 sample\(s\)")),
    "pandas_without_columns": (pd.DataFrame(index=range(ROWS)), no_rows(r"0 feature\(s\)")),
    "text": (changed(X, (2, 1), "red", "U5"), text("{name}", "np.str_.'red'. at row 2, column 1")),
    "text_among_numbers": ([[1, 2], [3, "red"]], text("{name}", ".*'red'.* at row 1, column 1")),
    "text_objects": (changed(X, (2, 1), "red"), text("{name}", "'red' at row 2, column 1")),
    "text_of_variable_width": (
        changed(X, (2, 1), "red", np.dtypes.StringDType()),
        text("{name}", "'red' at row 2, column 1"),
    ),
    "text_scalar": ("red", text("{name}", ".*'red'.* at its only place")),
    "bytes": (changed(X, (2, 1), b"red", "S5"), text("{name}", ".*b'red'.* at row 2, column 1")),
    "numbers_as_text": (X.astype(str), text("{name}", ".*'0.0'.* at row 0, column 0", r"\.astype\(float\)")),
    "numbers_as_bytes": (X.astype("S"), text("{name}", ".*b'0.0'.*", r"\.astype\(float\)")),
    "numbers_as_text_objects": (X.astype(str).astype(object), text("{name}", "'0.0'", r"\.astype\(float\)")),
    "complex": (X * 1j, COMPLEX),
    "complex_without_imaginary_part": (X.astype(complex), COMPLEX),
    "complex_object": (changed(X, (2, 1), 1j), no_number("1j at row 2, column 1", "{name}")),
    "dict_among_numbers": (changed(X, (2, 1), {"a": 1}), no_number("{{'a': 1}} at row 2, column 1", "{name}")),
    "none_among_objects": (changed(X, (2, 1), None), missing("row 2, column 1")),
    "dates": (X.astype("datetime64[D]"), dates("{name}")),
    "durations": (X.astype("timedelta64[s]"), dates("{name}")),
    "date_objects": (changed(X, (2, 1), dt.date(2020, 1, 1)), dates("{name}")),
    "numpy_date_objects": (changed(X, (2, 1), np.datetime64("2020-01-01")), dates("{name}")),
    "structured": (
        np.zeros(ROWS, dtype=[("a", float), ("b", float)]),
        Refused(TypeError, "{name} is a structured array with the fields a, b", "plain one", "structured_to_unstruc"),
    ),
    "records": (
        np.rec.fromarrays(X.T, names="a, b"),
        Refused(TypeError, "{name} is a structured array with the fields a, b", "plain one", "structured_to_unstruc"),
    ),
    "void": (np.zeros((6, 2), "V4"), Refused(TypeError, "{name} has type .V4", "numbers are needed", "encode it")),
    "masked": (np.ma.array(X, mask=X > 2), missing("first in row 3, column 0")),
    "masked_int": (np.ma.array(X.astype(int), mask=X > 2), missing("first in row 3, column 0")),
    "masked_rows_in_a_list": (list(np.ma.array(X, mask=X > 2)), missing("first in row 3, column 0")),
    "masked_value_in_a_list": ([[1, 2]] * 5 + [[MASKED, 2]], missing("first in row 5, column 0")),
    "nan": (changed(X, (2, 1), np.nan, float), missing("1 of 12 values are missing, the first in row 2, column 1")),
    "none_in_a_list": ([[1, 2], [3, None]], missing("row 1, column 1")),
    "pandas_na_object": (changed(X, (2, 1), pd.NA), missing("row 2, column 1")),
    "pandas_nat_object": (changed(X, (2, 1), pd.NaT), missing("row 2, column 1")),
    "infinity": (changed(X, (2, 1), np.inf, float), infinite("first in row 2, column 1")),
    "minus_infinity_in_float16": (changed(X, (2, 1), -np.inf, np.float16), infinite("first in row 2, column 1")),
    "int_beyond_float64": (
        changed(X, (2, 1), 10**400),
        Refused(ValueError, "row 2, column 1", "too large for dtype.'float64'.", "scale it"),
    ),
    "sparse_matrix": (
        scipy.sparse.csr_matrix(X),
        Refused(TypeError, r"Sparse data was passed as {name} \(csr_matrix\)", "dense data is required", "toarray"),
    ),
    "sparse_array": (
        scipy.sparse.coo_array(X),
        Refused(TypeError, r"Sparse data was passed as {name} \(coo_array\)", "dense data is required", "toarray"),
    ),
    "pandas_text": (TABLE.assign(b=list("xyzxyz")), text(COLUMN_B, "'x' at row 0")),
    "pandas_bytes": (TABLE.assign(b=[b"x"] * 6), text(COLUMN_B, "b'x' at row 0")),
    "pandas_numbers_as_text": (TABLE.astype({"b": str}), text(COLUMN_B, "'1.0' at row 0", r"\.astype\(float\)")),
    "pandas_categories": (TABLE.assign(b=pd.Categorical(list("xyzxyz"))), text(COLUMN_B, "'x' at row 0")),
    "pandas_dates": (TABLE.assign(b=pd.date_range("2020", periods=6)), dates(COLUMN_B)),
    "pandas_dates_with_zone": (TABLE.assign(b=pd.date_range("2020", periods=6, tz="UTC")), dates(COLUMN_B)),
    "pandas_durations": (TABLE.assign(b=pd.to_timedelta(range(6), unit="s")), dates(COLUMN_B)),
    "pandas_periods": (TABLE.assign(b=pd.period_range("2020", periods=6, freq="D")), no_number("Period", COLUMN_B)),
    "pandas_intervals": (TABLE.assign(b=pd.interval_range(0, 6)), no_number("Interval", COLUMN_B)),
    "pandas_lists": (TABLE.assign(b=[[1, 2]] * 6), no_number(r"\[1, 2\] at row 0", COLUMN_B)),
    "pandas_nan": (TABLE.mask(TABLE > 2), missing(r"first in row 3, column 0 \(column 'a'\)")),
    "pandas_nullable_with_na": (
        TABLE.astype("Int64").mask(TABLE > 2),
        missing(r"first in row 3, column 0 \(column 'a'\)"),
    ),
    "pandas_nullable_bool_with_na": (
        (TABLE > 0).astype("boolean").mask(TABLE > 2),
        missing(r"first in row 3, column 0 \(column 'a'\)"),
    ),
    "pandas_infinity": (TABLE.replace(3.0, np.inf), infinite(r"first in row 3, column 0 \(column 'a'\)")),
    "pandas_complex": (
        TABLE * 1j,
        Refused(ValueError, "column 'a' of {name} has type complex128", "real numbers are needed", "real part"),
    ),
    "polars_text": (pl.DataFrame({"a": X[:, 0], "b": list("xyzxyz")}), text(COLUMN_B, "'x' at row 0")),
    "polars_numbers_as_text": (
        pl.DataFrame({"a": X[:, 0], "b": list("123456")}),
        text(COLUMN_B, "'1' at row 0", r"\.astype\(float\)"),
    ),
    "polars_categories": (
        pl.DataFrame({"a": X[:, 0], "b": pl.Series(list("xyzxyz"), dtype=pl.Categorical)}),
        text(COLUMN_B, "'x' at row 0"),
    ),
    "polars_dates": (pl.DataFrame({"a": X[:, 0], "b": [dt.date(2020, 1, 1)] * 6}), dates(COLUMN_B)),
    "polars_times": (pl.DataFrame({"a": X[:, 0], "b": [dt.time(1)] * 6}), dates(COLUMN_B)),
    "polars_durations": (pl.DataFrame({"a": X[:, 0], "b": [dt.timedelta(1)] * 6}), dates(COLUMN_B)),
    "polars_nulls": (
        pl.DataFrame({"a": [1, 2, 3, 4, 5, None], "b": [1] * 6}),
        missing(r"first in row 5, column 0 \(column 'a'\)"),
    ),
    "polars_bool_nulls": (
        pl.DataFrame({"a": [True] * 5 + [None], "b": [1] * 6}),
        missing(r"first in row 5, column 0 \(column 'a'\)"),
    ),
    "polars_only_nulls": (pl.DataFrame({"a": [None] * 6, "b": [1] * 6}), missing("6 of 12 values are missing")),
    "polars_nested": (
        pl.DataFrame({"a": X[:, 0], "b": pl.Series([[1.0, 2.0]] * 6, dtype=pl.Array(pl.Float64, 2))}),
        Refused(TypeError, r"column 'b' of {name} holds an array of shape \(2,\)", "one number is needed", "each of"),
    ),
    "polars_lists": (
        pl.DataFrame({"a": X[:, 0], "b": [[1.0, 2.0]] * 6}),
        no_number(r"array.* at row 0", COLUMN_B),
    ),
}
# Tables whose columns are named so that no model can have been fitted with them.
BAD_TABLES = {
    "lazy_polars": (
        pl.LazyFrame({"a": [1.0]}),
        Refused(TypeError, "X is a LazyFrame", "numbers are needed", r"X\.collect\(\)"),
    ),
    "names_of_two_types": (
        pd.DataFrame(X, columns=["a", 1]),
        Refused(TypeError, r"\['int', 'str'\]", "all input features have string names", r"X\.columns\.astype\(str\)"),
    ),
    "twice_the_same_name": (
        pd.DataFrame(X, columns=["a", "a"]),
        Refused(ValueError, "'a' occurs more than once in X", "stand for one column", "rename"),
    ),
}

SAME_Y = {
    **{kind: (given, Y) for kind, given in arrays_of(Y).items()},
    "column": (Y[:, np.newaxis], Y),
    "list_of_lists": ([[y] for y in Y], Y),
    "np_matrix": (matrix(Y[:, np.newaxis]), Y),
    "bool": (Y > 0, (Y > 0).astype(float)),
    "range": (range(ROWS), np.arange(6.0)),
    "array_array": (array.array("d", Y), Y),
    "pandas_series": (pd.Series(Y, index=range(10, 16)), Y),
    "pandas_nullable": (pd.Series(Y, dtype="Int64"), Y),
    "pandas_one_column": (pd.DataFrame({"y": Y}), Y),
    "pandas_one_numbered_column": (pd.DataFrame(Y), Y),
    "pandas_index": (pd.Index(Y), Y),
    "polars_series": (pl.Series(Y), Y),
    "polars_one_column": (pl.DataFrame({"y": Y}), Y),
    "int64_at_its_limits": (changed(Y, 0, 2**63 - 1, np.int64), changed(Y, 0, 2.0**63 - 1, float)),
    "int_beyond_64_bits": (changed(Y, 0, 10**30), changed(Y, 0, 1e30, float)),
    "denormals": (Y * 5e-324, np.ldexp(Y, -1074)),
}
BAD_Y = {
    "generator": (lambda _: (y for y in Y), not_rows("a generator")),
    "dict": ({"a": 1}, not_rows("a dict")),
    "ragged": ([[1, 2], [3]], Refused(ValueError, "{name} cannot be read", "as an array", "every row the same length")),
    "text": (list("xyzxyz"), text("{name}", ".*'x'.* at row 0")),
    "numbers_as_text": (Y.astype(str), text("{name}", ".*'1.0'.* at row 0", r"\.astype\(float\)")),
    "text_objects": (changed(Y, 2, "red"), text("{name}", "'red' at row 2")),
    "complex": (Y * 1j, COMPLEX),
    "dates": (Y.astype("datetime64[D]"), dates("{name}")),
    "masked": (np.ma.array(Y, mask=Y > 3), missing("first in row 3")),
    "masked_value_in_a_list": ([1, 2, 3, 4, 5, MASKED], missing("first in row 5")),
    "nan": (changed(Y, 2, np.nan, float), missing("first in row 2")),
    "none_in_a_list": ([1, 2, 3, 4, 5, None], missing("first in row 5")),
    "pandas_nullable_with_na": (pd.Series([1, 2, 3, 4, 5, pd.NA], dtype="Int64"), missing("first in row 5")),
    "pandas_text": (pd.Series(list("xyzxyz")), text("{name}", "'x' at row 0")),
    "pandas_categories": (pd.Series(pd.Categorical(list("xyzxyz"))), text("{name}", "'x' at row 0")),
    "polars_nulls": (pl.Series([1, 2, 3, 4, 5, None]), missing("first in row 5")),
    "polars_text": (pl.DataFrame({"y": list("xyzxyz")}), text("{name}", "'x' at row 0")),
    "infinity": (changed(Y, 2, np.inf, float), infinite("first in row 2")),
    "sparse": (
        scipy.sparse.csr_matrix(Y[:, np.newaxis]),
        Refused(TypeError, "Sparse data was passed as {name}", "dense data is required", "toarray"),
    ),
    "too_short": (Y[:4], Refused(ValueError, "{name} has 4", "has 6 rows", "Give one {name} a row of")),
    "too_long": ([*Y, 1.0], Refused(ValueError, "{name} has 7", "has 6 rows", "Give one {name} a row of")),
    "empty": ([], Refused(ValueError, "{name} has 0", "has 6 rows", "Give one {name} a row of")),
}
BAD_TARGETS = {
    **BAD_Y,
    "none": (None, Refused(ValueError, "{name} is None", "requires {name} to be passed", "give one number a row")),
    "scalar": (1.0, Refused(ValueError, r"array of shape \(\)", "should be a 1d array", "one number a row")),
    "two_columns": (X, Refused(ValueError, r"array of shape \(6, 2\)", "should be a 1d array", "one number a row")),
    "one_row": (Y[np.newaxis], Refused(ValueError, r"shape \(1, 6\)", "should be a 1d array", "one number a row")),
    "two_pandas_columns": (TABLE, Refused(ValueError, r"shape \(6, 2\)", "should be a 1d array", "one number a row")),
}
SAME_WEIGHT = {
    **{kind: (given, WEIGHT) for kind, given in arrays_of(WEIGHT).items()},
    "column": (WEIGHT[:, np.newaxis], WEIGHT),
    "scalar": (2, np.full(ROWS, 2.0)),
    "bool": (WEIGHT > 1, (WEIGHT > 1).astype(float)),
    "pandas_series": (pd.Series(WEIGHT), WEIGHT),
    "polars_one_column": (pl.DataFrame({"w": WEIGHT}), WEIGHT),
}
BAD_WEIGHT = {
    **BAD_Y,
    "name": ("balanced", text("{name}", ".*'balanced'.*")),
    "two_columns": (X, Refused(ValueError, r"shape \(6, 2\)", "must be 1D array or scalar", "one weight a row")),
    "three_dimensions": (
        np.ones((6, 1, 1)),
        Refused(ValueError, r"shape \(6, 1, 1\)", "must be 1D array or scalar", "one weight a row"),
    ),
    "negative": (
        [1, 2, -1, 1, 1, 1],
        Refused(ValueError, "got -1.0 in row 2", "{name} must not be negative", "a weight of 0 or more"),
    ),
    "negative_scalar": (-1, Refused(ValueError, "got -1.0 in row 0", "must not be negative", "a weight of 0 or more")),
    "only_zeros": (np.zeros(6), Refused(ValueError, "every {name} is zero", "at least one weight", "above 0")),
}

TOO_LARGE = Refused(ValueError, "row 2.*", "too large for dtype.'float32'.", 'scale it, or train with dtype="float64"')
ELSEWHERE = {
    "x_too_large_for_float32": (fit_x_in_float32, changed(X, (2, 1), 1e39, float), TOO_LARGE),
    "y_too_large_for_float32": (fit_y_in_float32, changed(Y, 2, -1e39, float), TOO_LARGE),
    "x_too_small_for_float32": (fit_x_in_float32, X * 1e-60, SameAs(X * 0)),
    "validation_array": (
        validate,
        X,
        Refused(ValueError, "got a ndarray", "must be a tuple", r"\(X, y\) or \(X, y, sample_weight\)"),
    ),
    "validation_of_four": (
        validate,
        (X, Y, WEIGHT, WEIGHT),
        Refused(ValueError, "got a tuple of length 4", "must be a tuple", r"\(X, y\) or \(X, y, sample_weight\)"),
    ),
    "validation_of_other_features": (
        validate,
        (X[:, :1], Y),
        Refused(ValueError, "validation_data has 1 features", "X has 2", "give the same columns"),
    ),
    "validation_of_reordered_columns": (
        lambda frame: model().fit(TABLE, Y, validation_data=(frame, Y)),
        TABLE[["b", "a"]],
        Refused(ValueError, "feature names", "should match", "same order as they were in fit"),
    ),
    "validation_list": (validate, [X.tolist(), Y.tolist()], SameAs((X, Y))),
    "prediction_of_other_features": (
        predict,
        X[:, :1],
        Refused(ValueError, "X has 1 features", "is expecting 2 features", "give the columns that fit was given"),
    ),
    "prediction_of_reordered_columns": (
        lambda frame: model().fit(TABLE, Y).predict(frame),
        TABLE[["b", "a"]],
        Refused(ValueError, "feature names", "should match", "same order as they were in fit"),
    ),
    "prediction_of_unknown_columns": (
        lambda frame: model().fit(TABLE, Y).predict(frame),
        TABLE.rename(columns={"b": "c"}),
        Refused(ValueError, "unseen at fit time:\n- c", "seen at fit time, yet now missing:\n- b", "should match"),
    ),
    **{
        f"{method}_before_fit": (
            use_before_fit,
            method,
            Refused(ValueError, "not fitted yet", "before using it", "Call 'fit' with training data"),
        )
        for method in ("predict", "score", "evaluate")
    },
}


def must_be(kind, given, what):
    """The error for a setting: what it must be is what to do."""
    return Refused(kind, given, what, what)


def unknown(what, nearest):
    return Refused(ValueError, f"unknown {what}", "Known: ", f"did you mean '{nearest}'")


class SGDOfAnotherLibrary:
    __module__ = "keras.optimizers"
    learning_rate = 0.1

    def get_config(self):
        return {"learning_rate": 0.1}


RATE = r"SGD: learning_rate must be a finite number at least 0"
SETTINGS = {
    "epochs_0": ({"epochs": 0}, must_be(ValueError, "got 0", "epochs must be an integer of at least 1")),
    "epochs_negative": ({"epochs": -1}, must_be(ValueError, "got -1", "epochs must be an integer of at least 1")),
    "epochs_fraction": ({"epochs": 1.5}, must_be(TypeError, "got 1.5", "epochs must be an integer of at least 1")),
    "epochs_bool": ({"epochs": True}, must_be(TypeError, "got True", "epochs must be an integer of at least 1")),
    "epochs_text": ({"epochs": "9"}, must_be(TypeError, "got '9'", "epochs must be an integer of at least 1")),
    "batch_size_0": ({"batch_size": 0}, must_be(ValueError, "got 0", "batch_size must be an integer of at least 1")),
    "batch_size_none": (
        {"batch_size": None},
        must_be(TypeError, "got None", "batch_size must be an integer of at least 1"),
    ),
    "shuffle_text": ({"shuffle": "no"}, must_be(TypeError, "got 'no'", "shuffle must be True or False")),
    "fit_intercept_none": (
        {"fit_intercept": None},
        must_be(TypeError, "got None", "fit_intercept must be True or False"),
    ),
    "warm_start_text": ({"warm_start": "x"}, must_be(TypeError, "got 'x'", "warm_start must be True or False")),
    "dtype_float16": ({"dtype": "float16"}, unknown("dtype 'float16'", "float(32|64)")),
    "dtype_class": ({"dtype": np.float16}, unknown("dtype <class 'numpy.float16'>", "float(32|64)")),
    "engine_mistyped": ({"engine": "numpi"}, unknown("engine 'numpi'", "numpy")),
    "engine_of_another_kind": ({"engine": None}, Refused(ValueError, "unknown engine None", "Known: ", "numpy")),
    "optimizer_mistyped": ({"optimizer": "adma"}, unknown("optimizer 'adma'", "adam")),
    "optimizer_unlike_any": (
        {"optimizer": "xyz"},
        Refused(ValueError, "unknown optimizer 'xyz'", "Known: ", "adam, rmsprop, sgd"),
    ),
    "optimizer_of_another_library": (
        {"optimizer": SGDOfAnotherLibrary()},
        Refused(TypeError, r"type keras\.optimizers\.SGDOf", "must be one of sgd, rmsprop, adam", "a linreg Optimizer"),
    ),
    "optimizer_class": (
        {"optimizer": SGD},
        Refused(TypeError, "got <class 'linreg.optimizers.SGD'>", "must be one of sgd", "a linreg Optimizer"),
    ),
    "optimizer_none": ({"optimizer": None}, Refused(TypeError, "got None", "must be one of sgd", "a linreg Optimizer")),
    "loss_mistyped": ({"loss": "mae"}, unknown("loss 'mae'", "mse")),
    "loss_of_another_kind": ({"loss": len}, Refused(TypeError, "got <built-in", "must be one of mse", "linreg Loss")),
    "regularizer_mistyped": ({"kernel_regularizer": "l3"}, unknown("kernel_regularizer 'l3'", "l[12]")),
    "regularizer_number": (
        {"kernel_regularizer": 0.1},
        Refused(TypeError, "got 0.1 of type builtins.float", "must be one of l1, l2", "a linreg Regularizer"),
    ),
    "regularizer_negative": (
        {"kernel_regularizer": partial(L2, -1)},
        must_be(ValueError, "got -1", "L2: l2 must be a finite number at least 0"),
    ),
    "learning_rate_negative": ({"optimizer": partial(SGD, -1)}, must_be(ValueError, "got -1", RATE)),
    "learning_rate_nan": ({"optimizer": partial(SGD, np.nan)}, must_be(ValueError, "got nan", RATE)),
    "learning_rate_infinite": ({"optimizer": partial(SGD, np.inf)}, must_be(ValueError, "got inf", RATE)),
    "learning_rate_text": ({"optimizer": partial(SGD, "0.1")}, must_be(TypeError, "got '0.1'", RATE)),
    "learning_rate_bool": ({"optimizer": partial(SGD, True)}, must_be(TypeError, "got True", RATE)),
    "learning_rate_none": ({"optimizer": partial(SGD, None)}, must_be(TypeError, "got None", RATE)),
    "momentum_above_1": (
        {"optimizer": partial(SGD, momentum=1.5)},
        must_be(ValueError, "got 1.5", "momentum must be a finite number at least 0 and at most 1"),
    ),
    "rho_negative": (
        {"optimizer": partial(RMSprop, rho=-0.1)},
        must_be(ValueError, "got -0.1", "rho must be a finite number at least 0 and at most 1"),
    ),
    "epsilon_nan": (
        {"optimizer": partial(RMSprop, epsilon=np.nan)},
        must_be(ValueError, "got nan", "epsilon must be a finite number at least 0"),
    ),
    "beta_1": (
        {"optimizer": partial(Adam, beta_2=1)},
        Refused(ValueError, "got 1", "beta_2 must be below 1", "would be 0"),
    ),
    "two_clips": (
        {"optimizer": partial(SGD, clipnorm=1, clipvalue=2)},
        Refused(ValueError, "got {{'clipnorm': 1, 'clipvalue': 2}}", "only one of", "clipnorm, clipvalue, global_cl"),
    ),
    "clip_negative": (
        {"optimizer": partial(SGD, clipnorm=-1)},
        must_be(ValueError, "got -1", "clipnorm must be a finite number at least 0"),
    ),
    "accumulation_over_1": (
        {"optimizer": partial(SGD, gradient_accumulation_steps=1)},
        must_be(ValueError, "got 1", "gradient_accumulation_steps must be an integer of at least 2"),
    ),
    "ema_momentum_above_1": (
        {"optimizer": partial(SGD, use_ema=True, ema_momentum=2)},
        must_be(ValueError, "got 2", "ema_momentum must be a finite number at least 0 and at most 1"),
    ),
    "reduction_mistyped": (
        {"loss": partial(MeanSquaredError, reduction="summ")},
        unknown("reduction 'summ'", "sum"),
    ),
    "reduction_unlike_any": (
        {"loss": partial(MeanSquaredError, reduction="avg")},
        Refused(ValueError, "unknown reduction 'avg'", "Known: ", "sum_over_batch_size"),
    ),
    "delta_0": (
        {"loss": partial(Huber, delta=0)},
        must_be(ValueError, "got 0", "Huber: delta must be a finite number above 0"),
    ),
    "kernel_of_another_shape": (
        {"kernel_initializer": [1, 2, 3]},
        Refused(ValueError, r"has shape \(3,\)", "X has 2 features", r"give an array of shape \(2,\)"),
    ),
    "kernel_scalar": (
        {"kernel_initializer": 0},
        Refused(ValueError, r"has shape \(\)", "X has 2 features", r"give an array of shape \(2,\)"),
    ),
    "kernel_nan": (
        {"kernel_initializer": [1, np.nan]},
        must_be(ValueError, r"got \[ ?1\. nan\]", "kernel_initializer must hold finite numbers"),
    ),
    "kernel_too_large": (
        {"kernel_initializer": [1, 1e300], "dtype": "float32"},
        must_be(ValueError, r"got \[ ?1\. inf\]", "kernel_initializer must hold finite numbers"),
    ),
    "kernel_text": ({"kernel_initializer": ["a", "b"]}, text("kernel_initializer", ".*'a'.* at row 0")),
    "kernel_ragged": (
        {"kernel_initializer": [[1, 2], [3]]},
        Refused(ValueError, "kernel_initializer cannot be read", "as an array", "the same length"),
    ),
    "kernel_complex": (
        {"kernel_initializer": [1j, 1]},
        Refused(ValueError, "kernel_initializer has type complex128", "real numbers are needed", "real part"),
    ),
    "kernel_masked": (
        {"kernel_initializer": np.ma.array([1.0, 2.0], mask=[False, True])},
        must_be(ValueError, r"got \[ ?1\. nan\]", "kernel_initializer must hold finite numbers"),
    ),
    "kernel_none": ({"kernel_initializer": None}, not_rows("None")),
    "kernel_mistyped": (
        {"kernel_initializer": "zeroes"},
        Refused(ValueError, "Unknown kernel_initializer 'zeroes'", "Known: ", "did you mean 'zeros'"),
    ),
    "bias_nan": (
        {"bias_initializer": np.nan},
        must_be(ValueError, "got nan", "bias_initializer must be a finite number"),
    ),
    "bias_too_large": (
        {"bias_initializer": 1e300, "dtype": "float32"},
        must_be(ValueError, r"got 1e\+300", "bias_initializer must be a number that float32 can hold"),
    ),
    "bias_array": (
        {"bias_initializer": [0.0]},
        must_be(TypeError, r"got \[0.0\]", "bias_initializer must be a finite number"),
    ),
    "bias_mistyped": (
        {"bias_initializer": "zero"},
        Refused(ValueError, "Unknown bias_initializer 'zero'", "Known: ", "did you mean 'zeros'"),
    ),
    "random_state_negative": ({"random_state": -1}, must_be(ValueError, "got -1", "random_state must be at least 0")),
    "random_state_text": ({"random_state": "x"}, must_be(TypeError, "got 'x'", "random_state must be None, an int")),
    "random_state_fraction": (
        {"random_state": 1.0},
        must_be(TypeError, "got 1.0", "random_state must be None, an int"),
    ),
    "callback_of_another_library": (
        {"callbacks": [SGDOfAnotherLibrary()]},
        must_be(TypeError, r"got keras\.optimizers\.SGDOf", "callbacks must derive from linreg.callbacks.Callback"),
    ),
    "callbacks_text": (
        {"callbacks": "EarlyStopping"},
        must_be(TypeError, "got builtins.str", "callbacks must derive from linreg.callbacks.Callback"),
    ),
    "callback_bare": (
        {"callbacks": TerminateOnNaN()},
        Refused(TypeError, "got <linreg.callbacks.TerminateOnNaN", "must be a sequence", "into brackets"),
    ),
    "callbacks_none": ({"callbacks": None}, Refused(TypeError, "got None", "must be a sequence", r"\(\) for none")),
    "callbacks_iterator": (
        lambda _: {"callbacks": iter([TerminateOnNaN()])},
        Refused(TypeError, "got <list_iterator", "must be a sequence", "into brackets"),
    ),
}
PARAMETERS = {
    "name_mistyped": (
        {"epoch": 5},
        Refused(ValueError, "has no parameter 'epoch'", "Known: batch_size", "did you mean 'epochs'"),
    ),
    "inner_name_mistyped": (
        {"optimizer__learning_rte": 0.1},
        Refused(ValueError, "SGD has no parameter 'learning_rte'", "Known: ", "did you mean 'learning_rate'"),
    ),
    "inner_value": ({"optimizer__learning_rate": -1}, must_be(ValueError, "got -1", RATE)),
    "no_group": (
        {"epochs__learning_rate": 0.1},
        Refused(ValueError, "'learning_rate' cannot be set in it", "epochs=100", "has no parameters of its own"),
    ),
}


def cannot_go_on(what):
    return Refused(ValueError, what, "the run so far cannot go on", "Give the same as before, or set warm_start=False")


WARM_STARTS = {
    "another_dtype": ({"dtype": "float32"}, cannot_go_on("dtype was 'float64' and is 'float32' now")),
    "no_intercept": ({"fit_intercept": False}, cannot_go_on("fit_intercept was True and is False now")),
    "another_rule": ({"optimizer": "sgd"}, cannot_go_on(r"optimizer was \('m', 'v'\) and is \(\) now")),
    "another_rule_of_as_many_states": (
        {"optimizer": RMSprop(momentum=0.5)},
        cannot_go_on(r"optimizer was \('m', 'v'\) and is \('v', 'm'\) now"),
    ),
    "an_average": ({"optimizer": Adam(use_ema=True)}, cannot_go_on("use_ema was False and is True now")),
    "accumulation": (
        {"optimizer": Adam(gradient_accumulation_steps=2)},
        cannot_go_on("accumulation was False and is True now"),
    ),
}


def rows():
    """The table: where something is given, what it is, and what must come of it."""
    for places, same, bad in (
        (PLACES_OF_X, SAME_X, BAD_X),
        (PLACES_OF_Y, SAME_Y, BAD_TARGETS),
        (PLACES_OF_WEIGHT, SAME_WEIGHT, BAD_WEIGHT),
    ):
        for place, name in places.items():
            for kind, (given, plain) in same.items():
                yield pytest.param(place, name, given, SameAs(plain), id=f"{place.__name__}-{kind}")
            for kind, (given, refused) in bad.items():
                yield pytest.param(place, name, given, refused, id=f"{place.__name__}-{kind}")
    for place, table in (
        (fit_x, BAD_TABLES),
        (construct, SETTINGS),
        (set_params, PARAMETERS),
        (refit, WARM_STARTS),
    ):
        name = "kernel_initializer" if place is construct else "X"
        for kind, (given, refused) in table.items():
            yield pytest.param(place, name, given, refused, id=f"{place.__name__}-{kind}")
    for kind, (place, given, outcome) in ELSEWHERE.items():
        yield pytest.param(place, "X", given, outcome, id=kind)


def picture(given: Any) -> Any:
    """All there is to see of an object, to be compared with later."""
    if isinstance(given, pd.DataFrame | pd.Series | pd.Index):  # their pickles hold caches
        frame = pd.DataFrame(given)
        return type(given), repr(frame.axes), repr(frame.dtypes), repr(frame.to_numpy(dtype=object).tolist())
    layout = (given.flags.writeable, given.strides, given.dtype) if isinstance(given, np.ndarray) else None
    try:
        return layout, pickle.dumps(given)
    except (TypeError, AttributeError, pickle.PicklingError):  # generators
        return layout, repr(given)


@pytest.mark.parametrize(("use", "name", "given", "outcome"), list(rows()))
def test_what_is_given_is_used_like_plain_float64_or_refused_in_words(use, name, given, outcome, tmp_path):
    given = given(tmp_path) if callable(given) else given
    before = picture(given)
    if isinstance(outcome, SameAs):
        result = use(given)
        np.testing.assert_array_equal(result, use(outcome.plain), strict=True)
        assert np.isfinite(result).all()
    else:
        with pytest.raises(outcome.kind) as caught:
            use(given)
        for regex in (outcome.given, outcome.expected, outcome.do):
            assert re.search(regex.format(name=re.escape(name)), str(caught.value), re.DOTALL)
    assert picture(given) == before


def test_one_row_is_enough_to_train_on():
    trained = LinearRegression(epochs=200, dtype="float64", random_state=0).fit([[2.0]], [5.0])
    assert trained.predict([[2.0]]) == pytest.approx([5.0])
    assert np.isnan(trained.score([[2.0]], [5.0]))
    assert trained.evaluate([[2.0]], [5.0]) == pytest.approx(0, abs=1e-12)


def test_a_refused_fit_leaves_the_model_as_it_was():
    trained = fitted()
    before = pickle.dumps(trained)
    with pytest.raises(ValueError, match="NaN"):
        trained.fit(changed(X, (0, 0), np.nan, float), Y)
    assert pickle.dumps(trained) == before


def test_refused_parameters_leave_the_model_as_it_was():
    untrained = LinearRegression()
    with pytest.raises(ValueError, match="momentum"):
        untrained.set_params(epochs=7, loss="huber", optimizer__momentum=1.5)
    assert repr(untrained) == "LinearRegression()"


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_writes_into_nothing_that_it_was_given(fit_intercept, dtype):
    # Without an intercept, weights or a change of type or order the loop reads the very arrays of the user.
    given = [np.ascontiguousarray(values, dtype) for values in (X, Y, WEIGHT)]
    before = [picture(values) for values in given]
    for shuffle in (True, False):
        trained = model(dtype=dtype, fit_intercept=fit_intercept, shuffle=shuffle, kernel_initializer=given[0][1])
        trained.fit(*given, validation_data=tuple(given))
        trained.predict(given[0])
        trained.score(*given)
        trained.evaluate(*given)
        trained.state_.parameters[:] = 7
        trained.coef_[:] = 7
    assert [picture(values) for values in given] == before


@pytest.mark.parametrize(("trained_in", "evaluated_in"), [("float32", "float64"), ("float64", "float32")])
def test_a_fitted_model_evaluates_in_another_dtype(trained_in, evaluated_in):
    trained = LinearRegression(SGD(0.0), epochs=1, kernel_initializer="zeros", dtype=trained_in).fit(X, Y)
    assert trained.set_params(dtype=evaluated_in).evaluate(X, Y) == (Y**2).mean()


def test_a_score_that_overflows_is_nan_and_no_warning():
    assert np.isnan(fitted().score(X, Y * 1e200))


def test_the_prediction_of_a_row_does_not_depend_on_its_neighbours():
    generator = np.random.default_rng(0)
    data = generator.normal(size=(500, 13)).astype(np.float32)
    trained = LinearRegression(epochs=1, random_state=0).fit(data, data.sum(axis=1))
    together = trained.predict(data)
    alone = np.concatenate([trained.predict(data[row : row + 1]) for row in range(len(data))])
    np.testing.assert_array_equal(together, alone)


# Anything at all.

THINGS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.decimals(),
    st.fractions(),
    st.dates(),
    st.timedeltas(),
    st.sampled_from([pd.NA, pd.NaT, MASKED, Unreadable(), object(), float, np.float32(1), np.array([1.0]), slice(3)]),
)
NESTED = st.recursive(THINGS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=2))
ANY_DTYPE = hnp.scalar_dtypes() | hnp.byte_string_dtypes() | hnp.unicode_string_dtypes() | hnp.array_dtypes(max_size=2)
ANY_SHAPE = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
ANY_ARRAY = ANY_DTYPE.flatmap(lambda dtype: hnp.arrays(dtype, ANY_SHAPE))


@st.composite
def object_arrays(draw):
    out = np.empty(draw(ANY_SHAPE), dtype=object)
    for place in np.ndindex(out.shape):
        out[place] = draw(THINGS.filter(lambda thing: not isinstance(thing, np.ndarray)))
    return out


MASKED_ARRAY = st.tuples(hnp.arrays(float, (3, 2)), hnp.arrays(bool, (3, 2))).map(
    lambda pair: np.ma.array(pair[0], mask=pair[1])
)
ANY_FRAME = st.dictionaries(
    st.text(max_size=3) | st.integers(),
    st.lists(
        THINGS.filter(lambda thing: thing is not MASKED and not isinstance(thing, Unreadable)), min_size=3, max_size=3
    ),
).map(lambda columns: pd.DataFrame(columns, dtype=object).infer_objects())
ANYTHING = NESTED | ANY_ARRAY | object_arrays() | MASKED_ARRAY | ANY_FRAME
HUNDREDS = settings(max_examples=max(300, settings.default.max_examples))


def shape_of_result(use, given):
    """Use what is given; the shape of the coefficients, None if it was refused in words."""
    before = picture(given)
    try:
        shape = use(given).coef_.shape
    except (TypeError, ValueError) as error:
        shape, words = None, str(error)
    assert shape is not None or len(words) >= 30
    assert picture(given) == before
    return shape


def rows_of(given):
    try:
        return max(1, len(given))
    except TypeError:
        return 1


@HUNDREDS
@examples(ANYTHING)
def test_any_x_gives_a_model_or_a_refusal(data):
    shape = shape_of_result(lambda data: model().fit(data, np.arange(rows_of(data))), data)
    assert shape is None or shape == (data.shape[1] if hasattr(data, "shape") else len(data[0]),)


@HUNDREDS
@examples(ANYTHING)
def test_any_y_gives_a_model_or_a_refusal(y):
    assert shape_of_result(lambda y: model().fit(np.resize(X, (rows_of(y), 2)), y), y) in {None, (2,)}


@HUNDREDS
@examples(ANYTHING)
def test_any_weights_give_a_model_or_a_refusal(weight):
    rows = rows_of(weight)
    fit = partial(model().fit, np.resize(X, (rows, 2)), np.resize(Y, rows))
    assert shape_of_result(fit, weight) in {None, (2,)}


@HUNDREDS
@examples(NESTED)
def test_any_setting_is_used_or_refused(value):
    for name in LinearRegression().get_params(deep=False):
        if name not in {"epochs", "batch_size"}:
            assert shape_of_result(lambda value, name=name: model(**{name: value}).fit(X, Y), value) in {None, (2,)}
