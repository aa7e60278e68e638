"""Whole runs of `fit`: a Dense(1) model trained by Keras in every mode and by its twin, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.callbacks import Callback
from linreg.drift import FollowedRun
from linreg.keras.counterparts import dense, train, weights
from linreg.keras.loading import load
from linreg.keras.parity.cases import RULES
from linreg.keras.parity.cells import share_of, shown, ulps, worst_share
from linreg.keras.parity.modes import MODES, devices, onednn
from linreg.keras.twins import twin
from linreg.losses import Huber, MeanSquaredError
from linreg.regression import LinearRegression
from linreg.regularizers import L1L2, L2

Array = Any
Table = tuple[Array, Array, Array | None]

EPOCHS, ROWS, BATCH = 12, 40, 16
"""Epochs, rows and rows in a batch of the runs below; the last batch is not full."""


@dataclass(frozen=True, eq=False)
class Planned:
    """A run: its model, and whether the rows have weights.

    Parameters
    ----------
    rule : str
        Name of its rule, one of `RULES`.
    model : LinearRegression
        Loss, penalty and optimizer.
    weighted : bool
        Whether the rows have weights.
    """

    rule: str
    model: LinearRegression
    weighted: bool = False


def _planned(rule: str, rate: float, loss: Any, penalty: Any = None, weighted: bool = False) -> Planned:
    optimizer = RULES[rule].set_params(learning_rate=rate)
    return Planned(rule, LinearRegression(optimizer, loss, kernel_regularizer=penalty, batch_size=BATCH), weighted)


RUNS: dict[str, Planned] = {
    "SGD, MSE": _planned("SGD", 0.05, MeanSquaredError()),
    "Nesterov, Huber, weights": _planned("Nesterov", 0.02, Huber(1.0), weighted=True),
    "RMSprop centered momentum, MSE, L2": _planned(
        "RMSprop centered momentum", 0.005, MeanSquaredError(), L2(0.01)
    ),
    "Adam, Huber, L1 and L2, weights": _planned("Adam", 0.05, Huber(0.5), L1L2(0.01, 0.01), weighted=True),
    "AMSGrad, MSE summed": _planned("AMSGrad", 0.05, MeanSquaredError("sum")),
}  # fmt: skip


def table(weighted: bool, seed: int) -> Table:
    """Return the data of the runs: normal features, a noisy linear target, and weights.

    Parameters
    ----------
    weighted : bool
        Whether there are weights.
    seed : int
        Decides the numbers.

    Returns
    -------
    tuple of array
        X of shape (rows, 3), y and the weights of shape (rows,), or None in their place; float32.
    """
    rng = np.random.default_rng([seed, 1])
    X = rng.normal(size=(ROWS, 3))
    y = X @ [1.0, -2.0, 3.0] + 0.5 + 0.1 * rng.normal(size=ROWS)
    weight = rng.uniform(0.5, 2.0, ROWS).astype(np.float32) if weighted else None
    return X.astype(np.float32), y.astype(np.float32), weight


class _Parameters(Callback):
    """Notes the parameters at the end of each epoch."""

    def __init__(self) -> None:
        self.noted: list[Array] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: ARG002 (a hook)
        self.noted.append(self.run.get_weights())


def compared(make: Callable[[], Any], data: Table, epochs: int, batch_size: int) -> Iterator[dict[str, Any]]:
    """Train a Keras model in every mode, and its twin beside it, unshuffled.

    Parameters
    ----------
    make : callable
        Returns the compiled Keras model, each time anew and the same.
    data : tuple of array
        X, y, and weights or None.
    epochs : int
        How many epochs from where the model stands.
    batch_size : int
        Rows in a step.

    Yields
    ------
    dict
        For each device and mode how far both came apart. `share` is that of the bound of `FollowedRun`, of parameters
        and losses over the first `decided` epochs, None if it is infinite; `doubts` why the bound means nothing in the
        others, if anything; `first` the first epoch after which a parameter differs.

    Raises
    ------
    ValueError
        If linreg cannot represent the model.
    """
    ours = twin(make(), epochs=epochs, batch_size=batch_size, shuffle=False)
    noted = _Parameters()
    followed = FollowedRun(ours, data, state=ours.state_)
    X, y, weight = data
    ours.set_params(callbacks=[noted]).fit(X, y, sample_weight=weight)
    decided = 0
    with np.errstate(all="ignore"):
        for _ in range(epochs):
            followed.epoch(ours.state_.learning_rate)
            decided += not followed.doubts
    for device in devices():
        for mode in MODES:
            parameters, losses = _trained(make, mode, device, data, epochs, batch_size)
            apart = _apart(ours, noted.noted, followed, decided, parameters, losses)
            yield {"mode": mode, "device": device, "onednn": onednn(), **apart}


def _trained(
    make: Callable[[], Any], mode: str, device: str, data: Table, epochs: int, batch_size: int
) -> tuple[list[Array], list[float]]:
    keras = load()
    import tensorflow as tf

    X, y, weight = data
    after: list[Array] = []
    with tf.device(f"/{device}:0"):
        theirs = make()
        theirs.run_eagerly, theirs.jit_compile = mode == "eager", mode == "XLA"
        noting = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: after.append(weights(theirs)))
        history = train(theirs, X, y, epochs=epochs, batch_size=batch_size, sample_weight=weight, callbacks=[noting])
    return after, history["loss"]


def _apart(
    ours: LinearRegression,
    noted: list[Array],
    followed: FollowedRun,
    decided: int,
    parameters: list[Array],
    losses: list[float],
) -> dict[str, Any]:
    mine, theirs = np.array(noted), np.array(parameters, noted[0].dtype)
    distance, our_losses = ulps(mine, theirs), ours.history_["loss"][-len(losses) :]
    pairs = (mine, theirs, followed.parameters), (our_losses, losses, followed.losses)
    share = worst_share(share_of(*(values[:decided] for values in three)) for three in pairs)
    differs = distance.any(axis=1)
    first = None
    if differs.any():
        epoch = int(np.argmax(differs))
        j = int(np.argmax(distance[epoch]))
        first = {
            "epoch": epoch + 1,
            "parameter": j,
            "ours": shown(mine[epoch, j]),
            "keras": shown(theirs[epoch, j]),
            "ulp": int(distance[epoch, j]),
        }
    return {
        "ok": decided > 0 and share is not None and share <= 1,
        "worst_ulp": int(distance.max()),
        "share": share,
        "decided": decided,
        "doubts": sorted(followed.doubts),
        "by_epoch": [int(at) for at in distance.max(axis=1)],
        "first": first,
        "loss": [shown(our_losses[-1]), shown(losses[-1])],
    }


def runs(names: list[str], seed: int) -> Iterator[dict[str, Any]]:
    """Compare the planned runs in every mode.

    Parameters
    ----------
    names : list of str
        Which, of `RUNS`.
    seed : int
        Decides their data.

    Yields
    ------
    dict
        A run in a mode.
    """
    for name in names:
        planned = RUNS[name]
        data = table(planned.weighted, seed)

        def make(model: LinearRegression = planned.model) -> Any:
            return dense(model, 3, np.array([0.5, -1.0, 1.5], np.float32), 0.25)

        for outcome in compared(make, data, EPOCHS, BATCH):
            yield {"run": name, **outcome}
