"""Keras models in files: read without running anything that the file brings along."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from linreg.keras.loading import load


def read_model(path: str | os.PathLike[str]) -> Any:
    """Return the compiled Keras model of a file.

    Parameters
    ----------
    path : path
        A file that `model.save("model.keras")` has written.

    Returns
    -------
    keras.Model
        The model. Code in the file (Lambda layers) is refused, not run.

    Raises
    ------
    ImportError
        If TensorFlow is missing.
    ValueError
        If there is no such file, or it is no Keras model.
    """
    file = Path(path)
    if file.suffix != ".keras" or not file.is_file():
        what = "there is no such file" if file.suffix == ".keras" else "its name does not end in .keras"
        raise ValueError(f"{str(path)!r} is no Keras model: {what}. Give what model.save('model.keras') has written.")
    keras = load()
    try:
        return keras.models.load_model(file, safe_mode=True)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{str(path)!r} cannot be read as a Keras model: {type(error).__name__}: {reason}") from None
