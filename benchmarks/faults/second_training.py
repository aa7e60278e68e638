"""Stories of runs that go wrong by their settings, or by the scale of what they are given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.faults import second_slips as slips
from benchmarks.faults.second_runs import (
    Draw,
    Run,
    bells,
    between,
    calm_rate,
    calmed,
    limit,
    lognormal,
    normal,
    pick,
    settled,
    size,
    standardised,
    table,
    typed,
    uniform,
    whole,
)
from benchmarks.faults.second_story import Put, Story, framed, listing, plain, unscaled
from linreg import L1, Huber
from linreg.data import datasets

STORIES: list[Story] = []
story = listing(STORIES)


# Features as they come.


@story("feature_scale")
def house_prices_in_square_feet(draw: Draw, put: Put) -> Run:
    """Square feet beside rooms and age, prices in 100,000, and the tutorial's rate."""
    run = table(draw, uniform(draw, 400, 4000), whole(draw, 1, 6), uniform(draw, 0, 90), centre=2.0)
    return framed(unscaled(draw, run, put, 0.01, 0.01, 0.1), "sqft", "rooms", "age")


@story("feature_scale")
def year_as_feature(draw: Draw, put: Put) -> Run:
    """The year, 1990 to 2024, beside an ordinary feature: far from zero rather than wide."""
    run = table(draw, whole(draw, 1990, 2024), normal(draw))
    return unscaled(draw, run, put, 0.01, 0.1, 0.001)


@story("feature_scale")
def income_in_yen(draw: Draw, put: Put) -> Run:
    """A yearly income in yen and an age explain how content people are."""
    run = table(draw, lognormal(draw, 5e6, draw.uniform(0.2, 0.6)), uniform(draw, 18, 80), unit=1.0)
    return unscaled(draw, run, put, 0.01, 0.05)


@story("feature_scale")
def log_normal_sizes(draw: Draw, put: Put) -> Run:
    """File sizes and word counts: log-normal columns of different widths."""
    columns = [lognormal(draw, between(draw, 10, 1e4), draw.uniform(0.5, 1.0)) for _ in range(pick(draw, 1, 2, 4))]
    run = replace(table(draw, *columns, rows=size(draw, 200, 2000)), natural=("high_leverage",))
    return unscaled(draw, run, put, 0.01, 0.1)


@story("feature_scale")
def pixels_of_a_camera(draw: Draw, put: Put) -> Run:
    """Eight to twenty-five grey values 0 to 255, never divided by 255."""
    columns = [whole(draw, 0, 255)] * pick(draw, 8, 16, 25)
    return unscaled(draw, table(draw, *columns, rows=size(draw, 150, 1500)), put, 0.01, 0.003, batch=32)


@story("feature_scale")
def data_that_ship_with_the_package(draw: Draw, put: Put) -> Run:
    """A student loads a small real table and presses the button."""
    data = datasets.load(pick(draw, "norris", "stackloss", "longley"))
    y = (data.y - data.y.mean()) / data.y.std()
    exact = np.linalg.lstsq(np.column_stack([data.X, np.ones(len(y))]), y, rcond=None)[0]
    fitted = data.X @ exact[:-1] + exact[-1]
    natural = ("collinearity", "ill_conditioned", "outliers", "high_leverage", "overfitting")
    run = Run(data.X, y, data.X, fitted, float((y - fitted).std()), natural=natural)
    return unscaled(draw, run, put, 0.01, 0.1, batch=pick(draw, 8, 32))


@story("feature_scale")
def metres_written_as_kilometres(draw: Draw, put: Put) -> Run:
    """One column has numbers of 0.001 and less, so Adam would have to carry its coefficient a thousand units far."""
    features, column = 3, int(draw.integers(3))
    run = settled(draw, standardised(table(draw, *bells(draw, features))), rule=pick(draw, "adam", "rmsprop"))
    units = np.ones(features)
    units[column] = pick(draw, 1e-3, 1e-4, 1e-6)
    return run.columns_mapped(lambda X: X * units) if "feature_scale" in put else run


