"""Saved Keras models: `linreg why --model`, and files that are none."""

import json
import zipfile

import numpy as np
import pytest

from linreg import L2, SGD, Adam, Huber, LinearRegression, RMSprop, cli, schedules
from linreg.drift import FollowedRun
from linreg.keras import dense, files, from_file, to_file, train, weights
from linreg.keras import state as keras_state
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


@pytest.mark.parametrize(
    ("optimizer", "loss"),
    [
        ("sgd", "mse"),
        (SGD(0.01, momentum=0.9, nesterov=True, weight_decay=0.01), "huber"),
        (RMSprop(0.01, centered=True, momentum=0.5), "mse"),
        (Adam(0.01, amsgrad=True, gradient_accumulation_steps=2), "mse"),
        (Adam(schedules.ExponentialDecay(0.1, 5, 0.9), clipvalue=2.0), "huber"),
    ],
)
def test_a_run_begun_in_keras_continued_here_and_finished_in_keras_is_the_run_of_keras(
    keras, tmp_path, optimizer, loss
):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(40, 3)).astype(np.float32)
    y = (X @ [1, -2, 0.5] + 0.3).astype(np.float32)
    settings = {"batch_size": 16, "shuffle": False}
    model = LinearRegression(optimizer, loss, kernel_regularizer=L2(0.01), **settings)
    alone, begun = (dense(model, 3, [0.5, 0.1, -1.0], 0.2) for _ in range(2))
    train(begun, X, y, epochs=3, batch_size=16)
    begun.save(tmp_path / "begun.keras")
    ours = from_file(tmp_path / "begun.keras", epochs=4, **settings)
    followed = FollowedRun(ours, (X, y, None), state=ours.state_)
    ours.fit(X, y)
    assert to_file(ours, tmp_path / "continued.keras") == tmp_path / "continued.keras"
    finished = read_model(tmp_path / "continued.keras")
    train(finished, X, y, epochs=3, batch_size=16)
    train(alone, X, y, epochs=10, batch_size=16)
    for _ in range(7):  # what differs is four epochs here, and what three more make of that
        followed.epoch(ours.state_.learning_rate)
    assert not followed.doubts
    assert (np.abs(weights(finished).astype(float) - weights(alone).astype(float)) <= followed.fitted()).all()
    for letter, bound in zip(ours.state_.letters, followed.slots(), strict=True):
        theirs = [keras_state.slot(one.optimizer, letter).astype(float) for one in (finished, alone)]
        assert (np.abs(theirs[0] - theirs[1]) <= bound).all(), letter
    assert int(finished.optimizer._iterations) == int(alone.optimizer._iterations) == 30
    assert sorted(file.name for file in tmp_path.iterdir()) == ["begun.keras", "continued.keras"]


def test_an_average_goes_to_a_file_and_back(keras, tmp_path):
    X = np.arange(12, dtype=np.float32).reshape(6, 2) / 10
    ours = LinearRegression(Adam(0.1, use_ema=True), epochs=3, batch_size=4, shuffle=False, random_state=0).fit(
        X, X[:, 0]
    )
    again = from_file(to_file(ours, tmp_path / "model.keras"))
    for mine, other in ((ours.state_, again.state_),):
        np.testing.assert_array_equal(mine.parameters, other.parameters)
        np.testing.assert_array_equal(mine.average, other.average)
        np.testing.assert_array_equal(mine.slots, other.slots)
        assert mine.iterations == other.iterations


def test_what_keras_would_forget_is_not_written(keras, tmp_path):
    model = LinearRegression("sgd", Huber(0.5), epochs=1).fit([[1.0], [2.0]], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"Keras leaves delta=0\.5 of Huber out of every file.*model\.save"):
        to_file(model, tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"names end in \.keras"):
        to_file(model, tmp_path / "model.h5")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"config.json": b" " * 2**21}, "bytes unpacked, and at most"),
        ({"config.json": b"{}", "../../evil": b""}, "it has members that a model has not"),
    ],
)
def test_a_bomb_and_a_path_in_a_keras_file_are_refused_before_they_are_unpacked(
    keras, tmp_path, monkeypatch, members, words
):
    monkeypatch.setattr(files, "LARGEST", 2**20)
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    with pytest.raises(ValueError, match=words):
        read_model(path)
