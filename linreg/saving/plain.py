"""Values of a run as plain ones that a document can hold, and back: no code, and nothing that is looked up by a path.

What JSON has stays as it is. Arrays go beside the document, under a name; of hyper-parameters, generators and numbers
that are not finite the document holds an object with one key, which says what it is.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from linreg import schedules
from linreg.archives import Archive, one_line
from linreg.devices import on_host
from linreg.hyperparameters import HyperParameters, check_number
from linreg.losses import LOSSES
from linreg.optimizers import OPTIMIZERS
from linreg.regularizers import L1L2, REGULARIZERS
from linreg.seeds import KerasGenerator, KerasSeed

Array = Any

ARRAY, NUMBER, KIND, GENERATOR = "array", "number", "kind", "generator"
NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
AT_MOST = {"has_uint32": 1, "uinteger": 2**32 - 1, "buffer_pos": 4, "pos": 624}
"""Parts of a generator's state by which it finds its way in its own buffers: NumPy does not check them."""


class Packer:
    """Turns values into plain ones, and keeps their arrays.

    Attributes
    ----------
    arrays : dict of str to array
        The arrays so far, by the names under which the plain values speak of them.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}

    def array(self, values: Any, name: str) -> dict[str, str]:
        """Keep an array under a name of its own."""
        numbers = np.asarray(on_host(values))
        if numbers.dtype.kind == "O" or numbers.ndim > 2:
            raise TypeError(f"an array of type {numbers.dtype} and shape {numbers.shape} cannot be saved")
        kept = f"{name}_{len(self.arrays)}"
        wide = {"f": numbers.dtype if numbers.itemsize in (4, 8) else np.float64, "u": np.uint64}
        self.arrays[kept] = numbers.astype(wide.get(numbers.dtype.kind, np.int64), copy=True)
        return {ARRAY: kept}

    def plain(self, value: Any, name: str = "values") -> Any:
        """Return a value as plain ones.

        Parameters
        ----------
        value : object
            None, numbers, text, lists, dicts with text as keys, arrays, hyper-parameters, generators.
        name : str, default="values"
            What its arrays are called, in small letters.

        Returns
        -------
        object
            What JSON can hold.

        Raises
        ------
        TypeError
            If it is something else, for example a function.
        """
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, np.generic):
            return self.plain(value.item(), name)
        if isinstance(value, int):
            return value
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {NUMBER: str(float(value))}
        if isinstance(value, list | tuple):
            return [self.plain(inner, name) for inner in value]
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return {"dict": [[key, self.plain(inner, name)] for key, inner in value.items()]}
        if isinstance(value, HyperParameters):
            if kinds().get(type(value).__name__) is not type(value):
                raise TypeError(
                    f"{value!r} is a {type(value).__name__} of your own, which a file cannot name: register it in "
                    "linreg.optimizers.OPTIMIZERS"
                )
            own = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}  # type: ignore[arg-type]
            return {KIND: type(value).__name__, "values": {key: self.plain(inner, key) for key, inner in own.items()}}
        if isinstance(value, np.random.Generator | KerasGenerator):
            return {GENERATOR: self._generator(value)}
        if hasattr(on_host(value), "dtype"):
            return self.array(value, name)
        raise TypeError(f"{value!r:.80} of type {type(value).__qualname__} cannot be saved: a file holds no code")

    def _generator(self, generator: Any) -> Any:
        if isinstance(generator, KerasGenerator):
            seed, dtype = generator.__reduce__()[1]
            return {"seed": seed, "dtype": np.dtype(dtype).name}
        state = generator.bit_generator.state
        if state["bit_generator"] not in BIT_GENERATORS:
            raise TypeError(
                f"a generator on {state['bit_generator']} cannot be saved: take one of {', '.join(BIT_GENERATORS)}"
            )
        return self.plain(state, "generator")


class Unpacker:
    """Turns plain values back into what they were; whatever they are not is refused.

    Parameters
    ----------
    archive : Archive
        Where they stand.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def value(self, plain: Any) -> Any:
        """Return what plain values stand for.

        Parameters
        ----------
        plain : object
            What `Packer.plain` has returned.

        Returns
        -------
        object
            The value; a sequence is a list.

        Raises
        ------
        ArchiveError
            If they are nothing that is saved.
        """
        if plain is None or isinstance(plain, bool | str | int | float):
            return plain
        if isinstance(plain, list):
            return [self.value(inner) for inner in plain]
        if isinstance(plain, dict):
            for key, (read, names) in _READ.items():
                if key in plain and plain.keys() == names:
                    return read(self, plain)
        return self._archive.refuse(f"{plain!r:.60} is no value that is saved")

    def array(self, plain: Any) -> Array:
        """Return an array."""
        return self._archive.take(plain.get(ARRAY) if isinstance(plain, dict) and len(plain) == 1 else plain)

    def _number(self, plain: dict[str, Any]) -> float:
        if plain[NUMBER] not in list(NOT_FINITE):
            self._archive.refuse(f"{plain!r:.60} is no number")
        return NOT_FINITE[plain[NUMBER]]

    def _dict(self, plain: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for pair in plain["dict"] if isinstance(plain["dict"], list) else [None]:
            if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
                self._archive.refuse(f"{pair!r:.60} is no pair of a name and a value")
            if pair[0] in found:
                self._archive.refuse(f"it names {pair[0]!r:.60} twice")
            found[pair[0]] = self.value(pair[1])
        return found

    def _hyperparameters(self, plain: dict[str, Any]) -> HyperParameters:
        name, own = plain[KIND], plain.get("values")
        kind = kinds().get(name) if isinstance(name, str) else None
        if kind is None or not isinstance(own, dict):
            self._archive.refuse(
                f"it speaks of {name!r:.40}, which this linreg does not know: if that is an optimizer of your own, "
                "register it in linreg.optimizers.OPTIMIZERS first"
            )
        if kind.__module__.startswith("linreg."):
            self._archive.check_names(own, {field.name for field in dataclasses.fields(kind)}, name)  # type: ignore[arg-type]
        try:
            made: HyperParameters = kind(**{key: self.value(inner) for key, inner in own.items()})
        except (TypeError, ValueError) as error:
            self._archive.refuse(str(error))
        check_rate(self._archive, getattr(made, "learning_rate", None))
        return made

    def _generator(self, plain: dict[str, Any]) -> Any:
        state = plain[GENERATOR]
        if isinstance(state, dict) and state.keys() == {"seed", "dtype"}:
            if state["dtype"] not in ("float32", "float64"):
                self._archive.refuse(f"{state['dtype']!r:.40} is no type of a run")
            try:
                return KerasGenerator(KerasSeed(state["seed"]).seed, np.dtype(state["dtype"]).type)
            except (TypeError, ValueError) as error:
                self._archive.refuse(str(error))
        saved = self.value(state)
        name = saved.get("bit_generator") if isinstance(saved, dict) else None
        if name not in BIT_GENERATORS:
            self._archive.refuse(f"{name!r:.40} is no generator")
        made = np.random.Generator(getattr(np.random, name)())
        known = made.bit_generator.state
        if not _same_form(saved, known):
            self._archive.refuse(f"it holds no state of {name}")
        made.bit_generator.state = _like(saved, known)
        return made


_READ = {
    KIND: (Unpacker._hyperparameters, {KIND, "values"}),
    ARRAY: (Unpacker.array, {ARRAY}),
    NUMBER: (Unpacker._number, {NUMBER}),
    "dict": (Unpacker._dict, {"dict"}),
    GENERATOR: (Unpacker._generator, {GENERATOR}),
}


def check_rate(archive: Archive, rate: Any) -> None:
    """Refuse a learning rate that is neither a number from 0 on, nor a schedule, nor None."""
    if rate is not None and not isinstance(rate, schedules.Schedule):
        try:
            check_number("", "", rate)
        except (TypeError, ValueError):
            archive.refuse(f"its learning rate is {one_line(repr(rate), 60)}")


def _same_form(saved: Any, known: Any, name: str = "") -> bool:
    """Whether a state of a generator has the parts of another one, and leads nowhere outside of it."""
    if isinstance(known, dict):
        same = isinstance(saved, dict) and saved.keys() == known.keys()
        return same and all(_same_form(saved[key], known[key], key) for key in known)
    if isinstance(known, np.ndarray):
        return isinstance(saved, np.ndarray) and saved.shape == known.shape and saved.dtype.kind == "u"
    if isinstance(known, str):
        return bool(saved == known)
    return type(saved) is int and 0 <= saved <= AT_MOST.get(name, 2**128 - 1)


def _like(saved: Any, known: Any) -> Any:
    """Return a state with arrays of the type that the generator has."""
    if isinstance(known, dict):
        return {key: _like(saved[key], known[key]) for key in known}
    return saved.astype(known.dtype) if isinstance(known, np.ndarray) else saved


def kinds() -> dict[str, type[HyperParameters]]:
    """Return every kind of hyper-parameters that a file may speak of, by its name."""
    rates = [one for one in vars(schedules).values() if isinstance(one, type) and issubclass(one, schedules.Schedule)]
    plain = [one for one in rates if one not in (schedules.Schedule, schedules.Decay)]
    known = (*OPTIMIZERS.values(), *LOSSES.values(), *REGULARIZERS.values(), L1L2, KerasSeed, *plain)
    return {one.__name__: one for one in known}
