"""JAX: a jitted step called from Python, and `lax.scan` over the steps of an epoch, compiled as a whole."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import numpy as np

from benchmarks.hot_loop.peers.interface import (
    MissingPeerError,
    Start,
    fastest,
    in_batches,
    package,
    written_update,
)
from benchmarks.loops import Task
from linreg import Huber

FORMS = tuple(product((False, True), (1, 2)))
"""Whether predictions and gradients are sums or products, and how many steps are one turn of the loop."""


def scan(task: Task, device: str = "cpu") -> Start:
    """`lax.scan` over the steps, in a loop over the epochs, in the form that is the fastest here."""
    return fastest("scan", [partial(_scan, task, device, *form) for form in FORMS], task)


def _scan(task: Task, device: str, by_sum: bool, unroll: int) -> Start:
    jax, at = _jax(device)
    step, carry = _step(jax, task, by_sum=by_sum)

    @jax.jit
    def run(carry: Any, X: Any, y: Any, epochs: Any) -> Any:
        def epoch(_: Any, state: Any) -> Any:
            carry, values = jax.lax.scan(lambda carry, batch: step(carry, *batch), state[0], (X, y), unroll=unroll)
            return carry, values.mean()

        return jax.lax.fori_loop(0, epochs, epoch, (carry, carry[3] * 0))

    with _exactly(jax, at):
        X, y = (jax.device_put(part) for part in in_batches(task))
        begin = tuple(map(jax.device_put, carry))

    def train(epochs: int) -> Any:
        with _exactly(jax, at):
            (p, *_), loss = run(begin, X, y, epochs)
            return np.asarray(p), float(loss)

    return lambda: train


def jitted_step(task: Task, device: str = "cpu") -> Start:
    """One jitted step, called from a loop in Python."""
    jax, at = _jax(device)
    step, carry = _step(jax, task)

    @jax.jit
    def one(carry: Any, total: Any, X: Any, y: Any) -> Any:
        carry, value = step(carry, X, y)
        return carry, total + value

    with _exactly(jax, at):
        batches = [tuple(map(jax.device_put, batch)) for batch in zip(*in_batches(task), strict=True)]
        begin, zero = tuple(map(jax.device_put, carry)), jax.device_put(carry[3] * 0)

    def train(epochs: int) -> Any:
        with _exactly(jax, at):
            carry, total = begin, zero
            for _ in range(epochs):
                total = zero
                for X, y in batches:
                    carry, total = one(carry, total, X, y)
            return np.asarray(carry[0]), float(total) / len(batches)

    return lambda: train


def _jax(device: str) -> tuple[Any, Any]:
    jax = package("jax", "jax")
    try:
        return jax, jax.devices(device)[0]
    except RuntimeError as error:
        raise MissingPeerError(f"JAX has no device {device!r}: {error}") from None


def _exactly(jax: Any, device: Any) -> Any:
    """Return what lets JAX keep float64 as it is, and puts everything on one device."""
    from contextlib import ExitStack

    stack = ExitStack()
    stack.enter_context(jax.enable_x64(True))
    stack.enter_context(jax.default_device(device))
    return stack


def _step(jax: Any, task: Task, *, by_sum: bool = False) -> tuple[Any, Any]:
    """Return one step by automatic differentiation, and the state before the first."""
    jnp = jax.numpy

    def loss(p: Any, X: Any, y: Any) -> Any:
        e = ((X * p[:-1]).sum(1) if by_sum else X @ p[:-1]) + p[-1] - y
        if isinstance(task.loss, Huber):
            a, delta = jnp.abs(e), task.loss.delta
            return jnp.where(a <= delta, e * e / 2, delta * (a - delta / 2)).mean()
        return (e * e).mean()

    def step(carry: Any, X: Any, y: Any) -> Any:
        p, m, v, t = carry
        value, g = jax.value_and_grad(loss)(p, X, y)
        return (*written_update(task.optimizer, jnp.sqrt, p, g, m, v, t), t + 1), value

    number = task.X.dtype.type
    zeros = np.zeros(task.X.shape[1] + 1, number)
    return step, (zeros, zeros, zeros, number(1))