@story("feature_scale")
def shoe_size_beside_salary_with_a_small_rate(draw: Draw, put: Put) -> Run:
    """The rate was lowered until the loss came down: for the salary it fits, the other column never moves."""
    table_ = table(draw, *bells(draw, 2))
    wide = between(draw, 300, 30_000)
    calm = settled(draw, standardised(table_), rule="sgd", loss="mse").told(kernel_initializer="zeros")
    run = calm.columns_mapped(lambda X: X * np.array([wide, 1.0]))
    return calmed(run) if "feature_scale" in put else calm


# Rates and momentum.


@story("learning_rate_too_high")
def copied_rate_of_ten(draw: Draw, put: Put) -> Run:
    """A rate of 10, 3 or 1, because the exercise said "try some"."""
    run, rate = plain(draw, rule="sgd"), pick(draw, 1.2, 2.0, 3.0, 10.0, 100.0)
    return run.at_rate(rate) if "learning_rate_too_high" in put else run


@story("learning_rate_too_high")
def just_beyond_the_limit(draw: Draw, put: Put) -> Run:
    """Full batch, a rate a few percent above what the table carries."""
    run, factor = plain(draw, rule=pick(draw, "sgd", "momentum"), batch="full", loss="mse"), draw.uniform(1.03, 1.5)
    run = run.told(epochs=max(run.settings["epochs"], 60))
    top = limit(run) * (1 + run.settings["optimizer"].momentum)
    return run.at_rate(typed(factor * top, 4)) if "learning_rate_too_high" in put else run


@story("learning_rate_too_high")
def adam_with_a_rate_of_ten(draw: Draw, put: Put) -> Run:
    """Adam "adapts itself", so any rate will do."""
    run, rate = plain(draw, rule=pick(draw, "adam", "rmsprop")), pick(draw, 1.0, 3.0, 10.0, 100.0)
    return run.at_rate(rate) if "learning_rate_too_high" in put else run


@story("learning_rate_too_low")
def copied_rate_of_a_millionth(draw: Draw, put: Put) -> Run:
    """1e-4 or 1e-6 from a blog about networks, a few dozen epochs of a straight line."""
    run, rate = plain(draw, rule=pick(draw, "sgd", "sgd", "momentum")), pick(draw, 1e-4, 1e-5, 1e-6, 3e-7)
    return run.at_rate(rate) if "learning_rate_too_low" in put else run


@story("learning_rate_too_low")
def adam_for_fine_tuning(draw: Draw, put: Put) -> Run:
    """Adam at 1e-5, as one fine-tunes a language model."""
    run, rate = plain(draw, rule=pick(draw, "adam", "rmsprop")), pick(draw, 1e-4, 1e-5, 3e-5, 1e-6)
    return run.at_rate(rate) if "learning_rate_too_low" in put else run


@story("momentum_too_high")
def momentum_of_point_99_on_full_batch(draw: Draw, put: Put) -> Run:
    """Momentum 0.99 on all rows at once: the loss swings like a pendulum for a hundred epochs."""
    run = plain(draw, rule="sgd", loss="mse", batch="full")
    run = run.told(epochs=int(draw.integers(30, 200)))
    return slips.momentum_of_another_task(draw, run, "momentum_too_high" in put)


@story("momentum_too_high")
def momentum_on_small_batches(draw: Draw, put: Put) -> Run:
    """A rate that is right without momentum, and momentum 0.98 or more on minibatches."""
    run = plain(draw, rule="sgd", loss="mse", batch=pick(draw, 16, 32))
    return slips.momentum_of_another_task(draw, run, "momentum_too_high" in put)


# Targets.


@story("target_scale")
def adam_and_prices_in_full(draw: Draw, put: Put) -> Run:
    """House prices of 300,000 with Adam's or RMSprop's default rate: a thousandth a step."""
    run = plain(draw, rule=pick(draw, "adam", "rmsprop"), loss="mse")
    run = run.at_rate(max(calm_rate(run), pick(draw, 0.001, 0.01)))
    return slips.target_in_small_units(draw, run, "target_scale" in put)


