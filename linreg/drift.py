"""How far two float32 runs of the same steps may drift apart: local rounding errors carried along the run.

Every step adds rounding errors: the sums over features and rows lose up to n eps times the sum of their |terms|, the
element-wise rule a few eps of what it adds. Each such error is a small box, and the steps after it move and stretch the
box linearly, by the Jacobian of the step at the float64 run. The columns of `generators` are the sides of all boxes so
far (a zonotope); the sum of their absolute values bounds the error. What is left out is of second order, so the bound
is doubled, and doubled again because two runs are compared of which each may be off.

Where a step jumps, no linear bound holds: at the sign in the slope of an L1 penalty, and where a number gets too large
for its type. `FollowedRun.doubts` says whether the run came so near to such a jump that a rounding could decide it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from linreg.losses import divisor, row_factor
from linreg.optimizers import SGD, Adam, RMSprop
from linreg.precision import Precision
from linreg.regression import LinearRegression
from linreg.regularizers import l1_slope
from linreg.steps import Rates, State, bind_step

Array = Any

FIRST_ORDER = 2
TWO_RUNS = 2
SCALE = FIRST_ORDER * TWO_RUNS
FEW = 8
"""Roundings of an element-wise rule on its way to one number; Keras' longest has seven."""


def exact(precision: Precision) -> Precision:
    """Return float64 arithmetic with the constants of `precision`: what a run computes, but for its roundings."""
    return Precision(
        np.float64, lambda x: np.float64(precision.number(x)), lambda x: np.float64(precision.cast(x)), precision
    )


class FlatStep:
    """One batch as a function of flat state vectors, many at once: columns of (parameters, slots, total, average).

    Parameters
    ----------
    model : LinearRegression
        Its settings are taken over.
    d : int
        Features.
    intercept : bool
        Whether the last parameter is an intercept.
    """

    def __init__(self, model: LinearRegression, d: int, intercept: bool) -> None:
        settings = model.settings()
        self.optimizer, self.loss = settings.optimizer, settings.loss
        self.d, self.size = d, d + intercept
        precision = exact(settings.precision)
        self.step = bind_step(self.optimizer, precision, d)
        self.letters = self.optimizer.rule(precision).state
        self.constants = self.loss.constants(precision.number)
        terms = [] if settings.regularizer is None else settings.regularizer.terms()
        self.penalties = [(penalty, slope, precision.cast(strength)) for penalty, slope, strength in terms]
        self.has_l1 = any(slope is l1_slope and strength > 0 for _, slope, strength in self.penalties)
        self.squares = not isinstance(self.optimizer, SGD) or self.optimizer.clipnorm or self.optimizer.global_clipnorm
        self.blocks = 1 + len(self.letters) + (self.optimizer.gradient_accumulation_steps is not None)
        self.blocks += self.optimizer.use_ema

    def gradient(self, p: Array, batch: Batch) -> Array:
        """Return the gradient at the columns of `p`, so near to `batch.p` that no weight has another sign there."""
        g = batch.A.T @ self.loss.slope(batch.A @ p - batch.y[:, None], batch.slope_factor, *self.constants)
        for _, slope, strength in self.penalties:
            g[: self.d] += slope((batch.p if slope is l1_slope else p)[: self.d], strength)
        return g

    def penalty(self, w: Array) -> float:
        """Return the penalty of a kernel."""
        return sum(float(penalty(w, strength)[0]) for penalty, _, strength in self.penalties)

    def penalty_slope(self, w: Array) -> Array:
        """Return the slope of the penalty."""
        return sum((slope(w, strength) for _, slope, strength in self.penalties), np.zeros_like(w))

    def advance(self, u: Array, g: Array, rate: Any, lr: Any, iterations: int) -> Array:
        """Return the states after a step, given the gradients at them."""
        blocks = list(u.reshape(self.blocks, self.size, -1))
        nothing: Any = None  # a step asks for neither a learning rate nor an order
        state = State(
            blocks[0], blocks[1 : 1 + len(self.letters)], self.letters, nothing, nothing, iterations=iterations
        )
        rest = blocks[1 + len(self.letters) :]
        if self.optimizer.gradient_accumulation_steps is not None:
            state.total = rest.pop(0)
        if self.optimizer.use_ema:
            state.average = rest.pop(0)
        with np.errstate(divide="ignore"):  # a clip by 1/|g| where a row of no weight has no gradient
            self.step(state, g, rate, lr)
        after = [state.parameters, *state.slots, *(x for x in (state.total, state.average) if x is not None)]
        return np.concatenate(after)

    def split(self, u: Array) -> list[Array]:
        """Return a state as its blocks: parameters, slots, total, average."""
        return list(u.reshape(self.blocks, self.size))

    def named(self, blocks: list[Array]) -> dict[str, Array]:
        """Return the slots of a state by their letters."""
        return dict(zip(self.letters, blocks[1:], strict=False))

    def taken(self, u: Array, g: Array) -> Array:
        """Return at least the size of the gradient that the rule takes, which clipping makes no larger."""
        every = self.optimizer.gradient_accumulation_steps
        return np.abs(g if every is None else (self.split(u)[1 + len(self.letters)] + g) / every)


