"""Stories of runs that go wrong by their data: odd rows, idle columns, other seasons, cells that are no numbers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from benchmarks.faults import second_slips as slips
from benchmarks.faults.second_runs import (
    Array,
    Draw,
    Run,
    bells,
    between,
    calmed,
    normal,
    on_a_line,
    pick,
    settled,
    size,
    slopes,
    standardised,
    table,
    uniform,
    validated,
    whole,
)
from benchmarks.faults.second_story import Put, Story, listing, plain

STORIES: list[Story] = []
story = listing(STORIES)


# Rows that are not like the others.


@story("outliers")
def one_zero_too_many(draw: Draw, put: Put) -> Run:
    """A typing error or three in y."""
    return slips.typos_in_target(draw, plain(draw), "outliers" in put)


@story("outliers")
def cheap_sensor_saturates(draw: Draw, put: Put) -> Run:
    """In some of the rows the target reads the sensor's full scale, far from where it was."""
    run, share, full_scale = plain(draw), between(draw, 0.02, 0.12), pick(draw, 1, -1) * between(draw, 8, 80)
    y, hit = run.y.copy(), draw.random(len(run.y)) < share
    hit[0] = True
    y[hit] = run.y.mean() + full_scale * run.y.std()
    return replace(run, y=y) if "outliers" in put else run


@story("high_leverage")
def the_one_castle_among_the_houses(draw: Draw, put: Put) -> Run:
    """One row far out on the line, with the rate that suits the others."""
    run = plain(draw, rule="sgd", loss="mse")
    return slips.far_but_right(draw, run, "high_leverage" in put)


@story("outliers", "high_leverage")
def minus_999_means_missing(draw: Draw, put: Put) -> Run:
    """Missing readings are coded -999 in a feature: far out, and off the line; without either fault they are gone."""
    return slips.missing_code(draw, plain(draw), len(put) == 2)


@story("high_leverage", "outliers")
def a_row_of_totals(draw: Draw, put: Put) -> Run:
    """The spreadsheet's last row is the sum of the column in X and something unlike in y."""
    run, wrong = plain(draw, 2, rule="sgd", loss="mse"), between(draw, 10, 100)
    far = 30 * np.abs(run.X).max(axis=0)
    slope = slopes(run)
    X, y = np.vstack([run.X, run.X[-1]]), np.append(run.y, run.y[-1])
    if "high_leverage" in put:
        X[-1] += far
        y[-1] += far @ slope
    if "outliers" in put:
        y[-1] += wrong * run.y.std()
    run = replace(run, X=X, y=y)
    return run if put else run.rows_kept(np.arange(len(y) - 1))


# Columns that say nothing new.


@story("constant_feature")
def stuck_sensor(draw: Draw, put: Put) -> Run:
    """One of the channels reads 4095 for ever."""
    return slips.stuck_channel(draw, plain(draw, rule="sgd"), "constant_feature" in put)


@story("collinearity")
def celsius_and_fahrenheit(draw: Draw, put: Put) -> Run:
    """The same temperature twice, the second rounded, both standardised."""
    run, digits = table(draw, normal(draw, 15, 8), *bells(draw, pick(draw, 1, 3))), pick(draw, 0, 1, 2, 6)
    alone = settled(draw, standardised(run), rule=pick(draw, "sgd", "momentum"), loss="mse")
    both = standardised(run.columns_mapped(lambda X: np.column_stack([X, np.round(32 + 1.8 * X[:, 0], digits)])))
    return replace(both, settings=alone.settings) if "collinearity" in put else alone


@story("collinearity")
def dummy_variable_trap(draw: Draw, put: Put) -> Run:
    """All of the dummies of a category, beside the intercept."""
    kinds, rows = pick(draw, 3, 4, 6), size(draw, 60, 1500)
    group = draw.integers(kinds, size=rows + 2000)
    X = np.column_stack([np.eye(kinds)[group], draw.normal(size=rows + 2000)])
    effects = draw.normal(size=kinds + 1)
    run = on_a_line(draw, X, rows, effects, draw.normal(), between(draw, 0.1, 0.8))
    run = settled(draw, run, rule="sgd", loss="mse")
    return run if "collinearity" in put else run.columns_mapped(lambda X: X[:, 1:])


