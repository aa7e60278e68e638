"""A sweep: each configuration ends as its own run does, whatever the others do."""

import copy
import io
import os
import signal
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import data as tables
from strategies import losses, optimizers, regularizers

from linreg import L1, L1L2, L2, SGD, Adam, Huber, KerasSeed, LinearRegression, RMSprop, dynamics, schedules, sweep
from linreg.batches import KEPT_ERRORS
from linreg.callbacks import TerminateOnNaN
from linreg.drift import FollowedRun
from linreg.fitting import start as start_of
from linreg.sweeps import passes


def data(rows=40, features=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, features)).astype("f")
    return X, (X @ np.arange(1, features + 1) + 1 + 0.1 * rng.normal(size=rows)).astype("f")


def integers(rows=16, features=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(-2, 3, size=(rows, features)).astype(float), rng.integers(-4, 5, size=rows).astype(float)


def own_run(found, k):
    model = LinearRegression(**found.models[k].get_params(deep=False))
    X, y, weight, validation = found.data
    model.set_params(random_state=copy.deepcopy(model.random_state), engine="numpy")
    return model.fit(X, y, weight, validation)


def assert_bits_of_own_runs(found):
    """The parameters are those of the own runs; sums of squares need more digits than there are, and are rounded."""
    rounding = (len(found.data[1]) + 8) * np.finfo(found.coef_.dtype).eps  # all terms are positive
    for k in range(len(found)):
        own = own_run(found, k)
        np.testing.assert_array_equal(found.coef_[k], own.coef_, err_msg=str(found.configurations[k]))
        assert found.intercept_[k] == own.intercept_
        np.testing.assert_array_equal(found.history["learning_rate"][:, k], own.history_["learning_rate"])
        for name in found.history:
            np.testing.assert_allclose(found.history[name][:, k], own.history_[name], rtol=rounding)


def assert_within_bounds_of_own_runs(found):
    """Each column is its own run, to the rounding of sums in another order; returns how many could be compared."""
    compared = 0
    X, y, weight, validation = found.data
    for k, model in enumerate(found.models):
        own = own_run(found, k)
        start = start_of(model, passes._read(model, model.settings(), *found.data)[0], model.settings()).parameters
        bias = start[-1] if model.fit_intercept else 0.0
        followed = FollowedRun(model, (X, y, weight), start[: X.shape[1]], bias, validation)
        for epoch in range(model.epochs):
            followed.epoch(model.settings().optimizer.learning_rate)
            if followed.doubts:
                break
            for name, bounds in (("loss", followed.losses), ("val_loss", followed.val_losses)):
                if name in found.history:
                    assert abs(found.history[name][epoch, k] - own.history_[name][epoch]) <= bounds[-1], name
        np.testing.assert_array_equal(found.history["learning_rate"][:, k], own.history_["learning_rate"])
        if followed.doubts:
            continue
        fitted = np.append(own.coef_, own.intercept_)[: len(start)]
        difference = np.abs(np.append(found.coef_[k], found.intercept_[k])[: len(start)] - fitted)
        assert (difference <= followed.fitted()).all(), found.configurations[k]
        compared += 1
    return compared


# Bit for bit, where all sums are exact: integers, powers of two, few steps.

EXACT = {"epochs": 2, "batch_size": 8, "random_state": 3, "dtype": "float64", "kernel_initializer": "zeros"}


@pytest.mark.parametrize("loss", ["mse", Huber(2.0)], ids=["mse", "huber"])
@pytest.mark.parametrize(
    "lists",
    [
        {"learning_rate": [2.0**-k for k in range(2, 8)]},
        {"learning_rate": [2.0**-3, 2.0**-5], "momentum": [0.0, 0.5, 0.25]},
        {"learning_rate": [2.0**-3, 2.0**-5], "momentum": [0.5, 0.25], "nesterov": [True, False]},
        {"weight_decay": [None, 0.5, 0.25], "learning_rate": [2.0**-3, 2.0**-4]},
        {"clipvalue": [None, 0.5, 1.0], "learning_rate": [2.0**-3, 2.0**-4]},
        {"use_ema": [True], "ema_momentum": [0.5, 0.25], "ema_overwrite_frequency": [None, 2]},
        {"gradient_accumulation_steps": [2, None], "learning_rate": [2.0**-3, 2.0**-4]},
        {"kernel_regularizer": [None, L2(0.5), L2(0.25), L1(0.5), L1L2(0.5, 0.25)]},
        {"kernel_initializer": np.arange(12.0).reshape(4, 3), "bias_initializer": [0.5, -1.0]},
        {"batch_size": [4, 8, 24, 100], "learning_rate": [2.0**-3, 2.0**-4]},
        {"shuffle": [True, False], "random_state": [0, 1, KerasSeed(2)]},
        {"fit_intercept": [True, False], "learning_rate": [2.0**-3, 2.0**-4]},
        {"learning_rate": [schedules.PiecewiseConstantDecay([2], [0.25, 0.125]), lambda step: 0.5**step, 0.25]},
    ],
    ids=lambda lists: f"{','.join(lists)}-{sum(map(len, lists.values()))}",
)
def test_every_column_is_its_own_run_bit_for_bit_where_sums_are_exact(lists, loss):
    X, y = integers()
    weight, validation = np.random.default_rng(1).integers(0, 3, 16).astype(float), integers(11, seed=5)
    rate = {} if "learning_rate" in lists else {"learning_rate": 2.0**-3}
    found = sweep(X, y, loss=loss, sample_weight=weight, validation_data=validation, **{**EXACT, **rate, **lists})
    assert len(found) == np.prod([len(values) for values in lists.values()])
    assert_bits_of_own_runs(found)


# Elsewhere to the rounding of sums, followed along each run.

EVERY_RULE = (
    SGD(0.05),
    SGD(0.05, momentum=0.9),
    SGD(0.05, momentum=0.9, nesterov=True),
    RMSprop(0.05),
    RMSprop(0.05, centered=True),
    RMSprop(0.05, momentum=0.5),
    RMSprop(0.05, momentum=0.5, centered=True),
    Adam(0.05),
    Adam(0.05, amsgrad=True),
)
NUMBERS = {
    "learning_rate": [0.001, 0.03, schedules.CosineDecay(0.1, 9)],
    "weight_decay": [0.01, 0.1],
    "clipvalue": [0.1, 1.0],
    "clipnorm": [0.1, 1.0],
    "global_clipnorm": [0.1, 1.0],
    "ema_momentum": [0.9, 0.5],
    "loss__delta": [0.25, 4.0],
    "kernel_regularizer": [L2(0.1), L2(0.5)],
}
OF_A_RULE = {SGD: {"momentum": [0.5, 0.8]}, RMSprop: {"rho": [0.5, 0.9], "epsilon": [1e-7, 1e-3], "momentum": [0.3, 1]},
             Adam: {"beta_1": [0.5, 0.9], "beta_2": [0.9, 0.99], "epsilon": [1e-7, 1e-3]}}  # fmt: skip


@pytest.mark.parametrize("optimizer", EVERY_RULE, ids=repr)
def test_every_number_of_every_rule_and_loss_can_be_swept(optimizer):
    X, y = data(20, 2)
    lists = NUMBERS | OF_A_RULE[type(optimizer)]
    settings = {"epochs": 2, "batch_size": 8, "shuffle": False, "random_state": 0}
    for name, values in lists.items():
        base = optimizer.set_params(use_ema=True) if name == "ema_momentum" else optimizer
        for loss in ["huber"] if name == "loss__delta" else ["mse", "huber"]:
            found = sweep(X, y, optimizer=base, loss=loss, validation_data=data(9, 2, 1), **settings, **{name: values})
            assert assert_within_bounds_of_own_runs(found) == len(values), name


@given(st.lists(optimizers(), min_size=1, max_size=3), st.lists(losses(), min_size=1, max_size=2), regularizers(),
       tables(max_rows=20, max_features=3), st.integers(1, 8), st.booleans(), st.booleans())  # fmt: skip
def test_any_sweep_is_its_own_runs(rules, kinds, penalty, table, batch_size, intercept, validated):
    X, y, weight = table
    found = sweep(
        X, y, optimizer=rules, loss=kinds, kernel_regularizer=penalty, batch_size=batch_size, fit_intercept=intercept,
        epochs=2, shuffle=False, random_state=0, sample_weight=weight,
        validation_data=(X[::-1].copy(), y) if validated else None,
    )  # fmt: skip
    assert len(found) == len(rules) * len(kinds)
    assert_within_bounds_of_own_runs(found)


def test_the_bound_rejects_a_sweep_whose_columns_are_swapped():
    X, y = data(20, 2)
    found = sweep(X, y, learning_rate=[0.01, 0.02], epochs=2, batch_size=8, shuffle=False, random_state=0)
    found.coef_[:] = found.coef_[::-1].copy()
    with pytest.raises(AssertionError):
        assert_within_bounds_of_own_runs(found)


def test_several_rules_in_one_call_each_with_the_parameters_that_it_has():
    X, y = data()
    found = sweep(X, y, optimizer=["sgd", "adam"], loss=["mse", Huber()], learning_rate=[0.01, 0.1],
                  momentum=[0.0, 0.5], delta=[0.5, 1.0], epochs=2, shuffle=False, random_state=0)  # fmt: skip
    # SGD: 2 rates, 2 momenta; Adam: 2 rates. Huber: 2 deltas; MSE none.
    assert len(found) == (4 + 2) * (2 + 1)
    for one, model in zip(found.configurations, found.models, strict=True):
        settings = model.settings()
        assert settings.optimizer.learning_rate == one["learning_rate"]
        assert getattr(settings.optimizer, "momentum", None) == one.get("momentum")
        assert getattr(settings.loss, "delta", None) == one.get("delta")
    assert assert_within_bounds_of_own_runs(found) == 18


def test_paired_lists_go_side_by_side():
    X, y = data()
    found = sweep(X, y, paired=True, learning_rate=[0.1, 0.01], momentum=[0.0, 0.9], epochs=1, random_state=0)
    assert found.configurations == [{"learning_rate": 0.1, "momentum": 0.0}, {"learning_rate": 0.01, "momentum": 0.9}]


def test_parameters_of_parts_of_parts_can_be_swept_by_their_long_names():
    X, y = data()
    found = sweep(
        X, y, optimizer=Adam(schedules.ExponentialDecay(0.1, 10, 0.5)), epochs=2, random_state=0, shuffle=False,
        optimizer__learning_rate__decay_rate=[0.5, 0.9], learning_rate__decay_steps=[5, 10],
    )  # fmt: skip
    rates = [(m.optimizer.learning_rate.decay_rate, m.optimizer.learning_rate.decay_steps) for m in found.models]
    assert rates == [(0.5, 5), (0.5, 10), (0.9, 5), (0.9, 10)]
    assert assert_within_bounds_of_own_runs(found) == 4


@pytest.mark.parametrize("kept", [1, KEPT_ERRORS])
@pytest.mark.parametrize("rows_at_once", [1, passes.ERRORS_OF_A_BATCH])
def test_how_many_errors_and_columns_are_held_at_a_time_changes_nothing(kept, rows_at_once, monkeypatch):
    monkeypatch.setattr("linreg.batches.KEPT_ERRORS", kept)
    monkeypatch.setattr(passes, "ERRORS_OF_A_BATCH", rows_at_once)
    X, y = integers()
    found = sweep(X, y, validation_data=integers(19, seed=2), learning_rate=[2.0**-3, 2.0**-4, 2.0**-5], **EXACT)
    assert_bits_of_own_runs(found)


def test_without_a_seed_all_configurations_share_one():
    X, y = integers()
    found = sweep(X, y, learning_rate=[0.125, 0.125], **{**EXACT, "random_state": None})
    np.testing.assert_array_equal(*found.coef_)
    assert_bits_of_own_runs(found)
    starts = sweep(X, y, learning_rate=0.125, **{**EXACT, "random_state": [None] * 3, "kernel_initializer": "zeros"})
    assert len({tuple(coef) for coef in starts.coef_}) == 3


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_a_generator_is_copied_and_left_as_it_is(make):
    X, y = integers()
    generator = make(5)
    found = sweep(X, y, learning_rate=[0.125, 0.25], **{**EXACT, "random_state": generator})
    drawn = sweep(X, y, learning_rate=[0.25], random_state=generator)
    assert generator.uniform() == make(5).uniform()
    own = LinearRegression(SGD(0.25), **{**EXACT, "random_state": make(5)}).fit(X, y)
    np.testing.assert_array_equal(found.coef_[1], own.coef_)
    np.testing.assert_array_equal(found.model(1).coef_, own.coef_)
    own = LinearRegression(SGD(0.25), random_state=make(5)).fit(X, y)
    np.testing.assert_array_equal(drawn.model(0).coef_, own.coef_)


# Columns that diverge.


def test_a_column_that_diverges_neither_warns_nor_poisons_the_others():
    X, y = integers()
    rates = [2.0**-4, 2.0**10, 2.0**-3, 2.0**60, 2.0**-5, 2.0**200, 2.0**-6, 2.0**-7]
    found = sweep(X, y, learning_rate=rates, validation_data=(X, y), **{**EXACT, "epochs": 3})
    calm = sweep(X, y, learning_rate=[r for r in rates if r < 1], validation_data=(X, y), **{**EXACT, "epochs": 3})
    tame = [k for k, rate in enumerate(rates) if rate < 1]
    np.testing.assert_array_equal(found.coef_[tame], calm.coef_)
    # The third epoch's losses have more digits than float64, and BLAS may add up fewer columns in another order.
    np.testing.assert_allclose(found.history["val_loss"][:, tame], calm.history["val_loss"], rtol=1e-14)


@pytest.mark.parametrize("optimizer", ["sgd", SGD(use_ema=True), SGD(momentum=0.5, gradient_accumulation_steps=3)])
def test_columns_of_nan_are_left_out_and_recorded_as_their_own_runs_are(optimizer, monkeypatch):
    widths = []
    run = passes.runs_of("numpy")
    monkeypatch.setattr(
        passes, "runs_of",
        lambda engine: lambda *args, **kw: widths.append(args[1].parameters.shape[1]) or run(*args, **kw),
    )  # fmt: skip
    X, y = data()
    rates = [0.01, 1e9, 1e20, 0.02, schedules.ExponentialDecay(1e15, 3, 0.9), 10.0]
    found = sweep(X, y, optimizer=optimizer, learning_rate=rates, epochs=40, random_state=0, validation_data=(X, y))
    assert widths[0] == 6
    assert widths[-1] == 2 + (optimizer != "sgd" and optimizer.gradient_accumulation_steps is not None)
    for k in range(6):
        own = own_run(found, k)
        for name, values in own.history_.items():  # whether a sum of two infinities is nan depends on its order
            np.testing.assert_array_equal(np.isfinite(found.history[name][:, k]), np.isfinite(values))
            assert np.isnan(found.history[name][-1, k]) == np.isnan(values[-1])
        np.testing.assert_array_equal(found.history["learning_rate"][:, k], own.history_["learning_rate"])
        np.testing.assert_array_equal(np.isnan(found.coef_[k]), np.isnan(own.coef_))
    assert set(found.n_iter_) == {40}
    assert np.isnan(found.scores).tolist() == [False, True, True, False, True, True]


def test_a_sweep_in_which_everything_diverges_has_no_best():
    X, y = data()
    found = sweep(X, y, learning_rate=[1e9, 1e12], epochs=40, random_state=0)
    assert "2 configurations, smallest loss first, 2 not finite" in str(found)
    assert np.isnan(found.history["loss"][-1]).all()
    with pytest.raises(ValueError, match=r"No configuration of this sweep ended finite.*smaller learning rates"):
        found.best_model()


# What comes back.


def test_the_best_has_the_smallest_loss_and_validation_data_decide_where_given():
    X, y = data()
    lists = {"learning_rate": [1e9, 0.001, 0.1, 1e-6], "epochs": 30, "kernel_initializer": "zeros"}
    found = sweep(X, y, **lists)
    assert found.best == 2
    assert found.best_configuration == {"learning_rate": 0.1}
    away = sweep(X, y, validation_data=(X, 0 * y), **lists)  # the farther from a fit, the better
    assert away.criterion == "val_loss"
    assert away.best == 3


@pytest.mark.parametrize("optimizer", [SGD(0.05, momentum=0.9), Adam(0.05, use_ema=True)], ids=repr)
def test_the_best_model_is_its_own_fit_and_goes_on_bit_for_bit(optimizer):
    X, y = data()
    found = sweep(X, y, optimizer=optimizer, learning_rate=[1e-4, 0.05], epochs=4, batch_size=16, random_state=3)
    model = found.best_model()
    own = LinearRegression(optimizer, epochs=4, batch_size=16, random_state=3).fit(X, y)
    np.testing.assert_array_equal(model.coef_, own.coef_)
    assert model.history_ == own.history_
    straight = LinearRegression(optimizer, epochs=6, batch_size=16, random_state=3).fit(X, y)
    model.set_params(warm_start=True, epochs=2).fit(X, y)
    np.testing.assert_array_equal(model.coef_, straight.coef_)
    assert model.history_ == straight.history_


def test_the_table_has_a_row_for_each_configuration_and_polars_takes_it():
    X, y = data()
    found = sweep(X, y, optimizer=["sgd", Adam()], momentum=[0, 0.5], loss=["mse", "huber"], nesterov=[True],
                  epochs=2, validation_data=(X, y), random_state=0)  # fmt: skip
    table = found.table()
    assert [row["momentum"] for row in table] == [0, 0.5, 0, 0.5, None, None]
    assert [row["loss"] for row in table] == ["mse", "mse", "huber", "huber", "mse", "huber"]
    assert [row["final_val_loss"] for row in table] == found.history["val_loss"][-1].tolist()
    polars = pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")
    frame = found.to_polars()
    assert isinstance(frame, polars.DataFrame)
    assert frame["optimizer"].to_list() == ["sgd"] * 4 + ["Adam()"] * 2
    assert frame["momentum"].to_list() == [0.0, 0.5, 0.0, 0.5, None, None]
    assert frame["nesterov"].to_list() == [True] * 4 + [None] * 2


def test_str_shows_the_best_ten_first():
    X, y = data()
    rates = np.geomspace(1e-5, 0.1, 12)
    lines = str(sweep(X, y, learning_rate=rates, epochs=5, random_state=0)).splitlines()
    assert lines[0] == "12 configurations, smallest loss first"
    assert lines[1].split() == ["learning_rate", "final_loss"]
    shown = [float(line.split()[0]) for line in lines[2:12]]
    assert shown == pytest.approx(rates[:1:-1], rel=1e-3)
    assert lines[12:] == ["... and 2 more: .table()"]


def test_the_heat_map_marks_what_is_not_finite_and_the_best():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'linreg[plot]'")
    X, y = data()
    found = sweep(X, y, learning_rate=[0.001, 1e9, 0.1], momentum=[0.0, 0.5], batch_size=[16, 40], epochs=40,
                  random_state=0)  # fmt: skip
    figure = found.heatmap("learning_rate", "momentum")
    axes = figure.axes[0]
    crosses, star = axes.lines
    assert sorted(zip(*crosses.get_data(), strict=True)) == [(2, 0), (2, 1)]  # 1e9 is the third of the rates
    best = found.best_configuration
    column, row = (int(values[0]) for values in star.get_data())
    assert ([0.001, 0.1, 1e9][column], [0.0, 0.5][row]) == (best["learning_rate"], best["momentum"])
    assert figure.get_suptitle() == "loss after the last epoch, the best over batch_size"
    shown = axes.collections[0].get_array()
    pairs = found.scores.reshape(2, 3, 2)  # batch size, rate, momentum
    np.testing.assert_allclose(shown[0].compressed(), np.nanmin(pairs[:, [0, 2], 0], axis=0))
    with pytest.raises(ValueError, match=r"No parameter 'momemtum' was swept over; did you mean 'momentum'"):
        found.heatmap("momemtum")


def test_a_sweep_over_rates_alone_is_drawn_as_a_curve_with_the_largest_stable_rate():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'linreg[plot]'")
    X, y = data()
    found = sweep(X, y, learning_rate=np.geomspace(0.001, 1e9, 9), epochs=30, random_state=0, batch_size=40)
    lines = found.heatmap().axes[0].lines
    labels = [line.get_label() for line in lines]
    limit = dynamics.max_learning_rate(X)
    assert f"largest stable rate of full batches: {limit:.3g}" in labels
    assert lines[-1].get_xdata()[0] == pytest.approx(limit)
    assert "not finite" in labels
    named = sweep(X, y, optimizer=["sgd", "adam", "rmsprop"], epochs=2, random_state=0).heatmap().axes[0]
    assert [text.get_text() for text in named.get_xticklabels()] == ["sgd", "adam", "rmsprop"]
    with pytest.raises(ValueError, match=r"Every configuration is the same"):
        sweep(X, y, learning_rate=0.1, epochs=1).heatmap()


def test_without_its_extra_a_picture_or_a_frame_says_what_to_install(monkeypatch):
    X, y = data()
    found = sweep(X, y, learning_rate=[0.1, 0.2], epochs=1)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match=r"pip install 'linreg\[plot\]'"):
        found.heatmap()
    with pytest.raises(ImportError, match=r"pip install 'linreg\[data\]'"):
        found.to_polars()


