"""Saved Keras models: `linreg why --model`, and files that are none."""

import json
import zipfile

import numpy as np
import pytest

import linreg.keras
from linreg import L2, SGD, Adam, Huber, LinearRegression, RMSprop, cli, schedules
from linreg.drift import FollowedRun
from linreg.keras import contents, dense, files, from_file, to_file, train, weights
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
        ({"config.json": b"{}", "model.weights.h5": b" " * 2**16}, "its members are compressed"),
    ],
)
def test_a_bomb_and_a_path_in_a_keras_file_are_refused_before_they_are_unpacked(
    keras, tmp_path, monkeypatch, members, words
):
    monkeypatch.setattr(contents, "LARGEST", 2**20)
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    with pytest.raises(ValueError, match=words):
        read_model(path)


def layer(config, place=-1):
    return config["config"]["layers"][place]


def nested(times):
    value = []
    for _ in range(times):
        value = [value]
    return value


def functional(**node):
    """A functional model, in which a layer is another thing, and is called: that ran code before Keras 3.9."""
    inputs = {"module": "keras.layers", "class_name": "InputLayer", "name": "i", "registered_name": None,
              "config": {"batch_shape": [None, 2], "dtype": "float32", "name": "i"}, "inbound_nodes": []}  # fmt: skip
    called = {"name": "l", "inbound_nodes": [{"args": ["touch evil"], "kwargs": {}}], **node}
    return {
        "module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional",
        "config": {"name": "f", "layers": [inputs, called], "input_layers": [["i", 0, 0]],
                   "output_layers": [["l", 0, 0]]},
    }  # fmt: skip


CODE = {"class_name": "function", "config": "system", "registered_name": "function"}
LAMBDA = {"class_name": "__lambda__", "config": {"value": ["4wAAAA==", None, None]}}
CONFIGURATIONS = {
    "a function of a module": (lambda c: functional(module="os", **CODE), "it names 'function' of 'os'"),
    "a function of Keras": (
        lambda c: functional(**{**CODE, "module": "keras.utils", "config": "get_file"}), "'function' of 'keras.utils'",
    ),
    "a function that is built in": (
        lambda c: functional(module="builtins", **CODE), "the function 'system', and read are huber, mean_squared",
    ),
    "a class of the system": (
        lambda c: layer(c).update(module="subprocess", class_name="Popen"), "'Popen' of 'subprocess', which is not",
    ),
    "a class under another name": (
        lambda c: layer(c).update(registered_name="os>system"), "it names 'Dense' of 'keras.layers'",
    ),
    "code": (lambda c: layer(c)["config"].update(activation=LAMBDA), "it names '__lambda__' of None"),
    "code in a layer": (lambda c: layer(c).update(class_name="Lambda"), "it names 'Lambda' of 'keras.layers', and"),
    "a class without a module": (lambda c: layer(c).pop("module"), "it names 'Dense' of None"),
    "a class in a loss": (lambda c: c["compile_config"].update(loss={"module": "os", **CODE}), "'function' of 'os'"),
    "a class in what is built": (lambda c: layer(c).update(build_config={"module": "os"}), "it names None of 'os'"),
    "a name that is a list": (lambda c: layer(c).update(class_name=["Dense"], module=[]), "it names"),
    "a model that is a list": (lambda c: [c], "it holds no Sequential or functional model"),
    "layers of another kind": (
        lambda c: c["compile_config"]["optimizer"].update(class_name="Nadam"),
        "it names 'Nadam' of 'keras.optimizers', and read are Adam, RMSprop, SGD there",
    ),
    "an input of 300 million features": (
        lambda c: layer(c, 0)["config"].update(batch_shape=[None, 3 * 10**8]), "at least 300000000 weights, but the",
    ),
    "a shape that is built": (
        lambda c: layer(c).update(build_config={"input_shape": [None, 3 * 10**8]}), "at least 300000000 weights",
    ),
    "units without end": (lambda c: layer(c)["config"].update(units=10**300), "weights, but the file holds"),
    "units that are text": (lambda c: layer(c)["config"].update(units="9"), r"Dense layers of \['9'\] units"),
    "a shape below zero": (lambda c: c["config"].update(build_input_shape=[None, -1]), "it has the shape"),
    "a shape that is a number": (lambda c: c["config"].update(build_input_shape=10**9), "it has the shape 1000000000"),
    "weights of low rank": (lambda c: layer(c)["config"].update(lora_rank=10**9), "sets 'lora_rank', which is not"),
    "a normalization along the rows": (
        lambda c: layer(c, 0).update(class_name="Normalization", config={"axis": [0]}), r"has axis=\[0\]: X is a",
    ),
    "many layers": (lambda c: c["config"]["layers"].extend([layer(c, 0)] * 5000), "more than 4096 values"),
    "many rates": (lambda c: c["compile_config"].update(metrics=[1.0] * 5000), "more than 4096 values"),
    "lists within lists": (lambda c: c.update(build_config=nested(200)), "more than 32 lists and names"),
    "lists without end": (lambda c: b"[" * 10**5, "recursion"),
    "nan": (lambda c: c["compile_config"].update(steps_per_execution=float("nan")), "a number in its configuration is"),
    "a type of its own": (lambda c: layer(c)["config"].update(dtype="int8_from_float32"), "it computes in 'int8_from"),
    "signs that steer a terminal": (lambda c: layer(c).update(class_name="\x1b[2J\n\u202e"), "it names"),
}  # fmt: skip


