"""Runs of minibatch SGD on a squared error, computed instead of run: powers of the map of an epoch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from linreg.dynamics.epoch_map import LARGEST_MAP, RUN_INSTEAD, Epoch
from linreg.dynamics.optima import exact_optimum
from linreg.dynamics.quadratic import (
    Direction,
    Quadratic,
    as_few_rows,
)
from linreg.hyperparameters import as_integer, check_number
from linreg.optimizers import SGD

Array = Any

NOT_EXCITED = 1e-10
"""Share of the start's distance from the fixed point below which a direction counts as not excited."""
MOST_LISTED, MOST_SCHEDULED, FEWEST_LISTED = 10**6, 2**14, 64
"""Epochs that are looked at one by one: at one learning rate, under a schedule, and at least."""
MOST_EPOCHS = 2**62
AT_ONCE = 2**12
"""Epochs whose states are held at once."""


def closed_form(
    X: Any,
    y: Any,
    optimizer: Any = "sgd",
    batch_size: int = 32,
    *,
    loss: Any = "mse",
    sample_weight: Any = None,
    fit_intercept: bool = True,
    kernel_regularizer: Any = None,
    start: tuple[Any, float] | None = None,
    order: Any = None,
) -> ClosedForm:
    """Return the run of minibatch SGD on a squared error as powers of one matrix: exact at any epoch, in no time.

    Parameters
    ----------
    X : array or frame of shape (rows, features)
        Features; up to 500.
    y : array of shape (rows,)
        Target.
    optimizer : "sgd" or SGD, default="sgd"
        SGD, with or without momentum, Nesterov's momentum, weight decay and a schedule. A schedule costs one map for
        each epoch whose rates differ.
    batch_size : int, default=32
        Rows in a batch; the last one of an epoch holds what is left. `batch_size=len(X)` is full batch.
    loss : {"mse"} or MeanSquaredError, default="mse"
        The loss with its reduction.
    sample_weight : array of shape (rows,), optional
        Weights.
    fit_intercept : bool, default=True
        Whether there is an intercept.
    kernel_regularizer : "l2" or Regularizer, optional
        Penalty on the coefficients, without an l1 part.
    start : tuple (coef, intercept), optional
        Where the run starts, zeros if not given.
    order : array of shape (rows,), optional
        The order of the rows, the same in every epoch: not shuffled if not given. Keras, once seeded, keeps one order
        (`KerasSeed` gives it).

    Returns
    -------
    ClosedForm
        Spectral radius, parameters, losses and times of the run.

    Raises
    ------
    TypeError
        If the optimizer is not SGD.
    ValueError
        If something is not linear (Huber, l1, clipping, averages, accumulation), if there are more than 500 features,
        or if the data are refused.

    Notes
    -----
    With A_b the rows of batch b and s = (parameters, velocity, 1), each step is s <- M_b s, because gradient and rule
    are linear in s; an epoch is the product of its M_b. Valid as long as the batches are the same in every epoch; for
    reshuffled ones see `growth_rate`. In float64.
    Source: F. Bach and E. Moulines, "Non-strongly-convex smooth stochastic approximation with convergence rate O(1/n)",
    NIPS 2013, section 2, for the affine form of a step.

    Examples
    --------
    >>> from linreg import SGD, dynamics
    >>> run = dynamics.closed_form([[0.0], [1.0], [2.0]], [1, 3, 5], SGD(0.1))
    >>> coef, intercept = run.after(10**6)
    >>> round(coef[0], 6), round(intercept, 6), round(run.spectral_radius, 3)
    (np.float64(2.0), 1.0, 0.944)
    """
    problem = Quadratic.of(
        X, y, loss=loss, sample_weight=sample_weight, fit_intercept=fit_intercept,
        kernel_regularizer=kernel_regularizer, owner="closed_form", largest=LARGEST_MAP, instead=RUN_INSTEAD,
    )  # fmt: skip
    rule = SGD() if optimizer == "sgd" else optimizer
    return ClosedForm(Epoch(problem, rule, batch_size, "closed_form"), problem.packed(start), _checked(order, problem))


