"""Remedies as something that runs: a scikit-learn estimator, a Python script and a tf.keras script.

Names of columns never get into a script: it holds numbers and names of linreg, Keras and scikit-learn only.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from linreg.data.arrays import weight_vector
from linreg.data.reading import read
from linreg.data.scaling import FAR, in_original_units
from linreg.diagnosis.remedies import STANDARDISE, Remedy, Step
from linreg.diagnosis.repairs import NUMBERS
from linreg.diagnosis.source import Script, call, keras_source, listed, literal
from linreg.hyperparameters import as_integer
from linreg.regression import LinearRegression
from linreg.seeds import KerasSeed

if TYPE_CHECKING:
    from linreg.diagnosis.cases import Case
    from linreg.diagnosis.diagnosis import Diagnosis

Array = Any

# Estimators.


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
    weight = {} if case.sample_weight is None else {_weight_name(chosen): case.sample_weight[kept]}
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
    _check_change(found.remedies[remedy])
    return diagnosis.from_given(found, found.remedies[remedy])


def _check_change(remedy: Remedy) -> None:
    if not remedy.changes:
        raise ValueError(f"The remedy {remedy.name!r} is advice that no code can follow: {remedy.words}")


def _weight_name(remedy: Remedy) -> str:
    return "linearregression__sample_weight" if remedy.steps else "sample_weight"


# Scripts.


def python_code(
    remedy: Remedy,
    model: LinearRegression,
    *,
    X: str = "X",
    y: str = "y",
    sample_weight: str | None = None,
) -> str:
    """Return a script that trains with the remedy and prints coefficients in the original units.

    Parameters
    ----------
    remedy : Remedy
        What to change.
    model : LinearRegression
        The model that it is for.
    X, y : str
        Python expressions for the data: what they stand for is not changed.
    sample_weight : str, optional
        The same for the weights.

    Returns
    -------
    str
        The script, which leaves the fitted estimator as `model`.

    Raises
    ------
    ValueError
        If the remedy is advice that no code can follow, or the model holds something that cannot be written as code:
        a learning rate that is a function, a callback of one's own, a random generator.
    """
    _check_change(remedy)
    script = Script()
    script.need("linreg.diagnosis.code", "original_units")
    if remedy.reads or remedy.complete or remedy.drop_rows or _imputes(remedy):
        X, y, sample_weight = _prepared_rows(script, remedy, X, y, sample_weight)
    estimator = script.written(remedy.model_for(model))
    regressor = "model"
    if remedy.steps:
        script.need("sklearn.pipeline", "make_pipeline")
        estimator = call("make_pipeline", [*map(script.step, remedy.steps), estimator])
        regressor += "[-1]"
    if remedy.scale_target:
        script.need("sklearn.compose", "TransformedTargetRegressor")
        scaler = f"transformer={script.step(STANDARDISE)}"
        estimator = call("TransformedTargetRegressor", [f"regressor={estimator}", scaler])
        regressor = regressor.replace("model", "model.regressor_")
    weight = "" if sample_weight is None else f", {_weight_name(remedy)}={sample_weight}"
    script.add(
        f"model = {estimator}",
        f"model.fit({X}, {y}{weight})",
        "coef, intercept = original_units(model)",
        f'print("loss of the last epoch:", {regressor}.history_["loss"][-1])',
        *PRINTED,
    )
    return script.text()


def keras_code(
    remedy: Remedy,
    model: LinearRegression,
    *,
    X: str = "X",
    y: str = "y",
    sample_weight: str | None = None,
) -> str:
    """Return a script that trains with the remedy in tf.keras and prints coefficients in the original units.

    Parameters
    ----------
    remedy : Remedy
        What to change.
    model : LinearRegression
        The model that it is for.
    X, y : str
        Python expressions for the data: what they stand for is not changed.
    sample_weight : str, optional
        The same for the weights.

    Returns
    -------
    str
        The script, which leaves the Keras model as `model`.

    Raises
    ------
    ValueError
        If the remedy is advice that no code can follow, or the model holds something that cannot be written as code.

    Notes
    -----
    Features are prepared in float64 before Keras sees them, as linreg does: a `Normalization` layer would get them in
    float32, where a column far from zero has lost its last digits. A seed gives the same run again, but another one
    than in linreg, unless it is a `KerasSeed`.
    """
    _check_change(remedy)
    changed = remedy.model_for(model)
    settings = changed.settings()
    script = Script()
    script.first("import numpy as np", "from tensorflow import keras")
    _prepared_rows(script, remedy, X, y, sample_weight)
    undo: list[str] = []
    for number, step in enumerate(remedy.steps, 1):
        undo = [*_keras_step(script, step, f"_{number}" if len(remedy.steps) > 1 else ""), *undo]
    if remedy.scale_target:
        script.add("centre, size = target.mean(), target.std() or 1.0", "target = (target - centre) / size")
        undo.insert(0, "coef, intercept = coef * size, intercept * size + centre")
    dtype = np.dtype(settings.precision.dtype).name
    if dtype != "float32":
        script.add("default = keras.config.floatx()", *_keras_default(f'"{dtype}"'))
    if changed.random_state is not None:
        script.add(f"keras.utils.set_random_seed({_keras_seed(changed.random_state)})")
    arguments = [*_keras_start(changed)]
    if settings.regularizer is not None:
        arguments.append(f"kernel_regularizer={keras_source(settings.regularizer)}")
    layers = ["keras.Input((features.shape[1],))", call("keras.layers.Dense", ["1", *arguments])]
    script.add(f"model = {call('keras.Sequential', [listed(layers)])}")
    if not isinstance(changed.kernel_initializer, str):
        script.add(f"model.layers[0].kernel.assign(np.reshape({_kernel(changed)}, (-1, 1)))")
    compiled = [f"optimizer={keras_source(settings.optimizer)}", f"loss={keras_source(settings.loss)}"]
    fitted = [
        "features",
        "target.reshape(-1, 1)",
        *([] if sample_weight is None else ["sample_weight=weight"]),
        f"epochs={literal(changed.epochs)}",
        f"batch_size={literal(changed.batch_size)}",
        f"shuffle={bool(changed.shuffle)}",
        *([f"callbacks={listed(map(keras_source, settings.callbacks))}"] if settings.callbacks else []),
        "verbose=0",
    ]
    script.add(
        call("model.compile", compiled),
        f"history = {call('model.fit', fitted)}",
        *(_keras_default("default") if dtype != "float32" else ()),
        "coef = model.layers[0].kernel.numpy()[:, 0].astype(np.float64)",
        f"intercept = {'float(model.layers[0].bias.numpy()[0])' if changed.fit_intercept else '0.0'}",
        *undo,
        'print("loss of the last epoch:", history.history["loss"][-1])',
        *PRINTED,
    )
    return script.text()


PRINTED = ('print("coefficients in the original units:", coef.tolist())', 'print("intercept:", intercept)')


def _imputes(remedy: Remedy) -> bool:
    return any(step.kind == "SimpleImputer" for step in remedy.steps)


def _prepared_rows(
    script: Script, remedy: Remedy, X: str, y: str, sample_weight: str | None
) -> tuple[str, str, str | None]:
    """Copy the data into variables of the script, so that it can be run twice, without the rows to leave out."""
    script.first("import numpy as np")
    if remedy.reads:
        script.need("linreg.data.reading", "read")
        script.add(f"numbers = read({X}, {y})  # of text, dates, categories, gaps")
        X, y = "numbers.X", "numbers.y"
    parts = {"features": X, "target": y} | ({} if sample_weight is None else {"weight": sample_weight})
    for name, given in parts.items():
        flat = "" if name == "features" else ".reshape(-1)"
        script.add(f"{name} = np.asarray({given}, dtype=np.float64){flat}")
    if remedy.drop_rows:
        script.add(f"left_out = {literal(list(remedy.drop_rows))}  # rows, counted from 0")
        script.add(*(f"{name} = np.delete({name}, left_out, axis=0)" for name in parts))
    if remedy.complete or _imputes(remedy):
        script.add(f"whole = np.isfinite(target){' & np.isfinite(features).all(axis=1)' * remedy.complete}")
        script.add(*(f"{name} = {name}[whole]" for name in parts))
    if _imputes(remedy):
        script.add("features = np.where(np.isfinite(features), features, np.nan)")
    return "features", "target", None if sample_weight is None else "weight"


def _keras_step(script: Script, step: Step, mark: str) -> list[str]:
    """Write a step of preparation in NumPy if it is a short one; return what takes coefficients back through it."""
    if step.kept is not None:
        return _selected(script, f"kept{mark} = {literal(step.kept)}  # columns, counted from 0", mark)
    if step == STANDARDISE:
        mean, spread = f"mean{mark}", f"spread{mark}"
        script.add(
            f"{mean}, {spread} = features.mean(axis=0), features.std(axis=0)",
            f"{spread}[{spread} <= 1e-12 * np.abs({mean})] = 1.0  # constant columns",
            f"features = (features - {mean}) / {spread}",
        )
        return [f"coef = coef / {spread}", f"intercept = intercept - coef @ {mean}"]
    if step.kind == "SimpleImputer" and dict(step.arguments) == {"strategy": "median"}:
        undo = _selected(script, f"kept{mark} = np.flatnonzero(np.isfinite(features).any(axis=0))", mark)
        script.add(
            f"median{mark} = np.nanmedian(features, axis=0)",
            f"features = np.where(np.isnan(features), median{mark}, features)",
        )
        return undo
    name, columns = f"step{mark}", f"columns{mark}"
    script.add(
        f"{columns} = features.shape[1]",
        f"{name} = {script.step(step)}.fit(features)",
        f"features = {name}.transform(features)",
    )
    return [
        "# what the transformer makes of zero and of a far point on each axis",
        f"points = {name}.transform(np.eye({columns} + 1, {columns}, -1) * 2.0**200)",
        "intercept = intercept + coef @ points[0]",
        "coef = (points[1:] - points[0]) @ coef / 2.0**200",
    ]


def _selected(script: Script, kept: str, mark: str) -> list[str]:
    script.add(kept, f"columns{mark} = features.shape[1]", f"features = features[:, kept{mark}]")
    return [f"part, coef = coef, np.zeros(columns{mark})", f"coef[kept{mark}] = part"]


def _keras_default(dtype: str) -> tuple[str, str]:
    return f"keras.config.set_floatx({dtype})", f"keras.config.set_dtype_policy({dtype})"


def _keras_start(model: LinearRegression) -> Iterable[str]:
    """Return the arguments of Dense that say where training starts."""
    if not model.fit_intercept:
        yield "use_bias=False"
    elif not isinstance(model.bias_initializer, str):
        yield f"bias_initializer=keras.initializers.Constant({literal(float(model.bias_initializer))})"
    if isinstance(model.kernel_initializer, str) and model.kernel_initializer != "glorot_uniform":
        yield f"kernel_initializer={literal(model.kernel_initializer)}"


def _keras_seed(random_state: Any) -> str:
    seed = as_integer(random_state.seed if isinstance(random_state, KerasSeed) else random_state)
    return literal(random_state) if seed is None else literal(seed % 2**32)  # the first raises


def _kernel(model: LinearRegression) -> str:
    return literal(np.asarray(model.kernel_initializer, np.float64).reshape(-1))
