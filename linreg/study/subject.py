"""What is studied: somebody's data and a run on them, with what pictures and pages ask of both."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from linreg.callbacks import Callback, Logs
from linreg.diagnosis.verdicts import CONVERGED
from linreg.dynamics import curvature, max_learning_rate
from linreg.dynamics.optima import exact_optimum
from linreg.dynamics.quadratic import Quadratic
from linreg.optimizers import OPTIMIZERS, SGD, Optimizer
from linreg.regression import LinearRegression
from linreg.study.traces import INTERCEPT
from linreg.sweeps import sweep

Array = Any

MOST_STEPS = 120
"""So many steps of a path are drawn."""
RATES = 9
"""Learning rates up to the limit that are tried for each optimizer."""
ABOVE = (1.1, 1.5, 2.5)
"""Those beyond it, as shares of it: where the edge is, is seen and not taken from the computed limit."""
UNITS = {"none": ("", "unit"), "standard": (" (standardised)", "standard deviation"),
         "minmax": (" (scaled to 0 to 1)", "range"),
         "robust": (" (in interquartile ranges from its median)", "interquartile range")}  # fmt: skip
"""What the values of a feature are called by how it was scaled, and their unit."""
LARGEST_STUDY = 500
NOT_SWEPT = ("callbacks", "warm_start", "verbose", "device", "engine", "checkpoint", "checkpoint_every")


@dataclass(frozen=True, eq=False)
class Plane:
    """Two directions in the space of parameters, through the optimum.

    Parameters
    ----------
    origin : array of shape (parameters,)
        The optimum.
    axes : array of shape (2, parameters)
        Orthonormal directions.
    labels : tuple of str
        What stands along each.
    units : tuple of str
        In which units.
    along : tuple of str
        The largest parts of directions that are no single parameter, else "".
    at : tuple of float
        What the optimum is called on each axis: its own value where an axis is a parameter, 0 elsewhere.
    """

    origin: Array
    axes: Array
    labels: tuple[str, str]
    units: tuple[str, str]
    along: tuple[str, str]
    at: tuple[float, float]

    def of(self, parameters: Array) -> Array:
        """Return where parameters (..., parameters) lie in the plane, as (..., 2)."""
        with np.errstate(all="ignore"):  # a run that diverges leaves every plane
            return (np.asarray(parameters, np.float64) - self.origin) @ self.axes.T + np.array(self.at)

    def parameters(self, across: Array, up: Array) -> Array:
        """Return the parameters at points of the plane, as (parameters, points)."""
        places = np.stack([np.ravel(across) - self.at[0], np.ravel(up) - self.at[1]])
        return self.origin[:, np.newaxis] + self.axes.T @ places


@dataclass(frozen=True, eq=False)
class Compared:
    """One optimizer at the learning rate that suits it best.

    Parameters
    ----------
    label : str
        What it is called.
    optimizer : Optimizer
        With the best of the learning rates that were tried.
    losses : array of shape (epochs,)
        Loss by epoch, of a squared error in units of y squared.
    arrived : int or None
        The first epoch from which on the loss has only 1 % of the initial excess left; None if there is none.
    rises_from : float or None
        The smallest of the learning rates tried at which the loss ends above its start, or not finite, in the unit of
        the optimizer's learning rate; None if there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from linreg import LinearRegression, study
    >>> model = LinearRegression(epochs=50, random_state=0)
    >>> subject = study.Subject(np.array([[-3.0], [3.0]]), np.array([-5.0, 7.0]), ["x"], "y", model)
    >>> first = subject.compared()[0]
    >>> first.arrived <= 50, first.losses.shape
    (True, (50,))
    """

    label: str
    optimizer: Optimizer
    losses: Array
    arrived: int | None
    rises_from: float | None = None


@dataclass(frozen=True, eq=False)
class Subject:
    """Data and a run on them.

    Parameters
    ----------
    X : array of shape (rows, features)
        Features, as they are trained on, each in its unit.
    y : array of shape (rows,)
        Target, in its unit.
    names : list of str
        Names of the features.
    target : str
        Name of the target.
    model : LinearRegression
        The run: a model that is not fitted, with an int as its `random_state`, so that all runs start at one point.
    scale : {"none", "standard", "minmax", "robust"}, default="none"
        How the features were scaled: what a unit of them is.

    Raises
    ------
    ValueError
        If there are more than 500 features.

    Examples
    --------
    >>> import numpy as np
    >>> from linreg import LinearRegression, study
    >>> model = LinearRegression(epochs=3, random_state=0)
    >>> subject = study.Subject(np.array([[-3.0], [3.0]]), np.array([-5.0, 7.0]), ["x"], "y", model)
    >>> subject.best.round(6), round(subject.limit(subject.optimizer), 6), subject.steps
    (array([2., 1.]), 0.111111, 3)
    """

    X: Array
    y: Array
    names: list[str]
    target: str
    model: LinearRegression
    scale: str = "none"

    def __post_init__(self) -> None:
        """Refuse more features than pictures of the whole space of parameters can be computed for."""
        if self.X.shape[1] > LARGEST_STUDY:
            raise ValueError(
                f"A study draws the loss over the parameters, for up to {LARGEST_STUDY} features; these data have "
                f"{self.X.shape[1]}: give fewer columns."
            )

    @cached_property
    def problem(self) -> Quadratic:
        """The data in float64, with what the loss makes of them."""
        model = self.model
        return Quadratic.of(
            self.X, self.y, loss=model.loss, fit_intercept=model.fit_intercept,
            kernel_regularizer=model.kernel_regularizer, owner="study", largest=LARGEST_STUDY, instead="give fewer",
        )  # fmt: skip

    @cached_property
    def best(self) -> Array:
        """The parameters at the exact optimum."""
        return exact_optimum(self.problem)

    @cached_property
    def least(self) -> float:
        """The objective there."""
        return float(self.problem.objective(self.best))

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer of the run, as an object."""
        return self.model.settings().optimizer

    @property
    def projection(self) -> str:
        """How paths are seen on the plane: "" where it holds all parameters."""
        return "projected onto a plane through the optimum" if self.problem.size > 2 else ""

    @property
    def loss_unit(self) -> str:
        """The unit of the loss."""
        return f"units of {self.target} squared"

    @property
    def parameters(self) -> list[str]:
        """Names of the parameters."""
        return [*self.names, INTERCEPT] if self.model.fit_intercept else list(self.names)

    def limit(self, optimizer: Optimizer) -> float:
        """Return the largest stable learning rate of full batches, nan where none is computed.

        Parameters
        ----------
        optimizer : Optimizer
            The optimizer.

        Returns
        -------
        float
            The rate, in units of parameter per unit of gradient; nan for rules that have none as such, and where weight
            decay or a clip stands around the rule.
        """
        around = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm")
        if not isinstance(optimizer, SGD) or any(getattr(optimizer, name) for name in around):
            return math.nan
        model = self.model
        return float(max_learning_rate(self.X, model.loss, optimizer.momentum, optimizer.nesterov,
                                       model.fit_intercept, kernel_regularizer=model.kernel_regularizer))  # fmt: skip

    @cached_property
    def drawn(self) -> Subject:
        """The same with names that matplotlib shows as they are, dollar signs included."""
        if "$" not in "".join([*self.names, self.target]):
            return self
        names = [name.replace("$", r"\$") for name in self.names]
        return dataclasses.replace(self, names=names, target=self.target.replace("$", r"\$"))

    @cached_property
    def plane(self) -> Plane:
        """Coefficient and intercept where these are all; else the steepest and the flattest direction of the loss."""
        if self.problem.size == 2:
            (first, second), at = self.parameters, (float(self.best[0]), float(self.best[1]))
            units = self._unit(first), self._unit(second)
            return Plane(self.best, np.eye(2), (first, second), units, ("", ""), at)
        if self.problem.size == 1:
            labels, units = (self.names[0], "nothing"), (self._unit(self.names[0]), "there is one parameter")
            alone, at = np.array([[1.0], [0.0]]), (float(self.best[0]), 0.0)
            return Plane(self.best, alone, labels, units, ("", ""), at)
        found = curvature(self.X, loss=self.model.loss, fit_intercept=self.model.fit_intercept,
                          kernel_regularizer=self.model.kernel_regularizer)  # fmt: skip
        if found.rank > 1:
            axes = np.stack([found.steepest.vector, found.flattest.vector])
            names = "steepest", "flattest"
        else:
            # Only one direction is curved, if any; the other is one of those along which the loss is flat.
            axes = np.linalg.svd(found.steepest.vector[np.newaxis])[2][:2]
            names = "steepest", "a flat"
        of = " of a feature" if self.scale == "none" else ""
        unit = f"units of {self.target} per {UNITS[self.scale][1]}{of}, from the optimum"
        labels = f"{names[0]} direction", f"{names[1]} direction"
        along = self._named(axes[0]), self._named(axes[1])
        return Plane(self.best, axes, labels, (unit, unit), along, (0.0, 0.0))

    def feature_label(self, name: str) -> str:
        """Return what stands along an axis of a feature."""
        return name + UNITS[self.scale][0]

    def _unit(self, name: str) -> str:
        unit = f"units of {self.target}"
        return unit if name == INTERCEPT else f"{unit} per {UNITS[self.scale][1]} of {name}"

    def _named(self, vector: Array) -> str:
        order = np.argsort(-np.abs(vector), kind="stable")[:2]
        text = " ".join(f"{'-' if vector[j] < 0 else '+'} {abs(vector[j]):.2f} {self.parameters[j]}" for j in order
                        if abs(vector[j]) >= 0.005)  # fmt: skip
        return text.removeprefix("+ ")

    def path(self, optimizer: Optimizer | None = None, most: int = MOST_STEPS) -> Array:
        """Return the parameters before the first step of a run and after each, shape (steps + 1, parameters).

        Parameters
        ----------
        optimizer : Optimizer, optional
            Another optimizer than that of the run.
        most : int, default=120
            Steps at most; a run that is no longer finite ends earlier.

        Returns
        -------
        array of shape (steps + 1, parameters)
            The path, in units of y per unit of each feature.
        """
        recorder = _Path(most)
        own = self.model.get_params(deep=False)
        changed = {"optimizer": optimizer or self.optimizer, "callbacks": (recorder,), "verbose": 0, "checkpoint": None}
        LinearRegression(**{**own, **changed}).fit(self.X, self.y)
        path = np.array(recorder.path, np.float64)
        return path[np.isfinite(path).all(axis=1)]

    @property
    def steps(self) -> int:
        """Steps of the run."""
        return int(self.model.epochs) * -(-len(self.y) // int(self.model.batch_size))

    def rates(self, optimizer: Optimizer) -> Array:
        """Return learning rates that are worth trying for an optimizer, from too small to too large."""
        limit = self.limit(optimizer)
        if math.isfinite(limit):
            return limit * np.concatenate([np.geomspace(1 / 300, 1, RATES), ABOVE])
        # An adaptive rule moves each parameter by about the learning rate a step: from far too short for the nearest
        # to the whole way of the farthest at once.
        distances = np.abs(self.best[self.best != 0])
        if not len(distances):
            return np.geomspace(1e-3, 1, RATES)
        nearest, farthest = max(distances.min(), 1e-6 * distances.max()), distances.max()
        return np.asarray(np.geomspace(0.3 * min(nearest / self.steps, 1e-3 * farthest), farthest, 2 * RATES))

    def swept(self, optimizer: Optimizer, **changes: Any) -> Any:
        """Return the sweep of this run with another optimizer and lists of values in the place of some settings."""
        own = {name: value for name, value in self.model.get_params(deep=False).items() if name not in NOT_SWEPT}
        return sweep(self.X, self.y, **{**own, "optimizer": optimizer, **changes})

    def compared(self) -> list[Compared]:
        """Return every known optimizer at the best of some learning rates, the one that arrives first in front."""
        start = float(self.problem.objective(self.path(most=0)[0]))
        near = self.least + CONVERGED * (start - self.least)
        found = []
        for label, optimizer in known_optimizers():
            rates = self.rates(optimizer)
            losses = self.swept(optimizer, learning_rate=rates.tolist()).history["loss"]
            # There, and not away again: the epoch after the last one that is not near.
            away = ~(losses <= near)
            first = np.where(away.any(axis=0), len(losses) - away[::-1].argmax(axis=0), 0)
            last = np.where(np.isfinite(losses[-1]), losses[-1], np.inf)
            k = int(np.lexsort((last, first))[0])
            arrived = int(first[k]) + 1 if first[k] < len(losses) else None
            rising = rates[~(losses[-1] <= start)]
            found.append(Compared(label, optimizer.set_params(learning_rate=float(rates[k])), losses[:, k], arrived,
                                  float(rising.min()) if len(rising) else None))  # fmt: skip
        return sorted(
            found, key=lambda one: (one.arrived or math.inf, float(np.nan_to_num(one.losses[-1], nan=np.inf)))
        )


class _Path(Callback):
    """Keeps the parameters after each step."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.path: list[Array] = []

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 (a hook has its arguments)
        self.path = [self.run.get_weights()]

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:  # noqa: ARG002 (a hook has its arguments)
        self.path.append(self.run.get_weights())
        if len(self.path) > self.most or not np.isfinite(self.path[-1]).all():
            self.run.stop_training = True
        if not self.most:
            self.path.pop()


def known_optimizers() -> list[tuple[str, Optimizer]]:
    """Return every optimizer of the table at its defaults, and SGD with both momenta too, each with its name."""
    plain = [(kind.__name__, kind()) for kind in OPTIMIZERS.values()]  # type: ignore[call-arg]
    momenta: list[tuple[str, Optimizer]] = [
        ("SGD, momentum 0.9", SGD(momentum=0.9)), ("SGD, Nesterov 0.9", SGD(momentum=0.9, nesterov=True)),
    ]  # fmt: skip
    return [*plain[:1], *momenta, *plain[1:]]
