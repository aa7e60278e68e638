"""What a step is made of where a figure is not reached: its parts, timed in turns beside the whole."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from time import perf_counter
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.hot_loop.measure import ROUNDS, clocked_run, epochs_in
from benchmarks.hot_loop.peers import BARE_CALLS, FUSED, NUMBA, NUMPY, PEERS, READ, SCAN, XLA, MissingPeerError
from benchmarks.hot_loop.peers.interface import Start, package
from benchmarks.hot_loop.peers.ours import numba_engine, numpy_engine
from benchmarks.hot_loop.table import Case
from benchmarks.hot_loop.whole import FULL, TWO_PASSES, timed, two_passes
from benchmarks.interleaved import clocked
from linreg.batches import Batches
from linreg.data.arrays import design_matrix
from linreg.steps import Rates
from linreg.training import Run

Profile = dict[str, Any]

LONG = Case("SGD", "MSE", 65_536, 512, 1024, "float32")
FIRST, BOTH, IN_BLOCKS = "A @ p", "A @ p, then A.T @ e", "both, 256 rows after the other"
WITHOUT_ONES = "both with X, without the column of ones"
SHORT = Case("Adam", "MSE", 1024, 1, 1, "float32"), Case("SGD", "MSE", 1024, 1, 32, "float64")
KERNEL, RATES, BESIDE = "the compiled loop alone", "learning rates of the steps", "history and calls"
LOSSES, ENDS = "losses of the batches", "ends of epochs"
PARTS = (KERNEL, RATES, BESIDE, LOSSES, ENDS)
ANY_ORDER = "the compiled loop, formulas fused at will"
ONE_CORE = "linreg numba, one core"
EACH = 0.04
"""Seconds of one timed run, about."""
WIDTHS, ROWS = (64, 128, 256, 512, 1024), 256
PRODUCTS = "two products of BLAS"


def long_rows_in_numpy(rounds: int = ROUNDS) -> Profile:
    """Time a NumPy step on long rows, the products in it, and one read of the same batches."""
    task = LONG.task()
    A = design_matrix(task.X, True)
    rows = LONG.batch
    p, e, g, part = np.zeros(A.shape[1], A.dtype), np.ones(rows, A.dtype), *np.zeros((2, A.shape[1]), A.dtype)
    products, of_x = (
        [(batch.dot, batch.T.dot) for batch in np.split(matrix, len(A) // rows)] for matrix in (A, task.X)
    )
    pieces = [[(piece.dot, piece.T.dot) for piece in np.split(batch, 4)] for batch in np.split(A, len(A) // rows)]
    error = e[: rows // 4]

    def first() -> None:
        for predict, _ in products:
            predict(p, e)

    def both() -> None:
        for predict, add_up in products:
            predict(p, e)
            add_up(e, g)

    def without_ones() -> None:
        for predict, add_up in of_x:
            predict(p[:-1], e)
            add_up(e, g[:-1])

    def in_blocks() -> None:
        for blocks in pieces:
            for predict, add_up in blocks:
                predict(p, error)
                add_up(error, part)
                np.add(g, part, g)

    starts = {name: PEERS[name].make(task, "cpu") for name in (NUMPY, READ)}
    runs: dict[str, Any] = {
        name: lambda work=work: clocked(work) / task.steps
        for name, work in ((FIRST, first), (BOTH, both), (WITHOUT_ONES, without_ones), (IN_BLOCKS, in_blocks))
    }
    runs |= {name: _epochs(start, 4, task.steps) for name, start in starts.items()}
    return timed(f"a step of {LONG.name}", runs, rounds)


def steps_in_numpy(case: Case, *beside: str, rounds: int = ROUNDS) -> Profile:
    """Time a step of the NumPy engine beside the bare calls of NumPy, one read of X, and its fastest peers."""
    own = case.task(PEERS[NUMPY].most_steps)
    start = numpy_engine(own)
    epochs = epochs_in(EACH, start)

    def ours() -> dict[str, float]:
        with _clocked_parts((Batches, "losses"), (Rates, "pairs"), (Run, "_end_epoch")) as parts:
            whole = clocked_run(start, epochs)
        found = {NUMPY: whole, RATES: parts["pairs"], LOSSES: parts["losses"], ENDS: parts["_end_epoch"]}
        return {name: taken / (epochs * own.steps) for name, taken in found.items()}

    runs: dict[str, Any] = {NUMPY: ours}
    skipped = {}
    for name in (BARE_CALLS, READ, *beside):
        task = case.task(PEERS[name].most_steps)
        try:
            peer = PEERS[name].make(task, "cpu")
        except MissingPeerError as reason:
            skipped[name] = str(reason)
            continue
        runs[name] = _epochs(peer, epochs_in(EACH, peer), task.steps)
    return timed(f"a step of {case.name}, in NumPy", runs, rounds) | {"skipped": skipped}


def of_misses(missed: Iterable[tuple[Case, str, str]]) -> dict[str, Callable[[], Profile]]:
    """Return a profile of each case in which a loop of linreg was too slow.

    Parameters
    ----------
    missed : iterable of tuple
        Cases, whose loop, and beside which.

    Returns
    -------
    dict
        By what the profile is of, a function that takes it.
    """
    beside: dict[tuple[Case, str], dict[str, None]] = {}
    for case, ours, peer in missed:
        beside.setdefault((case, ours), {})[peer] = None
    found: dict[str, Callable[[], Profile]] = {}
    for (case, ours), peers in beside.items():
        if ours == NUMBA:
            found[f"a step of {case.name}"] = functools.partial(compiled_steps, case, READ, *peers)
        else:
            others = [peer for peer in peers if peer != READ]
            found[f"a step of {case.name}, in NumPy"] = functools.partial(steps_in_numpy, case, *others)
    return found


def _epochs(start: Start, epochs: int, steps: int) -> Callable[[], float]:
    return lambda: clocked_run(start, epochs) / (epochs * steps)


def compiled_steps(case: Case, *beside: str, rounds: int = ROUNDS) -> Profile:
    """Time the parts of a compiled run, beside its fastest peers."""
    from linreg.compiled import run
    from linreg.compiled.run import NumbaRun

    task = case.task(16_384)
    start, fused_at_will = numba_engine(task), _kernel_fused_at_will()
    epochs = epochs_in(EACH, start)
    steps = epochs * task.steps

    def ours() -> dict[str, float]:
        with _clocked_parts((NumbaRun, "_call"), (Rates, "arrays")) as parts:
            whole = clocked_run(start, epochs)
        found = {NUMBA: whole, KERNEL: parts["_call"], RATES: parts["arrays"], BESIDE: whole - sum(parts.values())}
        return {name: taken / steps for name, taken in found.items()}

    def fused() -> float:
        with patch.object(run, "kernel", fused_at_will), _clocked_parts((NumbaRun, "_call")) as parts:
            clocked_run(start, epochs)
        return parts["_call"] / steps

    runs: dict[str, Any] = {NUMBA: ours, ANY_ORDER: fused}
    skipped = {}
    for name in beside:
        try:
            runs[name] = _epochs(PEERS[name].make(task, "cpu"), epochs, task.steps)
        except MissingPeerError as reason:
            skipped[name] = str(reason)
    return timed(f"a step of {case.name}", runs, rounds) | {"skipped": skipped}


@contextmanager
def _clocked_parts(*methods: tuple[type, str]) -> Iterator[dict[str, float]]:
    """Add up how long some methods take."""
    parts: dict[str, float] = {}

    def clock(cls: type, name: str) -> Any:
        method = getattr(cls, name)

        def timed_method(*given: Any) -> Any:
            begin = perf_counter()
            result = method(*given)
            parts[name] = parts.get(name, 0.0) + perf_counter() - begin
            return result

        return patch.object(cls, name, timed_method)

    with ExitStack() as patches:
        for method in methods:
            patches.enter_context(clock(*method))
        yield parts


def _kernel_fused_at_will() -> Callable[..., Any]:
    """Return what makes kernels whose formulas may be rounded and ordered in any way, and keeps them nowhere else."""
    from linreg.compiled import formulas, kernels

    def compiled(formula: Any) -> Any:
        inner = {name: compiled(function) for name, function in formulas.called(formula).items()}
        whole = formulas.bound(formula, **inner)
        return formulas.jit(whole, sums=True, pipeline_class=formulas.FormulaCompiler)

    @functools.cache
    def kernel(*given: Any) -> Any:
        with patch.object(kernels, "compiled", compiled), patch.object(formulas, "fingerprint", lambda *_: None):
            return kernels.kernel.__wrapped__(*given)

    return kernel


def full_batch_on_cores(rounds: int = ROUNDS) -> Profile:
    """Time a compiled full-batch step on all cores and on one, one read of X, and what NumPy needs."""
    from numba import get_num_threads, set_num_threads

    task, cores = FULL.task(), get_num_threads()
    step = _epochs(numba_engine(task), 1, 1)

    def on_one_core() -> float:
        set_num_threads(1)
        try:
            return step()
        finally:
            set_num_threads(cores)

    runs = {
        NUMBA: step,
        ONE_CORE: on_one_core,
        READ: _epochs(PEERS[READ].make(task, "cpu"), 1, 1),
        TWO_PASSES: two_passes(task),
    }
    return timed(f"a step of {FULL.name}", runs, rounds)


def long_case(features: int) -> Case:
    """Return the case of long rows that stay in the caches."""
    return Case("SGD", "MSE", 8 * ROWS, features, ROWS, "float32")


def long_rows_by_blas(features: int, rounds: int = ROUNDS) -> Profile:
    """Time a whole compiled step on one core beside nothing but the two products of BLAS on one core."""
    limits = package("threadpoolctl", "threadpoolctl").threadpool_limits
    case = long_case(features)
    task = case.task()
    A = design_matrix(task.X, True)
    p, e, g = np.zeros(A.shape[1], A.dtype), np.ones(ROWS, A.dtype), np.empty(A.shape[1], A.dtype)
    products = [(batch.dot, batch.T.dot) for batch in np.split(A, 8)]
    epochs = max(2, 2**22 // task.X.size)

    def by_blas() -> None:
        for _ in range(epochs):
            for predict, add_up in products:
                predict(p, e)
                add_up(e, g)

    runs = {
        NUMBA: _epochs(numba_engine(task), epochs, task.steps),
        PRODUCTS: lambda: clocked(by_blas) / (epochs * task.steps),
    }
    with limits(1, user_api="blas"):
        return timed(f"a step of {case.name}", runs, rounds)


def _or_why_not(work: Callable[[], Profile], name: str) -> Callable[[], Profile]:
    def run() -> Profile:
        try:
            return work()
        except (ImportError, MissingPeerError) as reason:
            return {"what": name, "loops": {}, "skipped": {f"profile of {name}": str(reason)}}

    return run


PROFILES: dict[str, Callable[[], Profile]] = {
    name: _or_why_not(work, name)
    for name, work in {
        "long rows in NumPy": long_rows_in_numpy,
        "steps of one row": lambda: compiled_steps(SHORT[0], FUSED, XLA, SCAN),
        "short steps in float64": lambda: compiled_steps(SHORT[1], FUSED, XLA, SCAN),
        "full batches": full_batch_on_cores,
        **{f"BLAS, d = {width}": lambda width=width: long_rows_by_blas(width) for width in WIDTHS},
    }.items()
}
"""The profiles of a run by name; without Numba, most of them have nothing but the reason."""
