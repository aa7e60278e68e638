"""The loop: what it does with batches, orders, state, history, callbacks and the keyboard."""

import os
import signal
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linreg import L1, L2, SGD, Adam, Huber, LinearRegression, MeanSquaredError, RMSprop, callbacks, schedules
from linreg.batches import KEPT_VIEWS, Problem
from linreg.precision import FLOAT32
from linreg.steps import State
from linreg.training import Run


def data(rows=40, features=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, features))
    return X, X @ np.arange(1, features + 1) + 1 + 0.1 * rng.normal(size=rows)


def plain_sgd(X, y, lr, epochs, batch_size, w, b):
    """The textbook loop, written out: an independent truth for the loop's plumbing."""
    losses = []
    for _ in range(epochs):
        total = 0.0
        for start in range(0, len(y), batch_size):
            Xb, yb = X[start : start + batch_size], y[start : start + batch_size]
            e = Xb @ w + b - yb
            total += float(e @ e)
            w, b = w - lr * 2 / len(yb) * (e @ Xb), b - lr * 2 / len(yb) * e.sum()
        losses.append(total / len(y))
    return w, b, losses


@pytest.mark.parametrize("batch_size", [1, 7, 16, 40, 100])
def test_run_equals_the_textbook_loop(batch_size):
    X, y = data()
    start = np.array([0.5, -0.5, 0.25])
    model = LinearRegression(
        SGD(0.05), epochs=5, batch_size=batch_size, shuffle=False, kernel_initializer=start, bias_initializer=0.75,
        dtype="float64",
    ).fit(X, y)  # fmt: skip
    w, b, losses = plain_sgd(X, y, 0.05, 5, batch_size, start, 0.75)
    np.testing.assert_allclose(model.coef_, w, rtol=1e-12)
    assert model.intercept_ == pytest.approx(b, rel=1e-12)
    assert model.history_["loss"] == pytest.approx(losses, rel=1e-12)
    assert model.history_["learning_rate"] == [0.05] * 5


def test_run_with_more_batches_than_views_are_kept_equals_the_textbook_loop():
    X, y = data(rows=KEPT_VIEWS + 1005, features=1)
    model = LinearRegression(
        SGD(0.001), epochs=2, batch_size=1, shuffle=False, kernel_initializer="zeros", dtype="float64"
    ).fit(X, y)
    w, b, losses = plain_sgd(X, y, 0.001, 2, 1, np.zeros(1), 0.0)
    np.testing.assert_allclose(np.append(model.coef_, model.intercept_), np.append(w, b), rtol=1e-10)
    assert model.history_["loss"] == pytest.approx(losses, rel=1e-10)


