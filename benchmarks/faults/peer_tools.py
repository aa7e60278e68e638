"""What users have today, and what it says about a run: Keras' callbacks, a learning-rate finder, statsmodels.

A peer is a function `peer(case) -> Answer`. The callbacks are linreg's of the same names, which are tested to do what
Keras' do, on losses rounded to float32 as Keras logs them; `python -m benchmarks.faults.peers_keras` asks Keras itself.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import statsmodels.api as sm
from statsmodels.tools.sm_exceptions import MissingDataError

from benchmarks.faults.cases import Case, finite_numbers
from benchmarks.faults.objective import Array
from benchmarks.faults.peer_runs import Answer, Batches, dtype, raised, rate, watched, with_rate
from linreg import LinearRegression
from linreg.callbacks import Callback, EarlyStopping, Logs, ReduceLROnPlateau

# Keras.


def terminate_on_nan(case: Case) -> Answer:
    """Keras' TerminateOnNaN: stops at the first batch whose loss is nan or infinite; it names no cause.

    Source: keras.io/api/callbacks/terminate_on_nan.
    """
    try:
        losses = watched(case).batch_loss
    except TypeError as error:
        return raised(error)
    lost = np.flatnonzero(~np.isfinite(losses))
    return Answer(bool(len(lost)), words=f"Batch {lost[0]}: Invalid loss, terminating training" if len(lost) else "")


class _Rounded(Callback):
    """Rounds the loss to float32 for the callbacks after it, as Keras logs it."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002
        with np.errstate(over="ignore"):
            logs["loss"] = float(np.float32(logs["loss"]))


class _Rates(Callback):
    """Keeps the learning rate after every epoch."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002
        self.rates.append(self.run.learning_rate)


def _called(case: Case, *callbacks: Callback) -> Case:
    """Return the run with callbacks, made."""
    called = replace(case, settings={**case.settings, "callbacks": [_Rounded(), *callbacks]})
    _ = called.outcome
    return called


def reduce_lr_on_plateau(case: Case) -> Answer:
    """Keras' ReduceLROnPlateau(monitor="loss"), else with its defaults: a tenth after 10 epochs without improvement.

    It acts rather than warns: an alarm is a run in which it lowers the rate, and what it treats is a rate too high.
    It cannot set the rate of a schedule; nan never improves. Source: keras.io/api/callbacks/reduce_lr_on_plateau.
    """
    try:
        lost = not np.isfinite(watched(case).loss).any()
    except TypeError as error:
        return raised(error)
    if callable(case.settings["optimizer"].learning_rate):
        return Answer(False, words="cannot set the learning rate of a schedule")
    if case.outcome.objective is None:
        lowered = lost and case.settings["epochs"] >= 10
        return Answer(lowered, ("learning_rate_too_high",) if lowered else ())
    seen = _Rates()
    advice = _called(case, ReduceLROnPlateau(monitor="loss"), seen)
    lowered = len(set(seen.rates)) > 1
    return Answer(lowered, ("learning_rate_too_high",) if lowered else (), advice)


def early_stopping(case: Case) -> Answer:
    """Keras' EarlyStopping(monitor="loss"), else with its defaults: ends at the first epoch that is no improvement.

    An alarm is a run that it ends early; it names no cause. Source: keras.io/api/callbacks/early_stopping.
    """
    try:
        lost = not np.isfinite(watched(case).loss).any()
    except TypeError as error:
        return raised(error)
    if case.outcome.objective is None:
        return Answer(lost and case.settings["epochs"] > 2)
    stopping = EarlyStopping(monitor="loss")
    advice = _called(case, stopping)
    return Answer(0 < stopping.stopped_epoch < case.settings["epochs"] - 1, advice=advice)


# The learning-rate range test.

LOWEST, HIGHEST, STEPS = 1e-7, 10.0, 100
"""Range and length of the sweep: the defaults of fastai's `lr_find`."""
BETA, TOO_FAR = 0.98, 4.0
"""Its smoothing, and the multiple of the best loss at which it stops."""
SKIP_START, SKIP_END = 10, 5
"""What its plot leaves out."""
ORDER = 10.0
"""The sweep is read for an order of magnitude: a rate further away than this from the suggestion is called wrong."""


class _Sweep(Callback):
    """Raises the rate from batch to batch, and keeps it with the smoothed loss."""

    def __init__(self, rows: int, batch_size: int) -> None:
        self.batches = Batches(rows, batch_size)
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.average = 0.0

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002
        self.batches.set_run(self.run)

    def on_train_batch_begin(self, batch: int, logs: Logs) -> None:  # noqa: ARG002
        self.rates.append(LOWEST * (HIGHEST / LOWEST) ** (len(self.rates) / STEPS))
        self.run.learning_rate = self.rates[-1]

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        self.batches.on_train_batch_end(batch, logs)
        self.average = BETA * self.average + (1 - BETA) * self.batches.losses[-1]
        self.losses.append(self.average / (1 - BETA ** len(self.rates)))
        best = min(self.losses)
        if len(self.rates) >= STEPS or not self.losses[-1] <= TOO_FAR * best:
            self.run.stop_training = True


