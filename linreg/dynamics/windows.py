"""Minibatches of more rows than fit into memory: the map of an epoch as the product of the maps of windows of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.dynamics.epoch_map import Epoch
from linreg.losses import divisor, row_factor

Array = Any

AT_ONCE = 2048
"""Batches whose maps are held at once."""
MOST_PRODUCTS = 2_000_000
"""Products of a map and a state in a run; of a longer one, neighbouring windows are joined."""


def product(maps: Array) -> Array:
    """Return the map that does all of a stack of maps, the first one first.

    Parameters
    ----------
    maps : array of shape (B, width, width)
        At least one map.

    Returns
    -------
    array of shape (width, width)
        Their product, multiplied as a tree: neighbours first.
    """
    while len(maps) > 1:
        odd = maps[-1:] if len(maps) % 2 else maps[:0]
        maps = np.concatenate([maps[1 : len(maps) - len(odd) : 2] @ maps[: len(maps) - len(odd) : 2], odd])
    matrix: Array = maps[0]
    return matrix


def map_of(epoch: Epoch, rows: Array, batch_size: int) -> Array:
    """Return the map of consecutive batches.

    Parameters
    ----------
    epoch : Epoch
        The steps, with `all_directions` and a constant learning rate.
    rows : array of shape (rows, parameters + 1)
        The rows [A, y] in the order of the run, as they are: the factor of the loss is put on here.
    batch_size : int
        Rows in a batch; the last one holds what is left.

    Returns
    -------
    array of shape (width, width)
        What the batches do, one after the other, to (parameters, velocity, 1).
    """
    return product(np.stack(list(_maps(epoch, rows, batch_size))))


def _maps(epoch: Epoch, rows: Array, batch_size: int) -> Iterator[Array]:
    whole = len(rows) // batch_size
    for first in range(0, whole, AT_ONCE):
        count = min(AT_ONCE, whole - first)
        stack = rows[first * batch_size : (first + count) * batch_size].reshape(count, batch_size, -1)
        yield product(maps_of(epoch, stack))
    if whole * batch_size < len(rows):
        yield maps_of(epoch, rows[np.newaxis, whole * batch_size :])[0]


def maps_of(epoch: Epoch, stack: Array) -> Array:
    """Return the map of each batch of a stack of shape (B, rows, parameters + 1), in shape (B, width, width)."""
    factor = row_factor(np.float64, divisor(epoch.problem.loss.reduction, stack.shape[1]))
    return epoch.run(np.eye(epoch.width), [np.sqrt(factor) * stack], [float(epoch.optimizer.learning_rate)])


@dataclass(frozen=True)
class Windows:
    """An epoch as the maps of windows of its batches.

    Parameters
    ----------
    maps : array of shape (windows, width, width)
        What each window does to (parameters, velocity, 1).
    last : array of shape (batches, width, width) or None
        What the last batch does, where it is smaller than the others and so stays the last one; where the order is
        new in every epoch, what some others of that size would do, of which each epoch draws one.
    """

    maps: Array
    last: Array | None = None

    def path(self, start: Array, epochs: int, generator: np.random.Generator | None) -> Array:
        """Return the parameters before the first and after each epoch.

        Parameters
        ----------
        start : array of shape (parameters,)
            Where the run starts; its velocity is zero.
        epochs : int
            How many epochs.
        generator : numpy.random.Generator or None
            Draws an order of the windows for every epoch; None keeps the order they have.

        Returns
        -------
        array of shape (parameters, epochs + 1)
            The parameters; nan from where they are no longer finite.
        """
        size, width = len(start), self.maps.shape[1]
        maps: Sequence[Array] = list(self._joined(max(1, MOST_PRODUCTS // epochs)))
        state = np.concatenate([start, np.zeros(width - 1 - size), [1.0]])
        path = np.full((size, epochs + 1), np.nan)
        path[:, 0] = start
        with np.errstate(all="ignore"):
            for epoch in range(1, epochs + 1):
                for window in range(len(maps)) if generator is None else generator.permutation(len(maps)).tolist():
                    state = maps[window].dot(state)
                if self.last is not None:
                    state = self.last[0 if generator is None else generator.integers(len(self.last))] @ state
                if not np.isfinite(state).all():
                    break
                path[:, epoch] = state[:size]
        return path

    def _joined(self, most: int) -> Iterator[Array]:
        """Yield at most so many maps, neighbours joined."""
        yield from map(product, np.array_split(self.maps, min(most, len(self.maps))))
