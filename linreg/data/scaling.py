"""Scalers by name; scaling itself is scikit-learn's work (extra `data`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from linreg.hyperparameters import nearest

Array = Any
SCALERS = {"standard": "StandardScaler", "minmax": "MinMaxScaler", "robust": "RobustScaler"}


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


def in_original_units(fitted: Any, coef: Array, intercept: float) -> tuple[Array, float]:
    """Translate a model of scaled features into one of the features as they were given.

    Parameters
    ----------
    fitted : transformer or None
        A fitted scaler that moves and stretches each feature by itself; None changes nothing.
    coef : array of shape (features,)
        Coefficients, a unit of scaled feature each.
    intercept : float
        Intercept of the model of scaled features.

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
    # scaled = (x - moved) * stretch, read off at two points
    zero, one = fitted.transform(np.array([np.zeros_like(coef), np.ones_like(coef)]))
    return coef * (one - zero), float(intercept + coef @ zero)