@lru_cache(maxsize=4)
def _swept(case: Case) -> tuple[Array, Array]:
    """Return the rates of a sweep and their smoothed losses, as they are plotted."""
    trace = watched(case)
    if not (np.isfinite(trace.X).all() and np.isfinite(trace.y).all()):
        return np.empty(0), np.empty(0)
    sweep = _Sweep(len(trace.y), trace.batch_size)
    start = with_rate(case, LOWEST)
    epochs = -(-STEPS // trace.batches)
    model = LinearRegression(**{**start.settings, "epochs": epochs, "callbacks": [sweep]})
    model.fit(trace.X, trace.y, sample_weight=case.sample_weight)
    shown = slice(SKIP_START, -SKIP_END)
    return np.array(sweep.rates)[shown], np.array(sweep.losses)[shown]


def _suggested(case: Case, suggest: Any) -> Answer:
    try:
        rates, losses = _swept(case)
    except TypeError as error:
        return raised(error)
    with np.errstate(all="ignore"):
        if len(losses) < 2 or not np.isfinite(losses).all():
            return Answer(False, words="not enough points to suggest a learning rate")
        suggestion = float(suggest(rates, losses))
    used = rate(case)
    high, low = used > ORDER * suggestion, used < suggestion / ORDER
    causes = ("learning_rate_too_high",) if high else ("learning_rate_too_low",) if low else ()
    return Answer(high or low, causes, with_rate(case, suggestion), words=f"suggests {suggestion:.2g}")


def finder_steepest(case: Case) -> Answer:
    """Learning-rate range test, read at the steepest descent of the smoothed loss.

    L. N. Smith, "Cyclical learning rates for training neural networks", WACV 2017, section 3.3, raises the rate during
    a short run and looks where the result gets better and where worse; his sweep is linear, between bounds that its
    user chooses, so the automatic form of fastai 1.0 is taken (`lr_find`: 100 batches, rates from 1e-7 to 10 in equal
    factors, a loss that is smoothed, an end at 4 times the best; `plot(suggestion=True)`: steepest descent). It gives
    an order of magnitude, so a rate more than a factor of ten away from it is an alarm.
    Source: fastai1.fast.ai/callbacks.lr_finder.html.
    """
    return _suggested(case, lambda rates, losses: rates[np.gradient(losses).argmin()])


def finder_tenth(case: Case) -> Answer:
    """Learning-rate range test, read as a tenth of the rate with the smallest smoothed loss.

    The sweep of `finder_steepest`. Source: S. Gugger, "How do you find a good learning rate", 2018
    (sgugger.github.io/how-do-you-find-a-good-learning-rate.html); fastai prints this number as well.
    """
    return _suggested(case, lambda rates, losses: rates[losses.argmin()] / 10)


# statsmodels.


def statsmodels_summary(case: Case) -> Answer:
    """The notes under `OLS(...).fit().summary()` of statsmodels, which is asked itself (WLS where rows have weights).

    It warns of "strong multicollinearity" where the smallest eigenvalue of X'X is below 1e-10, and of that "or other
    numerical problems" where the condition number of X is above 1000, always with a column of ones added. It does not
    see the training. Missing values and text raise, and the error names them.
    Source: statsmodels/regression/linear_model.py, `RegressionResults.summary`.
    """
    number = dtype(case)
    X, y = (values if (array := finite_numbers(values, number)) is None else array for values in (case.X, case.y))
    X, y = (values if hasattr(values, "iloc") else np.asarray(values) for values in (X, y))
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            X = sm.add_constant(X) if case.settings.get("fit_intercept", True) else X
            weights = case.sample_weight
            model = sm.OLS(y, X) if weights is None else sm.WLS(y, X, weights=np.asarray(weights))
            notes = model.fit().summary().extra_txt
    except MissingDataError as error:
        return Answer(True, ("missing_values",), words=f"cannot run: {error}")
    except (AttributeError, TypeError, ValueError) as error:
        return Answer(True, ("wrong_dtype",), words=f"cannot run: {error}")
    if "eigenvalue" in notes:
        return Answer(True, ("collinearity",), words="the smallest eigenvalue")
    if "condition number is large" in notes:
        return Answer(True, ("collinearity", "ill_conditioned"), words="the condition number")
    return Answer(False)
