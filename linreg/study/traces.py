"""The trace of a run: every quantity of some of its steps, named as in the formulas, out of the run itself."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linreg.data.arrays import column_names
from linreg.regression import LinearRegression
from linreg.study.formulas import Formula, formulas_of, results
from linreg.study.seen import Seen
from linreg.study.tape import Node
from linreg.study.watching import Watch, WatchedRun
from linreg.training import Run
from linreg.whole_files import file_path, write_whole

Array = Any
INTERCEPT = "(intercept)"
FORMATS = (".csv", ".parquet")
BEFORE = ("p[t-1]", "p'")
"""The parameters as a rule is given them."""


@dataclass(frozen=True, eq=False)
class Quantity:
    """One quantity of one step.

    Parameters
    ----------
    name : str
        What it is: "prediction", "gradient", a letter of the formula ("m", "v", "p"), or the expression itself for a
        value that has no name in the formula.
    of : {"row", "parameter", "step"}
        Of what there is one number.
    labels : list of str
        Which rows (counted from 0 in the data as given) or parameters.
    values : array of shape (labels,)
        The numbers, in the arithmetic of the run and the unit of the quantity, one a label.

    Examples
    --------
    >>> from linreg import study
    >>> found = study.trace([[1.0], [2.0]], [1.0, 3.0], steps=[1], shuffle=False, kernel_initializer="zeros")
    >>> residual = found.steps[0].quantities["residual"]
    >>> residual.of, residual.labels, residual.values
    ('row', ['row 0', 'row 1'], array([-1., -3.], dtype=float32))
    """

    name: str
    of: str
    labels: list[str]
    values: Array


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a run: all its quantities.

    Parameters
    ----------
    number : int
        Its number, from 1.
    epoch, batch : int
        Where it stands, from 1.
    quantities : dict of str to Quantity
        By name, in the order in which they were computed.
    seen : Seen
        What they were read off.

    Examples
    --------
    >>> from linreg import study
    >>> found = study.trace([[1.0], [2.0]], [1.0, 3.0], steps=[1], shuffle=False, kernel_initializer="zeros")
    >>> step = found.steps[0]
    >>> step.number, step.epoch, step["gradient"]
    (1, 1, array([-7., -4.], dtype=float32))
    >>> print(step.formulas()[-1].numbers)
    p[t] = 0 - (-7) * 0.01
    """

    number: int
    epoch: int
    batch: int
    quantities: dict[str, Quantity]
    seen: Seen

    def __getitem__(self, name: str) -> Array:
        """Return the numbers of a quantity; a single number as it is."""
        if name not in self.quantities:
            raise KeyError(f"Step {self.number} has no {name!r}: it has {', '.join(self.quantities)}.")
        found = self.quantities[name]
        return found.values[0] if found.of == "step" else found.values

    def formulas(self, parameter: int = 0, row: int = 0) -> list[Formula]:
        """Return the formulas of this step, as they were run.

        Parameters
        ----------
        parameter : int, default=0
            Whose numbers are put in: which of the coefficients, -1 for the intercept where there is one.
        row : int, default=0
            The same for prediction, residual and slope of the loss: which row of the batch.

        Returns
        -------
        list of Formula
            Prediction, residual, loss, slope of the loss, gradient, effective step, state of the rule, parameter; those
            that the run has.
        """
        return formulas_of(self.seen, parameter, row)


