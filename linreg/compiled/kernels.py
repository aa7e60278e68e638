"""Kernels: the loops of `linreg.compiled`, compiled with the formulas of one run, and kept on disk."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

from linreg import around
from linreg.compiled import columns, formulas, loops
from linreg.compiled.formulas import bound, compiled, jit

Function = Callable[..., Any]
Terms = tuple[tuple[Function, Function], ...]

BLOCK = 2**15
"""Numbers of the matrix in a block of a large batch: 128 KiB of float32."""
TILE = 256
"""Rows whose errors are kept at a time, where X is given as columns."""


class Form(NamedTuple):
    """Which of the loops a run takes."""

    over_rows: Function = loops.by_rows
    """What goes over the rows of a batch of one model."""
    in_blocks: bool = False
    """Batches are so large that all cores work on one."""
    shuffled: bool = False
    """Rows are read in another order than they lie in."""
    around: bool = False
    """Something stands around the rule."""
    weighted: bool = False
    """Rows have weights; of many models they are always taken as if they had."""
    one_row: bool = False
    """Batches are of one row, of several features, and only the rule moves the parameters."""
    width: int = 0
    """Models in a block of them; 0 where there is one model."""


class Formulas(NamedTuple):
    """The formulas of a run, and how many numbers they take.

    Parameters
    ----------
    update : function
        The rule.
    value, slope : function
        The loss.
    slots, constants : int
        How many state arrays and constants the rule has.
    loss_constants : int
        How many constants the loss has.
    terms : tuple of (function, function)
        The terms of the regulariser, each a penalty and its slope.
    """

    update: Function
    value: Function
    slope: Function
    slots: int
    constants: int
    loss_constants: int
    terms: Terms


@functools.cache
def kernel(given: Formulas, form: Form) -> Any:
    """Return the loop over all steps, of `linreg.compiled.loops` or of `linreg.compiled.columns`, for some formulas.

    Parameters
    ----------
    given : Formulas
        The formulas.
    form : Form
        Which loops to take.

    Returns
    -------
    numba.core.dispatcher.Dispatcher
        Compiled, or read from disk, when it is first called with a type.
    """
    parts: dict[str, Any] = {
        "update": compiled(given.update),
        "value": compiled(given.value),
        "slope": compiled(given.slope),
        "penalised": bool(given.terms),
        "penalty": formulas.added(penalty for penalty, _ in given.terms),
        "penalty_slope": formulas.added(penalty_slope for _, penalty_slope in given.terms),
        "read_slots": _reader(given.slots),
        "write_slots": _writer(given.slots),
        "slots_after": _rest(given.slots),
        "block_size": BLOCK,
    }
    parts["row"] = _with(parts, loops.looked_up if form.shuffled else loops.itself)
    parts["weight_of"] = _with(parts, loops.own if form.weighted else loops.one)
    parts["factor_of"] = _with(parts, loops.own if form.weighted else loops.same)
    for function in (loops.minus, loops.slope_and_value, loops.clip, loops.move, loops.rule_alone):
        parts[function.__name__] = _with(parts, function)
    if form.around:
        parts["one_step"] = _with(parts, loops.rule_and_around)
    if form.width:
        return _kept_on_disk(columns.train_columns, _for_columns(parts, given, form), given, form)
    parts["predict_row"] = _with(parts, loops.predict_row, sums=True)
    parts["one_by_one"] = parts["over_rows"] = _with(parts, form.over_rows, sums=True)
    if form.in_blocks:
        parts["over_rows"] = _with(parts, loops.in_blocks, sums=True, parallel=True)
    parts["gradient"] = _with(parts, loops.gradient_of_one)
    parts["step"] = parts["one_step"] if form.around else parts["rule_alone"]
    parts["penalise"] = _with(parts, loops.penalise_one)
    train = loops.train
    if form.one_row:
        train = loops.train_row_by_row
    elif form.over_rows is loops.by_the_column and not form.around and not given.terms:
        train = loops.train_one_feature
    return _kept_on_disk(train, parts, given, form)


def _for_columns(parts: dict[str, Any], given: Formulas, form: Form) -> dict[str, Any]:
    """Return the parts of the loop over blocks of models."""
    parts |= {
        "width": form.width,
        "read_loss_constants": _reader(given.loss_constants),
        "read_rule_constants": _reader(given.constants),
        "read_strengths": _reader(max(1, len(given.terms))),
    }
    sums = columns.predict_tile, columns.add_tile, columns.predict_features, columns.add_features, columns.take_slopes
    for function in (*sums, columns.put_bias):
        parts[function.__name__] = _with(parts, function, sums=function in sums)
    parts["of_models"] = _with(parts, columns.of_models)
    # Called, not inlined, which takes no time beside so much work, and saves half of the time to compile.
    parts["gradient"] = _with(parts, columns.gradient_of_columns, inlined=False)
    step = columns.step_of_each_column if form.around else columns.rule_of_columns
    parts["step"] = _with(parts, step, inlined=False)
    parts["penalise"] = _with(parts, columns.penalise_columns, inlined=False)
    parts["train"] = _with(parts, loops.train, inlined=False)
    return parts


def _with(parts: dict[str, Any], function: Any, **options: bool) -> Any:
    """Compile a function of the loop with those parts that it uses, once for all kernels that have the same."""
    used = {name: parts.get(name, value) for name, value in formulas.global_names(function).items()}
    return _compiled_once(function, tuple(used.items()), **options)


@functools.cache
def _compiled_once(
    function: Any, used: tuple[tuple[str, Any], ...], sums: bool = False, parallel: bool = False, inlined: bool = True
) -> Any:
    names = {name: compiled(value) if isinstance(value, FunctionType) else value for name, value in used}
    whole = bound(function, **names)
    return _part(whole, sums=sums, parallel=parallel, allocates=parallel, inlined=inlined and not parallel)


def _part(function: Any, **options: bool) -> Any:
    """Compile a function that only compiled code calls: ways in from Python and C would take their time to compile."""
    return jit(function, no_cpython_wrapper=True, no_cfunc_wrapper=True, **options)


def _kept_on_disk(outermost: Any, parts: dict[str, Any], given: Formulas, form: Form) -> Any:
    """Compile the whole, under a name that tells it from every other and from itself before a change."""
    used = (given.update, given.value, given.slope, *(function for pair in given.terms for function in pair))
    own = [function for module in (loops, columns) for _, function in inspect.getmembers(module, inspect.isfunction)]
    mark = formulas.fingerprint([*used, *own], formulas.__file__, around.__file__, __file__)
    over_rows, *others = form._asdict().items()
    kinds = [over_rows[1].__name__, *(f"{name}{int(kind)}" for name, kind in others if kind)]
    name = "_".join(["train", *(function.__name__ for function in used), str(given.slots), *kinds, str(mark)])
    parallel = outermost is columns.train_columns
    train = jit(bound(outermost, name, **parts), parallel=parallel, allocates=parallel)
    if mark is not None:
        with contextlib.suppress(RuntimeError):  # no folder to write to
            train.enable_caching()
    return train


@functools.cache
def _reader(slots: int) -> Any:
    """Return `read(slots, j)`: what so many slots hold for the j-th parameter, as a tuple."""
    if slots == 0:
        return _part(lambda slots, j: (), allocates=False)  # noqa: ARG005
    before, last = _reader(slots - 1), slots - 1
    # Numba adds tuples.
    return _part(lambda slots, j: before(slots, j) + (slots[last, j],), allocates=False)  # noqa: RUF005


@functools.cache
def _writer(slots: int) -> Any:
    """Return `write(slots, j, after)`, which puts what a rule returns, but for the parameter, into so many slots."""
    if slots == 0:
        return _part(lambda slots, j, after: None, allocates=False)  # noqa: ARG005
    before, last = _writer(slots - 1), slots - 1

    def write(slots: Any, j: Any, after: Any) -> None:
        before(slots, j, after)
        slots[last, j] = after[last + 1]

    return _part(write, allocates=False)


@functools.cache
def _rest(slots: int) -> Any:
    """Return `slots_after(slots, after)`: what a rule returns, but for the parameter, as slots would hold it."""
    if slots == 0:
        return _part(lambda slots, after: (), allocates=False)  # noqa: ARG005
    before, last = _rest(slots - 1), slots

    def rest(slots: Any, after: Any) -> Any:
        return before(slots, after) + (slots.dtype.type(after[last]),)  # noqa: RUF005

    return _part(rest, allocates=False)
