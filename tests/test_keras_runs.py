"""Schedules, callbacks and whole runs of `fit` against Keras."""

import os
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ulp import assert_equal_bits, ulp_distance

from linreg import L1, L1L2, L2, SGD, Adam, Huber, LinearRegression, MeanSquaredError, RMSprop, callbacks, schedules
from linreg.keras import counterpart, dense, train, weights
from linreg.precision import FLOAT32

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"

SCHEDULES = {
    "exponential": schedules.ExponentialDecay(0.1, 100, 0.9),
    "exponential_stairs": schedules.ExponentialDecay(0.1, 100, 0.9, staircase=True),
    "inverse_time": schedules.InverseTimeDecay(0.1, 100, 0.5),
    "inverse_time_stairs": schedules.InverseTimeDecay(0.1, 100, 0.5, staircase=True),
    "polynomial": schedules.PolynomialDecay(0.1, 300, 0.01, power=2.0),
    "polynomial_cycle": schedules.PolynomialDecay(0.1, 300, 0.01, cycle=True),
    "piecewise": schedules.PiecewiseConstantDecay([10, 100, 101], [0.5, 0.1, 0.3, 0.05]),
    "cosine": schedules.CosineDecay(0.1, 400, alpha=0.1),
    "cosine_warm_up": schedules.CosineDecay(0.0, 400, alpha=0.1, warmup_target=0.1, warmup_steps=50),
    "restarts_of_equal_length": schedules.CosineDecayRestarts(0.1, 70, t_mul=1.0, m_mul=0.9, alpha=0.05),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_matches_keras_within_two_ulp(keras, name):
    steps = np.arange(500)
    ours = SCHEDULES[name].rates(steps, FLOAT32)
    theirs = np.array([np.asarray(counterpart(SCHEDULES[name])(step)) for step in steps])
    assert ours.dtype == theirs.dtype == np.float32
    assert ulp_distance(ours, theirs).max() <= 2
    assert len(np.unique(ours)) > 1


def fit_both(model, X, y, kernel, bias, *, their_callbacks=(), validation=None, sample_weight=None):
    """Train `model` and its Keras counterpart from the same weights, unshuffled; return both histories and weights."""
    model.set_params(shuffle=False, kernel_initializer=kernel, bias_initializer=float(bias))
    model.fit(X, y, sample_weight=sample_weight, validation_data=validation)
    twin = dense(model, X.shape[1], kernel, bias)
    history = train(
        twin, X, y, epochs=model.epochs, batch_size=model.batch_size, sample_weight=sample_weight,
        validation_data=validation, callbacks=their_callbacks,
    )  # fmt: skip
    return np.append(model.coef_, np.float32(model.intercept_)), weights(twin), history


def regression_data(rows=50, features=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, features)).astype(np.float32)
    y = (X @ rng.normal(size=features) + 1 + 0.1 * rng.normal(size=rows)).astype(np.float32)
    return X, y, rng.uniform(-1, 1, features).astype(np.float32), np.float32(0.25)


RUNS = {
    "sgd-mse": LinearRegression(SGD(0.05), "mse"),
    "nesterov-huber": LinearRegression(SGD(0.02, momentum=0.8, nesterov=True), Huber(0.3)),
    "rmsprop-mse-l2": LinearRegression(RMSprop(0.01), "mse", kernel_regularizer=L2(0.1)),
    "adam-huber-l1": LinearRegression(Adam(0.01), "huber", kernel_regularizer=L1(0.05)),
    "adam-sum-l1l2": LinearRegression(Adam(0.01), MeanSquaredError(reduction="sum"), kernel_regularizer=L1L2(0.1, 0.1)),
    "adam-schedule": LinearRegression(Adam(schedules.ExponentialDecay(0.05, 10, 0.9)), "mse"),
    "sgd-ema": LinearRegression(SGD(0.05, use_ema=True, ema_momentum=0.9), "mse"),
    "sgd-accumulation": LinearRegression(SGD(0.05, gradient_accumulation_steps=3), "mse"),
    "sgd-clipnorm-decay": LinearRegression(SGD(0.05, clipnorm=0.5, weight_decay=0.01), "mse"),
    "sgd-without-intercept": LinearRegression(SGD(0.05), "mse", fit_intercept=False),
}