class Batch:
    """One batch at given parameters, in float64: its error, slope and value, and how far rounding moves them.

    `largest` and `largest_square` bound the numbers on the way to its loss and to the norm of its gradient.

    Parameters
    ----------
    flat : FlatStep
        The step.
    p : array of shape (parameters, 1)
        Parameters.
    A : array of shape (rows, parameters)
        The rows [X, 1].
    y, weight : array of shape (rows,)
        Target and weights; no weights are None.
    eps : float
        Distance of 1 to the next number of the arithmetic that rounds.
    """

    def __init__(self, flat: FlatStep, p: Array, A: Array, y: Array, weight: Array | None, eps: float) -> None:
        n, d = A.shape
        self.flat, self.p, self.A, self.y, self.eps = flat, p, A, y, eps
        loss, reduction = flat.loss, flat.loss.reduction
        factor = (row_factor(np.float64, divisor(reduction, n, weight), weight) * np.ones(n))[:, None]
        e = A @ p - y[:, None]
        self.e_error = eps * (d + 2) * (np.abs(A) @ np.abs(p) + np.abs(y[:, None]))
        self.slope_factor = loss.slope_factor * factor
        self.slope = np.abs(loss.slope(e, self.slope_factor, *flat.constants))
        values = loss.value(e, *flat.constants)
        self.value = float((factor * values).sum())
        self.penalty = flat.penalty(p[: flat.d])
        weighted = values if weight is None else values * weight[:, None]
        self.largest = max(self.value + self.penalty, values.sum(), weighted.sum(), (p * p).sum())
        self.largest_square = float(((np.abs(A.T) @ self.slope) ** 2).sum())

    def gradient_error(self, g: Array) -> Array:
        """Return the rounding of the prediction, of the slope, of the sum over rows, of the penalty."""
        slope_error = self.slope_factor * self.e_error + 4 * self.eps * self.slope
        off = np.abs(self.A.T) @ (slope_error + self.eps * (len(self.y) + FEW) * self.slope)
        off[: self.flat.d] += 4 * self.eps * np.abs(self.flat.penalty_slope(self.p[: self.flat.d]))
        return off + FEW * self.eps * np.abs(g)

    def loss_error(self, p_error: Array) -> float:
        """Return the rounding of the loss, and what an error of the parameters does to it."""
        off = self.e_error + np.abs(self.A) @ p_error
        error = (self.slope * off + self.slope_factor * off**2).sum() + (len(self.y) + FEW) * self.eps * self.value
        w, w_error = self.p[: self.flat.d], p_error[: self.flat.d]
        error += float((np.abs(self.flat.penalty_slope(np.abs(w) + w_error)) * w_error).sum())
        error += (self.flat.d + FEW) * self.eps * self.penalty
        return float(error + FEW * self.eps * (self.value + self.penalty))


def _batches(table: tuple[Any, ...], batch_size: int) -> Iterator[tuple[Any, ...]]:
    """Yield (A, y, weight) batch by batch."""
    A, y, sample_weight = table
    for start in range(0, len(y), batch_size):
        cut = slice(start, start + batch_size)
        yield A[cut], y[cut], None if sample_weight is None else sample_weight[cut].astype(np.float64)


def rule_errors(flat: FlatStep, u: Array, after: Array, g: Array, rate: Any, eps: float) -> Array:
    """Return the rounding of the rule between two states: of each number itself, and of slots that went into it.

    Parameters
    ----------
    flat : FlatStep
        The step.
    u, after : array of shape (blocks * parameters,)
        The state before it and after it.
    g : array of shape (parameters,)
        The gradient that it took.
    rate : float
        What the rule took as its rate.
    eps : float
        Distance of 1 to the next number of the arithmetic that rounds.

    Returns
    -------
    array of shape (blocks * parameters,)
        The most that the step's own roundings move each number of the new state.
    """
    error, optimizer = FEW * eps * (np.abs(after - u) + np.abs(after)), flat.optimizer
    blocks, errors = flat.split(after), flat.split(error)  # views: what is added below is added to `error`
    slots, slot_errors = flat.named(blocks), flat.named(errors)
    if isinstance(optimizer, Adam):
        errors[0] += _adam_step_error(slots, slot_errors, rate, optimizer.epsilon)
    else:
        takes_step = slot_errors.get("m", errors[0])  # with momentum, the parameters move by m
        if isinstance(optimizer, RMSprop) and optimizer.centered:
            takes_step += _centred_step_error(slots, rate * flat.taken(u, g), optimizer.epsilon, eps)
        errors[0] += slot_errors.get("m", 0)
    if optimizer.use_ema:
        errors[-1] += errors[0]
        if (blocks[0] == blocks[-1]).all():  # overwritten
            errors[0][:] = errors[-1]
    return error


