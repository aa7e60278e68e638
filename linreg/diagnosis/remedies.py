"""What to change: steps of preparation and settings, applied to a case, and written as code that can be pasted."""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.diagnosis.cases import Case, Outcome
from linreg.optimizers import SGD
from linreg.regression import LinearRegression

Array = Any


@dataclass(frozen=True)
class Step:
    """One step of preparation: a transformer of scikit-learn.

    Parameters
    ----------
    module : str
        Where it lives, for example "sklearn.preprocessing".
    kind : str
        Its class.
    arguments : tuple of (str, object)
        Its arguments that are not defaults.
    """

    module: str
    kind: str
    arguments: tuple[tuple[str, Any], ...] = ()

    def make(self) -> Any:
        """Return the transformer, not fitted."""
        import importlib

        try:
            module = importlib.import_module(self.module)
        except ImportError:
            raise ImportError("The remedies are scikit-learn's transformers: pip install 'linreg[data]'.") from None
        return getattr(module, self.kind)(**dict(self.arguments))

    @property
    def kept(self) -> list[int] | None:
        """The numbers of the columns that it keeps, counted from 0, if that is all it does."""
        arguments = dict(self.arguments)
        transformers = arguments.pop("transformers", [])
        if self.kind != "ColumnTransformer" or arguments or len(transformers) != 1:
            return None
        _, transformer, columns = transformers[0]
        numbers = isinstance(columns, list) and all(type(column) is int for column in columns)
        return columns if transformer == "passthrough" and numbers else None

    @property
    def columnwise(self) -> bool:
        """Whether each of its columns comes of the one in the same place."""
        return self.kind in COLUMNWISE

    def columns(self, values: Any, new: Any) -> Any:
        """Return what belongs to each column after the step, or `new` where the columns are new ones.

        Parameters
        ----------
        values : tuple or array of shape (columns,)
            What belongs to each column before the step.
        new : object
            What is returned where no column is one of those before.

        Returns
        -------
        tuple, array or object
            The values of the columns that are left.
        """
        if self.kept is not None:
            return type(values)(values[j] for j in self.kept)
        return values if self.columnwise else new

    def fitted(self, X: Array, counts: Array | None) -> Any:
        """Return the transformer, fitted to rows of which each stands for so many."""
        weight = {"sample_weight": counts} if counts is not None and self.kind == "StandardScaler" else {}
        return self.make().fit(X, **weight)

    def __str__(self) -> str:
        """Show the constructor call."""
        return f"{self.kind}({', '.join(f'{name}={value!r}' for name, value in self.arguments)})"


def complete_rows(X: Array, y: Array) -> Array:
    """Return whether each row has a finite number everywhere."""
    return np.isfinite(X).all(axis=1) & np.isfinite(y)


COLUMNWISE = {"StandardScaler", "MinMaxScaler", "RobustScaler", "SimpleImputer"}
STANDARDISE = Step("sklearn.preprocessing", "StandardScaler")
WHITEN = Step("sklearn.decomposition", "PCA", (("whiten", True),))


def keep_columns(indices: Any) -> Step:
    """Return the step that keeps some columns, by their numbers."""
    kept = [int(index) for index in indices]
    arguments = (("transformers", [("kept", "passthrough", kept)]),)
    return Step("sklearn.compose", "ColumnTransformer", arguments)


