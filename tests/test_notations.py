"""Columns over several files and notations: one way to read each, or one line that says which two values clash."""

import re

import bad_files
import numpy as np
import pandas
import pytest

pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from linreg import cli
from linreg.data import blocks, columns, csv_files, open_table, parts
from linreg.data.encoding import Encoding
from linreg.data.reading import read
from linreg.data.seen import Seen


@pytest.fixture(params=["in memory", "larger than memory"])
def size(request, monkeypatch):
    """Files are read at once, or piece by piece as if they were larger than memory."""
    if request.param != "in memory":
        monkeypatch.setattr(parts, "IN_MEMORY", 0)
        monkeypatch.setattr(csv_files, "CHUNK", 5)
        monkeypatch.setattr(blocks, "BLOCK_ROWS", 2)


def csv(cells, separator=","):
    """A CSV file with the column x, and rows numbered in y."""
    quoted = [f'"{cell}"' if separator in str(cell) else f"{cell}" for cell in cells]
    return f"x{separator}y\n" + "".join(f"{cell}{separator}{row}\n" for row, cell in enumerate(quoted))


def written(folder, **files):
    """Write texts as CSV files and frames as Parquet files."""
    out = []
    for name, content in files.items():
        if isinstance(content, str):
            out.append(folder / f"{name}.csv")
            out[-1].write_text(content, encoding="utf-8")
        else:
            out.append(folder / f"{name}.parquet")
            pl.DataFrame(content).write_parquet(out[-1])
    return out


def numbers(files, **options):
    with open_table(files, "y", **options) as table:
        return table.arrays()[0][:, 0].tolist()


# One notation for all files: cells of the first and of the second, and what they are together.
TOGETHER = {
    "decimal commas decide points": (["1.234", "2.000"], ["1,5", "2.500,5"], [1234, 2000, 1.5, 2500.5]),
    "two groups decide one": (["1.234"], ["1.234.567"], [1234, 1234567]),
    "a comma and a point by turns": (["1.5"], ["2,5"], [1.5, 2.5]),
    "a currency beside plain numbers": (["1"], ["$2"], [1, 2]),
    "dates in two forms": (["2024-01-01"], ["03.01.2024"], [0, 2]),
    "the 13th decides between slashes": (["02/01/2024"], ["13/01/2024"], [0, 11]),
    "numbers and gaps": (["1"], ["NA"], None),
}


@pytest.mark.parametrize("order", [1, -1], ids=["as they are", "turned around"])
@pytest.mark.parametrize("cells", TOGETHER.values(), ids=TOGETHER.keys())
def test_a_column_in_two_files_is_read_like_the_same_rows_in_one(cells, order, size, tmp_path):
    first, second, expected = cells
    one, two = ([first, second])[::order]
    files = written(tmp_path, a=csv(one, ";"), b=csv(two, ";"), both=csv([*one, *two], ";"))
    if expected is None:
        said = []
        for given_ in (files[:2], files[2:]):
            with pytest.raises(ValueError, match="1 of 2 values is missing") as caught:
                numbers(given_)
            said.append(str(caught.value).partition(": ")[2][:22])
        assert said[0] == said[1]
        return
    expected = expected if order == 1 else expected[len(first) :] + expected[: len(first)]
    assert numbers(files[:2]) == numbers(files[2:]) == expected


def test_text_in_a_typed_file_decides_over_a_csv_file(size, tmp_path):
    files = written(tmp_path, a=csv(["1.234", "2.000"]), b={"x": ["1,5", "2.500,5"], "y": [1, 2]})
    assert numbers(files) == [1234, 2000, 1.5, 2500.5]


CELLS = st.sampled_from(
    [
        "1",
        "2.5",
        "1.234",
        "1,234",
        "2,5",
        "1.234.567",
        "12%",
        "$3",
        "6 kg",
        "",
        "true",
        "word",
        "2024-01-31",
        "31.01.2024",
        "31/01/2024",
        "12:30",
        "0x1f",
    ]
)


@given(st.lists(CELLS, min_size=2, max_size=6), st.data())
def test_where_a_table_is_cut_into_files_changes_nothing(cells, data):
    cut = data.draw(st.integers(1, len(cells) - 1))
    outcomes = []
    for pieces in ([cells], [cells[:cut], cells[cut:]]):
        with pytest.MonkeyPatch.context() as patch, bad_files.in_a_folder() as folder:
            patch.chdir(folder)
            files = written(folder, **{f"f{n}": csv(piece, ";") for n, piece in enumerate(pieces)})
            try:
                outcomes.append(numbers(files, missing="drop"))
            except (TypeError, ValueError) as error:
                outcomes.append(type(error))
    assert outcomes[0] == outcomes[1]


