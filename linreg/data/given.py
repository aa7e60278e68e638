"""What is given to be trained on: arrays, or rows that are read block by block, from a file or another source."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from linreg.data.blocks import Source
from linreg.data.kinds import NUMERIC


def is_source(given: Any) -> bool:
    """Whether something can be read block by block, as `linreg.data.blocks.Source` says."""
    return isinstance(getattr(given, "count", None), int) and all(hasattr(given, name) for name in ("names", "read"))


def is_file(X: Any, y: Any) -> bool:
    """Whether X is the path of a file; text is one if y may be the name of a column."""
    return isinstance(X, os.PathLike) or (isinstance(X, str) and (y is None or isinstance(y, str)))


def yields_batches(X: Any, y: Any) -> bool:
    """Whether X is an iterable of batches, each (X, y) or (X, y, sample_weight), rather than the rows themselves."""
    if y is not None or not hasattr(X, "__iter__") or isinstance(X, str | os.PathLike | Mapping):
        return False
    if any(hasattr(X, name) for name in ("shape", "columns", "__array__", "collect_schema")):
        return False
    if isinstance(X, list | tuple):
        return len(X) > 0 and all(isinstance(item, tuple) and len(item) in (2, 3) and _table(item[0]) for item in X)
    return True


def _table(given: Any) -> bool:
    return len(getattr(given, "shape", ())) == 2 or (isinstance(given, list) and np.ndim(given[:1]) == 2)


@contextmanager
def opened_source(
    X: Any, y: Any, sample_weight: Any = None, *, name: str = "X", memory: int | None = None
) -> Iterator[Source | None]:
    """Open what is no array.

    Parameters
    ----------
    X : object
        The path or pattern of files that `linreg.data.open_table` reads, a source, or anything else.
    y : object
        The name of the target's column, where X is a path; None, or that name, where X is a source.
    sample_weight : object
        None, where X is one of these: sources bring their weights.
    name : str, default="X"
        What to call X in errors.
    memory : int, optional
        Bytes that reading it may take.

    Yields
    ------
    Source or None
        The rows; None where X is neither.

    Raises
    ------
    ImportError
        If polars is not installed, and X is a path.
    OSError
        If the file is missing or may not be read.
    TypeError
        If a column holds no numbers, or y is no name.
    ValueError
        If the file cannot be read, has no rows or no such column, or weights are given; while it is read, if a value
        is missing or infinite.
    """
    if not (is_file(X, y) or is_source(X)):
        yield None
        return
    if sample_weight is not None:
        raise ValueError(
            f"{name} is a file or a source, whose blocks bring the weights of their rows, but sample_weight was given "
            "too: leave it out."
        )
    if not is_file(X, y):
        target = getattr(X, "target", None)
        if target is None and hasattr(X, "target"):
            raise ValueError(f"{name} was opened without a target: give its name to open_table.")
        if y is not None and not (isinstance(y, str) and target in (None, y)):
            raise ValueError(
                f"{name} is a source whose blocks hold the target"
                f"{'' if target is None else f' {target!r}'}, but y was given too: leave it out."
            )
        yield X
        return
    if not isinstance(y, str):
        raise TypeError(
            f"{name} is the path {os.fspath(X)!r}, so y must be the name of the column to predict, got "
            f"{'nothing' if y is None else type(y).__name__}."
        )
    from linreg.data.sources import open_table  # not before there is a file

    with open_table(X, y, early=False, memory=memory) as table:
        encoding = table.encoding
        others = [c.name for c in (*encoding.columns, encoding.target) if c.kind.name not in NUMERIC]
        if others:
            raise TypeError(
                f"{os.fspath(X)!r} holds no numbers in {', '.join(map(repr, others[:5]))}"
                f"{', ...' if len(others) > 5 else ''}, but linear regression needs numbers: train on "
                f"linreg.data.open_table({os.fspath(X)!r}, {y!r}), which makes numbers of such columns and says how, "
                "or leave them out."
            )
        yield table
