"""A run under diagnosis: clean data and the settings of the model, and what comes of running them."""

from __future__ import annotations

import copy
import dataclasses
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np

from linreg.callbacks import Callback, Logs
from linreg.diagnosis.verdicts import verdict
from linreg.dynamics.optima import exact_optimum
from linreg.dynamics.quadratic import Quadratic
from linreg.regression import LinearRegression
from linreg.schedules import rates_of

Array = Any

MOST_RATES = 1000
"""Steps of a schedule that are looked at."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run ended with.

    Parameters
    ----------
    verdict : str
        See `linreg.diagnosis.verdicts`.
    curve : array of shape (epochs + 1,)
        Objective on all training rows, in units of the loss of y as given: before the first epoch, then of the model
        that each epoch would leave if it was the last. With `use_ema` that is the average of the weights.
    least : float
        The objective at the exact optimum of this run's loss.
    parameters : array of shape (features + 1,) or (features,)
        Coefficients and intercept of the fitted model, of the features as this run saw them: with `use_ema` the
        average, and what a callback has restored.
    best : array of the same shape
        The same at the exact optimum.
    validation : array of shape (epochs + 1,) or None
        Loss on the validation rows, without the penalty: how well the model predicts them.
    error : str
        Why no step could be taken, else "".
    """

    verdict: str
    curve: Array
    least: float
    parameters: Array
    best: Array
    validation: Array | None = None
    error: str = ""

    @property
    def excess(self) -> Array:
        """The curve above the least loss."""
        return np.maximum(self.curve - self.least, 0.0)

    @property
    def share(self) -> float:
        """Share of the initial excess that is left at the end; inf where the loss is not finite."""
        start, end = (float(value) for value in self.excess[[0, -1]])
        return end / start if start > 0 and math.isfinite(end) else (0.0 if end == 0 else math.inf)

    @property
    def end(self) -> float:
        """The objective at the end; inf where it is not finite."""
        value = float(self.curve[-1])
        return value if math.isfinite(value) else math.inf

    @property
    def rises(self) -> bool:
        """Whether the run diverges, or ends above its start within bounds."""
        return self.verdict == "diverges" or (self.verdict == "oscillates" and self.share > 1)

    @property
    def healthy(self) -> bool:
        """Whether the run converged."""
        return self.verdict == "converges"


class _Recorder(Callback):
    """Keeps the model that each epoch would leave if it was the last; ends a run that is no longer finite."""

    run: Any  # a `linreg.training.Run`, whose average is not shown to other callbacks

    def __init__(self) -> None:
        self.models: list[Array] = []

    def on_train_begin(self, logs: Logs) -> None:
        self.models.append(self.run.get_weights())

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        average = self.run.state.average
        self.models.append(self.run.get_weights() if average is None else average.copy())
        if not np.isfinite(self.models[-1]).all():
            self.run.stop_training = True


def variance(values: Array, counts: Array | None) -> float:
    """Return the variance of values, each of which stands for so many."""
    if counts is None:
        return float(np.var(values))
    return float(np.average((values - np.average(values, weights=counts)) ** 2, weights=counts))


