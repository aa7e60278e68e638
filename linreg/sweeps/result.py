"""What a sweep has found."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from linreg.regression import LinearRegression

Array = Any

SHOWN = 10
"""Configurations in the short table."""


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """K trained configurations, in the order in which they were made.

    Parameters
    ----------
    configurations : list of dict of str to object
        The values that were swept over, by the names that were given; a parameter that a configuration does not have is
        left out.
    models : list of LinearRegression
        The configurations as estimators, not fitted.
    history : dict of str to array of shape (epochs, K)
        "loss", "learning_rate" and, with validation data, "val_loss", as in `LinearRegression.history_` and in its
        units; nan in epochs that were not run.
    coef_ : array of shape (K, features)
        Coefficients, in units of y per unit of each feature.
    intercept_ : array of shape (K,)
        Intercepts, in units of y.
    n_iter_ : array of int of shape (K,)
        Epochs that were finished.
    interrupted : bool
        Whether Ctrl-C ended the sweep before its time.
    data : tuple
        X, y, sample weights and validation data as they were given.

    Examples
    --------
    >>> from linreg import sweep
    >>> found = sweep([[-3.0], [3.0]], [-5.0, 7.0], learning_rate=[0.1, 0.12], epochs=50, random_state=0)
    >>> found.best_configuration, found.coef_.shape, found.history["loss"].shape
    ({'learning_rate': 0.1}, (2, 1), (50, 2))
    >>> found.best_model().coef_.round(3)
    array([2.], dtype=float32)
    """

    configurations: list[dict[str, Any]]
    models: list[LinearRegression]
    history: dict[str, Array]
    coef_: Array
    intercept_: Array
    n_iter_: Array
    interrupted: bool
    data: tuple[Any, Any, Any, Any] = field(repr=False)

    def __len__(self) -> int:
        """Return the number of configurations."""
        return len(self.configurations)

    @property
    def criterion(self) -> str:
        """What decides which configuration is best: "val_loss" with validation data, else "loss"."""
        return "val_loss" if "val_loss" in self.history else "loss"

    def last(self, name: str) -> Array:
        """Return a number of the history in the last epoch of each configuration.

        Parameters
        ----------
        name : str
            Name in the history.

        Returns
        -------
        array of shape (K,)
            The numbers; nan for configurations that were not begun.
        """
        rows = np.maximum(self.n_iter_ - 1, 0)
        return self.history[name][rows, np.arange(len(self))]

    @cached_property
    def scores(self) -> Array:
        """The criterion after the last epoch, shape (K,); nan for configurations that are not finite."""
        parameters = np.isfinite(self.coef_).all(axis=1) & np.isfinite(self.intercept_)
        scores = np.where(parameters, self.last(self.criterion), np.nan)
        return np.where(np.isfinite(scores), scores, np.nan)

    @property
    def best(self) -> int:
        """Index of the configuration with the smallest criterion; ValueError where none is finite."""
        if np.isnan(self.scores).all():
            raise ValueError(
                "No configuration of this sweep ended finite, so none is best: sweep over smaller learning rates, or "
                "ask linreg.diagnose why they diverge."
            )
        return int(np.nanargmin(self.scores))

    @property
    def best_configuration(self) -> dict[str, Any]:
        """The values of the best configuration."""
        return self.configurations[self.best]

    def model(self, index: int) -> LinearRegression:
        """Return one of the configurations as a fitted model, by its own run: nothing is taken over from the sweep.

        Parameters
        ----------
        index : int
            Which configuration.

        Returns
        -------
        LinearRegression
            The fitted model, bit for bit as `LinearRegression.fit` makes it, with its state, so that a warm start
            goes on from there.

        Raises
        ------
        ValueError
            If the sweep was interrupted before the first epoch of this configuration was over.
        """
        epochs = int(self.n_iter_[index])
        if not epochs:
            raise ValueError(f"Configuration {index} was not trained for a single epoch before Ctrl-C: sweep again.")
        model = LinearRegression(**self.models[index].get_params(deep=False))
        asked, seed = model.epochs, model.random_state
        X, y, sample_weight, validation_data = self.data
        model.set_params(epochs=epochs, random_state=copy.deepcopy(seed))
        model.fit(X, y, sample_weight=sample_weight, validation_data=validation_data)
        return model.set_params(epochs=asked, random_state=seed)

    def best_model(self) -> LinearRegression:
        """Return the best configuration as a fitted model; see `model`."""
        return self.model(self.best)

    def table(self) -> list[dict[str, Any]]:
        """Return a row for each configuration.

        Returns
        -------
        list of dict of str to object
            The values that were swept over (None where a configuration has no such parameter), then "final_loss", of
            the last epoch, and "final_val_loss" where there are validation data.
        """
        names = list(dict.fromkeys(name for one in self.configurations for name in one))
        known = [name for name in ("loss", "val_loss") if name in self.history]
        losses = {f"final_{name}": self.last(name).tolist() for name in known}
        return [
            {name: one.get(name) for name in names} | {name: values[k] for name, values in losses.items()}
            for k, one in enumerate(self.configurations)
        ]

    def to_polars(self) -> Any:
        """Return the table as a polars frame; optimizers and the like become text.

        Returns
        -------
        polars.DataFrame
            One row a configuration.

        Raises
        ------
        ImportError
            If polars is missing.
        """
        try:
            import polars
        except ImportError:
            raise ImportError("Frames are made by polars: pip install 'linreg[data]'.") from None
        columns = {name: [row[name] for row in self.table()] for name in self.table()[0]}
        return polars.DataFrame({name: _plain(values) for name, values in columns.items()})

    def heatmap(self, x: str | None = None, y: str | None = None) -> Any:
        """Draw the criterion after the last epoch over one or two of the parameters that were swept over.

        Parameters
        ----------
        x : str, optional
            Parameter to the right; by default the first with more than one value.
        y : str, optional
            Parameter upwards; by default the second, if there is one.

        Returns
        -------
        matplotlib.figure.Figure
            A map, or a curve over a single parameter. Colours and heights are logarithmic; configurations that are not
            finite are marked, and so is the best. Of several configurations at one place the best is shown.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If a parameter was not swept over.
        """
        from linreg.sweeps.pictures import heatmap

        return heatmap(self, x, y)

    def __str__(self) -> str:
        """Show the best configurations as a short table."""
        rows, order = self.table(), np.argsort(self.scores, kind="stable")  # nan comes last
        ended = int(np.isnan(self.scores).sum())
        shown = [rows[k] for k in order[:SHOWN]]
        cells = [[*rows[0]], *([short(value) for value in row.values()] for row in shown)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
        told = f"{len(self)} configurations, smallest {self.criterion} first"
        told += f", {ended} not finite" if ended else ""
        told += ", ended by Ctrl-C" if self.interrupted else ""
        more = [f"... and {len(self) - SHOWN} more: .table()"] if len(self) > SHOWN else []
        return "\n".join([told, *lines, *more])

    __repr__ = __str__


def short(value: Any) -> str:
    """Return a value as it stands in a table."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = "" if value is None else value if isinstance(value, str) else " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:37]}..."


def _plain(values: list[Any]) -> list[Any]:
    """Return a column of one plain type: numbers stay numbers, objects become text."""
    given = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in given) or all(isinstance(value, str) for value in given):
        return values
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in given):
        whole = all(isinstance(value, int) for value in given)
        return [value if value is None or whole else float(value) for value in values]
    return [value if value is None or isinstance(value, str) else repr(value) for value in values]


def finite_number(value: Any) -> bool:
    """Whether a value is a number that can stand on an axis."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
