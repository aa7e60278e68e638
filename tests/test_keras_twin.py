"""Twins: a compiled Keras model as a `LinearRegression` and back, whatever it was compiled with."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import any_schedule, data, log_uniform, losses, optimizers
from test_keras_whole_runs import regularizers_for
from ulp import assert_equal_bits

from linreg import L2, SGD, Adam, Huber, LinearRegression, RMSprop, schedules
from linreg.drift import FollowedRun
from linreg.keras import dense, state, train, twin, weights

EXAMPLES = 300 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 10
"""Each builds and traces a Keras model twice, which takes a second or two."""
MORE = 10


@st.composite
def examples(draw):
    """A model of every kind, data, weights, and how many epochs Keras has trained before it gets a twin."""
    X, y, weight = draw(data(np.float32))
    rate = st.one_of(log_uniform(1e-4, 0.1), any_schedule(cycles=False))
    model = LinearRegression(
        draw(optimizers(learning_rate=rate)),
        draw(losses()),
        batch_size=draw(st.integers(-(-len(y) // 8), 40)),
        shuffle=False,
        fit_intercept=draw(st.booleans()),
        kernel_regularizer=draw(regularizers_for("float32")),
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    kernel, bias = rng.normal(size=X.shape[1]).astype(np.float32), np.float32(rng.normal())
    return model, (X, y, weight), kernel, bias if model.fit_intercept else 0, draw(st.integers(0, 3))


def state_of(theirs):
    """What a Keras model consists of: weights and optimizer variables."""
    return [np.asarray(variable) for variable in (*theirs.weights, *theirs.optimizer.variables)]


@settings(max_examples=EXAMPLES)
@given(examples())
def test_ten_more_epochs_in_keras_and_by_its_twin_stay_within_the_bound(keras, example):
    model, table, kernel, bias, epochs = example
    X, y, weight = table
    theirs = dense(model, X.shape[1], kernel, bias)
    if epochs:
        train(theirs, X, y, epochs=epochs, batch_size=model.batch_size, sample_weight=weight)
    ours = twin(theirs, epochs=MORE, batch_size=model.batch_size, shuffle=False)
    assert_equal_bits(ours.state_.parameters, weights(theirs), what="parameters of the twin")
    followed = FollowedRun(ours, table, state=ours.state_)
    history = train(theirs, X, y, epochs=MORE, batch_size=model.batch_size, sample_weight=weight)
    ours.fit(X, y, sample_weight=weight)
    for _ in range(MORE):
        followed.epoch(ours.state_.learning_rate)
    if followed.doubts:
        return  # a rounding could decide, or errors grow too large to follow
    fitted = np.append(ours.coef_, ours.intercept_)[: len(weights(theirs))]
    assert (np.abs(fitted - weights(theirs).astype(float)) <= followed.fitted()).all()
    assert (np.abs(np.subtract(ours.history_["loss"], history["loss"])) <= followed.losses).all()
    for letter, ours_slot, bound in zip(ours.state_.letters, ours.state_.slots, followed.slots(), strict=True):
        assert (np.abs(ours_slot - state.slot(theirs.optimizer, letter).astype(float)) <= bound).all(), letter


@settings(max_examples=EXAMPLES)
@given(examples())
def test_the_twin_of_the_twin_is_the_model_itself(keras, example):
    model, (X, y, weight), kernel, bias, epochs = example
    theirs = dense(model, X.shape[1], kernel, bias)
    train(theirs, X, y, epochs=max(1, epochs), batch_size=model.batch_size, sample_weight=weight)
    again = twin(twin(theirs))
    for ours, known in zip(state_of(again), state_of(theirs), strict=True):
        assert ours.dtype == known.dtype
        np.testing.assert_array_equal(ours, known)
    configs = [one.optimizer.get_config() for one in (again, theirs)]
    for config in configs:
        config.pop("name")
        if isinstance(config["learning_rate"], dict):
            config["learning_rate"]["config"].pop("name")
        # 0 and None both mean none.
        config["ema_overwrite_frequency"] = config["ema_overwrite_frequency"] or None
    assert configs[0] == configs[1]
    assert again.layers[0].get_config()["kernel_regularizer"] == theirs.layers[0].get_config()["kernel_regularizer"]


@pytest.mark.parametrize(
    ("optimizer", "loss"),
    [
        (SGD(0.01, momentum=0.9, nesterov=True), "mse"),
        (RMSprop(0.01, centered=True, momentum=0.5), Huber(0.5)),
        (Adam(0.01, amsgrad=True, gradient_accumulation_steps=2), "mse"),
        (Adam(schedules.ExponentialDecay(0.1, 5, 0.9), use_ema=True), "huber"),
    ],
)
def test_a_run_that_began_here_goes_on_in_keras_within_the_bound(keras, optimizer, loss):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(40, 3)).astype(np.float32)
    y = (X @ [1, -2, 0.5] + 0.3).astype(np.float32)
    ours = LinearRegression(
        optimizer, loss, epochs=5, batch_size=16, shuffle=False, kernel_regularizer=L2(0.01), warm_start=True
    ).fit(X, y)
    theirs = twin(ours)
    assert_equal_bits(ours.state_.parameters, weights(theirs), what="weights of the twin")
    followed = FollowedRun(ours, (X, y, None), state=ours.state_)
    history = train(theirs, X, y, epochs=MORE, batch_size=16)
    ours.set_params(epochs=MORE).fit(X, y)
    for _ in range(MORE):
        followed.epoch(ours.state_.learning_rate)
    assert not followed.doubts
    fitted = np.append(ours.coef_, ours.intercept_)
    assert (np.abs(fitted - weights(theirs).astype(float)) <= followed.fitted()).all()
    assert (np.abs(np.subtract(ours.history_["loss"][5:], history["loss"])) <= followed.losses).all()


def test_a_saved_and_loaded_model_has_the_same_twin(keras, tmp_path):
    theirs = dense(LinearRegression(Adam(0.1), Huber(1.0), kernel_regularizer="l2"), 2, [1.0, 2.0], 3.0)
    X = np.arange(12, dtype=np.float32).reshape(6, 2)
    train(theirs, X, X[:, 0], epochs=2, batch_size=4)
    theirs.save(tmp_path / "model.keras")
    ours, loaded = twin(theirs), twin(keras.models.load_model(tmp_path / "model.keras"))
    assert loaded.get_params(deep=False).keys() == ours.get_params(deep=False).keys()
    assert (repr(loaded.optimizer), repr(loaded.loss)) == (repr(ours.optimizer), repr(ours.loss))
    assert loaded.state_.iterations == ours.state_.iterations == 4
    for mine, other in zip([ours.state_.parameters, *ours.state_.slots],
                           [loaded.state_.parameters, *loaded.state_.slots], strict=True):  # fmt: skip
        np.testing.assert_array_equal(mine, other)


def test_keras_forgets_hubers_delta_when_a_model_is_saved(keras, tmp_path):
    theirs = dense(LinearRegression("sgd", Huber(0.5)), 1, [1.0], 0.0)
    assert twin(theirs).loss == Huber(0.5)
    theirs.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    error = np.array([[10.0]], np.float32)
    assert float(theirs.loss(0 * error, error)) == 0.5 * 10 - 0.5**2 / 2
    assert float(loaded.loss(0 * error, error)) == 10 - 1 / 2
    assert twin(loaded).loss == Huber(1.0)


def test_a_float64_model_has_a_twin_with_keras_roundings(keras_float64):
    theirs = dense(LinearRegression(SGD(0.1, momentum=0.9), dtype="keras_float64"), 2, [0.5, 0.25], 0.1)
    ours = twin(theirs, epochs=5, batch_size=4, shuffle=False)
    assert ours.dtype == "keras_float64"
    X = np.random.default_rng(0).normal(size=(12, 2))
    train(theirs, X, X[:, 0], epochs=5, batch_size=4)
    ours.fit(X, X[:, 0])
    np.testing.assert_allclose(np.append(ours.coef_, ours.intercept_), weights(theirs), rtol=1e-13, atol=0)
    assert weights(twin(ours)).dtype == np.float64


def test_what_fit_is_told_in_keras_is_given_to_the_twin(keras):
    theirs = dense(LinearRegression(), 1, [0.0], 0.0)
    ours = twin(theirs, epochs=7, batch_size=8, shuffle=False, random_state=3)
    assert (ours.epochs, ours.batch_size, ours.shuffle, ours.random_state) == (7, 8, False, 3)
    with pytest.raises(ValueError, match="epoch"):
        twin(theirs, epoch=7)
    with pytest.raises(TypeError, match="takes no settings, got epochs"):
        twin(LinearRegression(), epochs=3)


def model_of(keras, *layers, features=2, optimizer="sgd", loss="mse", **compiled):
    model = keras.Sequential([keras.Input((features,)), *layers])
    model.compile(optimizer=optimizer, loss=loss, **compiled)
    return model


REFUSED = {
    "Dense\\(3\\)": lambda k: model_of(k, k.layers.Dense(3)),
    "the activation 'relu'": lambda k: model_of(k, k.layers.Dense(1, activation="relu")),
    "the layer Dense .*only Normalization": lambda k: model_of(k, k.layers.Dense(4), k.layers.Dense(1)),
    "the layer Dropout": lambda k: model_of(k, k.layers.Dropout(0.5), k.layers.Dense(1)),
    "the layer Normalization.*scale X before": lambda k: model_of(
        k, k.layers.Normalization(mean=[0.0, 0.0], variance=[1.0, 1.0]), k.layers.Dense(1)
    ),
    "the optimizer Nadam.*SGD, RMSprop, Adam": lambda k: model_of(k, k.layers.Dense(1), optimizer="nadam"),
    "the optimizer AdamW": lambda k: model_of(k, k.layers.Dense(1), optimizer="adamw"),
    "the loss MeanAbsoluteError|the loss mean_absolute_error": lambda k: model_of(k, k.layers.Dense(1), loss="mae"),
    "reduction='none'|reduction=None": lambda k: model_of(
        k, k.layers.Dense(1), loss=k.losses.MeanSquaredError(reduction=None)
    ),
    "loss_weights": lambda k: model_of(k, k.layers.Dense(1), loss_weights=[2.0]),
    "bias_regularizer": lambda k: model_of(k, k.layers.Dense(1, bias_regularizer="l2")),
    "kernel_constraint": lambda k: model_of(k, k.layers.Dense(1, kernel_constraint="non_neg")),
    "activity_regularizer": lambda k: model_of(k, k.layers.Dense(1, activity_regularizer="l2")),
    "the regulariser OrthogonalRegularizer": lambda k: model_of(
        k, k.layers.Dense(1, kernel_regularizer=k.regularizers.OrthogonalRegularizer())
    ),
    "trainable=False": lambda k: model_of(k, k.layers.Dense(1, trainable=False)),
    "loss_scale_factor": lambda k: model_of(k, k.layers.Dense(1), optimizer=k.optimizers.SGD(loss_scale_factor=2.0)),
    "a learning rate that is a function": lambda k: model_of(
        k, k.layers.Dense(1), optimizer=k.optimizers.SGD(lambda: 0.1)
    ),
    "computing in float16": lambda k: model_of(k, k.layers.Dense(1, dtype="mixed_float16")),
    "the operation Sigmoid": lambda k: functional(k, lambda k, x, dense: k.ops.sigmoid(dense(x))),
    "the operation Square": lambda k: functional(k, lambda k, x, dense: dense(k.ops.square(x))),
    "the operation Multiply": lambda k: functional(k, lambda k, x, dense: dense(x) * 2.0),
    "a model class of its own .Own.": lambda k: of_its_own(k),
    "a constraint of kernel": lambda k: constrained(k),
    "a loss in float16": lambda k: model_of(k, k.layers.Dense(1), loss=k.losses.MeanSquaredError(dtype="float16")),
    "is not compiled": lambda k: k.Sequential([k.Input((2,)), k.layers.Dense(1)]),
    "no weights yet": lambda k: unbuilt(k),
}


def functional(keras, output):
    """A functional model of what is made of an input and a Dense(1)."""
    given = keras.Input((2,))
    model = keras.Model(given, output(keras, given, keras.layers.Dense(1)))
    model.compile(optimizer="sgd", loss="mse")
    return model


def of_its_own(keras):
    class Own(keras.Sequential):
        def train_step(self, data):
            return {"loss": 0.0}

    model = Own([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    return model


def constrained(keras):
    model = model_of(keras, keras.layers.Dense(1))
    model.layers[0].kernel.constraint = keras.constraints.NonNeg()
    return model


def unbuilt(keras):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    return model


@pytest.mark.parametrize("words", REFUSED)
def test_what_linreg_cannot_represent_is_refused_by_name(keras, words):
    with pytest.raises(ValueError, match=f"twin: .*({words})"):
        twin(REFUSED[words](keras))


def test_a_functional_model_has_a_twin(keras):
    ours = twin(functional(keras, lambda _, x, dense: dense(x)), epochs=3)
    assert (ours.n_features_in_, ours.epochs) == (2, 3)


def test_weight_decay_with_exceptions_is_refused_by_name(keras):
    model = model_of(keras, keras.layers.Dense(1), optimizer=keras.optimizers.SGD(weight_decay=0.1))
    model.optimizer.exclude_from_weight_decay(var_names=["bias"])
    with pytest.raises(ValueError, match="exclude_from_weight_decay"):
        twin(model)


def test_what_keras_cannot_represent_is_refused_by_name(keras):
    X, y = np.ones((4, 1)), np.ones(4)
    with pytest.raises(ValueError, match="dtype='float64', float64 all through"):
        twin(LinearRegression(dtype="float64", epochs=1).fit(X, y))
    with pytest.raises(ValueError, match='set_floatx\\("float64"\\)'):
        twin(LinearRegression(dtype="keras_float64", epochs=1).fit(X, y))
    with pytest.raises(ValueError, match="Keras cannot call learning_rate"):
        twin(LinearRegression(SGD(lambda step: 0.1), epochs=1).fit(X, y))
    with pytest.raises(ValueError, match="not fitted yet"):
        twin(LinearRegression())
    with pytest.raises(TypeError, match=r"keras.Model or a LinearRegression, got a list"):
        twin([1, 2])
