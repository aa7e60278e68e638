"""256 learning rates at once: a sweep beside `jax.vmap` of `lax.scan`, and beside single runs of the same rates.

The compiled sweep is held to both; the one in NumPy to single runs in NumPy.
"""

from importlib.util import find_spec

import numpy as np
import pytest
from interleaved import interleaved, seconds
from test_hot_loop import BATCH, FEATURES, ROWS, rounding_bound, task_of

from linreg import SGD, Adam, LinearRegression, MeanSquaredError, sweep
from linreg.data.arrays import design_matrix

EPOCHS, RATES = 400, np.geomspace(1e-4, 0.03, 256)
DIVERGING = np.geomspace(1e2, 1e12, 128)
OPTIMIZERS = [SGD(), Adam()]

each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda it: type(it).__name__)


def steps(epochs=EPOCHS):
    return epochs * ROWS // BATCH


needs_numba = pytest.mark.skipif(
    find_spec("numba") is None, reason="Numba is not installed: pip install 'linreg[fast]'"
)
each_engine = pytest.mark.parametrize("engine", ["numpy", pytest.param("numba", marks=needs_numba)])


def swept(optimizer, engine, rates=RATES, epochs=EPOCHS):
    """The whole call, checks and history included."""
    task = task_of(optimizer, MeanSquaredError())
    return sweep(task.X, task.y, optimizer=optimizer, learning_rate=rates, epochs=epochs, batch_size=BATCH,
                 shuffle=False, kernel_initializer="zeros", engine=engine)  # fmt: skip


def jax_sweep(optimizer):
    """Return what runs the same sweep by jax, compiled beforehand: parameters (K, d+1) and the loss of each step."""
    jax = pytest.importorskip("jax", reason="the peer JAX is not installed: pip install jax")
    jnp, task = jax.numpy, task_of(optimizer, MeanSquaredError())
    A = jnp.asarray(design_matrix(task.X, True)).reshape(-1, BATCH, FEATURES + 1)
    y = jnp.asarray(task.y).reshape(-1, BATCH)

    def sgd(p, g, slots, rate, step):  # noqa: ARG001
        return p - rate * g, slots

    def adam(p, g, slots, rate, step):
        m, v = slots
        t = step + 1.0
        m, v = m + (g - m) * 0.1, v + (g * g - v) * 0.001
        alpha = rate * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        return p - m * alpha / (jnp.sqrt(v) + 1e-7), (m, v)

    rule = sgd if isinstance(optimizer, SGD) else adam

    def one(rate):
        def body(carry, step):
            p, slots = carry
            a, target = A[step % len(A)], y[step % len(A)]
            e = a @ p - target
            return rule(p, (2 / BATCH * e) @ a, slots, rate, step), (e * e).mean()

        zeros = jnp.zeros(FEATURES + 1)
        (p, _), losses = jax.lax.scan(body, (zeros, (zeros, zeros)), jnp.arange(steps()))
        return p, losses

    compiled, rates = jax.jit(jax.vmap(one)), jnp.asarray(RATES, jnp.float32)
    jax.block_until_ready(compiled(rates))
    return lambda: jax.block_until_ready(compiled(rates))


def single_runs(optimizer, engine, some):
    """Return what fits some of the configurations one by one."""
    task = task_of(optimizer, MeanSquaredError())
    settings = {"epochs": EPOCHS, "batch_size": BATCH, "shuffle": False, "kernel_initializer": "zeros",
                "engine": engine}  # fmt: skip
    models = [LinearRegression(optimizer.set_params(learning_rate=rate), **settings) for rate in RATES[some].tolist()]
    return lambda: [model.fit(task.X, task.y) for model in models]


def assert_equal(optimizer, parameters, losses, found, some):
    """Parameters at the end and the losses of all epochs are the same, to the rounding of sums along the runs."""
    for k, p, loss in zip(np.arange(len(RATES))[some], parameters, losses, strict=True):
        task = task_of(optimizer.set_params(learning_rate=float(RATES[k])), MeanSquaredError(), EPOCHS)
        own = np.append(found.coef_[k], found.intercept_[k])
        bound = rounding_bound(task, own)
        assert np.abs(p - own).max() <= bound
        rows = np.abs(design_matrix(task.X, True)).sum(axis=1).max()
        reach = 2 * rows * bound * np.sqrt(found.history["loss"][:, k].max() * ROWS)
        np.testing.assert_allclose(loss, found.history["loss"][:, k], rtol=1e-5, atol=reach)


@needs_numba
@pytest.mark.ratio
@each_optimizer
def test_a_sweep_of_256_rates_beside_vmap_of_scan(hold, optimizer):
    peer = jax_sweep(optimizer)
    parameters, losses = (np.asarray(x) for x in peer())
    by_epoch = losses.reshape(len(RATES), EPOCHS, -1).mean(axis=-1)
    assert_equal(optimizer, parameters, by_epoch, swept(optimizer, "numba"), slice(None))
    unit = len(RATES) * steps()
    ratio = interleaved(lambda: seconds(lambda: swept(optimizer, "numba")) / unit, lambda: seconds(peer) / unit,
                        rounds=9)  # fmt: skip
    hold(f"a configuration-step of a compiled sweep to one of jax.vmap(lax.scan), {optimizer!r}", ratio,
         at_most=1 / 0.95)  # fmt: skip


AT_LEAST = {"numpy": 15, "numba": 2}
"""How many times the time of a single run is that of a configuration in a sweep."""


@pytest.mark.ratio
@each_optimizer
@each_engine
def test_a_sweep_of_256_rates_beside_single_runs(hold, engine, optimizer):
    some = slice(0, None, 16)
    fit = single_runs(optimizer, engine, some)
    parameters = [np.append(model.coef_, model.intercept_) for model in fit()]
    losses = [model.history_["loss"] for model in fit()]
    assert_equal(optimizer, parameters, losses, swept(optimizer, engine), some)
    ratio = interleaved(
        lambda: seconds(lambda: swept(optimizer, engine)) / (len(RATES) * steps()),
        lambda: seconds(fit) / (len(parameters) * steps()),
        rounds=7,
    )
    hold(f"a configuration-step of sweep to one of a single fit, engine={engine!r}, {optimizer!r}", ratio,
         at_most=1 / AT_LEAST[engine])  # fmt: skip


@pytest.mark.ratio
@each_engine
def test_columns_that_diverge_slow_nobody_down(hold, engine):
    wild = RATES.copy()
    wild[::2] = DIVERGING
    unit = len(RATES) * steps()
    ratio = interleaved(
        lambda: seconds(lambda: swept(SGD(), engine, wild)) / unit,
        lambda: seconds(lambda: swept(SGD(), engine)) / unit,
        rounds=9,
    )
    hold(f"a sweep half of whose rates diverge to one where none does, engine={engine!r}, SGD()", ratio, at_most=1.05)
