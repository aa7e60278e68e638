"""Whatever a user has (arrays, lists, frames) as the float arrays that training reads, or one clear error.

Nothing given is ever modified, and nothing is repaired silently: missing values, text and dates are refused with the
place where they stand and what to do about them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = Any

_DROP_OR_IMPUTE = "drop those rows or fill them in first (sklearn.impute.SimpleImputer)"
_ENCODE = "encode it as numbers first (sklearn.preprocessing.OneHotEncoder for categories), or leave the column out"


def column_names(X: Any) -> list[str] | None:
    """Return the column names of a frame (pandas, polars, or anything with `columns`), None for arrays.

    Raises
    ------
    TypeError
        If some names are text and some are not.
    """
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
            f"{kinds} as feature name / column name types. Give every column a text name: X.columns.astype(str)."
        )
    return None


def feature_matrix(X: Any, dtype: Any, *, name: str = "X") -> Array:
    """Return X as a finite float array of shape (rows, features).

    Parameters
    ----------
    X : array, list or frame of shape (rows, features)
        Numbers (bool counts as 0 and 1).
    dtype : type
        numpy.float32 or numpy.float64.
    name : str, default="X"
        What to call it in errors.

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
    _refuse_sparse(X, name)
    names = column_names(X)
    if names is not None:
        columns = [_numbers(_column(X, column), f"column {column!r} of {name}") for column in names]
        matrix = np.column_stack(columns) if columns else np.empty((len(X), 0))
    else:
        matrix = _numbers(X, name)
    if matrix.ndim != 2:
        what = "a scalar" if matrix.ndim == 0 else f"a {matrix.ndim}D array"
        raise ValueError(
            f"Expected 2D array for {name}, got {what} instead of shape {matrix.shape}. Reshape your data: "
            f"{name}.reshape(-1, 1) if it has a single feature, {name}.reshape(1, -1) if it is a single row."
        )
    rows, features = matrix.shape
    if rows == 0:
        raise ValueError(f"Found array with 0 sample(s) (shape={matrix.shape}) in {name}, a minimum of 1 is required.")
    if features == 0:
        raise ValueError(
            f"Found array with 0 feature(s) (shape={matrix.shape}) while a minimum of 1 is required in {name}."
        )
    return _finite(matrix, dtype, name, names)


