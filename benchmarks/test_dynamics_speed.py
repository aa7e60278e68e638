"""10^6 epochs by `closed_form`, and by the loop: one is computed, the other would have to be run."""

import sys
from pathlib import Path

import pytest
from interleaved import interleaved, seconds

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the package benchmarks.hot_loop

from benchmarks.hot_loop.peers import BARE_CALLS, NUMPY, PEERS
from benchmarks.hot_loop.table import Case
from linreg import LinearRegression, dynamics

EPOCHS, RUN_EPOCHS = 10**6, 50
"""Epochs that are computed, and those that the loop runs: its time grows with them linearly, and is scaled up so."""
TASK = Case("SGD", "MSE", 1024, 16, 32, "float32").task()


def run_of(loop):
    start = PEERS[loop].make(TASK, "cpu")

    def run():
        train = start()
        return seconds(lambda: train(RUN_EPOCHS)) / RUN_EPOCHS * EPOCHS

    return run


@pytest.mark.ratio
@pytest.mark.parametrize("loop", [NUMPY, BARE_CALLS])
def test_a_million_epochs_in_closed_form_take_at_most_a_thousandth_of_the_loop(hold, loop):
    # Building counts: the data, the map and its powers.
    computed = interleaved(
        lambda: seconds(lambda: dynamics.closed_form(TASK.X, TASK.y, TASK.optimizer, TASK.batch_size).after(EPOCHS)),
        run_of(loop),
        rounds=9,
    )
    hold(f"10^6 epochs in closed form to those of {loop}", computed, at_most=1 / 1000)


@pytest.mark.ratio
def test_a_million_epochs_with_their_history_take_at_most_a_fiftieth_of_the_loop(hold):
    model = LinearRegression(TASK.optimizer, epochs=EPOCHS, shuffle=False, dtype="float64", engine="exact")
    ratio = interleaved(
        lambda: seconds(lambda: model.fit(TASK.X, TASK.y)),
        run_of(NUMPY),
        rounds=3,
    )
    hold("10^6 epochs of engine='exact', every loss booked, to those of linreg", ratio, at_most=1 / 50)