@dataclass(frozen=True, eq=False)
class Trace:
    """Every quantity of some steps of a run.

    Parameters
    ----------
    steps : tuple of Step
        The steps.
    names : list of str
        Names of the parameters.
    model : LinearRegression
        The model as the run left it, after the last step that was asked for or at the end of that epoch.

    Examples
    --------
    >>> from linreg import study
    >>> found = study.trace([[1.0], [2.0]], [1.0, 3.0], steps=[1], shuffle=False, kernel_initializer="zeros")
    >>> found.names, len(found.steps)
    (['x0', '(intercept)'], 1)
    >>> next(found.rows())["quantity"]
    'prediction'
    >>> found.to_polars().columns
    ['step', 'epoch', 'batch', 'quantity', 'of', 'label', 'value']
    """

    steps: tuple[Step, ...]
    names: list[str]
    model: LinearRegression

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield a row for every number.

        Yields
        ------
        dict of str to object
            "step", "epoch", "batch", "quantity", "of", "label" and "value", a float.
        """
        for step in self.steps:
            for quantity in step.quantities.values():
                for label, value in zip(quantity.labels, quantity.values.tolist(), strict=True):
                    yield {"step": step.number, "epoch": step.epoch, "batch": step.batch, "quantity": quantity.name,
                           "of": quantity.of, "label": label, "value": float(value)}  # fmt: skip

    def to_polars(self) -> Any:
        """Return the rows as a polars frame.

        Returns
        -------
        polars.DataFrame
            One row a number, see `rows`.

        Raises
        ------
        ImportError
            If polars is missing.
        """
        try:
            import polars
        except ImportError:
            raise ImportError("Frames are made by polars: pip install 'linreg[data]'.") from None
        return polars.DataFrame(list(self.rows()))

    def to_pandas(self) -> Any:
        """Return the rows as a pandas frame.

        Returns
        -------
        pandas.DataFrame
            One row a number, see `rows`.

        Raises
        ------
        ImportError
            If pandas is missing.
        """
        try:
            import pandas
        except ImportError:
            raise ImportError("This frame is made by pandas: pip install pandas, or call to_polars.") from None
        return pandas.DataFrame(list(self.rows()))

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the rows to a file, whole or not at all.

        Parameters
        ----------
        path : path
            The file, .csv or .parquet.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        ImportError
            If polars is missing.
        ValueError
            If the file has another ending.
        OSError
            If the folder is missing or the file cannot be written.
        """
        target = trace_path(path)
        frame = self.to_polars()
        write = frame.write_csv if target.suffix.lower() == ".csv" else frame.write_parquet
        return write_whole(target, write)


def trace_path(path: str | os.PathLike[str]) -> Path:
    """Check, before any work is done, that a trace can go to this path; see `Trace.write` for the errors."""
    target = file_path(path, "trace.csv")
    if target.suffix.lower() not in FORMATS:
        raise ValueError(f"A trace is written as {' or '.join(FORMATS)}, got {target.name!r}: change its ending.")
    return target


def trace(
    X: Any,
    y: Any,
    *,
    steps: Collection[int] = range(1, 6),
    sample_weight: Any = None,
    names: list[str] | None = None,
    **settings: Any,
) -> Trace:
    """Train a model and keep every quantity of some steps.

    Parameters
    ----------
    X : array or frame of shape (rows, features)
        Features.
    y : array of shape (rows,)
        Target.
    steps : collection of int, default=range(1, 6)
        Which steps, counted from 1; steps after the end of the run are left out.
    sample_weight : array of shape (rows,), optional
        Weights.
    names : list of str, optional
        Names of the features; those of X, else x0, x1, ...
    **settings : object
        Parameters of `LinearRegression`; `engine` can only be "numpy", whose functions are watched.

    Returns
    -------
    Trace
        The steps.

    Raises
    ------
    TypeError or ValueError
        If the data, a setting or a number of a step is refused.

    Notes
    -----
    The run is the one of `LinearRegression.fit`, to the last bit: the very functions that train are given arrays that
    remember how they were made. A row of a batch holds so many numbers that a trace of full batches of a large table
    is large: ask for few steps. The run ends with the epoch of the last step that is asked for.

    Examples
    --------
    >>> from linreg import study
    >>> found = study.trace([[1.0], [2.0]], [1.0, 3.0], steps=[2], optimizer="sgd", kernel_initializer="zeros")
    >>> print(found.steps[0].formulas()[-1].symbols)
    p[t] = p[t-1] - g * lr
    """
    wanted = _checked(steps)
    engine = settings.get("engine", "numpy")
    if engine != "numpy":
        raise ValueError(f'A trace watches the functions of engine="numpy", got engine={engine!r}: leave it out.')
    watch = Watch(wanted)
    model = _Watched(**settings)
    model.watch = watch
    batches = max(1, math.ceil(len(X) / model.batch_size))
    asked = model.epochs
    model.set_params(epochs=min(asked, math.ceil(max(wanted) / batches)), checkpoint=None)
    model.fit(X, y, sample_weight=sample_weight)
    fitted = LinearRegression(**model.get_params(deep=False))
    fitted.adopt(model.state_, model.n_features_in_, model.history_)
    features = names or column_names(X) or [f"x{j}" for j in range(model.n_features_in_)]
    labels = [*features, INTERCEPT] if model.fit_intercept else list(features)
    return Trace(tuple(_step(seen, labels) for seen in watch.seen), labels, fitted)


