"""The data as moments: what a squared error sees of any number of rows, summed block by block."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from linreg.batches import Problem
from linreg.data.arrays import column_names, feature_matrix, refuse_all_zero, row_vector, weight_vector
from linreg.data.blocks import Block, Source, rows_in_a_block
from linreg.data.checking import checked
from linreg.data.dask_rows import DaskRows, on_dask
from linreg.data.given import opened_source
from linreg.devices import on_host
from linreg.losses import Loss, MeanSquaredError, divisor
from linreg.settings import Settings

__all__ = ["Gram", "Moments", "calibrated", "gather"]

Array = Any

OWNER = "A run on moments (linreg.gram)"
FAINT = float(np.finfo(np.float64).tiny / np.finfo(np.float64).eps)
"""A sum of squares below it has lost digits: it, or what rounding adds to it, is no normal number."""
FLAT = 1e-13
"""Square of what is left of a column of length 1 beside others, up to which it counts as determined by them."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Number, means and centred products of rows: enough for every loss, gradient and optimum of a squared error.

    Parameters
    ----------
    count : float
        Rows, or the sum of their weights.
    mean : array of shape (columns,)
        Mean of each column, in its unit.
    products : array of shape (columns, columns)
        Sum over the rows of (row - mean)(row - mean)^T, in the units of both columns.

    Notes
    -----
    Source: two sets of rows add up as in T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the
    sample variance", The American Statistician 37 (1983). Everything is centred before it is squared, so columns far
    from zero cost the digits of their mean and no others: a column of mean m and spread s is held to about eps m / s of
    s.

    Examples
    --------
    >>> import numpy as np
    >>> from linreg.gram import Moments
    >>> rows = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 8.0], [6.0, 0.0]])
    >>> whole = Moments.of(rows[:2]) + Moments.of(rows[2:])
    >>> whole.count, whole.mean, whole.products
    (4.0, array([3., 3.]), array([[20.,  2.],
           [ 2., 38.]]))
    """

    count: float
    mean: Array
    products: Array

    @classmethod
    def of(cls, rows: Array, weight: Array | None = None) -> Self:
        """Return the moments of a block.

        Parameters
        ----------
        rows : array of shape (rows, columns)
            The block, finite, float64.
        weight : array of shape (rows,), optional
            Weight of each row, at least 0.

        Returns
        -------
        Moments
            Of no rows: zeros.
        """
        count = float(len(rows)) if weight is None else float(weight.sum())
        if count == 0:
            return cls(0.0, np.zeros(rows.shape[1]), np.zeros((rows.shape[1],) * 2))
        share = np.full(len(rows), 1 / count) if weight is None else weight / count
        about = share @ rows
        centred = rows - about
        rest = share @ centred  # what the rounding of the mean has left
        weighted = centred if weight is None else centred * weight[:, np.newaxis]
        return cls(count, about + rest, weighted.T @ centred - count * np.outer(rest, rest))

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both sets of rows together."""
        return self._joined(other, 1.0)

    def __sub__(self, other: Moments) -> Moments:
        """Return the moments without some of the rows."""
        return self._joined(other, -1.0)

    def _joined(self, other: Moments, sign: float) -> Moments:
        count = self.count + sign * other.count
        if self.count == 0 or other.count == 0 or count <= 0:
            return (other if self.count == 0 else self) if count > 0 else Moments.of(np.empty((0, len(self.mean))))
        apart = other.mean - self.mean
        mean = self.mean + apart * (sign * other.count / count)
        between = np.outer(apart, apart) * (sign * self.count * other.count / count)
        return Moments(count, mean, self.products + sign * other.products + between)

    @property
    def spread(self) -> Array:
        """Standard deviation of each column."""
        return np.sqrt(np.maximum(np.diag(self.products), 0.0) / max(self.count, 1.0))

    def factor(self) -> Array:
        """Return an upper triangular R with R^T R = products.

        Returns
        -------
        array of shape (columns, columns)
            In the units of the columns. Its diagonal is not negative. Where a column is determined by those before it,
            up to rounding, its row of R is zero.

        Notes
        -----
        Cholesky's decomposition of the products of columns brought to length 1, so that their scale does not matter.
        """
        length = self._length()
        left = self.products / np.outer(length, length)
        R = np.zeros_like(left)
        for k in range(len(left)):
            if left[k, k] > FLAT:
                R[k, k:] = left[k, k:] / np.sqrt(left[k, k])
                left = left - np.outer(R[k], R[k])
        return R * length

    def _length(self) -> Array:
        length = np.sqrt(np.maximum(np.diag(self.products), 0.0))
        length[length == 0] = 1.0
        return length

    def part(self, columns: slice) -> Moments:
        """Return the moments of some of the columns."""
        return Moments(self.count, self.mean[columns], self.products[columns, columns])

    def whitener(self) -> Array:
        """Return a matrix W for which W^T products W is 1: a row x has leverage 1 / count + norm((x - mean) W)^2.

        Returns
        -------
        array of shape (columns, rank)
            In 1 / unit of each column. Directions in which the rows do not vary are left out.
        """
        length = self._length()
        values, vectors = np.linalg.eigh(self.products / np.outer(length, length))
        kept = values > FLAT * values.max(initial=0.0)
        return vectors[:, kept] / np.sqrt(values[kept]) / length[:, np.newaxis]

    def few_rows(self) -> Array:
        """Return as few rows [x, 1] as have the same mean products as all: A^T A / count.

        Returns
        -------
        array of shape (columns + 1, columns + 1)
            The columns in their units, then the ones; its product with its transpose holds every mean of a product of
            two of them.
        """
        below = np.column_stack([self.factor() / np.sqrt(self.count), np.zeros(len(self.mean))])
        return np.vstack([below, np.append(self.mean, 1.0)])