@story("collinearity")
def parts_and_their_total(draw: Draw, put: Put) -> Run:
    """Three costs and their sum, which was rounded or measured once more."""
    run, error = table(draw, *bells(draw, 3)), between(draw, 1e-4, 0.05)
    noise = draw.normal(size=len(run.X) + len(run.clean_x)) * error

    def with_total(X: Array) -> Array:
        return np.column_stack([X, X.sum(axis=1) + noise[: len(X)]])

    alone = settled(draw, standardised(run), rule=pick(draw, "sgd", "momentum", "adam"), loss="mse")
    both = standardised(run.columns_mapped(with_total))
    return replace(both, settings=alone.settings) if "collinearity" in put else alone


@story("ill_conditioned")
def powers_up_to_the_eighth(draw: Draw, put: Put) -> Run:
    """A polynomial basis x .. x^8 on [0, 1], standardised: gradient descent never finds the bends."""
    degree, rule = pick(draw, 4, 5, 6, 8), pick(draw, "sgd", "sgd", "momentum", "adam")
    x = draw.uniform(0, 1, size(draw, 60, 800) + 2000)
    rows = len(x) - 2000
    powers = np.column_stack([x**power for power in range(1, degree + 1)])
    basis, _ = np.linalg.qr(powers - powers.mean(axis=0))
    effects = draw.uniform(0.5, 1.5, degree) * draw.choice([-1, 1], degree)
    run = on_a_line(draw, basis, rows, effects, draw.normal(), between(draw, 0.02, 0.3))
    sound = settled(draw, standardised(run), rule=rule, loss="mse")
    bent = standardised(replace(run, X=powers[:rows], clean_x=powers[rows:]))
    bent = replace(bent, settings=sound.settings)
    return calmed(bent) if "ill_conditioned" in put else sound


@story("ill_conditioned")
def neighbouring_channels(draw: Draw, put: Put) -> Run:
    """A spectrometer: ten or twenty channels, each nearly its neighbour, and y in their differences."""
    features, smooth = pick(draw, 6, 10, 20), draw.uniform(0.9, 0.99)
    rows = size(draw, 150, 1000)
    source = draw.normal(size=(rows + 2000, features))
    channels = source.copy()
    for channel in range(1, features):
        channels[:, channel] = smooth * channels[:, channel - 1] + np.sqrt(1 - smooth**2) * source[:, channel]
    effects = draw.uniform(0.5, 1.5, features) * draw.choice([-1, 1], features)
    run = on_a_line(draw, source, rows, effects, draw.normal(), between(draw, 0.05, 0.3))
    sound = settled(draw, standardised(run), rule=pick(draw, "sgd", "momentum"), loss="mse")
    mixed = replace(standardised(replace(run, X=channels[:rows], clean_x=channels[rows:])), settings=sound.settings)
    return calmed(mixed) if "ill_conditioned" in put else sound


# Validation.


@story("validation_shift")
def january_for_july(draw: Draw, put: Put) -> Run:
    """Trained on January, validated on July."""
    return slips.another_season(draw, plain(draw), "validation_shift" in put)


@story("validation_shift")
def scaled_here_raw_there(draw: Draw, put: Put) -> Run:
    """The scaler was applied to the training rows only."""
    run = table(draw, uniform(draw, 20, 200), normal(draw, 50, draw.uniform(3, 10)), whole(draw, 1, 40))
    raw = validated(draw, run)
    calm = settled(draw, standardised(raw))
    return replace(calm, validation=raw.validation) if "validation_shift" in put else calm


