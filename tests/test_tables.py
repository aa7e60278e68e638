"""Tables: what a CSV file says is what training gets, and what is wrong with one is said in one line."""

import csv
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")

import polars

from linreg.data import arrays, csv_files, datasets, open_table
from linreg.data.tables import csv_frames, read_table


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file and return the name by which it is found from the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(content, name="f.csv"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    return write


def numbers(frame):
    return arrays.feature_matrix(frame, np.float64).tolist()


@pytest.mark.parametrize("name", datasets.NAMES)
def test_a_shipped_data_set_is_found_by_its_bare_name(name, write):
    dataset = datasets.load(name)
    with open_table(name, dataset.target_name) as table:
        X, y, _ = table.arrays()
    assert table.names == dataset.feature_names
    np.testing.assert_array_equal(X, dataset.X)
    np.testing.assert_array_equal(y, dataset.y)


def test_a_file_comes_before_the_data_set_of_the_same_name(write):
    assert read_table(write("a,b\n1,2\n", name="longley")).columns == ["a", "b"]


def test_a_path_object_is_as_good_as_a_string(write, tmp_path):
    write("a,b\n1,2\n")
    assert numbers(read_table(tmp_path / "f.csv")) == [[1, 2]]


READABLE = {
    "plain": "a,b\n1,2\n3,4\n",
    "no newline at the end": "a,b\n1,2\n3,4",
    "Windows line ends": "a,b\r\n1,2\r\n3,4\r\n",
    "old Mac line ends": "a,b\r1,2\r3,4\r",
    "byte order mark": "\ufeffa,b\n1,2\n3,4\n",
    "blank lines": "\n\na,b\n\n1,2\n\n\n3,4\n\n\n",
    "comments": '# the "first, line\n#\n\na,b\n#1,2,3\n1,2\n# \n3,4\n#',
    "spaces": " a, b \n1, 2\n 3 ,4 \n",
    "quoted": '"a", "b"\n"1","2"\n"3","4"\n',
    "exponents and signs": "a,b\n1e0,+2\n3.0,0.4E1\n",
}


@pytest.mark.parametrize("content", READABLE.values(), ids=READABLE.keys())
def test_spelling_does_not_change_the_table(content, write):
    frame = read_table(write(content))
    assert frame.columns == ["a", "b"]
    assert numbers(frame) == [[1, 2], [3, 4]]


def test_the_type_of_a_column_comes_from_all_of_its_rows(write):
    rows = ["1,2"] * 10_000 + ["1.5,2"]
    frame = read_table(write("a,b\n" + "\n".join(rows)))
    assert frame["a"][-1] == 1.5
    assert frame.schema["b"] == polars.Int64


def test_true_and_false_count_as_one_and_zero(write):
    assert numbers(read_table(write("a,b\n1,true\n2,False\n"))) == [[1, 1], [2, 0]]


@pytest.mark.parametrize("cell", ["", " ", "NA", "N/A", "#N/A", "nan", "NaN", "null", "NULL", " NA "])
def test_a_missing_value_is_named_with_its_row_and_column(cell, write):
    frame = read_table(write(f"a,b,c\n1,2,3\n4,{cell},6\n"))
    with pytest.raises(ValueError, match="1 of 6 values are missing, the first in row 1, column 1") as caught:
        numbers(frame)
    assert "(column 'b')" in str(caught.value)


@pytest.mark.parametrize(
    "cell", ["#N/A", "#DIV/0!", "#REF!", "#NV", "#WERT!", "#SPILL!", "#######", "#1", "#ff0000", "# 1", "#"]
)
@pytest.mark.parametrize("other", ["2", '"2"'], ids=["bare", "quoted"])
def test_a_row_that_begins_with_a_number_sign_is_a_row_if_it_has_a_value_for_each_column(cell, other, write):
    frame = read_table(write(f"a,b\n1,{other}\n{cell},4\n5,6\n{cell},4,5\n"))
    assert frame["b"].cast(float).to_list() == [2, 4, 6]


@pytest.mark.parametrize("other", ["2", '"2"'], ids=["bare", "quoted"])
def test_lines_that_are_skipped_are_counted(other, write, monkeypatch):
    lines = ["# made by hand", "#", "a,b", "", "#1,2,3", f"1,{other}", '# one "word', "3,4", "#5,6", "# end"]
    name = write("\n".join(lines))
    for chunk in (7, 1000):
        monkeypatch.setattr(csv_files, "CHUNK", chunk)
        layout = csv_files.Layout()
        rows = polars.concat(csv_frames(name, layout, any_separator=False)).rows()
        assert rows == [("1", "2"), ("3", "4"), ("#5", "6")]
        assert layout.skipped == 5


HOSTILE = [
    "a,b",
    'say "a"',
    'a"',
    "^x.*$",
    "^.*$",
    "*",
    "two\nlines",
    "#a",
    "column_1",
    "a_duplicated_0",
    "Größe µ 面积",
    "a\u2028b",
    "'; DROP TABLE x; --",
    "{0} %s",
    "target",
    "nan",
    "None",
    "0",
]


def test_hostile_column_names_survive_reading_and_splitting(write, tmp_path):
    write("")
    with open(tmp_path / "f.csv", "w", newline="", encoding="utf-8") as file:
        file.write('"#a"' + ",")  # csv.writer leaves it bare, and a bare one makes the header a comment
        csv.writer(file).writerows(
            [[name for name in HOSTILE if name != "#a"], range(len(HOSTILE)), range(len(HOSTILE))]
        )
    names = ["#a", *(name for name in HOSTILE if name != "#a")]
    frame = read_table("f.csv")
    assert frame.columns == names
    for place, name in enumerate(names):
        with open_table("f.csv", name) as table:
            X, y, _ = table.arrays()
        assert table.names == (*names[:place], *names[place + 1 :])
        assert y.tolist() == [place, place]
        row = [number for number in range(len(names)) if number != place]
        assert X.tolist() == [row, row]


# What is wrong: the file's bytes, the error, and what its message must say.
BAD_FILES = {
    "empty": (b"", ValueError, ["'f.csv' is empty", "line with column names"]),
    "comments only": (b"# a\n\n# b\n", ValueError, ["'f.csv' is empty"]),
    "header only": (b"a,b\n", ValueError, ["'f.csv' has a header (a, b) but no rows", "add one line for each row"]),
    "header and comment": (b"a,b\n\n# 12\n", ValueError, ["has a header (a, b) but no rows"]),
    "PNG": (b"\x89PNG\r\n\x1a\n\x00\x00", ValueError, ["'f.csv' is no text in UTF-8 (byte 0x89 in line 1)"]),
    "Latin-1": ("a,b\n1,2\nM\xfcller,3\n".encode("latin-1"), ValueError, ["(byte 0xfc in line 3)", "saved as UTF-8"]),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), ValueError, ["is no CSV file but text in UTF-16", "save it as UTF-8"]),
    "zero bytes": (b"a,b\n1,\x00\n", ValueError, ["zero bytes", "give a CSV file"]),
    "same name twice": (b"a,b,a\n1,2,3\n", ValueError, ["'a' occurs 2 times in 'f.csv'", "a name of its own"]),
    "same name but for spaces": (b"a,a \n1,2\n", ValueError, ["'a' occurs 2 times"]),
    "pandas index": (b",a\n0,1\n", ValueError, ["Column 1 of 'f.csv' has no name", "to_csv(index=False)"]),
    "comma at the end": (b"a,b,\n1,2,\n", ValueError, ["Column 3 of 'f.csv' has no name", "leave it out"]),
    "semicolons": (b"a;b\n1,5;2\n", ValueError, ["has ';' between its names", "separate values by commas"]),
    "tabs": (b"a\tb\n1\t2\n", ValueError, ["has '\\t' between its names"]),
    "row too short": (b"a,b\n# c\n1,2\n3\n", ValueError, ["Line 4 of 'f.csv'", "1 value(s) for 2 column(s)"]),
    "first row too short": (b"a,b\n1\n2,3\n", ValueError, ["Line 2 of 'f.csv'", "1 value(s) for 2 column(s)"]),
    "row too long": (b"a,b\n\n1,2\n3,4,5\n", ValueError, ["Line 4 of 'f.csv'", "3 value(s) for 2", "quotation marks"]),
    "all rows too long": (b"a,b\n1,2,3\n4,5,6\n", ValueError, ["Line 2 of 'f.csv'", "3 value(s) for 2 column(s)"]),
    "all rows too short": (b"a,b\n1\n2\n", ValueError, ["Line 2 of 'f.csv'", "1 value(s) for 2 column(s)"]),
    "open quotation in the header": (b'"a,b\n1,2\n', ValueError, ["The header of 'f.csv' cannot be read as CSV"]),
    "open quotation": (b'a,b\n1,2\n"3,4\n5,6\n', ValueError, ["'f.csv' cannot be read as CSV below line 2"]),
}


