"""Whether two loops did the same work: parameters and loss at the end equal, to the rounding of the numbers on the way.

The truth is the NumPy engine in float64, on the same numbers. How far rounding may lead away from it is found by
backward error analysis: a sum of n products that is rounded at each addition is the exact sum of products that are off
by 6 sqrt(n) u each at most, in any order of additions, but for a chance of 1e-7 (N. Higham and T. Mary, "A new approach
to probabilistic rounding error analysis", SISC 2019). So two runs in float64 show how much of it reaches the
parameters, which no formula does for a rule that divides by its own gradients: one on data that are off by as much at
random, as where terms of either sign nearly cancel, and one at a rate that is off by as much, as where terms of one
sign are added up and all are off alike. Storing the parameters after each of N steps adds 6 sqrt(N) u of their size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.hot_loop.peers.ours import numpy_engine
from benchmarks.loops import Task

Array = Any
STEPS, NUMBERS = 16, 2**27
"""Steps after which results are compared, about; and numbers of X to read. Few steps, so that rounding has not grown:
after 30 of full batches RMSprop swings about the optimum, and the last bit of a gradient decides which way."""
OTHER_ROUNDINGS = 10
"""Of the slope and the rule, beside those of the sums."""


@dataclass(frozen=True)
class Expected:
    """The true result of some epochs, and how far from it a loop may be.

    Parameters
    ----------
    parameters : array of shape (features + 1,)
        The kernel, then the bias.
    loss : float
        Mean loss of the last epoch.
    epochs, steps : int
        Epochs of the task that were run, and steps of one.
    allowed : float
        How far each parameter may be off.
    allowed_loss : float
        How far the loss may be off.
    sums : float
        How many units in the last place the sums of a loss may be off.
    """

    parameters: Array
    loss: float
    epochs: int
    steps: int
    allowed: float
    allowed_loss: float
    sums: float

    @property
    def largest(self) -> float:
        """The size of the largest parameter."""
        return float(np.abs(self.parameters).max())

    @property
    def tells_little(self) -> bool:
        """Whether a loop may be off by more than a hundredth of the largest parameter."""
        return self.allowed > 0.01 * self.largest

    @classmethod
    def of(cls, task: Task, epochs: int | None = None) -> Expected:
        """Train for so many epochs, or about `STEPS` steps."""
        epochs = epochs or max(1, min(STEPS, NUMBERS // task.X.size) // task.steps)
        u = float(np.finfo(task.X.dtype).eps) / 2
        exact = _in_float64(task, 0)
        parameters, loss = numpy_engine(exact)()(epochs)
        off = 6 * float(np.sqrt(task.X.shape[1] + task.batch_size + OTHER_ROUNDINGS)) * u
        rate = task.optimizer.learning_rate * (1 + off)
        changed = _in_float64(task, off), replace(exact, optimizer=task.optimizer.set_params(learning_rate=rate))
        moved = sum(apart(numpy_engine(other)()(epochs)[0], parameters) for other in changed)
        stored = 6 * np.sqrt(epochs * task.steps) * u * np.abs(parameters).max()
        allowed = float(moved + stored)
        sums = 6 * float(np.sqrt(task.batch_size + task.steps))
        allowed_loss = _loss_bound(task, loss, allowed) + u * sums * loss
        return cls(parameters, loss, epochs, task.steps, allowed, allowed_loss, sums)

    def compare(self, parameters: Array, loss: float | None, *, in_float32: bool = False) -> dict[str, Any]:
        """Return the values of a loop, how far they are off, and whether that is rounding.

        Parameters
        ----------
        parameters : array
            The kernel, then the bias.
        loss : float or None
            Mean loss of the last epoch, where the loop has one.
        in_float32 : bool
            Whether the loop adds up its losses in float32 in any case.

        Returns
        -------
        dict
            The values (of the parameters the first three and the last), differences, what is allowed, the answer.
        """
        difference = apart(parameters, self.parameters)
        found = {
            "epochs": self.epochs,
            "steps": self.epochs * self.steps,
            "parameters": [float(f"{p:.7g}") for p in (*parameters[:-1][:3], parameters[-1])],
            "largest": float(f"{self.largest:.3g}"),
            "difference": float(f"{difference:.3g}"),
            "allowed": float(f"{self.allowed:.3g}"),
            "equal": difference <= self.allowed,
        }
        if loss is not None:
            difference, allowed = abs(loss - self.loss), self.allowed_loss
            if in_float32:
                allowed += float(np.finfo(np.float32).eps) / 2 * self.sums * self.loss
            found |= {
                "loss": float(f"{loss:.7g}"),
                "difference of loss": float(f"{difference:.3g}"),
                "allowed for loss": float(f"{allowed:.3g}"),
                "equal": found["equal"] and difference <= allowed,
            }
        return found


def _in_float64(task: Task, off: float) -> Task:
    """Return the task in float64, its data changed at random by `off`, relatively."""
    rng = np.random.default_rng(1)
    X, y = (
        part.astype(np.float64) if off == 0 else part * (1 + off * rng.choice([-1.0, 1.0], part.shape))
        for part in (task.X, task.y)
    )
    return replace(task, X=X, y=y)


def apart(a: Array, b: Array) -> float:
    """Return the largest difference; inf where one is not finite."""
    difference = float(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).max())
    return difference if np.isfinite(difference) else float("inf")


def _loss_bound(task: Task, loss: float, allowed: float) -> float:
    """Return how far the loss may be off whose parameters are off by `allowed`.

    The errors of a row are then off by r = (1 + sum |x|) allowed, and its loss by r |slope| + r^2; the mean of |slope|
    is 2 sqrt(loss) at most, for Huber's less.
    """
    r = (1 + np.abs(task.X[:1024]).sum(axis=1).max()) * allowed
    return float(2 * r * np.sqrt(loss) + r * r)
