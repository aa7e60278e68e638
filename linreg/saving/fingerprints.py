"""Whose checkpoint it is: digests of the data and words for the settings, which tell by name what differs."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.archives import one_line
from linreg.batches import Problem
from linreg.callbacks import Callback
from linreg.data.blocks import Source
from linreg.devices import on_host
from linreg.hyperparameters import HyperParameters
from linreg.saving.courses import Course
from linreg.steps import State

Array = Any

OF_THIS_CALL = {"epochs", "warm_start", "verbose", "checkpoint", "checkpoint_every", "memory"}
"""Parameters that may be others when a run goes on."""
MAKE_THE_NUMBERS = ("dtype", "fit_intercept")
"""Settings that make other numbers of the same data."""
HOW = "how rows come"
"""A setting that runs on rows in memory have not; where it differs, digests are of other things."""
WIDTH, MOST = 60, 10
"""Characters of a name or a value, and differences, that are shown."""
SPREAD, OF_A_BLOCK = 8, 256
"""Blocks of a source, and rows of a block of Dask's, whose numbers are compared."""


@dataclass(frozen=True)
class Begun:
    """How the last run of a model began, for its next `fit`: model and generator stand elsewhere by then.

    Parameters
    ----------
    path : str
        The file that keeps it.
    start : object
        The start in its fingerprint.
    random_state : str
        Words on `random_state` in its fingerprint.
    course : Course
        How it goes through its rows from where it has begun.
    ended : bool
        Whether it was run to its end.
    """

    path: str
    start: Any
    random_state: str
    course: Course
    ended: bool

    def fingerprint(self, now: Mapping[str, Any], *, going_on: bool) -> dict[str, Any]:
        """Return the fingerprint of a run that has begun there, with what else is given now."""
        settings = {**now["settings"], "random_state": self.random_state}
        return {**now, "settings": settings, "start": self.start if going_on else now["start"]}


def fingerprint(
    data: Mapping[str, Any], settings: Mapping[str, str], parameters: Mapping[str, Any], start: State | None
) -> dict[str, Any]:
    """Return what a run must have in common with one that goes on with it.

    Parameters
    ----------
    data : mapping of str to object
        Digests of the data, by what they are called.
    settings : mapping of str to str
        Words on how the data are laid out.
    parameters : mapping of str to object
        Parameters of the estimator, nested ones too.
    start : State or None
        Where the run starts, if that is where another one has ended.

    Returns
    -------
    dict
        Digests and words, by the name of what they are of.
    """
    words = {name: described(value) for name, value in parameters.items() if name not in OF_THIS_CALL}
    return {
        "data": dict(data),
        "settings": {**words, **settings},
        "start": None if start is None else _of_start(start),
    }


def _of_start(start: State) -> str:
    counters = f"{start.iterations} {start.epoch} {described(start.generator)}"
    return _together(counters, [digest(start.parameters, *start.slots, start.average, start.total)])


def of_arrays(problem: Problem, of: str = "") -> dict[str, str | None]:
    """Return digests of rows in memory.

    Parameters
    ----------
    problem : Problem
        The rows.
    of : str, default=""
        What to put behind their names.

    Returns
    -------
    dict
        One of X, y and the weights.
    """
    named = {"X": problem.matrix, "y": problem.target, "sample_weight": problem.weight}
    return {f"{name}{of}": digest(array) for name, array in named.items()}


def of_source(source: Source, of: str = "") -> dict[str, str | None]:
    """Return a digest of rows that are read block by block: of their number and of eight blocks spread over them.

    Parameters
    ----------
    source : Source
        The rows.
    of : str, default=""
        What to put behind their name.

    Returns
    -------
    dict
        The digest.
    """
    blocks = sorted({number * (len(source) - 1) // (SPREAD - 1) for number in range(SPREAD)})
    read = (source.read(block) for block in blocks)
    return {f"rows{of}": _together(f"{source.count} {len(source)}", (digest(b.rows, b.weight) for b in read))}


def of_blocks(parts: Iterable[str]) -> dict[str, str | None]:
    """Return a digest of blocks, given what `sampled` says of each."""
    return {"rows": _together("", parts)}


def sampled(problem: Problem) -> str:
    """Return a digest of a block: of its number of rows and of 256 rows spread over them; this runs where it lies."""
    rows = len(problem.target)
    chosen = np.unique(np.linspace(0, rows - 1, min(rows, OF_A_BLOCK)).astype(np.int64))
    weight = None if problem.weight is None else problem.weight[chosen]
    return _together(str(rows), [str(digest(problem.matrix[chosen], problem.target[chosen], weight))])


def digest_of_rows(problem: Problem) -> str:
    """Return a digest of all rows of a problem."""
    return str(digest(problem.matrix, problem.target, problem.weight))


def _together(words: str, digests: Iterable[str | None]) -> str:
    return hashlib.sha256(" ".join((words, *map(str, digests))).encode()).hexdigest()


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
        return _of_generator("Generator", value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return _of_generator("RandomState", value.get_state(legacy=False))
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


def _of_generator(kind: str, state: Mapping[str, Any]) -> str:
    """Return words on a generator that are others wherever it stands elsewhere."""
    parts = (f"{name} {_numbers(value)}" for name, value in sorted(state.items()))
    return f"{kind}({state['bit_generator']}, state {_together('', parts)[:16]})"


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return [(name, _numbers(inner)) for name, inner in sorted(value.items())]
    return value.tolist() if isinstance(value, np.ndarray) else value


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
    parts = isinstance(saved, dict) and saved.keys() == now.keys()
    if not parts or not all(isinstance(saved[part], dict) for part in ("data", "settings")):
        return ["it does not say of which run it is"]
    found = []
    as_before = saved["settings"].get(HOW) == now["settings"].get(HOW)
    same_numbers = all(saved["settings"].get(name) == now["settings"].get(name) for name in MAKE_THE_NUMBERS)
    for name in dict.fromkeys((*now["data"], *saved["data"])) if as_before else ():
        was, given = saved["data"].get(name), now["data"].get(name)
        if was != given and (same_numbers or None in (was, given)):
            how = "was not given" if was is None else "was given" if given is None else "held other numbers"
            found.append(f"{one_line(name, WIDTH)} {how}")
    for name in dict.fromkeys((*now["settings"], *saved["settings"])):
        missing = "at once" if name == HOW else "not there"
        was, given = (one_line(one["settings"].get(name, missing), WIDTH) for one in (saved, now))
        if saved["settings"].get(name) != now["settings"].get(name):
            found.append(f"{one_line(name, WIDTH)} was {was} and is {given} now")
    if saved.get("start") != now["start"]:
        found.append("the model that it started from was another one")
    return found if len(found) <= MOST else [*found[:MOST], f"{len(found) - MOST} more"]
