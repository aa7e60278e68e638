"""The compiled loop does what the NumPy loop does, number by number; only sums may be added up in another order.

Where every sum has one term, or is exact, nothing is left to the order, and the two must be equal to the last bit.
Elsewhere they may differ by what `error_bound` derives for two runs that round the same sums differently.
"""

import inspect
import io
import os
import signal
import subprocess
import sys
import threading
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import pytest
from test_training import AROUND, CONTINUED, EVERY_RULE, data, lowered_twice
from ulp import assert_equal_bits

from linreg import (
    L1,
    L1L2,
    L2,
    SGD,
    Adam,
    Huber,
    KerasSeed,
    LinearRegression,
    MeanSquaredError,
    callbacks,
    losses,
    optimizers,
    regularizers,
    rules,
    schedules,
)
from linreg.drift import FollowedRun

pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")

from linreg.compiled import formulas, run
from linreg.compiled.binding import CompiledPowers, columns_apart
from linreg.precision import FLOAT32, FLOAT64

FEATURES, ROWS = 4, 18
START = np.array([0.5, -1.25, 0.7, 3.1])


def one_term_data(rows=ROWS, dtype="f"):
    """Rows of which the k-th has only feature k % 4: four in a row have no sum of two numbers anywhere."""
    rng = np.random.default_rng(0)
    X = np.zeros((rows, FEATURES), dtype)
    X[np.arange(rows), np.arange(rows) % FEATURES] = rng.normal(size=rows)
    return X, rng.normal(size=rows).astype(dtype)


def one_term_run(**settings):
    return LinearRegression(
        **{"epochs": 3, "batch_size": 4, "shuffle": False, "fit_intercept": False, "kernel_initializer": START,
           "random_state": 3, **settings}
    )  # fmt: skip


def both(model, *data, **more):
    """Train copies of a model in both engines."""
    settings = model.get_params(deep=False)
    return [LinearRegression(**{**settings, "engine": engine}).fit(*data, **more) for engine in ("numpy", "numba")]


def assert_same(compiled, model):
    """Assert that all of the state is equal to the last bit, and the history to the rounding of a sum of few terms."""
    state, expected = compiled.state_, model.state_
    pairs = {"coef_": (compiled.coef_, model.coef_), "parameters": (state.parameters, expected.parameters)}
    pairs |= {letter: slots for letter, *slots in zip(state.letters, state.slots, expected.slots, strict=True)}
    for name in ("total", "average"):
        if getattr(expected, name) is not None:
            pairs[name] = getattr(state, name), getattr(expected, name)
    for name, (ours, theirs) in pairs.items():
        assert_equal_bits(ours, theirs, what=name)
    assert compiled.intercept_ == model.intercept_
    assert (state.iterations, state.epoch) == (expected.iterations, expected.epoch)
    orders = [deepcopy(it.generator).permutation(9).tolist() for it in (state, expected)]
    assert orders[0] == orders[1]
    rounding = (ROWS + 8) * float(np.finfo(state.parameters.dtype).eps)
    assert compiled.history_.keys() == model.history_.keys()
    for name, values in model.history_.items():
        assert compiled.history_[name] == pytest.approx(values, rel=rounding, abs=0), name


LOSSES = [MeanSquaredError(), Huber(0.3)]


@pytest.mark.parametrize(("loss", "batch_size"), [*((loss, 4) for loss in LOSSES), (LOSSES[1], 1)], ids=repr)
@pytest.mark.parametrize("optimizer", EVERY_RULE, ids=repr)
def test_every_rule_with_every_loss_equals_numpy_bit_for_bit_where_sums_have_one_term(optimizer, loss, batch_size):
    model, compiled = both(one_term_run(optimizer=optimizer, loss=loss, batch_size=batch_size), *one_term_data())
    assert_same(compiled, model)
    assert (compiled.coef_ != START.astype("f")).all()


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("optimizer", EVERY_RULE, ids=repr)
@pytest.mark.parametrize("features", [1, 3])
def test_batches_of_one_row_equal_numpy_bit_for_bit_where_products_are_exact(features, optimizer, fit_intercept):
    rng = np.random.default_rng(4)
    X = 2.0 ** rng.integers(-2, 3, size=(ROWS, features)) * rng.choice([-1, 1], (ROWS, features))
    X *= np.arange(ROWS)[:, np.newaxis] % features == np.arange(features)  # of a row one number is not 0
    run = one_term_run(optimizer=optimizer, loss=Huber(0.3), batch_size=1, fit_intercept=fit_intercept,
                       kernel_initializer=START[:features])  # fmt: skip
    model, compiled = both(run, X.astype("f"), rng.normal(size=ROWS).astype("f"))
    assert_same(compiled, model)
    assert (compiled.intercept_ != 0) == fit_intercept


