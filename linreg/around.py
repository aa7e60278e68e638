"""What stands around a rule, in numbers: which steps an optimizer asks for, decided once for every engine.

The steps themselves are formulas in `linreg.rules`, taken on whole arrays in `linreg.steps` and number by number in
`linreg.compiled.loops`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from linreg.optimizers import Optimizer
from linreg.precision import Precision
from linreg.stacks import Several, members, stacked

NO_CLIP, BY_VALUE, EACH_BY_NORM, ALL_BY_NORM = range(4)


class Around(NamedTuple):
    """What stands around the rule, with numbers of the run's arithmetic: one for all models, or one for each of K."""

    every: int
    clip: int
    limit: Any
    one_over_limit: Any
    decays: bool
    weight_decay: Any
    averages: bool
    first_share: Any
    later_share: Any
    overwrite: int


def around(optimizer: Several[Optimizer], precision: Precision) -> Around:
    """Return what stands around the rule of an optimizer; every engine takes it from here.

    Parameters
    ----------
    optimizer : Optimizer or tuple of Optimizer
        The optimizer, or one for each of K models.
    precision : Precision
        The arithmetic of the run.

    Returns
    -------
    Around
        Which steps there are, and their numbers.
    """
    several, number = members(optimizer), precision.number
    first = several[0]  # what is asked for is the same for all
    clip, limit, one_over_limit = NO_CLIP, number(0), number(0)

    def each(rounded: Callable[[float], Any], name: str) -> Any:
        return stacked(rounded(getattr(one, name)) for one in several)

    if first.clipnorm:
        clip, limit = EACH_BY_NORM, each(number, "clipnorm")
    elif first.global_clipnorm:
        clip, limit = ALL_BY_NORM, each(number, "global_clipnorm")
        one_over_limit = stacked(number(1 / one.global_clipnorm) for one in several if one.global_clipnorm)
    elif first.clipvalue:
        clip, limit = BY_VALUE, each(number, "clipvalue")
    decays = first.weight_decay is not None
    return Around(
        every=int(first.gradient_accumulation_steps or 1),
        clip=clip,
        limit=limit,
        one_over_limit=one_over_limit,
        decays=decays,
        weight_decay=each(precision.cast, "weight_decay") if decays else number(0),
        averages=bool(first.use_ema),
        first_share=number(0),
        later_share=each(number, "ema_momentum"),
        overwrite=int(first.ema_overwrite_frequency or 0),
    )
