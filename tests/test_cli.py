"""The commands as a user calls them: what they print, draw and exit with."""

import json
import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

from linreg import cli, experiments, report
from linreg.cli import output
from linreg.data import datasets
from linreg.dynamics import least_squares
from linreg.regression import LinearRegression

TRAIN = ["norris", "--target", "y"]


def call(capsys, *arguments):
    """Run a command in this process; return exit code, stdout, stderr."""
    code = cli.run(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def csv(tmp_path):
    def write(text, name="data.csv"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def test_fit_on_longley_shows_the_loss_rising_to_nan_and_says_so(capsys):
    code, out, _ = call(capsys, "fit", "longley", "--target", "total_employment")
    assert code == cli.FOUND
    assert "The loss rises instead of falling" in out
    assert "nan from epoch" in out
    assert "The run diverges" in out
    assert "(no longer finite)" in out
    assert "linreg fit longley --target total_employment --scale standard" in out
    assert all(name in out for name in datasets.load("longley").feature_names)


RUNS = {
    "diverges": ["stackloss", "--target", "stack_loss"],
    "rises": [*TRAIN, "--scale", "standard", "--learning-rate", "1.001", "--epochs", "50", "--batch-size", "36"],
    "far from the optimum": ["stackloss", "--target", "stack_loss", "--scale", "standard"],
    "far from a penalised optimum": [*TRAIN, "--scale", "minmax", "--l2", "0.5", "--learning-rate", "0.001"],
    "at the optimum": [*TRAIN, "--scale", "standard"],
    "at a penalised optimum": [*TRAIN, "--scale", "standard", "--l1", "0.1", "--learning-rate", "0.05"],
    "at Huber's optimum": ["stackloss", "--target", "stack_loss", "--scale", "standard", "--loss", "huber",
                           "--learning-rate", "0.1", "--epochs", "300"],
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_fit_points_to_why_where_why_says_that_the_run_did_not_converge(capsys, name):
    _, judged, _ = call(capsys, "why", *RUNS[name], "--json")
    _, out, _ = call(capsys, "fit", *RUNS[name])
    _, data, _ = call(capsys, "fit", *RUNS[name], "--json")
    hint = json.loads(data)["why"]
    assert (hint is None) == (json.loads(judged)["verdict"] == "converges") == ("To see why" not in out)
    if hint is not None:
        assert hint.startswith(f"linreg why {RUNS[name][0]} --target ")
        assert f"To see why: {hint}\n" in out
        _, again, _ = call(capsys, *shlex.split(hint)[1:], "--json")
        assert json.loads(again) == json.loads(judged)


def test_fit_hands_every_option_of_the_run_on_to_why(capsys, csv):
    options = ["--optimizer", "rmsprop", "--learning-rate", "1e-05", "--momentum", "0.25", "--loss", "huber", "--delta",
               "2.0", "--reduction", "sum", "--l1", "0.1", "--l2", "0.2", "--epochs", "3", "--batch-size", "7",
               "--no-shuffle", "--no-intercept", "--seed", "5", "--dtype", "float64"]  # fmt: skip
    path = csv("x,the target\n" + "".join(f"{i},{i * 1000}\n" for i in range(9)), "a file.csv")
    given = [path, "--target", "the target", "--scale", "robust", *options]
    _, out, _ = call(capsys, "fit", *given, "--json")
    hint = shlex.split(json.loads(out)["why"])
    assert hint == ["linreg", "why", *given]


def test_more_features_than_the_optimum_is_computed_for_are_trained_all_the_same(monkeypatch):
    monkeypatch.setattr(report, "LARGEST_HESSIAN", 1)
    X = np.random.default_rng(0).normal(size=(20, 2))
    done = report.fit_and_report(LinearRegression(random_state=0), X, X.sum(axis=1), ["a", "b"], None)
    assert done.arrived is None
    assert not done.doubtful


def test_the_advice_on_longley_works(capsys):
    code, out, _ = call(capsys, "fit", "longley", "--target", "total_employment", "--scale", "standard")
    assert code == 0
    assert "The loss went from" in out


def test_fit_reports_the_model_beside_the_exact_optimum(capsys):
    arguments = ("--target", "y", "--scale", "standard", "--learning-rate", "0.3", "--dtype", "float64")
    code, out, _ = call(capsys, "fit", "norris", *arguments, "--json", "--epochs", "300", "--batch-size", "36")
    report = json.loads(out)
    assert code == 0
    assert report["coefficients"]["x"] == pytest.approx(1.00211681802045, rel=1e-9)
    assert report["optimum"]["x"] == pytest.approx(1.00211681802045, rel=1e-12)
    assert report["intercept"] == pytest.approx(-0.262323073774029, rel=1e-9)
    assert report["mse"] == pytest.approx(report["optimum_mse"], rel=1e-9)
    assert report["r2"] == pytest.approx(0.999993745883712, rel=1e-12)
    assert len(report["history"]["loss"]) == 300


def test_fit_as_json_replaces_nan_by_null(capsys):
    code, out, _ = call(capsys, "fit", "longley", "--target", "total_employment", "--json")
    report = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert code == cli.FOUND
    assert report["diverged"] is True
    assert report["coefficients"]["gnp"] is None
    assert report["optimum"]["year"] == pytest.approx(1829.15146461355, rel=1e-7)
    assert report["history"]["loss"][-1] is None


def test_fit_options_reach_the_model(capsys, monkeypatch):
    from linreg.cli import fit

    made = []
    monkeypatch.setattr(fit, "LinearRegression", lambda *a, **k: made.append(LinearRegression(*a, **k)) or made[-1])
    call(
        capsys, "fit", "stackloss", "--target", "stack_loss", "--optimizer", "rmsprop", "--learning-rate", "0.5",
        "--momentum", "0.25", "--loss", "huber", "--delta", "2", "--epochs", "3", "--batch-size", "7", "--no-shuffle",
        "--no-intercept", "--seed", "5", "--dtype", "float64", "--scale", "robust",
    )  # fmt: skip
    (model,) = made
    assert repr(model.optimizer) == "RMSprop(learning_rate=0.5, momentum=0.25)"
    assert repr(model.loss) == "Huber(delta=2.0)"
    assert (model.epochs, model.batch_size, model.shuffle, model.fit_intercept) == (3, 7, False, False)
    assert (model.random_state, model.dtype, model.intercept_) == (5, "float64", 0.0)


@pytest.mark.parametrize(("data", "target"), [("norris", "y"), ("stackloss", "stack_loss")])
def test_minibatches_at_rest_are_no_rising_loss(capsys, data, target):
    code, out, _ = call(capsys, "fit", data, "--target", target, "--scale", "standard", "--batch-size", "4")
    assert code == 0
    assert "It had been lower" not in out


def test_a_loss_that_ends_above_its_start_is_found(capsys):
    arguments = ("--target", "y", "--scale", "standard", "--learning-rate", "1.001", "--epochs", "50")
    code, out, _ = call(capsys, "fit", "norris", *arguments, "--batch-size", "36")
    assert code == cli.FOUND
    assert "It had been lower" in out


def test_fit_draws_the_loss_curve(capsys, tmp_path):
    for name, magic in (("loss.png", b"\x89PNG"), ("loss.svg", b"<?xml")):
        code, _, _ = call(capsys, "fit", *TRAIN, "--scale", "minmax", "--plot", str(tmp_path / name))
        assert code == 0
        assert (tmp_path / name).read_bytes().startswith(magic)
    assert sorted(os.listdir(tmp_path)) == ["loss.png", "loss.svg"]


FAILURES = {
    "missing file": (["nofile.csv", "--target", "y"], r"There is no file 'nofile.csv'.*longley, norris, stackloss"),
    "missing column": (["longley", "--target", "emp"], r"no column 'emp'.*total_employment"),
    "missing target": (["longley"], r"Missing option '--target'.*linreg --help"),
    "unknown optimizer": ([*TRAIN, "--optimizer", "adma"], r"unknown optimizer 'adma'; did you mean 'adam'"),
    "unknown loss": ([*TRAIN, "--loss", "mae"], r"unknown loss 'mae'; did you mean 'mse'"),
    "unknown scaling": ([*TRAIN, "--scale", "standart"], r"Unknown scaling 'standart'; did you mean 'standard'"),
    "negative rate": ([*TRAIN, "--learning-rate", "-1"], r"learning_rate must be a finite number at least 0, got -1"),
    "rate is nan": ([*TRAIN, "--learning-rate", "nan"], r"learning_rate must be a finite number at least 0, got nan"),
    "no number": ([*TRAIN, "--epochs", "many"], r"Invalid value for '--epochs'"),
    "no epochs": ([*TRAIN, "--epochs", "0"], r"epochs must be an integer of at least 1, got 0"),
    "no momentum": ([*TRAIN, "--optimizer", "adam", "--momentum", "0.5"], r"Adam has no parameter 'momentum'"),
    "no delta": ([*TRAIN, "--delta", "0.5"], r"MeanSquaredError has no parameter 'delta'"),
    "unknown dtype": ([*TRAIN, "--dtype", "float16"], r"unknown dtype 'float16'.*float32, float64"),
    "picture format": ([*TRAIN, "--plot", "loss.doc"], r"cannot be written as '.doc': choose one of"),
    "picture folder": ([*TRAIN, "--plot", "nowhere/loss.png"], r"There is no folder 'nowhere' to put 'loss.png' in"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_fit_says_in_one_line_what_it_could_not_do(capsys, name):
    arguments, message = FAILURES[name]
    code, _, err = call(capsys, "fit", *arguments)
    assert code == cli.FAILED
    assert err.startswith("linreg: ")
    assert err.count("\n") == 1
    assert re.search(message, err), err


FILES = {
    "word among numbers": ("x,y\n1,1\nRome,2\n", r"Column 'x'.*'Rome' in row 1.*among numbers"),
    "words as the target": ("x,y\n1,Rome\n2,Oslo\n", r"Column 'y'.*'Rome' in row 0.*classification"),
    "no rows": ("x,y\n", r"no rows"),
    "empty": ("", r"empty"),
    "missing value": ("x,y\n1,2\n,3\n", r"Column 'x'.*1 of 2 values is missing, in row 1"),
    "missing target": ("x,y\n1,2\n2,\n", r"Column 'y'.*1 of 2 values is missing, in row 1"),
    "only the target": ("y\n1\n2\n", r"'y'"),
    "ragged": ("x,y\n1,2\n3\n4,5,6\n", r"Line 3 .*1 value.*for 2 column"),
}


@pytest.mark.parametrize("name", FILES)
def test_fit_names_the_column_and_place_of_bad_data_in_one_line(capsys, csv, name):
    text, message = FILES[name]
    code, out, err = call(capsys, "fit", csv(text), "--target", "y")
    assert code == cli.FAILED
    assert out == ""
    assert err.count("\n") == 1
    assert re.search(message, err), err


def test_names_from_files_cannot_steer_the_terminal(capsys, csv):
    path = csv("\x1b[31mred,[bold]b[/bold],y\n1,2,3\n2,3,4\n3,1,2\n")
    _, out, _ = call(capsys, "fit", path, "--target", "y", "--scale", "standard")
    assert "\x1b" not in out
    assert "\\x1b[31mred" in out
    assert "[bold]b[/bold]" in out
    code, _, err = call(capsys, "fit", path, "--target", "\x1b[2Jz")
    assert code == cli.FAILED
    assert "\x1b" not in err


def test_commands_without_their_extras_name_them(capsys, monkeypatch):
    for module, extra in (("polars", "data"), ("typer", "cli")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            code, _, err = call(capsys, "fit", "norris", "--target", "y")
        assert code == cli.FAILED
        assert f"pip install 'linreg[{extra}]'" in err
    for missing, arguments in (("sklearn", ["--scale", "standard"]), ("matplotlib.figure", ["--plot", "x.png"])):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, missing, None)
            code, _, err = call(capsys, "fit", "norris", "--target", "y", *arguments)
        assert code == cli.FAILED
        assert "pip install 'linreg[" in err


def test_help_lists_the_commands_and_version_is_told(capsys):
    import linreg

    assert call(capsys)[1] == call(capsys, "--help")[1]
    code, out, _ = call(capsys, "--help")
    assert code == 0
    assert "demo" in out
    assert "fit" in out
    assert call(capsys, "--version")[1] == f"linreg {linreg.__version__}\n"
    code, _, err = call(capsys, "fti")
    assert code == cli.FAILED
    assert "No such command 'fti'" in err


def test_ctrl_c_prints_one_line(capsys, monkeypatch):
    from linreg.cli import fit

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(fit, "fit_and_report", interrupted)
    code, _, err = call(capsys, "fit", "norris", "--target", "y")
    assert code == cli.STOPPED
    assert err == "linreg: stopped.\n"


def test_the_installed_command_runs():
    command = [
        sys.executable,
        "-c",
        "from linreg.cli import main; main()",
        "fit",
        "norris",
        "--target",
        "y",
        "--scale",
        "minmax",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert "exact optimum" in done.stdout


# The demo.


def test_demo_without_keras_says_why_its_column_is_empty(capsys, tmp_path):
    code, out, _ = call(capsys, "demo", "--no-keras", "--out", str(tmp_path))
    assert code == 0
    assert "The column of tf.keras is empty: --no-keras was given." in out
    assert sorted(os.listdir(tmp_path)) == [f"experiment-{i}.png" for i in (1, 2, 3)]


# Losses after 100 epochs as TensorFlow 2.21 gives them, None for its nan; the last is scikit-learn's (1.9).
KNOWN_LOSSES = {
    "unscaled": None, "standardised": 0.0705416, "min-max scaled": 0.0200408,
    "SGD 10.0": None, "SGD 0.0001": 3.42934, "SGD 0.1": 0.00816736, "SGD 0.5, halving": 0.00812042,
    "RMSprop 0.01": 0.00843382, "Adam 0.01": 0.0266991,
    "MSE": None, "Huber": 5.64567, "standardised, MSE": 0.915425, "standardised, Huber": 2.70113,
    "HuberRegressor": 0.21085,
}  # fmt: skip


def test_demo_reproduces_the_known_losses(capsys, tmp_path):
    code, out, _ = call(capsys, "demo", "--no-keras", "--json", "--out", str(tmp_path))
    losses = {run["run"]: run["loss"] for run in json.loads(out)["outcomes"]}
    assert code == 0
    assert {name: loss and pytest.approx(loss, rel=1e-4) for name, loss in KNOWN_LOSSES.items()} == losses


def test_demo_without_tensorflow_says_how_to_get_it(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    code, out, _ = call(capsys, "demo", "--json", "--out", str(tmp_path))
    assert code == 0
    assert "pip install 'linreg[tf]'" in json.loads(out)["keras"]


def test_demo_runs_keras_beside_numpy_and_they_agree(keras, capsys, tmp_path):
    code, out, _ = call(capsys, "demo", "--json", "--out", str(tmp_path))
    result = json.loads(out)
    runs = {(run["experiment"], run["run"]): run for run in result["outcomes"]}
    assert code == 0
    assert result["keras"] == "ran"
    # What TensorFlow really does: nan where it is nan here, from the same epoch on.
    for key in ((1, "unscaled"), (2, "SGD 10.0"), (3, "MSE")):
        assert runs[key]["loss"] is None
        assert runs[key]["keras_loss"] is None
        assert re.fullmatch(r"nan from epoch \d+", runs[key]["agreement"])
    others = [run for run in runs.values() if run["loss"] is not None and run["agrees"] is not None]
    assert len(others) == 10
    assert all(run["agrees"] for run in others)
    assert all(run["keras_loss"] == pytest.approx(run["loss"], rel=1e-4) for run in others)
    assert runs[(3, "HuberRegressor")]["keras_loss"] is None


def test_demo_exits_with_1_if_the_libraries_disagree(keras, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(experiments, "known_experiments", lambda: one_trial())
    real = experiments.keras.weights
    monkeypatch.setattr(experiments.keras, "weights", lambda twin: real(twin) * 1.01)
    code, out, _ = call(capsys, "demo", "--out", str(tmp_path))
    assert code == cli.FOUND
    assert "NumPy and tf.keras disagree in: standardised" in out


def one_trial():
    first = experiments._unscaled_table()
    return (experiments.Experiment(first.title, first.lesson, first.trials[1:2]),)


def test_known_experiments_have_the_known_data():
    table, rates, far = experiments.known_experiments()
    limits = {}
    for name, trial in (("unscaled", table.trials[0]), ("standardised", table.trials[1]), ("rates", rates.trials[0]),
                        ("far", far.trials[0])):  # fmt: skip
        A = np.column_stack([trial.X, np.ones(len(trial.X))])
        limits[name] = 2 / np.linalg.eigvalsh(2 / len(A) * A.T @ A)[-1]
    # The largest stable learning rates of these data, known from before.
    assert limits == pytest.approx({"unscaled": 2.14e-7, "standardised": 0.5, "rates": 0.81, "far": 4.0e-4}, rel=5e-3)


def test_agreement_tells_who_was_first_to_leave_the_finite():
    nan, fine = np.array([np.nan, 1.0]), np.array([1.0, 1.0])
    assert experiments._agreement(nan, nan, [1, np.inf], [1, np.nan]) == ("nan from epoch 2", True)
    words, agrees = experiments._agreement(nan, fine, [1, np.inf], [1, 1])
    assert not agrees
    assert words == "nan from epoch 2, never"
    assert experiments._agreement(fine, fine, [1], [1]) == ("bit for bit", True)
    assert experiments._agreement(fine, fine * 1.5, [1], [1]) == ("3e-01 relative", False)


# Small parts of the output.


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([1.0, 10.0, 100.0], "▁▄█"),
        ([1.0, np.inf, np.nan], "▁✗ (no longer finite)"),
        ([np.nan], "✗ (no longer finite)"),
        ([2.0, 2.0], "▁▁"),
        ([0.0, 1.0], "▁█"),
        ([1.0] * 100, "▁" * 51),
    ],
)
def test_curve_is_drawn_up_to_where_it_is_finite(values, line):
    drawn = output.curve(values)
    assert drawn.replace("▅", "▄") == line


def test_least_squares_is_exact_where_columns_differ_in_scale_and_repeat():
    longley = datasets.load("longley")
    coef, intercept = least_squares(longley.X, longley.y)
    # NIST's certified values of the Longley problem, in its own order of columns.
    certified = [15.0618722713733, -0.0358191792925910, -2.02022980381683, -1.03322686717359, -0.0511041056535807,
                 1829.15146461355]  # fmt: skip
    np.testing.assert_allclose(coef, certified, rtol=1e-8)
    assert intercept == pytest.approx(-3482258.63459582, rel=1e-8)
    X = np.column_stack([np.arange(5.0), 1000 * np.arange(5.0), np.ones(5)])
    coef, intercept = least_squares(X, 3 * np.arange(5.0) + 1)
    np.testing.assert_allclose(X @ coef + intercept, 3 * np.arange(5.0) + 1, rtol=1e-12)
    weighted, _ = least_squares(X[:, :1], np.array([0, 1, 2, 3, 100.0]), [1, 1, 1, 1, 0])
    np.testing.assert_allclose(weighted, [1.0])
    through_zero, zero = least_squares(X[:, :1], 2 * np.arange(5.0), fit_intercept=False)
    assert (through_zero[0], zero) == (pytest.approx(2.0), 0.0)
