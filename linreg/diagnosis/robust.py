"""A fit that a quarter of the rows cannot move: least trimmed squares."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from linreg.dynamics.quadratic import column_lengths

Array = Any

KEPT = 0.75
"""Share of the rows that the fit is held to."""
HALFWAY = 1.6475
"""Standard deviation of a normal distribution over that of its middle three quarters."""
NEAR, ALL_BUT_FEW = 2.5, 1.0475
"""Rows within 2.5 standard deviations are fitted again; the factor undoes what their cut takes from the deviation."""
STARTS, STEPS, FINALISTS = 60, 2, 5
MOST_ROWS = 5000
CHANCE = 1e-5
"""Chance at which rows of one law may be called far."""
ROWS_A_PARAMETER = 20
"""Rows for each parameter from which the fit is that of the normal equations."""


def least_trimmed_squares(A: Array, y: Array) -> tuple[Array, float]:
    """Return the parameters that fit three quarters of the rows best, and the standard deviation of errors about them.

    Parameters
    ----------
    A : array of shape (rows, parameters)
        The matrix [X, 1].
    y : array of shape (rows,)
        The target.

    Returns
    -------
    parameters : array of shape (parameters,)
        The fit, after one step of ordinary least squares on all rows near it.
    scale : float
        Standard deviation of the errors of those rows, in units of y.

    Notes
    -----
    FAST-LTS: from random rows, fit and keep the best three quarters in turn. Of more than 5,000 rows, so many are drawn
    at random. Source: P. J. Rousseeuw and K. Van Driessen, "Computing LTS regression for large data sets", Data Mining
    and Knowledge Discovery 12 (2006). The random numbers are always the same.
    """
    generator = np.random.default_rng(0)
    length = column_lengths(A)
    rows, size = A.shape
    some = np.arange(rows) if rows <= MOST_ROWS else generator.choice(rows, MOST_ROWS, replace=False)
    # In orthonormal columns, so that the normal equations of most of the rows lose no digits.
    B, singular, turned = np.linalg.svd(A[some] / length, full_matrices=False)
    there = singular > max(B.shape) * np.finfo(np.float64).eps * singular.max(initial=0)
    B, back, target = B[:, there], turned[there].T / singular[there], y[some]
    kept = min(len(some), max(int(KEPT * len(some)), size + 1))

    def fitted(chosen: Array) -> Array:
        part = B[chosen]
        if len(part) < ROWS_A_PARAMETER * size:
            return np.linalg.lstsq(part, target[chosen], rcond=None)[0]
        return np.linalg.lstsq(part.T @ part, part.T @ target[chosen], rcond=None)[0]

    def best(p: Array) -> tuple[float, Array]:
        squares = (B @ p - target) ** 2
        chosen = np.argpartition(squares, kept - 1)[:kept]
        return float(squares[chosen].sum()), chosen

    def improved(chosen: Array, steps: int) -> tuple[float, Array]:
        value = math.inf
        for _ in range(steps):
            now, chosen = best(fitted(chosen))
            if not now < value * (1 - 1e-12):
                break
            value = now
        return value, chosen

    starts = [generator.choice(len(some), min(size + 1, len(some)), replace=False) for _ in range(STARTS)]
    tried = sorted((improved(start, STEPS) for start in (np.arange(len(some)), *starts)), key=lambda trial: trial[0])
    value, chosen = min((improved(found, 100) for _, found in tried[:FINALISTS]), key=lambda trial: trial[0])
    p = fitted(chosen)
    scale = HALFWAY * math.sqrt(value / max(kept - size, 1))
    near = np.abs(B @ p - target) <= NEAR * scale
    if near.sum() > size and scale > 0:
        p = fitted(near)
        squares = (B[near] @ p - target[near]) ** 2
        scale = ALL_BUT_FEW * math.sqrt(float(squares.sum()) / max(int(near.sum()) - size, 1))
    return back @ p / length, scale


def spread_of_errors(A: Array, fitted: Array) -> Array:
    """Return the standard deviation of each row's error about a fit to some rows, in that of the noise.

    Parameters
    ----------
    A : array of shape (rows, parameters)
        The matrix [X, 1].
    fitted : array of bool of shape (rows,)
        Which rows have made the fit.

    Returns
    -------
    array of shape (rows,)
        1 among the rows, more far out, where the fit is an extrapolation. Source: R. D. Cook and S. Weisberg,
        "Residuals and Influence in Regression" (1982), section 2.2.
    """
    length = np.linalg.norm(A[fitted], axis=0)
    B = A / np.where(length > 0, length, 1.0)
    inverse = np.linalg.pinv(B[fitted].T @ B[fitted], hermitian=True)
    return np.sqrt(1 + np.maximum(np.einsum("ij,jk,ik->i", B, inverse, B), 0.0))


def far_of_few(A: Array, y: Array, away: Array, most: int) -> Array:
    """Return which of few rows are far off the line that the others make, if that is no chance.

    Parameters
    ----------
    A : array of shape (rows, parameters)
        The matrix [X, 1].
    y : array of shape (rows,)
        The target.
    away : array of shape (rows,)
        Distance of each row from a robust fit, which says in which order they are suspected.
    most : int
        How many rows may be far.

    Returns
    -------
    array of bool of shape (rows,)
        The set of k rows that chance explains least; none if it explains every set.

    Notes
    -----
    Left out, k rows given in advance lower the sum of squares of normal errors to a share that follows a beta
    distribution, as in the F test of k parameters more; those that were picked are any of (n over k) sets (Bonferroni).
    Source: R. D. Cook and S. Weisberg, "Residuals and Influence in Regression" (1982), section 2.2.2.
    """
    rows, size = A.shape
    order = np.argsort(-away)
    far, least = np.zeros(rows, bool), math.log(CHANCE)
    for k in range(1, min(most, rows - size - 2) + 1):
        some = np.isin(np.arange(rows), order[:k])
        chance = log_chance(A, y, some)
        if chance < least:
            far, least = some, chance
    return far


def log_chance(A: Array, y: Array, far: Array) -> float:
    """Return the logarithm of the chance that rows of one law hold some that are as far off the line as these.

    Parameters
    ----------
    A : array of shape (rows, parameters)
        The matrix [X, 1].
    y : array of shape (rows,)
        The target.
    far : array of bool of shape (rows,)
        Which rows are called far.

    Returns
    -------
    float
        At most 0, of an upper bound: see the notes of `far_of_few`.
    """
    (rows, size), k = A.shape, int(far.sum())
    if rows - size - k < 1 or k == 0:
        return 0.0
    whole, near = _squares_left(A, y), ~far
    share = _squares_left(A[near], y[near]) / whole if whole > 0 else 1.0
    sets = math.lgamma(rows + 1) - math.lgamma(k + 1) - math.lgamma(rows - k + 1)
    return min(_log_of_share(share, (rows - size - k) / 2, k / 2) + sets, 0.0)


def _squares_left(A: Array, y: Array) -> float:
    return float(np.sum((A @ np.linalg.lstsq(A, y, rcond=None)[0] - y) ** 2))


def _log_of_share(share: float, a: float, b: float) -> float:
    """Return the logarithm of an upper bound on the chance that a beta variable is at most this share.

    With (1 - t)^(b - 1) at its largest, the incomplete beta integral is share^a / a.
    """
    if share <= 0 or share >= 1:
        return -math.inf if share <= 0 else 0.0
    steepest = (b - 1) * math.log1p(-share) if b < 1 else 0.0
    beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    return a * math.log(share) - math.log(a) + steepest - beta
