"""TensorFlow: a `tf.function` with a loop over all steps in it, with and without XLA."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

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

ON_ALL_CORES = 2**20
"""Numbers in a batch from which on a product of XLA on all cores is faster than its sum on one."""


def tensorflow(device: str) -> tuple[Any, str]:
    """Return TensorFlow and its name of the device.

    Parameters
    ----------
    device : str
        "cpu" or "cuda".

    Returns
    -------
    tuple
        The module and the device.

    Raises
    ------
    MissingPeerError
        If TensorFlow or the device is not there.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tf = package("tensorflow", "'linreg[tf]'")
    kind = {"cpu": "CPU", "cuda": "GPU"}[device]
    if not tf.config.list_physical_devices(kind):
        raise MissingPeerError(f"TensorFlow sees no {kind}")
    return tf, f"/{kind}:0"


def xla_loop(task: Task, device: str = "cpu") -> Start:
    """The loop compiled by XLA: a loop over steps or one over epochs and steps, whichever is faster here."""
    forms = [partial(_loop, task, device, jit_compile=True, nested=nested) for nested in (False, True)]
    return fastest("XLA", forms, task)


def graph_loop(task: Task, device: str = "cpu") -> Start:
    """The loop as a graph."""
    return _loop(task, device, jit_compile=False, nested=True)


def _loop(task: Task, device: str, *, jit_compile: bool, nested: bool) -> Start:
    tf, at = tensorflow(device)
    with tf.device(at):
        X, y = (tf.constant(part) for part in in_batches(task))
        zeros = tf.zeros(task.X.shape[1] + 1, X.dtype)
    steps, number, rule = len(y), task.X.dtype.type, task.optimizer
    c = number(1 / task.batch_size)
    # XLA fuses a sum of products of a small batch with what comes before; a large one is for its threads.
    by_sum = jit_compile and device == "cpu" and X.shape[1] * X.shape[2] < ON_ALL_CORES

    def step(p: Any, m: Any, v: Any, t: Any, X: Any, y: Any) -> Any:
        e = tf.linalg.matvec(X, p[:-1]) + p[-1] - y
        if isinstance(task.loss, Huber):
            delta = number(task.loss.delta)
            s, a = c * tf.clip_by_value(e, -delta, delta), tf.abs(e)
            value = tf.reduce_mean(tf.where(a <= delta, e * e / 2, delta * (a - delta / 2)))
        else:
            s, value = 2 * c * e, tf.reduce_mean(e * e)
        g = tf.reduce_sum(X * s[:, tf.newaxis], 0) if by_sum else tf.linalg.matvec(X, s, transpose_a=True)
        p, m, v = written_update(rule, tf.sqrt, p, tf.concat([g, [tf.reduce_sum(s)]], 0), m, v, t)
        return p, m, v, t + 1, value

    def begin(p: Any) -> Any:
        zero = tf.constant(0.0, p.dtype)
        return tf.zeros_like(p), tf.zeros_like(p), zero + 1, zero, zero

    def in_one_loop(p: Any, X: Any, y: Any, epochs: Any) -> Any:
        m, v, t, total, loss = begin(p)
        for k in tf.range(epochs * steps):
            b = k % steps
            p, m, v, t, value = step(p, m, v, t, X[b], y[b])
            total += value
            loss = tf.where(b == steps - 1, total / steps, loss)
            total = tf.where(b == steps - 1, tf.zeros_like(total), total)
        return p, loss

    def epoch_by_epoch(p: Any, X: Any, y: Any, epochs: Any) -> Any:
        m, v, t, total, loss = begin(p)
        for _ in tf.range(epochs):
            total = tf.zeros_like(total)
            for b in tf.range(steps):
                p, m, v, t, value = step(p, m, v, t, X[b], y[b])
                total += value
            loss = total / steps
        return p, loss

    run = tf.function(epoch_by_epoch if nested else in_one_loop, jit_compile=jit_compile)

    def train(epochs: int) -> Any:
        with tf.device(at):
            p, loss = run(zeros, X, y, tf.constant(epochs))
            return p.numpy(), float(loss.numpy())

    return lambda: train
