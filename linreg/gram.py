"""The data as moments: what a squared error sees of any number of rows, summed block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

__all__ = ["Moments", "calibrated"]

Array = Any

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
