"""Claims about callbacks, told losses by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from linreg.keras.behaviours.apparatus import fit, line, slope, version
from linreg.keras.behaviours.registry import Observation, behaviour, which


@behaviour(
    "min-delta-is-absolute",
    "ReduceLROnPlateau's min_delta, 1e-4 by default, is absolute. Once a loss is below it, nothing counts as an "
    "improvement any more, and the rate is cut while the loss still halves every epoch.",
)
def _min_delta_is_absolute(keras: Any) -> Observation:
    rates = _rates(keras, [1e-6 * 0.5**epoch for epoch in range(6)], patience=2)
    return which(rates, {"absolute": [1.0, 1.0, 0.5, 0.5, 0.25, 0.25], "relative": [1.0] * 6})


@behaviour(
    "patience-counts-to-the-last",
    "ReduceLROnPlateau(patience=3) cuts the rate at the end of the third epoch without an improvement. It does not "
    "wait for a fourth.",
)
def _patience_counts_to_the_last(keras: Any) -> Observation:
    rates = _rates(keras, [1.0] * 6, patience=3)
    return which(rates, {"in the third": [1, 1, 1, 0.5, 0.5, 0.5], "after the third": [1, 1, 1, 1, 0.5, 0.5]})


@behaviour(
    "early-stopping-without-validation",
    "EarlyStopping() watches val_loss. Where there are no validation data it never stops anything: it only warns, "
    "every epoch. Say monitor='loss' then.",
)
def _early_stopping_without_validation(keras: Any) -> Observation:
    model = line(keras, keras.optimizers.SGD(0.0), eager=True)
    history = fit(model, (1.0,), (1.0,), epochs=4, callbacks=[keras.callbacks.EarlyStopping(patience=1)])
    # The loss stands still from the first epoch on.
    return which(len(history["loss"]), {"it never stops": 4, "it watches the loss": 2})


@behaviour(
    "callbacks-compare-in-float32",
    "EarlyStopping compares losses in float32, in float64 models too: an improvement in the eighth digit is none. So "
    "does ReduceLROnPlateau since Keras 3.11; before, it compared in float64.",
)
def _callbacks_compare_in_float32(keras: Any) -> Observation:
    losses = [1 - 1e-9 * epoch for epoch in range(5)]
    stopped = _epochs(keras, losses, patience=2)
    rate = _rates(keras, losses, patience=4, min_delta=0)[-1]
    formulas = {"both": [3, 0.5], "EarlyStopping alone": [3, 1.0], "neither": [5, 1.0]}
    return which([stopped, rate], formulas, known=_alike(keras))


@behaviour(
    "callbacks-raise-on-huge-losses",
    "A loss above 3.4e38, which a float64 model can have, makes EarlyStopping raise an error instead of decide. So "
    "does ReduceLROnPlateau since Keras 3.11.",
)
def _callbacks_raise_on_huge_losses(keras: Any) -> Observation:
    tried: dict[str, Callable[..., Any]] = {"EarlyStopping": _epochs, "ReduceLROnPlateau": _rates}
    raised = []
    for name, watch in tried.items():
        try:
            watch(keras, [1e39, 1e38, 1e37], patience=1)
        except (ValueError, OverflowError):
            raised.append(name)
    known = list(tried) if _alike(keras) == "both" else ["EarlyStopping"]
    return Observation(
        raised == known, f"of losses 1e39, 1e38, 1e37: {' and '.join(raised) or 'nothing'} raised an error"
    )


@behaviour(
    "a-first-nan-is-the-best",
    "If the first loss that EarlyStopping sees is nan, it is the best for ever: nothing is below nan. It stops after "
    "its patience although the loss falls, and restores the weights of the nan. ReduceLROnPlateau does alike since "
    "Keras 3.11.",
)
def _a_first_nan_is_the_best(keras: Any) -> Observation:
    model = line(keras, keras.optimizers.SGD(1.0), eager=True)
    losses = [np.nan, 3.0, 2.0, 1.0, 0.5]
    stopped = _epochs(keras, losses, model=model, patience=2, restore_best_weights=True)
    rate = _rates(keras, losses, patience=4)[-1]
    # Every epoch leaves its number as slope.
    formulas = {"both": [3, 0, 0.5], "EarlyStopping alone": [3, 0, 1.0], "neither": [5, 4, 1.0]}
    return which([stopped, slope(model), rate], formulas, known=_alike(keras))


@behaviour(
    "best-weights-come-back-anyway",
    "EarlyStopping(restore_best_weights=True) restores the best weights at the end of every fit. It does so also when "
    "nothing was stopped early: after a complete run the weights are not those of the last epoch.",
)
def _best_weights_come_back_anyway(keras: Any) -> Observation:
    model = line(keras, keras.optimizers.SGD(1.0), eager=True)
    epochs = _epochs(keras, [3.0, 1.0, 2.0, 2.0], model=model, patience=10, restore_best_weights=True)
    formulas = {"restored without a stop": [4, 1], "the last ones": [4, 3], "it stopped": [3, 1]}
    return which([epochs, slope(model)], formulas)


def _alike(keras: Any) -> str:
    """Return which of the two callbacks this version is known to let compare with TensorFlow's operations."""
    return "both" if version(keras) >= (3, 11) else "EarlyStopping alone"


def _rates(keras: Any, losses: Sequence[float], **settings: Any) -> list[float]:
    """Return the learning rate after each epoch, from 1, with a ReduceLROnPlateau that halves it."""
    model = line(keras, keras.optimizers.SGD(1.0), eager=True)
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, **settings)
    plateau.set_model(model)
    plateau.on_train_begin()
    rates = []
    for epoch, loss in enumerate(losses):
        plateau.on_epoch_end(epoch, {"loss": loss})
        rates.append(float(np.asarray(model.optimizer.learning_rate)))
    return rates


def _epochs(keras: Any, losses: Sequence[float], *, model: Any = None, **settings: Any) -> int:
    """Return after how many epochs an EarlyStopping ends the run; each epoch leaves its number as slope."""
    model = line(keras, keras.optimizers.SGD(1.0), eager=True) if model is None else model
    stopping = keras.callbacks.EarlyStopping(monitor="loss", **settings)
    stopping.set_model(model)
    stopping.on_train_begin()
    model.stop_training = False
    ran = 0
    for epoch, loss in enumerate(losses):
        model.set_weights([np.array([[epoch]], np.float32)])
        stopping.on_epoch_end(epoch, {"loss": loss})
        ran += 1
        if model.stop_training:
            break
    stopping.on_train_end()
    return ran
