"""A sweep some of whose configurations diverge, beside one where none does."""

import sys
from pathlib import Path

import numpy as np
import pytest
from interleaved import interleaved, seconds

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the package benchmarks.hot_loop

from benchmarks.hot_loop.table import Case
from linreg import SGD, sweep

EPOCHS, RATES = 400, np.geomspace(1e-4, 0.03, 256)
DIVERGING = np.geomspace(1e2, 1e12, 128)


@pytest.mark.ratio
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_columns_that_diverge_slow_nobody_down(hold, engine):
    if engine == "numba":
        pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")
    task = Case("SGD", "MSE", 1024, 16, 32, "float32").task()

    def swept(rates):
        settings = {"epochs": EPOCHS, "batch_size": task.batch_size, "shuffle": False, "kernel_initializer": "zeros"}
        return seconds(lambda: sweep(task.X, task.y, optimizer=SGD(), learning_rate=rates, engine=engine, **settings))

    wild = RATES.copy()
    wild[::2] = DIVERGING
    ratio = interleaved(lambda: swept(wild), lambda: swept(RATES), rounds=9)
    hold(f"a sweep half of whose rates diverge to one where none does, engine={engine!r}, SGD()", ratio, at_most=1.05)
