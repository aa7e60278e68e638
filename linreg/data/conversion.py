"""Whatever a user has as a NumPy array, and that as real numbers, or one clear error.

Nothing given is ever modified, and nothing is repaired silently: text, dates and objects are refused with the place
where they stand and what to do about them.
"""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from linreg.devices import HOST, device_of

Array = Any

_ENCODE = "encode it as numbers first (sklearn.preprocessing.OneHotEncoder for categories), or leave the column out"
_DATES = "turn them into numbers first, for example days since the first one"


class ComplexDataError(ValueError):
    """Complex numbers where real ones are needed."""


def as_array(values: Any, name: str) -> Array:
    """Return `values` as a NumPy array of whatever type; what is masked or missing becomes None or nan.

    Parameters
    ----------
    values : array, list, series or frame
        Whatever was given.
    name : str
        What to call it in errors.

    Returns
    -------
    array
        Of any type and shape; a CuPy array stays where it lies. It may share memory with `values`: do not write to
        it.

    Raises
    ------
    TypeError
        If it is no array and nothing that can be made one, or is sparse.
    ValueError
        If its rows differ in length.
    """
    if device_of(values) is not HOST:
        return values
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        raise TypeError(
            f"Sparse data was passed as {name} ({type(values).__name__}), but dense data is required. "
            f"Convert it with {name}.toarray()."
        )
    if getattr(values, "shape", None) == (0, 0):
        return np.empty((0, 0))  # older polars cannot convert an empty frame
    try:
        if _holds_masked(values):
            array = _unmasked(values)
        else:
            array = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} cannot be read as an array ({error}): give every row the same length.") from None
    except (TypeError, RuntimeError) as error:
        raise TypeError(f"{name} cannot be read as an array ({error}): give a NumPy array of numbers.") from None
    if array.ndim == 0 and array.dtype.kind == "O" and not hasattr(values, "__float__"):
        what = "None" if values is None else f"a {type(values).__name__}"
        raise TypeError(
            f"{name} is {what}, but rows of numbers are needed: give an array, a list or a frame (list(...) makes one "
            "of a generator)."
        )
    return array


def numbers(values: Any, name: str, first: int = 0) -> Array:
    """Return what a user has given as an array of real numbers, or say what is in there instead.

    Parameters
    ----------
    values : array, list, series or frame
        The numbers.
    name : str
        What to call them in errors.
    first : int, default=0
        Number of the first row, in errors.

    Returns
    -------
    array
        Integers, floats or bools, of any shape. It may share memory with `values`: do not write to it.

    Raises
    ------
    TypeError
        If it holds something that is no number, or is sparse.
    ValueError
        If it holds complex numbers or its rows differ in length.
    """
    array = as_array(values, name)
    kind = array.dtype.kind
    if kind in "fiub":
        return array
    if array.size == 0 and kind in "OUST":
        return np.empty(array.shape)
    if kind == "c":
        raise ComplexDataError(
            f"Complex data not supported: {name} has type {array.dtype}, but real numbers are needed. Give the real "
            "part (.real), or real and imaginary part as columns of their own."
        )
    if kind in "Mm":
        raise TypeError(f"{name} holds dates or durations ({array.dtype}), but numbers are needed: {_DATES}.")
    if kind in "UST":
        raise _refused_text(array, name, first)
    if kind == "O":
        return _numbers_from_objects(array, name, first)
    if array.dtype.names:
        raise TypeError(
            f"{name} is a structured array with the fields {', '.join(array.dtype.names)}, but a plain one is needed: "
            f"numpy.lib.recfunctions.structured_to_unstructured({name})."
        )
    raise TypeError(f"{name} has type {array.dtype}, but numbers are needed: {_ENCODE}.")


def _holds_masked(values: Any) -> bool:
    """Whether it is a masked array, or a list of masked rows or values: NumPy would drop the mask."""

    def within(rows: Any, deeper: int) -> bool:
        if isinstance(rows, np.ma.MaskedArray):
            return True
        return deeper > 0 and isinstance(rows, list | tuple) and any(within(row, deeper - 1) for row in rows)

    return within(values, 2)


def _unmasked(values: Any) -> Array:
    with warnings.catch_warnings():
        # A masked value in a list becomes nan, which is refused later with its place.
        warnings.simplefilter("ignore", UserWarning)
        masked = np.ma.asarray(values)
    mask = np.ma.getmaskarray(masked)
    if masked.dtype.names or not mask.any():
        return masked.data
    return np.where(mask, np.array(None), masked.data.astype(object))


def _numbers_from_objects(array: Array, name: str, first: int) -> Array:
    """Return an array of Python objects as float64 if every one of them is a number or missing."""
    out = np.empty(array.shape, np.float64)
    for place, value in np.ndenumerate(array):
        if value is None or type(value).__name__ in {"NAType", "NaTType"}:
            out[place] = np.nan
        elif isinstance(value, str | bytes):
            raise _refused_text(array, name, first)
        elif isinstance(value, dt.date | dt.time | dt.timedelta | np.datetime64 | np.timedelta64):
            raise TypeError(
                f"{name} holds dates or durations, {value!r} at {where(place, first)}, but numbers are needed: "
                f"{_DATES}."
            )
        else:
            out[place] = _number_from_object(value, name, where(place, first))
    return out


def _number_from_object(value: Any, name: str, place: str) -> float:
    try:
        if getattr(value, "ndim", 0) == 0:
            return float(value)
    except OverflowError:
        raise ValueError(
            f"Input {name} contains a value too large for dtype('float64') (infinity above 1.8e+308), at "
            f"{place}: scale it."
        ) from None
    except (TypeError, ValueError):
        pass
    raise TypeError(
        f"{name} holds {value!r:.60} at {place}: every argument must be a string or a number that stands for a "
        f"real number, not a {type(value).__name__!r}. {_ENCODE[0].upper()}{_ENCODE[1:]}."
    )


def _refused_text(array: Array, name: str, first: int) -> TypeError:
    """Return the error for text, which tells numbers written as text from categories."""
    words = [(place, value) for place, value in np.ndenumerate(array) if isinstance(value, str | bytes)]
    other = [(place, value) for place, value in words if not _is_number(value)]
    place, value = (other or words)[0]
    if not other:
        how = "they are numbers written as text, so convert them first with .astype(float) (polars: .cast(float))."
    elif isinstance(value, str) and _is_number(value.replace(",", "")):
        how = "write its decimals with a point, and nothing between its thousands."
    else:
        how = f"{_ENCODE}."
    return TypeError(f"{name} holds text, {value!r:.60} at {where(place, first)}, but numbers are needed: {how}")


def _is_number(text: str | bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def where(place: Sequence[int], first: int = 0) -> str:
    """Return the words for a place in an array whose first row has a number."""
    if not place:
        return "its only place"
    return "row " + ", column ".join(map(str, (place[0] + first, *place[1:])))
