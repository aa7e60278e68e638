"""A run that is watched: the loop, the loss and the rule of `linreg.training`, with every quantity of a step kept.

The functions that train are given arrays that remember how they were made (`linreg.study.tape`). Nothing is computed
a second time, and no formula stands here.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from linreg.batches import Batches
from linreg.optimizers import Optimizer, Rule
from linreg.precision import Precision
from linreg.stacks import members
from linreg.steps import Rates, State, bind_step
from linreg.study.seen import Lines, Seen
from linreg.study.tape import Node, Traced, live, named, node_of, plain
from linreg.training import CHUNK, Run

Array = Any


@dataclass
class Watch:
    """Which steps are watched, and what was seen of them.

    Parameters
    ----------
    steps : collection of int
        Numbers of steps, from 1.
    seen : list of Seen
        The steps that were seen.
    now : Seen or None
        The step that is being run, where it is watched.
    """

    steps: Collection[int]
    seen: list[Seen] = field(default_factory=list)
    now: Seen | None = None

    def rule(self, optimizer: Optimizer, precision: Precision) -> Rule:
        """Return the rule of an optimizer, watched: its own functions, given arrays that remember."""
        counted = copy.copy(precision)
        object.__setattr__(counted, "power", self._power(optimizer, precision))
        rule = optimizer.rule(counted)
        arguments = list(inspect.signature(rule.update).parameters)

        def update(*values: Any) -> tuple[Any, ...]:
            if self.now is None:
                return rule.update(*values)
            traced = [_given(name, value) for name, value in zip(arguments, values, strict=True)]
            # What clipping, decay and accumulation have made before the rule.
            for name, value in zip(("p", "g"), traced[:2], strict=True):
                if value.node.operation:
                    value.node.name = f"{name}'"
                    self.now.extra[value.node.name] = value.node
            made = rule.update(*traced)
            for name, value in zip(("p", *rule.state), made, strict=True):
                node = node_of(value)
                # A rule may hand an argument back as it was; only what was made has a name of its own.
                self.now.after[name] = node
                if node.operation:
                    node.name = f"{name}[t]"
            return made

        def rate(lr: Any, t: Any) -> Any:
            if self.now is None:
                return rule.rate(lr, t)
            given = named("learning_rate", lr)
            made = rule.rate(given, t)
            self.now.rate, self.now.learning_rate = node_of(made), float(lr[0])
            # The loop asks whether this is the learning rate itself.
            return lr if made is given else plain(made)

        return Rule(update, rule.state, rule.constants, rate)

    def _power(self, optimizer: Optimizer, precision: Precision) -> Callable[[Any, Any], Any]:
        """Return a power that goes by the name of the hyper-parameter that it is one of."""
        numbers = {name: value for name, value in optimizer.get_params(deep=False).items() if isinstance(value, float)}
        # A power of the learning rate there is none; the betas come first where numbers are alike.
        ordered = sorted(numbers.items(), key=lambda item: not item[0].startswith("beta"))
        known = [(name, precision.cast(value)) for name, value in ordered if name != "learning_rate"]
        waiting: list[str] = []

        def power(base: Any, exponent: Any) -> Any:
            made = precision.power(base, exponent)
            alike = [name for name, value in known if value == base]
            if self.now is None or not alike:
                return made
            name = next((name for name in alike if name not in waiting), alike[0])
            waiting[:] = [*waiting, name] if name not in waiting else [name]
            return named(f"{name}^t", made)

        return power


class WatchedBatches(Batches):
    """Batches that tell which rows they hold, and what a step makes of them."""

    watch: Watch
    order: Array = None

    def reorder(self, generator: Any) -> None:
        """Lay the rows out for the next epoch, and remember their order."""
        drawn: list[Array] = []

        class Drawing:
            def permutation(self, rows: int) -> Array:
                drawn.append(generator.permutation(rows))
                return drawn[0]

        super().reorder(Drawing())  # type: ignore[arg-type]
        self.order = drawn[0] if drawn else np.arange(len(self.target))

    def views(self, first: int, last: int) -> Iterable[tuple[Array, ...]]:
        """Return what a step reads; of a watched step, what it writes is kept as well."""
        now = self.watch.now
        if now is None:
            return super().views(first, last)
        ((predict, add_up, target, error, factor),) = super().views(first, last)
        matrix = self._problem.matrix

        def watched_predict(parameters: Any, out: Any) -> None:
            predict(plain(parameters), plain(out))
            out.node = now.prediction = Node(
                plain(out).copy(), "prediction", "dot", (Node(Lines(matrix, now.rows, False), "X"), node_of(parameters))
            )

        def watched_add_up(slope: Any, out: Any) -> None:
            add_up(plain(slope), plain(out))
            out.node = now.without_penalty = Node(
                plain(out).copy(), "", "dot", (Node(Lines(matrix, now.rows, True), "X.T"), node_of(slope))
            )

        return [(watched_predict, watched_add_up, named("y", target), live("e", error), factor)]

    def losses(self, first: int, last: int, constants: tuple[Any, ...]) -> Array:
        """Return the loss of each batch; that of a watched step remembers how it was made."""
        if self.watch.now is None:
            return super().losses(first, last, constants)
        letters = list(inspect.signature(self._loss.value).parameters)
        error, self.error = self.error, live(letters[0], self.error)
        weights = getattr(self, "_weights", None)
        if weights is not None:
            self._weights = live("weight", weights)
        try:
            return super().losses(first, last, tuple(map(named, letters[1:], constants)))
        finally:
            self.error = error
            if weights is not None:
                self._weights = weights


class WatchedRun(Run):
    """A run of which some steps are watched.

    Parameters
    ----------
    *arguments : Any
        As for `linreg.training.Run`.
    watch : Watch
        Which steps, and where what is seen of them goes.
    **options : Any
        As for `linreg.training.Run`.
    """

    def __init__(self, *arguments: Any, watch: Watch, **options: Any) -> None:
        self.watch = watch
        super().__init__(*arguments, **options)

    def _bind_loop(self) -> None:
        """Bind the loop with its own functions, watched."""
        optimizer = copy.copy(members(self.optimizer)[0])
        object.__setattr__(optimizer, "rule", lambda precision: self.watch.rule(members(self.optimizer)[0], precision))
        self._watched = optimizer
        self._batches = WatchedBatches(
            self.problem, self.shuffle, members(self.loss)[0], self.precision, self.state.parameters
        )
        self._batches.watch = self.watch
        self._g = np.empty_like(self.state.parameters)
        inner = bind_step(optimizer, self.precision, self.problem.kernel_size, self._device)
        self._step = self._watched_step(inner)
        self._slope = self._watched_slope(self._slope)
        if self._penalty is not None:
            self._penalty = self._watched_penalty(*self._penalty)
        self._rates = Rates(optimizer, self.precision, self._device)

    def _epoch(self, epoch: int) -> Any:
        """Run an epoch, step by step if one of its steps is watched."""
        first = self.state.iterations + 1
        ahead = range(first, first + len(self._batches))
        self._steps_at_once = 1 if any(step in self.watch.steps for step in ahead) else CHUNK
        return super()._epoch(epoch)

    def _chunk(self, first: int, last: int) -> Array:
        """Run some batches: one, if it is watched."""
        step, watch = self.state.iterations + 1, self.watch
        if last - first > 1 or step not in watch.steps:
            return super()._chunk(first, last)
        batches: Any = self._batches
        rows = batches.order[batches.starts[first] : batches.ends[first]]
        watch.now = Seen(step, self.state.epoch + 1, first + 1, rows, before=self.state.parameters.copy())
        self.state.parameters, self._g = named("p[t-1]", self.state.parameters), live("g", self._g)
        # Rates are computed many steps ahead; these are those of this step.
        self._rates = Rates(self._watched, self.precision, self._device, ahead=1)
        try:
            losses = super()._chunk(first, last)
            watch.now.loss = node_of(losses)
            watch.seen.append(watch.now)
        finally:
            watch.now = None
            self.state.parameters, self._g = plain(self.state.parameters), plain(self._g)
            self._rates = Rates(self._watched, self.precision, self._device)
        return plain(losses)

    def _watched_penalty(self, *alone: Callable[[Any], Any]) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
        """Return value and slope of the penalty; at a watched step their strengths have names."""
        regularizer: Any = members(self.regularizer)[0]
        strengths = [
            named(list(inspect.signature(slope).parameters)[-1], self.precision.cast(strength))
            for _, slope, strength in regularizer.terms()
        ]

        def watched(name: str, unwatched: Callable[[Any], Any], by_names: Callable[[Any], Any]) -> Callable[[Any], Any]:
            def of(w: Any) -> Any:
                now = self.watch.now
                if now is None:
                    return unwatched(w)
                made = by_names(w)
                setattr(now, name, node_of(made))
                return made

            return of

        value, slope = map(watched, ("penalty", "pull"), alone, regularizer.bind_strengths(strengths))
        return value, slope

    def _watched_slope(self, slope: Callable[..., Any]) -> Callable[..., Any]:
        arguments = list(inspect.signature(slope).parameters)

        def watched(*values: Any) -> Any:
            now = self.watch.now
            if now is None:
                return slope(*values)
            now.residual = replace(node_of(values[0]), name=arguments[0])
            made = slope(*(named(name, plain(value)) for name, value in zip(arguments, values, strict=True)))
            now.slope = node_of(made)
            now.slope.name = "slope"
            return made

        return watched

    def _watched_step(self, step: Callable[..., None]) -> Callable[..., None]:
        def watched(state: State, g: Array, rate: Any, lr: Any) -> None:
            now = self.watch.now
            if now is None:
                step(state, g, rate, lr)
                return
            now.gradient = replace(node_of(g), name="g")
            for name in ("total", "average"):
                if getattr(state, name) is not None:
                    setattr(state, name, named(f"{name}[t-1]", getattr(state, name)))
            step(state, named("g", plain(g)), rate, lr)
            for letter, slot in zip(state.letters, state.slots, strict=True):
                now.after.setdefault(letter, node_of(named(f"{letter}[t-1]", plain(slot))))  # no update was due
            made, left = now.after.get("p"), node_of(state.parameters)
            if made is not None and made is not left:  # the average has overwritten them
                made.name = "p''"
                now.extra[made.name] = made
            now.after["p"] = left
            for name in ("total", "average"):
                if getattr(state, name) is not None:
                    now.extra[name] = node_of(getattr(state, name))
                    setattr(state, name, plain(getattr(state, name)))
            state.parameters = plain(state.parameters)
            state.slots = [plain(slot) for slot in state.slots]

        return watched


def _given(name: str, value: Any) -> Traced:
    """Return an argument of a rule as an array that remembers; arrays are the state, of the step before."""
    if isinstance(value, Traced):
        return value
    return named(name if np.ndim(value) == 0 else f"{name}[t-1]", value)
