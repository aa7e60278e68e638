"""The loop: what it does with batches, orders, state, history, callbacks and the keyboard."""

import os
import signal
import threading
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linreg import L1, L2, SGD, Adam, Huber, LinearRegression, MeanSquaredError, RMSprop, callbacks, schedules
from linreg.batches import KEPT_VIEWS, Problem
from linreg.precision import FLOAT32, FLOAT64
from linreg.steps import AHEAD, Rates, State, bind_step
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


def weighted_loss(kind, reduction, e, weight):
    """The loss of one batch and its slope in each prediction, from the words of Keras' documentation."""
    values = e**2 if kind == "mse" else np.where(abs(e) < 0.5, e**2 / 2, 0.5 * abs(e) - 0.125)
    slopes = 2 * e if kind == "mse" else np.clip(e, -0.5, 0.5)
    total = {"sum": 1, "sum_over_batch_size": len(e), "mean_with_sample_weight": sum(weight)}[reduction]
    if total == 0:  # divide_no_nan
        return 0.0, 0 * e
    return sum(weight * values) / total, weight * slopes / total


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("kind", ["mse", "huber"])
def test_weighted_run_equals_the_textbook_loop(kind, reduction, shuffle):
    X, y = data()
    weight = np.random.default_rng(1).uniform(0.0, 2.0, 40)
    weight[7:14] = 0.0  # unshuffled, the second batch weighs nothing
    (Xv, yv), wv = data(rows=17, seed=5), np.random.default_rng(2).uniform(0.0, 2.0, 17)
    loss = MeanSquaredError(reduction) if kind == "mse" else Huber(0.5, reduction)
    orders = []

    class Spy(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs):
            # The order of the epoch, from a copy of the generator that is about to draw it.
            drawn = np.random.default_rng()
            drawn.bit_generator.state = self.run.state.generator.bit_generator.state
            orders.append(drawn.permutation(40) if shuffle else np.arange(40))

    model = LinearRegression(
        SGD(0.01), loss, epochs=3, batch_size=7, shuffle=shuffle, random_state=0, kernel_initializer="zeros",
        dtype="float64", callbacks=[Spy()], kernel_regularizer=L2(0.125),
    ).fit(X, y, weight, validation_data=(Xv, yv, wv))  # fmt: skip
    w, b = np.zeros(3), 0.0
    for epoch in range(3):
        seen = 0.0
        for start in range(0, 40, 7):
            rows = orders[epoch][start : start + 7]
            value, slope = weighted_loss(kind, reduction, X[rows] @ w + b - y[rows], weight[rows])
            seen += len(rows) / 40 * (value + 0.125 * w @ w)
            w, b = w - 0.01 * (slope @ X[rows] + 0.25 * w), b - 0.01 * slope.sum()
        parts = [np.arange(start, min(start + 7, 17)) for start in range(0, 17, 7)]
        losses = [weighted_loss(kind, reduction, Xv[i] @ w + b - yv[i], wv[i])[0] * len(i) / 17 for i in parts]
        assert model.history_["loss"][epoch] == pytest.approx(seen, rel=1e-12)
        assert model.history_["val_loss"][epoch] == pytest.approx(sum(losses) + 0.125 * w @ w, rel=1e-12)
    np.testing.assert_allclose(np.append(model.coef_, model.intercept_), np.append(w, b), rtol=1e-12)


def test_reduction_without_weights_divides_by_the_rows_or_by_nothing():
    X, y = data()
    models = {}
    for reduction, lr in (("sum_over_batch_size", 2**-5), ("mean_with_sample_weight", 2**-5), ("sum", 2**-9)):
        model = LinearRegression(
            SGD(lr), MeanSquaredError(reduction), epochs=3, batch_size=16, shuffle=False, kernel_initializer="zeros"
        )
        models[reduction] = model.fit(X[:32], y[:32])  # two batches of 16 = 2^4 rows
    mean, same, total = models.values()
    np.testing.assert_array_equal(mean.coef_, same.coef_)
    np.testing.assert_array_equal(mean.coef_, total.coef_)
    assert mean.history_["loss"] == same.history_["loss"]
    assert total.history_["loss"] == [16 * loss for loss in mean.history_["loss"]]
    assert np.all(mean.coef_ != 0)


