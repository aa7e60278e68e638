"""Stories of runs with nothing wrong, most of which look as if there were. `STORIES` lists them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl

from benchmarks.faults.second_runs import (
    Draw,
    Run,
    bells,
    between,
    calm_rate,
    calmed,
    fitting_epochs,
    limit,
    lognormal,
    normal,
    on_a_line,
    pick,
    settled,
    size,
    slopes,
    spectrum,
    standardised,
    steps_an_epoch,
    table,
    typed,
    uniform,
    validated,
    whole,
)
from benchmarks.faults.second_story import Story, framed, plain
from linreg import L2, SGD, Adam, Huber, MeanSquaredError
from linreg.schedules import CosineDecay, ExponentialDecay

STORIES: list[Story] = []


def healthy(tell: Callable[[Draw], Run]) -> Callable[[Draw], Run]:
    STORIES.append(Story(tell.__name__, lambda draw, _: tell(draw)))
    return tell


# Large numbers that are carried.


@healthy
def square_feet_with_a_rate_that_fits(draw: Draw) -> Run:
    """Only square feet, not scaled, and a rate of 1e-8 or so: the loss comes down, for the slope is what matters."""
    run = table(draw, uniform(draw, 400, 4000), rows=size(draw, 40, 1500), noise=between(draw, 0.02, 0.2))
    slope = run.y.std() / run.X.std()
    level = 0.1 * draw.normal() * run.y.std()
    shift = slope * run.X.mean() + level - run.y.mean()
    run = replace(run, y=run.y + shift, clean_y=run.clean_y + shift)
    return framed(settled(draw, run, rule=pick(draw, "sgd", "momentum"), loss="mse"), "sqft")


@healthy
def numbers_up_to_a_hundred(draw: Draw) -> Run:
    """Features of 5 to 100, centred but not scaled, alike in width: a small rate carries them."""
    width = between(draw, 5, 100)
    columns = [normal(draw, 0, width * draw.uniform(0.7, 1.4)) for _ in range(pick(draw, 1, 2, 4))]
    return settled(draw, table(draw, *columns, centre=draw.normal() * 0.05), rule="sgd", loss="mse")


@healthy
def loss_of_millions_that_falls(draw: Draw) -> Run:
    """y in thousands: the loss starts at 10^6 and more, and falls."""
    columns = bells(draw, pick(draw, 1, 3, 6))
    return settled(draw, table(draw, *columns, unit=between(draw, 300, 1e5)), rule=pick(draw, "sgd", "nesterov"))


@healthy
def loss_of_millionths(draw: Draw) -> Run:
    """y in metres for a thing of micrometres: every loss is tiny, the fit is fine."""
    return settled(draw, table(draw, *bells(draw, 2), unit=between(draw, 1e-5, 1e-2)), rule="sgd", loss="mse")


@healthy
def adam_with_a_rate_of_hundreds(draw: Draw) -> Run:
    """Prices in full, and an Adam whose rate was raised until it got there."""
    return settled(draw, table(draw, *bells(draw, 3), unit=between(draw, 1e3, 1e5)), rule=pick(draw, "adam", "rmsprop"))


# Rates and momentum that look wild.


@healthy
def rate_of_a_half(draw: Draw) -> Run:
    """Full batch at 0.3 to 0.9 of the limit, far above 0.01."""
    run = plain(draw, rule="sgd", batch="full")
    run = run.told(epochs=max(40, run.settings["epochs"]))
    return run.at_rate(typed(draw.uniform(0.3, 0.9) * limit(run)))


@healthy
def swings_before_it_settles(draw: Draw) -> Run:
    """Momentum 0.9 or 0.95 on full batch: the loss rises for some epochs, swings, and comes down."""
    run = plain(draw, rule="sgd", loss="mse", batch="full")
    momentum = pick(draw, 0.9, 0.95)
    run = run.told(optimizer=SGD(momentum=momentum), epochs=int(draw.integers(200, 500)))
    return run.at_rate(typed(draw.uniform(0.05, 0.9) * limit(run)))


@healthy
def started_far_away(draw: Draw) -> Run:
    """A kernel that a colleague has left: the first losses are enormous."""
    run = plain(draw)
    run = run.told(kernel_initializer=np.round(between(draw, 3, 30) * draw.normal(size=run.X.shape[1]), 2))
    adaptive = not isinstance(run.settings["optimizer"], SGD)
    return run.at_rate(typed(40 * calm_rate(run))) if adaptive else run


@healthy
def small_rate_and_patience(draw: Draw) -> Run:
    """A rate of a thousandth, and as many epochs as it takes."""
    run = plain(draw, pick(draw, 1, 2, 3), rule="sgd", loss="mse", batch=16)
    values = spectrum(run)
    rate = pick(draw, 1e-3, 2e-3, 3e-3)
    epochs = int(min(500, 1.5 * 2.4 / (2 * rate * values[0] * steps_an_epoch(run)) + 20))
    return run.told(epochs=epochs).at_rate(rate)


@healthy
def rate_that_decays(draw: Draw) -> Run:
    """A schedule that begins bold and ends small."""
    run = plain(draw, rule="sgd", loss="mse")
    steps = steps_an_epoch(run) * run.settings["epochs"]
    start = typed(0.7 * limit(run))
    schedule = pick(draw, ExponentialDecay(start, max(1, steps // 3), 0.5), CosineDecay(start, steps))
    return run.told(optimizer=SGD(schedule))


@healthy
def clipped_for_safety(draw: Draw) -> Run:
    """clipnorm set high enough to matter in the first steps only, or never."""
    run = plain(draw, rule="sgd", loss="mse")
    optimizer = SGD(run.settings["optimizer"].learning_rate, clipnorm=pick(draw, 10.0, 50.0))
    return run.told(optimizer=optimizer)


@healthy
def summed_with_a_rate_to_match(draw: Draw) -> Run:
    """A summed loss, and a rate divided by the rows."""
    run = plain(draw, rule="sgd", loss="mse")
    return calmed(run.told(loss=MeanSquaredError(reduction="sum")))


# Noise.


@healthy
def mostly_noise(draw: Draw) -> Run:
    """The features explain a tenth of y: the loss stays near the variance of y, as it must."""
    run = standardised(table(draw, *bells(draw, pick(draw, 1, 3)), noise=draw.uniform(1.5, 3), centre=1.0))
    return settled(draw, run, rule=pick(draw, "sgd", "adam"), batch="full", loss="mse")


@healthy
def jittery_but_there(draw: Draw) -> Run:
    """Batches of 1 to 8 rows at a small rate: the epochs' losses jitter, about the right place."""
    run = table(draw, *bells(draw, pick(draw, 1, 2, 4)), rows=size(draw, 40, 250), noise=draw.uniform(0.2, 0.6))
    run = settled(draw, standardised(run), rule="sgd", loss="mse", batch=pick(draw, 1, 2, 4, 8))
    share = draw.uniform(0.03, 0.08)
    run = run.told(epochs=fitting_epochs(run, share, 1.5))
    return run.at_rate(calm_rate(run, share))


