"""One line by the same words, "Adam, lr 0.1, epsilon 1e-3", in every library: where each is after each step.

y = 2x + 1 at nine points, from zero, full batches, squared error; once as it is and once with y measured in
thousandths, where gradients are as small as epsilon.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import numpy as np

LR, EPSILON, STEPS = 0.1, 1e-3, 200
X = np.arange(9) / 8
UNITS = {"y = 2x + 1": 1, "y = (2x + 1) / 1000": 1000}

Path = Any  # array of shape (STEPS, 2): slope and intercept after each step


def tf_keras(x: Any, y: Any) -> Path:
    from linreg.keras import load

    keras = load()
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(keras.optimizers.Adam(LR, epsilon=EPSILON), "mse")
    path = []
    for _ in range(STEPS):
        model.train_on_batch(x[:, None], y)
        path.append([weight.item() for weight in model.get_weights()])
    return np.array(path)


def linreg(x: Any, y: Any) -> Path:
    from linreg import Adam, LinearRegression, callbacks

    class Recorder(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: ARG002 (a hook gets both)
            path.append(self.run.get_weights())

    path: list[Any] = []
    optimizer = Adam(LR, epsilon=EPSILON)
    LinearRegression(
        optimizer, epochs=STEPS, batch_size=len(x), shuffle=False, kernel_initializer="zeros", callbacks=[Recorder()]
    ).fit(x[:, None], y)
    return np.array(path, np.float64)


def pytorch(x: Any, y: Any) -> Path:
    import torch

    inputs, target = torch.from_numpy(x[:, None]), torch.from_numpy(y[:, None])
    model = torch.nn.Linear(1, 1)
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, eps=EPSILON)
    path = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(inputs), target).backward()
        optimizer.step()
        path.append([model.weight.item(), model.bias.item()])
    return np.array(path)


def optax(x: Any, y: Any) -> Path:
    import jax
    import jax.numpy as jnp
    import optax as library

    rule = library.adam(LR, eps=EPSILON)

    def loss(parameters: Any) -> Any:
        slope, intercept = parameters
        return jnp.mean(jnp.square(slope * x + intercept - y))

    @jax.jit
    def step(parameters: Any, state: Any) -> Any:
        updates, state = rule.update(jax.grad(loss)(parameters), state)
        return library.apply_updates(parameters, updates), state

    parameters = jnp.zeros(2, jnp.float32)
    state, path = rule.init(parameters), []
    for _ in range(STEPS):
        parameters, state = step(parameters, state)
        path.append(np.asarray(parameters, np.float64))
    return np.array(path)


def algorithm_1(x: Any, y: Any) -> Path:
    """Follow Algorithm 1 of the paper in 50-digit decimal numbers, from the same float32 data."""
    with localcontext(prec=50):
        xs, ys = ([Decimal(float(number)) for number in column] for column in (x, y))
        alpha, b1, b2, epsilon = Decimal("0.1"), Decimal("0.9"), Decimal("0.999"), Decimal("0.001")
        theta, m, v = ([Decimal(0)] * 2 for _ in range(3))
        path = []
        for t in range(1, STEPS + 1):
            errors = [theta[0] * a + theta[1] - b for a, b in zip(xs, ys, strict=True)]
            slopes = (sum(e * a for e, a in zip(errors, xs, strict=True)), sum(errors))
            for i, slope in enumerate(slopes):
                g = 2 * slope / len(xs)
                m[i] = b1 * m[i] + (1 - b1) * g
                v[i] = b2 * v[i] + (1 - b2) * g * g
                m_hat, v_hat = m[i] / (1 - b1**t), v[i] / (1 - b2**t)
                theta[i] -= alpha * m_hat / (v_hat.sqrt() + epsilon)
            path.append([float(number) for number in theta])
    return np.array(path)


LIBRARIES: dict[str, Callable[[Any, Any], Path]] = {
    "tf.keras": tf_keras,
    "linreg": linreg,
    "PyTorch": pytorch,
    "optax": optax,
    "Algorithm 1, 50 digits": algorithm_1,
}


def trained() -> tuple[dict[str, dict[str, list[list[float]]]], dict[str, str]]:
    """Return the path of every library in every unit, and why others are left out."""
    paths: dict[str, dict[str, list[list[float]]]] = {}
    skipped = {}
    for unit, divisor in UNITS.items():
        x, y = X.astype(np.float32), ((2 * X + 1) / divisor).astype(np.float32)
        paths[unit] = {}
        for who, train in LIBRARIES.items():
            try:
                path = train(x, y)
            except ImportError as error:
                skipped[who] = str(error)
                continue
            # Nine digits tell every float32.
            paths[unit][who] = [[float(f"{number:.9g}") for number in point] for point in path]
    return paths, skipped
