"""The ratio that continuous integration holds: linreg's loop to the bare calls of NumPy, in one process.

`python -m benchmarks.guard` prints it for SGD and Adam; `--slowdown 1.5` slows linreg's loop down by as much, to show
that the ratio tells. Both loops do some hundred epochs in turns, and the shortest of each counts: half a millisecond is
rarely interrupted, and of hundreds some never are, whatever else the machine does.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.interleaved import clocked, collected
from benchmarks.loops import Task, linreg_loop, minimal_numpy
from linreg import SGD, Adam, MeanSquaredError
from linreg.optimizers import Optimizer
from linreg.training import Run

RULES = {"SGD": SGD(0.01), "Adam": Adam(0.001)}
STEPS, BATCH, FEATURES, ROUNDS = 128, 32, 16, 300


def task(rule: Optimizer) -> Task:
    """Return one epoch of short steps, in which calls cost more than arithmetic."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((STEPS * BATCH, FEATURES), np.float32)
    y = X @ rng.standard_normal(FEATURES, np.float32) + rng.standard_normal(len(X), np.float32)
    return Task(rule, MeanSquaredError(), X, y, BATCH, STEPS)


def ratio(rule: Optimizer) -> float:
    """Return the time of linreg's loop over that of the bare calls, the shortest of each."""
    trains = [loop(task(rule))() for loop in (linreg_loop, minimal_numpy)]
    best = [float("inf"), float("inf")]
    with collected():
        for _ in range(ROUNDS):
            best = [min(least, clocked(train)) for least, train in zip(best, trains, strict=True)]
    return best[0] / best[1]


def slowed(chunk: Callable[..., Any], factor: float) -> Callable[..., Any]:
    """Return a chunk of the hot loop that takes so many times as long."""

    def slow(*arguments: Any) -> Any:
        begin = perf_counter()
        found = chunk(*arguments)
        end = begin + factor * (perf_counter() - begin)
        while perf_counter() < end:
            pass
        return found

    return slow


def main() -> None:
    """Print the ratios as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__)
    parser.add_argument("--slowdown", type=float, default=1.0, help="how many times slower linreg is made")
    factor = parser.parse_args().slowdown
    if factor > 1:
        Run._chunk = slowed(Run._chunk, factor)  # type: ignore[method-assign]
    print(json.dumps({name: round(ratio(rule), 3) for name, rule in RULES.items()}))


if __name__ == "__main__":
    main()
