"""`LinearRegression` behaves in scikit-learn as scikit-learn's own estimators do, and works without scikit-learn."""

import pickle
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import linreg
from linreg import L1L2, L2, SGD, Adam, Huber, LinearRegression, MeanSquaredError, RMSprop
from linreg.callbacks import EarlyStopping
from linreg.schedules import ExponentialDecay

COLUMN_TARGET = {
    "check_supervised_y_2d": "a target of shape (n, 1) is what Keras' Dense(1) is trained on, so it is taken without "
    "the warning that scikit-learn gives"
}
MINIBATCHES = {
    "check_sample_weight_equivalence_on_dense_data": "a repeated row fills another place of a batch, a weighted row "
    "does not, and the default reduction divides by rows, as Keras does: weights are no repetitions"
}
# Where an epoch is one batch and the reduction divides by the weights, weights are repetitions.
FULL_BATCH = LinearRegression(
    loss=MeanSquaredError(reduction="mean_with_sample_weight"), batch_size=10**6, dtype="float64", random_state=0
)
EXPECTED_TO_FAIL = {
    LinearRegression(random_state=0): COLUMN_TARGET | MINIBATCHES,
    LinearRegression(optimizer="adam", random_state=0): COLUMN_TARGET | MINIBATCHES,
    LinearRegression(optimizer=RMSprop(centered=True), kernel_regularizer="l2", random_state=0): COLUMN_TARGET
    | MINIBATCHES,
    LinearRegression(loss="huber", random_state=0): COLUMN_TARGET | MINIBATCHES,
    LinearRegression(dtype="float64", fit_intercept=False, random_state=0): COLUMN_TARGET | MINIBATCHES,
    FULL_BATCH: COLUMN_TARGET,
}


@pytest.mark.parametrize(("estimator", "expected"), list(EXPECTED_TO_FAIL.items()), ids=map(repr, EXPECTED_TO_FAIL))
def test_every_check_of_scikit_learn_passes_but_those_that_are_expected_to_fail(estimator, expected):
    with warnings.catch_warnings():
        # It is no BaseEstimator, because linreg needs no scikit-learn.
        warnings.filterwarnings("ignore", "Estimator LinearRegression does not inherit", UserWarning)
        results = check_estimator(estimator, expected_failed_checks=expected, on_skip=None, on_fail=None)
    failed = {result["check_name"]: result["exception"] for result in results if result["status"] == "failed"}
    assert failed == {}
    assert {result["check_name"] for result in results if result["status"] == "xfail"} == set(expected)
    assert len([result for result in results if result["status"] == "passed"]) > 50


# Data whose best coefficients are known: y = 2 a - b + 3, with b measured in other units.

X = np.random.default_rng(0).normal(size=(60, 2))
Y = X @ [2.0, -1.0] + 3.0
TRUTH = [2.0, -1.0]
IN_OTHER_UNITS = X * [1.0, 1000.0] + [0.0, 5000.0]


def test_it_is_a_regressor():
    assert is_regressor(LinearRegression())


def test_an_unfitted_model_raises_the_error_of_scikit_learn():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        LinearRegression().predict(X)


def test_a_clone_has_the_parameters_and_nothing_of_the_fit():
    model = LinearRegression(SGD(0.1, momentum=0.9), Huber(2.0), epochs=3, callbacks=[EarlyStopping("loss")])
    copy = clone(model.fit(X, Y))
    assert not hasattr(copy, "coef_")
    assert {**copy.get_params(), "callbacks": None} == {**model.get_params(), "callbacks": None}
    assert copy.callbacks is not model.callbacks


def test_a_clone_of_a_seeded_model_trains_to_the_same_bits():
    model = LinearRegression(epochs=3, random_state=5).fit(X, Y)
    np.testing.assert_array_equal(clone(model).fit(X, Y).coef_, model.coef_)


@pytest.mark.parametrize("weight", [None, np.arange(60.0)])
def test_score_is_the_r2_of_scikit_learn(weight):
    model = LinearRegression(epochs=2, random_state=0).fit(X, Y)
    expected = r2_score(Y, model.predict(X), sample_weight=weight)
    # Both sum 60 terms in float64, in orders of their own.
    assert model.score(X, Y, weight) == pytest.approx(expected, rel=60 * 2.0**-52, abs=60 * 2.0**-52)