def calibrated(rows: Array, moments: Moments) -> Array:
    """Return a sample, shifted and sheared so little as is needed for the means and covariances of all rows.

    Parameters
    ----------
    rows : array of shape (rows, columns)
        A random sample, more rows than columns.
    moments : Moments
        Of all rows.

    Returns
    -------
    array of shape (rows, columns)
        In the units of the columns: mean `moments.mean` and covariance `moments.products / moments.count`, up to
        rounding.

    Raises
    ------
    ValueError
        If the sample has fewer rows than columns.

    Notes
    -----
    With Q R the decomposition of the centred sample, Q sqrt(rows / count) R' + mean, where R' is the factor of the
    moments; of columns that others determine, the sample is not asked. Source of the idea, with weights of rows in
    place of a shear: J.-C. Deville and C.-E. Särndal, "Calibration estimators in survey sampling", J. Am. Stat. Assoc.
    87 (1992).

    Examples
    --------
    >>> import numpy as np
    >>> from linreg.gram import Moments, calibrated
    >>> rows = np.random.default_rng(0).normal([5.0, -1.0], [2.0, 1.0], size=(1000, 2))
    >>> sample = calibrated(rows[:50], Moments.of(rows))
    >>> sample.shape, bool(np.allclose(sample.mean(axis=0), rows.mean(axis=0)))
    ((50, 2), True)
    >>> bool(np.allclose(np.cov(sample.T, ddof=0), np.cov(rows.T, ddof=0)))
    True
    """
    wanted = moments.factor()
    free = np.diag(wanted) > 0
    centred = (rows - rows.mean(axis=0))[:, free]
    Q, R = np.linalg.qr(centred)
    Q = Q * np.where(np.diag(R) < 0, -1.0, 1.0)
    made: Array = Q @ (wanted[free] * np.sqrt(len(rows) / moments.count))
    return made - made.mean(axis=0) + moments.mean


