"""The loss of a linear model as the rows that it is made of, in float64: what all of `linreg.dynamics` starts from."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from linreg.data.arrays import column_names, design_matrix, feature_matrix, row_vector, weight_vector
from linreg.losses import Huber, Loss, MeanSquaredError, divisor, row_factor
from linreg.optimizers import SGD
from linreg.regularizers import Regularizer
from linreg.settings import resolve

Array = Any

SHOWN_TERMS = 3
"""Terms of a direction that are worth reading."""


@dataclass(frozen=True)
class Direction:
    """A combination of the parameters.

    Parameters
    ----------
    vector : array of shape (parameters,)
        Its components, of Euclidean length 1, the largest of them positive: the change of each parameter (units of y
        per unit of the feature) along the direction.
    names : tuple of str
        What the parameters belong to: the features, then "intercept" where there is one.
    """

    vector: Array
    names: tuple[str, ...]

    @classmethod
    def along(cls, vector: Array, names: tuple[str, ...]) -> Self:
        """Return the direction of a vector of any length and sign."""
        largest = vector[np.argmax(np.abs(vector))]
        return cls(vector / (np.copysign(np.linalg.norm(vector), largest) or 1.0), names)

    def __str__(self) -> str:
        """Show the largest terms: `0.97*sqft + 0.24*rooms`."""
        order = np.argsort(-np.abs(self.vector), kind="stable")[:SHOWN_TERMS]
        terms = [(self.vector[i], self.names[i]) for i in order if abs(self.vector[i]) >= 0.005]
        text = " ".join(f"{'-' if share < 0 else '+'} {abs(share):.2f}*{name}" for share, name in terms)
        return text.removeprefix("+ ")


@dataclass(frozen=True)
class Quadratic:
    """The data of a linear model, checked, in float64, with what the loss makes of them.

    Parameters
    ----------
    matrix : array of shape (rows, parameters)
        The matrix A = [X, 1], or X without an intercept.
    target : array of shape (rows,)
        The target y; zeros where only the curvature is asked for.
    weight : array of shape (rows,) or None
        Sample weights.
    loss : Loss
        The loss.
    regularizer : Regularizer or None
        Penalty on the kernel.
    kernel_size : int
        How many of the parameters are the kernel.
    names : tuple of str
        What the parameters belong to.
    """

    matrix: Array
    target: Array
    weight: Array | None
    loss: Loss
    regularizer: Regularizer | None
    kernel_size: int
    names: tuple[str, ...]

    @classmethod
    def of(
        cls,
        X: Any,
        y: Any = None,
        *,
        loss: Any = "mse",
        sample_weight: Any = None,
        fit_intercept: bool = True,
        kernel_regularizer: Any = None,
        owner: str,
        largest: int,
        instead: str,
    ) -> Self:
        """Check what a user has given; refuse more than `largest` features, saying what to do `instead`."""
        matrix = feature_matrix(X, np.float64)
        rows, features = matrix.shape
        if features > largest:
            raise ValueError(
                f"{owner}: X has {features} features, but the linear algebra is done for up to {largest}: {instead}."
            )
        names = column_names(X) or [f"x{j}" for j in range(features)]
        return cls(
            design_matrix(matrix, fit_intercept),
            np.zeros(rows) if y is None else row_vector(y, np.float64, rows, name="y"),
            weight_vector(sample_weight, np.float64, rows),
            resolve("loss", loss, owner),
            None if kernel_regularizer is None else resolve("kernel_regularizer", kernel_regularizer, owner),
            features,
            (*names, *["intercept"] * bool(fit_intercept)),
        )

    @property
    def size(self) -> int:
        """Number of parameters."""
        return int(self.matrix.shape[1])

    @property
    def has_intercept(self) -> bool:
        """Whether the last parameter is an intercept."""
        return self.size > self.kernel_size

    def factor(self, rows: Any = ...) -> Array:
        """Return `c` of each of the rows of one batch (see `linreg.losses`)."""
        count = len(self.target[rows])
        weight = None if self.weight is None else self.weight[rows]
        return row_factor(np.float64, divisor(self.loss.reduction, count, weight), weight) * np.ones(count)

    def weighted_rows(self, rows: Any = ...) -> Array:
        """Return sqrt(c) [A, y] of a batch, as few rows as carry the same sums of squares and products.

        Parameters
        ----------
        rows : slice or array of int, optional
            The rows of the batch; all, if not given.

        Returns
        -------
        array of shape (at most parameters + 1 or rows, parameters + 1)
            A matrix whose product with (p, -1) has the loss of the batch as its squared length.
        """
        stacked = np.column_stack([self.matrix[rows], self.target[rows]]) * np.sqrt(self.factor(rows))[:, np.newaxis]
        return as_few_rows(stacked)

    def pulling_rows(self) -> Array:
        """Return the rows of the matrix that have a weight: the others never pull at the parameters."""
        return self.matrix if self.weight is None else self.matrix[self.weight > 0]

    def penalty_curvature(self) -> Array:
        """Return the second derivative of the penalty by each parameter; 0 for l1, whose slope only jumps."""
        curvature = np.zeros(self.size)
        if self.regularizer is not None:
            slope, w = self.regularizer.bind(np.float64)[1], np.ones(self.kernel_size)
            curvature[: self.kernel_size] = slope(2 * w) - slope(w)
        return curvature

    def curvature_rows(self) -> Array:
        """Return a matrix S of which S^T S is the largest Hessian of the objective: the Hessian itself for MSE."""
        rows = math.sqrt(self.loss.slope_factor) * self.weighted_rows()[:, :-1]
        penalty = np.sqrt(self.penalty_curvature())
        return np.concatenate([rows, np.diag(penalty)]) if penalty.any() else rows

    def objective(self, parameters: Array) -> Array:
        """Return the loss on all rows as one batch, with the penalty.

        Parameters
        ----------
        parameters : array of shape (parameters,) or (parameters, K)
            One or K sets of parameters.

        Returns
        -------
        float or array of shape (K,)
            The objective.
        """
        errors = (self.matrix @ parameters).T - self.target
        return self.loss.value(errors, *self.loss.constants(np.float64)) @ self.factor() + self.penalty(parameters)

    def penalty(self, parameters: Array) -> Any:
        """Return the penalty on one or K sets of parameters."""
        if self.regularizer is None:
            return 0.0
        return self.regularizer.bind(np.float64)[0](parameters[: self.kernel_size])

    def unpacked(self, parameters: Array) -> tuple[Array, float]:
        """Return parameters as (coef, intercept)."""
        return parameters[: self.kernel_size], float(parameters[-1]) if self.has_intercept else 0.0

    def packed(self, start: tuple[Any, float] | None) -> Array:
        """Return (coef, intercept) as parameters, zeros for None."""
        if start is None:
            return np.zeros(self.size)
        coef = row_vector(start[0], np.float64, self.kernel_size, name="the coefficients to start from", of="X.T")
        return np.append(coef, [float(start[1])] * self.has_intercept)


def as_few_rows(rows: Array) -> Array:
    """Return as few rows as have the same products of columns: the triangular factor of the QR decomposition."""
    return np.linalg.qr(rows, mode="r") if len(rows) > rows.shape[1] else rows


def excited_basis(matrix: Array) -> Array:
    """Return an orthonormal basis of the directions in which the data pull: the row space of a matrix.

    Parameters
    ----------
    matrix : array of shape (rows, parameters)
        The matrix.

    Returns
    -------
    array of shape (parameters, rank)
        The basis. Along what is missing from it (collinear, constant and zero columns) the loss is flat.

    Notes
    -----
    The rank is judged on columns of length 1, so that it does not depend on units: a singular value counts as zero
    below max(shape) eps times the largest.
    """
    length = np.linalg.norm(matrix, axis=0)
    length[length == 0] = 1.0
    _, singular, directions = np.linalg.svd(as_few_rows(matrix / length), full_matrices=False)
    rank = int((singular > max(matrix.shape) * np.finfo(np.float64).eps * singular.max(initial=0)).sum())
    if rank == matrix.shape[1]:
        return np.eye(rank)
    return np.linalg.qr(directions[:rank].T * length[:, np.newaxis])[0]


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


def require_linear_steps(optimizer: Any, owner: str) -> None:
    """Raise unless the rule, and what stands around it, is linear in parameters and gradients."""
    if not isinstance(optimizer, SGD):
        raise TypeError(
            f"{owner}: optimizer must be an SGD, got {optimizer!r}: the steps of other rules are not linear in the "
            'parameters. Run them (engine="numpy").'
        )
    names = ("clipnorm", "clipvalue", "global_clipnorm", "use_ema", "gradient_accumulation_steps")
    used = [name for name in names if getattr(optimizer, name)]
    if used:
        raise ValueError(
            f"{owner}: {', '.join(used)} of {optimizer!r} is nonlinear or not the same in every epoch: leave it out or "
            'run the steps (engine="numpy").'
        )


def require_mse(problem: Quadratic, owner: str) -> None:
    """Raise unless the gradient of the objective is linear in the parameters."""
    if not isinstance(problem.loss, MeanSquaredError):
        raise ValueError(
            f"{owner}: loss must be a squared error, got {problem.loss!r}, whose gradient is not linear. For its "
            "limits see max_learning_rate and local_max_learning_rate; its runs have to be run."
        )
    if has_l1(problem):
        raise ValueError(
            f"{owner}: the slope of {problem.regularizer!r} jumps where a coefficient changes its sign, so no step is "
            "linear: use L2, or run the steps."
        )


def has_l1(problem: Quadratic) -> bool:
    """Whether the penalty has a part whose slope jumps."""
    return problem.regularizer is not None and bool(problem.regularizer.get_params(deep=False).get("l1"))


LARGEST_HESSIAN = 2000
MOST_STEPS = 300
FEW_STEPS = 8
NARROWER = 4.0
BISECTIONS = 60
MOST_SWEEPS = 5000
USE_THE_LOOP = "give fewer columns, or train with LinearRegression and look at its history_"


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
            curved = np.abs(pull) < problem.loss.slope(np.inf, 1.0, *problem.loss.constants(np.float64))
            directions = [_newton_step(problem, parameters, pull, held) for held in (curved, weight)]
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