def test_a_pipeline_with_a_scaler_learns_what_raw_units_make_diverge():
    raw = LinearRegression(epochs=200, random_state=0, dtype="float64")
    scaled = make_pipeline(StandardScaler(), clone(raw)).fit(IN_OTHER_UNITS, Y)
    assert not np.isfinite(raw.fit(IN_OTHER_UNITS, Y).coef_).all()
    assert scaled.score(IN_OTHER_UNITS, Y) > 0.9999
    np.testing.assert_allclose(scaled[-1].coef_ / scaled[0].scale_ * [1, 1000], TRUTH, rtol=0.01)


@pytest.mark.parametrize("optimizer", ["sgd", "SGD", SGD(0.5, momentum=0.5)], ids=repr)
@pytest.mark.parametrize("loss", ["huber", Huber(5.0)], ids=repr)
def test_a_grid_search_reaches_into_optimizer_and_loss(optimizer, loss):
    grid = {"optimizer__learning_rate": [1e-6, 0.05], "loss__delta": [1e-3, 1.0]}
    search = GridSearchCV(LinearRegression(optimizer, loss, random_state=0), grid, cv=3).fit(X, Y)
    assert search.best_params_ == {"optimizer__learning_rate": 0.05, "loss__delta": 1.0}
    assert search.best_estimator_.optimizer.learning_rate == 0.05
    assert search.best_estimator_.optimizer.momentum == getattr(optimizer, "momentum", 0.0)
    assert search.best_estimator_.loss == Huber(1.0)
    assert len({tuple(scores) for scores in np.transpose([search.cv_results_["mean_test_score"]])}) == 4


def test_a_grid_search_reaches_the_optimizer_through_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), LinearRegression(random_state=0))
    grid = {"linearregression__optimizer__learning_rate": [1e-6, 0.05], "linearregression__epochs": [50]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(IN_OTHER_UNITS, Y)
    assert search.best_params_ == {"linearregression__optimizer__learning_rate": 0.05, "linearregression__epochs": 50}
    assert search.best_score_ > 0.999


def test_a_grid_search_over_whole_optimizers_and_losses_works():
    grid = {"optimizer": ["sgd", Adam(1e-6)], "loss": ["mse", Huber(0.001)]}
    search = GridSearchCV(LinearRegression(random_state=0), grid, cv=3).fit(X, Y)
    assert search.best_params_ == {"optimizer": "sgd", "loss": "mse"}


def test_a_search_leaves_the_optimizer_it_was_given_alone():
    optimizer = SGD(0.5)
    GridSearchCV(LinearRegression(optimizer), {"optimizer__learning_rate": [0.1, 0.2]}, cv=3).fit(X, Y)
    assert optimizer == SGD(0.5)


def test_cross_validation_scores_every_fold_near_one():
    scores = cross_val_score(LinearRegression(epochs=300, random_state=0), X, Y, cv=5)
    assert scores.shape == (5,)
    assert scores.min() > 0.999


def test_weights_reach_the_model_through_a_search():
    weight = np.where(np.arange(60) % 2, 1.0, 0.0)
    grid = {"epochs": [3]}
    searched = GridSearchCV(LinearRegression(random_state=0), grid, cv=3).fit(X, Y, sample_weight=weight)
    alone = LinearRegression(epochs=3, random_state=0).fit(X, Y, sample_weight=weight)
    np.testing.assert_array_equal(searched.best_estimator_.coef_, alone.coef_)
    assert (alone.coef_ != LinearRegression(epochs=3, random_state=0).fit(X, Y).coef_).all()


# Parameters, written down and read back.

SHARES = st.floats(0, 0.99)
RATES = st.floats(0, 10) | st.builds(
    ExponentialDecay, st.floats(0, 1), decay_steps=st.integers(1, 100), decay_rate=SHARES
)
OPTIMIZERS = (
    st.sampled_from(["sgd", "rmsprop", "Adam"])
    | st.builds(SGD, RATES, momentum=SHARES, nesterov=st.booleans(), clipnorm=st.none() | st.floats(0.1, 9))
    | st.builds(RMSprop, RATES, rho=SHARES, centered=st.booleans(), weight_decay=st.none() | SHARES)
    | st.builds(Adam, RATES, beta_1=SHARES, amsgrad=st.booleans(), use_ema=st.booleans())
)
LOSSES = (
    st.sampled_from(["mse", "huber"])
    | st.builds(MeanSquaredError, st.sampled_from(["sum", "sum_over_batch_size"]))
    | st.builds(Huber, st.floats(0.1, 10))
)
MODELS = st.builds(
    LinearRegression,
    OPTIMIZERS,
    LOSSES,
    epochs=st.integers(1, 9),
    batch_size=st.integers(1, 99),
    shuffle=st.booleans(),
    random_state=st.integers(0, 9),
    kernel_initializer=st.sampled_from(["zeros", "glorot_uniform"]),
    bias_initializer=st.just("zeros") | st.floats(-9, 9),
    fit_intercept=st.booleans(),
    kernel_regularizer=st.sampled_from([None, "l1", "l2", L2(0.5), L1L2(0.1, 0.2)]),
    dtype=st.sampled_from(["float32", "float64"]),
    warm_start=st.booleans(),
)


@given(MODELS, MODELS)
def test_parameters_survive_being_read_and_set(one, other):
    other.set_params(**one.get_params(deep=False))
    assert other.get_params() == one.get_params()


@given(MODELS)
def test_setting_what_is_there_changes_nothing(model):
    before = model.get_params()
    model.set_params(**before)
    # A name such as "sgd" has become the object that it stands for, so that its hyper-parameters can be read.
    named = {name for name in ("optimizer", "loss", "kernel_regularizer") if isinstance(before[name], str)}
    assert not any(isinstance(getattr(model, name), str) for name in named)
    assert {**model.get_params(), **{name: before[name] for name in named}} == before


@given(MODELS, SHARES)
def test_a_nested_parameter_changes_alone(model, rate):
    before = model.get_params()
    model.set_params(optimizer__learning_rate=rate)
    after = model.get_params()
    assert after.pop("optimizer__learning_rate") == rate
    assert after.pop("optimizer").get_params(deep=False)["learning_rate"] == rate
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == set()


@given(MODELS)
def test_the_repr_reads_back_as_the_model(model):
    names = {**vars(linreg), "ExponentialDecay": ExponentialDecay}
    assert eval(repr(model), names).get_params() == model.get_params()  # noqa: S307 (it is our own repr)


@given(MODELS)
def test_a_pickled_model_predicts_and_goes_on_to_the_same_bits(model):
    model.fit(X, Y)
    copy = pickle.loads(pickle.dumps(model))  # noqa: S301 (it is our own pickle)
    assert copy.get_params() == model.get_params()
    assert repr(copy.history_) == repr(model.history_)
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))
    for each in (model, copy):
        each.set_params(warm_start=True).fit(X, Y)
    np.testing.assert_array_equal(copy.coef_, model.coef_)
    assert len(copy.history_["loss"]) == 2 * model.epochs