def test_every_epoch_is_shuffled_anew_and_an_int_seed_repeats_it():
    X, y = np.arange(8.0)[:, np.newaxis], np.zeros(8)
    orders = []

    class Spy(callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            orders.append(self.run._batches.matrix[:, 0].tolist())

    def fit(seed):
        orders.clear()
        LinearRegression(SGD(0.0), epochs=4, batch_size=3, random_state=seed, callbacks=[Spy()]).fit(X, y)
        return [tuple(order) for order in orders]

    first = fit(1)
    assert all(sorted(order) == list(range(8)) for order in first)
    assert len(set(first)) == 4
    assert fit(1) == first != fit(2)


CONTINUED = {
    "sgd": LinearRegression(SGD(0.05)),
    "nesterov": LinearRegression(SGD(0.02, momentum=0.9, nesterov=True)),
    "rmsprop": LinearRegression(RMSprop(0.01, centered=True, momentum=0.5), "huber"),
    "adam": LinearRegression(Adam(0.05, amsgrad=True)),
    "schedule": LinearRegression(Adam(schedules.CosineDecay(0.1, 30, warmup_target=0.2, warmup_steps=5))),
    "accumulation": LinearRegression(SGD(0.05, gradient_accumulation_steps=4)),
    "ema": LinearRegression(SGD(0.05, use_ema=True, ema_momentum=0.9)),
    "ema_overwriting": LinearRegression(SGD(0.05, use_ema=True, ema_overwrite_frequency=3)),
    "scheduler": LinearRegression(SGD(0.1), callbacks=[callbacks.LearningRateScheduler(lambda e, lr: lr * 0.9)]),
}


@pytest.mark.parametrize("name", CONTINUED)
def test_warm_start_continues_bit_for_bit(name):
    X, y = data()
    straight = CONTINUED[name].set_params(random_state=3, batch_size=16, epochs=6, warm_start=False).fit(X, y)
    expected = straight.coef_.copy(), straight.intercept_, dict(straight.history_)
    parts = LinearRegression(**straight.get_params(deep=False)).set_params(warm_start=True, epochs=2)
    for _ in range(3):
        parts.fit(X, y)
    np.testing.assert_array_equal(parts.coef_, expected[0])
    assert parts.intercept_ == expected[1]
    assert parts.history_ == expected[2]
    assert parts.n_iter_ == 6


def test_fit_without_warm_start_starts_anew():
    X, y = data()
    model = LinearRegression(epochs=3, random_state=0)
    first = model.fit(X, y).coef_.copy()
    np.testing.assert_array_equal(model.fit(X, y).coef_, first)
    assert len(model.history_["loss"]) == 3


def test_columns_of_parameters_train_like_single_runs():
    X, y = data()
    A = np.column_stack([X, np.ones(len(X))]).astype("f")
    weight = np.random.default_rng(1).uniform(0.5, 2, len(y)).astype("f")
    starts = np.random.default_rng(2).normal(size=(4, 3)).astype("f")

    def run(parameters, target):
        problem = Problem(A, target, weight, 16, 3)
        state = State.start(parameters, Adam(0.05), FLOAT32, np.random.default_rng(0))
        run = Run(problem, state, Adam(0.05), Huber(0.5), FLOAT32, regularizer=L2(0.1), validation=problem)
        run.train(4)
        return state.fitted, run.history

    together, history = run(starts, y.astype("f")[:, np.newaxis])
    assert together.shape == (4, 3)
    for k in range(3):
        alone, single = run(starts[:, k].copy(), y.astype("f"))
        np.testing.assert_allclose(together[:, k], alone, rtol=1e-5)
        for name in ("loss", "val_loss"):
            np.testing.assert_allclose(np.array(history[name])[:, k], single[name], rtol=1e-5)


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 2**31))
def test_negating_the_target_negates_the_trajectory_bit_for_bit(rows, batch_size, seed):
    rng = np.random.default_rng(seed)
    X, y, start = rng.normal(size=(rows, 2)), rng.normal(size=rows), rng.normal(size=2)
    for optimizer in (SGD(0.1, momentum=0.5), Adam(0.1), RMSprop(0.1)):
        for loss in (MeanSquaredError(), Huber(0.3)):
            settings = {"optimizer": optimizer, "loss": loss, "epochs": 2, "batch_size": batch_size, "random_state": 0}
            there = LinearRegression(**settings, kernel_initializer=start, bias_initializer=0.5).fit(X, y)
            back = LinearRegression(**settings, kernel_initializer=-start, bias_initializer=-0.5).fit(X, -y)
            np.testing.assert_array_equal(there.coef_, -back.coef_)
            assert there.intercept_ == -back.intercept_
            assert there.history_ == back.history_


@given(st.integers(-8, 8))
def test_scaling_target_and_start_by_a_power_of_two_scales_sgd_bit_for_bit(k):
    X, y = data(rows=20)
    start, c = np.array([0.5, 1.0, -0.25]), 2.0**k
    for optimizer in (SGD(0.05), SGD(0.05, momentum=0.9), SGD(0.05, momentum=0.9, nesterov=True)):
        settings = {"optimizer": optimizer, "epochs": 3, "batch_size": 8, "random_state": 0}
        one = LinearRegression(**settings, kernel_initializer=start).fit(X, y.astype("f"))
        scaled = LinearRegression(**settings, kernel_initializer=c * start).fit(X, c * y.astype("f"))
        np.testing.assert_array_equal(scaled.coef_, one.coef_ * np.float32(c))


def test_huber_with_a_huge_delta_is_mse_at_half_the_rate_bit_for_bit():
    X, y = data()
    settings = {"epochs": 4, "batch_size": 16, "random_state": 0, "kernel_initializer": "zeros"}
    mse = LinearRegression(SGD(2**-5), "mse", **settings).fit(X, y)
    huber = LinearRegression(SGD(2**-4), Huber(1e30), **settings).fit(X, y)
    np.testing.assert_array_equal(mse.coef_, huber.coef_)


def test_a_diverging_run_is_a_result_and_not_a_warning():
    X, y = data()
    model = LinearRegression(SGD(1e9), epochs=40, random_state=0).fit(X, y)
    assert np.isnan(model.coef_).all()
    assert np.isnan(model.history_["loss"][-1])
    assert model.history_["loss"][0] < np.inf
    assert np.isnan(model.evaluate(X, y))
    assert np.isnan(model.score(X, y))


def test_weights_of_a_shuffled_run_follow_their_rows():
    X, y = data()
    weight = np.where(np.arange(len(y)) < 20, 1.0, 0.0)  # only the first half counts, and only it is consistent
    y[20:] += 100
    loss = MeanSquaredError(reduction="mean_with_sample_weight")
    model = LinearRegression(SGD(0.1), loss, epochs=300, batch_size=8, random_state=0).fit(X, y, weight)
    exact = np.linalg.lstsq(np.column_stack([X, np.ones(40)])[:20], y[:20], rcond=None)[0]
    np.testing.assert_allclose(np.append(model.coef_, model.intercept_), exact, atol=0.1)


