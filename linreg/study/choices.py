"""What a page lets its reader choose, run by the library beforehand: one setting at a time, everything else kept."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.losses import Huber, MeanSquaredError
from linreg.optimizers import Optimizer
from linreg.regression import LinearRegression
from linreg.study.subject import Compared, Subject
from linreg.study.traces import trace

Array = Any

STEPS = 400
"""Steps of a run that a page shows at most."""
SWEPT_STEPS = 4000
"""Steps of the runs whose loss at the end a page shows, at most."""
POINTS = 36
"""Steps of which a page knows every number."""
SHARES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
EPSILONS = (1e-10, 1e-8, 1e-7, 1e-5, 1e-3, 0.1, 1.0, 10.0, 1000.0)
AROUND = (0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.98, 1.02, 1.1, 1.3, 1.7, 2.5)
"""Learning rates of a page, as shares of the limit."""
SHOWN = 3
"""Parameters whose numbers a page shows."""
TOP = 1e3
"""A loss above this many times its start leaves a picture."""


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a page.

    Parameters
    ----------
    value : float
        Of the setting that is chosen.
    steps : array of int of shape (points,)
        Steps taken, from 0, the start.
    parameters : array of shape (points, parameters)
        The parameters after each.
    losses : array of shape (points,)
        Loss on all rows at these parameters.
    least : float
        The least there is.
    best : array of shape (shown parameters,)
        The parameters there.
    numbers : dict of str to array of shape (points, shown parameters)
        Quantities of each of these steps, out of the trace; nan at the start.
    """

    value: float
    steps: Array
    parameters: Array
    losses: Array
    least: float
    best: Array
    numbers: dict[str, Array]


@dataclass(frozen=True, eq=False)
class Axis:
    """One setting of one optimizer, and a run for each of its values.

    Parameters
    ----------
    name : str
        The setting: "learning_rate", "momentum", "batch_size", ...
    runs : list of Run
        By rising value.
    chosen : int
        Which of them is the one to start with.
    limit : float
        The computed largest stable learning rate, nan for other settings and rules that have none.
    measure : str
        What compares the runs: "loss", or "mean squared error" where each has a loss of its own.
    ends : array of shape (runs,)
        The loss of the last epoch of each run, by `linreg.sweep`; or that error after it.
    top : float
        A number above this is that of a run that diverges.
    """

    name: str
    runs: list[Run]
    chosen: int
    limit: float
    measure: str
    ends: Array
    top: float


def shown_parameters(subject: Subject) -> list[int]:
    """Return the parameters whose numbers a page shows: the largest of the steepest direction, and the intercept."""
    size = subject.problem.size
    if size <= SHOWN:
        return list(range(size))
    steepest = np.abs(subject.plane.axes[0])
    order = [int(j) for j in np.argsort(-steepest, kind="stable") if j != size - 1 or not subject.model.fit_intercept]
    return sorted([*order[: SHOWN - 1], size - 1 if subject.model.fit_intercept else order[SHOWN - 1]])


def axes_of(subject: Subject, one: Compared, after_each: Callable[[str], None] = lambda _: None) -> Iterator[Axis]:
    """Run every choice of one optimizer.

    Parameters
    ----------
    subject : Subject
        What is studied.
    one : Compared
        The optimizer, at the learning rate from which everything else is varied.
    after_each : callable, optional
        Called with what was done.

    Yields
    ------
    Axis
        One for each setting.
    """
    for name, values in values_of(subject, one.optimizer).items():
        own = _own(subject, one.optimizer, name)
        values = sorted({*values, own})
        settings = [_with(subject, one.optimizer, name, value) for value in values]
        runs = [_run(subject, value, each) for value, each in zip(values, settings, strict=True)]
        limit = subject.limit(one.optimizer) if name == "learning_rate" else math.nan
        swept = subject.swept(one.optimizer, epochs=epochs_of(subject), **{name: values})
        if name == "delta":
            measure, start, ends = "mean squared error", *_squared_errors(subject, runs[0].parameters[0], swept)
        else:
            measure, start, ends = "loss", max(run.losses[0] for run in runs), swept.last("loss")
        yield Axis(name, runs, values.index(own), limit, measure, ends, TOP * float(start))
        after_each(f"{one.label}: {name}")


