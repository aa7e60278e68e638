"""Arrays that remember how they were made, so that a formula that has run can be read with its symbols and its numbers.

A `Traced` array goes through a formula like any other array: every operation is done by NumPy on the plain values, and
written down. What comes out is the run's own number, bit for bit, with the expression that made it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any

INFIX = {"add": ("+", 1), "subtract": ("-", 1), "multiply": ("*", 2), "divide": ("/", 2), "power": ("**", 3),
         "less_equal": ("<=", 0)}  # fmt: skip
"""How operations are written, and how tightly they bind."""


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
        What made it, by NumPy's name; "" for one that was given.
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

    def written(self, show: Callable[[Node], str], *, whole: bool = True) -> str:
        """Write the expression that made this value.

        Parameters
        ----------
        show : callable
            How a value is written that is given, or has a name.
        whole : bool, default=True
            Whether its own name is passed over, so that the operation behind it is seen.

        Returns
        -------
        str
            The expression, in the order of the operations that were done.
        """
        return self._written(show, whole)[0]

    def _written(self, show: Callable[[Node], str], whole: bool = False) -> tuple[str, int]:
        if not self.operation or (self.name and not whole):
            text = show(self)
            spaced = " " in text and not (text.startswith("(") and text.endswith(")"))
            return text, 1 if spaced or text.startswith("-") else 9
        parts = [operand._written(show) for operand in self.operands]
        if self.operation in INFIX and len(parts) == 2:
            sign, tight = INFIX[self.operation]
            left, right = parts
            # a - (b - c) and a / (b * c) need their brackets, and a + b + c is added from the left.
            texts = [f"({text})" if binds < tight + at else text for at, (text, binds) in enumerate((left, right))]
            return f"{texts[0]} {sign} {texts[1]}", tight
        if self.operation == "negative":
            text, binds = parts[0]
            return f"-{text if binds > 1 else f'({text})'}", 1
        return f"{self.operation}({', '.join(text for text, _ in parts)})", 9


class Traced(np.ndarray[Any, Any]):
    """An array with the `Node` that made it; see `named`."""

    node: Node

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Do the operation on plain values, and remember it."""
        out = options.pop("out", None)
        if out is not None:
            options["out"] = tuple(plain(one) for one in out)
        value = getattr(ufunc, method)(*map(plain, inputs), **options)
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        return _made(value, name, inputs)

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        """Do what is no ufunc (`np.where`, `np.sum`, ...) on plain values, and remember it."""
        flat = [part for one in inputs for part in (one if isinstance(one, list | tuple) else [one])]
        bare = [type(one)(map(plain, one)) if isinstance(one, list | tuple) else plain(one) for one in inputs]
        value = function(*bare, **{name: plain(one) for name, one in options.items()})
        return _made(value, function.__name__, flat)

    def __getitem__(self, key: Any) -> Any:
        """Return a part of it, which goes by the same name."""
        return named(self.node.name, plain(self)[key])

    def sum(self, *axes: Any, **options: Any) -> Any:
        """Return the sum, as `np.sum` does."""
        return np.sum(self, *axes, **options)


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


def plain(value: Any) -> Any:
    """Return a value without its memory: a plain array, or a scalar where it has no axes."""
    return value.view(np.ndarray)[()] if isinstance(value, Traced) else value


def node_of(value: Any) -> Node:
    """Return how a value was made; a plain number was given, and is its own name."""
    if isinstance(value, Traced):
        return value.node
    return Node(np.asarray(value), f"{value:.4g}" if np.ndim(value) == 0 and not isinstance(value, str) else "")


def _made(value: Any, operation: str, inputs: Any) -> Traced:
    return _traced(Node(np.array(value), "", operation, tuple(map(node_of, inputs))))


def _traced(node: Node) -> Traced:
    array: Traced = node.value.view(Traced)
    array.node = node
    return array
