"""`engine="exact"`: the same model, history and state as the loop's, computed instead of run."""

import itertools

import numpy as np
import pandas as pd
import pytest
from dynamics_problems import COLUMNS, REDUCTIONS, features

from linreg import L1, L2, SGD, Adam, Huber, KerasSeed, LinearRegression, MeanSquaredError, callbacks, exact, schedules
from linreg.regularizers import L1L2

RULES = {
    "sgd": {},
    "momentum": {"momentum": 0.8},
    "nesterov": {"momentum": 0.8, "nesterov": True},
    "decay": {"momentum": 0.5, "weight_decay": 0.3},
}
RATES = {
    "constant": lambda lr: lr,
    "smooth": lambda lr: schedules.ExponentialDecay(lr, 7, 0.9),
    "stairs": lambda lr: schedules.ExponentialDecay(lr, 11, 0.5, staircase=True),
    "listed": lambda lr: lambda step: lr / (1 + step % 4),
}
EPOCHS = (7, 5)
"""Of a first fit, and of a warm start."""


def data(rng, kind):
    n, d = int(rng.integers(1, 30)), int(rng.integers(1, 5))
    X = features(rng, n, d, kind)
    return X, rng.normal(size=n) + 1, rng.uniform(0, 2, n) * (rng.uniform(size=n) > 0.1) + 1e-3


def both_engines(settings, X, y, weight, validation):
    """The estimator after two fits, by the loop and computed, and their histories."""
    models = []
    for engine in ("numpy", "exact"):
        model = LinearRegression(**settings, engine=engine, dtype="float64", warm_start=True)
        for epochs in EPOCHS:
            model.set_params(epochs=epochs).fit(X, y, weight, validation)
        models.append(model)
    return models


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("rule", RULES)
def test_exact_run_is_the_loops_run(rule, rates):
    """To 1e-10 of the largest number of its kind in the run: a few hundred steps of some tens of roundings each."""
    rng = np.random.default_rng([list(RULES).index(rule), list(RATES).index(rates)])
    for kind, reduction in itertools.product(COLUMNS, REDUCTIONS):
        X, y, weight = data(rng, kind)
        n = len(y)
        batch_size = int(rng.integers(1, n + 3))
        rows = min(batch_size, n) if reduction == "sum" else 1
        steep = np.square(np.column_stack([X, np.ones(n)])).sum(axis=1).max()
        settings = {
            "optimizer": SGD(RATES[rates](rng.uniform(0.05, 0.4) / (steep * rows)), **RULES[rule]),
            "loss": MeanSquaredError(reduction),
            "batch_size": batch_size,
            "shuffle": bool(rng.integers(2)),
            "random_state": KerasSeed(int(rng.integers(1000))),
            "fit_intercept": bool(rng.integers(2)),
            "kernel_regularizer": L2(rng.uniform(0.01, 0.3)) if rng.integers(2) else None,
            "bias_initializer": rng.normal(),
        }
        validation = [None, (X[:3] + 1, y[:3]), (X[:5], y[:5], weight[:5])][int(rng.integers(3))]
        loop, computed = both_engines(settings, X, y, weight if rng.integers(2) else None, validation)
        assert loop.history_.keys() == computed.history_.keys()
        assert len(computed.history_["loss"]) == sum(EPOCHS)
        for name, values in loop.history_.items():
            np.testing.assert_allclose(
                computed.history_[name], values, rtol=0, atol=1e-10 * np.max(values), err_msg=name
            )
        p = np.append(loop.coef_, loop.intercept_)
        np.testing.assert_allclose(np.append(computed.coef_, computed.intercept_), p, rtol=0, atol=1e-10 * abs(p).max())
        here, there = computed.state_, loop.state_
        np.testing.assert_allclose(here.parameters, there.parameters, rtol=0, atol=1e-10 * abs(p).max())
        assert len(here.slots) == len(there.slots) == (settings["optimizer"].momentum > 0)
        for mine, theirs in zip(here.slots, there.slots, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-10 * abs(p).max())
        assert (here.iterations, here.epoch, computed.n_iter_) == (there.iterations, there.epoch, sum(EPOCHS))
        assert computed.evaluate(X, y) == pytest.approx(loop.evaluate(X, y), rel=1e-8)


def line(rows=40):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 2))
    return X, X @ [1, -2] + 0.5 + 0.1 * rng.normal(size=rows)


def exactly(**settings):
    return LinearRegression(**{"engine": "exact", "dtype": "float64", "shuffle": False, "random_state": 0, **settings})