# What is refused.


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"learning_rat": [0.1]}, ValueError, r"has a parameter 'learning_rat'; did you mean 'learning_rate'"),
        ({"momentum": [0.5], "optimizer": "adam"}, ValueError, r"no model of this sweep has a parameter 'momentum'"),
        ({"optimizer__momentun": [0.5]}, ValueError, r"'optimizer__momentun'; did you mean 'optimizer__momentum'"),
        ({"optimizer": ["sgd", "adem"]}, ValueError, r"unknown optimizer 'adem'; did you mean 'adam'"),
        ({"learning_rate": []}, ValueError, r"learning_rate is an empty list: give at least one value"),
        ({"learning_rate": np.array([])}, ValueError, r"learning_rate is an empty list"),
        ({"kernel_initializer": []}, ValueError, r"kernel_initializer is an empty list"),
        ({"learning_rate": [0.1, -1.0]}, ValueError, r"learning_rate must be a finite number at least 0, got -1.0"),
        ({"learning_rate": [[0.1, 0.2]]}, TypeError, r"learning_rate must be a finite number at least 0, got \[0.1"),
        ({"learning_rate": np.ones((2, 2))}, TypeError, r"SGD: learning_rate must be a finite number"),
        ({"epochs": [10, 20]}, TypeError, r"epochs is the same for all configurations, got the list \[10, 20\]"),
        ({"dtype": ["float32"]}, TypeError, r"dtype is the same for all configurations"),
        ({"callbacks": [TerminateOnNaN()]}, ValueError, r"a sweep has no callbacks: fit one of its models"),
        ({"warm_start": True}, ValueError, r"warm_start=True is not possible: a sweep starts anew"),
        ({"engine": "exact"}, ValueError, r'engine="exact" is not possible: .*set engine="numpy" or "numba"'),
        ({"engine": "nunba"}, ValueError, r"unknown engine 'nunba'; did you mean 'numba'"),
        ({"engine": ["numpy", "numba"]}, TypeError, r"engine is the same for all configurations"),
        ({"learning_rate": [0.1], "momentum": [0, 0.5], "paired": True}, ValueError,
         r"paired=True needs lists of one length, but learning_rate has 1, momentum has 2"),
        ({"paired": True}, ValueError, r"paired=True needs lists of one length, but there is none"),
        ({"kernel_initializer": np.zeros((2, 5))}, ValueError, r"has shape \(5,\), but X has 3 features"),
    ],
)  # fmt: skip
def test_what_cannot_be_swept_is_refused_in_words(parameters, error, message):
    X, y = data()
    with pytest.raises(error, match=message):
        sweep(X, y, **parameters)


