"""Runs on a GPU, proved without one: on a stand-in for CuPy's arrays that refuses what CuPy refuses (cupy_double.py).

The stand-in computes with NumPy, so a run on it must equal the NumPy run to the last bit; nothing may be converted, and
a fetch (each waits for the GPU) is allowed once an epoch, never inside a step. What only a GPU can tell, the rounding
of its own sums, is in test_cupy.py.
"""

import contextlib
import math
import pickle
import sys
from unittest.mock import patch

import numpy as np
import pytest
from cupy_double import LOG, in_place_of_cupy
from hypothesis import given
from hypothesis import strategies as st
from strategies import any_schedule, data, log_uniform, losses, optimizers, regularizers

from linreg import (
    L2,
    SGD,
    Adam,
    Huber,
    LinearRegression,
    MeanSquaredError,
    RMSprop,
    diagnose,
    dynamics,
    schedules,
    sweep,
    training,
)
from linreg.batches import Problem
from linreg.callbacks import Callback, CallbackList, EarlyStopping, TerminateOnNaN
from linreg.data.arrays import design_matrix
from linreg.devices import HOST, Cuda, Host, cuda, device_of
from linreg.precision import FLOAT32, FLOAT64, KERAS_FLOAT64
from linreg.steps import State
from linreg.training import Run

RNG = np.random.default_rng(5)
X = RNG.normal(size=(50, 3))
Y = X @ [1.0, -2.0, 3.0] + 0.5 + 0.1 * RNG.normal(size=50)
WEIGHTS = RNG.uniform(0.5, 2.0, 50)


def summed_as_on_a_gpu():
    """On the host too, sums are taken as on the GPU; only the bits of reported losses depend on it."""
    return patch.multiple(
        Host,
        sums=lambda self, values, starts: Cuda.sums(self, values, starts),
        added=lambda self, losses, rows, total=0.0: Cuda.added(self, losses, rows, total),
    )


def bits(values):
    """The bits of numbers, but one and the same for every nan: which sign it gets says nothing."""
    values = np.array(values)
    values[np.isnan(values)] = np.nan
    return values.tobytes()


def state_of(run):
    """All that a run leaves behind, in the host's memory."""
    state, there = run.state, device_of(run.problem.matrix).on_host
    arrays = {"parameters": state.parameters, "total": state.total, "average": state.average, "fitted": state.fitted}
    arrays |= dict(zip(state.letters, state.slots, strict=True))
    return {name: there(array) for name, array in arrays.items() if array is not None}


class Watched(Run):
    """A run that allows no fetch inside its steps."""

    def _chunk(self, first, last):
        before = LOG.fetches
        losses = super()._chunk(first, last)
        assert LOG.fetches == before, f"{LOG.fetches - before} fetches in {last - first} steps"
        return losses


class Setting:
    """A training problem and how it is trained, to be run on either device."""

    def __init__(self, given, optimizer, loss, penalty, batch_size, epochs, shuffle, validated, precision=FLOAT32):
        X, y, weight = given
        dtype, features = precision.dtype, X.shape[1]
        self.X, self.y, self.weight = X.astype(dtype), y.astype(dtype), weight
        self.start = np.linspace(-0.5, 0.5, features + 1).astype(dtype)
        self.optimizer, self.loss, self.penalty, self.precision = optimizer, loss, penalty, precision
        self.batch_size, self.epochs, self.shuffle, self.validated = batch_size, epochs, shuffle, validated

    def trained(self, device, kind=Run, callbacks=()):
        features = self.X.shape[1]
        weight = None if self.weight is None else self.weight.astype(self.precision.dtype)
        problem = Problem(
            device.put(design_matrix(self.X, True)), device.put(self.y), weight, self.batch_size, features
        )
        validation = Problem(problem.matrix[:3], problem.target[:3], None, 2, features) if self.validated else None
        generator = np.random.default_rng(1)
        state = State.start(device.put(self.start), self.optimizer, self.precision, generator)
        run = kind(
            problem, state, self.optimizer, self.loss, self.precision, shuffle=self.shuffle, regularizer=self.penalty,
            validation=validation, callbacks=CallbackList(callbacks),
        )  # fmt: skip
        LOG.clear()
        run.train(self.epochs)
        return run