@pytest.mark.parametrize("name", RUNS)
def test_whole_run_matches_keras(keras, name):
    model = RUNS[name].set_params(epochs=15, batch_size=16)  # 50 rows: the last batch holds 2
    X, y, kernel, bias = regression_data()
    validation = regression_data(rows=21, seed=1)[:2]
    bias = bias if model.fit_intercept else np.float32(0)
    ours, theirs, history = fit_both(model, X, y, kernel, bias, validation=validation)
    ours = ours if model.fit_intercept else ours[:-1]
    # Keras runs in graph mode here and sums in another order: 60 steps drift by a few roundings each.
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.history_["loss"], history["loss"], rtol=1e-5)
    np.testing.assert_allclose(model.history_["val_loss"], history["val_loss"], rtol=1e-5)
    assert np.abs(ours[:3] - kernel).max() > 0.05


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
def test_weighted_run_matches_keras(keras, reduction):
    X, y, kernel, bias = regression_data()
    sample_weight = np.random.default_rng(2).uniform(0, 2, len(y)).astype(np.float32)
    sample_weight[32:48] = 0  # the third batch weighs nothing
    model = LinearRegression(SGD(0.01), MeanSquaredError(reduction=reduction), epochs=10, batch_size=16)
    validation = (X[:20], y[:20], sample_weight[:20])
    ours, theirs, history = fit_both(model, X, y, kernel, bias, sample_weight=sample_weight, validation=validation)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.history_["loss"], history["loss"], rtol=1e-5)
    np.testing.assert_allclose(model.history_["val_loss"], history["val_loss"], rtol=1e-5)


def most_bits(X, y, batch_size, lr, share):
    """Bits that the widest sum of a run from zero needs: its |terms|, over the last bit of any number in it."""
    A, last, bits = np.abs(np.column_stack([X, np.ones(len(y))])), 1.0, 0.0
    w = m = np.zeros(A.shape[1])
    for start in range(0, len(y), batch_size):
        rows, target = A[start : start + batch_size], np.abs(y[start : start + batch_size])
        e = rows @ w + target
        pulls = rows.T @ e * 2
        last *= min(1, 2 / len(target)) * lr * share
        m = m + lr * pulls
        w = w + 2 * m
        bits = max(bits, np.log2(max(1, e.max(), pulls.max(), w.max()) / last))
    return bits