def _adam_step_error(slots: dict[str, Array], errors: dict[str, Array], rate: Any, epsilon: float) -> Array:
    # What m / (sqrt(v) + epsilon) makes of errors of m and v: much, where a beta of 0 forgets a much larger past.
    letter = "v_hat" if "v_hat" in slots else "v"
    root = np.sqrt(slots[letter])
    root_error = np.divide(errors[letter], 2 * root, out=np.zeros_like(root), where=root > 0)
    return rate * (errors["m"] + np.abs(slots["m"]) * root_error / (root + epsilon)) / (root + epsilon)


def _centred_step_error(slots: dict[str, Array], step: Array, epsilon: float, eps: float) -> Array:
    # Centred RMSprop divides by the root of v - a^2, a difference of nearly equal numbers where gradients agree.
    v, square = slots["v"], slots["a"] ** 2
    return FEW * eps * (v + square) * step / 2 / (np.maximum(v - square, 0) + epsilon) ** 1.5


def carry(
    flat: FlatStep, u: Array, generators: Array, batch: Batch, rate: Any, lr: Any, iterations: int
) -> tuple[Array, Array]:
    """Return the state after one batch and the generators of its error: the old ones moved, the new ones appended."""
    size, eps = flat.size, batch.eps
    g = flat.gradient(u[:size], batch)
    g_error = batch.gradient_error(g)
    after = flat.advance(u, g, rate, lr, iterations)
    # Jacobians by central differences, all at once: columns are shifted states, then shifted gradients.
    shift_u = 1e-6 * np.maximum(np.maximum(np.abs(u), np.abs(after)), 1e-12)[:, 0]
    shift_g = 1e-6 * np.maximum(np.abs(g), 1e-12)[:, 0]
    many_u = np.concatenate([u + np.diag(shift_u), u - np.diag(shift_u), np.tile(u, 2 * size)], axis=1)
    g_of_u = flat.gradient(many_u[:size, : 2 * len(u)], batch)
    many_g = np.concatenate([g_of_u, g + np.diag(shift_g), g - np.diag(shift_g)], axis=1)
    moved = flat.advance(many_u, many_g, rate, lr, iterations)
    by_u = (moved[:, : len(u)] - moved[:, len(u) : 2 * len(u)]) / (2 * shift_u)
    by_g = (moved[:, 2 * len(u) : -size] - moved[:, -size:]) / (2 * shift_g)
    # What has no error needs no derivative, and may have none: the root of a v of 0, where no gradient ever came.
    by_u, by_g = np.where(generators.any(axis=1), by_u, 0), np.where(g_error[:, 0] > 0, by_g, 0)
    rule_error = np.diag(rule_errors(flat, u[:, 0], after[:, 0], g[:, 0], rate, eps))
    return after, np.concatenate([by_u @ generators, by_g * g_error[:, 0], rule_error], axis=1)