def test_a_single_start_is_no_list_of_starts():
    X, y = integers()
    found = sweep(X, y, learning_rate=[0.125, 0.25], **{**EXACT, "kernel_initializer": [1.0, 2.0, 3.0]})
    assert len(found) == 2
    assert_bits_of_own_runs(found)
    mixed = sweep(
        X, y, learning_rate=0.125, **{**EXACT, "kernel_initializer": ["zeros", [1.0, 2.0, 3.0], "glorot_uniform"]}
    )
    assert [own_run(mixed, k).coef_.tolist() for k in (0, 1)] == mixed.coef_[:2].tolist()
    assert mixed.coef_[2] == pytest.approx(own_run(mixed, 2).coef_, rel=1e-12)


# Ctrl-C and the progress bar.


def test_ctrl_c_keeps_what_there_was():
    X, y = data()

    def interrupting(step):
        if step == 3 * 3 + 1:  # in the fourth epoch of three batches, which are one chunk and are finished
            os.kill(os.getpid(), signal.SIGINT)
        return 0.01

    settings = {"epochs": 10, "batch_size": 16, "random_state": 0}
    with pytest.warns(RuntimeWarning, match=r"ended by Ctrl-C after 20 % of its epochs"):
        found = sweep(X, y, optimizer=["sgd", "adam"], learning_rate=[interrupting, 0.05, 0.1], **settings)
    assert found.interrupted
    assert found.n_iter_.tolist() == [4, 4, 4, 0, 0, 0]
    straight = sweep(X, y, learning_rate=[0.01, 0.05, 0.1], **{**settings, "epochs": 4})
    np.testing.assert_array_equal(found.history["loss"][:4, :3], straight.history["loss"])
    assert np.isnan(found.history["loss"][4:]).all()
    assert found.best == straight.best
    assert found.model(1).n_iter_ == 4
    assert "ended by Ctrl-C" in str(found)
    with pytest.raises(ValueError, match=r"was not trained for a single epoch before Ctrl-C"):
        found.model(4)


def test_the_progress_bar_is_drawn_on_a_terminal_only(capsys, monkeypatch):
    X, y = data()
    sweep(X, y, learning_rate=[0.1, 0.2], epochs=2, verbose=1)
    assert capsys.readouterr().err == ""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    sweep(X, y, optimizer=["sgd", "adam"], learning_rate=[0.1, 1e9], epochs=30, verbose=1, validation_data=(X, y))
    assert "60/60" in terminal.getvalue()
    assert "val_loss" in terminal.getvalue()


def test_a_sweep_never_warns_of_overflow():
    X, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for optimizer in EVERY_RULE:
            sweep(1e6 * X, 1e6 * y, optimizer=optimizer, learning_rate=[1e-9, 1e5, 1e30], epochs=9, random_state=0)
