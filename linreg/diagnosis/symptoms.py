"""Numbers about a case from which causes are told: computed once, in float64, without running anything."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from linreg.diagnosis.cases import Case
from linreg.dynamics.limits import Curvature, curvature_of, limit_of
from linreg.dynamics.quadratic import Quadratic
from linreg.optimizers import SGD

Array = Any

CONSTANT = 1e-9
"""Spread of a column, as a share of its size, that is rounding."""
LEAST_LARGEST, MOST_LARGEST = 0.1, 1.001
"""Where the largest value of a feature lies that was divided by it, or by the next power of ten."""
FAR_LEVERAGE = 0.5
"""Leverage above which a row decides its own prediction. Source: P. J. Huber, "Robust Statistics" (1981), sec. 7.2."""
FAR_AWAY = 10.0
"""Robust distance, in standard deviations, at which a row is far out in a feature."""
FEW_ROWS = 0.05
"""Share of the rows that can be called far."""
FEWER_APART, GAP = 0.15, 2.0
"""The same for rows that a gap separates: the nearest of them is this many times as far as the farthest other row."""
NORMAL = 0.6744897501960817
"""Median absolute deviation of a normal distribution, in standard deviations."""


def median_and_deviation(values: Array) -> tuple[Any, Any]:
    """Return the median, and the median absolute deviation about it in standard deviations, of each column.

    Parameters
    ----------
    values : array of shape (rows,) or (rows, columns)
        The values.

    Returns
    -------
    median : float or array of shape (columns,)
        The median.
    deviation : float or array of shape (columns,)
        What the standard deviation would be of normal values.
    """
    median = np.median(values, axis=0)
    return median, np.median(np.abs(values - median), axis=0) / NORMAL


@dataclass(frozen=True, eq=False)
class Symptoms:
    """What the data and the settings of a case look like.

    Parameters
    ----------
    case : Case
        The case.
    """

    case: Case

    @cached_property
    def mean(self) -> Array:
        """Mean of each feature."""
        return np.average(self.case.X, axis=0, weights=self.case.counts)

    @cached_property
    def spread(self) -> Array:
        """Standard deviation of each feature."""
        if self.case.counts is None:
            return self.case.X.std(axis=0)
        return np.sqrt(self._share @ np.square(self.case.X - self.mean))

    @cached_property
    def _share(self) -> Array:
        """The share of the data that each row stands for."""
        counts, rows = self.case.counts, len(self.case.X)
        return np.full(rows, 1 / rows) if counts is None else counts / counts.sum()

    @cached_property
    def constant(self) -> Array:
        """Whether each feature is constant."""
        return self.spread <= CONSTANT * np.abs(self.case.X).max(axis=0, initial=0)

    @cached_property
    def standardised(self) -> Array:
        """Features that vary, each with mean 0 and standard deviation 1."""
        varies = ~self.constant
        return (self.case.X[:, varies] - self.mean[varies]) / self.spread[varies]

    @cached_property
    def is_standardised(self) -> bool:
        """Whether every feature that varies has about the mean 0 and the standard deviation 1."""
        mean, spread = self.mean[~self.constant], self.spread[~self.constant]
        centred = bool((np.abs(mean) <= 0.1 * spread).all())
        return centred and bool((np.abs(np.log(np.maximum(spread, 1e-300))) <= 0.1).all())

    @cached_property
    def is_bounded(self) -> bool:
        """Whether the largest value of every feature is about 1, as scalers make it that divide by the largest."""
        largest = np.abs(self.case.X).max(axis=0, initial=0)[~self.constant]
        return bool(((largest >= LEAST_LARGEST) & (largest <= MOST_LARGEST)).all())

    def limit(self, X: Array, rows: Any = ...) -> float:
        """Return the largest stable learning rate of full-batch SGD with these settings on other features or rows."""
        return self._limit_of(self.curvature(X, rows))

    def _limit_of(self, curvature: Curvature) -> float:
        optimizer = self.case.settings.optimizer
        momentum, nesterov = (optimizer.momentum, optimizer.nesterov) if isinstance(optimizer, SGD) else (0.0, False)
        return float(limit_of(curvature.largest, momentum, nesterov))

    def curvature(self, X: Array, rows: Any = ...) -> Curvature:
        """Return the largest Hessian of the objective on other features or rows."""
        problem: Quadratic = self.case.quadratic(X, self.case.y[rows], self.case.weight(rows))
        return curvature_of(problem.curvature_rows(), problem.names)

    @cached_property
    def _curvature_now(self) -> Curvature:
        return self.curvature(self.case.X)

    @cached_property
    def _curvature_scaled(self) -> Curvature | None:
        """The Hessian once the features are standardised; None where none varies."""
        return self.curvature(self.standardised) if self.standardised.shape[1] else None

    @property
    def limit_now(self) -> float:
        """Largest stable learning rate of the features as they are."""
        return self._limit_of(self._curvature_now)

    @property
    def limit_scaled(self) -> float:
        """Largest stable learning rate once the features are standardised."""
        return np.inf if self._curvature_scaled is None else self._limit_of(self._curvature_scaled)

    @property
    def condition_now(self) -> float:
        """Condition number of the Hessian as it is."""
        return self._curvature_now.condition

    @property
    def condition_scaled(self) -> float:
        """Condition number of the Hessian once the features are standardised: what is left is collinearity."""
        return 1.0 if self._curvature_scaled is None else self._curvature_scaled.condition

    @cached_property
    def correlation_condition(self) -> float:
        """Condition number of the correlations of the varying features."""
        Z = self.standardised
        values = np.linalg.eigvalsh((Z.T * self._share) @ Z) if Z.shape[1] else np.ones(1)
        return float(values[-1] / max(values[0], 1e-15 * values[-1]))

    @property
    def condition_index(self) -> float:
        """Root of `correlation_condition`."""
        return math.sqrt(self.correlation_condition)

    @cached_property
    def inflation(self) -> Array:
        """Variance inflation factor of each varying feature; inf where others determine it."""
        Z = self.standardised
        if Z.shape[1] < 2:
            return np.ones(Z.shape[1])
        correlation = (Z.T * self._share) @ Z
        values, vectors = np.linalg.eigh(correlation)
        with np.errstate(divide="ignore"):
            inverse = np.where(values > 1e-13 * values[-1], 1 / np.where(values > 0, values, 1), np.inf)
        with np.errstate(invalid="ignore"):
            shares = np.where(vectors**2 > 1e-12, vectors**2, 0.0)
            return np.nansum(np.where(shares > 0, shares * inverse, 0.0), axis=1)

    @cached_property
    def leverage(self) -> Array:
        """Leverage of each row, 0 to 1: its share in its own prediction."""
        Z = self.standardised
        basis = np.linalg.svd(Z * np.sqrt(self._share)[:, np.newaxis], full_matrices=False)
        kept = basis[1] > 1e-10 * basis[1].max(initial=0)
        stands_for = self._share * self.case.count
        return np.square(basis[0][:, kept]).sum(axis=1) / stands_for + 1 / self.case.count

    @cached_property
    def distance(self) -> float:
        """How far the farthest parameter is from its optimum at the start; what is drawn counts as zero."""
        initializer = self.case.model.kernel_initializer
        start = np.zeros_like(self.case.best)
        if not isinstance(initializer, str):
            start[: self.case.X.shape[1]] = np.asarray(initializer, np.float64).reshape(-1)
        return float(np.abs(self.case.best - start).max())

    @cached_property
    def abnormality(self) -> dict[str, float]:
        """By how many powers of ten features and target are off from the size 1.

        Rows far out in the features make none of them large: they are what is odd then.
        """
        if len(self.far_rows):
            near = np.setdiff1d(np.arange(len(self.case.y)), self.far_rows)
            counts, weight = (None if v is None else v[near] for v in (self.case.counts, self.case.sample_weight))
            some = {"X": self.case.X[near], "y": self.case.y[near], "counts": counts, "sample_weight": weight}
            return Symptoms(self.case.replaced(**some, rows=self.case.row_numbers[near]))._off
        return self._off

    @cached_property
    def _off(self) -> dict[str, float]:
        sizes = np.sqrt(self._share @ self.case.X**2)[~self.constant]
        target = math.hypot(*median_and_deviation(self.case.y))

        def off(size: float) -> float:
            return abs(math.log10(size)) if size > 0 else 0.0

        steeper = 0.0
        if np.isfinite(self.limit_scaled):
            now = self.limit(self.case.X[:, ~self.constant]) if self.constant.any() else self.limit_now
            steeper = off(self.limit_scaled / now) if now else 0.0
        return {"feature_scale": max([*map(off, sizes.tolist()), steeper]), "target_scale": off(target)}

    @cached_property
    def far_rows(self) -> Array:
        """Numbers of the few rows that lie far from all others in some feature; none where they are many.

        Up to a twentieth of the rows may be far; up to a seventh if a gap lies between them and the others, as none
        does in the tail of a skewed feature.
        """
        X, rows = self.case.X, len(self.case.X)
        centre, scale = median_and_deviation(X)
        with np.errstate(divide="ignore", invalid="ignore"):
            away = (np.abs(X - centre) / np.where(scale > 0, scale, np.inf)).max(axis=1, initial=0.0)
        far = (away > FAR_AWAY) | (self.leverage > min(0.95, max(FAR_LEVERAGE, 4 * self.leverage.mean())))
        if far.sum() <= max(1, FEW_ROWS * rows):
            return np.flatnonzero(far)
        apart = far & (away > FAR_AWAY)
        few = 0 < apart.sum() <= max(3, FEWER_APART * rows)
        if few and away[apart].min() > GAP * away[~apart].max():
            return np.flatnonzero(apart)
        return np.arange(0)
