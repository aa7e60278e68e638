"""The arithmetic of `decimal.Decimal`: the truth that rounding is measured against, imported only where it is used."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from linreg.precision import FLOAT64, Precision


class Exact(Precision):
    """Arithmetic of `decimal.Decimal`, to as many digits as the decimal context says; schedules in float64."""

    def steps(self, steps: Any) -> Any:
        """Turn step counts (an array of integers) into decimals."""
        return np.array([Decimal(int(step)) for step in np.ravel(steps)], dtype=object).reshape(np.shape(steps))

    def power(self, base: Any, exponent: Any) -> Any:
        """Return base ** exponent."""
        return np.power(base, exponent)


EXACT = Exact(object, Decimal, Decimal, schedules=FLOAT64)
