"""Mistakes as they happen: each draws its numbers for one study, and returns what it does to any version of it.

A mistake that does not fit the study returns None. With `mild` it is made small enough that it may do no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.faults.fourth_fields import Generator, Study
from benchmarks.faults.objective import Array
from linreg import L1, L2, SGD, Adam, Huber, schedules

Slip = Callable[[Study], Study]
NEEDS: dict[str, set[str]] = {
    "outliers": {"made"}, "regularization": {"exact"}, "overfitting": {"many", "wide"}, "validation_shift": {"val"},
    "collinearity": {"made"}, "ill_conditioned": {"made"}, "constant_feature": {"made"}, "target_scale": {"touchy"},
    "batch_noise": {"noisy", "full"}, "high_leverage": {"made", "plain"}, "momentum_too_high": {"momentum"},
}  # fmt: skip
"""What a study must be like for a mistake to be possible in it."""
ORDER = (
    "overfitting", "ill_conditioned", "collinearity", "high_leverage", "constant_feature", "outliers", "feature_scale",
    "target_scale", "validation_shift", "regularization", "loss_reduction", "momentum_too_high",
    "learning_rate_too_high", "learning_rate_too_low", "batch_noise", "missing_values", "wrong_dtype",
)  # fmt: skip
"""Every cause, in the order in which the mistakes are made: rows and columns first, cells last."""


# Small changes.


def train(study: Study, **settings: Any) -> Study:
    """Return the study with other settings."""
    return replace(study, settings={**study.settings, **settings})


def optimize(study: Study, **hyperparameters: Any) -> Study:
    """Return the study with other hyper-parameters of its optimizer."""
    return train(study, optimizer=replace(study.settings["optimizer"], **hyperparameters))


def scaled_rate(study: Study, factor: float) -> Study:
    """Return the study with its learning rate, or the height of its schedule, times a factor."""
    rate = study.settings["optimizer"].learning_rate
    if isinstance(rate, float):
        return optimize(study, learning_rate=float(f"{rate * factor:.3g}"))
    heights = ("initial_learning_rate", "end_learning_rate", "warmup_target")
    given = {name: getattr(rate, name) * factor for name in heights if getattr(rate, name, None) is not None}
    if hasattr(rate, "values"):
        given["values"] = tuple(value * factor for value in rate.values)
    return optimize(study, learning_rate=replace(rate, **given))


def steps(study: Study) -> int:
    """Return how many batches the run has."""
    return study.settings["epochs"] * -(-len(study.y) // (study.batch or len(study.y)))


def mapped(study: Study, columns: Callable[[Array], Array]) -> Study:
    """Return the study with other columns, made from its own, for training, fresh and validation rows alike."""
    val = None if study.val is None else (columns(study.val[0]), study.val[1])
    return replace(study, X=columns(study.X), fresh=(columns(study.fresh[0]), study.fresh[1]), val=val)


def appended(study: Study, names: tuple[str, ...], columns: Callable[[Array], Array]) -> Study:
    """Return the study with further columns that have no effect of their own."""
    study = mapped(study, lambda X: np.column_stack([X, columns(X)]))
    coef = np.append(study.coef, np.zeros(len(names)))
    return replace(study, names=(*study.names, *names), coef=coef)


def cells(study: Study, rows: Array, column: int, values: list[Any]) -> Study:
    """Return the study with other values in some cells of what is given to `fit`."""
    found = tuple((int(i) % len(study.y), column, value) for i, value in zip(rows, values, strict=True))
    return replace(study, cells=(*study.cells, *found))


def _some(rng: Generator, study: Study, low: float, high: float) -> Array:
    count = max(1, round(len(study.y) * rng.uniform(low, high)))
    return rng.choice(len(study.y), count, replace=False)


# Data.


def missing_values(rng: Generator, study: Study, mild: bool) -> Slip | None:
    """A sensor drops out, a ratio divides by zero, the last targets are not known yet."""
    if mild:
        return None
    rows, column = _some(rng, study, 0.005, 0.1), int(rng.integers(study.X.shape[1]))
    kind = rng.choice(["dropout", "dropout", "infinite", "target"])
    if kind == "target":
        rows, column = np.arange(len(study.y) - len(rows), len(study.y)), -1
    return lambda s: cells(s, rows, column, [np.inf if kind == "infinite" else np.nan] * len(rows))


def wrong_dtype(rng: Generator, study: Study, mild: bool) -> Slip | None:
    """Decimal commas, units in the cells, "n/a", yes and no in words, a currency sign in the target."""
    if mild:
        return None
    column = int(rng.integers(-1, study.X.shape[1]))
    values = study.y if column < 0 else study.X[:, column]
    rows, kind = _some(rng, study, 0.01, 0.1), str(rng.choice(["comma", "unit", "n/a", "unknown", "-"]))
    if kind in ("comma", "unit"):
        rows = np.arange(len(study.y)) if kind == "comma" or rng.random() < 0.3 else rows
        unit = ("EUR", "kg", "cm", "%")[int(rng.integers(4))]
        texts = [f"{v:.2f}".replace(".", ",") if kind == "comma" else f"{v:.1f} {unit}" for v in values[rows]]
        if set(values) == {0.0, 1.0}:
            texts = ["yes" if v else "no" for v in values[rows]]
    else:
        texts = [kind] * len(rows)

    def slip(s: Study) -> Study:
        container = "pandas" if s.container == "polars" else s.container  # a polars column has one type
        return cells(replace(s, container=container, natural=(*s.natural, "missing_values")), rows, column, texts)

    return slip


def outliers(rng: Generator, study: Study, mild: bool) -> Slip | None:
    """A lost decimal point, a sign, a zero for a failed measurement, -999 for a missing one."""
    rows, kind = _some(rng, study, 0.01, 0.05), str(rng.choice(["point", "sign", "zero", "code", "large"]))
    column, factor = int(rng.integers(study.X.shape[1])), float(rng.choice([10, 100]))
    if mild:
        rows, kind = rows[:2], "near"

    def slip(s: Study) -> Study:
        i, X, y = rows % len(s.y), s.X.copy(), s.y.copy()
        if kind == "code":
            X[i, column] = -999
        elif kind == "large":
            y[i] += s.y.std() * 2 * factor
        elif kind == "near":
            y[i] += 4 * s.noise
        else:
            y[i] *= {"point": factor, "sign": -1, "zero": 0}[kind]
        return replace(s, X=X, y=y, natural=(*s.natural, "high_leverage"))

    return slip


def high_leverage(rng: Generator, study: Study, mild: bool) -> Slip | None:
    """A few giants among ordinary rows: they obey the same law, but the rate was found without them."""
    count, far = int(rng.integers(1, 5)), rng.uniform(3, 5) if mild else rng.uniform(15, 80)
    several = rng.random() < 0.5
    direction = np.where((rng.random(len(study.coef)) < 0.4) | (np.std(study.X, axis=0) == 0), 0.0, 1.0)
    if not several or not direction.any():
        direction = np.eye(len(study.coef))[int(rng.integers(len(study.coef)))]
    sizes, off = rng.uniform(0.7, 1.3, count) * far, rng.normal(size=count)

    def slip(s: Study) -> Study:
        along = np.zeros(s.X.shape[1])
        along[: len(direction)] = direction
        extra = s.X[np.arange(count) % len(s.X)] + sizes[:, np.newaxis] * along * s.fresh[0].std(axis=0)
        centre = s.fresh[0].mean(axis=0)
        y = s.fresh[1].mean() + (extra - centre) @ s.coef + s.noise * off
        weight = None if s.weight is None else np.append(s.weight, np.full(count, s.weight.mean()))
        return replace(s, X=np.vstack([s.X, extra]), y=np.append(s.y, y), weight=weight)

    return slip


def overfitting(rng: Generator, study: Study, mild: bool) -> Slip | None:
    """Hardly more rows than columns: a pilot study with everything measured."""
    columns = study.X.shape[1]
    n = columns * int(rng.integers(10, 15)) if mild else columns + int(rng.integers(4, max(6, columns)))
    return lambda s: replace(s, X=s.X[:n], y=s.y[:n], weight=None if s.weight is None else s.weight[:n])


def collinearity(rng: Generator, study: Study, mild: bool) -> Slip | None:
    """The same quantity twice: in another unit, by a second instrument, as a sum, as both dummies of a pair."""
    varied = np.flatnonzero(study.X.std(axis=0) > 0)
    j, key, kind = int(rng.choice(varied)), int(rng.integers(2**31)), str(rng.choice(["unit", "twin", "sum", "other"]))
    other = int(rng.choice(varied))
    share = rng.uniform(0.4, 0.8) if mild else 10 ** rng.uniform(-3.5, -1.7)
    factor, offset = ((1.8, 32.0), (2.54, 0.0), (0.4536, 0.0))[int(rng.integers(3))]
    if (kind == "other" and set(study.X[:, j]) != {0.0, 1.0}) or other == j:
        kind = "twin"

    def slip(s: Study) -> Study:
        size = s.fresh[0][:, j].std()

        def column(X: Array) -> Array:
            jitter = share * size * np.random.default_rng([key, len(X)]).normal(size=len(X))
            whole = {"unit": factor * X[:, j] + offset, "sum": X[:, j] + X[:, other], "other": 1 - X[:, j]}
            exact = whole.get(kind, X[:, j])
            return exact if kind == "other" else exact + jitter * (factor if kind == "unit" else 1)

        return appended(s, (f"{s.names[j]}_{kind}",), column)

    return slip


def ill_conditioned(rng: Generator, study: Study, mild: bool) -> Slip | None:
    """Channels that overlap, each a mixture of what is looked for; or the bare powers of one variable."""
    d = study.X.shape[1]
    if study.names == ("p1", "p2", "p3"):
        if mild:
            return None
        middle, half = rng.uniform(15, 30), rng.uniform(8, 14)

        def powers(X: Array) -> Array:
            t = (middle + half * X[:, 0]) / middle
            return np.column_stack([t, t**2, t**3])

        nodes = np.linspace(-1, 1, 50)
        legendre = np.column_stack([nodes, 1.5 * nodes**2 - 0.5, 2.5 * nodes**3 - 1.5 * nodes, np.ones(50)])
        basis = np.column_stack([powers(nodes[:, np.newaxis]), np.ones(50)])
        table = np.linalg.lstsq(basis, legendre, rcond=None)[0][:3, :3]
        return lambda s: replace(mapped(s, powers), names=("t", "t2", "t3"), coef=table @ s.coef)
    if d < 3 and not mild:
        return None
    left, right = (np.linalg.qr(rng.normal(size=(d, d)))[0] for _ in range(2))
    weak = rng.uniform(0.2, 0.5) if mild else 10 ** rng.uniform(-2.5, -1)
    mixing = left @ np.diag(np.geomspace(1, weak, d)) @ right

    def slip(s: Study) -> Study:
        mean, size = s.fresh[0].mean(axis=0), s.fresh[0].std(axis=0)
        mix = np.eye(s.X.shape[1])
        mix[:d, :d] = np.diag(1 / size[:d]) @ mixing @ np.diag(size[:d])
        names = tuple(f"channel_{k + 1}" for k in range(d)) + s.names[d:]
        found = mapped(s, lambda X: mean + (X - mean) @ mix)
        return replace(found, names=names, coef=np.linalg.solve(mix, s.coef))

    return slip


def constant_feature(rng: Generator, study: Study, mild: bool) -> Slip | None:
    """A column of ones beside the intercept, or a number that is the same in every row: a site, a setting, a year."""
    name, value = (("const", 1.0), ("site", 3.0), ("gain", 2.0), ("line", 7.0), ("year", 2023.0))[rng.integers(5)]
    if mild and study.prep == "none":
        return None

    def slip(s: Study) -> Study:
        raw = s.raw if mild else (*s.raw, s.X.shape[1])
        return replace(appended(s, (name,), lambda X: np.full(len(X), value)), raw=raw)

    return slip


# Units.


def feature_scale(rng: Generator, study: Study, mild: bool) -> Slip | None:
    """The scaler was forgotten, a column came in after it, or a column came in other units."""
    j, factor = int(rng.integers(study.X.shape[1])), float(rng.choice([100, 1000, 1e-3, 1e4]))
    if mild and study.prep == "none":
        factor = float(rng.choice([2, 2.54, 0.5]))
    if study.prep == "none" or mild:  # behind a scaler any unit is fine
        return lambda s: _unit(s, j, factor)
    if rng.random() < 0.5:
        return lambda s: replace(s, prep="none")
    return lambda s: replace(s, raw=(*s.raw, j))


def _unit(study: Study, j: int, factor: float) -> Study:
    factors = np.ones(study.X.shape[1])
    factors[j] = factor
    return replace(mapped(study, lambda X: X * factors), coef=study.coef / factors)


def target_scale(rng: Generator, study: Study, mild: bool) -> Slip | None:
    """The target was left in its own units, or came in a thousandth of them, where steps have a fixed size."""
    kind = str(rng.choice(["own", "thousandth", "hundred"]))
    if mild:
        factor = rng.uniform(1.5, 3)
        return lambda s: replace(s, unit=(s.unit[0], s.unit[1] / factor))
    if kind == "own" and study.unit == (0.0, 1.0):
        return None
    small = {"own": 1.0, "thousandth": 1e3, "hundred": 1e2}[kind]
    return lambda s: replace(s, unit=(0.0, (1.0 if kind == "own" else s.unit[1]) / small))


def validation_shift(rng: Generator, study: Study, mild: bool) -> Slip | None:
    """Validation rows of another site, after a rise in prices, with a scaler of their own or none."""
    kind = "season" if mild else str(rng.choice(["site", "rise", "own", "raw X", "raw y", "other law"]))
    if (kind == "raw y" and study.unit == (0.0, 1.0)) or (kind in ("own", "raw X") and study.prep == "none"):
        return None
    moved, direction = rng.uniform(1, 3), rng.normal(size=len(study.coef))

    def slip(s: Study) -> Study:
        (X, y), size = s.val, s.fresh[0].std(axis=0)
        if kind in ("season", "own"):  # other rows under the same law; with a scaler of its own, it hides the move
            step = np.zeros(len(s.coef))
            step[: len(direction)] = moved / 2 * (direction * size[: len(direction)])
            X, y = X + step, y + step @ s.coef
        elif kind == "site":
            y = y + moved * (s.noise + s.fresh[1].std())
        elif kind == "rise":
            y = y * (1 + 0.2 * moved)
        elif kind == "other law":
            y = y + ((X - s.fresh[0].mean(axis=0)) / size)[:, : len(direction)] @ direction * moved * s.noise
        prep = kind if kind in ("own", "raw X", "raw y") else s.val_prep
        return replace(s, val=(X, y), val_prep=prep)

    return slip


# Training.


def learning_rate_too_high(rng: Generator, _study: Study, mild: bool) -> Slip | None:
    """A rate from another problem, a decimal point, a warm-up that ends too high."""
    factor = rng.uniform(1.3, 2) if mild else float(rng.choice([10, 20, 50, 100, 1000]))
    if not mild and rng.random() < 0.2:

        def warm_up(s: Study) -> Study:
            rate = s.settings["optimizer"].learning_rate
            if not isinstance(rate, float):
                return scaled_rate(s, factor)
            many = max(2, steps(s))
            return optimize(s, learning_rate=schedules.CosineDecay(rate, many, 0.1, factor * rate, many // 5))

        return warm_up
    return lambda s: scaled_rate(s, factor)


def learning_rate_too_low(rng: Generator, study: Study, mild: bool) -> Slip | None:
    """A cautious 1e-5, Adam's default with too few epochs for it, a schedule that falls within the first epochs."""
    factor = rng.uniform(0.6, 0.8) if mild else float(rng.choice([1 / 30, 1 / 100, 1 / 300, 1 / 1000]))
    rate = study.settings["optimizer"].learning_rate
    if not mild and isinstance(rate, float):
        kind = rng.random()
        if isinstance(study.settings["optimizer"], Adam) and rate >= 0.01 and kind < 0.6:
            return lambda s: optimize(s, learning_rate=0.001)
        if kind < 0.3:
            many = max(1, int(steps(study) * rng.uniform(0.003, 0.02)))
            return lambda s: optimize(s, learning_rate=schedules.ExponentialDecay(rate, many, 0.5))
    return lambda s: scaled_rate(s, factor)


