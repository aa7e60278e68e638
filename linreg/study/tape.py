"""Arrays that remember how they were made, so that a formula that has run can be read with its symbols and its numbers.

A `Traced` array goes through a formula like any other array: every operation is done by NumPy on the plain values, and
written down. What comes out is the run's own number, bit for bit, with the expression that made it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Array = Any

INFIX = {"add": ("+", 1), "subtract": ("-", 1), "multiply": ("*", 2), "divide": ("/", 2), "power": ("**", 3),
         "less_equal": ("<=", 0)}  # fmt: skip
"""How operations are written, and how tightly they bind."""
SUMS = ("sum", "add.reduceat")
TERMS, FIRST_TERMS = 12, 3
"""A sum of more terms is shown by its first ones and its last."""


@dataclass(eq=False)
class Node:
    """One value of a computation: given by name, or made by an operation.

    Parameters
    ----------
    value : array
        The value, plain.
    name : str
        What it is called; "" for one that has no name in the formula.
    operation : str
        What made it, by NumPy's name, or "take", "put" and "dot" where a part was read, a part was written, or a matrix
        product taken; "" for one that was given.
    operands : tuple of Node
        What it was made of.
    """

    value: Array
    name: str = ""
    operation: str = ""
    operands: tuple[Node, ...] = ()

    def made_of(self) -> Iterator[Node]:
        """Yield every value that it was made of, and itself.

        Yields
        ------
        Node
            In the order in which they were made, itself at last.
        """
        seen: set[int] = set()

        def before(node: Node) -> Iterator[Node]:
            if id(node) not in seen:
                seen.add(id(node))
                for operand in node.operands:
                    yield from before(operand)
                yield node

        yield from before(self)

    def symbols(self, at: int | None = None) -> str:
        """Write the operation that made this value with the names of what went in.

        Parameters
        ----------
        at : int, optional
            Of which of its numbers, where they were made in different ways; counted from 0.

        Returns
        -------
        str
            The expression, in the order of the operations that were done.
        """
        return self._written(at, False, whole=True)[0]

    def numbers(self, at: int) -> str:
        """Write the operation that made one number of this value with the numbers that went in.

        Parameters
        ----------
        at : int
            Which of its numbers, counted from 0.

        Returns
        -------
        str
            The expression, in the order of the operations that were done; sums are written out.
        """
        return self._written(at, True, whole=True)[0]

    def _written(self, at: int | None, numbers: bool, *, whole: bool = False) -> tuple[str, int]:
        """Return the expression, and how tightly it binds."""
        if not self.operation or (self.name and not whole):
            text = self._number(at or 0) if numbers else _symbol(self.name)
            spaced = " " in text and not (text.startswith("(") and text.endswith(")"))
            return text, 1 if spaced or text.startswith("-") else 9
        if self.operation in ("take", "put", "concatenate"):
            part, place = self._part(at)
            return part._written(place, numbers)
        if numbers and self.operation in ("dot", *SUMS):
            return self._terms(at or 0)
        parts = [operand._written(at, numbers) for operand in self.operands]
        if self.operation in INFIX and len(parts) == 2:
            return self._infix(*parts)
        if self.operation == "negative":
            text, binds = parts[0]
            return f"-{text if binds > 1 else f'({text})'}", 1
        if self.operation == "dot":
            return f"{parts[0][0]} @ {parts[1][0]}", 2
        if self.operation in SUMS:
            return f"sum({parts[0][0]})", 9
        return f"{self.operation}({', '.join(text for text, _ in parts)})", 9

    def _infix(self, left: tuple[str, int], right: tuple[str, int]) -> tuple[str, int]:
        sign, tight = INFIX[self.operation]
        first = self.operands[0]
        if sign == "+" and first.name == "0" and not first.operation:  # where Python's `sum` starts
            return right
        # a - (b - c) and a / (b * c) need their brackets, and a + b + c is added from the left.
        texts = [f"({text})" if binds < tight + side else text for side, (text, binds) in enumerate((left, right))]
        return f"{texts[0]} {sign} {texts[1]}", tight

    def _number(self, at: int) -> str:
        value = float(self.value.reshape(-1)[at if self.value.size > 1 else 0])
        return f"({value:.6g})" if value < 0 else f"{value:.6g}"

    def _part(self, at: int | None) -> tuple[Node, int | None]:
        """Return the operand that a number came from, and its place there."""
        if self.operation == "concatenate":
            for part in self.operands:
                if at is None or at < part.value.size:
                    return part, at
                at -= part.value.size
        if self.operation == "take":
            whole, places = self.operands
            return whole, None if at is None else int(places.value[at])
        old, new, places = self.operands
        if at is None:
            return new, None
        found = np.flatnonzero(places.value == at)
        return (new, int(found[0])) if len(found) else (old, at)

    def _terms(self, at: int) -> tuple[str, int]:
        """Write a sum term by term: of a product with a matrix, or of the numbers of a vector."""
        if self.operation == "dot":
            line, vector = Node(self.operands[0].value[at]), self.operands[1]
            count = line.value.size
            terms = [f"{line._number(k)} * {vector._number(k)}" for k in _shown(count)]
        else:
            (vector, *_), count = self.operands, self.operands[0].value.size
            terms = [_bracketed(*vector._written(k, True)) for k in _shown(count)]
        if count > TERMS:
            terms.insert(FIRST_TERMS, "...")
            return f"({' + '.join(terms)}; {count} terms)", 9
        return " + ".join(terms), INFIX["add"][1]


def _shown(count: int) -> list[int]:
    """Return which terms of a sum are written."""
    return list(range(count)) if count <= TERMS else [*range(FIRST_TERMS), count - 1]


def _bracketed(text: str, binds: int) -> str:
    return f"({text})" if binds < INFIX["add"][1] else text


def _symbol(name: str) -> str:
    """Write a value by its name."""
    if name.startswith("one_minus_"):
        return f"(1 - {name.removeprefix('one_minus_')})"
    return f"2 {name.removeprefix('two_')}" if name.startswith("two_") else name


class Traced(np.ndarray[Any, Any]):
    """An array with the `Node` that made it; see `named`."""

    node: Node

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Do the operation on plain values, and remember it; also in an array that it is written into."""
        out = options.pop("out", None) or ()
        if out:
            options["out"] = tuple(plain(one) for one in out)
            _keep_values(out)
        value = getattr(ufunc, method)(*map(plain, inputs), **options)
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        made = _made(value, name, inputs)
        for one in out:
            if isinstance(one, Traced):
                one.node = made.node
        return made

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        """Do what is no ufunc (`np.where`, `np.sum`, ...) on plain values, and remember it."""
        flat = [part for one in inputs for part in (one if isinstance(one, list | tuple) else [one])]
        bare = [type(one)(map(plain, one)) if isinstance(one, list | tuple) else plain(one) for one in inputs]
        value = function(*bare, **{name: plain(one) for name, one in options.items()})
        return _made(value, function.__name__, flat)

    def __getitem__(self, key: Any) -> Any:
        """Return a part of it, which goes by the same name, or is remembered as a part where it has none."""
        part = np.array(plain(self)[key])
        if self.node.name or not self.node.operation:
            return _traced(Node(part, self.node.name))
        return _traced(Node(part, "", "take", (self.node, self._places(key))))

    def __setitem__(self, key: Any, value: Any) -> None:
        """Write a part of it, and remember what was written where."""
        _keep_values((self,))
        self.view(np.ndarray)[key] = plain(value)
        copied = np.array(plain(self))
        self.node = Node(copied, self.node.name, "put", (self.node, node_of(value), self._places(key)))

    def _places(self, key: Any) -> Node:
        return Node(np.atleast_1d(np.arange(len(self))[key]))

    def astype(self, *arguments: Any, **options: Any) -> Any:
        """Return it in another precision, made in the same way."""
        value = np.array(plain(self).astype(*arguments, **options))
        return _traced(Node(value, self.node.name, self.node.operation, self.node.operands))

    def sum(self, *axes: Any, **options: Any) -> Any:
        """Return the sum, as `np.sum` does."""
        return np.sum(self, *axes, **options)


