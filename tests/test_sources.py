"""Tables of numbers out of files and frames: what stands in them, how new rows are read the same, and what is told."""

import datetime as dt
import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")

import polars as pl
from test_cli import call

from linreg import cli
from linreg.data import blocks, columns, csv_files, open_table, parts
from linreg.data.encoding import Encoding
from linreg.data.sources import names_in
from linreg.regression import LinearRegression

ROOMS = {
    "size": [50.0, 80.0, 65.0, 120.0],
    "town": ["Bern", "Ulm", "Bern", "Graz"],
    "lift": [True, False, False, True],
    "built": [dt.date(1990, 1, 1), dt.date(1990, 1, 31), dt.date(1990, 1, 11), dt.date(1990, 1, 2)],
    "price": [1.0, 2.0, 1.5, 3.0],
}
FEATURES = ("size", "town=Graz", "town=Ulm", "lift", "built")
MATRIX = [[50, 0, 0, 1, 0], [80, 0, 1, 0, 30], [65, 0, 0, 0, 10], [120, 1, 0, 1, 1]]


def written(frame, kind, folder):
    """The frame as this kind of file or frame."""
    if kind == "polars":
        return frame
    if kind == "lazy":
        return frame.lazy()
    if kind == "pandas":
        return pd.DataFrame({name: frame[name].to_list() for name in frame.columns})
    path = folder / f"rooms.{kind}"
    getattr(frame, {"csv": "write_csv", "parquet": "write_parquet", "arrow": "write_ipc"}[kind])(path)
    return path


@pytest.mark.parametrize("kind", ["polars", "lazy", "pandas", "csv", "parquet", "arrow"])
def test_every_kind_of_file_and_frame_gives_the_same_numbers(kind, tmp_path):
    with open_table(written(pl.DataFrame(ROOMS), kind, tmp_path), "price") as table:
        X, y, weight = table.arrays()
        assert table.names == FEATURES
        assert X.tolist() == MATRIX
        assert y.tolist() == ROOMS["price"]
        assert weight is None
        assert (table.count, table.given, table.fits, table.target) == (4, 4, True, "price")


def test_columns_are_selected_in_the_order_asked_for_and_weights_are_no_feature():
    frame = pl.DataFrame(ROOMS)
    table = open_table(frame, "price", columns=["lift", "size"])
    assert table.arrays()[0].tolist() == [[1, 50], [0, 80], [0, 65], [1, 120]]
    table = open_table(frame, "price", weights="size")
    assert table.names == FEATURES[1:]
    assert table.arrays()[2].tolist() == ROOMS["size"]
    assert table.read(0).weight.tolist() == ROOMS["size"]


def test_names_are_listed_as_a_line_of_csv():
    assert names_in(None) is None
    assert names_in('a, b ,"c,d"') == ["a", "b", "c,d"]


# The vocabulary and all else that was found in the columns is kept, and reads new rows the same.


def kept(encoding):
    """An encoding that has been through a file of JSON."""
    return Encoding.from_dict(json.loads(json.dumps(encoding.to_dict(), allow_nan=False)))


@pytest.mark.parametrize("kind", ["polars", "pandas", "csv", "parquet"])
def test_new_rows_are_encoded_with_the_vocabulary_and_the_days_of_the_first(kind, tmp_path):
    encoding = kept(open_table(pl.DataFrame(ROOMS), "price").encoding)
    new = {
        "town": ["Graz", "Bern"],
        "built": [dt.date(1989, 12, 31), dt.date(1990, 2, 1)],
        "size": [1, 2],
        "lift": [False, True],
    }
    table = open_table(written(pl.DataFrame(new), kind, tmp_path), None, encoding=encoding)
    X, y, weight = table.arrays()
    assert table.names == FEATURES
    assert X.tolist() == [[1, 1, 0, 0, -1], [2, 0, 0, 1, 31]]
    assert (y, weight, table.target) == (None, None, None)


def test_a_category_that_was_not_seen_is_named_with_its_column_and_row(tmp_path):
    encoding = open_table(pl.DataFrame(ROOMS), "price").encoding
    new = pl.DataFrame({**ROOMS, "town": ["Bern", "Bern", "Rome", "Ulm"]})
    said = (
        r"Column 'town' of '.*rooms\.csv' holds 'Rome' in row 2 .*its categories are 'Bern', 'Graz', 'Ulm': correct it"
    )
    with pytest.raises(ValueError, match=said):
        open_table(written(new, "csv", tmp_path), "price", encoding=encoding)


