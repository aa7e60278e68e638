"""The loop as Numba compiles it: batch -> error -> slope -> gradient -> step, over whole epochs in one call.

These functions are never called as they stand. `linreg.compiled.kernels` compiles them with the formulas of a run in
the place of the names below; no formula stands here. What they do is what `linreg.training` and `linreg.steps` do,
number by number. Rows are used for their errors and for their part of the gradient while they are in the cache.

Rows are taken in the order `order`, so that shuffling moves no data. Weights and factors lie in the order of the epoch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from linreg.around import ALL_BY_NORM, BY_VALUE, EACH_BY_NORM, NO_CLIP, Around
from linreg.rules import (
    accumulated,
    averaged,
    clip_by_global_norm,
    clip_by_norm,
    clip_by_value,
    decayed,
    mean_gradient,
    norm,
)

Array = Any

# What each run has of its own.
value: Any = None
slope: Any = None
update: Any = None
penalty: Any = None
penalty_slope: Any = None
penalised = False
penalise: Any = None
read_slots: Any = None
write_slots: Any = None
slots_after: Any = None
row: Any = None
weight_of: Any = None
factor_of: Any = None
one_by_one: Any = None
over_rows: Any = None
gradient: Any = None
step: Any = None
block_size = 0

FAR = 2**10
"""Numbers in a batch from which on it is read in four places: of fewer, these would be too near to each other. Nothing
but the batch may decide it: a stream knows no more of its table, and gives the bits of rows in memory."""
ONE, TWO, THREE = np.uintp(1), np.uintp(2), np.uintp(3)
"""Unsigned: of a signed index Numba asks every time whether it counts from the end."""


def itself(order: Array, i: Any) -> Any:
    """Return the i-th row of an epoch without shuffling."""
    return i


def looked_up(order: Array, i: Any) -> Any:
    """Return the i-th row of a shuffled epoch."""
    return order[i]


def own(numbers: Array, shared: Any, i: Any) -> Any:
    """Return the weight or factor of the i-th row of an epoch."""
    return numbers[i]


def same(numbers: Array, shared: Any, i: Any) -> Any:
    """Return the factor of a batch whose rows have no weights: one for all, and nothing more to read for each."""
    return shared


def one(numbers: Array, shared: Any, i: Any) -> Any:
    """Return the weight of a row where rows have none: multiplying by it is no work."""
    return numbers.dtype.type(1)


def minus(a: Any, b: Any) -> Any:
    """Return a - b, rounded by itself: an error is no part of a dot product."""
    return a - b


def slope_and_value(prediction: Any, target: Any, weight: Any, factor: Any, constants: Any) -> tuple[Any, Any]:
    """Return the slope of a row and its value in the loss of its batch, before the division."""
    e = minus(prediction, target)
    return slope(e, factor, *constants), value(e, *constants) * weight


def predict_row(matrix: Array, i: Any, p: Array, bias: Any, d: int) -> Any:
    """Return the prediction of the i-th row."""
    for j in range(d):
        bias += matrix[i, j] * p[j]
    return bias


def by_rows(
    matrix: Array, target: Array, order: Array, weight: Array, factor: Array, start: int, end: int, p: Array,
    bias: Any, d: int, constants: Any, g: Array, e: Array,
) -> tuple[Any, Any]:  # fmt: skip
    """Write the gradient of the rows from `start` up to `end` into g; return the sums of their values and slopes."""
    # Four rows at a time: then each parameter, and each element of g, is read once for four. Of a large batch it is one
    # row of each quarter: memory is read in four places, which is faster than in one.
    loss = slopes = p.dtype.type(0)
    w, f = weight[start], factor[start]
    for j in range(d):
        g[j] = 0
    fours = (end - start) // 4
    apart, ahead = (np.uintp(fours), 1) if (end - start) * d >= FAR else (ONE, 4)
    for four in range(fours):
        k0 = np.uintp(start + ahead * four)
        k1, k2, k3 = k0 + apart, k0 + TWO * apart, k0 + THREE * apart
        i0, i1, i2, i3 = row(order, k0), row(order, k1), row(order, k2), row(order, k3)
        p0 = p1 = p2 = p3 = bias
        for j in range(d):
            p0 += matrix[i0, j] * p[j]
            p1 += matrix[i1, j] * p[j]
            p2 += matrix[i2, j] * p[j]
            p3 += matrix[i3, j] * p[j]
        s0, v0 = slope_and_value(p0, target[i0], weight_of(weight, w, k0), factor_of(factor, f, k0), constants)
        s1, v1 = slope_and_value(p1, target[i1], weight_of(weight, w, k1), factor_of(factor, f, k1), constants)
        s2, v2 = slope_and_value(p2, target[i2], weight_of(weight, w, k2), factor_of(factor, f, k2), constants)
        s3, v3 = slope_and_value(p3, target[i3], weight_of(weight, w, k3), factor_of(factor, f, k3), constants)
        for j in range(d):
            g[j] += (s0 * matrix[i0, j] + s1 * matrix[i1, j]) + (s2 * matrix[i2, j] + s3 * matrix[i3, j])
        slopes += (s0 + s1) + (s2 + s3)
        loss += (v0 + v1) + (v2 + v3)
    for last in range(start + 4 * fours, end):
        k0 = np.uintp(last)
        i0 = row(order, k0)
        p0 = predict_row(matrix, i0, p, bias, d)
        s0, v0 = slope_and_value(p0, target[i0], weight_of(weight, w, k0), factor_of(factor, f, k0), constants)
        for j in range(d):
            g[j] += s0 * matrix[i0, j]
        slopes += s0
        loss += v0
    return loss, slopes


def row_after_row(
    matrix: Array, target: Array, order: Array, weight: Array, factor: Array, start: int, end: int, p: Array,
    bias: Any, d: int, constants: Any, g: Array, e: Array,
) -> tuple[Any, Any]:  # fmt: skip
    """Do what `by_rows` does, for a small batch of long rows in the order they lie: in two passes."""
    # The first pass, for the slopes, goes through memory line by line: four rows of so few at a time take up to twice
    # as long in some runs. The second, for the gradient, finds the rows in the cache, and the slopes of them in e.
    loss = slopes = p.dtype.type(0)
    w, f = weight[start], factor[start]
    for j in range(d):
        g[j] = 0
    for first in range(start, end, len(e)):
        rows, at = min(len(e), end - first), np.uintp(first)
        for r in range(rows):
            k = at + np.uintp(r)
            own_weight, own_factor = weight_of(weight, w, k), factor_of(factor, f, k)
            s, v = slope_and_value(predict_row(matrix, k, p, bias, d), target[k], own_weight, own_factor, constants)
            e[r] = s
            slopes += s
            loss += v
        fours = rows // 4
        for four in range(fours):
            here = np.uintp(4 * four)
            k = at + here
            k1, k2, k3 = k + ONE, k + TWO, k + THREE
            s0, s1, s2, s3 = e[here], e[here + ONE], e[here + TWO], e[here + THREE]
            for j in range(d):
                g[j] += (s0 * matrix[k, j] + s1 * matrix[k1, j]) + (s2 * matrix[k2, j] + s3 * matrix[k3, j])
        for last in range(4 * fours, rows):
            here = np.uintp(last)
            s, k = e[here], at + here
            for j in range(d):
                g[j] += s * matrix[k, j]
    return loss, slopes


def by_the_column(
    columns: Array, target: Array, order: Array, weight: Array, factor: Array, start: int, end: int, p: Array,
    bias: Any, d: int, constants: Any, g: Array, e: Array,
) -> tuple[Any, Any]:  # fmt: skip
    """Do the same for a single feature: one loop that writes nothing, so that many rows are taken at a time."""
    loss = slopes = pull = p.dtype.type(0)
    w, f, coefficient = weight[start], factor[start], p[0]
    for k in range(start, end):
        i = np.uintp(k)
        at = row(order, i)
        a, own_weight, own_factor = columns[0, at], weight_of(weight, w, i), factor_of(factor, f, i)
        s, v = slope_and_value(bias + a * coefficient, target[at], own_weight, own_factor, constants)
        pull += a * s
        slopes += s
        loss += v
    g[0] = pull
    return loss, slopes


def by_columns(
    columns: Array, target: Array, order: Array, weight: Array, factor: Array, start: int, end: int, p: Array,
    bias: Any, d: int, constants: Any, g: Array, e: Array,
) -> tuple[Any, Any]:  # fmt: skip
    """Do the same for few features, with X given as columns and rows in the order they lie in: by loops over rows."""
    # The errors, then the slopes, of as many rows as e is long lie in e; four columns are taken at a time.
    loss = slopes = p.dtype.type(0)
    w, f, fours = weight[start], factor[start], d // 4 * 4
    for j in range(d):
        g[j] = 0
    for first in range(start, end, len(e)):
        n, at = min(len(e), end - first), np.uintp(first)
        for i in range(n):
            e[i] = bias
        for j in range(0, fours, 4):
            p0, p1, p2, p3 = p[j], p[j + 1], p[j + 2], p[j + 3]
            for i in range(n):
                k = at + np.uintp(i)
                e[i] += (columns[j, k] * p0 + columns[j + 1, k] * p1) + (
                    columns[j + 2, k] * p2 + columns[j + 3, k] * p3
                )
        for j in range(fours, d):
            for i in range(n):
                e[i] += columns[j, at + np.uintp(i)] * p[j]
        for i in range(n):
            k = at + np.uintp(i)
            own_weight, own_factor = weight_of(weight, w, k), factor_of(factor, f, k)
            s, v = slope_and_value(e[i], target[k], own_weight, own_factor, constants)
            e[i] = s
            slopes += s
            loss += v
        for j in range(0, fours, 4):
            g0 = g1 = g2 = g3 = p.dtype.type(0)
            for i in range(n):
                k = at + np.uintp(i)
                g0 += e[i] * columns[j, k]
                g1 += e[i] * columns[j + 1, k]
                g2 += e[i] * columns[j + 2, k]
                g3 += e[i] * columns[j + 3, k]
            g[j] += g0
            g[j + 1] += g1
            g[j + 2] += g2
            g[j + 3] += g3
        for j in range(fours, d):
            g0 = p.dtype.type(0)
            for i in range(n):
                g0 += e[i] * columns[j, at + np.uintp(i)]
            g[j] += g0
    return loss, slopes


def in_blocks(
    matrix: Array, target: Array, order: Array, weight: Array, factor: Array, start: int, end: int, p: Array,
    bias: Any, d: int, constants: Any, g: Array, e: Array,
) -> tuple[Any, Any]:  # fmt: skip
    """Do the same on all cores, in blocks whose sums are added in order: their number does not change the result."""
    # A block is as long as fits into the cache.
    size = max(1, block_size // len(p))
    blocks = (end - start + size - 1) // size
    parts, losses, slopes = np.empty((blocks, d), p.dtype), np.empty(blocks, p.dtype), np.empty(blocks, p.dtype)
    for k in prange(blocks):
        first = start + k * size
        last, own = min(first + size, end), np.empty(len(e), p.dtype)
        losses[k], slopes[k] = one_by_one(
            matrix, target, order, weight, factor, first, last, p, bias, d, constants, parts[k], own
        )
    loss = slope_sum = p.dtype.type(0)
    for j in range(d):
        g[j] = 0
    for k in range(blocks):
        for j in range(d):
            g[j] += parts[k, j]
        loss += losses[k]
        slope_sum += slopes[k]
    return loss, slope_sum


def gradient_of_one(
    matrix: Array, target: Array, order: Array, weight: Array, factor: Array, start: int, end: int, p: Array, d: int,
    constants: Any, g: Array, e: Array, sums: Array, i: int,
) -> None:  # fmt: skip
    """Write the gradient of a batch into g, and the sum of its values to the i-th place of `sums`."""
    bias = p[d] if len(p) > d else p.dtype.type(0)
    sums[i], slopes = over_rows(matrix, target, order, weight, factor, start, end, p, bias, d, constants, g, e)
    if len(p) > d:
        g[d] = slopes


def clip(g: Array, d: int, around: Around) -> None:
    """Clip the gradient in place."""
    if around.clip == BY_VALUE:
        for j in range(len(g)):
            g[j] = clip_by_value(g[j], around.limit)
    elif around.clip == EACH_BY_NORM:
        for part in (g[:d], g[d:]):
            size = norm(part)
            for j in range(len(part)):
                part[j] = clip_by_norm(part[j], size, around.limit)
    elif around.clip == ALL_BY_NORM:
        size = norm(g)
        for j in range(len(g)):
            g[j] = clip_by_global_norm(g[j], size, around.limit, around.one_over_limit)


def move(p: Array, j: Any, g: Any, slots: Array, rate: Any, constants: Any) -> None:
    """Move the j-th parameter by the rule."""
    after = update(*((p[j], g) + read_slots(slots, j) + (rate,) + constants))  # noqa: RUF005
    p[j] = after[0]
    write_slots(slots, j, after)


def rule_alone(
    p: Array, g: Array, slots: Array, total: Array, average: Array, rate: Any, lr: Any, i: int, d: int, constants: Any,
    around: Around,
) -> None:  # fmt: skip
    """Move the parameters by the rule."""
    for j in range(len(p)):
        move(p, j, g[j], slots, rate, constants)


def rule_and_around(
    p: Array, g: Array, slots: Array, total: Array, average: Array, rate: Any, lr: Any, i: int, d: int, constants: Any,
    around: Around,
) -> None:  # fmt: skip
    """Accumulate -> clip -> decay -> rule -> average: the i-th batch, counted from 0."""
    if around.every > 1:
        for j in range(len(p)):
            total[j] = accumulated(total[j], g[j])
    if (i + 1) % around.every == 0:
        if around.every > 1:
            for j in range(len(p)):
                g[j] = mean_gradient(total[j], p.dtype.type(around.every))
                total[j] = 0
        if around.clip != NO_CLIP:
            clip(g, d, around)
        if around.decays:
            for j in range(len(p)):
                p[j] = decayed(p[j], around.weight_decay, lr)
        rule_alone(p, g, slots, total, average, rate, lr, i, d, constants, around)
    if around.averages:
        updates = i // around.every
        share = around.later_share if updates else around.first_share
        for j in range(len(p)):
            average[j] = averaged(average[j], p[j], share)
        if around.overwrite and (updates + 1) % around.overwrite == 0:
            for j in range(len(p)):
                p[j] = average[j]


def penalise_one(p: Array, g: Array, d: int, strengths: Any, penalties: Array, i: int) -> None:
    """Write the penalty, and add its slope to the gradient."""
    penalties[i] = penalty(p[:d], strengths)
    for j in range(d):
        g[j] += penalty_slope(p[j], strengths)


def train(
    matrix: Array, target: Array, orders: Array, weight: Array, factor: Array, batch_size: int, first: int, last: int,
    epochs: int, d: int, rates: Array, lrs: Array, iterations: int, p: Array, g: Array, e: Array, slots: Array,
    total: Array, average: Array, loss_constants: Any, rule_constants: Any, strengths: Any, around: Around, sums: Array,
    penalties: Array,
) -> None:  # fmt: skip
    """Run the batches from `first` up to `last` of some epochs; write the sums of their values and their penalties."""
    n, k = len(target), 0
    for epoch in range(epochs):
        order = orders[epoch % len(orders)]
        for b in range(first, last):
            start, end = b * batch_size, min((b + 1) * batch_size, n)
            gradient(matrix, target, order, weight, factor, start, end, p, d, loss_constants, g, e, sums, k)
            if penalised:
                penalise(p, g, d, strengths, penalties, k)
            step(p, g, slots, total, average, rates[k], lrs[k], iterations + k, d, rule_constants, around)
            k += 1


def train_one_feature(
    matrix: Array, target: Array, orders: Array, weight: Array, factor: Array, batch_size: int, first: int, last: int,
    epochs: int, d: int, rates: Array, lrs: Array, iterations: int, p: Array, g: Array, e: Array, slots: Array,
    total: Array, average: Array, loss_constants: Any, rule_constants: Any, strengths: Any, around: Around, sums: Array,
    penalties: Array,
) -> None:  # fmt: skip
    """Do what `train` does, for a single feature and a rule alone, where each step waits for the one before."""
    # Parameters and state are numbers here, which stay in registers. They have the type of the arrays that they come
    # from, whatever a loss or a rule returns.
    n, k, has_bias, number = len(target), 0, len(p) > 1, p.dtype.type
    w, bias = p[0], p[1] if has_bias else number(0)
    of_w, of_bias = read_slots(slots, 0), read_slots(slots, len(p) - 1)
    for epoch in range(epochs):
        order = orders[epoch % len(orders)]
        for b in range(first, last):
            start, end = b * batch_size, min((b + 1) * batch_size, n)
            p[0] = w
            loss, slopes = over_rows(
                matrix, target, order, weight, factor, start, end, p, bias, d, loss_constants, g, e
            )
            after = update(*((w, g[0]) + of_w + (rates[k],) + rule_constants))  # noqa: RUF005
            w, of_w = number(after[0]), slots_after(slots, after)
            if has_bias:
                after = update(*((bias, number(slopes)) + of_bias + (rates[k],) + rule_constants))  # noqa: RUF005
                bias, of_bias = number(after[0]), slots_after(slots, after)
            sums[k] = loss
            k += 1
    p[0] = w
    write_slots(slots, 0, (w,) + of_w)  # noqa: RUF005
    if has_bias:
        p[1] = bias
        write_slots(slots, 1, (bias,) + of_bias)  # noqa: RUF005


def train_row_by_row(
    matrix: Array, target: Array, orders: Array, weight: Array, factor: Array, batch_size: int, first: int, last: int,
    epochs: int, d: int, rates: Array, lrs: Array, iterations: int, p: Array, g: Array, e: Array, slots: Array,
    total: Array, average: Array, loss_constants: Any, rule_constants: Any, strengths: Any, around: Around, sums: Array,
    penalties: Array,
) -> None:  # fmt: skip
    """Do what `train` does, for batches of one row and a rule alone: elements of the gradient go to it at once."""
    k, has_bias, number = 0, len(p) > d, p.dtype.type
    w, f = weight[first], factor[first]
    for epoch in range(epochs):
        order = orders[epoch % len(orders)]
        for b in range(first, last):
            at = np.uintp(b)
            i = row(order, at)
            bias = p[d] if has_bias else number(0)
            own_weight, own_factor = weight_of(weight, w, at), factor_of(factor, f, at)
            prediction = predict_row(matrix, i, p, bias, d)
            s, sums[k] = slope_and_value(prediction, target[i], own_weight, own_factor, loss_constants)
            own_slope = number(s)  # whatever type a loss returns
            for j in range(d):
                move(p, j, own_slope * matrix[i, j], slots, rates[k], rule_constants)
            if has_bias:
                move(p, d, own_slope, slots, rates[k], rule_constants)
            k += 1
