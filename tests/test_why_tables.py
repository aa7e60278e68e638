"""What `linreg why` and `linreg study` read: what `linreg fit` reads, as it was found or as `fit` makes it."""

import json
from contextlib import ExitStack

import numpy as np
import pytest

from linreg import cli
from linreg.data import row_files
from linreg.data.found import found
from linreg.data.parts import parts_of
from linreg.diagnosis import diagnose, survey
from linreg.diagnosis.files import diagnose_table
from linreg.diagnosis.given import opened

polars = pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(capsys, *arguments):
    code = cli.run(list(arguments))
    return code, *capsys.readouterr()


def why(capsys, *arguments):
    code, out, err = call(capsys, "why", *arguments, "--target", "y", "--epochs", "5", "--json")
    assert err == ""
    return code, json.loads(out)


def causes(told):
    return [finding["cause"] for finding in told["findings"]]


def rows(count=40):
    draw = np.random.default_rng(0)
    X = draw.normal(size=(count, 2))
    return X, X @ [1.0, 2.0] + 3 + draw.normal(size=count)


def test_files_of_every_kind_are_diagnosed_like_their_arrays(here, capsys):
    X, y = rows()
    frame = polars.DataFrame({"x0": X[:, 0], "x1": X[:, 1], "y": y})
    frame.write_parquet("f.parquet")
    frame.write_ipc("f.arrow")
    frame.write_csv("f.csv", separator=";")
    np.savez("f.npz", x0=X[:, 0], x1=X[:, 1], y=y)
    frame[:25].write_csv("part-1.csv")
    frame[25:].write_parquet("part-2.parquet")
    found = diagnose(X, y, epochs=5, random_state=0)
    for files in (["f.parquet"], ["f.arrow"], ["f.csv"], ["f.npz"], ["part-*"], ["part-1.csv", "part-2.parquet"]):
        _, told = why(capsys, *files)
        assert told["verdict"] == found.verdict, files
        assert causes(told) == [finding.cause for finding in found.findings], files
        assert told["loss"]["curve"] == [float(loss) for loss in found.to_dict()["loss"]["curve"]], files


def test_a_gap_is_a_cause_unless_it_is_said_what_to_do_about_it(here, capsys):
    X, y = rows()
    X[3, 0] = np.nan
    polars.DataFrame({"x0": X[:, 0], "x1": X[:, 1], "y": y}).write_parquet("f.parquet")
    code, told = why(capsys, "f.parquet")
    assert (code, told["verdict"], causes(told)[0]) == (cli.FOUND, "cannot_run", "missing_values")
    kept = np.delete(np.arange(40), 3)
    filled = np.where(np.isnan(X), np.nanmean(X[:, 0]), X)
    for missing, given in (("drop", (X[kept], y[kept])), ("mean", (filled, y))):
        _, told = why(capsys, "f.parquet", "--missing", missing)
        expected = diagnose(*given, epochs=5, random_state=0)
        assert (told["verdict"], causes(told)) == (expected.verdict, [one.cause for one in expected.findings])
        # A mean of 39 values may round otherwise in its last bit, and the run in float32 so in a few of its own.
        assert told["loss"]["curve"] == pytest.approx(expected.to_dict()["loss"]["curve"], rel=1e-5)
        assert any("x0" in note for note in told["notes"])


def test_text_is_a_cause_unless_the_table_of_fit_is_asked_about(here, capsys):
    (here / "f.csv").write_text("town,zone,y\n" + "Ulm,1,1\nBonn,2,2\nUlm,2,1.5\nBonn,1,2.5\nUlm,3,1\n" * 4)
    code, told = why(capsys, "f.csv")
    assert (code, causes(told)[0]) == (cli.FOUND, "wrong_dtype")
    _, told = why(capsys, "f.csv", "--categories", "zone")
    assert told["run"]["features"] == ["town=Ulm", "zone=2", "zone=3"]
    assert "wrong_dtype" not in causes(told)
    assert any("'town' holds categories" in note for note in told["notes"])
    _, told = why(capsys, "f.csv", "--columns", "zone")
    assert told["run"]["features"] == ["zone"]


def test_a_column_of_numbers_in_one_file_and_words_in_another_is_named(here, capsys):
    (here / "a.csv").write_text("x,y\n" + "".join(f"{i},{i}\n" for i in range(30)))
    (here / "b.csv").write_text("x,y\nfour,4\n5,5\n")
    code, out, err = call(capsys, "why", "a.csv", "b.csv", "--target", "y")
    assert (code, err) == (cli.FOUND, "")
    assert "Main cause     wrong_dtype. Column x holds numbers written as text, 'four'" in out


