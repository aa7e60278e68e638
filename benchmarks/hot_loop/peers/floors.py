"""What no loop can beat: one read of the data, and for a loop in Python the bare calls of NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from itertools import product
from typing import Any

import numpy as np

from benchmarks.hot_loop.peers.interface import MissingPeerError, Start, on_the_cpu_only
from benchmarks.interleaved import least
from benchmarks.loops import Task, minimal_numpy

IN_PARTS = 2**19
"""Numbers in a batch from which on all cores may read it: where `engine="numba"` calls for them too."""
NUMBERS = 2**19
"""Numbers to read, at least, to see which way is the fastest: a tenth of a millisecond."""


def bare_calls(task: Task, device: str = "cpu") -> Start:
    """The formulas in NumPy with nothing around them (`benchmarks.loops.minimal_numpy`): no loss, no history."""
    on_the_cpu_only(device)
    prepared = cache(lambda epochs: minimal_numpy(replace(task, steps=epochs * task.steps)))
    return lambda: lambda epochs: (prepared(epochs)()(), None)


def one_read(task: Task, device: str = "cpu") -> Start:
    """Read X, batch by batch, in the way that is fastest here.

    A sum on one core, in one place or in four at a time; for large batches on all cores; or a product of BLAS.
    """
    on_the_cpu_only(device)
    X = task.X.reshape(len(task.y) // task.batch_size, -1)
    all_cores = (False, True) if X.shape[1] >= IN_PARTS else (False,)
    ways = [_products(task), *(partial(_reader(*kind), X) for kind in product((_total, _total_of_quarters), all_cores))]
    enough = max(1, NUMBERS // X.size)
    # Cores that are busy with something else make all of them slower than one.
    read = min(ways, key=lambda way: least(partial(way, enough)))

    def train(epochs: int) -> Any:
        read(epochs)
        return None, None

    return lambda: train


def _products(task: Task) -> Callable[[int], None]:
    """Return what calls BLAS for the product of each batch with a vector."""
    features, kind = task.X.shape[1], task.X.dtype
    batches = [batch.dot for batch in task.X.reshape(-1, task.batch_size, features)]
    p, e = np.zeros(features, kind), np.empty(task.batch_size, kind)

    def read(epochs: int) -> None:
        for _ in range(epochs):
            for dot in batches:
                dot(p, e)

    return read


@cache
def _reader(of_numbers: Any, in_parts: bool) -> Any:
    try:
        import numba
    except ImportError as error:
        raise MissingPeerError(f"reading at full speed needs Numba, which cannot be imported ({error})") from None

    total = numba.njit(fastmath=True)(of_numbers)
    if not in_parts:
        return numba.njit(_reading(total))
    cores = numba.get_num_threads()

    @numba.njit(parallel=True)
    def of_a_batch(x):  # type: ignore[no-untyped-def]
        sums = np.zeros(cores, x.dtype)
        for k in numba.prange(cores):
            sums[k] = total(x[k * len(x) // cores : (k + 1) * len(x) // cores])
        return sums.sum()

    return numba.njit(_reading(of_a_batch))


def _total(x):  # type: ignore[no-untyped-def]
    s = x[0] * 0
    for i in range(len(x)):
        s += x[i]
    return s


def _total_of_quarters(x):  # type: ignore[no-untyped-def]
    s, n = x[0] * 0, len(x) // 4
    for i in range(n):
        s += (x[i] + x[i + n]) + (x[i + 2 * n] + x[i + 3 * n])
    for i in range(4 * n, len(x)):
        s += x[i]
    return s


def _reading(of_a_batch: Any) -> Any:
    def read(X, epochs):  # type: ignore[no-untyped-def]
        s = X[0, 0] * 0
        for _ in range(epochs):
            for b in range(len(X)):
                s += of_a_batch(X[b])
        return s

    return read