def test_penalty_is_part_of_the_loss_and_shrinks_the_kernel_only():
    X, y = data()
    settings = {"optimizer": SGD(0.05), "epochs": 400, "batch_size": 40, "dtype": "float64", "random_state": 0}
    free = LinearRegression(**settings).fit(X, y)
    ridge = LinearRegression(**settings, kernel_regularizer=L2(0.5)).fit(X, y)
    centred = X - X.mean(0)
    exact = np.linalg.solve(centred.T @ centred / 40 + 0.5 * np.eye(3), centred.T @ (y - y.mean()) / 40)
    np.testing.assert_allclose(ridge.coef_, exact, rtol=1e-6)
    penalty = 0.5 * float(ridge.coef_ @ ridge.coef_)
    mse = float(np.mean((ridge.predict(X) - y) ** 2))
    assert ridge.evaluate(X, y) == pytest.approx(mse + penalty, rel=1e-12)
    assert ridge.history_["loss"][-1] == pytest.approx(mse + penalty, rel=1e-9)
    assert np.linalg.norm(ridge.coef_) < 0.8 * np.linalg.norm(free.coef_)
    lasso = LinearRegression(**settings, kernel_regularizer=L1(3.0)).fit(X, y)
    assert np.abs(free.coef_[0]) > 0.9
    assert np.abs(lasso.coef_[0]) <= 2 * 0.05 * 3.0  # it jumps to and fro across zero, by lr * l1 a step


def test_a_callable_learning_rate_is_asked_once_for_every_step():
    X, y = data()
    asked = []

    def rate(step):
        asked.append(step)
        return 0.1 / (step + 1)

    model = LinearRegression(SGD(rate), epochs=2, batch_size=16, random_state=0).fit(X, y)
    assert asked == list(range(6))
    assert model.history_["learning_rate"] == pytest.approx([0.1 / 3, 0.1 / 6])


