"""How the numbers of models lie in memory while compiled loops work on them: one model, or blocks of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import get_num_threads

from linreg.compiled.binding import at_a_line

Array = Any

WIDTHS = (64, 32, 16)
"""Models in a block: whole vector registers, and few enough for their parameters to stay in the cache."""


class OneModel:
    """One model: everything lies as the run has it."""

    width = 0

    def numbers(self, array: Array) -> Array:
        """Return numbers a step as the loop reads them."""
        return array

    def room(self, steps: int, dtype: Any) -> Array:
        """Return room for the numbers that the loop writes, one a step."""
        return np.empty(steps, dtype)

    def vectors(self, array: Array) -> Array:
        """Return a copy of vectors of parameters for the loop to write into."""
        vectors = at_a_line(array.shape, array.dtype)
        vectors[...] = array
        return vectors

    def constants(self, constants: Sequence[Any], dtype: Any) -> Any:  # noqa: ARG002 (they have it)
        """Return constants of formulas."""
        return tuple(constants)

    def constant(self, constant: Any, dtype: Any) -> Any:  # noqa: ARG002
        """Return one constant."""
        return constant

    def back(self, array: Array, shape: tuple[int, ...]) -> Array:
        """Return what the loop has written in the shape in which the run has it."""
        return array.reshape(shape)


class BlocksOfModels:
    """K models, arrays (..., K), in blocks (blocks, ..., width), of which the last is filled up with zeros.

    Parameters
    ----------
    models : int
        K.
    """

    def __init__(self, models: int) -> None:
        self._models = models
        # As wide as leaves no core without work.
        self.width = next((width for width in WIDTHS if models >= width * get_num_threads()), WIDTHS[-1])
        self._blocks = -(-models // self.width)

    def numbers(self, array: Array) -> Array:
        """Return arrays (..., K) in blocks."""
        if self._models % self.width:
            filled = np.zeros((*array.shape[:-1], self._blocks * self.width), array.dtype)
            filled[..., : self._models] = array
            array = filled
        return np.ascontiguousarray(np.moveaxis(array.reshape(*array.shape[:-1], self._blocks, self.width), -2, 0))

    def room(self, steps: int, dtype: Any) -> Array:
        """Return room for the numbers that the loop writes, one a step and model."""
        return np.empty((self._blocks, steps, self.width), dtype)

    def vectors(self, array: Array) -> Array:
        """Return a copy of arrays (..., parameters, K) as (blocks, ..., parameters * width)."""
        blocks = self.numbers(array)
        vectors = at_a_line(blocks.shape, blocks.dtype)
        vectors[...] = blocks
        return vectors.reshape(*blocks.shape[:-2], blocks.shape[-2] * self.width)

    def constants(self, constants: Sequence[Any], dtype: Any) -> Any:
        """Return constants, each a number or of shape (K,), in blocks."""
        rows = np.empty((len(constants), self._models), dtype)
        for row, constant in zip(rows, constants, strict=True):
            row[:] = constant
        return self.numbers(rows)

    def constant(self, constant: Any, dtype: Any) -> Any:
        """Return one constant, a number or of shape (K,), as (blocks, width)."""
        return self.constants([constant], dtype)[:, 0]

    def back(self, blocks: Array, shape: tuple[int, ...]) -> Array:
        """Return what the loop has written as (..., K)."""
        parted = np.moveaxis(blocks.reshape(len(blocks), *shape[:-1], self.width), 0, -2)
        return parted.reshape(*shape[:-1], len(blocks) * self.width)[..., : self._models]