def test_text_is_read_in_the_notation_of_the_first_rows():
    first = pl.DataFrame({"x": ["1,5", "1.000,5"], "d": ["13/01/2024", "14/01/2024"], "y": [1, 2]})
    encoding = kept(open_table(first, "y").encoding)
    again = pl.DataFrame({"x": ["2,000"], "d": ["02/01/2024"]})  # alone, these are 2000 and the 1st of February
    assert open_table(again, None, encoding=encoding).arrays()[0].tolist() == [[2.0, -11.0]]
    with pytest.raises(
        ValueError, match=r"Column 'x' of the table holds '1,2,3' in row 0 .*numbers like '1\.234,5' are"
    ):
        open_table(pl.DataFrame({"x": ["1,2,3"], "d": ["02/01/2024"]}), None, encoding=encoding)


def test_categories_that_look_like_numbers_stay_categories_in_new_files(tmp_path):
    (tmp_path / "a.csv").write_text("zip,y\n01,1\n1,2\n2,3\n")
    (tmp_path / "b.csv").write_text("zip\n2\n1\n")
    table = open_table(tmp_path / "a.csv", "y", categories=["zip"])
    assert table.names == ("zip=1", "zip=2")
    assert table.arrays()[0].tolist() == [[0, 0], [1, 0], [0, 1]]
    assert open_table(tmp_path / "b.csv", None, encoding=table.encoding).arrays()[0].tolist() == [[0, 1], [1, 0]]


def test_gaps_of_new_rows_are_filled_with_the_values_of_the_first():
    first = pl.DataFrame({"x": [1.0, None, 4.0], "z": [1.0, 2.0, 9.0], "y": [1, 2, 3]})
    for missing, values in (("mean", [2.5, 4.0]), ("median", [2.5, 2.0])):
        encoding = kept(open_table(first, "y", missing=missing).encoding)
        new = pl.DataFrame({"x": [None, 5.0], "z": [3.0, None]}, schema={"x": pl.Float64, "z": pl.Float64})
        assert open_table(new, None, encoding=encoding).arrays()[0].tolist() == [[values[0], 3.0], [5.0, values[1]]]


BAD_PLAIN = {
    "no dict": [],
    "a field less": {"columns": [], "weights": None, "missing": "error"},
    "a column of another type": {"columns": [1], "target": {}, "weights": None, "missing": "error"},
}


@pytest.mark.parametrize("plain", BAD_PLAIN.values(), ids=BAD_PLAIN.keys())
def test_what_is_no_encoding_is_refused(plain):
    with pytest.raises(ValueError, match="write it anew"):
        Encoding.from_dict(plain)


@pytest.mark.parametrize(
    "change",
    [{"kind": "code"}, {"origin": float("nan")}, {"fill": "1"}, {"categories": [1]}, {"style": "x"}, {"fill": True}],
)
def test_a_damaged_column_of_an_encoding_is_refused(change):
    plain = open_table(pl.DataFrame(ROOMS), "price").encoding.to_dict()
    plain["columns"][0] |= change
    with pytest.raises(ValueError, match="write it anew"):
        Encoding.from_dict(plain)


# Missing values

GAPS = {"x": [1.0, None, 3.0, 4.0], "c": ["a", "b", None, "b"], "w": [1.0, 1.0, 1.0, 2.0], "y": [1.0, 2.0, 3.0, 4.0]}


def test_missing_values_are_refused_with_their_number_and_first_places():
    frame = pl.DataFrame({"x": [None, 1.0, None, None, 2.0, None], "y": range(6)})
    with pytest.raises(
        ValueError,
        match=r"Column 'x' of the table: 4 of 6 values are missing, the first in row 0, row 2, "
        r"row 3, counted from 0\. .*--missing drop",
    ):
        open_table(frame, "y")


def test_rows_with_gaps_are_left_out_only_as_asked_and_counted():
    table = open_table(pl.DataFrame(GAPS), "y", weights="w", missing="drop")
    X, y, weight = table.arrays()
    assert (X.tolist(), y.tolist(), weight.tolist()) == ([[1, 0], [4, 1]], [1, 4], [1, 2])
    assert (table.count, table.given, table.gaps) == (2, 4, {"x": 1, "c": 1})
    assert table.read(0).numbers.tolist() == [0, 3]
    assert "2 of 4 rows have missing values and were left out: 'x' 1, 'c' 1." in table.notes()


