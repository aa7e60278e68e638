"""A run in the making, for the second generator: a table with the law behind it, and settings that suit it.

X has the shape (rows, features). Every helper that draws takes the random generator first and draws the same amount
whatever faults are in force, so that a run and the same run without a fault differ in that fault alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from linreg import SGD, Adam, Huber, MeanSquaredError, RMSprop

Array = Any
Draw = np.random.Generator
Column = Callable[[int], Array]
CLEAN_ROWS = 2000
MOST_STEPS = 8000


@dataclass(frozen=True)
class Run:
    """What a user trains on, as floats, and what only the generator knows: rows of the same law without noise."""

    X: Array
    y: Array
    clean_x: Array
    clean_y: Array
    noise: float  # standard deviation of the noise in y
    settings: dict[str, Any] = field(default_factory=dict)
    validation: tuple[Array, Array] | None = None
    weight: Array | None = None
    dress: Callable[[Array], Any] = np.asarray  # what X is before the user has made numbers of it
    dress_y: Callable[[Array], Any] = np.asarray
    natural: tuple[str, ...] = ()  # causes that the story brings along, whoever names them is not wrong

    def columns_mapped(self, mapping: Callable[[Array], Array]) -> Run:
        """Return the run with every table of features mapped."""
        validation = self.validation and (mapping(self.validation[0]), self.validation[1])
        return replace(self, X=mapping(self.X), clean_x=mapping(self.clean_x), validation=validation)

    def rows_kept(self, rows: Array) -> Run:
        """Return the run with some of its training rows only."""
        weight = self.weight if self.weight is None else self.weight[rows]
        full = self.settings.get("batch_size") == len(self.y)
        kept = replace(self, X=self.X[rows], y=self.y[rows], weight=weight)
        return kept.told(batch_size=len(kept.y)) if full else kept

    def told(self, **settings: Any) -> Run:
        """Return the run with settings changed."""
        return replace(self, settings={**self.settings, **settings})

    def at_rate(self, rate: float) -> Run:
        """Return the run with another learning rate."""
        return self.told(optimizer=replace(self.settings["optimizer"], learning_rate=float(rate)))


# Draws.


def pick(draw: Draw, *options: Any) -> Any:
    return options[int(draw.integers(len(options)))]


def typed(number: float, digits: int = 2) -> float:
    """Return a number as a person types it: with few digits."""
    return float(f"{number:.{digits}g}")


def between(draw: Draw, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(draw.uniform(math.log(low), math.log(high))))


def size(draw: Draw, low: int = 40, high: int = 1500) -> int:
    return round(between(draw, low, high))


def uniform(draw: Draw, low: float, high: float) -> Column:
    return lambda rows: draw.uniform(low, high, rows)


def normal(draw: Draw, centre: float = 0.0, spread: float = 1.0) -> Column:
    return lambda rows: centre + spread * draw.normal(size=rows)


def whole(draw: Draw, low: int, high: int) -> Column:
    return lambda rows: draw.integers(low, high + 1, rows).astype(float)


def lognormal(draw: Draw, centre: float, sigma: float) -> Column:
    return lambda rows: centre * np.exp(sigma * draw.normal(size=rows))


# Tables.


def design(X: Array) -> Array:
    return np.column_stack([X, np.ones(len(X))])


def table(
    draw: Draw,
    *columns: Column,
    rows: int | None = None,
    unit: float = 1.0,
    centre: float | None = None,
    noise: float | None = None,
) -> Run:
    """Draw a table and a line through it: every column moves y by about one `unit` per standard deviation.

    `centre` is the mean of y in units, `noise` its noise as a share of the standard deviation of the signal.
    """
    rows = size(draw) if rows is None else rows
    X = np.column_stack([column(rows + CLEAN_ROWS) for column in columns])
    effects = draw.uniform(0.5, 1.5, X.shape[1]) * draw.choice([-1.0, 1.0], X.shape[1])
    drawn_centre, drawn_noise = draw.normal(), between(draw, 0.03, 0.8)
    return on_a_line(
        draw, X, rows, effects * unit, (drawn_centre if centre is None else centre) * unit, noise or drawn_noise
    )


def on_a_line(draw: Draw, X: Array, rows: int, effects: Array, centre: float, noise: float) -> Run:
    """Return the run whose y moves by `effects` per standard deviation of the columns of X, around `centre`."""
    spread = X.std(axis=0)
    spread[spread == 0] = 1
    signal = centre + (X - X.mean(axis=0)) @ (effects / spread)
    noise = noise * (signal.std() or 1.0)
    y = signal[:rows] + noise * draw.normal(size=rows)
    return Run(X[:rows], y, X[rows:], signal[rows:], float(noise))


def bells(draw: Draw, features: int, correlation: float = 0.0) -> list[Column]:
    """Return standard normal columns that share a part, so that any two correlate alike."""
    shared: list[Array] = []

    def column(rows: int) -> Array:
        if not shared:
            shared.append(draw.normal(size=rows))
        return math.sqrt(correlation) * shared[0] + math.sqrt(1 - correlation) * draw.normal(size=rows)

    return [column] * features


def slopes(run: Run) -> Array:
    """Return the true coefficients, those of the clean rows; of many, the shortest in standard deviations."""
    spread = run.clean_x.std(axis=0)
    spread = np.where(spread > 0, spread, np.abs(run.clean_x).max(axis=0) + 1.0)
    centred = (run.clean_x - run.clean_x.mean(axis=0)) / spread
    return np.linalg.lstsq(centred, run.clean_y - run.clean_y.mean(), rcond=1e-12)[0] / spread


def scaler(X: Array) -> Callable[[Array], Array]:
    """Return the function that standardises columns as X has them."""
    centre, spread = X.mean(axis=0), X.std(axis=0)
    spread = np.where(spread == 0, 1, spread)
    return lambda other: (other - centre) / spread


def standardised(run: Run) -> Run:
    return run.columns_mapped(scaler(run.X))


def validated(draw: Draw, run: Run, rows: int | None = None) -> Run:
    """Give a run validation data of the same law."""
    drawn = size(draw, 30, 400)
    chosen = slice(0, drawn if rows is None else rows)
    X, y = run.clean_x[chosen], run.clean_y[chosen]
    return replace(run, validation=(X, y + run.noise * draw.normal(size=len(y))))


# Settings.


def steps_an_epoch(run: Run) -> int:
    return math.ceil(len(run.y) / run.settings["batch_size"])


def spectrum(run: Run) -> Array:
    """Return the eigenvalues of the Gram matrix of [X, 1], divided by the rows."""
    X = design(run.X)
    return np.linalg.eigvalsh(X.T @ X / len(X))


def curvature(run: Run) -> float:
    """Return the largest curvature that a batch shows: that of all rows, and for small batches that of one row."""
    batch = min(run.settings["batch_size"], len(run.y))
    longest = (design(run.X) ** 2).sum(axis=1).max()
    share = 0.0 if batch == len(run.y) else 1 / batch
    top = spectrum(run)[-1] * (1 - share) + longest * share
    return top * slope_factor(run) + 2 * getattr(run.settings.get("kernel_regularizer"), "l2", 0.0)


def slope_factor(run: Run) -> float:
    loss = run.settings["loss"]
    rows = min(run.settings["batch_size"], len(run.y)) if loss.reduction == "sum" else 1
    return rows * (2 if isinstance(loss, MeanSquaredError) else 1)


def limit(run: Run) -> float:
    """Return the learning rate above which plain gradient descent overshoots, whatever the optimizer."""
    return 2 / curvature(run)


def distance(run: Run) -> float:
    """Return how far the parameter with the longest way has to go from zero."""
    return float(np.abs(np.linalg.lstsq(design(run.X), run.y, rcond=None)[0]).max())


def calm_rate(run: Run, share: float = 0.5) -> float:
    """Return a learning rate that suits: a share of the limit, or for adaptive rules a few times what reaches."""
    optimizer = run.settings["optimizer"]
    if isinstance(optimizer, SGD):
        return typed(share * limit(run) * (1 - optimizer.momentum))
    return typed(10 * share * distance(run) / (steps_an_epoch(run) * run.settings["epochs"]))


def calmed(run: Run) -> Run:
    return run.at_rate(calm_rate(run))


def settled(draw: Draw, run: Run, rule: str | None = None, loss: str | None = None, batch: Any = None) -> Run:
    """Give a run settings that suit its table: what is not asked for is drawn.

    `rule` is one of sgd, momentum, nesterov, adam, rmsprop; `batch` a number of rows or "full".
    """
    # Each is drawn even where it is asked for, so that what is drawn next does not depend on it.
    rule = (rule, pick(draw, "sgd", "sgd", "momentum", "nesterov", "adam", "adam", "rmsprop"))[rule is None]
    batch = (batch, pick(draw, 16, 32, 32, 64, "full"))[batch is None]
    loss = (loss, pick(draw, "mse", "mse", "huber"))[loss is None]
    momentum, share, plenty = pick(draw, 0.5, 0.8, 0.9), draw.uniform(0.2, 0.7), draw.uniform(1.2, 4.0)
    delta = pick(draw, 1.0, 1.35, 2.0, 5.0)
    reach = float(np.abs(run.y).max())
    common = {
        "loss": Huber(delta) if loss == "huber" and reach < 10 * delta else MeanSquaredError(),
        "batch_size": len(run.y) if batch == "full" else batch,
        "epochs": 100,
        "shuffle": bool(draw.random() < 0.9),
        "random_state": int(draw.integers(10_000)),
        "kernel_initializer": pick(draw, "zeros", "glorot_uniform"),
        "optimizer": {
            "sgd": SGD(),
            "momentum": SGD(momentum=momentum),
            "nesterov": SGD(momentum=momentum, nesterov=True),
            "adam": Adam(),
            "rmsprop": RMSprop(),
        }[rule],
    }
    run = run.told(**common)
    run = run.told(epochs=fitting_epochs(run, share, plenty))
    return run.at_rate(calm_rate(run, share))


def fitting_epochs(run: Run, share: float, plenty: float) -> int:
    """Return epochs enough to converge, `plenty` times what the slowest direction that matters needs."""
    if isinstance(run.settings["optimizer"], SGD):
        values = spectrum(run) * slope_factor(run)
        needed = 3 / (share * limit(run) * values[values > 1e-3 * values[-1]][0])
    else:
        needed = 150
    epochs = math.ceil(plenty * needed / steps_an_epoch(run))
    return max(20, min(epochs, 500, MOST_STEPS // steps_an_epoch(run)))
