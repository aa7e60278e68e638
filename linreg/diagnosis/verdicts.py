"""What a run did, by formula: one of six verdicts from its loss curve and the least loss that there is."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any

VERDICTS = ("converges", "diverges", "oscillates", "too_slow", "stuck", "cannot_run")
CONVERGED = 0.01
"""Share of the initial excess at which a run counts as arrived."""
FALLING = 0.999
"""A quarter of the run that is lower than this share of the quarter before is still falling."""
UP_AND_DOWN = 1e-6
"""Relative change between two epochs that counts as a movement."""
AT_THE_OPTIMUM = 1e-9
"""Excess, in units of the least loss and the variance of y, that is rounding."""


def verdict(curve: Array, least: float, variance: float) -> str:
    """Return what a run did.

    Parameters
    ----------
    curve : array of shape (epochs + 1,)
        Objective on all training rows (loss and penalty) before the first and after each epoch, in units of the loss.
    least : float
        The objective at the exact optimum, L*; "excess" is what the curve has above it.
    variance : float
        Variance of y, in the same units: tells what is rounding for a run that starts at the optimum.

    Returns
    -------
    str
        "cannot_run": the loss is not finite before the first step. "diverges": it ends not finite, or above its start
        and growing. "converges": the excess ends at 1 % or less of its start. "too_slow": it is still falling.
        "oscillates": it goes up and down within bounds. "stuck": neither.

    Notes
    -----
    Falling and growing compare the means of the last quarter of the run and of the quarter before it.
    """
    excess = np.asarray(curve, np.float64) - least
    if not np.isfinite(excess[0]):
        return "cannot_run"
    if not np.isfinite(excess[-1]):
        return "diverges"
    quarter = max(1, len(excess) // 4)
    with np.errstate(all="ignore"):
        last, before = excess[-quarter:].mean(), excess[-2 * quarter : -quarter].mean()
    if excess[-1] > excess[0] and last > before and excess[-1] > AT_THE_OPTIMUM * (least + variance):
        return "diverges"
    if excess[-1] <= CONVERGED * excess[0] or excess[0] <= AT_THE_OPTIMUM * (least + variance):
        return "converges"
    if last < FALLING * before:
        return "too_slow"
    late = excess[-2 * quarter :]
    changes = np.diff(late) / late[:-1]
    return "oscillates" if (changes > UP_AND_DOWN).any() and (changes < 0).any() else "stuck"
