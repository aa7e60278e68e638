"""Microseconds of one step: linreg's loop, the same formulas with nothing around them, and `model.fit`."""

from dataclasses import replace

import numpy as np
import pytest
from agreement import rounding_bound
from interleaved import interleaved, seconds
from loops import LOOPS, Task

from linreg import SGD, Adam, Huber, MeanSquaredError, RMSprop

ROWS, FEATURES, BATCH = 1024, 16, 32
OPTIMIZERS = [SGD(0.01), RMSprop(0.001), Adam(0.001)]
LOSSES = [MeanSquaredError(), Huber()]
EPOCHS = 20

each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda it: type(it).__name__)
each_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda it: type(it).__name__)


def task_of(optimizer, loss, epochs=EPOCHS):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, FEATURES)).astype(np.float32)
    y = (X @ rng.normal(size=FEATURES) + 1 + 0.1 * rng.normal(size=ROWS)).astype(np.float32)
    return Task(optimizer, loss, X, y, BATCH, steps=epochs * ROWS // BATCH)


def trained(name, task):
    return LOOPS[name](task)()()


@each_loss
@each_optimizer
@pytest.mark.parametrize("name", LOOPS)
def test_step(benchmark, name, optimizer, loss):
    task = task_of(optimizer, loss)
    benchmark.group = f"{task.steps} steps of {BATCH} x {FEATURES}, {optimizer!r}, {loss!r}"
    prepare = LOOPS[name](task)
    result = benchmark.pedantic(lambda train: train(), setup=lambda: ((prepare(),), {}), rounds=7, warmup_rounds=1)
    expected = trained("linreg", task)
    difference, bound = np.abs(result - expected).max(), rounding_bound(task, expected)
    benchmark.extra_info |= {
        "parameters": result.tolist(),
        "largest difference to linreg": float(difference),
        "allowed": float(bound),
    }
    if benchmark.stats is not None:
        benchmark.extra_info["microseconds a step"] = benchmark.stats.stats.median / task.steps * 1e6
    assert difference <= bound


@each_loss
@each_optimizer
def test_bound_rejects_a_run_that_is_one_step_short(optimizer, loss):
    task = task_of(optimizer, loss)
    whole, short = (trained("minimal NumPy", t) for t in (task, replace(task, steps=task.steps - 1)))
    assert np.abs(whole - short).max() > rounding_bound(task, whole)


def step_timer(name, optimizer, loss, epochs):
    task = task_of(optimizer, loss, epochs)
    prepare = LOOPS[name](task)
    return lambda: seconds(prepare()) / task.steps


@pytest.mark.ratio
@each_loss
@pytest.mark.parametrize("optimizer", [OPTIMIZERS[0], OPTIMIZERS[2]], ids=lambda it: type(it).__name__)
@pytest.mark.parametrize(
    ("peer", "at_most", "epochs", "rounds"),
    [("minimal NumPy", 2, 100, 31), ("keras model.fit", 1 / 150, 10, 9)],
    ids=["minimal NumPy", "keras model.fit"],
)
def test_step_of_linreg_costs_at_most(hold, peer, at_most, epochs, rounds, optimizer, loss):
    own, other = step_timer("linreg", optimizer, loss, 100), step_timer(peer, optimizer, loss, epochs)
    ratio = interleaved(own, other, rounds=rounds)
    hold(f"a step of linreg to one of {peer}, {optimizer!r}, {loss!r}", ratio, at_most)
