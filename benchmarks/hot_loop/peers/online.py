"""Libraries that learn row by row: plain SGD at a constant rate, in batches of one row.

Their squared errors are e^2 / 2 (scikit-learn) or e^2 (River, Vowpal Wabbit); rates are doubled where the slope is half
of Keras'. What they read is made outside of the clock: dicts for River, examples for Vowpal Wabbit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.hot_loop.peers.interface import Start, on_the_cpu_only, package
from benchmarks.loops import Task
from linreg import Huber

CONSTANT = 11_650_396
"""Vowpal Wabbit's index of the feature that is always 1."""


def sgd_regressor(task: Task, device: str = "cpu") -> Start:
    """scikit-learn's `SGDRegressor`."""
    on_the_cpu_only(device)
    SGDRegressor = package("sklearn.linear_model", "scikit-learn").SGDRegressor
    is_huber, lr = isinstance(task.loss, Huber), task.optimizer.learning_rate
    same = {"loss": "huber", "epsilon": task.loss.delta, "eta0": lr} if is_huber else {"eta0": 2 * lr}

    def train(epochs: int) -> Any:
        zeros = np.zeros(task.X.shape[1], task.X.dtype)  # anew: it trains in what it is given
        model = SGDRegressor(
            penalty=None, alpha=0.0, learning_rate="constant", max_iter=epochs, tol=None, shuffle=False, **same
        )
        model.fit(task.X, task.y, coef_init=zeros, intercept_init=[0.0])
        return np.append(model.coef_, model.intercept_), None

    return lambda: train


def river(task: Task, device: str = "cpu") -> Start:
    """River's `LinearRegression`."""
    on_the_cpu_only(device)
    package("river", "river")
    from river import linear_model, optim

    lr, is_huber = task.optimizer.learning_rate, isinstance(task.loss, Huber)
    rows = [dict(enumerate(row)) for row in task.X.tolist()]
    targets = task.y.tolist()

    def start() -> Any:
        loss = optim.losses.Huber(task.loss.delta) if is_huber else optim.losses.Squared()
        model = linear_model.LinearRegression(optim.SGD(lr), loss, intercept_lr=lr)

        def train(epochs: int) -> Any:
            for _ in range(epochs):
                for x, y in zip(rows, targets, strict=True):
                    model.learn_one(x, y)
            return np.array([model.weights[j] for j in range(task.X.shape[1])] + [model.intercept]), None

        return train

    return start


def vowpal_wabbit(task: Task, device: str = "cpu") -> Start:
    """Vowpal Wabbit with `--sgd`, called from Python example by example."""
    on_the_cpu_only(device)
    Workspace = package("vowpalwabbit", "vowpalwabbit").Workspace
    options = f"--quiet --sgd --power_t 0 --initial_t 0 -l {task.optimizer.learning_rate!r} --loss_function squared "
    features = task.X.shape[1]
    lines = [
        f"{y!r} | " + " ".join(f"{j}:{x!r}" for j, x in enumerate(row))
        for row, y in zip(task.X.tolist(), task.y.tolist(), strict=True)
    ]

    def start() -> Any:
        model = Workspace(options + "--min_prediction -1e9 --max_prediction 1e9")
        examples = [model.example(line) for line in lines]

        def train(epochs: int) -> Any:
            for _ in range(epochs):
                for example in examples:
                    model.learn(example)
            return np.array([model.get_weight(j) for j in range(features)] + [model.get_weight(CONSTANT)]), None

        return train

    return start