def _squared_errors(subject: Subject, start: Array, swept: Any) -> tuple[float, Array]:
    """Return the mean squared error at the start, and of each run of a sweep after its last epoch."""
    problem = dataclasses.replace(subject.problem, loss=MeanSquaredError(), regularizer=None)
    ends = np.column_stack([swept.coef_, swept.intercept_])[:, : problem.size]
    with np.errstate(all="ignore"):
        return float(problem.objective(start)), problem.objective(ends.T.astype(np.float64))


def values_of(subject: Subject, optimizer: Optimizer) -> dict[str, list[float]]:
    """Return the settings of a run that are varied, and their values."""
    limit = subject.limit(optimizer)
    rates = limit * np.array(AROUND) if math.isfinite(limit) else subject.rates(optimizer)
    found: dict[str, list[float]] = {"learning_rate": [float(rate) for rate in rates]}
    around = {field.name for field in dataclasses.fields(Optimizer)}
    for field in dataclasses.fields(optimizer):
        value = getattr(optimizer, field.name)
        if field.name in around or not isinstance(value, float):
            continue
        found[field.name] = [*EPSILONS] if field.name == "epsilon" else [*SHARES]
    loss, rows = subject.model.settings().loss, len(subject.y)
    if isinstance(loss, Huber):
        found["delta"] = [loss.delta * factor for factor in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)]
    sizes = {1, 2, 4, 8, 16, 32, 64, 128, 256, rows}
    found["batch_size"] = [size for size in sizes if size <= rows]
    return found


def epochs_of(subject: Subject) -> int:
    """Return how many epochs the runs have whose loss at the end is shown: few enough for `SWEPT_STEPS`."""
    batches = -(-len(subject.y) // int(subject.model.batch_size))
    return max(1, min(int(subject.model.epochs), SWEPT_STEPS // batches))


def _own(subject: Subject, optimizer: Optimizer, name: str) -> Any:
    if name == "batch_size":
        return min(int(subject.model.batch_size), len(subject.y))
    return subject.model.settings().loss.delta if name == "delta" else getattr(optimizer, name)  # type: ignore[attr-defined]


def _with(subject: Subject, optimizer: Optimizer, name: str, value: Any) -> dict[str, Any]:
    """Return the settings of the run with one of them changed."""
    own = {**subject.model.get_params(deep=False), "callbacks": (), "verbose": 0, "optimizer": optimizer}
    if name == "batch_size":
        own["batch_size"] = value
    elif name == "delta":
        own["loss"] = subject.model.settings().loss.set_params(delta=value)
    else:
        own["optimizer"] = optimizer.set_params(**{name: value})
    return own


def _run(subject: Subject, value: float, settings: dict[str, Any]) -> Run:
    total = min(STEPS, settings["epochs"] * -(-len(subject.y) // settings["batch_size"]))
    wanted = np.unique(np.geomspace(1, total, POINTS).round().astype(int))
    steps = trace(subject.X, subject.y, steps=set(wanted.tolist()), names=subject.names, **settings).steps
    shown = shown_parameters(subject)
    path = np.array([steps[0]["p[t-1]"], *(step["p"] for step in steps)], np.float64)
    kinds = [name for name in ("gradient", *_letters(steps), "update", "p") if name in steps[0].quantities]
    numbers = {
        name: np.array([np.full(len(shown), np.nan), *(np.asarray(step[name], np.float64)[shown] for step in steps)])
        for name in kinds
    }
    same = settings["loss"] == subject.model.loss
    judged = subject if same else dataclasses.replace(subject, model=LinearRegression(**settings))
    with np.errstate(all="ignore"):
        losses = judged.problem.objective(path.T)
    number = np.array([0, *(step.number for step in steps)])
    return Run(value, number, path, losses, judged.least, judged.best[shown], numbers)


def _letters(steps: Any) -> list[str]:
    """Return the letters of the rule's state."""
    return [name for name in steps[0].seen.after if name != "p"]
