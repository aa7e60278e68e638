"""The parameters of the estimator: checked in words, and names among them resolved to the objects they stand for."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linreg.callbacks import Callback
from linreg.devices import DEVICES
from linreg.hyperparameters import check_count, check_flag, nearest
from linreg.losses import LOSSES, Loss
from linreg.memory import in_bytes
from linreg.optimizers import OPTIMIZERS, Optimizer
from linreg.precision import PRECISIONS, Precision
from linreg.regularizers import REGULARIZERS, Regularizer

ENGINES = ("numpy", "numba", "exact", "dask")
OWNER = "LinearRegression"
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_GROUPS: dict[str, tuple[dict[str, Any], type]] = {
    "optimizer": (OPTIMIZERS, Optimizer),
    "loss": (LOSSES, Loss),
    "kernel_regularizer": (REGULARIZERS, Regularizer),
}


@dataclass(frozen=True)
class Settings:
    """The checked and resolved parameters of an estimator: objects where the user may give names."""

    optimizer: Optimizer
    loss: Loss
    regularizer: Regularizer | None
    precision: Precision
    callbacks: tuple[Callback, ...]


def check(parameters: Mapping[str, Any]) -> Settings:
    """Check every parameter and resolve the names among them.

    Parameters
    ----------
    parameters : mapping of str to object
        The parameters of the estimator.

    Returns
    -------
    Settings
        Optimizer, loss, regulariser, precision and callbacks as objects.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If a parameter is refused; the nearest known name is suggested.
    """
    check_count(OWNER, "epochs", parameters["epochs"])
    check_count(OWNER, "batch_size", parameters["batch_size"])
    for name in ("shuffle", "fit_intercept", "warm_start"):
        check_flag(OWNER, name, parameters[name])
    if not isinstance(parameters["verbose"], int | np.integer | np.bool_) or parameters["verbose"] not in (0, 1):
        raise ValueError(f"{OWNER}: verbose must be 0 or 1, got {parameters['verbose']!r}.")
    if not isinstance(parameters["callbacks"], Sequence):
        raise TypeError(
            f"{OWNER}: callbacks must be a sequence of linreg.callbacks.Callback, () for none, got "
            f"{parameters['callbacks']!r}: put a single one into brackets, [callback]."
        )
    if parameters["memory"] is not None:
        in_bytes(OWNER, parameters["memory"])
    engine, dtype, penalty = parameters["engine"], parameters["dtype"], parameters["kernel_regularizer"]
    if engine not in ENGINES:
        raise ValueError(f"{OWNER}: unknown engine {engine!r}{nearest(engine, ENGINES)}.")
    device = parameters["device"]
    if device not in DEVICES:
        raise ValueError(f"{OWNER}: unknown device {device!r}{nearest(device, DEVICES)}.")
    if device != "cpu":
        check_engine_of_gpu(engine, f"device={device!r} was given", 'device="cpu"')
    if parameters["checkpoint"] is not None:
        _check_checkpoint(parameters["checkpoint"])
    interval(parameters["checkpoint_every"])
    dtype_name = getattr(dtype, "__name__", str(dtype))  # numpy.float64 is as good as "float64"
    if dtype_name not in PRECISIONS:
        raise ValueError(f"{OWNER}: unknown dtype {dtype!r}{nearest(dtype_name, PRECISIONS)}.")
    return Settings(
        resolve("optimizer", parameters["optimizer"]),
        resolve("loss", parameters["loss"]),
        None if penalty is None else resolve("kernel_regularizer", penalty),
        PRECISIONS[dtype_name],
        tuple(parameters["callbacks"]),
    )


def _check_checkpoint(path: Any) -> None:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"{OWNER}: checkpoint must be the path of a file, got {path!r} of type {type(path).__name__}.")
    if Path(path).suffix != ".npz":
        raise ValueError(
            f"{OWNER}: checkpoint={os.fspath(path)!r}: linreg writes NumPy's .npz, so give a name that ends in .npz."
        )


def interval(every: Any) -> tuple[float, str]:
    """Return how often a checkpoint is written.

    Parameters
    ----------
    every : int or str
        A number of epochs, or a time: "30s", "5min", "1h".

    Returns
    -------
    number : float
        How many.
    unit : {"epochs", "seconds"}
        Of what.

    Raises
    ------
    TypeError
        If it is neither.
    ValueError
        If it is no number of epochs of at least 1, or no time.
    """
    if not isinstance(every, str):
        check_count(OWNER, "checkpoint_every", every)
        return float(every), "epochs"
    time = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?(s|min|h)", every.strip())
    if time is None:
        raise ValueError(
            f"{OWNER}: checkpoint_every must be a number of epochs, as 10, or a time, as '30s', '5min' or '1h', got "
            f"{every!r}."
        )
    return float(time[1]) * SECONDS[time[2]], "seconds"


def check_engine_of_gpu(engine: str, given: str, instead: str) -> None:
    """Raise unless an engine runs on a GPU.

    Parameters
    ----------
    engine : str
        The engine.
    given : str
        What asks for a GPU, for the error.
    instead : str
        How to stay on the processor, for the error.

    Raises
    ------
    ValueError
        If it does not.
    """
    if engine != "numpy":
        raise ValueError(
            f'{OWNER}: engine={engine!r} runs on the processor, but {given}: choose engine="numpy", whose rules run on '
            f"a GPU as they stand, or {instead}."
        )


def with_groups(own: dict[str, Any]) -> dict[str, Any]:
    """Replace the names of optimizer, loss and regulariser by the objects that they stand for."""
    named = {
        name: known[own[name].lower()]()
        for name, (known, _) in _GROUPS.items()
        if isinstance(own.get(name), str) and own[name].lower() in known
    }
    return {**own, **named}


def resolve(name: str, value: Any, owner: str = OWNER) -> Any:
    """Return the object that a name stands for, or the object itself.

    Parameters
    ----------
    name : {"optimizer", "loss", "kernel_regularizer"}
        Which parameter it is.
    value : str or object
        What the user gave.
    owner : str, default="LinearRegression"
        Whose parameter it is, for the error.

    Returns
    -------
    Optimizer, Loss or Regularizer
        The object.

    Raises
    ------
    TypeError
        If it is neither.
    ValueError
        If the name is unknown; the nearest known one is suggested.
    """
    known, kind = _GROUPS[name]
    if isinstance(value, kind):
        return value
    if isinstance(value, str):
        if value.lower() not in known:
            raise ValueError(f"{owner}: unknown {name} {value!r}{nearest(value, known)}.")
        return known[value.lower()]()
    raise TypeError(
        f"{owner}: {name} must be one of {', '.join(known)} or a linreg {kind.__name__}, got {value!r} of type "
        f"{type(value).__module__}.{type(value).__qualname__}."
    )
