"""Exact optima of other losses and rows than a run has: what the causes that the loss does not show are judged by."""

from __future__ import annotations

from typing import Any

import numpy as np

from linreg.diagnosis.cases import Case
from linreg.diagnosis.robust import far_of_few, least_trimmed_squares
from linreg.dynamics.optima import exact_optimum
from linreg.dynamics.quadratic import Quadratic
from linreg.losses import MeanSquaredError

Array = Any

FAR, FAR_OF_MANY, MANY = 6.0, 5.0, 50
"""Robust residual, in standard deviations, from which a row is far off the line; few rows make a few of them look far:
with 16 to 30 rows of normal noise the farthest is beyond 6 in 1 to 7 % of samples, with 50 and more none of 60."""

REFUSED = 4.0
"""Once there is such a row, the others that are left out beside it."""

ROWS_A_PARAMETER, LEAST_ROWS = 5, 2
"""Fewer rows a parameter fit any three quarters of themselves so well that the others look far: P. J. Rousseeuw and
A. M. Leroy, "Robust Regression and Outlier Detection" (1987), section 5.1, ask for 5. There, the test of
`linreg.diagnosis.robust.far_of_few` decides; with fewer than 2 anything may be."""

MOST_OUTLIERS = 0.3
"""Share of the rows that can be called far off: of more, the line is wrong."""

HARMFUL = 1.6
"""Squared error on clean rows, over that without the fault, from which the fault matters."""


def optimum(case: Case, loss: Any, rows: Array | None = None, penalised: bool = False) -> Array:
    """Return the exact optimum of another loss on some rows.

    Parameters
    ----------
    case : Case
        The case.
    loss : MeanSquaredError or Huber
        The loss.
    rows : array, optional
        Which rows; all if not given.
    penalised : bool, default=False
        Whether the penalty of the case is part of what is minimised.

    Returns
    -------
    array of shape (parameters,)
        Coefficients and intercept.
    """
    rows = slice(None) if rows is None else rows
    weight = None if case.counts is None else case.counts[rows] / case.counts[rows].mean()
    problem = Quadratic.of(
        case.X[rows], case.y[rows], loss=loss, sample_weight=weight, fit_intercept=case.model.fit_intercept,
        owner="diagnose", largest=2000, instead="give fewer columns",
        kernel_regularizer=case.settings.regularizer if penalised else None,
    )  # fmt: skip
    return exact_optimum(problem)


def clean_fit(case: Case) -> tuple[Array, float, Array]:
    """Return the least squares fit of the rows that are not far off the line.

    Parameters
    ----------
    case : Case
        The case.

    Returns
    -------
    fit : array of shape (parameters,)
        Coefficients and intercept.
    scale : float
        Robust standard deviation of the errors.
    near : array of shape (rows,)
        Whether each row is near.
    """
    if "clean" not in case.kept:
        A = case.objective.matrix
        everywhere = np.ones(len(case.y), bool)
        near, scale = everywhere, 0.0
        rows, size = len(case.y), case.objective.size
        if rows >= LEAST_ROWS * size:
            robust, scale = least_trimmed_squares(A, case.y)
            scale = max(scale, 1e-9 * (float(np.abs(case.y).max()) or 1.0))
            away = np.abs(A @ robust - case.y)
            if rows < ROWS_A_PARAMETER * size:
                near = ~far_of_few(A, case.y, away, int(MOST_OUTLIERS * rows))
            elif away.max() > (FAR if rows < MANY else FAR_OF_MANY) * scale:
                near = away <= REFUSED * scale
            if (~near).sum() > MOST_OUTLIERS * len(near) or near.sum() <= case.objective.size:
                near = everywhere
        case.kept["clean"] = optimum(case, MeanSquaredError(), near), scale, near
    clean: tuple[Array, float, Array] = case.kept["clean"]
    return clean
