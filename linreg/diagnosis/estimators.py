"""Remedies as something that is fitted: a scikit-learn estimator, and its coefficients in the original units."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from linreg.data.arrays import weight_vector
from linreg.data.reading import read
from linreg.data.scaling import FAR, in_original_units
from linreg.diagnosis.remedies import STANDARDISE, Remedy
from linreg.diagnosis.repairs import NUMBERS
from linreg.regression import LinearRegression

if TYPE_CHECKING:
    from linreg.diagnosis.cases import Case
    from linreg.diagnosis.diagnosis import Diagnosis

Array = Any


def pipeline(remedy: Remedy, model: LinearRegression) -> Any:
    """Return what trains with the remedy: scikit-learn's transformers around `LinearRegression`, not fitted.

    Parameters
    ----------
    remedy : Remedy
        Its steps, settings and scaling of the target; rows are left out by whoever fits.
    model : LinearRegression
        The model that the remedy is for; it is copied.

    Returns
    -------
    estimator
        A `LinearRegression`; in a `Pipeline` if the remedy has steps; in a `TransformedTargetRegressor` if it scales
        the target.

    Raises
    ------
    ImportError
        If scikit-learn is needed and missing.
    """
    estimator: Any = remedy.model_for(model)
    steps = [step.make() for step in remedy.steps]
    if steps:
        from sklearn.pipeline import make_pipeline

        estimator = make_pipeline(*steps, estimator)
    if remedy.scale_target:
        scaler = STANDARDISE.make()
        from sklearn.compose import TransformedTargetRegressor

        estimator = TransformedTargetRegressor(regressor=estimator, transformer=scaler)
    return estimator


def weight_name(remedy: Remedy) -> str:
    """Return what `fit` of the pipeline of a remedy calls sample weights."""
    return "linearregression__sample_weight" if remedy.steps else "sample_weight"


def original_units(estimator: Any) -> tuple[Array, float]:
    """Return coefficients and intercept of a fitted pipeline in the units of the data as they were given.

    Parameters
    ----------
    estimator : estimator
        A fitted `LinearRegression`, alone, at the end of a pipeline, or with a scaled target: what `pipeline` returns.

    Returns
    -------
    coef : array of shape (features,)
        Coefficients, a unit of the target per unit of each feature, float64; 0 for columns that were left out.
    intercept : float
        Intercept, in units of the target.

    Notes
    -----
    The transformers are read off at points far out and composed in float64. That is exact, but for the rounding of
    float64, for all that only move, stretch, select, turn and mix columns: the scalers (unless they clip), PCA, and an
    imputer, which leaves numbers alone. It means nothing for others, such as `QuantileTransformer`.
    """
    target, estimator = getattr(estimator, "transformer_", None), getattr(estimator, "regressor_", estimator)
    steps, model = (estimator[:-1], estimator[-1]) if hasattr(estimator, "steps") else (None, estimator)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*feature names")  # the points that are asked for have none
        coef, intercept = in_original_units(steps, model.coef_, model.intercept_)
    if target is None:
        return coef, intercept
    zero, far = target.inverse_transform([[0.0], [FAR]])[:, 0]
    unit = (far - zero) / FAR
    return coef * unit, float(intercept * unit + zero)


def apply(
    diagnosis: Diagnosis,
    X: Any = None,
    y: Any = None,
    finding: int = 0,
    remedy: int = 0,
    *,
    sample_weight: Any = None,
) -> Any:
    """Train with a remedy of a diagnosis.

    Parameters
    ----------
    diagnosis : Diagnosis
        What `diagnose` returned.
    X : array or frame of shape (rows, features), optional
        Features, as they were diagnosed; those that the diagnosis trained on if not given.
    y : array of shape (rows,), optional
        Target.
    finding : int, default=0
        Which finding, the most important first.
    remedy : int, default=0
        Which of its remedies, the best first.
    sample_weight : array of shape (rows,), optional
        Weights; those of the diagnosis if X is not given.

    Returns
    -------
    estimator
        What `pipeline` makes of the remedy, fitted. It takes X as it was given to `diagnose` where that holds numbers
        only, else X as `linreg.data.reading.read` makes numbers of it.

    Raises
    ------
    IndexError
        If there is no such finding or remedy.
    ValueError
        If the remedy is advice that no code can follow, or the data cannot be repaired or do not fit.

    Notes
    -----
    Data that need repair are repaired first, as the diagnosis has done: where `Diagnosis.repair` is to leave out
    incomplete rows, they are left out. A remedy for missing values or for text is itself what repairs them.
    """
    chosen, given = _chosen(diagnosis, finding, remedy), diagnosis.given
    if given is None:
        raise ValueError("The data of this diagnosis cannot be repaired, so there is nothing to train on.")
    if (X is None) is not (y is None):
        raise ValueError("Give both X and y, or none of them for the data of the diagnosis.")
    case, features = (given, given.X) if X is None else _as_given(given, X, y, sample_weight)
    if chosen.drop_rows and len(case.y) != len(given.y):
        raise ValueError(
            f"The remedy leaves out rows by their numbers in the {len(given.y)} rows that were diagnosed, but X has "
            f"{len(case.y)}: give the data that were diagnosed."
        )
    kept = np.flatnonzero(chosen.rows(case.X, case.y, case.row_numbers))
    weight = {} if case.sample_weight is None else {weight_name(chosen): case.sample_weight[kept]}
    return pipeline(chosen, given.model).fit(_rows(features, kept), case.y[kept], **weight)


def _rows(X: Any, rows: Array) -> Any:
    return getattr(X, "iloc", X)[rows]


def _as_given(given: Case, X: Any, y: Any, sample_weight: Any) -> tuple[Case, Any]:
    """Return the case of other data, and their features: as they are where scikit-learn can take them, else as read."""
    if given.sample_weight is not None and sample_weight is None:
        raise ValueError("The diagnosed run had weights: give sample_weight, too.")
    reading = read(X, y)
    weight = weight_vector(sample_weight, np.float64, len(reading.y))
    plain = hasattr(X, "columns") and all(c.kind in NUMBERS and not c.infinite for c in reading.columns)
    case = given.replaced(X=reading.X, y=reading.y, sample_weight=weight, rows=None)
    return case, X if plain else reading.X


def _chosen(diagnosis: Diagnosis, finding: int, remedy: int) -> Remedy:
    """Return a remedy by its place, for the data as they were given."""
    if not -len(diagnosis.findings) <= finding < len(diagnosis.findings):
        raise IndexError(f"There is no finding {finding}: the diagnosis has {len(diagnosis.findings)}, counted from 0.")
    found = diagnosis.findings[finding]
    if not -len(found.remedies) <= remedy < len(found.remedies):
        raise IndexError(f"{found.cause} has no remedy {remedy}: it has {len(found.remedies)}, counted from 0.")
    found.remedies[remedy].check_changes()
    return diagnosis.from_given(found, found.remedies[remedy])