# Clashes: the cells of a column, and the two places that are named.
CLASHES = {
    "points between thousands and before decimals": (["1.000.000", "1.5", "2"], 0, 1),
    "units": (["1 kg", "500 g"], 0, 1),
    "a unit and none": (["6 kg", "7"], 0, 1),
    "the day and the month first": (["13/01/2024", "01/13/2024"], 0, 1),
    "a date and a number": (["2024-01-01", "45000"], 0, 1),
    "a date and a time": (["2024-01-01", "12:30"], 0, 1),
    "two currencies": (["$3", "4", "€4.5", "£5"], 0, 2),
    "percent and plain": (["50%", "0.5"], 0, 1),
    "hexadecimal among others": (["16", "0x10"], 0, 1),
    "an impossible date": (["2024-02-28", "2024-02-30"], 0, 1),
    "one unit among forty numbers": ([*range(40), "500 g"], 0, 40),
    "hexadecimal": (["0x10", "0xff"], 0, None),
    "groups as in India": (["1,23,456", "12,34,567"], 0, None),
    "the day first between dashes": (["31-01-2024", "28-02-2024"], 0, None),
    "names of months": (["1 Jan 2024", "2 Jan 2024"], 0, None),
    "no time of day": (["25:10", "26:20"], 0, None),
}


@pytest.mark.parametrize("cells", CLASHES.values(), ids=CLASHES.keys())
def test_values_that_clash_are_named_with_their_rows_and_no_categories_are_made(cells, size, tmp_path):
    cells, first, second = cells
    [file] = written(tmp_path, f=csv(cells, ";"))
    with pytest.raises(ValueError, match=r"Column 'x' of '.*f\.csv' holds .*--categories x") as caught:
        open_table(file, "y")
    said = str(caught.value)
    assert "\n" not in said
    named = re.findall(r"'([^']*)' in row ([0-9]+)", said)
    assert named == [(str(cells[place]), str(place)) for place in (first, second) if place is not None]
    vocabulary = sorted(map(str, cells))
    with open_table(file, "y", categories=["x"]) as table:
        assert table.names == tuple(f"x={cell}" for cell in vocabulary[1:])
        expected = [[float(str(cell) == category) for category in vocabulary[1:]] for cell in cells]
        assert table.arrays()[0].tolist() == expected


def test_values_that_clash_in_two_files_are_named_with_both(size, tmp_path):
    files = written(tmp_path, a=csv(["1", "2 kg"]), b=csv(["3 kg"]))
    with pytest.raises(ValueError, match=r"of '.*a\.csv' holds '1' in row 0 and '2 kg' in row 1 \(counted"):
        open_table(files, "y")
    files = written(tmp_path, a=csv(["1 kg", "2 kg"]), b=csv(["7", "3 kg"]))
    with pytest.raises(ValueError, match=r"of '.*a\.csv' holds '1 kg' in row 0 and '7' in row 0 of '.*b\.csv' \(c"):
        open_table(files, "y")


TYPED = {
    "true and 1": (csv(["true", "false"]), {"x": [1, 0], "y": [1, 2]}, "'true' in row 0 and '1.0' in row 0 of"),
    "dates and numbers": (csv(["2024-01-02"]), {"x": [None, 4.5], "y": [1, 2]}, "'2024-01-02' in row 0 and '4.5' in r"),
    "units and numbers": (csv(["6 kg"]), {"x": [6], "y": [1]}, "'6 kg' in row 0 and '6.0' in row 0 of"),
    "true and 1 as text": (csv(["true", "false"]), csv(["1", "0"]), "'true' in row 0 "),
}


@pytest.mark.parametrize(("csv_file", "other", "said"), TYPED.values(), ids=TYPED.keys())
def test_a_column_is_of_one_kind_in_all_files(csv_file, other, said, size, tmp_path):
    with pytest.raises(ValueError, match=re.escape(said)):
        open_table(written(tmp_path, a=csv_file, b=other), "y")


