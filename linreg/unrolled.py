"""A rule as the bare calls of NumPy that it makes, each with a place for what comes out.

The rule runs once on arrays that note what is done to them; every step then makes the same calls in the same order on
the same places, so that nothing is allocated and nothing of the rule's Python is run. The formula still stands in one
place, and the bits are the rule's: a call gives the same with a place for its result as without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

Array = Any


class CannotUnrollError(Exception):
    """A rule does more than a fixed row of ufuncs."""


class _Noted(NDArrayOperatorsMixin):
    """A value in a rule: an argument, or what a ufunc has made of other values."""

    def __init__(self, calls: list[_Noted], value: Any, ufunc: Any = None, operands: tuple[Any, ...] = ()) -> None:
        self.calls, self.value, self.ufunc, self.operands = calls, value, ufunc, operands

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> _Noted:
        """Call it and note it."""
        given = any(isinstance(x, np.ndarray) for x in inputs)
        # An array's own ** takes other ways to some powers than np.power does.
        if method != "__call__" or options or ufunc.nout > 1 or given or ufunc is np.power:
            raise CannotUnrollError
        made = ufunc(*(x.value if isinstance(x, _Noted) else x for x in inputs))
        self.calls.append(_Noted(self.calls, made, ufunc, inputs))
        return self.calls[-1]

    def __array__(self, *_: Any, **__: Any) -> Array:
        """Refuse to be taken for its value."""
        raise CannotUnrollError

    def __bool__(self) -> bool:
        """Refuse to decide what is done next."""
        raise CannotUnrollError


class Unrolled:
    """A rule bound to places for its arguments and its results.

    Parameters
    ----------
    update : callable
        The rule, `update(p, g, *slots, rate, *constants) -> (p, *slots)`.
    slots : int
        How many arrays its state has.
    g : array of shape (parameters,) or (parameters, K)
        Where the gradient of each step is found; everything else has its type.
    constants : tuple of array
        The rule's constants.

    Raises
    ------
    CannotUnrollError
        If the rule does more than a fixed row of ufuncs, or changes the shape or type of its state.
    """

    def __init__(self, update: Callable[..., Any], slots: int, g: Array, constants: tuple[Array, ...]) -> None:
        noted: list[_Noted] = []
        state = [_Noted(noted, np.ones_like(g)) for _ in range(1 + slots)]
        gradient, rate = _Noted(noted, np.ones_like(g)), _Noted(noted, np.ones_like(g, shape=g.shape[1:]))
        fixed = [_Noted(noted, np.asarray(one)) for one in constants]
        try:
            with np.errstate(all="ignore"):
                made = update(state[0], gradient, *state[1:], rate, *fixed)
            made_here = len(set(map(id, made)) & set(map(id, noted))) == len(made) == len(state)
        except Exception as reason:  # a rule may want anything of its arguments, and is given plain ones then
            raise CannotUnrollError from reason
        if not made_here or any((one.value.shape, one.value.dtype) != (g.shape, g.dtype) for one in made):
            raise CannotUnrollError
        self._g, self._rate, self._last_rate = g, np.empty_like(rate.value), None
        places = {id(gradient): g, id(rate): self._rate} | {id(one): one.value for one in fixed}
        places |= _places_between(noted, made)
        # Two sets of places for the state, of which a step reads one and writes the other: it is whole at any time.
        sets = [[np.empty_like(g) for _ in state] for _ in range(2)]
        self._turns = []
        for here, there in (sets, sets[::-1]):
            ids = map(id, (*state, *made))
            bound = places | dict(zip(ids, (*here, *there), strict=True))
            self._turns.append((here, there[0], there[1:], [_bound(one, bound) for one in noted]))
        self._left: tuple[Any, Any] = (None, None)

    def follow(self, state: Any, g: Array, rate: Any, lr: Any) -> None:  # noqa: ARG002 (any step is given both)
        """Take a step.

        Parameters
        ----------
        state : State
            Where the run stands (`linreg.steps.State`). Its parameters and slots become places of this object's, which
            later steps write to; who keeps them copies them.
        g : array of shape (parameters,) or (parameters, K)
            Gradient.
        rate : array of shape () or (K,)
            What the rule takes for the learning rate.
        lr : array of shape () or (K,)
            The learning rate.
        """
        here, p, slots, calls = self._turns[0]
        if state.parameters is not self._left[0] or state.slots is not self._left[1]:
            for place, value in zip(here, (state.parameters, *state.slots), strict=True):
                place[...] = value
        if g is not self._g:
            self._g[...] = g
        if rate is not self._last_rate:
            self._rate[()] = self._last_rate = rate
        for call in calls:
            call()
        self._turns.reverse()
        state.parameters, state.slots = self._left = p, slots


def _places_between(noted: Sequence[_Noted], made: Sequence[_Noted]) -> dict[int, Array]:
    """Return places for the values that are no results; one that is not read any more leaves its place to the next."""
    results = set(map(id, made))
    last_read = {id(operand): number for number, one in enumerate(noted) for operand in one.operands}
    free: list[Array] = []
    places: dict[int, Array] = {}
    for number, one in enumerate(noted):
        # A ufunc may write to the very place that it reads.
        free += [places[key] for key in {id(x) for x in one.operands} & places.keys() if last_read[key] == number]
        if id(one) in results:
            continue
        fits = (k for k, place in enumerate(free) if (place.shape, place.dtype) == (one.value.shape, one.value.dtype))
        k = next(fits, None)
        places[id(one)] = np.empty_like(one.value) if k is None else free.pop(k)
    return places


def _bound(one: _Noted, places: dict[int, Array]) -> Callable[[], Any]:
    """Return the call that makes a value, with places for its operands and for itself."""
    ufunc, place = one.ufunc, places[id(one)]
    operands = [places[id(x)] if isinstance(x, _Noted) else x for x in one.operands]
    if ufunc in (np.maximum, np.minimum):  # NumPy wants their places by name, which costs a partial more
        return lambda: ufunc(*operands, out=place)
    return partial(ufunc, *operands, place)
