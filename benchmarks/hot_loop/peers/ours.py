"""The loops that `LinearRegression` runs, with their history."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.hot_loop.peers.interface import MissingPeerError, Start, on_the_cpu_only
from benchmarks.loops import Task
from linreg.batches import Problem
from linreg.compiled import numba_run
from linreg.data.arrays import design_matrix
from linreg.devices import HOST, Host, cuda
from linreg.precision import PRECISIONS
from linreg.steps import State
from linreg.training import Run


def numpy_engine(task: Task, device: str = "cpu") -> Start:
    """`engine="numpy"`; on a GPU, on CuPy arrays."""
    try:
        return _loop(task, Run, HOST if device == "cpu" else cuda())
    except (ImportError, RuntimeError) as error:
        raise MissingPeerError(str(error)) from None


def numba_engine(task: Task, device: str = "cpu") -> Start:
    """`engine="numba"`."""
    on_the_cpu_only(device)
    try:
        return _loop(task, numba_run(), HOST)
    except ImportError as error:
        raise MissingPeerError(str(error)) from None


def _loop(task: Task, engine: Any, device: Host) -> Start:
    features, precision = task.X.shape[1], PRECISIONS[task.X.dtype.name]
    matrix, target = device.put(design_matrix(task.X, True)), device.put(task.y)
    problem = Problem(matrix, target, None, task.batch_size, features)

    def start() -> Any:
        zeros = device.put(np.zeros(features + 1, precision.dtype))
        state = State.start(zeros, task.optimizer, precision, np.random.default_rng(0))
        run = engine(problem, state, task.optimizer, task.loss, precision, shuffle=False)

        def train(epochs: int) -> Any:
            run.train(epochs)
            return device.on_host(state.parameters), run.history["loss"][-1]  # which waits for the last step

        return train

    return start
