"""Pipelines in files: a model with what is done to its features and its target, as plain arrays.

What a remedy puts in front of a model are transformers of scikit-learn. A file holds their numbers, not them: what is
read from it needs no scikit-learn, whatever version has fitted the pipeline.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from linreg.data.arrays import column_names, column_of, feature_matrix, rows_and_features
from linreg.data.conversion import numbers
from linreg.data.encoding import Encoding, listed
from linreg.data.notation import shown
from linreg.regression import LinearRegression
from linreg.saving.models import SavedModel, write_model
from linreg.sklearn_adapter import not_fitted

Array = Any
Step = dict[str, Any]

MOST_FEATURES, MOST_STEPS = 2**24, 16
"""Features of which a file may say that some are selected, and steps of preparation."""


def _fill(X: Array, step: Step) -> Array:
    there = np.isfinite(step["values"])  # a column without a single value is left out, as scikit-learn does
    filled: Array = np.where(np.isnan(X), step["values"], X)
    return filled[:, there]


def _select(X: Array, step: Step) -> Array:
    return X[:, step["columns"]]


def _standardise(X: Array, step: Step) -> Array:
    return (X - step["centre"]) / step["spread"]


def _stretch(X: Array, step: Step) -> Array:
    return X * step["factor"] + step["offset"]


def _project(X: Array, step: Step) -> Array:
    return (X @ step["matrix"] - step["centre"]) / step["spread"]


STEPS: dict[str, tuple[Callable[[Array, Step], Array], tuple[str, ...]]] = {
    "fill": (_fill, ("values",)),
    "select": (_select, ("columns",)),
    "standardise": (_standardise, ("centre", "spread")),
    "stretch": (_stretch, ("factor", "offset")),
    "project": (_project, ("matrix", "centre", "spread")),
}
"""Every step of preparation: what it does to a matrix of float64, and the arrays that it takes."""


class PreparedModel:
    """A fitted model and what is done to its features before, and to its predictions after: a pipeline out of a file.

    Parameters
    ----------
    model : LinearRegression
        The fitted model.
    steps : sequence of dict
        What is done to the features, in order: `kind`, one of `STEPS`, and its arrays.
    target : tuple of float, optional
        Centre and spread by which the target was standardised.
    names : sequence of str, optional
        Names of the features, as they come.
    encoding : Encoding, optional
        How a table becomes those features, where the model was trained on one that `linreg.data.open_table` has read.

    Attributes
    ----------
    n_features_in_ : int
        Features, as they come.
    feature_names_in_ : array of str
        Their names, where they have any; with an encoding, those that it makes, such as "town=Ulm".

    Raises
    ------
    TypeError
        If the encoding is none.
    ValueError
        If it makes other features than those of the model, or the steps do, or there are too many of them.
    """

    def __init__(
        self,
        model: LinearRegression,
        steps: Sequence[Step] = (),
        target: tuple[float, float] | None = None,
        names: Sequence[str] | None = None,
        encoding: Encoding | None = None,
    ) -> None:
        self.model, self.steps, self.target, self.encoding = model, tuple(steps), target, encoding
        self.n_features_in_ = _features(self.steps, model.n_features_in_)
        if encoding is not None:
            names = _encoded_names(encoding, names, self.n_features_in_)
        if names is not None:
            self.feature_names_in_ = np.array(list(names), dtype=object)

    def predict(self, X: Any) -> Array:
        """Return the predictions of the model.

        Parameters
        ----------
        X : array or frame of shape (rows, features), or path
            Features as they come; of a frame, the columns with the names of the features are taken. With an encoding,
            a frame of pandas or polars, or the path of a file, of the columns that `open_table` has read; an array
            holds the numbers that it has made of them.

        Returns
        -------
        array of shape (rows,)
            Predictions in the arithmetic of the model, in units of y.

        Raises
        ------
        OSError
            If a file cannot be read.
        TypeError
            If a column holds no numbers.
        ValueError
            If a column is missing, or values are, and nothing fills them in; with an encoding, if a value is not as it
            was in training, such as a new category. The message names the column, the row and the value.

        Notes
        -----
        A table is read block by block, and every row gives one prediction: a row with a gap is refused also where
        training has left such rows out.
        """
        table = isinstance(X, str | os.PathLike) or hasattr(X, "collect_schema") or hasattr(X, "columns")
        if self.encoding is None or not table:
            return self._predicted(self._matrix(X))
        from linreg.data.sources import open_table  # not before there is a table

        with open_table(X, None, encoding=self.encoding) as opened:
            return np.concatenate([self._of_block(opened, block) for block in range(len(opened))])

    def _of_block(self, table: Any, block: int) -> Array:
        """Return the predictions of a block of a table."""
        rows, numbers, _ = table.read(block)
        try:
            return self._predicted(rows)
        except ValueError as error:  # a number that is too large for the arithmetic of the model
            before = f"In the rows from {numbers[0]} on: " if block else ""
            raise ValueError(f"{before}{error}") from None

    def _predicted(self, matrix: Array) -> Array:
        with np.errstate(all="ignore"):
            for step in self.steps:
                matrix = STEPS[step["kind"]][0](matrix, step)
            predicted = self.model._predict(feature_matrix(matrix, self.model.coef_.dtype.type))
            if self.target is not None:
                centre, spread = self.target
                predicted *= np.float64(spread)
                predicted += np.float64(centre)
            return predicted

    def _matrix(self, X: Any) -> Array:
        """Return the features as they come, in float64; nan where they are missing and something fills them in."""
        names, own = column_names(X), getattr(self, "feature_names_in_", None)
        if names is not None and own is not None:
            absent = [name for name in own if name not in names]
            if absent:
                raise ValueError(f"X has no column {shown(absent[0])}: the model was trained on {listed(tuple(own))}.")
            columns = [numbers(column_of(X, name, "X"), f"column {name!r} of X") for name in own]
            X = np.column_stack(columns)
        matrix = rows_and_features(numbers(X, "X"), "X").astype(np.float64)
        if matrix.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {matrix.shape[1]} features, but the model was trained on {self.n_features_in_}: give those."
            )
        filled = any(step["kind"] == "fill" for step in self.steps)
        return matrix if filled else feature_matrix(matrix, np.float64)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model to a file.

        Parameters
        ----------
        path : path
            The file, whose name ends in .npz.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        OSError
            If it cannot be written.
        TypeError
            If the model holds something that no file can hold.
        """
        names = getattr(self, "feature_names_in_", None)
        preparation = {
            "steps": [dict(step) for step in self.steps],
            "target": self.target,
            "names": None if names is None else [str(name) for name in names],
            **({} if self.encoding is None else {"encoding": self.encoding.to_dict()}),
        }
        return write_model(path, self.model, preparation)


