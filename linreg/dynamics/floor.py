"""Minibatches that change: the noise that a constant learning rate never gets rid of."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.dynamics.epoch_map import RUN_INSTEAD, require_linear
from linreg.dynamics.limits import eigensystem
from linreg.dynamics.optima import exact_optimum
from linreg.dynamics.quadratic import Quadratic
from linreg.dynamics.speed import step_matrices
from linreg.hyperparameters import check_count
from linreg.losses import MeanSquaredError
from linreg.optimizers import SGD
from linreg.precision import FLOAT64

Array = Any

LARGEST_COVARIANCE = 100
SETTLED = 1e-13
MOST_ROUNDS = 10_000


@dataclass(frozen=True)
class StochasticFloor:
    """What minibatch SGD with a constant rate settles to, when every batch is drawn anew.

    Parameters
    ----------
    excess : float
        Mean excess of the expected loss of a batch, in units of the loss: the run does not come nearer to the optimum
        than this. With the default reduction that is the loss on all rows; with "sum" it is batch_size / rows of it.
        inf where the noise grows instead.
    covariance : array of shape (parameters, parameters)
        Covariance of the parameters (coefficients, then intercept) about the optimum, in the units of both; inf where
        it grows.

    Examples
    --------
    >>> from linreg import SGD, dynamics
    >>> X, y = [[-1.0], [-1.0], [1.0], [1.0]], [-1.0, 1.0, -1.0, 1.0]
    >>> noise = dynamics.stochastic_floor(X, y, SGD(0.01), batch_size=1)
    >>> noise.standard_deviation.shape, bool(noise.excess > 0)
    ((2,), True)
    """

    excess: float
    covariance: Array

    @property
    def standard_deviation(self) -> Array:
        """How far each parameter wanders, in units of the parameter."""
        return np.sqrt(np.diag(self.covariance))


def stochastic_floor(
    X: Any,
    y: Any,
    optimizer: Any = "sgd",
    batch_size: int = 32,
    *,
    loss: Any = "mse",
    fit_intercept: bool = True,
    kernel_regularizer: Any = None,
) -> StochasticFloor:
    """Return the covariance that minibatch SGD settles to, each batch drawn at random without regard to the others.

    Parameters
    ----------
    X : array or frame of shape (rows, features)
        Features; up to 100.
    y : array of shape (rows,)
        Target.
    optimizer : "sgd" or SGD, default="sgd"
        SGD with a constant learning rate, with or without momentum.
    batch_size : int, default=32
        Rows in a batch, drawn without repetition; all rows give no noise.
    loss : {"mse"} or MeanSquaredError, default="mse"
        The loss with its reduction.
    fit_intercept : bool, default=True
        Whether there is an intercept.
    kernel_regularizer : "l2" or Regularizer, optional
        Penalty on the coefficients, without an l1 part.

    Returns
    -------
    StochasticFloor
        Mean excess loss and covariance of the parameters.

    Raises
    ------
    TypeError
        If the optimizer is not SGD.
    ValueError
        If something is not linear, the rate is a schedule, there are more than 100 features, or the data are refused.

    Notes
    -----
    With s = (deviation from the optimum, velocity), S its covariance, F what the mean step does to s and G what the
    rule makes of a gradient: S = F S F' + G C(S) G', where C(S) is the covariance of a batch's mean gradient,
    (n - B) / (B (n - 1)) times that of one row's, 1/n sum a a' f^2 (a' S a + r^2) minus that of the mean; a row of A,
    r its residual at the optimum. Solved by inverting the first term along the eigenvectors of the Hessian and
    repeating the second; that converges exactly if the noise has a limit (within some 0.3 % of the rate at which it
    ceases to have one, it is taken to have none, and so is a rate of 0). Exact for batches drawn independently of each
    other. A reshuffled epoch visits every row once, so its noise partly cancels by the end of an epoch: there this is
    an upper estimate for small rates, and `LinearRegression` shows the rest.
    Source: S. Mandt, M. Hoffman and D. Blei, "Stochastic Gradient Descent as Approximate Bayesian Inference", JMLR 18
    (2017), whose small-rate limit this is not restricted to; A. Dieuleveut, A. Durmus and F. Bach, Ann. Statist. 48
    (2020), for the exact recursion.

    Examples
    --------
    >>> from linreg import SGD, dynamics
    >>> X, y = [[-1.0], [-1.0], [1.0], [1.0]], [-1.0, 1.0, -1.0, 1.0]
    >>> dynamics.stochastic_floor(X, y, SGD(0.01), batch_size=4).excess  # all rows: no noise
    0.0
    >>> high, low = (dynamics.stochastic_floor(X, y, SGD(rate), batch_size=1).excess for rate in (0.002, 0.001))
    >>> round(high / low, 1)
    2.0
    """
    problem = Quadratic.of(
        X, y, loss=loss, fit_intercept=fit_intercept, kernel_regularizer=kernel_regularizer,
        owner="stochastic_floor", largest=LARGEST_COVARIANCE, instead=RUN_INSTEAD,
    )  # fmt: skip
    rule = SGD() if optimizer == "sgd" else optimizer
    require_linear(problem, rule, "stochastic_floor")
    check_count("stochastic_floor", "batch_size", batch_size)
    if callable(rule.learning_rate) or rule.weight_decay:
        raise ValueError(
            f"stochastic_floor: needs a constant learning rate and no weight decay, got {rule!r}: nothing settles else."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        return _settled(problem, rule, float(rule.learning_rate), min(int(batch_size), len(problem.target)))


def _settled(problem: Quadratic, rule: SGD, lr: float, batch_size: int) -> StochasticFloor:
    n = len(problem.target)
    # The loss of a batch is the mean over its rows, or with the reduction "sum" B times that.
    scale = float(batch_size) if problem.loss.reduction == "sum" else 1.0
    mean = dataclasses.replace(problem, loss=MeanSquaredError("sum"), weight=np.full(n, scale / n))
    h, vectors = eigensystem(mean.curvature_rows())
    step = step_matrices(rule, h, np.array([lr]))[:, 0]
    if len(h) and np.abs(np.linalg.eigvals(step)).max() >= 1:
        return _endless(problem.size)
    rows, residual = problem.matrix @ vectors, problem.matrix @ exact_optimum(mean) - problem.target
    # Covariance of the gradient of a batch, over that of the squared gradients of single rows.
    slope = problem.loss.slope_factor * scale
    share = slope**2 * (n - batch_size) / (batch_size * max(n - 1, 1))
    mean_square, bias = rows.T @ rows / n, rows.T @ residual / n
    response, covariance = _response(rule, lr, step), np.zeros((len(h), len(h)))
    for _ in range(MOST_ROUNDS):
        squares = (rows @ covariance * rows).sum(axis=1) + residual**2
        noise = (rows * squares[:, np.newaxis]).T @ rows / n
        new = response * share * (noise - mean_square @ covariance @ mean_square - np.outer(bias, bias))
        change = np.abs(new - covariance).max(initial=0)
        covariance = new
        if not np.isfinite(change):
            return _endless(problem.size)
        if change <= SETTLED * np.abs(new).max(initial=0):
            break
    else:
        return _endless(problem.size)
    return StochasticFloor(float(h @ np.diag(covariance)) / 2, vectors @ covariance @ vectors.T)


def _response(rule: SGD, lr: float, step: Array) -> Array:
    """Return the covariance of the parameters along each pair of eigenvectors for noise of covariance 1."""
    bound = rule.rule(FLOAT64)
    still = np.zeros(len(bound.state))
    kick = np.stack(bound.update(np.float64(0), np.float64(1), *still, np.float64(lr), *bound.constants))
    many, size = len(step), step.shape[-1]
    carried = np.einsum("iac,jbd->ijabcd", step, step).reshape(many, many, size**2, size**2)
    noise = np.broadcast_to(np.outer(kick, kick).reshape(-1, 1), (many, many, size**2, 1))
    return np.linalg.solve(np.eye(size**2) - carried, noise)[:, :, 0, 0]


def _endless(size: int) -> StochasticFloor:
    return StochasticFloor(math.inf, np.full((size, size), np.inf))
