"""One step: the state of a run, and what changes it: accumulate -> clip -> decay -> rule -> average."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from linreg import rules
from linreg.around import ALL_BY_NORM, BY_VALUE, EACH_BY_NORM, Around, around
from linreg.devices import HOST, Host, device_of, on_host
from linreg.optimizers import Optimizer
from linreg.precision import Precision
from linreg.schedules import Schedule, rates_of
from linreg.stacks import Several, members, rule_of
from linreg.unrolled import CannotUnrollError, Unrolled

Array = Any
Step = Callable[["State", Array, Any, Any], None]

FIRST_AHEAD, AHEAD = 256, 1024
"""Most steps whose learning rates are computed before they are due, at first and later: Adam's for 256 steps take
hardly longer than for 65."""


@dataclass
class State:
    """All that a run needs to go on bit for bit.

    Parameters
    ----------
    parameters : array of shape (parameters,) or (parameters, K)
        The kernel, then the bias.
    slots : list of array
        The state of the rule, each of the shape of the parameters.
    letters : tuple of str
        What each of the slots is: m, v, ...
    learning_rate : float, Schedule or callable, or a tuple of K of them
        The learning rate as callbacks may have changed it.
    generator : numpy.random.Generator
        Draws the order of each epoch.
    total : array or None
        Gradients accumulated since the last update.
    average : array or None
        Moving average of the parameters.
    iterations : int
        Batches done.
    epoch : int
        Epochs done.
    fitted : array or None
        The parameters of the fitted model: those of the last step, or their average where there is one, or what a
        callback restored.
    """

    parameters: Array
    slots: list[Array]
    letters: tuple[str, ...]
    learning_rate: Any
    generator: np.random.Generator
    total: Array | None = None
    average: Array | None = None
    iterations: int = 0
    epoch: int = 0
    fitted: Array | None = None

    @classmethod
    def start(
        cls, parameters: Array, optimizer: Several[Optimizer], precision: Precision, generator: np.random.Generator
    ) -> State:
        """Return the state before the first step: everything but the parameters is zero."""
        first = members(optimizer)[0]  # all members have its rule
        letters = first.rule(precision).state
        rates = tuple(one.learning_rate for one in members(optimizer))
        return cls(
            parameters,
            [np.zeros_like(parameters) for _ in letters],
            letters,
            rates if isinstance(optimizer, tuple) else rates[0],
            generator,
            total=np.zeros_like(parameters) if first.gradient_accumulation_steps else None,
            average=np.zeros_like(parameters) if first.use_ema else None,
        )

    def settle(self) -> None:
        """Give the state parameters and slots of its own, which no step of an unrolled rule writes to."""
        self.parameters, self.slots = self.parameters.copy(), [slot.copy() for slot in self.slots]

    def moved(self, device: Host) -> State:
        """Return the state with its arrays on a device, for a run that goes on there.

        Parameters
        ----------
        device : Host
            Where to.

        Returns
        -------
        State
            The same state; arrays that lie there already are shared.
        """

        def there(array: Array) -> Array:
            is_there = array is None or device_of(array).name == device.name
            return array if is_there else device.put(on_host(array))

        return replace(
            self,
            parameters=there(self.parameters),
            slots=[there(slot) for slot in self.slots],
            total=there(self.total),
            average=there(self.average),
            fitted=there(self.fitted),
        )


def bind_step(
    optimizer: Several[Optimizer],
    precision: Precision,
    kernel_size: int,
    device: Host = HOST,
    gradient: Array | None = None,
) -> Step:
    """Return `step(state, g, rate, lr)`: accumulate -> clip -> decay -> rule -> average, only those that are asked for.

    Parameters
    ----------
    optimizer : Optimizer or tuple of Optimizer
        The rule and what stands around it, or a stack of them (see `linreg.stacks`).
    precision : Precision
        The arithmetic of the run.
    kernel_size : int
        Where the kernel ends and the bias begins, since `clipnorm` treats each by itself.
    device : Host, optional
        Where the arrays of the run lie.
    gradient : array of shape (parameters,) or (parameters, K), optional
        Where the caller leaves the gradient of each step. The rule is then unrolled if it can be (`linreg.unrolled`):
        the arrays of the state are written to by later steps, until it is given its own by `State.settle`.

    Returns
    -------
    callable
        Changes the state by one batch; `rate` is what the rule takes, `lr` the learning rate it came from.
    """
    rule, given = rule_of(optimizer, precision), around(optimizer, precision)
    limit, one_over_limit = device.put(given.limit), device.put(given.one_over_limit)
    update, constants = rule.update, tuple(map(device.constant, rule.constants))

    def follow_rule(state: State, g: Array, rate: Any, lr: Any) -> None:  # noqa: ARG001 (weight decay needs lr)
        state.parameters, *state.slots = update(state.parameters, g, *state.slots, rate, *constants)

    step: Step = follow_rule
    if gradient is not None and device is HOST and gradient.dtype.kind == "f":
        with contextlib.suppress(CannotUnrollError):
            step = Unrolled(update, len(rule.state), gradient, constants).follow
    if given.decays:
        step = _with_decay(step, device.put(given.weight_decay))
    if given.clip == EACH_BY_NORM:
        step = _with_clipping(step, _clip_each(limit, kernel_size))
    elif given.clip == ALL_BY_NORM:
        step = _with_clipping(step, _clip_all(limit, one_over_limit))
    elif given.clip == BY_VALUE:
        step = _with_clipping(step, lambda g: rules.clip_by_value(g, limit))
    if given.every > 1:
        step = _with_accumulation(step, given.every)
    if given.averages:
        step = _with_average(step, given, device.put(given.later_share))
    return step


def _with_decay(inner: Step, weight_decay: Any) -> Step:
    def step(state: State, g: Array, rate: Any, lr: Any) -> None:
        state.parameters = rules.decayed(state.parameters, weight_decay, lr)
        inner(state, g, rate, lr)

    return step


def _with_clipping(inner: Step, clip: Callable[[Array], Array]) -> Step:
    def step(state: State, g: Array, rate: Any, lr: Any) -> None:
        inner(state, clip(g), rate, lr)

    return step


def _clip_each(clipnorm: Any, kernel_size: int) -> Callable[[Array], Array]:
    def clip(g: Array) -> Array:
        parts = (part for part in (g[:kernel_size], g[kernel_size:]) if len(part))
        return np.concatenate([rules.clip_by_norm(part, rules.norm(part), clipnorm) for part in parts])

    return clip


def _clip_all(clipnorm: Any, one_over_clipnorm: Any) -> Callable[[Array], Array]:
    def clip(g: Array) -> Array:
        return rules.clip_by_global_norm(g, rules.norm(g), clipnorm, one_over_clipnorm)

    return clip


def _with_accumulation(inner: Step, every: int) -> Step:
    def step(state: State, g: Array, rate: Any, lr: Any) -> None:
        state.total = rules.accumulated(state.total, g)
        if (state.iterations + 1) % every == 0:
            inner(state, rules.mean_gradient(state.total, every), rate, lr)
            state.total = np.zeros_like(g)

    return step


def _with_average(inner: Step, given: Around, later: Any) -> Step:
    every, overwrite, first = given.every, given.overwrite, given.first_share

    def step(state: State, g: Array, rate: Any, lr: Any) -> None:
        inner(state, g, rate, lr)
        updates = state.iterations // every
        state.average = rules.averaged(state.average, state.parameters, later if updates else first)
        if overwrite and (updates + 1) % overwrite == 0:
            state.parameters = state.average

    return step


class Rates:
    """The learning rate of each step and what the rule takes in its place, computed many steps at a time.

    Parameters
    ----------
    optimizer : Optimizer or tuple of Optimizer
        Knows what its rule takes.
    precision : Precision
        The arithmetic of the run.
    device : Host, optional
        Where the arrays of the run lie.
    ahead : int, optional
        Most steps whose rates are computed before they are asked for.

    Attributes
    ----------
    rule : Rule
        The rule.
    last : scalar or array of shape (K,)
        The learning rate of the last step that `pairs` was asked for, in the host's memory.
    """

    def __init__(
        self, optimizer: Several[Optimizer], precision: Precision, device: Host = HOST, ahead: int = AHEAD
    ) -> None:
        self._device, self._ahead = device, ahead
        self.rule = rule_of(optimizer, precision)
        self._every = members(optimizer)[0].gradient_accumulation_steps or 1
        self._precision = precision
        self._source: Any = None
        self._first = self._end = 0
        self._rates: Array = None
        self._pairs: list[tuple[Any, Any]] | None = None
        self.last: Any = None

    def arrays(self, source: Any, first: int, count: int) -> tuple[Array, Array]:
        """Return the rates and the learning rates of `count` steps from step `first`."""
        if source is not self._source or not self._first <= first <= first + count <= self._end:
            self._look_ahead(source, first, count)
        steps = slice(first - self._first, first - self._first + count)
        rate, lr = self._rates
        used = lr[steps]
        return (used if rate is lr else rate[steps]), used

    def pairs(self, source: Any, first: int, count: int) -> list[tuple[Any, Any]]:
        """Return (rate, lr) of `count` steps from step `first`, with learning rates from `source`."""
        self.arrays(source, first, count)
        if self._pairs is None:
            rate, lr = self._rates
            varying = any(map(callable, members(source)))
            lrs = self._device.rows(lr) if varying else self._device.rows(lr[:1]) * len(lr)
            rates = lrs if rate is lr else self._device.rows(rate)
            self._pairs = list(zip(rates, lrs, strict=True))
        offset = first - self._first
        self.last = self._rates[1][offset + count - 1]
        return self._pairs[offset : offset + count]

    def _look_ahead(self, source: Any, first: int, count: int) -> None:
        """Compute the rates of at least `count` steps: the more, the longer they stay."""
        changed = self._source is not None and source is not self._source
        most = min(max(FIRST_AHEAD, 4 * (self._end - self._first)), self._ahead)
        ahead = count if changed else max(count, most)
        if any(callable(one) and not isinstance(one, Schedule) for one in members(source)):
            ahead = count  # a callable of the user's is asked for no step too many
        numbers = source is self._source and not any(map(callable, members(source)))
        if numbers and len(self._rates[1]) >= ahead and self._rates[0] is self._rates[1] and first >= self._first:
            self._first, self._end = first, first + len(self._rates[1])  # the rule takes these numbers from now on
            return
        steps = np.arange(first, first + ahead)
        if numbers and len(self._rates[1]) >= ahead:
            lr = self._rates[1][:ahead]  # numbers, which are the same for all steps
        else:
            lr = rates_of(source, steps, self._precision)
        if self._every > 1:
            steps //= self._every
        steps += 1  # counted as updates
        self._rates, self._pairs = (self.rule.rate(lr, steps), lr), None
        self._source, self._first, self._end = source, first, first + ahead
