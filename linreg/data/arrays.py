"""Arrays, lists and frames as the float arrays that training reads, of the shapes that it needs, or one clear error.

Nothing given is ever modified, and nothing is repaired silently: missing values are refused with the place where they
stand and what to do about them. What is in an array at all is asked by `linreg.data.conversion`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from linreg.data.conversion import as_array, numbers, where

Array = Any

_DROP_OR_IMPUTE = "drop those rows or fill them in first (sklearn.impute.SimpleImputer)"


def column_names(X: Any) -> list[str] | None:
    """Return the column names of a frame, None for arrays.

    Parameters
    ----------
    X : array or frame
        A frame of pandas or polars, or anything else with `columns`; or an array.

    Returns
    -------
    list of str or None
        The names, None also for a frame without text names.

    Raises
    ------
    TypeError
        If some names are text and some are not, or the frame is a query that has not run yet.
    """
    if hasattr(X, "collect_schema") and not hasattr(X, "to_numpy"):
        raise TypeError(f"X is a {type(X).__name__}, a query without data yet, but numbers are needed: X.collect().")
    columns = getattr(X, "columns", None)
    if columns is None or callable(columns):
        return None
    names = list(columns)
    text = [isinstance(name, str) for name in names]
    if names and all(text):
        return names
    if any(text):
        kinds = sorted({type(name).__name__ for name in names})
        raise TypeError(
            "Feature names are only supported if all input features have string names, but your input has "
            f"{kinds} as feature name / column name types. Give every column a text name: X.columns = "
            "X.columns.astype(str)."
        )
    return None


def feature_matrix(X: Any, dtype: Any, *, name: str = "X", first: int = 0) -> Array:
    """Return X as a finite float array of shape (rows, features).

    Parameters
    ----------
    X : array, list or frame of shape (rows, features)
        Numbers (bool counts as 0 and 1).
    dtype : type
        One of numpy.float32 and numpy.float64.
    name : str, default="X"
        What to call it in errors.
    first : int, default=0
        Number of the first row, in errors.

    Returns
    -------
    array of shape (rows, features)
        In `dtype`, C-ordered. It may share memory with X: do not write to it.

    Raises
    ------
    TypeError
        If it holds something that is no real number (text, dates, complex numbers, objects), or is sparse.
    ValueError
        If its shape is wrong, it is empty, or it holds missing, infinite or too large values.
    """
    names = column_names(X)
    matrix = numbers(X, name, first) if names is None else _stacked(X, names, name, first)
    return _finite(rows_and_features(matrix, name), dtype, name, names, first)


def rows_and_features(array: Array, name: str) -> Array:
    """Return the array if it has two dimensions and is not empty, whatever it holds.

    Parameters
    ----------
    array : array
        What was given.
    name : str
        What to call it in errors.

    Returns
    -------
    array of shape (rows, features)
        The same array.

    Raises
    ------
    ValueError
        If it has another number of dimensions, no rows or no columns.
    """
    if array.ndim != 2:
        what = f"a scalar, {array[()]!s}," if array.ndim == 0 else f"a {array.ndim}D array of shape {array.shape}"
        how = (
            f"{name}.reshape(len({name}), -1) makes every row one list of features."
            if array.ndim > 2
            else f"{name}.reshape(-1, 1) if it has a single feature, {name}.reshape(1, -1) if it is a single row."
        )
        raise ValueError(f"Expected 2D array for {name}, got {what} instead. Reshape your data: {how}")
    rows, features = array.shape
    if rows == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={array.shape}) while a minimum of 1 is required in {name}: look "
            "whether a filter has removed every row."
        )
    if features == 0:
        raise ValueError(
            f"Found array with 0 feature(s) (shape={array.shape}) while a minimum of 1 is required in {name}: look "
            "whether a selection has removed every column."
        )
    return array


def row_vector(values: Any, dtype: Any, rows: int, *, name: str, of: str = "X", first: int = 0) -> Array:
    """Return one number a row as a finite float array of shape (rows,); a column of shape (rows, 1) is flattened.

    Parameters
    ----------
    values : array, list, series or one-column frame
        The numbers.
    dtype : type
        One of numpy.float32 and numpy.float64.
    rows : int
        How many there must be.
    name : str
        What to call them in errors.
    of : str, default="X"
        What to call the matrix that has those rows.
    first : int, default=0
        Number of the first row, in errors.

    Returns
    -------
    array of shape (rows,)
        In `dtype`, contiguous. It may share memory with `values`: do not write to it.

    Raises
    ------
    TypeError
        If they are no real numbers.
    ValueError
        If there are too many or too few, or some are missing, infinite or too large.
    """
    vector = one_a_row(values, rows, name=name, of=of)
    return _finite(numbers(vector, name, first), dtype, name, None, first)


def one_a_row(values: Any, rows: int, *, name: str, of: str = "X") -> Array:
    """Return one value a row as an array of shape (rows,), whatever it holds; a column of shape (rows, 1) is flattened.

    Parameters
    ----------
    values : array, list, series or one-column frame
        The values.
    rows : int
        How many there must be.
    name : str
        What to call them in errors.
    of : str, default="X"
        What to call the matrix that has those rows.

    Returns
    -------
    array of shape (rows,)
        Of whatever type. It may share memory with `values`: do not write to it.

    Raises
    ------
    TypeError
        If they are no array, or sparse.
    ValueError
        If there are none, or too many or too few.
    """
    if values is None:
        raise ValueError(f"requires {name} to be passed, but the target {name} is None: give one number a row of {of}.")
    vector = as_array(_only_column(values), name)
    if vector.ndim == 2 and vector.shape[1] == 1:
        vector = vector.reshape(-1)
    if vector.ndim != 1:
        raise ValueError(
            f"{name} should be a 1d array, got an array of shape {vector.shape} instead: give one number a row of {of}."
        )
    if len(vector) != rows:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: {of} has {rows} rows and {name} has "
            f"{len(vector)}. Give one {name} a row of {of}."
        )
    return vector


def weight_vector(
    sample_weight: Any, dtype: Any, rows: int, *, name: str = "sample_weight", of: str = "X"
) -> Array | None:
    """Return sample weights as a float array of shape (rows,), None if there are none.

    Parameters
    ----------
    sample_weight : None, number or array of shape (rows,)
        Weights; a single number weighs every row alike.
    dtype : type
        One of numpy.float32 and numpy.float64.
    rows : int
        Rows of X.
    name : str, default="sample_weight"
        What to call them in errors.
    of : str, default="X"
        What to call the matrix that has those rows.

    Returns
    -------
    array of shape (rows,) or None
        The weights.

    Raises
    ------
    TypeError
        If they are no real numbers.
    ValueError
        If there are too many or too few, or some are negative, missing or infinite, or all are zero.
    """
    if sample_weight is None:
        return None
    given = numbers(_only_column(sample_weight), name)
    if given.ndim == 0:
        given = np.full(rows, given)
    if given.ndim > 2 or given.shape[1:] not in {(), (1,)}:
        raise ValueError(f"Sample weights must be 1D array or scalar, got shape {given.shape}: give one weight a row.")
    weights = row_vector(given, dtype, rows, name=name, of=of)
    refuse_negative(weights, name)
    refuse_all_zero(bool(weights.any()), name)
    return weights


def refuse_negative(weights: Array, name: str, first: int = 0) -> None:
    """Raise ValueError for the first weight below 0; `first` is the number of the first row."""
    if (weights < 0).any():
        row = int(np.argmax(weights < 0))
        raise ValueError(
            f"{name} must not be negative, got {weights[row]!s} in row {first + row}: give each row a weight of 0 or "
            "more."
        )


def refuse_all_zero(some: bool, name: str) -> None:
    """Raise ValueError unless some weight is above 0."""
    if not some:
        raise ValueError(f"every {name} is zero, but at least one weight must be above 0: weigh the rows that count.")


def design_matrix(matrix: Array, fit_intercept: bool) -> Array:
    """Return [X, 1], C-ordered: with a column of ones the bias is one more parameter of one dot product.

    Parameters
    ----------
    matrix : array of shape (rows, features)
        X.
    fit_intercept : bool
        Whether to append the column of ones; without it, X itself is returned.

    Returns
    -------
    array of shape (rows, features + 1) or (rows, features)
        The matrix that training reads.
    """
    if not fit_intercept:
        return matrix
    rows, features = matrix.shape
    augmented = np.empty_like(matrix, shape=(rows, features + 1), order="C")
    augmented[:, :features] = matrix
    augmented[:, features] = 1
    return augmented


def column_of(frame: Any, column: str, name: str) -> Array:
    """Return a column of a frame as an array, whatever it holds.

    Parameters
    ----------
    frame : frame
        The table.
    column : str
        Name of the column.
    name : str
        What to call the table in errors.

    Returns
    -------
    array of shape (rows,)
        Of whatever type. It may share memory with the frame: do not write to it.

    Raises
    ------
    TypeError
        If it cannot be read as an array, or holds an array in every row.
    ValueError
        If there are two columns of that name.
    """
    series = frame[column]
    if getattr(series, "ndim", 1) != 1:
        raise ValueError(
            f"The column name {column!r} occurs more than once in {name}, but every name must stand for one "
            "column: rename all but one of them."
        )
    array = as_array(series, f"column {column!r} of {name}")
    if array.ndim != 1:
        raise TypeError(
            f"column {column!r} of {name} holds an array of shape {array.shape[1:]} in every row, but one "
            "number is needed: give each of them a column of its own."
        )
    return array


def _stacked(frame: Any, names: list[str], name: str, first: int) -> Array:
    """Return the columns of a frame side by side, each checked by itself."""
    return np.column_stack(
        [numbers(column_of(frame, column, name), f"column {column!r} of {name}", first) for column in names]
    )


def _only_column(values: Any) -> Any:
    """Return the only column of a frame; anything else as it is."""
    names = column_names(values)
    return values[names[0]] if names is not None and len(names) == 1 else values


def _finite(array: Array, dtype: Any, name: str, names: list[str] | None, number: int = 0) -> Array:
    """Return the array in `dtype`, C-ordered, or say where its first missing, infinite or too large value stands."""
    with np.errstate(over="ignore", invalid="ignore"):
        cast = array.astype(dtype, order="C", copy=False)
    if np.isfinite(cast).all():
        return cast

    def first(bad: Array) -> str:
        place = tuple(int(index) for index in np.argwhere(bad)[0])
        column = f" (column {names[place[1]]!r})" if names else ""
        return f"the first in {where(place, number)}{column}, counted from 0"

    raise refused(array, cast, f"Input {name} contains", first)


def refused(array: Array, cast: Array, head: str, first: Callable[[Array], str]) -> ValueError:
    """Return the error for values that are missing, infinite or too large for a type.

    Parameters
    ----------
    array : array
        Values as they were given.
    cast : array
        The same in the type that is needed, some of them not finite.
    head : str
        How the error begins: what contains them.
    first : callable
        Takes an array that is True where values are bad, and says where the first stands.

    Returns
    -------
    ValueError
        The error.
    """
    missing = np.isnan(cast)
    if missing.any():
        return ValueError(
            f"{head} NaN: {int(missing.sum())} of {cast.size} values are missing, {first(missing)}. "
            f"Every loss after it would be nan: {_DROP_OR_IMPUTE}."
        )
    infinite = ~np.isfinite(array)
    if infinite.any():
        return ValueError(
            f"{head} infinity: {int(infinite.sum())} of {cast.size} values, {first(infinite)}. "
            f"Replace them, or {_DROP_OR_IMPUTE}."
        )
    large = ~np.isfinite(cast)
    limit = np.finfo(cast.dtype).max
    otherwise = "" if cast.dtype == np.float64 else ', or train with dtype="float64"'
    return ValueError(
        f"{head} a value too large for dtype('{cast.dtype.name}') (infinity above {limit:.2g}), "
        f"{first(large)}: scale it{otherwise}."
    )
