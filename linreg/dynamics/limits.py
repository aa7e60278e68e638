"""Full batches: how curved the loss is, and what that says about learning rates, before anything is run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.dynamics.optima import exact_optimum
from linreg.dynamics.quadratic import (
    LARGEST_HESSIAN,
    USE_THE_LOOP,
    Direction,
    Quadratic,
    as_few_rows,
    excited_basis,
)
from linreg.hyperparameters import check_number

Array = Any


@dataclass(frozen=True)
class Curvature:
    """The Hessian of the objective by (coefficients, intercept): its extremes.

    Parameters
    ----------
    largest : float
        Largest eigenvalue, in units of loss per unit of parameter squared; 2 over it is the limit of plain SGD.
    smallest : float
        Smallest eigenvalue that is not zero, in the same units: how slowly the flattest direction is learned. Computed
        to about 1e-16 times the largest.
    rank : int
        Number of directions in which the objective is curved at all; collinear, constant and zero columns leave fewer
        than there are parameters.
    eigenvalues : array of shape (rank,)
        All that are not zero, falling, in the same units.
    steepest, flattest : Direction
        The combinations of parameters that belong to the extremes.

    Examples
    --------
    >>> from linreg import dynamics
    >>> found = dynamics.curvature([[-3.0], [3.0]])
    >>> round(found.largest, 6), round(found.smallest, 6), found.rank, round(found.condition, 6)
    (18.0, 2.0, 2, 9.0)
    >>> print(found.steepest, "|", found.flattest)
    1.00*x0 | 1.00*intercept
    """

    largest: float
    smallest: float
    rank: int
    eigenvalues: Array
    steepest: Direction
    flattest: Direction

    @property
    def condition(self) -> float:
        """Largest over smallest: about the number of steps at the best rate; 1 is a round bowl."""
        return self.largest / self.smallest if self.smallest else math.nan


def curvature(
    X: Any,
    *,
    loss: Any = "mse",
    sample_weight: Any = None,
    fit_intercept: bool = True,
    kernel_regularizer: Any = None,
) -> Curvature:
    """Return the extremes of the Hessian of the objective, all rows as one batch.

    Parameters
    ----------
    X : array or frame of shape (rows, features)
        Features; up to 2,000.
    loss : {"mse", "huber"} or Loss, default="mse"
        The loss; its reduction scales the Hessian.
    sample_weight : array of shape (rows,), optional
        Weights.
    fit_intercept : bool, default=True
        Whether there is an intercept.
    kernel_regularizer : {"l1", "l2"} or Regularizer, optional
        Penalty on the coefficients; l2 adds 2 l2 to the curvature of each, l1 nothing.

    Returns
    -------
    Curvature
        Extremes, rank and directions.

    Raises
    ------
    ValueError
        If there are more than 2,000 features, or the data are refused.

    Notes
    -----
    H = f A^T diag(c) A + penalty with A = [X, 1], c the factor of each row (1/rows with the default reduction) and f
    the second derivative of the loss: 2 for MSE, which has this Hessian everywhere; 1 for Huber, which has it where all
    errors are within delta and less elsewhere. Squared singular values of the QR factor of A, so no digits are lost by
    squaring. Source: S. Boyd and L. Vandenberghe, "Convex Optimization" (2004), section 9.1.2.

    Examples
    --------
    >>> from linreg import dynamics
    >>> found = dynamics.curvature([[-3.0], [3.0]])
    >>> found.eigenvalues.round(6)
    array([18.,  2.])
    """
    problem = Quadratic.of(
        X, loss=loss, sample_weight=sample_weight, fit_intercept=fit_intercept, kernel_regularizer=kernel_regularizer,
        owner="curvature", largest=LARGEST_HESSIAN, instead=USE_THE_LOOP,
    )  # fmt: skip
    return curvature_of(problem.curvature_rows(), problem.names)


def eigensystem(rows: Array) -> tuple[Array, Array]:
    """Return the eigenvalues of S^T S that are not zero, falling, and their eigenvectors as columns."""
    basis = excited_basis(rows)
    _, singular, directions = np.linalg.svd(as_few_rows(rows @ basis), full_matrices=False)
    return np.square(singular), basis @ directions.T


def curvature_of(rows: Array, names: tuple[str, ...]) -> Curvature:
    """Return the extremes of S^T S for the rows S."""
    eigenvalues, vectors = eigensystem(rows)
    if not len(eigenvalues):
        nowhere = Direction.along(np.zeros(rows.shape[1]), names)
        return Curvature(0.0, 0.0, 0, eigenvalues, nowhere, nowhere)
    steepest, flattest = (Direction.along(vectors[:, i], names) for i in (0, -1))
    extremes = float(eigenvalues[0]), float(eigenvalues[-1])
    return Curvature(*extremes, len(eigenvalues), eigenvalues, steepest, flattest)


def max_learning_rate(
    X: Any,
    loss: Any = "mse",
    momentum: Any = 0.0,
    nesterov: bool = False,
    fit_intercept: bool = True,
    *,
    sample_weight: Any = None,
    kernel_regularizer: Any = None,
) -> Any:
    """Return the learning rate above which full-batch SGD diverges.

    Parameters
    ----------
    X : array or frame of shape (rows, features)
        Features; up to 2,000.
    loss : {"mse", "huber"} or Loss, default="mse"
        The loss.
    momentum : float or array of shape (M,), default=0.0
        Momentum in [0, 1], Keras' form; an array gives an array of limits.
    nesterov : bool, default=False
        Whether the momentum is Nesterov's.
    fit_intercept : bool, default=True
        Whether there is an intercept.
    sample_weight : array of shape (rows,), optional
        Weights.
    kernel_regularizer : {"l1", "l2"} or Regularizer, optional
        Penalty on the coefficients.

    Returns
    -------
    float or array of shape (M,)
        The limit, in units of parameter per unit of gradient; inf where the loss is flat.

    Raises
    ------
    ValueError
        If there are more than 2,000 features, or the data or the momentum are refused.

    See Also
    --------
    local_max_learning_rate : The limit near the optimum, which for Huber is higher.
    closed_form : The same question for minibatches.

    Notes
    -----
    With L the largest eigenvalue of the Hessian (see `curvature`):
    SGD 2 / L; momentum b 2 (1 + b) / L; Nesterov 2 (1 + b) / ((1 + 2 b) L).

    Exact for MSE: above it a run diverges as soon as its start has any part along the steepest direction, below it
    never does. For Huber the Hessian is nowhere larger, so below the limit a run of plain SGD converges. With momentum
    one that starts near the optimum does, while one that starts far away may circle it for ever (with b = 0.9 seen
    from half of the limit on, with Nesterov's not seen); proven is it, for its average, only below 2 (1 - b) / L. Above
    the limit a run may circle the optimum but, without a penalty and with b below 1, not diverge, because no gradient
    exceeds `largest_gradient` (a run whose errors near the optimum lie beyond delta stays stable up to
    `local_max_learning_rate`). The slope of an l2 penalty has no bound: above 2 (1 + b) / (2 l2), for Nesterov over
    1 + 2 b, a run with one diverges.
    Source: B. T. Polyak, "Some methods of speeding up the convergence of iteration methods" (1964); for Nesterov's
    form L. Lessard, B. Recht and A. Packard, SIAM J. Optim. 26 (2016), arXiv:1408.3595, section 4, which also has a
    loss, no parabola, on which momentum circles; for 2 (1 - b) / L E. Ghadimi, H. Feyzmahdavian and M. Johansson,
    "Global convergence of the heavy-ball method for convex optimization", ECC 2015, arXiv:1412.7457.

    Examples
    --------
    >>> from linreg import dynamics
    >>> limit = dynamics.max_learning_rate([[1, 1000], [2, 2000], [3, 3000]])
    >>> f"{limit:.3g}"
    '2.14e-07'
    """
    problem = Quadratic.of(
        X, loss=loss, sample_weight=sample_weight, fit_intercept=fit_intercept, kernel_regularizer=kernel_regularizer,
        owner="max_learning_rate", largest=LARGEST_HESSIAN, instead=USE_THE_LOOP,
    )  # fmt: skip
    return limit_of(_largest_eigenvalue(problem.curvature_rows()), momentum, nesterov)


def local_max_learning_rate(
    X: Any,
    y: Any,
    loss: Any = "huber",
    momentum: Any = 0.0,
    nesterov: bool = False,
    fit_intercept: bool = True,
    *,
    sample_weight: Any = None,
    kernel_regularizer: Any = None,
) -> Any:
    """Return the learning rate above which full-batch SGD leaves the optimum: only rows within Huber's delta count.

    Parameters
    ----------
    X : array or frame of shape (rows, features)
        Features; up to 2,000.
    y : array of shape (rows,)
        Target.
    loss : {"mse", "huber"} or Loss, default="huber"
        The loss; for MSE this is `max_learning_rate`.
    momentum : float or array of shape (M,), default=0.0
        Momentum in [0, 1]; an array gives an array of limits.
    nesterov : bool, default=False
        Whether the momentum is Nesterov's.
    fit_intercept : bool, default=True
        Whether there is an intercept.
    sample_weight : array of shape (rows,), optional
        Weights.
    kernel_regularizer : "l2" or Regularizer, optional
        Penalty on the coefficients.

    Returns
    -------
    float or array of shape (M,)
        The limit, in units of parameter per unit of gradient. At least `max_learning_rate`.

    Raises
    ------
    ValueError
        If there are more than 2,000 features, or the data, the momentum or the penalty are refused.

    Notes
    -----
    The Hessian at the exact optimum (see `optimum`), in which rows with errors beyond delta have no part. Between
    `max_learning_rate` and this limit a run that starts near the optimum settles; whether one that starts far away
    does is not decided by it. Above it, a run goes round the optimum for ever, without a penalty in jumps of at most
    the learning rate times `largest_gradient` (with momentum b: divided by 1 - b). Valid where no error is delta
    exactly. Source: Polyak (1964), as in `max_learning_rate`, for the linear part of the step at the optimum.

    Examples
    --------
    >>> from linreg import dynamics
    >>> X, y = [[-3.0], [3.0], [6.0], [6.0]], [0.0, 0.0, 100.0, -100.0]
    >>> near = dynamics.local_max_learning_rate(X, y, "huber")  # the last two rows lie beyond delta
    >>> f"{near:.4f}", bool(near > dynamics.max_learning_rate(X, "huber"))
    ('0.4444', True)
    """
    problem = Quadratic.of(
        X, y, loss=loss, sample_weight=sample_weight, fit_intercept=fit_intercept,
        kernel_regularizer=kernel_regularizer, owner="local_max_learning_rate", largest=LARGEST_HESSIAN,
        instead=USE_THE_LOOP,
    )  # fmt: skip
    errors = problem.matrix @ exact_optimum(problem) - problem.target
    curved = problem.is_curved(errors)
    rows = problem.matrix * np.sqrt(problem.loss.slope_factor * problem.factor() * curved)[:, np.newaxis]
    penalty = np.diag(np.sqrt(problem.penalty_curvature()))
    return limit_of(_largest_eigenvalue(np.concatenate([rows, penalty])), momentum, nesterov)


def largest_gradient(
    X: Any, loss: Any = "huber", fit_intercept: bool = True, *, sample_weight: Any = None
) -> tuple[Array, float]:
    """Return the largest gradient that a loss can have by each parameter, all rows as one batch.

    Parameters
    ----------
    X : array or frame of shape (rows, features)
        Features.
    loss : {"mse", "huber"} or Loss, default="huber"
        The loss.
    fit_intercept : bool, default=True
        Whether there is an intercept.
    sample_weight : array of shape (rows,), optional
        Weights.

    Returns
    -------
    coef : array of shape (features,)
        Bound by coefficient, in units of loss per unit of parameter; inf for MSE, which has none.
    intercept : float
        Bound by the intercept, likewise in units of loss per unit of parameter.

    Raises
    ------
    ValueError
        If there are more than 2,000 features, or the data or the loss are refused.

    Notes
    -----
    Sum over rows of c abs(a) times the largest slope of the loss, which is delta for Huber. Holds everywhere; a
    penalty is not counted. Source: P. J. Huber, "Robust estimation of a location parameter", Ann. Math. Statist. 35
    (1964), for the bounded slope.

    Examples
    --------
    >>> from linreg import Huber, dynamics
    >>> dynamics.largest_gradient([[-3.0], [3.0]], Huber(delta=2.0))
    (array([6.]), 2.0)
    """
    problem = Quadratic.of(
        X, loss=loss, sample_weight=sample_weight, fit_intercept=fit_intercept,
        owner="largest_gradient", largest=LARGEST_HESSIAN, instead=USE_THE_LOOP,
    )  # fmt: skip
    pull = problem.loss.slope(np.inf, 1.0, *problem.loss.constants(np.float64))
    columns = np.abs(problem.matrix).T @ problem.factor()
    return problem.unpacked(np.where(columns > 0, pull * np.where(columns > 0, columns, 1), 0.0))


def _largest_eigenvalue(rows: Array) -> float:
    """Return the largest eigenvalue of S^T S."""
    return float(np.linalg.norm(as_few_rows(rows), 2)) ** 2


def limit_of(largest: float, momentum: Any, nesterov: bool) -> Any:
    """Return the largest stable learning rate for the largest eigenvalue of a Hessian, see `max_learning_rate`.

    Parameters
    ----------
    largest : float
        Largest eigenvalue.
    momentum : float or array
        Momentum in [0, 1].
    nesterov : bool
        Whether the momentum is Nesterov's.

    Returns
    -------
    float or array
        The limit; inf for 0.
    """
    for value in np.ravel(momentum).tolist():
        check_number("max_learning_rate", "momentum", value, high=1.0)
    b = np.asarray(momentum, np.float64)
    limit = 2 * (1 + b) / (1 + 2 * b if nesterov else 1) / largest if largest else np.full(b.shape, np.inf)
    return float(limit) if np.ndim(momentum) == 0 else limit
