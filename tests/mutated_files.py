"""Read changed Parquet or Arrow files, one after another: `python mutated_files.py parquet FIRST LAST`.

It is a process of its own, because polars may end one: a changed length makes it ask for more memory than there
is (https://github.com/pola-rs/polars/issues/15342). Each line says what became of a file.
"""

import random
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from linreg.data import open_table

ROWS = 60


def good(ending):
    """A file of text, gaps, integers and floats."""
    frame = pl.DataFrame(
        {
            "x": np.arange(ROWS) / 2,
            "c": ["a", "b", "c"] * (ROWS // 3),
            "z": [1, 2, None] * (ROWS // 3),
            "y": np.arange(ROWS),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "good"
        (frame.write_parquet if ending == "parquet" else frame.write_ipc)(path)
        return path.read_bytes()


def changed(data, seed):
    """The bytes of a file with some of them overwritten, left out or put in, or its end cut off."""
    draw = random.Random(seed)  # noqa: S311 (nothing is kept secret)
    data = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 4, 16])):
        if not data:
            break
        place, how = draw.randrange(len(data)), draw.random()
        if how < 0.7:
            data[place] = draw.randrange(256)
        elif how < 0.8:
            del data[place : place + draw.randrange(1, 9)]
        elif how < 0.9:
            data[place:place] = draw.randbytes(draw.randrange(1, 5))
        else:
            del data[max(place, 1) :]
    return bytes(data)


def outcome(path):
    """What becomes of a file."""
    try:
        with open_table(path, "y", missing="drop") as table:
            X, y, _ = table.arrays()
    except (OSError, TypeError, ValueError) as error:
        words = str(error)
        return "refused" if len(words) >= 30 and "\n" not in words else f"refused in bad words: {words!r}"
    return "read" if len(X) == len(y) == table.count and np.isfinite(X).all() else "read wrongly"


if __name__ == "__main__":
    ending, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    original = good(ending)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"f.{ending}"
        for seed in range(first, last):
            path.write_bytes(changed(original, seed))
            print(seed, outcome(path), flush=True)  # noqa: T201
