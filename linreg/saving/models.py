"""Fitted models in files: parameters, settings, history and where the run stands, so that a warm start goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from linreg.archives import Archive, read_archive, write_archive
from linreg.saving.checkpoints import check_format
from linreg.saving.plain import Packer, Unpacker, check_rate
from linreg.saving.states import plain_history, plain_state, read_history, read_state
from linreg.whole_files import file_path

Array = Any

KIND, FORMAT = "linreg model", 2
"""Format 2 says how a table was read; a model without that is written in format 1, which earlier versions read too."""
LEFT_OUT = {"callbacks", "verbose", "checkpoint", "checkpoint_every", "memory"}
"""Parameters that belong to a call and not to the model."""
PARAMETERS = (
    "optimizer", "loss", "epochs", "batch_size", "shuffle", "random_state", "kernel_initializer", "bias_initializer",
    "fit_intercept", "kernel_regularizer", "dtype", "engine", "warm_start", "device",
)  # fmt: skip
"""Parameters that every file has; one that comes to the estimator later is missing in those of before."""
PARTS = (
    "kind", "format", "parameters", "coef", "intercept", "names", "state", "learning_rate_at_fit", "history",
    "preparation",
)  # fmt: skip
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
        with self.archive.reading():
            self._read()
            self._check()

    def _read(self) -> None:
        archive, document, read = self.archive, self.archive.document, Unpacker(self.archive)
        archive.check_names(document, PARTS, "document")
        parameters = document["parameters"]
        if not isinstance(parameters, dict):
            archive.refuse("it has no parameters")
        if set(parameters) & LEFT_OUT:
            archive.refuse("it has parameters that belong to a call")
        absent = next((name for name in PARAMETERS if name not in parameters), None)
        if absent is not None:
            archive.refuse(f"it has no parameter {absent!r}")
        self.parameters = {name: read.value(plain) for name, plain in parameters.items()}
        self.learning_rate_at_fit = read.value(document["learning_rate_at_fit"])
        check_rate(archive, self.learning_rate_at_fit)
        self.state = read_state(archive, document["state"], self.learning_rate_at_fit)
        self.history = read_history(archive, document["history"])
        names = "coef", "intercept", "names", "preparation"
        self.coef, self.intercept, self.names, self.preparation = (read.value(document[name]) for name in names)
        if self.parameters["random_state"] == SHARED:
            self.parameters["random_state"] = self.state.generator
        archive.check_all_taken()

    def _check(self) -> None:
        coef, names, dtype = self.coef, self.names, self.state.parameters.dtype
        if not isinstance(coef, np.ndarray) or coef.ndim != 1 or coef.dtype != dtype or not len(coef):
            self.archive.refuse("its coefficients are no vector of numbers")
        if len(self.state.parameters) - len(coef) not in (0, 1) or type(self.intercept) is not float:
            self.archive.refuse("its coefficients are not those of its run")
        if any(len(values) != self.state.epoch for values in self.history.values()):
            self.archive.refuse("its history has not one entry an epoch")
        if names is not None and (
            not isinstance(names, list) or len(names) != len(coef) or not all(isinstance(name, str) for name in names)
        ):
            self.archive.refuse("its features have not one name each")
        encoded = {"encoding"} if self.archive.document["format"] > 1 else set()
        if self.preparation is None and not encoded:
            return
        if not isinstance(self.preparation, dict) or set(self.preparation) != {"steps", "target", "names"} | encoded:
            self.archive.refuse("its preparation is none")
