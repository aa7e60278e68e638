"""A step on a GPU: linreg on CuPy arrays, linreg on the host, and `model.fit` of Keras on the same GPU.

Whoever hands work to a GPU is told at once that it is done, so each loop fetches its parameters before the clock is
stopped, and begins with nothing left to do. Which card it was is in `extra_info`; `CUDA_VISIBLE_DEVICES` selects one.
Nothing is promised here: where a GPU pays depends on the card, and is read off the tables.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from agreement import rounding_bound

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the package benchmarks.hot_loop

from benchmarks.hot_loop.peers import MissingPeerError
from benchmarks.hot_loop.peers.keras_loops import fit as keras_fit
from benchmarks.hot_loop.peers.ours import numpy_engine
from benchmarks.hot_loop.peers.tf_loops import tensorflow
from benchmarks.loops import Task
from linreg import SGD, Adam, MeanSquaredError
from linreg.data.arrays import design_matrix
from linreg.devices import cuda

SHAPES = [(1024, 16, 32), (4096, 128, 1024), (65_536, 512, 1024), (1_000_000, 32, 1_000_000)]
STEPS = 64
"""At least so many, in whole epochs: what an epoch costs by itself is spread over them."""


@pytest.fixture(scope="module")
def card():
    """Name of the current GPU; the module is skipped without one, with the reason printed."""
    try:
        cuda()
    except (ImportError, RuntimeError) as error:
        pytest.skip(str(error))
    import cupy

    return cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()


def task_of(shape, optimizer):
    rows, features, batch_size = shape
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, features)).astype(np.float32)
    y = (X @ rng.normal(size=features) + 1 + 0.1 * rng.normal(size=rows)).astype(np.float32)
    return Task(optimizer, MeanSquaredError(), X, y, batch_size, steps=rows // batch_size)


def bare_products(task):
    """What no loop can do without: both products of every batch, back to back. It trains nothing."""
    device = cuda()
    A = device.put(design_matrix(task.X, True))
    p, g = (device.put(np.zeros(A.shape[1], np.float32)) for _ in range(2))
    e = device.put(np.zeros(task.batch_size, np.float32))
    batches = [A[start : start + task.batch_size] for start in range(0, len(A), task.batch_size)]

    def train(epochs):
        for _ in range(epochs):
            for batch in batches:
                batch.dot(p, e)
                batch.T.dot(e, g)
        device.on_host(g)
        return None, None

    return lambda: train


def keras_on_the_gpu(task):
    """`model.fit`, which leaves some of the GPU's memory to CuPy."""
    tf, _ = tensorflow("cuda")
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    return keras_fit(task, "cuda")


LOOPS = {
    "linreg on the GPU": lambda task: numpy_engine(task, "cuda"),
    "linreg on the host": numpy_engine,
    "keras fit on the GPU": keras_on_the_gpu,
    "bare products on the GPU": bare_products,
}


@pytest.mark.parametrize("optimizer", [SGD(0.01), Adam(0.001)], ids=lambda it: type(it).__name__)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", LOOPS)
def test_step(benchmark, card, name, shape, optimizer):
    task = task_of(shape, optimizer)
    epochs = -(-STEPS // task.steps)
    benchmark.group = f"{epochs * task.steps} steps of {shape[2]} x {shape[1]}, {optimizer!r}, {card}"
    try:
        start = LOOPS[name](task)
    except MissingPeerError as reason:
        pytest.skip(str(reason))
    timed = {"setup": lambda: ((start(),), {}), "rounds": 7, "warmup_rounds": 2}
    result, _ = benchmark.pedantic(lambda train: train(epochs), **timed)
    benchmark.extra_info["card"] = card
    if benchmark.stats is not None:
        benchmark.extra_info["microseconds a step"] = benchmark.stats.stats.median / (epochs * task.steps) * 1e6
    if result is not None:
        expected, _ = numpy_engine(task)()(epochs)
        bound = rounding_bound(replace(task, steps=epochs * task.steps), expected)
        difference = np.abs(result - expected).max()
        benchmark.extra_info |= {"largest difference to the host": float(difference), "allowed": float(bound)}
        assert difference <= bound