class _Watched(LinearRegression):
    """An estimator whose runs are watched."""

    watch: Watch

    def _kind_of_run(self) -> Callable[..., Run]:
        return functools.partial(WatchedRun, watch=self.watch)


def _checked(steps: Collection[int]) -> Collection[int]:
    """Return the numbers of steps, which must be whole and from 1."""
    listed = steps if isinstance(steps, range) else set(steps)
    if not len(listed) or any(isinstance(step, bool) or not hasattr(step, "__index__") or step < 1 for step in listed):
        raise ValueError(f"steps must be whole numbers from 1, for example range(1, 6), got {steps!r}.")
    return listed


def _step(seen: Seen, names: list[str]) -> Step:
    """Return all quantities of a step."""
    rows = [f"row {row}" for row in seen.rows.tolist()]
    labels = {"row": rows, "parameter": names, "step": [""]}
    found: dict[str, Quantity] = {}

    def keep(name: str, value: Array, of: str = "") -> None:
        value = np.asarray(value)
        of = of or ("parameter" if value.shape == (len(names),) else "step" if value.size == 1 else "")
        if of:
            value = value.reshape(-1)
            found.setdefault(name, Quantity(name, of, labels[of][: len(value)], value))

    for name in ("prediction", "residual", "slope"):
        keep(name, getattr(seen, name).value, "row")
    keep("loss", seen.loss.value, "step")
    if seen.penalty is not None and seen.pull is not None:
        keep("penalty", seen.penalty.value, "step")
        keep("gradient without penalty", seen.without_penalty.value, "parameter")
        keep("penalty gradient", seen.pull.value, "parameter")
    keep("gradient", seen.gradient.value, "parameter")
    if seen.rate is not None:
        for node in seen.rate.made_of():
            if node.operation and node is not seen.rate:
                keep(node.symbols(), node.value)
        keep("learning_rate", seen.learning_rate, "step")
        keep("effective step", seen.rate.value, "step")
    keep("p[t-1]", seen.before, "parameter")
    update, subtracted = _update(seen.extra.get("p''", seen.after["p"]))
    named = {id(node): name for name, node in results(seen)}
    for _, result in results(seen):
        for node in result.made_of():
            if node is update:
                keep("update", -node.value if subtracted else node.value, "parameter")
            elif node.operation:
                keep(named.get(id(node)) or node.symbols(), node.value)
    for name, node in results(seen):  # also what a rule has left as it was
        keep(name, node.value)
    return Step(seen.step, seen.epoch, seen.batch, found, seen)


def _update(p: Node) -> tuple[Node | None, bool]:
    """Return what the rule has added to the parameters, and whether it did so by subtracting it."""
    if p.operation in ("add", "subtract"):
        first, second = p.operands
        if first.name in BEFORE and second.operation:
            return second, p.operation == "subtract"
        if second.name in BEFORE and first.operation and p.operation == "add":
            return first, False
    return None, False
