"""Two things timed in turns, so that whatever slows the machine down slows both."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from statistics import median, quantiles
from time import perf_counter


@dataclass(frozen=True)
class Ratio:
    """Times of two things, round by round, in seconds a unit of their work."""

    first: list[float]
    second: list[float]

    @property
    def rounds(self) -> list[float]:
        return [a / b for a, b in zip(self.first, self.second, strict=True)]

    @property
    def median(self) -> float:
        return median(self.rounds)

    def __str__(self) -> str:
        low, _, high = quantiles(self.rounds)
        return (
            f"{self.median:.4g} times (quartiles {low:.4g} to {high:.4g} of {len(self.rounds)} rounds; "
            f"{median(self.first) * 1e6:.4g} against {median(self.second) * 1e6:.4g} us)"
        )


def interleaved(first: Callable[[], float], second: Callable[[], float], *, rounds: int) -> Ratio:
    """Call both in turns; each returns the seconds that it took a unit of its work. The first round does not count."""
    pairs = [(first(), second()) for _ in range(rounds + 1)][1:]
    return Ratio([a for a, _ in pairs], [b for _, b in pairs])


@contextmanager
def collected() -> Iterator[None]:
    """Collect garbage once before the block, and not in it: for many short runs, each of which `seconds` would collect.

    With TensorFlow, JAX and PyTorch loaded one collection takes longer than most of what is timed.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def clocked(work: Callable[[], object]) -> float:
    """Return how long something takes, in seconds; to be called inside of `collected`."""
    start = perf_counter()
    work()
    return perf_counter() - start


def least(work: Callable[[], object], during: float = 0.1) -> float:
    """Return the shortest of all the runs of something that fit into so many seconds, after a first one."""
    work()
    begin, shortest = perf_counter(), clocked(work)
    while perf_counter() - begin < during:
        shortest = min(shortest, clocked(work))
    return shortest


def quickest(works: Sequence[Callable[[], object]], during: float = 0.1) -> int:
    """Return which of several things takes the least time: each has so many seconds, and three turns at least."""
    for work in works:
        work()
    shortest, begin, turns = [inf] * len(works), perf_counter(), 0
    while turns < 3 or perf_counter() - begin < during * len(works):
        shortest = [min(so_far, clocked(work)) for so_far, work in zip(shortest, works, strict=True)]
        turns += 1
    return shortest.index(min(shortest))


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes, in seconds, with garbage collected before and not in it."""
    with collected():
        return clocked(work)