@story("target_scale")
def molecules_in_a_jar(draw: Draw, put: Put) -> Run:
    """y counts molecules, 1e21 and more: its square is beyond float32."""
    run, factor = plain(draw, loss="mse"), pick(draw, 1e20, 6e23, 1e30)
    if "target_scale" not in put:
        return run
    return replace(run, y=run.y * factor, clean_y=run.clean_y * factor, noise=run.noise * factor)


@story("target_scale")
def huber_of_one_for_thousands(draw: Draw, put: Put) -> Run:
    """Huber with its delta of 1 where residuals are thousands: every gradient is that of delta."""
    run, factor = plain(draw, rule="sgd", loss="mse").told(loss=Huber()), pick(draw, 1e3, 1e4, 1e6)
    if "target_scale" not in put:
        return run
    return replace(run, y=run.y * factor, clean_y=run.clean_y * factor, noise=run.noise * factor)


# Losses and penalties.


@story("loss_reduction")
def summed_as_on_the_blackboard(draw: Draw, put: Put) -> Run:
    """The lecture's loss is a sum over all rows, the rate is Keras' default."""
    features, batch = pick(draw, 1, 2, 4, 9), pick(draw, 32, 64, "full")
    run = standardised(table(draw, *bells(draw, features), rows=size(draw, 150, 2000)))
    run = settled(draw, run, rule=pick(draw, "sgd", "sgd", "momentum"), loss="mse", batch=batch)
    run = run.at_rate(pick(draw, 0.01, 0.02, 0.05)).told(epochs=max(run.settings["epochs"], 100))
    return slips.summed_loss(draw, run, "loss_reduction" in put)


@story("regularization")
def penalty_of_ten(draw: Draw, put: Put) -> Run:
    """An l2 of 10 beside a mean loss: the coefficients are nearly nought."""
    return slips.heavy_penalty(draw, plain(draw), "regularization" in put)


@story("regularization")
def lasso_that_keeps_nothing(draw: Draw, put: Put) -> Run:
    """An l1 so strong that every coefficient is driven to zero."""
    run, strength = plain(draw, loss="mse"), between(draw, 1, 10)
    penalty = L1(typed(strength * run.y.std()))
    return run.told(kernel_regularizer=penalty) if "regularization" in put else run


# Batches.


@story("batch_noise")
def one_row_at_a_time(draw: Draw, put: Put) -> Run:
    """Batch size 1 or 2 with a rate near what a row carries: the loss jitters about a floor."""
    run = standardised(table(draw, *bells(draw, pick(draw, 1, 2, 4)), rows=size(draw, 40, 250), noise=1.0))
    run = settled(draw, run, rule="sgd", loss="mse", batch=pick(draw, 1, 2, 4))
    run = run.at_rate(calm_rate(run, draw.uniform(0.4, 0.95))).told(epochs=int(draw.integers(20, 40)))
    fuller = pick(draw, "full", 32)
    size_ = len(run.y) if fuller == "full" else fuller
    return run if "batch_noise" in put else run.told(batch_size=min(size_, len(run.y)))


@story("batch_noise")
def the_last_batch_is_one_row(draw: Draw, put: Put) -> Run:
    """1025 rows in batches of 32: the last step of each epoch is taken on a single row, at the rate of the others."""
    batch, batches = pick(draw, 16, 32, 64), int(draw.integers(3, 20))
    rows = batch * batches + 1
    run = standardised(table(draw, *bells(draw, pick(draw, 1, 3, 6)), rows=rows, noise=between(draw, 0.5, 1.5)))
    run = settled(draw, run, rule="sgd", loss="mse", batch=batch)
    share = draw.uniform(0.3, 0.6)
    whole_ = run.told(batch_size=rows)
    run = run.at_rate(typed(share * limit(whole_))).told(shuffle=True)
    return run if "batch_noise" in put else run.rows_kept(np.arange(rows - 1))
