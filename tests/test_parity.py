"""`linreg parity`: rules and whole runs beside TensorFlow in every mode, what is allowed, and what is found."""

import json
import re
import sys

import numpy as np
import pytest
from ulp import ulp_distance

from linreg import SGD, Adam, LinearRegression, RMSprop, cli, rules
from linreg.keras import dense
from linreg.keras.behaviours import registry
from linreg.keras.parity import document as documents
from linreg.keras.parity import runs, settings, words
from linreg.keras.parity.cases import RULES, SIZE, STEPS, Example, examples
from linreg.keras.parity.cells import Reference, cell, share_of, ulps
from linreg.keras.parity.document import compare, parts_of, read, text
from linreg.keras.parity.modes import MODES, keras_run
from linreg.keras.parity.ours import POWER_ULP, our_run, rounding_bound
from linreg.keras.parity.settings import Asked, elsewhere
from linreg.precision import FLOAT32

QUICK = ("--examples", "1", "--one-setting")


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Two of the known behaviours, all of which have their tests in test_keras_behaviours."""
    chosen = registry.BEHAVIOURS[:2]
    for module in (registry, documents):
        monkeypatch.setattr(module, "BEHAVIOURS", chosen)
    return chosen


def call(capsys, *arguments):
    """Run `linreg parity` in this process; return exit code, stdout, stderr."""
    code = cli.run(["parity", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def adam_with_epsilon_inside(p, g, m, v, alpha, one_minus_beta_1, one_minus_beta_2, epsilon):
    m = rules.moved_towards(m, g, one_minus_beta_1)
    v = rules.moved_towards(v, g * g, one_minus_beta_2)
    return p - m * alpha / np.sqrt(v + epsilon), m, v


# What the command finds.


def test_a_right_rule_is_called_right_in_every_mode_and_saved_as_it_is_printed(keras, capsys, tmp_path):
    path, page = tmp_path / "parity.json", tmp_path / "parity.html"
    code, out, _ = call(capsys, *QUICK, "--rules", "Adam, RMSprop", "--json", "--save", path, "--html", page)
    assert code == 0
    assert out == path.read_text()
    document = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert document == read(path)
    assert set(document["versions"]) == {"linreg", "Python", "NumPy", "TensorFlow", "Keras"}
    cells = {(one["rule"], one["mode"]): one for one in document["table"] if one["device"] == "CPU"}
    assert set(cells) == {(rule, mode) for rule in ("Adam", "RMSprop") for mode in MODES}
    for rule, mode in (("Adam", "eager"), ("Adam", "graph"), ("RMSprop", "eager")):
        assert cells[rule, mode]["worst_ulp"] == cells[rule, mode]["allowed_ulp"] == 0
        assert cells[rule, mode]["first"] is None
    assert 0 < cells["RMSprop", "graph"]["share"] < 1
    assert [run["mode"] for run in document["runs"]] == [*MODES]
    assert all(0 <= run["share"] < 1 and run["decided"] == 12 and not run["doubts"] for run in document["runs"])
    assert document["behaviours"]
    written = page.read_text()
    assert written.count("<svg") == 3
    assert "RMSprop" in written
    assert not re.search(r"https?://|<script", written.replace("http://www.w3.org", ""))


def test_a_rule_that_is_patched_wrong_is_found_with_the_input_that_shows_it(keras, capsys, monkeypatch):
    monkeypatch.setattr(rules, "adam", adam_with_epsilon_inside)
    code, out, err = call(capsys, *QUICK, "--rules", "Adam")
    assert (code, err) == (cli.FOUND, "")
    found = " ".join(out.split())
    for mode in MODES:
        assert re.search(rf"Adam, {mode}(, oneDNN o\w+)?: up to [\d,]+ ULP", found)
    assert re.search(
        r"Step 1 of Adam\(\), with the gradient \S+ and the rate 0.000316\S+ from p = 0.0, m = 0.0, v = 0.0: "
        r"p is \S+ here and \S+ in Keras",
        found,
    )
    assert "Nothing differs" not in out


def test_a_behaviour_that_has_changed_is_found(keras, capsys, few):
    seen = registry.Observation(False, "round")
    few.append(registry.Behaviour("square-eggs", "Eggs are square.", lambda keras: seen))
    code, out, _ = call(capsys, *QUICK, "--rules", "momentum")
    assert code == cli.FOUND
    assert "Changed: square-eggs. Eggs are square. Now: round" in out
    assert re.search(r"square-eggs +│ changed +│ round", out)


def test_max_ulp_is_what_every_mode_is_held_to(keras, capsys):
    code, out, _ = call(capsys, *QUICK, "--rules", "SGD", "--max-ulp", "0")
    assert code == cli.FOUND
    assert re.search(r"SGD, XLA.*: up to \d+ ULP, 0 are allowed", out)
    assert "SGD, graph: up to" not in out
    code, out, _ = call(capsys, *QUICK, "--rules", "SGD", "--max-ulp", 2**31)
    assert code == 0


FAILURES = {
    "unknown rule": (["--rules", "Adm"], r"Unknown rule 'Adm'; did you mean 'Adam'\?"),
    "no examples": (["--examples", "0"], r"examples must be an integer of at least 1, got 0"),
    "less than nothing": (["--max-ulp", "-1"], r"max_ulp must be an integer of at least 0, got -1"),
    "no data": (["--model", "a.keras"], r"Give a model, its data and its target"),
    "two kinds": (["--model", "a.keras", "--data", "norris", "--target", "y", "--max-ulp", "1"], r"leave them out"),
    "no folder": (["--save", "nowhere/a.json"], r"There is no folder 'nowhere'"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_cannot_be_done_is_said_in_one_line(capsys, name):
    arguments, message = FAILURES[name]
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (cli.FAILED, "")
    assert re.fullmatch(rf"linreg: .*{message}.*\n", err), err


@pytest.mark.parametrize("legacy", [False, True], ids=["missing", "tf_keras 2"])
def test_without_tensorflow_it_exits_with_2_and_one_line(capsys, monkeypatch, legacy):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    if legacy:
        monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    code, out, err = call(capsys)
    assert (code, out) == (cli.FAILED, "")
    says = "TF_USE_LEGACY_KERAS selects tf_keras 2" if legacy else "TensorFlow cannot be imported"
    assert re.fullmatch(rf"linreg: {says}.*\n", err), err


def test_what_runs_on_a_gpu_is_held_to_the_bound(keras, monkeypatch):
    """There is none here: TensorFlow then runs what is meant for it on the CPU."""
    for module in (settings, runs):
        monkeypatch.setattr(module, "devices", lambda: ["CPU", "GPU"])
    document = compare(Asked(rules=("SGD",), examples=1), both_settings=False)
    on_gpu = [one for one in document["table"] if one["device"] == "GPU"]
    assert [(one["mode"], one["allowed_ulp"], one["ok"]) for one in on_gpu] == [(mode, None, True) for mode in MODES]
    assert [words.mode(run) for run in document["runs"]] == [*MODES, *(f"{mode} on GPU" for mode in MODES)]
    assert [row[1] for row in words.table_rows(document["table"])][3:] == [f"{mode} on GPU" for mode in MODES]


# The other setting of oneDNN.


def test_the_other_setting_of_onednn_is_measured_in_a_process_of_its_own(keras):
    asked, told = Asked(rules=("momentum",), examples=1), []
    document = compare(asked, advance=told.append)
    settings_seen = [one["onednn"] for one in document["table"]]
    if settings.onednn() is None:
        assert settings_seen == [None] * 3
    else:
        assert sorted(settings_seen) == ["off"] * 3 + ["on"] * 3
    assert len(told) == parts_of(asked)
    assert not words.problems(document)
    assert text(compare(asked, both_settings=False)) == text(compare(asked, both_settings=False))


def test_where_onednn_cannot_be_switched_there_is_no_other_setting(monkeypatch):
    monkeypatch.setattr(settings, "onednn", lambda: None)
    assert list(elsewhere(Asked())) == []
    monkeypatch.setattr(settings, "onednn", lambda: "on")
    same = """print('["parity", "onednn", "on"]', flush=True); import time; time.sleep(60)"""
    assert list(elsewhere(Asked(), (sys.executable, "-c", same))) == []


def test_a_second_process_that_fails_is_told_with_its_last_words(monkeypatch):
    monkeypatch.setattr(settings, "onednn", lambda: "on")
    fails = "import sys; print('chatter'); sys.exit('no memory left')"
    with pytest.raises(OSError, match=r"TF_ENABLE_ONEDNN_OPTS=0 failed \(no memory left\).*--one-setting"):
        list(elsewhere(Asked(), (sys.executable, "-c", fails)))


# The user's own model.


@pytest.fixture(scope="module")
def model_and_data(keras, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 2)).round(3)
    rows = "".join(f"{a},{b},{1 + a - 2 * b:.3f}\n" for a, b in X)
    (folder / "data.csv").write_text(f"a,b,y\n{rows}")
    theirs = dense(LinearRegression(Adam(0.1, use_ema=True), kernel_regularizer="l2"), 2, [1.0, 1.0], 0.0)
    theirs.fit(X, X[:, 0], epochs=1, verbose=0)
    theirs.save(folder / "model.keras")
    two = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    two.compile("sgd", "mse")
    two.save(folder / "two.keras")
    return folder


def test_a_model_of_the_user_and_its_twin_stay_within_the_bound(model_and_data, capsys, tmp_path):
    of_model = ["--model", model_and_data / "model.keras", "--data", model_and_data / "data.csv", "--target", "y"]
    code, out, _ = call(capsys, *of_model, "--epochs", "3", "--batch-size", "8", "--json")
    assert code == 0
    document = json.loads(out)
    assert document["asked"] == {"model": "model.keras", "rows": 20, "epochs": 3, "batch_size": 8}
    assert [run["mode"] for run in document["runs"]] == [*MODES]
    assert all(run["decided"] == len(run["by_epoch"]) == 3 for run in document["runs"])
    losses = {tuple(np.float32(run["loss"]).round(5)) for run in document["runs"]}
    assert len(losses) == 1
    assert len({*losses.pop()}) == 1


def test_a_twin_that_computes_something_else_is_found(model_and_data, capsys, monkeypatch):
    right = rules.adam
    monkeypatch.setattr(rules, "adam", lambda p, g, m, v, alpha, *more: right(p, g, m, v, alpha * 1.001, *more))
    of_model = ["--model", model_and_data / "model.keras", "--data", model_and_data / "data.csv", "--target", "y"]
    code, out, _ = call(capsys, *of_model, "--epochs", "2", "--batch-size", "8")
    assert code == cli.FOUND
    assert re.search(r"model.keras, eager.*beyond what rounding explains", out)
    assert re.search(r"After epoch 1 parameter \d is \S+ here and \S+ in Keras", " ".join(out.split()))


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        ("two.keras", "data.csv", r"linreg cannot represent Dense\(2\): one unit predicts one target"),
        ("model.keras", "longley", r"'model.keras' takes 2 features, but the data have \d+ columns"),
        ("none.keras", "data.csv", r"there is no such file"),
    ],
)
def test_a_model_that_cannot_be_compared_is_refused_by_name(model_and_data, capsys, model, data, message):
    data, target = ("longley", "total_employment") if data == "longley" else (model_and_data / data, "y")
    code, out, err = call(capsys, "--model", model_and_data / model, "--data", data, "--target", target)
    assert (code, out) == (cli.FAILED, "")
    assert re.fullmatch(rf"linreg: .*{message}.*\n", err), err


# The examples, the distance and the bound.


def test_the_first_example_has_keras_defaults_and_gradients_spare_nothing():
    for rule, optimizer in RULES.items():
        first, second = examples(rule, 2, seed=0)
        assert first.optimizer == optimizer
        assert second.optimizer != optimizer
        assert examples(rule, 1, seed=0)[0].gradients.tobytes() == first.gradients.tobytes()
        assert first.gradients.shape == (STEPS, SIZE)
        size = np.abs(first.gradients[first.gradients != 0])
        assert (first.gradients == 0).any()
        assert size.min() < 1e-7
        assert size.max() > 10
        assert {*np.sign(first.gradients).ravel()} == {-1, 0, 1}
    assert len({example.optimizer for example in examples("Adam", 9, seed=0)}) == 9


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ulps_count_the_numbers_in_between(dtype):
    kind = {4: np.uint32, 8: np.uint64}[np.dtype(dtype).itemsize]
    a, b = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (2, 2000), kind, endpoint=True).view(dtype)
    known = ~(np.isnan(a) ^ np.isnan(b))
    np.testing.assert_array_equal(ulps(a, b)[known].astype(object), ulp_distance(a, b)[known])
    zeros, next_to = np.array([0.0, -0.0, 1.0], dtype), np.array([-0.0, np.nextafter(dtype(0), dtype(1)), 1.0], dtype)
    np.testing.assert_array_equal(ulps(zeros, next_to), [0, 1, 0])


def test_the_share_of_a_bound_of_zero_is_infinite_only_where_something_differs():
    assert share_of([1.0, 2.0], [1.0, 2.0], [0.0, 0.0]) == 0
    assert share_of([1.0, np.nan], [1.5, np.nan], [2.0, 0.0]) == 0.25
    assert share_of([1.0], [1.5], [0.0]) is None
    assert share_of([np.nan], [1.5], [9.0]) is None


WRONG = {
    "learning rate": (SGD(0.01), SGD(0.010001)),
    "momentum": (SGD(0.01, momentum=0.9), SGD(0.01, momentum=0.9001)),
    "Nesterov": (SGD(0.01, momentum=0.9, nesterov=True), SGD(0.01, momentum=0.9)),
    "rho": (RMSprop(), RMSprop(rho=0.90001)),
    "epsilon": (RMSprop(), RMSprop(epsilon=1.01e-7)),
    "centered": (RMSprop(centered=True), RMSprop(centered=True, epsilon=1.01e-7)),
    "momentum of RMSprop": (RMSprop(momentum=0.9), RMSprop(momentum=0.9001)),
}
WRONG_WITH_POWERS = {
    "epsilon of Adam": (Adam(), Adam(epsilon=1.01e-7)),
    "beta_1": (Adam(), Adam(beta_1=0.9001)),
    "beta_2": (Adam(), Adam(beta_2=0.99901)),
    "AMSGrad": (Adam(amsgrad=True), Adam()),
}


def share_between(right, wrong):
    gradients = examples("SGD", 1, seed=3)[0].gradients
    ours, rates = our_run(Example(right, gradients))
    theirs, _ = our_run(Example(wrong, gradients))
    return share_of(ours[:, 0], theirs[:, 0], rounding_bound(Example(right, gradients), rates)[:, 0])


@pytest.mark.parametrize("name", WRONG)
def test_the_bound_rejects_a_rule_that_is_a_little_other(name):
    assert share_between(*WRONG[name]) > 1


@pytest.mark.parametrize("name", WRONG_WITH_POWERS)
def test_the_bound_rejects_an_adam_that_is_a_little_other(keras, name):
    assert share_between(*WRONG_WITH_POWERS[name]) > 1


@pytest.mark.parametrize("optimizer", [SGD(0.01, momentum=0.9), RMSprop(momentum=0.9, centered=True), RMSprop()])
def test_roundings_of_every_number_at_every_step_stay_within_the_bound(optimizer):
    """The rule itself, whose every result is moved by an eps up or down: fewer roundings than the bound allows."""
    gradients = examples("SGD", 1, seed=4)[0].gradients
    ours, rates = our_run(Example(optimizer, gradients))
    bound = rounding_bound(Example(optimizer, gradients), rates)
    rng, eps = np.random.default_rng(0), np.finfo(np.float32).eps
    rule = optimizer.rule(FLOAT32)
    state = [np.zeros(SIZE, np.float32) for _ in range(1 + len(rule.state))]
    for t, g in enumerate(gradients):
        moved = rule.update(state[0], g, *state[1:], rates[t], *rule.constants)
        change = [np.abs(after - before) + np.abs(after) for after, before in zip(moved, state, strict=True)]
        state = [
            (after + eps * by * rng.choice([-1, 1], SIZE)).astype(np.float32)
            for after, by in zip(moved, change, strict=True)
        ]
        assert (np.abs(np.array(state).astype(float) - ours[t]) <= bound[t]).all()


# Why the modes differ: docs/parity.md.


def test_powers_of_beta_are_within_one_ulp_in_every_mode(keras):
    import tensorflow as tf

    for how in (lambda f: f, tf.function, lambda f: tf.function(f, jit_compile=True)):
        power = how(lambda base, t: tf.pow(base, t))
        for beta in (0.9, 0.999, 0.5, 0.704757559385484, 0.9999):
            for t in range(1, STEPS + 1):
                nearest = np.float32(np.float64(np.float32(beta)) ** t)
                theirs = power(tf.constant(beta, tf.float32), tf.constant(t, tf.float32)).numpy()
                assert ulp_distance(nearest, theirs)[0] <= POWER_ULP


def test_graph_mode_moves_rmsprop_only_by_its_arithmetic_optimization(keras):
    import tensorflow as tf

    reference = Reference.of("RMSprop centered momentum", 1, seed=0)
    assert cell(reference, "graph", "CPU", None, None)["worst_ulp"] > 0
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
    try:
        assert cell(reference, "graph", "CPU", None, None)["worst_ulp"] == 0
    finally:
        tf.config.optimizer.set_experimental_options({"arithmetic_optimization": True})


def test_xla_rounds_a_step_of_sgd_once_or_twice(keras):
    (example,) = examples("SGD", 1, seed=0)
    theirs = keras_run(example, "XLA", "CPU")[:, 0]
    before = np.concatenate([np.zeros((1, SIZE), np.float32), theirs[:-1]])
    lr = np.float32(example.optimizer.learning_rate)
    twice = before - example.gradients * lr
    once = (before.astype(float) - example.gradients.astype(float) * float(lr)).astype(np.float32)
    assert ((theirs == once) | (theirs == twice)).all()
    assert (once != twice).any()
