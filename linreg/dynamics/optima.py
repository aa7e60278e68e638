"""The exact optimum, which gradient descent approaches: least squares, and Newton's method for Huber's loss."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from linreg.data.arrays import feature_matrix, row_vector, weight_vector
from linreg.devices import on_host
from linreg.dynamics.quadratic import LARGEST_HESSIAN, USE_THE_LOOP, Quadratic, has_l1
from linreg.losses import Huber

Array = Any

MOST_STEPS = 300
FEW_STEPS = 8
NARROWER = 4.0
BISECTIONS = 60
MOST_SWEEPS = 5000


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
    matrix = feature_matrix(on_host(X), np.float64)
    target = row_vector(on_host(y), np.float64, len(matrix), name="y")
    weight = weight_vector(on_host(sample_weight), np.float64, len(matrix))
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
        Loss and penalty there: the L* that excess losses are measured from.

    Raises
    ------
    ValueError
        If there are more than 2,000 features, or the data are refused.

    Notes
    -----
    Mean squared error: least squares, with the penalty as further rows. Huber: Newton's method (exact once the rows
    beyond delta are the right ones), with a step of iteratively reweighted least squares (which never goes up) where
    it fails, for a delta that is narrowed in stages. An l1 part: coordinate descent until the
    signs stay, then a linear system. See P. J. Huber, "Robust Statistics" (1981), section 7.8.
    """
    problem = Quadratic.of(
        X, y, loss=loss, sample_weight=sample_weight, fit_intercept=fit_intercept,
        kernel_regularizer=kernel_regularizer, owner="optimum", largest=LARGEST_HESSIAN, instead=USE_THE_LOOP,
    )  # fmt: skip
    best = exact_optimum(problem)
    return (*problem.unpacked(best), float(problem.objective(best)))


def exact_optimum(problem: Quadratic) -> Array:
    """Return the parameters at which the objective is least, see `optimum`."""
    parameters = _reweighted(problem, np.ones(len(problem.target)))
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
        errors = problem.matrix @ parameters - problem.target
        pull = problem.loss.slope(errors, 1.0, *problem.loss.constants(np.float64))
        # A parabola with the same slopes that lies above the loss: its minimum is a step down, if a short one.
        weight = np.divide(pull, errors, out=np.ones_like(errors), where=errors != 0)
        if has_l1(problem):
            directions = [_reweighted(problem, weight) - parameters]
        else:
            held = (problem.is_curved(errors), weight)
            directions = [_newton_step(problem, parameters, pull, curved) for curved in held]
        for direction in directions:
            moved = parameters + (1.0 if has_l1(problem) else _far(problem, parameters, direction)) * direction
            now = problem.objective(moved)
            if now < value:
                break
        else:
            break
        parameters, value = moved, now
    return parameters


def _far(problem: Quadratic, parameters: Array, direction: Array) -> float:
    """Return how far the objective falls along a direction: where its slope, which never falls, becomes 0."""
    errors, along = problem.matrix @ parameters - problem.target, problem.matrix @ direction
    constants, factor, penalty = problem.loss.constants(np.float64), problem.factor(), problem.penalty_curvature()
    straight, bend = penalty * parameters @ direction, penalty * direction @ direction

    def slope(t: float) -> float:
        return float((factor * problem.loss.slope(errors + t * along, 1.0, *constants)) @ along + straight + t * bend)

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
    length = np.linalg.norm(rows, axis=0)
    length[length == 0] = 1.0
    return np.linalg.lstsq(rows / length, target, rcond=None)[0] / length


def _reweighted(problem: Quadratic, weight: Array) -> Array:
    """Return the minimum of the squared errors, each row weighed anew, and the penalty."""
    root = np.sqrt(problem.loss.slope_factor * problem.factor() * weight)
    rows, target = problem.matrix * root[:, np.newaxis], problem.target * root
    penalty = np.sqrt(problem.penalty_curvature())
    if penalty.any():
        rows, target = np.concatenate([rows, np.diag(penalty)]), np.concatenate([target, np.zeros(len(penalty))])
    if has_l1(problem):
        return _soft_solved(rows, target, problem.regularizer.l1, problem.kernel_size)  # type: ignore[union-attr]
    if problem.has_intercept and not penalty.any():
        # Centred, so that features far from zero cost no digits.
        share = root**2 / (root**2).sum()
        centre, level = share @ problem.matrix[:, :-1], share @ problem.target
        coef = _solved((problem.matrix[:, :-1] - centre) * root[:, np.newaxis], (problem.target - level) * root)
        return np.append(coef, level - centre @ coef)
    return _solved(rows, target)


def _soft_solved(rows: Array, target: Array, l1: float, kernel_size: int) -> Array:
    """Return the least value of |rows p - target|^2 / 2 + l1 |kernel|, by coordinate descent.

    See J. Friedman, T. Hastie and R. Tibshirani, J. Stat. Softw. 33 (2010). Once the signs stay, what is left is linear
    and is solved at once. The intercept has no penalty: it is projected out, and found last.
    """
    ones = rows[:, kernel_size:]
    weight = float(np.square(ones).sum()) or 1.0
    kernel = rows[:, :kernel_size] - ones @ (ones.T @ rows[:, :kernel_size]) / weight
    w = _soft_kernel(kernel.T @ kernel, kernel.T @ target, l1)
    return np.append(w, ones.T @ (target - rows[:, :kernel_size] @ w) / weight)


def _soft_kernel(products: Array, pulls: Array, l1: float) -> Array:
    """Return the least value of w' products w / 2 - pulls w + l1 |w|."""
    w, curved = np.zeros(len(pulls)), np.flatnonzero(np.diag(products) > 0)
    for _ in range(MOST_SWEEPS):
        signs, before = np.sign(w), w.copy()
        for j in curved:
            pull = pulls[j] - products[j] @ w + products[j, j] * w[j]
            w[j] = np.sign(pull) * max(abs(pull) - l1, 0) / products[j, j]
        if np.abs(w - before).max(initial=0) <= 1e-14 * np.abs(w).max(initial=0):
            break
        if (np.sign(w) == signs).all():
            active = signs != 0
            length = np.sqrt(np.diag(products)[active])
            wanted = (pulls - l1 * signs)[active] / length
            exact = np.zeros(len(w))
            scaled = products[np.ix_(active, active)] / np.outer(length, length)
            exact[active] = np.linalg.lstsq(scaled, wanted, rcond=None)[0] / length
            left, rounding = pulls - products @ exact, 1e-12 * (np.abs(pulls) + np.abs(products) @ np.abs(exact))
            held = np.where(active, np.abs(left - l1 * signs), np.abs(left) - l1) <= rounding
            if (np.sign(exact) == signs).all() and held.all():
                return exact
    return w


def _newton_step(problem: Quadratic, parameters: Array, pull: Array, curved: Array) -> Array:
    """Return the step to the least value of the parabola with these slopes and, for each row, this curvature."""
    factor, penalty = problem.factor(), problem.penalty_curvature()
    gradient = problem.matrix.T @ (factor * pull) + penalty * parameters
    hessian = (problem.matrix * (factor * curved)[:, np.newaxis]).T @ problem.matrix + np.diag(penalty)
    length = np.sqrt(np.diag(hessian))
    length[length == 0] = 1.0
    return np.linalg.lstsq(hessian / np.outer(length, length), -gradient / length, rcond=None)[0] / length