@pytest.mark.parametrize("dtype", ["float64", "keras_float64"])
@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.3), Adam(0.1, amsgrad=True)], ids=repr)
def test_float64_equals_numpy_bit_for_bit_where_sums_have_one_term(optimizer, dtype):
    model, compiled = both(one_term_run(optimizer=optimizer, dtype=dtype, loss=Huber(0.3)), *one_term_data(dtype="d"))
    assert compiled.coef_.dtype == np.float64
    assert_same(compiled, model)


@pytest.mark.parametrize("name", AROUND)
@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_steps_around_the_rule_equal_numpy_bit_for_bit_where_sums_have_one_term(kind, name):
    optimizer = SGD(lowered_twice, momentum=0.3) if kind == "sgd" else Adam(lowered_twice)
    optimizer = optimizer.set_params(**AROUND[name])
    # The norm of accumulated gradients is a sum of several squares: one batch alone has one.
    if name == "all":
        optimizer = optimizer.set_params(gradient_accumulation_steps=None)
    model, compiled = both(one_term_run(optimizer=optimizer, batch_size=1), *one_term_data())
    assert_same(compiled, model)


@pytest.mark.parametrize(("shuffle", "batch_size"), [(False, 4), (False, 1), (True, 1)])
@pytest.mark.parametrize("reduction", losses.REDUCTIONS)
def test_weights_and_reductions_equal_numpy_bit_for_bit_where_sums_have_one_term(reduction, shuffle, batch_size):
    weight = np.random.default_rng(1).uniform(0.5, 2.0, ROWS)
    weight[8:12] = 0.0  # unshuffled, a batch that weighs nothing
    run = one_term_run(loss=Huber(0.3, reduction), shuffle=shuffle, batch_size=batch_size, optimizer=Adam(0.1))
    model, compiled = both(run, *one_term_data(), weight)
    assert_same(compiled, model)


@pytest.mark.parametrize("penalty", [L1(0.1), L2(0.1), L1L2(0.1, 0.3)], ids=repr)
def test_penalties_equal_numpy_bit_for_bit_where_sums_have_one_term(penalty):
    model, compiled = both(one_term_run(kernel_regularizer=penalty, optimizer=Adam(0.1)), *one_term_data())
    assert_same(compiled, model)


@pytest.mark.parametrize("random_state", [5, KerasSeed(5)], ids=repr)
def test_a_shuffled_run_takes_the_rows_in_the_order_of_numpy(random_state):
    run = one_term_run(random_state=random_state, shuffle=True, batch_size=1, optimizer=SGD(0.3), epochs=5)
    model, compiled = both(run, *one_term_data())
    assert_same(compiled, model)


