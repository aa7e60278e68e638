"""Values as Python source: numbers, lists, and hyper-parameters as constructor calls of linreg, Keras or scikit-learn.

Only what is listed here is ever written, so that no text of a user can become code.
"""

from __future__ import annotations

import inspect
import math
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from linreg.callbacks import Callback
from linreg.diagnosis.remedies import Step
from linreg.hyperparameters import HyperParameters
from linreg.losses import Loss
from linreg.optimizers import Optimizer
from linreg.regression import LinearRegression
from linreg.regularizers import Regularizer
from linreg.schedules import Schedule

WIDTH = 62
"""Longer calls and lists are broken into lines: room for four levels of indentation within 80 columns."""
EXPORTED = {"linreg.losses", "linreg.optimizers", "linreg.regression", "linreg.regularizers", "linreg.seeds"}
"""Modules whose classes `linreg` has too."""
KERAS_HOMES = {
    Optimizer: "keras.optimizers",
    Loss: "keras.losses",
    Schedule: "keras.optimizers.schedules",
    Regularizer: "keras.regularizers",
    Callback: "keras.callbacks",
}


class Script:
    """A script in the making: its imports, then its statements."""

    def __init__(self) -> None:
        self._first: dict[str, None] = {}
        self._needed: dict[str, set[str]] = defaultdict(set)
        self._lines: list[str] = []

    def need(self, module: str, name: str) -> str:
        """Import a name and return it."""
        self._needed[module].add(name)
        return name

    def first(self, *lines: str) -> None:
        """Begin with import statements, each of which is written once."""
        self._first.update(dict.fromkeys(lines))

    def add(self, *lines: str) -> None:
        """Append statements."""
        self._lines += lines

    def written(self, value: Any) -> str:
        """Return a setting of linreg's or a transformer as Python source, and import the classes in it."""
        return source(value, lambda value: self.need(*_import_of(value)))

    def step(self, step: Step) -> str:
        """Return a step of preparation as Python source, and import the classes in it."""
        return call(self.need(step.module, step.kind), (f"{k}={self.written(v)}" for k, v in step.arguments))

    def text(self) -> str:
        """Return the script."""
        own = sorted(module for module in self._needed if module.startswith("linreg"))
        others = sorted(module for module in self._needed if module not in own)
        imports = [
            f"from {module} import {', '.join(sorted(self._needed[module], key=str.lower))}"
            for module in (*others, *own)
        ]
        return "\n".join([*self._first, *imports, "", *self._lines]) + "\n"


def _import_of(value: Any) -> tuple[str, str]:
    module, name = type(value).__module__, type(value).__name__
    if module in EXPORTED:
        return "linreg", name
    # sklearn.preprocessing._encoders is private, its parent is not
    return ".".join(part for part in module.split(".") if not part.startswith("_")), name


def keras_source(value: Any) -> str:
    """Return the Keras object with the name and hyper-parameters of linreg's as Python source.

    Parameters
    ----------
    value : Optimizer, Loss, Schedule, Regularizer or Callback
        One of linreg's.

    Returns
    -------
    str
        For example "keras.optimizers.SGD(learning_rate=0.1)".

    Raises
    ------
    ValueError
        If it holds something that cannot be written.
    """

    def name(value: Any) -> str:
        home = next(home for kind, home in KERAS_HOMES.items() if isinstance(value, kind))
        return f"{home}.{type(value).__name__}"

    return source(value, name)


def source(value: Any, name: Callable[[Any], str]) -> str:
    """Return a value as Python source.

    Parameters
    ----------
    value : object
        A number, text or None; a setting of linreg's, a transformer of scikit-learn's; a list or tuple of them.
    name : callable
        Returns the name under which the script knows the class of an object.

    Returns
    -------
    str
        Literals, and constructor calls with the arguments that are no defaults.

    Raises
    ------
    ValueError
        If it holds something else.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, str):
        return f'"{value}"' if value.isidentifier() else repr(value)
    if value is None or isinstance(value, bool | int | float):
        return repr(value) if not isinstance(value, float) or math.isfinite(value) else f'float("{value}")'
    if isinstance(value, list | tuple):
        return _sequence(value, name)
    if isinstance(value, HyperParameters | Callback | LinearRegression) and type(value).__module__[:7] == "linreg.":
        given = {key: _plain(value, key) for key in _defaults(value) if hasattr(value, key)}
    elif type(value).__module__[:8] == "sklearn." and hasattr(value, "get_params"):
        given = value.get_params(deep=False)
    else:
        raise ValueError(
            f"{value!r} cannot be written as code: give a schedule of linreg.schedules for a function of the step, a "
            "callback of linreg.callbacks for one of your own, an int for a random generator."
        )
    defaults = _defaults(value)
    changed = {key: v for key, v in given.items() if key == "learning_rate" or repr(v) != repr(defaults[key])}
    return call(name(value), [f"{key}={source(v, name)}" for key, v in changed.items()])


def literal(value: Any) -> str:
    """Return a number, a text, None, or a list of them as Python source.

    Parameters
    ----------
    value : object
        The value.

    Returns
    -------
    str
        The source.

    Raises
    ------
    ValueError
        If it is something else.
    """
    return source(value, lambda value: type(value).__name__)


def _defaults(value: Any) -> dict[str, Any]:
    parameters = inspect.signature(type(value)).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters}


def _plain(owner: Any, key: str) -> Any:
    """Return a setting in a type that can be written: floats where Keras refuses 0 for 0.0, names for types."""
    value = getattr(owner, key)
    if isinstance(owner, Optimizer) and key in {"learning_rate", "momentum"}:
        return value if callable(value) else float(value)
    if key == "kernel_initializer" and not isinstance(value, str):
        return np.asarray(value, np.float64).reshape(-1)
    return getattr(value, "__name__", value) if key == "dtype" else value


def _sequence(values: list[Any] | tuple[Any, ...], name: Callable[[Any], str]) -> str:
    items = [source(value, name) for value in values]
    if values and all(isinstance(value, int | float) for value in values):
        # A data set's worth of row numbers: as many on a line as fit.
        items = textwrap.wrap(", ".join(items), WIDTH, break_long_words=False, break_on_hyphens=False)
        return f"[{items[0]}]" if len(items) == 1 else "\n".join(["[", *(f"    {line}" for line in items), "]"])
    if isinstance(values, list):
        return listed(items)
    return f"({', '.join(items)}{',' * (len(items) == 1)})"


def call(name: str, arguments: Iterable[str]) -> str:
    """Return a call: on one line, or with an argument a line where that is too long.

    Parameters
    ----------
    name : str
        What is called.
    arguments : iterable of str
        Its arguments, as source.

    Returns
    -------
    str
        The call.
    """
    return _between(f"{name}(", arguments, ")")


def listed(items: Iterable[str]) -> str:
    """Return a list: on one line, or with an item a line where that is too long.

    Parameters
    ----------
    items : iterable of str
        Its items, as source.

    Returns
    -------
    str
        The list.
    """
    return _between("[", items, "]")


def _between(start: str, items: Iterable[str], end: str) -> str:
    items = list(items)
    line = f"{start}{', '.join(items)}{end}"
    if len(line) <= WIDTH and "\n" not in line:
        return line
    return "\n".join([start, *(textwrap.indent(f"{item},", "    ") for item in items), end])