def test_ctrl_c_ends_the_run_between_two_steps_and_keeps_the_model():
    X, y = data()
    before = signal.getsignal(signal.SIGINT)

    class Interrupt(callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)

    model = LinearRegression(SGD(0.01), epochs=50, random_state=0, callbacks=[Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    straight = LinearRegression(SGD(0.01), epochs=3, random_state=0).fit(X, y)
    assert model.history_["loss"] == straight.history_["loss"]
    assert np.isfinite(model.coef_).all()
    assert model.predict(X).shape == (40,)
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_in_the_last_epoch_is_not_swallowed():
    X, y = data()

    class Interrupt(callbacks.Callback):
        def on_train_end(self, logs):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        LinearRegression(epochs=1, callbacks=[Interrupt()]).fit(X, y)


def test_an_error_in_a_callback_keeps_the_model_too():
    X, y = data()

    class Broken(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs):
            if epoch == 2:
                raise RuntimeError("broken")

    model = LinearRegression(epochs=9, random_state=0, callbacks=[Broken()])
    with pytest.raises(RuntimeError, match=r"broken"):
        model.fit(X, y)
    assert len(model.history_["loss"]) == 2


# Callbacks; that they decide as Keras' do is tested in test_keras_runs.


def test_hooks_are_called_in_keras_order():
    X, y = data()
    calls = []

    class Recorder(callbacks.Callback):
        pass

    for name in ("train_begin", "epoch_begin", "train_batch_begin", "train_batch_end", "epoch_end", "train_end"):
        setattr(Recorder, f"on_{name}", lambda self, *args, name=name: calls.append((name, *args[:-1])))
    LinearRegression(epochs=2, batch_size=20, callbacks=[Recorder()]).fit(X, y)
    epoch = [("train_batch_begin", 0), ("train_batch_end", 0), ("train_batch_begin", 1), ("train_batch_end", 1)]
    assert calls == [
        ("train_begin",),
        ("epoch_begin", 0), *epoch, ("epoch_end", 0),
        ("epoch_begin", 1), *epoch, ("epoch_end", 1),
        ("train_end",),
    ]  # fmt: skip


def test_batch_logs_hold_the_mean_loss_so_far_and_change_nothing():
    X, y = data()
    seen = []

    class Recorder(callbacks.Callback):
        def on_train_batch_end(self, batch, logs):
            seen.append(logs["loss"])

    watched = LinearRegression(epochs=2, batch_size=16, random_state=0, callbacks=[Recorder()]).fit(X, y)
    free = LinearRegression(epochs=2, batch_size=16, random_state=0).fit(X, y)
    assert [seen[2], seen[5]] == pytest.approx(watched.history_["loss"], rel=1e-12)
    assert watched.history_["loss"] == pytest.approx(free.history_["loss"], rel=1e-12)
    np.testing.assert_array_equal(watched.coef_, free.coef_)


def test_what_a_hook_logs_ends_up_in_the_history():
    X, y = data()

    class Norm(callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            logs["norm"] = float(np.linalg.norm(self.run.get_weights()))

    model = LinearRegression(epochs=3, random_state=0, callbacks=[Norm()]).fit(X, y)
    assert len(model.history_["norm"]) == 3
    assert model.history_["norm"][-1] == pytest.approx(np.hypot(np.linalg.norm(model.coef_), model.intercept_))


def test_terminate_on_nan_says_where_and_stops_there():
    X, y = data()
    model = LinearRegression(SGD(1e20), epochs=9, batch_size=8, random_state=0, callbacks=[callbacks.TerminateOnNaN()])
    with pytest.warns(RuntimeWarning, match=r"The loss became (nan|inf) in epoch 1, batch \d: training stopped there"):
        model.fit(X, y)
    assert len(model.history_["loss"]) == 1


@pytest.mark.parametrize("kind", [callbacks.EarlyStopping, callbacks.ReduceLROnPlateau])
def test_a_callback_without_its_number_warns_and_tells_what_there_is(kind):
    X, y = data()
    with pytest.warns(UserWarning, match=r"watches 'val_loss'.*Available: loss, learning_rate. Give validation_data"):
        LinearRegression(epochs=1, callbacks=[kind()]).fit(X, y)


def test_early_stopping_can_wait_for_a_rising_number():
    X, y = data()

    class Counted(callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            logs["count"] = float(min(epoch, 4))

    stop = callbacks.EarlyStopping(monitor="count", mode="max", patience=2)
    model = LinearRegression(epochs=30, callbacks=[Counted(), stop]).fit(X, y)
    assert model.n_iter_ == 7
    assert stop.stopped_epoch == 6


def test_a_schedule_as_learning_rate_cannot_be_set_by_callbacks():
    X, y = data()
    model = LinearRegression(
        SGD(schedules.ExponentialDecay(0.1, 10, 0.5)),
        callbacks=[callbacks.LearningRateScheduler(lambda epoch, lr: lr)],
    )
    with pytest.raises(TypeError, match=r"was given the schedule ExponentialDecay.*give it a number"):
        model.fit(X, y)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: callbacks.EarlyStopping(mode="up"), "unknown mode 'up'"),
        (lambda: callbacks.ReduceLROnPlateau(factor=1.0), "factor must be below 1"),
        (lambda: callbacks.ReduceLROnPlateau(factor=-1.0), "factor must be a finite number at least 0"),
    ],
)
def test_a_callback_refuses_what_cannot_work(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_learning_rate_set_by_a_callback_is_checked():
    X, y = data()
    broken = callbacks.LearningRateScheduler(lambda epoch: -1.0)
    with pytest.raises(ValueError, match=r"must be a finite number at least 0, got -1.0"):
        LinearRegression(callbacks=[broken]).fit(X, y)
    with pytest.raises(TypeError, match=r"schedule must be a callable of the epoch, got 0.1"):
        callbacks.LearningRateScheduler(0.1)


def test_progress_bar_is_drawn_on_a_terminal_only(capsys, monkeypatch):
    import io
    import sys

    X, y = data()
    LinearRegression(epochs=2, verbose=1).fit(X, y)
    assert capsys.readouterr().err == ""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    LinearRegression(epochs=3, verbose=1).fit(X, y, validation_data=(X, y))
    assert "3/3" in terminal.getvalue()
    assert "val_loss" in terminal.getvalue()
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.warns(UserWarning, match=r"pip install 'linreg\[cli\]'"):
        LinearRegression(epochs=1, verbose=1).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LinearRegression(epochs=1, verbose=0).fit(X, y)


def test_a_learning_rate_set_anew_takes_effect_in_a_warm_start():
    X, y = data()
    reduce = callbacks.LearningRateScheduler(lambda epoch, lr: lr / 2)
    model = LinearRegression(SGD(0.08), epochs=2, warm_start=True, callbacks=[reduce]).fit(X, y).fit(X, y)
    assert model.history_["learning_rate"] == pytest.approx([0.04, 0.02, 0.01, 0.005])
    model.set_params(optimizer__learning_rate=0.8, epochs=1).fit(X, y)
    assert model.history_["learning_rate"][-1] == pytest.approx(0.4)


def test_evaluate_counts_the_fitted_intercept_whatever_is_set_since():
    X, y = data()
    model = LinearRegression(epochs=50, random_state=0).fit(X, y)
    before = model.evaluate(X, y)
    assert model.set_params(fit_intercept=False).evaluate(X, y) == before