def assert_stays_on_the_gpu(setting, kind=Watched):
    """The claim of this file."""
    plain = setting.trained(HOST)
    with summed_as_on_a_gpu():
        alike = setting.trained(HOST)
    with in_place_of_cupy():
        there = setting.trained(cuda(), kind)
        fetches, rows_moved = LOG.fetches, [shape for shape in LOG.moved if len(shape) == 2]
        found = state_of(there)
        losses = there.history
    assert fetches == setting.epochs, f"{fetches} fetches in {setting.epochs} epochs"
    assert not rows_moved, "rows were moved after the start"
    assert found.keys() == state_of(plain).keys()
    for name, array in state_of(plain).items():
        assert bits(found[name]) == bits(array), f"{name}: {found[name]} on the stand-in, {array} in NumPy"
    assert losses.keys() == alike.history.keys()
    for name, values in alike.history.items():
        assert bits(losses[name]) == bits(values), f"{name}: {losses[name]} on the stand-in, {values} in NumPy"


@st.composite
def settings_of_a_run(draw):
    given = draw(data())
    return Setting(
        given, draw(optimizers(learning_rate=st.one_of(log_uniform(1e-4, 0.3), any_schedule()))), draw(losses()),
        draw(regularizers()), draw(st.integers(1, len(given[1]) + 2)), draw(st.integers(1, 4)), draw(st.booleans()),
        draw(st.booleans()), draw(st.sampled_from([FLOAT32, FLOAT64, KERAS_FLOAT64])),
    )  # fmt: skip


@given(settings_of_a_run())
def test_a_run_on_the_gpu_is_the_numpy_run_bit_for_bit_and_fetches_once_an_epoch(setting):
    assert_stays_on_the_gpu(setting)


FEW = Setting((X, Y, None), Adam(0.01, clipnorm=1.0), Huber(0.5), L2(0.01), 16, 3, True, True)


def test_the_claim_holds_for_the_run_that_the_wrong_twins_below_are_made_from():
    assert_stays_on_the_gpu(FEW)


def looks_at_a_number(run, state, g):
    float(g[0])


def branches_on_a_value(run, state, g):
    if (g > 1e30).any():
        state.parameters = g


def prints_a_value(run, state, g):
    format(state.parameters[0], ".3g")


def asks_for_an_array(run, state, g):
    np.asarray(g)


def gets_a_copy(run, state, g):
    g.get()


def adds_an_array_of_the_host(run, state, g):
    state.parameters = state.parameters + np.zeros(len(g), g.dtype)


def adds_a_0d_array_of_the_host(run, state, g):
    state.parameters = state.parameters + np.zeros((), g.dtype)


def writes_into_an_array_of_the_host(run, state, g):
    np.add(g, g, np.empty(len(g), g.dtype))


def sums_with_reduceat(run, state, g):
    np.add.reduceat(g, [0])


def takes_with_a_mode(run, state, g):
    g.take(g, 0, None, "clip")


def has_a_function_that_cupy_has_not(run, state, g):
    np.vecdot(g, g)


def moves_rows(run, state, g):
    run._device.put(np.zeros((2, 2)))


def test_a_long_epoch_is_fetched_once_too():
    with patch.object(training, "CHUNK", 2):
        assert_stays_on_the_gpu(FEW)


WRONG = [
    looks_at_a_number, branches_on_a_value, prints_a_value, asks_for_an_array, gets_a_copy, adds_an_array_of_the_host,
    adds_a_0d_array_of_the_host, writes_into_an_array_of_the_host, sums_with_reduceat, takes_with_a_mode,
    has_a_function_that_cupy_has_not, moves_rows,
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=lambda it: it.__name__)
def test_a_loop_that_does_wrong_in_a_step_is_rejected(wrong):
    class WrongRun(Watched):
        def __post_init__(self):
            super().__post_init__()
            step = self._step

            def wrong_step(state, g, rate, lr):
                step(state, g, rate, lr)
                wrong(self, state, g)

            self._step = wrong_step

    with pytest.raises((AssertionError, TypeError)):
        assert_stays_on_the_gpu(FEW, WrongRun)


