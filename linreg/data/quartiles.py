"""Quartiles of rows that are read block by block: exact, without holding more than a small share of them.

A random sample says between which values each quartile lies almost certainly; another pass counts the values below and
keeps those between. Where the sample was wrong, which the counts show, a wider one of these ranges is gone through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from linreg.data.blocks import BLOCK_BYTES, Block, Source

Array = Any

QUARTERS = (0.25, 0.5, 0.75)
DEVIATIONS = (5.0, 50.0, np.inf)
"""Half the width of a range, in standard deviations of the sample's quantile, as a rank; infinite holds all values."""


def quartiles(source: Source, prepare: Callable[[Block], Block], moved: Callable[[int], None]) -> Array:
    """Return the quartiles of each feature.

    Parameters
    ----------
    source : Source
        The rows; they are read twice, or more often if chance is against it.
    prepare : callable
        Is given every block and returns the rows of it that count, all finite.
    moved : callable
        Called with the number of rows after each block.

    Returns
    -------
    array of shape (3, features)
        The values below which a quarter, a half and three quarters of the rows lie, between two rows by linear
        interpolation: bit for bit what `numpy.percentile` and `numpy.median` (the half) make of all rows at once.
    """
    sample, count = _sample(source, prepare, moved)
    features = len(source.names)
    found = np.full((3, features), np.nan)
    for deviations in DEVIATIONS if count else ():
        left = [(i, j) for i, j in np.argwhere(np.isnan(found)).tolist()]
        between = {(i, j): _Between(sample[:, j], QUARTERS[i], deviations) for i, j in left}
        for number in range(len(source) if left else 0):
            block = prepare(source.read(number))
            for (_, j), one in between.items():
                one.look(block.rows[:, j])
            moved(len(block.rows))
        for (i, j), one in between.items():
            found[i, j] = one.quantile(count)
    return found


def _sample(source: Source, prepare: Callable[[Block], Block], moved: Callable[[int], None]) -> tuple[Array, int]:
    """Return a random sample of the rows, in which each column is sorted, and how many rows there are."""
    wanted = min(source.count, max(BLOCK_BYTES // (8 * len(source.names)), 1000))
    drawn = np.sort(np.random.default_rng(0).choice(source.count, wanted, replace=False, shuffle=False))
    kept, count, at = [], 0, 0
    for number in range(len(source)):
        rows = prepare(source.read(number)).rows[:, :-1]
        inside = drawn[np.searchsorted(drawn, at) : np.searchsorted(drawn, at + len(rows))] - at
        kept.append(rows[inside])
        at, count = at + len(rows), count + len(rows)
        moved(len(rows))
    return np.sort(np.concatenate(kept), axis=0), count


class _Between:
    """The values of a column in the range where a quantile almost certainly lies, and how many lie below."""

    def __init__(self, sample: Array, fraction: float, deviations: float) -> None:
        self.fraction, self.below = fraction, 0
        rank, spread = fraction * (len(sample) - 1), np.sqrt(len(sample) * fraction * (1 - fraction))
        first, last = rank - deviations * spread - 2, rank + deviations * spread + 2
        self.low = sample[int(first)] if first >= 0 else -np.inf
        self.high = sample[int(last)] if last < len(sample) else np.inf
        self.values, self.counts = [np.empty(0)], [np.empty(0, np.int64)]

    def look(self, values: Array) -> None:
        """Look at more values."""
        below = values < self.low
        self.below += int(np.count_nonzero(below))
        unique, counts = np.unique(values[~below & (values <= self.high)], return_counts=True)
        self.values.append(unique)
        self.counts.append(counts)

    def quantile(self, count: int) -> float:
        """Return the quantile of all values, nan if it does not lie in the range."""
        values, order = np.concatenate(self.values), np.argsort(np.concatenate(self.values), kind="stable")
        upto = self.below + np.cumsum(np.concatenate(self.counts)[order])
        rank = self.fraction * (count - 1)
        low, high = int(rank), min(int(rank) + 1, count - 1)
        if not len(values) or low < self.below or high >= upto[-1]:
            return float("nan")
        ends = values[order][np.searchsorted(upto, [low, high], side="right")]
        if self.fraction == 0.5:
            return float(np.median(ends if rank % 1 else ends[:1]))
        return float(np.quantile(ends, rank - low))
