"""The loss of a linear model as the rows that it is made of, in float64: what all of `linreg.dynamics` starts from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from linreg.data.arrays import column_names, design_matrix, feature_matrix, row_vector, weight_vector
from linreg.devices import on_host
from linreg.losses import Loss, MeanSquaredError, divisor, row_factor
from linreg.optimizers import SGD
from linreg.regularizers import Regularizer
from linreg.settings import resolve

Array = Any

SHOWN_TERMS = 3
"""Terms of a direction that are worth reading."""
LARGEST_HESSIAN = 2000
USE_THE_LOOP = "give fewer columns, or train with LinearRegression and look at its history_"


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

    Examples
    --------
    >>> from linreg import dynamics
    >>> steepest = dynamics.curvature([[3.0, 4.0], [-3.0, -4.0]]).steepest
    >>> steepest.names, steepest.vector.round(6)
    (('x0', 'x1', 'intercept'), array([0.6, 0.8, 0. ]))
    >>> print(steepest)
    0.80*x1 + 0.60*x0
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
        matrix = feature_matrix(on_host(X), np.float64)
        rows, features = matrix.shape
        if features > largest:
            raise ValueError(
                f"{owner}: X has {features} features, but the linear algebra is done for up to {largest}: {instead}."
            )
        names = column_names(X) or [f"x{j}" for j in range(features)]
        return cls(
            design_matrix(matrix, fit_intercept),
            np.zeros(rows) if y is None else row_vector(on_host(y), np.float64, rows, name="y"),
            weight_vector(on_host(sample_weight), np.float64, rows),
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

    def penalty_slope(self, parameters: Array) -> Array:
        """Return the derivative of the penalty by each parameter."""
        slope = np.zeros(self.size)
        if self.regularizer is not None:
            slope[: self.kernel_size] = self.regularizer.bind(np.float64)[1](parameters[: self.kernel_size])
        return slope

    def curvature_rows(self) -> Array:
        """Return a matrix S of which S^T S is the largest Hessian of the objective: the Hessian itself for MSE."""
        rows = math.sqrt(self.loss.slope_factor) * self.weighted_rows()[:, :-1]
        penalty = np.sqrt(self.penalty_curvature())
        return np.concatenate([rows, np.diag(penalty)]) if penalty.any() else rows

    def is_curved(self, errors: Array) -> Array:
        """Return whether the loss is curved at each error: where its slope is not at its bound."""
        constants = self.loss.constants(np.float64)
        return np.abs(self.loss.slope(errors, 1.0, *constants)) < self.loss.slope(np.inf, 1.0, *constants)

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
    """Return as few rows as have the same products of columns: the triangular factor of QR, of each of a stack."""
    return np.linalg.qr(rows, mode="r") if rows.shape[-2] > rows.shape[-1] else rows


def column_lengths(matrix: Array) -> Array:
    """Return the Euclidean length of each column, 1 for a column of zeros, without an overflow on the way."""
    exponent = np.clip(np.frexp(np.abs(matrix).max(axis=0, initial=0.0))[1], -1000, 1000)
    power = np.ldexp(1.0, exponent)  # of two: no digit changes
    length = np.linalg.norm(matrix / power, axis=0) * power
    length[length == 0] = 1.0
    return length


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
    length = column_lengths(matrix)
    _, singular, directions = np.linalg.svd(as_few_rows(matrix / length), full_matrices=False)
    rank = int((singular > max(matrix.shape) * np.finfo(np.float64).eps * singular.max(initial=0)).sum())
    if rank == matrix.shape[1]:
        return np.eye(rank)
    return np.linalg.qr(directions[:rank].T * length[:, np.newaxis])[0]


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
