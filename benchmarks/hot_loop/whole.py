"""What is not one step of many: a pass over a large table, a small `fit` as a user calls it, runs to convergence."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.hot_loop.check import Expected
from benchmarks.hot_loop.measure import ROUNDS, clocked_run, warm_up
from benchmarks.hot_loop.peers import KERAS, NUMBA, NUMPY, MissingPeerError, Peer
from benchmarks.hot_loop.peers.interface import Array
from benchmarks.hot_loop.peers.keras_loops import fit as keras_fit
from benchmarks.hot_loop.peers.ours import numba_engine, numpy_engine
from benchmarks.hot_loop.table import Case, table
from benchmarks.interleaved import clocked, collected
from benchmarks.loops import Task
from linreg import SGD, Adam, LinearRegression, MeanSquaredError

LARGE_ROWS = 2_000_000
FULL = Case("SGD", "MSE", LARGE_ROWS, 32, LARGE_ROWS, "float32")
FULL_BATCH, TWO_PASSES = "a full-batch step, 2000000 x 32", "X @ w and X.T @ e in NumPy"
TOLERANCE = 0.01
"""Of the excess of the loss over its least value, what is left when a run counts as converged, as in `diagnose`."""
MOST_EPOCHS = 500


def two_passes(task: Task) -> Callable[[], float]:
    """Return what times both products of NumPy with all rows, into arrays that are there."""
    (rows, features), kind = task.X.shape, task.X.dtype
    p, e, g = np.zeros(features, kind), np.empty(rows, kind), np.empty(features, kind)

    def both() -> None:
        task.X.dot(p, e)
        task.X.T.dot(e, g)

    return lambda: clocked(both)


def full_batch(rounds: int = ROUNDS) -> dict[str, Any]:
    """Time a full-batch step of `engine="numba"` on 2,000,000 x 32 beside the two passes that NumPy needs."""
    task = FULL.task()
    try:
        start = numba_engine(task)
    except MissingPeerError as reason:
        return {"what": FULL_BATCH, "loops": {}, "skipped": {NUMBA: str(reason)}}
    runs = {NUMBA: partial(clocked_run, start, 1), TWO_PASSES: two_passes(task)}
    check = Expected.of(task, 1)
    found = check.compare(*start()(1))
    return timed(FULL_BATCH, runs, rounds) | {"check": found}


def small_fit(optimizer: str, rounds: int = ROUNDS) -> dict[str, Any]:
    """Time 100 epochs of 100 x 1 from the call to its return, checks and history included, beside `model.fit`.

    All else is as both libraries have it by default, so rows are shuffled; results are compared of runs without.
    """
    X, y = table(100, 1, "float32")
    rule = SGD(2.0**-7) if optimizer == "SGD" else Adam(2.0**-7)
    task = Task(rule, MeanSquaredError(), X, y, 32, steps=4)
    check, checks = Expected.of(task, 100), {}
    runs: dict[str, Any] = {}
    skipped = {}
    for name, engine in ((NUMBA, "numba"), (NUMPY, "numpy")):
        model = LinearRegression(rule, epochs=100, engine=engine)
        in_order = LinearRegression(rule, epochs=100, engine=engine, shuffle=False, kernel_initializer="zeros")
        try:
            in_order.fit(X, y)
        except ImportError as error:
            skipped[name] = str(error)
            continue
        runs[name] = lambda model=model: clocked(lambda: model.fit(X, y))
        checks[name] = check.compare(np.append(in_order.coef_, in_order.intercept_), in_order.history_["loss"][-1])
    try:
        start = keras_fit(task)
        checks[KERAS] = check.compare(*start()(100), in_float32=True)
        runs[KERAS] = partial(clocked_run, keras_fit(task, shuffle=True), 100)
    except MissingPeerError as reason:
        skipped[KERAS] = str(reason)
    name = f"fit of 100 epochs of 100 x 1, {optimizer}"
    return timed(name, runs, rounds) | {"checks": checks, "skipped": skipped}


def timed(name: str, runs: dict[str, Callable[[], float | dict[str, float]]], rounds: int) -> dict[str, Any]:
    """Time things in turns, in one order and back.

    Parameters
    ----------
    name : str
        What they are.
    runs : dict
        By name, functions that return the seconds that a unit of the work took, or those of several parts of it by
        their names.
    rounds : int
        Rounds in which each has a turn; one more comes first and does not count.

    Returns
    -------
    dict
        The name, and of each thing and part its microseconds, round by round, and their median.
    """
    times: dict[str, list[float]] = {}
    took = dict.fromkeys(runs, 0.0)
    with collected():
        for turn in range(rounds + 1):
            for key, run in reversed(runs.items()) if turn % 2 else runs.items():
                warm_up(run, took[key])
                begin = perf_counter()
                taken = run()
                took[key] = perf_counter() - begin
                for part, seconds in taken.items() if isinstance(taken, dict) else ((key, taken),):
                    of_part = times.setdefault(part, [])
                    if turn:
                        of_part.append(float(f"{seconds * 1e6:.4g}"))
    return {"what": name, "loops": {key: {"us": median(t), "rounds": t} for key, t in times.items()}}


def to_tolerance(case: Case, peers: list[Peer], *, device: str = "cpu", rounds: int = ROUNDS) -> dict[str, Any]:
    """Time whole runs from zeros until the excess of the loss is a hundredth of what it was.

    Parameters
    ----------
    case : Case
        The work, a table that every peer trains on as a whole.
    peers : list of Peer
        The loops.
    device : str
        Where.
    rounds : int
        Rounds in which every loop has a turn.

    Returns
    -------
    dict
        The case, how many epochs it takes, and of each loop: whether it got there, microseconds of a run, and seconds
        of the first one with all that comes before it (building, tracing, compiling; Numba's loops may be on disk
        already).
    """
    task = case.task()
    epochs, target = _epochs_needed(task)
    runs: dict[str, Any] = {}
    about: dict[str, dict[str, Any]] = {}
    skipped = {}
    for peer in peers:
        if not peer.suits(case) or not peer.trains:
            continue
        try:
            peer.choose(task, device)
            begin = perf_counter()
            start = peer.make(task, device)
        except MissingPeerError as reason:
            skipped[peer.name] = str(reason)
            continue
        parameters, _ = start()(epochs)
        first = float(f"{perf_counter() - begin:.4g}")
        runs[peer.name] = partial(clocked_run, start, epochs)
        about[peer.name] = {"first": first, "reached": bool(_loss(task, parameters) <= target)}
    loops = timed("", runs, rounds)["loops"]
    return {
        "case": case.to_dict(),
        "epochs": epochs,
        "loops": {name: loop | about[name] for name, loop in loops.items()},
        "skipped": skipped,
    }


def _epochs_needed(task: Task) -> tuple[int, float]:
    """Return the epochs until the NumPy engine is there, and the loss to be reached."""
    A = np.column_stack([task.X, np.ones(len(task.y))]).astype(np.float64)
    best = _loss(task, np.linalg.lstsq(A, task.y.astype(np.float64))[0])
    target = best + TOLERANCE * (_loss(task, np.zeros(A.shape[1])) - best)
    train = numpy_engine(task)()
    for epoch in range(1, MOST_EPOCHS):
        if _loss(task, train(1)[0]) <= target:
            return epoch, target
    raise RuntimeError(f"{task.optimizer!r} does not come near the optimum in {MOST_EPOCHS} epochs.")


def _loss(task: Task, parameters: Array) -> float:
    e = task.X.astype(np.float64) @ parameters[:-1] + parameters[-1] - task.y
    return float(np.mean(task.loss.value(e, *task.loss.constants(np.float64))))
