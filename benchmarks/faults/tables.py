"""Real tables that ship with linreg, scikit-learn and statsmodels, read from their installed files."""

from __future__ import annotations

import csv
import gzip
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.faults.objective import Array
from linreg.data import datasets

OUTLYING_STACKLOSS = (0, 2, 3, 20)
"""Rows of stack loss that the literature calls outliers (Daniel and Wood 1971; Rousseeuw and Leroy 1987)."""
REDUNDANT_LONGLEY = (0, 1, 4)
"""Columns of Longley that the others (unemployment, armed forces, year) nearly determine: deflator, GNP, population."""


@dataclass(frozen=True, eq=False)
class Table:
    """A real table in its own units.

    Parameters
    ----------
    name : str
        What it is called.
    X : array of shape (rows, features)
        Features.
    y : array of shape (rows,)
        Target.
    """

    name: str
    X: Array
    y: Array


# package, file, delimiter, lines to skip, target column, feature columns
_FILES: dict[str, tuple[str, str, str | None, int, int, tuple[int, ...]]] = {
    "iris": ("sklearn", "datasets/data/iris.csv", ",", 1, 3, (0, 1, 2)),
    "wine": ("sklearn", "datasets/data/wine_data.csv", ",", 1, 0, (1, 2, 3, 4, 9)),
    "engel": ("statsmodels", "datasets/engel/engel.csv", ",", 1, 1, (0,)),
    "ccard": ("statsmodels", "datasets/ccard/ccard.csv", ",", 1, 0, (1, 2, 4)),
    "scotland": ("statsmodels", "datasets/scotland/scotvote.csv", ",", 1, 1, (2, 3, 4, 5, 6, 7)),
    "star98": ("statsmodels", "datasets/star98/star98.csv", ",", 1, 1, (2, 3, 4, 5, 6, 7, 8, 9, 10)),
    "copper": ("statsmodels", "datasets/copper/copper.csv", ",", 1, 1, (2, 4, 5)),
    "statecrime": ("statsmodels", "datasets/statecrime/statecrime.csv", ",", 1, 1, (3, 4, 5, 6, 7)),
    "cancer": ("statsmodels", "datasets/cancer/cancer.csv", ",", 1, 0, (1,)),
    "cpunish": ("statsmodels", "datasets/cpunish/cpunish.csv", ",", 1, 1, (2, 3, 4)),
    "grunfeld": ("statsmodels", "datasets/grunfeld/grunfeld.csv", ",", 1, 0, (1, 2)),
    "nile": ("statsmodels", "datasets/nile/nile.csv", ",", 1, 1, (0,)),
    "committee": ("statsmodels", "datasets/committee/committee.csv", ",", 1, 1, (2, 3, 4, 5)),
}
NAMES = (*datasets.NAMES, "diabetes", "linnerud", *_FILES)


def _installed(package: str, file: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ImportError(f"The fault bench reads tables of {package}: pip install 'linreg[test]'.")
    return Path(found.submodule_search_locations[0]) / file


def _rows(path: Path, delimiter: str | None, skip: int) -> list[list[str]]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    lines = content.decode("utf-8-sig").splitlines()[skip:]
    return list(csv.reader(lines, delimiter=delimiter)) if delimiter else [line.split() for line in lines]


@cache
def load(name: str) -> Table:
    """Load a real table.

    Parameters
    ----------
    name : str
        One of `NAMES`.

    Returns
    -------
    Table
        The table; it is shared, do not write to it.
    """
    if name in datasets.NAMES:
        shipped = datasets.load(name)
        return Table(name, shipped.X, shipped.y)
    if name == "diabetes":
        X = _rows(_installed("sklearn", "datasets/data/diabetes_data_raw.csv.gz"), None, 0)
        y = _rows(_installed("sklearn", "datasets/data/diabetes_target.csv.gz"), None, 0)
        return Table(name, np.array(X, float), np.array(y, float).reshape(-1))
    if name == "linnerud":
        X = _rows(_installed("sklearn", "datasets/data/linnerud_exercise.csv"), None, 1)
        y = _rows(_installed("sklearn", "datasets/data/linnerud_physiological.csv"), None, 1)
        return Table(name, np.array(X, float), np.array(y, float)[:, 1])
    package, file, delimiter, skip, target, features = _FILES[name]
    rows = _rows(_installed(package, file), delimiter, skip)
    return Table(
        name,
        np.array([[float(row[j]) for j in features] for row in rows]),
        np.array([float(row[target]) for row in rows]),
    )
