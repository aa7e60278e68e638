"""The cases: optimizer x loss x shape x batch x dtype, and the tables they train on."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from benchmarks.loops import Task
from linreg import SGD, Adam, Huber, MeanSquaredError, RMSprop
from linreg.losses import Loss
from linreg.optimizers import Optimizer

Array = Any

OPTIMIZERS, LOSSES = ("SGD", "RMSprop", "Adam"), ("MSE", "Huber")
SHAPES = ((1024, 1), (1024, 16), (4096, 128), (65_536, 512), (1_000_000, 32))
BATCHES = (1, 32, 1024, "full")
DTYPES = ("float32", "float64")
EPSILON = 1e-20
"""Too small to change a bit of sqrt(v), so that it does not matter that Keras puts it inside of RMSprop's root and
PyTorch outside, or that PyTorch's Adam corrects it for the step."""
ADAPTIVE_RATE, RHO, BETA_1, BETA_2 = 2.0**-7, 1 - 2.0**-4, 1 - 2.0**-3, 1 - 2.0**-10
"""Powers of two, which float32 holds exactly: Keras rounds some of them to it, even in float64, and trains the same."""


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Parameters
    ----------
    optimizer : {"SGD", "RMSprop", "Adam"}
        The rule.
    loss : {"MSE", "Huber"}
        The loss.
    rows, features : int
        Shape of X.
    batch : int
        Rows in a step.
    dtype : {"float32", "float64"}
        Precision of everything.
    """

    optimizer: str
    loss: str
    rows: int
    features: int
    batch: int
    dtype: str

    @property
    def name(self) -> str:
        """The case in words."""
        batch = "full" if self.batch == self.rows else self.batch
        return f"{self.rows} x {self.features}, batch {batch}, {self.optimizer}, {self.loss}, {self.dtype}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)

    def rule(self) -> Optimizer:
        """Return the optimizer, at a rate that is stable for independent columns of unit variance.

        In the mean square, SGD on batches of b rows of d such columns and ones is stable up to 1 / (1 + (d + 1) / b);
        this is a sixteenth of it at most, as a power of two.
        """
        if self.optimizer == "SGD":
            return SGD(2.0 ** -math.ceil(math.log2(16 * (1 + (self.features + 1) / self.batch))))
        if self.optimizer == "RMSprop":
            return RMSprop(ADAPTIVE_RATE, rho=RHO, epsilon=EPSILON)
        return Adam(ADAPTIVE_RATE, beta_1=BETA_1, beta_2=BETA_2, epsilon=EPSILON)

    def task(self, most_steps: int | None = None) -> Task:
        """Return what is to be trained: whole batches of the first rows, one epoch of them.

        Parameters
        ----------
        most_steps : int, optional
            Steps in an epoch at most: a loop whose steps are dear gets so many batches of the table.

        Returns
        -------
        Task
            Data, rule, loss, batch size, and the steps of one epoch.
        """
        X, y = table(self.rows, self.features, self.dtype)
        steps = min(self.rows // self.batch, most_steps or self.rows)
        loss: Loss = MeanSquaredError() if self.loss == "MSE" else Huber()
        return Task(self.rule(), loss, X[: steps * self.batch], y[: steps * self.batch], self.batch, steps)


@lru_cache(maxsize=1)
def table(rows: int, features: int, dtype: str) -> tuple[Array, Array]:
    """Return X, independent columns of unit variance, and y, a plane with a little noise."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, features), np.float32)
    y = X @ rng.standard_normal(features, np.float32) + 1 + 0.1 * rng.standard_normal(rows, np.float32)
    return X.astype(dtype, copy=False), y.astype(dtype, copy=False)


def cases(
    optimizers: tuple[str, ...] = OPTIMIZERS,
    losses: tuple[str, ...] = LOSSES,
    shapes: tuple[tuple[int, int], ...] = SHAPES,
    batches: tuple[int | str, ...] = BATCHES,
    dtypes: tuple[str, ...] = DTYPES,
) -> list[Case]:
    """Return every combination, each once: where the table is one batch, that batch is the full one."""
    found = {
        Case(optimizer, loss, rows, features, rows if batch == "full" else int(batch), dtype): None
        for (rows, features), dtype, batch, optimizer, loss in product(shapes, dtypes, batches, optimizers, losses)
    }
    return list(found)


def standard() -> list[Case]:
    """Return what a run of half an hour has time for, by shape and dtype.

    Every shape with every batch for SGD and Adam on the squared error, every rule and loss in batches of 32, and
    float64 in batches of 32.
    """
    chosen = {
        *cases(("SGD", "Adam"), ("MSE",), dtypes=("float32",)),
        *cases(batches=(32,), dtypes=("float32",)),
        *cases(("SGD", "Adam"), ("MSE",), batches=(32,), dtypes=("float64",)),
    }
    return [case for case in cases() if case in chosen]


def quick() -> list[Case]:
    """Return the cases of `--quick`: where calls decide, and where memory does."""
    chosen = {
        *cases(("SGD", "Adam"), ("MSE",), ((1024, 16),), (32,), ("float32",)),
        *cases(("SGD",), ("MSE",), ((1024, 1),), (32,), ("float32",)),
        *cases(("SGD",), ("MSE",), ((65_536, 512),), (1024,), ("float32",)),
    }
    return [case for case in cases() if case in chosen]
