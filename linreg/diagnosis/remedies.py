"""What to change: steps of preparation and settings, applied to a case, and written as code that can be pasted."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.diagnosis.cases import Case, Outcome

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

    def __str__(self) -> str:
        """Show the constructor call."""
        return f"{self.kind}({', '.join(f'{name}={value!r}' for name, value in self.arguments)})"


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
        Rows that are left out, counted from 0 in the data as diagnosed.
    after : Outcome or None
        What the run did with the remedy: the proof; None as long as it was not tried.
    """

    name: str
    words: str
    steps: tuple[Step, ...] = ()
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    scale_target: bool = False
    drop_rows: tuple[int, ...] = ()
    after: Outcome | None = None

    @property
    def changes(self) -> bool:
        """Whether it can be applied to a case, and is not only advice."""
        return bool(self.steps or self.settings or self.drop_rows or self.scale_target)

    def applied(self, case: Case) -> Case:
        """Return the case with the remedy applied."""
        X, y, names, unit, weight = case.X, case.y, case.names, case.unit, case.sample_weight
        validation = case.validation
        if self.drop_rows:
            kept = np.setdiff1d(np.arange(len(y)), self.drop_rows)
            X, y, weight = X[kept], y[kept], None if weight is None else weight[kept]
        for step in self.steps:
            transformer = step.make().fit(X)
            X = np.asarray(transformer.transform(X), np.float64)
            if step.kind == "ColumnTransformer":
                names = tuple(names[i] for i in dict(step.arguments)["transformers"][0][2])
            elif X.shape[1] != len(names):
                names = tuple(f"component {j}" for j in range(X.shape[1]))
            if validation is not None:
                validation = np.asarray(transformer.transform(validation[0]), np.float64), validation[1]
        if self.scale_target:
            centre, spread = float(y.mean()), float(y.std()) or 1.0
            y, unit = (y - centre) / spread, unit * spread
            if validation is not None:
                validation = validation[0], (validation[1] - centre) / spread
        changed = case.replaced(X=X, y=y, names=names, unit=unit, sample_weight=weight, validation=validation)
        return changed.with_settings(**self.settings) if self.settings else changed

    @property
    def changes_rate(self) -> bool:
        """Whether the remedy sets another learning rate."""
        return "optimizer__learning_rate" in self.settings

    def tried(self, case: Case) -> Remedy:
        """Return the remedy with its proof: the run repeated with it."""
        return dataclasses.replace(self, after=self.applied(case).outcome)

    def and_then(self, other: Remedy) -> Remedy:
        """Return both remedies as one."""
        return Remedy(
            f"{self.name}+{other.name}",
            f"{self.words} {other.words}",
            (*self.steps, *other.steps),
            {**self.settings, **other.settings},
            self.scale_target or other.scale_target,
            tuple(sorted({*self.drop_rows, *other.drop_rows})),
        )


STANDARDISED = Remedy("standardise", "Standardise the features (StandardScaler).", (STANDARDISE,))
