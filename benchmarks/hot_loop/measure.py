"""Time the loops of one case in turns, each checked first; warm-up and compiling stand apart."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.hot_loop.check import STEPS, Expected
from benchmarks.hot_loop.peers import MissingPeerError, Peer
from benchmarks.hot_loop.peers.interface import Start
from benchmarks.hot_loop.table import Case
from benchmarks.interleaved import clocked, collected
from benchmarks.loops import Task

ROUNDS = 7
EACH = 0.02
"""Seconds that one timed run takes, about, where an epoch is shorter."""
WARM_UP = 0.1
"""Seconds for which a loop runs before it is timed: until the threads of the loop before it sleep, and its own have a
core each. Without, loops on several cores took from one to thirty times as long, by chance."""


def measure(
    case: Case,
    peers: Iterable[Peer],
    *,
    device: str = "cpu",
    rounds: int = ROUNDS,
    each: float = EACH,
    advance: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Time a step of each loop of one case.

    Parameters
    ----------
    case : Case
        The work.
    peers : iterable of Peer
        The loops.
    device : {"cpu", "cuda"}
        Where the peers are to work.
    rounds : int
        Rounds in which every loop has a turn; one more comes first and does not count.
    each : float
        Seconds of one timed run, about.
    advance : callable
        Told the name of each loop that is built.

    Returns
    -------
    dict
        The case; of each loop the microseconds of a step, round by round, and their median, the seconds until its first
        epoch was done (building, tracing, compiling), and the check; and of those that are missing, the reason.
    """
    with collected():  # a collection in the middle would count as compiling, or as a step
        loops, skipped = _built(case, peers, device, advance)
        order = list(loops.values())
        for loop in order:
            loop.calibrate(each)
        for turn in range(rounds + 1):
            for loop in order if turn % 2 else reversed(order):
                loop.turn(counts=turn > 0)
    return {
        "case": case.to_dict(),
        "loops": {name: loop.record() for name, loop in loops.items()},
        "skipped": skipped,
    }


def _built(
    case: Case, peers: Iterable[Peer], device: str, advance: Callable[[str], None]
) -> tuple[dict[str, _Loop], dict[str, str]]:
    """Return the loops that can be had, built and checked, and why the others are missing."""
    loops: dict[str, _Loop] = {}
    skipped: dict[str, str] = {}
    expected: dict[int, Expected] = {}
    for peer in peers:
        if not peer.suits(case):
            continue
        advance(peer.name)
        try:
            loops[peer.name] = _Loop(case, peer, device, expected)
        except MissingPeerError as reason:
            skipped[peer.name] = str(reason)
        except Exception as error:
            if peer.kind != "peer":
                raise
            # A library that fails here must not cost what has been measured of the others.
            skipped[peer.name] = f"it failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return loops, skipped


def warm_up(work: Callable[[], object], takes: float = 0.0) -> None:
    """Do something again and again, for `WARM_UP` seconds; not if it `takes` several times as long."""
    if takes > 5 * WARM_UP:
        return
    begin = perf_counter()
    while perf_counter() - begin < WARM_UP:
        work()


def clocked_run(start: Start, epochs: int) -> float:
    """Return the seconds that a loop takes for some epochs from zeros, to which it goes back outside of the clock."""
    train = start()
    return clocked(lambda: train(epochs))


def epochs_in(seconds: float, start: Start) -> int:
    """Return for how many epochs a loop runs in so many seconds, about, in one call."""
    warm_up(functools.partial(start(), 1))
    epochs = 1
    for _ in range(4):
        # The shortest of three runs: threads may wait for a core for a tenth of a second.
        times: list[float] = []
        while len(times) < 3 and sum(times) < 1:
            times.append(clocked_run(start, epochs))
        if min(times) > seconds / 2:
            break
        epochs *= min(100, math.ceil(seconds / min(times)))
    return epochs


def _expected(task: Task, known: dict[int, Expected]) -> Expected:
    if task.steps not in known:
        known[task.steps] = Expected.of(task)
    return known[task.steps]


class _Loop:
    """One loop, built and checked; `turn` times it."""

    def __init__(self, case: Case, peer: Peer, device: str, expected: dict[int, Expected]) -> None:
        task = case.task(peer.most_steps)
        peer.choose(task, device)
        begin = perf_counter()
        self._start: Start = peer.make(task, device)
        self._start()(1)
        self._ready = perf_counter() - begin
        self._steps, self._rows = task.steps, len(task.y)
        self._check: dict[str, Any] = {}
        if peer.trains:
            start, known = self._start, _expected(task, expected)
            anew = known.tells_little and task.steps > STEPS
            if anew:
                # In the thousands of steps of its epoch rounding grows: the loop is built once more, for the first few.
                task = case.task(STEPS)
                start, known = peer.make(task, device), _expected(task, expected)
            self._check = known.compare(*start()(known.epochs), in_float32=peer.loss_in_float32) | {"built anew": anew}
        self._epochs, self._takes = 1, 0.0
        self._times: list[float] = []

    def calibrate(self, each: float) -> None:
        """Find out for how many epochs to run, so that a call takes about `each` seconds."""
        self._epochs = epochs_in(each, self._start)

    def turn(self, *, counts: bool) -> None:
        warm_up(functools.partial(self._start(), self._epochs), self._takes)
        self._takes = clocked_run(self._start, self._epochs)
        if counts:
            self._times.append(float(f"{self._takes / (self._epochs * self._steps) * 1e6:.4g}"))

    def record(self) -> dict[str, Any]:
        return {
            "us": median(self._times),
            "rounds": self._times,
            "steps": self._epochs * self._steps,
            "rows": self._rows,
            "seconds until ready": float(f"{self._ready:.3g}"),
            "check": self._check,
        }
