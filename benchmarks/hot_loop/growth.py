"""How the cost of a step grows with rows (of a full batch), features, and configurations of a sweep."""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np

from benchmarks.hot_loop.measure import ROUNDS, measure, warm_up
from benchmarks.hot_loop.peers import NUMBA, NUMPY, PEERS, READ
from benchmarks.hot_loop.sweeps import EPOCHS, SWEEPS, SWEPT, SWEPT_BY_NUMPY
from benchmarks.hot_loop.table import Case
from benchmarks.interleaved import clocked, collected

ROWS, FEATURES, COUNTS = [2**k for k in (14, 16, 18, 20, 21, 22)], [64, 128, 256, 512, 1024], [64, 128, 256, 512, 1024]
"""From where the work of a step is more than the calls around it."""
IN_MEMORY = 2**20
"""Rows from which X, of 134 MB and more, is read from memory alone."""
LARGE = "n, in memory"
AXES = {
    "n": "rows of a full batch, 32 features",
    LARGE: "the same, X of 134 MB and more",
    "d": "features, batches of 256",
    "K": "learning rates, 16 features",
}


def point(axis: str, size: int, rounds: int = ROUNDS) -> dict[str, Any]:
    """Time a step of one size.

    Parameters
    ----------
    axis : {"n", "d", "K"}
        What grows.
    size : int
        How large it is.
    rounds : int
        Rounds.

    Returns
    -------
    dict
        Axis, size and the microseconds of a step (of a sweep: of all its configurations together) by loop.
    """
    if axis == "K":
        task = Case("SGD", "MSE", 1024, 16, 32, "float32").task()
        us = {}
        for name in (SWEPT, SWEPT_BY_NUMPY):
            run = SWEEPS[name](task, EPOCHS // 4, size)
            warm_up(run)
            with collected():
                taken = median(clocked(run) for _ in range(rounds)) / (EPOCHS // 4 * task.steps)
            us[name] = float(f"{taken * 1e6:.4g}")
        return {"axis": axis, "size": size, "us": us}
    shape = (size, 32, size) if axis == "n" else (2048, size, 256)
    found = measure(Case("SGD", "MSE", *shape, "float32"), [PEERS[NUMPY], PEERS[NUMBA], PEERS[READ]], rounds=rounds)
    return {"axis": axis, "size": size, "us": {name: loop["us"] for name, loop in found["loops"].items()}}


def slopes(points: list[dict[str, Any]]) -> dict[tuple[str, str], float]:
    """Return the slope of log cost against log size, by axis and loop: 1 is linear."""
    found = {}
    for axis in AXES:
        along = [p for p in points if p["axis"] == axis[0] and (axis != LARGE or p["size"] >= IN_MEMORY)]
        for name in along[0]["us"] if len(along) > 1 else ():
            x, y = zip(*((np.log(p["size"]), np.log(p["us"][name])) for p in along), strict=True)
            found[axis, name] = float(np.polyfit(x, y, 1)[0])
    return found
