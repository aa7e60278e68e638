"""How far two float32 runs of the same steps may drift apart: local rounding errors carried along the run.

Every step adds rounding errors: the sums over features and rows lose up to n eps times the sum of their |terms|, the
element-wise rule a few eps of what it adds. Each such error is a small box, and the steps after it move and stretch the
box linearly, by the Jacobian of the step at the float64 run. The columns of `generators` are the sides of all boxes so
far (a zonotope); the sum of their absolute values bounds the error. What is left out is of second order, so the bound
is doubled, and doubled again because two runs are compared of which each may be off.
"""

from dataclasses import dataclass

import numpy as np

from linreg.losses import divisor, row_factor
from linreg.precision import FLOAT64
from linreg.steps import Rates, State, bind_step

FIRST_ORDER = 2
TWO_RUNS = 2
FEW = 8
"""Roundings of an element-wise rule on its way to one number; Keras' longest has seven."""


@dataclass
class Bounds:
    """Bounds of the fitted parameters (kernel, then bias), of each slot at the end, and of the losses of each epoch."""

    parameters: np.ndarray
    slots: list[np.ndarray]
    losses: np.ndarray
    val_losses: np.ndarray


class FlatStep:
    """One batch as a function of flat state vectors, many at once: columns of (parameters, slots, total, average)."""

    def __init__(self, model, d, intercept):
        settings = model.settings()
        self.optimizer, self.loss, self.regularizer = settings.optimizer, settings.loss, settings.regularizer
        self.d, self.size = d, d + intercept
        self.step = bind_step(self.optimizer, FLOAT64, d)
        self.letters = self.optimizer.rule(FLOAT64).state
        self.constants = self.loss.constants(np.float64)
        self.blocks = 1 + len(self.letters) + (self.optimizer.gradient_accumulation_steps is not None)
        self.blocks += self.optimizer.use_ema

    def gradient(self, p, A, y, factor):
        e = A @ p - y[:, None]
        g = A.T @ self.loss.slope(e, self.loss.slope_factor * factor[:, None], *self.constants)
        if self.regularizer is not None:
            g[: self.d] += self.regularizer.bind(np.float64)[1](p[: self.d])
        return g

    def advance(self, u, g, rate, lr, iterations):
        blocks = list(u.reshape(self.blocks, self.size, -1))
        state = State(blocks[0], blocks[1 : 1 + len(self.letters)], self.letters, None, None, iterations=iterations)
        rest = blocks[1 + len(self.letters) :]
        if self.optimizer.gradient_accumulation_steps is not None:
            state.total = rest.pop(0)
        if self.optimizer.use_ema:
            state.average = rest.pop(0)
        self.step(state, g, rate, lr)
        after = [state.parameters, *state.slots, *(x for x in (state.total, state.average) if x is not None)]
        return np.concatenate(after)


class Batch:
    """One batch at given parameters, in float64: its error, slope and value, and how far rounding moves them."""

    def __init__(self, flat, p, A, y, weight, eps):
        n, d = A.shape
        self.flat, self.p, self.A, self.y, self.eps = flat, p, A, y, eps
        loss, reduction = flat.loss, flat.loss.reduction
        self.factor = row_factor(np.float64, divisor(reduction, n, weight), weight) * np.ones(n)
        e = A @ p - y[:, None]
        self.e_error = eps * (d + 2) * (np.abs(A) @ np.abs(p) + np.abs(y[:, None]))
        self.slope_factor = loss.slope_factor * self.factor[:, None]
        self.slope = np.abs(loss.slope(e, self.slope_factor, *flat.constants))
        self.value = float((self.factor[:, None] * loss.value(e, *flat.constants)).sum())

    def gradient_error(self, g):
        """Rounding of the prediction, of the slope, of the sum over rows, of the penalty."""
        slope_error = self.slope_factor * self.e_error + 4 * self.eps * self.slope
        off = np.abs(self.A.T) @ (slope_error + self.eps * (len(self.y) + FEW) * self.slope)
        if self.flat.regularizer is not None:
            _, penalty_slope = self.flat.regularizer.bind(np.float64)
            off[: self.flat.d] += 4 * self.eps * np.abs(penalty_slope(self.p[: self.flat.d]))
        return off + FEW * self.eps * np.abs(g)

    def loss_error(self, p_error):
        """Rounding of the loss, and what an error of the parameters does to it."""
        off = self.e_error + np.abs(self.A) @ p_error
        error = (self.slope * off + self.slope_factor * off**2).sum() + (len(self.y) + FEW) * self.eps * self.value
        total = self.value
        if self.flat.regularizer is not None:
            penalty, penalty_slope = self.flat.regularizer.bind(np.float64)
            w, w_error = self.p[: self.flat.d], p_error[: self.flat.d]
            error += float((np.abs(penalty_slope(np.abs(w) + w_error)) * w_error).sum())
            error += (self.flat.d + FEW) * self.eps * float(penalty(w)[0])
            total += float(penalty(w)[0])
        return error + FEW * self.eps * total


