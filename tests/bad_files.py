"""Malformed files, what is wrong with each, and what must come of it: one clear line, or numbers written down here.

`python tests/bad_files.py docs/bad-files.md` writes the page that lists what linreg prints of each.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import os
import re
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

Content = bytes | str | Callable[[Path], object]


@dataclass(frozen=True)
class BadFile:
    """A case: files by name, options of `linreg fit`, and either parts of the line of the error or the numbers."""

    name: str
    wrong: str
    files: dict[str, Content]
    given: tuple[str, ...]
    options: tuple[str, ...]
    said: tuple[str, ...]
    X: Any = None
    y: Any = None

    def write(self, folder: Path) -> None:
        for name, content in self.files.items():
            if callable(content):
                content(folder / name)
            else:
                (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    def arguments(self) -> list[str]:
        target = () if "--target" in self.options else ("--target", "y")
        return ["fit", *self.given, *target, *self.options, "--epochs", "1"]


def _files(content: Any, file: str) -> dict[str, Content]:
    return content if isinstance(content, dict) else {file: content}


def refused(
    name: str, wrong: str, content: Any, *said: str, file: str = "f.csv", options: Sequence[str] = (), given: Any = None
) -> BadFile:
    """A case that is refused in one line with these parts."""
    files = _files(content, file)
    return BadFile(name, wrong, files, tuple(given or files), tuple(options), said)


def read(
    name: str,
    wrong: str,
    content: Any,
    X: Any,
    y: Any,
    *said: str,
    file: str = "f.csv",
    options: Sequence[str] = (),
    given: Any = None,
) -> BadFile:
    """A case that is read as these numbers, with these parts in what is told about it."""
    files = _files(content, file)
    return BadFile(name, wrong, files, tuple(given or files), tuple(options), said, X, y)


X, Y = [[1.0], [2.0], [3.0]], [3.0, 5.0, 7.0]  # y = 2 x + 1
PLAIN = "x,y\n1,3\n2,5\n3,7\n"


def encodings() -> list[BadFile]:
    latin = "größe,y\n1,3\n2,5\n3,7\n"
    return [
        read("byte order mark", "UTF-8 with a byte order mark", b"\xef\xbb\xbf" + PLAIN.encode(), X, Y),
        read(
            "quoted name behind a mark",
            "a byte order mark, then a quoted name",
            b'\xef\xbb\xbf"x",y\n1,3\n2,5\n3,7\n',
            X,
            Y,
        ),
        refused(
            "two byte order marks",
            "the mark twice: the second is part of the first name",
            b"\xef\xbb\xbf\xef\xbb\xbfy,x\n1,3\n2,5\n",
            "no column 'y'",
        ),
        refused("UTF-16 with a mark", "little-endian UTF-16", PLAIN.encode("utf-16"), "UTF-16", "save it as UTF-8"),
        refused(
            "UTF-16 big-endian",
            "big-endian UTF-16 with a mark",
            b"\xfe\xff" + PLAIN.encode("utf-16-be"),
            "UTF-16",
            "save it as UTF-8",
        ),
        refused(
            "UTF-16 without a mark",
            "zero bytes between letters",
            PLAIN.encode("utf-16-le"),
            "zero bytes, the first in line 1",
        ),
        refused("UTF-32", "UTF-32 begins like UTF-16", PLAIN.encode("utf-32"), "save it as UTF-8"),
        refused(
            "UTF-7 names",
            "UTF-7: the name is other text",
            "+AHg-,y\n1,3\n2,5\n",
            "no column 'x'",
            options=["--columns", "x"],
        ),
        refused("Latin-1 in the header", "an umlaut in Latin-1", latin.encode("latin-1"), "byte 0xf6 in line 1"),
        refused(
            "Latin-1 in a cell",
            "an umlaut in Latin-1",
            "x,c,y\n1,a,3\n2,\xfc,5\n".encode("latin-1"),
            "byte 0xfc in line 3",
            "saved as UTF-8",
        ),
        refused("Windows-1252", "a euro sign in Windows-1252", "x,y\n1,3\n€2,5\n".encode("cp1252"), "0x80 in line 3"),
        refused("EBCDIC", "text of a mainframe", PLAIN.encode("cp500"), "is no text in UTF-8"),
        refused("Shift JIS", "Japanese in Shift JIS", "x,y\n1,3\n日,5\n".encode("shift_jis"), "byte 0x93 in line 3"),
        refused(
            "truncated character", "the last character is cut", "x,y\n1,3\n2,5é".encode()[:-1], "byte 0xc3 in line 3"
        ),
        refused("overlong character", "an overlong slash", b"x,y\n1,3\n\xc0\xaf,5\n", "byte 0xc0 in line 3"),
        refused(
            "surrogate", "half of a character outside the BMP", b"x,y\n1,3\n\xed\xa0\x80,5\n", "byte 0xed in line 3"
        ),
        refused("zero byte in a cell", "a zero byte", b"x,y\n1,3\n2\0,5\n", "zero bytes, the first in line 3"),
        refused("zero byte in the header", "a zero byte", b"x\0,y\n1,3\n", "zero bytes, the first in line 1"),
        refused(
            "zeros at the end",
            "a file cut by a crash: a tail of zeros",
            PLAIN.encode() + bytes(4096),
            "zero bytes, the first in line 5",
        ),
        refused("only zeros", "4 KiB of zeros", bytes(4096), "zero bytes"),
        refused(
            "random bytes",
            "no text at all",
            bytes(np.random.default_rng(0).integers(1, 256, 999, "uint8")),
            "is no text in UTF-8",
        ),
        read("Windows line ends", "CR LF", PLAIN.replace("\n", "\r\n"), X, Y),
        read("old Mac line ends", "CR", PLAIN.replace("\n", "\r"), X, Y),
        read("mixed line ends", "LF, CR LF and CR in one file", "x,y\r\n1,3\n2,5\r3,7", X, Y),
        read("CR CR LF", "line ends translated twice", PLAIN.replace("\n", "\r\r\n"), X, Y),
        read("no newline at the end", "the last line is not ended", PLAIN.rstrip("\n"), X, Y),
        read("blank lines", "blank lines everywhere", "\n\nx,y\n\n1,3\n\n\n2,5\n3,7\n\n\n", X, Y),
        read(
            "comments",
            "lines that begin with # and are no rows",
            "# a\nx,y\n# 9,9,9\n1,3\n2,5\n#\n3,7\n# b\n",
            X,
            Y,
            "4 lines of 'f.csv'",
            "skipped",
        ),
        refused("a commented row", "a row behind a #", "x,y\n# 9,9\n1,3\n2,5\n", "'# 9' in row 0"),
        refused("a row of #NV", "a German spreadsheet's #N/A in the first cell", "x,y\n#NV,1\n2,2\n", "'#NV' in row 0"),
        refused(
            "a row of #######", "a spreadsheet's column that was too narrow", "x,y\n1,3\n####,5\n", "'####' in row 1"
        ),
        read(
            "rows of #1",
            "identifiers that begin with #",
            "id,x,y\n#1,1,3\n#2,2,5\n#3,3,7\n",
            X,
            Y,
            options=["--columns", "x"],
        ),
        read(
            "colours",
            "categories that begin with #",
            "c,y\n#ff0000,3\n#00ff00,5\n#ff0000,7\n",
            [[1.0], [0.0], [1.0]],
            Y,
            "all are 0 for '#00ff00'",
        ),
        refused("form feed", "a page break in a cell", "x,y\n1,3\n2\f3,5\n", "'2\\x0c3'", "row 1"),
        refused("line separator", "U+2028 is no line end in CSV", "x,y\n1,3\u20282,5\n3,7\n", "Line 2"),
        refused("escape codes", "codes that would clear the screen", "x,y\n1,3\n\x1b[2J,5\n", "\\x1b[2J", "row 1"),
        refused("escape codes in a name", "codes in the header", "\x1b[2J,x\n1,3\n", "\\x1b"),
        refused("right-to-left override", "a name that turns text around", "\u202eabc,z\n1,3\n", "no column 'y'"),
    ]


def headers() -> list[BadFile]:
    many = 5_000
    return [
        refused("empty", "no bytes", b"", "'f.csv' is empty"),
        refused("a newline", "one blank line", "\n", "'f.csv' is empty"),
        refused("blank and comments", "nothing but comments", "# a\n\n# b\n", "'f.csv' is empty"),
        refused("only a mark", "a byte order mark alone", b"\xef\xbb\xbf", "'f.csv' is empty"),
        refused("header only", "no rows", "x,y\n", "has a header (x, y) but no rows"),
        refused("header and comments", "no rows", "x,y\n\n# 12\n", "no rows below it"),
        refused("header without a newline", "no rows", "x,y", "no rows below it"),
        refused(
            "name of a category",
            "a column c=b beside the category b of c",
            "c,c=b,y\na,1,1\nb,2,2\na,3,5\nb,1,1\n",
            "called 'c=b'",
            "rename",
        ),
        refused("name twice", "x twice", "x,x,y\n1,2,3\n", "'x' occurs 2 times", "a name of its own"),
        refused("name twice but for spaces", "x and ' x '", "x, x ,y\n1,2,3\n", "'x' occurs 2 times"),
        refused("target twice", "y twice", "y,x,y\n1,2,3\n", "'y' occurs 2 times"),
        refused("no first name", "the index that pandas writes", ",x,y\n0,1,3\n1,2,5\n", "Column 1 of", "no name"),
        refused("no last name", "a comma at the end", "x,y,\n1,3,\n2,5,\n", "Column 3 of", "no name"),
        refused("no names", "commas only", ",,\n1,2,3\n", "Column 1 of", "no name"),
        refused("blank name", "a name of spaces", "x,  ,y\n1,2,3\n", "Column 2 of", "no name"),
        refused("quoted blank name", "an empty name in quotation marks", '"",y\n1,2\n', "Column 1 of", "no name"),
        refused("no header", "the first line is a row", "1.5,3\n2.5,5\n", "has no header", "1.5"),
        refused("no header, negative", "the first line is a row", "1,-3\n2,-5\n", "has no header", "-3"),
        refused("header of the target alone", "one column", "y\n1\n2\n", "'y' is the only column"),
        refused("another target", "no column y", "x,z\n1,3\n2,5\n", "no column 'y'"),
        refused("target in upper case", "names are taken as they stand", "x,Y\n1,3\n2,5\n", "no column 'y'"),
        refused("mistyped target", "ys for y", "x,ys\n1,3\n2,5\n", "did you mean 'ys'"),
        refused(
            "header behind a comment mark",
            "# before the names, as numpy.savetxt writes",
            "# x,y\n1,3\n2,5\n",
            "no column 'y'",
        ),
        refused(
            "open quotation in the header",
            "a quotation mark that is never closed",
            '"x,y\n1,3\n',
            "The header of",
            "never closed",
        ),
        refused("title line", "a title above the header", "Sales 2024\nx,y\n1,3\n", "Line 2", "2 value(s) for 1"),
        refused("units line", "units below the header", "x,y\nm,kg\n1,3\n2,5\n", "'m' in row 0"),
        refused("header twice", "the header pasted into the rows", "x,y\n1,3\nx,y\n2,5\n", "'x' in row 1"),
        read("names with spaces around", "spaces do not count", " x , y \n1,3\n2,5\n3,7\n", X, Y),
        read("name with a comma", "a comma within quotation marks", '"a,b",y\n1,3\n2,5\n3,7\n', X, Y),
        read("name over two lines", "a newline within quotation marks", '"a\nb",y\n1,3\n2,5\n3,7\n', X, Y),
        read("name like a pattern", "polars would take ^.*$ for all columns", "^.*$,y\n1,3\n2,5\n3,7\n", X, Y),
        read("name like code", "a name is never run", "__import__('os'),y\n1,3\n2,5\n3,7\n", X, Y),
        read(
            "numbers as names",
            "names that pandas gives",
            "0,1\n1,3\n2,5\n3,7\n",
            X,
            Y,
            "is there a header?",
            options=["--target", "1"],
        ),
        read("very long name", "100,000 letters", "x" * 100_000 + ",y\n1,3\n2,5\n3,7\n", X, Y),
        refused("name longer than csv reads", "200,000 letters", "x" * 200_000 + ",y\n1,3\n", "field limit"),
        refused(
            "very many columns",
            f"{many} columns, none of them y",
            ",".join(f"x{i}" for i in range(many)) + "\n" + ",".join(["1"] * many) + "\n",
            "no column 'y'",
            "more",
        ),
        refused(
            "very many columns, no rows",
            f"{many} columns and no rows",
            ",".join(f"x{i}" for i in range(many)) + "\n",
            "x19, ...) but no rows",
        ),
    ]


def rows() -> list[BadFile]:
    return [
        refused("row too short", "one value of two", "x,y\n1,3\n2\n3,7\n", "Line 3 of", "1 value(s) for 2"),
        refused("row too long", "three values of two", "x,y\n1,3\n2,5,9\n", "Line 3 of", "3 value(s) for 2"),
        refused("first row too short", "one value of two", "x,y\n1\n2,5\n", "Line 2 of", "1 value(s) for 2"),
        refused("first row too long", "three values of two", "x,y\n1,3,9\n2,5\n", "Line 2 of", "3 value(s) for 2"),
        refused("all rows too short", "one value of two", "x,y\n1\n2\n", "Line 2 of", "1 value(s) for 2"),
        refused("all rows too long", "three values of two", "x,y\n1,3,9\n2,5,9\n", "Line 2 of", "3 value(s) for 2"),
        refused(
            "last row cut", "the file ends within a row", "a,x,y\n0,1,3\n0,2,5\n0,3", "Line 4 of", "2 value(s) for 3"
        ),
        refused("comma at the end of a row", "an empty value too many", "x,y\n1,3\n2,5,\n", "Line 3 of", "3 value(s)"),
        refused(
            "decimal commas between commas", "1,5,2,5 are four values", "x,y\n1,5,2,5\n", "Line 2", "4 value(s) for 2"
        ),
        refused("thousands between commas", "1,000 are two values", "x,y\n1,000,3\n", "Line 2", "3 value(s) for 2"),
        refused("ragged behind a comment", "lines are counted with comments", "x,y\n# c\n1,3\n2\n", "Line 4 of"),
        refused(
            "ragged among quotes", "a short row in a quoted file", '"x","y"\n"1","3"\n"2"\n', "Line 3 of", "1 value"
        ),
        refused(
            "two tables",
            "a second table below the first",
            "x,y\n1,3\n\na,b,c\n1,2,3\n",
            "Line 4 of",
            "3 value(s) for 2",
        ),
        refused("rows of spaces", "a line of spaces is a row", "x,y\n1,3\n   \n", "Line 3 of", "1 value(s) for 2"),
        refused(
            "rows of commas", "empty rows, as spreadsheets write", "x,y\n1,3\n,\n", "'x'", "1 of 2 values", "row 1"
        ),
        read("one row", "one row only", "x,y\n1,3\n", [[1.0]], [3.0]),
        read("a total at the end is read", "a row like any other", "x,y\n1,3\n2,5\n3,8\n", X, [3.0, 5.0, 8.0]),
    ]


def quotes() -> list[BadFile]:
    return [
        read("all quoted", "numbers in quotation marks", '"x","y"\n"1","3"\n"2","5"\n"3","7"\n', X, Y),
        read("spaces before quotes", "a space behind each comma", 'x, y\n"1", "3"\n"2", "5"\n"3", "7"\n', X, Y),
        refused(
            "open quotation",
            "a quotation mark that is never closed",
            'x,y\n1,3\n"2,5\n3,7\n',
            "below line 2",
            "never closed",
        ),
        refused("open quotation at the end", "the last mark is missing", 'x,y\n1,3\n2,"5\n', "below line 2"),
        refused("text behind a quotation", 'a value like "2"a', 'x,y\n1,3\n"2"a,5\n', "below line 2"),
        refused("a mark within a value", 'inches: 5" is no number', 'x,y\n1,3\n5",5\n', "'5\"' in row 1"),
        refused("single quotes", "apostrophes are no quotation marks", "x,y\n'1','3'\n'2','5'\n", "\"'3'\" in row 0"),
        read(
            "curly quotes",
            "typographic quotation marks are letters like others",
            "x,y\n“1”,3\n“2”,5\n",
            [[0.0], [1.0]],
            [3.0, 5.0],
            "categories",
            "'“2”'",
        ),
        refused(
            "quoted row", "each row within quotation marks", 'x,y\n"1,3"\n"2,5"\n', "Line 2 of", "1 value(s) for 2"
        ),
        read(
            "category over lines",
            "newlines within a value",
            'c,y\n"a\n\n# b",3\nz,5\n',
            [[0.0], [1.0]],
            [3.0, 5.0],
            "'c=z'"[1:-1],
        ),
        read("doubled quotes", 'a category that holds "', 'c,y\n"a ""b""",3\nz,5\n', [[0.0], [1.0]], [3.0, 5.0]),
        refused("backslash quotes", "marks escaped by a backslash", 'c,y\n"a \\"b\\"",3\nz,5\n', "below line 1"),
        refused("huge cell", "one million letters in a cell", f"x,y\n1,3\n{'a' * 1_000_000},5\n", "…", "row 1"),
        refused(
            "huge quoted cell",
            "one million letters in a quoted cell",
            f'x,y\n1,3\n"{"a" * 1_000_000}",5\n',
            "field limit",
        ),
        read("huge number", "1,000 digits behind the point", f"x,y\n1.{'0' * 1000},3\n2,5\n3,7\n", X, Y),
        refused(
            "number of a million digits", "beyond every float", f"x,y\n1,3\n{'9' * 1_000_000},5\n", "infinite", "row 1"
        ),
    ]