def momentum_too_high(rng: Generator, study: Study, mild: bool) -> Slip | None:
    """0.99 or 0.999 where 0.9 was meant."""
    value = float(rng.choice([0.93, 0.95]) if mild else rng.choice([0.98, 0.99, 0.995, 0.999]))
    name = "beta_1" if isinstance(study.settings["optimizer"], Adam) else "momentum"
    return lambda s: optimize(s, **{name: value})


def loss_reduction(rng: Generator, study: Study, mild: bool) -> Slip | None:
    """A sum beside a rate for means, or weights that are counts and are not divided by."""
    adaptive, size = not isinstance(study.settings["optimizer"], SGD), 10 ** rng.uniform(1.5, 3)
    if adaptive != mild:
        return None
    if rng.random() < 0.6:
        return lambda s: train(s, loss=replace(s.settings["loss"], reduction="sum"))
    counts = rng.gamma(2, size / 2, 1000).round() + 1

    def slip(s: Study) -> Study:
        loss = replace(s.settings["loss"], reduction="sum_over_batch_size")
        return train(replace(s, weight=np.resize(counts, len(s.y))), loss=loss)

    return slip


def batch_noise(rng: Generator, _study: Study, mild: bool) -> Slip | None:
    """Tiny batches at a rate that full batches bear."""
    rows = int(rng.choice([16, 32]) if mild else rng.choice([1, 1, 2, 4]))
    return lambda s: replace(s, batch=rows)


def regularization(rng: Generator, study: Study, mild: bool) -> Slip | None:
    """Ridge's or Lasso's alpha of another library, whose loss is a sum."""
    strength = float(rng.choice([1e-4, 1e-3]) if mild else rng.choice([0.5, 1, 1, 10, 100]))
    scale = 1.0 if isinstance(study.settings["loss"], Huber) or study.unit != (0.0, 1.0) else float(study.y.std())
    if rng.random() < 0.25 and not mild:
        strength = float(f"{0.3 * strength * scale:.1g}")
        return lambda s: train(s, kernel_regularizer=L1(strength))
    return lambda s: train(s, kernel_regularizer=L2(strength))


MISTAKES: dict[str, Callable[[Generator, Study, bool], Slip | None]] = {
    function.__name__: function
    for function in (
        missing_values, wrong_dtype, outliers, high_leverage, overfitting, collinearity, ill_conditioned,
        constant_feature, feature_scale, target_scale, validation_shift, learning_rate_too_high,
        learning_rate_too_low, momentum_too_high, loss_reduction, batch_noise, regularization,
    )
}  # fmt: skip