def test_keras_order_matters_and_is_that_of_the_seed():
    X, y = line()
    seeds = {
        seed: [
            exactly(engine=engine, shuffle=shuffle, random_state=KerasSeed(seed), epochs=3, batch_size=7,
                    kernel_initializer="zeros").fit(X, y).coef_
            for engine, shuffle in (("exact", True), ("numpy", True), ("exact", False))
        ]
        for seed in (1, 2)
    }  # fmt: skip
    for computed, stepped, unshuffled in seeds.values():
        np.testing.assert_allclose(computed, stepped, rtol=1e-12)
        assert abs(computed - unshuffled).max() > 1e-3
    assert abs(seeds[1][0] - seeds[2][0]).max() > 1e-3


def test_a_shuffled_full_batch_is_the_same_in_every_epoch():
    X, y = line()
    loop, computed = (
        exactly(engine=engine, shuffle=True, batch_size=40, epochs=30).fit(X, y) for engine in ("numpy", "exact")
    )
    np.testing.assert_allclose(computed.coef_, loop.coef_, rtol=1e-12)
    np.testing.assert_allclose(computed.history_["loss"], loop.history_["loss"], rtol=1e-12)


def test_a_run_may_go_on_with_the_other_engine():
    X, y = line()
    settings = {"optimizer": SGD(0.02, momentum=0.9), "batch_size": 16, "warm_start": True}
    straight = exactly(engine="numpy", epochs=12, **settings).fit(X, y)
    for first, second in (("exact", "numpy"), ("numpy", "exact")):
        model = exactly(engine=first, epochs=5, **settings).fit(X, y)
        model.set_params(engine=second, epochs=7).fit(X, y)
        np.testing.assert_allclose(model.coef_, straight.coef_, rtol=1e-12)
        np.testing.assert_allclose(model.history_["loss"], straight.history_["loss"], rtol=1e-11)
        assert model.state_.iterations == straight.state_.iterations


def test_a_rate_set_anew_is_taken_by_a_warm_start():
    X, y = line()
    models = []
    for engine in ("numpy", "exact"):
        model = exactly(engine=engine, epochs=4, warm_start=True).fit(X, y)
        models.append(model.set_params(optimizer=SGD(0.001)).fit(X, y, validation_data=(X, y)))
    loop, computed = models
    np.testing.assert_allclose(computed.coef_, loop.coef_, rtol=1e-12)
    assert computed.history_["learning_rate"] == [0.01] * 4 + [0.001] * 4
    np.testing.assert_allclose(
        computed.history_["val_loss"], loop.history_["val_loss"], rtol=1e-12
    )  # nan, then numbers
    assert np.isnan(computed.history_["val_loss"]).tolist() == [True] * 4 + [False] * 4


def test_loss_is_booked_before_each_step_and_val_loss_after_the_epoch():
    # One row, w from 0: errors -1, -1 + 2 lr, ...
    model = exactly(optimizer=SGD(0.25), kernel_initializer="zeros", fit_intercept=False, epochs=3)
    model.fit([[1.0]], [1.0], validation_data=([[1.0]], [1.0]))
    assert model.history_["loss"] == pytest.approx([1, 1 / 4, 1 / 16], rel=1e-15)
    assert model.history_["val_loss"] == pytest.approx([1 / 4, 1 / 16, 1 / 64], rel=1e-15)


def test_many_epochs_are_booked_in_parts_that_fit_together(monkeypatch):
    X, y = line()
    whole = exactly(optimizer=SGD(0.001), epochs=50).fit(X, y, validation_data=(X, y))
    monkeypatch.setattr(exact, "AT_ONCE", 7)
    parts = exactly(optimizer=SGD(0.001), epochs=50).fit(X, y, validation_data=(X, y))
    for name, values in whole.history_.items():
        np.testing.assert_allclose(parts.history_[name], values, rtol=1e-12)
    np.testing.assert_array_equal(parts.coef_, whole.coef_)


def test_frames_of_any_kind_are_taken_and_predicted_from():
    X, y = line()
    frame = pd.DataFrame(X, columns=["sqft", "rooms"])
    model = exactly(epochs=2000).fit(frame, pd.Series(y))
    assert model.feature_names_in_.tolist() == ["sqft", "rooms"]
    exact_optimum = np.linalg.lstsq(np.column_stack([X, np.ones(40)]), y, rcond=None)[0]
    plain = exactly(epochs=2000).fit(X, y)
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    np.testing.assert_allclose([*plain.coef_, plain.intercept_], exact_optimum, atol=0.02)
    np.testing.assert_allclose(model.predict(frame), X @ model.coef_ + model.intercept_, rtol=1e-12)
    assert model.score(frame, y) > 0.99