def separators() -> list[BadFile]:
    semicolons = "x;y\n1,5;3,5\n2,5;5,5\n3,5;7,5\n"
    return [
        read(
            "semicolons and decimal commas",
            "as German spreadsheets write",
            semicolons,
            [[1.5], [2.5], [3.5]],
            [3.5, 5.5, 7.5],
            "'1,5' is 1.5",
        ),
        read("semicolons", "semicolons between values", PLAIN.replace(",", ";"), X, Y),
        read("tabs", "tabs between values", PLAIN.replace(",", "\t"), X, Y),
        read("bars", "bars between values", PLAIN.replace(",", "|"), X, Y),
        refused("spaces between values", "no separator that is known", PLAIN.replace(",", " "), "no column 'y'"),
        refused("colons between values", "no separator that is known", PLAIN.replace(",", ":"), "no column 'y'"),
        refused(
            "semicolons below commas",
            "header with commas, rows with semicolons",
            "x,y\n1;3\n2;5\n",
            "Line 2 of",
            "1 value(s) for 2",
        ),
        refused("sep line", "the line sep=; that Excel understands", "sep=;\nx;y\n1;3\n", "Column 2 of", "no name"),
        refused("markdown", "a table of Markdown", "| x | y |\n|---|---|\n| 1 | 3 |\n", "no name"),
        refused("fixed width", "columns by position", "x    y\n1    3\n2    5\n", "no column 'y'"),
        read(
            "decimal commas in quotes",
            "decimal commas, quoted",
            'x,y\n"1,5",3\n"2,5",5\n"3,5",7\n',
            [[1.5], [2.5], [3.5]],
            Y,
            "'1,5' is 1.5",
        ),
        read(
            "thousands in quotes",
            "commas between thousands",
            'x,y\n"1,000",3\n"2,000",5\n"3,500",7\n',
            [[1000.0], [2000.0], [3500.0]],
            Y,
            "'1,000' is 1000",
        ),
        read(
            "points between thousands",
            "1.234,5 is one thousand and more",
            "x;y\n1.234,5;3\n2.000,5;5\n7,5;7\n",
            [[1234.5], [2000.5], [7.5]],
            Y,
            "'1.234,5' is 1234.5",
        ),
        read(
            "a comma before three digits, decided",
            "1,234 beside a column of decimal commas",
            "x;z;y\n1,234;0,5;3\n2,345;0,7;5\n",
            [[1.234, 0.5], [2.345, 0.7]],
            [3.0, 5.0],
            "'1,234' is 1.234",
        ),
        read(
            "a point before three digits, decided",
            "1.234 beside a column of decimal commas",
            "x;z;y\n1.234;0,5;3\n2.345;0,7;5\n",
            [[1234.0, 0.5], [2345.0, 0.7]],
            [3.0, 5.0],
            "'1.234' is 1234",
        ),
        refused(
            "a comma before three digits",
            "1,234 between semicolons, and no other decimal comma",
            "x;y\n1,234;3\n2,345;5\n",
            "'1,234' in row 0",
            "1234 or 1.234",
        ),
        read(
            "apostrophes between thousands",
            "as in Switzerland",
            "x,y\n1'000,3\n2'000,5\n3'000,7\n",
            [[1000.0], [2000.0], [3000.0]],
            Y,
            "is 1000",
        ),
        read(
            "spaces between thousands",
            "as SI writes",
            "x,y\n1 000,3\n2 000,5\n3 000,7\n",
            [[1000.0], [2000.0], [3000.0]],
            Y,
            "is 1000",
        ),
        read(
            "narrow spaces between thousands",
            "U+202F, as in France",
            "x,y\n1\u202f000,3\n2\u202f000,5\n3\u202f000,7\n",
            [[1000.0], [2000.0], [3000.0]],
            Y,
            "is 1000",
        ),
    ]


