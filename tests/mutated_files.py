"""Read changed Parquet or Arrow files, one after another: `python mutated_files.py parquet FIRST LAST`.

It is a process of its own, because polars may end one: a changed length makes it ask for more memory than there
is (https://github.com/pola-rs/polars/issues/15342). Each line says what became of a file, by whatever way it is read:
by `open_table`, by `fit`, and by `fit` on Dask, in threads.
"""

import importlib.util
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from linreg import LinearRegression
from linreg.data import open_table

ROWS = 60


def good(ending, *, plain):
    """A file of integers, floats and booleans, or of text and gaps, too."""
    numbers = {"x": np.arange(ROWS) / 2, "b": [True, False, True] * (ROWS // 3), "y": np.arange(ROWS)}
    others = {"c": ["a", "b", "c"] * (ROWS // 3), "z": [1, 2, None] * (ROWS // 3)}
    frame = pl.DataFrame(numbers if plain else numbers | others)
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


def read(path):
    """Read a file by `open_table`; say whether what it gives is whole."""
    with open_table(path, "y", missing="drop") as table:
        X, y, _ = table.arrays()
    return len(X) == len(y) == table.count and np.isfinite(X).all()


def fitted(path):
    """Train on a file."""
    return LinearRegression(epochs=1).fit(path, "y").n_iter_ == 1


def fitted_on_dask(path):
    """Train on a file in threads of Dask's."""
    settings = {"epochs": 1, "shuffle": False, "dtype": "float64", "engine": "dask"}
    return LinearRegression(**settings).fit(path, "y").n_iter_ == 1


WAYS = {"open_table": (read, False), "fit": (fitted, True)}
if importlib.util.find_spec("dask") is not None:
    WAYS["dask"] = (fitted_on_dask, True)


def outcome(way, path):
    """What becomes of a file."""
    try:
        whole = way(path)
    except (OSError, TypeError, ValueError) as error:
        words = str(error)
        return "refused" if len(words) >= 30 and "\n" not in words else f"refused in bad words: {words!r}"
    return "read" if whole else "read wrongly"


if __name__ == "__main__":
    ending, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    originals = {plain: good(ending, plain=plain) for plain in (False, True)}
    with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        path = Path(folder) / f"f.{ending}"
        for seed in range(first, last):
            found = []
            for name, (way, plain) in WAYS.items():
                path.write_bytes(changed(originals[plain], seed))
                found.append(f"{name} {outcome(way, path)}")
            print(seed, "|".join(found), sep="|", flush=True)  # noqa: T201
