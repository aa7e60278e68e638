"""What two passes over any number of rows tell: moments, a random sample, what is missing, and which rows lie far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from linreg.data.blocks import Block, Source, complete
from linreg.diagnosis.robust import least_trimmed_squares
from linreg.diagnosis.symptoms import FAR_AWAY, FAR_LEVERAGE, median_and_deviation
from linreg.gram import Moments, calibrated

Array = Any

SAMPLE = 20_000
"""Rows of the sample; at least ten for each column."""
FARTHEST, DRAWN = 100, 400
"""So many far rows are kept as they are, the farthest, and so many drawn at random, which stand for the others."""
MANY_FAR = 0.01
"""Share of the rows from which far rows are left to the sample, which has enough of them."""
FAR_OFF = 6.0
"""Robust residual, in standard deviations, from which a row is kept: ten million rows of normal noise have none."""
EXAMPLES = 3


@dataclass(eq=False)
class Tally:
    """The first pass.

    Parameters
    ----------
    source : Source
        The rows.
    seed : int, default=0
        Decides the sample.
    """

    source: Source
    seed: int = 0
    moments: Moments = field(init=False)
    missing: Array = field(init=False)
    infinite: Array = field(init=False)
    first: list[list[int]] = field(init=False)
    _sample: list[Block] = field(default_factory=list, init=False)
    _gaps: list[Array] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Start with nothing."""
        columns = len(self.source.names) + 1
        self.moments = Moments.of(np.empty((0, columns)))
        self.missing, self.infinite = np.zeros(columns, np.int64), np.zeros(columns, np.int64)
        self.first = [[] for _ in range(columns)]

    def run(self, moved: Callable[[int], None]) -> Tally:
        """Go through all rows; `moved` is called with the number of rows after each block."""
        wanted = min(max(SAMPLE, 10 * len(self.missing)), self.source.count)
        drawn = np.random.default_rng(self.seed).choice(self.source.count, wanted, replace=False, shuffle=False)
        drawn.sort()
        at = 0
        for number in range(len(self.source)):
            block = self.source.read(number)
            inside = drawn[np.searchsorted(drawn, at) : np.searchsorted(drawn, at + len(block.rows))] - at
            self._sample.append(Block(block.rows[inside], block.numbers[inside]))
            at += len(block.rows)
            whole = complete(block)
            if len(whole.rows) < len(block.rows):
                self._count(block)
            self.moments = self.moments + Moments.of(whole.rows)
            moved(len(block.rows))
        return self

    def _count(self, block: Block) -> None:
        missing, infinite = np.isnan(block.rows), np.isinf(block.rows)
        self.missing += missing.sum(axis=0)
        self.infinite += infinite.sum(axis=0)
        for column in np.flatnonzero((missing | infinite).any(axis=0)).tolist():
            if len(self.first[column]) < EXAMPLES:
                bad = np.flatnonzero(missing[:, column] | infinite[:, column])[:EXAMPLES]
                self.first[column] = [*self.first[column], *block.numbers[bad].tolist()][:EXAMPLES]
                self._gaps.append(block.rows[bad])

    def with_gaps(self) -> Array:
        """Return the sample as it is, incomplete rows and the first incomplete ones of each column included.

        Returns
        -------
        array of shape (rows, features + 1)
            Nan and infinite where there is no number.
        """
        return np.concatenate([*(part.rows for part in self._sample), *self._gaps])

    @property
    def count(self) -> int:
        """Complete rows."""
        return round(self.moments.count)

    @property
    def sample(self) -> Block:
        """The complete rows of the sample."""
        parts = self._sample
        rows = np.concatenate([part.rows for part in parts])
        return complete(Block(rows, np.concatenate([part.numbers for part in parts])))