def lowered_twice(step):
    return 0.5 if step < 3 else 0.25 if step < 5 else 0.125


AROUND = {
    "nothing": {},
    "weight_decay": {"weight_decay": 0.25},
    "clipvalue": {"clipvalue": 1.5},
    "clipnorm": {"clipnorm": 1.5},
    "global_clipnorm": {"global_clipnorm": 1.5},
    "ema": {"use_ema": True, "ema_momentum": 0.75},
    "ema_overwriting": {"use_ema": True, "ema_momentum": 0.75, "ema_overwrite_frequency": 3},
    "accumulation": {"gradient_accumulation_steps": 2},
    "accumulation_ema": {"gradient_accumulation_steps": 2, "use_ema": True, "ema_overwrite_frequency": 2},
    "all": {"clipnorm": 2.0, "weight_decay": 0.5, "gradient_accumulation_steps": 3, "use_ema": True},
}


def plain_steps(kind, options, grads, p):
    """What Keras does around a rule, written out for SGD with momentum 0.5 and for Adam: parameters and averages."""
    every, share = options.get("gradient_accumulation_steps", 1), options.get("ema_momentum", 0.99)
    overwrite = options.get("ema_overwrite_frequency")
    m, v, total, average, t = 0.0, 0.0, 0.0, 0.0, 0
    for i, batch in enumerate(grads):
        lr, total = lowered_twice(i), total + batch
        if i % every == every - 1:
            g, total, t = total / every, 0.0, t + 1
            if "clipvalue" in options:
                g = np.clip(g, -options["clipvalue"], options["clipvalue"])
            if "clipnorm" in options:  # kernel and bias each by itself
                lengths = np.array([np.linalg.norm(g[:-1])] * (len(g) - 1) + [abs(g[-1])])
                g = g * np.minimum(1, options["clipnorm"] / lengths)
            if "global_clipnorm" in options:
                g = g * min(1, options["global_clipnorm"] / np.linalg.norm(g))
            p = p * (1 - lr * options.get("weight_decay", 0.0))
            if kind == "sgd":
                m = 0.5 * m - lr * g
                p = p + m
            else:
                m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
                p = p - lr * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)
        if options.get("use_ema"):  # at every batch; before the end of the second update there is nothing to average
            average = p if i // every == 0 else share * average + (1 - share) * p
            if overwrite and (i // every + 1) % overwrite == 0:
                p = average
        yield p, average


@pytest.mark.parametrize("name", AROUND)
@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_steps_around_the_rule_equal_those_written_out(kind, name):
    optimizer = SGD(lowered_twice, momentum=0.5) if kind == "sgd" else Adam(lowered_twice)
    optimizer = optimizer.set_params(**AROUND[name])
    rng = np.random.default_rng(3)
    grads, start = 2.0 ** rng.uniform(-3, 3, size=(8, 4)) * rng.choice([-1, 1], size=(8, 4)), rng.normal(size=4)
    state = State.start(start, optimizer, FLOAT64, rng)
    step, rates = bind_step(optimizer, FLOAT64, 3), Rates(optimizer, FLOAT64)
    for i, (p, average) in enumerate(plain_steps(kind, AROUND[name], grads, start)):
        ((rate, lr),) = rates.pairs(optimizer.learning_rate, i, 1)
        step(state, grads[i], rate, lr)
        state.iterations += 1
        # 1 - 0.999 loses a thousand roundings.
        np.testing.assert_allclose(state.parameters, p, rtol=1e-12, atol=1e-13, err_msg=f"step {i + 1}")
        if optimizer.use_ema:
            np.testing.assert_allclose(state.average, average, rtol=1e-12, atol=1e-13, err_msg=f"step {i + 1}")


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("name", AROUND)
@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_fit_takes_the_steps_around_the_rule(kind, name, intercept):
    # One row a batch: its gradient is 2 (x w + b - y) [x, 1].
    X, y = data(rows=6)
    optimizer = SGD(lowered_twice, momentum=0.5) if kind == "sgd" else Adam(lowered_twice)
    model = LinearRegression(
        optimizer.set_params(**AROUND[name]), epochs=1, batch_size=1, shuffle=False, kernel_initializer="zeros",
        fit_intercept=intercept, dtype="float64",
    ).fit(X, y)  # fmt: skip
    taken = []

    def gradients():
        for row, target in zip(np.column_stack([X, np.full(6, float(intercept))]), y, strict=True):
            yield 2 * (row @ taken[-1] - target) * row

    taken.append(np.zeros(4))
    with np.errstate(divide="ignore", invalid="ignore"):  # the norm of a bias that is not there
        for p, average in plain_steps(kind, AROUND[name], gradients(), np.zeros(4)):
            taken.append(p if intercept else np.append(p[:3], 0.0))
            fitted = average if "ema" in name or name == "all" else p
    np.testing.assert_allclose(model.coef_, fitted[:3], rtol=1e-10)
    assert model.intercept_ == (pytest.approx(fitted[3], rel=1e-10) if intercept else 0.0)


@pytest.mark.parametrize(("rows", "epochs"), [(5, 300), (AHEAD + 300, 2)])
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_rates_ahead_of_the_step_are_those_of_each_step(kind, rows, epochs):
    X, y = data(rows=rows, features=1)
    rates = 0.5 / (1 + np.arange(rows * epochs) / 100)
    settings = {"batch_size": 1, "epochs": epochs, "shuffle": False, "kernel_initializer": "zeros", "dtype": "float64"}
    schedule = LinearRegression(kind(schedules.InverseTimeDecay(0.5, 100, 1.0)), **settings).fit(X, y)
    listed = LinearRegression(kind(lambda step: rates[step]), **settings).fit(X, y)
    assert schedule.history_["learning_rate"] == pytest.approx(rates[rows - 1 :: rows].tolist(), rel=1e-15)
    np.testing.assert_allclose(schedule.history_["loss"], listed.history_["loss"], rtol=1e-9, atol=1e-12)
    constant = LinearRegression(kind(0.01), **settings).fit(X, y)
    listed = LinearRegression(kind(lambda step: 0.01), **settings).fit(X, y)
    assert constant.history_ == listed.history_
    assert constant.history_["learning_rate"] == [0.01] * epochs


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
        # Parameters begin at about 1, and one comes near 0: what rounding leaves is of the size that they began with.
        np.testing.assert_allclose(together[:, k], alone, rtol=0, atol=1e-6)
        for name in ("loss", "val_loss"):
            np.testing.assert_allclose(np.array(history[name])[:, k], single[name], rtol=1e-5)


EVERY_RULE = (
    SGD(0.1),
    SGD(0.1, momentum=0.5),
    SGD(0.1, momentum=0.5, nesterov=True),
    RMSprop(0.1),
    RMSprop(0.1, centered=True),
    RMSprop(0.1, momentum=0.5),
    RMSprop(0.1, momentum=0.5, centered=True),
    Adam(0.1),
    Adam(0.1, amsgrad=True),
)


@pytest.mark.parametrize(
    "optimizer",
    [
        RMSprop(0.01, epsilon=0.0),
        RMSprop(0.01, epsilon=0.0, centered=True),
        Adam(0.01, epsilon=0.0),
        Adam(0.01, epsilon=0.0, amsgrad=True),
    ],
    ids=repr,
)
def test_huber_with_a_huge_delta_is_mse_for_adaptive_rules_without_epsilon_bit_for_bit(optimizer):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), rng.normal(size=40)
    settings = {"optimizer": optimizer, "epochs": 4, "batch_size": 16, "random_state": 0}
    mse, huber = (LinearRegression(loss=loss, **settings).fit(X, y) for loss in ("mse", Huber(1e30)))
    np.testing.assert_array_equal(mse.coef_, huber.coef_)
    assert mse.intercept_ == huber.intercept_ != 0


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 2**31))
def test_negating_the_target_negates_the_trajectory_bit_for_bit(rows, batch_size, seed):
    rng = np.random.default_rng(seed)
    X, y, start = rng.normal(size=(rows, 2)), rng.normal(size=rows), rng.normal(size=2)
    for optimizer in EVERY_RULE:
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


