"""A Keras optimizer's state by linreg's letters: read as flat arrays, and written back into Keras' variables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from linreg.devices import on_host
from linreg.steps import State

Array = Any

NAMES = {
    "m": {"SGD": "momentums", "RMSprop": "_momentums", "Adam": "_momentums"},
    "v": {"RMSprop": "_velocities", "Adam": "_velocities"},
    "a": {"RMSprop": "_average_gradients"},
    "v_hat": {"Adam": "_velocity_hats"},
}
"""Under which name each of Keras' optimizers keeps what linreg calls by a letter."""


def flat(variables: Iterable[Any]) -> Array:
    """Return several variables as one array: the kernel, then the bias.

    Parameters
    ----------
    variables : iterable of keras.Variable
        The variables.

    Returns
    -------
    array of shape (parameters,)
        A copy of their numbers.
    """
    return np.concatenate([np.asarray(variable).reshape(-1) for variable in variables])


def slot(optimizer: Any, letter: str) -> Array:
    """Return a state array of a Keras optimizer.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        A built SGD, RMSprop or Adam.
    letter : str
        What linreg calls it by.

    Returns
    -------
    array of shape (parameters,)
        A copy of it.
    """
    return flat(_slot_variables(optimizer, letter))


def average(optimizer: Any) -> Array:
    """Return a copy of the moving average of the parameters, of shape (parameters,)."""
    return flat(optimizer._model_variables_moving_average)


def accumulated(optimizer: Any) -> Array:
    """Return a copy of the gradients accumulated since the last update, of shape (parameters,)."""
    return flat(optimizer._accumulated_gradients)


def read(optimizer: Any, state: State) -> None:
    """Bring a state to where a built Keras optimizer stands.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        The optimizer.
    state : State
        A state with the same rule, changed in place; its parameters stay.
    """
    state.slots = [slot(optimizer, letter) for letter in state.letters]
    state.iterations = int(optimizer._iterations)
    if state.average is not None:
        state.average = average(optimizer)
    if state.total is not None:
        state.total = accumulated(optimizer)


def write(state: State, optimizer: Any) -> None:
    """Bring a built Keras optimizer to where a run stands.

    Parameters
    ----------
    state : State
        Where it stands.
    optimizer : keras.optimizers.Optimizer
        An optimizer with the same rule, whose variables are overwritten.
    """
    for letter, values in zip(state.letters, state.slots, strict=True):
        _assign(_slot_variables(optimizer, letter), values)
    optimizer._iterations.assign(state.iterations)
    if state.average is not None:
        _assign(optimizer._model_variables_moving_average, state.average)
    if state.total is not None:
        _assign(optimizer._accumulated_gradients, state.total)
    if not callable(state.learning_rate):
        optimizer.learning_rate = float(state.learning_rate)


def _slot_variables(optimizer: Any, letter: str) -> Any:
    return getattr(optimizer, NAMES[letter][type(optimizer).__name__])


def _assign(variables: Any, values: Array) -> None:
    values, start = on_host(values), 0
    for variable in variables:
        end = start + int(np.prod(variable.shape))
        variable.assign(np.reshape(values[start:end], variable.shape))
        start = end