class FarRows:
    """The second pass: rows far off the robust line of the sample, far out in a feature, or with a large leverage.

    Parameters
    ----------
    tally : Tally
        The first pass.
    intercept : bool
        Whether the model has one.
    """

    def __init__(self, tally: Tally, intercept: bool) -> None:
        rows = tally.sample.rows
        X, y = rows[:, :-1], rows[:, -1]
        self._centre, deviation = median_and_deviation(X)
        with np.errstate(divide="ignore"):
            self._scale = np.where(deviation > 0, 1 / (FAR_AWAY * deviation), 0.0)
        A = np.column_stack([X, np.ones(len(X))])[:, : X.shape[1] + intercept]
        line, scale = least_trimmed_squares(A, y)
        self._line = np.append(line, [0.0] * (1 - intercept))
        self._off = 1 / (FAR_OFF * max(scale, 1e-9 * (float(np.abs(y).max()) or 1.0)))
        features = tally.moments.part(slice(0, -1))
        self._mean, self._whitener, self._least = features.mean, features.whitener(), 1 / features.count
        most = min(0.95, max(FAR_LEVERAGE, 4 * (self._least * (1 + self._whitener.shape[1]))))
        self._whitener = self._whitener / np.sqrt(most - self._least)
        self.count = 0
        self.others = Moments.of(rows[:0])
        self._generator = np.random.default_rng(tally.seed + 1)
        self._farthest, self._drawn = _Kept(FARTHEST, rows[:0]), _Kept(DRAWN, rows[:0])

    def scores(self, rows: Array) -> Array:
        """Return how far rows lie: above 1 they are far."""
        X, y = rows[:, :-1], rows[:, -1]
        with np.errstate(over="ignore", invalid="ignore"):
            score = np.abs(X @ self._line[:-1] + self._line[-1] - y) * self._off
            white = (X - self._mean) @ self._whitener
            np.maximum(score, np.einsum("ij,ij->i", white, white), out=score)
            high, low = X.max(axis=0, initial=-np.inf), X.min(axis=0, initial=np.inf)
            out = np.maximum(np.abs(high - self._centre), np.abs(low - self._centre)) * self._scale > 1
            for j in np.flatnonzero(out):
                np.maximum(score, np.abs(X[:, j] - self._centre[j]) * self._scale[j], out=score)
        return np.where(np.isfinite(score), score, np.inf)

    def look(self, block: Block) -> None:
        """Keep what lies far in a block, and sum up the others."""
        score = self.scores(block.rows)
        far = np.flatnonzero(score > 1)
        self.count += len(far)
        rows = np.delete(block.rows, far, axis=0) if len(far) else block.rows
        self.others = self.others + Moments.of(rows)
        if len(far):
            found = Block(block.rows[far], block.numbers[far])
            self._farthest.add(found, -score[far])
            self._drawn.add(found, self._generator.random(len(far)))

    def rows(self, count: int) -> tuple[Block, Array, bool]:
        """Return the far rows that stand for all of them.

        Parameters
        ----------
        count : int
            Rows in all.

        Returns
        -------
        rows : Block
            The rows as they are, in their order.
        counts : array of shape (rows,)
            How many each stands for.
        alone : bool
            Whether they stand for all far rows: not where these are so many that the sample has its share of them.
        """
        farthest, drawn = self._farthest.block, self._drawn.block
        new = ~np.isin(drawn.numbers, farthest.numbers)
        rest, alone = self.count - len(farthest.rows), self.count <= MANY_FAR * count + FARTHEST + DRAWN
        new &= alone
        rows = Block(
            np.concatenate([farthest.rows, drawn.rows[new]]), np.concatenate([farthest.numbers, drawn.numbers[new]])
        )
        counts = np.append(np.ones(len(farthest.rows)), np.full(int(new.sum()), rest / max(int(new.sum()), 1)))
        order = np.argsort(rows.numbers, kind="stable")
        return Block(rows.rows[order], rows.numbers[order]), counts[order], alone


class _Kept:
    """The rows with the lowest keys."""

    def __init__(self, most: int, none: Array) -> None:
        self._most, self.block, self._keys = most, Block(none, np.empty(0, np.int64)), np.empty(0)

    def add(self, block: Block, keys: Array) -> None:
        """Look at more rows."""
        rows = np.concatenate([self.block.rows, block.rows])
        numbers, keys = np.concatenate([self.block.numbers, block.numbers]), np.concatenate([self._keys, keys])
        kept = np.argsort(keys, kind="stable")[: self._most]
        self.block, self._keys = Block(rows[kept], numbers[kept]), keys[kept]


def standing_in(tally: Tally, far: FarRows, all_others: Callable[[Block], Moments]) -> tuple[Block, Array, Array]:
    """Return few rows that stand for all.

    Parameters
    ----------
    tally : Tally
        The first pass.
    far : FarRows
        The second pass.
    all_others : callable
        Returns the moments of all rows but some.

    Returns
    -------
    rows : Block
        The sample, brought to means and covariances of the rows that it stands for, then the far rows as they are.
    counts : array of shape (rows,)
        How many rows each of them stands for.
    numbers : array of int
        Numbers of the far rows.
    """
    sample = tally.sample
    kept, counts, alone = far.rows(tally.count)
    near = far.scores(sample.rows) <= 1 if alone else ~np.isin(sample.numbers, kept.numbers)
    others = far.others if alone else all_others(kept)
    made = calibrated(sample.rows[near], others) if near.sum() > sample.rows.shape[1] else sample.rows[near]
    counts = np.append(np.full(len(made), others.count / max(len(made), 1)), counts)
    rows = Block(np.concatenate([made, kept.rows]), np.concatenate([sample.numbers[near], kept.numbers]))
    return rows, counts, kept.numbers
