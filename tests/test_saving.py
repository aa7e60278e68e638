"""Models in files: what is loaded predicts the same bits and goes on to the same bits, with what was around it."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import any_schedule, log_uniform, losses, optimizers
from test_checkpoints import bits, data

import linreg
from linreg import L1L2, SGD, Adam, KerasSeed, LinearRegression, cli, diagnose
from linreg.archives import read_archive
from linreg.callbacks import EarlyStopping
from linreg.diagnosis.estimators import apply
from linreg.own_rules import optimizer_from
from linreg.pipelines import PreparedModel, prepared
from linreg.saving.models import KIND

DATA = Path(__file__).parent / "data"


@st.composite
def fitted_models(draw):
    rate = st.one_of(log_uniform(1e-4, 0.1), any_schedule(cycles=False))
    model = LinearRegression(
        draw(optimizers(learning_rate=rate)),
        draw(losses()),
        epochs=draw(st.integers(1, 3)),
        batch_size=draw(st.integers(1, 40)),
        shuffle=draw(st.booleans()),
        random_state=draw(st.sampled_from([0, KerasSeed(3), np.random.default_rng(1)])),
        kernel_initializer=draw(st.sampled_from(["zeros", np.array([0.1, -2.0, 3e-300])])),
        bias_initializer=draw(st.sampled_from(["zeros", 0.1])),
        fit_intercept=draw(st.booleans()),
        kernel_regularizer=draw(st.sampled_from([None, "l2", L1L2(0.1, 0.2)])),
        dtype=draw(st.sampled_from(["float32", "float64", "keras_float64", np.float64])),
        warm_start=True,
    )
    return model.fit(*data(40))


@settings(max_examples=30)
@given(fitted_models())
def test_a_loaded_model_has_all_bits_of_the_saved_one_and_goes_on_to_the_same(tmp_path_factory, model):
    path = tmp_path_factory.mktemp("saved") / "model.npz"
    assert model.save(path) == path
    loaded = LinearRegression.load(path)
    X, y = data(40)
    assert loaded.predict(X).tobytes() == model.predict(X).tobytes()
    assert loaded.n_iter_ == model.n_iter_
    shown = [{**one.get_params(deep=False), "random_state": None, "dtype": np.dtype(one.coef_.dtype)}
             for one in (model, loaded)]  # fmt: skip
    assert repr(shown[0]) == repr(shown[1])
    assert bits(loaded.fit(X, y)) == bits(model.fit(X, y))


def test_the_same_model_is_the_same_file(tmp_path):
    model = LinearRegression(Adam(0.1), epochs=3, random_state=0).fit(*data())
    contents = {model.save(tmp_path / name).read_bytes() for name in ("a.npz", "b.npz", "a.npz")}
    contents.add(LinearRegression.load(tmp_path / "a.npz").save(tmp_path / "c.npz").read_bytes())
    assert len(contents) == 1


def test_a_model_that_diverged_is_saved_as_it_is(tmp_path):
    model = LinearRegression(SGD(1e9), epochs=20, random_state=0).fit(*data())
    loaded = LinearRegression.load(model.save(tmp_path / "model.npz"))
    assert np.isnan(loaded.coef_).all()
    assert np.isnan(loaded.intercept_)
    np.testing.assert_array_equal(loaded.history_["loss"], model.history_["loss"])


def test_names_of_columns_are_kept_and_held(tmp_path):
    polars = pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")
    X, y = data()
    frame = polars.DataFrame(X, schema=["a", "b\n\x1b[2J", "c"])
    loaded = LinearRegression.load(LinearRegression(epochs=2).fit(frame, y).save(tmp_path / "model.npz"))
    assert list(loaded.feature_names_in_) == frame.columns
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.predict(frame.rename({"a": "z"}))


def test_settings_that_have_changed_since_the_fit_are_saved_as_they_are(tmp_path):
    X, y = data()
    model = LinearRegression(SGD(0.1), epochs=3, random_state=0, warm_start=True).fit(X, y)
    model.set_params(fit_intercept=False, optimizer__learning_rate=0.01, dtype="float64")
    loaded = LinearRegression.load(model.save(tmp_path / "model.npz"))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    again = [one.set_params(fit_intercept=True, dtype="float32").fit(X, y) for one in (model, loaded)]
    assert bits(again[0]) == bits(again[1])
    assert again[1].history_["learning_rate"][-1] == pytest.approx(0.01)


def test_what_belongs_to_a_call_is_left_out(tmp_path):
    path = tmp_path / "run.npz"
    model = LinearRegression(epochs=1, verbose=1, callbacks=[EarlyStopping("loss")], checkpoint=path).fit(*data())
    loaded = LinearRegression.load(model.save(tmp_path / "model.npz"))
    assert (loaded.callbacks, loaded.verbose, loaded.checkpoint) == ((), 0, None)


def test_what_no_file_can_hold_is_refused_by_its_name(tmp_path):
    X, y = data()
    own = optimizer_from("Own", lambda p, g, lr: (p - g * lr,), learning_rate=0.01)
    for settings_, words in (
        ({"optimizer": SGD(lambda step: 0.1)}, "optimizer: .*function.* cannot be saved: a file holds no code"),
        ({"optimizer": own()}, "Own of your own, which a file cannot name: register it in linreg.optimizers"),
        ({"random_state": np.random.RandomState(0)}, "random_state: .*cannot be saved"),
    ):
        model = LinearRegression(epochs=1, **settings_).fit(X, y)
        with pytest.raises(TypeError, match=words):
            model.save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match="not fitted yet"):
        LinearRegression().save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match=r"a name that ends in \.npz"):
        LinearRegression(epochs=1).fit(X, y).save(tmp_path / "model.pkl")
    assert not list(tmp_path.iterdir())


def test_an_optimizer_of_ones_own_is_found_where_it_is_registered(tmp_path, monkeypatch):
    own = optimizer_from("Own", lambda p, g, lr: (p - g * lr,), learning_rate=0.01)
    with monkeypatch.context() as patch:
        patch.setitem(linreg.optimizers.OPTIMIZERS, "own", own)
        path = LinearRegression("own", epochs=1).fit(*data()).save(tmp_path / "model.npz")
        assert isinstance(LinearRegression.load(path).settings().optimizer, own)
        LinearRegression(own(0.5), epochs=1).fit(*data()).save(path)
        assert LinearRegression.load(path).optimizer == own(0.5)
    with pytest.raises(ValueError, match="speaks of 'Own', which this linreg does not know"):
        LinearRegression.load(path)


# The promise: what a released version has written, every later one loads.


@pytest.mark.parametrize("number", [1, 2])
def test_a_file_of_every_format_is_loaded_by_this_version(tmp_path, number):
    loaded = linreg.load(DATA / f"model-format-{number}.npz")
    known = json.loads((DATA / f"model-format-{number}.json").read_text(encoding="utf-8"))
    assert isinstance(loaded, PreparedModel)
    assert repr(loaded.model) == known["model"]
    assert list(loaded.feature_names_in_) == known["names"]
    for name, values in known["numbers"].items():
        found = {"coef": loaded.model.coef_, "loss": loaded.model.history_["loss"], "slots": loaded.model.state_.slots,
                 }[name]  # fmt: skip
        np.testing.assert_array_equal(np.asarray(found, float), values)
    if number == 1:
        # Three products added up in float32, fused or not as the processor has it, on the way to numbers of up to 4.
        predicted, bound = loaded.predict(known["X"]), 6 * 2.0**-24 * 4
    else:
        # Eleven products in float64, the largest below 8: the coefficients are below 1, the features standardised.
        pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")
        (tmp_path / "new.csv").write_text("\n".join(known["table"]) + "\n", encoding="utf-8")
        predicted, bound = loaded.predict(tmp_path / "new.csv"), 22 * 2.0**-53 * 8 * 11
    np.testing.assert_allclose(predicted, known["predicted"], rtol=0, atol=bound)
    assert loaded.model.state_.iterations == known["iterations"]


def test_a_file_of_a_later_format_says_that_linreg_is_too_old(tmp_path):
    from linreg.archives import write_archive

    found = read_archive(LinearRegression(epochs=1).fit(*data()).save(tmp_path / "model.npz"), KIND)
    write_archive(tmp_path / "model.npz", {**found.document, "format": 3}, found.arrays)
    with pytest.raises(ValueError, match="in format 3 of a later linreg, and this one reads up to 2: upgrade linreg"):
        linreg.load(tmp_path / "model.npz")


# What is around a model.


def pipelines():
    pytest.importorskip("sklearn", reason="pipelines are scikit-learn's: pip install 'linreg[data]'")
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
    from sklearn.decomposition import PCA
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

    def model():
        return LinearRegression(SGD(0.05), epochs=30, random_state=0, dtype="float64")

    keep = ColumnTransformer([("kept", "passthrough", [0, 2])])
    return {
        "standard": make_pipeline(StandardScaler(), model()),
        "centre only": make_pipeline(StandardScaler(with_std=False), model()),
        "minmax": make_pipeline(MinMaxScaler((-1, 1)), model()),
        "robust": make_pipeline(RobustScaler(), model()),
        "imputed": make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), model()),
        "whitened": make_pipeline(PCA(whiten=True), model()),
        "selected": make_pipeline(keep, StandardScaler(), model()),
        "scaled target": TransformedTargetRegressor(
            regressor=make_pipeline(StandardScaler(), model()), transformer=StandardScaler()
        ),
    }


@pytest.mark.parametrize(
    "name", ["standard", "centre only", "minmax", "robust", "imputed", "whitened", "selected", "scaled target"]
)
def test_a_pipeline_in_a_file_predicts_as_the_pipeline(tmp_path, name):
    pipeline = pipelines()[name]
    X, y = data()
    X = X * [1, 1e3, 1e-3] + [0, 1e4, 5]
    if name == "imputed":
        X[::7, 1] = np.nan
    pipeline.fit(X, y)
    loaded = linreg.load(linreg.save(pipeline, tmp_path / "model.npz"))
    # One column enters a prediction by up to ten roundings of numbers as large as the values that it is made of.
    size = np.abs(y).max() + np.abs(pipeline.predict(X)).max()
    np.testing.assert_allclose(loaded.predict(X), pipeline.predict(X), rtol=0, atol=30 * 2.0**-53 * 1e4 * size)
    if name not in ("whitened", "scaled target"):  # the same operations in the same order
        np.testing.assert_array_equal(loaded.predict(X), pipeline.predict(X))


def test_a_remedy_that_was_applied_is_saved_with_its_preparation(tmp_path):
    pytest.importorskip("sklearn", reason="remedies are scikit-learn's transformers: pip install 'linreg[data]'")
    X, y = data()
    X = X * [1, 50, 3] + [0, 100, 0]
    found = diagnose(X, y, epochs=30, random_state=0)
    cured = apply(found)
    loaded = linreg.load(linreg.save(cured, tmp_path / "model.npz"))
    np.testing.assert_array_equal(loaded.predict(X), cured.predict(X))
    with pytest.raises(ValueError, match=r"comes with the preparation of its features: read it by linreg\.load"):
        LinearRegression.load(tmp_path / "model.npz")


def test_a_column_without_any_value_is_left_out_as_the_imputer_leaves_it_out(tmp_path):
    pytest.importorskip("sklearn", reason="imputing is scikit-learn's work: pip install 'linreg[data]'")
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    X, y = data()
    X[:, 1] = np.nan
    with pytest.warns(UserWarning, match="without any observed values"):
        pipeline = make_pipeline(SimpleImputer(), LinearRegression(epochs=2, random_state=0)).fit(X, y)
    with pytest.warns(UserWarning, match="without any observed values"):
        known = pipeline.predict(X)
    loaded = linreg.load(linreg.save(pipeline, tmp_path / "model.npz"))
    np.testing.assert_array_equal(loaded.predict(X), known)


def test_a_transformer_that_is_not_known_is_refused_by_its_name(tmp_path):
    pytest.importorskip("sklearn", reason="pipelines are scikit-learn's: pip install 'linreg[data]'")
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler

    X, y = data()
    for unknown in (PolynomialFeatures(2), MinMaxScaler(clip=True)):
        pipeline = make_pipeline(unknown, LinearRegression(epochs=1)).fit(X, y)
        with pytest.raises(TypeError, match=f"{type(unknown).__name__}.* cannot be saved: known are StandardScaler"):
            linreg.save(pipeline, tmp_path / "model.npz")
    with pytest.raises(TypeError, match="the last step must be a LinearRegression, got a Ridge"):
        prepared(make_pipeline(StandardScaler(), Ridge()).fit(X, y))


# On the command line.


TABLE = "a,b,y\n1,2000,3\n2,1000,4\n3,3000,8\n4,5000,9\n5,1000,7\n"


def call(capsys, *arguments):
    code = cli.run(list(map(str, arguments)))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def table(tmp_path):
    pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    return path


@pytest.mark.parametrize("scale", ["none", "standard"])
def test_fit_saves_a_model_by_which_predict_finds_the_columns_by_their_names(capsys, tmp_path, table, scale):
    rate = "0.1" if scale == "standard" else "1e-8"
    model = tmp_path / "model.npz"
    code, out, _ = call(
        capsys, "fit", table, "--target", "y", "--scale", scale, "--learning-rate", rate, "--save", model, "--dtype",
        "float64", "--batch-size", 5,
    )  # fmt: skip
    assert code == 0
    assert f"To predict: linreg predict {model} {table}" in out
    code, out, _ = call(capsys, "fit", table, "--target", "y", "--scale", scale, "--learning-rate", rate, "--json",
                        "--dtype", "float64", "--batch-size", 5)  # fmt: skip
    told = json.loads(out)
    rows = np.array([[float(cell) for cell in line.split(",")] for line in TABLE.splitlines()[1:]])
    known = rows[:, :2] @ list(told["coefficients"].values()) + told["intercept"]
    other = tmp_path / "other.csv"
    lines = [line.split(",") for line in TABLE.splitlines()]
    other.write_text("\n".join(f"{b},{i if i else 'more'},{a}" for i, (a, b, _) in enumerate(lines)) + "\n")
    code, out, err = call(capsys, "predict", model, other)
    assert (code, err, out.splitlines()[0]) == (0, "", "prediction")
    predicted = list(map(float, out.splitlines()[1:]))
    np.testing.assert_allclose(predicted, known, rtol=1e-12)
    assert json.loads(call(capsys, "predict", model, other, "--json")[1]) == {"predictions": predicted}
    written = tmp_path / "predicted.csv"
    assert call(capsys, "predict", model, other, "--out", written) == (0, "", "")
    assert list(map(float, written.read_text().split()[1:])) == predicted


def test_predict_says_in_one_line_what_is_missing(capsys, tmp_path, table):
    model = tmp_path / "model.npz"
    call(capsys, "fit", table, "--target", "y", "--save", model)
    other = tmp_path / "other.csv"
    other.write_text("a,bb\n1,2\n")
    for arguments, words in (
        (
            (model, other),
            f"'{other}' has no column 'b', which the table of the training had; did you mean 'bb'? Known: a, bb. Add",
        ),
        ((table, other), "is refused: it is no linreg model, or its end is missing."),
        ((tmp_path / "absent.npz", other), "There is no file"),
        ((model, table, "--out", tmp_path / "x.txt"), "Predictions are written as .csv or .parquet, got 'x.txt'"),
    ):
        code, out, err = call(capsys, "predict", *arguments)
        assert (code, out, err.count("\n")) == (cli.FAILED, "", 1)
        assert words in err


def test_a_run_on_the_command_line_goes_on_from_its_checkpoint(capsys, tmp_path, table):
    run = tmp_path / "run.npz"
    arguments = ["fit", table, "--target", "y", "--scale", "standard", "--checkpoint", run, "--every", "3"]
    code, _, err = call(capsys, *arguments, "--epochs", "7")
    assert err == ""
    code, _, err = call(capsys, *arguments, "--epochs", "9")
    assert err == f"'{run}': goes on after 7 of 9 epochs.\n"
    told = json.loads(call(capsys, *arguments, "--epochs", "9", "--json")[1])
    straight = json.loads(call(capsys, *arguments[:6], "--epochs", "9", "--json")[1])
    assert told.pop("resumed") == 9
    assert {**told, "why": 0} == {**straight, "why": 0}
    code, _, err = call(capsys, *arguments, "--epochs", "9", "--learning-rate", "0.5")
    assert (code, err.count("\n")) == (cli.FAILED, 1)
    assert "is the checkpoint of another run: optimizer__learning_rate was 0.01 and is 0.5 now" in err


def test_every_file_is_readable_by_its_folder_as_other_files_are(tmp_path):
    if os.name != "posix":
        pytest.skip("Windows has no umask")
    before = os.umask(0o027)
    try:
        path = LinearRegression(epochs=1).fit(*data()).save(tmp_path / "model.npz")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640