@dataclass(frozen=True, eq=False)
class Remedy:
    """A change that can be applied to a run, and what it did to this one.

    Parameters
    ----------
    name : str
        Short name, for example "standardise".
    words : str
        What to do, in a sentence.
    steps : tuple of Step
        What is done to the features, in order, before training.
    settings : dict
        Parameters of `LinearRegression` that change, as `set_params` takes them ("optimizer__learning_rate").
    scale_target : bool
        Whether y is standardised for training (and predictions are scaled back).
    drop_rows : tuple of int
        Rows that are left out, counted from 0 in the data as given, incomplete rows included.
    complete : bool
        Whether rows with a missing or infinite value are left out; rows without a target always are.
    reads : bool
        Whether the data as given hold text, dates or the like, of which `linreg.data.reading.read` makes numbers first.
    after : Outcome or None
        What the run did with the remedy: the proof; None as long as it was not tried.

    Examples
    --------
    >>> from linreg import SGD, diagnose
    >>> remedy = diagnose([[-3.0], [3.0]], [-5.0, 7.0], optimizer=SGD(0.15)).findings[0].remedies[0]
    >>> remedy.settings, remedy.after.verdict
    ({'optimizer__learning_rate': 0.056}, 'converges')
    """

    name: str
    words: str
    steps: tuple[Step, ...] = ()
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    scale_target: bool = False
    drop_rows: tuple[int, ...] = ()
    complete: bool = False
    reads: bool = False
    after: Outcome | None = None

    @property
    def changes(self) -> bool:
        """Whether it can be applied to a case, and is not only advice."""
        parts = self.steps, self.settings, self.drop_rows, self.scale_target, self.complete, self.reads
        return any(map(bool, parts))

    def check_changes(self) -> None:
        """Raise unless it can be applied."""
        if not self.changes:
            raise ValueError(f"The remedy {self.name!r} is advice that no code can follow: {self.words}")

    def rows(self, X: Array, y: Array, numbers: Array) -> Array:
        """Return whether each row stays.

        Parameters
        ----------
        X : array of shape (rows, features)
            Features, nan or infinite where there is no number.
        y : array of shape (rows,)
            Target, the same.
        numbers : array of shape (rows,)
            The number of each row in the data as given, counted from 0.

        Returns
        -------
        array of bool of shape (rows,)
            Whether it stays.
        """
        whole = complete_rows(X, y) if self.complete else np.isfinite(y)
        return whole & ~np.isin(numbers, self.drop_rows)

    def model_for(self, model: LinearRegression) -> LinearRegression:
        """Return the model that trains with the remedy, not fitted.

        Parameters
        ----------
        model : LinearRegression
            The model that the remedy is for; it is copied.

        Returns
        -------
        LinearRegression
            The copy with the settings of the remedy. A kernel that was given to start from keeps the entries of the
            columns that are left; where the steps make new columns, the start is zero.
        """
        changed = LinearRegression(**model.get_params(deep=False)).set_params(**self.settings)
        for step in self.steps:
            start = changed.kernel_initializer
            if not isinstance(start, str):
                changed.kernel_initializer = step.columns(np.asarray(start).reshape(-1).tolist(), "zeros")
        return changed

    def _start_in_words(self, model: LinearRegression) -> str:
        """Say what becomes of a kernel that was given to start from, if the remedy changes its columns."""
        if isinstance(model.kernel_initializer, str):
            return ""
        start = self.model_for(model).kernel_initializer
        if isinstance(start, str):
            return " The kernel then starts from zeros: kernel_initializer was made for other features."
        dropped = np.size(model.kernel_initializer) - len(start)
        return " Of kernel_initializer, the entries of the columns that are left stay." if dropped else ""

    def applied(self, case: Case) -> Case:
        """Return the case with the remedy applied."""
        X, y, names, unit, weight, counts = case.X, case.y, case.names, case.unit, case.sample_weight, case.counts
        validation, prepared = case.validation, case.prepared
        kept = self.rows(X, y, case.row_numbers)
        X, y, weight = X[kept], y[kept], None if weight is None else weight[kept]
        counts = None if counts is None else counts[kept]
        for step in self.steps:
            transformer = step.fitted(X, counts)
            prepared = (*prepared, transformer)
            X = np.asarray(transformer.transform(X), np.float64)
            names = step.columns(names, tuple(f"component {j}" for j in range(X.shape[1])))
            if validation is not None:
                validation = np.asarray(transformer.transform(validation[0]), np.float64), validation[1]
        if self.scale_target:
            centre, spread = float(y.mean()), float(y.std()) or 1.0
            y, unit = (y - centre) / spread, unit * spread
            if validation is not None:
                validation = validation[0], (validation[1] - centre) / spread
        return dataclasses.replace(
            case, X=X, y=y, names=names, unit=unit, sample_weight=weight, validation=validation,
            model=self.model_for(case.model), rows=case.row_numbers[kept], prepared=prepared, counts=counts,
        )  # fmt: skip

    @property
    def changes_rate(self) -> bool:
        """Whether the remedy sets another learning rate."""
        return "optimizer__learning_rate" in self.settings

    def tried(self, case: Case) -> Remedy:
        """Return the remedy with its proof: the run repeated with it."""
        start = self._start_in_words(case.model)
        words = self.words if start in self.words else self.words + start
        return dataclasses.replace(self, words=words, after=self.applied(case).outcome)

    def and_then(self, other: Remedy) -> Remedy:
        """Return both as one: this one first, then the other.

        Parameters
        ----------
        other : Remedy
            A remedy of the case after this one: its settings are changes of those that this one leaves, and its
            columns are counted among those that this one leaves.

        Returns
        -------
        Remedy
            Not tried.
        """
        # A whole optimizer or loss of the other takes the place of single settings of this one's.
        kept = {name: value for name, value in self.settings.items() if parameter_of(name) not in other.settings}
        return Remedy(
            f"{self.name}+{other.name}",
            f"{self.words.removesuffix('.')}, then {other.words[:1].lower()}{other.words[1:]}",
            (*self.steps, *other.steps),
            {**kept, **other.settings},
            self.scale_target or other.scale_target,
            tuple(sorted({*self.drop_rows, *other.drop_rows})),
            self.complete or other.complete,
            self.reads or other.reads,
        )

    def together_with(self, other: Remedy) -> Remedy | None:
        """Return both as one, where both are remedies of the same case.

        Parameters
        ----------
        other : Remedy
            A remedy of the same case.

        Returns
        -------
        Remedy or None
            Not tried; None where they do not go together: both change one setting, or the other one selects columns
            of which this one leaves none.
        """
        steps = None if self.settings.keys() & other.settings.keys() else _renumbered(self.steps, other.steps)
        return None if steps is None else self.and_then(dataclasses.replace(other, steps=steps))


