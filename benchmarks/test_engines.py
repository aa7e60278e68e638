"""What is promised of `engine="numba"` and of sweeps, each as a ratio: the loops of `benchmarks.hot_loop`."""

import sys
from pathlib import Path

import pytest
from interleaved import Ratio

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the package benchmarks.hot_loop

from benchmarks.hot_loop.measure import measure
from benchmarks.hot_loop.peers import FUSED, NUMBA, PEERS
from benchmarks.hot_loop.sweeps import SWEPT, measure_sweep
from benchmarks.hot_loop.table import Case
from benchmarks.hot_loop.whole import FULL_BATCH, TWO_PASSES, full_batch, small_fit

pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")

SHAPES = [(1024, 1, 32), (1024, 16, 32), (4096, 128, 32), (65_536, 512, 1024)]
AT_LEAST = {
    # How many times the peer's time is ours, by shape; one feature is JAX's best case.
    FUSED: {SHAPES[0]: 0.95, SHAPES[1]: 0.95},
    "tf.function XLA loop": dict.fromkeys(SHAPES, 1.0),
    "JAX scan": {**dict.fromkeys(SHAPES, 1.0), SHAPES[0]: 0.5},
}


def ratio_of(loops, peer, ours):
    if peer not in loops:
        pytest.skip(f"{peer} is not installed")
    return Ratio(*([us * 1e-6 for us in loops[name]["rounds"]] for name in (ours, peer)))


@pytest.mark.ratio
@pytest.mark.parametrize("loss", ["MSE", "Huber"])
@pytest.mark.parametrize("rule", ["SGD", "RMSprop", "Adam"])
@pytest.mark.parametrize(("peer", "shape"), [(peer, shape) for peer, shapes in AT_LEAST.items() for shape in shapes])
def test_a_step_of_the_numba_engine_costs_at_most(hold, peer, shape, rule, loss):
    rows, features, batch = shape
    case = Case(rule, loss, rows, features, batch, "float32")
    found = measure(case, [PEERS[NUMBA], PEERS[peer]], rounds=9)
    assert all(loop["check"]["equal"] for loop in found["loops"].values())
    ratio = ratio_of(found["loops"], peer, NUMBA)
    hold(f"a step of engine='numba' to one of {peer}, {case.name}", ratio, at_most=1 / AT_LEAST[peer][shape])


@pytest.mark.ratio
def test_a_full_batch_step_takes_at_most_the_time_of_two_reads_in_numpy_by_1_8(hold):
    hold(FULL_BATCH, ratio_of(full_batch(rounds=15)["loops"], TWO_PASSES, NUMBA), at_most=1 / 1.8)


@pytest.mark.ratio
@pytest.mark.parametrize("rule", ["SGD", "Adam"])
def test_fit_of_100_rows_takes_at_most_a_300th_of_keras(hold, rule):
    found = small_fit(rule, rounds=7)
    hold(f"{found['what']}, the whole call, to model.fit", ratio_of(found["loops"], "keras fit", NUMBA), 1 / 300)


@pytest.mark.ratio
@pytest.mark.parametrize(("peer", "at_least"), [("jax.vmap of scan", 0.95), ("single runs, linreg numba", 2)])
@pytest.mark.parametrize("rule", ["SGD", "Adam"])
def test_a_sweep_of_256_rates_takes_at_most(hold, rule, peer, at_least):
    loops = measure_sweep(rule, 256)["loops"]
    assert all(loop["check"]["equal"] for loop in loops.values())
    hold(f"a configuration's step of a sweep, {rule}, to {peer}", ratio_of(loops, peer, SWEPT), at_most=1 / at_least)
