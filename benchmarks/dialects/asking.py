"""Answers of libraries: the same few numbers as a claim's check, given to another library."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from linreg.keras.behaviours.comparing import as_numbers

# Module of answers: who answers, when no one else is named.
SOURCES = {
    "linreg_answers": "linreg",
    "torch_answers": "PyTorch",
    "optax_answers": "optax",
    "table_answers": "scikit-learn",
    "paper_answers": "the papers",
}


@dataclass(frozen=True)
class Answer:
    """What somebody computes from the numbers of a claim's check.

    Parameters
    ----------
    claim : str
        Name of the behaviour.
    who : str
        Library or paper.
    ask : callable
        Returns numbers that can be compared with the check's, or a few words where there are none.
    """

    claim: str
    who: str
    ask: Callable[[], Any]

    def given(self) -> tuple[float, ...] | str:
        """Return the numbers, or the words."""
        found = self.ask()
        return found if isinstance(found, str) else as_numbers(found)


ANSWERS: list[Answer] = []


def answer(claim: str, who: str | None = None) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Register the function below as an answer; without `who` it is that of its module's library."""

    def register(function: Callable[[], Any]) -> Callable[[], Any]:
        ANSWERS.append(Answer(claim, who or SOURCES[function.__module__.rpartition(".")[2]], function))
        return function

    return register


def collected() -> tuple[list[Answer], dict[str, str]]:
    """Return the answers of all libraries that are installed, and why others are left out."""
    skipped = {}
    for name, who in SOURCES.items():
        try:
            importlib.import_module(f"benchmarks.dialects.{name}")
        except ImportError as error:
            skipped[who] = str(error)
    return ANSWERS, skipped
