"""Many learning rates at once: `sweep` beside `jax.vmap` of `lax.scan` and beside runs one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.agreement import rounding_bound
from benchmarks.hot_loop.measure import ROUNDS
from benchmarks.hot_loop.peers import MissingPeerError
from benchmarks.hot_loop.peers.interface import in_batches, package, written_update
from benchmarks.hot_loop.peers.jax_loops import FORMS
from benchmarks.hot_loop.peers.ours import numba_engine, numpy_engine
from benchmarks.hot_loop.table import Case
from benchmarks.hot_loop.whole import timed
from benchmarks.interleaved import clocked, collected, quickest
from benchmarks.loops import Task
from linreg import sweep

EPOCHS = 200
"""So many that the checks and the history of the call, which users pay for, are a small part."""
SINGLE = 16
"""Of the rates, so many are run one by one; the time is a configuration's, so that does not matter."""


def rates(count: int) -> Any:
    """Return learning rates, smaller and larger than a good one, all of them stable."""
    return np.geomspace(2.0**-12, 2.0**-6, count)


def linreg_sweep(engine: str) -> Any:
    """Return what makes a function that calls `sweep`, checks and history included, and returns all parameters."""

    def make(task: Task, epochs: int, count: int) -> Any:
        def run() -> Any:
            found = sweep(
                task.X, task.y, optimizer=task.optimizer, learning_rate=rates(count).tolist(), epochs=epochs,
                batch_size=task.batch_size, shuffle=False, kernel_initializer="zeros", dtype=task.X.dtype.name,
                engine=engine,
            )  # fmt: skip
            return np.column_stack([found.coef_, found.intercept_])

        try:
            run()
        except ImportError as error:
            raise MissingPeerError(str(error)) from None
        return run

    return make


def jax_vmap(task: Task, epochs: int, count: int) -> Any:
    """Return the same sweep by JAX, compiled beforehand, in the form that is the fastest here."""
    forms = [_jax_vmap(task, epochs, count, *form) for form in FORMS]
    with collected():
        return forms[quickest(forms)]


def _jax_vmap(task: Task, epochs: int, count: int, by_sum: bool, unroll: int) -> Any:
    """Return the same sweep by JAX, with the loss of each epoch."""
    jax = package("jax", "jax")
    jnp = jax.numpy
    X, y = map(jnp.asarray, in_batches(task))

    def one(rate: Any) -> Any:
        rule = replace_rate(task.optimizer, rate)

        def step(carry: Any, batch: Any) -> Any:
            p, m, v, t = carry
            a, target = batch
            e = ((a * p[:-1]).sum(1) if by_sum else a @ p[:-1]) + p[-1] - target
            s = 2 / task.batch_size * e
            g = jnp.append((s[:, None] * a).sum(0) if by_sum else s @ a, s.sum())
            return (*written_update(rule, jnp.sqrt, p, g, m, v, t), t + 1), (e * e).mean()

        def epoch(carry: Any, _: Any) -> Any:
            carry, losses = jax.lax.scan(step, carry, (X, y), unroll=unroll)
            return carry, losses.mean()

        zeros = jnp.zeros(task.X.shape[1] + 1)
        (p, *_), losses = jax.lax.scan(epoch, (zeros, zeros, zeros, jnp.float32(1)), length=epochs)
        return p, losses

    compiled, given = jax.jit(jax.vmap(one)), jnp.asarray(rates(count), jnp.float32)
    return lambda: np.asarray(jax.block_until_ready(compiled(given))[0])


def replace_rate(rule: Any, rate: Any) -> Any:
    """Return a stand-in for a rule that holds a traced learning rate, which the rule itself would refuse."""
    from types import SimpleNamespace

    return SimpleNamespace(**{**{name: getattr(rule, name) for name in rule.get_params()}, "learning_rate": rate})


def single_runs(engine: Any) -> Any:
    """Return what makes a function that trains `SINGLE` of the rates one by one."""

    def make(task: Task, epochs: int, count: int) -> Any:
        chosen = rates(count)[:: max(1, count // SINGLE)]
        starts = [engine(replace(task, optimizer=task.optimizer.set_params(learning_rate=float(r)))) for r in chosen]

        def run() -> Any:
            return np.array([start()(epochs)[0] for start in starts])

        run()
        return run

    return make


SWEPT, SWEPT_BY_NUMPY, VMAP = "linreg sweep, numba", "linreg sweep, numpy", "jax.vmap of scan"
ONE_BY_ONE = "single runs, linreg numba"
SWEEPS = {
    SWEPT: linreg_sweep("numba"),
    SWEPT_BY_NUMPY: linreg_sweep("numpy"),
    ONE_BY_ONE: single_runs(numba_engine),
    VMAP: jax_vmap,
}


def measure_sweep(optimizer: str, count: int, rounds: int = ROUNDS) -> dict[str, Any]:
    """Time a configuration's step, of 1024 x 16 in batches of 32.

    Parameters
    ----------
    optimizer : {"SGD", "Adam"}
        The rule.
    count : int
        Learning rates.
    rounds : int
        Rounds in which each has a turn; one more comes first.

    Returns
    -------
    dict
        The sweep; of each way its microseconds a configuration and step, and whether its parameters are those of the
        NumPy engine's own runs; of what is missing, the reason.
    """
    task = Case(optimizer, "MSE", 1024, 16, 32, "float32").task()
    runs: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    for name, make in SWEEPS.items():
        try:
            runs[name] = make(task, EPOCHS, count)
        except MissingPeerError as reason:
            skipped[name] = str(reason)
    checks = _checks(task, count, runs)
    steps = {name: (min(SINGLE, count) if name == ONE_BY_ONE else count) * EPOCHS * task.steps for name in runs}
    clocks = {name: lambda run=run, steps=steps[name]: clocked(run) / steps for name, run in runs.items()}
    loops = timed("", clocks, rounds)["loops"]
    return {
        "sweep": {"optimizer": optimizer, "rates": count, "rows": 1024, "features": 16, "batch": 32, "epochs": EPOCHS},
        "loops": {name: loop | {"check": checks[name]} for name, loop in loops.items()},
        "skipped": skipped,
    }


def _checks(task: Task, count: int, runs: dict[str, Any]) -> dict[str, Any]:
    every = max(1, count // SINGLE)
    expected = single_runs(numpy_engine)(task, EPOCHS, count)()
    bounds = [
        rounding_bound(
            replace(task, optimizer=task.optimizer.set_params(learning_rate=float(rate)), steps=EPOCHS * task.steps),
            own,
        )
        for rate, own in zip(rates(count)[::every], expected, strict=True)
    ]
    checks = {}
    for name, run in runs.items():
        found = run()
        apart = np.abs((found if name == ONE_BY_ONE else found[::every]) - expected).max(axis=1)
        checks[name] = {
            "difference": float(apart.max()),
            "allowed": float(np.max(bounds)),
            "equal": bool((apart <= bounds).all()),
        }
    return checks
