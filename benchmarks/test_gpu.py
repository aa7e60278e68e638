"""A step on a GPU: linreg on CuPy arrays, linreg on the host, and `model.fit` of Keras on the same GPU.

Whoever hands work to a GPU is told at once that it is done, so each loop fetches its parameters before the clock is
stopped, and begins with nothing left to do. Which card it was is in `extra_info`; `CUDA_VISIBLE_DEVICES` selects one.
Nothing is promised here: where a GPU pays depends on the card, and is read off the tables.
"""

import numpy as np
import pytest
from agreement import rounding_bound
from loops import Task, keras_fit, linreg_loop

from linreg import SGD, Adam, MeanSquaredError
from linreg.batches import Problem
from linreg.data.arrays import design_matrix
from linreg.devices import cuda
from linreg.precision import FLOAT32
from linreg.steps import State
from linreg.training import Run

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
    batches = rows // batch_size
    return Task(optimizer, MeanSquaredError(), X, y, batch_size, steps=-(-STEPS // batches) * batches)


def linreg_on_the_gpu(task):
    """The loop that `LinearRegression` runs on CuPy arrays, with its history."""
    device, features = cuda(), task.X.shape[1]
    matrix, target = device.put(design_matrix(task.X, True)), device.put(task.y)
    problem = Problem(matrix, target, None, task.batch_size, features)

    def prepare():
        start = device.put(np.zeros(features + 1, np.float32))
        state = State.start(start, task.optimizer, FLOAT32, np.random.default_rng(0))
        run = Run(problem, state, task.optimizer, task.loss, FLOAT32, shuffle=False)
        device.on_host(state.parameters)  # waits until nothing is left to do

        def train():
            run.train(task.epochs)
            return device.on_host(state.parameters)  # waits for the last step

        return train

    return prepare


def bare_products(task):
    """What no loop can do without: both products of every batch, back to back. It trains nothing."""
    device = cuda()
    A = device.put(design_matrix(task.X, True))
    p, g = (device.put(np.zeros(A.shape[1], np.float32)) for _ in range(2))
    e = device.put(np.zeros(task.batch_size, np.float32))
    batches = [A[start : start + task.batch_size] for start in range(0, len(A), task.batch_size)]

    def train():
        for _ in range(task.epochs):
            for batch in batches:
                batch.dot(p, e)
                batch.T.dot(e, g)
        device.on_host(g)

    return lambda: train


def keras_on_the_gpu(task):
    """`model.fit`, which ends with numbers of its last epoch on the host, so it has waited."""
    tensorflow = pytest.importorskip("tensorflow", reason="the peer Keras is not installed: pip install tensorflow")
    if not tensorflow.config.list_physical_devices("GPU"):
        pytest.skip("TensorFlow sees no GPU: pip install 'tensorflow[and-cuda]'")
    for gpu in tensorflow.config.list_physical_devices("GPU"):
        tensorflow.config.experimental.set_memory_growth(gpu, True)  # leave some for CuPy
    with tensorflow.device("/GPU:0"):
        return keras_fit(task)


LOOPS = {
    "linreg on the GPU": linreg_on_the_gpu,
    "linreg on the host": linreg_loop,
    "keras model.fit on the GPU": keras_on_the_gpu,
    "bare products on the GPU": bare_products,
}


@pytest.mark.parametrize("optimizer", [SGD(0.01), Adam(0.001)], ids=lambda it: type(it).__name__)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", LOOPS)
def test_step(benchmark, card, name, shape, optimizer):
    task = task_of(shape, optimizer)
    benchmark.group = f"{task.steps} steps of {shape[2]} x {shape[1]}, {optimizer!r}, {card}"
    prepare = LOOPS[name](task)
    result = benchmark.pedantic(lambda train: train(), setup=lambda: ((prepare(),), {}), rounds=7, warmup_rounds=2)
    benchmark.extra_info["card"] = card
    if benchmark.stats is not None:
        benchmark.extra_info["microseconds a step"] = benchmark.stats.stats.median / task.steps * 1e6
    if result is not None:
        expected = linreg_loop(task)()()
        difference, bound = np.abs(result - expected).max(), rounding_bound(task, expected)
        benchmark.extra_info |= {"largest difference to the host": float(difference), "allowed": float(bound)}
        assert difference <= bound