def test_a_diverging_run_is_a_result_and_not_a_warning():
    X, y = line()
    model = exactly(optimizer=SGD(5.0), epochs=1000).fit(X, y, validation_data=(X, y))
    loop = exactly(optimizer=SGD(5.0), epochs=1000, engine="numpy").fit(X, y, validation_data=(X, y))
    assert not np.isfinite(model.coef_).any()
    # As long as its squares can be held, the loss is the loop's; then neither is a number any more.
    held = np.flatnonzero(np.array(loop.history_["loss"]) < 1e290)
    assert 10 < len(held) < 500
    for name in ("loss", "val_loss"):
        values = np.array(loop.history_[name])
        np.testing.assert_allclose(np.array(model.history_[name])[held[:-1]], values[held[:-1]], rtol=1e-9)
    assert not np.isfinite(model.history_["loss"][-1])


def test_a_million_epochs_end_where_the_loop_would():
    X, y = line(8)
    model = exactly(optimizer=SGD(0.1), epochs=10**6, batch_size=3).fit(X, y)
    assert len(model.history_["loss"]) == 10**6
    # Once more changes nothing: it is the fixed point of its epoch.
    loop = exactly(engine="numpy", optimizer=SGD(0.1), epochs=1, batch_size=3, kernel_initializer=model.coef_,
                   bias_initializer=model.intercept_).fit(X, y)  # fmt: skip
    np.testing.assert_allclose(loop.coef_, model.coef_, rtol=1e-13)
    assert model.history_["loss"][-1] == pytest.approx(loop.history_["loss"][0], rel=1e-12)
    assert model.n_iter_ == 10**6


def test_a_progress_bar_is_no_reason_to_refuse():
    X, y = line()
    assert exactly(verbose=1, epochs=2).fit(X, y).n_iter_ == 2


class Nothing(callbacks.Callback):
    pass


VALUE_ERRORS = {
    "float32": ({"dtype": "float32"}, 'computes in float64: set dtype="float64"'),
    "keras_float64": ({"dtype": "keras_float64"}, 'computes in float64: set dtype="float64"'),
    "shuffled": ({"shuffle": True}, "same batches in every epoch: set shuffle=False, batch_size=len.*KerasSeed"),
    "shuffled by a generator": ({"shuffle": True, "random_state": np.random.default_rng(0)}, "same batches"),
    "callbacks": ({"callbacks": [Nothing()]}, "no moment between two epochs for callbacks.*leave them out"),
    "Huber": ({"loss": Huber()}, "loss must be a squared error.*not linear"),
    "l1": ({"kernel_regularizer": L1(0.1)}, "slope of L1.*jumps.*use L2"),
    "l1 and l2": ({"kernel_regularizer": L1L2(0.1, 0.1)}, "jumps"),
    "clipnorm": ({"optimizer": SGD(clipnorm=1.0)}, "clipnorm of SGD.*nonlinear"),
    "clipvalue": ({"optimizer": SGD(clipvalue=1.0)}, "clipvalue of SGD"),
    "global_clipnorm": ({"optimizer": SGD(global_clipnorm=1.0)}, "global_clipnorm of SGD"),
    "averages": ({"optimizer": SGD(use_ema=True)}, "use_ema of SGD"),
    "accumulation": ({"optimizer": SGD(gradient_accumulation_steps=2)}, "gradient_accumulation_steps of SGD"),
    "another engine": ({"engine": "exakt"}, "engine.*'exakt'.*did you mean 'exact'"),
}


@pytest.mark.parametrize("what", VALUE_ERRORS)
def test_what_is_not_the_same_linear_epoch_is_refused(what):
    settings, message = VALUE_ERRORS[what]
    model = exactly(**settings)
    with pytest.raises(ValueError, match=message):
        model.fit(*line())
    assert not hasattr(model, "coef_")


def test_other_rules_are_refused():
    model = exactly(optimizer=Adam())
    with pytest.raises(TypeError, match=r"engine=.exact.: optimizer must be an SGD, got Adam\(\).*engine=.numpy."):
        model.fit(*line())
    assert not hasattr(model, "coef_")


def test_more_features_than_the_map_has_room_for_are_refused():
    with pytest.raises(ValueError, match=r"X has 501 features.*up to 500.*engine=.numpy"):
        exactly().fit(np.zeros((2, 501)), [0, 1])


def test_a_refused_warm_start_leaves_the_model_as_it_was():
    X, y = line()
    model = exactly(epochs=3, warm_start=True).fit(X, y)
    before = model.coef_.copy(), dict(model.history_), model.state_.iterations
    with pytest.raises(ValueError, match="same batches"):
        model.set_params(shuffle=True).fit(X, y)
    np.testing.assert_array_equal(model.coef_, before[0])
    assert (model.history_, model.state_.iterations) == before[1:]
