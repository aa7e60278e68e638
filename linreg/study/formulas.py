"""The formulas of a step as they were run: with symbols above, and with the numbers that went in below."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from linreg.study.seen import Seen
from linreg.study.tape import Node


@dataclass(frozen=True, eq=False)
class Formula:
    """A formula of a step for one parameter (or row): with its symbols, and with the numbers that went into it.

    Parameters
    ----------
    name : str
        What it gives.
    symbols : str
        The formula.
    numbers : str
        The same with numbers in the place of the symbols.
    value : float
        What came out.
    """

    name: str
    symbols: str
    numbers: str
    value: float


def formulas_of(seen: Seen, parameter: int, row: int) -> list[Formula]:
    """Return the formulas of a step.

    Parameters
    ----------
    seen : Seen
        What was seen of the step.
    parameter : int
        Whose numbers are put in: which of the parameters, -1 for the last.
    row : int
        The same for what there is one of a row: which row of the batch.

    Returns
    -------
    list of Formula
        Prediction, residual, loss, slope, gradient, effective step, state of the rule, parameter; those that were made.
    """
    of_rows = [("prediction", seen.prediction, row), ("e", seen.residual, row), ("loss", seen.loss, 0),
               ("slope", seen.slope, row)]  # fmt: skip
    found = [*of_rows, ("g", seen.gradient, parameter), ("effective step", seen.rate, 0)]
    found += [(node.name or f"{name}[t]", node, parameter) for name, node in results(seen)]
    return [_formula(name, node, at) for name, node, at in found if node is not None and node.operation]


def results(seen: Seen) -> Iterator[tuple[str, Node]]:
    """Yield what a step has made, the parameters last.

    Parameters
    ----------
    seen : Seen
        What was seen of the step.

    Yields
    ------
    name : str
        What it is called.
    node : Node
        How it was made.
    """
    yield from ((name, node) for name, node in seen.extra.items() if name != "average")
    yield from ((name, node) for name, node in seen.after.items() if name != "p")
    yield "p", seen.after["p"]
    yield from ((name, node) for name, node in seen.extra.items() if name == "average")


def _formula(name: str, node: Node, at: int) -> Formula:
    value = node.value.reshape(-1)
    at %= len(value)
    return Formula(name, f"{name} = {node.symbols(at)}", f"{name} = {node.numbers(at)}", float(value[at]))
