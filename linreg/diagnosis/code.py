"""Remedies as scripts that can be pasted: in Python with scikit-learn, and in tf.keras.

Names of columns never get into a script: it holds numbers and names of linreg, Keras and scikit-learn only. Comments
over a script may hold them, escaped.
"""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from linreg.diagnosis.estimators import weight_name
from linreg.diagnosis.evidence import printable
from linreg.diagnosis.remedies import STANDARDISE, Remedy, Step
from linreg.diagnosis.source import Script, call, keras_source, listed, literal
from linreg.hyperparameters import as_integer
from linreg.regression import LinearRegression
from linreg.seeds import KerasSeed

if TYPE_CHECKING:
    from linreg.diagnosis.diagnosis import Diagnosis
    from linreg.diagnosis.findings import Finding

COMMENT_WIDTH = 79
PRINTED = ('print("coefficients in the original units:", coef.tolist())', 'print("intercept:", intercept)')


def scripts(diagnosis: Diagnosis, finding: Finding, remedy: Remedy) -> dict[str, str]:
    """Return a remedy as code that can be pasted where X and y are.

    Parameters
    ----------
    diagnosis : Diagnosis
        The diagnosis.
    finding : Finding
        The finding that the remedy belongs to.
    remedy : Remedy
        The remedy.

    Returns
    -------
    dict of str to str
        Scripts by "python" (linreg and scikit-learn) and "keras"; empty for advice that no code can follow.
    """
    if diagnosis.given is None or not remedy.changes:
        return {}
    weight = None if diagnosis.given.sample_weight is None else "sample_weight"
    whole, written = diagnosis.from_given(finding, remedy), {}
    for name, write in (("python", python_code), ("keras", keras_code)):
        # A model may also hold what cannot be written, such as a function for a learning rate.
        with contextlib.suppress(ValueError):
            written[name] = write(whole, diagnosis.given.model, sample_weight=weight)
    return written


def listing(diagnosis: Diagnosis, kind: str) -> str:
    """Return every remedy of every finding as code, the main one first, each under comments that say what it is.

    Parameters
    ----------
    diagnosis : Diagnosis
        The diagnosis.
    kind : {"python", "keras"}
        In what it is written.

    Returns
    -------
    str
        The scripts one after the other, of which each can be pasted alone; "" if there is none. Advice that no code
        can follow is a comment, and so is a remedy that another finding has had before.
    """
    blocks: list[str] = []
    titles: dict[str, str] = {}
    for finding in diagnosis.findings:
        for remedy in finding.remedies:
            script = scripts(diagnosis, finding, remedy).get(kind, "").strip()
            title = f"{finding.cause}: {remedy.name}"
            block = f"# {title}\n{_comment(remedy.words)}"
            if script in titles:
                block += f"\n# The code is that of {titles[script]}."
            elif script:
                block += f"\n{script}"
                titles[script] = title
            blocks.append(block)
    return "\n\n".join(blocks) if titles else ""


def _comment(words: str) -> str:
    """Return words as lines of comment; what comes out of a file cannot end one."""
    return textwrap.fill(printable(words), COMMENT_WIDTH, initial_indent="# ", subsequent_indent="# ")


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
    remedy.check_changes()
    script = Script()
    script.need("linreg.diagnosis.estimators", "original_units")
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
    weight = "" if sample_weight is None else f", {weight_name(remedy)}={sample_weight}"
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
    remedy.check_changes()
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
