"""The loop for K models at once: blocks of `width` columns, each trained by the one loop over epochs and batches.

As in `linreg.compiled.loops`, these functions are compiled with the formulas of a run in the place of the names below.
The parameters of a block lie in one vector: `width` numbers of the first parameter, one a model, then those of the
next. All that differs between models (rates, constants, what stands around the rule) has a last axis of `width`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from linreg.around import Around
from linreg.compiled.loops import ONE, THREE, TWO

Array = Any

# What each run has of its own.
width = 0
row: Any = None
slope_and_value: Any = None
read_loss_constants: Any = None
read_rule_constants: Any = None
read_strengths: Any = None
penalty: Any = None
penalty_slope: Any = None
one_step: Any = None
move: Any = None
train: Any = None


def gradient_of_columns(
    matrix: Array, target: Array, order: Array, weight: Array, factor: Array, start: int, end: int, p: Array, d: int,
    constants: Array, g: Array, e: Array, sums: Array, batch: int,
) -> None:  # fmt: skip
    """Write the gradients of a batch into g, and the sums of its values to a row of `sums`."""
    # Predictions, then slopes, of four rows lie in e, and behind them the sums of the values.
    tiled, has_bias = d // 4 * 4, len(p) > d * width
    bias, slopes = p[d * width :], g[d * width :]
    own = e[:width], e[width : 2 * width], e[2 * width : 3 * width], e[3 * width : 4 * width]
    values = e[4 * width : 5 * width]
    for k in range(len(g)):
        g[k] = 0
    for w in range(width):
        values[w] = 0
    fours = (end - start) // 4
    for four in range(fours):
        i = np.uintp(start + 4 * four)
        rows = row(order, i), row(order, i + ONE), row(order, i + TWO), row(order, i + THREE)
        for r in range(4):
            put_bias(bias, has_bias, own[r])
        for j in range(0, tiled, 4):
            predict_tile(matrix, rows, np.uintp(j), p, e)
        for r in range(4):
            predict_features(matrix, rows[r], tiled, d, p, own[r])
        for r in range(4):
            at = i + np.uintp(r)
            take_slopes(target[rows[r]], weight[at], factor[at], constants, has_bias, own[r], values, slopes)
        for j in range(0, tiled, 4):
            add_tile(matrix, rows, np.uintp(j), e, g)
        for r in range(4):
            add_features(matrix, rows[r], tiled, d, own[r], g)
    for last in range(start + 4 * fours, end):
        i = np.uintp(last)
        i0 = row(order, i)
        put_bias(bias, has_bias, e)
        predict_features(matrix, i0, 0, d, p, e)
        take_slopes(target[i0], weight[i], factor[i], constants, has_bias, e, values, slopes)
        add_features(matrix, i0, 0, d, e, g)
    for w in range(width):
        sums[batch, w] = values[w]


def put_bias(bias: Array, has_bias: bool, e: Array) -> None:
    """Begin the predictions of a row."""
    for w in range(width):
        e[w] = 0
    if has_bias:
        for w in range(width):
            e[w] = bias[w]


def predict_tile(matrix: Array, rows: Any, j: Any, p: Array, e: Array) -> None:
    """Add what four features put on the predictions of four rows: 16 numbers of X stay in registers for all models."""
    i0, i1, i2, i3 = rows
    a00, a01, a02, a03 = matrix[i0, j], matrix[i0, j + ONE], matrix[i0, j + TWO], matrix[i0, j + THREE]
    a10, a11, a12, a13 = matrix[i1, j], matrix[i1, j + ONE], matrix[i1, j + TWO], matrix[i1, j + THREE]
    a20, a21, a22, a23 = matrix[i2, j], matrix[i2, j + ONE], matrix[i2, j + TWO], matrix[i2, j + THREE]
    a30, a31, a32, a33 = matrix[i3, j], matrix[i3, j + ONE], matrix[i3, j + TWO], matrix[i3, j + THREE]
    first = j * np.uintp(width)
    for w in range(width):
        k = first + np.uintp(w)
        p0, p1 = p[k], p[k + np.uintp(width)]
        p2, p3 = p[k + np.uintp(2 * width)], p[k + np.uintp(3 * width)]
        e[w] += a00 * p0 + a01 * p1 + a02 * p2 + a03 * p3
        e[width + w] += a10 * p0 + a11 * p1 + a12 * p2 + a13 * p3
        e[2 * width + w] += a20 * p0 + a21 * p1 + a22 * p2 + a23 * p3
        e[3 * width + w] += a30 * p0 + a31 * p1 + a32 * p2 + a33 * p3


def add_tile(matrix: Array, rows: Any, j: Any, e: Array, g: Array) -> None:
    """Add what four rows put on the gradients of four features."""
    i0, i1, i2, i3 = rows
    a00, a01, a02, a03 = matrix[i0, j], matrix[i0, j + ONE], matrix[i0, j + TWO], matrix[i0, j + THREE]
    a10, a11, a12, a13 = matrix[i1, j], matrix[i1, j + ONE], matrix[i1, j + TWO], matrix[i1, j + THREE]
    a20, a21, a22, a23 = matrix[i2, j], matrix[i2, j + ONE], matrix[i2, j + TWO], matrix[i2, j + THREE]
    a30, a31, a32, a33 = matrix[i3, j], matrix[i3, j + ONE], matrix[i3, j + TWO], matrix[i3, j + THREE]
    first = j * np.uintp(width)
    for w in range(width):
        k = first + np.uintp(w)
        s0, s1, s2, s3 = e[w], e[width + w], e[2 * width + w], e[3 * width + w]
        g[k] += a00 * s0 + a10 * s1 + a20 * s2 + a30 * s3
        g[k + np.uintp(width)] += a01 * s0 + a11 * s1 + a21 * s2 + a31 * s3
        g[k + np.uintp(2 * width)] += a02 * s0 + a12 * s1 + a22 * s2 + a32 * s3
        g[k + np.uintp(3 * width)] += a03 * s0 + a13 * s1 + a23 * s2 + a33 * s3


def predict_features(matrix: Array, i: Any, first: int, last: int, p: Array, e: Array) -> None:
    """Add what some features put on the predictions of a row."""
    for j in range(first, last):
        a, at = matrix[i, np.uintp(j)], np.uintp(j * width)
        for w in range(width):
            e[w] += a * p[at + np.uintp(w)]


def add_features(matrix: Array, i: Any, first: int, last: int, e: Array, g: Array) -> None:
    """Add what a row puts on the gradients of some features."""
    for j in range(first, last):
        a, at = matrix[i, np.uintp(j)], np.uintp(j * width)
        for w in range(width):
            g[at + np.uintp(w)] += a * e[w]


def take_slopes(
    y: Any, weight: Any, factor: Any, constants: Array, has_bias: bool, e: Array, values: Array, slopes: Array
) -> None:
    """Put the slopes of a row in the place of its predictions, and add up slopes and values."""
    for w in range(width):
        e[w], v = slope_and_value(e[w], y, weight, factor, read_loss_constants(constants, w))
        values[w] += v
    if has_bias:
        for w in range(width):
            slopes[w] += e[w]


def penalise_columns(p: Array, g: Array, d: int, strengths: Array, penalties: Array, i: int) -> None:
    """Write the penalty of each model, and add its slope to the gradient."""
    for w in range(width):
        own = read_strengths(strengths, w)
        penalties[i, w] = penalty(p[w::width][:d], own)
        for j in range(d):
            g[j * width + w] += penalty_slope(p[j * width + w], own)


def of_models(around: Around, k: int) -> Around:
    """Return what stands around the rules of the k-th block, or around that of the k-th model of a block."""
    return Around(
        around.every, around.clip, around.limit[k], around.one_over_limit[k], around.decays, around.weight_decay[k],
        around.averages, around.first_share[k], around.later_share[k], around.overwrite,
    )  # fmt: skip


def rule_of_columns(
    p: Array, g: Array, slots: Array, total: Array, average: Array, rates: Array, lrs: Array, i: int, d: int,
    constants: Array, around: Around,
) -> None:  # fmt: skip
    """Move the parameters of all models by the rule."""
    for j in range(len(p) // width):
        at = np.uintp(j * width)
        for w in range(width):
            k = at + np.uintp(w)
            move(p, k, g[k], slots, rates[w], read_rule_constants(constants, w))


def step_of_each_column(
    p: Array, g: Array, slots: Array, total: Array, average: Array, rates: Array, lrs: Array, i: int, d: int,
    constants: Array, around: Around,
) -> None:  # fmt: skip
    """Do the step of one model, with what stands around its rule, for one model after the other."""
    for w in range(width):
        one_step(
            p[w::width], g[w::width], slots[:, w::width], total[w::width], average[w::width], rates[w], lrs[w], i, d,
            read_rule_constants(constants, w), of_models(around, w),
        )  # fmt: skip


def train_columns(
    matrix: Array, target: Array, orders: Array, weight: Array, factor: Array, batch_size: int, first: int, last: int,
    epochs: int, d: int, rates: Array, lrs: Array, iterations: int, p: Array, g: Array, e: Array, slots: Array,
    total: Array, average: Array, loss_constants: Array, rule_constants: Array, strengths: Array, around: Around,
    sums: Array, penalties: Array,
) -> None:  # fmt: skip
    """Train every block on a core of its own; the arrays of models have a first axis of blocks."""
    for b in prange(len(p)):
        train(
            matrix, target, orders, weight, factor, batch_size, first, last, epochs, d, rates[b], lrs[b], iterations,
            p[b], g[b], e[b], slots[b], total[b], average[b], loss_constants[b], rule_constants[b], strengths[b],
            of_models(around, b), sums[b], penalties[b],
        )  # fmt: skip
