"""A sweep with `engine="numba"`: each column is its own run in NumPy, however many models share a block.

Bit for bit where all sums are exact, elsewhere to what `error_bound` derives for sums in another order.
"""

import io
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from test_sweep import (
    EXACT,
    assert_bits_of_own_runs,
    assert_within_bounds_of_own_runs,
    data,
    integers,
)
from ulp import assert_equal_bits

from linreg import L1L2, L2, SGD, Adam, Huber, LinearRegression, RMSprop, schedules, sweep

pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")

from linreg.compiled import layout, run

RATES = [2.0**-k for k in range(3, 9)]
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
OPTIONS = {
    "rates": {"learning_rate": RATES * 4},
    "momenta": {"learning_rate": RATES, "momentum": [0.5, 0.25]},
    "around": {"weight_decay": [0.5, 0.25], "clipvalue": [None, 0.5, 1.0], "learning_rate": RATES[:2]},
    "averages": {"use_ema": [True], "ema_momentum": [0.5, 0.25], "ema_overwrite_frequency": [None, 2],
                 "gradient_accumulation_steps": [2, None]},
    "penalties": {"kernel_regularizer": [L1L2(0.5, 0.25), L1L2(0.25, 0.5)]},
    "starts": {"kernel_initializer": np.arange(15.0).reshape(3, 5), "bias_initializer": [0.5, -1.0]},
    "batches": {"batch_size": [5, 7, 100], "fit_intercept": [True, False], "reduction": ["sum"], "epochs": 1},
    "orders": {"shuffle": [True, False], "random_state": [0, 1]},
    "schedules": {
        "learning_rate": [schedules.PiecewiseConstantDecay([2], [0.25, 0.125]), lambda step: 0.5**step, 0.25]
    },
}  # fmt: skip
"""What a sweep may list. Each compiles its own form, which takes seconds."""


def exact_sweep(features=5, rows=16, **more):
    """A sweep whose sums are all exact, with weights and validation data."""
    X, y = integers(rows, features)
    weight = np.random.default_rng(1).integers(0, 3, rows).astype(float)
    validation = integers(11, features, seed=5)
    return sweep(X, y, sample_weight=weight, validation_data=validation, engine="numba", **{**EXACT, **more})


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        pytest.param(name, loss, id=f"{name}-{loss}")
        for k, name in enumerate(OPTIONS)
        for loss in (("mse", "huber") if THOROUGH or name == "rates" else (("mse", "huber")[k % 2],))
    ],
)
def test_every_column_is_its_own_run_bit_for_bit_where_sums_are_exact(name, loss):
    lists = OPTIONS[name]
    found = exact_sweep(loss=Huber(2.0) if loss == "huber" else loss, **{"learning_rate": 2.0**-3, **lists})
    assert len(found) == np.prod([len(values) for values in lists.values() if not isinstance(values, int)])
    assert_bits_of_own_runs(found)


@pytest.mark.parametrize("features", [1, 3, 4, 8, 11])
def test_tiles_of_features_and_what_is_left_of_them_are_exact(features):
    assert_bits_of_own_runs(exact_sweep(features=features, rows=18, learning_rate=RATES[2:]))


@pytest.mark.parametrize("width", [layout.WIDTHS[0], layout.WIDTHS[-1]])
def test_the_width_of_a_block_changes_nothing(width, monkeypatch):
    monkeypatch.setattr(layout, "WIDTHS", (width,))
    assert_bits_of_own_runs(exact_sweep(learning_rate=RATES * 3))


def test_deltas_of_huber_go_to_their_own_columns():
    assert_bits_of_own_runs(exact_sweep(loss="huber", delta=[0.5, 1.0, 4.0], learning_rate=RATES))


@pytest.mark.parametrize("at_once", [1, 10**4, 10**9])
def test_how_many_steps_one_call_does_changes_nothing(at_once, monkeypatch):
    monkeypatch.setattr(run, "AT_ONCE_OF_MANY", at_once)
    X, y = integers()
    assert_bits_of_own_runs(sweep(X, y, learning_rate=RATES, engine="numba", **{**EXACT, "epochs": 3}))


@pytest.mark.parametrize("models", [16, 21])
def test_losses_are_added_up_in_one_order_however_many_steps_one_call_does(models, monkeypatch):
    X, y = data(45, 3)

    def losses(at_once):
        monkeypatch.setattr(run, "AT_ONCE_OF_MANY", at_once)
        rates = np.geomspace(1e-4, 1e-2, models).tolist()
        return sweep(X, y, learning_rate=rates, engine="numba", batch_size=2, epochs=5, random_state=0).history["loss"]

    assert_equal_bits(losses(1), losses(10**9))


