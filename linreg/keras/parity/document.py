"""All that one run of `linreg parity` found, as one document that JSON can hold: versions, table, runs, behaviours."""

from __future__ import annotations

import io
import logging
import os
import platform
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import metadata
from pathlib import Path
from typing import Any

import linreg
from linreg.json_files import json_text, read_json, write_json
from linreg.keras.behaviours import BEHAVIOURS, observed
from linreg.keras.loading import load
from linreg.keras.parity.modes import devices, onednn
from linreg.keras.parity.settings import Asked, Part, elsewhere, measured
from linreg.keras.parity.words import place

Document = dict[str, Any]
KIND = "linreg parity"


def quietly(_: str) -> None:
    """Tell nobody what was done."""


def parts_of(asked: Asked, *, both_settings: bool = True) -> int:
    """Return how many parts a comparison has, which is how often `compare` tells of one."""
    switched = both_settings and onednn() is not None
    return asked.parts * (1 + switched) + len(BEHAVIOURS)


def compare(
    asked: Asked, *, both_settings: bool = True, advance: Callable[[str], object] = quietly
) -> Document:  # fmt: skip
    """Compare linreg with the installed TensorFlow, and TensorFlow with itself.

    Parameters
    ----------
    asked : Asked
        What is compared.
    both_settings : bool, default=True
        Whether the other setting of oneDNN is asked for as well, in a process of its own.
    advance : callable, optional
        Is told in words what was done, part by part.

    Returns
    -------
    dict
        The document.

    Raises
    ------
    ImportError
        If TensorFlow is missing or its Keras is not version 3.
    OSError
        If the other process fails.
    """
    document = {**_head(), "asked": _asked(asked), "table": [], "runs": [], "behaviours": []}

    def take(parts: Iterator[Part]) -> None:
        for name, value in parts:
            document[name].append(value)
            advance(place(value))

    take(measured(asked))
    if both_settings:
        take(elsewhere(asked))
    with _silence():
        for known, seen in observed():
            document["behaviours"].append(
                {"name": known.name, "claim": known.claim, "as_known": bool(seen.as_known), "shown": seen.shown}
            )
            advance(known.name)
    return document


@contextmanager
def _silence() -> Iterator[None]:
    """Drop what Keras prints and TensorFlow warns of, while behaviours are provoked that they have words for."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _head() -> Document:
    load()
    return {"kind": KIND, "versions": versions(), "system": system()}


def _asked(asked: Asked) -> dict[str, Any]:
    return {"rules": list(asked.rules), "examples": asked.examples, "seed": asked.seed, "max_ulp": asked.max_ulp}


def versions() -> dict[str, str]:
    """Return the versions of what was compared, by name; Keras has to be loaded."""
    import tensorflow as tf

    keras = load()
    return {
        "linreg": linreg.__version__,
        "Python": platform.python_version(),
        "NumPy": metadata.version("numpy"),
        "TensorFlow": str(tf.__version__),
        "Keras": str(keras.__version__),
    }


def system() -> dict[str, Any]:
    """Return what kind of machine it was run on, without naming it."""
    return {"system": platform.system(), "machine": platform.machine(), "devices": devices()}


def text(document: Document) -> str:
    """Return a document as JSON: sorted, one measurement a line, and the same for the same results.

    Parameters
    ----------
    document : dict
        The document.

    Returns
    -------
    str
        JSON.
    """
    return json_text(document, sort_keys=True)


def save(document: Document, path: Path) -> None:
    """Write a document to a file, whole or not at all.

    Parameters
    ----------
    document : dict
        The document.
    path : Path
        The file.
    """
    write_json(document, path, sort_keys=True)


def read(path: str | os.PathLike[str]) -> Document:
    """Read a document.

    Parameters
    ----------
    path : path
        What `save` wrote.

    Returns
    -------
    dict
        The document.

    Raises
    ------
    ValueError
        If the file is something else.
    """
    return read_json(path, KIND, "holds no comparison: give a file that `linreg parity --save` wrote.")
