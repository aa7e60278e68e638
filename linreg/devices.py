"""Where arrays lie, in the host's memory (NumPy) or in a GPU's (CuPy), and the only place where they move between both.

Rules, losses and the loop do not know: CuPy's arrays come back from `+ - * /` and NumPy's functions as CuPy's arrays,
by NumPy's own protocols (NEP 13 and NEP 18). The little that both libraries do not do alike stands here too:

- CuPy refuses NumPy's arrays as operands, also those without dimensions, which ufuncs take faster than scalars.
- Its `take` has no mode; NumPy's, unless told to clip, fills a buffer first.
- Its `add.reduceat` subtracts running sums, which loses digits, and one infinite value would spoil all that follow.
- It has no `vecdot`.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

Array = Any

DEVICES = ("cpu", "cuda")


class Host:
    """The host's memory: arrays are NumPy's."""

    name = "cpu"

    def put(self, values: Any, name: str = "an array") -> Any:
        """Return an array or a number as it is used here; it may share memory with what was given.

        Parameters
        ----------
        values : array or number
            What is brought here.
        name : str
            What to call it in errors.

        Returns
        -------
        array or number
            The same values, here.

        Raises
        ------
        TypeError
            If they lie on a GPU, from where nothing is taken unasked.
        """
        if type(values) is not np.ndarray and device_of(values) is not self:  # the first test is for speed
            raise TypeError(
                f'{name} lies on a GPU (a CuPy array), but X does not: give X as a CuPy array too, set device="cuda", '
                f"or copy it to the host with cupy.asnumpy."
            )
        return values

    def constant(self, number: Any) -> Any:
        """Return a number, or one for each of K models, in the form that a formula takes fastest."""
        return np.asarray(number)

    def rows(self, table: Array) -> list[Any]:
        """Return each entry of a vector, or each row of a matrix."""
        return list(table)

    def gather(self, source: Array, order: Array, out: Array) -> None:
        """Fill `out` with the rows of `source` in an order."""
        source.take(order, 0, out, "clip")

    def sums(self, values: Array, starts: Array) -> Array:
        """Return the sum of each piece of a vector; pieces are of one length, but the last may be shorter."""
        return np.add.reduceat(values, starts)

    def added(self, losses: Array, rows: Array, total: Any = 0.0) -> Any:
        """Return a sum to which the losses of some batches, times their rows, are added.

        Parameters
        ----------
        losses : array of shape (batches,) or (batches, K)
            Their losses.
        rows : array of shape (batches,)
            Rows of each.
        total : float or array of shape (K,), default=0
            The sum so far.

        Returns
        -------
        scalar or array of shape (K,)
            The sum. In the host's memory terms are added one after the other: then it does not matter how an epoch is
            cut into pieces.
        """
        terms = losses * (rows if losses.ndim == 1 else rows[:, np.newaxis])
        terms[0] += total
        return np.add.accumulate(terms)[-1]

    def row_dot(self, matrix: Array, vector: Array) -> Array:
        """Return the product of each row with a vector."""
        # Row by row: with BLAS' matrix product the last bit of a row depends on the rows beside it.
        return np.vecdot(matrix, vector)

    def on_host(self, values: Any) -> Any:
        """Return an array in the host's memory."""
        return values

    def fetch(self, *values: Any) -> tuple[Any, ...]:
        """Return some results of one shape in the host's memory, in a single transfer."""
        return values


class Cuda(Host):
    """A GPU's memory: arrays are CuPy's, on its current device.

    Parameters
    ----------
    cupy : module
        CuPy.
    """

    name = "cuda"

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy

    def put(self, values: Any, name: str = "an array") -> Any:  # noqa: ARG002 (everything can be brought here)
        """Return an array or a number as it is used here; numbers travel with the call of a kernel."""
        if isinstance(values, np.ndarray) and values.ndim == 0:
            return values[()]
        return values if isinstance(values, np.generic | float | int) else self._cupy.asarray(values)

    def constant(self, number: Any) -> Any:
        """Return a number, or one for each of K models, in the form that a formula takes."""
        return self.put(number)

    def rows(self, table: Array) -> list[Any]:
        """Return each entry of a vector as a number, or each row of a matrix as an array."""
        return list(table if table.ndim == 1 else self.put(table))

    def gather(self, source: Array, order: Array, out: Array) -> None:
        """Fill `out` with the rows of `source` in an order, which is brought here for it."""
        source.take(self.put(order), 0, out)

    def sums(self, values: Array, starts: Array) -> Array:
        """Return the sum of each piece of a vector; pieces are of one length, but the last may be shorter."""
        length = int(starts[1]) if len(starts) > 1 else len(values)
        whole = len(values) // length
        cut = whole * length
        sums = values[:cut].reshape(whole, length).sum(axis=1)
        return sums if cut == len(values) else np.concatenate((sums, values[cut:].sum(keepdims=True)))

    def added(self, losses: Array, rows: Array, total: Any = 0.0) -> Any:
        """Return a sum to which the losses of some batches, times their rows, are added."""
        return total + rows.dot(losses)

    def row_dot(self, matrix: Array, vector: Array) -> Array:
        """Return the product of each row with a vector."""
        return matrix.dot(vector)

    def on_host(self, values: Any) -> Any:
        """Return a copy of an array in the host's memory."""
        return self._cupy.asnumpy(values)

    def fetch(self, *values: Any) -> tuple[Any, ...]:
        """Return some results of one shape in the host's memory, in a single transfer."""
        return tuple(self.on_host(values[0][np.newaxis] if len(values) == 1 else np.stack(values)))


HOST = Host()


def device_of(values: Any) -> Host:
    """Return where something lies; whatever is no CuPy array is the host's.

    Parameters
    ----------
    values : object
        An array, or anything.

    Returns
    -------
    Host
        `HOST`, or the GPU.
    """
    cupy = sys.modules.get("cupy")  # not loaded: there is no such array
    return Cuda(cupy) if cupy is not None and isinstance(values, getattr(cupy, "ndarray", ())) else HOST


def on_host(values: Any) -> Any:
    """Return an array in the host's memory: a copy of a CuPy array, anything else as it is.

    Parameters
    ----------
    values : object
        An array, or anything.

    Returns
    -------
    object
        What NumPy can read.
    """
    return device_of(values).on_host(values)


def cuda() -> Host:
    """Return the GPU.

    Returns
    -------
    Host
        The GPU.

    Raises
    ------
    ImportError
        If CuPy is missing.
    RuntimeError
        If there is no GPU.
    """
    try:
        import cupy
    except ImportError as error:
        raise ImportError(
            f"device=\"cuda\" runs on CuPy, which cannot be imported ({error}): pip install 'linreg[gpu]' on a machine "
            'with an NVIDIA GPU, or set device="cpu".'
        ) from None
    reason = "its count is 0"
    try:
        found = cupy.cuda.runtime.getDeviceCount()
    except RuntimeError as error:  # CuPy's own errors are RuntimeErrors
        found, reason = 0, str(error)
    if not found:
        raise RuntimeError(f'device="cuda" needs an NVIDIA GPU, but CuPy finds none ({reason}): set device="cpu".')
    return Cuda(cupy)