def test_columns_are_found_in_parts_of_any_types(here):
    polars.DataFrame({"a": [1, 2], "b": ["u", None], "c": [True, False]}).write_parquet("1.parquet")
    (here / "2.csv").write_text("c,a,b\n2,3.5,2026-01-31\n")
    with ExitStack() as stack:
        parts = parts_of(["1.parquet", "2.csv"], stack)
        whole = found(parts, ["a", "b", "c"])
        some = found(parts, ["a"], [(1, 2)])
    assert whole["a"].tolist() == [1, 2, 3.5]
    assert whole["b"].tolist()[:2] == ["u", None]
    assert str(whole["b"][2])[:10] == "2026-01-31"
    assert whole["c"].tolist() == [1, 0, 2]
    assert some["a"].tolist() == [2, 3.5]


def test_weights_reach_the_diagnosis(here):
    X, y = rows()
    weight = np.linspace(0.5, 1.5, 40)
    polars.DataFrame({"x0": X[:, 0], "w": weight, "x1": X[:, 1], "y": y}).write_parquet("f.parquet")
    ours = diagnose_table("f.parquet", "y", weights="w", epochs=5, random_state=0)
    expected = diagnose(X, y, sample_weight=weight, epochs=5, random_state=0)
    assert ours.to_dict()["loss"] == expected.to_dict()["loss"]
    assert ours.case.names == ("x0", "x1")


def test_of_a_large_table_with_weights_some_rows_are_diagnosed(here, monkeypatch):
    monkeypatch.setattr(row_files, "IN_MEMORY", -1)
    for module in (survey, diagnose_table.__globals__):
        monkeypatch.setitem(module if isinstance(module, dict) else vars(module), "SAMPLE", 200)
    X, y = rows(1000)
    polars.DataFrame({"x0": X[:, 0], "x1": X[:, 1], "w": np.ones(1000), "y": y}).write_parquet("f.parquet")
    for missing in (None, "error"):
        told = diagnose_table("f.parquet", "y", weights="w", missing=missing, epochs=5)
        assert told.case.count == 200
        assert any(note.startswith("Rows have weights, so 200 of the 1000 rows were") for note in told.notes)


@pytest.mark.parametrize("scale", ["none", "standard", "robust"])
def test_the_table_of_fit_is_streamed_where_it_is_large(here, monkeypatch, scale):
    X, y = rows(600)
    X[5, 0] = np.nan
    frame = polars.DataFrame({"x0": X[:, 0], "x1": X[:, 1], "y": y, "t": ["u", "v", "w"] * 200})
    frame.write_parquet("f.parquet")
    settings = {"missing": "drop", "scale": scale, "epochs": 5, "validation": "f.parquet"}
    small = diagnose_table("f.parquet", "y", **settings)
    monkeypatch.setattr(row_files, "IN_MEMORY", -1)
    large = diagnose_table("f.parquet", "y", **settings)
    assert large.case.names == small.case.names == ("x0", "x1", "t=v", "t=w")
    assert large.verdict == small.verdict
    assert any("599 complete rows" in note for note in large.notes)
    assert {note for note in small.notes if "'t' holds" in note or "left out" in note} <= set(large.notes)


def test_large_tables_lie_where_they_are(here):
    polars.DataFrame({"a": [1.0, None], "y": [1, 2]}).write_parquet("f.parquet")
    with opened("f.parquet", "y") as given:
        assert given.table is not None
        assert np.isnan(given.table.read(0).rows[1, 0])
        assert (given.count, given.names, given.large) == (2, ("a",), False)
    polars.DataFrame({"a": ["1", None], "y": [1, 2]}).write_parquet("f.parquet")
    with opened("f.parquet", "y") as given:
        assert (given.table, given.no_numbers) == (None, ["a"])


def test_fit_asks_why_of_the_table_that_it_trained_on(here, capsys):
    (here / "1.csv").write_text("size,town,w,y\n" + "".join(f"{i * 1000},{'ab'[i % 2]},1,{i}\n" for i in range(20)))
    (here / "2.csv").write_text("size,town,w,y\n,a,2,3\n")
    given = ["1.csv", "2.csv", "--target", "y", "--weights", "w"]
    _, out, _ = call(capsys, "fit", *given, "--missing", "drop", "--epochs", "5", "--json")
    hint = json.loads(out)["why"]
    assert hint == "linreg why 1.csv 2.csv --target y --weights w --missing drop --epochs 5"
    _, told = why(capsys, *given, "--missing", "drop")
    assert told["verdict"] == "diverges"
    assert told["run"]["features"] == ["size", "town=b"]


def test_study_reads_what_fit_reads(here, capsys):
    (here / "1.csv").write_text("size;town;y\n1,5;Ulm;3\n;Bonn;4\n")
    (here / "2.csv").write_text("size;town;y\n2,5;Bonn;5\n")
    given = ["--target", "y", "--no-shuffle", "--epochs", "1", "--steps", "1", "--json"]
    code, _, err = call(capsys, "study", "*.csv", *given)
    assert (code, err.count("\n")) == (cli.FAILED, 1)
    assert "1 of 3 values is missing, in row 1 of '1.csv'" in err
    code, out, err = call(capsys, "study", "*.csv", *given, "--missing", "mean")
    assert (code, err) == (0, "")
    assert {"size", "town=Ulm"} <= {row["label"] for row in json.loads(out)["trace"]}