@healthy
def one_row_left_over(draw: Draw) -> Run:
    """The last batch is a single row, at a rate that even a single row carries."""
    rows = 32 * int(draw.integers(3, 20)) + 1
    run = table(draw, *bells(draw, pick(draw, 1, 3)), rows=rows, noise=between(draw, 0.05, 0.3))
    run = settled(draw, standardised(run), rule="sgd", loss="mse", batch=32)
    share = draw.uniform(0.05, 0.2)
    return run.told(epochs=fitting_epochs(run, share, 2.0)).at_rate(calm_rate(run, share))


@healthy
def heavy_tails_under_huber(draw: Draw) -> Run:
    """Noise with three degrees of freedom, and Huber, as one should."""
    run, tails = plain(draw, loss="mse"), draw.standard_t(3, 3000)
    run = replace(run, y=run.y + 0.3 * tails[: len(run.y)], noise=float(np.hypot(run.noise, 0.3 * np.sqrt(3))))
    return run.told(loss=Huber(pick(draw, 1.0, 2.0)))


# Tables that look odd.


@healthy
def one_far_town_on_the_line(draw: Draw) -> Run:
    """One row lies far out and on the line, and the rate carries it."""
    run, far = plain(draw, pick(draw, 1, 2), rule="sgd", loss="mse", batch="full"), draw.uniform(4, 9)
    slope = slopes(run)
    X, y = run.X.copy(), run.y.copy()
    X[0, 0] += far
    y[0] += far * slope[0]
    run = replace(run, X=X, y=y)
    share = draw.uniform(0.3, 0.7)
    return run.told(epochs=fitting_epochs(run, share, 2.0)).at_rate(calm_rate(run, share))


