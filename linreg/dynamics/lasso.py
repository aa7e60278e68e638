"""Least squares with an l1 penalty, solved exactly: coordinate descent finds most signs, an active set the rest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from linreg.dynamics.quadratic import as_few_rows, column_lengths

Array = Any

EPS = float(np.finfo(np.float64).eps)
MOST_SWEEPS = 50
CHANGES_PER_COLUMN = 20


def lasso(rows: Array, target: Array, l1: float, start: Array) -> Array:
    """Return the w with the least sum of half the squared length of rows w - target and l1 times the sizes of w.

    Parameters
    ----------
    rows : array of shape (rows, features)
        Features, of any scale.
    target : array of shape (rows,)
        Target.
    l1 : float
        Strength of the penalty, above 0.
    start : array of shape (features,)
        Where to start: the nearer, the fewer steps.

    Returns
    -------
    array of shape (features,)
        The coefficients, zeros exact. Where several are as good, one of them.

    Notes
    -----
    Columns have length 1 here, and each its own cost, so that scale neither slows anything nor costs digits. For given
    signs the least value is a linear system; the way there stops where a coefficient gets to zero, which then leaves;
    when all signs hold, the zero that is pulled at most beyond its cost enters: every step goes down, so no set of
    signs comes twice. This is the active-set method of C. L. Lawson and R. J. Hanson, "Solving Least Squares Problems"
    (1974), section 23.3, with signs: H. Lee, A. Battle, R. Raina and A. Y. Ng, "Efficient sparse coding algorithms",
    NIPS 19 (2006). A pull exceeds its cost if it does so by more than its own rounding: sqrt(k) eps times the lengths
    of both vectors for sums of k terms, here over features and rows (N. J. Higham and T. Mary, "A new approach to
    probabilistic rounding error analysis", SIAM J. Sci. Comput. 41, 2019).
    """
    length = column_lengths(rows)
    few = as_few_rows(np.column_stack([rows / length, target]))
    columns, target, cost = few[:, :-1], few[:, -1], l1 / length
    w = _swept(columns, target, cost, start * length)
    sign, newest, refused = np.sign(w), 0, np.zeros(len(w), bool)
    for _ in range(CHANGES_PER_COLUMN * len(w)):
        used = np.flatnonzero(sign)
        step, whole = _step(columns[:, used], target - columns @ w, (cost * sign)[used])
        until = np.full(len(w), np.inf)
        until[used] = np.divide(-w[used], step, out=np.full(len(used), np.inf), where=step * sign[used] < 0)
        first = int(until.argmin())
        if until[first] < whole:
            w[used] += until[first] * step
            w[first] = sign[first] = 0.0
            refused[first] = until[first] == 0  # it came in by rounding
        elif whole == 1.0:
            w[used] += step
            pull = columns.T @ (target - columns @ w)
            rounding = math.sqrt(sum(columns.shape)) * EPS * (np.linalg.norm(target) + np.abs(w).sum())
            beyond = np.where((sign == 0) & ~refused, np.abs(pull) - cost, -np.inf)
            newest = int(beyond.argmax())
            if beyond[newest] <= rounding:
                break
            sign[newest] = np.sign(pull[newest])
        else:
            break  # downhill without end: only rounding sees such a slope
        refused &= sign[newest] == 0
    return w / length


def _swept(columns: Array, target: Array, cost: Array, w: Array) -> Array:
    """Return where coordinate descent gets until a sweep leaves all signs as they are.

    See J. Friedman, T. Hastie and R. Tibshirani, J. Stat. Softw. 33 (2010).
    """
    products, pulls, w = columns.T @ columns, columns.T @ target, w.copy()
    for _ in range(MOST_SWEEPS):
        before = np.sign(w)
        for j in np.flatnonzero(np.diag(products)):
            pull = pulls[j] - products[j] @ w + products[j, j] * w[j]
            w[j] = np.sign(pull) * max(abs(pull) - cost[j], 0.0) / products[j, j]
        if (np.sign(w) == before).all():
            break
    return w


def _step(columns: Array, errors: Array, slope: Array) -> tuple[Array, float]:
    """Return the step to the least value at these signs, and how much of it leads there.

    Infinitely much if columns depend on each other and the penalty falls along that: up to the next zero, then.
    """
    count = len(slope)
    if not count:
        return slope, 1.0
    left, singular, right = np.linalg.svd(columns)
    rank = int((singular > max(columns.shape) * EPS * singular[0]).sum())
    flat, right, singular = right[rank:], right[:rank], singular[:rank]
    along = flat @ slope
    if np.linalg.norm(along) > count * EPS * np.linalg.norm(slope):
        return -along @ flat, math.inf
    return ((left.T @ errors)[:rank] / singular - right @ slope / singular**2) @ right, 1.0
