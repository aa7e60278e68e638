"""Kernels: the loop of `linreg.compiled.loops`, compiled with the formulas of one run, and kept on disk."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from linreg.compiled import formulas, loops
from linreg.compiled.formulas import bound, compiled, jit

Function = Callable[..., Any]
Terms = tuple[tuple[Function, Function], ...]

BLOCK = 2**15
"""Numbers of the matrix in a block of a large batch: 128 KiB of float32."""


@functools.cache
def kernel(
    update: Function, slots: int, value: Function, slope: Function, terms: Terms, options: tuple[bool, bool, bool]
) -> Any:
    """Return `linreg.compiled.loops.train` for some formulas.

    Parameters
    ----------
    update : function
        The rule.
    slots : int
        How many state arrays it has.
    value, slope : function
        The loss.
    terms : tuple of (function, function)
        The terms of the regulariser, each a penalty and its slope.
    options : tuple of bool
        Whether batches are so large that all cores work on one, whether rows are shuffled, and whether anything stands
        around the rule.

    Returns
    -------
    numba.core.dispatcher.Dispatcher
        Compiled, or read from disk, when it is first called with a type.
    """
    parts: dict[str, Any] = {
        "update": compiled(update),
        "value": compiled(value),
        "slope": compiled(slope),
        "penalised": bool(terms),
        "penalty": formulas.added(penalty for penalty, _ in terms),
        "penalty_slope": formulas.added(penalty_slope for _, penalty_slope in terms),
        "read_slots": _reader(slots),
        "write_slots": _writer(slots),
        "block_size": BLOCK,
    }
    in_blocks, shuffled, with_around = options
    parts["row"] = _with(parts, loops.looked_up if shuffled else loops.itself)
    for function in (loops.minus, loops.slope_and_value, loops.gradient, loops.clip, loops.rule_alone):
        parts[function.__name__] = _with(parts, function, sums=function is loops.gradient)
    parts["sum_gradient"], parts["step"] = parts["gradient"], parts["rule_alone"]
    if in_blocks:
        parts["sum_gradient"] = _with(parts, loops.gradient_in_blocks, sums=True, parallel=True)
    if with_around:
        parts["step"] = _with(parts, loops.rule_and_around)
    used = (update, value, slope, *(function for pair in terms for function in pair))
    kinds = [name for name, given in zip(("blocks", "shuffled", "around"), options, strict=True) if given]
    return _kept_on_disk(parts, used, [str(slots), *kinds])


def _with(parts: dict[str, Any], function: Any, *, sums: bool = False, parallel: bool = False) -> Any:
    """Compile a function of the loop with those parts that it uses, once for all kernels that have the same."""
    used = {name: parts.get(name, value) for name, value in formulas.global_names(function).items()}
    return _compiled_once(function, tuple(used.items()), sums, parallel)


@functools.cache
def _compiled_once(function: Any, used: tuple[tuple[str, Any], ...], sums: bool, parallel: bool) -> Any:
    names = {name: compiled(value) if isinstance(value, FunctionType) else value for name, value in used}
    return jit(bound(function, **names), sums=sums, parallel=parallel, allocates=parallel)


def _kept_on_disk(parts: dict[str, Any], used: tuple[Function, ...], kinds: list[str]) -> Any:
    """Compile the whole, under a name that tells it from every other and from itself before a change."""
    own = [function for _, function in inspect.getmembers(loops, inspect.isfunction)]
    mark = formulas.fingerprint([*used, *own], formulas.__file__, __file__)
    name = "_".join(["train", *(function.__name__ for function in used), *kinds, str(mark)])
    train = jit(bound(loops.train, name, **parts), allocates=False)
    if mark is not None:
        with contextlib.suppress(RuntimeError):  # no folder to write to
            train.enable_caching()
    return train


@functools.cache
def _reader(slots: int) -> Any:
    """Return `read(slots, j)`: what so many slots hold for the j-th parameter, as a tuple."""
    if slots == 0:
        return jit(lambda slots, j: (), allocates=False)  # noqa: ARG005
    before, last = _reader(slots - 1), slots - 1
    # Numba adds tuples.
    return jit(lambda slots, j: before(slots, j) + (slots[last, j],), allocates=False)  # noqa: RUF005


@functools.cache
def _writer(slots: int) -> Any:
    """Return `write(slots, j, after)`, which puts what a rule returns, but for the parameter, into so many slots."""
    if slots == 0:
        return jit(lambda slots, j, after: None, allocates=False)  # noqa: ARG005
    before, last = _writer(slots - 1), slots - 1

    def write(slots: Any, j: Any, after: Any) -> None:
        before(slots, j, after)
        slots[last, j] = after[last + 1]

    return jit(write, allocates=False)
