"""A sweep some of whose configurations diverge, beside one where none does."""

import numpy as np
import pytest
from interleaved import interleaved, seconds
from test_hot_loop import BATCH, task_of

from linreg import SGD, MeanSquaredError, sweep

EPOCHS, RATES = 400, np.geomspace(1e-4, 0.03, 256)
DIVERGING = np.geomspace(1e2, 1e12, 128)


@pytest.mark.ratio
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_columns_that_diverge_slow_nobody_down(hold, engine):
    if engine == "numba":
        pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")
    task = task_of(SGD(), MeanSquaredError())

    def swept(rates):
        settings = {"epochs": EPOCHS, "batch_size": BATCH, "shuffle": False, "kernel_initializer": "zeros"}
        return seconds(lambda: sweep(task.X, task.y, optimizer=SGD(), learning_rate=rates, engine=engine, **settings))

    wild = RATES.copy()
    wild[::2] = DIVERGING
    ratio = interleaved(lambda: swept(wild), lambda: swept(RATES), rounds=9)
    hold(f"a sweep half of whose rates diverge to one where none does, engine={engine!r}, SGD()", ratio, at_most=1.05)
