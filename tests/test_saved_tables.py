"""Models of tables in files: new tables are read as the first was, and what cannot be is refused by its place."""

import datetime as dt
import json
import shlex
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")

import polars as pl
from test_cli import call
from test_hostile_files import with_document

import linreg
from linreg import LinearRegression, cli
from linreg.archives import read_archive
from linreg.data import blocks, open_table
from linreg.pipelines import PreparedModel
from linreg.saving.models import KIND

DAY = dt.timedelta(days=1)
ROWS = {
    "size": [50.0, None, 65.0, 120.0, 80.0, 45.0],
    "town": ["Bern", "Ulm", "Bern", "Graz", "Ulm", "Bern"],
    "lift": [True, False, False, True, True, False],
    "built": [dt.date(1990, 1, day) for day in (1, 31, 11, 2, 5, 6)],
    "sold": [f"{day}/01/2001" for day in (13, 14, 15, 31, 20, 16)],
    "load": ["1.234,5 kg", "2,5 kg", "3 kg", "4 kg", "0,5 kg", "7 kg"],
    "share": ["12%", "5%", None, "7 %", "4%", "NA"],
    "zip": [1, 22, 1, 3, 3, 22],
    "price": [1.0, 2.0, 1.5, 3.0, 2.5, 0.5],
}
"""Numbers, categories, booleans, dates, dates and numbers as text, categories that are numbers; some are missing."""
NAMES = ("size", "town=Graz", "town=Ulm", "lift", "built", "sold", "load", "share", "zip=22", "zip=3")
MEAN_SIZE, MEAN_SHARE = (50 + 65 + 120 + 80 + 45) / 5, (12 + 5 + 7 + 4) / 4
MATRIX = [
    [50, 0, 0, 1, 0, 0, 1234.5, 12, 0, 0],
    [MEAN_SIZE, 0, 1, 0, 30, 1, 2.5, 5, 1, 0],
    [65, 0, 0, 0, 10, 2, 3, MEAN_SHARE, 0, 0],
    [120, 1, 0, 1, 1, 18, 4, 7, 0, 1],
    [80, 0, 1, 1, 4, 7, 0.5, 4, 0, 1],
    [45, 0, 0, 0, 5, 3, 7, MEAN_SHARE, 1, 0],
]
NEW = {
    "note": ["a", "b", "c"],
    "zip": [3, 1, 22],
    "share": [None, "8%", "0%"],
    "load": ["1.000 kg", "-0,25 kg", "7 kg"],
    "sold": ["13/01/2001", "2/2/2001", "12/01/2001"],
    "built": [dt.date(1989, 12, 31), dt.date(1990, 2, 1), dt.date(1990, 1, 1)],
    "lift": [False, True, True],
    "town": ["Ulm", "Ulm", "Bern"],
    "size": [None, 1.5, 70.0],
}
"""Columns in another order, one more, none to predict."""
NEW_MATRIX = [
    [MEAN_SIZE, 0, 1, 0, -1, 0, 1000, MEAN_SHARE, 0, 1],
    [1.5, 0, 1, 1, 31, 20, -0.25, 8, 0, 0],
    [70, 0, 0, 1, 0, -1, 7, 0, 1, 0],
]
KINDS = ("csv", "parquet", "arrow")


def written(columns, kind, folder, name):
    """A table as this kind of file."""
    path = folder / f"{name}.{kind}"
    frame = pl.DataFrame(columns)
    if kind == "csv":
        frame.write_csv(path, separator=";")
    else:
        (frame.write_parquet if kind == "parquet" else frame.write_ipc)(path)
    return path


def fit_of_command(folder, capsys, path, *options, epochs=20):
    """What `linreg fit` tells of a model that it saves, and that file."""
    model = folder / "model.npz"
    code, out, err = call(
        capsys, "fit", str(path), "--target", "price", "--missing", "mean", "--categories", "zip", "--epochs",
        str(epochs), "--dtype", "float64", "--save", str(model), "--json", *options,
    )  # fmt: skip
    assert err == ""
    assert code in (0, cli.FOUND)
    return json.loads(out), model


