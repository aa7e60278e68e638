"""One loop in Numba with its formulas written in, as a user writes it who needs this one run to be fast.

Any sum may be reordered and any product fused with it. The whole loop is compiled for one rule, one loss and one dtype,
with the bias as a number of its own, and for one feature without an inner loop.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from benchmarks.hot_loop.peers.interface import Start, on_the_cpu_only, package
from benchmarks.loops import Task
from linreg import Huber


def hand_fused(task: Task, device: str = "cpu") -> Start:
    """The loop in Numba."""
    on_the_cpu_only(device)
    numba = package("numba", "'linreg[fast]'")
    rule, number = task.optimizer, task.X.dtype.type
    features, is_huber = task.X.shape[1], isinstance(task.loss, Huber)
    loop = _loop(numba, type(rule).__name__, is_huber, features == 1, number)
    X = task.X[:, 0].copy() if features == 1 else np.ascontiguousarray(task.X)
    factor, delta = number((1 if is_huber else 2) / task.batch_size), number(getattr(task.loss, "delta", 0))
    constants = {
        "SGD": lambda: (0.0, 0.0, 0.0),
        "RMSprop": lambda: (rule.rho, 1 - rule.rho, rule.epsilon),
        "Adam": lambda: (1 - rule.beta_1, 1 - rule.beta_2, rule.epsilon),
    }[type(rule).__name__]()
    numbers = tuple(map(number, constants))

    def start() -> Any:
        p = np.zeros(features + 1, number)

        def train(epochs: int) -> Any:
            loss = loop(X, task.y, task.batch_size, epochs, rule.learning_rate, factor, delta, *numbers, p)
            return p, loss

        return train

    return start


@cache
def _loop(numba: Any, rule: str, is_huber: bool, one_feature: bool, number: Any) -> Any:
    """Return the loop over all steps for one rule, one loss, one way to read X and one type of numbers."""
    half = number(0.5)  # Numba would take "/ 2" of float32 in float64
    jit = numba.njit(fastmath={"reassoc", "contract"}, error_model="numpy")
    update = jit({"SGD": _sgd, "RMSprop": _rmsprop, "Adam": _adam}[rule])

    @jit
    def value(e, delta):  # type: ignore[no-untyped-def]
        if is_huber:
            a = abs(e)
            return half * e * e if a <= delta else delta * (a - half * delta)
        return e * e

    @jit
    def slope(e, factor, delta):  # type: ignore[no-untyped-def]
        return factor * min(max(e, -delta), delta) if is_huber else factor * e

    @jit
    def by_rows(X, y, p, g, factor, delta):  # type: ignore[no-untyped-def]
        d, b = len(p) - 1, p[-1]
        total = gb = b * 0
        g[:] = 0
        for i in range(len(y)):
            e = b - y[i]
            for j in range(d):
                e += X[i, j] * p[j]
            total += value(e, delta)
            s = slope(e, factor, delta)
            gb += s
            for j in range(d):
                g[j] += s * X[i, j]
        g[d] = gb
        return total

    @jit
    def of_one_feature(x, y, p, g, factor, delta):  # type: ignore[no-untyped-def]
        w, b = p[0], p[1]
        total = gw = gb = w * 0
        for i in range(len(y)):
            e = x[i] * w + b - y[i]
            total += value(e, delta)
            s = slope(e, factor, delta)
            gw += s * x[i]
            gb += s
        g[0], g[1] = gw, gb
        return total

    gradient = of_one_feature if one_feature else by_rows

    @jit
    def loop(X, y, batch_size, epochs, lr, factor, delta, c1, c2, epsilon, p):  # type: ignore[no-untyped-def]
        g, m, v = np.empty_like(p), np.zeros_like(p), np.zeros_like(p)
        power_1 = power_2 = 1.0
        total = 0.0
        for _ in range(epochs):
            total = 0.0
            for start in range(0, len(y), batch_size):
                stop = start + batch_size
                total += gradient(X[start:stop], y[start:stop], p, g, factor, delta)
                power_1, power_2 = update(p, g, m, v, lr, c1, c2, epsilon, power_1, power_2)
        return total / len(y)

    return loop


def _sgd(p, g, m, v, lr, c1, c2, epsilon, power_1, power_2):  # type: ignore[no-untyped-def]  # noqa: ARG001
    lr = p.dtype.type(lr)
    for j in range(len(p)):
        p[j] -= lr * g[j]
    return power_1, power_2


def _rmsprop(p, g, m, v, lr, c1, c2, epsilon, power_1, power_2):  # type: ignore[no-untyped-def]  # noqa: ARG001
    lr = p.dtype.type(lr)
    for j in range(len(p)):
        v[j] = c1 * v[j] + c2 * g[j] * g[j]
        p[j] -= lr * g[j] / np.sqrt(v[j] + epsilon)
    return power_1, power_2


def _adam(p, g, m, v, lr, c1, c2, epsilon, power_1, power_2):  # type: ignore[no-untyped-def]
    power_1, power_2 = power_1 * (1.0 - c1), power_2 * (1.0 - c2)
    alpha = p.dtype.type(lr * np.sqrt(1 - power_2) / (1 - power_1))
    for j in range(len(p)):
        m[j] += (g[j] - m[j]) * c1
        v[j] += (g[j] * g[j] - v[j]) * c2
        p[j] -= m[j] * alpha / (np.sqrt(v[j]) + epsilon)
    return power_1, power_2
