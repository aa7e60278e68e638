"""`linreg why`: what it prints, its page, its JSON, its exit codes; and what a loss history alone can show."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from linreg import cli, losses, regularizers
from linreg.data.tables import read_table
from linreg.diagnosis import (
    CAUSES,
    Diagnosis,
    Finding,
    Remedy,
    diagnose,
    evidence,
    files,
    history,
    page,
    terminal,
    values,
    words,
)
from linreg.diagnosis.verdicts import VERDICTS
from linreg.optimizers import SGD, Adam
from linreg.regression import LinearRegression

HEALTHY = ["norris", "--target", "y", "--scale", "standard", "--learning-rate", "0.1"]
BROKEN = ["norris", "--target", "y"]
HOSTILE = "<script>alert(1)</script>\"'&\x1b[31m[bold red]\u202e$x^2$"


def call(capsys, *arguments):
    """Run `linreg why` in this process; return exit code, stdout, stderr."""
    code = cli.run(["why", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def csv(tmp_path):
    def write(text, name="data.csv"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture(scope="module")
def diverging():
    """A run with features of different size, and one that repeats another."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3)) * [1, 1000, 1] + [0, 5000, 0]
    return diagnose(X, X @ [1, 0.01, 2] + rng.normal(size=60), epochs=30, random_state=0)


# What is printed.


def test_the_answer_comes_first_verdict_cause_proof_and_what_to_change(capsys):
    code, out, err = call(capsys, *BROKEN)
    assert code == cli.FOUND
    assert err == ""
    assert out.startswith("The run diverges (loss ")
    places = [
        out.index(word) for word in ("Main cause", "The proof", "What to change", "Tried: ", "The run  ", "\n1. ")
    ]
    assert places == sorted(places)
    assert "feature_scale" in out
    assert re.search(r"diverges -> converges, loss (inf|nan) -> \d", out)


def test_a_healthy_run_is_called_healthy_and_exits_with_0(capsys):
    code, out, _ = call(capsys, *HEALTHY)
    assert code == 0
    assert out.startswith("The run converges (loss ")
    assert "Nothing is wrong with the training." in out
    assert "Main cause" not in out


@pytest.mark.parametrize("data", [("longley", "total_employment"), ("norris", "y"), ("stackloss", "stack_loss")])
def test_no_line_is_longer_than_80_columns(capsys, data):
    _, out, _ = call(capsys, data[0], "--target", data[1])
    assert max(map(len, out.splitlines())) <= terminal.WIDTH


def test_lines_are_narrower_where_the_terminal_is(diverging):
    for width in (40, 60):
        assert max(len(str(line)) for line in terminal.lines(diverging, width)) <= width


def test_text_is_the_same_as_its_lines(diverging):
    assert terminal.text(diverging).splitlines() == [str(line) for line in terminal.lines(diverging)]


def test_colours_come_on_a_terminal_only(monkeypatch, capsys, diverging):
    monkeypatch.setattr(files, "diagnose", lambda *a, **k: diverging)
    assert "\x1b" not in call(capsys, *BROKEN)[1]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1;31m" in call(capsys, *BROKEN)[1]


def test_every_remedy_is_shown_with_what_it_did(diverging):
    text = " ".join(terminal.text(diverging).split())
    remedies = [remedy for finding in diverging.findings for remedy in finding.remedies]
    assert len(remedies) > 1
    for remedy in remedies:
        assert " ".join(remedy.words.split()) in text
        assert f"diverges -> {remedy.after.verdict}" in text


def test_the_proof_shows_numbers_of_the_evidence():
    X = np.random.default_rng(1).normal(size=(50, 2)) * [1, 300]
    found = diagnose(X, X @ [1, 1], epochs=5, random_state=0)
    (scale,) = [finding for finding in found.findings if finding.cause == "feature_scale"]
    proof = evidence.proof(scale)
    assert f"learning rate {scale.evidence['learning_rate']:.4g}" in proof
    assert f"largest stable learning rate {scale.evidence['limit']:.4g}" in proof


