"""`ExplainLoss`: what it says in `model.fit`, when it says it, and what it leaves behind."""

import numpy as np
import pytest

from linreg.experiments import known_experiments
from linreg.keras import ExplainLoss
from linreg.keras import dense as counterpart_of

LINE = np.arange(1.0, 6.0).reshape(-1, 1)


def dense(keras, features=1, optimizer=None, loss="mse", front=(), **options):
    model = keras.Sequential([keras.Input((features,)), *front, keras.layers.Dense(1, **options)])
    model.compile(optimizer=optimizer or keras.optimizers.SGD(0.01), loss=loss)
    return model


def run(model, *data, epochs=100, explain=None, **arguments):
    """Fit with the callback; return it and the losses."""
    explain = explain or ExplainLoss(verbose=0)
    history = model.fit(*data, epochs=epochs, callbacks=[explain], verbose=0, **arguments)
    return explain, history.history["loss"]


def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    return X, X @ [1.0, -2.0, 0.5] + 3 + 0.1 * rng.normal(size=200)


# The three known experiments.


def test_the_unscaled_table_is_stopped_restored_and_named_with_its_number(keras):
    X, y = np.array([[1.0, 1000.0], [2.0, 2000.0], [3.0, 3000.0]]), np.array([1.0, 2.0, 3.0])
    model = dense(keras, 2)
    start = [weight.copy() for weight in model.get_weights()]
    explain, losses = run(model, X, y)
    assert explain.trouble_ in ("rises", "nan")
    assert len(losses) < 10
    for weight, before in zip(model.get_weights(), start, strict=True):
        np.testing.assert_array_equal(weight, before)
    finding = explain.diagnosis_.findings[0]
    assert finding.cause == "feature_scale"
    # The largest eigenvalue of 2/n [X, 1]^T [X, 1], by hand from NumPy's, says where SGD diverges.
    A = np.column_stack([X, np.ones(3)])
    limit = 2 / np.linalg.eigvalsh(2 / 3 * A.T @ A)[-1]
    assert f"{limit:.3g}" in explain.text_
    assert "Training is stopped, and the last good weights are back." in explain.text_
    assert "In tf.keras" in explain.text_


def trial(experiment, name):
    """A run of `linreg demo`."""
    return next(one for one in known_experiments()[experiment - 1].trials if one.name.startswith(name))


def explained(one):
    """Train Keras' counterpart of a trial with the callback; return it, the model and the losses."""
    model = counterpart_of(one.model, one.X.shape[1], np.zeros(one.X.shape[1]), 0.0)
    explain, losses = run(model, one.X.astype(np.float32), one.y.astype(np.float32), shuffle=False)
    return explain, model, losses


@pytest.mark.parametrize(
    ("name", "cause"),
    [("SGD 10.0", "learning_rate_too_high"), ("SGD 0.0001", "learning_rate_too_low")],
)
def test_learning_rates_10_and_1e_4_are_stopped_restored_and_named_with_their_number(keras, name, cause):
    one = trial(2, name)
    explain, model, losses = explained(one)
    assert len(losses) < 100
    finding = explain.diagnosis_.findings[0]
    assert finding.cause == cause
    A = np.column_stack([one.X, np.ones(len(one.X))])
    limit = 2 / np.linalg.eigvalsh(2 / len(A) * A.T @ A)[-1]
    assert f"{limit:.3g}" in explain.text_
    # Weights from which the best epoch began: of the run that explodes, the zeros it started from.
    kernel, bias = (float(weight.reshape(-1)[0]) for weight in model.get_weights())
    assert (kernel, bias) == (0, 0) if cause == "learning_rate_too_high" else kernel > 0


def test_a_far_point_is_stopped_restored_and_named_with_its_row(keras):
    one = trial(3, "MSE")
    explain, model, losses = explained(one)
    assert len(losses) < 100
    assert explain.diagnosis_.findings[0].cause == "high_leverage"
    assert "Row 3 (counted from 0)" in explain.text_
    assert np.isfinite(model.get_weights()[0]).all()


def test_missing_values_are_named_with_their_column(keras):
    X, y = table()
    X[17, 1] = np.nan
    explain, losses = run(dense(keras, 3), X, y)
    assert explain.trouble_ == "nan"
    assert (explain.epoch_, len(losses)) == (0, 1)
    assert explain.diagnosis_.findings[0].cause == "missing_values"
    assert "x1" in explain.text_


def test_a_healthy_run_is_left_alone(keras):
    X, y = table()
    model = dense(keras, 3)
    explain, losses = run(model, X, y, epochs=60)
    assert len(losses) == 60
    assert (explain.diagnosis_, explain.trouble_, explain.text_) == (None, None, "")


def test_it_only_reports_if_it_is_not_to_stop(keras, capsys):
    model = dense(keras, optimizer=keras.optimizers.SGD(10.0))
    explain, losses = run(model, LINE, LINE[:, 0], epochs=8, explain=ExplainLoss(stop=False))
    assert len(losses) == 8
    assert "stopped" not in explain.text_
    assert capsys.readouterr().out.count("ExplainLoss, epoch") >= 1