def test_a_loop_that_fetches_the_loss_twice_an_epoch_is_rejected():
    class FetchesTwice(Watched):
        def _end_epoch(self, epoch, loss, learning_rate):
            float(loss)
            return super()._end_epoch(epoch, loss, learning_rate)

    with pytest.raises(AssertionError, match="6 fetches in 3 epochs"):
        assert_stays_on_the_gpu(FEW, FetchesTwice)


def test_an_infinite_batch_spoils_no_other_batch():
    """Sums as differences of running sums, as CuPy's own `add.reduceat` takes them, would give nan from there on."""
    values = np.array([1, 2, np.inf, 4, 5, 6, 7], np.float32)
    with in_place_of_cupy() as (cupy, _):
        sums = cuda().sums(cupy.asarray(values), np.array([0, 2, 4, 6])).get()
    np.testing.assert_array_equal(sums, [3, np.inf, 11, 7])


# The estimator.


def fitted(device, **settings):
    settings = {"epochs": 4, "batch_size": 16, "random_state": 0} | settings
    return LinearRegression(device=device, **settings).fit(X, Y, WEIGHTS, validation_data=(X[:20], Y[:20]))


@pytest.mark.parametrize("settings", [
    {}, {"optimizer": "adam", "loss": "huber"}, {"optimizer": SGD(0.01, momentum=0.9, use_ema=True)},
    {"fit_intercept": False, "kernel_regularizer": "l2", "shuffle": False}, {"dtype": "float64", "batch_size": 50},
], ids=repr)  # fmt: skip
def test_device_cuda_trains_the_same_model_and_moves_the_rows_once(settings):
    here = fitted("cpu", **settings)
    with in_place_of_cupy() as (_, log):
        there = fitted("cuda", **settings)
        matrices = [shape for shape in log.moved if len(shape) == 2]
        assert log.fetches == 4 + 1, "one an epoch, and the parameters at the end"
        assert device_of(there.state_.parameters).name == "cuda"
    assert matrices == [X.shape, (20, 3)]
    assert isinstance(there.coef_, np.ndarray)
    assert isinstance(there.intercept_, float)
    assert bits(there.coef_) == bits(here.coef_)
    assert there.intercept_ == here.intercept_
    np.testing.assert_allclose(there.history_["loss"], here.history_["loss"], rtol=50 * np.finfo(np.float32).eps)
    assert bits(there.predict(X)) == bits(here.predict(X))


def test_cupy_arrays_train_where_they_lie_and_come_back_from_predict():
    here = fitted("cpu")
    with in_place_of_cupy() as (cupy, log):
        A, b, w = map(cupy.asarray, (X, Y, WEIGHTS))
        log.clear()
        there = LinearRegression(epochs=4, batch_size=16, random_state=0).fit(A, b, w, validation_data=(A[:20], b[:20]))
        assert bits(there.coef_) == bits(here.coef_)
        assert [shape for shape in log.moved if len(shape) == 2] == []
        predicted = there.predict(A)
        assert isinstance(predicted, cupy.ndarray)
        expected = X.astype(np.float32).dot(there.coef_) + np.float32(there.intercept_)
        assert bits(predicted.get()) == bits(expected)
        for y, weight in ((b, w), (Y, WEIGHTS), (Y, None)):
            given = None if weight is None else WEIGHTS
            eps = 50 * np.finfo(np.float32).eps
            assert math.isclose(there.score(A, y, weight), here.score(X, Y, given), rel_tol=eps)
            assert math.isclose(there.evaluate(A, y, weight), here.evaluate(X, Y, given), rel_tol=eps)