def spellings() -> list[BadFile]:
    out = []
    for word in ("inf", "-inf", "Infinity", "+Inf", "INF", "1e999", "-1e400", "9" * 400):
        what = word if len(word) < 20 else "400 digits"
        out.append(
            refused(
                f"infinite: {what}",
                f"{what} among numbers",
                f"x,y\n1,3\n{word},5\n3,7\n",
                "'x'",
                "infinite",
                "in row 1",
            )
        )
    out.append(refused("infinite target", "inf in the target", "x,y\n1,3\n2,inf\n", "'y'", "infinite", "in row 1"))
    out.append(
        refused(
            "infinite with drop",
            "an infinite value is not a missing one",
            "x,y\n1,3\ninf,5\n",
            "infinite",
            options=["--missing", "drop"],
        )
    )
    for word in (
        "",
        " ",
        "NA",
        "N/A",
        "#N/A",
        "nan",
        "NaN",
        "-nan",
        "null",
        "NULL",
        "none",
        "None",
        "?",
        "-",
        "<NA>",
        "NaT",
        "n/a",
        "#DIV/0!",
        "#REF!",
        "#VALUE!",
    ):
        out.append(
            refused(
                f"missing: {word!r}",
                f"{word!r} among numbers",
                f"x,y\n1,3\n{word},5\n3,7\n",
                "'x'",
                "1 of 3 values is missing",
                "row 1",
            )
        )
        out.append(
            read(
                f"missing: {word!r}, dropped",
                f"{word!r} among numbers",
                f"x,y\n1,3\n{word},5\n3,7\n",
                [[1.0], [3.0]],
                [3.0, 7.0],
                "1 of 3 rows",
                options=["--missing", "drop"],
            )
        )
    for word in (
        "abc",
        "1.2.3",
        "1-2",
        "0x10",
        "1e",
        "--1",
        "1/2",
        "12a",
        "(5)",
        "TRUE1",
        "2^3",
        "=A1",
        "1,5",
        "Ⅳ",
        "½",
        "1e5.5",
        "five",
        "1\t2",
        "N/A?",
        "*",
        ".",
        "+",
        "e5",
        "nan1",
        "𝟙",
    ):
        quoted = f'"{word}"' if "," in word else word
        out.append(
            refused(f"no number: {word!r}", f"{word!r} among numbers", f"x,y\n1,3\n{quoted},5\n3,7\n", "'x'", "row 1")
            if word != "1,5"
            else read(
                "one decimal comma",
                "1,5 beside 1 and 3",
                f"x,y\n1,3\n{quoted},5\n3,7\n",
                [[1.0], [1.5], [3.0]],
                Y,
                "'1,5' is 1.5",
            )
        )
    for word, value in (
        ("+2", 2.0),
        (" 2 ", 2.0),
        ("2.", 2.0),
        (".5", 0.5),
        ("2e0", 2.0),
        ("2E+0", 2.0),
        ("002", 2.0),
        ("-0", 0.0),
        ("1e-400", 0.0),
        ("5e-324", 5e-324),
        ("3e38", 3e38),
        ("9007199254740993", 9007199254740992.0),
        ("18446744073709551616", 2.0**64),
        ("0.1", 0.1),
        ("−2", -2.0),
        ("2\u00a0", 2.0),
    ):
        out.append(
            read(f"number: {word!r}", f"{word!r} is a number", f"x,y\n1,3\n{word},5\n3,7\n", [[1.0], [value], [3.0]], Y)
        )
    for words, values, told in (
        (("$1", "$2", "$3"), (1.0, 2.0, 3.0), "numbers as text"),
        (("10%", "20%", "30%"), (10.0, 20.0, 30.0), "percentages"),
        (("1 kg", "2 kg", "3.5 kg"), (1.0, 2.0, 3.5), "numbers as text"),
        (("true", "FALSE", "True"), (1.0, 0.0, 1.0), "true and false"),
        (("2024-01-01", "2024-01-02", "2024-01-05"), (0.0, 1.0, 4.0), "days since 2024-01-01"),
        (("01/02/2024", "01/03/2024", "01/31/2024"), (0.0, 1.0, 29.0), "the month first"),
        (("31/01/2024", "01/02/2024", "02/02/2024"), (0.0, 1.0, 2.0), "the day first"),
        (("31.01.2024", "01.02.2024", "02.02.2024"), (0.0, 1.0, 2.0), "days since 2024-01-31"),
        (("2024-01-01T12:00", "2024-01-02T00:00", "2024-01-02T12:00"), (0.0, 0.5, 1.0), "days since"),
        (("2024-01-01 00:00:00", "2024-01-01 06:00:00", "2024-01-02 00:00:00"), (0.0, 0.25, 1.0), "days since"),
        (("12:00", "6:00:00", "6:00 pm"), (0.5, 0.25, 0.75), "times of day"),
        (("2024-01-01T00:00:00+01:00", "2024-01-01T00:00:00Z", "2024-01-01T23:00:00Z"), (0.0, 1 / 24, 1.0), "days"),
    ):
        lines = "".join(f"{word},{y:g}\n" for word, y in zip(words, Y, strict=True))
        out.append(
            read(
                f"column of {words[0]}",
                f"a column of {', '.join(words)}",
                f"x,y\n{lines}",
                [[value] for value in values],
                Y,
                told,
            )
        )
    for name, cells, first, second in (
        ("points of two kinds", ("1.000.000", "1.5", "2"), "'1.000.000' in row 0", "'1.5' in row 1"),
        ("two units", ("1 kg", "500 g"), "'1 kg' in row 0", "'500 g' in row 1"),
        ("a unit and none", ("6 kg", "7"), "'6 kg' in row 0", "'7' in row 1"),
        ("a word among units", ("6 kg", "7 kg", "heavy"), "'heavy' in row 2", "among numbers"),
        ("two orders of dates", ("13/01/2024", "01/13/2024"), "'13/01/2024' in row 0", "'01/13/2024' in row 1"),
        ("a date and a number", ("2024-01-01", "45000"), "'2024-01-01' in row 0", "'45000' in row 1"),
        ("a date and a time", ("2024-01-01", "12:30"), "'2024-01-01' in row 0", "'12:30' in row 1"),
        ("two currencies", ("$3", "€4.5", "£5"), "'$3' in row 0", "'€4.5' in row 1"),
        ("percent and plain", ("50%", "0.5"), "'50%' in row 0", "'0.5' in row 1"),
        ("true and 1", ("true", "1"), "'true' in row 0", "among numbers"),
        ("hexadecimal numbers", ("0x10", "0xff"), "'0x10' in row 0", "no notation that is read"),
        ("groups as in India", ("1,23,456", "12,34,567"), "'1,23,456' in row 0", "no notation that is read"),
        ("dates between dashes", ("31-01-2024", "28-02-2024"), "'31-01-2024' in row 0", "no notation that is read"),
        ("names of months", ("1 Jan 2024", "2 Jan 2024"), "'1 Jan 2024' in row 0", "no notation that is read"),
        ("26 o'clock", ("25:10", "26:20"), "'25:10' in row 0", "no notation that is read"),
        ("500 g among 40 numbers", (*map(str, range(40)), "500 g"), "'0' in row 0", "'500 g' in row 40"),
    ):
        lines = "".join(f"{cell};{row}\n" for row, cell in enumerate(cells))
        shown = ", ".join(cells if len(cells) < 9 else (*cells[:2], "...", cells[-1]))
        out.append(refused(name, f"a column of {shown}", f"x;y\n{lines}", "'x'", first, second))
    out += [
        refused(
            "impossible date", "the 30th of February", "x,y\n2024-02-28,3\n2024-02-30,5\n", "'2024-02-30' in row 1"
        ),
        refused(
            "two forms of dates",
            "two notations in one column",
            "x,y\n31.12.2024,3\n12/31/2024,5\nsoon,7\n",
            "'soon' in row 2",
        ),
        read(
            "categories",
            "words are categories",
            "c,y\nred,3\nblue,5\ngreen,7\n",
            [[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]],
            Y,
            "became 2 columns",
            "all are 0 for 'blue'",
        ),
        read(
            "categories with spaces around",
            "spaces around words do not count, quoted or not",
            'c,y\n red,3\nblue ,5\n"red",7\n',
            [[1.0], [0.0], [1.0]],
            Y,
            "became 1 column",
            "all are 0 for 'blue'",
        ),
        refused("one category", "a column with one word gives no feature", "c,y\nred,3\nred,5\n", "one category only"),
        refused(
            "too many categories",
            "60 different words",
            "c,y\n" + "".join(f"w{'abcdefghij'[i % 10]}{'x' * i},{i}\n" for i in range(60)),
            "60 different ones",
            "more than the 50",
        ),
        refused("target of words", "categories in the target", "x,y\n1,red\n2,blue\n", "'y'", "'red' in row 0"),
        refused("missing target", "an empty target", "x,y\n1,3\n2,\n", "'y'", "1 of 2 values is missing"),
        refused(
            "missing target, mean",
            "only features are filled in",
            "x,y\n1,3\n2,\n",
            "only features are filled in",
            options=["--missing", "mean"],
        ),
        refused(
            "missing category, mean",
            "categories have no mean",
            "c,y\nred,3\n,5\nblue,7\n",
            "categories have no mean",
            options=["--missing", "mean"],
        ),
        refused("nothing in a column", "an empty column", "x,z,y\n1,,3\n2,,5\n", "'z'", "2 of 2 values"),
        refused(
            "nothing in a column, drop",
            "no row is complete",
            "x,z,y\n1,,3\n2,,5\n",
            "No row is complete",
            options=["--missing", "drop"],
        ),
        refused(
            "nothing in a column, mean",
            "no mean of nothing",
            "x,z,y\n1,,3\n2,,5\n",
            "'z'",
            "no mean",
            options=["--missing", "mean"],
        ),
        read(
            "mean",
            "a gap that the mean fills",
            "x,y\n1,3\n,5\n2,7\n",
            [[1.0], [1.5], [2.0]],
            Y,
            "with 1.5, its mean",
            options=["--missing", "mean"],
        ),
        read(
            "median",
            "a gap that the median fills",
            "x,y\n1,3\n,5\n2,7\n9,7\n",
            [[1.0], [2.0], [2.0], [9.0]],
            [3.0, 5.0, 7.0, 7.0],
            "with 2, its median",
            options=["--missing", "median"],
        ),
        refused(
            "negative weight",
            "a weight below 0",
            "x,w,y\n1,1,3\n2,-1,5\n",
            "'w'",
            "-1.0 in row 1",
            "negative",
            options=["--weights", "w"],
        ),
        refused(
            "weights of zero",
            "no row counts",
            "x,w,y\n1,0,3\n2,0,5\n",
            "every weight in 'w' is zero",
            options=["--weights", "w"],
        ),
        refused(
            "weights of words",
            "weights are numbers",
            "x,w,y\n1,a,3\n2,b,5\n",
            "'w'",
            "'a' in row 0",
            options=["--weights", "w"],
        ),
        refused(
            "missing weight",
            "an empty weight",
            "x,w,y\n1,1,3\n2,,5\n",
            "'w'",
            "1 of 2 values is missing",
            options=["--weights", "w"],
        ),
        refused("no such weights", "no column v", PLAIN, "no column 'v'", options=["--weights", "v"]),
        refused("no such column", "no column z", PLAIN, "no column 'z'", options=["--columns", "x,z"]),
        refused("column asked for twice", "x twice", PLAIN, "'x' is asked for twice", options=["--columns", "x,x"]),
        refused(
            "target as a feature", "y is the target", PLAIN, "'y' cannot be a feature", options=["--columns", "x,y"]
        ),
        refused(
            "open quotation in columns",
            "a list that is not closed",
            PLAIN,
            "no list of column names",
            options=["--columns", '"x'],
        ),
        refused(
            "unknown way with gaps",
            "--missing mode",
            PLAIN,
            "'mode'",
            "drop, error, mean, median",
            options=["--missing", "mode"],
        ),
        read(
            "categories that are numbers",
            "codes, by --categories",
            "c,y\n7,3\n8,5\n7,7\n",
            [[0.0], [1.0], [0.0]],
            Y,
            "all are 0 for '7'",
            options=["--categories", "c"],
        ),
    ]
    return out