def _features(steps: Sequence[Step], left: int) -> int:
    """Return how many features come in, of which so many are left; raise where steps do not fit to each other."""
    if len(steps) > MOST_STEPS:
        raise ValueError(f"There are {len(steps)} steps of preparation, and a file holds at most {MOST_STEPS}.")
    width = _first_width(steps[0]) if steps else left
    features = width
    for number, step in enumerate(steps):
        width = _width_after(step, width, f"step {number + 1} of the preparation, {step['kind']!r},")
        if not width:
            raise ValueError(f"Step {number + 1} of the preparation leaves no feature.")
    if width != left:
        raise ValueError(f"The preparation makes {width} features, but the model was trained on {left}.")
    return features


def _first_width(step: Step) -> int:
    return int(step["features"]) if step["kind"] == "select" else int(np.shape(step[STEPS[step["kind"]][1][0]])[0])


def _width_after(step: Step, width: int, what: str) -> int:
    """Return how many features a step makes of so many."""
    arrays = [np.asarray(step[name]) for name in STEPS[step["kind"]][1]]
    if step["kind"] == "fill":
        _require(arrays[0].shape == (width,), what, width)
        return int(np.isfinite(arrays[0]).sum())
    if step["kind"] == "select":
        (columns,) = arrays
        there = columns.dtype.kind in "iu" and (columns >= -width).all() and (columns < width).all()
        _require(step["features"] == width and bool(there), what, width)
        return len(columns)
    after = arrays[0].shape[1] if step["kind"] == "project" else width
    shapes = [(width, after) if name == "matrix" else (after,) for name in STEPS[step["kind"]][1]]
    _require([one.shape for one in arrays] == shapes and all(np.isfinite(one).all() for one in arrays), what, width)
    return after


def _require(fits: bool, what: str, width: int) -> None:
    if not fits:
        raise ValueError(f"The arrays of {what} are not those of {width} features, or not finite.")


def _encoded_names(encoding: Encoding, names: Sequence[str] | None, features: int) -> Sequence[str]:
    """Return the names of the features that an encoding makes; raise where they are not those of a model."""
    if not isinstance(encoding, Encoding):
        raise TypeError(f"The encoding is a {type(encoding).__name__}: give that of the table, table.encoding.")
    if names is None and len(encoding.features) == features:
        return encoding.features
    if names is None or len(names) != features or not encoding.makes(names):
        columns = listed(tuple(column.name for column in encoding.columns))
        known = f"{features} features" if names is None else listed(tuple(map(str, names)))
        raise ValueError(
            f"The encoding makes features of {columns}, but the model was trained on {known}: give the encoding of the "
            "table that it was trained on."
        )
    return names


