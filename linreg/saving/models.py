"""Fitted models in files: parameters, settings, history and where the run stands, so that a warm start goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from linreg.archives import Archive, read_archive, write_archive
from linreg.saving.checkpoints import check_format
from linreg.saving.plain import Packer, Unpacker
from linreg.saving.states import part, plain_history, plain_state, read_history, read_state
from linreg.whole_files import file_path

Array = Any

KIND, FORMAT = "linreg model", 2
"""Format 2 says how a table was read; a model without that is written in format 1, which earlier versions read too."""
LEFT_OUT = {"callbacks", "verbose", "checkpoint", "checkpoint_every", "memory"}
"""Parameters that belong to a call and not to the model."""
SHARED = "the generator of the state"


def archive_path(path: Any) -> Path:
    """Check, before any work is done, that an archive can go to this path.

    Parameters
    ----------
    path : path
        Where it is wanted.

    Returns
    -------
    pathlib.Path
        The same path.

    Raises
    ------
    OSError
        If its folder is missing, or it is a folder.
    ValueError
        If its name does not end in .npz.
    """
    target = file_path(path, "model.npz")
    if target.suffix != ".npz":
        raise ValueError(f"{str(target)!r}: linreg writes NumPy's .npz, so give a name that ends in .npz.")
    return target


def write_model(path: Any, model: Any, preparation: Mapping[str, Any] | None = None) -> Path:
    """Write a fitted model to a file.

    Parameters
    ----------
    path : path
        The file, whose name ends in .npz.
    model : LinearRegression
        The model.
    preparation : mapping, optional
        What is done to features and target around it, as plain values and arrays.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    OSError
        If it cannot be written; a file that was there before is left as it was.
    TypeError
        If the model holds something that no file can hold.
    """
    target, packer = archive_path(path), Packer()
    state, own = model.state_, model.get_params(deep=False)
    own = {name: value for name, value in own.items() if name not in LEFT_OUT}
    own["dtype"] = getattr(own["dtype"], "__name__", str(own["dtype"]))
    if own["random_state"] is state.generator:
        own["random_state"] = SHARED
    names = getattr(model, "feature_names_in_", None)
    document = {
        "kind": KIND,
        "format": 1 if preparation is None or "encoding" not in preparation else FORMAT,
        "parameters": {name: _plain(packer, name, value) for name, value in own.items()},
        "coef": packer.array(model.coef_, "coef"),
        "intercept": packer.plain(float(model.intercept_)),
        "names": None if names is None else [str(name) for name in names],
        "state": plain_state(packer, state),
        "learning_rate_at_fit": _plain(packer, "learning_rate", model._learning_rate),
        "history": plain_history(packer, model.history_),
        "preparation": None if preparation is None else packer.plain(dict(preparation), "prepared"),
    }
    return write_archive(target, document, packer.arrays)


def _plain(packer: Packer, name: str, value: Any) -> Any:
    try:
        return packer.plain(value, name)
    except TypeError as error:
        raise TypeError(
            f"{name}: {error}. Set it to what a file can hold (set_params) before the model is saved."
        ) from None


class SavedModel:
    """What a file holds of a model, checked.

    Parameters
    ----------
    path : path
        The file.

    Attributes
    ----------
    archive : Archive
        The file, to refuse what it says.
    parameters : dict of str to object
        Parameters of the estimator.
    state : State
        Where the run stands.
    coef : array of shape (features,)
        Coefficients.
    intercept : float
        Intercept.
    names : list of str or None
        Names of the features.
    history : dict of str to list of float
        The history.
    learning_rate_at_fit : object
        The learning rate that the estimator had when it was fitted.
    preparation : dict or None
        What is done to features and target around the model.
    """

    def __init__(self, path: Any) -> None:
        self.archive: Archive = read_archive(path, KIND)
        check_format(self.archive, FORMAT)
        document, read = self.archive.document, Unpacker(self.archive)

        def value(name: str) -> Any:
            return read.value(part(self.archive, document, name))

        parameters = part(self.archive, document, "parameters")
        if not isinstance(parameters, dict):
            self.archive.refuse("it has no parameters")
        if set(parameters) & LEFT_OUT:
            self.archive.refuse("it has parameters that belong to a call")
        self.parameters = {name: read.value(plain) for name, plain in parameters.items()}
        self.learning_rate_at_fit = value("learning_rate_at_fit")
        self.state = read_state(self.archive, part(self.archive, document, "state"), self.learning_rate_at_fit)
        self.history = read_history(self.archive, part(self.archive, document, "history"))
        self.coef, self.intercept, self.names = value("coef"), value("intercept"), value("names")
        self.preparation = value("preparation")
        self._check()
        if self.parameters.get("random_state") == SHARED:
            self.parameters["random_state"] = self.state.generator

    def _check(self) -> None:
        coef, names = self.coef, self.names
        if not isinstance(coef, np.ndarray) or coef.ndim != 1 or coef.dtype.kind != "f" or not len(coef):
            self.archive.refuse("its coefficients are no vector of numbers")
        if len(self.state.parameters) - len(coef) not in (0, 1) or not isinstance(self.intercept, float | int):
            self.archive.refuse("its coefficients are not those of its run")
        if names is not None and (
            not isinstance(names, list) or len(names) != len(coef) or not all(isinstance(name, str) for name in names)
        ):
            self.archive.refuse("its features have not one name each")
        encoded = {"encoding"} if self.archive.document["format"] > 1 else set()
        if self.preparation is None and not encoded:
            return
        if not isinstance(self.preparation, dict) or set(self.preparation) != {"steps", "target", "names"} | encoded:
            self.archive.refuse("its preparation is none")
