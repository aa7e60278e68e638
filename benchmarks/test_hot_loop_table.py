"""The table of `benchmarks.hot_loop`: every loop of every case does the same work, and how long a step takes.

`pytest benchmarks/test_hot_loop_table.py --benchmark-only` times the four cases of a quick run; `--hot-loop=standard`,
those of `linreg bench`, which takes half an hour; `--hot-loop=all`, every case of the table, as the page on speed has.
"""

import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the package benchmarks.hot_loop

from benchmarks.hot_loop import run, table
from benchmarks.hot_loop.check import Expected
from benchmarks.hot_loop.peers import PEERS, MissingPeerError
from benchmarks.hot_loop.peers.ours import numpy_engine
from benchmarks.hot_loop.table import Case
from linreg import Huber, RMSprop


def pytest_generate_tests(metafunc):
    if "timed_case" in metafunc.fixturenames:
        which = metafunc.config.getoption("--hot-loop")
        cases = {"quick": table.quick, "standard": table.standard, "all": table.cases}[which]()
        pairs = [(case, peer) for case in cases for peer in run.loops_of(case, list(PEERS.values()), which)]
        metafunc.parametrize(
            ("timed_case", "peer"),
            [pytest.param(case, peer, id=f"{case.name}, {peer.name}") for case, peer in pairs if peer.suits(case)],
        )


def made(peer, task):
    try:
        return peer.make(task, "cpu")
    except MissingPeerError as reason:
        pytest.skip(f"{peer.name}: {reason}")


@lru_cache(maxsize=3)  # a case has up to three lengths of an epoch
def expected_of(case, most_steps):
    return Expected.of(case.task(most_steps))


def test_a_step(benchmark, timed_case, peer):
    task = timed_case.task(peer.most_steps)
    benchmark.group = timed_case.name
    start, epochs = made(peer, task), max(1, peer.most_steps // task.steps)
    found = {}
    if peer.trains:
        expected = expected_of(timed_case, peer.most_steps)
        found = expected.compare(*start()(expected.epochs), in_float32=peer.loss_in_float32)
    benchmark.extra_info |= {
        "case": timed_case.to_dict(),
        "loop": peer.name,
        "check": found,
        "steps": epochs * task.steps,
    }
    benchmark.pedantic(lambda train: train(epochs), setup=lambda: ((start(),), {}), rounds=7, warmup_rounds=1)
    if benchmark.stats is not None:
        benchmark.extra_info["microseconds a step"] = benchmark.stats.stats.median / (epochs * task.steps) * 1e6
    assert found.get("equal", True), found


SMALL = [Case(rule, loss, 1024, 16, 32, dtype) for rule in table.OPTIMIZERS for loss in table.LOSSES
         for dtype in table.DTYPES]  # fmt: skip
ROWS = [Case("SGD", loss, 1024, 16, 1, "float64") for loss in table.LOSSES]


@pytest.mark.parametrize("case", SMALL + ROWS, ids=lambda case: case.name)
@pytest.mark.parametrize("peer", [peer for peer in PEERS.values() if peer.trains], ids=lambda peer: peer.name)
def test_every_loop_ends_where_the_numpy_engine_does(case, peer):
    if not peer.suits(case):
        pytest.skip(f"{peer.name} cannot do this work")
    task = case.task(64)
    expected = Expected.of(task)
    found = expected.compare(*made(peer, task)()(expected.epochs), in_float32=peer.loss_in_float32)
    assert found["equal"], found


def one_step_less(task):
    return replace(task, X=task.X[: -task.batch_size], y=task.y[: -task.batch_size], steps=task.steps - 1)


def rate_a_little_off(task):
    return replace(task, optimizer=task.optimizer.set_params(learning_rate=task.optimizer.learning_rate * 1.001))


def delta_a_little_off(task):
    return replace(task, loss=Huber(1.001)) if isinstance(task.loss, Huber) else rate_a_little_off(task)


def rows_in_another_order(task):
    return replace(task, X=np.roll(task.X, 1, axis=0), y=np.roll(task.y, 1))


def epsilon_of_keras(task):
    if not isinstance(task.optimizer, RMSprop):
        pytest.skip("of SGD there is no epsilon, and of Adam it moves less than rounding does here")
    return replace(task, optimizer=task.optimizer.set_params(epsilon=1e-3))


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
@pytest.mark.parametrize(
    "other", [one_step_less, rate_a_little_off, delta_a_little_off, rows_in_another_order, epsilon_of_keras]
)
def test_the_bound_rejects_other_work(case, other):
    task = case.task()
    expected = Expected.of(task)
    assert not expected.compare(*numpy_engine(other(task))()(expected.epochs))["equal"]