def save(estimator: Any, path: str | os.PathLike[str], *, encoding: Encoding | None = None) -> Path:
    """Write a fitted model to a file, with the preparation that a pipeline of scikit-learn holds around it.

    Parameters
    ----------
    estimator : LinearRegression, PreparedModel, Pipeline or TransformedTargetRegressor
        The fitted model; what `linreg.diagnosis.estimators.apply` returns, or a pipeline like it.
    path : path
        The file, whose name ends in .npz.
    encoding : Encoding, optional
        The `encoding` of the table, opened by `linreg.data.open_table`, whose numbers the model was trained on: what
        is loaded then predicts from such tables, frames and files alike, and reads them in the same way.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    OSError
        If it cannot be written.
    TypeError
        If the pipeline holds a transformer that is not known: known are StandardScaler, MinMaxScaler, RobustScaler,
        SimpleImputer, PCA, and a ColumnTransformer that selects columns.
    ValueError
        If the name of the file does not end in .npz, or the encoding makes other features than those of the model.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from linreg import LinearRegression, load, save
    >>> X, y = [[1000.0], [2000.0], [3000.0]], [1.0, 2.0, 3.0]
    >>> pipeline = make_pipeline(StandardScaler(), LinearRegression(epochs=400)).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cured = load(save(pipeline, Path(folder) / "model.npz"))
    >>> cured.predict([[4000.0]]).round(2), pipeline.predict([[4000.0]]).round(2)
    (array([4.], dtype=float32), array([4.], dtype=float32))
    """
    if isinstance(estimator, LinearRegression) and encoding is None:
        return estimator.save(path)
    made = estimator if isinstance(estimator, PreparedModel) else prepared(estimator)
    if encoding is not None:
        names = getattr(made, "feature_names_in_", None)
        made = PreparedModel(made.model, made.steps, made.target, names, encoding)
    return made.save(path)


def load(path: str | os.PathLike[str]) -> LinearRegression | PreparedModel:
    """Return the fitted model in a file that `save` has written; nothing in the file is executed.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    LinearRegression or PreparedModel
        The model; with what is around it, if there is something. Its `predict` takes what it took before: arrays, or
        frames with the columns of `fit`. Saved with the encoding of a table, it takes such tables.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If a byte of it has changed, or it is no model.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from linreg import LinearRegression, load
    >>> model = LinearRegression(epochs=10, random_state=0).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = load(model.save(Path(folder) / "model.npz"))
    >>> again.predict([[3.0]]) == model.predict([[3.0]])
    array([ True])
    """
    saved = SavedModel(path)
    model = LinearRegression.restored(saved)
    if saved.preparation is None:
        return model
    with saved.archive.reading():
        return _around(model, saved)


def _around(model: LinearRegression, saved: SavedModel) -> PreparedModel:
    """Return a model with the preparation that a file holds; nothing of that is tried, only compared."""
    refuse, plain = saved.archive.refuse, saved.preparation
    steps, target, names = (plain[name] for name in ("steps", "target", "names"))
    if not isinstance(steps, list) or not all(map(_is_step, steps)):
        refuse("its preparation has steps that this linreg does not know")
    pair = isinstance(target, list) and [type(one) for one in target] == [float, float] and all(np.isfinite(target))
    if target is not None and not pair:
        refuse("its target has no centre and spread")
    named = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not named and (names is not None or "encoding" in plain):
        refuse("its features have no names")
    try:
        encoding = Encoding.from_dict(plain["encoding"]) if "encoding" in plain else None
        found = PreparedModel(model, steps, None if target is None else (target[0], target[1]), names, encoding)
        if names is not None and len(names) != found.n_features_in_:
            raise ValueError("there are more or fewer names than features")
    except (ValueError, TypeError) as error:
        refuse(f"its preparation does not fit together ({error})")
    return found


def _is_step(step: Any) -> bool:
    """Whether this is a step of a known kind, with just the arrays that it takes."""
    known = STEPS.get(step.get("kind", "")) if isinstance(step, dict) and isinstance(step.get("kind"), str) else None
    selects = known is not None and step["kind"] == "select"
    if known is None or step.keys() != {"kind", *known[1], *(["features"] if selects else [])}:
        return False
    if selects and not (type(step["features"]) is int and 0 < step["features"] <= MOST_FEATURES):
        return False
    return all(isinstance(step[name], np.ndarray) and step[name].ndim == 1 + (name == "matrix") for name in known[1])