@dataclass(frozen=True, eq=False)
class Gram:
    """All rows as their moments: what full batches of a squared error need of them, whatever the optimizer.

    `LinearRegression.fit` and `sweep` take it in the place of X, with `batch_size` of at least `rows`.

    Parameters
    ----------
    moments : Moments
        Of the features and the target.
    rows : int
        How many rows there are.
    blocks : int
        In how many blocks they were added up.
    longest : int
        Rows of the longest block.
    weighted : bool
        Whether they have weights.
    columns : tuple of str or None
        Names of the features, where they have any.
    faint : frozenset of int, default=()
        Columns that vary by so little in a block that the squares of it are lost.

    Notes
    -----
    A squared error sees the rows A = [X, 1] and y through the products A^T A, A^T y and y^T y alone. A few rows with
    the same products (`Moments.few_rows`) therefore have the same loss and gradient everywhere, and go through the same
    loop as all rows would. How far rounding may take the two apart: `linreg.replay.error_bound`.

    Examples
    --------
    >>> from linreg import Adam, LinearRegression
    >>> from linreg.gram import gather
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
    >>> gram = gather(X, y)
    >>> gram.rows, gram.features
    (4, 1)
    >>> settings = dict(optimizer=Adam(0.1), epochs=200, batch_size=4, dtype="float64", kernel_initializer="zeros")
    >>> model = LinearRegression(**settings).fit(gram)
    >>> model.coef_.round(2), round(model.intercept_, 2)
    (array([2.]), 1.0)
    """

    moments: Moments
    rows: int
    blocks: int
    longest: int
    weighted: bool
    columns: tuple[str, ...] | None = None
    faint: frozenset[int] = frozenset()

    @classmethod
    def of(cls, block: Block) -> Self:
        """Return what a block adds.

        Parameters
        ----------
        block : Block
            Complete rows.

        Returns
        -------
        Gram
            Of one block.
        """
        rows, weighted = block.rows, block.weight is not None
        with np.errstate(over="ignore", invalid="ignore"):
            moments = Moments.of(rows, block.weight)
        low = np.flatnonzero(np.diag(moments.products) < FAINT)
        faint = frozenset(low[(rows[:, low] != rows[:1, low]).any(axis=0)].tolist())
        return cls(moments, len(rows), 1, len(rows), weighted, faint=faint)

    def __add__(self, other: Gram) -> Gram:
        """Return both together."""
        with np.errstate(over="ignore", invalid="ignore"):
            moments = self.moments + other.moments
        return Gram(
            moments, self.rows + other.rows, self.blocks + other.blocks, max(self.longest, other.longest),
            self.weighted or other.weighted, self.columns, self.faint | other.faint,
        )  # fmt: skip

    @property
    def features(self) -> int:
        """Number of features."""
        return len(self.moments.mean) - 1

    def scale(self, loss: Loss) -> float:
        """Return what the few rows are multiplied by, so that their loss is that of all rows."""
        total, few = np.array([self.moments.count]) if self.weighted else None, len(self.moments.mean) + 1
        return math.sqrt(
            self.moments.count * divisor(loss.reduction, few) / divisor(loss.reduction, self.rows, total)
        )  # fmt: skip

    def problem(self, settings: Settings, batch_size: int, *, intercept: bool) -> Problem:
        """Return the few rows whose full batches are those of all rows.

        Parameters
        ----------
        settings : Settings
            Loss and arithmetic of the run.
        batch_size : int
            Rows in a batch; all of them.
        intercept : bool
            Whether there is one.

        Returns
        -------
        Problem
            Rows that are scaled so that the loss, which divides by what its reduction says of *them*, comes out as that
            of all rows.

        Raises
        ------
        ValueError
            If the run is none of full batches of a squared error in float64.
        """
        loss = settings.loss
        if not isinstance(loss, MeanSquaredError):
            raise ValueError(
                f"{OWNER}: loss must be a squared error, got {loss!r}: it needs each row, so fit on X and y."
            )
        if batch_size < self.rows:
            raise ValueError(
                f"{OWNER}: moments know no minibatches, got batch_size={batch_size} of {self.rows} rows: set "
                f"batch_size={self.rows}, or fit on X and y."
            )
        if settings.precision.dtype is not np.float64:
            raise ValueError(f'{OWNER} computes in float64: set dtype="float64" too.')
        few, features = self.moments.few_rows() * self.scale(loss), self.features
        matrix = np.delete(few, features, axis=1) if intercept else few[:, :features].copy()
        return Problem(matrix, few[:, features].copy(), None, len(few), features)