def whole_numbers(rows, features, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(-2, 3, size=(rows, features)).astype("f"), rng.integers(-8, 9, size=rows).astype("f")


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("features", [1, 2, 7, 16, 17])
def test_exact_sums_equal_numpy_bit_for_bit_with_an_intercept(features, shuffle):
    X, y = whole_numbers(40, features)
    for optimizer in (SGD(2**-4), SGD(2**-4, momentum=0.5)):
        run = LinearRegression(optimizer, epochs=1, batch_size=16, shuffle=shuffle, kernel_initializer="zeros",
                               random_state=0)  # fmt: skip
        model, compiled = both(run, X, y)
        assert_same(compiled, model)


@pytest.mark.parametrize(
    ("rows", "features", "dtype", "batch_size"),
    [
        *((603, 2, "f", 603), (603, 16, "f", 603), (603, 17, "f", 603)),
        *((603, 7, "d", 300), (603, 16, "d", 300), (603, 17, "d", 300)),
        # Rows of 256 bytes in batches of less than 32 KiB.
        *((127, 64, "f", 127), (260, 32, "d", 127)),
    ],
)
def test_large_batches_are_exact_where_numpy_is(rows, features, dtype, batch_size):
    X, y = (it.astype(dtype) for it in whole_numbers(rows, features))
    weight = np.random.default_rng(2).integers(0, 3, rows).astype(dtype)
    # Sums of whole numbers: float32 holds them for one step, float64 for three.
    model = LinearRegression(SGD(2.0**-4), MeanSquaredError("sum"), epochs=1, batch_size=batch_size, shuffle=False,
                             kernel_initializer="zeros", dtype=np.dtype(dtype).name)  # fmt: skip
    for more in ({}, {"sample_weight": weight}):
        numpy, compiled = both(model, X, y, **more)
        assert_equal_bits(compiled.coef_, numpy.coef_)
        assert compiled.intercept_ == numpy.intercept_


def test_rows_that_are_read_one_after_the_other_may_be_more_than_wait_for_the_second_read(monkeypatch):
    monkeypatch.setattr(run, "SMALL_BATCH", 2**20)
    rows = 2 * run.TILE + 3
    X, y = whole_numbers(rows, 64)
    model = LinearRegression(SGD(2.0**-4), MeanSquaredError("sum"), epochs=1, batch_size=rows, shuffle=False,
                             kernel_initializer="zeros")  # fmt: skip
    numpy, compiled = both(model, X, y)
    assert_equal_bits(compiled.coef_, numpy.coef_)
    assert compiled.intercept_ == numpy.intercept_


def test_few_features_in_blocks_on_all_cores_are_exact_where_numpy_is():
    rows = 2**16
    X, y = whole_numbers(rows, 7)
    assert X.shape[0] * 8 >= run.LARGE
    model = LinearRegression(SGD(2.0**-4), epochs=1, batch_size=rows, kernel_initializer="zeros", random_state=0)
    numpy, compiled = both(model, X, y)
    assert_equal_bits(compiled.coef_, numpy.coef_)
    assert compiled.intercept_ == numpy.intercept_


def test_columns_lie_an_odd_number_of_cache_lines_apart():
    matrix = np.arange(3 * 1024, dtype="f").reshape(1024, 3)
    columns = columns_apart(matrix)
    assert columns.flags.c_contiguous
    assert columns.strides[0] / 64 % 2 == 1
    assert (columns[:, :1024] == matrix.T).all()


def test_large_batches_in_blocks_on_all_cores_are_exact_where_numpy_is():
    numba = pytest.importorskip("numba")
    X, y = whole_numbers(2**18, 1)
    model, compiled = both(LinearRegression(SGD(2**-3), epochs=1, batch_size=2**18, random_state=0,
                                            kernel_initializer="zeros"), X, y)  # fmt: skip
    assert X.shape[0] * 2 >= run.LARGE
    assert_equal_bits(compiled.coef_, model.coef_)
    assert compiled.intercept_ == model.intercept_
    assert compiled.state_.generator.random() == model.state_.generator.random()
    rough = np.random.default_rng(0).normal(size=(2**18, 1))
    settings = {"epochs": 3, "batch_size": 2**18, "random_state": 0, "engine": "numba"}
    all_cores = LinearRegression(SGD(0.1), **settings).fit(rough, y)
    numba.set_num_threads(1)
    one_core = LinearRegression(SGD(0.1), **settings).fit(rough, y)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert_equal_bits(all_cores.coef_, one_core.coef_)
    assert all_cores.history_ == one_core.history_


@dataclass
class Far:
    """A run on rough data, with an intercept, a weight and a penalty."""

    optimizer: optimizers.Optimizer
    loss: losses.Loss
    regularizer: regularizers.Regularizer | None = None


ROUGH = {
    "sgd": Far(SGD(0.05), MeanSquaredError()),
    "nesterov": Far(SGD(0.05, momentum=0.9, nesterov=True), Huber(0.3)),
    "rmsprop": Far(optimizers.RMSprop(0.01), MeanSquaredError()),
    "centered": Far(optimizers.RMSprop(0.01, centered=True, momentum=0.5), Huber(0.3)),
    "adam": Far(Adam(0.05), MeanSquaredError(), L2(0.1)),
    "clipnorm": Far(SGD(0.05, clipnorm=1.0), MeanSquaredError()),
    "global_clipnorm": Far(SGD(0.05, global_clipnorm=1.0, gradient_accumulation_steps=2), MeanSquaredError()),
}


@pytest.mark.parametrize("name", ROUGH)
@pytest.mark.parametrize(
    ("rows", "features", "batch_size", "rate"),
    [(1, 5, 8, 1), (30, 5, 8, 1), (30, 7, 16, 1), (30, 5, 1, 2**-5), (30, 64, 16, 2**-9)],
)
def test_rough_runs_differ_from_numpy_by_no_more_than_two_orders_of_summing_may(rows, features, batch_size, rate, name):
    X, y = data(rows=30, features=features)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 30)
    X, y, weight = (it[:rows].astype("f") for it in (X, y, weight))
    far = ROUGH[name]
    start = np.linspace(-1, 1, features)
    rule = far.optimizer.set_params(learning_rate=rate * far.optimizer.learning_rate)
    settings = LinearRegression(rule, far.loss, epochs=4, batch_size=batch_size, shuffle=False,
                                kernel_initializer=start, kernel_regularizer=far.regularizer)  # fmt: skip
    model, compiled = both(settings, X, y, weight)
    followed = FollowedRun(settings, (X, y, weight), start, 0.0)
    for _ in range(4):
        followed.epoch(rule.learning_rate)
    assert not followed.doubts
    difference = np.abs(compiled.state_.parameters - model.state_.parameters)
    assert (difference <= followed.fitted()).all()
    assert (np.abs(np.subtract(compiled.history_["loss"], model.history_["loss"])) <= followed.losses).all()


