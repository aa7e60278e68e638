"""Formulas compiled as they stand: the functions of `rules`, `losses` and `regularizers` as machine code.

Numba is given the very functions that NumPy runs. Two things have to be said to it. A formula that calls another one
(`sgd_momentum` calls `velocity`) must find that one compiled too. And where Numba's types are not NumPy's, NumPy's are
meant: a number that is written in a formula takes the type of what it meets (`e * e / 2` with a float32 `e` is float32,
NEP 50; Numba would make a float64 of it), and `np.where` of three numbers is a number.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
from numba import njit, types
from numba.core import ir
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.untyped_passes import IRProcessing

Function = Callable[..., Any]


def jit(
    function: Function, *, sums: bool = False, allocates: bool = True, inlined: bool | None = None, **options: Any
) -> Any:
    """Compile a function so that every operation is rounded where it stands, as NumPy does it, without Python's lock.

    Parameters
    ----------
    function : function
        The function.
    sums : bool, default=False
        Whether what it adds and multiplies itself are sums and dot products only, which may be taken in any order. What
        it calls is not concerned.
    allocates : bool, default=True
        Whether arrays may be made. If not, references to arrays are not counted either.
    inlined : bool, optional
        Whether the function becomes part of its callers, by default if it makes no arrays: counting and calling cost
        more than a small step.
    **options : object
        More of Numba's options.

    Returns
    -------
    numba.core.dispatcher.Dispatcher
        Compiled when it is first called, for the types that it is called with.
    """
    fastmath = {"reassoc", "contract"} if sums else False
    inlined = not allocates if inlined is None else inlined
    return njit(error_model="numpy", nogil=True, fastmath=fastmath, _nrt=allocates, forceinline=inlined, **options)(
        function
    )


def where(condition: Any, x: Any, y: Any) -> Any:
    """Do what np.where does with numbers; Numba's makes an array in memory of them."""
    return x if condition else y


def maximum(x: Any, y: Any) -> Any:
    """Do what np.maximum does with numbers, nan included; the first line is one instruction, as Numba's is not."""
    larger = y if x < y else x
    return larger if y == y else y


def minimum(x: Any, y: Any) -> Any:
    """Do what np.minimum does with numbers, nan included; the first line is one instruction, as Numba's is not."""
    smaller = y if x > y else x
    return smaller if y == y else y


def total(x: Any, axis: Any) -> Any:  # noqa: ARG001 (there is only one)
    """Do what np.sum does with a vector; Numba's takes seconds to compile."""
    t = x.dtype.type(0)
    for i in range(len(x)):
        t += x[i]
    return t


_OF_NUMBERS = {function.__name__: jit(function, allocates=False) for function in (where, maximum, minimum)}
_OF_VECTORS = {"sum": jit(total, sums=True)}


class AsInNumPy(FunctionPass):  # type: ignore[misc]
    """Give a formula the types that it has in NumPy, before Numba infers its own."""

    _name = "linreg_as_in_numpy"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        """Change `state.func_ir`, and say whether anything was changed."""
        scalars = {getattr(argument, "dtype", argument) for argument in state.args}
        (dtype,) = (scalar for scalar in scalars if isinstance(scalar, types.Float))
        number = np.dtype(dtype.name).type
        assigns = [assign for block in state.func_ir.blocks.values() for assign in block.find_insts(ir.Assign)]
        operands = {
            operand.name
            for expression in (assign.value for assign in assigns)
            if isinstance(expression, ir.Expr) and expression.op in ("binop", "inplace_binop")
            for operand in (expression.lhs, expression.rhs)
        }
        instead = _OF_VECTORS if any(isinstance(it, types.Array) for it in state.args) else _OF_NUMBERS
        called = {assign.target.name: assign.value for assign in assigns if _is_numpys(assign.value, instead, state)}
        operands |= {
            argument.name
            for expression in (assign.value for assign in assigns)
            if isinstance(expression, ir.Expr) and expression.op == "call" and expression.func.name in called
            for argument in expression.args
        }
        changed = False
        for assign in assigns:
            value = assign.value
            if isinstance(value, ir.Const) and type(value.value) in (int, float) and assign.target.name in operands:
                assign.value = ir.Const(number(value.value), value.loc)
            elif assign.target.name in called:
                assign.value = ir.Global(value.attr, instead[value.attr], value.loc)
            else:
                continue
            changed = True
        return changed


