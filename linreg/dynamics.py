"""What the mathematics says about a run: linear algebra in float64, no simulation."""

from __future__ import annotations

from typing import Any

import numpy as np

from linreg.data.arrays import feature_matrix, row_vector, weight_vector

Array = Any


def least_squares(X: Any, y: Any, sample_weight: Any = None, *, fit_intercept: bool = True) -> tuple[Array, float]:
    """Return the exact optimum of the mean squared error, which gradient descent approaches.

    Parameters
    ----------
    X : array or frame of shape (rows, features)
        Features.
    y : array of shape (rows,)
        Target.
    sample_weight : array of shape (rows,), optional
        Weights.
    fit_intercept : bool, default=True
        Whether there is an intercept.

    Returns
    -------
    coef : array of shape (features,)
        Coefficients, in units of y per unit of each feature; where collinear features leave them open, the smallest in
        units of each feature's standard deviation.
    intercept : float
        Intercept, in units of y.

    Notes
    -----
    Singular value decomposition of the centred columns, each divided by its length, so that features of very different
    scale cost no digits. See G. H. Golub and C. F. Van Loan, "Matrix Computations", 4th ed., section 5.5.
    """
    matrix = feature_matrix(X, np.float64)
    target = row_vector(y, np.float64, len(matrix), name="y")
    weight = weight_vector(sample_weight, np.float64, len(matrix))
    root = np.ones(len(matrix)) if weight is None else np.sqrt(weight)
    centre, level = np.zeros(matrix.shape[1]), 0.0
    if fit_intercept:
        centre = np.average(matrix, axis=0, weights=weight)
        level = float(np.average(target, weights=weight))
    centred = (matrix - centre) * root[:, np.newaxis]
    length = np.linalg.norm(centred, axis=0)
    length[length == 0] = 1.0
    coef = np.linalg.lstsq(centred / length, (target - level) * root, rcond=None)[0] / length
    return coef, float(level - centre @ coef)