def test_the_bound_on_rough_runs_rejects_a_run_without_its_last_step():
    X, y = data(rows=30, features=5)
    settings = LinearRegression(SGD(0.05), epochs=4, batch_size=8, shuffle=False, kernel_initializer=np.zeros(5))
    followed = FollowedRun(settings, (X.astype("f"), y.astype("f"), None), np.zeros(5), 0.0)
    for _ in range(4):
        followed.epoch(0.05)
    short = settings.set_params(epochs=3).fit(X, y).state_.parameters
    whole = settings.set_params(epochs=4, engine="numba").fit(X, y).state_.parameters
    assert (np.abs(short - whole) > followed.fitted()).any()


# State, history, callbacks.


@pytest.mark.parametrize("name", ["nesterov", "adam", "schedule", "accumulation", "ema_overwriting", "scheduler"])
def test_warm_start_continues_bit_for_bit(name):
    X, y = data()
    settings = CONTINUED[name].get_params(deep=False) | {"engine": "numba", "random_state": 3, "batch_size": 16}
    straight = LinearRegression(**settings | {"epochs": 6}).fit(X, y)
    parts = LinearRegression(**settings | {"epochs": 2, "warm_start": True})
    for _ in range(3):
        parts.fit(X, y)
    assert_same(parts, straight)
    assert parts.history_ == straight.history_


@pytest.mark.parametrize("engines", [("numpy", "numba"), ("numba", "numpy")])
def test_a_run_begun_in_one_engine_goes_on_in_the_other(engines):
    run = one_term_run(optimizer=Adam(0.1, use_ema=True), warm_start=True, shuffle=True, batch_size=1)
    X, y = one_term_data()
    straight = one_term_run(**run.get_params(deep=False) | {"epochs": 6}).fit(X, y)
    for engine in engines:
        run.set_params(engine=engine).fit(X, y)
    assert_same(run, straight)


def recorder(seen):
    """A callback that notes every call and what it is told."""

    class Recorder(callbacks.Callback):
        pass

    for name in ("train_begin", "epoch_begin", "train_batch_begin", "train_batch_end", "epoch_end", "train_end"):
        setattr(
            Recorder, f"on_{name}", lambda self, *args, name=name: seen.append((name, *args[:-1], *args[-1].items()))
        )
    return Recorder()