class FollowedRun:
    """An unshuffled run of `model` from given weights, followed in float64 epoch by epoch, and its bounds.

    What callbacks did to the run is told to `epoch`: the learning rate, and how many batches were run.

    Parameters
    ----------
    model : LinearRegression
        Its settings; whether it is fitted does not matter.
    table : tuple (X, y, sample_weight)
        The data, sample_weight None where there are no weights.
    kernel : array of shape (features,), optional
        Where the run starts.
    bias : float, optional
        The same for the intercept.
    validation : tuple (X, y), optional
        Validation data.
    state : State, optional
        Where a run starts that goes on, in the place of kernel and bias; it is only read.

    Attributes
    ----------
    parameters : list of array
        Bound of the parameters (kernel, then bias) at the end of each epoch.
    losses, val_losses : list of float
        Bound of the losses of each epoch, in Keras' history or in ours.
    crossings : int
        How often a weight changed its sign.
    doubts : set of str
        The jumps that the run came too near to; if there are any, the bounds mean nothing.
    """

    def __init__(
        self,
        model: LinearRegression,
        table: tuple[Any, ...],
        kernel: Any = None,
        bias: Any = 0.0,
        validation: tuple[Any, ...] | None = None,
        *,
        state: State | None = None,
    ) -> None:
        self.flat = FlatStep(model, table[0].shape[1], bool(model.fit_intercept))
        self.batch_size, self.precision = model.batch_size, model.settings().precision
        self.limits, self.rates = np.finfo(self.precision.dtype), Rates(self.flat.optimizer, self.precision)
        self.table, self.validation = self._prepared(*table), validation and self._prepared(*validation)
        blocks = np.zeros((self.flat.blocks, self.flat.size))
        if state is None:
            blocks[0] = np.append(kernel, bias)[: self.flat.size]
        else:
            own = state.parameters, *state.slots, state.total, state.average
            blocks[:] = [part for part in own if part is not None]
        self.u = blocks.reshape(-1, 1)
        self.generators, self.iterations = np.zeros((len(self.u), 0)), 0 if state is None else state.iterations
        self.parameters: list[Array] = []
        self.losses: list[float] = []
        self.val_losses: list[float] = []
        self.crossings = 0
        self.doubts: set[str] = set()

    def _prepared(self, X: Array, y: Array, weight: Array | None = None) -> tuple[Any, ...]:
        ones = np.ones((len(X), self.flat.size - self.flat.d))
        return np.column_stack([X.astype(np.float64), ones]), y.astype(np.float64), weight

    def epoch(self, learning_rate: Any, steps: int | None = None) -> None:
        """Follow the next epoch, or only its first `steps` batches."""
        booked = []
        for rows in list(_batches(self.table, self.batch_size))[:steps]:
            booked.append(self._batch(rows))  # the loss is booked at the parameters before the step
            self._look_for_jumps(*booked[-1])
            self._step(booked[-1][0], learning_rate)
        self.losses.append(self._mean_loss_error(booked))
        self.parameters.append(self._blocks()[0])
        # A bound that is carried linearly does not follow a run whose errors are no longer small.
        if not (self.parameters[-1] <= 1e-3 * (1 + np.abs(self.u[: self.flat.size, 0]))).all():
            self.doubts.add("errors grow too large")
        if self.validation:
            booked = [self._batch(rows) for rows in _batches(self.validation, self.batch_size)]
            self.val_losses.append(self._mean_loss_error(booked))

    def _batch(self, rows: tuple[Any, ...]) -> tuple[Batch, Array]:
        size, (A, y, weight) = self.flat.size, rows
        batch = Batch(self.flat, self.u[:size], A, y, weight, float(self.limits.eps))
        return batch, np.abs(self.generators[:size]).sum(axis=1, keepdims=True)

    def _step(self, batch: Batch, learning_rate: Any) -> None:
        ((rate, lr),) = self.rates.pairs(learning_rate, self.iterations, 1)
        state = self.flat, self.u, self.generators
        self.u, self.generators = carry(*state, batch, np.float64(rate), np.float64(lr), self.iterations)
        if not np.abs(self.u).max() < self.limits.max / 2:
            self.doubts.add("a weight or a slot may be too large")
        self.crossings += int((batch.p * self.u[: self.flat.size] < 0)[: self.flat.d].sum())
        self.iterations += 1

    def _look_for_jumps(self, batch: Batch, p_error: Array) -> None:
        w, off = np.abs(batch.p[: self.flat.d]), SCALE * p_error[: self.flat.d]
        # A weight that is 0 without any error is 0 in every arithmetic, and so is its sign.
        if self.flat.has_l1 and ((w <= off) & (off > 0)).any():
            self.doubts.add("a weight under an L1 penalty may have either sign")
        if self.flat.squares and not batch.largest_square < self.limits.max / 2:
            self.doubts.add("a squared gradient may be too large")
        largest = len(self.table[1]) * batch.largest  # Keras adds up the losses of an epoch
        if not (largest < self.limits.max / 2 or batch.value / 2 > self.limits.max):
            self.doubts.add("a loss may be too large")

    def _mean_loss_error(self, booked: list[tuple[Batch, Array]]) -> float:
        rows = [len(batch.y) for batch, _ in booked]
        mean = np.average([batch.value + batch.penalty for batch, _ in booked], weights=rows)
        errors = [batch.loss_error(p_error) for batch, p_error in booked]
        # Keras' mean over batches is taken in the type of the model.
        return float(SCALE * (np.average(errors, weights=rows) + (len(rows) + FEW) * self.limits.eps * mean))

    def _blocks(self) -> list[Array]:
        return list(SCALE * np.abs(self.generators).sum(axis=1).reshape(self.flat.blocks, self.flat.size))

    def slots(self) -> list[Array]:
        """Return the bound of each slot after the last epoch."""
        return self._blocks()[1 : 1 + len(self.flat.letters)]

    def fitted(self, restored: int | None = None) -> Array:
        """Return the bound of the fitted parameters: of the epoch that was restored, or else of the last."""
        if restored is not None:
            return self.parameters[restored]
        return self._blocks()[-1 if self.flat.optimizer.use_ema else 0]