def test_a_gap_in_categories_target_or_weights_has_no_mean():
    with pytest.raises(ValueError, match=r"Column 'c' .* categories have no mean"):
        open_table(pl.DataFrame(GAPS), "y", missing="mean")
    with pytest.raises(ValueError, match=r"Column 'x' .* only features are filled in"):
        open_table(pl.DataFrame(GAPS), "x", columns=["y"], missing="median")


@pytest.mark.parametrize("large", [False, True], ids=["in memory", "larger than memory"])
@pytest.mark.parametrize("files", ["ab", "ba"])
def test_a_column_that_is_empty_in_one_file_is_what_it_is_in_the_others(tmp_path, monkeypatch, files, large):
    if large:
        monkeypatch.setattr(parts, "IN_MEMORY", 0)
    (tmp_path / "a").write_text("c,x,y\n,1,1\n,2,2\n")
    (tmp_path / "b").write_text("c,x,y\nred,3,2\nblue,4,5\n")
    with open_table([tmp_path / name for name in files], "y", missing="drop") as table:
        X, _, _ = table.arrays()
    assert table.names == ("c=red", "x")
    assert X.tolist() == [[1, 3], [0, 4]]


def test_words_among_many_numbers_are_missing_values_and_told():
    words = [str(number) for number in range(20)] + ["unknown"]
    frame = pl.DataFrame({"x": words, "y": range(21)})
    with pytest.raises(
        ValueError,
        match=r"1 of 21 values is missing \(words like 'unknown' count as missing\), in row 20 "
        r"\('unknown'\)",
    ):
        open_table(frame, "y")
    table = open_table(frame, "y", missing="drop")
    assert table.arrays()[0][:, 0].tolist() == list(range(20))
    assert "Words between the numbers of column 'x' count as missing: 'unknown'." in table.notes()


# Block by block


@pytest.mark.parametrize("kind", ["polars", "pandas", "csv", "parquet"])
def test_blocks_are_the_rows_in_order_whatever_their_size(kind, tmp_path, monkeypatch):
    rows = 50
    frame = pl.DataFrame(
        {
            "x": np.arange(rows) / 2,
            "c": ["ab"[i % 2] for i in range(rows)],
            "w": [1.0] * rows,
            "y": [None if i == 7 else float(i) for i in range(rows)],
        }
    )
    given = written(frame, kind, tmp_path)
    whole = open_table(given, "y", weights="w", missing="drop").arrays()
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 6)
    monkeypatch.setattr(parts, "IN_MEMORY", 0)
    monkeypatch.setattr(csv_files, "CHUNK", 50)
    with open_table(given, "y", weights="w", missing="drop") as table:
        read = [table.read(block) for block in range(len(table))]
        assert len(table) == 9
        numbers = np.concatenate([block.numbers for block in read])
        assert numbers.tolist() == [i for i in range(rows) if i != 7]
        together = np.concatenate([block.rows for block in read])
        np.testing.assert_array_equal(together[:, :2], whole[0])
        np.testing.assert_array_equal(together[:, 2], whole[1])
        np.testing.assert_array_equal(table.arrays()[0], whole[0])
        np.testing.assert_array_equal(np.concatenate([block.weight for block in read]), whole[2])


def test_a_table_is_a_source_of_windows():
    frame = pl.DataFrame({"x": np.arange(10.0), "y": np.arange(10.0)})
    windows = list(blocks.windows(open_table(frame, "y"), 4, None))
    assert [window.rows[:, 0].tolist() for window in windows] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize("closed_far_below", [False, True])
def test_a_stray_quotation_mark_does_not_collect_the_file(tmp_path, monkeypatch, closed_far_below):
    monkeypatch.setattr(csv_files, "OPEN", 2**12)
    monkeypatch.setattr(csv_files, "CHUNK", 2**12)
    file = tmp_path / "stray.csv"
    rows = ["# a comment", "1,2", "", '"3,4', *["5,6"] * 100_000, '7",8' if closed_far_below else "7,8"]
    file.write_text("\n".join(["x,y", *rows]))
    taken, piece = [], csv_files._piece

    def seen(opened, name):
        taken.append(piece(opened, name))
        return taken[-1]

    monkeypatch.setattr(csv_files, "_piece", seen)
    with pytest.raises(ValueError, match=r"below line 3 .*; the first one there is in line 5\."):
        open_table(file, "y")
    # A chunk, more while the mark is open, and the lines that each of them ends in.
    assert sum(map(len, taken)) <= 2**12 + 2**12 + 2 * len("5,6\n")