def test_a_run_outside_the_main_thread_leaves_the_keyboard_alone():
    X, y = data()
    models, before = [], signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=lambda: models.append(LinearRegression(epochs=2, random_state=0).fit(X, y)))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(models[0].coef_, LinearRegression(epochs=2, random_state=0).fit(X, y).coef_)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_handler_of_the_users_own_hears_ctrl_c_during_a_run():
    X, y = data()
    heard = []

    class Interrupt(callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        LinearRegression(epochs=2, callbacks=[Interrupt()]).fit(X, y)
    except KeyboardInterrupt:
        pytest.fail("the run took Ctrl-C away from its owner")
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [1, 1]


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


def test_every_hook_is_given_a_dictionary_and_the_history_holds_floats():
    X, y = data()
    kinds = []

    class Recorder(callbacks.Callback):
        pass

    for name in ("train_begin", "epoch_begin", "train_batch_begin", "train_batch_end", "epoch_end", "train_end"):
        setattr(Recorder, f"on_{name}", lambda self, *args: kinds.append(type(args[-1])))
    model = LinearRegression(epochs=1, batch_size=40, callbacks=[Recorder()]).fit(X, y, validation_data=(X, y))
    assert kinds == [dict] * 6
    assert {type(value) for values in model.history_.values() for value in values} == {float}


def test_a_stopped_run_still_reaches_the_end_of_training_and_the_best_weights_come_back():
    X, y = data()
    weights, seen = {}, []

    class Worsening(callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            logs["count"] = float(abs(epoch - 1))
            weights[epoch] = self.run.get_weights()

        def on_train_end(self, logs):
            seen.append(logs["count"])

    stop = callbacks.EarlyStopping(monitor="count", mode="min", patience=2, restore_best_weights=True)
    model = LinearRegression(SGD(0.01), epochs=9, random_state=0, callbacks=[Worsening(), stop]).fit(X, y)
    assert model.n_iter_ == 4
    assert seen == [2.0]
    fitted = np.append(model.coef_, np.float32(model.intercept_))
    np.testing.assert_array_equal(fitted, weights[1])
    assert np.any(weights[1] != weights[3])
    assert model.coef_.dtype == model.state_.parameters.dtype == np.float32
    np.testing.assert_array_equal(model.state_.parameters, weights[1])


def test_weights_that_a_callback_sets_take_shape_and_arithmetic_of_the_run():
    X, y = data()

    class Overwrite(callbacks.Callback):
        def on_train_end(self, logs):
            self.run.set_weights([[1, 2], [3, 0.1]])

    model = LinearRegression(epochs=1, callbacks=[Overwrite()]).fit(X, y)
    assert model.coef_.tolist() == [1.0, 2.0, 3.0]
    assert model.intercept_ == float(np.float32(0.1))
    assert model.coef_.dtype == np.float32


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


def test_a_learning_rate_set_in_mid_run_takes_effect_at_the_next_step():
    X, y = data()
    settings = {"epochs": 9, "batch_size": 16, "random_state": 0}

    class Drop(callbacks.Callback):  # just once: by then the rates of many steps to come are known
        def on_epoch_begin(self, epoch, logs):
            if epoch == 6:
                self.run.learning_rate = 0.01

    dropped = LinearRegression(Adam(0.1), callbacks=[Drop()], **settings).fit(X, y)
    listed = LinearRegression(Adam(lambda step: 0.1 if step < 6 * 3 else 0.01), **settings).fit(X, y)
    np.testing.assert_array_equal(dropped.coef_, listed.coef_)
    assert dropped.history_["loss"] == listed.history_["loss"]


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


def test_ctrl_c_keeps_the_moving_average_as_the_model():
    X, y = data()

    class Interrupt(callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            os.kill(os.getpid(), signal.SIGINT)

    model = LinearRegression(SGD(0.05, use_ema=True), epochs=9, random_state=0, callbacks=[Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    np.testing.assert_array_equal(model.coef_, model.state_.average[:3])
    assert (model.coef_ != model.state_.parameters[:3]).all()


def test_history_has_one_entry_an_epoch_with_nan_where_there_is_none():
    X, y = data()

    class Sometimes(callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 1:
                logs["extra"] = 7.0

    model = LinearRegression(epochs=2, random_state=0, warm_start=True, callbacks=[Sometimes()]).fit(X, y)
    first = model.history_
    model.fit(X, y, validation_data=(X, y))
    assert {name: len(values) for name, values in model.history_.items()} == dict.fromkeys(model.history_, 4)
    assert np.isnan(model.history_["val_loss"]).tolist() == [True, True, False, False]
    assert np.isnan(model.history_["extra"]).tolist() == [True, False, True, True]
    assert len(first["loss"]) == 2


def test_an_error_at_the_end_of_an_epoch_leaves_history_and_count_equal():
    X, y = data()

    class Broken(callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 2:
                raise RuntimeError("broken")

    model = LinearRegression(epochs=9, random_state=0, callbacks=[Broken()])
    with pytest.raises(RuntimeError, match="broken"):
        model.fit(X, y)
    assert model.n_iter_ == len(model.history_["loss"]) == 2


def test_history_tells_the_rate_that_the_last_step_used():
    X, y = data()

    class Halving(callbacks.Callback):
        def on_train_batch_end(self, batch, logs):
            self.run.learning_rate = self.run.learning_rate / 2

    model = LinearRegression(SGD(0.1), epochs=1, batch_size=20, callbacks=[Halving()]).fit(X, y)
    assert model.history_["learning_rate"] == pytest.approx([0.05])


def test_a_fitted_model_lets_its_callbacks_go_and_can_be_pickled():
    import pickle

    X, y = data()
    stop = callbacks.EarlyStopping("loss", patience=1)
    model = LinearRegression(epochs=3, random_state=0, callbacks=[stop]).fit(X, y)
    assert not hasattr(stop, "run")
    again = pickle.loads(pickle.dumps(model))  # noqa: S301 (our own)
    np.testing.assert_array_equal(again.coef_, model.coef_)


def test_callbacks_start_anew_with_every_fit():
    X, y = data()
    for make in (
        lambda: callbacks.EarlyStopping("loss", patience=2, min_delta=1e9, restore_best_weights=True),
        lambda: callbacks.ReduceLROnPlateau("loss", patience=2, min_delta=1e9),
    ):
        again = make()
        fits = [LinearRegression(epochs=6, random_state=0, callbacks=[again]).fit(X, y) for _ in range(2)]
        fresh = LinearRegression(epochs=6, random_state=0, callbacks=[make()]).fit(X, y)
        for model in fits:
            assert model.history_ == fresh.history_
            np.testing.assert_array_equal(model.coef_, fresh.coef_)


def test_a_subclass_with_parameters_of_its_own_keeps_them():
    class Own(LinearRegression):
        def __init__(self, extra=1, epochs=5):
            super().__init__(epochs=epochs)
            self.extra = extra

        def get_params(self, deep=True):
            return {"extra": self.extra, "epochs": self.epochs}

    own = Own(extra=5).set_params(extra=6)
    assert own.extra == 6
    assert repr(own) == "Own(extra=6)"


@pytest.mark.parametrize(
    ("rate", "given"), [(lambda s: -0.1, "-0.1"), (lambda s: None, "None"), (lambda s: np.nan, "nan")]
)
def test_a_callable_rate_is_checked_at_every_step(rate, given):
    X, y = data()
    with pytest.raises(
        (ValueError, TypeError), match=f"the rate of step 0 must be a finite number at least 0, got {given}"
    ):
        LinearRegression(SGD(rate)).fit(X, y)


def test_the_loss_of_a_weighted_shuffled_run_is_that_of_its_batches():
    X, y = data()
    weight = np.random.default_rng(3).uniform(0.1, 5, len(y))
    loss = MeanSquaredError(reduction="mean_with_sample_weight")
    seen = []

    class Spy(callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            batches = self.run._batches
            parts = [
                np.average(batches.error[s : s + 16] ** 2, weights=batches.weight[s : s + 16]) for s in (0, 16, 32)
            ]
            seen.append(np.average(parts, weights=[16, 16, 8]))

    model = LinearRegression(SGD(0.01), loss, epochs=4, batch_size=16, random_state=0, callbacks=[Spy()])
    model.fit(X, y, sample_weight=weight)
    assert model.history_["loss"] == pytest.approx(seen, rel=1e-5)


def test_glorot_weights_fill_their_range_on_both_sides():
    from linreg.initializers import initial_kernel

    limit = np.sqrt(6 / 1001)
    kernel = initial_kernel("glorot_uniform", 1000, np.random.default_rng(0), np.float32)
    assert np.abs(kernel).max() <= limit
    assert kernel.min() < -0.98 * limit
    assert kernel.max() > 0.98 * limit
    assert abs(kernel.mean()) < 0.1 * limit


def test_flags_are_true_or_false_and_nothing_else():
    for make in (
        lambda: SGD(nesterov="no"),
        lambda: SGD(use_ema="no"),
        lambda: RMSprop(centered="no"),
        lambda: Adam(amsgrad="no"),
        lambda: schedules.ExponentialDecay(0.1, 10, 0.5, staircase="no"),
        lambda: schedules.PolynomialDecay(0.1, 10, cycle="no"),
    ):
        with pytest.raises(TypeError, match=r"must be True or False, got 'no'"):
            make()
    with pytest.raises(ValueError, match=r"EarlyStopping: patience must be an integer of at least 0, got -3"):
        callbacks.EarlyStopping(patience=-3)
    with pytest.raises(ValueError, match=r"which way is 'norm' better\? Give mode='min' or mode='max'"):
        callbacks.ReduceLROnPlateau("norm")


def test_a_constant_too_large_for_float32_is_refused_in_words():
    X, y = data()
    for model in (
        LinearRegression(SGD(1e300)),
        LinearRegression(loss=Huber(1e300)),
        LinearRegression(SGD(clipnorm=1e300)),
    ):
        with pytest.raises(ValueError, match=r'1e\+300 is too large for float32.*choose less, or dtype="float64"'):
            model.fit(X, y)


def test_the_score_of_a_diverged_model_is_nan_even_on_a_constant_target():
    X, _ = data()
    assert np.isnan(LinearRegression(SGD(1e9), epochs=40, random_state=0).fit(X, np.ones(40)).score(X, np.ones(40)))


def test_engine_numba_without_numba_is_refused_in_one_line(monkeypatch):
    import sys

    for name in [name for name in sys.modules if name.split(".")[0] == "numba" or name.startswith("linreg.compiled.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numba", None)
    X, y = data()
    with pytest.raises(
        ImportError, match=r"^engine=\"numba\" needs Numba.*pip install 'linreg\[fast\]', or set"
    ) as error:
        LinearRegression(engine="numba").fit(X, y)
    assert "\n" not in str(error.value)