def frame_file(write: str, **columns: Any) -> Callable[[Path], None]:
    """Return what writes a frame as Parquet or Arrow."""
    return lambda path: getattr(pl.DataFrame(columns), write)(path)


def typed() -> list[BadFile]:
    """Types in files that have types, as Parquet and as Arrow."""
    moment = dt.datetime(2024, 1, 1)
    y = [3.0, 5.0, 7.0]
    good = {
        "integers of 8 bits": (pl.Series([1, 2, 3], dtype=pl.Int8), X),
        "unsigned integers": (pl.Series([1, 2, 2**64 - 1], dtype=pl.UInt64), [[1.0], [2.0], [2.0**64]]),
        "floats of 32 bits": (pl.Series([1.0, 2.0, 0.5], dtype=pl.Float32), [[1.0], [2.0], [0.5]]),
        "decimals": ([Decimal("1.5"), Decimal("2.25"), Decimal("3.00")], [[1.5], [2.25], [3.0]]),
        "booleans": ([True, False, True], [[1.0], [0.0], [1.0]]),
        "dates": ([dt.date(2024, 1, 1), dt.date(2024, 1, 3), dt.date(2024, 1, 2)], [[0.0], [2.0], [1.0]]),
        "moments": ([moment, moment + dt.timedelta(hours=12), moment], [[0.0], [0.5], [0.0]]),
        "durations": ([dt.timedelta(days=1), dt.timedelta(hours=6), dt.timedelta(0)], [[1.0], [0.25], [0.0]]),
        "times of day": ([dt.time(12), dt.time(6), dt.time(0)], [[0.5], [0.25], [0.0]]),
        "categorical": (pl.Series(["b", "a", "b"], dtype=pl.Categorical), [[1.0], [0.0], [1.0]]),
        "enum": (pl.Series(["b", "a", "b"], dtype=pl.Enum(["a", "b"])), [[1.0], [0.0], [1.0]]),
        "text of numbers": (["1", "2", "3.5"], [[1.0], [2.0], [3.5]]),
        "bytes of numbers": ([b"1", b"2", b"3"], X),
    }
    bad = {
        "lists": ([[1, 2], [3], []], ("'x'", "List")),
        "arrays": (pl.Series([[1.0, 2.0]] * 3, dtype=pl.Array(pl.Float64, 2)), ("'x'", "Array")),
        "structs": ([{"a": 1, "b": 2}] * 3, ("'x'", "Struct")),
        "lists of structs": ([[{"a": 1}]] * 3, ("'x'", "List")),
        "nulls only": ([None, None, None], ("'x'", "3 of 3 values are missing")),
        "a null": ([1, None, 3], ("'x'", "1 of 3 values is missing", "row 1")),
        "a nan": ([1.0, float("nan"), 3.0], ("'x'", "1 of 3 values is missing", "row 1")),
        "an infinity": ([1.0, 2.0, float("inf")], ("'x'", "infinite", "row 2")),
        "a null among booleans": ([True, None, False], ("'x'", "1 of 3 values is missing", "row 1")),
        "a null among dates": ([dt.date(2024, 1, 1), None, dt.date(2024, 1, 2)], ("'x'", "1 of 3", "row 1")),
        "a word among numbers": (["1", "two", "3"], ("'x'", "'two' in row 1")),
        "bytes that are no text": ([b"\xff\xfe", b"1", b"2"], ("'x'", "row 0")),
    }
    out = []
    for ending, write in (("parquet", "write_parquet"), ("arrow", "write_ipc")):
        for name, (x, numbers) in good.items():
            out.append(
                read(
                    f"{ending}: {name}",
                    f"a column of {name}",
                    frame_file(write, x=x, y=y),
                    numbers,
                    Y,
                    file=f"f.{ending}",
                )
            )
        for name, (x, said) in bad.items():
            out.append(
                refused(
                    f"{ending}: {name}", f"a column with {name}", frame_file(write, x=x, y=y), *said, file=f"f.{ending}"
                )
            )
        out.append(
            refused(
                f"{ending}: no rows",
                "columns, but no rows",
                frame_file(write, x=[], y=[]),
                "no rows",
                file=f"f.{ending}",
            )
        )
        out.append(
            refused(f"{ending}: no columns", "an empty table", frame_file(write), "no columns", file=f"f.{ending}")
        )
        out.append(
            read(
                f"{ending}: name like a pattern",
                "a column called ^.*$",
                frame_file(write, **{"^.*$": [1, 2, 3]}, y=y),
                X,
                Y,
                file=f"f.{ending}",
            )
        )
    return out