def test_an_inch_sign_is_no_open_quotation_mark(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_files, "OPEN", 2**7)
    monkeypatch.setattr(csv_files, "CHUNK", 2**7)
    monkeypatch.setattr(csv_files, "RECORDS", 3)
    rack = ["x,rack,y", '1,19" wide,2', *[f"{row},none,{row}" for row in range(1000)], '3,"19"" wide",4']
    (tmp_path / "racks.csv").write_text("\n".join(rack))
    with open_table(tmp_path / "racks.csv", "y") as table:
        X, y, _ = table.arrays()
    assert X[:, 0].tolist() == [1, *range(1000), 3]
    assert X[:, 1].tolist() == [0, *[1] * 1000, 0]  # '19" wide' is the first category, as written in both ways
    assert y.tolist() == [2, *range(1000), 4]


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_files, "LINE", 2**10)
    monkeypatch.setattr(csv_files, "CHUNK", 2**10)
    (tmp_path / "long.csv").write_text("x,y" + "\r1,2" * 10_000)
    with pytest.raises(ValueError, match="holds a line of more than"):
        open_table(tmp_path / "long.csv", "y")


def test_a_csv_file_is_read_at_once_only_where_the_memory_does_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    file = tmp_path / "rows.csv"
    file.write_text("x,y\n" + "1,2\n" * 1000)
    for memory, turned in ((None, False), ("1MB", False), (1000, True), ("1kB", True)):
        with open_table(file, "y", memory=memory) as table:
            assert bool(list(tmp_path.glob("linreg-*"))) == turned
            assert table.arrays()[0].tolist() == [[1.0]] * 1000


def test_the_files_that_a_large_csv_file_was_turned_into_are_gone_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "IN_MEMORY", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "f.csv").write_text("x,y\n1,2\n")
    with open_table(tmp_path / "f.csv", "y") as table:
        assert len(list(tmp_path.iterdir())) == 2
        assert table.arrays()[0].tolist() == [[1.0]]
    assert [path.name for path in tmp_path.iterdir()] == ["f.csv"]
    with pytest.raises(ValueError, match="no column 'z'"):
        open_table(tmp_path / "f.csv", "z")
    assert [path.name for path in tmp_path.iterdir()] == ["f.csv"]


