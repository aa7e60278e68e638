"""Hyper-parameters of K models that are trained together: parameters of shape (d+1, K) instead of (d+1,).

A *stack* is a tuple of K optimizers, losses or penalties of one structure, where one alone would do for one model. Each
number is rounded as the run of its own model rounds it; then numbers that differ stand side by side in an array of
shape (K,), which broadcasts against (d+1, K) in the very same formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np

from linreg.devices import HOST, Host
from linreg.losses import Loss
from linreg.optimizers import Optimizer, Rule
from linreg.precision import Precision
from linreg.regularizers import Regularizer

Array = Any
T = TypeVar("T")
Several: TypeAlias = "T | tuple[T, ...]"


def members(several: Several[T]) -> tuple[T, ...]:
    """Return the members of a stack; one object alone is its only member."""
    return several if isinstance(several, tuple) else (several,)


def stacked(numbers: Iterable[Any]) -> Any:
    """Return the numbers of K models as they enter a formula: one number where all are the same, else one a model.

    Parameters
    ----------
    numbers : iterable of scalar
        Numbers of the run's arithmetic, one a model.

    Returns
    -------
    scalar or array of shape (K,)
        What stands in for them.
    """
    listed = list(numbers)
    return listed[0] if len(listed) == 1 or len(set(listed)) == 1 else np.array(listed)


def rule_of(optimizer: Several[Optimizer], precision: Precision) -> Rule:
    """Return the update rule of an optimizer, or of a stack of them.

    Parameters
    ----------
    optimizer : Optimizer or tuple of Optimizer
        The optimizers; in a stack all must have the same rule.
    precision : Precision
        The arithmetic of the run.

    Returns
    -------
    Rule
        The rule. That of a stack has constants of shape (K,) where they differ, and its `rate` takes learning rates of
        shape (steps, K).
    """
    if isinstance(optimizer, Optimizer):
        return optimizer.rule(precision)
    rules = [one.rule(precision) for one in optimizer]
    constants = tuple(map(stacked, zip(*(rule.constants for rule in rules), strict=True)))
    return Rule(rules[0].update, rules[0].state, constants, _rates_side_by_side([rule.rate for rule in rules]))


def _rates_side_by_side(rates: Sequence[Callable[[Any, Any], Any]]) -> Callable[[Array, Array], Array]:
    """Return `rate(lr, t)` for learning rates of shape (steps, K); models with the same rate are asked together."""
    columns: dict[Callable[[Any, Any], Any], list[int]] = {}
    for k, one in enumerate(rates):
        columns.setdefault(one, []).append(k)

    def rate(lr: Array, t: Array) -> Array:
        if len(columns) == 1:
            return rates[0](lr, t[:, np.newaxis])
        out = np.empty_like(lr)
        for one, place in columns.items():
            out[:, place] = one(lr[:, place], t[:, np.newaxis])
        return out

    return rate


def constants_of(loss: Several[Loss], number: Callable[[float], Any]) -> tuple[Any, ...]:
    """Return the last arguments of `value` and `slope`, for a loss or a stack of them.

    Parameters
    ----------
    loss : Loss or tuple of Loss
        The losses; in a stack all must be of one kind.
    number : callable
        Makes a number of the run's arithmetic.

    Returns
    -------
    tuple
        The constants, of shape (K,) where they differ.
    """
    return tuple(map(stacked, zip(*(one.constants(number) for one in members(loss)), strict=True)))


def penalty_of(
    regularizer: Several[Regularizer], number: Callable[[float], Any], device: Host = HOST
) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return penalty(w) and slope(w) of a regulariser, or of a stack of them.

    Parameters
    ----------
    regularizer : Regularizer or tuple of Regularizer
        The penalties; in a stack all must have the same terms.
    number : callable
        Makes a number of the run's arithmetic.
    device : Host, optional
        Where the arrays of the run lie.

    Returns
    -------
    tuple of callable
        Both functions, with their strengths bound.
    """
    several = members(regularizer)
    strengths = zip(*([strength for *_, strength in one.terms()] for one in several), strict=True)
    both = [device.put(stacked(map(number, term))) for term in strengths]
    return several[0].bind_strengths(both)


def structure(optimizer: Optimizer, loss: Loss, regularizer: Regularizer | None, precision: Precision) -> Hashable:
    """Return what must be the same for models to be trained together: everything that is no number in a formula.

    Parameters
    ----------
    optimizer : Optimizer
        The rule and what stands around it.
    loss : Loss
        The loss.
    regularizer : Regularizer or None
        The penalty.
    precision : Precision
        The arithmetic.

    Returns
    -------
    hashable
        Equal for models that can be members of one stack.
    """
    clips = optimizer.clipnorm, optimizer.global_clipnorm, optimizer.clipvalue
    penalties = None if regularizer is None else tuple(slope for _, slope, _ in regularizer.terms())
    return (
        optimizer.rule(precision).update,
        tuple(map(bool, clips)),
        optimizer.weight_decay is None,
        optimizer.gradient_accumulation_steps,
        optimizer.use_ema and (optimizer.ema_overwrite_frequency,),
        (type(loss), loss.reduction),
        penalties,
    )