@settings(max_examples=100 if THOROUGH else 5)
@given(
    d=st.integers(1, 64),
    log_batch=st.integers(0, 4),
    batches=st.integers(1, 3),
    log_rate=st.integers(1, 5),
    share=st.sampled_from([0.0, 0.5]),
    nesterov=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_run_on_exact_sums_matches_keras_bit_for_bit(keras, d, log_batch, batches, log_rate, share, nesterov, seed):
    # Integers, powers of two: as long as the mantissa lasts nothing is rounded, so the order of sums cannot matter.
    rng, batch_size, lr = np.random.default_rng(seed), 2**log_batch, 2.0**-log_rate
    X = rng.integers(-1, 2, size=(batch_size * batches, d)).astype(np.float32)
    y = rng.integers(-2, 3, size=len(X)).astype(np.float32)
    assume(y.any() and most_bits(X, y, batch_size, lr, share or 1) < np.finfo(np.float32).nmant + 1)
    optimizer = SGD(lr, momentum=share, nesterov=nesterov)
    model = LinearRegression(optimizer, epochs=1, batch_size=batch_size)
    ours, theirs, _ = fit_both(model, X, y, np.zeros(d, np.float32), np.float32(0))
    assert_equal_bits(ours, theirs, what=f"weights, d={d}, batch size {batch_size}, {optimizer!r}, seed {seed}")
    keras.backend.clear_session()


@pytest.mark.parametrize(
    ("name", "ours", "epochs"),
    [
        # min_delta keeps the decision clear of the last bits in which the two losses differ
        ("EarlyStopping", {"monitor": "val_loss", "min_delta": 1e-4, "patience": 2}, 60),
        ("EarlyStopping", {"min_delta": 1e-3, "patience": 3, "restore_best_weights": True}, 60),
        ("EarlyStopping", {"monitor": "loss", "min_delta": 0.05, "baseline": 0.5, "start_from_epoch": 2}, 60),
        ("ReduceLROnPlateau", {"monitor": "loss", "patience": 2, "factor": 0.5, "min_delta": 0.01}, 40),
        ("ReduceLROnPlateau", {"monitor": "loss", "patience": 1, "cooldown": 3, "min_lr": 0.02, "min_delta": 0.1}, 40),
        ("LearningRateScheduler", {"schedule": lambda epoch, lr: lr * 0.9 if epoch > 3 else lr}, 12),
        ("LearningRateScheduler", {"schedule": lambda epoch: 0.1 / (epoch + 1)}, 12),
    ],
)
def test_callback_decides_as_keras_does(keras, name, ours, epochs):
    X, y, kernel, bias = regression_data()
    Xv, yv, _, _ = regression_data(rows=20, seed=9)
    own = getattr(callbacks, name)(**ours)
    theirs = getattr(keras.callbacks, name)(**ours)
    model = LinearRegression(SGD(0.1), epochs=epochs, batch_size=16, callbacks=[own])
    our_weights, their_weights, history = fit_both(
        model, X, y, kernel, bias, their_callbacks=[theirs], validation=(Xv, yv)
    )
    assert len(model.history_["loss"]) == len(history["loss"])
    np.testing.assert_allclose(our_weights, their_weights, rtol=1e-5, atol=1e-6)
    if "learning_rate" in history:
        assert model.history_["learning_rate"] == pytest.approx(history["learning_rate"], rel=1e-6)
        assert len(set(model.history_["learning_rate"])) > 1
    elif name == "EarlyStopping":
        assert len(history["loss"]) < epochs


def test_terminate_on_nan_stops_at_the_same_epoch_as_keras(keras):
    X, y, kernel, bias = regression_data()
    model = LinearRegression(SGD(1e8), epochs=50, batch_size=16, callbacks=[callbacks.TerminateOnNaN()])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the warning itself is tested in test_callbacks
        _, _, history = fit_both(model, X, y, kernel, bias, their_callbacks=[keras.callbacks.TerminateOnNaN()])
    assert len(model.history_["loss"]) == len(history["loss"]) < 50
    assert not np.isfinite(model.history_["loss"][-1])
    assert not np.isfinite(history["loss"][-1])


def test_partial_fit_with_one_batch_is_train_on_batch(keras):
    """Small whole numbers and powers of two: every sum is exact, in whatever order it is taken."""
    rng = np.random.default_rng(0)
    X, y = rng.integers(-2, 3, (40, 3)).astype(np.float32), rng.integers(-4, 5, 40).astype(np.float32)
    model = LinearRegression(SGD(2.0**-4, momentum=0.5), kernel_initializer="zeros", batch_size=8)
    twin = dense(model, 3, np.zeros(3, np.float32), np.float32(0))
    for first in range(0, 24, 8):
        batch = X[first : first + 8], y[first : first + 8]
        model.partial_fit(*batch)
        loss = twin.train_on_batch(batch[0], batch[1][:, np.newaxis])
        assert_equal_bits(np.append(model.coef_, np.float32(model.intercept_)), weights(twin))
        assert model.history_["loss"][-1] == pytest.approx(float(np.ravel(loss)[0]), rel=8 * 2.0**-23)
    assert model.state_.iterations == 3