def batches(A, y, sample_weight, batch_size):
    for start in range(0, len(y), batch_size):
        cut = slice(start, start + batch_size)
        yield A[cut], y[cut], None if sample_weight is None else sample_weight[cut].astype(np.float64)


def carry(flat, u, generators, batch, rate, lr, iterations):
    """Return the state after one batch and the generators of its error: the old ones moved, the new ones appended."""
    size, eps = flat.size, batch.eps
    g = flat.gradient(u[:size], batch.A, batch.y, batch.factor)
    g_error = batch.gradient_error(g)
    after = flat.advance(u, g, rate, lr, iterations)
    # Jacobians by central differences, all at once: columns are shifted states, then shifted gradients.
    shift_u = 1e-6 * np.maximum(np.maximum(np.abs(u), np.abs(after)), 1e-12)[:, 0]
    shift_g = 1e-6 * np.maximum(np.abs(g), 1e-12)[:, 0]
    many_u = np.concatenate([u + np.diag(shift_u), u - np.diag(shift_u), np.tile(u, 2 * size)], axis=1)
    g_of_u = flat.gradient(many_u[:size, : 2 * len(u)], batch.A, batch.y, batch.factor)
    many_g = np.concatenate([g_of_u, g + np.diag(shift_g), g - np.diag(shift_g)], axis=1)
    moved = flat.advance(many_u, many_g, rate, lr, iterations)
    by_u = (moved[:, : len(u)] - moved[:, len(u) : 2 * len(u)]) / (2 * shift_u)
    by_g = (moved[:, 2 * len(u) : -size] - moved[:, -size:]) / (2 * shift_g)
    rule_error = FEW * eps * (np.abs(after - u) + np.abs(after))[:, 0]
    if "a" in flat.letters:
        # Centred RMSprop divides by the root of v - a^2, a difference of nearly equal numbers where gradients agree.
        v, a = (after[(1 + flat.letters.index(letter)) * size :][:size] for letter in "va")
        spread = np.maximum(v - a * a, 0) + flat.optimizer.epsilon
        rule_error[:size] += (FEW * eps * (v + a * a) * np.abs(rate * g) / 2 / spread**1.5)[:, 0]
    if flat.optimizer.use_ema:
        rule_error[-size:] += rule_error[:size]  # the average takes up the parameters of the same step
    return after, np.concatenate([by_u @ generators, by_g * g_error[:, 0], np.diag(rule_error)], axis=1)


def error_bounds(model, table, kernel, bias, eps, validation=None):
    """Return `Bounds` for an unshuffled run of `model` from given weights, in an arithmetic with rounding `eps`."""
    intercept = int(model.fit_intercept)
    flat = FlatStep(model, table[0].shape[1], intercept)

    def prepared(X, y, weight=None):
        X, y = X.astype(np.float64), y.astype(np.float64)
        return (np.column_stack([X, np.ones(len(X))]) if intercept else X), y, weight

    A, y, sample_weight = prepared(*table)
    p0 = np.append(kernel, [bias] * intercept).astype(np.float64)
    u = np.concatenate([p0, np.zeros(flat.size * (flat.blocks - 1))])[:, None]
    rates, size = Rates(flat.optimizer, FLOAT64), flat.size
    generators, iterations, losses, val_losses = np.zeros((len(u), 0)), 0, [], []

    def mean_loss_error(per_batch):
        errors, rows = zip(*per_batch, strict=True)
        return np.average(errors, weights=rows)

    for _ in range(model.epochs):
        booked = []
        for rows in batches(A, y, sample_weight, model.batch_size):
            batch = Batch(flat, u[:size], *rows, eps)
            ((rate, lr),) = rates.pairs(flat.optimizer.learning_rate, iterations, 1)
            # The loss is booked at the parameters before the step.
            booked.append((batch.loss_error(np.abs(generators[:size]).sum(axis=1, keepdims=True)), len(batch.y)))
            u, generators = carry(flat, u, generators, batch, rate, lr, iterations)
            iterations += 1
        losses.append(mean_loss_error(booked))
        if validation is not None:
            p_error = np.abs(generators[:size]).sum(axis=1, keepdims=True)
            cut = [Batch(flat, u[:size], *rows, eps) for rows in batches(*prepared(*validation), model.batch_size)]
            val_losses.append(mean_loss_error([(batch.loss_error(p_error), len(batch.y)) for batch in cut]))
    scale = FIRST_ORDER * TWO_RUNS
    blocks = list(scale * np.abs(generators).sum(axis=1).reshape(flat.blocks, size))
    fitted = blocks[-1] if flat.optimizer.use_ema else blocks[0]
    return Bounds(fitted, blocks[1 : 1 + len(flat.letters)], scale * np.array(losses), scale * np.array(val_losses))
