"""Stories of runs in which two things go wrong at once."""

from __future__ import annotations

from benchmarks.faults import second_slips as slips
from benchmarks.faults.second_data import thirty_rows_twenty_five_columns
from benchmarks.faults.second_runs import Draw, Run, size, table, uniform, whole
from benchmarks.faults.second_story import Put, Story, listing, plain, unscaled
from benchmarks.faults.second_training import adam_and_prices_in_full, momentum_of_point_99_on_full_batch

STORIES: list[Story] = []
story = listing(STORIES)


@story("feature_scale", "outliers")
def house_prices_and_a_typo(draw: Draw, put: Put) -> Run:
    """Square feet as they are, and one price with two zeros too many."""
    run = table(draw, uniform(draw, 400, 4000), whole(draw, 1, 6), centre=2.0)
    return slips.typos_in_target(draw, unscaled(draw, run, put, 0.01), "outliers" in put)


@story("outliers", "learning_rate_too_low")
def typo_and_a_timid_rate(draw: Draw, put: Put) -> Run:
    """The typo made the loss explode, so the rate was lowered by a thousand."""
    run = slips.timid_rate(draw, plain(draw, rule="sgd", loss="mse"), "learning_rate_too_low" in put)
    return slips.typos_in_target(draw, run, "outliers" in put)


@story("learning_rate_too_low", "regularization")
def timid_and_penalised(draw: Draw, put: Put) -> Run:
    """A strong penalty "against overfitting" and a tiny rate "to be safe"."""
    run = slips.heavy_penalty(draw, plain(draw, rule="sgd"), "regularization" in put)
    return slips.timid_rate(draw, run, "learning_rate_too_low" in put)


@story("loss_reduction", "feature_scale")
def sums_of_pixels(draw: Draw, put: Put) -> Run:
    """A summed loss on features of hundreds: each alone is too much."""
    run = table(draw, uniform(draw, 50, 400), uniform(draw, 1, 9), rows=size(draw, 100, 1000))
    return slips.summed_loss(draw, unscaled(draw, run, put, 0.01, batch="full"), "loss_reduction" in put)


@story("momentum_too_high", "outliers")
def pendulum_with_a_typo(draw: Draw, put: Put) -> Run:
    """Momentum 0.99 on full batch, and a typing error in y."""
    run = momentum_of_point_99_on_full_batch(draw, put)
    return slips.typos_in_target(draw, run, "outliers" in put)


@story("overfitting", "constant_feature")
def few_patients_and_a_dead_channel(draw: Draw, put: Put) -> Run:
    """Few rows, many columns, and one of them constant."""
    run = thirty_rows_twenty_five_columns(draw, put)
    return slips.stuck_channel(draw, run, "constant_feature" in put)


@story("target_scale", "validation_shift")
def winter_bills_in_cents(draw: Draw, put: Put) -> Run:
    """Bills in cents with Adam's default, validated on another winter."""
    run = adam_and_prices_in_full(draw, put)
    return slips.another_season(draw, run, "validation_shift" in put)