@healthy
def related_columns(draw: Draw) -> Run:
    """Height and weight: correlated at 0.6 to 0.85, many rows, no harm."""
    run = table(draw, *bells(draw, 2, draw.uniform(0.6, 0.85)), rows=size(draw, 400, 2000), noise=0.2)
    return settled(draw, standardised(run), rule=pick(draw, "sgd", "momentum"), loss="mse")


@healthy
def rare_yes_among_no(draw: Draw) -> Run:
    """A flag that is 1 in a few rows only, as booleans in a frame: rare, not constant."""
    rows = size(draw, 150, 1500)
    flag = (draw.random(rows + 2000) < draw.uniform(0.04, 0.2)).astype(float)
    X = np.column_stack([draw.normal(size=rows + 2000), flag])
    run = settled(draw, on_a_line(draw, X, rows, np.array([1.0, 0.2]), 0.5, 0.3), rule="sgd", loss="mse")
    return replace(run, dress=lambda X: pl.DataFrame({"x": X[:, 0], "flag": X[:, 1].astype(bool)}))


@healthy
def dummies_without_the_first(draw: Draw) -> Run:
    """A category as dummies, one left out, as integers."""
    kinds, rows = pick(draw, 3, 4), size(draw, 60, 1500)
    group = draw.integers(kinds, size=rows + 2000)
    X = np.eye(kinds)[group][:, 1:]
    run = on_a_line(draw, X, rows, draw.normal(size=kinds - 1), draw.normal(), between(draw, 0.1, 0.6))
    return replace(settled(draw, run, rule="sgd", loss="mse"), dress=lambda X: X.astype(int))


@healthy
def mildly_skewed_columns(draw: Draw) -> Run:
    """Log-normal columns, standardised: some rows lie six deviations out, and the rate allows for them."""
    columns = [lognormal(draw, 100, draw.uniform(0.3, 0.7)) for _ in range(2)]
    return settled(draw, standardised(table(draw, *columns)), rule=pick(draw, "sgd", "adam"), loss="mse")


@healthy
def likert_scales(draw: Draw) -> Run:
    """Answers 1 to 5, centred at 3, as lists of whole numbers."""
    run = table(draw, *[whole(draw, -2, 2)] * pick(draw, 3, 6, 10), centre=0.3)
    return replace(settled(draw, run, rule=pick(draw, "sgd", "momentum")), dress=lambda X: X.astype(int).tolist())


@healthy
def target_as_a_column(draw: Draw) -> Run:
    """y has the shape (n, 1), X is an object array of numbers: `fit` knows what is meant."""
    run, whole_ = plain(draw), bool(draw.random() < 0.5)
    return replace(run, dress=lambda X: X.astype(object) if whole_ else X, dress_y=lambda y: y.reshape(-1, 1))