def test_the_repr_shows_what_differs_from_the_defaults():
    assert repr(LinearRegression()) == "LinearRegression()"
    assert repr(LinearRegression(epochs=100)) == "LinearRegression()"
    model = LinearRegression(SGD(0.1), Huber(), epochs=5, kernel_regularizer=L2(0.5))
    assert repr(model) == (
        "LinearRegression(optimizer=SGD(learning_rate=0.1), loss=Huber(), epochs=5, kernel_regularizer=L2(l2=0.5))"
    )


def test_a_pipeline_shows_the_model():
    assert "LinearRegression(epochs=5)" in repr(make_pipeline(StandardScaler(), LinearRegression(epochs=5)))


# Without scikit-learn, in a process of its own.


def run(script):
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script)]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own script)


@pytest.mark.parametrize(
    "block",
    ["sys.modules['sklearn'] = None", "sys.meta_path.insert(0, Blocker())"],
    ids=["as_none", "as_not_installed"],
)
def test_a_model_trains_without_scikit_learn(block):
    done = run(f"""
        import sys
        import numpy as np

        class Blocker:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] == "sklearn":
                    raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn")

        {block}
        from linreg import LinearRegression

        X, y = np.arange(6.0).reshape(3, 2), [1.0, 2.0, 3.0]
        model = LinearRegression(epochs=5, random_state=0)
        try:
            model.predict(X)
        except ValueError as error:
            assert type(error) is ValueError
            print(error)
        model.fit(X, y).set_params(optimizer__learning_rate=0.1)
        assert model.predict(X).shape == (3,)
        assert model.score(X, y) <= 1
        assert model.evaluate(X, y) >= 0
        try:
            import sklearn
        except ImportError:
            print("blocked")
    """)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "This LinearRegression instance is not fitted yet. Call 'fit' with training data before using it.",
        "blocked",
    ]


def test_import_linreg_loads_nothing_outside_numpy_and_the_standard_library():
    done = run("""
        import sys
        import numpy
        before = set(sys.modules)
        import linreg
        new = {name.split(".")[0] for name in set(sys.modules) - before}
        print(*sorted(new - sys.stdlib_module_names))
    """)
    assert (done.stdout, done.stderr) == ("linreg\n", "")
