"""10^6 epochs by `closed_form`, and by the loop: one is computed, the other would have to be run."""

import numpy as np
import pytest
from interleaved import interleaved, seconds
from loops import LOOPS, Task

from linreg import SGD, LinearRegression, MeanSquaredError, dynamics

ROWS, FEATURES, BATCH = 1024, 16, 32
EPOCHS, RUN_EPOCHS = 10**6, 50
"""Epochs that are computed, and those that the loop runs: its time grows with them linearly, and is scaled up so."""


def task_of(epochs):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, FEATURES)).astype(np.float32)
    y = (X @ rng.normal(size=FEATURES) + 1 + 0.1 * rng.normal(size=ROWS)).astype(np.float32)
    return Task(SGD(0.01), MeanSquaredError(), X, y, BATCH, steps=epochs * ROWS // BATCH)


@pytest.mark.ratio
@pytest.mark.parametrize("loop", ["linreg", "minimal NumPy"])
def test_a_million_epochs_in_closed_form_take_at_most_a_thousandth_of_the_loop(hold, loop):
    task = task_of(RUN_EPOCHS)
    prepare = LOOPS[loop](task)
    # Building counts: the data, the map and its powers.
    computed = interleaved(
        lambda: seconds(lambda: dynamics.closed_form(task.X, task.y, task.optimizer, BATCH).after(EPOCHS)),
        lambda: seconds(prepare()) / RUN_EPOCHS * EPOCHS,
        rounds=9,
    )
    hold(f"10^6 epochs in closed form to those of {loop}", computed, at_most=1 / 1000)


@pytest.mark.ratio
def test_a_million_epochs_with_their_history_take_at_most_a_fiftieth_of_the_loop(hold):
    task = task_of(RUN_EPOCHS)
    prepare = LOOPS["linreg"](task)
    model = LinearRegression(task.optimizer, epochs=EPOCHS, shuffle=False, dtype="float64", engine="exact")
    ratio = interleaved(
        lambda: seconds(lambda: model.fit(task.X, task.y)),
        lambda: seconds(prepare()) / RUN_EPOCHS * EPOCHS,
        rounds=3,
    )
    hold("10^6 epochs of engine='exact', every loss booked, to those of linreg", ratio, at_most=1 / 50)
