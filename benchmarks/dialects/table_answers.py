"""What scikit-learn and pandas compute from the numbers of the checks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import mean_squared_error
from sklearn.preprocessing import StandardScaler

from benchmarks.dialects.asking import answer

COLUMN = np.array([[1.0], [2.0], [3.0]], np.float32)


@answer("weights-are-divided-by-rows", "scikit-learn's mean_squared_error")
def _():
    return mean_squared_error([1.0, 2.0], [0.0, 0.0], sample_weight=[3.0, 1.0])


@answer("constant-columns-are-not-zero", "scikit-learn's StandardScaler")
def _():
    columns = np.repeat(np.array([[0.1, 3.3, 1000.1]], np.float32), 1000, axis=0)
    return StandardScaler().fit_transform(columns)[0]


@answer("normalization-divides-by-n", "scikit-learn's StandardScaler")
def _():
    return StandardScaler().fit_transform(COLUMN)


@answer("normalization-divides-by-n", "pandas' std()")
def _():
    column = pd.Series(COLUMN.ravel())
    return (column - column.mean()) / column.std()
