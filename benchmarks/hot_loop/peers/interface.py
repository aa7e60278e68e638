"""What a loop that is compared is made of."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from benchmarks.interleaved import quickest
from benchmarks.loops import Task

Array = Any
Train = Callable[[int], tuple[Array, float | None]]
Start = Callable[[], Train]
Make = Callable[[Task, str], Start]

STEPS, NUMBERS = 4096, 2**24
"""Steps, and numbers of X read, after which it is seen which of several loops is the fastest, about."""


class MissingPeerError(Exception):
    """A peer that is not there, or cannot do this work here; its text is the reason that is printed."""


def package(name: str, brings: str) -> Any:
    """Import a peer's package.

    Parameters
    ----------
    name : str
        The package.
    brings : str
        What to install.

    Returns
    -------
    module
        The package.

    Raises
    ------
    MissingPeerError
        If it cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingPeerError(f"{name} cannot be imported ({error}): pip install {brings}") from None


def on_the_cpu_only(device: str) -> None:
    """Refuse another device.

    Parameters
    ----------
    device : str
        The device asked for.

    Raises
    ------
    MissingPeerError
        If it is not "cpu".
    """
    if device != "cpu":
        raise MissingPeerError(f"it does not run on {device}")


_fastest: dict[tuple[Any, ...], int] = {}


def fastest(name: str, forms: Sequence[Callable[[], Start]], task: Task) -> Start:
    """Return the loop that is the fastest here, of several that do the same.

    Parameters
    ----------
    name : str
        What the forms are of.
    forms : sequence of callable
        What makes each of the loops.
    task : Task
        The work.

    Returns
    -------
    callable
        A loop. Which form it has is found out once for a rule, a loss and the shape of a batch: all forms are built
        and have a tenth of a second each, in turns.
    """
    kind = name, repr(task.optimizer), repr(task.loss), task.batch_size, task.X.shape[1], task.X.dtype.name
    if kind not in _fastest:
        epochs = max(1, min(STEPS // task.steps, NUMBERS // task.X.size))
        _fastest[kind] = quickest([partial(form()(), epochs) for form in forms])
    return forms[_fastest[kind]]()


def in_batches(task: Task) -> tuple[Array, Array]:
    """Return X and y with a batch an entry, (steps, rows, features) and (steps, rows)."""
    X, y = task.X, task.y
    return X.reshape(-1, task.batch_size, X.shape[1]), y.reshape(-1, task.batch_size)


def written_update(rule: Any, sqrt: Any, p: Any, g: Any, m: Any, v: Any, t: Any) -> tuple[Any, Any, Any]:
    """SGD, RMSprop and Adam for libraries of arrays that cannot be changed, as their users write them.

    Parameters
    ----------
    rule : Optimizer
        Whose hyper-parameters are used.
    sqrt : callable
        The library's root.
    p, g, m, v : array
        Parameters, gradient, both moments.
    t : scalar
        The step, from 1.

    Returns
    -------
    tuple
        The new p, m and v.
    """
    if hasattr(rule, "beta_1"):
        m = m + (g - m) * (1 - rule.beta_1)
        v = v + (g * g - v) * (1 - rule.beta_2)
        alpha = rule.learning_rate * sqrt(1 - rule.beta_2**t) / (1 - rule.beta_1**t)
        return p - m * alpha / (sqrt(v) + rule.epsilon), m, v
    if hasattr(rule, "rho"):
        v = rule.rho * v + (1 - rule.rho) * g * g
        return p - rule.learning_rate * g / sqrt(v + rule.epsilon), m, v
    return p - rule.learning_rate * g, m, v
