"""The compiled loops that `engine="numba"` is compared with: the same steps, and the mean loss of every epoch.

Each has its formulas written in, as a user would who needs this one run to be fast. As in `loops.py`, each is a
function of a `Task` that returns `prepare`.
"""

from types import FunctionType

import numpy as np
import pytest
from loops import Prepare, Task, linreg_loop

from linreg import SGD, Adam, Huber
from linreg.data.arrays import design_matrix


def linreg_numba(task: Task) -> Prepare:
    """The loop that `LinearRegression(engine="numba")` runs, with its history."""
    pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")
    from linreg.compiled.run import NumbaRun

    return linreg_loop(task, NumbaRun)


def hand_fused(task: Task) -> Prepare:
    """One loop in Numba, row by row, in which any sum may be reordered and any product fused with it."""
    numba = pytest.importorskip("numba", reason="Numba is not installed: pip install 'linreg[fast]'")

    def jit(function, **parts):
        """Compile a function with others in the place of its globals."""
        whole = FunctionType(function.__code__, {**globals(), **parts}, function.__name__)
        return numba.njit(fastmath={"reassoc", "contract"}, error_model="numpy", forceinline=bool(not parts))(whole)

    loop = jit(_fused, _move=jit(_fused_adam if isinstance(task.optimizer, Adam) else _fused_sgd))
    A, rate = design_matrix(task.X, True), np.float32(task.optimizer.learning_rate)
    delta = np.float32(getattr(task.loss, "delta", np.inf))
    factor = np.float32((1 if isinstance(task.loss, Huber) else 2) / task.batch_size)

    def prepare():
        p, losses = np.zeros(A.shape[1], np.float32), np.empty(task.epochs)

        def train():
            loop(A, task.y, task.batch_size, rate, factor, delta, p, losses)
            return p

        return train

    return prepare


def _fused(A, y, batch_size, lr, factor, delta, p, losses):
    n, d, half, t = len(y), A.shape[1] - 1, np.float32(0.5), 0
    g, m, v = np.empty(d + 1, np.float32), np.zeros(d + 1, np.float32), np.zeros(d + 1, np.float32)
    for epoch in range(len(losses)):
        total = 0.0
        for start in range(0, n, batch_size):
            g[:] = 0
            loss = np.float32(0)
            for i in range(start, min(start + batch_size, n)):
                e = p[d] - y[i]
                for j in range(d):
                    e += A[i, j] * p[j]
                if delta == np.inf:
                    loss += e * e
                else:
                    a = abs(e)
                    loss += half * e * e if a <= delta else delta * a - half * delta * delta
                    e = min(max(e, -delta), delta)
                e *= factor
                for j in range(d):
                    g[j] += e * A[i, j]
                g[d] += e
            t += 1
            _move(p, g, m, v, lr, t)
            total += loss
        losses[epoch] = total / n


def _fused_sgd(p, g, m, v, lr, t):  # noqa: ARG001 (in the place of the other)
    for j in range(len(p)):
        p[j] -= g[j] * lr


def _fused_adam(p, g, m, v, lr, t):
    share_1, share_2, epsilon = np.float32(1 - 0.9), np.float32(1 - 0.999), np.float32(1e-7)
    alpha = np.float32(lr * np.sqrt(1 - 0.999**t) / (1 - 0.9**t))
    for j in range(len(p)):
        m[j] += (g[j] - m[j]) * share_1
        v[j] += (g[j] * g[j] - v[j]) * share_2
        p[j] -= m[j] * alpha / (np.sqrt(v[j]) + epsilon)


_move = _fused_sgd