def test_targets_weights_and_validation_of_numpy_follow_x_to_the_gpu():
    with in_place_of_cupy() as (cupy, _):
        there = LinearRegression(epochs=2, random_state=0).fit(cupy.asarray(X), Y, WEIGHTS, validation_data=(X, Y))
        here = LinearRegression(epochs=2, random_state=0).fit(X, Y, WEIGHTS, validation_data=(X, Y))
        assert bits(there.coef_) == bits(here.coef_)


def test_bad_values_on_the_gpu_are_told_as_those_of_numpy_are():
    bad, integers = X.copy(), np.arange(6).reshape(3, 2)
    bad[7, 1] = np.nan
    with in_place_of_cupy() as (cupy, _):
        with pytest.raises(ValueError, match=r"Input X contains NaN: 1 of 150 values are missing, .*row 7, column 1"):
            LinearRegression().fit(cupy.asarray(bad), Y)
        with pytest.raises(ValueError, match=r"sample_weight must not be negative, got -1\.0 in row 0"):
            LinearRegression().fit(cupy.asarray(X), Y, cupy.asarray(-np.ones(50)))
        with pytest.raises(ValueError, match="Complex data not supported"):
            LinearRegression().fit(cupy.asarray(X + 0j), Y)
        with pytest.raises(ValueError, match=r"Expected 2D array for X, got a 1D array"):
            LinearRegression().fit(cupy.asarray(Y), Y)
        LinearRegression(epochs=1).fit(cupy.asarray(integers), cupy.asarray([[1], [2], [3]]))


def test_a_target_on_the_gpu_beside_rows_that_are_not_is_refused():
    with in_place_of_cupy() as (cupy, _):
        with pytest.raises(
            TypeError, match=r"y lies on a GPU .*but X does not: give X as a CuPy array too, set device"
        ):
            LinearRegression().fit(X, cupy.asarray(Y))
        with pytest.raises(TypeError, match=r"validation_data\[0\] lies on a GPU"):
            LinearRegression().fit(X, Y, validation_data=(cupy.asarray(X), cupy.asarray(Y)))
        LinearRegression(device="cuda", epochs=1).fit(X, cupy.asarray(Y))


def test_a_warm_start_goes_on_bit_for_bit_on_either_side():
    with in_place_of_cupy():
        model = LinearRegression("adam", epochs=3, random_state=0, warm_start=True, device="cuda")
        model.fit(X, Y).fit(X, Y)
        straight = LinearRegression("adam", epochs=6, random_state=0, device="cuda").fit(X, Y)
        assert bits(model.coef_) == bits(straight.coef_)
        assert model.history_ == straight.history_
        model.set_params(device="cpu").fit(X, Y)
        assert device_of(model.state_.parameters) is HOST
        copied = pickle.loads(pickle.dumps(model))  # noqa: S301 (its own bytes)
        copied.set_params(device="cuda").fit(X, Y)
        assert device_of(copied.state_.parameters).name == "cuda"
    straight = LinearRegression("adam", epochs=12, random_state=0).fit(X, Y)
    assert bits(copied.coef_) == bits(straight.coef_)
    assert copied.n_iter_ == 12


def test_a_run_on_a_gpu_goes_on_there_from_its_checkpoint_and_its_model_is_saved(tmp_path):
    with in_place_of_cupy():

        def fitted(epochs, **settings):
            callback = EarlyStopping("loss", patience=9, restore_best_weights=True)
            settings = {"device": "cuda", "random_state": 0, "batch_size": 8, "callbacks": [callback], **settings}
            return LinearRegression(Adam(0.1, use_ema=True), epochs=epochs, **settings).fit(X, Y)

        known, kept = fitted(6), {"checkpoint": tmp_path / "run.npz"}
        assert [fitted(epochs, **kept).resumed_ for epochs in (3, 6)] == [0, 3]
        model = fitted(6, **kept)
        assert bits(model.coef_) == bits(known.coef_)
        assert model.history_ == known.history_
        assert device_of(model.state_.parameters).name == "cuda"
        with pytest.raises(ValueError, match="device was cuda and is cpu now"):
            fitted(6, **kept, device="cpu")
        model.save(tmp_path / "model.npz")
    loaded = LinearRegression.load(tmp_path / "model.npz")
    assert bits(loaded.coef_) == bits(known.coef_)
    assert device_of(loaded.state_.parameters) is HOST


