"""How the numbers of a run are represented: the one place where hyper-parameters are rounded.

An update rule never casts. Before the loop starts, every hyper-parameter is turned into a number of the run's
arithmetic by one of the `Precision` objects here, and the rule then works in whatever it was given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


def _c_power(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except (OverflowError, ValueError):  # Python raises where C returns inf or nan.
        with np.errstate(all="ignore"):
            return float(np.float64(base) ** np.float64(exponent))


_power = np.frompyfunc(_c_power, 2, 1)

AT_ONCE = 64
"""Powers in a row for which the C library is asked once."""
OFF = 2.0**-50
"""More than three roundings of float64 and what the C library is off by, relatively."""


def rounded_both_ways(power: Any) -> tuple[Any, Any]:
    """Return numbers that are off by `OFF` at most as float32, from below and from above: equal where that is sure."""
    return np.float32(power * (1 - OFF)), np.float32(power * (1 + OFF))


def _in_a_row(base: Any, exponent: Any) -> bool:
    """Whether these are powers of bases from 0 to 1 whose exponents count up, of more of them than `AT_ONCE`."""
    broadcast = base.size == 1 or base.ndim < exponent.ndim
    if not (broadcast and exponent.ndim and exponent.size == len(exponent) > AT_ONCE):
        return False
    steps = exponent.reshape(-1)
    return bool(steps[0] >= 0 and (np.diff(steps) == 1).all() and (base >= 0).all() and (base < 1).all())


@dataclass(frozen=True)
class Precision:
    """Rounding of hyper-parameters, powers and cosines for one arithmetic.

    Parameters
    ----------
    dtype : type
        NumPy scalar type of parameters, data and state.
    number : callable
        Turns a hyper-parameter (a Python float, 64 bits) into this arithmetic.
    cast : callable
        The same for the hyper-parameters that Keras sends through `ops.cast`: SGD's momentum, the betas inside beta^t,
        the weight decay, the strength of a penalty. It differs from `number` only in `KERAS_FLOAT64`.
    schedules : Precision, optional
        The arithmetic in which schedules are computed, if it is another one.

    Notes
    -----
    TensorFlow's float32 power and cosine are correctly rounded in nearly all cases, NumPy's are not; the float64
    result rounded to float32 agrees with TensorFlow, so both are taken in float64 here. The power is the C library's,
    like TensorFlow's, because NumPy's own for arrays depends on the processor in the last bit.
    """

    dtype: Any
    number: Callable[[float], Any]
    cast: Callable[[float], Any]
    schedules: Precision | None = None

    def steps(self, steps: Any) -> Any:
        """Turn step counts (an array of integers) into this arithmetic."""
        return np.asarray(steps).astype(self.dtype)

    def power(self, base: Any, exponent: Any) -> Any:
        """Return base ** exponent, taken in float64 and rounded once; inf where it is too large."""
        with np.errstate(over="ignore", under="ignore"):
            # Not np.float64(exponent): before NumPy 2.3 that makes a scalar of an array with one element.
            base, exponent = np.asarray(base, np.float64), np.asarray(exponent, np.float64)
            if self.dtype is np.float32 and _in_a_row(base, exponent):
                return self._powers_in_a_row(base, exponent)
            return self._library_power(base, exponent).astype(self.dtype)

    def _powers_in_a_row(self, base: Any, exponent: Any) -> Any:
        """Do the same for exponents that count up, of which the C library is asked for few."""
        # base^(e + j) = base^e base^j is off by some roundings of float64, which hardly ever decide how it is rounded.
        rows = exponent[::AT_ONCE], np.arange(AT_ONCE, dtype=np.float64).reshape(AT_ONCE, *[1] * (exponent.ndim - 1))
        first, rest = (self._library_power(base, row) for row in rows)
        low, high = self._rounded_products(first, rest, len(exponent))
        unsure = np.nonzero(low != high)
        if len(unsure[0]):
            bases, exponents = np.broadcast_arrays(base, exponent)
            low[unsure] = self._library_power(bases[unsure], exponents[unsure])
        return low

    def _rounded_products(self, first: Any, rest: Any, count: int) -> tuple[Any, Any]:
        """Return the products of each of `first` with all of `rest`, rounded from below and from above."""
        return rounded_both_ways((first[:, np.newaxis] * rest).reshape(-1, *first.shape[1:])[:count])

    def _library_power(self, base: Any, exponent: Any) -> Any:
        """Return the powers of the C library, in float64."""
        return np.asarray(_power(base, exponent), np.float64)

    def cosine(self, x: Any) -> Any:
        """Return cos(x), taken in float64 and rounded once."""
        return np.cos(x, dtype=np.float64).astype(self.dtype)


def _float32(x: float) -> np.float32:
    if -1e38 < x < 1e38:  # nearly always, and to silence NumPy takes longer than to round
        return np.float32(x)
    with np.errstate(over="ignore"):
        number = np.float32(x)
    if math.isinf(number) and not math.isinf(x):
        raise ValueError(f'{x!r} is too large for float32, which ends at 3.4e38: choose less, or dtype="float64".')
    return number


def _through_float32(x: float) -> np.float64:
    return np.float64(_float32(x))


FLOAT32 = Precision(np.float32, _float32, _float32)
FLOAT64 = Precision(np.float64, np.float64, np.float64)
KERAS_FLOAT64 = Precision(np.float64, np.float64, _through_float32, schedules=FLOAT32)
"""What a float64 Keras model really computes with (`keras.config.set_floatx("float64")`): some hyper-parameters pass
through float32 on their way, `keras.ops.cast(0.9, "float64")` is 0.8999999761581421, and schedules are computed in
float32. Chosen, by `dtype="keras_float64"`, only to compare with Keras bit for bit."""

PRECISIONS = {"float32": FLOAT32, "float64": FLOAT64, "keras_float64": KERAS_FLOAT64}
