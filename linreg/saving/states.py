"""Where a run stands, as plain values and back: parameters, state of the rule, generator, counters, history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from linreg.archives import Archive
from linreg.devices import device_of, on_host
from linreg.saving.plain import Packer, Unpacker, check_rate
from linreg.seeds import KerasGenerator
from linreg.steps import State
from linreg.training import Position

Array = Any


def plain_state(packer: Packer, state: State) -> dict[str, Any]:
    """Return a state as plain values, but for a learning rate that is no number.

    Parameters
    ----------
    packer : Packer
        Keeps the arrays.
    state : State
        Of one model.

    Returns
    -------
    dict
        Plain values.
    """
    rate = state.learning_rate
    return {
        "parameters": packer.array(state.parameters, "parameters"),
        "slots": [packer.array(slot, "slot") for slot in state.slots],
        "letters": list(state.letters),
        "total": packer.plain(state.total, "total"),
        "average": packer.plain(state.average, "average"),
        "fitted": packer.plain(state.fitted, "fitted"),
        "learning_rate": None if callable(rate) else packer.plain(float(rate)),
        "iterations": int(state.iterations),
        "epoch": int(state.epoch),
        "generator": packer.plain(state.generator),
    }


def read_state(archive: Archive, plain: Any, learning_rate: Any) -> State:
    """Return the state that plain values stand for.

    Parameters
    ----------
    archive : Archive
        Where they stand.
    plain : object
        What `plain_state` has returned.
    learning_rate : object
        The learning rate, where they hold none.

    Returns
    -------
    State
        The state, in the host's memory.

    Raises
    ------
    ArchiveError
        If they are none.
    """
    archive.check_names(plain, _PARTS, "state")
    read = Unpacker(archive)
    found: dict[str, Any] = {name: read.value(plain[name]) for name in _PARTS}
    parameters, slots, letters = found["parameters"], found["slots"], found["letters"]
    rate = _rate(archive, found["learning_rate"], learning_rate)
    arrays = [parameters, *(slots if isinstance(slots, list) else [None])]
    arrays += [found[name] for name in ("total", "average", "fitted") if found[name] is not None]
    if not all(_alike(one, parameters) for one in arrays):
        archive.refuse("its parameters are no arrays of one form")
    if not isinstance(letters, list) or len(letters) != len(slots) or not all(isinstance(one, str) for one in letters):
        archive.refuse("the state of its optimizer has not the letters that it says")
    counts = [found["iterations"], found["epoch"]]
    if any(type(one) is not int or not 0 <= one < 2**62 for one in counts):
        archive.refuse("its counters are no counts")
    generator = found["generator"]
    if not isinstance(generator, np.random.Generator | KerasGenerator):
        archive.refuse("it holds no generator")
    return State(
        parameters, slots, tuple(letters), rate, cast(Any, generator), total=found["total"], average=found["average"],
        iterations=counts[0], epoch=counts[1], fitted=found["fitted"],
    )  # fmt: skip


_PARTS = (
    "parameters", "slots", "letters", "total", "average", "fitted", "learning_rate", "iterations", "epoch", "generator",
)  # fmt: skip


def _alike(array: Any, other: Any) -> bool:
    if not isinstance(array, np.ndarray) or not isinstance(other, np.ndarray):
        return False
    return array.ndim == 1 and array.dtype.kind == "f" and (array.shape, array.dtype) == (other.shape, other.dtype)


def _rate(archive: Archive, saved: Any, given: Any) -> Any:
    """Return the learning rate: a number of the file, or the schedule that was given, of which a file holds none."""
    if (saved is None) is not callable(given) or type(saved) not in (float, type(None)):
        archive.refuse("its learning rate is not of the kind of its optimizer's")
    check_rate(archive, saved)
    return given if saved is None else saved


def take_over(state: State, saved: State) -> bool:
    """Bring a state to where a saved one stands, on the device where it lies; its generator goes on in place.

    Parameters
    ----------
    state : State
        The state that is changed.
    saved : State
        A state in the host's memory.

    Returns
    -------
    bool
        Whether they are states of the same kind of run; if not, nothing is changed.
    """
    generator, other = state.generator, saved.generator
    both = [(one.parameters.shape, one.parameters.dtype, one.letters, one.total is None, one.average is None,
             type(one.generator)) for one in (state, saved)]  # fmt: skip
    if both[0] != both[1]:
        return False
    if isinstance(generator, np.random.Generator):
        if type(generator.bit_generator) is not type(other.bit_generator):
            return False
        generator.bit_generator.state = other.bit_generator.state
    elif generator.__reduce__() != other.__reduce__():
        return False
    moved = saved.moved(device_of(state.parameters))
    for name in ("parameters", "slots", "total", "average", "fitted", "learning_rate", "iterations", "epoch"):
        setattr(state, name, getattr(moved, name))
    return True


_IN_MEMORY: dict[str, Any] = {"begun": None, "window": None, "in_window": None}
_PLACE = (*_IN_MEMORY, "batch", "rows", "loss", "ahead")


def plain_position(packer: Packer, at: Position) -> dict[str, Any]:
    """Return where in an epoch a run stands as plain values, but for its generator.

    Parameters
    ----------
    packer : Packer
        Keeps the sum of the losses.
    at : Position
        Of a run of one model.

    Returns
    -------
    dict
        Plain values.
    """
    return {
        "begun": at.begun,
        "window": at.window,
        "in_window": at.batch,
        "batch": at.batches,
        "rows": at.rows,
        "loss": packer.array(np.float64(on_host(at.loss_sum)), "loss"),
        "ahead": at.ahead,
    }


def read_position(found: Archive, plain: Any) -> Position:
    """Return where in an epoch plain values say that a run stands.

    Parameters
    ----------
    found : Archive
        Where they stand.
    plain : object
        What `plain_position` has returned.

    Returns
    -------
    Position
        The position, without a generator.

    Raises
    ------
    ArchiveError
        If there can be no such position.
    """
    batches, rows, ahead = (found.part(plain, name) for name in ("batch", "rows", "ahead"))
    found.check_names({**_IN_MEMORY, **plain}, _PLACE, "place")
    # What follows is missing in files of runs that always had their rows in memory.
    begun, window, batch = plain.get("begun", batches != 0), plain.get("window", 0), plain.get("in_window", batches)
    loss = Unpacker(found).array(found.part(plain, "loss"))
    counts = all(type(count) is int and 0 <= count < 2**62 for count in (batches, rows, ahead, window, batch))
    if not counts or type(begun) is not bool or loss.shape != () or loss.dtype != np.float64:
        found.refuse("it does not say where it stands")
    if (batches > 0) is not (rows > 0) or batch > batches or begun < (batches > 0) or window < (batch < batches):
        found.refuse("it does not say where it stands")
    return Position(begun, window, batch, batches, rows, float(loss), ahead=ahead)


def plain_history(packer: Packer, history: Mapping[str, list[Any]]) -> list[Any]:
    """Return a history as plain values.

    Parameters
    ----------
    packer : Packer
        Keeps the numbers.
    history : mapping of str to list
        One number an epoch.

    Returns
    -------
    list
        Names and arrays.

    Raises
    ------
    TypeError
        If it holds something that is no number.
    """
    plain = []
    for name, values in history.items():
        try:
            numbers = np.array(values, np.float64)
        except (TypeError, ValueError):
            numbers = np.empty((0, 0))
        if numbers.ndim != 1:
            raise TypeError(f"the history of {name!r} cannot be saved: it holds something that is no number")
        plain.append([name, packer.array(numbers, "history")])
    return plain


def read_history(archive: Archive, plain: Any) -> dict[str, list[float]]:
    """Return the history that plain values stand for.

    Parameters
    ----------
    archive : Archive
        Where they stand.
    plain : object
        What `plain_history` has returned.

    Returns
    -------
    dict of str to list of float
        The history.

    Raises
    ------
    ArchiveError
        If they are none.
    """
    found: dict[str, list[float]] = {}
    for pair in plain if isinstance(plain, list) else [None]:
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
            archive.refuse("its history is none")
        if pair[0] in found:
            archive.refuse(f"its history names {pair[0]!r:.60} twice")
        numbers = Unpacker(archive).array(pair[1])
        if numbers.ndim != 1 or numbers.dtype != np.float64:
            archive.refuse("its history holds no numbers")
        found[pair[0]] = numbers.tolist()
    if len({len(values) for values in found.values()}) > 1:
        archive.refuse("its history has not one entry an epoch")
    return found
