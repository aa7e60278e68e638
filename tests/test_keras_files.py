"""Saved Keras models: `linreg why --model`, and files that are none."""

import json

import numpy as np
import pytest

from linreg import cli
from linreg.keras.files import read_model


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2)) * [1, 3000]
    rows = np.column_stack([X, X @ [2, 0.001] + 1])
    path = tmp_path / "table.csv"
    np.savetxt(path, rows, delimiter=",", header="age,income,y", comments="")
    return str(path)


def saved(keras, path, rate=0.01, *front):
    model = keras.Sequential([keras.Input((2,)), *front, keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(rate), loss="mse")
    model.save(path)
    return str(path)


def why(capsys, *arguments):
    code = cli.run(["why", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_saved_model_is_asked_why_on_a_table(keras, capsys, tmp_path, table):
    model = saved(keras, tmp_path / "model.keras")
    code, out, err = why(capsys, "--model", model, "--data", table, "--target", "y", "--json", "--epochs", "20")
    assert (code, err) == (1, "")
    found = json.loads(out)
    assert (found["verdict"], found["findings"][0]["cause"]) == ("diverges", "feature_scale")
    assert "income" in json.dumps(found["findings"][0]["evidence"])


def test_features_of_a_saved_model_are_those_behind_its_normalization(keras, capsys, tmp_path, table):
    layer = keras.layers.Normalization(mean=[0.0, 0.0], variance=[1.0, 9e6])
    model = saved(keras, tmp_path / "model.keras", 0.05, layer)
    code, out, err = why(capsys, table, "--model", model, "--target", "y", "--epochs", "100")
    assert (code, err) == (0, "")
    assert "Nothing is wrong with the training." in out


def test_an_option_that_the_model_tells_is_refused(keras, capsys, tmp_path, table):
    model = saved(keras, tmp_path / "model.keras")
    code, _, err = why(capsys, table, "--model", model, "--target", "y", "--learning-rate", "0.1")
    assert code == 2
    assert "--learning-rate and --model say the same: the model brings its own. Leave --learning-rate out." in err


def test_one_file_is_enough(capsys, table):
    code, _, err = why(capsys, table, "--data", table, "--target", "y")
    assert code == 2
    assert "Give one file" in err


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.keras", None, "there is no such file"),
        ("model.pkl", b"cos\nsystem\n(S'true'\ntR.", "its name does not end in .keras"),
        ("text.keras", b"no zip", "cannot be read as a Keras model"),
    ],
)
def test_what_is_no_keras_model_is_refused_in_one_line(keras, tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words) as raised:
        read_model(tmp_path / name)
    assert "\n" not in str(raised.value)


def test_code_in_a_file_is_not_run(keras, tmp_path):
    path = saved(keras, tmp_path / "model.keras", 0.01, keras.layers.Lambda(lambda x: x + 1))
    with pytest.raises(ValueError, match="cannot be read as a Keras model"):
        read_model(path)