def jax_scan(task: Task) -> Prepare:
    """`lax.scan` over the steps of an epoch, in one over the epochs, compiled as a whole."""
    jax = pytest.importorskip("jax", reason="the peer JAX is not installed: pip install jax")
    from jax import lax
    from jax import numpy as jnp

    def loss(p, X, y):
        e = X @ p[:-1] + p[-1] - y
        if isinstance(task.loss, Huber):
            a = jnp.abs(e)
            return jnp.where(a <= task.loss.delta, e * e / 2, task.loss.delta * (a - task.loss.delta / 2)).mean()
        return (e * e).mean()

    def step(carry, batch):
        p, m, v, t = carry
        value, g = jax.value_and_grad(loss)(p, *batch)
        p, m, v = _written_update(task.optimizer, jnp.sqrt, p, g, m, v, t)
        return (p, m, v, t + 1), value

    batches = tuple(jnp.asarray(part) for part in _in_batches(task))

    @jax.jit
    def run(p):
        carry = (p, jnp.zeros_like(p), jnp.zeros_like(p), jnp.float32(1))

        def epoch(carry, _):
            carry, values = lax.scan(step, carry, batches)
            return carry, values.mean()

        (p, *_), losses = lax.scan(epoch, carry, length=task.epochs)
        return p, losses

    start = jnp.zeros(task.X.shape[1] + 1, jnp.float32)
    jax.block_until_ready(run(start))
    return lambda: lambda: np.asarray(jax.block_until_ready(run(start))[0])


def xla_loop(task: Task) -> Prepare:
    """A `tf.function` with a loop over the steps, compiled by XLA."""
    reason = "the peer TensorFlow is not installed: pip install 'linreg[tf]'"
    tf = pytest.importorskip("tensorflow", reason=reason)
    X, y = (tf.constant(part) for part in _in_batches(task))
    steps, c = len(y), np.float32(1 / task.batch_size)

    @tf.function(jit_compile=True)
    def run(p):
        m, v, t, total = tf.zeros_like(p), tf.zeros_like(p), tf.constant(1.0), tf.constant(0.0)
        losses = tf.TensorArray(tf.float32, task.epochs, element_shape=())
        for k in tf.range(task.epochs * steps):
            b = k % steps
            e = tf.linalg.matvec(X[b], p[:-1]) + p[-1] - y[b]
            if isinstance(task.loss, Huber):
                delta = task.loss.delta
                s = c * tf.clip_by_value(e, -delta, delta)
                a = tf.abs(e)
                total += tf.reduce_mean(tf.where(a <= delta, e * e / 2, delta * (a - delta / 2)))
            else:
                s = 2 * c * e
                total += tf.reduce_mean(e * e)
            g = tf.concat([tf.linalg.matvec(X[b], s, transpose_a=True), [tf.reduce_sum(s)]], 0)
            p, m, v = _written_update(task.optimizer, tf.sqrt, p, g, m, v, t)
            t += 1
            losses = losses.write(k // steps, total / steps)
            total = tf.where(b == steps - 1, 0.0, total)
        return p, losses.stack()

    start = tf.zeros(task.X.shape[1] + 1)
    run(start)[0].numpy()
    return lambda: lambda: run(start)[0].numpy()


def _in_batches(task):
    X, y = task.X, task.y
    return X.reshape(-1, task.batch_size, X.shape[1]), y.reshape(-1, task.batch_size)


def _written_update(rule, sqrt, p, g, m, v, t):
    """SGD, RMSprop and Adam with their defaults, for libraries of arrays that cannot be changed."""
    if isinstance(rule, SGD):
        return p - rule.learning_rate * g, m, v
    if isinstance(rule, Adam):
        m = m + (g - m) * np.float32(1 - rule.beta_1)
        v = v + (g * g - v) * np.float32(1 - rule.beta_2)
        alpha = rule.learning_rate * sqrt(1 - rule.beta_2**t) / (1 - rule.beta_1**t)
        return p - m * alpha / (sqrt(v) + rule.epsilon), m, v
    v = rule.rho * v + np.float32(1 - rule.rho) * g * g
    return p - rule.learning_rate * g / sqrt(v + rule.epsilon), m, v


PEERS = {"hand-fused Numba": hand_fused, "tf.function XLA loop": xla_loop, "JAX scan": jax_scan}