@pytest.mark.parametrize(
    ("value", "written"),
    [(2000.0, "2000"), (12_834.0, "12800"), (999_600.0, "1e+06"), (1.234e9, "1.23e+09"), (0.05678, "0.0568"),
     (1e-4, "0.0001"), (2.5e-7, "2.5e-07"), (0, "0"), (-1234.5, "-1230"), (np.inf, "inf")],
)  # fmt: skip
def test_numbers_are_written_so_that_a_newcomer_can_read_them(value, written):
    assert evidence.number(value) == written


def test_evidence_has_four_digits_and_tells_numbers_of_rows_from_how_many_there_are():
    assert evidence.shown([12_345.6, 0.123456, 3]) == "12350, 0.1235, 3"
    assert [evidence.label("rows", rows) for rows in ([3, 7], 60)] == ["row numbers", "rows"]


def test_a_loss_that_does_not_compare_with_the_one_before_is_called_so():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 1))
    y = X[:, 0] + 0.1 * rng.normal(size=80)
    settings = {"optimizer": SGD(0.1), "random_state": 0}
    penalised = diagnose(X, y, **settings, kernel_regularizer=regularizers.L2(1.0), validation_data=(X, y))
    text = " ".join(str(penalised).split())
    end = LinearRegression(**settings).fit(X, y)
    error = np.mean((end.predict(X) - y) ** 2)
    assert f"-> {error:.3g} (with another penalty in it), on the validation rows" in text
    # Validation losses are without the penalty, so they compare: on the same rows that of the end is the loss itself.
    held = LinearRegression(**settings, kernel_regularizer=regularizers.L2(1.0)).fit(X, y)
    assert f"validation rows {np.mean((held.predict(X) - y) ** 2):.3g} -> {error:.3g}." in text
    y[[3, 17, 40]] *= 1000
    assert "(by another loss)" in " ".join(str(diagnose(X, y, **settings)).split())


def test_every_cause_and_verdict_has_its_words():
    assert set(evidence.PROOFS) == set(CAUSES)
    assert set(words.VERDICTS) == set(VERDICTS)


# The run that the options describe.


@pytest.fixture
def diagnosed(monkeypatch):
    """Keep what `diagnose` was called with; the run itself is not made."""
    calls = []

    def kept(X, y, *, sample_weight, **settings):
        assert sample_weight is None
        calls.append((X, y, settings))
        return history.explain([2.0, 1.0, 1.0, 1.0, 1.0])

    monkeypatch.setattr(files, "diagnose", kept)
    return calls