def _checked(order: Any, problem: Quadratic) -> Array | None:
    if order is None:
        return None
    rows = np.asarray(order)
    count = len(problem.target)
    if rows.shape != (count,) or rows.dtype.kind not in "iu" or not (np.sort(rows) == np.arange(count)).all():
        raise ValueError(f"closed_form: order must hold each of 0, ..., {count - 1} once, got {order!r:.80}.")
    return rows


@dataclass
class ClosedForm:
    """A run of minibatch SGD on a squared error, computed instead of run: what `closed_form` returns.

    Parameters
    ----------
    epoch : Epoch
        The epoch that is repeated.
    start : array of shape (parameters,)
        Coefficients, then the intercept, before the first epoch, in units of y per unit of each feature.
    order : array of shape (rows,) or None
        Order of the rows.
    velocity : array of shape (parameters,) or None
        Velocity before the first epoch, in the units of the parameters; zeros for None.
    first_step : int
        Steps done before, which a schedule counts.

    Examples
    --------
    >>> from linreg import SGD, dynamics
    >>> run = dynamics.closed_form([[-3.0], [3.0]], [-5.0, 7.0], SGD(0.1))
    >>> round(run.spectral_radius, 6), str(run.worst_direction) in ("1.00*x0", "1.00*intercept")
    (0.8, True)
    >>> run.loss([0, 1]).round(2)  # each epoch multiplies the distance by 0.8, its square by 0.64
    array([37.  , 23.68])
    >>> run.epochs_to(0.01)
    11.0
    """

    epoch: Epoch
    start: Array
    order: Array | None = None
    velocity: Array | None = None
    first_step: int = 0
    _maps: dict[bytes, Array] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Cut the batches and place the start."""
        self._batches = self.epoch.batches(self.order)
        basis = self.epoch.basis
        self._state = np.append(basis.T @ self.start, 1.0)
        self._still = self.start - basis @ self._state[:-1]  # what no step ever moves
        if self.epoch.letters:
            velocity = np.zeros(len(self.start)) if self.velocity is None else self.velocity
            self._state = np.concatenate([self._state[:-1], basis.T @ velocity, [1.0]])

    # The map.

    def map(self, epoch: int = 0) -> Array:
        """Return the matrix that takes (parameters, velocity, 1) through one epoch.

        Parameters
        ----------
        epoch : int, default=0
            Which epoch, counted from 0: they differ only under a schedule.

        Returns
        -------
        array of shape (width, width)
            The matrix, in coordinates of `epoch.basis`; its last row is (0, ..., 0, 1).
        """
        step = self.first_step + epoch * self.epoch.steps
        return self._map(self.epoch.rates(self.epoch.optimizer.learning_rate, step))

    def _map(self, rates: Array) -> Array:
        key = rates.tobytes()
        if key not in self._maps:
            with np.errstate(all="ignore"):
                self._maps[key] = self.epoch.run(np.eye(self.epoch.width), self._batches, rates)
        return self._maps[key]

    @cached_property
    def fixed_point(self) -> Array:
        """Where the (first) epoch ends where it began: parameters and velocity, in coordinates of the basis."""
        matrix = self.map()
        linear, shift = matrix[:-1, :-1], matrix[:-1, -1]
        return np.linalg.lstsq(np.eye(len(linear)) - linear, shift, rcond=None)[0]

    @cached_property
    def _modes(self) -> tuple[Array, Array]:
        """Eigenvalues of the epoch that the start excites, largest first, and their directions."""
        if not np.isfinite(self.map()).all():  # one epoch overflows
            return np.array([math.inf]), np.zeros((self.epoch.width - 1, 1))
        values, vectors = np.linalg.eig(self.map()[:-1, :-1])
        away = self._state[:-1] - self.fixed_point
        if not len(values) or not away.any():
            return values[:0], vectors[:, :0]
        excited = np.ones(len(values), bool)
        if np.linalg.cond(vectors) < 1 / np.sqrt(np.finfo(np.float64).eps):  # else the shares below are no shares
            shares = np.abs(np.linalg.solve(vectors, away.astype(complex)))
            excited = shares > NOT_EXCITED * np.linalg.norm(away)
            # What moves by less than the rounding of 1: where its fixed point is, and so its share, is not known.
            excited |= np.abs(values - 1) <= 4 * len(values) * np.finfo(np.float64).eps
        order = np.argsort(-np.abs(values[excited]), kind="stable")
        return values[excited][order], vectors[:, excited][:, order]

    @property
    def eigenvalues(self) -> Array:
        """Eigenvalues of the epoch on the directions that data and start excite, largest first; complex turn round."""
        return self._modes[0]

    @property
    def spectral_radius(self) -> float:
        """By what an epoch multiplies the distance to its fixed point in the long run; above 1 the run diverges.

        Of the directions that data and start excite: collinear features add no eigenvalue 1, and a start without a
        part in the worst direction does not show it. Under a schedule, of the first epoch. 1 where a direction is so
        flat beside the others that float64 cannot tell it from standing still; inf where one epoch overflows.
        """
        return float(np.abs(self.eigenvalues[:1]).max(initial=0.0))

    @property
    def worst_direction(self) -> Direction:
        """The combination of parameters that dies out last, or grows fastest (the plane's real part, if it turns)."""
        vectors = self._modes[1][: self.epoch.rank, :1]
        vector = vectors[:, 0] if vectors.size else np.zeros(self.epoch.rank)
        turned = vector * np.exp(-1j * np.angle(vector[np.argmax(np.abs(vector))])) if vector.any() else vector
        return Direction.along(self.epoch.basis @ turned.real, self.epoch.problem.names)

    # The run.

    def after(self, epochs: int, start: tuple[Any, float] | None = None) -> tuple[Array, float]:
        """Return the parameters after so many epochs.

        Parameters
        ----------
        epochs : int
            Epochs, at least 0. With a constant rate the cost grows with their logarithm.
        start : tuple (coef, intercept), optional
            Where to start, instead of what `closed_form` was given.

        Returns
        -------
        coef : array of shape (features,)
            Coefficients, in units of y per unit of each feature; not finite where the run has overflowed.
        intercept : float
            Intercept, in units of y.
        """
        run = self if start is None else ClosedForm(self.epoch, self.epoch.problem.packed(start), self.order)
        return self.epoch.problem.unpacked(run.path([epochs])[0])

    def path(self, epochs: Sequence[int] | Array) -> Array:
        """Return the parameters at a list of epochs, for plotting.

        Parameters
        ----------
        epochs : sequence of int
            Epochs, at least 0, in any order.

        Returns
        -------
        array of shape (epochs, parameters)
            Coefficients, then the intercept where there is one, in units of y per unit of each feature.
        """
        return self.parameters(self.states(epochs)).T

    def excess(self, epochs: Sequence[int] | Array) -> Array:
        """Return how far above its least value the objective on all rows is, at a list of epochs.

        Parameters
        ----------
        epochs : sequence of int
            Epochs, at least 0.

        Returns
        -------
        array of shape (epochs,)
            Loss and penalty minus their least value, in units of the loss; computed from the distance to the optimum,
            so that it stays exact where it is far smaller than the loss.
        """
        rows, optimum = self._bowl
        with np.errstate(all="ignore"):
            away = self.parameters(self.states(epochs)) - optimum[:, np.newaxis]
            return np.sum(np.square(rows @ away), axis=0) / 2

    @property
    def _bowl_rounding(self) -> float:
        """Excess of a start whose distance from the optimum is only the rounding of it."""
        rows, optimum = self._bowl
        return float(np.square(4 * np.finfo(np.float64).eps * np.linalg.norm(rows * optimum)))

    @cached_property
    def _bowl(self) -> tuple[Array, Array]:
        problem = self.epoch.problem
        return as_few_rows(problem.curvature_rows()), exact_optimum(problem)

    def loss(self, epochs: Sequence[int] | Array) -> Array:
        """Return the objective on all rows, loss and penalty, at a list of epochs.

        Parameters
        ----------
        epochs : sequence of int
            Epochs, at least 0.

        Returns
        -------
        array of shape (epochs,)
            The objective, in units of the loss.
        """
        return self.excess(epochs) + self.epoch.problem.objective(self._bowl[1])

    def epochs_to(self, tolerance: float = 0.01) -> float:
        """Return after how many epochs the excess loss has come to `tolerance` of its start, and stays there.

        Parameters
        ----------
        tolerance : float, default=0.01
            Share of the excess at the start, above 0 and at most 1.

        Returns
        -------
        float
            Epochs; inf if it never does, because the run diverges or because its minibatches settle elsewhere, and
            under a schedule also if it takes more than 4,000 epochs.

        Notes
        -----
        Looked up on the run itself, epoch by epoch, until it has stayed there for three times as long as it took to get
        there: momentum swings through the optimum and out again. A run of more than 250,000 epochs is taken to fall
        without rising again.
        """
        check_number("epochs_to", "tolerance", tolerance, high=1.0, open_low=True)
        start, rounding = float(self.excess([0])[0]), self._bowl_rounding
        target = 0.0 if start <= rounding else tolerance * start
        scheduled = callable(self.epoch.optimizer.learning_rate)
        if target == 0:
            return 0.0
        if not scheduled and not self._settles_at_most(target):
            return math.inf
        if not scheduled and self.excess([MOST_LISTED])[0] > target:
            return self._far_epochs_to(target)
        seen, last_above = 0, -1
        while seen < (MOST_SCHEDULED if scheduled else MOST_LISTED):
            # Twofold each time; a schedule has to be walked from the start.
            first, seen = 0 if scheduled else seen, max(FEWEST_LISTED, min(2 * seen, seen + AT_ONCE))
            above = np.flatnonzero(~(self.excess(np.arange(first, seen)) <= target))
            if len(above):
                last_above = first + int(above[-1])
            if seen > 4 * (last_above + 1):
                return float(last_above + 1)
        return math.inf if scheduled else self._far_epochs_to(target)

    def _settles_at_most(self, excess: float) -> bool:
        """Whether the excess comes down to this in the end."""
        if self.spectral_radius > 1 + NOT_EXCITED:
            return False
        rows, optimum = self._bowl
        end = self.parameters(np.append(self.fixed_point, 1.0)[:, np.newaxis])[:, 0]
        return bool(np.square(rows @ (end - optimum)).sum() / 2 <= excess)

    def _far_epochs_to(self, target: float) -> float:
        """Return the first epoch with such an excess, far away, by bisection."""

        def reached(epoch: int) -> bool:
            return bool(self.excess([epoch])[0] <= target)

        late = next((2**k for k in range(16, 60) if reached(2**k) and reached(2 ** (k + 1))), None)
        if late is None:
            return math.inf
        early = 0
        while late - early > 1:
            middle = (early + late) // 2
            early, late = (early, middle) if reached(middle) else (middle, late)
        return float(late)

    def parameters(self, states: Array) -> Array:
        """Return the parameters (columns) of states (columns)."""
        with np.errstate(all="ignore"):
            return self.epoch.basis @ states[: self.epoch.rank] + self._still[:, np.newaxis]

    def booked_losses(self, states: Array, first: int) -> Array:
        """Return the losses that a history books for consecutive epochs, from the states at their beginnings.

        Parameters
        ----------
        states : array of shape (width, epochs)
            What `states` returned for epochs `first`, `first + 1`, ...
        first : int
            The first of them.

        Returns
        -------
        array of shape (epochs,)
            Mean over the batches of an epoch, each before its step, with the penalty, in units of the loss.
        """
        losses = []
        with np.errstate(all="ignore"):
            for rates, begin, end in self._same_rates(first, first + states.shape[1]):
                rows = self.epoch.booked_rows(self._batches, rates)
                losses.append(np.square(rows @ states[:, begin - first : end - first]).sum(axis=0))
        return np.concatenate(losses)

    def last_rates(self, first: int, last: int) -> Array:
        """Return the learning rate of the last step of each epoch from `first` up to `last`."""
        return np.concatenate([np.full(end - begin, rates[-1]) for rates, begin, end in self._same_rates(first, last)])

    def states(self, epochs: Sequence[int] | Array) -> Array:
        """Return (parameters, velocity, 1) at a list of epochs, in coordinates of `epoch.basis`.

        Parameters
        ----------
        epochs : sequence of int
            Epochs, at least 0.

        Returns
        -------
        array of shape (width, epochs)
            One column for each.
        """
        wanted = np.array([_epoch_number(epoch) for epoch in epochs], np.int64)
        here = self._state[:, np.newaxis]
        states = np.repeat(here, len(wanted), axis=1)
        with np.errstate(all="ignore"):
            for rates, first, last in self._same_rates(0, int(wanted.max(initial=0))):
                inside = (first <= wanted) & (wanted <= last)
                times = np.unique(np.append(wanted[inside], last) - first)
                columns = self._repeated(rates, here, times)
                states[:, inside] = columns[:, np.searchsorted(times, wanted[inside] - first)]
                here = columns[:, -1:]
        return states

    def _repeated(self, rates: Array, state: Array, times: Array) -> Array:
        """Return a state (column) after so many epochs of the same rates, for rising numbers of epochs."""
        if callable(self.epoch.optimizer.learning_rate) and times[-1] < self.epoch.width:
            columns = [state]  # running it is cheaper than the map, which another epoch has no use for
            for _ in range(times[-1]):
                columns.append(self.epoch.run(columns[-1], self._batches, rates))
            return np.hstack([columns[k] for k in times])
        return _powers(self._map(rates), state, times)

    def _same_rates(self, first: int, last: int) -> Iterator[tuple[Array, int, int]]:
        """Yield (rates, begin, end): from epoch `begin` up to `end` all have the same learning rates."""
        learning_rate, steps = self.epoch.optimizer.learning_rate, self.epoch.steps
        if not callable(learning_rate):
            yield self.epoch.rates(learning_rate, self.first_step), first, last
            return
        rates = (self.epoch.rates(learning_rate, self.first_step + k * steps) for k in range(first, last))
        for _, same in itertools.groupby(rates, key=lambda row: row.tobytes()):
            group = list(same)
            yield group[0], first, first + len(group)
            first += len(group)


def _epoch_number(epoch: Any) -> int:
    number = as_integer(epoch)
    if number is None or number < 0:
        raise ValueError(f"Epochs are counted from 0 by integers, got {epoch!r}.")
    if number >= MOST_EPOCHS:
        raise ValueError(f"Epochs are counted up to 2**62, got {epoch!r}.")
    return number


def _powers(matrix: Array, state: Array, exponents: Array) -> Array:
    """Return M^k s (columns) for rising exponents k: one squaring of M for each binary digit of the largest."""
    first, count = exponents[0], len(exponents)
    if count > 1 and exponents[-1] - first == count - 1:  # one after the other: twice as many with each squaring
        columns = _powers(matrix, state, exponents[:1])
        while columns.shape[1] < count:
            columns = np.hstack([columns, matrix @ columns[:, : count - columns.shape[1]]])
            matrix = matrix @ matrix
        return columns
    columns = np.repeat(state, count, axis=1)
    for digit in range(int(exponents[-1]).bit_length()):
        matrix = matrix if digit == 0 else matrix @ matrix
        odd = (exponents >> digit) & 1 == 1
        columns[:, odd] = matrix @ columns[:, odd]
    return columns