def _keep_values(arrays: Iterable[Any]) -> None:
    """Let what is remembered of arrays have its own numbers, before others are written into them."""
    for one in arrays:
        if isinstance(one, Traced):
            one.node = replace(one.node, value=one.node.value.copy())


def named(name: str, value: Any) -> Traced:
    """Return a value as an array that goes by a name in what is made of it.

    Parameters
    ----------
    name : str
        The name.
    value : array or scalar
        The value; it is copied, so that what is remembered of it stays.

    Returns
    -------
    Traced
        The array.
    """
    return _traced(Node(np.array(value), name))


def live(name: str, buffer: Array) -> Traced:
    """Return a buffer as an array that remembers what is written into it.

    Parameters
    ----------
    name : str
        What its numbers are called until then.
    buffer : array
        The buffer; its memory is shared.

    Returns
    -------
    Traced
        The array.
    """
    array: Traced = buffer.view(Traced)
    array.node = Node(buffer, name)
    return array


def plain(value: Any) -> Any:
    """Return a value without its memory: a plain array, or a scalar where it has no axes."""
    return value.view(np.ndarray)[()] if isinstance(value, Traced) else value


def node_of(value: Any) -> Node:
    """Return how a value was made; a plain number was given, and is its own name."""
    if isinstance(value, Traced):
        return value.node
    number = np.asarray(value)
    return Node(number, f"{number.item():.4g}" if number.size == 1 and number.dtype.kind in "biuf" else "")


def _made(value: Any, operation: str, inputs: Any) -> Traced:
    return _traced(Node(np.array(value), "", operation, tuple(map(node_of, inputs))))


def _traced(node: Node) -> Traced:
    array: Traced = node.value.view(Traced)
    array.node = node
    return array
