"""What tf.keras is known to do that its documentation does not say: each claim as a function that tests it live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

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
    """

    as_known: bool
    shown: str


@dataclass(frozen=True)
class Behaviour:
    """A known behaviour of tf.keras.

    Parameters
    ----------
    name : str
        Short name, "adam-epsilon-hat".
    claim : str
        One or two sentences.
    check : callable
        Given `keras`, tests it and returns an `Observation`.
    """

    name: str
    claim: str
    check: Check


BEHAVIOURS: list[Behaviour] = []


def behaviour(name: str, claim: str) -> Callable[[Check], Check]:
    """Register the function below as the test of a claim.

    Parameters
    ----------
    name : str
        Short name.
    claim : str
        One or two sentences.

    Returns
    -------
    callable
        The decorator.
    """

    def register(check: Check) -> Check:
        BEHAVIOURS.append(Behaviour(name, claim, check))
        return check

    return register


def observed() -> Iterator[tuple[Behaviour, Observation]]:
    """Test every known behaviour on the TensorFlow that is installed.

    Yields
    ------
    (Behaviour, Observation)
        Each behaviour and what was seen; a test that fails to run counts as changed.
    """
    keras = load()
    for known in BEHAVIOURS:
        try:
            seen = known.check(keras)
        except Exception as error:
            seen = Observation(False, f"it could not be tested: {type(error).__name__}: {' '.join(str(error).split())}")
        yield known, seen


@behaviour(
    "float64-through-float32",
    "In a float64 model some hyper-parameters pass through float32: keras.ops.cast(0.9, 'float64') is not 0.9.",
)
def _float64_through_float32(keras: Any) -> Observation:
    seen = float(np.asarray(keras.ops.cast(0.9, "float64")))
    return Observation(seen == float(np.float32(0.9)), f"{seen!r}")