def gather(X: Any, y: Any = None, sample_weight: Any = None) -> Gram:
    """Read all rows once, and return what every full-batch optimizer needs of them for a squared error.

    Parameters
    ----------
    X : array or frame of shape (rows, features), path, Source, or array or frame of Dask
        Features: finite numbers. A `linreg.data.blocks.Source` holds the target, and weights, too. A path is that of a
        file that `linreg.data.open_table` reads, or a pattern of them.
    y : array of shape (rows,) or (rows, 1), or str, optional
        Target; not with a source. The name of its column where X is a path.
    sample_weight : array of shape (rows,), optional
        Weight of each row in the loss; not with a source.

    Returns
    -------
    Gram
        Moments in float64, from (features + 2)^2 numbers a block; what Dask holds is summed where it lies.

    Raises
    ------
    TypeError
        If the data hold something that is no number.
    ValueError
        If shapes do not fit, values are missing or infinite, or so large or small that float64 does not hold their
        squares; if all weights are zero; or if a source is given with a y.

    Examples
    --------
    >>> import numpy as np
    >>> from linreg import Adam, LinearRegression
    >>> from linreg.gram import gather
    >>> X = np.random.default_rng(0).normal(size=(10_000, 2))
    >>> rows = gather(X, X @ [1.0, -2.0] + 3.0)
    >>> model = LinearRegression(Adam(0.1), epochs=500, batch_size=rows.rows, dtype="float64").fit(rows)
    >>> model.coef_.round(3), round(model.intercept_, 3)
    (array([ 1., -2.]), 3.0)
    """
    if on_dask(X):
        spread = DaskRows.of(X, y, sample_weight)
        total: Gram = spread.summed(block_moments)
        return _named(total, spread.names)
    with opened_source(X, y, sample_weight) as source:
        if source is not None:
            return _named(_total(map(checked(source, np.float64), _blocks(source))), source.names)
    matrix = feature_matrix(on_host(X), np.float64)
    target = row_vector(on_host(y), np.float64, len(matrix), name="y")
    weight = weight_vector(on_host(sample_weight), np.float64, len(matrix))
    return _named(_total(_cut(matrix, target, weight)), column_names(X))


def block_moments(block: Block) -> Gram:
    """Return the moments of a block; the name is what Dask shows of it."""
    return Gram.of(block)


def _named(total: Gram, names: Sequence[str] | None) -> Gram:
    refuse_all_zero(total.moments.count > 0, "weight")
    refuse_too_large(total.moments)
    lost = next((column for column in sorted(total.faint) if total.moments.products[column, column] < FAINT), None)
    if lost is not None:
        named = (*(names or map(str, range(total.features))), "the target")[lost]
        raise ValueError(
            f"Column {named!r} holds values whose squares are too small for float64: multiply it by a power of ten "
            "first."
        )
    return replace(total, columns=None if names is None else tuple(names))


def refuse_too_large(moments: Moments) -> None:
    """Raise ValueError if sums of squares are no finite numbers, though the rows are."""
    if not np.isfinite(moments.products).all():
        raise ValueError(
            "The rows hold values whose squares are too large for float64: divide their column by a power of ten first."
        )


def _total(blocks: Iterable[Block]) -> Gram:
    return functools.reduce(operator.add, map(Gram.of, blocks))


def _cut(matrix: Array, target: Array, weight: Array | None) -> Iterator[Block]:
    size = rows_in_a_block(matrix.shape[1] + 1)
    for start in range(0, len(matrix), size):
        rows = slice(start, start + size)
        own = None if weight is None else weight[rows]
        yield Block(np.column_stack([matrix[rows], target[rows]]), np.empty(0, np.int64), own)


def _blocks(source: Source) -> Iterator[Block]:
    """Return an iterator of the blocks of a source; it has some."""
    if not source.count:
        raise ValueError("There are no rows in X: look whether a filter has removed every row.")
    return map(source.read, range(len(source)))
