"""What `linreg fit` tells about a run: numbers, and a few sentences that only say what was measured."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.callbacks import Callback
from linreg.data.blocks import Source
from linreg.data.checking import checked
from linreg.data.dask_rows import DaskRows
from linreg.data.row_files import ScaledRows
from linreg.data.scaling import fitted_to, in_original_units, scaler, standard_scaler
from linreg.diagnosis.cases import Case, variance
from linreg.diagnosis.verdicts import verdict
from linreg.dynamics import least_squares
from linreg.dynamics.optima import exact_optimum
from linreg.dynamics.quadratic import LARGEST_HESSIAN, Quadratic
from linreg.gram import Gram, Moments, gather, refuse_too_large
from linreg.losses import MeanSquaredError
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
        its start. None where that optimum is not computed: above 2,000 features, and of rows that are streamed for
        Huber's loss and penalties.
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


def fit_and_report(
    model: LinearRegression, X: Array, y: Array, names: list[str], scaling: str | None, weight: Array | None = None
) -> FitReport:
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
    weight : array of shape (rows,), optional
        Weights of the rows; R^2 and the mean squared errors are weighted by them, too.

    Returns
    -------
    FitReport
        The report.
    """
    # Values near the end of float64 overflow here; the report then holds inf or nan, which is their result.
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return _report(model, X, y, names, scaling, weight)


def summed_up(
    source: Source, scaling: str | None, moved: Callable[[int, int, str], None] = lambda *_: None
) -> tuple[Any, Moments]:
    """Go once over the rows of a source.

    Parameters
    ----------
    source : Source
        The rows.
    scaling : {"standard", "minmax", "robust"} or None
        How to scale the features for training; for "robust", the rows are read twice more.
    moved : callable, optional
        Called with the rows done, those there are, and what is being done.

    Returns
    -------
    transformer or None
        The fitted scaler, if there is to be one.
    Moments
        Of features and target.

    Raises
    ------
    ValueError
        If a value is missing or infinite.
    """
    check, moments, done = checked(source, np.float64), Moments.of(np.empty((0, len(source.names) + 1))), 0
    fitted: Any = None if scaling is None else scaler(scaling)
    in_parts = fitted is not None and hasattr(fitted, "partial_fit")
    passes = 1 if scaling is None or in_parts else 3

    def read(rows: int) -> None:
        nonlocal done
        done += rows
        moved(done, passes * source.count, "Summing up all rows")

    if scaling is not None and not in_parts:
        fitted = fitted_to(source, scaling, check, read)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for number in range(len(source)):
            block = check(source.read(number))
            moments = moments + Moments.of(block.rows, block.weight)
            if in_parts:
                fitted.partial_fit(block.rows[:, :-1])
            read(len(block.rows))
    refuse_too_large(moments)
    return fitted, moments


def report_on_source(model: LinearRegression, source: Source, fitted: Any, moments: Moments) -> FitReport:
    """Train a model on a source, and compare it with the optimum.

    Parameters
    ----------
    model : LinearRegression
        The unfitted model.
    source : Source
        The rows.
    fitted : transformer or None
        What `summed_up` returned: scales the features for training.
    moments : Moments
        Of features and target.

    Returns
    -------
    FitReport
        The report. Mean squared errors and R^2 come from the moments, in which weights count.
    """
    weights = _trained(model, lambda: model.fit(source if fitted is None else ScaledRows(source, fitted)))
    report, features = _on_moments(model, source.names, source.count, fitted, moments), len(source.names)
    settings = model.settings()
    if isinstance(settings.loss, MeanSquaredError) and settings.regularizer is None:
        began = in_original_units(fitted, weights[:features], float(weights[features]) if model.fit_intercept else 0.0)
        curve = np.array([_mean_squared_error(moments, *began), report.mse])
        arrived = verdict(curve, report.optimum_mse, float(moments.spread[-1] ** 2)) == "converges"
        report = dataclasses.replace(report, arrived=arrived)
    return report


def _on_moments(model: LinearRegression, names: Sequence[str], rows: int, fitted: Any, moments: Moments) -> FitReport:
    """Return the report of a fitted model from the moments of features and target; `arrived` is left open."""
    coef, intercept = in_original_units(fitted, model.coef_, model.intercept_)
    best, best_intercept = _least_squares_of(moments, bool(model.fit_intercept))
    mse, optimum_mse = (_mean_squared_error(moments, *one) for one in ((coef, intercept), (best, best_intercept)))
    variance = float(moments.spread[-1] ** 2)
    return FitReport(
        rows=rows,
        coefficients=dict(zip(names, coef.tolist(), strict=True)),
        intercept=intercept,
        optimum=dict(zip(names, best.tolist(), strict=True)),
        optimum_intercept=best_intercept,
        history=model.history_,
        r2=1 - mse / variance if variance else float(mse == 0),
        mse=mse,
        optimum_mse=optimum_mse,
        arrived=None,
    )


def _trained(model: LinearRegression, fit: Callable[[], object]) -> Array:
    """Train a model, and return the parameters that it starts from."""
    start, callbacks = _Start(), model.callbacks
    try:
        model.set_params(callbacks=(*callbacks, start))
        fit()
    finally:
        model.set_params(callbacks=callbacks)
    return start.weights