def test_a_column_without_values_goes_with_any_other(tmp_path):
    empty = {"x": pl.Series([None, None], dtype=pl.Float64), "y": [1, 2]}
    files = written(tmp_path, a=empty, b=csv(["2024-01-02", "2024-01-03"]))
    assert numbers(files, missing="drop") == [0, 1]


# A comma before three digits where commas stand free.

SEMICOLONS = "x;z;y\n1,234;{};1\n2,345;{};2\n"


@pytest.mark.parametrize("beside", [("0,5", "7"), ("1", "-12,25"), ("0,125", "1"), ("1234,567", "1")])
@pytest.mark.parametrize("chosen", [None, ["x"]], ids=["all columns", "x only"])
def test_another_column_with_decimal_commas_decides_in_a_file_with_semicolons(beside, chosen, size, tmp_path):
    [file] = written(tmp_path, f=SEMICOLONS.format(*beside))
    assert numbers(file, columns=chosen) == [1.234, 2.345]
    [file] = written(tmp_path, f=SEMICOLONS.format(*beside).replace("1,234;", "1.234;").replace("2,345;", "2.345;"))
    assert numbers(file, columns=chosen) == [1234, 2345]


@pytest.mark.parametrize("beside", [("5", "7"), ("5.5", "7"), ("1,234", "2"), ("a", "b")])
def test_a_comma_that_may_be_either_is_refused_with_both_readings(beside, size, tmp_path):
    [file] = written(tmp_path, f=SEMICOLONS.format(*beside))
    with pytest.raises(ValueError, match=r"Column 'x' of .* holds '1,234' in row 0 .*, which is 1234 or 1\.234, and"):
        open_table(file, "y")


def test_in_other_files_and_beside_clear_numbers_a_comma_is_as_in_the_notes(tmp_path):
    assert numbers(written(tmp_path, f=csv(["1,234", "2,000"]))) == [1234, 2000]
    assert numbers(written(tmp_path, f=csv(["1,234", "2,000.5"], ";"))) == [1234, 2000.5]
    assert numbers(written(tmp_path, f=csv(["1,234", "2,5"], ";"))) == [1.234, 2.5]


# Any number of different values


@pytest.mark.parametrize("text", ["{:.6f}", "{:.6f} kg", "${:.6f}", "{:.6f}%"])
def test_numbers_as_text_may_be_of_any_number(text, size, tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "MOST_TEXTS", 3)
    values = np.random.default_rng(0).uniform(0, 99, 40).round(6)
    [file] = written(tmp_path, f=csv([text.format(value).replace(".", ",") for value in values], ";"))
    assert numbers(file) == values.tolist()


def test_what_is_kept_of_a_column_does_not_grow_with_its_values():
    seen = Seen(most=10)
    for first in range(0, 200_000, 50_000):
        seen.look(np.array([f"{n},5" for n in range(first, first + 50_000)], object), "x", first)
    kept = {name: len(value) for name, value in vars(seen).items() if hasattr(value, "__len__")}
    assert kept["texts"] == 10
    assert max(kept.values()) <= 2**16  # the most words, or strays, of which anything is kept
    assert seen.kind().name == "decimal_comma"


def test_a_word_behind_many_different_numbers_is_still_found(size, tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "MOST_TEXTS", 3)
    cells = [f"{n},5" for n in range(12)] + ["red"] * 8
    with pytest.raises(ValueError, match=r"holds 'red' in row 12 .*among numbers or dates"):
        open_table(written(tmp_path, f=csv(cells, ";")), "y")


# Times of day


def test_times_of_day_as_text_are_days(size, tmp_path):
    cells = ["12:30", "6:00:00", "18:00:00.0", "1:30 PM", "12:00 am"]
    with open_table(written(tmp_path, f=csv(cells)), "y") as table:
        # Whole seconds are exact in microseconds, and one division by those of a day is rounded once.
        assert table.arrays()[0][:, 0].tolist() == [12.5 / 24, 0.25, 0.75, 13.5 / 24, 0]
    encoding = Encoding.from_dict(table.encoding.to_dict())
    assert open_table(pl.DataFrame({"x": ["3:00"]}), None, encoding=encoding).arrays()[0].tolist() == [[0.125]]
    with pytest.raises(ValueError, match=r"'25:00' in row 0 .*durations"):
        open_table(pl.DataFrame({"x": ["25:00"]}), None, encoding=encoding)


# New rows