KILLED = """
import os, signal, sys, tempfile
from linreg.data import csv_files, open_table, parts
parts.IN_MEMORY, csv_files.CHUNK, tempfile.tempdir = 0, 8, sys.argv[2]
piece = csv_files._piece
def third(*given):
    third.calls += 1
    if third.calls == 3:
        os.kill(os.getpid(), signal.SIGTERM)
    return piece(*given)
third.calls = 0
csv_files._piece = third
open_table(sys.argv[1], "y")
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows ends processes without signals")
def test_what_a_killed_process_left_is_removed_by_the_next_and_nothing_that_is_in_use(tmp_path, monkeypatch):
    file, place = tmp_path / "f.csv", tmp_path / "temporary"
    place.mkdir()
    file.write_text("x,y\n" + "1,2\n" * 30)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(file), str(place)], check=False)  # noqa: S603
    assert killed.returncode == -signal.SIGTERM
    [left] = place.iterdir()
    assert len(list(left.iterdir())) > 1
    monkeypatch.setattr(parts, "IN_MEMORY", 0)
    monkeypatch.setattr("tempfile.tempdir", str(place))
    with open_table(file, "y"):
        assert left.exists()  # it may be one that is being made
    os.utime(left, (0, 0))
    with open_table(file, "y"):
        [used] = place.iterdir()
        assert used != left
        os.utime(used, (0, 0))
        with open_table(file, "y") as table:
            assert used.exists()
            assert table.count == 30
    assert not list(place.iterdir())


@pytest.mark.parametrize(
    ("names", "pattern"), [(["1.parquet", "2.parquet", "x.csv"], "*.parquet"), (["1.txt"], "*.csv")]
)
def test_a_folder_is_refused_with_a_pattern_of_what_is_in_it(tmp_path, names, pattern):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(IsADirectoryError, match=re.escape(f"{tmp_path}/{pattern}")):
        LinearRegression().fit(tmp_path, "y")


# The command

CSV = "size,town,n,price\n50,Bern,1,1\n80,Ulm,1,2\n,Bern,2,1.5\n120,Ulm,1,3\n"


@pytest.fixture
def rooms(tmp_path):
    path = tmp_path / "rooms.csv"
    path.write_text(CSV)
    return str(path)


def test_fit_tells_what_was_done_to_the_data(capsys, rooms):
    options = [
        "--target",
        "price",
        "--columns",
        "size,town",
        "--weights",
        "n",
        "--missing",
        "drop",
        "--scale",
        "standard",
    ]
    _, out, _ = call(capsys, "fit", rooms, *options)
    assert f"{rooms}: 3 rows, features size, town=Ulm, target price" in out
    assert "Column 'town' holds categories, which became 1 column of 0 and 1 ('Ulm'); all are 0 for 'Bern'." in out
    assert "1 of 4 rows have missing values and were left out: 'size' 1." in out
    _, out, _ = call(capsys, "fit", rooms, *options, "--json")
    data = json.loads(out)["data"]
    assert (data["rows"], data["left_out"], data["missing"]) == (4, 1, {"size": 1})
    assert data["encoding"]["columns"][1]["categories"] == ["Bern", "Ulm"]
    assert len(data["notes"]) == 2


def test_fit_weighs_rows_as_if_they_stood_there_so_many_times(capsys, tmp_path):
    weighted, repeated = tmp_path / "w.csv", tmp_path / "r.csv"
    rows = [(1, 1, 2), (2, 3, 1), (4, 2, 3)]
    weighted.write_text("x,y,n\n" + "".join(f"{x},{y},{n}\n" for x, y, n in rows))
    repeated.write_text("x,y\n" + "".join(f"{x},{y}\n" * n for x, y, n in rows))
    _, one, _ = call(capsys, "fit", str(weighted), "--target", "y", "--weights", "n", "--json", "--epochs", "1")
    _, other, _ = call(capsys, "fit", str(repeated), "--target", "y", "--json", "--epochs", "1")
    one, other = json.loads(one), json.loads(other)
    # Of the six rows: sum x 16, y 11, x y 32, x x 54.
    slope = (6 * 32 - 16 * 11) / (6 * 54 - 16**2)
    for found in (one, other):
        assert found["optimum"]["x"] == pytest.approx(slope, rel=1e-12)
        assert found["optimum_intercept"] == pytest.approx((11 - 16 * slope) / 6, rel=1e-12)
    assert one["optimum_mse"] == pytest.approx(other["optimum_mse"], rel=1e-12)


def test_fit_reads_several_files_by_pattern(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("a1.csv", "x,y\n0,1\n1,3\n"), ("a2.csv", "x,y\n2,5\n")):
        (tmp_path / name).write_text(text)
    for files in (["a*.csv"], ["a1.csv", "a2.csv"]):
        _, out, _ = call(capsys, "fit", *files, "--target", "y", "--json", "--epochs", "1")
        found = json.loads(out)
        assert found["rows"] == 3
        assert found["optimum"]["x"] == pytest.approx(2, rel=1e-12)
        assert found["data"]["files"] == ["a1.csv", "a2.csv"]


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow"])
def test_files_of_a_pattern_are_read_in_the_order_of_the_numbers_in_their_paths(kind, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = [f"{folder}/part.{name}" for folder in ("1", "2", "10") for name in ("0", "1", "01", "2", "10", "a")]
    # "01" and "1" are the same number: as text, "01" comes first.
    in_order = [f"{folder}/part.{name}" for folder in ("1", "2", "10") for name in ("0", "01", "1", "2", "10", "a")]
    for place in places:
        (tmp_path / place).parent.mkdir(exist_ok=True)
        row = pl.DataFrame({"x": [in_order.index(place)], "y": [2 * in_order.index(place)]})
        getattr(row, {"csv": "write_csv", "parquet": "write_parquet", "arrow": "write_ipc"}[kind])(f"{place}.{kind}")
    with open_table(f"*/part*.{kind}", "y") as table:
        assert table.arrays()[0].ravel().tolist() == list(range(len(places)))
    expected = LinearRegression(epochs=2, batch_size=4, shuffle=False, random_state=0)
    expected.fit(np.arange(len(places))[:, np.newaxis], 2 * np.arange(len(places)))
    for way in ("--no-stream", "--stream"):
        order = ["--no-shuffle", "--epochs", "2", "--batch-size", "4", "--seed", "0", "--json"]
        told = json.loads(call(capsys, "fit", f"*/part*.{kind}", "--target", "y", way, *order)[1])
        assert told["history"]["loss"] == expected.history_["loss"]


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow"])
def test_a_path_that_looks_like_a_pattern_is_taken_as_it_stands(kind, tmp_path):
    write = {"csv": "write_csv", "parquet": "write_parquet", "arrow": "write_ipc"}[kind]
    (tmp_path / "d[1]").mkdir()
    (tmp_path / "d1").mkdir()
    getattr(pl.DataFrame({"x": [1.0], "y": [2.0]}), write)(tmp_path / "d[1]" / f"w[2]*.{kind}")
    getattr(pl.DataFrame({"x": [8.0], "y": [9.0]}), write)(tmp_path / "d1" / f"w2.{kind}")
    with open_table(tmp_path / "d[1]" / f"w[2]*.{kind}", "y") as table:
        assert [values.tolist() for values in table.arrays()[:2]] == [[[1.0]], [2.0]]


def test_the_hints_repeat_how_the_table_is_read(capsys, tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("x,z,y\n" + "".join(f"{1000 * i},{'' if i == 3 else i},{i}\n" for i in range(20)))
    code, out, _ = call(capsys, "fit", str(path), "--target", "y", "--missing", "mean", "--columns", "x,z")
    assert code == cli.FOUND
    assert f"linreg fit {path} --target y --columns x,z --missing mean --scale standard" in out
    assert f"linreg why {path} --target y --columns x,z --missing mean\n" in out


def test_the_model_of_a_table_is_that_of_the_arrays_in_it():
    frame = pl.DataFrame(ROOMS)
    X, y, _ = open_table(frame, "price").arrays()
    one = LinearRegression(epochs=3, random_state=0).fit(X / 100, y)
    other = LinearRegression(epochs=3, random_state=0).fit(np.array(MATRIX) / 100, ROOMS["price"])
    np.testing.assert_array_equal(one.coef_, other.coef_)


REFUSED = {
    "no target": ({"target": None}, ValueError, "target is None"),
    "unknown missing": ({"missing": "mode"}, ValueError, "Known: drop, error, mean, median"),
    "unknown column": ({"columns": ["siez"]}, ValueError, "did you mean 'size'"),
    "no columns": ({"columns": []}, ValueError, "at least one feature"),
    "target as weights": ({"weights": "price"}, ValueError, "cannot be the weights"),
    "weights as feature": ({"weights": "size", "columns": ["size"]}, ValueError, "cannot be a feature"),
    "weights of words": ({"weights": "town"}, TypeError, "'Bern' in row 0"),
    "weights of dates": ({"weights": "built"}, ValueError, "no plain numbers"),
    "categories of no feature": ({"categories": ["price"]}, ValueError, "no feature"),
    "target of words": ({"target": "town"}, TypeError, "'Bern' in row 0.*classification"),
}


@pytest.mark.parametrize(("given", "kind", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_meant_is_refused_in_one_line(given, kind, said):
    with pytest.raises(kind, match=said) as caught:
        open_table(pl.DataFrame(ROOMS), **{"target": "price", **given})
    assert "\n" not in str(caught.value)


def test_an_encoding_says_all_about_columns():
    frame = pl.DataFrame(ROOMS)
    encoding = open_table(frame, "price").encoding
    with pytest.raises(ValueError, match="An encoding says what columns there are"):
        open_table(frame, "price", columns=["size"], encoding=encoding)
    with pytest.raises(ValueError, match="has no column 'town'"):
        open_table(frame.drop("town"), None, encoding=encoding)


@pytest.mark.parametrize("files", [3, [3], None, np.ones((2, 2))])
def test_what_is_neither_files_nor_a_frame_is_refused(files):
    with pytest.raises(TypeError, match="Expected paths of files, or a frame"):
        open_table(files, "y")


def test_too_many_texts_are_refused_before_they_fill_the_memory(monkeypatch):
    monkeypatch.setattr(columns, "MOST_TEXTS", 3)
    with pytest.raises(ValueError, match=r"'x' .* more than 3 different texts"):
        open_table(pl.DataFrame({"x": list("abcd"), "y": range(4)}), "y")


def test_importing_linreg_does_not_import_what_reads_tables():
    code = "import sys, linreg; sys.exit('linreg.data.sources' in sys.modules or 'polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603
