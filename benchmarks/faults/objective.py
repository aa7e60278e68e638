"""The objective of a run and its exact minimum, in float64 and without linreg's own solvers.

J(w) = sum_i c_i value(a_i w - y_i) + l1 |kernel|_1 + l2 |kernel|^2, with a_i = [x_i, 1] and c_i what the reduction puts
on a row when the whole training data are one batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Objective:
    """What a run minimises.

    Parameters
    ----------
    matrix : array of shape (rows, parameters)
        [X, 1], or X without an intercept.
    y : array of shape (rows,)
        The target.
    factor : array of shape (rows,)
        c, without the 2 or 1/2 of the loss.
    delta : float or None
        Huber's delta; None stands for the squared error.
    l1, l2 : float
        Strengths of the penalties.
    features : int
        How many of the parameters are the kernel, which alone is penalised.
    """

    matrix: Array
    y: Array
    factor: Array
    delta: float | None
    l1: float
    l2: float
    features: int

    def values(self, weights: Array) -> Array:
        """Return J at many parameters at once, shape (K, parameters) -> (K,)."""
        with np.errstate(all="ignore"):
            losses = self.factor @ self._row_losses(self.matrix @ weights.T - self.y[:, np.newaxis])
            kernel = weights[:, : self.features]
            return losses + self.l1 * np.abs(kernel).sum(axis=1) + self.l2 * (kernel**2).sum(axis=1)

    def _row_losses(self, e: Array) -> Array:
        if self.delta is None:
            return e * e
        a = np.abs(e)
        return np.where(a <= self.delta, e * e / 2, self.delta * a - self.delta**2 / 2)

    def excess(self, weights: Array, minimiser: Array) -> Array:
        """Return J(w) - J*, shape (K, parameters) -> (K,); for a quadratic J without cancellation."""
        with np.errstate(all="ignore"):
            if self.delta is None and self.l1 == 0:
                d = weights - minimiser
                return self.factor @ (self.matrix @ d.T) ** 2 + self.l2 * (d[:, : self.features] ** 2).sum(axis=1)
            excess = self.values(weights) - self.values(minimiser[np.newaxis])
            return np.where(excess < 0, 0, excess)

    def hessian(self) -> Array:
        """Return the Hessian of the smooth part; for Huber its upper bound, with every row inside delta."""
        curvature = 2 if self.delta is None else 1
        hessian = curvature * (self.matrix.T * self.factor) @ self.matrix
        hessian[np.diag_indices(self.features)] += 2 * self.l2
        return hessian

    def minimiser(self) -> Array:
        """Return the parameters of the minimum; of many, those that are shortest once columns have norm 1."""
        scale = np.sqrt(self.factor @ self.matrix**2)
        scale[scale == 0] = 1
        scaled = Objective(self.matrix / scale, self.y, self.factor, self.delta, 0, 0, self.features)
        l1, l2 = np.zeros((2, len(scale)))
        l1[: self.features] = self.l1 / scale[: self.features]
        l2[: self.features] = self.l2 / scale[: self.features] ** 2
        z = _least_squares(scaled, l2 if self.delta is None else 2 * l2)
        if self.delta is not None:
            z = _huber(scaled, l2, z)
        if self.l1 > 0:
            z = _lasso(scaled, l1, l2, z)
        return z / scale


def _least_squares(problem: Objective, l2: Array) -> Array:
    root = np.sqrt(problem.factor)
    rows = np.vstack([problem.matrix * root[:, np.newaxis], np.diag(np.sqrt(l2))])
    # A column without a penalty and without length leaves its parameter at 0 (shortest solution).
    return np.linalg.lstsq(rows, np.append(problem.y * root, np.zeros(len(l2))), rcond=1e-13)[0]


def _huber(problem: Objective, l2: Array, z: Array) -> Array:
    """Follow the minimum from a delta that holds every row down to the one asked for, by damped Newton steps."""
    largest = float(np.abs(problem.matrix @ z - problem.y).max())
    count = max(1, int(np.ceil(np.log2(max(largest / problem.delta, 1)))) + 1)
    for delta in np.geomspace(max(largest, problem.delta), problem.delta, count):
        z = _newton(problem, l2, z, float(delta))
    return z


def _newton(problem: Objective, l2: Array, z: Array, delta: float) -> Array:
    """Take Newton steps, and where one finds no lower value, a reweighted least-squares step, which always does."""
    a, y, c = problem.matrix, problem.y, problem.factor

    def value_and_slope(z: Array) -> tuple[float, Array]:
        e = a @ z - y
        far = np.abs(e)
        value = c @ np.where(far <= delta, e * e / 2, delta * far - delta**2 / 2) + l2 @ z**2
        return float(value), a.T @ (c * np.clip(e, -delta, delta)) + 2 * l2 * z

    def step(curvature: Array) -> Array:
        hessian = (a.T * (c * curvature)) @ a + np.diag(2 * l2)
        damping = max(float(np.trace(hessian)), 1e-6 * float(c.sum())) * 1e-12
        return np.linalg.solve(hessian + damping * np.eye(len(z)), slope)

    value, slope = value_and_slope(z)
    small = 1e-12 * delta * float(c @ np.abs(a).max(axis=1))
    for _ in range(500):
        if np.abs(slope).max() <= small:
            break
        far = np.abs(a @ z - y)
        newton, careful = step(far <= delta), step(delta / np.maximum(far, delta))
        tries = [z - careful, *(z - length * newton for length in (1.0, 0.5, 0.25, 0.1, 0.01))]
        found = [(*value_and_slope(each), each) for each in tries]
        best = min(found, key=lambda each: each[0])
        if not best[0] < value:
            break
        value, slope, z = best
    return z


def _lasso(problem: Objective, l1: Array, l2: Array, z: Array) -> Array:
    """Minimise with |z| split into its two signs, which makes the objective smooth on a box."""
    a, y, c, delta = problem.matrix, problem.y, problem.factor, problem.delta

    def value_and_slope(parts: Array) -> tuple[float, Array]:
        z = parts[: len(l1)] - parts[len(l1) :]
        e = a @ z - y
        pull = 2 * e if delta is None else np.clip(e, -delta, delta)
        slope = a.T @ (c * pull) + 2 * l2 * z
        value = c @ problem._row_losses(e) + l2 @ z**2 + np.tile(l1, 2) @ parts
        return float(value), np.append(slope + l1, l1 - slope)

    start = np.append(np.maximum(z, 0), np.maximum(-z, 0))
    options = {"maxiter": 20000, "maxfun": 20000, "ftol": 1e-16, "gtol": 1e-12, "maxcor": 30}
    found = minimize(
        value_and_slope, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start), options=options
    ).x
    return found[: len(l1)] - found[len(l1) :]
