"""The ratio that continuous integration holds, and another: linreg's loops beside loops with nothing of linreg in them.

`python -m benchmarks.guard` prints, for SGD and Adam, the time of the NumPy engine over that of the bare calls of NumPy
and, where there is Numba, of the Numba engine over that of a loop written by hand; `--slowdown 1.5` slows linreg's
loops down by as much, to show that the ratios tell. Both of a pair do some hundred short runs in turns, and the
shortest of each counts: half a millisecond is rarely interrupted, and of hundreds some never are, whatever else the
machine does. That is repeated, the pairs in turns, and the median of the ratios is what is printed: a core is slower
for a second now and then, and one of the two may meet it alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.hot_loop.peers.floors import bare_calls
from benchmarks.hot_loop.peers.fused import hand_fused
from benchmarks.hot_loop.peers.interface import Make, Train
from benchmarks.hot_loop.peers.ours import numba_engine, numpy_engine
from benchmarks.interleaved import clocked, collected
from benchmarks.loops import Task
from linreg import SGD, Adam, MeanSquaredError
from linreg.optimizers import Optimizer
from linreg.training import Run

RULES = {"SGD": SGD(0.01), "Adam": Adam(0.001)}
STEPS, BATCH, FEATURES = 128, 32, 16
ROUNDS, REPEATS = 100, 7


def task(rule: Optimizer) -> Task:
    """Return one epoch of short steps, in which calls cost more than arithmetic."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((STEPS * BATCH, FEATURES), np.float32)
    y = X @ rng.standard_normal(FEATURES, np.float32) + rng.standard_normal(len(X), np.float32)
    return Task(rule, MeanSquaredError(), X, y, BATCH, STEPS)


def ratio(trains: list[Train], epochs: int) -> float:
    """Return the time of so many epochs of the first of two loops over that of the second, the shortest of each."""
    best = [float("inf"), float("inf")]
    with collected():
        for _ in range(ROUNDS):
            best = [
                min(least, clocked(lambda train=train: train(epochs)))
                for least, train in zip(best, trains, strict=True)
            ]
    return best[0] / best[1]


def slowed(work: Callable[..., Any], factor: float) -> Callable[..., Any]:
    """Return a part of a loop that takes so many times as long."""

    def slow(*arguments: Any) -> Any:
        begin = perf_counter()
        found = work(*arguments)
        end = begin + factor * (perf_counter() - begin)
        while perf_counter() < end:
            pass
        return found

    return slow


def main() -> None:
    """Print the ratios as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__)
    parser.add_argument("--slowdown", type=float, default=1.0, help="how many times slower linreg is made")
    parser.add_argument("--engine", choices=("numpy", "both"), default="both", help="whose loop")
    given = parser.parse_args()
    factor = given.slowdown
    pairs: dict[str, tuple[Make, Make, int]] = {"numpy": (numpy_engine, bare_calls, 1)}
    if given.engine == "both" and importlib.util.find_spec("numba"):
        pairs["numba"] = numba_engine, hand_fused, 8
    if factor > 1:
        Run._chunk = slowed(Run._chunk, factor)  # type: ignore[method-assign]
        if "numba" in pairs:
            from linreg.compiled.run import NumbaRun

            NumbaRun._steps = slowed(NumbaRun._steps, factor)  # type: ignore[method-assign]
    loops = {
        f"{engine}, {name}": ([make(task(rule), "cpu")() for make in pair], epochs)
        for engine, (*pair, epochs) in pairs.items()
        for name, rule in RULES.items()
    }
    found = [{name: ratio(*pair) for name, pair in loops.items()} for _ in range(REPEATS)]
    print(json.dumps({name: round(median(one[name] for one in found), 3) for name in loops}))


if __name__ == "__main__":
    main()
