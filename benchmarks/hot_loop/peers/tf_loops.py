"""TensorFlow: a `tf.function` with a loop over all steps in it, with and without XLA."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.hot_loop.peers.interface import MissingPeerError, Start, in_batches, package, written_update
from benchmarks.loops import Task
from linreg import Huber


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
    """The loop compiled by XLA."""
    return _loop(task, device, jit_compile=True)


def graph_loop(task: Task, device: str = "cpu") -> Start:
    """The loop as a graph."""
    return _loop(task, device, jit_compile=False)


def _loop(task: Task, device: str, *, jit_compile: bool) -> Start:
    tf, at = tensorflow(device)
    with tf.device(at):
        X, y = (tf.constant(part) for part in in_batches(task))
        zeros = tf.zeros(task.X.shape[1] + 1, X.dtype)
    steps, number, rule = len(y), task.X.dtype.type, task.optimizer
    c = number(1 / task.batch_size)

    @tf.function(jit_compile=jit_compile)
    def run(p: Any, X: Any, y: Any, epochs: Any) -> Any:
        m, v, t = tf.zeros_like(p), tf.zeros_like(p), tf.constant(1.0, p.dtype)
        total = loss = tf.constant(0.0, p.dtype)
        for k in tf.range(epochs * steps):
            b = k % steps
            e = tf.linalg.matvec(X[b], p[:-1]) + p[-1] - y[b]
            if isinstance(task.loss, Huber):
                delta = number(task.loss.delta)
                s, a = c * tf.clip_by_value(e, -delta, delta), tf.abs(e)
                total += tf.reduce_mean(tf.where(a <= delta, e * e / 2, delta * (a - delta / 2)))
            else:
                s = 2 * c * e
                total += tf.reduce_mean(e * e)
            g = tf.concat([tf.linalg.matvec(X[b], s, transpose_a=True), [tf.reduce_sum(s)]], 0)
            p, m, v = written_update(rule, tf.sqrt, p, g, m, v, t)
            t += 1
            loss = tf.where(b == steps - 1, total / steps, loss)
            total = tf.where(b == steps - 1, tf.zeros_like(total), total)
        return p, loss

    def train(epochs: int) -> Any:
        with tf.device(at):
            p, loss = run(zeros, X, y, tf.constant(epochs))
            return p.numpy(), float(loss.numpy())

    return lambda: train
