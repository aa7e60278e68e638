"""Which of several formulas the numbers follow: the comparison that most checks end with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Numbers = tuple[float, ...]

FEW_ROUNDINGS = 8 * float(np.finfo(np.float32).eps)
"""How far apart, relative to the larger, two numbers are at most that differ by the rounding of some eight operations
in float32, which is what a step of a rule takes."""

LONG = 6
"""Of more numbers than these only the first are written."""


@dataclass(frozen=True)
class Comparison:
    """Numbers that were seen beside those of several formulas.

    Parameters
    ----------
    seen : tuple of float
        What Keras computed.
    formulas : dict of str to tuple of float
        What each formula gives, by a few words on it. The first is the one that Keras is known to follow.
    within : float, default=FEW_ROUNDINGS
        Largest relative difference at which two numbers are taken for the same; 0 asks for equal bits.

    Raises
    ------
    ValueError
        If two of the formulas give the same numbers: such a check could not fail.
    """

    seen: Numbers
    formulas: Mapping[str, Numbers]
    within: float = FEW_ROUNDINGS

    def __post_init__(self) -> None:
        """Check that the formulas can be told apart."""
        names = list(self.formulas)
        for i, one in enumerate(names):
            for other in names[i + 1 :]:
                # Twice as far apart as anything that counts as the same as one of them.
                if _agree(self.formulas[one], self.formulas[other], 2 * self.within):
                    raise ValueError(f"{one!r} and {other!r} give the same numbers here: choose others.")

    @property
    def as_known(self) -> bool:
        """Whether the numbers are those of the first formula."""
        return self.followed(self.seen) == next(iter(self.formulas))

    def followed(self, numbers: Any) -> str | None:
        """Return the words on the formula that gives these numbers.

        Parameters
        ----------
        numbers : float or sequence of float
            What some library computed from the same.

        Returns
        -------
        str or None
            The words, or None if it is none of them.
        """
        own = as_numbers(numbers)
        return next((words for words, given in self.formulas.items() if _agree(own, given, self.within)), None)

    @property
    def shown(self) -> str:
        """What was seen and what the other formulas give, in one line."""
        known, *others = self.formulas.items()
        seen = self.written(self.seen)
        parts = [seen if self.as_known else f"{seen} (known: {self.written(known[1])})"]
        return "; ".join(parts + [f"{words}: {self.written(numbers)}" for words, numbers in others])

    def written(self, numbers: Any) -> str:
        """Return numbers with as many digits, seven at least, as it takes to tell the formulas apart.

        Parameters
        ----------
        numbers : float or sequence of float
            The numbers.

        Returns
        -------
        str
            One number, or several in brackets.
        """
        digits = 7
        while digits < 17 and len({_written(given, digits) for given in self.formulas.values()}) < len(self.formulas):
            digits += 1
        return _written(as_numbers(numbers), digits)


def as_numbers(values: Any) -> Numbers:
    """Return a number, an array or a sequence of numbers as a tuple of floats."""
    return tuple(float(value) for value in np.ravel(np.asarray(values, np.float64)))


def _written(numbers: Numbers, digits: int) -> str:
    texts = [f"{number + 0.0:.{digits}g}" for number in numbers]  # -0 becomes 0
    if len(texts) > LONG:
        texts = [*texts[: LONG - 1], "..."]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _agree(a: Numbers, b: Numbers, within: float) -> bool:
    if len(a) != len(b):
        return False
    one, other = np.array(a), np.array(b)
    with np.errstate(invalid="ignore"):  # inf - inf
        close = np.abs(one - other) <= within * np.maximum(np.abs(one), np.abs(other))
    finite = np.isfinite(one) & np.isfinite(other)
    return bool(np.all((close & finite) | (one == other) | (np.isnan(one) & np.isnan(other))))