class _Start(Callback):
    """Keeps the parameters that a run starts from."""

    remembers = ("weights",)

    def on_train_begin(self, logs: dict[str, float]) -> None:
        self.weights = self.run.get_weights()


def _arrived(model: LinearRegression, X: Array, y: Array, weight: Array | None, start: Array) -> bool | None:
    """Return whether the run of a fitted model has come down from its start to the optimum of its objective."""
    if X.shape[1] > LARGEST_HESSIAN:
        return None
    case = Case(X, y, tuple(f"x{j}" for j in range(X.shape[1])), model, weight)
    end = case.objective.packed((model.coef_, model.intercept_))
    curve = [float(case.objective.objective(p.astype(np.float64))) for p in (start, end)]
    return verdict(np.array(curve), float(case.objective.objective(case.best)), variance(y, weight)) == "converges"


def _report(
    model: LinearRegression, X: Array, y: Array, names: list[str], scaling: str | None, weight: Array | None
) -> FitReport:
    fitted = None if scaling is None else scaler(scaling).fit(X)
    trained_on = X if fitted is None else fitted.transform(X)
    start = _trained(model, lambda: model.fit(trained_on, y, sample_weight=weight))
    coef, intercept = in_original_units(fitted, model.coef_, model.intercept_)
    best, best_intercept = least_squares(X, y, weight, fit_intercept=model.fit_intercept)
    mse = float(np.average((model.predict(trained_on).astype(np.float64) - y) ** 2, weights=weight))
    return FitReport(
        rows=len(y),
        coefficients=dict(zip(names, coef.tolist(), strict=True)),
        intercept=intercept,
        optimum=dict(zip(names, best.tolist(), strict=True)),
        optimum_intercept=best_intercept,
        history=model.history_,
        r2=model.score(trained_on, y, weight),
        mse=mse,
        optimum_mse=float(np.average((X @ best + best_intercept - y) ** 2, weights=weight)),
        arrived=bool(np.isfinite(model.coef_).all()) and _arrived(model, trained_on, y, weight, start),
    )


def fit_and_report_on_dask(model: LinearRegression, data: DaskRows, scaling: str | None) -> FitReport:
    """Train a model on rows that Dask holds, and compare it with the optimum, which their moments tell.

    Parameters
    ----------
    model : LinearRegression
        The unfitted model, with `engine="dask"`.
    data : DaskRows
        The rows.
    scaling : {"standard"} or None
        How to scale the features for training; coefficients are reported in the units of the features as given.

    Returns
    -------
    FitReport
        The report; whether the run has arrived is not computed for Huber's loss, of which moments tell no optimum.

    Raises
    ------
    ValueError
        If another scaling is asked for.
    """
    if scaling not in (None, "standard"):
        raise ValueError(f"--scale {scaling} needs every row in one place: with --dask give standard, or none.")
    rows, fitted = gather(data), None
    if scaling is not None:
        fitted = standard_scaler(rows.moments.mean[:-1], rows.moments.spread[:-1])
        data = dataclasses.replace(data, standard=(fitted.mean_, fitted.scale_))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        start = _trained(model, lambda: model.fit(data))
        arrived = _arrived_on_moments(model, rows if fitted is None else gather(data), start)
        names = rows.columns or [f"x{j}" for j in range(rows.features)]
        report = _on_moments(model, names, rows.rows, fitted, rows.moments)
    return dataclasses.replace(report, arrived=arrived)


def _mean_squared_error(moments: Moments, coef: Array, intercept: float) -> float:
    """Return the mean squared error of a model on all rows."""
    return float(np.square(moments.few_rows() @ [*coef, -1.0, intercept]).sum())


def _least_squares_of(moments: Moments, intercept: bool) -> tuple[Array, float]:
    """Return the exact optimum of the mean squared error on all rows."""
    few, features = moments.few_rows(), len(moments.mean) - 1
    used = few[:-1] if intercept else few  # without the last row, the mean, they are centred
    coef, _ = least_squares(used[:, :features], used[:, features], fit_intercept=False)
    return coef, float(few[-1, features] - few[-1, :features] @ coef) if intercept else 0.0


def _arrived_on_moments(model: LinearRegression, rows: Gram, start: Array) -> bool | None:
    """Return whether a run has come down from its start to the optimum of its objective; None where none is known."""
    settings = model.settings()
    known = isinstance(settings.loss, MeanSquaredError) and rows.features <= LARGEST_HESSIAN
    if not (known and np.isfinite(model.coef_).all()):
        return None if not known else False
    few = rows.problem(settings, rows.rows, intercept=bool(model.fit_intercept))
    names = tuple(f"x{j}" for j in range(few.matrix.shape[1]))
    objective = Quadratic(few.matrix, few.target, None, settings.loss, settings.regularizer, few.kernel_size, names)
    curve = [float(objective.objective(p)) for p in (start, objective.packed((model.coef_, model.intercept_)))]
    least = float(objective.objective(exact_optimum(objective)))
    return verdict(np.array(curve), least, float(rows.moments.spread[-1]) ** 2) == "converges"
