"""How far a run on moments (`linreg.gram`) may end from the run on all rows: a bound that is computed along the run.

Both runs take the same steps, each with gradients that are a little off:

- the moments are sums over blocks of n rows, of which each product of two columns is off by up to n eps times the
  product of their spreads (columns are centred first, so an offset costs the digits of the mean and no others);
- the run on all rows adds up a term a row for every gradient, which is off by up to rows eps times the lengths of both
  factors (Cauchy and Schwarz), and its predictions are off by what a sum over the features loses;
- the rule rounds.

The bound carries these errors through the steps that follow by their Jacobians, as `linreg.drift` does, from the last
step to the first. Linear errors of the largest size and of the worst signs: real ones are smaller by orders of
magnitude. What is of second order is covered by doubling; where that is not enough, `Bound.doubts` says so.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.batches import Problem
from linreg.drift import FEW, FIRST_ORDER, TWO_RUNS, Batch, FlatStep, carry
from linreg.fitting import start
from linreg.gram import Gram
from linreg.regression import LinearRegression
from linreg.steps import Rates

__all__ = ["Bound", "error_bound"]

Array = Any

OWNER = "error_bound"
EPS = float(np.finfo(np.float64).eps)
MOST_NUMBERS = 2**27
"""Numbers that are kept of all steps: 1 GiB."""
SMALL = 1e-3
"""Relative size up to which an error counts as small: its square is left out."""


@dataclass(frozen=True, eq=False)
class Bound:
    """The most that a run on moments and the run on all rows may end apart, both in float64.

    Parameters
    ----------
    coef : array of shape (features,)
        For each coefficient, in units of y per unit of its feature.
    intercept : float
        For the intercept, in units of y; 0.0 without one.
    doubts : tuple of str
        Why the bound may not hold; empty if nothing is in its way.

    Examples
    --------
    >>> from linreg import LinearRegression
    >>> from linreg.gram import gather
    >>> from linreg.replay import error_bound
    >>> gram = gather([[-1.0], [0.0], [1.0]], [1.0, 3.0, 5.0])
    >>> bound = error_bound(LinearRegression(batch_size=3, dtype="float64", random_state=0), gram)
    >>> bound.doubts, bool(bound.coef[0] < 1e-12), bool(bound.intercept < 1e-12)
    ((), True, True)
    """

    coef: Array
    intercept: float
    doubts: tuple[str, ...]


class AllRows(Batch):
    """The few rows that stand for all, as one batch whose gradient is off by what the moments and all rows lose.

    Parameters
    ----------
    flat : FlatStep
        The step.
    p : array of shape (parameters, 1)
        Parameters.
    problem : Problem
        The few rows.
    count : int
        How many rows they stand for.
    products : array of shape (parameters + 1, parameters + 1)
        How far the products of their columns may be off.
    """

    def __init__(self, flat: FlatStep, p: Array, problem: Problem, count: int, products: Array) -> None:
        super().__init__(flat, p, problem.matrix, problem.target, None, EPS)
        self.count, self.products = count, products
        self.columns = np.column_stack([problem.matrix, problem.target])

    def gradient_error(self, g: Array) -> Array:
        """Return how far the gradients of both runs may be apart at the same parameters."""
        length, size = np.linalg.norm(self.columns, axis=0), np.abs(np.append(self.p, -1.0))
        predicted = 2 * (self.flat.d + FEW) * self.eps * length * (length @ size)
        added_up = (self.count + FEW) * self.eps * length * np.linalg.norm(self.columns @ np.append(self.p, -1.0))
        off = float(self.slope_factor[0, 0]) * (self.products @ size + predicted + added_up)[: len(self.p)]
        off[: self.flat.d] += FEW * self.eps * np.abs(self.flat.penalty_slope(self.p[: self.flat.d]))[:, 0]
        return off[:, np.newaxis] + FEW * self.eps * np.abs(g)


def _products_off(problem: Problem, rows: Gram, scale: float) -> Array:
    """Return the bound of each product of two columns of the few rows: of moments, and of their factor."""
    moments, features = rows.moments, problem.kernel_size
    ones = [features] * (problem.matrix.shape[1] - features)  # where the column of ones stands
    mean = np.abs(np.insert(moments.mean, ones, 1.0)) * scale
    spread = np.insert(moments.spread, ones, 0.0) * scale
    wanted = np.insert(np.insert(moments.products / moments.count, ones, 0.0, axis=0), ones, 0.0, axis=1) * scale**2
    centred = np.column_stack([problem.matrix, problem.target])[:-1]
    terms = EPS * (rows.longest + features + FEW * rows.blocks)
    mean_off = EPS * (FEW * rows.blocks * mean + rows.longest * spread)
    factored = np.abs(wanted - centred.T @ centred)
    return terms * np.outer(spread, spread) + factored + np.outer(mean, mean_off) + np.outer(mean_off, mean)


def error_bound(model: LinearRegression, rows: Gram) -> Bound:
    """Return how far `model.fit(rows)` may end from the same fit on all rows, by rounding.

    Parameters
    ----------
    model : LinearRegression
        The model, fitted or not: its settings, from its start on.
    rows : Gram
        What `linreg.gram.gather` returned.

    Returns
    -------
    Bound
        In units of the parameters, after the last epoch.

    Raises
    ------
    ValueError
        If the run is not possible on moments, depends on luck or callbacks, is not smooth (an L1 penalty), or is too
        long.

    Examples
    --------
    >>> from linreg import Adam, LinearRegression
    >>> from linreg.gram import gather
    >>> from linreg.replay import error_bound
    >>> gram = gather([[-1.0], [0.0], [1.0]], [1.0, 3.0, 5.0])
    >>> model = LinearRegression(Adam(0.1), batch_size=3, dtype="float64", random_state=0)
    >>> bool(error_bound(model, gram).coef[0] < 1e-9)
    True
    """
    settings = model.settings()
    problem = rows.problem(settings, int(model.batch_size), intercept=bool(model.fit_intercept))
    flat = FlatStep(model, problem.kernel_size, bool(model.fit_intercept))
    _refuse(model, flat)
    alone = copy.copy(model)
    alone.random_state = copy.deepcopy(model.random_state)  # a generator moves on
    blocks = np.zeros((flat.blocks, flat.size))
    blocks[0] = start(alone, problem, settings).parameters
    u, off = blocks.reshape(-1, 1), np.zeros(blocks.size, bool)
    rates, kept, doubts = Rates(flat.optimizer, settings.precision), [], set()
    products = _products_off(problem, rows, rows.scale(settings.loss))
    for step in range(int(model.epochs)):
        ((rate, lr),) = rates.pairs(settings.optimizer.learning_rate, step, 1)
        with np.errstate(all="ignore"):
            batch = AllRows(flat, u[: flat.size], problem, rows.rows, products)
            before = np.diag(off.astype(np.float64))
            u, columns = carry(flat, u, before, batch, np.float64(rate), np.float64(lr), step)
        if not np.isfinite(columns).all():
            return _ended(flat, np.full(len(u), np.inf), u, {"the run does not stay finite"})
        doubts |= _doubts(flat, u, batch)
        kept.append(columns)
        off = columns.any(axis=1)
    return _ended(flat, FIRST_ORDER * _carried_to_the_end(kept, flat.size), u, doubts)


def _refuse(model: LinearRegression, flat: FlatStep) -> None:
    if flat.has_l1:
        raise ValueError(f"{OWNER}: the slope of an L1 penalty jumps, so no error can be carried: compare two runs.")
    if tuple(model.callbacks):
        raise ValueError(f"{OWNER}: what callbacks do to a run is not known before it: leave them out.")
    if model.random_state is None and isinstance(model.kernel_initializer, str) and model.kernel_initializer != "zeros":
        raise ValueError(
            f"{OWNER}: random_state=None starts every run elsewhere: set random_state or kernel_initializer."
        )
    size = flat.blocks * flat.size
    most = MOST_NUMBERS // (size * (2 * size + flat.size))
    if int(model.epochs) > most:
        raise ValueError(
            f"{OWNER}: the errors of {model.epochs} steps are too many to be kept: set epochs to at most {most}."
        )


def _doubts(flat: FlatStep, after: Array, batch: AllRows) -> set[str]:
    """Return whether an error of the gradient may be too large beside the squared gradients that a rule has seen."""
    v = flat.named(flat.split(after[:, 0])).get("v")
    if v is None:
        return set()
    new = 1 - float(getattr(flat.optimizer, "beta_2", getattr(flat.optimizer, "rho", 0.0)))
    off = batch.gradient_error(np.zeros((flat.size, 1)))[:, 0]
    return (
        {"a gradient may be nothing but rounding where a rule divides by it"}
        if (new * off**2 > SMALL * v).any()
        else set()
    )


def _carried_to_the_end(kept: list[Array], parameters: int) -> Array:
    """Return the sum of what the errors of all steps make at the end: of gradients, and of the rule in both runs."""
    size = len(kept[0])
    back, total = np.eye(size), np.zeros(size)
    for columns in reversed(kept):
        made = np.abs(back @ columns[:, size:])
        total += made[:, :parameters].sum(axis=1) + TWO_RUNS * made[:, parameters:].sum(axis=1)
        back = back @ columns[:, :size]
    return total


def _ended(flat: FlatStep, error: Array, u: Array, doubts: set[str]) -> Bound:
    fitted = flat.split(error)[-1 if flat.optimizer.use_ema else 0]
    if not (fitted <= SMALL * (1 + np.abs(u[: flat.size, 0]))).all():
        doubts = doubts | {"errors grow too large"}
    return Bound(fitted[: flat.d], float(fitted[-1]) if flat.size > flat.d else 0.0, tuple(sorted(doubts)))
