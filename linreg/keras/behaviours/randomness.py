"""Claims about seeds: which weights and which order of rows they give."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from linreg.initializers import initial_kernel
from linreg.keras.behaviours.apparatus import Array, seeded
from linreg.keras.behaviours.registry import Observation, behaviour, which
from linreg.seeds import KerasSeed, generator_from

ROWS = 16


@behaviour(
    "a-seed-freezes-the-shuffle",
    "After keras.utils.set_random_seed every epoch of fit goes through the rows in the same order. So does every "
    "later fit: the shuffle happens once. Without a seed each epoch has an order of its own.",
)
def _a_seed_freezes_the_shuffle(keras: Any) -> Observation:
    with seeded(keras, 1):
        frozen = _orders(keras, 3, 1)
    free = _orders(keras, 3)
    counts = [len({tuple(order) for order in orders}) for orders in (frozen, free)]
    return Observation(
        counts == [1, 3], f"orders in 3 + 1 seeded epochs: {counts[0]}, in 3 epochs without a seed: {counts[1]}"
    )


@behaviour(
    "the-order-follows-from-the-seed",
    "The order of a seeded shuffle depends on the seed and the number of rows alone. It is made of Philox' random "
    "numbers and can be written down without TensorFlow: KerasSeed does.",
)
def _the_order_follows_from_the_seed(keras: Any) -> Observation:
    seed = 42
    with seeded(keras, seed):
        (seen,) = _orders(keras, 1)
    formulas = {
        "Philox with this seed": generator_from(KerasSeed(seed)).permutation(ROWS),
        "Philox with another": generator_from(KerasSeed(seed + 1)).permutation(ROWS),
        "NumPy with this seed": np.random.default_rng(seed).permutation(ROWS),
        "unshuffled": np.arange(ROWS),
    }
    return which(seen, formulas, within=0)


@behaviour(
    "the-weights-follow-from-the-seed",
    "The first layer made after set_random_seed has weights that follow from the seed alone. KerasSeed draws the "
    "same, bit for bit.",
)
def _the_weights_follow_from_the_seed(keras: Any) -> Observation:
    seed, features = 7, 3
    with seeded(keras, seed):
        seen = keras.Sequential([keras.Input((features,)), keras.layers.Dense(1)]).get_weights()[0]

    def philox(seed: int) -> Array:
        return initial_kernel("glorot_uniform", features, generator_from(KerasSeed(seed)), np.float32)

    return which(seen, {"Philox with this seed": philox(seed), "Philox with another": philox(seed + 1)}, within=0)


@behaviour(
    "initial-weights-are-glorots",
    "The initial kernel is uniform within sqrt(6 / (features + outputs)). Many features begin with wider weights, and "
    "so with wilder predictions, than under limits of 1 / sqrt(features).",
)
def _initial_weights_are_glorots(keras: Any) -> Observation:
    features = 10_000
    with seeded(keras, 0):  # so that every run shows the same
        layer = keras.layers.Dense(1)
        layer.build((None, features))
    widest = np.abs(layer.get_weights()[0]).max()
    # The largest of 10,000 uniform numbers is within 1 % of their limit but for a chance of 0.99^10,000 = 2e-44.
    formulas = {
        "within sqrt(6 / (features + 1))": (6 / (features + 1)) ** 0.5,
        "within 1 / sqrt(features)": features**-0.5,
    }
    return which(widest, formulas, within=0.01)


def _orders(keras: Any, *epochs: int) -> list[Array]:
    """Return the order of the rows in each epoch of successive calls of `fit`, as a training step gets them."""
    seen: list[Array] = []

    class Recorder(keras.Sequential):  # type: ignore[misc]
        def train_step(self, data: Any) -> dict[str, float]:
            seen.append(np.asarray(data[0]).ravel())
            return {"loss": 0.0}

    model = Recorder([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    x = np.arange(ROWS, dtype=np.float32)[:, None]
    for count in epochs:
        model.fit(x, x, epochs=count, batch_size=ROWS // 2, verbose=0)
    return [np.concatenate(pair) for pair in list(pairwise(seen))[::2]]
