"""Whose checkpoint it is: digests of the data and words for the settings, which tell by name what differs."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from linreg.batches import Problem
from linreg.callbacks import Callback
from linreg.devices import device_of, on_host
from linreg.hyperparameters import HyperParameters
from linreg.steps import State

Array = Any

OF_THIS_CALL = {"epochs", "warm_start", "verbose", "checkpoint", "checkpoint_every", "memory"}
"""Parameters that may be others when a run goes on."""


def fingerprint(
    problem: Problem,
    validation: Problem | None,
    names: list[str] | None,
    parameters: Mapping[str, Any],
    start: State | None,
) -> dict[str, Any]:
    """Return what a run must have in common with one that goes on with it.

    Parameters
    ----------
    problem : Problem
        The data.
    validation : Problem or None
        The validation data.
    names : list of str or None
        Names of the columns.
    parameters : mapping of str to object
        Parameters of the estimator, nested ones too.
    start : State or None
        Where the run starts, if that is where another one has ended.

    Returns
    -------
    dict
        Digests and words, by the name of what they are of.
    """
    data = {"X": problem.matrix, "y": problem.target, "sample_weight": problem.weight}
    if validation is not None:
        data |= {
            "X of validation_data": validation.matrix,
            "y of validation_data": validation.target,
            "sample_weight of validation_data": validation.weight,
        }
    settings = {name: described(value) for name, value in parameters.items() if name not in OF_THIS_CALL}
    settings["names of the features"] = described(names)
    settings["device"] = device_of(problem.matrix).name
    return {
        "data": {name: digest(array) for name, array in data.items()},
        "settings": settings,
        "start": None if start is None else digest(start.parameters, *start.slots, start.average, start.total),
    }


def digest(*arrays: Array | None) -> str | None:
    """Return a digest of arrays, None of none."""
    if len(arrays) == 1 and arrays[0] is None:
        return None
    found = hashlib.sha256()
    for array in arrays:
        given = np.asarray(on_host(np.empty(0) if array is None else array))
        found.update(f"{given.dtype.str}{given.shape}".encode())
        found.update(np.ascontiguousarray(given).data)
    return found.hexdigest()


def described(value: Any) -> str:
    """Return words that are the same for the same value in another process.

    Parameters
    ----------
    value : object
        Any value of a parameter. Of hyper-parameters their kind is told, since nested ones have names of their own; of
        functions and objects of one's own, their name.

    Returns
    -------
    str
        The words.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, HyperParameters):
        return type(value).__name__
    if isinstance(value, np.random.Generator):
        return f"Generator({type(value.bit_generator).__name__})"
    if isinstance(value, Callback) and type(value).__module__.startswith("linreg."):
        own = [name for name in inspect.signature(type(value)).parameters if hasattr(value, name)]
        return f"{type(value).__name__}({', '.join(f'{name}={described(getattr(value, name))}' for name in own)})"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(described, value))}]"
    if isinstance(value, type):
        return repr(value.__name__)  # numpy.float64 is as good as "float64"
    if hasattr(on_host(value), "dtype"):
        return f"{np.shape(value)} {digest(value)}"
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def differences(saved: Any, now: Mapping[str, Any]) -> list[str]:
    """Say what of a fingerprint is not as it was.

    Parameters
    ----------
    saved : object
        A fingerprint out of a file.
    now : mapping
        The fingerprint of this run.

    Returns
    -------
    list of str
        Words on each difference; empty if there is none.
    """
    if not isinstance(saved, dict) or not all(isinstance(saved.get(part), dict) for part in ("data", "settings")):
        return ["it does not say of which run it is"]
    found = []
    for name in dict.fromkeys((*now["data"], *saved["data"])):
        was, given = saved["data"].get(name), now["data"].get(name)
        if was != given:
            how = "was not given" if was is None else "was given" if given is None else "held other numbers"
            found.append(f"{name} {how}")
    for name in dict.fromkeys((*now["settings"], *saved["settings"])):
        was, given = (_short(one["settings"].get(name, "not there")) for one in (saved, now))
        if saved["settings"].get(name) != now["settings"].get(name):
            found.append(f"{name} was {was} and is {given} now")
    if saved.get("start") != now["start"]:
        found.append("the model that it started from was another one")
    return found


def _short(words: Any) -> str:
    text = str(words)
    return text if len(text) <= 60 else f"{text[:57]}..."