@story("overfitting")
def thirty_rows_twenty_five_columns(draw: Draw, put: Put) -> Run:
    """Thirty patients, twenty-five measurements: the training loss falls to nothing, the validation loss rises."""
    rows, features = int(draw.integers(28, 40)), int(draw.integers(18, 26))
    noise, more = draw.uniform(0.7, 1.5), pick(draw, 15, 30)
    run = table(draw, *bells(draw, features), rows=rows * more, noise=noise)
    run = validated(draw, standardised(run), 300)
    few = settled(draw, replace(run, X=run.X[:rows], y=run.y[:rows]), rule="adam", loss="mse")
    few = calmed(few.told(epochs=500, batch_size=rows))
    if "overfitting" in put:
        return few
    return replace(run, settings=few.settings).told(epochs=max(20, 500 // more))


# Cells that are no numbers.


@story("wrong_dtype")
def decimal_commas(draw: Draw, put: Put) -> Run:
    """A CSV from a German spreadsheet, semicolons and all: one column is text."""
    run = plain(draw)
    column, names = int(draw.integers(run.X.shape[1])), [f"kanal_{k}" for k in range(run.X.shape[1])]
    return _text_column(run, names, column, lambda v: f"{v:.3f}".replace(".", ","), "wrong_dtype" in put)


@story("wrong_dtype")
def percentages(draw: Draw, put: Put) -> Run:
    """A share written as "12%"."""
    run = settled(draw, table(draw, uniform(draw, 0, 1), normal(draw)))
    return _text_column(run, ["share", "x"], 0, lambda v: f"{100 * v:.0f}%", "wrong_dtype" in put)


@story("wrong_dtype")
def dates_as_text(draw: Draw, put: Put) -> Run:
    """The first column is the day, as "2023-05-17", or rows begin with a date."""
    day, real_dates = whole(draw, 0, 700), bool(draw.random() < 0.4)
    run = table(draw, day, normal(draw))
    calm = settled(draw, standardised(run))
    first = dt.date(2022, 1, 1)

    def dress(X: Array) -> Any:
        days = [first + dt.timedelta(int(count)) for count in X[:, 0]]
        if real_dates:
            return [[day, value] for day, value in zip(days, X[:, 1].tolist(), strict=True)]
        return pl.DataFrame({"day": [str(day) for day in days], "x": X[:, 1]})

    return replace(run, settings=calm.settings, dress=dress) if "wrong_dtype" in put else calm


@story("wrong_dtype")
def a_column_of_colours(draw: Draw, put: Put) -> Run:
    """A category among the numbers."""
    names = np.array(["red", "green", "blue", "grey"])
    run, as_list = plain(draw, 3), bool(draw.random() < 0.5)

    def dress(X: Array) -> Any:
        colours = names[np.digitize(X[:, 2], [-0.7, 0, 0.7])]
        rows = [[a, b, str(c)] for (a, b), c in zip(X[:, :2].tolist(), colours, strict=True)]
        return rows if as_list else pl.DataFrame(rows, schema=["weight", "height", "colour"], orient="row")

    return replace(run, dress=dress) if "wrong_dtype" in put else run


@story("wrong_dtype")
def salaries_with_thousands_separators(draw: Draw, put: Put) -> Run:
    """y reads "48,500" and the like."""
    run = plain(draw, rule=pick(draw, "sgd", "momentum"), loss="mse")
    pay = 48_500 + 9_000 * run.y
    run = replace(run, y=pay, clean_y=48_500 + 9_000 * run.clean_y, noise=9_000 * run.noise)
    dress = (lambda y: [f"{value:,.0f}" for value in y]) if "wrong_dtype" in put else np.asarray
    return replace(run, dress_y=dress)


@story("missing_values")
def empty_cells(draw: Draw, put: Put) -> Run:
    """Some cells of the table are empty."""
    return slips.holes(draw, plain(draw), "missing_values" in put)


@story("missing_values")
def ratio_of_nothing_by_nothing(draw: Draw, put: Put) -> Run:
    """A feature is clicks by views, and some pages were never viewed: 0 / 0."""
    run, never = plain(draw, 3), draw.random()
    hit = draw.random(len(run.y)) < never * 0.1
    hit[-1] = True
    X = run.X.copy()
    X[hit, 1] = np.nan
    return replace(run, X=X) if "missing_values" in put else run


@story("missing_values", "wrong_dtype")
def text_with_gaps(draw: Draw, put: Put) -> Run:
    """A column of numbers as text in which some cells are None."""
    run = slips.holes(draw, plain(draw), "missing_values" in put)
    column = int(draw.integers(run.X.shape[1]))

    def dress(X: Array) -> Any:
        cells = X.astype(object)
        cells[:, column] = [None if np.isnan(v) else f"{v:.5f}" for v in X[:, column]]
        return cells

    return replace(run, dress=dress) if "wrong_dtype" in put else run


def _text_column(run: Run, names: list[str], column: int, style: Callable[[float], str], made: bool) -> Run:
    def dress(X: Array) -> Any:
        columns: dict[str, Any] = dict(zip(names, X.T, strict=True))
        if made:
            columns[names[column]] = [style(float(value)) for value in X[:, column]]
        return pl.DataFrame(columns)

    return replace(run, dress=dress)
