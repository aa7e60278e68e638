"""Malformed files: each is refused in one clear line, or read as the numbers that are written down beside it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import bad_files
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("polars", reason="polars is not installed: pip install 'linreg[data]'")

import mutated_files
import polars as pl

from linreg import cli
from linreg.data import csv_files, open_table, parts
from linreg.data.dask_rows import DaskRows
from linreg.data.given import opened_source
from linreg.data.sources import names_in
from linreg.data.tables import FRAMES

PAGE = Path(__file__).parents[1] / "docs" / "bad-files.md"
CASES = {case.name: case for cases in bad_files.SECTIONS.values() for case in cases()}


def test_no_two_cases_have_the_same_name_and_there_are_at_least_200():
    names = [case.name for cases in bad_files.SECTIONS.values() for case in cases()]
    assert len(names) == len(set(names)) >= 200


def check(case, outcome):
    assert "Traceback" not in outcome.err
    if case.X is None:
        assert outcome.code == cli.FAILED, outcome.out
        assert outcome.out == ""
        assert outcome.err.startswith("linreg: ")
        assert outcome.err.count("\n") == 1
        assert outcome.err.strip().isprintable()
        assert len(outcome.err) > 30
        assert [part for part in case.said if part not in outcome.err] == [], outcome.err
    else:
        assert outcome.code in (0, cli.FOUND), outcome.err
        assert outcome.err == ""
        assert [part for part in case.said if part not in outcome.out] == [], outcome.out


@pytest.fixture(scope="module")
def outcomes():
    """What every case prints, all run in this process, one after another."""
    return bad_files.all_outcomes()


def test_every_bad_file_is_refused_in_one_line_or_read_and_told(outcomes):
    for found in outcomes.values():
        for case, outcome in found:
            try:
                check(case, outcome)
            except AssertionError as error:
                raise AssertionError(f"{case.name}: {error}") from error


def test_the_page_lists_what_is_printed(outcomes):
    assert PAGE.read_text(encoding="utf-8") == bad_files.page(outcomes), (
        "python tests/bad_files.py docs/bad-files.md writes it anew"
    )


THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


def test_why_and_study_refuse_in_the_same_words(outcomes):
    # By default one case of five: the commands share how they read.
    for case, of_fit in [pair for found in outcomes.values() for pair in found][:: 1 if THOROUGH else 5]:
        if of_fit.code == cli.FAILED:
            as_fit = () if "--missing" in case.options else ("--missing", "error")
            assert bad_files.outcome_of(case, *as_fit, command="why").told() == of_fit.told(), case.name
            if "--weights" not in case.options:
                assert bad_files.outcome_of(case, "--steps", "1", command="study").told() == of_fit.told(), case.name


def test_why_says_of_every_bad_file_what_is_wrong_or_in_one_line_why_it_cannot(outcomes):
    for case, of_fit in [pair for found in outcomes.values() for pair in found][:: 1 if THOROUGH else 5]:
        if {"--missing", "--categories"}.isdisjoint(case.options):
            outcome = bad_files.outcome_of(case, command="why")
            if outcome.code == cli.FAILED:  # not even columns can be told
                assert of_fit.code == cli.FAILED, case.name
                assert outcome.err.startswith("linreg: "), case.name
                assert outcome.err.count("\n") == 1, case.name
            else:
                assert (outcome.code, outcome.err) == (cli.FOUND, ""), case.name


def opened(case, folder, monkeypatch):
    """The numbers of a case."""
    case.write(folder)
    monkeypatch.chdir(folder)
    options = dict(zip(case.options[::2], case.options[1::2], strict=True))
    return open_table(
        list(case.given),
        options.get("--target", "y"),
        columns=names_in(options.get("--columns")),
        weights=options.get("--weights"),
        missing=options.get("--missing", "error"),
        categories=names_in(options.get("--categories")) or (),
    )


@pytest.mark.parametrize("large", [False, True], ids=["in memory", "larger than memory"])
def test_what_is_read_is_what_the_file_says(large, tmp_path, monkeypatch):
    if large:
        monkeypatch.setattr(parts, "IN_MEMORY", 0)
        monkeypatch.setattr(csv_files, "CHUNK", 7)
    for number, case in enumerate(case for case in CASES.values() if case.X is not None):
        folder = tmp_path / str(number)
        folder.mkdir()
        with opened(case, folder, monkeypatch) as table:
            X, y, _ = table.arrays()
        # Whole numbers and halves are exact; of a day's parts and of a mean float64 may round the last bit.
        np.testing.assert_allclose(X, case.X, rtol=2**-52, atol=0, err_msg=case.name)
        np.testing.assert_array_equal(y, case.y, err_msg=case.name)


def test_files_larger_than_memory_are_refused_in_the_same_words(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "IN_MEMORY", 0)
    monkeypatch.setattr(csv_files, "CHUNK", 64)
    for number, case in enumerate(
        case for case in CASES.values() if case.X is None and "--weights" not in case.options
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises((OSError, TypeError, ValueError)) as caught, opened(case, folder, monkeypatch):
            pass
        said = " ".join(str(caught.value).split())
        assert [part for part in case.said if part.isprintable() and "\\" not in part and part not in said] == [], (
            f"{case.name}: {said}"
        )


def by_path(path, target):
    """The rows of a file as `fit` reads them, features and then the target."""
    with opened_source(path, target) as source:
        return np.vstack([source.read(block).rows for block in range(len(source))])


def by_dask(path, target):
    """The rows of a file as `fit` reads them on Dask, in threads."""
    dask = pytest.importorskip("dask", reason="Dask is not installed: pip install 'linreg[dask]'")
    blocks = dask.compute(*DaskRows.of(path, target).each(rows_of_block), scheduler="threads")
    return np.vstack(blocks)


def rows_of_block(block):
    """The rows of a block."""
    return block.rows


def holds_numbers(file):
    """Whether all columns of a file are of types of numbers or booleans."""
    frame = (pl.read_parquet if file.endswith("parquet") else pl.read_ipc)(file)
    return all(kind.is_numeric() or kind == pl.Boolean for kind in frame.schema.values())


@pytest.mark.parametrize("way", [by_path, by_dask])
def test_fit_on_a_path_and_dask_read_files_of_numbers_and_refuse_all_others_in_one_line(way, tmp_path, monkeypatch):
    cases = [case for case in CASES.values() if Path(case.given[0]).suffix in FRAMES and len(case.given) == 1]
    cases = [case for case in cases if set(case.options) <= {"--target", "y"}]
    read = 0
    for number, case in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        case.write(folder)
        monkeypatch.chdir(folder)
        if case.X is not None and holds_numbers(case.given[0]):
            expected = np.column_stack([case.X, case.y])
            np.testing.assert_array_equal(way(case.given[0], "y"), expected, err_msg=case.name)
            read += 1
        else:
            with pytest.raises((OSError, TypeError, ValueError), match=r"^[^\n]{30,}$"):
                way(case.given[0], "y")
    assert 10 < read < len(cases) - 50


# Mutations: whatever becomes of a good file, it is refused in words or read as what it says.

GOOD_CSV = b"x,z,y\n1,0.5,3\n2,-1e3,5\n3,  7,7\n4,2.25,9\n"
PIECES = [
    b"",
    b"\n",
    b",",
    b";",
    b'"',
    b"#",
    b"\n#",
    b"\n# 1,2,3\n",
    b"\r",
    b"\0",
    b"\xff",
    b" ",
    b"-",
    b".",
    b"e",
    b"NA",
    b"inf",
    b"1,000",
    b"\t",
    b"x",
]


def mutations(good):
    """The bytes of a file with some of them changed, left out or put in."""
    place = st.integers(0, len(good))
    change = st.tuples(place, st.integers(0, 3), st.sampled_from(PIECES) | st.binary(max_size=3))

    def changed(changes):
        data = good
        for where, gone, new in changes:
            data = data[:where] + new + data[where + gone :]
        return data

    return st.lists(change, min_size=1, max_size=4).map(changed)


def read_or_refused(path):
    """The table in a file, or None where it is refused; the error is one that the command line prints in one line."""
    try:
        return open_table(path, "y", missing="drop")
    except (OSError, TypeError, ValueError) as error:
        words = str(error)
    assert len(words) >= 30
    assert "\n" not in words
    return None


def rows_of(data, names):
    """The rows of a plain CSV file with these columns, read line by line, and its other lines but the header.

    A row is what stands below the header and has as many values, whatever it begins with.
    """
    lines = data.removeprefix(b"\xef\xbb\xbf").decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = [line for line in lines if line]
    for separator in ",;\t|":
        cells = [[cell.strip() for cell in line.split(separator)] for line in lines]
        if names in cells:
            break
    header = cells.index(names)
    rows = [n for n, row in enumerate(cells) if n > header and len(row) == len(names)]
    return [cells[n] for n in rows], [line for n, line in enumerate(lines) if n not in {header, *rows}]


@given(mutations(GOOD_CSV))
def test_a_mutated_csv_file_is_refused_or_read_as_what_it_says(data):
    with bad_files.in_a_folder() as folder:
        (folder / "f.csv").write_bytes(data)
        table = read_or_refused(folder / "f.csv")
    if table is None or b'"' in data:
        return
    header = list(table.parts[0].names)
    rows, others = rows_of(data, header)
    assert table.given == len(rows)
    assert [line for line in others if not line.startswith("#")] == []
    told = [re.match(r"([0-9]+) lines? of .* skipped", note) for note in table.notes()]
    assert sum(int(match[1]) for match in told if match) == len(others)
    X, y, _ = table.arrays()
    numbers = {}
    for column in (*table.encoding.columns, table.encoding.target):
        place = header.index(column.name)
        if column.kind.name == "number":
            numbers[column.name] = [float(row[place] or "nan") if row[place] != "NA" else np.nan for row in rows]
    whole = np.arange(len(rows))
    if table.count < table.given:
        whole = np.concatenate([table.read(block).numbers for block in range(len(table))])
    for name, expected in numbers.items():
        got = y if name == "y" else X[:, table.names.index(name)]
        np.testing.assert_array_equal(got, np.array(expected)[whole])


SPELLED = {
    "{!r}": "number",
    "{:.3f}": "number",
    "{:e}": "number",
    '"{:,.2f}"': None,
    "{:.1f}%": "percent",
    "${:.2f}": "number_as_text",
    " {:g} ": "number",
}


@given(st.sampled_from(sorted(SPELLED)), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8))
def test_numbers_written_into_a_csv_file_come_back(spelled, values):
    texts = [spelled.format(value) for value in values]
    expected = [float(re.sub(r'[$%" ,]', "", text)) for text in texts]
    with bad_files.in_a_folder() as folder:
        (folder / "f.csv").write_text("x,y\n" + "".join(f"{text},{row}\n" for row, text in enumerate(texts)))
        X, y, _ = open_table(folder / "f.csv", "y").arrays()
    np.testing.assert_array_equal(X[:, 0], expected)
    np.testing.assert_array_equal(y, np.arange(len(values)))


def good_binary(ending):
    with bad_files.in_a_folder() as folder:
        path = folder / f"f.{ending}"
        frame = pl.DataFrame({"x": [1.0, 2.0, 3.0], "c": ["a", "b", "a"], "y": [3, 5, 7]})
        if ending == "npz":
            path.write_bytes(bad_files.npz(x=np.arange(3.0), y=np.arange(3)))
        elif ending == "npy":
            path.write_bytes(bad_files.npy(np.array([(1, 3), (2, 5)], [("x", "f8"), ("y", "f8")])))
        else:
            getattr(frame, "write_parquet" if ending == "parquet" else "write_ipc")(path)
        return path.read_bytes()


@pytest.mark.parametrize("ending", ["npy", "npz"])
@given(st.data())
def test_a_mutated_file_of_arrays_is_refused_or_read(ending, data):
    with bad_files.in_a_folder() as folder:
        (folder / f"f.{ending}").write_bytes(data.draw(mutations(good_binary(ending))))
        table = read_or_refused(folder / f"f.{ending}")
        if table is not None:
            X, y, _ = table.arrays()
            assert np.isfinite(X).all()
            assert len(X) == len(y) == table.count


@pytest.mark.parametrize(("ending", "write"), [("parquet", "write_parquet"), ("arrow", "write_ipc")])
def test_a_changed_byte_of_a_number_is_not_seen_as_the_page_says(ending, write, tmp_path):
    file = tmp_path / f"f.{ending}"
    frame = pl.DataFrame({"x": np.arange(1000) + 0.5, "y": np.arange(1000)})
    getattr(frame, write)(file, compression="uncompressed")
    data = bytearray(file.read_bytes())
    data[data.find(np.float64(500.5).tobytes()) + 2] ^= 0x40
    file.write_bytes(data)
    with open_table(file, "y") as table:
        X, _, _ = table.arrays()
    assert X[500, 0] == 500.5 + 2.0**-22  # bit 22 of the mantissa, whose last bit is 2**-44 here
    assert np.delete(X[:, 0] == np.arange(1000) + 0.5, 500).all()


MUTATED = 2000 if THOROUGH else 100


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_a_mutated_file_of_polars_is_refused_or_read_unless_polars_gives_up(ending):
    said, given_up, first = [], 0, 0
    while first < MUTATED:
        command = [sys.executable, str(Path(bad_files.__file__).with_name("mutated_files.py")), ending]
        environment = {**os.environ, "RUST_BACKTRACE": "0", "PYTHONWARNINGS": "ignore"}
        run = subprocess.run(  # noqa: S603
            [*command, str(first), str(MUTATED)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120 + MUTATED,
            env=environment,
        )
        said += [line.split("|")[1:] for line in run.stdout.splitlines()]
        if len(said) < MUTATED:
            assert "memory allocation of" in run.stderr, run.stderr
            said.append([f"{way} given up" for way in mutated_files.WAYS])
            given_up += 1
        first = len(said)
    for number, way in enumerate(mutated_files.WAYS):
        outcomes = [of_a_file[number] for of_a_file in said]
        assert set(outcomes) <= {f"{way} {what}" for what in ("read", "refused", "given up")}
        assert outcomes.count(f"{way} read") > MUTATED // 20
        assert outcomes.count(f"{way} refused") > MUTATED // 4
    assert given_up <= 1 + MUTATED // 200