def parameter_of(setting: str) -> str:
    """Return the parameter that a setting belongs to: "optimizer" of "optimizer__learning_rate"."""
    return setting.partition("__")[0]


def _renumbered(first: tuple[Step, ...], second: tuple[Step, ...]) -> tuple[Step, ...] | None:
    """Return the second steps with their columns counted among those that the first ones leave; None if none is."""
    selections = [step.kept for step in (*first, *second) if step.kept is not None]
    # The numbers of the columns in the case: those that the second steps expect, and those that are there.
    expected = there = tuple(range(1 + max(itertools.chain(*selections), default=-1)))
    for step in first:
        there = there and step.columns(there, ())
    renumbered = []
    for step in second:
        selects = bool(step.kept is not None and expected)
        expected = expected and step.columns(expected, ())
        if selects:
            left = [there.index(j) for j in expected if j in there]
            if not left:
                return None
            step, there = keep_columns(left), tuple(there[i] for i in left)
        renumbered.append(step)
    return tuple(renumbered)


UNPENALISED = Remedy(
    "no penalty", "Leave the penalty out (kernel_regularizer=None).", settings={"kernel_regularizer": None}
)
STANDARDISED = Remedy("standardise", "Standardise the features (StandardScaler).", (STANDARDISE,))


def at_rate(learning_rate: float) -> dict[str, Any]:
    """Return the settings that train with another, constant learning rate.

    Parameters
    ----------
    learning_rate : float
        The rate.

    Returns
    -------
    dict
        Settings of a `Remedy`.
    """
    return {"optimizer__learning_rate": float(learning_rate)}


def rounded(value: float) -> float:
    """Round to two digits: nobody types more.

    Parameters
    ----------
    value : float
        The number.

    Returns
    -------
    float
        The number, rounded.
    """
    return float(f"{value:.2g}")


def faster(case: Case, limit: float) -> list[float]:
    """Return rates above the present one that are worth trying once the features are standardised.

    Parameters
    ----------
    case : Case
        The case.
    limit : float
        Largest stable rate of SGD then.

    Returns
    -------
    list of float
        Rates, rounded.
    """
    lr = case.learning_rate
    if isinstance(case.settings.optimizer, SGD):
        return [rounded(limit / 2), rounded(limit / 10)] if math.isfinite(limit) and limit / 2 > lr else []
    return [rounded(lr * 10), rounded(lr * 100)] if lr < 0.05 else []