def trained(
    model: LinearRegression,
    X: Array,
    y: Array,
    sample_weight: Array | None,
    validation: tuple[Array, Array] | None = None,
) -> tuple[Array, Array]:
    """Train a copy of a model, and leave a random generator that the user gave where it is.

    Parameters
    ----------
    model : LinearRegression
        The model.
    X : array of shape (rows, features)
        Features.
    y : array of shape (rows,)
        Target.
    sample_weight : array of shape (rows,) or None
        Weights.
    validation : tuple (X, y) or None
        Validation rows, whose losses callbacks may watch.

    Returns
    -------
    path : array of shape (parameters, epochs + 1)
        Parameters before the first and after each epoch, up to where they are no longer finite.
    fitted : array of shape (parameters,)
        Those of the fitted model.

    Raises
    ------
    ValueError
        If no step can be taken.
    """

    def run(**changes: Any) -> LinearRegression:
        fresh = LinearRegression(**model.get_params(deep=False))
        fresh.set_params(verbose=0, warm_start=False, random_state=copy.deepcopy(model.random_state), **changes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # that the loss is not finite is what the verdict says
            held = validation if model.callbacks else None
            return fresh.fit(X, y, sample_weight=sample_weight, validation_data=held)

    if model.engine == "exact":
        # It is the same run but has no moment between two epochs; one epoch of it tells whether it is refused.
        try:
            run(epochs=1)
        except TypeError as error:
            raise ValueError(str(error)) from None
    recorder = _Recorder()
    fit = run(engine="numpy", callbacks=(*model.callbacks, recorder))
    fitted = np.append(fit.coef_, fit.intercept_)[: len(recorder.models[0])].astype(fit.coef_.dtype)
    if np.isfinite(recorder.models[-1]).all():
        recorder.models[-1] = fitted  # a callback may have restored an earlier epoch
    return np.array(recorder.models).T, fitted


@dataclass(frozen=True, eq=False)
class Case:
    """Clean data, the model that is to be trained on them, and what has been done to the data before.

    Parameters
    ----------
    X : array of shape (rows, features)
        Features, finite, float64.
    y : array of shape (rows,)
        Target, finite, float64.
    names : tuple of str
        Names of the features.
    model : LinearRegression
        The model with its settings, not fitted.
    sample_weight : array of shape (rows,) or None
        Weights.
    validation : tuple (X, y) or None
        Validation rows, prepared like X and y.
    unit : float
        Units of y as given in one unit of this y: errors are multiplied by it before they are compared.
    rows : array of shape (rows,) or None
        Which rows of the data as given these are, counted from 0; None for all.
    counts : array of shape (rows,) or None
        How many rows of the data each row stands for (see `linreg.diagnosis.survey`); None where each stands for
        itself. Not together with weights.
    train : callable or None
        Makes the run where rows stand for many (see `linreg.diagnosis.sampled`).
    prepared : tuple of object
        The fitted transformers that have made these features of those given.
    """

    X: Array
    y: Array
    names: tuple[str, ...]
    model: LinearRegression
    sample_weight: Array | None = None
    validation: tuple[Array, Array] | None = None
    unit: float = 1.0
    rows: Array | None = None
    counts: Array | None = None
    train: Callable[[Any], tuple[Array, Array]] | None = None
    prepared: tuple[Any, ...] = ()
    kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def replaced(self, **changes: Any) -> Self:
        """Return the case with some parts changed, without what was computed for this one."""
        return dataclasses.replace(self, **changes)

    def with_settings(self, **settings: Any) -> Self:
        """Return the case with changed settings of the model."""
        model = LinearRegression(**self.model.get_params(deep=False)).set_params(**settings)
        return self.replaced(model=model)

    @cached_property
    def row_numbers(self) -> Array:
        """The number of each row in the data as given, counted from 0."""
        return np.arange(len(self.y)) if self.rows is None else self.rows

    @cached_property
    def settings(self) -> Any:
        """The resolved settings: optimizer, loss and regulariser as objects."""
        return self.model.settings()

    @property
    def count(self) -> int:
        """Rows of the data."""
        return len(self.y) if self.counts is None else round(float(self.counts.sum()))

    @property
    def batch_size(self) -> int:
        """Rows in a batch."""
        return min(int(self.model.batch_size), self.count)

    @property
    def full_batch(self) -> bool:
        """Whether one step sees all rows."""
        return self.batch_size == self.count

    @property
    def steps(self) -> int:
        """Steps in all epochs."""
        return int(self.model.epochs) * -(-self.count // self.batch_size)

    @property
    def learning_rate(self) -> float:
        """The learning rate; of a schedule, its mean over the steps of the run."""
        return float(self.rates.mean())

    @cached_property
    def rates(self) -> Array:
        """The learning rate of each step, or of many steps spread over a long run."""
        steps = np.unique(np.linspace(0, self.steps - 1, MOST_RATES).astype(int))
        rates = rates_of(self.settings.optimizer.learning_rate, steps, self.settings.precision)
        return np.asarray(rates, np.float64)

    def weight(self, rows: Any = ...) -> Array | None:
        """Return what some rows weigh in the objective: the weights given, or how many rows each stands for."""
        weight = self.sample_weight if self.counts is None else self.counts
        if weight is None:
            return None
        weight = weight[rows]
        # A mean over so many rows, each of which counts as 1 in the mean.
        whole = self.counts is None or self.settings.loss.reduction == "sum"
        return weight if whole else weight * (len(weight) / weight.sum())

    def quadratic(self, X: Array, y: Array, sample_weight: Array | None = None) -> Quadratic:
        """Return the objective on some rows."""
        settings = self.settings
        return Quadratic.of(
            X, y, loss=settings.loss, fit_intercept=self.model.fit_intercept,
            sample_weight=sample_weight, kernel_regularizer=settings.regularizer,
            owner="diagnose", largest=2000, instead="give fewer columns",
        )  # fmt: skip

    @cached_property
    def objective(self) -> Quadratic:
        """The objective of the training rows."""
        return self.quadratic(self.X, self.y, self.weight())

    @cached_property
    def best(self) -> Array:
        """The exact optimum."""
        return exact_optimum(self.objective)

    def _starts_finite(self, start: Array) -> bool:
        """Whether the first loss is finite in the arithmetic of the run."""
        dtype, constants = start.dtype.type, self.settings.loss.constants(start.dtype.type)
        errors = self.objective.matrix.astype(dtype) @ start - self.y.astype(dtype)
        value = (self.objective.factor().astype(dtype) * self.settings.loss.value(errors, *constants)).sum()
        return bool(np.isfinite(value.astype(dtype)))

    def _trained(self) -> tuple[Array, Array]:
        """Return the parameters before the first and after each epoch, and those of the fitted model."""
        if "trained" in self.kept:
            path: tuple[Array, Array] = self.kept["trained"]
            return path
        if self.train is not None:
            return self.train(self)
        return trained(self.model, self.X, self.y, self.sample_weight, self.validation)

    @cached_property
    def outcome(self) -> Outcome:
        """What comes of running it."""
        with np.errstate(all="ignore"):
            try:
                path, fitted = self._trained()
            except ValueError as error:
                nothing = np.full(self.objective.size, np.nan)
                return Outcome("cannot_run", np.array([np.nan]), np.nan, nothing, nothing, error=str(error))
            curve = self.objective.objective(path.astype(np.float64))
            if not self._starts_finite(path[:, 0]):
                curve[0] = np.nan
            scale = self.unit**2
            least = float(self.objective.objective(self.best))
            judged = verdict(curve, least, variance(self.y, self.counts))
            validation = None
            if self.validation is not None:
                alone = dataclasses.replace(self.quadratic(*self.validation), regularizer=None)
                validation = scale * alone.objective(path.astype(np.float64))
        return Outcome(judged, scale * curve, scale * least, fitted.astype(np.float64), self.best, validation)
