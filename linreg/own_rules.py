"""An optimizer out of an update rule of one's own: one function, and its defaults."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from linreg.hyperparameters import check_number
from linreg.optimizers import Optimizer, Rule, Update, rate_is_learning_rate
from linreg.precision import Precision

__all__ = ["optimizer_from"]

ONE_MINUS = "one_minus_"


def optimizer_from(name: str, update: Update, learning_rate: float, **defaults: float) -> type[Optimizer]:
    """Make an optimizer of an update rule; put it into `linreg.optimizers.OPTIMIZERS` to have it known by name.

    Parameters
    ----------
    name : str
        What the optimizer is called.
    update : callable
        The rule, a pure function `update(p, g, *state, lr, *constants) -> (p, *state)` made of + - * / and NumPy's
        ufuncs. Its arguments say the rest: what stands between g and lr is its state, by its letters, zero at the
        start; what follows lr are hyper-parameters by name, or `one_minus_` and the name of one: 1 minus it, taken in
        float64 and rounded once.
    learning_rate : float
        The default learning rate.
    **defaults : float
        The other hyper-parameters and their defaults, at least 0.

    Returns
    -------
    type
        A frozen dataclass like `SGD`, with the hyper-parameters as its arguments, that can be swept over, traced,
        drawn, and compiled by `engine="numba"`. What `linreg.dynamics` knows of SGD, RMSprop and Adam it does not
        know of a new rule.

    Raises
    ------
    TypeError
        If the arguments of the rule cannot be read that way.

    Examples
    --------
    >>> import numpy as np
    >>> from linreg.own_rules import optimizer_from
    >>> def sign(p, g, lr):
    ...     return (p - np.sign(g) * lr,)
    >>> Sign = optimizer_from("Sign", sign, learning_rate=0.01)
    >>> Sign(0.1)
    Sign(learning_rate=0.1)
    """
    state, constants = _read(name, update, defaults)

    def rule(self: Optimizer, precision: Precision) -> Rule:
        """Return the update rule with its constants in the arithmetic of the run."""
        numbers = (_constant(self, one) for one in constants)
        return Rule(update, state, tuple(map(precision.number, numbers)), rate_is_learning_rate)

    def check(self: Optimizer) -> None:
        """Check every hyper-parameter."""
        Optimizer.__post_init__(self)
        for one in defaults:
            check_number(name, one, getattr(self, one))

    fields = [("learning_rate", Any, dataclasses.field(default=learning_rate)),
              *((one, float, dataclasses.field(default=value)) for one, value in defaults.items())]  # fmt: skip
    namespace = {"rule": rule, "__post_init__": check, "__doc__": update.__doc__, "__module__": update.__module__}
    return dataclasses.make_dataclass(name, fields, bases=(Optimizer,), namespace=namespace, frozen=True, repr=False)


def _constant(optimizer: Optimizer, name: str) -> float:
    if name.startswith(ONE_MINUS):
        return float(1 - getattr(optimizer, name.removeprefix(ONE_MINUS)))
    return float(getattr(optimizer, name))


def _read(name: str, update: Update, defaults: Mapping[str, float]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the letters of the state and the names of the constants of a rule."""
    arguments = list(inspect.signature(update).parameters)
    if arguments[:2] != ["p", "g"] or "lr" not in arguments:
        raise TypeError(
            f"{name}: a rule takes p, g, its state, lr and its constants, in this order; got ({', '.join(arguments)})."
        )
    at = arguments.index("lr")
    for one in arguments[at + 1 :]:
        if one.removeprefix(ONE_MINUS) not in defaults:
            raise TypeError(
                f"{name}: the rule takes {one!r}, but there is no default for {one.removeprefix(ONE_MINUS)!r}: give "
                f"one, as in optimizer_from({name!r}, rule, learning_rate=..., {one.removeprefix(ONE_MINUS)}=...)."
            )
    return tuple(arguments[2:at]), tuple(arguments[at + 1 :])