def _is_numpys(value: Any, names: Iterable[str], state: Any) -> bool:
    """Return whether a value is a function of NumPy that has one of some names."""
    if not (isinstance(value, ir.Expr) and value.op == "getattr" and value.attr in names):
        return False
    return getattr(state.func_ir.get_definition(value.value), "value", None) is np


register_pass(mutates_CFG=False, analysis_only=False)(AsInNumPy)


class FormulaCompiler(CompilerBase):  # type: ignore[misc]
    """Numba's compiler with `AsInNumPy`."""

    def define_pipelines(self) -> list[Any]:
        """Return the passes."""
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(AsInNumPy, IRProcessing)
        passes.finalize()
        return [passes]


@functools.cache
def compiled(formula: Function) -> Any:
    """Return a formula as a function that compiled code can call, with the formulas that it calls.

    Parameters
    ----------
    formula : function
        A pure function made of arithmetic, NumPy's functions and other such functions.

    Returns
    -------
    numba.core.dispatcher.Dispatcher
        Compiled when it is first called, for the types that it is called with.
    """
    if not isinstance(formula, FunctionType):
        raise TypeError(f'engine="numba" compiles plain functions, got {formula!r}: write one, or set engine="numpy".')
    inner = {name: compiled(function) for name, function in called(formula).items()}
    return jit(bound(formula, **inner), pipeline_class=FormulaCompiler)


def bound(function: Any, name: str | None = None, **names: Any) -> FunctionType:
    """Return the same function with another meaning of some of the global names in it.

    Parameters
    ----------
    function : function
        Any function.
    name : str, optional
        What to call it.
    **names : object
        What the names stand for.

    Returns
    -------
    function
        The same code.
    """
    scope = {**function.__globals__, **names}
    same = FunctionType(function.__code__, scope, name, function.__defaults__, function.__closure__)
    same.__module__, same.__qualname__ = function.__module__, name or function.__qualname__
    return same


def global_names(function: Any) -> dict[str, Any]:
    """Return what the global names in a function stand for."""
    names = {step.argval for step in dis.get_instructions(function) if step.opname == "LOAD_GLOBAL"}
    return {name: function.__globals__[name] for name in sorted(names) if name in function.__globals__}


def called(function: Any) -> dict[str, FunctionType]:
    """Return the plain functions that a function knows by a global name."""
    return {name: value for name, value in global_names(function).items() if isinstance(value, FunctionType)}


def fingerprint(functions: Iterable[Function], *files: str) -> str | None:
    """Return a mark of some files and those of some functions and all that they call, or None where one has no file.

    Numba keeps compiled code on disk until the file of the *outermost* function changes; a name that holds this mark
    makes it look at the others too.

    Parameters
    ----------
    functions : iterable of function
        The functions.
    *files : str
        Other files.

    Returns
    -------
    str or None
        16 hexadecimal digits.
    """
    waiting, seen = list(functions), set()
    while waiting:
        function = waiting.pop()
        if function not in seen:
            seen.add(function)
            waiting.extend(called(function).values())
    try:
        contents = [Path(file).read_bytes() for file in sorted({*files, *map(inspect.getfile, seen)})]
    except (OSError, TypeError):  # written at a prompt
        return None
    names = sorted(f"{function.__module__}.{function.__qualname__}" for function in seen)
    return hashlib.sha256(b"\0".join([*contents, *map(str.encode, names)])).hexdigest()[:16]


def added(terms: Iterable[Function]) -> Any:
    """Return the compiled sum of functions `f(w, strength)`, as a function of w and all strengths.

    Parameters
    ----------
    terms : iterable of function
        Formulas, of which the k-th takes the k-th strength.

    Returns
    -------
    numba.core.dispatcher.Dispatcher
        The sum, begun with 0 as in `Regularizer.bind`.
    """
    return functools.reduce(_with_term, enumerate(terms), jit(_zero))


def _zero(w: Any, strengths: Any) -> Any:  # noqa: ARG001
    return strengths[0] - strengths[0]


def _with_term(before: Any, term: tuple[int, Function]) -> Any:
    k, function = term[0], compiled(term[1])

    def total(w: Any, strengths: Any) -> Any:
        return before(w, strengths) + function(w, strengths[k])

    return jit(total)
