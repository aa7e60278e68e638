"""Scalers by name; scaling itself is scikit-learn's work (extra `data`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from linreg.data.blocks import Block, Source, complete
from linreg.data.quartiles import quartiles
from linreg.hyperparameters import nearest

Array = Any
SCALERS = {"standard": "StandardScaler", "minmax": "MinMaxScaler", "robust": "RobustScaler"}
FAR = 2.0**200
"""A point so far out that every offset is rounding beside it; a power of two, by which to divide is exact."""


def scaler(name: str) -> Any:
    """Return an unfitted scaler of scikit-learn.

    Parameters
    ----------
    name : {"standard", "minmax", "robust"}
        Mean 0 and standard deviation 1; range [0, 1]; median 0 and interquartile range 1.

    Returns
    -------
    transformer
        The scaler.

    Raises
    ------
    ImportError
        If scikit-learn is missing.
    ValueError
        If the name is unknown.
    """
    if name not in SCALERS:
        raise ValueError(f"Unknown scaling {name!r}{nearest(name, SCALERS)}.")
    try:
        from sklearn import preprocessing
    except ImportError:
        raise ImportError("Scaling is scikit-learn's work: pip install 'linreg[data]'.") from None
    return getattr(preprocessing, SCALERS[name])()


def standard_scaler(mean: Array, spread: Array) -> Any:
    """Return a fitted StandardScaler of scikit-learn, given what it would find in the rows.

    Parameters
    ----------
    mean : array of shape (features,)
        Mean of each feature.
    spread : array of shape (features,)
        Standard deviation of each; a constant feature is not divided.

    Returns
    -------
    transformer
        The scaler.

    Raises
    ------
    ImportError
        If scikit-learn is missing.
    """
    fitted = scaler("standard")
    fitted.mean_, fitted.var_, fitted.n_features_in_ = mean.copy(), spread**2, len(mean)
    fitted.scale_ = np.where(spread == 0, 1.0, spread)
    return fitted


def fitted_to(
    source: Source,
    scaling: str,
    prepare: Callable[[Block], Block] = complete,
    moved: Callable[[int], None] = lambda _: None,
) -> Any:
    """Return a scaler of scikit-learn fitted to rows that are read block by block.

    Parameters
    ----------
    source : Source
        The rows. They are read once; for robust scaling twice (see `linreg.data.quartiles`).
    scaling : {"standard", "minmax", "robust"}
        As for `scaler`.
    prepare : callable, optional
        Is given every block and returns the rows of it that count; by default those in which every value is finite.
    moved : callable, optional
        Called with the number of rows after each block.

    Returns
    -------
    transformer
        The scaler; a robust one has the centres and scales that it finds in all rows at once, to the last bit.

    Raises
    ------
    ImportError
        If scikit-learn is missing.
    ValueError
        If the name is unknown.
    """
    fitted = scaler(scaling)
    if scaling == "robust":
        low, middle, high = quartiles(source, prepare, moved)
        # Of five rows, the second, third and fourth are the quartiles.
        return fitted.fit(np.stack([low, low, middle, high, high]))
    for number in range(len(source)):
        block = prepare(source.read(number))
        fitted.partial_fit(block.rows[:, :-1])
        moved(len(block.rows))
    return fitted


def in_original_units(fitted: Any, coef: Array, intercept: float) -> tuple[Array, float]:
    """Translate a model of transformed features into one of the features as they were given.

    Parameters
    ----------
    fitted : transformer or None
        A fitted transformer that is affine: a scaler, a selection of columns, PCA, or a pipeline of such; None changes
        nothing.
    coef : array of shape (transformed features,)
        Coefficients, a unit of transformed feature each.
    intercept : float
        Intercept of the model of transformed features.

    Returns
    -------
    coef : array of shape (features,)
        Coefficients, a unit of the feature as given each, float64.
    intercept : float
        Intercept of the model of the features as given.
    """
    coef = np.asarray(coef, np.float64)
    if fitted is None:
        return coef, intercept
    # transformed = x @ slopes + zero, read off at zero and at a far point on each axis
    features = fitted.n_features_in_
    zero, *ends = fitted.transform(FAR * np.eye(features + 1, features, -1))
    slopes = (np.array(ends) - zero) / FAR
    with np.errstate(invalid="ignore"):  # 0 times infinity, of a run that diverged: a column without slope has no part
        return np.where(slopes == 0, 0.0, slopes * coef).sum(axis=1), float(intercept + coef @ zero)
