"""`engine="numba"` against the fastest loops that can be had, at the same work with the result checked equal."""

import numpy as np
import pytest
from agreement import rounding_bound
from compiled_peers import PEERS, linreg_numba
from interleaved import interleaved, seconds
from loops import Task, keras_fit

from linreg import SGD, Adam, Huber, LinearRegression, MeanSquaredError, RMSprop

pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")

SHAPES = [(1024, 1, 32), (1024, 16, 32), (4096, 128, 64)]
WORK = 2**25
"""Numbers of X that a run reads: some milliseconds."""


def table(rows, features):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, features)).astype(np.float32)
    return X, (X @ rng.normal(size=features) + 1 + 0.1 * rng.normal(size=rows)).astype(np.float32)


def task_of(shape, optimizer, loss, work=WORK):
    rows, features, batch_size = shape
    epochs = max(1, work // (rows * (features + 8)))
    return Task(optimizer, loss, *table(rows, features), batch_size, steps=epochs * rows // batch_size)


AT_LEAST = {
    # How many times the peer's time is ours, by shape; one feature is JAX's best case.
    "hand-fused Numba": dict.fromkeys(SHAPES, 0.95),
    "tf.function XLA loop": dict.fromkeys(SHAPES, 1.0),
    "JAX scan": {**dict.fromkeys(SHAPES, 1.0), SHAPES[0]: 0.5},
}
CASES = [
    pytest.param(peer, shape, optimizer, loss, id=f"{peer}, {shape}, {type(optimizer).__name__}, {type(loss).__name__}")
    for peer in PEERS
    for shape in SHAPES
    for optimizer in (SGD(0.01), RMSprop(0.001), Adam(0.001))
    for loss in (MeanSquaredError(), Huber())
    if not (peer == "hand-fused Numba" and isinstance(optimizer, RMSprop))
]


@pytest.mark.ratio
@pytest.mark.parametrize(("peer", "shape", "optimizer", "loss"), CASES)
def test_a_step_of_the_numba_engine_costs_at_most(hold, peer, shape, optimizer, loss):
    # Agreement over few steps, where rounding has not grown; time over many.
    short = task_of(shape, optimizer, loss, work=2**21)
    ours, theirs = (loop(short)()() for loop in (linreg_numba, PEERS[peer]))
    assert np.abs(ours - theirs).max() <= rounding_bound(short, ours)
    task = task_of(shape, optimizer, loss)
    timers = [timer(loop(task), task.steps) for loop in (linreg_numba, PEERS[peer])]
    ratio = interleaved(*timers, rounds=15)
    what = f"a step of engine='numba' to one of {peer}, {shape[0]} x {shape[1]} by {shape[2]}, {optimizer!r}, {loss!r}"
    hold(what, ratio, at_most=1 / AT_LEAST[peer][shape])


def timer(prepare, steps):
    def timed():
        train = prepare()
        return seconds(train) / steps

    return timed


@pytest.mark.ratio
def test_a_full_batch_step_takes_at_most_the_time_of_two_reads_in_numpy_by_1_8(hold):
    rows, features = 2_000_000, 32
    X, y = table(rows, features)
    task = Task(SGD(0.01), MeanSquaredError(), X, y, rows, steps=1)
    p, e, g = np.zeros(features, np.float32), np.empty(rows, np.float32), np.empty(features, np.float32)

    def two_passes():
        X.dot(p, e)
        X.T.dot(e, g)

    ratio = interleaved(timer(linreg_numba(task), 1), lambda: seconds(two_passes), rounds=15)
    hold("a full batch of 2,000,000 x 32 to X @ w and X.T @ e in NumPy", ratio, at_most=1 / 1.8)


@pytest.mark.ratio
@pytest.mark.parametrize("optimizer", [SGD(0.01), Adam(0.001)], ids=lambda it: type(it).__name__)
def test_fit_of_100_rows_takes_at_most_a_300th_of_keras(hold, optimizer):
    X, y = table(100, 1)
    model = LinearRegression(optimizer, epochs=100, engine="numba", random_state=0)
    keras = keras_fit(Task(optimizer, MeanSquaredError(), X, y, 32, steps=320))
    ratio = interleaved(lambda: seconds(lambda: model.fit(X, y)), timer(keras, 1), rounds=9)
    hold(f"fit of 100 epochs of 100 x 1, shuffled, the whole call, to model.fit, {optimizer!r}", ratio, at_most=1 / 300)
