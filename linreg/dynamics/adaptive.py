"""RMSprop and Adam: what can be said without running them, and where that ends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.dynamics.limits import eigensystem
from linreg.dynamics.quadratic import LARGEST_HESSIAN, USE_THE_LOOP, Direction, Quadratic
from linreg.hyperparameters import check_count
from linreg.optimizers import Adam, RMSprop
from linreg.precision import FLOAT64
from linreg.schedules import rates_of

Array = Any

NOT_ADAPTIVE = "optimizer must be an RMSprop or an Adam, got {!r}: for SGD see max_learning_rate and closed_form"


def reach(optimizer: Any, steps: int) -> float:
    """Return how far each parameter moves in so many steps if its gradient keeps its sign and size.

    Parameters
    ----------
    optimizer : RMSprop or Adam
        The rule, with its learning rate or schedule.
    steps : int
        Steps, at least 1.

    Returns
    -------
    float
        Distance in units of the parameter, whatever the gradient's size: a parameter that starts farther from its
        optimum cannot arrive.

    Raises
    ------
    TypeError
        If the optimizer is neither.

    Notes
    -----
    Source: D. P. Kingma and J. Ba, arXiv:1412.6980, section 2.1: "the effective magnitude of the steps in parameter
    space are approximately bounded by the stepsize". Under a constant gradient Adam's step is lr exactly, since both
    bias corrections cancel;
    RMSprop's t-th step is lr / sqrt(1 - rho^t), because v has not warmed up, and momentum b multiplies the distance
    by up to 1 / (1 - b). So the reach is the sum of the learning rates, for RMSprop a few lr more. Epsilon only
    shortens it: valid where gradients are far above it. A gradient that grows can take single steps of up to
    lr (1 - beta_1) / sqrt(1 - beta_2) (Adam) or lr / sqrt(1 - rho) (RMSprop), which the sum over many steps does not
    keep up. Centered RMSprop divides by the spread of the gradient, not by its size, and with a rho of 1 by the root
    of epsilon: no reach can be stated, inf. A weight decay moves a parameter on its own and is not counted.

    Examples
    --------
    >>> from linreg import Adam, dynamics
    >>> round(dynamics.reach(Adam(0.001), 1000), 6)
    1.0
    """
    _require_adaptive("reach", optimizer)
    check_count("reach", "steps", steps)
    every = optimizer.gradient_accumulation_steps or 1
    rates = np.asarray(rates_of(optimizer.learning_rate, np.arange(steps), FLOAT64))[every - 1 :: every]
    steps = len(rates)
    if isinstance(optimizer, Adam):
        return float(rates.sum())
    if optimizer.centered or optimizer.rho == 1:
        return math.inf
    moves = rates / np.sqrt(-np.expm1(np.arange(1, steps + 1) * np.log(optimizer.rho))) if optimizer.rho else rates
    if optimizer.momentum >= 1:
        return math.inf
    # Each move goes on with a share b, b^2, ... until the run ends.
    left = np.arange(steps, 0, -1)
    return float(moves @ ((1 - optimizer.momentum**left) / (1 - optimizer.momentum)))


def max_preconditioned_curvature(optimizer: Any) -> float:
    """Return the curvature, divided by the root of v, above which a constant learning rate does not settle.

    Parameters
    ----------
    optimizer : RMSprop or Adam
        The rule with a constant learning rate.

    Returns
    -------
    float
        Limit of the largest eigenvalue of the Hessian preconditioned by P, the diagonal matrix that the rule divides
        by: for Adam sqrt(v / (1 - beta_2^t)) + epsilon, for RMSprop sqrt(v + epsilon). In 1 / learning rate.

    Raises
    ------
    TypeError
        If the optimizer is neither.
    ValueError
        If its learning rate is a schedule.

    Notes
    -----
    Where P changes slowly, the rule is SGD with momentum on the preconditioned objective: the limit is
    (2 + 2 beta_1) / ((1 - beta_1) lr) for Adam, 38 / lr with its default, and 2 (1 + b) / lr for RMSprop with momentum
    b. Above it the steps grow until the gradients, and with them v, have grown enough: runs do not diverge, they hover
    at the limit. Source: J. Cohen et al., "Adaptive Gradient Methods at the Edge of Stability", arXiv:2207.14484,
    section 2. Valid for full batches and betas near 1; elsewhere run it.

    Examples
    --------
    >>> from linreg import Adam, RMSprop, dynamics
    >>> [round(dynamics.max_preconditioned_curvature(optimizer)) for optimizer in (Adam(0.001), RMSprop(0.1))]
    [38000, 20]
    """
    lr = _constant_rate("max_preconditioned_curvature", optimizer)
    if lr == 0:
        return math.inf
    if isinstance(optimizer, Adam):
        return float(2 * (1 + optimizer.beta_1) / ((1 - optimizer.beta_1) * lr))
    return float(2 * (1 + optimizer.momentum) / lr)


@dataclass(frozen=True)
class Preconditioned:
    """How curved the objective is for an adaptive rule, at some point of its run.

    Parameters
    ----------
    largest : float
        Largest eigenvalue of the preconditioned Hessian, in 1 / learning rate.
    limit : float
        `max_preconditioned_curvature`, in 1 / learning rate.
    steepest : Direction
        The combination of parameters that belongs to the largest eigenvalue.

    Examples
    --------
    >>> from linreg import RMSprop, dynamics
    >>> found = dynamics.preconditioned_curvature([[-3.0], [3.0]], RMSprop(0.1), divisor=[1.0, 1.0])
    >>> round(found.largest, 6), round(found.limit, 6), found.stable
    (18.0, 20.0, True)
    """

    largest: float
    limit: float
    steepest: Direction

    @property
    def stable(self) -> bool:
        """Whether the steps settle as long as v stays what it is."""
        return self.largest < self.limit


def preconditioned_curvature(
    X: Any,
    optimizer: Any,
    divisor: Any,
    *,
    loss: Any = "mse",
    sample_weight: Any = None,
    fit_intercept: bool = True,
    kernel_regularizer: Any = None,
) -> Preconditioned:
    """Return the largest curvature as an adaptive rule sees it, and its limit.

    Parameters
    ----------
    X : array or frame of shape (rows, features)
        Features; up to 2,000.
    optimizer : RMSprop or Adam
        The rule with a constant learning rate.
    divisor : array of shape (parameters,)
        What the rule divides the step of each parameter by (the diagonal of P), above 0: for Adam
        sqrt(v / (1 - beta_2^t)) + epsilon, for RMSprop sqrt(v + epsilon); the bias last.
    loss : {"mse", "huber"} or Loss, default="mse"
        The loss.
    sample_weight : array of shape (rows,), optional
        Weights.
    fit_intercept : bool, default=True
        Whether there is an intercept.
    kernel_regularizer : {"l1", "l2"} or Regularizer, optional
        Penalty on the coefficients.

    Returns
    -------
    Preconditioned
        Largest eigenvalue of P^-1/2 H P^-1/2, its limit and direction.

    Raises
    ------
    TypeError
        If the optimizer is neither RMSprop nor Adam.
    ValueError
        If the rate is a schedule, a divisor is not above 0, or the data are refused.

    Notes
    -----
    Source and validity as in `max_preconditioned_curvature`: it says what the next steps do, not how v goes on.

    Examples
    --------
    >>> from linreg import RMSprop, dynamics
    >>> found = dynamics.preconditioned_curvature([[-3.0], [3.0]], RMSprop(0.1), divisor=[9.0, 0.5])
    >>> round(found.largest, 6), str(found.steepest)  # 18 / 9 of the coefficient is less than 2 / 0.5 of the intercept
    (4.0, '1.00*intercept')
    """
    limit = max_preconditioned_curvature(optimizer)
    problem = Quadratic.of(
        X, loss=loss, sample_weight=sample_weight, fit_intercept=fit_intercept, kernel_regularizer=kernel_regularizer,
        owner="preconditioned_curvature", largest=LARGEST_HESSIAN, instead=USE_THE_LOOP,
    )  # fmt: skip
    diagonal = np.asarray(divisor, np.float64)
    if diagonal.shape != (problem.size,) or not (diagonal > 0).all() or not np.isfinite(diagonal).all():
        raise ValueError(
            f"preconditioned_curvature: divisor must hold {problem.size} finite numbers above 0, one a parameter, got "
            f"{divisor!r:.80}."
        )
    values, vectors = eigensystem(problem.curvature_rows() / np.sqrt(diagonal))
    if not len(values):
        return Preconditioned(0.0, limit, Direction.along(np.zeros(problem.size), problem.names))
    return Preconditioned(float(values[0]), limit, Direction.along(vectors[:, 0] / np.sqrt(diagonal), problem.names))


def jitter(optimizer: Any) -> float:
    """Return how far (root mean square) a parameter goes on swinging about its optimum at a constant rate, full batch.

    Parameters
    ----------
    optimizer : RMSprop or Adam
        The rule with a constant learning rate.

    Returns
    -------
    float
        Root mean square distance along a parameter, in units of the parameter: of the order of the learning rate,
        whatever the data.

    Raises
    ------
    TypeError
        If the optimizer is neither.
    ValueError
        If its learning rate is a schedule.

    Notes
    -----
    Source: J. Cohen et al., arXiv:2207.14484, as in `max_preconditioned_curvature`, for what follows.
    A run that hovers at the limit of `max_preconditioned_curvature` has sqrt(v) = h / limit along a parameter of
    curvature h, and sqrt(v) is the root mean square of its gradient, h times the distance: so the distance is
    1 / limit, lr / 2 for RMSprop and lr / 38 for Adam with its default betas. Valid for full batches of features that
    are not correlated, where epsilon is far below the gradients; with a beta_2 or rho near 1 it takes thousands of
    steps to get there, and a run that is still on its way is *nearer* to the optimum, since v remembers the large
    gradients of its start. With minibatches gradients are noise at the optimum, and the run has to be run.

    Examples
    --------
    >>> from linreg import RMSprop, dynamics
    >>> round(dynamics.jitter(RMSprop(0.001)), 6)
    0.0005
    """
    _constant_rate("jitter", optimizer)
    return 1 / max_preconditioned_curvature(optimizer)


def _require_adaptive(owner: str, optimizer: Any) -> None:
    if not isinstance(optimizer, Adam | RMSprop):
        raise TypeError(f"{owner}: {NOT_ADAPTIVE.format(optimizer)}.")


def _constant_rate(owner: str, optimizer: Any) -> float:
    _require_adaptive(owner, optimizer)
    if callable(optimizer.learning_rate):
        raise ValueError(
            f"{owner}: the learning rate must be constant, got {optimizer.learning_rate!r}: ask step by step."
        )
    return float(optimizer.learning_rate)
