"""Full batches of a squared error: what a step does to the distance from the optimum, and which is fastest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.dynamics.limits import Curvature, curvature_of
from linreg.dynamics.quadratic import LARGEST_HESSIAN, USE_THE_LOOP, Quadratic, require_linear_steps, require_mse
from linreg.hyperparameters import check_number
from linreg.optimizers import SGD
from linreg.precision import FLOAT64

Array = Any


def step_matrices(optimizer: SGD, eigenvalues: Array, learning_rates: Array) -> Array:
    """Return what one full-batch step does to (parameter, velocity) along each eigenvector of the Hessian.

    Parameters
    ----------
    optimizer : SGD
        Momentum and Nesterov's form; its own learning rate is not used.
    eigenvalues : array of shape (E,)
        Curvatures, in units of loss per unit of parameter squared.
    learning_rates : array of shape (L,)
        Learning rates, in units of parameter per unit of gradient.

    Returns
    -------
    array of shape (E, L, k, k)
        One matrix for each curvature and rate; k is 2 with momentum, else 1.

    Notes
    -----
    The very rule that trains, applied to the unit vectors: it is linear in parameter, gradient and velocity.
    Source: Lessard et al. (2016), section 4, as in `max_learning_rate`.

    Examples
    --------
    >>> from linreg import SGD, dynamics
    >>> dynamics.step_matrices(SGD(momentum=0.5), [2.0], [0.1])[0, 0].round(6)  # of (parameter, velocity)
    array([[ 0.8,  0.5],
           [-0.2,  0.5]])
    """
    rule = optimizer.rule(FLOAT64)
    unit = np.eye(1 + len(rule.state))
    rate = np.asarray(learning_rates, np.float64)[np.newaxis, :, np.newaxis]
    gradient = np.asarray(eigenvalues, np.float64)[:, np.newaxis, np.newaxis] * unit[0]
    moved = rule.update(unit[0], gradient, *unit[1:], rate, *rule.constants)
    shape = (*np.broadcast_shapes(gradient.shape, rate.shape)[:2], len(unit))
    return np.stack([np.broadcast_to(row, shape) for row in moved], axis=-2)


def spectral_radius(
    X: Any,
    optimizer: SGD,
    learning_rates: Any,
    *,
    loss: Any = "mse",
    sample_weight: Any = None,
    fit_intercept: bool = True,
    kernel_regularizer: Any = None,
) -> Any:
    """Return the factor by which one full-batch step changes the distance to the optimum, for many learning rates.

    Parameters
    ----------
    X : array or frame of shape (rows, features)
        Features; up to 2,000.
    optimizer : SGD
        Momentum and Nesterov's form; the learning rates are those given next.
    learning_rates : float or array of shape (L,)
        Learning rates, at least 0, in units of parameter per unit of gradient.
    loss : {"mse"} or MeanSquaredError, default="mse"
        The loss.
    sample_weight : array of shape (rows,), optional
        Weights.
    fit_intercept : bool, default=True
        Whether there is an intercept.
    kernel_regularizer : "l2" or Regularizer, optional
        Penalty on the coefficients.

    Returns
    -------
    float or array of shape (L,)
        In the long run each step multiplies the distance by this; above 1 the run diverges.

    Raises
    ------
    TypeError
        If the optimizer is not SGD, whose steps alone are linear.
    ValueError
        If it clips, averages, accumulates or decays the weights, if there are more than 2,000 features, or if a rate or
        the data are refused.

    Notes
    -----
    Largest absolute eigenvalue of `step_matrices` over the curved directions: abs(1 - lr h) for SGD, the roots of
    z^2 - (1 + b - lr h) z + b for momentum, of z^2 - (1 + b) (1 - lr h) z + b (1 - lr h) for Nesterov.
    Source: Polyak (1964) and Lessard et al. (2016), as in `max_learning_rate`.

    Examples
    --------
    >>> from linreg import SGD, dynamics
    >>> dynamics.spectral_radius([[-3.0], [3.0]], SGD(), [0.1, 0.12]).round(6)
    array([0.8 , 1.16])
    """
    require_linear_steps(optimizer, "spectral_radius")
    if optimizer.weight_decay:
        raise ValueError(
            f"spectral_radius: {optimizer!r} decays the weights too, which has another radius: "
            "closed_form(..., batch_size=len(X)).spectral_radius counts it in."
        )
    rates = np.asarray(learning_rates)
    if (rates.size and rates.dtype.kind not in "iuf") or not (np.isfinite(rates) & (rates >= 0)).all():
        raise ValueError(
            f"spectral_radius: learning_rates must be finite numbers of at least 0, got {learning_rates!r:.80}: of a "
            "schedule, give the rates of its steps."
        )
    given = _squared_error_curvature(X, "spectral_radius", loss, sample_weight, fit_intercept, kernel_regularizer)
    if given.rank == 0:
        return 0.0 if np.ndim(learning_rates) == 0 else np.zeros(np.shape(learning_rates))
    rates = rates.astype(np.float64)
    roots = np.abs(np.linalg.eigvals(step_matrices(optimizer, given.eigenvalues, rates.reshape(-1))))
    radius = roots.max(axis=(0, 2)).reshape(rates.shape)
    return float(radius) if rates.ndim == 0 else radius


def _squared_error_curvature(
    X: Any, owner: str, loss: Any, sample_weight: Any, fit_intercept: bool, kernel_regularizer: Any
) -> Curvature:
    problem = Quadratic.of(
        X, loss=loss, sample_weight=sample_weight, fit_intercept=fit_intercept, kernel_regularizer=kernel_regularizer,
        owner=owner, largest=LARGEST_HESSIAN, instead=USE_THE_LOOP,
    )  # fmt: skip
    require_mse(problem, owner)
    return curvature_of(problem.curvature_rows(), problem.names)


@dataclass(frozen=True)
class Fastest:
    """The constant settings at which full-batch steps approach the optimum fastest.

    Parameters
    ----------
    learning_rate : float
        The rate, in units of parameter per unit of gradient.
    momentum : float
        The momentum; 0 for plain SGD.
    spectral_radius : float
        By what each step multiplies the distance to the optimum in the long run.

    Examples
    --------
    >>> from linreg import dynamics
    >>> found = dynamics.fastest([[-3.0], [3.0]], "momentum")
    >>> round(found.learning_rate, 6), round(found.momentum, 6), round(found.spectral_radius, 6)
    (0.125, 0.25, 0.5)
    >>> round(found.epochs_to(0.01), 1)
    3.3
    """

    learning_rate: float
    momentum: float
    spectral_radius: float

    def epochs_to(self, tolerance: float) -> float:
        """Return about how many epochs bring the excess loss to `tolerance` times its start: a rate, not a bound."""
        check_number("epochs_to", "tolerance", tolerance, high=1.0, open_low=True)
        if self.spectral_radius == 0:
            return 1.0
        return math.log(tolerance) / (2 * math.log(self.spectral_radius)) if self.spectral_radius < 1 else math.inf


def fastest(
    X: Any,
    kind: str = "sgd",
    *,
    loss: Any = "mse",
    sample_weight: Any = None,
    fit_intercept: bool = True,
    kernel_regularizer: Any = None,
) -> Fastest:
    """Return the fastest constant learning rate, and momentum, for full batches of these data.

    Parameters
    ----------
    X : array or frame of shape (rows, features)
        Features; up to 2,000.
    kind : {"sgd", "momentum", "nesterov"}, default="sgd"
        What is allowed.
    loss : {"mse"} or MeanSquaredError, default="mse"
        The loss.
    sample_weight : array of shape (rows,), optional
        Weights.
    fit_intercept : bool, default=True
        Whether there is an intercept.
    kernel_regularizer : "l2" or Regularizer, optional
        Penalty on the coefficients.

    Returns
    -------
    Fastest
        Learning rate, momentum and the factor that each step wins.

    Raises
    ------
    ValueError
        If `kind` is unknown, or the data are refused or constant.

    Notes
    -----
    With L and m the largest and smallest curvature and k = L / m:
    SGD 2 / (L + m), factor (k - 1) / (k + 1);
    momentum (2 / (sqrt L + sqrt m))^2 with ((sqrt k - 1) / (sqrt k + 1))^2, factor its root;
    Nesterov 4 / (3 L + m) with (sqrt(3 k + 1) - 2) / (sqrt(3 k + 1) + 2), factor 1 - 2 / sqrt(3 k + 1).
    Source: L. Lessard, B. Recht and A. Packard, SIAM J. Optim. 26 (2016), arXiv:1408.3595, proposition 1. Valid for
    MSE; in float32 a condition above some 1e7 is not reached.

    Examples
    --------
    >>> from linreg import dynamics
    >>> found = dynamics.fastest([[-3.0], [3.0]])
    >>> round(found.learning_rate, 6), round(found.spectral_radius, 6)
    (0.1, 0.8)
    """
    given = _squared_error_curvature(X, "fastest", loss, sample_weight, fit_intercept, kernel_regularizer)
    if given.rank == 0:
        raise ValueError("fastest: every column of X is zero and there is no intercept, so there is nothing to learn.")
    L, m = given.largest, given.smallest
    k = L / m
    if kind == "sgd":
        return Fastest(2 / (L + m), 0.0, (k - 1) / (k + 1))
    if kind == "momentum":
        factor = (math.sqrt(k) - 1) / (math.sqrt(k) + 1)
        return Fastest((2 / (math.sqrt(L) + math.sqrt(m))) ** 2, factor**2, factor)
    if kind == "nesterov":
        root = math.sqrt(3 * k + 1)
        return Fastest(4 / (3 * L + m), (root - 2) / (root + 2), 1 - 2 / root)
    raise ValueError(f"fastest: kind must be 'sgd', 'momentum' or 'nesterov', got {kind!r}.")
