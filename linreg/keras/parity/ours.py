"""linreg's run of a rule, and how far another run of it in float32 may come out by rounding alone."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from linreg import rules
from linreg.drift import FEW, SCALE, FlatStep, rule_errors
from linreg.keras.parity.cases import Example
from linreg.keras.powers import KerasPower
from linreg.optimizers import Adam, Optimizer
from linreg.precision import FLOAT32
from linreg.regression import LinearRegression
from linreg.steps import State, bind_step

Array = Any

POWER_ULP = 1
"""How far TensorFlow's powers lie from the nearest number, eagerly, as a graph and under XLA (a test holds that)."""


def our_run(example: Example) -> tuple[Array, Array]:
    """Run a rule, given the powers of beta that eager TensorFlow computes.

    Parameters
    ----------
    example : Example
        The optimizer and its gradients.

    Returns
    -------
    array of shape (steps, 1 + slots, size)
        The parameters and the state arrays after each step.
    array of shape (steps,)
        What the rule took as its rate at each step.
    """
    optimizer, gradients = example.optimizer, example.gradients
    state = State.start(np.zeros_like(gradients[0]), optimizer, FLOAT32, np.random.default_rng(0))
    step, rule = bind_step(optimizer, FLOAT32, gradients.shape[1]), optimizer.rule(KerasPower.of(FLOAT32))
    lr = FLOAT32.number(optimizer.learning_rate)  # type: ignore[arg-type]
    after, rates = [], []
    for t, g in enumerate(gradients, start=1):
        rates.append(np.asarray(rule.rate(lr, np.array([t]))).reshape(()))
        step(state, g, rates[-1], lr)
        after.append([state.parameters, *state.slots])
    return np.array(after), np.array(rates)


def rounding_bound(example: Example, rates: Array) -> Array:
    """Return how far two float32 runs of an example may come out apart.

    Parameters
    ----------
    example : Example
        The optimizer and its gradients.
    rates : array of shape (steps,)
        What the rule takes as its rate at each step.

    Returns
    -------
    array of shape (steps, 1 + slots, size)
        The bound of each number after each step.

    Notes
    -----
    As in `linreg.drift`, but for a rule alone, whose elements know nothing of each other: each step adds a few
    roundings to every number, and the steps after it carry them on by the rule's slopes at the float64 run. Adam's rate
    is off by the powers in it, for all elements alike.
    """
    size, eps = example.gradients.shape[1], float(np.finfo(np.float32).eps)
    flat = FlatStep(LinearRegression(example.optimizer, dtype="float32"), size, intercept=False)
    u, errors = np.zeros((flat.blocks, size)), np.zeros((0, flat.blocks, size))
    bounds = []
    for t, (g, rate) in enumerate(zip(example.gradients.astype(np.float64), rates.astype(np.float64), strict=True), 1):
        after = _advanced(flat, u[:, :, np.newaxis], g, np.array([rate]))[..., 0]
        by_u, by_rate = _slopes(flat, u, after, g, rate)
        own = rule_errors(flat, u.reshape(-1), after.reshape(-1), g, rate, eps).reshape(u.shape)
        apart = by_rate * _rate_error(example.optimizer, rate, t, eps)
        carried = np.einsum("isj,njs->nis", by_u, errors)
        errors = np.concatenate([carried, apart[np.newaxis], np.eye(flat.blocks)[:, :, np.newaxis] * own])
        bounds.append(SCALE * np.abs(errors).sum(axis=0))
        u = after
    return np.array(bounds)


def _slopes(flat: FlatStep, u: Array, after: Array, g: Array, rate: float) -> tuple[Array, Array]:
    """Return the slopes of a step by each block of the state before, and by the rate.

    Central differences: as the rule is element-wise, a whole block can be shifted at once.
    """
    blocks = len(u)
    shifts = 1e-6 * np.maximum(np.maximum(np.abs(u), np.abs(after)), 1e-12)
    shifted = np.eye(blocks)[:, np.newaxis, :] * shifts[:, :, np.newaxis]  # block, element, which block is shifted
    columns = u[:, :, np.newaxis] + np.concatenate([shifted, -shifted, np.zeros((*u.shape, 2))], axis=2)
    rates = rate * np.array([1] * (2 * blocks) + [1 + 1e-6, 1 - 1e-6])
    with np.errstate(invalid="ignore"):  # the root of a v of 0 less the shift: nothing is off there yet
        moved = _advanced(flat, columns, g, rates)
    up, down, (faster, slower) = (
        moved[..., :blocks],
        moved[..., blocks : 2 * blocks],
        np.moveaxis(moved[..., -2:], 2, 0),
    )
    by_u = (up - down) / (2 * shifts.T)
    return np.nan_to_num(by_u), (faster - slower) / (2e-6 * rate)


def _advanced(flat: FlatStep, columns: Array, g: Array, rates: Array) -> Array:
    """Return the states (blocks, size, K) after a step at K rates."""
    return flat.advance(columns.reshape(-1, len(rates)), g[:, np.newaxis], rates, rates, 0).reshape(columns.shape)


def _rate_error(optimizer: Optimizer, rate: float, t: int, eps: float) -> float:
    """Return how far the rate of a step may be off: Adam's by its own roundings and by its powers' last place."""
    if not isinstance(optimizer, Adam):
        return 0.0
    lr = float(FLOAT32.number(optimizer.learning_rate))  # type: ignore[arg-type]
    powers = [float(np.float32(beta)) ** t for beta in (optimizer.beta_1, optimizer.beta_2)]
    off = [POWER_ULP * float(np.spacing(np.float32(power))) for power in powers]
    corners = itertools.product((-1, 1), repeat=2)
    worst = max(
        abs(rules.corrected_rate(lr, powers[0] + i * off[0], powers[1] + j * off[1]) - rate) for i, j in corners
    )
    return float(worst + FEW * eps * rate)