def test_weights_stay_as_they_are_if_they_are_not_to_be_restored(keras):
    model = dense(keras, optimizer=keras.optimizers.SGD(1e30))
    run(model, LINE, LINE[:, 0], explain=ExplainLoss(restore=False, verbose=0))
    assert not np.isfinite(model.get_weights()[0]).all()


def test_restored_weights_are_those_from_which_the_best_epoch_began(keras):
    """A run that falls, and then explodes at the epoch where a callback multiplies the rate."""
    X, y = table()
    model = dense(keras, 3)
    seen = []
    notes = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(model.get_weights()))
    jump = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 1e4 if epoch == 5 else rate)
    explain = ExplainLoss(verbose=0)
    history = model.fit(X, y, epochs=20, callbacks=[notes, jump, explain], verbose=0)
    losses = history.history["loss"]
    assert explain.epoch_ == 5
    assert len(losses) == 6
    for weight, best in zip(model.get_weights(), seen[int(np.argmin(losses))], strict=True):
        np.testing.assert_array_equal(weight, best)


# What it can look at.


def test_a_dataset_is_sampled_and_its_batch_size_is_its_own(keras):
    import tensorflow as tf

    X, y = table()
    X[:, 0] *= 1000
    rows = tf.data.Dataset.from_tensor_slices((X.astype(np.float32), y.astype(np.float32))).batch(20)
    explain, _ = run(dense(keras, 3), rows, shuffle=False, explain=ExplainLoss(verbose=0, sample=100))
    assert explain.diagnosis_.findings[0].cause == "feature_scale"
    assert explain.diagnosis_.case.model.batch_size == 20
    assert "Of the Dataset the first 100 rows were read." in explain.text_


def test_columns_keep_their_names(keras):
    import polars

    X, y = table()
    X[:, 1] *= 1e4
    frame = polars.DataFrame(X, schema=["age", "income", "rooms"])
    model = dense(keras, 3)
    explain, _ = run(model, X, y, explain=ExplainLoss(frame, y, verbose=0))
    assert "income" in explain.text_


def test_features_are_those_behind_a_normalization_layer(keras):
    X, y = table()
    X[:, 0] = 1e4 * X[:, 0] + 5e4
    layer = keras.layers.Normalization()
    layer.adapt(X)
    explain, losses = run(dense(keras, 3, front=[layer]), X, y, epochs=60)
    assert explain.diagnosis_ is None  # scaled, the run is healthy
    assert len(losses) == 60
    explain, _ = run(dense(keras, 3, front=[layer], optimizer=keras.optimizers.SGD(3.0)), X, y)
    assert explain.diagnosis_.findings[0].cause == "learning_rate_too_high"
    assert "behind the layers in front of Dense(1)" in explain.text_


def test_of_a_model_that_is_not_linear_only_curve_and_inputs_are_told(keras):
    X, y = table()
    X[3, 2] = np.inf
    model = dense(keras, 3, front=[keras.layers.Dense(8, activation="relu")])
    explain, _ = run(model, X, y)
    assert "The model is not linear regression: linreg cannot represent the layer Dense" in explain.text_
    assert "only the loss curve and the inputs" in explain.text_
    assert "1 values are missing or infinite (x2)" in explain.text_
    assert explain.diagnosis_.case is None


def test_a_model_that_is_not_linear_may_settle(keras):
    X, y = table()
    model = dense(keras, 3, front=[keras.layers.Dense(4, activation="tanh")], optimizer=keras.optimizers.SGD(0.05))
    explain, losses = run(model, X, y, epochs=120)
    assert len(losses) == 120
    assert explain.text_ == ""


def test_data_that_cannot_be_diagnosed_leave_the_curve(keras):
    X, y = table()
    told = ExplainLoss(X[:, :2], y, verbose=0)  # not what fit is given
    explain, _ = run(dense(keras, 3, optimizer=keras.optimizers.SGD(10.0)), X, y, explain=told)
    assert "The data could not be looked at, only the loss curve:" in explain.text_
    assert explain.diagnosis_.case is None


def test_data_that_cannot_be_read_again_are_asked_for(keras):
    X, y = table()

    def batches():
        while True:
            yield X * 1e4, y

    explain, _ = run(dense(keras, 3), batches(), steps_per_epoch=3, shuffle=False)
    assert "a generator can be read once only. Give the data to the callback: ExplainLoss(X, y)." in explain.text_
    explain, _ = run(
        dense(keras, 3), batches(), steps_per_epoch=3, shuffle=False, explain=ExplainLoss(X * 1e4, y, verbose=0)
    )
    assert explain.diagnosis_.findings[0].cause in ("feature_scale", "learning_rate_too_high")


