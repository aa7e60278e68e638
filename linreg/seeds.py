"""Randomness: the generator that draws the initial kernel, then the order of each epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from linreg.hyperparameters import as_integer


def generator_from(random_state: Any) -> np.random.Generator:
    """Return the generator of a run.

    Parameters
    ----------
    random_state : None, int, numpy.random.Generator or numpy.random.RandomState
        None draws a fresh seed from the operating system; an int always gives the same run; a generator is used as
        it is and moves on.

    Returns
    -------
    numpy.random.Generator
        The generator.

    Raises
    ------
    TypeError
        If it is anything else.
    ValueError
        If the int is negative.
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31, size=4))
    if random_state is None:
        return np.random.default_rng()
    seed = as_integer(random_state)
    if seed is None:
        raise TypeError(
            "random_state must be None, an int, a numpy.random.Generator or a numpy.random.RandomState, got "
            f"{random_state!r}."
        )
    if seed < 0:
        raise ValueError(f"random_state must be at least 0, got {random_state!r}.")
    return np.random.default_rng(seed)