@healthy
def thirty_columns(draw: Draw) -> Run:
    """Thirty honest columns and rows enough."""
    run = table(draw, *bells(draw, int(draw.integers(20, 31))), rows=size(draw, 400, 1500))
    return settled(draw, standardised(run), rule=pick(draw, "sgd", "momentum", "adam"), loss="mse")


@healthy
def twenty_rows(draw: Draw) -> Run:
    """A school experiment: twenty readings of one quantity."""
    run = table(draw, uniform(draw, -1.7, 1.7), rows=int(draw.integers(20, 30)), noise=between(draw, 0.02, 0.3))
    return settled(draw, run, rule="sgd", loss="mse", batch=pick(draw, 8, "full"))


@healthy
def rows_with_weights(draw: Draw) -> Run:
    """Weights of about one: some rows count double, some hardly."""
    run = plain(draw, rule="sgd", loss="mse", batch="full")
    weight = draw.uniform(0.2, 2.0, len(run.y))
    return replace(calmed(run), weight=weight / weight.max())


@healthy
def in_double_precision(draw: Draw) -> Run:
    """Trained in float64, "to be sure"."""
    return plain(draw).told(dtype="float64")


# Penalties and validation.


@healthy
def ridge_where_it_belongs(draw: Draw) -> Run:
    """Forty rows, fifteen columns, much noise: the penalty that the clean law itself would choose."""
    features = int(draw.integers(12, 20))
    run = standardised(table(draw, *bells(draw, features), rows=int(draw.integers(25, 60)), noise=draw.uniform(1, 2)))
    strength = typed(features * run.noise**2 / (len(run.y) * features))
    run = settled(draw, run, rule="sgd", loss="mse", batch="full").told(kernel_regularizer=L2(strength))
    return validated(draw, calmed(run.told(epochs=400)), 300)


@healthy
def gentle_penalty(draw: Draw) -> Run:
    """An l2 of 0.001 or less, out of habit."""
    return calmed(plain(draw, rule="sgd", loss="mse").told(kernel_regularizer=L2(pick(draw, 1e-5, 1e-4, 1e-3))))


@healthy
def validation_a_little_above(draw: Draw) -> Run:
    """Fresh rows of the same law: the validation loss lies above, or below, the training loss, by a normal amount."""
    rows = int(draw.integers(60, 800))
    run = standardised(table(draw, *bells(draw, pick(draw, 1, 3, 5)), rows=rows, noise=between(draw, 0.1, 0.8)))
    return validated(draw, settled(draw, run))


@healthy
def validation_of_few_rows(draw: Draw) -> Run:
    """Twenty validation rows: their loss is luck, and may be half or double."""
    return validated(draw, plain(draw, pick(draw, 1, 2, 3)), 20)


@healthy
def a_gentle_drift(draw: Draw) -> Run:
    """Validation rows whose features lie a little to the side, on the same line."""
    run = validated(draw, plain(draw, pick(draw, 1, 3)))
    moved = draw.uniform(0.1, 0.4, run.X.shape[1])
    slope = slopes(run)
    X, y = run.validation or ()
    return replace(run, validation=(X + moved, y + moved @ slope))


@healthy
def nothing_to_learn_but_the_mean(draw: Draw) -> Run:
    """y is nearly the same number in every row, and the intercept learns it."""
    run = standardised(table(draw, *bells(draw, 2), noise=0.5))
    level = pick(draw, 5.0, 20.0, -8.0)
    run = replace(run, y=level + 0.01 * run.y, clean_y=level + 0.01 * run.clean_y, noise=0.01 * run.noise)
    return settled(draw, run, rule=pick(draw, "sgd", "adam"), loss="mse")


@healthy
def amsgrad_and_centered(draw: Draw) -> Run:
    """The options of Adam that papers propose."""
    run = plain(draw, rule="adam")
    return calmed(run.told(optimizer=Adam(amsgrad=True, beta_2=pick(draw, 0.99, 0.999))))