def test_a_rising_validation_loss_is_explained_with_the_validation_data(keras):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(30, 20))
    y = X[:, 0] + rng.normal(size=30)
    other = rng.normal(size=(200, 20))
    held = other, other[:, 0] + rng.normal(size=200)
    model = dense(keras, 20, optimizer=keras.optimizers.SGD(0.1), kernel_initializer="zeros")
    explain, losses = run(model, X, y, epochs=500, validation_data=held)
    assert explain.trouble_ == "val_loss"
    assert explain.diagnosis_.findings[0].cause == "overfitting"
    assert len(losses) < 500
    # The weights with the least validation loss are back.
    history = model.history.history["val_loss"]
    assert model.evaluate(*held, verbose=0) == pytest.approx(min(history), rel=1e-5)


def test_sample_weights_and_splits_of_fit_reach_the_diagnosis(keras):
    X, y = table()
    weight = np.ones(200)
    explain, _ = run(
        dense(keras, 3, optimizer=keras.optimizers.SGD(10.0)), X, y, sample_weight=weight, validation_split=0.25,
        batch_size=50,
    )  # fmt: skip
    case = explain.diagnosis_.case
    assert (len(case.y), case.model.batch_size, case.model.epochs) == (150, 50, 100)
    assert len(case.validation[1]) == 50


# What goes on whatever the callback sees.


def test_losses_below_zero_are_no_rise(keras):
    X, y = table()
    model = dense(keras, 3, front=[keras.layers.Dense(4, activation="tanh")], loss="cosine_similarity")
    explain, losses = run(model, X, y, epochs=20)
    assert losses[0] < 0.5
    assert (len(losses), explain.text_) == (20, "")


def test_validation_at_every_second_epoch_is_no_trouble(keras):
    X, y = table()
    model = dense(keras, 3, front=[keras.layers.Dense(4, activation="tanh")], optimizer=keras.optimizers.SGD(1e3))
    explain, _ = run(model, X, y, epochs=8, validation_data=(X, y), validation_freq=2)
    assert explain.trouble_ in ("rises", "nan")


def test_a_train_step_that_tells_no_loss_is_left_alone(keras):
    explain = ExplainLoss(verbose=0)
    explain.set_params({"epochs": 3})
    explain.set_model(dense(keras))
    explain.on_train_begin()
    explain.on_epoch_end(0, {"d_loss": 1.0})
    assert explain.text_ == ""


def test_a_dataset_of_a_model_that_is_not_linear_is_not_read(keras):
    import tensorflow as tf

    read = []

    def batches():
        read.append(1)
        yield np.full((4, 3), np.inf, np.float32), np.ones(4, np.float32)

    shapes = tf.TensorSpec((None, 3), tf.float32), tf.TensorSpec((None,), tf.float32)
    rows = tf.data.Dataset.from_generator(batches, output_signature=shapes)
    rows = rows.apply(tf.data.experimental.assert_cardinality(1))
    model = dense(keras, 3, front=[keras.layers.Dense(4)])
    explain, losses = run(model, rows, shuffle=False, epochs=2)
    assert explain.trouble_ == "nan"
    assert len(read) <= len(losses) + 1  # Keras itself looks at the first batch once
    assert "not read again for a model that is not linear" in explain.text_


def test_a_loss_that_goes_on_rising_is_looked_at_again(keras):
    explain = ExplainLoss(verbose=0, stop=False)
    explain.set_params({"epochs": 100})
    explain.set_model(dense(keras, 3, front=[keras.layers.Dense(4, activation="tanh")]))
    explain.on_train_begin()
    falling = [100 * 0.5**k for k in range(10)]
    for epoch, loss in enumerate([*falling, *(falling[-1] * 1.2**k for k in range(1, 40))]):
        explain.on_epoch_end(epoch, {"loss": loss})
    assert explain.trouble_ == "rises"


def test_batches_of_an_epoch_are_those_that_fit_is_told(keras):
    import tensorflow as tf

    X, y = table()
    rows = tf.data.Dataset.from_tensor_slices((X.astype(np.float32), y.astype(np.float32))).batch(20).repeat()
    model = dense(keras, 3, optimizer=keras.optimizers.SGD(10.0))
    explain, _ = run(model, rows, shuffle=False, steps_per_epoch=10)
    assert len(explain.diagnosis_.case.y) == 200
    told = ExplainLoss(X, y, verbose=0)
    explain, _ = run(model, rows, shuffle=False, steps_per_epoch=10, explain=told)
    assert explain.diagnosis_.case.model.batch_size == 20


@pytest.mark.parametrize("name", ["patience", "stalled", "sample"])
def test_a_count_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match=f"ExplainLoss: {name} must be a whole number, at least 1, got 0"):
        ExplainLoss(**{name: 0})


def test_the_class_does_what_keras_asks_of_a_callback(keras):
    asked = [name for name in dir(keras.callbacks.Callback) if name.startswith(("on_", "set_"))]
    assert not [name for name in asked if not callable(getattr(ExplainLoss, name, None))]
