"""What callbacks have noted, as plain values and back: of the same types and bits, or refused."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from linreg.archives import LARGEST, Archive
from linreg.callbacks import Callback
from linreg.devices import on_host
from linreg.hyperparameters import HyperParameters
from linreg.saving.plain import ARRAY, Packer, Unpacker
from linreg.seeds import KerasGenerator

NOTE, TUPLE = "note", "tuple"
_NUMBERS = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
_UNITS = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns")
TYPES = {name: np.dtype(name) for name in (*_NUMBERS, *(f"{kind}8[{unit}]" for kind in "mM" for unit in _UNITS))}
"""Types of numbers whose bytes are kept, by the names that a file gives them."""
LARGEST_INTEGER, DEEPEST, MOST_DIMENSIONS = 2**128, 20, 32


def plain_notes(packer: Packer, callbacks: Iterable[Callback]) -> list[Any]:
    """Return what callbacks have noted as plain values.

    Parameters
    ----------
    packer : Packer
        Keeps the arrays.
    callbacks : iterable of Callback
        The callbacks.

    Returns
    -------
    list
        Names and values of each.

    Raises
    ------
    TypeError
        If one has noted what no file holds.
    """
    notes = []
    for callback in callbacks:
        kind, state = type(callback).__name__, callback.get_state()
        if type(state) is not dict or not all(type(name) is str for name in state):
            raise TypeError(f"{kind}.get_state() must return a dict with text as keys, got {state!r:.60}.")
        notes.append({"dict": [[name, plain_note(packer, value, f"{kind}.{name}")] for name, value in state.items()]})
    return notes


def plain_note(packer: Packer, value: Any, name: str, depth: int = 0) -> Any:
    """Return what a callback has noted as plain values.

    Parameters
    ----------
    packer : Packer
        Keeps the arrays.
    value : object
        None, numbers of Python and NumPy, text, arrays, hyper-parameters, generators; lists, tuples and dicts (with
        text as keys) of them.
    name : str
        What is noted, for the error.
    depth : int, default=0
        How many lists, tuples and dicts are around it.

    Returns
    -------
    object
        Plain values. Arrays of a GPU come back as those of the host.

    Raises
    ------
    TypeError
        If it is something else, or of a type that no file holds.
    """
    kind, numbers = type(value), value if isinstance(value, np.generic) else on_host(value)
    if depth < DEEPEST:
        if kind in (list, tuple):
            inside = [plain_note(packer, inner, name, depth + 1) for inner in value]
            return inside if kind is list else {TUPLE: inside}
        if kind is dict and all(type(key) is str for key in value):
            return {"dict": [[key, plain_note(packer, inner, name, depth + 1)] for key, inner in value.items()]}
    if value is None or kind in (bool, str, float) or (kind is int and abs(value) < LARGEST_INTEGER):
        return packer.plain(value)
    if isinstance(value, HyperParameters | np.random.Generator | KerasGenerator):
        return packer.plain(value)
    what = f"of type {kind.__qualname__}"
    if isinstance(numbers, np.generic) or type(numbers) is np.ndarray:
        if numbers.dtype in TYPES.values() and numbers.dtype.isnative:
            return _plain_numbers(packer, numbers)
        what = f"{'a number' if isinstance(numbers, np.generic) else 'an array'} of type {numbers.dtype}"
    raise TypeError(
        f"{name} is or holds something that is {what}, which a checkpoint cannot hold: note text, arrays and numbers "
        f"(integers up to 128 bits), or lists, tuples and dicts of them with text as keys, up to {DEEPEST} within each "
        "other."
    )


def _plain_numbers(packer: Packer, numbers: Any) -> dict[str, Any]:
    little = np.asarray(numbers, numbers.dtype.newbyteorder("<"))
    content = little.tobytes()
    words = np.frombuffer(content.ljust(-(-len(content) // 8) * 8, b"\0"), "<u8")
    name = next(name for name, dtype in TYPES.items() if dtype == numbers.dtype)
    single = isinstance(numbers, np.generic)
    return {NOTE: name, "shape": list(numbers.shape), "single": single, **packer.array(words, "noted")}


def read_note(archive: Archive, plain: Any) -> Any:
    """Return what plain values say that a callback has noted.

    Parameters
    ----------
    archive : Archive
        Where they stand; it has no more lists within each other than `linreg.archives` allows.
    plain : object
        What `plain_note` has returned.

    Returns
    -------
    object
        What was noted.

    Raises
    ------
    ArchiveError
        If it is nothing that is noted.
    """
    if isinstance(plain, list):
        return [read_note(archive, inner) for inner in plain]
    if isinstance(plain, dict) and NOTE in plain:
        return _numbers(archive, plain)
    if isinstance(plain, dict) and plain.keys() == {TUPLE} and isinstance(plain[TUPLE], list):
        return tuple(read_note(archive, inner) for inner in plain[TUPLE])
    if not isinstance(plain, dict) or plain.keys() != {"dict"} or not isinstance(plain["dict"], list):
        return Unpacker(archive).value(plain)
    if not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in plain["dict"]):
        archive.refuse("what a callback has noted has not one name each")
    if len({key for key, _ in plain["dict"]}) < len(plain["dict"]):
        archive.refuse("a callback has noted two things by one name")
    return {key: read_note(archive, inner) for key, inner in plain["dict"]}


def _numbers(archive: Archive, plain: dict[str, Any]) -> Any:
    dtype, shape = TYPES.get(str(plain[NOTE])), plain.get("shape")
    words = Unpacker(archive).array({ARRAY: plain.get(ARRAY)})
    if plain.keys() != {NOTE, "shape", "single", ARRAY} or type(plain["single"]) is not bool:
        archive.refuse("a callback has noted numbers that are described otherwise")
    if not isinstance(shape, list) or not all(type(one) is int and one >= 0 for one in shape):
        archive.refuse("a callback has noted numbers of no shape")
    if dtype is None or len(shape) > MOST_DIMENSIONS or math.prod(max(one, 1) for one in shape) > LARGEST:
        archive.refuse("a callback has noted numbers of no known type, or too many")
    size = math.prod(shape) * dtype.itemsize
    if words.ndim != 1 or words.dtype != np.uint64 or len(words) != -(-size // 8):
        archive.refuse(f"a callback has noted {plain[NOTE]} of shape {shape} in other bytes")
    content = words.astype("<u8").tobytes()[:size]
    if dtype.kind == "b" and max(content, default=0) > 1:
        archive.refuse("a callback has noted something that is neither true nor false")
    found = np.frombuffer(content, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
    return found[()] if plain["single"] and not shape else found
