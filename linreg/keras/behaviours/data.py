"""Claims about what happens to data before the first step."""

from __future__ import annotations

from typing import Any

import numpy as np

from linreg.keras.behaviours.apparatus import fit, line, quiet, slope
from linreg.keras.behaviours.registry import Observation, behaviour, which


@behaviour(
    "validation-split-takes-the-end",
    "validation_split=0.25 takes the last quarter of the rows as they stand, before any shuffling. Of a table that is "
    "sorted the model never sees the end.",
)
def _validation_split_takes_the_end(keras: Any) -> Observation:
    model = line(keras, keras.optimizers.SGD(0.0), eager=True)
    history = fit(model, (1.0,) * 4, (1.0, 2.0, 3.0, 4.0), validation_split=0.25, shuffle=True, batch_size=4)
    formulas = {"the last row": 16.0, "the first": 1.0, "the second": 4.0, "the third": 9.0}
    return which(history["val_loss"], formulas)


@behaviour(
    "a-short-batch-steps-in-full",
    "A last batch of fewer rows takes a step of full length. Its loss is the mean of its own rows, so each of them "
    "pulls harder than a row of a full batch: of 33 rows in batches of 32 the last one has a step to itself.",
)
def _a_short_batch_steps_in_full(keras: Any) -> Observation:
    lr, batch_size, y = 0.25, 4, 1.0
    loss = keras.losses.MeanSquaredError()
    model = line(keras, keras.optimizers.SGD(lr), eager=True, loss=loss)
    fit(model, (0.0, 0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 0.0, y), batch_size=batch_size)
    return which(slope(model), {"the mean of its rows": lr * 2 * y, "a share of a full batch": lr * 2 * y / batch_size})


@behaviour(
    "float64-data-are-rounded",
    "Data are rounded to float32 without a word, whatever type they come in. Seven digits stay: seconds since 1970 "
    "come 128 apart, so two events within a minute become one. Subtract the start first.",
)
def _float64_data_are_rounded(keras: Any) -> Observation:
    start = 1_700_000_000.0
    model = line(keras, keras.optimizers.SGD(0.0), slope=1.0, eager=True)
    first, second = model.predict(np.array([[start], [start + 60]]), verbose=0).ravel()
    return which(float(second) - float(first), {"rounded": 0.0, "kept": 60.0})


@behaviour(
    "dataset-is-not-shuffled",
    "fit(shuffle=True) does not shuffle a tf.data.Dataset. It warns, and every epoch goes through the batches as they "
    "are.",
)
def _dataset_is_not_shuffled(keras: Any) -> Observation:
    import tensorflow as tf

    rows = 32
    x = np.arange(rows, dtype=np.float32)[:, None]
    seen: list[float] = []

    class Recorder(keras.Sequential):  # type: ignore[misc]
        def train_step(self, data: Any) -> dict[str, float]:
            seen.extend(np.asarray(data[0]).ravel())
            return {"loss": 0.0}

    model = Recorder([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    with quiet():
        model.fit(tf.data.Dataset.from_tensor_slices((x, x)).batch(4), epochs=2, shuffle=True, verbose=0)
    same = seen == [*range(rows), *range(rows)]
    return Observation(same, f"rows 0 to {rows - 1} came {'in order' if same else 'in another order'} in two epochs")


@behaviour(
    "constant-columns-are-not-zero",
    "A Normalization layer does not turn a constant column into 0. Mean and variance are sums in float32, so what is "
    "left of the column is rounding, and the layer divides it by its own size: a column of 3.3 may become one of 1.",
)
def _constant_columns_are_not_zero(keras: Any) -> Observation:
    # A plain float32 mean of these rows is not the value itself; some of the three show it, however sums are ordered.
    columns = np.repeat(np.array([[0.1, 3.3, 1000.1]], np.float32), 1000, axis=0)
    layer = keras.layers.Normalization()
    layer.adapt(columns)
    seen = np.asarray(layer(columns[:1])).ravel()
    mean, deviation = columns.mean(axis=0), np.sqrt(columns.var(axis=0))
    floor = np.float32(keras.config.epsilon())
    rounding = (columns[0] - mean) / np.maximum(deviation, floor)
    return which(seen, {"what rounding left, blown up": rounding, "0": np.zeros(3)})


@behaviour(
    "normalization-divides-by-n",
    "A Normalization layer divides by the standard deviation over n, not n - 1. That is the deviation of the rows "
    "themselves, as scikit-learn's StandardScaler takes it; pandas and PyTorch divide by n - 1.",
)
def _normalization_divides_by_n(keras: Any) -> Observation:
    column = np.array([[1.0], [2.0], [3.0]], np.float32)
    layer = keras.layers.Normalization()
    layer.adapt(column)
    seen = np.asarray(layer(column)).ravel()
    centred = (column - 2).ravel()
    return which(seen, {"by n": centred / column.std(), "by n - 1": centred / column.std(ddof=1)})
