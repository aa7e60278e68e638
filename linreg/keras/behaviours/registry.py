"""The list of known behaviours, and how they are tested."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from linreg.keras.behaviours.comparing import FEW_ROUNDINGS, Comparison, as_numbers
from linreg.keras.loading import load

Check = Callable[[Any], "Observation"]


@dataclass(frozen=True)
class Observation:
    """What was seen when a claim was tested.

    Parameters
    ----------
    as_known : bool
        Whether the claim still holds.
    shown : str
        The numbers, in a few words.
    compared : Comparison, optional
        The numbers themselves, where the claim says which of several formulas Keras follows.
    """

    as_known: bool
    shown: str
    compared: Comparison | None = None


@dataclass(frozen=True)
class Behaviour:
    """A known behaviour of tf.keras.

    Parameters
    ----------
    name : str
        Short name, "adam-epsilon-hat".
    claim : str
        What Keras does, in one sentence that can be read alone, and a few more that tell what follows.
    check : callable
        Given `keras`, tests it and returns an `Observation`.
    """

    name: str
    claim: str
    check: Check

    @property
    def theme(self) -> str:
        """Name of the module that the check stands in, a key of `THEMES`."""
        return self.check.__module__


BEHAVIOURS: list[Behaviour] = []


def behaviour(name: str, claim: str) -> Callable[[Check], Check]:
    """Register the function below as the test of a claim.

    Parameters
    ----------
    name : str
        Short name.
    claim : str
        What Keras does.

    Returns
    -------
    callable
        The decorator.
    """

    def register(check: Check) -> Check:
        BEHAVIOURS.append(Behaviour(name, claim, check))
        return check

    return register


def which(
    seen: Any, formulas: Mapping[str, Any], *, known: str | None = None, within: float = FEW_ROUNDINGS
) -> Observation:
    """Tell which of several formulas Keras' numbers follow.

    Parameters
    ----------
    seen : float or sequence of float
        What Keras computed.
    formulas : dict of str to float or sequence of float
        What each formula gives, by a few words on it.
    known : str, optional
        The words on the formula that this version of Keras is known to follow; the first if not given.
    within : float, default=FEW_ROUNDINGS
        Largest relative difference that counts as the same.

    Returns
    -------
    Observation
        As known if it is that one.
    """
    numbers = {words: as_numbers(given) for words, given in formulas.items()}
    if known is not None:
        numbers = {known: numbers[known]} | numbers
    compared = Comparison(as_numbers(seen), numbers, within)
    return Observation(compared.as_known, compared.shown, compared)


def observed() -> Iterator[tuple[Behaviour, Observation]]:
    """Test every known behaviour on the TensorFlow that is installed.

    Yields
    ------
    (Behaviour, Observation)
        Each behaviour and what was seen; a test that fails to run counts as changed.

    Notes
    -----
    Some checks seed Python's, NumPy's and TensorFlow's generators. Python's and NumPy's are put back; TensorFlow, which
    does not tell its seed, is left without one.
    """
    keras = load()
    for known in BEHAVIOURS:
        try:
            seen = known.check(keras)
        except Exception as error:
            seen = Observation(False, f"it could not be tested: {type(error).__name__}: {' '.join(str(error).split())}")
        yield known, seen