OPTIONS = {
    "optimizer": (["--optimizer", "adam"], "optimizer", Adam()),
    "learning rate": (["--learning-rate", "0.5"], "optimizer", SGD(0.5)),
    "momentum": (["--momentum", "0.9"], "optimizer", SGD(momentum=0.9)),
    "nesterov": (["--momentum", "0.9", "--nesterov"], "optimizer", SGD(momentum=0.9, nesterov=True)),
    "loss": (["--loss", "huber"], "loss", losses.Huber()),
    "delta": (["--loss", "huber", "--delta", "2"], "loss", losses.Huber(2.0)),
    "reduction": (["--reduction", "sum"], "loss", losses.MeanSquaredError(reduction="sum")),
    "l1": (["--l1", "0.5"], "kernel_regularizer", regularizers.L1(0.5)),
    "l2": (["--l2", "0.5"], "kernel_regularizer", regularizers.L2(0.5)),
    "l1 and l2": (["--l1", "0.5", "--l2", "2"], "kernel_regularizer", regularizers.L1L2(0.5, 2.0)),
    "epochs": (["--epochs", "7"], "epochs", 7),
    "batch size": (["--batch-size", "5"], "batch_size", 5),
    "no shuffle": (["--no-shuffle"], "shuffle", False),
    "no intercept": (["--no-intercept"], "fit_intercept", False),
    "seed": (["--seed", "3"], "random_state", 3),
    "dtype": (["--dtype", "float64"], "dtype", "float64"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_reaches_the_run(capsys, diagnosed, name):
    given, setting, expected = OPTIONS[name]
    code, _, err = call(capsys, *BROKEN, *given)
    assert (code, err) == (0, "")
    ((_, _, settings),) = diagnosed
    del settings["validation_data"]
    asked = LinearRegression(**settings).settings()
    found = getattr(asked, setting, settings[setting])
    assert repr(found) == repr(expected)


def test_without_options_the_run_is_that_of_the_estimator(capsys, diagnosed):
    call(capsys, *BROKEN)
    ((X, y, settings),) = diagnosed
    assert (X.columns, len(y)) == (["x"], 36)
    assert settings.pop("validation_data") is None
    assert LinearRegression(**settings).get_params() == LinearRegression(random_state=0).get_params()


def test_scale_trains_on_scaled_features(capsys, diagnosed):
    call(capsys, *BROKEN, "--scale", "standard")
    ((X, _, _),) = diagnosed
    assert X.columns == ["x"]
    np.testing.assert_allclose([X["x"].mean(), X["x"].std(ddof=0)], [0, 1], atol=1e-12)


def test_validation_rows_come_in_the_columns_of_training_and_are_scaled_alike(capsys, csv, diagnosed):
    train = csv("a,b,y\n0,5,1\n2,9,2\n4,1,3\n")
    held = csv("y,b,a\n1,5,2\n2,9,6\n", "held.csv")
    call(capsys, train, "--target", "y", "--validation", held, "--scale", "minmax")
    ((_, _, settings),) = diagnosed
    X, y = settings["validation_data"]
    assert X.columns == ["a", "b"]
    np.testing.assert_allclose(np.asarray(X), [[0.5, 0.5], [1.5, 1.0]])
    assert np.asarray(y).ravel().tolist() == [1, 2]


@pytest.mark.parametrize(("kind", "marks"), [("python", "model = make_pipeline("), ("keras", "keras.Sequential")])
def test_the_remedies_are_printed_as_code_where_that_is_asked_for(capsys, kind, marks):
    _, without, _ = call(capsys, *BROKEN)
    _, out, _ = call(capsys, *BROKEN, "--code", kind)
    assert marks not in without
    script = out[len(without) :]
    compile(script, "script", "exec")
    assert marks in script
    assert script.strip().startswith("# feature_scale: ")
    assert script.count("\n# ") > 2
    assert "no remedy that code" in call(capsys, *HEALTHY, "--code", kind)[1]


# Files that `fit` refuses.

FILES = {
    "missing value": ("x,y\n1,2\n,3\n3,4\n4,5\n", "missing_values"),
    "NA": ("x,y\n1,2\nNA,3\n3,4\n4,5\n", "missing_values"),
    "numbers as text": ('x,y\n"1,234.5",1\n"2,345.5",2\n"3,456.5",4\n', "wrong_dtype"),
    "decimal comma": ("x;y\n1,5;2\n2,5;3\n4,5;7\n", "wrong_dtype"),
    "tabs": ("x\ty\n1,5\t2\n2,5\t3\n4,5\t7\n", "wrong_dtype"),
    "category": ("city,y\nRome,1\nOslo,2\nRome,1\n", "wrong_dtype"),
    "target of categories": ("x,y\n1,red\n2,blue\n3,red\n", "wrong_dtype"),
    "date": ("day,y\n2026-01-01,1\n2026-01-02,2\n2026-01-05,3\n", "wrong_dtype"),
}


@pytest.mark.parametrize("name", FILES)
def test_bad_columns_are_a_finding_and_no_failure(capsys, csv, name):
    text, cause = FILES[name]
    code, out, err = call(capsys, csv(text), "--target", "y", "--epochs", "5")
    assert (code, err) == (cli.FOUND, "")
    assert out.startswith("The run cannot take a step")
    assert f"Main cause     {cause}" in out


def test_another_separator_is_taken_only_where_it_is_asked_for(csv):
    path = csv('"a;b"\ty\n1\t2\n')
    frame = read_table(path, any_separator=True)
    assert frame.columns == ["a;b", "y"]
    with pytest.raises(ValueError, match="between its names"):
        read_table(csv("a;y\n1;2\n"))
    assert read_table(csv('"a;b;c",y\n1,2\n'), any_separator=True).columns == ["a;b;c", "y"]
    with pytest.raises(ValueError, match=r"Line 3 .*1 value"):
        read_table(csv("a;y\n1;2\n3\n"), any_separator=True)


# JSON.


def test_json_holds_everything_as_plain_values(capsys):
    code, out, _ = call(capsys, *BROKEN, "--json")
    told = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert code == cli.FOUND
    assert set(told) == {"verdict", "healthy", "findings", "notes", "run", "loss"}
    assert (told["verdict"], told["healthy"]) == ("diverges", False)
    first = told["findings"][0]
    assert first["cause"] == "feature_scale"
    assert first["evidence"]["limit"] == pytest.approx(3.4079e-6, rel=1e-3)
    assert first["remedies"][0]["after"]["verdict"] == "converges"
    assert first["remedies"][0]["after"]["share_left"] < 0.01
    assert told["loss"]["end"] is None
    assert told["loss"]["start"] == told["loss"]["curve"][0]
    assert told["run"]["features"] == ["x"]
    assert told["run"]["optimizer"] == "SGD()"


def test_to_dict_survives_json(diverging):
    told = values.to_dict(diverging)
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_plain_values_of_whatever_evidence_may_hold():
    given = {
        "array": np.array([1.0, np.nan]), "scalar": np.float32(0.5), "flag": np.bool_(True), "tuple": (1, np.int64(2)),
        3: None, "object": SGD(0.5), "nested": {"inf": [np.inf]},
    }  # fmt: skip
    assert evidence.plain(given) == {
        "array": [1.0, None], "scalar": 0.5, "flag": True, "tuple": [1, 2], "3": None,
        "object": "SGD(learning_rate=0.5)", "nested": {"inf": [None]},
    }  # fmt: skip


# The page.


class Checker(HTMLParser):
    """Collects the text and notes tags that are not closed, and whatever loads or runs something."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.alarms = [], [], []

    def handle_starttag(self, tag, attributes):
        if tag not in {"meta", "circle", "rect", "polyline", "br"}:
            self.open.append(tag)
        if tag in {"script", "link", "img", "iframe", "object", "embed", "base", "form", "use", "image"}:
            self.alarms.append(tag)
        self.alarms += [name for name, value in attributes if name.startswith("on") or name in {"src", "href"}]
        self.alarms += [value for _, value in attributes if value and ("url(" in value or "//" in value)]

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag in {"circle", "rect", "polyline"}:
            return
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def checked(html):
    """Return the text of a page that is well formed, small, and loads nothing."""
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []
    assert checker.alarms == []
    assert "http" not in html.replace("http-equiv", "")
    assert "url(" not in html
    assert "@import" not in html
    assert len(html.encode()) < 1e6
    return " ".join(" ".join(checker.text).split())


def test_the_page_shows_all_and_needs_nothing_else(capsys, tmp_path):
    path = tmp_path / "report.html"
    code, out, _ = call(capsys, "longley", "--target", "total_employment", "--html", str(path))
    assert code == cli.FOUND
    assert f"Page: {path}" in out
    assert os.listdir(tmp_path) == ["report.html"]
    text = checked(path.read_text())
    for heading in ("Main cause", "What to change", "Loss, as it is", "Learning rate against its limit",
                    "Scale of each column", "Residuals and leverage", "Correlations"):  # fmt: skip
        assert heading in text
    assert "armed_forces, unemployed: -0.177" in text


CASES = {
    "adam": (200, 3, {"optimizer": "adam"}), "many features": (300, 60, {}), "many rows": (20_000, 4, {}),
    "one feature": (30, 1, {}), "more features than rows": (20, 40, {}), "huber": (50, 2, {"loss": "huber"}),
    "no intercept": (50, 2, {"fit_intercept": False}), "two rows": (2, 2, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_run_has_its_page_text_and_json(name):
    rows, features, settings = CASES[name]
    rng = np.random.default_rng(2)
    X = rng.normal(size=(rows, features)) * np.logspace(-2, 2, features)
    found = diagnose(X, X.sum(axis=1) + rng.normal(size=rows), epochs=5, random_state=0, **settings)
    text = checked(page.html(found, name))
    assert words.VERDICTS[found.verdict] in text
    assert json.dumps(values.to_dict(found), allow_nan=False)
    assert max(map(len, terminal.text(found).splitlines())) <= terminal.WIDTH


ODD = {
    "constant features": (np.ones((20, 2)), np.arange(20.0)),
    "constant target": (np.arange(40.0).reshape(20, 2), np.ones(20)),
    "target is zero": (np.arange(40.0).reshape(20, 2), np.zeros(20)),
    "features are zero": (np.zeros((20, 2)), np.arange(20.0)),
    "nothing there": (np.full((20, 2), np.nan), np.arange(20.0)),
    "exact": (np.eye(20)[:, :3], np.eye(20)[:, :3] @ [1.0, 2, 3]),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_data_have_their_page_text_and_json(name):
    found = diagnose(*ODD[name], epochs=5, random_state=0)
    checked(page.html(found, name))
    assert terminal.text(found)
    assert json.dumps(values.to_dict(found), allow_nan=False)


def test_the_page_is_written_whole_or_not_at_all(diverging, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr(page, "html", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        page.write(diverging, path, "")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]


def test_a_page_that_cannot_be_renamed_leaves_nothing_behind(diverging, tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(page.Path, "replace", refused)
    with pytest.raises(OSError, match=r"cannot be written \(Permission denied\)"):
        page.write(diverging, tmp_path / "report.html", "")
    assert os.listdir(tmp_path) == []


# Hostile names.


def test_names_from_files_can_steer_neither_terminal_nor_page(capsys, csv, tmp_path):
    rows = "\n".join(f"{i},{i * 1000},{chr(27)}[2J<b>{i % 2},{i}" for i in range(20))
    name = HOSTILE.replace('"', '""')
    data = csv(f'"{name}",b,c,"<y>&"\n{rows}\n', "<i>.csv")
    path = tmp_path / "report.html"
    code, out, err = call(capsys, data, "--target", "<y>&", "--epochs", "5", "--html", str(path))
    assert (code, err) == (cli.FOUND, "")
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "wrong_dtype" in out
    html = path.read_text()
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "&lt;script&gt;alert(1)" in html
    text = checked(html)
    assert "<script>alert(1)</script>\"'&\\x1b[31m[bold red]" in text
    assert "<i>.csv, target <y>&" in text
    _, out, _ = call(capsys, data, "--target", "<y>&", "--epochs", "5", "--json")
    assert HOSTILE in json.loads(out)["run"]["features"]
    assert "\x1b" not in out


def test_hostile_words_of_a_finding_are_escaped_in_text_and_page():
    remedy = Remedy(HOSTILE, f"Drop {HOSTILE}.")
    finding = Finding(
        "feature_scale", {HOSTILE: HOSTILE, "columns": [HOSTILE]}, f"Column {HOSTILE} is large.", (remedy,)
    )
    found = Diagnosis("stuck", (finding, finding), (f"Note {HOSTILE}.",), None, None)
    for shown in (terminal.text(found), page.html(found, HOSTILE)):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    checked(page.html(found, HOSTILE))


def test_rich_markup_in_names_is_printed_as_it_stands(capsys, csv):
    data = csv("[bold]a[/bold],b,y\n" + "\n".join(f"{i * 1000},{i % 3},{i}" for i in range(20)))
    _, out, _ = call(capsys, data, "--target", "y", "--epochs", "5")
    assert "[bold]a[/bold]" in out


# What cannot be done is said in one line.

FAILURES = {
    "nothing": ([], r"FILE --target COLUMN.*--history"),
    "no target": (["norris"], r"FILE --target COLUMN"),
    "no file": (["--target", "y"], r"FILE --target COLUMN"),
    "missing file": (["nofile.csv", "--target", "y"], r"There is no file 'nofile.csv'"),
    "missing column": (["norris", "--target", "z"], r"no column 'z'"),
    "unknown optimizer": ([*BROKEN, "--optimizer", "adma"], r"did you mean 'adam'"),
    "no momentum": ([*BROKEN, "--optimizer", "adam", "--momentum", "0.5"], r"Adam has no parameter 'momentum'"),
    "unknown reduction": ([*BROKEN, "--reduction", "sums"], r"reduction"),
    "negative l2": ([*BROKEN, "--l2", "-1"], r"l2 must be a finite number at least 0"),
    "unknown scaling": ([*BROKEN, "--scale", "standart"], r"did you mean 'standard'"),
    "unknown code": ([*BROKEN, "--code", "kera"], r"'kera'; did you mean 'keras'"),
    "page in no folder": ([*BROKEN, "--html", "nowhere/report.html"], r"There is no folder 'nowhere'"),
    "page is a folder": ([*BROKEN, "--html", "."], r"'.' is a folder"),
    "other validation columns": ([*BROKEN, "--validation", "stackloss"], r"no column 'y'"),
    "no history": (["--history", "nofile.csv"], r"There is no file 'nofile.csv': give a file with one loss a line"),
    "history is a folder": (["--history", "."], r"'.' is a directory"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_cannot_be_done_is_said_in_one_line(capsys, name):
    arguments, message = FAILURES[name]
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (cli.FAILED, "")
    assert err.startswith("linreg: ")
    assert err.count("\n") == 1
    assert re.search(message, err), err


def test_the_installed_command_exits_with_1_and_draws_no_spinner_into_a_pipe():
    line = [sys.executable, "-c", "from linreg.cli import main; main()", "why", *BROKEN, "--epochs", "5"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
    assert done.returncode == cli.FOUND, done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout


# A loss history alone.

FALLING = 5 + 95 * 0.7 ** np.arange(60.0)
JITTER = 0.02 * np.random.default_rng(3).normal(size=60)
HISTORIES = {
    # name: (losses, validation losses, variance of y, verdict, causes)
    "settles": (FALLING, None, None, "converges", []),
    "settles with jitter": (FALLING + JITTER, None, None, "converges", []),
    "settles, validation too": (FALLING + JITTER, FALLING + 1 + JITTER[::-1], None, "converges", []),
    "settles away from the variance": (FALLING, None, 50.0, "converges", []),
    "grows to inf and nan": ([1, 20, 400, 8e3, np.inf, np.nan], None, None, "diverges", ["learning_rate_too_high"]),
    "falls, then grows": ([9, 3, 2, 3, 6, 12, 24, 48, np.nan], None, None, "diverges", ["learning_rate_too_high"]),
    "grows to the end": (1.1 ** np.arange(30.0), None, None, "diverges", ["learning_rate_too_high"]),
    "too short to tell": ([3e5, np.nan, np.nan], None, None, "diverges", [""]),
    "nan out of the blue": ([5, 4, 3, 2.5, 2.2, np.nan], None, None, "diverges", [""]),
    "nan at once": ([np.nan, np.nan], None, None, "cannot_run", [""]),
    "oscillates": ([9] + [2, 6] * 20, None, None, "oscillates", [""]),
    "still falling": (np.linspace(100, 50, 40), None, None, "too_slow", [""]),
    "falls back after a rise": ([1, 9, 8, 7, 6, 5, 4, 3], None, None, "too_slow", [""]),
    "flat": (np.full(30, 7.0), None, None, "stuck", [""]),
    "flat at zero": (np.zeros(5), None, None, "stuck", [""]),
    "at the variance of y": (5 + 95 * 0.1 ** np.arange(60.0), None, 5.0, "converges", ["shape_mismatch"]),
    "flat at the variance of y": (np.full(30, 7.0), None, 7.0, "stuck", ["shape_mismatch"]),
    "overfits": (50 / np.arange(1, 41), 3 + 0.02 * np.abs(np.arange(40) - 15.0), None, "converges", ["overfitting"]),
    "validation never fell": (50 / np.arange(1, 41), 3 + 0.1 * np.arange(40), None, "converges", [""]),
}  # fmt: skip


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_shows_what_it_can_and_no_more(name):
    curve, validation, variance, verdict, causes = HISTORIES[name]
    found = history.explain(curve, validation, variance=variance)
    assert found.verdict == verdict
    assert [finding.cause for finding in found.findings] == causes
    assert "not known" in found.notes[0]
    checked(page.html(found, name))
    assert json.dumps(values.to_dict(found), allow_nan=False)
    assert max(map(len, terminal.text(found).splitlines())) <= terminal.WIDTH


def test_growth_tells_how_far_above_the_limit_full_batch_sgd_is():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(50, 1))
    y = X[:, 0]
    limit = 2 / np.linalg.eigvalsh(2 / 50 * np.c_[X, np.ones(50)].T @ np.c_[X, np.ones(50)])[-1]
    model = LinearRegression(SGD(1.5 * limit), batch_size=50, epochs=40, dtype="float64", random_state=0).fit(X, y)
    (finding,) = history.explain(model.history_["loss"]).findings
    assert finding.cause == "learning_rate_too_high"
    # The first epochs also hold the other direction, which dies out: 40 of them leave a thousandth.
    assert finding.evidence["times_the_limit_at_one_step_an_epoch"] == pytest.approx(1.5, rel=0.01)


def test_shape_mismatch_is_named_where_the_shapes_were_mixed_up_and_only_there():
    rng = np.random.default_rng(5)
    X, noise = rng.normal(size=(200, 1)), rng.normal(size=200)
    y = 3 * X[:, 0] + noise
    told = {}
    for name, target in (("mixed up", y), ("right", y.reshape(-1, 1))):
        w, b, past = np.zeros((1, 1)), 0.0, []
        for _ in range(100):
            error = X @ w + b - target  # (200, 1) - (200,) is (200, 200)
            past.append(float(np.mean(error**2)))
            slope = 2 * error / error.size
            w = w - 0.1 * (X.T @ slope).sum(axis=1, keepdims=True)
            b = b - 0.1 * slope.sum()
        found = history.explain(past, variance=float(y.var()))
        told[name] = [finding.cause for finding in found.findings]
    assert told == {"mixed up": ["shape_mismatch"], "right": []}


@pytest.mark.parametrize("seed", range(10))
def test_healthy_histories_raise_no_alarm(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(240, 4))
    y = X @ rng.normal(size=4) + rng.normal(size=240)
    model = LinearRegression(SGD(0.05), epochs=60, batch_size=int(rng.choice([8, 32, 160])), random_state=seed)
    model.fit(X[:160], y[:160], validation_data=(X[160:], y[160:]))
    found = history.explain(model.history_["loss"], model.history_["val_loss"], variance=float(y[:160].var()))
    assert found.verdict == "converges"
    assert found.findings == ()


@pytest.mark.parametrize("seed", range(20))
def test_jitter_about_a_level_is_neither_rise_nor_fall(seed):
    curve = 7 + 0.1 * np.random.default_rng(seed).normal(size=80)
    assert history.explain(curve, curve[::-1]).verdict == "converges"


FORMS = {
    "one a line": ("3.5\n2\ninf\nnan\n", None),
    "blank lines": ("\n3.5\n\n2\ninf\nnan\n\n", None),
    "a column": ("loss\n3.5\n2\nInfinity\nNaN\n", None),
    "Keras' CSVLogger": ("epoch,loss,val_loss\n0,3.5,4\n1,2,3\n2,inf,inf\n3,nan,nan\n", [4, 3, np.inf, np.nan]),
}


@pytest.mark.parametrize("name", FORMS)
def test_histories_are_read_in_every_usual_form(csv, name):
    text, validation = FORMS[name]
    found, held = history.read(csv(text))
    np.testing.assert_array_equal(found, [3.5, 2, np.inf, np.nan])
    if validation is None:
        assert held is None
    else:
        np.testing.assert_array_equal(held, validation)


BAD_HISTORIES = {
    "empty": ("", r"is empty"),
    "no losses": ("loss\n", r"no losses below"),
    "no column": ("epoch,lss\n0,1\n", r"no column 'loss'; did you mean 'lss'"),
    "text": ("1\n2\nred\n", r"Row 3 .*'red'"),
    "short row": ("epoch,loss\n0\n", r"Row 2 .*nothing"),
    "one epoch": ("1.5\n", r"at least two"),
}


@pytest.mark.parametrize("name", BAD_HISTORIES)
def test_bad_histories_are_refused_in_one_line(capsys, csv, name):
    text, message = BAD_HISTORIES[name]
    code, out, err = call(capsys, "--history", csv(text))
    assert (code, out) == (cli.FAILED, "")
    assert err.count("\n") == 1
    assert re.search(message, err), err


def test_histories_of_different_length_are_refused():
    with pytest.raises(ValueError, match="3 losses and 2 validation losses"):
        history.explain([3, 2, 1], [3, 2])
    with pytest.raises(ValueError, match="one number an epoch"):
        history.explain([[1.0, 2.0]])


def test_why_explains_a_history_file(capsys, csv, tmp_path):
    past = csv("loss\n" + "\n".join(f"{3.0**i:g}" for i in range(20)) + "\ninf\nnan\n", "losses.csv")
    path = tmp_path / "report.html"
    code, out, _ = call(capsys, "--history", past, "--html", str(path))
    assert code == cli.FOUND
    assert "Main cause     learning_rate_too_high. The loss grows by a factor of 3 an epoch" in out
    assert "inf from epoch 21 on" in " ".join(out.split())
    assert "no longer finite from epoch 21 on" in " ".join(out.split())
    assert "Tried" not in out
    assert "grows by a factor of 3" in checked(path.read_text())
    settled = csv("\n".join(str(1 + 9 * 0.5**i) for i in range(40)), "settled.txt")
    assert call(capsys, "--history", settled)[0] == 0


def test_why_takes_the_variance_from_the_file(capsys, csv):
    y = np.arange(10.0)
    data = csv("x,y\n" + "\n".join(f"{i % 3},{v}" for i, v in enumerate(y)))
    past = csv("\n".join(str(y.var() + 50 * 0.2**i) for i in range(40)), "losses.txt")
    assert call(capsys, "--history", past)[0] == 0
    code, out, _ = call(capsys, data, "--target", "y", "--history", past)
    assert code == cli.FOUND
    assert "shape_mismatch" in out


def test_text_in_a_table_that_is_to_be_scaled_is_told_with_its_remedy(capsys, csv):
    rng = np.random.default_rng(3)
    weight, distance = rng.uniform(100, 990, 80), rng.uniform(1, 500, 80)
    cost = 2 + 0.01 * weight + 0.02 * distance
    cells = [f"{w:.0f}" for w in weight]
    cells[7] = cells[30] = '"1,240"'
    lines = [f"{cell},{d:.1f},{c:.2f}" for cell, d, c in zip(cells, distance, cost, strict=True)]
    path = csv("weight,distance,cost\n" + "\n".join(lines) + "\n")
    code, out, err = call(capsys, path, "--target", "cost", "--scale", "standard")
    assert (code, err) == (1, "")
    assert "Main cause     wrong_dtype. Column weight holds numbers with thousands" in out
    assert "The features were not scaled for this (--scale standard)" in out