@pytest.mark.parametrize(
    ("optimizer", "lists"),
    [
        (SGD(), {"learning_rate": [0.001, 0.03, schedules.CosineDecay(0.1, 9)], "loss__delta": [0.25, 4.0]}),
        (RMSprop(0.05, centered=True, momentum=0.5), {"rho": [0.5, 0.9], "epsilon": [1e-7, 1e-3]}),
        (Adam(0.05), {"beta_1": [0.5, 0.9], "beta_2": [0.9, 0.99], "epsilon": [1e-7, 1e-3]}),
        (SGD(0.05), {"clipnorm": [0.1, 1.0], "learning_rate": [0.05, 0.01], "kernel_regularizer": [L2(0.1), L2(0.5)]}),
        (Adam(0.05), {"global_clipnorm": [0.1, 1.0], "learning_rate": [0.05, 0.01]}),
    ],
    ids=["huber", "rmsprop", "adam", "clipnorm", "global_clipnorm"],
)
def test_rough_sweeps_differ_from_own_runs_by_no_more_than_two_orders_of_summing_may(optimizer, lists):
    X, y = data(21, 6)
    loss = "huber" if "loss__delta" in lists else "mse"
    found = sweep(X, y, optimizer=optimizer, loss=loss, engine="numba", epochs=2, batch_size=8, shuffle=False,
                  random_state=0, validation_data=data(9, 6, 1), **lists)  # fmt: skip
    assert assert_within_bounds_of_own_runs(found) == len(found)


# Columns that diverge.


def test_a_column_that_diverges_poisons_no_other():
    rates = [2.0**-4, 2.0**10, 2.0**-3, 2.0**60, 2.0**-5, 2.0**200, 2.0**-6, 2.0**-7]
    found, calm = exact_sweep(learning_rate=rates), exact_sweep(learning_rate=[rate for rate in rates if rate < 1])
    tame = [k for k, rate in enumerate(rates) if rate < 1]
    np.testing.assert_array_equal(found.coef_[tame], calm.coef_)
    np.testing.assert_array_equal(found.history["val_loss"][:, tame], calm.history["val_loss"])
    np.testing.assert_array_equal(found.history["loss"][:, tame], calm.history["loss"])


@pytest.mark.parametrize("validated", [False, True])
def test_columns_of_nan_are_left_out_and_recorded_as_in_numpy(validated):
    X, y = data()
    settings = {"learning_rate": [0.01, 1e9, 1e20, 0.02, schedules.ExponentialDecay(1e15, 3, 0.9), 10.0],
                "epochs": 40, "random_state": 0, "validation_data": (X, y) if validated else None}  # fmt: skip
    found, expected = sweep(X, y, engine="numba", **settings), sweep(X, y, **settings)
    for name, values in expected.history.items():  # whether a sum of two infinities is nan depends on its order
        np.testing.assert_array_equal(np.isfinite(found.history[name]), np.isfinite(values), err_msg=name)
        np.testing.assert_array_equal(np.isnan(found.history[name][-1]), np.isnan(values[-1]))
    np.testing.assert_array_equal(found.history["learning_rate"], expected.history["learning_rate"])
    np.testing.assert_array_equal(np.isnan(found.coef_), np.isnan(expected.coef_))
    assert set(found.n_iter_) == {40}


# What stands around a sweep.


def test_the_best_model_is_its_own_compiled_fit():
    X, y = data()
    found = sweep(X, y, optimizer=Adam(), learning_rate=[1e-4, 0.05], epochs=4, random_state=3, engine="numba")
    own = LinearRegression(Adam(0.05), epochs=4, random_state=3, engine="numba").fit(X, y)
    np.testing.assert_array_equal(found.best_model().coef_, own.coef_)


def test_the_progress_bar_counts_every_epoch(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    X, y = data()
    sweep(X, y, learning_rate=[0.1, 0.2], momentum=[0.0, 0.5], epochs=30, verbose=1, engine="numba")
    assert "60/60" in terminal.getvalue()


def test_ctrl_c_keeps_what_there_was(monkeypatch):
    monkeypatch.setattr(run, "AT_ONCE_OF_MANY", 1)  # one epoch a call
    X, y = data()

    def interrupting(step):
        if step == 3 * 3 + 1:  # in the fourth epoch of three batches
            os.kill(os.getpid(), signal.SIGINT)
        return 0.01

    settings = {"epochs": 10, "batch_size": 16, "random_state": 0, "engine": "numba"}
    with pytest.warns(RuntimeWarning, match=r"ended by Ctrl-C after 30 % of its epochs"):
        found = sweep(X, y, learning_rate=[interrupting, 0.05, 0.1], **settings)
    assert found.n_iter_.tolist() == [3, 3, 3]
    straight = sweep(X, y, learning_rate=[0.01, 0.05, 0.1], **{**settings, "epochs": 3})
    np.testing.assert_array_equal(found.history["loss"][:3], straight.history["loss"])
    assert np.isnan(found.history["loss"][3:]).all()


def test_without_numba_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "linreg.compiled.run", None)
    X, y = data()
    with pytest.raises(ImportError, match=r"engine=\"numba\" needs Numba.*pip install 'linreg\[fast\]'"):
        sweep(X, y, learning_rate=[0.1, 0.2], engine="numba")


SECOND = """
import numpy as np
from linreg import sweep
from linreg.compiled import kernels
kept, keep = [], kernels._kept_on_disk
kernels._kept_on_disk = lambda *arguments: kept.append(keep(*arguments)) or kept[0]
found = sweep(np.eye(3), np.ones(3), learning_rate=[0.1] * 20, epochs=2, engine="numba", random_state=0)
print(sum(kept[0].stats.cache_hits.values()), sum(kept[0].stats.cache_misses.values()), *found.coef_[0])
"""


def test_a_second_process_compiles_nothing(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", SECOND]
    first, second = (subprocess.check_output(command, env=environment, text=True).split() for _ in range(2))  # noqa: S603
    assert (first[:2], second[:2]) == (["0", "1"], ["1", "0"])
    assert first[2:] == second[2:]
