"""One run of a claim, made in NumPy or in tf.keras, and what its losses show."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from linreg import LinearRegression, keras, losses, rules
from linreg.json_files import read_json

Array = Any
KIND = "linreg advice"
EPOCHS = 100
ROUNDING = 100 * float(np.finfo(np.float32).eps)
"""Share of a loss by which the order of a sum of some hundred rows in float32 may change it."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One run: what it is called, data, and the settings of `LinearRegression` that are not the usual ones.

    Usual is SGD on a squared error from zeros, 100 epochs of full batches.
    """

    name: str
    X: Array
    y: Array
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> LinearRegression:
        usual = {"epochs": EPOCHS, "batch_size": len(self.y), "shuffle": False, "kernel_initializer": "zeros"}
        return LinearRegression(**{**usual, **self.settings})


@dataclass(frozen=True)
class Seen:
    """What the losses of a run show.

    `first` and `last` are the losses of the first and the last epoch, `highest` is the highest finite one, `rises`
    counts the epochs whose loss is above that of the epoch before by more than rounding, and `not_finite_from` is
    the first, from 1, whose loss is not finite. A run that cannot begin has the kind of its error in `refused` and
    nothing else.
    """

    first: float | None = None
    last: float | None = None
    highest: float | None = None
    rises: int = 0
    not_finite_from: int | None = None
    refused: str | None = None

    @classmethod
    def of(cls, history: list[float]) -> Self:
        values = np.array(history)
        bad = np.flatnonzero(~np.isfinite(values))
        finite = values[: bad[0]] if len(bad) else values
        return cls(
            *(_finite(value) for value in (values[0], values[-1], finite.max() if len(finite) else np.nan)),
            rises=int((finite[1:] > (1 + ROUNDING) * finite[:-1]).sum()),
            not_finite_from=int(bad[0]) + 1 if len(bad) else None,
        )

    @property
    def falls(self) -> bool:
        """Whether the loss is finite, and not above its start in the end."""
        return self.first is not None and self.last is not None and self.last < self.first

    @property
    def never_rises(self) -> bool:
        return self.falls and self.rises == 0

    @property
    def share(self) -> float:
        """Share of the first loss that is left; inf where the last is not finite."""
        return self.last / self.first if self.first and self.last is not None else np.inf

    @property
    def words(self) -> str:
        if self.refused is not None:
            return f"refused ({self.refused})"
        if self.not_finite_from is not None:
            return f"not finite from epoch {self.not_finite_from}"
        return f"{self.first:.3g} → {self.last:.3g}"

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


@functools.cache
def in_numpy(trial: Trial) -> Seen:
    """Run it in linreg; data with gaps, which are refused there, in a loop of its functions that checks nothing."""
    try:
        return Seen.of(trial.model.fit(trial.X, trial.y).history_["loss"])
    except (TypeError, ValueError) as error:
        if np.asarray(trial.X).dtype.kind == "f":
            return Seen.of(_unchecked(trial))
        return Seen(refused=type(error).__name__)


def _unchecked(trial: Trial) -> list[float]:
    settings = trial.model.settings()
    A = np.column_stack([trial.X, np.ones(len(trial.y))]).astype(np.float32)
    y, p, history = np.asarray(trial.y, np.float32), np.zeros(A.shape[1], np.float32), []
    c, lr = np.float32(1 / len(y)), np.float32(settings.optimizer.learning_rate)
    for _ in range(EPOCHS):
        e = A @ p - y
        history.append(float((c * losses.squared_error(e)).sum()))
        (p,) = rules.sgd(p, A.T @ losses.squared_error_slope(e, 2 * c), lr)
    return history


@functools.cache
def in_keras(trial: Trial) -> Seen:
    """Run it in tf.keras: `Dense(1)`, the same optimizer, loss, start and batches."""
    model, X = trial.model, np.asarray(trial.X)
    twin = keras.dense(model, X.shape[1], np.zeros(X.shape[1], np.float32), 0.0)
    try:
        return Seen.of(keras.train(twin, X, trial.y, epochs=model.epochs, batch_size=model.batch_size)["loss"])
    except Exception as error:  # TensorFlow's errors have no base class of their own
        return Seen(refused=type(error).__name__)


def _document(path: Path) -> dict[str, Any]:
    return read_json(path, KIND, "holds no runs of benchmarks.advice.")


def kept(path: Path) -> dict[tuple[str, str], Seen]:
    """Return the runs of tf.keras that a file keeps, by claim and run."""
    names = [one.name for one in dataclasses.fields(Seen)]
    return {(run["claim"], run["run"]): Seen(**{name: run[name] for name in names}) for run in _document(path)["runs"]}


def made_with(path: Path) -> dict[str, str]:
    """Return the versions that the runs of a file were made with."""
    return dict(_document(path)["versions"])
