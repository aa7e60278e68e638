"""The user's own model: Keras and its twin train it on, in every mode, and are compared epoch by epoch."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from linreg.data.arrays import feature_matrix, row_vector
from linreg.hyperparameters import check_count
from linreg.keras.files import read_model
from linreg.keras.loading import load
from linreg.keras.parity.document import KIND, Document, quietly, system, versions
from linreg.keras.parity.modes import MODES, devices
from linreg.keras.parity.runs import compared
from linreg.keras.twins import twin


def parts() -> int:
    """Return how often `compare_model` tells that something is done."""
    return len(MODES) * len(devices())


def compare_model(
    file: str | os.PathLike[str],
    X: Any,
    y: Any,
    *,
    epochs: int = 10,
    batch_size: int = 32,
    advance: Callable[[str], object] = quietly,
) -> Document:
    """Train a saved Keras model and its twin some epochs further, unshuffled, and compare them.

    Parameters
    ----------
    file : path
        What `model.save("model.keras")` wrote.
    X : array or frame of shape (rows, features)
        Features.
    y : array of shape (rows,)
        Target.
    epochs : int, default=10
        How many epochs.
    batch_size : int, default=32
        Rows in a step.
    advance : callable, optional
        Is told each mode as it is done.

    Returns
    -------
    dict
        The document, with a run for each mode.

    Raises
    ------
    ImportError
        If TensorFlow is missing or its Keras is not version 3.
    ValueError
        If the model cannot be read or represented, or the data do not fit it.
    """
    check_count("parity", "epochs", epochs)
    check_count("parity", "batch_size", batch_size)
    theirs, name = read_model(file), Path(file).name
    expected = twin(theirs).n_features_in_
    dtype = np.dtype(load().config.floatx()).type
    features = feature_matrix(X, dtype, name="the data")
    if features.shape[1] != expected:
        raise ValueError(
            f"{name!r} takes {expected} features, but the data have {features.shape[1]} columns beside the target."
        )
    target = row_vector(y, dtype, len(features), name="the target")
    document: Document = {
        "kind": KIND,
        "versions": versions(),
        "system": system(),
        "asked": {"model": name, "rows": len(target), "epochs": epochs, "batch_size": batch_size},
        "runs": [],
    }
    for run in compared(lambda: read_model(file), (features, target, None), epochs, batch_size):
        document["runs"].append({"run": name, **run})
        advance(run["mode"])
    return document
