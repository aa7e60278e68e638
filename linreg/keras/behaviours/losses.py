"""Claims about losses, their reductions, and what the history holds of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from linreg.keras.behaviours.apparatus import fit, line
from linreg.keras.behaviours.registry import Observation, behaviour, which


@behaviour(
    "weights-are-divided-by-rows",
    "A weighted loss is divided by the number of rows, not by the sum of the weights. sum_over_batch_size, the "
    "default, is sum(weight * loss) / rows: doubling all weights doubles the loss and every step. "
    "reduction='mean_with_sample_weight' is the weighted mean.",
)
def _weights_are_divided_by_rows(keras: Any) -> Observation:
    weights, errors = (3.0, 1.0), (1.0, 2.0)
    loss = keras.losses.MeanSquaredError()
    seen = loss(np.zeros((2, 1)), np.array(errors)[:, None], sample_weight=np.array(weights))
    total = sum(weight * error**2 for weight, error in zip(weights, errors, strict=True))
    formulas = {
        "divided by the rows": total / len(errors),
        "divided by the weights": total / sum(weights),
        "not weighted": sum(error**2 for error in errors) / len(errors),
    }
    return which(seen, formulas)


@behaviour(
    "a-batch-of-no-weight-counts-zero",
    "A batch whose weights are all zero has a loss of 0, not of nan. mean_with_sample_weight takes 0 / 0 for 0, and "
    "in the loss of its epoch the batch counts with all of its rows.",
)
def _a_batch_of_no_weight_counts_zero(keras: Any) -> Observation:
    loss = keras.losses.MeanSquaredError(reduction="mean_with_sample_weight")
    model = line(keras, keras.optimizers.SGD(0.0), eager=True, loss=loss)
    history = fit(model, (1.0, 1.0), (2.0, 2.0), batch_size=1, sample_weight=np.array([1.0, 0.0]))
    formulas = {"0, with all its rows": 4 / 2, "nan": np.nan, "left out": 4.0}
    return which(history["loss"], formulas)


@behaviour(
    "huber-keeps-delta",
    "Huber's loss far out is delta |e| - delta^2 / 2. Its slope there is delta, so for a small delta the loss and its "
    "steps are small; what others call 'smooth L1' is divided by delta and has slope 1.",
)
def _huber_keeps_delta(keras: Any) -> Observation:
    delta, error = 0.5, 3.0
    far = delta * error - delta**2 / 2
    formulas = {"Huber's": far, "divided by delta": far / delta, "squared throughout": error**2 / 2}
    return which(keras.losses.Huber(delta=delta)([[0.0]], [[error]]), formulas)


@behaviour(
    "a-saved-huber-forgets-delta",
    "A model that was saved and loaded trains with delta 1, whatever delta its Huber had. The configuration of "
    "keras.losses.Huber(0.5), which is all that a file keeps of a loss, does not hold it: compile anew after loading.",
)
def _a_saved_huber_forgets_delta(keras: Any) -> Observation:
    delta, error = 0.5, 3.0
    saved = keras.losses.deserialize(keras.losses.serialize(keras.losses.Huber(delta)))
    formulas = {"delta 1": 1 * error - 1**2 / 2, "delta as it was": delta * error - delta**2 / 2}
    return which(saved([[0.0]], [[error]]), formulas)


@behaviour(
    "l2-without-a-half",
    "regularizers.L2(l) is l * sum(w^2), without a half. Its slope is 2 l w, twice that of a weight decay of the same "
    "number.",
)
def _l2_without_a_half(keras: Any) -> Observation:
    strength, w = 0.125, 3.0
    seen = keras.regularizers.L2(strength)(np.array([w], np.float32))
    return which(seen, {"l w^2, slope 2 l w": strength * w**2, "l w^2 / 2, slope l w": strength * w**2 / 2})


@behaviour(
    "the-penalty-is-in-the-loss",
    "The loss in the history contains the penalty of a regularizer; metrics do not. Losses of models with different "
    "penalties cannot be compared, nor a loss with metrics=['mse'].",
)
def _the_penalty_is_in_the_loss(keras: Any) -> Observation:
    strength, w = 0.5, 2.0
    penalised = keras.regularizers.L2(strength)
    model = line(keras, keras.optimizers.SGD(0.0), slope=w, kernel_regularizer=penalised, eager=True, metrics=["mse"])
    history = fit(model, (1.0,), (0.0,))
    error, penalty = w**2, strength * w**2
    formulas = {
        "in the loss, not in the metric": [error + penalty, error],
        "in neither": [error, error],
        "in both": [error + penalty, error + penalty],
    }
    return which([history["loss"][0], history["mse"][0]], formulas)


@behaviour(
    "history-counts-rows",
    "The loss of an epoch weighs each batch by its rows, so a short last batch counts less. A loop that averages the "
    "losses of its batches gives the last batch's rows more weight than all others.",
)
def _history_counts_rows(keras: Any) -> Observation:
    errors = (1.0, 1.0, 4.0)
    history = fit(line(keras, keras.optimizers.SGD(0.0)), (1.0, 1.0, 1.0), errors, batch_size=2)
    squares = [error**2 for error in errors]
    batches = [sum(squares[:2]) / 2, squares[2]]
    return which(history["loss"], {"rows count": sum(squares) / 3, "batches count": sum(batches) / 2})


@behaviour(
    "history-is-before-the-step",
    "The loss of an epoch is that of the weights before each step, not of those that the epoch ends with. With one "
    "batch an epoch loss[0] is the loss of the initial weights, and loss trails val_loss by an epoch.",
)
def _history_is_before_the_step(keras: Any) -> Observation:
    lr, x = 0.25, np.array([[1.0]], np.float32)
    model = line(keras, keras.optimizers.SGD(lr), eager=True)
    history = fit(model, (1.0,), (1.0,), validation_data=(x, x))
    before, after = 1.0, (1 - 2 * lr) ** 2
    formulas = {"before, and val_loss after": [before, after], "both after": [after, after]}
    return which([history["loss"][0], history["val_loss"][0]], formulas)


@behaviour(
    "history-ignores-weights",
    "In the loss of an epoch batches count by rows also where rows have weights. With mean_with_sample_weight it is "
    "therefore not the weighted mean of the rows.",
)
def _history_ignores_weights(keras: Any) -> Observation:
    weights, errors = (1.0, 3.0), (1.0, 3.0)
    loss = keras.losses.MeanSquaredError(reduction="mean_with_sample_weight")
    model = line(keras, keras.optimizers.SGD(0.0), eager=True, loss=loss)
    history = fit(model, (1.0, 1.0), errors, batch_size=1, sample_weight=np.array(weights))
    squares = np.square(errors)
    formulas = {"batches count by rows": squares.mean(), "by weights": np.average(squares, weights=weights)}
    return which(history["loss"], formulas)


@behaviour(
    "metrics-ignore-weights",
    "metrics ignore sample_weight; weighted_metrics use it, divided by the weights. So with weights 'loss', 'mse' "
    "among the metrics and 'mse' among the weighted metrics are three numbers.",
)
def _metrics_ignore_weights(keras: Any) -> Observation:
    weights, errors = (1.0, 3.0), (1.0, 3.0)
    sgd, mse = keras.optimizers.SGD(0.0), keras.metrics.MeanSquaredError
    model = line(keras, sgd, eager=True, metrics=[mse(name="plain")], weighted_metrics=[mse(name="weighted")])
    history = fit(model, (1.0, 1.0), errors, sample_weight=np.array(weights))
    squares = np.square(errors)
    loss, plain = float(np.dot(weights, squares)) / 2, squares.mean()
    weighted = np.average(squares, weights=weights)
    formulas = {
        "loss, metric, weighted metric": [loss, plain, weighted],
        "all like the loss": [loss, loss, loss],
        "all weighted means": [weighted, weighted, weighted],
    }
    return which([history[name][0] for name in ("loss", "plain", "weighted")], formulas)


@behaviour(
    "targets-without-a-column",
    "Targets of shape (n,) are matched with predictions of shape (n, 1) by every loss. The same two subtracted by "
    "hand make an (n, n) table, and its mean is the loss of a model that predicts the mean.",
)
def _targets_without_a_column(keras: Any) -> Observation:
    y = np.array([1.0, 2.0, 3.0], np.float32)
    predictions = y[:, None]
    seen = keras.losses.MeanSquaredError()(y, predictions)
    by_hand = keras.ops.mean(keras.ops.square(keras.ops.subtract(y, predictions)))
    table = np.mean([(a - b) ** 2 for a in y for b in y])
    formulas = {
        "matched by a loss, not by hand": [0.0, table],
        "always matched": [0.0, 0.0],
        "never matched": [table, table],
    }
    return which([float(seen), float(by_hand)], formulas)


@behaviour(
    "nan-does-not-stop-fit",
    "A loss of nan does not stop fit. It runs to the last epoch and leaves weights of nan behind; the callback "
    "TerminateOnNaN stops it, but leaves them behind, too.",
)
def _nan_does_not_stop_fit(keras: Any) -> Observation:
    def ran(*callbacks: Any) -> tuple[int, float]:
        model = line(keras, keras.optimizers.SGD(0.1), eager=True)
        history = fit(model, (1.0,), (np.nan,), epochs=3, callbacks=list(callbacks))
        return len(history["loss"]), float(model.get_weights()[0].item())

    epochs, weight = ran()
    stopped, left = ran(keras.callbacks.TerminateOnNaN())
    formulas = {"3 epochs, with the callback 1": [3, np.nan, 1, np.nan], "it stops by itself": [1, np.nan, 1, np.nan]}
    return which([epochs, weight, stopped, left], formulas)
