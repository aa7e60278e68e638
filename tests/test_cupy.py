"""CuPy itself: its interface, wherever it is installed, and its numbers, wherever there is a GPU.

test_devices.py proves on a stand-in that nothing is converted or fetched in a step, and that the same operations are
done. What is left is whether CuPy offers them, and what a GPU makes of them. Element-wise operations are rounded there
as IEEE 754 says, so a run whose sums are exact must equal NumPy's to the last bit; otherwise the sums, which a GPU adds
up in another order, may move the two apart by as much as `error_bound` carries along the run.
"""

import inspect
import warnings

import cupy_double
import numpy as np
import pytest

from linreg import L2, SGD, Adam, Huber, LinearRegression, MeanSquaredError, RMSprop, sweep
from linreg.devices import cuda
from linreg.drift import FollowedRun
from linreg.fitting import start
from linreg.training import Run


@pytest.fixture(scope="module")
def cupy():
    """CuPy; where it is not installed the test is skipped, with the reason printed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("cupy", reason="CuPy is not installed: pip install 'linreg[gpu]'")


@pytest.fixture(scope="module")
def gpu(cupy):
    """CuPy on a GPU; where there is none the test is skipped, with the reason printed."""
    try:
        cuda()
    except RuntimeError as error:
        pytest.skip(str(error))
    return cupy


# Its interface: what the stand-in offers, CuPy has.


@pytest.mark.parametrize("name", cupy_double.UFUNCS)
def test_cupy_has_the_ufunc(cupy, name):
    assert isinstance(getattr(cupy, name), cupy.ufunc) or name == "matmul"


@pytest.mark.parametrize("name", cupy_double.FUNCTIONS)
def test_cupy_has_the_function_with_the_parameters_that_the_stand_in_takes(cupy, name):
    known = list(inspect.signature(getattr(cupy, name)).parameters)
    given = cupy_double.FUNCTIONS[name].split()
    at_numpy = list(inspect.signature(getattr(np, name)).parameters)
    if name == "reshape":  # the shape is given by place
        known[1] = at_numpy[1] = given[1]
    assert set(given) <= set(known)


def test_cupy_has_the_methods(cupy):
    own = {name for name in vars(cupy_double.ndarray) if not name.startswith("__")} - {"_hidden"}
    assert {name for name in own if not hasattr(cupy.ndarray, name)} == set()


def test_cupy_has_what_devices_uses(cupy):
    assert callable(cupy.asarray)
    assert callable(cupy.asnumpy)
    assert callable(cupy.cuda.runtime.getDeviceCount)


def test_cupy_still_lacks_what_devices_works_around(cupy):
    assert not hasattr(cupy, "vecdot")
    assert "mode" not in cupy.ndarray.take.__doc__.splitlines()[0]


# Its numbers.


def whole_numbers(rows=64, features=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(-2, 3, size=(rows, features)).astype("f"), rng.integers(-8, 9, size=rows).astype("f")


def rough(rows=64, features=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, features)).astype("f")
    return X, (X @ np.arange(1, features + 1) + 1 + 0.1 * rng.normal(size=rows)).astype("f")


def same_bits(there, here):
    assert there.coef_.tobytes() == here.coef_.tobytes()
    assert there.intercept_ == here.intercept_


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("optimizer", [SGD(2**-4), SGD(2**-4, momentum=0.5), SGD(2**-4, momentum=0.5, nesterov=True)])
def test_exact_sums_equal_numpy_bit_for_bit(gpu, optimizer, shuffle):
    X, y = whole_numbers()
    settings = {"epochs": 1, "batch_size": 16, "shuffle": shuffle, "random_state": 0, "kernel_initializer": "zeros"}
    here = LinearRegression(optimizer, **settings).fit(X, y)
    same_bits(LinearRegression(optimizer, device="cuda", **settings).fit(X, y), here)
    same_bits(LinearRegression(optimizer, **settings).fit(gpu.asarray(X), gpu.asarray(y)), here)


ONE_TERM = [
    SGD(0.3), SGD(0.3, momentum=0.9, nesterov=True, weight_decay=0.01), RMSprop(0.1), RMSprop(0.1, centered=True),
    RMSprop(0.1, momentum=0.5), Adam(0.1), Adam(0.1, amsgrad=True, use_ema=True, ema_momentum=0.9),
    Adam(0.1, clipvalue=0.1), SGD(0.3, gradient_accumulation_steps=3),
]  # fmt: skip


@pytest.mark.parametrize("loss", [MeanSquaredError(), Huber(0.5)], ids=repr)
@pytest.mark.parametrize("optimizer", ONE_TERM, ids=repr)
def test_sums_of_one_term_equal_numpy_bit_for_bit(gpu, optimizer, loss):
    X, y = rough(features=1)
    settings = {"epochs": 3, "batch_size": 1, "fit_intercept": False, "random_state": 0}
    here = LinearRegression(optimizer, loss, **settings).fit(X, y)
    there = LinearRegression(optimizer, loss, device="cuda", **settings).fit(X, y)
    same_bits(there, here)


@pytest.mark.parametrize("optimizer", [SGD(0.05, momentum=0.9), RMSprop(0.01), Adam(0.05, clipnorm=1.0)], ids=repr)
@pytest.mark.parametrize("loss", [MeanSquaredError(), Huber(0.5)], ids=repr)
def test_rough_runs_differ_from_numpy_by_no_more_than_two_orders_of_summing_may(gpu, optimizer, loss):
    X, y = rough()
    weight, start = np.random.default_rng(1).uniform(0.5, 2.0, 64).astype("f"), np.linspace(-1, 1, 4)
    model = LinearRegression(optimizer, loss, epochs=4, batch_size=16, shuffle=False, kernel_initializer=start,
                             kernel_regularizer=L2(0.1))  # fmt: skip
    here = LinearRegression(**model.get_params(deep=False)).fit(X, y, weight)
    there = LinearRegression(**model.get_params(deep=False)).set_params(device="cuda").fit(X, y, weight)
    followed = FollowedRun(model, (X, y, weight), start, 0.0)
    for _ in range(4):
        followed.epoch(optimizer.learning_rate)
    assert not followed.doubts
    difference = np.abs(np.append(there.coef_ - here.coef_, there.intercept_ - here.intercept_))
    assert (difference <= followed.fitted()).all()
    assert (np.abs(np.subtract(there.history_["loss"], here.history_["loss"])) <= followed.losses).all()


def test_a_sweep_with_exact_sums_equals_the_host_bit_for_bit(gpu):
    X, y = whole_numbers()
    settings = {"epochs": 1, "batch_size": 16, "random_state": 0, "kernel_initializer": "zeros",
                "learning_rate": [2.0**-4, 2.0**-5], "momentum": [0.0, 0.5]}  # fmt: skip
    here, there = sweep(X, y, **settings), sweep(X, y, device="cuda", **settings)
    assert there.coef_.tobytes() == here.coef_.tobytes()
    assert there.intercept_.tobytes() == here.intercept_.tobytes()


def test_predictions_and_scores_of_cupy_arrays(gpu):
    X, y = whole_numbers()
    model = LinearRegression(SGD(2**-4), epochs=1, batch_size=16, random_state=0, kernel_initializer="zeros")
    A, b = gpu.asarray(X), gpu.asarray(y)
    model.fit(A, b, validation_data=(A, b))
    predicted = model.predict(A)
    assert isinstance(predicted, gpu.ndarray)
    assert predicted.get().tobytes() == model.predict(X).tobytes()  # sums of whole numbers times powers of two
    # R^2 is 1 - residual / total and the loss a mean: sums of squares, whose n additions are rounded on either side.
    roundings, score = 2 * (len(y) + 4), model.score(X, y)
    assert abs(model.score(A, b) - score) <= 2 * roundings * np.finfo(float).eps * (1 - score)
    assert model.evaluate(A, b) == pytest.approx(model.evaluate(X, y), rel=roundings * np.finfo("f").eps)


def test_no_step_waits_for_the_gpu(gpu):
    cupyx = pytest.importorskip("cupyx")
    if not hasattr(cupyx, "allow_synchronize"):
        pytest.skip("this CuPy cannot forbid to wait for the GPU any more")
    model = LinearRegression(Adam(0.01), batch_size=16)
    settings = model.settings()
    problem = model._problem(*rough(), None, settings, intercept=True, device=cuda())
    parts = settings.optimizer, settings.loss, settings.precision
    run = Run(problem, start(model, problem, settings), *parts)
    run._batches.reorder(run.state.generator)
    run._chunk(0, 4)  # compiles
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated
        with cupyx.allow_synchronize(False):
            losses = run._chunk(0, 4)
            with pytest.raises(cupyx.DeviceSynchronized):
                float(losses[0])