@pytest.mark.parametrize("make", [
    lambda: [callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True)],
    lambda: [callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=1e9)],
    lambda: [callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.8)],
    lambda: [callbacks.TerminateOnNaN()],
], ids=["stop", "reduce", "schedule", "nan"])  # fmt: skip
def test_callbacks_do_what_they_do_in_numpy(make):
    X, y = one_term_data()
    runs, calls = [], []
    for engine in ("numpy", "numba"):
        calls.append([])
        run = one_term_run(engine=engine, callbacks=[*make(), recorder(calls[-1])], epochs=6, optimizer=SGD(0.5))
        runs.append(run.fit(X, y, validation_data=(X[:7], y[:7])))
    assert_same(runs[1], runs[0])
    names = [[(name, *[it for it in rest if not isinstance(it, tuple)]) for name, *rest in seen] for seen in calls]
    assert names[0] == names[1]
    values = [
        [value for _, *rest in seen for it in rest if isinstance(it, tuple) for value in it[1:]] for seen in calls
    ]
    assert values[1] == pytest.approx(values[0], rel=(ROWS + 8) * float(np.finfo("f").eps))


def test_many_epochs_in_one_call_are_booked_and_shown_one_by_one(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    X, y = one_term_data()
    shown = one_term_run(engine="numba", verbose=1, epochs=7).fit(X, y)
    assert "7/7" in terminal.getvalue()
    looked_at = one_term_run(engine="numba", epochs=7, callbacks=[callbacks.Callback()]).fit(X, y)
    assert_same(shown, looked_at)
    assert len(shown.history_["loss"]) == shown.n_iter_ == 7


def test_calls_of_few_steps_change_nothing(monkeypatch):
    X, y = one_term_data()
    settings = {"engine": "numba", "optimizer": Adam(0.1), "shuffle": True, "batch_size": 1, "epochs": 5}
    whole = one_term_run(**settings).fit(X, y)
    for most in (1, 7, 40):
        monkeypatch.setattr(run, "MOST_STEPS", most)
        assert_same(one_term_run(**settings).fit(X, y), whole)


def test_a_callable_learning_rate_is_asked_once_for_every_step():
    X, y = data()
    asked = []
    model = LinearRegression(SGD(lambda step: asked.append(step) or 0.1 / (step + 1)), epochs=2, batch_size=16,
                             random_state=0, engine="numba").fit(X, y)  # fmt: skip
    assert asked == list(range(6))
    assert model.history_["learning_rate"] == pytest.approx([0.1 / 3, 0.1 / 6])


def test_a_schedule_gives_the_rates_of_numpy():
    schedule = schedules.CosineDecay(0.1, 30, warmup_target=0.2, warmup_steps=5)
    model, compiled = both(one_term_run(optimizer=Adam(schedule), epochs=9), *one_term_data())
    assert_same(compiled, model)
    assert compiled.history_["learning_rate"] == model.history_["learning_rate"]


def test_ctrl_c_ends_the_run_between_two_calls_and_keeps_the_model():
    X, y = data()
    model = LinearRegression(SGD(0.01), epochs=10**9, random_state=0, engine="numba", batch_size=8)
    model.set_params(epochs=1).fit(X, y)  # compiled
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        model.set_params(epochs=10**9).fit(X, y)
    assert 1 < model.n_iter_ == len(model.history_["loss"]) < 10**9
    assert model.state_.iterations == 5 * model.n_iter_
    straight = LinearRegression(SGD(0.01), epochs=model.n_iter_, random_state=0, engine="numba", batch_size=8).fit(X, y)
    assert_equal_bits(straight.coef_, model.coef_)


def test_a_diverging_run_is_a_result_and_not_a_warning():
    X, y = data()
    model = LinearRegression(SGD(1e9), epochs=40, random_state=0, engine="numba").fit(X, y)
    assert np.isnan(model.coef_).all()
    assert np.isnan(model.history_["loss"][-1])
    assert model.history_["loss"][0] < np.inf


@pytest.mark.parametrize("rows", [40, 2**17])
def test_runs_in_several_threads_are_those_in_one(rows):
    X, y = data(rows=rows)
    make = lambda: LinearRegression(Adam(0.01), epochs=3, batch_size=rows, random_state=0, engine="numba")  # noqa: E731
    alone, models = make().fit(X, y), []
    threads = [threading.Thread(target=lambda: models.append(make().fit(X, y))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for model in models:
        assert_equal_bits(model.coef_, alone.coef_)
    assert len(models) == 4


def test_a_matrix_that_is_laid_out_otherwise_or_read_only_gives_the_same():
    X, y = one_term_data()
    expected = one_term_run(engine="numba").fit(X, y)
    columns, locked = np.asfortranarray(X), X.copy()
    locked.flags.writeable = False
    for given in (columns, locked, np.repeat(X, 2, axis=0)[::2]):
        assert_same(one_term_run(engine="numba").fit(given, y), expected)
    assert_equal_bits(X, one_term_data()[0])


# Formulas.


def every_formula():
    found = []
    for module in (rules, losses, regularizers):
        for name, function in vars(module).items():
            is_formula = inspect.isfunction(function) and function.__module__ == module.__name__
            if is_formula and name not in ("divisor", "row_factor"):
                found.append(pytest.param(function, id=name))
    return found


OF_VECTORS = (rules.norm, regularizers.l1_penalty, regularizers.l2_penalty)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("formula", every_formula())
def test_every_formula_is_compiled_to_numpys_bits_and_type(formula, dtype):
    rng, compiled = np.random.default_rng(0), formulas.compiled(formula)
    # Up to a subnormal, which NumPy keeps.
    vectors = [
        (10.0 ** rng.uniform(-42, 15, 300) * rng.choice([-1, 1], 300)).astype(dtype)
        for _ in inspect.signature(formula).parameters
    ]
    with np.errstate(all="ignore"):
        if formula in OF_VECTORS:
            one = [vectors[0][:1], *(vector[1] for vector in vectors[1:])]
            expected, results = formula(*one), [compiled(*one)]
        else:
            expected = formula(*vectors)
            results = [compiled(*numbers) for numbers in zip(*vectors, strict=True)]
    assert_equal_bits(np.array(results, dtype).T.ravel(), np.ravel(expected))
    kinds = {
        getattr(it, "dtype", it).name
        for it in (overload.signature.return_type for overload in compiled.overloads.values())
    }
    assert kinds <= {"float32", "float64"}
    assert np.dtype(dtype).name in kinds


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", [np.maximum, np.minimum])
def test_the_larger_and_the_smaller_of_two_numbers_are_numpys_with_nan_and_infinity(function, dtype):
    compiled = formulas.jit(getattr(formulas, function.__name__))
    numbers = np.array([np.nan, -np.inf, -1.0, 0.0, 1.0, 2.0, np.inf], dtype)
    for x in numbers:
        assert_equal_bits(np.array([compiled(x, y) for y in numbers], dtype), function(x, numbers))


@pytest.mark.parametrize("precision", [FLOAT32, FLOAT64], ids=["float32", "float64"])
def test_compiled_powers_are_those_of_numpy(precision):
    compiled = CompiledPowers.of(precision)
    assert compiled is not precision
    steps = np.arange(1, 3000)
    for beta in (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, np.float32(0.9), *np.random.default_rng(0).uniform(size=20)):
        assert_equal_bits(compiled.power(beta, steps), precision.power(beta, steps), what=beta)
    for base, exponent in ((-2.0, np.array([0.5, 2.0])), (1e300, np.array([2.0])), (0.0, np.array([-1.0]))):
        with np.errstate(all="ignore"):
            assert_equal_bits(compiled.power(base, exponent), precision.power(base, exponent))


@dataclass(frozen=True, repr=False)
class Own(losses.Loss):
    """A loss of a user's, whose value is made of two functions."""

    value = staticmethod(lambda e: quartic(e) / 4)
    slope = staticmethod(lambda e, c: c * e * e * e)
    reduction: str = "sum_over_batch_size"


def quartic(e):
    return (e * e) * (e * e)


def test_a_loss_of_the_users_own_is_compiled_with_the_functions_it_calls():
    model, compiled = both(one_term_run(loss=Own(), optimizer=SGD(0.01)), *one_term_data())
    assert_same(compiled, model)
    assert (compiled.coef_ != START.astype("f")).all()


@dataclass(frozen=True, repr=False)
class Cut(Own):
    """A loss of a user's with numbers that are no operands."""

    value = staticmethod(lambda e: np.where(np.abs(e) < 0.3, e * e / 2, 0.1))
    slope = staticmethod(lambda e, c: c * np.minimum(np.maximum(e, -0.3), 0.3))


@dataclass(frozen=True, repr=False)
class InFloat64(Own):
    """A loss of a user's that Numba takes in float64 and NumPy in the type of e."""

    value = staticmethod(lambda e: np.hypot(e, 0.1))
    slope = staticmethod(lambda e, c: c * e / np.hypot(e, 0.1))


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize(("features", "batch_size"), [(4, 4), (4, 1), (1, 1), (1, 4)])
def test_numbers_in_a_loss_of_the_users_own_have_the_type_of_the_run(features, batch_size, fit_intercept):
    X, y = one_term_data()
    X, y = (X, y) if features == FEATURES else (X.sum(1, keepdims=True), y)
    settings = {"optimizer": Adam(0.1), "batch_size": batch_size, "fit_intercept": fit_intercept,
                "kernel_initializer": START[:features]}  # fmt: skip
    model, compiled = both(one_term_run(loss=Cut(), **settings), X, y)
    if fit_intercept or batch_size > features:  # sums of several numbers, in one order and another
        np.testing.assert_allclose(compiled.coef_, model.coef_, rtol=1e-4)
    else:
        assert_same(compiled, model)
    model, compiled = both(one_term_run(loss=InFloat64(), **settings), X, y)
    assert compiled.coef_.dtype == model.coef_.dtype == np.float32
    np.testing.assert_allclose(compiled.coef_, model.coef_, rtol=1e-4)


class Strange(Own):
    value = staticmethod(lambda e: np.piecewise(e, [e < 0], [-1, 1]))


class NoFunction(Own):
    value = np.square


@pytest.mark.parametrize(("loss", "message"), [
    (Strange(), r'^engine="numba": Numba cannot compile the formulas of SGD\(.*Strange\(.*or set engine="numpy"'),
    (NoFunction(), r"^engine=\"numba\" compiles plain functions, got <ufunc 'square'>: write one, or"),
], ids=["unknown to Numba", "no function"])  # fmt: skip
def test_a_formula_that_cannot_be_compiled_is_refused_by_name(loss, message):
    with pytest.raises(TypeError, match=message):
        one_term_run(loss=loss, engine="numba").fit(*one_term_data())


# What is kept on disk.

SECOND = """
import sys
import numpy as np
from linreg import LinearRegression
from linreg.compiled import kernels
rows = int(sys.argv[1])
kept, keep = [], kernels._kept_on_disk
kernels._kept_on_disk = lambda *arguments: kept.append(keep(*arguments)) or kept[0]
model = LinearRegression(epochs=2, engine="numba", batch_size=rows, random_state=0)
model.fit(np.arange(rows)[:, np.newaxis] / rows, np.zeros(rows))
print(sum(kept[0].stats.cache_hits.values()), sum(kept[0].stats.cache_misses.values()))
"""


@pytest.mark.parametrize("rows", [3, 2**18])
def test_a_second_process_compiles_nothing(tmp_path, rows):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", SECOND, str(rows)]
    said = [subprocess.check_output(command, env=environment, text=True) for _ in range(2)]  # noqa: S603
    assert [line.split() for line in said] == [["0", "1"], ["1", "0"]]


def test_the_name_on_disk_changes_with_any_file_that_a_formula_comes_from(tmp_path, monkeypatch):
    (tmp_path / "inner.py").write_text("def half(x):\n    return x / 2\n")
    (tmp_path / "outer.py").write_text("from inner import half\n\ndef formula(x):\n    return half(x) * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    from outer import formula

    before = formulas.fingerprint([formula])
    assert before == formulas.fingerprint([formula])
    (tmp_path / "inner.py").write_text("def half(x):\n    return x / 3\n")
    assert formulas.fingerprint([formula]) != before
    typed = {}
    exec("def formula(x):\n    return x", typed)  # noqa: S102 (as at a prompt)
    assert formulas.fingerprint([typed["formula"]]) is None
