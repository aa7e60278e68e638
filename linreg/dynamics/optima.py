"""The exact optimum, which gradient descent approaches: least squares, and Newton's method for Huber's loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from linreg.data.arrays import feature_matrix, row_vector, weight_vector
from linreg.devices import on_host
from linreg.dynamics.lasso import lasso
from linreg.dynamics.quadratic import LARGEST_HESSIAN, USE_THE_LOOP, Quadratic, column_lengths, has_l1
from linreg.losses import Huber

Array = Any

MOST_STEPS = 300
FEW_STEPS = 8
NARROWER = 4.0
BISECTIONS = 60


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

    Raises
    ------
    TypeError
        If the data hold something that is no number.
    ValueError
        If shapes do not fit, or values are missing or infinite.

    Notes
    -----
    Singular value decomposition of the centred columns, each divided by its length, so that features of very different
    scale cost no digits. Source: G. H. Golub and C. F. Van Loan, "Matrix Computations", 4th ed., section 5.5.

    Examples
    --------
    >>> from linreg import dynamics
    >>> coef, intercept = dynamics.least_squares([[-1.0], [0.0], [1.0]], [-1.0, -1.0, 5.0])
    >>> coef.round(6), round(intercept, 6)
    (array([3.]), 1.0)
    """
    matrix = feature_matrix(on_host(X), np.float64)
    target = row_vector(on_host(y), np.float64, len(matrix), name="y")
    weight = weight_vector(on_host(sample_weight), np.float64, len(matrix))
    root = np.ones(len(matrix)) if weight is None else np.sqrt(weight)
    centre, level = np.zeros(matrix.shape[1]), 0.0
    if fit_intercept:
        centre = np.average(matrix, axis=0, weights=weight)
        level = float(np.average(target, weights=weight))
    centred = (matrix - centre) * root[:, np.newaxis]
    length = column_lengths(centred)
    coef = np.linalg.lstsq(centred / length, (target - level) * root, rcond=None)[0] / length
    return coef, float(level - centre @ coef)


def optimum(
    X: Any,
    y: Any,
    *,
    loss: Any = "mse",
    sample_weight: Any = None,
    fit_intercept: bool = True,
    kernel_regularizer: Any = None,
) -> tuple[Array, float, float]:
    """Return the exact optimum of a loss, with or without a penalty, and the objective there.

    Parameters
    ----------
    X : array or frame of shape (rows, features)
        Features.
    y : array of shape (rows,)
        Target.
    loss : {"mse", "huber"} or Loss, default="mse"
        The loss; its reduction is over all rows, as in full batch.
    sample_weight : array of shape (rows,), optional
        Weights.
    fit_intercept : bool, default=True
        Whether there is an intercept.
    kernel_regularizer : {"l1", "l2"} or Regularizer, optional
        Penalty on the coefficients.

    Returns
    -------
    coef : array of shape (features,)
        Coefficients, in units of y per unit of each feature.
    intercept : float
        Intercept, in units of y.
    objective : float
        Loss and penalty there, in units of the loss: the L* that excess losses are measured from.

    Raises
    ------
    ValueError
        If there are more than 2,000 features, or the data are refused.

    Notes
    -----
    Mean squared error: least squares, with the penalty as further rows. Huber: Newton's method (exact once the rows
    beyond delta are the right ones), with a step of iteratively reweighted least squares (which never goes up) where
    it fails, for a delta that is narrowed in stages. An l1 part: see `linreg.dynamics.lasso`. Source: P. J. Huber,
    "Robust Statistics" (1981), section 7.8.

    Examples
    --------
    >>> from linreg import dynamics
    >>> coef, intercept, loss = dynamics.optimum([[-1.0], [0.0], [1.0]], [-1.0, -1.0, 5.0])
    >>> coef.round(6), round(intercept, 6), round(loss, 6)
    (array([3.]), 1.0, 2.0)
    """
    problem = Quadratic.of(
        X, y, loss=loss, sample_weight=sample_weight, fit_intercept=fit_intercept,
        kernel_regularizer=kernel_regularizer, owner="optimum", largest=LARGEST_HESSIAN, instead=USE_THE_LOOP,
    )  # fmt: skip
    best = exact_optimum(problem)
    return (*problem.unpacked(best), float(problem.objective(best)))


def exact_optimum(problem: Quadratic) -> Array:
    """Return the parameters at which the objective is least, see `optimum`."""
    parameters = _reweighted(problem, np.ones(len(problem.target)), np.zeros(problem.size))
    if not isinstance(problem.loss, Huber):
        return parameters
    # From a wide parabola to a narrow one: each optimum is near the next, so few rows change sides between them.
    delta = float(np.median(np.abs(problem.matrix @ parameters - problem.target)))
    while delta > NARROWER * problem.loss.delta:
        wider = dataclasses.replace(problem, loss=dataclasses.replace(problem.loss, delta=delta))
        parameters = _descended(wider, parameters, FEW_STEPS)
        delta /= NARROWER
    return _descended(problem, parameters, MOST_STEPS)