def prepared(estimator: Any) -> PreparedModel:
    """Return a fitted pipeline of scikit-learn as plain arrays around its model.

    Parameters
    ----------
    estimator : Pipeline, TransformedTargetRegressor or LinearRegression
        A `LinearRegression`, alone, at the end of a pipeline, or with a standardised target.

    Returns
    -------
    PreparedModel
        What predicts the same, to the rounding of float64.

    Raises
    ------
    TypeError
        If it holds something that is not known.
    """
    target, inner = getattr(estimator, "transformer_", None), getattr(estimator, "regressor_", estimator)
    steps = [one for _, one in inner.steps[:-1]] if hasattr(inner, "steps") else []
    model = inner.steps[-1][1] if hasattr(inner, "steps") else inner
    if not isinstance(model, LinearRegression):
        raise TypeError(f"save: the last step must be a LinearRegression, got a {type(model).__name__}.")
    if not hasattr(model, "coef_"):
        raise not_fitted(type(model).__name__)
    names = getattr(inner, "feature_names_in_", None)
    scaled = None
    if target is not None:
        if type(target).__name__ != "StandardScaler":
            raise _unknown(target)
        standard = plain_step(target)
        scaled = float(standard["centre"][0]), float(standard["spread"][0])
    return PreparedModel(model, list(map(plain_step, steps)), scaled, names)


def plain_step(transformer: Any) -> Step:
    """Return a fitted transformer of scikit-learn as a step of preparation.

    Parameters
    ----------
    transformer : transformer
        A scaler, an imputer of numbers, PCA, or a selection of columns.

    Returns
    -------
    dict
        Its kind and its arrays.

    Raises
    ------
    TypeError
        If it is another one, or does something that the steps do not.
    """
    read = _TRANSFORMERS.get(type(transformer).__name__)
    if read is None or not type(transformer).__module__.startswith("sklearn."):
        raise _unknown(transformer)
    return read(transformer)


def _unknown(transformer: Any) -> TypeError:
    known = ", ".join(_TRANSFORMERS)
    return TypeError(f"save: {transformer!r:.80} cannot be saved: known are {known}, as remedies use them.")


def _standard(scaler: Any) -> Step:
    features = scaler.n_features_in_
    centre = scaler.mean_ if scaler.with_mean else np.zeros(features)
    return {"kind": "standardise", "centre": centre, "spread": scaler.scale_ if scaler.with_std else np.ones(features)}


def _robust(scaler: Any) -> Step:
    features = scaler.n_features_in_
    centre = scaler.center_ if scaler.with_centering else np.zeros(features)
    spread = scaler.scale_ if scaler.with_scaling else np.ones(features)
    return {"kind": "standardise", "centre": centre, "spread": spread}


def _minmax(scaler: Any) -> Step:
    if scaler.clip:
        raise _unknown(scaler)
    return {"kind": "stretch", "factor": scaler.scale_, "offset": scaler.min_}


def _imputer(imputer: Any) -> Step:
    values = np.asarray(imputer.statistics_)
    if imputer.add_indicator or imputer.keep_empty_features or values.dtype.kind != "f":
        raise _unknown(imputer)
    return {"kind": "fill", "values": values}


def _pca(pca: Any) -> Step:
    matrix = pca.components_.T
    spread = np.sqrt(pca.explained_variance_) if pca.whiten else np.ones(matrix.shape[1])
    smallest = np.finfo(spread.dtype).eps
    centre = np.zeros(len(matrix)) if pca.mean_ is None else pca.mean_
    return {"kind": "project", "matrix": matrix, "centre": centre @ matrix, "spread": np.maximum(spread, smallest)}


def _columns(transformer: Any) -> Step:
    parts = transformer.transformers
    selects = len(parts) == 1 and parts[0][1] == "passthrough" and transformer.remainder == "drop"
    columns = parts[0][2] if selects else None
    if not isinstance(columns, list) or not all(type(column) is int for column in columns):
        raise _unknown(transformer)
    return {"kind": "select", "columns": np.array(columns, np.int64), "features": int(transformer.n_features_in_)}


_TRANSFORMERS: dict[str, Callable[[Any], Step]] = {
    "StandardScaler": _standard,
    "MinMaxScaler": _minmax,
    "RobustScaler": _robust,
    "SimpleImputer": _imputer,
    "PCA": _pca,
    "ColumnTransformer": _columns,
}
