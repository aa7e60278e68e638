"""What is promised of both engines and of sweeps, and reached, each as a ratio: the loops of `benchmarks.hot_loop`."""

import importlib.util
import sys
from functools import lru_cache
from pathlib import Path

import pytest
from interleaved import Ratio

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the package benchmarks.hot_loop

from benchmarks.hot_loop.measure import measure
from benchmarks.hot_loop.peers import BARE_CALLS, COMPILED_TORCH, FUSED, KERAS, NUMBA, NUMPY, PEERS, SCAN, XLA
from benchmarks.hot_loop.sweeps import ONE_BY_ONE, SWEPT, VMAP, measure_sweep
from benchmarks.hot_loop.table import Case
from benchmarks.hot_loop.whole import FULL_BATCH, TWO_PASSES, full_batch, small_fit

with_numba = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason="Numba is not installed: pip install 'linreg[fast]'"
)
CALLS_AT_LEAST = {BARE_CALLS: 0.5, KERAS: 200, "torch eager": 15, "tf.function loop": 4, "JAX jitted step": 2}
"""How many times the peer's time is that of the NumPy engine, on 32 rows of 16 features."""
SHAPES = [(1024, 1, 32), (1024, 16, 32), (4096, 128, 32), (65_536, 512, 1024), (1_000_000, 32, 1024)]
AT_LEAST = {
    # How many times the peer's time is ours, by shape; one feature is JAX's best case.
    FUSED: {SHAPES[0]: 0.95, SHAPES[1]: 0.95},
    XLA: dict.fromkeys(SHAPES, 1.0),
    SCAN: {**dict.fromkeys(SHAPES, 1.0), SHAPES[0]: 0.5},
    COMPILED_TORCH: dict.fromkeys(SHAPES, 1.0),
}


def ratio_of(loops, peer, ours):
    if peer not in loops:
        pytest.skip(f"{peer} is not installed")
    return Ratio(*([us * 1e-6 for us in loops[name]["rounds"]] for name in (ours, peer)))


@lru_cache(maxsize=1)
def measured(case, *peers):
    """All loops of a case, in turns."""
    return measure(case, [PEERS[name] for name in peers])["loops"]


@pytest.mark.ratio
@pytest.mark.parametrize("rule", ["SGD", "Adam"])
@pytest.mark.parametrize("peer", CALLS_AT_LEAST)
def test_a_step_of_the_numpy_engine_costs_at_most(hold, peer, rule):
    case = Case(rule, "MSE", *SHAPES[1], "float32")
    loops = measured(case, NUMPY, *CALLS_AT_LEAST)
    assert all(loop["check"]["equal"] for loop in loops.values())
    ratio = ratio_of(loops, peer, NUMPY)
    hold(f"a step of engine='numpy' to one of {peer}, {case.name}", ratio, at_most=1 / CALLS_AT_LEAST[peer])


@with_numba
@pytest.mark.ratio
@pytest.mark.parametrize(
    ("shape", "dtype", "rule", "loss", "peer"),
    [
        (shape, dtype, rule, loss, peer)
        for shape in SHAPES
        for loss, dtype in (("MSE", "float32"), ("Huber", "float32"), ("MSE", "float64"))
        for rule in ("SGD", "RMSprop", "Adam")
        for peer, shapes in AT_LEAST.items()
        if shape in shapes
    ],
)
def test_a_step_of_the_numba_engine_costs_at_most(hold, peer, shape, dtype, rule, loss):
    case = Case(rule, loss, *shape, dtype)
    loops = measured(case, NUMBA, *(name for name, shapes in AT_LEAST.items() if shape in shapes))
    assert all(loop["check"]["equal"] for loop in loops.values())
    ratio = ratio_of(loops, peer, NUMBA)
    hold(f"a step of engine='numba' to one of {peer}, {case.name}", ratio, at_most=1 / AT_LEAST[peer][shape])


@with_numba
@pytest.mark.ratio
def test_a_full_batch_step_takes_at_most_the_time_of_two_reads_in_numpy_by_1_8(hold):
    hold(FULL_BATCH, ratio_of(full_batch(rounds=15)["loops"], TWO_PASSES, NUMBA), at_most=1 / 1.8)


@with_numba
@pytest.mark.ratio
@pytest.mark.parametrize("rule", ["SGD", "Adam"])
def test_fit_of_100_rows_takes_at_most_a_300th_of_keras(hold, rule):
    found = small_fit(rule, rounds=7)
    hold(f"{found['what']}, the whole call, to model.fit", ratio_of(found["loops"], KERAS, NUMBA), 1 / 300)


@with_numba
@pytest.mark.ratio
@pytest.mark.parametrize(("peer", "at_least"), [(VMAP, 0.95), (ONE_BY_ONE, 2)])
@pytest.mark.parametrize("rule", ["SGD", "Adam"])
def test_a_sweep_of_256_rates_takes_at_most(hold, rule, peer, at_least):
    loops = measure_sweep(rule, 256)["loops"]
    assert all(loop["check"]["equal"] for loop in loops.values())
    hold(f"a configuration's step of a sweep, {rule}, to {peer}", ratio_of(loops, peer, SWEPT), at_most=1 / at_least)