def row_vector(values: Any, dtype: Any, rows: int, *, name: str) -> Array:
    """Return one number a row as a finite float array of shape (rows,); a column of shape (rows, 1) is flattened.

    Parameters
    ----------
    values : array, list, series or one-column frame
        The numbers.
    dtype : type
        numpy.float32 or numpy.float64.
    rows : int
        How many there must be.
    name : str
        What to call them in errors.

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
    if values is None:
        raise ValueError(f"requires {name} to be passed, but the target {name} is None: give one number a row of X.")
    _refuse_sparse(values, name)
    names = column_names(values)
    vector = _numbers(_column(values, names[0]) if names is not None and len(names) == 1 else values, name)
    if vector.ndim == 2 and vector.shape[1] == 1:
        vector = vector.reshape(-1)
    if vector.ndim != 1:
        raise ValueError(
            f"{name} should be a 1d array, got an array of shape {vector.shape} instead: give one number a row of X."
        )
    if len(vector) != rows:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {rows} rows and {name} has "
            f"{len(vector)}. Give one {name} a row of X."
        )
    return _finite(vector, dtype, name, None)


def weight_vector(sample_weight: Any, dtype: Any, rows: int) -> Array | None:
    """Return sample weights as a float array of shape (rows,), None if there are none.

    Parameters
    ----------
    sample_weight : None, number or array of shape (rows,)
        Weights; a single number weighs every row alike.
    dtype : type
        numpy.float32 or numpy.float64.
    rows : int
        Rows of X.

    Returns
    -------
    array of shape (rows,) or None
        The weights.

    Raises
    ------
    TypeError
        If they are no real numbers.
    ValueError
        If there are too many or too few, or some are negative, missing or infinite.
    """
    if sample_weight is None:
        return None
    if np.ndim(sample_weight) == 0 and not hasattr(sample_weight, "columns"):
        sample_weight = np.full(rows, sample_weight)
    elif np.ndim(sample_weight) > 1 and np.shape(sample_weight)[1:] != (1,):
        raise ValueError(
            f"Sample weights must be 1D array or scalar, got shape {np.shape(sample_weight)}: give one weight a row."
        )
    weights = row_vector(sample_weight, dtype, rows, name="sample_weight")
    if (weights < 0).any():
        row = int(np.argmax(weights < 0))
        raise ValueError(f"sample_weight must not be negative, got {weights[row]!s} in row {row}.")
    return weights


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


def _refuse_sparse(values: Any, name: str) -> None:
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        raise TypeError(
            f"Sparse data was passed as {name} ({type(values).__name__}), but dense data is required. "
            f"Convert it with {name}.toarray()."
        )


def _column(frame: Any, name: str) -> Any:
    column = frame[name]
    if getattr(column, "ndim", 1) != 1:
        raise ValueError(f"The column name {name!r} occurs more than once: give every column a name of its own.")
    return column


def _numbers(values: Any, name: str) -> Array:
    """Return `values` as a real array, or say what is in there instead."""
    array = values.to_numpy() if hasattr(values, "to_numpy") else _as_array(values, name)
    kind = array.dtype.kind
    if kind in "fiub":
        return array
    if kind == "c":
        raise ValueError(f"Complex data not supported: {name} has type {array.dtype}. Give real numbers: {name}.real.")
    if kind in "Mm":
        raise TypeError(
            f"{name} holds dates or durations ({array.dtype}): turn them into numbers first, for example days since "
            "the first one."
        )
    if kind in "UST":
        raise TypeError(f"{name} holds text, {_first(array)}: {_advice_on_text(array)}")
    if kind == "O":
        return _numbers_from_objects(array, name)
    raise TypeError(f"{name} has type {array.dtype}, but numbers are needed: {_ENCODE}.")


def _as_array(values: Any, name: str) -> Array:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} cannot be read as an array ({error}): give every row the same length.") from None


def _numbers_from_objects(array: Array, name: str) -> Array:
    """Return an array of Python objects as float64 if every one of them is a number or missing."""
    out = np.empty(array.shape, np.float64)
    for place, value in np.ndenumerate(array):
        if value is None or type(value).__name__ in {"NAType", "NaTType"}:
            out[place] = np.nan
        elif isinstance(value, str | bytes):
            raise TypeError(f"{name} holds text, {value!r} at {_where(place)}: {_advice_on_text(array)}")
        else:
            try:
                out[place] = float(value)
            except (TypeError, ValueError):
                raise TypeError(
                    f"{name} holds {value!r} at {_where(place)}: every argument must be a string or a number that "
                    f"stands for a real number, not a {type(value).__name__!r}. {_ENCODE[0].upper()}{_ENCODE[1:]}."
                ) from None
    return out


def _advice_on_text(array: Array) -> str:
    """Tell numbers written as text from categories."""
    text = [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in array.flat]
    if all(_is_number(value) for value in text):
        return "they are numbers written as text, so convert them first with .astype(float)."
    return f"{_ENCODE}."


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _first(array: Array) -> str:
    return f"{array.flat[0]!s:.40} first" if array.size else "though it is empty"


def _where(place: Sequence[int]) -> str:
    return "row " + ", column ".join(str(index) for index in place) if place else "its only place"


def _finite(array: Array, dtype: Any, name: str, names: list[str] | None) -> Array:
    """Return the array in `dtype`, C-ordered, or say where its first missing, infinite or too large value stands."""
    with np.errstate(over="ignore", invalid="ignore"):
        cast = np.ascontiguousarray(array, dtype=dtype)
    if np.isfinite(cast).all():
        return cast

    def first(bad: Array) -> str:
        place = tuple(int(index) for index in np.argwhere(bad)[0])
        column = f" (column {names[place[1]]!r})" if names else ""
        return f"the first in {_where(place)}{column}"

    missing = np.isnan(cast)
    if missing.any():
        raise ValueError(
            f"Input {name} contains NaN: {int(missing.sum())} of {cast.size} values are missing, {first(missing)}. "
            f"Every loss after it would be nan: {_DROP_OR_IMPUTE}."
        )
    infinite = ~np.isfinite(array.astype(np.float64, copy=False))
    if infinite.any():
        raise ValueError(
            f"Input {name} contains infinity: {int(infinite.sum())} of {cast.size} values, {first(infinite)}. "
            f"Replace them, or {_DROP_OR_IMPUTE}."
        )
    large = ~np.isfinite(cast)
    limit = np.finfo(dtype).max
    raise ValueError(
        f"Input {name} contains a value too large for dtype('{np.dtype(dtype).name}') (infinity above {limit:.2g}), "
        f'{first(large)}: scale it, or train with dtype="float64".'
    )
