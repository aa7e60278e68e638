"""What `linreg fit` tells about a run: numbers, and a few sentences that only say what was measured."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.callbacks import Callback
from linreg.data.scaling import in_original_units, scaler
from linreg.diagnosis.cases import Case
from linreg.diagnosis.verdicts import verdict
from linreg.dynamics import least_squares
from linreg.dynamics.quadratic import LARGEST_HESSIAN
from linreg.regression import LinearRegression

Array = Any
SETTLED = 0.01
"""A run has settled where it keeps 99 % of what it had gained; minibatches at rest jump by less."""


@dataclass(frozen=True)
class FitReport:
    """A trained model beside the exact least-squares optimum of the same data.

    Parameters
    ----------
    rows : int
        Rows of the data.
    coefficients : dict of str to float
        Coefficient of each feature, in units of y per unit of the feature as given.
    intercept : float
        Intercept, in units of y.
    optimum : dict of str to float
        The same coefficients at the exact least-squares optimum.
    optimum_intercept : float
        The intercept there.
    history : dict of str to list of float
        The history of the run.
    r2 : float
        R^2 of the model on the data.
    mse : float
        Mean squared error of the model, in units of y squared.
    optimum_mse : float
        Mean squared error of the optimum: no linear model has less.
    arrived : bool or None
        Whether the run ended at the optimum of its own loss and penalty: with 1 % or less of what it had above it at
        its start. None where that optimum is not computed, above 2,000 features.
    """

    rows: int
    coefficients: dict[str, float]
    intercept: float
    optimum: dict[str, float]
    optimum_intercept: float
    history: dict[str, list[float]]
    r2: float
    mse: float
    optimum_mse: float
    arrived: bool | None

    @property
    def diverged(self) -> bool:
        """Whether the run ended with a loss or coefficients that are not finite."""
        values = (self.history["loss"][-1], self.intercept, *self.coefficients.values())
        return not all(map(math.isfinite, values))

    @property
    def rose(self) -> bool:
        """Whether the run ended with a loss above the one it started with."""
        return self.diverged or self.history["loss"][-1] > self.history["loss"][0]

    @property
    def settled(self) -> bool:
        """Whether the run kept nearly all of what its lowest loss had gained."""
        losses = self.history["loss"]
        return not self.diverged and losses[-1] - min(losses) <= SETTLED * (losses[0] - min(losses))

    @property
    def doubtful(self) -> bool:
        """Whether there is something to ask about: the run rose, or it is still far from where it should end."""
        return self.rose or self.arrived is False

    def story(self) -> list[str]:
        """Say in words what the loss did and how far the model is from the optimum."""
        losses = self.history["loss"]
        if self.diverged:
            finite = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), len(losses))
            path = ", ".join(f"{loss:.3g} in epoch {i + 1}" for i, loss in enumerate(losses[:finite][:3]))
            became = next((i for i, loss in enumerate(losses) if math.isnan(loss)), None)
            end = f"is no longer finite from epoch {finite + 1} on" if finite < len(losses) else "overflows at the end"
            end += f" and nan from epoch {became + 1} on" if became is not None else ""
            rise = f"The loss rises instead of falling: {path + ', then ' if path else ''}it {end}."
            why = "The run diverges: steps overshoot the optimum by more and more. The coefficients are worthless."
            return [rise, why]
        lowest = int(np.argmin(losses))
        story = [
            f"The loss went from {losses[0]:.4g} to {losses[-1]:.4g} in {len(losses)} epoch{'s'[: len(losses) > 1]}."
        ]
        if not self.settled:
            story.append(f"It had been lower: {losses[lowest]:.4g} in epoch {lowest + 1}. It does not settle.")
        gap = self.mse - self.optimum_mse
        story.append(
            f"Mean squared error {self.mse:.6g}; the exact least-squares optimum has {self.optimum_mse:.6g}, so "
            f"{gap:.3g} is left to gain."
        )
        return story

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values; what is not finite becomes None, because JSON has no nan."""
        plain: dict[str, Any] = {
            **vars(self),
            "diverged": self.diverged,
            "rose": self.rose,
            "settled": self.settled,
            "story": self.story(),
        }
        cleaned: dict[str, Any] = finite_or_none(plain)
        return cleaned


def finite_or_none(value: Any) -> Any:
    """Replace every float that is not finite by None, in dicts and lists too."""
    if isinstance(value, dict):
        return {key: finite_or_none(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_none(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def fit_and_report(model: LinearRegression, X: Array, y: Array, names: list[str], scaling: str | None) -> FitReport:
    """Train a model, on scaled features if asked, and compare it with the optimum.

    Parameters
    ----------
    model : LinearRegression
        The unfitted model.
    X : array of shape (rows, features)
        Features, finite, float64.
    y : array of shape (rows,)
        Target, finite, float64.
    names : list of str
        Names of the features.
    scaling : {"standard", "minmax", "robust"} or None
        How to scale the features for training; coefficients are reported in the units of the features as given.

    Returns
    -------
    FitReport
        The report.
    """
    # Values near the end of float64 overflow here; the report then holds inf or nan, which is their result.
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return _report(model, X, y, names, scaling)


class _Start(Callback):
    """Keeps the parameters that a run starts from."""

    remembers = ("weights",)

    def on_train_begin(self, logs: dict[str, float]) -> None:
        self.weights = self.run.get_weights()


def _arrived(model: LinearRegression, X: Array, y: Array, start: Array) -> bool | None:
    """Return whether the run of a fitted model has come down from its start to the optimum of its objective."""
    if X.shape[1] > LARGEST_HESSIAN:
        return None
    case = Case(X, y, tuple(f"x{j}" for j in range(X.shape[1])), model)
    end = case.objective.packed((model.coef_, model.intercept_))
    curve = [float(case.objective.objective(p.astype(np.float64))) for p in (start, end)]
    return verdict(np.array(curve), float(case.objective.objective(case.best)), float(np.var(y))) == "converges"


def _report(model: LinearRegression, X: Array, y: Array, names: list[str], scaling: str | None) -> FitReport:
    fitted = None if scaling is None else scaler(scaling).fit(X)
    trained_on = X if fitted is None else fitted.transform(X)
    start, callbacks = _Start(), model.callbacks
    try:
        model.set_params(callbacks=(*callbacks, start)).fit(trained_on, y)
    finally:
        model.set_params(callbacks=callbacks)
    coef, intercept = in_original_units(fitted, model.coef_, model.intercept_)
    best, best_intercept = least_squares(X, y, fit_intercept=model.fit_intercept)
    mse = float(np.mean((model.predict(trained_on).astype(np.float64) - y) ** 2))
    return FitReport(
        rows=len(y),
        coefficients=dict(zip(names, coef.tolist(), strict=True)),
        intercept=intercept,
        optimum=dict(zip(names, best.tolist(), strict=True)),
        optimum_intercept=best_intercept,
        history=model.history_,
        r2=model.score(trained_on, y),
        mse=mse,
        optimum_mse=float(np.mean((X @ best + best_intercept - y) ** 2)),
        arrived=bool(np.isfinite(model.coef_).all()) and _arrived(model, trained_on, y, start.weights),
    )
