"""Whole runs of `compile` and `fit` against Keras: random settings, and a bound that is carried along the run."""

import os

import keras_state
import numpy as np
import pytest
from error_bound import error_bounds
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from strategies import any_schedule, data, log_uniform, losses, optimizers

from linreg import L2, Adam, Huber, LinearRegression
from linreg.keras import dense, train, weights

RUNS = 500 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 6
"""Each run builds and traces a Keras model, which takes about a second."""


@st.composite
def models(draw, dtype):
    """Estimators in every combination, with rates at which float32 runs can be followed for a few dozen steps."""
    # Keras computes schedules in float32, to 2 ULP as here; a float64 run would see nothing but that difference.
    rate = log_uniform(1e-4, 0.1) if dtype == "keras_float64" else st.one_of(log_uniform(1e-4, 0.1), any_schedule())
    return LinearRegression(
        draw(optimizers(learning_rate=rate)),
        draw(losses()),
        epochs=draw(st.integers(1, 6)),
        batch_size=draw(st.integers(1, 40)),
        shuffle=False,
        fit_intercept=draw(st.booleans()),
        kernel_regularizer=draw(st.sampled_from([None, L2(0.1)])),
        dtype=dtype,
    )


def compare(keras, model, table, start, validation):
    """Run both; assert that weights and history agree within the bound; return the worst share of the bound used."""
    X, y, sample_weight = table
    kernel = start.normal(size=X.shape[1]).astype(X.dtype)
    bias = X.dtype.type(start.normal()) if model.fit_intercept else X.dtype.type(0)
    with np.errstate(all="ignore"):
        bounds = error_bounds(model, table, kernel, bias, np.finfo(X.dtype).eps, validation)
    model.set_params(kernel_initializer=kernel, bias_initializer=float(bias))
    model.fit(X, y, sample_weight=sample_weight, validation_data=validation)
    ours = np.append(model.coef_, [model.intercept_] * model.fit_intercept)
    # A run that overflows, or whose errors grow beyond a thousandth, is no longer followed by a linear bound.
    assume(np.isfinite(ours).all() and np.isfinite(bounds.parameters).all())
    assume((bounds.parameters <= 1e-3 * (1 + np.abs(ours))).all())
    twin = dense(model, X.shape[1], kernel, bias)
    theirs = train(
        twin, X, y, epochs=model.epochs, batch_size=model.batch_size, sample_weight=sample_weight,
        validation_data=validation,
    )  # fmt: skip
    run = f"{model.optimizer!r}, {model.loss!r}"
    off = np.abs(ours - weights(twin))
    assert (off <= bounds.parameters).all(), (run, off, bounds.parameters)
    for letter, slot, bound in zip(model.state_.letters, model.state_.slots, bounds.slots, strict=True):
        slot_off = np.abs(slot - keras_state.slot(twin.optimizer, letter))
        assert (slot_off <= bound).all(), (run, letter, slot_off, bound)
    for name, bound in (("loss", bounds.losses), ("val_loss", bounds.val_losses)):
        if name in theirs:
            loss_off = np.abs(np.array(model.history_[name]) - theirs[name])
            metric = 4 * len(y) * np.finfo(np.float32).eps * np.abs(theirs[name])  # Keras' mean over batches is float32
            assert (loss_off <= bound + metric).all(), (run, name, loss_off, bound)
    keras.backend.clear_session()  # thousands of traced models would fill the memory
    return float((off / bounds.parameters).max())


@settings(max_examples=RUNS)
@given(draw=st.data())
def test_whole_run_stays_within_the_carried_bound(keras, draw):
    model, table = draw.draw(models("float32")), draw.draw(data())
    validation = (table[0][:5], table[1][:5]) if draw.draw(st.booleans()) else None
    used = compare(keras, model, table, np.random.default_rng(draw.draw(st.integers(0, 2**31))), validation)
    event(f"share of the bound used: 1e{np.floor(np.log10(max(used, 1e-6))):.0f}")


@settings(max_examples=RUNS // 2)
@given(draw=st.data())
def test_whole_float64_run_stays_within_the_carried_bound(keras, draw):
    model, table = draw.draw(models("keras_float64")), draw.draw(data(np.float64))
    with keras_state.float64_by_default(keras):
        compare(keras, model, table, np.random.default_rng(draw.draw(st.integers(0, 2**31))), None)


@pytest.mark.parametrize("wrong", ["learning_rate", "epsilon", "delta", "epochs"])
def test_the_bound_rejects_a_run_that_differs_a_little(wrong):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)).astype(np.float32)
    y = (X @ [1.0, 2.0, 3.0] + rng.normal(size=40)).astype(np.float32)
    settings = {"epochs": 5, "batch_size": 16, "shuffle": False, "kernel_initializer": np.zeros(3)}
    right = LinearRegression(Adam(0.01, epsilon=1e-3), Huber(1.0), **settings)
    other = {
        "learning_rate": {"optimizer__learning_rate": 0.01001},
        "epsilon": {"optimizer__epsilon": 1.1e-3},
        "delta": {"loss__delta": 1.001},
        "epochs": {"epochs": 4},
    }[wrong]
    bounds = error_bounds(right, (X, y), np.zeros(3), 0.0, np.finfo(np.float32).eps)
    expected = right.fit(X, y).coef_
    off = np.abs(LinearRegression(**right.get_params(deep=False)).set_params(**other).fit(X, y).coef_ - expected)
    assert (off > bounds.parameters[:3]).any(), (off, bounds.parameters)
