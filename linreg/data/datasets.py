"""Three small, real, public data sets: CSV files beside this module that say where they come from and in what units."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linreg.hyperparameters import nearest

NAMES = ("longley", "norris", "stackloss")


# No equality: == on arrays answers element by element, which a dataclass cannot use.
@dataclass(frozen=True, eq=False)
class Dataset:
    """One data set, ready to train on.

    Parameters
    ----------
    name : str
        What `load` calls it.
    X : array of shape (rows, features)
        The features, in float64 and in the units that `description` states.
    y : array of shape (rows,)
        The target, in float64.
    feature_names : tuple of str
        One name for each column of X.
    target_name : str
        What y is.
    description : str
        Units, source and certified results: the comment at the head of the file.
    """

    name: str
    X: NDArray[np.float64] = field(repr=False)
    y: NDArray[np.float64] = field(repr=False)
    feature_names: tuple[str, ...]
    target_name: str
    description: str = field(repr=False)


def path(name: str) -> Path:
    """Return where the CSV file of a data set lies.

    Parameters
    ----------
    name : str
        One of `NAMES`.

    Returns
    -------
    Path
        The file, whose last column is the target.

    Raises
    ------
    ValueError
        If no data set has that name.
    """
    if name not in NAMES:
        raise ValueError(f"No data set {name!r} ships with linreg{nearest(name, NAMES)}.")
    return Path(__file__).with_name(f"{name}.csv")


def load(name: str) -> Dataset:
    """Load a data set into arrays of its own, which may be changed.

    Parameters
    ----------
    name : str
        One of `NAMES`: "longley" (16 rows, 6 nearly collinear features), "norris" (36 rows, one feature) or
        "stackloss" (21 rows, 3 features, a few outliers).

    Returns
    -------
    Dataset
        Features, target and their story.

    Raises
    ------
    ValueError
        If no data set has that name.
    """
    lines = path(name).read_text(encoding="utf-8").splitlines()
    comments = [line.removeprefix("#").removeprefix(" ") for line in lines if line.startswith("#")]
    header, *rows = csv.reader(line for line in lines if not line.startswith("#"))
    table = np.array(rows, dtype=np.float64)
    *features, target = header
    return Dataset(
        name=name,
        X=np.ascontiguousarray(table[:, :-1]),
        y=np.ascontiguousarray(table[:, -1]),
        feature_names=tuple(features),
        target_name=target,
        description="\n".join(comments),
    )
