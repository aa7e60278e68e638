"""Reshuffled minibatches: how fast a run grows whose epochs differ, an estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.dynamics.epoch_map import LARGEST_MAP, RUN_INSTEAD, Epoch
from linreg.dynamics.quadratic import Quadratic
from linreg.hyperparameters import check_count
from linreg.optimizers import SGD

Array = Any


@dataclass(frozen=True)
class GrowthRate:
    """By what an epoch with a new order each time multiplies a distance in the long run: an estimate.

    Parameters
    ----------
    factor : float
        Estimated growth per epoch; above 1 runs diverge. inf where already one epoch overflows.
    low, high : float
        Two standard errors to either side.
    epochs : int
        Epochs that were averaged, all repetitions together.

    Examples
    --------
    >>> from linreg import SGD, dynamics
    >>> found = dynamics.growth_rate([[-3.0], [3.0]], SGD(0.1), batch_size=2)  # one batch: nothing to shuffle
    >>> round(found.low, 3), round(found.factor, 3), round(found.high, 3), found.epochs
    (0.8, 0.8, 0.8, 720)
    """

    factor: float
    low: float
    high: float
    epochs: int


def growth_rate(
    X: Any,
    optimizer: Any = "sgd",
    batch_size: int = 32,
    *,
    loss: Any = "mse",
    sample_weight: Any = None,
    fit_intercept: bool = True,
    kernel_regularizer: Any = None,
    epochs: int = 100,
    repetitions: int = 8,
    random_state: int = 0,
) -> GrowthRate:
    """Estimate by what a reshuffled epoch of minibatch SGD multiplies the distance to the optimum in the long run.

    Parameters
    ----------
    X : array or frame of shape (rows, features)
        Features; up to 500.
    optimizer : "sgd" or SGD, default="sgd"
        SGD with a constant learning rate.
    batch_size : int, default=32
        Rows in a batch.
    loss : {"mse"} or MeanSquaredError, default="mse"
        The loss with its reduction.
    sample_weight : array of shape (rows,), optional
        Weights.
    fit_intercept : bool, default=True
        Whether there is an intercept.
    kernel_regularizer : "l2" or Regularizer, optional
        Penalty on the coefficients, without an l1 part.
    epochs : int, default=100
        Epochs of each repetition; the first tenth is not counted.
    repetitions : int, default=8
        Independent repetitions, at least 2: the spread comes from them.
    random_state : int, default=0
        Decides the orders.

    Returns
    -------
    GrowthRate
        The factor per epoch with its spread.

    Raises
    ------
    TypeError
        If the optimizer is not SGD.
    ValueError
        If something is not linear, the rate is a schedule, or the data are refused.

    Notes
    -----
    exp of the largest Lyapunov exponent of the product of random epochs, by following one vector and bringing it back
    to length 1 after each epoch. Source: H. Furstenberg and H. Kesten, "Products of random matrices", Ann. Math.
    Statist. 31 (1960); G. Benettin et al., Meccanica 15 (1980) for the method. An estimate: with few epochs, rare
    orders that grow much are missed.

    Examples
    --------
    >>> from linreg import SGD, dynamics
    >>> X = [[-3.0], [-1.0], [1.0], [3.0]]
    >>> slow, fast = (dynamics.growth_rate(X, SGD(rate), batch_size=1) for rate in (0.01, 0.3))
    >>> slow.high < 1 < fast.low
    True
    """
    check_count("growth_rate", "epochs", epochs, low=2)
    check_count("growth_rate", "repetitions", repetitions, low=2)
    problem = Quadratic.of(
        X, loss=loss, sample_weight=sample_weight, fit_intercept=fit_intercept, kernel_regularizer=kernel_regularizer,
        owner="growth_rate", largest=LARGEST_MAP, instead=RUN_INSTEAD,
    )  # fmt: skip
    epoch = Epoch(problem, SGD() if optimizer == "sgd" else optimizer, batch_size, "growth_rate")
    if callable(epoch.optimizer.learning_rate):
        raise ValueError("growth_rate: the learning rate must be constant, got a schedule: ask for one rate at a time.")
    rates, burn_in = epoch.rates(epoch.optimizer.learning_rate, 0), epochs // 10
    generators = [np.random.default_rng(seed) for seed in np.random.SeedSequence(random_state).spawn(repetitions)]
    exponents = [_exponent(epoch, rates, epochs, burn_in, generator) for generator in generators]
    if math.inf in exponents:
        return GrowthRate(math.inf, math.inf, math.inf, repetitions * (epochs - burn_in))
    mean, error = float(np.mean(exponents)), float(np.std(exponents, ddof=1) / math.sqrt(repetitions))
    with np.errstate(over="ignore"):
        factor, low, high = np.exp([mean, mean - 2 * error, mean + 2 * error]).tolist()
    return GrowthRate(factor, low, high, repetitions * (epochs - burn_in))


def _exponent(epoch: Epoch, rates: Array, epochs: int, burn_in: int, generator: np.random.Generator) -> float:
    """Return the mean logarithm by which a reshuffled epoch stretches a vector; inf where one epoch overflows."""
    state, logs = generator.normal(size=(epoch.width, 1)), []
    state[-1] = 0.0
    for _ in range(epochs):
        state = state / (np.linalg.norm(state) or 1.0)
        with np.errstate(over="ignore", invalid="ignore"):
            state = epoch.run(state, epoch.batches(generator.permutation(len(epoch.problem.target))), rates)
            size = float(np.linalg.norm(state))
        if not math.isfinite(size):
            return math.inf
        logs.append(math.log(size or np.finfo(np.float64).tiny))
    return float(np.mean(logs[burn_in:]))
