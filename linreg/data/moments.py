"""Dates, times and durations as numbers: microseconds, as float64.

They are exact within 285 years of 1970, and for whole days always.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

DAY = 86_400e6
"""Microseconds of a day."""
_1970 = dt.date(1970, 1, 1).toordinal()


def moment(cell: Any) -> float:
    """Return a date or time as microseconds since 1970, in UTC."""
    if isinstance(cell, np.datetime64):
        return np.nan if np.isnat(cell) else float(cell.astype("M8[us]").astype(np.int64))
    if hasattr(cell, "to_timestamp"):  # a period of pandas
        cell = cell.to_timestamp()
    microseconds: float = (cell.toordinal() - _1970) * DAY
    if isinstance(cell, dt.datetime):
        microseconds += _time_of_day(cell)
        if offset := cell.utcoffset():
            microseconds -= offset / dt.timedelta(microseconds=1)
    return microseconds


def duration(cell: Any) -> float:
    """Return a duration, or the time since midnight, as microseconds."""
    if isinstance(cell, dt.time):
        return _time_of_day(cell)
    if isinstance(cell, np.timedelta64):
        return np.nan if np.isnat(cell) else float(cell.astype("m8[us]").astype(np.int64))
    return float(cell / dt.timedelta(microseconds=1))


def moment_text(microseconds: float) -> str:
    """Return a moment as ISO 8601 writes it."""
    return str(np.datetime_as_string(np.datetime64(int(microseconds), "us"), unit="auto"))


def _time_of_day(time: dt.time | dt.datetime) -> float:
    return ((time.hour * 60 + time.minute) * 60 + time.second) * 1e6 + time.microsecond