def damaged() -> list[BadFile]:
    """Files that are cut, turned around or overwritten, and files under the name of another kind."""
    out = []

    def of(write: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
        def made(path: Path) -> None:
            frame_file(write, x=list(range(1000)), y=list(range(1000)))(path)
            path.write_bytes(change(path.read_bytes()))

        return made

    changes: dict[str, Callable[[bytes], bytes]] = {
        "empty": lambda data: b"",
        "one byte": lambda data: data[:1],
        "cut in half": lambda data: data[: len(data) // 2],
        "last byte gone": lambda data: data[:-1],
        "first byte gone": lambda data: data[1:],
        "middle gone": lambda data: data[:100] + data[-100:],
        "text": lambda data: PLAIN.encode(),
        "zeros": lambda data: bytes(len(data)),
        "end overwritten": lambda data: data[:-64] + bytes(64),
        "reversed": lambda data: data[::-1],
    }
    for ending, write in (("parquet", "write_parquet"), ("feather", "write_ipc")):
        for name, change in changes.items():
            out.append(
                refused(
                    f"{ending}: {name}",
                    f"a {ending} file, {name}",
                    of(write, change),
                    f"'f.{ending}'",
                    "cannot be read",
                    file=f"f.{ending}",
                )
            )
    for name, kind, words in (
        ("Parquet", frame_file("write_parquet", x=[1], y=[2]), ".parquet"),
        ("Arrow", frame_file("write_ipc", x=[1], y=[2]), ".arrow"),
        ("NumPy", lambda path: path.write_bytes(npy(np.ones((2, 2)))), ".npy"),
        ("zip", lambda path: path.write_bytes(npz(x=np.ones(2))), "zip archive"),
        ("gzip", b"\x1f\x8b\x08\x00abc", "gzip"),
        ("PNG", b"\x89PNG\r\n\x1a\n\0\0", "is no text in UTF-8"),
        ("PDF", b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "is no text in UTF-8"),
        ("HTML", "<!DOCTYPE html>\n<html><body>404, not found</body></html>\n", "Line 2"),
        ("JSON", '{"x": [1, 2], "y": [3, 5]}\n', "cannot be read as CSV"),
        ("XML", '<?xml version="1.0"?>\n<a><b x="1"/></a>\n', "no column 'y'"),
        ("pickle", b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94.", "is no text in UTF-8"),
    ):
        out.append(
            refused(f"{name} named .csv", f"a {name} file under the name f.csv", kind, "'f.csv'", words)
            if name != "XML"
            else refused(f"{name} named .csv", f"an {name} file under the name f.csv", kind, words)
        )
    return out


def npy(array: Any, *, pickled: bool = False) -> bytes:
    """Return an array as an .npy file."""
    out = io.BytesIO()
    np.save(out, array, allow_pickle=pickled)
    return out.getvalue()


def npz(**arrays: Any) -> bytes:
    """Return arrays as an .npz file."""
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def header_only(shape: str, dtype: str = "'<f8'") -> bytes:
    """Return an .npy file with this header and 16 bytes of numbers."""
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(16)


def twice(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive, contextlib.suppress(UserWarning):
        archive.writestr("x.npy", npy(np.ones(2)))
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            archive.writestr("x.npy", npy(np.zeros(2)))


def no_array(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


def encrypted(path: Path) -> None:
    data = bytearray(npz(x=np.ones(2), y=np.ones(2)))
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.find(magic)
        while start >= 0:
            data[start + place] |= 1
            start = data.find(magic, start + 1)
    path.write_bytes(bytes(data))


def numpy_files() -> list[BadFile]:
    table = np.array([[1.0, 3.0], [2.0, 5.0], [3.0, 7.0]])
    x1 = ["--target", "x1"]
    good = npz(x=table[:, 0], y=table[:, 1])
    return [
        read("npy: a table", "columns without names are x0, x1", npy(table), X, Y, file="f.npy", options=x1),
        read(
            "npy: Fortran order",
            "columns one after another",
            npy(np.asfortranarray(table)),
            X,
            Y,
            file="f.npy",
            options=x1,
        ),
        read("npy: big-endian", "bytes the other way round", npy(table.astype(">f8")), X, Y, file="f.npy", options=x1),
        read("npy: floats of 16 bits", "float16", npy(table.astype("f2")), X, Y, file="f.npy", options=x1),
        read(
            "npy: records",
            "fields are columns",
            npy(np.array([(1, 3), (2, 5), (3, 7)], [("x", "i4"), ("y", "f8")])),
            X,
            Y,
            file="f.npy",
        ),
        read(
            "npy: numbers as text",
            "an array of text",
            npy(np.array([["1", "3"], ["2", "5"], ["3", "7"]])),
            X,
            Y,
            "numbers as text",
            file="f.npy",
            options=x1,
        ),
        refused("npy: no such column", "a table has no column y", npy(table), "no column 'y'", file="f.npy"),
        refused(
            "npy: one dimension",
            "one column only",
            npy(table[:, 0]),
            "the only column",
            file="f.npy",
            options=["--target", "x0"],
        ),
        refused("npy: three dimensions", "no table", npy(table[None]), "shape (1, 3, 2)", file="f.npy", options=x1),
        refused("npy: a scalar", "no table", npy(np.array(3.0)), "shape ()", file="f.npy", options=x1),
        refused("npy: no rows", "shape (0, 2)", npy(table[:0]), "'f.npy'", file="f.npy", options=x1),
        refused("npy: no columns", "shape (3, 0)", npy(table[:, :0]), "'f.npy'", file="f.npy", options=x1),
        refused("npy: complex", "complex numbers", npy(table + 1j), "complex", file="f.npy", options=x1),
        refused(
            "npy: objects",
            "pickled Python objects are not read",
            npy(table.astype(object), pickled=True),
            "Python objects",
            file="f.npy",
            options=x1,
        ),
        refused(
            "npy: a nan",
            "nan among numbers",
            npy(np.where(table == 2, np.nan, table)),
            "'x0'",
            "row 1",
            file="f.npy",
            options=x1,
        ),
        refused(
            "npy: an infinity",
            "inf among numbers",
            npy(np.where(table == 2, np.inf, table)),
            "'x0'",
            "infinite",
            "row 1",
            file="f.npy",
            options=x1,
        ),
        refused("npy: raw bytes", "an array of void", npy(np.zeros((3, 2), "V4")), "'x0'", file="f.npy", options=x1),
        refused(
            "npy: nested records",
            "a field that is an array",
            npy(np.zeros(3, [("x", "f8", 2), ("y", "f8")])),
            "shape",
            file="f.npy",
        ),
        refused("npy: empty", "no bytes", b"", "'f.npy' cannot be read", file="f.npy", options=x1),
        refused("npy: only the magic", "six bytes", b"\x93NUMPY", "'f.npy' cannot be read", file="f.npy", options=x1),
        refused(
            "npy: cut", "half of the numbers", npy(table)[:-24], "'f.npy' cannot be read", file="f.npy", options=x1
        ),
        refused(
            "npy: text", "a CSV file under the name f.npy", PLAIN, "'f.npy' cannot be read", file="f.npy", options=x1
        ),
        refused(
            "npy: huge shape",
            "a header that promises 8 TB",
            header_only("(1000000000000, 1)"),
            "'f.npy' cannot be read",
            file="f.npy",
            options=x1,
        ),
        refused(
            "npy: negative shape",
            "a header with a negative length",
            header_only("(-1, 2)"),
            "'f.npy'",
            file="f.npy",
            options=x1,
        ),
        refused(
            "npy: header that is code",
            "a header is never run",
            header_only("(1, 2), 'a': __import__('os')"),
            "'f.npy' cannot be read",
            file="f.npy",
            options=x1,
        ),
        refused(
            "npy: unknown type",
            "a type that NumPy has not",
            header_only("(1, 2)", "'<q99'"),
            "'f.npy' cannot be read",
            file="f.npy",
            options=x1,
        ),
        refused(
            "npy: version 9",
            "a format to come",
            b"\x93NUMPY\x09\x00" + npy(table)[8:],
            "'f.npy' cannot be read",
            file="f.npy",
            options=x1,
        ),
        refused(
            "npy: deep header",
            "brackets nested without end",
            header_only("(" * 5000 + ")" * 5000),
            "'f.npy' cannot be read",
            file="f.npy",
            options=x1,
        ),
        read("npz: columns", "arrays are columns", good, X, Y, file="f.npz"),
        read(
            "npz: X and y",
            "the columns of X are X0, X1",
            npz(X=table[:, :1].repeat(2, 1), y=table[:, 1]),
            [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]],
            Y,
            file="f.npz",
        ),
        read("npz: y as a column", "y of shape (3, 1)", npz(x=table[:, 0], y=table[:, 1:]), X, Y, file="f.npz"),
        refused(
            "npz: different lengths",
            "3 rows and 2",
            npz(x=table[:, 0], y=table[:2, 1]),
            "'x' has 3 rows and 'y' has 2",
            file="f.npz",
        ),
        refused("npz: no arrays", "an empty archive", npz(), "'f.npz'", file="f.npz"),
        refused(
            "npz: objects",
            "pickled Python objects are not read",
            npz(x=np.array([1, None], object), y=np.ones(2)),
            "Python objects",
            file="f.npz",
        ),
        refused(
            "npz: names that meet",
            "X0 beside X with two columns",
            npz(X=table, X0=table[:, 0], y=table[:, 1]),
            "two columns 'X0'",
            file="f.npz",
        ),
        refused("npz: three dimensions", "no table", npz(x=table[None], y=np.ones(1)), "shape (1, 3, 2)", file="f.npz"),
        refused("npz: an array twice", "two members of one name", twice, "'x' occurs twice", file="f.npz"),
        refused("npz: no array within", "a text file in the archive", no_array, "is no array", file="f.npz"),
        refused("npz: encrypted", "a password is needed", encrypted, "'f.npz' cannot be read", file="f.npz"),
        refused("npz: cut", "half of the archive", good[: len(good) // 2], "'f.npz' cannot be read", file="f.npz"),
        refused("npz: empty", "no bytes", b"", "'f.npz' cannot be read", file="f.npz"),
        refused(
            "npz: a changed number",
            "the checksum is wrong",
            good.replace(struct.pack("<d", 3.0), bytes(8)),
            "'f.npz' cannot be read",
            file="f.npz",
        ),
        refused(
            "npz: huge shape",
            "a header that promises 8 TB",
            lambda path: _archive(path, x=header_only("(1000000000000,)"), y=npy(np.ones(2))),
            "'f.npz' cannot be read",
            file="f.npz",
        ),
    ]


def _archive(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)


def places() -> list[BadFile]:
    """What is no file, and several files that do not fit together."""
    b = "x,y\n4,9\n"
    out = [
        refused("no such file", "a name that is not there", {}, "There is no file 'g.csv'", given=["g.csv"]),
        refused("no such folder", "a folder that is not there", {}, "There is no file 'no/g.csv'", given=["no/g.csv"]),
        refused(
            "file as a folder",
            "a file in the place of a folder",
            {"f.csv": PLAIN},
            "There is no file",
            given=["f.csv/g.csv"],
        ),
        refused("a folder", "a directory", {"d.csv": lambda path: path.mkdir()}, "is a directory", "*.csv"),
        refused("a folder named .parquet", "a directory", {"d.parquet": lambda path: path.mkdir()}, "is a directory"),
        refused("a folder named .npy", "a directory", {"d.npy": lambda path: path.mkdir()}, "is a directory"),
        refused("an empty name", "no name at all", {}, "", given=[""]),
        refused("very long path", "longer than the disk allows", {}, "name", given=["x" * 5000]),
        refused("pattern without files", "nothing matches", {}, "No file matches 'z*.csv'", given=["z*.csv"]),
        refused(
            "file twice",
            "the same file by name and by pattern",
            {"f.csv": PLAIN},
            "given twice",
            given=["f.csv", "f*.csv"],
        ),
        refused(
            "file twice by another path",
            "./f.csv is f.csv",
            {"f.csv": PLAIN},
            "given twice",
            given=["f.csv", "./f.csv"],
        ),
        refused(
            "a column less",
            "the second file has no x",
            {"a.csv": PLAIN, "b.csv": "y\n4\n"},
            "'b.csv' has no column 'x'",
        ),
        refused(
            "a column more",
            "the second file has a z",
            {"a.csv": PLAIN, "b.csv": "x,z,y\n1,2,3\n"},
            "'a.csv' has no column 'z'",
        ),
        refused(
            "another case of a name", "X for x", {"a.csv": PLAIN, "b.csv": "X,y\n4,9\n"}, "'b.csv' has no column 'x'"
        ),
        refused("an empty file among others", "the second is empty", {"a.csv": PLAIN, "b.csv": ""}, "'b.csv' is empty"),
        refused(
            "a bad row in the second", "the file is named", {"a.csv": PLAIN, "b.csv": "x,y\n4\n"}, "Line 2 of 'b.csv'"
        ),
        refused(
            "a gap in the second",
            "the file is named",
            {"a.csv": PLAIN, "b.csv": "x,y\n,9\n"},
            "1 of 4 values",
            "row 0 of 'b.csv'",
        ),
        refused(
            "a word in the second",
            "the file is named",
            {"a.csv": PLAIN, "b.csv": "x,y\nfour,9\n"},
            "'b.csv'",
            "'four' in row 0",
        ),
        refused(
            "numbers in one, categories in the other",
            "a.csv has words where b.csv has numbers",
            {"a.csv": "x,y\nred,3\nblue,5\n", "b.csv": b},
            "'red' in row 0",
        ),
        read(
            "columns in another order",
            "the names decide",
            {"a.csv": PLAIN, "b.csv": "y,x\n9,4\n"},
            [*X, [4.0]],
            [*Y, 9.0],
        ),
        read(
            "a pattern",
            "two files by one pattern",
            {"a1.csv": PLAIN, "a2.csv": b},
            [*X, [4.0]],
            [*Y, 9.0],
            given=["a*.csv"],
        ),
        read(
            "files of two kinds",
            "CSV and Parquet",
            {"a.csv": PLAIN, "b.parquet": frame_file("write_parquet", x=[4], y=[9])},
            [*X, [4.0]],
            [*Y, 9.0],
        ),
        read(
            "separators of two kinds",
            "commas and semicolons",
            {"a.csv": PLAIN, "b.csv": "x;y\n4;9\n"},
            [*X, [4.0]],
            [*Y, 9.0],
        ),
        read(
            "integers and decimals",
            "a type that differs",
            {"a.csv": PLAIN, "b.csv": "x,y\n4.5,10\n"},
            [*X, [4.5]],
            [*Y, 10.0],
        ),
        read(
            "a notation for both",
            "decimal commas in the second file decide over points in the first",
            {"a.csv": "x;y\n1.234;3\n2.000;5\n", "b.csv": "x;y\n1,5;7\n2.500,5;9\n"},
            [[1234.0], [2000.0], [1.5], [2500.5]],
            [3.0, 5.0, 7.0, 9.0],
            "'1,5' is 1.5",
        ),
        read(
            "a notation for CSV and Parquet",
            "text with decimal commas in a Parquet file",
            {"a.csv": "x,y\n1.234,3\n", "b.parquet": frame_file("write_parquet", x=["1,5"], y=[5])},
            [[1234.0], [1.5]],
            [3.0, 5.0],
            "'1,5' is 1.5",
        ),
        refused(
            "true in one, 1 in the other",
            "two kinds in two files",
            {"a.csv": "x,y\ntrue,3\nfalse,5\n", "b.csv": "x,y\n1,3\n0,5\n"},
            "'true' in row 0",
        ),
        refused(
            "units in one, numbers in the other",
            "two kinds in two files",
            {"a.csv": "x,y\n6 kg,3\n7 kg,5\n", "b.parquet": frame_file("write_parquet", x=[6.5, 7], y=[3, 5])},
            "'6 kg' in row 0",
            "'6.5' in row 0 of 'b.parquet'",
        ),
        refused(
            "percent in one, parts in the other",
            "two units in two files",
            {"a.csv": "x,y\n50%,3\n", "b.csv": "x,y\n0.5,3\n"},
            "'50%' in row 0",
            "'0.5' in row 0 of 'b.csv'",
        ),
        read(
            "a category of the second",
            "one vocabulary for all files",
            {"a.csv": "c,y\nred,3\nblue,5\n", "b.csv": "c,y\ngreen,7\n"},
            [[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]],
            Y,
        ),
    ]
    if hasattr(os, "mkfifo"):
        out.append(refused("a pipe", "a named pipe that nobody writes to", {"p.csv": os.mkfifo}, "a pipe or a device"))
        out.append(refused("a pipe named .parquet", "a named pipe", {"p.parquet": os.mkfifo}, "a pipe or a device"))
    if os.path.exists("/dev/zero"):
        out.append(refused("a device", "zeros without end", {}, "a pipe or a device", given=["/dev/zero"]))
    if hasattr(os, "symlink"):
        loop = {"l.csv": lambda path: path.symlink_to(path)}
        out.append(refused("a link to itself", "a loop of links", loop, "l.csv"))
        gone = {"l.csv": lambda path: path.symlink_to("nowhere.csv")}
        out.append(refused("a link to nowhere", "the file is gone", gone, "There is no file 'l.csv'"))
    return out


SECTIONS: dict[str, Callable[[], list[BadFile]]] = {
    "Encodings and line ends": encodings,
    "Headers": headers,
    "Rows": rows,
    "Quotation marks and long cells": quotes,
    "Separators and decimal commas": separators,
    "Numbers, missing values, dates and words": spellings,
    "Types in Parquet and Arrow files": typed,
    "Damaged files and wrong endings": damaged,
    "NumPy files": numpy_files,
    "Places and several files": places,
}


@contextlib.contextmanager
def in_a_folder() -> Iterator[Path]:
    """Give a folder that is gone in the end."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@dataclass(frozen=True)
class Outcome:
    """What a command printed and exited with."""

    code: int
    out: str
    err: str

    def told(self) -> str:
        """The line of the error, or what is told before training; of a library's own words nothing."""
        if self.code == 2:
            return re.sub(r"\((polars|NumPy) says: .*\):", r"(\1 says: …):", self.err.strip())
        return self.out.partition("Trained with")[0].strip().replace("\n", " ")


def outcome_of(case: BadFile, *options: str, command: str = "fit") -> Outcome:
    """Run `linreg fit`, or another command, on a case in a folder of its own."""
    from linreg import cli

    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        case.write(Path(folder))
        out, err = io.StringIO(), io.StringIO()
        os.chdir(folder)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = cli.run([command, *case.arguments()[1:], *options])
        finally:
            os.chdir(before)
    return Outcome(code, out.getvalue(), err.getvalue())


def cell(text: str) -> str:
    """Return text as it stands in a cell of a Markdown table, cut."""
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    text = text if len(text) <= 400 else f"{text[:200]} … {text[-100:]}"
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>|#$~^" else c for c in text)


HEAD = """# Bad files

What `linreg fit` does with {count} malformed or odd files: it refuses them in one line that says what to do, or reads
them and says how. Each is run by `tests/test_bad_files.py`, which knows the expected numbers and words; this page is
written by

```sh
python tests/bad_files.py docs/bad-files.md
```

and a test holds that it is what would be written today. `--target y` is given unless the case says otherwise. Words of
polars or NumPy about a damaged file differ by version and are left out. Long lines are cut in the middle.

`linreg study` refuses the same files in the same words. `linreg why` looks at missing values, text and dates as causes,
and refuses only what has no columns to look at; with `--missing` or `--categories` it reads as `linreg fit` does.

One kind of damage is not seen: a changed byte among the numbers of a Parquet or Arrow file that still can be read gives
another number, without a word. Arrow has no checksums; those that Parquet allows for every page
([its format](https://parquet.apache.org/docs/file-format/data-pages/checksumming)) polars 1.9 to 2.1 neither writes nor
checks. An .npz file has one for every array, and is refused.

## What ends the process

One kind of damage is not answered in a line: a Parquet file in which the header of a page gives a negative number of
values. polars 2.1 then asks for 2305843009213693952 bytes, and where memory cannot be had Rust ends the process
(SIGABRT, exit status 134; [polars 15342](https://github.com/pola-rs/polars/issues/15342) is of the same kind; polars
1.9 reads such a file, or refuses it). The commands print nothing, the shell says "Aborted"; in Python, "memory
allocation of 2305843009213693952 bytes failed" stands on stderr and no exception is raised. One certain byte of a page
has to be changed: of 9,000 random changes to a Parquet file of 1,774 bytes 3 did it, of 4,000 to an Arrow file none
(`tests/mutated_files.py`). Make the file anew; pyarrow says what is wrong with it:

```sh
python -c "import pyarrow.parquet; pyarrow.parquet.read_table('f.parquet')"  # Invalid page header (negative number ...)
```

It is not prevented here. To read a file in a child process first costs as much as reading it, 5.5 s beside the 8.5 s of
a whole epoch on [20 million rows](streaming.md#what-it-costs), and the start of polars, 0.3 s, for a small one; pyarrow
is not required, and would read all of it too; a check of page headers alone would be a Parquet reader of our own; and a
handler of SIGABRT would run Python where a lock may be held, and could wait forever.
"""


def page(outcomes: dict[str, list[tuple[BadFile, Outcome]]]) -> str:
    """Return the page."""
    lines = [HEAD.format(count=sum(map(len, outcomes.values())))]
    for title, found in outcomes.items():
        lines += [f"## {title}", "", "| file | what is odd or wrong | exit | what linreg says |", "|---|---|---|---|"]
        lines += [
            f"| {cell(case.name)} | {cell(case.wrong)} | {2 if outcome.code == 2 else '0 or 1'} "
            f"| {cell(outcome.told())} |"
            for case, outcome in found
        ]
        lines.append("")
    return "\n".join(lines)


def all_outcomes() -> dict[str, list[tuple[BadFile, Outcome]]]:
    """Run all cases."""
    return {title: [(case, outcome_of(case)) for case in cases()] for title, cases in SECTIONS.items()}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(all_outcomes()), encoding="utf-8")
