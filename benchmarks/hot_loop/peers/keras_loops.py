"""Keras on TensorFlow: `model.fit` and `train_on_batch` of `Dense(1)`, from zeros, in the order of the rows.

The loss and every option of compile are Keras' defaults. Each epoch of `fit` has a cost of its own, of tens of steps:
it is part of what a user pays, and shows where epochs are short.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.hot_loop.peers.interface import Start, in_batches
from benchmarks.hot_loop.peers.tf_loops import tensorflow
from benchmarks.loops import Task
from linreg import Huber
from linreg.keras import counterpart, load


def fit(task: Task, device: str = "cpu", shuffle: bool = False) -> Start:
    """`model.fit`."""
    model, reset, at = _model(task, device)

    def train(epochs: int) -> Any:
        with at():
            history = model.fit(
                task.X, task.y, batch_size=task.batch_size, epochs=epochs, shuffle=shuffle, verbose=0
            )  # fmt: skip
            return _weights(model), history.history["loss"][-1]

    def start() -> Any:
        reset()
        return train

    return start


def train_on_batch(task: Task, device: str = "cpu") -> Start:
    """A loop over `train_on_batch`."""
    model, reset, at = _model(task, device)
    batches = list(zip(*in_batches(task), strict=True))

    def train(epochs: int) -> Any:
        losses: list[Any] = []
        with at():
            for _ in range(epochs):
                losses = [model.train_on_batch(X, y) for X, y in batches]
            return _weights(model), float(np.mean(losses))

    def start() -> Any:
        reset()
        return train

    return start


def _model(task: Task, device: str) -> tuple[Any, Any, Any]:
    tf, name = tensorflow(device)
    keras, dtype = load(), task.X.dtype.name
    with tf.device(name):
        layer = keras.layers.Dense(1, kernel_initializer="zeros", dtype=dtype)
        model = keras.Sequential([keras.Input((task.X.shape[1],), dtype=dtype), layer])
        loss = keras.losses.Huber if isinstance(task.loss, Huber) else keras.losses.MeanSquaredError
        optimizer = counterpart(task.optimizer)
        model.compile(optimizer=optimizer, loss=loss(dtype=dtype))
        optimizer.build(model.trainable_variables)
    begin = [(variable, variable.numpy()) for variable in (*model.variables, *optimizer.variables)]

    def reset() -> None:
        for variable, value in begin:
            variable.assign(value)

    return model, reset, lambda: tf.device(name)


def _weights(model: Any) -> Any:
    return np.concatenate([np.ravel(weights) for weights in model.get_weights()])