class Logged(Callback):
    """Keeps what it is told, and how many fetches there had been."""

    def __init__(self):
        self.batches, self.epochs = [], []

    def on_epoch_end(self, epoch, logs):
        self.epochs.append((logs["loss"], LOG.fetches))


class LoggedBatches(Logged):
    def on_train_batch_end(self, batch, logs):
        self.batches.append(logs["loss"])


def test_callbacks_get_floats_and_a_hook_at_each_batch_costs_a_fetch_each():
    with in_place_of_cupy() as (_, log):
        told = LoggedBatches()
        LinearRegression(epochs=2, batch_size=10, callbacks=[told], device="cuda").fit(X, Y)
        assert [type(loss) for loss in told.batches] == [float] * 10
        assert [fetches for _, fetches in told.epochs] == [6, 12]
        log.clear()
        told = Logged()
        LinearRegression(epochs=2, batch_size=10, callbacks=[told], device="cuda").fit(X, Y)
        assert [fetches for _, fetches in told.epochs] == [1, 2]


@pytest.mark.parametrize("callback", [
    lambda: EarlyStopping("loss", patience=0, min_delta=1e9, restore_best_weights=True), lambda: TerminateOnNaN(),
], ids=["EarlyStopping", "TerminateOnNaN"])  # fmt: skip
def test_callbacks_stop_and_restore_as_on_the_host(callback):
    rate = {"optimizer": SGD(10.0)}
    ignored = pytest.warns(RuntimeWarning) if isinstance(callback(), TerminateOnNaN) else contextlib.nullcontext()
    with ignored, in_place_of_cupy():
        here, there = (fitted(device, epochs=60, callbacks=[callback()], **rate) for device in ("cpu", "cuda"))
    assert there.n_iter_ == here.n_iter_ < 60
    assert bits(there.coef_) == bits(here.coef_)


@pytest.mark.parametrize("weights", [[1.0, 2.0, 3.0, 4.0], np.array([1.0, 2.0, 3.0, 4.0])], ids=["list", "array"])
def test_weights_set_by_a_callback_may_lie_anywhere(weights):
    class Sets(Callback):
        def __init__(self, moved):
            self.moved = moved

        def on_train_end(self, logs):
            self.run.set_weights(self.moved(weights))

    with in_place_of_cupy() as (cupy, _):
        for moved in (lambda it: it, cupy.asarray):
            model = LinearRegression(epochs=1, callbacks=[Sets(moved)], device="cuda").fit(X, Y)
            np.testing.assert_array_equal(model.coef_, [1, 2, 3])


def test_a_fitted_model_predicts_on_the_host_without_cupy():
    with in_place_of_cupy():
        model = fitted("cuda")
        predicted, stored = model.predict(X), pickle.dumps(model)
    copied = pickle.loads(stored)  # noqa: S301 (its own bytes)
    assert bits(copied.predict(X)) == bits(predicted)
    assert copied.score(X, Y) == model.score(X, Y)
    assert copied.set_params(device="cpu", warm_start=True).fit(X, Y).n_iter_ == 2 * model.n_iter_


