"""A fit that a quarter of the rows cannot move: least trimmed squares."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = Any

KEPT = 0.75
"""Share of the rows that the fit is held to."""
HALFWAY = 1.6475
"""Standard deviation of a normal distribution over that of its middle three quarters."""
NEAR, ALL_BUT_FEW = 2.5, 1.0475
"""Rows within 2.5 standard deviations are fitted again; the factor undoes what their cut takes from the deviation."""
STARTS, STEPS, FINALISTS = 60, 2, 5
MOST_ROWS = 5000
FEW = 20
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
    length = np.linalg.norm(A, axis=0)
    length[length == 0] = 1.0
    rows, size = A.shape
    some = np.arange(rows) if rows <= MOST_ROWS else generator.choice(rows, MOST_ROWS, replace=False)
    # In orthonormal columns, so that the normal equations of most of the rows lose no digits.
    B, singular, turned = np.linalg.svd(A[some] / length, full_matrices=False)
    there = singular > max(B.shape) * np.finfo(np.float64).eps * singular.max(initial=0)
    B, back, target = B[:, there], turned[there].T / singular[there], y[some]
    kept = min(len(some), max(int(KEPT * len(some)), size + 1))

    def fitted(chosen: Array) -> Array:
        part = B[chosen]
        if len(part) < FEW * size:
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