class NoKeras:
    """What must not be asked."""

    def __getattr__(self, name):
        raise AssertionError(f"Keras is asked for {name}")


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """What lies in a file of a model of one layer."""
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'linreg[tf]'")
    path = saved(linreg.keras.load(), tmp_path_factory.mktemp("model") / "model.keras")
    read_model(path)
    with zipfile.ZipFile(path) as opened:
        return {member: opened.read(member) for member in opened.namelist()}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_that_a_twin_cannot_have_is_refused_before_keras_reads_it(members, tmp_path, monkeypatch, name):
    change, words = CONFIGURATIONS[name]
    config = json.loads(members["config.json"])
    made = change(config)
    made = made if isinstance(made, bytes | list) or (isinstance(made, dict) and "inbound" in str(made)) else config
    path = tmp_path / "model.keras"
    content = made if isinstance(made, bytes) else json.dumps(made).encode()
    with zipfile.ZipFile(path, "w") as file:
        for member, before in members.items():
            file.writestr(member, content if member == "config.json" else before)
    monkeypatch.setattr(files, "load", NoKeras)
    with pytest.raises(ValueError, match=words) as raised:
        read_model(path)
    assert " is refused: " in str(raised.value)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 500 + len(str(path))


def chunked(h5py, file):
    file.create_dataset("x", shape=(3 * 10**8, 1), dtype="f4", chunks=(2**20, 1))


def never_written(h5py, file):
    space = h5py.h5s.create_simple((3 * 10**8, 1))
    h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_FLOAT, space)


def elsewhere(h5py, file):
    file.create_dataset("x", (10,), "f4", external=[("/etc/passwd", 0, 40)])


def virtual(h5py, file):
    layout = h5py.VirtualLayout((10**8,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (10**8,))
    file.create_virtual_dataset("x", layout)


def link(h5py, file):
    file["x"] = h5py.ExternalLink("other.h5", "/secret")


def loop(h5py, file):
    file["a"] = file["/"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (chunked, "do not lie in the file as they are"),
        (never_written, "but the file is too small for them"),
        (elsewhere, "do not lie in the file as they are"),
        (virtual, "do not lie in the file as they are"),
        (link, "its weights name 'x', which leads elsewhere"),
        (loop, "groups stand within each other|weights have more than 4096 parts"),
        (lambda h5py, file: file.create_dataset("x", data="text"), "'/x' are no array of numbers"),
        (lambda h5py, file: file.create_dataset("x", (10**12, 0), "f4"), r"have the shape \(1000000000000, 0\)"),
    ],
)
def test_weights_that_are_not_in_the_file_are_refused_before_they_are_read(tmp_path, change, words):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install 'linreg[tf]'")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", data=np.zeros((2, 1), np.float32))
        assert contents.numbers_held(_written(file, tmp_path)) == 2
        change(h5py, file)
    content = (tmp_path / "weights.h5").read_bytes()
    with pytest.raises(ValueError, match=words):
        contents.numbers_held(content)
    with pytest.raises(OSError, match=r"."):
        contents.numbers_held(content[:1000])


def _written(file, folder):
    file.flush()
    return (folder / "weights.h5").read_bytes()