def _descended(problem: Quadratic, parameters: Array, steps: int) -> Array:
    """Return where at most so many steps lead, each as far as the objective falls, until none falls."""
    value = problem.objective(parameters)
    for _ in range(steps):
        for moved in _lower(problem, parameters):
            now = problem.objective(moved)
            if now < value:
                break
        else:
            break
        parameters, value = moved, now
    return parameters


def _lower(problem: Quadratic, parameters: Array) -> Iterator[Array]:
    """Yield where the objective may be lower, the most promising first."""
    errors = problem.matrix @ parameters - problem.target
    pull = problem.loss.slope(errors, 1.0, *problem.loss.constants(np.float64))
    # A parabola with the same slopes that lies above the loss: its minimum is a step down, if a short one.
    above = np.divide(pull, errors, out=np.ones_like(errors), where=errors != 0)
    direction = _newton_step(problem, parameters, pull, problem.is_curved(errors))
    moved = parameters + _far(problem, parameters, direction) * direction
    if has_l1(problem):
        # Newton's method takes the signs as they are: a coefficient that would change its own is held at zero.
        kernel = slice(problem.kernel_size)
        moved[kernel][moved[kernel] * parameters[kernel] < 0] = 0.0
        yield moved
        yield _reweighted(problem, above, parameters)
    else:
        yield moved
        direction = _newton_step(problem, parameters, pull, above)
        yield parameters + _far(problem, parameters, direction) * direction


def _far(problem: Quadratic, parameters: Array, direction: Array) -> float:
    """Return how far the objective falls along a direction: where its slope, which never falls, becomes 0."""
    errors, along = problem.matrix @ parameters - problem.target, problem.matrix @ direction
    constants, factor = problem.loss.constants(np.float64), problem.factor()

    def slope(t: float) -> float:
        pull = factor * problem.loss.slope(errors + t * along, 1.0, *constants)
        return float(pull @ along + problem.penalty_slope(parameters + t * direction) @ direction)

    low, high = 0.0, 1.0
    if slope(0.0) >= 0:
        return 0.0
    while slope(high) < 0 and high < 1e6:
        low, high = high, 2 * high
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return high


def _solved(rows: Array, target: Array) -> Array:
    """Return the least squares solution for columns brought to length 1, the smallest where it is not unique."""
    length = column_lengths(rows)
    return np.linalg.lstsq(rows / length, target, rcond=None)[0] / length


def _reweighted(problem: Quadratic, weight: Array, start: Array) -> Array:
    """Return the minimum of the squared errors, each row weighed anew, and the penalty; an l1 part needs a start."""
    root = np.sqrt(problem.loss.slope_factor * problem.factor() * weight)
    rows, target = problem.matrix * root[:, np.newaxis], problem.target * root
    penalty = np.sqrt(problem.penalty_curvature())
    if penalty.any():
        rows, target = np.concatenate([rows, np.diag(penalty)]), np.concatenate([target, np.zeros(len(penalty))])
    if has_l1(problem):
        return _soft_solved(rows, target, problem.regularizer.l1, start[: problem.kernel_size])  # type: ignore[union-attr]
    if problem.has_intercept and not penalty.any():
        # Centred, so that features far from zero cost no digits.
        share = root**2 / (root**2).sum()
        centre, level = share @ problem.matrix[:, :-1], share @ problem.target
        coef = _solved((problem.matrix[:, :-1] - centre) * root[:, np.newaxis], (problem.target - level) * root)
        return np.append(coef, level - centre @ coef)
    return _solved(rows, target)


def _soft_solved(rows: Array, target: Array, l1: float, start: Array) -> Array:
    """Return the least value of |rows p - target|^2 / 2 + l1 |kernel|; the kernel is looked for from a start.

    The intercept has no penalty: it is projected out, and found last.
    """
    kernel_size = len(start)
    ones = rows[:, kernel_size:]
    weight = float(np.square(ones).sum()) or 1.0
    kernel = rows[:, :kernel_size] - ones @ (ones.T @ rows[:, :kernel_size]) / weight
    w = lasso(kernel, target - ones @ (ones.T @ target) / weight, l1, start)
    return np.append(w, ones.T @ (target - rows[:, :kernel_size] @ w) / weight)


def _newton_step(problem: Quadratic, parameters: Array, pull: Array, curved: Array) -> Array:
    """Return the step to the least value of the parabola with these slopes and, for each row, this curvature.

    Under an l1 penalty, coefficients that are zero stay: its slope has no value there.
    """
    free = np.ones(problem.size, bool)
    if has_l1(problem):
        free[: problem.kernel_size] = parameters[: problem.kernel_size] != 0
    # Columns of one size first, of which no product overflows.
    size, factor = column_lengths(problem.matrix[:, free]), problem.factor()
    rows, bend = problem.matrix[:, free] / size, problem.penalty_curvature()[free] / size / size
    gradient = rows.T @ (factor * pull) + problem.penalty_slope(parameters)[free] / size
    hessian = (rows * (factor * curved)[:, np.newaxis]).T @ rows + np.diag(bend)
    length = np.sqrt(np.diag(hessian))
    length[length == 0] = 1.0
    step = np.zeros(problem.size)
    step[free] = np.linalg.lstsq(hessian / np.outer(length, length), -gradient / length, rcond=None)[0] / length / size
    return step