@pytest.mark.parametrize(("content", "kind", "said"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_refused_in_one_line_that_says_why(content, kind, said, write):
    with pytest.raises(kind) as caught:
        read_table(write(content))
    message = str(caught.value)
    assert [part for part in said if part not in message] == []
    assert "\n" not in message
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_missing_file_is_answered_with_what_can_be_read(write):
    with pytest.raises(FileNotFoundError, match=r"no file 'longly\.csv'.*\(longley, norris, stackloss\)\.$") as caught:
        read_table("longly.csv")
    assert caught.value.__suppress_context__


def test_a_directory_is_no_table(write, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match="'folder' is a directory: give the path of one file"):
        read_table("folder")


# What a column of text holds: its cells, the place and value that are named, and the advice.
TEXT = {
    "categories": (["red", "blue"], "'red' at row 0", "OneHotEncoder"),
    "one word among numbers": (["1", "n.a."], "'n.a.' at row 1", "OneHotEncoder"),
    "failed formula": (["1", "#DIV/0!"], "'#DIV/0!' at row 1", "OneHotEncoder"),
    "decimal commas": (['"1,5"', '"2,5"'], "'1,5' at row 0", "write its decimals with a point"),
    "thousands": (["12", '"1,234.5"'], "'1,234.5' at row 1", "nothing between its thousands"),
    "currency": (["$1", "$2"], "'$1' at row 0", "OneHotEncoder"),
    "dates": (["2024-01-31", "2024-02-01"], "dates or durations", "days since the first one"),
    "moments": (["2024-01-31T10:00:00", "2024-02-01T10:00:00"], "dates or durations", "days since the first one"),
}


@pytest.mark.parametrize(("cells", "named", "advice"), TEXT.values(), ids=TEXT.keys())
def test_a_column_without_numbers_is_refused_by_name_place_and_advice(cells, named, advice, write):
    frame = read_table(write("number,odd\n" + "".join(f"{number},{cell}\n" for number, cell in enumerate(cells))))
    with pytest.raises(TypeError, match=r"^column 'odd' of X holds ") as caught:
        numbers(frame)
    assert named in str(caught.value)
    assert advice in str(caught.value)


def test_numbers_written_as_text_in_a_polars_frame_are_told_from_categories():
    with pytest.raises(TypeError, match=r"column 'a' of X holds text, '1' at row 0.*polars: \.cast\(float\)"):
        numbers(polars.DataFrame({"a": ["1", None, "2"]}))


def test_integers_beyond_64_bits_arrive_as_the_nearest_floats_or_are_named(write):
    write("a,b\n99999999999999999999,1\n")
    try:
        frame = read_table("f.csv")
    except ValueError as error:  # polars before 1.18 knows no integers of that size
        assert "'f.csv' cannot be read as CSV: could not parse `99999999999999999999`" in str(error)  # noqa: PT017
    else:
        assert numbers(frame) == [[1e20, 1.0]]


def test_a_mistyped_target_is_answered_with_the_nearest_column_and_all_others():
    frame = polars.DataFrame({"size": [1], "price": [2], "two\nlines": [3]})
    with pytest.raises(ValueError, match="no column 'prize'; did you mean 'price'") as caught:
        open_table(frame, "prize")
    assert str(caught.value).endswith("Known: 'two\\nlines', price, size.")


def test_a_table_needs_a_column_beside_the_target():
    with pytest.raises(ValueError, match="'y' is the only column of the table: add at least one feature"):
        open_table(polars.DataFrame({"y": [1.0]}), "y")


def test_without_polars_the_error_names_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match=r"pip install 'linreg\[data\]'") as caught:
        read_table("longley")
    assert caught.value.__suppress_context__


def test_importing_the_module_does_not_import_polars():
    code = "import sys, linreg.data.tables; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603
