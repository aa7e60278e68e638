"""Minibatches: one epoch of SGD on a squared error is an affine map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from linreg.dynamics.quadratic import (
    Quadratic,
    as_few_rows,
    excited_basis,
    require_linear_steps,
    require_mse,
)
from linreg.hyperparameters import check_count
from linreg.precision import FLOAT64
from linreg.schedules import rates_of
from linreg.steps import State, bind_step

Array = Any

LARGEST_MAP = 500
RUN_INSTEAD = 'give fewer columns, or run the steps (LinearRegression with engine="numpy")'


class Epoch:
    """One epoch of SGD with a squared error, as something that can be done to many states at once.

    Parameters
    ----------
    problem : Quadratic
        The data.
    optimizer : SGD
        The rule; what is not linear around it is refused.
    batch_size : int
        Rows in a batch; the last one holds what is left.
    owner : str
        Who asks, for errors.
    all_directions : bool, default=False
        Keep the parameters as they are, in coordinates of their own, also where data leave some directions flat.

    Raises
    ------
    TypeError
        If the optimizer is not SGD.
    ValueError
        If the loss, the penalty or something around the rule is not linear in the parameters.

    Notes
    -----
    The step that trains (`linreg.steps.bind_step`) is applied to K columns (parameters, velocity, 1): to unit vectors
    it gives the matrix of the map. Parameters are held in coordinates of the directions in which the data pull; along
    all others no step ever moves them, except by a decay, and then all directions are kept.
    """

    def __init__(
        self, problem: Quadratic, optimizer: Any, batch_size: int, owner: str, *, all_directions: bool = False
    ) -> None:
        require_linear(problem, optimizer, owner)
        check_count(owner, "batch_size", batch_size)
        self.problem, self.optimizer = problem, optimizer
        whole = all_directions or bool(problem.penalty_curvature().any()) or bool(optimizer.weight_decay)
        self.basis = np.eye(problem.size) if whole else excited_basis(problem.pulling_rows())
        self.batch_size = min(int(batch_size), len(problem.target))
        self.letters = optimizer.rule(FLOAT64).state
        self.rank = self.basis.shape[1]
        self._step = bind_step(optimizer, FLOAT64, problem.kernel_size)

    @property
    def width(self) -> int:
        """Length of a state: parameters, velocity, and a 1 for what does not depend on them."""
        return self.rank * (1 + len(self.letters)) + 1

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.problem.target) // self.batch_size)

    def batches(self, order: Any = None) -> list[Array]:
        """Return sqrt(c) [A, y] of each batch in the given order of the rows, A in coordinates of the basis."""
        cuts = range(0, len(self.problem.target), self.batch_size)
        rows = (slice(at, at + self.batch_size) if order is None else order[at : at + self.batch_size] for at in cuts)
        weighted = (self.problem.weighted_rows(batch) for batch in rows)
        return [np.column_stack([batch[:, :-1] @ self.basis, batch[:, -1]]) for batch in weighted]

    def run(self, states: Array, batches: Sequence[Array], rates: Any, book: Any = None) -> Array:
        """Return K states after some batches.

        Parameters
        ----------
        states : array of shape (width, K)
            States as columns.
        batches : sequence of array of shape (rows, parameters + 1)
            Batches as `batches` returns them. A stack of shape (B, rows, parameters + 1) is B batches, each taken by
            itself from the same states: stacks of states come out.
        rates : sequence of float
            Learning rate of each step.
        book : callable, optional
            `book(errors, parameters)` is called before each step.

        Returns
        -------
        array of shape (width, K) or (B, width, K)
            The states.
        """
        loss, blocks = self.problem.loss, np.split(states[:-1], 1 + len(self.letters))
        constant = states[-1:]
        state = State(blocks[0], blocks[1:], self.letters, None, np.random.default_rng(0))
        pull = self.problem.penalty_curvature()[:, np.newaxis]
        for batch, rate in zip(batches, rates, strict=True):
            matrix = batch[..., :-1]
            errors = matrix @ state.parameters - batch[..., -1:] * constant
            if book is not None:
                book(errors, state.parameters)
            gradient = matrix.mT @ loss.slope(errors, np.float64(loss.slope_factor))
            if self.problem.regularizer is not None:
                gradient = gradient + pull * state.parameters
            self._step(state, gradient, rate, rate)
            state.iterations += 1
        constant = np.broadcast_to(constant, (*state.parameters.shape[:-2], *constant.shape))
        return np.concatenate([state.parameters, *state.slots, constant], axis=-2)

    def rates(self, learning_rate: Any, first_step: int) -> Array:
        """Return the learning rates of the epoch that begins with a step."""
        return np.asarray(rates_of(learning_rate, np.arange(first_step, first_step + self.steps), FLOAT64))

    def booked_rows(self, batches: Sequence[Array], rates: Any) -> Array:
        """Return rows R such that the squared length of R s is the loss that is booked for an epoch from state s.

        Parameters
        ----------
        batches : sequence of array
            What `batches` returned.
        rates : array of shape (steps,)
            Learning rates of the epoch.

        Returns
        -------
        array of shape (rows, width)
            Booked is the mean over the batches, each before its step and weighted by its rows, with the penalty.
        """
        penalty, errors = np.sqrt(self.problem.penalty_curvature() / 2), []

        def book(error: Array, parameters: Array) -> None:
            pulled = penalty[:, np.newaxis] * parameters if penalty.any() else error[:0]
            errors.append(as_few_rows(np.concatenate([error, pulled])))

        self.run(np.eye(self.width), batches, rates, book)
        return as_few_rows(mean_over_batches(errors, self.batch_size, len(self.problem.target)))


def mean_over_batches(batches: Sequence[Array], batch_size: int, rows: int) -> Array:
    """Return rows whose sum of squares is the mean over batches of theirs, each weighted by its number of rows."""
    starts = np.arange(0, rows, batch_size)
    shares = np.minimum(batch_size, rows - starts) / rows
    return np.concatenate([np.sqrt(share) * batch for share, batch in zip(shares, batches, strict=True)])


def require_linear(problem: Quadratic, optimizer: Any, owner: str) -> None:
    """Raise unless every step is linear in the parameters."""
    require_linear_steps(optimizer, owner)
    require_mse(problem, owner)