def test_new_rows_are_read_in_the_notation_of_the_first_whatever_type_they_seem_to_be_of(size, tmp_path):
    first, new = written(tmp_path, first=csv(["1.234,5", "7"], ";"), new=csv(["1.234", "2.000"], ";"))
    with open_table(first, "y") as table, open_table(new, "y", encoding=table.encoding) as again:
        assert again.arrays()[0][:, 0].tolist() == [1234, 2000]


@pytest.mark.parametrize(
    ("first", "new"), [("50%", "0.5"), ("6 kg", "500 g"), ("6 kg", "7"), ("$3", "€3"), ("3", "3%")]
)
def test_new_rows_of_another_unit_are_refused(first, new, size, tmp_path):
    with open_table(written(tmp_path, f=csv([first, first])), "y") as table:
        encoding = table.encoding
    for file in (written(tmp_path, new=csv([new])), pl.DataFrame({"x": [new], "y": [0]})):
        with pytest.raises(ValueError, match=f"holds '{re.escape(new)}' in row 0"):
            open_table(file, "y", encoding=encoding)


# Names


@pytest.mark.parametrize("kind", ["csv", "parquet", "polars", "pandas"])
def test_two_features_of_one_name_are_refused_in_every_kind_of_table(kind, tmp_path):
    data = {"c": ["a", "b", "a", "b"], "c=b": [1, 2, 3, 1], "y": [1, 2, 5, 1]}
    frame = pl.DataFrame(data)
    if kind in ("csv", "parquet"):
        getattr(frame, f"write_{kind}")(tmp_path / f"f.{kind}")
    given_ = {"polars": frame, "pandas": pandas.DataFrame(frame.to_dict(as_series=False))}.get(
        kind, tmp_path / f"f.{kind}"
    )
    with pytest.raises(ValueError, match=r"2 columns of numbers would be called 'c=b'.*rename the column"):
        open_table(given_, "y")
    assert open_table(given_, "y", columns=["c"]).names == ("c=b",)
    with pytest.raises(ValueError, match="would be called 'c=b'"):
        open_table(given_, "c=b", columns=["c"])


def test_two_categories_of_one_name_are_refused_too():
    frame = pl.DataFrame({"a": ["a", "b=c"], "a=b": ["b", "c"], "y": [1, 2]})
    with pytest.raises(ValueError, match="would be called 'a=b=c'"):
        open_table(frame, "y")
    with pytest.raises(ValueError, match="would be called 'a=b=c'"):
        read(frame.drop("y"), [1, 2])


# Frames, queries and lists of columns


@pytest.mark.parametrize("of_pandas", [False, True])
def test_a_frame_without_rows_is_refused_like_a_file(of_pandas):
    frame = pl.DataFrame({"x": [], "y": []}, schema={"x": pl.Float64, "y": pl.Float64})
    with pytest.raises(ValueError, match="has column names but no rows"):
        open_table(pandas.DataFrame(frame.to_dict(as_series=False)) if of_pandas else frame, "y")
    with pytest.raises(ValueError, match="has column names but no rows"):
        open_table(frame.lazy(), "y")


@pytest.mark.parametrize("name", ["columns", "categories"])
def test_a_list_of_columns_is_no_text(name):
    with pytest.raises(TypeError, match=rf"Expected a list of column names as {name}, got 'size': give \['size'\]"):
        open_table(pl.DataFrame({"size": [1], "y": [2]}), "y", **{name: "size"})


def test_a_query_that_fails_is_refused_in_one_line_that_speaks_of_no_file():
    frame = pl.LazyFrame({"x": ["a", "1"], "y": [1, 2]})
    wrong = frame.select("x", "z"), frame.with_columns(pl.col("x").cast(pl.Int64))
    for query, part in zip(wrong, ("z", "conversion"), strict=True):
        with pytest.raises(ValueError, match=f"(?s)the table cannot be read .*{part}.*: correct the query") as caught:
            open_table(query, "y")
        assert "\n" not in str(caught.value)
        assert caught.value.__suppress_context__


# The command


def test_lines_that_were_skipped_are_told_by_the_command(capsys, tmp_path):
    [file] = written(tmp_path, f="# made by hand\nx,y\n1,3\n# 2,5,9\n2,5\n")
    assert cli.run(["fit", str(file), "--target", "y", "--epochs", "1"]) in (0, cli.FOUND)
    assert f"2 lines of '{file}' with # at the front were skipped as no rows." in capsys.readouterr().out