@pytest.mark.parametrize(("missing", "fills"), [("mean", 3.0), ("median", 2.0)])
def test_the_command_that_fit_prints_after_filling_gaps_predicts_the_same_rows(capsys, tmp_path, missing, fills):
    rows, model = tmp_path / "rows with gaps.csv", tmp_path / "model.npz"
    rows.write_text("a,y\n1,2\n2,3\n,4\n6,5\n")
    fit = ["fit", str(rows), "--target", "y", "--missing", missing, "--epochs", "3", "--save", str(model)]
    code, out, _ = call(capsys, *fit)
    (line,) = (line for line in out.splitlines() if line.startswith("To predict: linreg "))
    code, out, err = call(capsys, *shlex.split(line)[3:])
    assert (code, err) == (0, "")
    assert list(map(float, out.split()[1:])) == linreg.load(model).predict([[1.0], [2.0], [fills], [6.0]]).tolist()


@pytest.mark.parametrize("other", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_predict_reads_a_new_file_of_any_kind_as_fit_read_the_first(capsys, tmp_path, kind, other):
    told, model = fit_of_command(tmp_path, capsys, written(ROWS, kind, tmp_path, "rows"), "--scale", "standard")
    assert tuple(told["coefficients"]) == NAMES
    known = np.array(NEW_MATRIX) @ list(told["coefficients"].values()) + told["intercept"]
    new = written(NEW, other, tmp_path, "new")
    code, out, err = call(capsys, "predict", str(model), str(new))
    assert (code, err, out.split("\n")[0]) == (0, "", "prediction")
    predicted = list(map(float, out.split()[1:]))
    # Eleven products and a sum, of which the largest belongs to the loads: up to 1234.5 kg at their coefficient.
    size = max(map(abs, told["coefficients"].values())) * 1234.5 + abs(told["intercept"]) + 10
    np.testing.assert_allclose(predicted, known, rtol=0, atol=40 * 2.0**-53 * size)
    loaded = linreg.load(model)
    assert loaded.predict(NEW_MATRIX).tolist() == predicted  # the numbers by hand give all bits of the table's
    assert loaded.predict(pl.read_csv(new, separator=";") if other == "csv" else new).tolist() == predicted
    assert loaded.predict(pd.DataFrame(NEW)).tolist() == predicted
    assert loaded.predict(pl.DataFrame(NEW).lazy()).tolist() == predicted


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", ["none", "standard", "minmax", "robust"])
def test_a_loaded_model_predicts_the_bits_that_it_predicted_before_it_was_saved(tmp_path, dtype, scale):
    pytest.importorskip("sklearn", reason="scaling is scikit-learn's work: pip install 'linreg[data]'")
    from sklearn.pipeline import make_pipeline

    from linreg.data.scaling import scaler

    frame = pl.DataFrame(ROWS)
    model = LinearRegression(epochs=20, random_state=0, dtype=dtype)
    with open_table(frame, "price", missing="mean", categories=["zip"]) as table:
        X, y, _ = table.arrays()
    assert table.names == NAMES
    assert X.tolist() == MATRIX
    fitted = (model if scale == "none" else make_pipeline(scaler(scale), model)).fit(X, y)
    before = fitted.predict(X)
    path = linreg.save(fitted, tmp_path / "model.npz", encoding=table.encoding)
    loaded = linreg.load(path)
    assert loaded.encoding == table.encoding
    assert list(loaded.feature_names_in_) == list(NAMES)
    for rows in (X, frame, pd.DataFrame(ROWS), frame.drop("price"), written(ROWS, "csv", tmp_path, "rows")):
        assert loaded.predict(rows).tobytes() == before.tobytes()
    again = linreg.load(linreg.save(loaded, tmp_path / "again.npz"))
    assert again.predict(frame).tobytes() == before.tobytes()
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def test_a_model_that_was_streamed_from_a_table_takes_such_tables(tmp_path):
    frame = pl.DataFrame(ROWS)
    with open_table(frame, "price", missing="mean") as table:
        model = LinearRegression(epochs=2, random_state=0).fit(table)
        before = model.predict(pl.DataFrame(table.arrays()[0], schema=list(table.names)))
        loaded = linreg.load(linreg.save(model, tmp_path / "model.npz", encoding=table.encoding))
    assert loaded.predict(frame).tobytes() == before.tobytes()


def test_a_table_that_is_streamed_by_the_command_is_read_the_same(capsys, tmp_path):
    rows = written(ROWS, "csv", tmp_path, "rows")
    options = ("--scale", "standard", "--no-shuffle")
    predicted = []
    for extra in ((), ("--stream", "--memory", "1MB")):
        _, model = fit_of_command(tmp_path, capsys, rows, *options, *extra)
        predicted.append(call(capsys, "predict", str(model), str(rows), "--json"))
    assert predicted[0][0] == 0
    one, other = (json.loads(out)["predictions"] for _, out, _ in predicted)
    # A scaler that is fitted block by block adds up in another order; 20 steps carry a few roundings each.
    np.testing.assert_allclose(one, other, rtol=0, atol=1000 * 2.0**-53)


def test_numbers_alone_keep_what_fills_their_gaps(capsys, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("a,b,price\n1,2,3\n,4,5\n5,9,1\n")
    told, model = fit_of_command(tmp_path, capsys, rows, "--learning-rate", "0.001", "--categories", "b")
    assert tuple(told["coefficients"]) == ("a", "b=4", "b=9")
    (tmp_path / "new.csv").write_text("b,a\n9,\n")
    predicted = json.loads(call(capsys, "predict", str(model), str(tmp_path / "new.csv"), "--json")[1])["predictions"]
    assert predicted == linreg.load(model).predict([[3.0, 0.0, 1.0]]).tolist()


def test_a_table_is_predicted_block_by_block_to_the_same_bits(tmp_path, monkeypatch):
    frame = pl.DataFrame(ROWS)
    with open_table(frame, "price", missing="mean") as table:
        model = LinearRegression(epochs=2, random_state=0).fit(*table.arrays()[:2])
    loaded = linreg.load(linreg.save(model, tmp_path / "model.npz", encoding=table.encoding))
    whole = loaded.predict(frame)
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 4)
    assert loaded.predict(frame).tobytes() == whole.tobytes()
    large = frame.with_columns(size=pl.Series([1.0] * 5 + [1e300]))
    with pytest.raises(ValueError, match=r"In the rows from 4 on: Input X contains a value too large .*in row 1, col"):
        loaded.predict(large)


def test_weights_and_target_are_not_asked_for_again(capsys, tmp_path):
    rows, new = tmp_path / "rows.csv", tmp_path / "new.csv"
    rows.write_text("a,town,n,price\n1,Ulm,1,3\n2,Bern,2,5\n5,Bern,1,1\n")
    new.write_text("town,a,price\nBern,2,unknown\n")
    model = str(tmp_path / "model.npz")
    call(capsys, "fit", str(rows), "--target", "price", "--weights", "n", "--save", model)
    code, out, err = call(capsys, "predict", model, str(new))
    assert (code, err) == (0, "")
    assert float(out.split()[1]) == linreg.load(model).predict([[2.0, 0.0]])[0]


# What cannot be read as before.


def changed(**cells):
    """The new rows with some columns changed."""
    return {**NEW, **cells}


REFUSED = {
    "a category that was not seen": (
        changed(town=["Ulm", "Rome", "Bern"]),
        "Column 'town' of {} holds 'Rome' in row 1 (counted from 0), but its categories are 'Bern', 'Graz', 'Ulm': cor",
    ),
    "a number that is a category and was not seen": (
        changed(zip=[3, 1, 4]),
        "Column 'zip' of {} holds '4' in row 2 (counted from 0), but its categories are '1', '22', '3': correct",
    ),
    "a column less": (
        {name: cells for name, cells in NEW.items() if name != "town"} | {"twn": NEW["town"]},
        "{} has no column 'town', which the table of the training had; did you mean 'twn'? Known: ",
    ),
    "a text where a number was": (
        changed(size=["1", "2.5", "abc"]),
        "Column 'size' of {} holds 'abc' in row 2 (counted from 0), but numbers like '1234.5' are expected there: ",
    ),
    "another notation": (
        changed(load=["1 kg", "1,234.5 kg", "2 kg"]),
        "Column 'load' of {} holds '1,234.5 kg' in row 1 (counted from 0), but numbers like '1.234,5 kg' are expected",
    ),
    "another unit": (
        changed(load=["1 kg", "2 kg", "2 lb"]),
        "Column 'load' of {} holds '2 lb' in row 2 (counted from 0), but numbers like '1.234,5 kg' are expected",
    ),
    "a word where a boolean was": (
        changed(lift=["true", "false", "maybe"]),
        "Column 'lift' of {} holds 'maybe' in row 2 (counted from 0), but true and false are expected there",
    ),
    "a number where a boolean was": (
        changed(lift=[1, 0, 2]),
        "Column 'lift' of {} holds 2 in row 2 (counted from 0), but true and false are expected there",
    ),
    "a date that is none": (
        changed(built=["1990-01-31", "1990-02-31", "1990-01-01"]),
        "Column 'built' of {} holds '1990-02-31' in row 1 (counted from 0), but dates like '2024-12-31' are expected",
    ),
    "the month first": (
        changed(sold=["13/01/2001", "01/13/2001", "01/01/2001"]),
        "Column 'sold' of {} holds '01/13/2001' in row 1 (counted from 0), but dates like '31/12/2024' are expected",
    ),
    "a number where a date was": (
        changed(built=[1, 2, 3]),
        "Column 'built' of {} holds 1 in row 0 (counted from 0), but dates like '2024-12-31' are expected there",
    ),
    "a date where a number was": (
        changed(size=[dt.date(2000, 1, 1)] * 3),
        "Column 'size' of {} holds 2000-01-01 in row 0 (counted from 0), but numbers like '1234.5' are expected there",
    ),
    "a category that is missing": (
        changed(town=["Ulm", "Bern", None]),
        "Column 'town' of {}: 1 of 3 values is missing, in row 2, counted from 0, and nothing fills them in: mend them",
    ),
    "an infinite value": (
        changed(size=[1.0, np.inf, 2.0]),
        "Column 'size' of {} holds inf in row 1 (counted from 0), an infinite value, or one beyond 1.8e+308: correct",
    ),
}  # fmt: skip


def model_of_rows(folder):
    """A model of the rows in a file."""
    with open_table(pl.DataFrame(ROWS), "price", missing="mean", categories=["zip"]) as table:
        model = LinearRegression(epochs=1, random_state=0).fit(*table.arrays()[:2])
    return linreg.save(model, folder / "model.npz", encoding=table.encoding)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The same, written once."""
    return model_of_rows(tmp_path_factory.mktemp("saved"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_as_it_was_is_refused_with_column_row_and_value(capsys, tmp_path, saved, kind, case):
    columns, said = REFUSED[case]
    new = written(columns, kind, tmp_path, "new")
    said = said.replace("{}", repr(str(new)))
    code, out, err = call(capsys, "predict", str(saved), str(new))
    assert (code, out, err.count("\n")) == (cli.FAILED, "", 1)
    assert said in err
    with pytest.raises(ValueError, match=r"of the table|the table has no") as raised:
        linreg.load(saved).predict(pl.DataFrame(columns))
    assert "\n" not in str(raised.value)


def test_a_gap_is_refused_where_training_had_none_or_left_them_out(tmp_path):
    frame = pl.DataFrame({"a": [1.0, 2.0, None, 4.0], "y": [1.0, 2.0, 3.0, 4.0]})
    with open_table(frame, "y", missing="drop") as table:
        model = LinearRegression(epochs=1).fit(*table.arrays()[:2])
    loaded = linreg.load(linreg.save(model, tmp_path / "model.npz", encoding=table.encoding))
    with pytest.raises(ValueError, match=r"Column 'a' of the table: 1 of 4 values is missing, in row 2.*mend them, or"):
        loaded.predict(frame)


def test_the_encoding_of_another_table_is_refused(tmp_path):
    frame = pl.DataFrame(ROWS)
    table = open_table(frame, "price", missing="mean")
    model = LinearRegression(epochs=1).fit(*open_table(frame, "price", columns=["town"]).arrays()[:2])
    with pytest.raises(
        ValueError, match=r"makes features of 'size', 'town', .*, but the model was trained on 2 features"
    ):
        linreg.save(model, tmp_path / "model.npz", encoding=table.encoding)
    named = LinearRegression(epochs=1).fit(pl.DataFrame({"a": [1.0, 2.0], "b": [1.0, 0.0]}), [1.0, 2.0])
    towns = open_table(frame, "price", columns=["town"])
    with pytest.raises(ValueError, match=r"makes features of 'town', but the model was trained on 'a', 'b'"):
        linreg.save(named, tmp_path / "model.npz", encoding=towns.encoding)
    with pytest.raises(TypeError, match=r"The encoding is a Table: give that of the table, table\.encoding"):
        linreg.save(model, tmp_path / "model.npz", encoding=towns)
    with pytest.raises(ValueError, match="not fitted yet"):
        linreg.save(LinearRegression(), tmp_path / "model.npz", encoding=towns.encoding)
    assert not list(tmp_path.iterdir())


def test_a_file_is_of_format_2_only_where_it_says_how_a_table_was_read(tmp_path, saved):
    model = LinearRegression(epochs=1).fit([[1.0], [2.0]], [1.0, 2.0])
    plain = [model.save(tmp_path / "a.npz"), PreparedModel(model).save(tmp_path / "b.npz")]
    assert [read_archive(path, KIND).document["format"] for path in (*plain, saved)] == [1, 1, 2]


# Categories are the same categories in whatever type they come.


@pytest.mark.parametrize("kind", KINDS)
def test_categories_of_whole_numbers_are_the_same_with_and_without_gaps(tmp_path, kind):
    with open_table(written({"c": [1, 2, None, 10], "y": [1.0, 2.0, 3.0, 4.0]}, kind, tmp_path, "a"), "y",
                    categories=["c"], missing="drop") as table:  # fmt: skip
        assert table.names == ("c=10", "c=2")
    for new in ({"c": [10, 1, 2]}, {"c": [10.0, 1.0, 2.0]}, {"c": ["10", "1", "2"]}):
        if kind == "csv" and isinstance(new["c"][0], float):
            continue  # a file of text says 10.0, and that is another text
        with open_table(written(new, kind, tmp_path, "b"), None, encoding=table.encoding) as again:
            assert again.arrays()[0].tolist() == [[1, 0], [0, 0], [0, 1]]


def test_a_number_is_the_category_that_is_the_same_number_and_no_other():
    first = pd.DataFrame({"c": [1.0, 2.5, np.nan, 3.0, 1.0], "y": range(5)})  # whole numbers with a gap, in pandas
    with open_table(first, "y", categories=["c"], missing="drop") as table:
        assert table.names == ("c=2.5", "c=3.0")
    with open_table(pd.DataFrame({"c": [3, 1]}), None, encoding=table.encoding) as again:
        assert again.arrays()[0].tolist() == [[0, 1], [0, 0]]
    for other in (2, 2.4999999999999996, 10**400, -1, True, "1", np.inf):
        with pytest.raises(ValueError, match=r"holds .* in row 1 .*its categories are '1\.0', '2\.5', '3\.0'"):
            open_table(pd.DataFrame({"c": [1, other]}, dtype=object), None, encoding=table.encoding)


@pytest.mark.parametrize("kind", KINDS)
def test_dates_may_be_categories(tmp_path, kind):
    days = [dt.date(2024, 1, 1), dt.date(2024, 1, 2), dt.date(2024, 1, 1)]
    path = written({"d": days, "y": [1.0, 2.0, 3.0]}, kind, tmp_path, "a")
    with open_table(path, "y", categories=["d"]) as table:
        assert table.names == ("d=2024-01-02",)
        assert table.arrays()[0].tolist() == [[0], [1], [0]]


# An encoding that lies.


def pairs(plain, *path):
    """What stands at a path of a packed value: a list of pairs of names and values, or a value."""
    for step in path:
        plain = plain[step] if isinstance(step, int) else dict(map(tuple, plain["dict"]))[step]
    return plain


def put(name, value, *path):
    """A change that puts a value under a name there."""

    def change(document):
        found = pairs(document["preparation"], "encoding", *path)
        found["dict"] = [[key, value if key == name else old] for key, old in found["dict"]]

    return change


def put_encoding(value):
    return lambda d: d["preparation"].update(
        dict=[[key, value if key == "encoding" else old] for key, old in d["preparation"]["dict"]]
    )


def leave_out(name, *path):
    def change(document):
        found = pairs(document["preparation"], "encoding", *path)
        found["dict"] = [pair for pair in found["dict"] if pair[0] != name]

    return change


def twice(document):
    found = pairs(document["preparation"], "encoding", "columns")
    found[3:4] = [found[0]]  # "size" in the place of "built"


SIZE, TOWN, BUILT, LOAD = (("columns", place) for place in (0, 1, 3, 5))
CODE = {"kind": "SGD", "values": {"learning_rate": 0.1}}
LIES = {
    "an encoding of nothing": put_encoding(None),
    "an encoding of text": put_encoding("x"),
    "an encoding of a list": put_encoding([]),
    "an encoding that is an array": put_encoding({"array": "coef_0"}),
    "an encoding that is an optimizer": put_encoding(CODE),
    "no columns": put("columns", []),
    "columns of text": put("columns", ["size"]),
    "columns of nothing": leave_out("columns"),
    "a column twice": twice,
    "a column less": lambda d: pairs(d["preparation"], "encoding", "columns").pop(),
    "columns in another order": lambda d: pairs(d["preparation"], "encoding", "columns").reverse(),
    "no target": put("target", None),
    "a target of categories": put("kind", "category", "target"),
    "a target that is a feature": put("column", "town", "target"),
    "weights of a number": put("weights", 3),
    "weights that are a feature": put("weights", "size"),
    "gaps that are evaluated": put("missing", "__import__('os')"),
    "a name that is a number": put("column", 3, *SIZE),
    "another name": put("column", "Size", *SIZE),
    "a kind that is not known": put("kind", "eval", *SIZE),
    "a kind that is none": put("kind", ["number"], *SIZE),
    "a style that is not known": put("style", ".*", *LOAD),
    "a style of numbers for dates": put("style", "point", *BUILT),
    "a style of dates for numbers": put("style", "day first", *LOAD),
    "a style for what is typed": put("style", "point", *SIZE),
    "a unit of what is typed": put("unit", "kg", *SIZE),
    "an origin that is nan": put("origin", {"number": "nan"}, *BUILT),
    "an origin without end": put("origin", 10**400, *BUILT),
    "an origin that is true": put("origin", True, *BUILT),
    "an origin of numbers": put("origin", 1.0, *SIZE),
    "a fill that is infinite": put("fill", {"number": "inf"}, *SIZE),
    "a fill that is text": put("fill", "1", *SIZE),
    "a fill that is an array": put("fill", {"array": "coef_0"}, *SIZE),
    "a fill of categories": put("fill", 1.0, *TOWN),
    "a fill of the target": put("fill", 1.0, "target"),
    "strays that are text": put("strays", "abc", *LOAD),
    "strays of numbers": put("strays", [1], *LOAD),
    "strays out of order": put("strays", ["b", "a"], *LOAD),
    "no categories": put("categories", [], *TOWN),
    "a category less": put("categories", ["Bern", "Ulm"], *TOWN),
    "a category twice": put("categories", ["Bern", "Bern", "Ulm"], *TOWN),
    "categories out of order": put("categories", ["Ulm", "Graz", "Bern"], *TOWN),
    "categories of numbers": put("categories", [1, 2, 3], *TOWN),
    "categories within categories": put("categories", ["Bern", ["Graz"], "Ulm"], *TOWN),
    "very many categories": put("categories", [f"{i:06}" for i in range(20_000)], *TOWN),
    "a name of a million characters with many categories": lambda d: (
        put("column", "x" * 10**6, *TOWN)(d), put("categories", [f"{i:06}" for i in range(20_000)], *TOWN)(d)
    ),
    "categories of a number": put("categories", ["a", "b"], *SIZE),
    "a field more": lambda d: pairs(d["preparation"], "encoding", *SIZE)["dict"].append(["code", "x"]),
    "a field less": leave_out("unit", *SIZE),
    "a part more": lambda d: d["preparation"]["dict"].append(["code", "x"]),
    "names of other features": lambda d: d["preparation"].update(
        dict=[[key, ["x"] * len(NAMES) if key == "names" else old] for key, old in d["preparation"]["dict"]]
    ),
    "format 1 with an encoding": lambda d: d.update(format=1),
    "format 2 without one": lambda d: d["preparation"].update(
        dict=[pair for pair in d["preparation"]["dict"] if pair[0] != "encoding"]
    ),
    "format 2 without preparation": lambda d: d.update(preparation=None),
    "lists within lists": put_encoding(json.loads("[" * 500 + "]" * 500)),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_an_encoding_that_lies_is_refused_in_one_line(tmp_path, saved, lie):
    path = tmp_path / "model.npz"
    path.write_bytes(saved.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("linreg.archives.DEEPEST", 10**6)  # to write it
        with_document(path, LIES[lie])
    tracemalloc.start()
    with pytest.raises(ValueError, match="is refused: ") as raised:
        linreg.load(path)
    assert tracemalloc.get_traced_memory()[1] < 25 * path.stat().st_size + 2**21  # a text of six letters takes 55 bytes
    tracemalloc.stop()
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600 + len(str(path))


ODD = st.sampled_from(
    [None, True, -1, 0, 10**400, 1e308, "", "x", "\ud800", "a\nb", [], ["x"], [[]], {"dict": []}, {"dict": [["x", 1]]},
     {"array": "coef_0"}, {"number": "nan"}, {"number": "-inf"}, CODE, {"generator": {"seed": 1, "dtype": "float32"}},
     "category", "date", "number", "point", "day first", ["Bern", "Graz", "Ulm"], "size", "price"]
)  # fmt: skip


@given(place=st.sampled_from([(), ("target",), *(("columns", column) for column in range(8))]), data=st.data(), odd=ODD)
def test_whatever_stands_in_an_encoding_is_refused_in_one_line_or_reads_a_table(tmp_path_factory, place, data, odd):
    path = model_of_rows(tmp_path_factory.getbasetemp())

    def change(document):
        found = pairs(document["preparation"], "encoding", *place)
        data.draw(st.sampled_from(found["dict"]))[1] = odd

    with_document(path, change)
    said = ""
    try:
        assert linreg.load(path).predict(pl.DataFrame(NEW)).shape == (3,)
    except (ValueError, TypeError) as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 700 + len(str(path))


def test_what_is_changed_to_itself_is_loaded(tmp_path, saved):
    """The changes above are refused for what they say, not because a document was changed."""
    path = tmp_path / "model.npz"
    path.write_bytes(saved.read_bytes())
    with_document(path, put("column", "size", *SIZE))
    assert linreg.load(path).encoding == linreg.load(saved).encoding


def test_what_a_file_says_of_columns_reaches_a_terminal_as_text_only(capsys, tmp_path):
    name = "\x1b[2Ja\u202e[red]\n"
    frame = pl.DataFrame({name: ["\x1b[31mUlm", "Bern", "Bern"], "y": [1.0, 2.0, 3.0]})
    with open_table(frame, "y") as table:
        model = LinearRegression(epochs=1).fit(*table.arrays()[:2])
    path = linreg.save(model, tmp_path / "model.npz", encoding=table.encoding)
    for new in ({name: ["\x1b[32mRome"]}, {"b": ["x"]}):
        assert cli.run(["predict", str(path), str(written(new, "parquet", tmp_path, "new"))]) == cli.FAILED
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert all(character.isprintable() for character in err[:-1])