RATES = [0.001, schedules.CosineDecay(0.01, 20), 1e4]
SWEEPS = {
    "rates, momenta and clips": {"learning_rate": RATES, "momentum": [0.0, 0.5, 0.9], "clipvalue": [1e3, 1e9],
                                 "kernel_regularizer": "l2"},
    "betas and decay": {"optimizer": "adam", "learning_rate": RATES, "beta_1": [0.5, 0.9], "weight_decay": [0.0, 0.1]},
    "deltas, penalties and shares": {"optimizer": RMSprop(0.01, use_ema=True, gradient_accumulation_steps=2),
                                     "loss": "huber", "delta": [0.1, 1.0], "ema_momentum": [0.5, 0.9],
                                     "kernel_regularizer": "l1", "l1": [0.01, 0.1]},
    "norms": {"clipnorm": [0.1, 1.0]},
    "norms of all": {"global_clipnorm": [0.1, 1.0], "loss": MeanSquaredError("mean_with_sample_weight")},
}  # fmt: skip


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_on_the_gpu_equals_the_sweep_on_the_host(name):
    lists, settings = SWEEPS[name], {"epochs": 5, "batch_size": 8, "random_state": 0}
    with summed_as_on_a_gpu():
        here = sweep(X, Y, sample_weight=WEIGHTS, validation_data=(X, Y), **lists, **settings)
    with in_place_of_cupy() as (cupy, _):
        on_cuda = sweep(X, Y, sample_weight=WEIGHTS, validation_data=(X, Y), device="cuda", **lists, **settings)
        lying_there = sweep(cupy.asarray(X), Y, sample_weight=WEIGHTS, validation_data=(X, Y), **lists, **settings)
        with pytest.raises(TypeError, match="device is the same for all"):
            sweep(X, Y, device=["cpu", "cuda"])
    for there in (on_cuda, lying_there):
        assert bits(there.coef_) == bits(here.coef_)
        assert bits(there.intercept_) == bits(here.intercept_)
        for name, values in here.history.items():
            assert bits(there.history[name]) == bits(values), name


def test_dynamics_and_diagnosis_copy_cupy_arrays_to_the_host():
    with in_place_of_cupy() as (cupy, _):
        A, b = cupy.asarray(X), cupy.asarray(Y)
        assert dynamics.max_learning_rate(A) == dynamics.max_learning_rate(X)
        found = diagnose(A, b, validation_data=(A, b), device="cuda", epochs=20, optimizer=SGD(1.5))
        assert found.to_dict() == diagnose(X, Y, validation_data=(X, Y), epochs=20, optimizer=SGD(1.5)).to_dict()


# What is missing or does not go together.


def test_without_cupy_the_error_says_what_to_install_and_how_to_stay_on_the_processor():
    with patch.dict(sys.modules, cupy=None), pytest.raises(ImportError) as raised:
        LinearRegression(device="cuda").fit(X, Y)
    assert 'device="cuda" runs on CuPy, which cannot be imported' in str(raised.value)
    assert "pip install 'linreg[gpu]'" in str(raised.value)
    assert 'set device="cpu"' in str(raised.value)


@pytest.mark.parametrize("broken", [False, True], ids=["count 0", "no driver"])
def test_without_a_gpu_the_error_says_so(broken):
    with in_place_of_cupy(devices=0) as (cupy, _):
        if broken:

            def count():
                raise RuntimeError("cudaErrorInsufficientDriver")

            cupy.cuda.runtime.getDeviceCount = count
        reason = "cudaErrorInsufficientDriver" if broken else "its count is 0"
        with pytest.raises(
            RuntimeError, match=rf'needs an NVIDIA GPU, but CuPy finds none \({reason}\): set device="cpu"'
        ):
            LinearRegression(device="cuda").fit(X, Y)


@pytest.mark.parametrize("engine", ["numba", "exact"])
def test_other_engines_refuse_the_gpu(engine):
    expected = rf'engine=\'{engine}\' runs on the processor, but {{}}: choose engine="numpy"'
    with pytest.raises(ValueError, match=expected.format("device='cuda' was given")):
        LinearRegression(engine=engine, device="cuda").settings()
    with in_place_of_cupy() as (cupy, _), pytest.raises(ValueError, match=expected.format("X is a CuPy array")):
        LinearRegression(engine=engine).fit(cupy.asarray(X), Y)


def test_an_unknown_device_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"unknown device 'cdua'.*cuda"):
        LinearRegression(device="cdua").fit(X, Y)
    with pytest.raises(TypeError, match="positional"):
        LinearRegression("sgd", "mse", 1, 1, True, None, "zeros", "zeros", True, None, "float32", "numpy", False, (), 0,
                         "cuda")  # fmt: skip
