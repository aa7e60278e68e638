"""Keras models in files: read without running anything that the file brings along, and written whole."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from linreg.archives import file_content, one_line
from linreg.keras.contents import LARGEST, check_file
from linreg.keras.loading import load
from linreg.keras.twins import from_keras, to_keras
from linreg.losses import Huber
from linreg.regression import LinearRegression
from linreg.whole_files import file_path, write_whole


def read_model(path: str | os.PathLike[str]) -> Any:
    """Return the compiled Keras model of a file.

    Parameters
    ----------
    path : path
        A file that `model.save("model.keras")` has written.

    Returns
    -------
    keras.Model
        The model. What is no part of a model that a twin can have is refused before Keras reads it (see
        `linreg.keras.contents`); nothing that the file brings along is run.

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
        content = file_content(file, LARGEST)
        check_file(content)
        with tempfile.TemporaryDirectory(prefix="linreg-") as folder:  # what was checked is what Keras reads
            copy = Path(folder) / "model.keras"
            copy.write_bytes(content)
            return keras.models.load_model(copy, safe_mode=True)
    except Exception as error:
        reason = one_line(error) or type(error).__name__
        raise ValueError(f"{str(path)!r} is refused: it cannot be read as a Keras model: {reason}") from None


def from_file(path: str | os.PathLike[str], **settings: Any) -> LinearRegression:
    """Return the twin of a Keras model in a file, which goes on from where the model stands.

    Parameters
    ----------
    path : path
        A file that `model.save("model.keras")` has written.
    **settings : object
        As for `linreg.keras.twin`.

    Returns
    -------
    LinearRegression
        The twin, with weights, state of the optimizer, learning rate and counters of the model.

    Raises
    ------
    ImportError
        If TensorFlow is missing.
    ValueError
        If the file is no Keras model, or the twin cannot do what the model does.

    Notes
    -----
    Keras leaves `delta` out of the file of a model with `Huber` (docs/dialects.md): such a model comes back with 1, in
    Keras and here. Set `loss__delta` where it was another one.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from linreg import Adam, LinearRegression
    >>> from linreg.keras import from_file, twin
    >>> model = LinearRegression(Adam(0.1), epochs=3, random_state=0).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> theirs = twin(model)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     theirs.save(Path(folder) / "model.keras")
    ...     ours = from_file(Path(folder) / "model.keras", epochs=5)
    >>> ours.coef_ == model.coef_, ours.optimizer, ours.state_.iterations
    (array([ True]), Adam(learning_rate=0.1), 3)
    """
    return from_keras(read_model(path), **settings)


def to_file(model: LinearRegression, path: str | os.PathLike[str]) -> Path:
    """Write the Keras twin of a fitted model to a file, with the state of its optimizer.

    Parameters
    ----------
    model : LinearRegression
        The model.
    path : path
        The file, whose name ends in .keras.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ImportError
        If TensorFlow is missing.
    OSError
        If the file cannot be written.
    ValueError
        If the name has another ending, or Keras cannot represent the model, in memory or in a file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from linreg import LinearRegression
    >>> from linreg.keras import from_file, to_file
    >>> model = LinearRegression(epochs=3, random_state=0).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = from_file(to_file(model, Path(folder) / "model.keras"))
    >>> again.coef_ == model.coef_, again.state_.iterations
    (array([ True]), 3)
    """
    target = file_path(path, "model.keras")
    if target.suffix != ".keras":
        raise ValueError(f"{str(target)!r}: Keras saves models in files whose names end in .keras.")
    loss = model.settings().loss
    if isinstance(loss, Huber) and loss.delta != 1:
        raise ValueError(
            f"to_file: Keras leaves delta={loss.delta} of Huber out of every file, and 1 would take its place: save "
            "the model by model.save, which keeps it."
        )
    twin = to_keras(model)

    def write(file: Path) -> None:
        named = file.with_name(f"{file.name}.keras")  # Keras chooses the format by the ending
        try:
            twin.save(named)
            named.replace(file)
        finally:
            named.unlink(missing_ok=True)

    return write_whole(target, write)
