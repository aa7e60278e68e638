"""Kernels: the loop of `linreg.compiled.loops`, compiled with the formulas of one run, and kept on disk."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

from linreg.compiled import formulas, loops
from linreg.compiled.formulas import bound, compiled, jit

Function = Callable[..., Any]
Terms = tuple[tuple[Function, Function], ...]

BLOCK = 2**15
"""Numbers of the matrix in a block of a large batch: 128 KiB of float32."""
TILE = 256
"""Rows whose errors are kept at a time, where X is given as columns."""


class Form(NamedTuple):
    """Which of the loops a run takes."""

    columns: bool
    """X is given as columns."""
    blocks: bool
    """Batches are so large that all cores work on one."""
    shuffled: bool
    """Rows are read in another order than they lie in."""
    around: bool
    """Something stands around the rule."""


@functools.cache
def kernel(update: Function, slots: int, value: Function, slope: Function, terms: Terms, form: Form) -> Any:
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
    form : Form
        Which loops to take.

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
    parts["row"] = _with(parts, loops.looked_up if form.shuffled else loops.itself)
    for function in (loops.minus, loops.slope_and_value, loops.clip, loops.rule_alone):
        parts[function.__name__] = _with(parts, function)
    parts["one_by_one"] = parts["gradient"] = _with(
        parts, loops.by_columns if form.columns else loops.by_rows, sums=True
    )
    if form.blocks:
        parts["gradient"] = _with(parts, loops.in_blocks, sums=True, parallel=True)
    parts["step"] = _with(parts, loops.rule_and_around) if form.around else parts["rule_alone"]
    used = (update, value, slope, *(function for pair in terms for function in pair))
    return _kept_on_disk(parts, used, [str(slots), *(name for name, given in form._asdict().items() if given)])


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
