"""Made tables of a known law: columns that count, wait, come in kinds, lag behind, repeat with the seasons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.signal import lfilter

from benchmarks.faults.fifth_plan import Generator, Plan
from benchmarks.faults.objective import Array


@dataclass(frozen=True)
class Wish:
    """What a table and its training must be like; `meet` holds two wishes at once.

    Parameters
    ----------
    rows, width, noise : tuple
        Least and most rows, columns, and noise (in deviations of what X explains).
    real : {"own", "made", "never"}
        Real tables with any target, with a made one only, or none.
    val : bool, optional
        Whether rows are set aside for validation; None for either.
    kinds, losses, scalers, units, batches : frozenset of str
        What may be chosen of optimizers, losses, scalers, units of the target and batches.
    speed : tuple of float
        Share of the largest stable learning rate.
    patience : int
        How much longer than needed the run may take.
    basis : bool
        Whether some of the columns are to be mixed.
    tails : tuple of str
        Laws of the noise.
    momenta : tuple of float
        Momenta of gradient descent.
    """

    rows: tuple[float, float] = (12, 5000)
    width: tuple[float, float] = (1, 40)
    noise: tuple[float, float] = (0.05, 1.5)
    real: str = "own"
    val: bool | None = None
    kinds: frozenset[str] = frozenset(
        (
            "sgd",
            "momentum",
            "nesterov",
            "schedule",
            "clipped",
            "adam",
            "amsgrad",
            "adam_schedule",
            "rmsprop",
            "centered",
        )
    )
    losses: frozenset[str] = frozenset(("mse", "huber"))
    scalers: frozenset[str] = frozenset(("standard", "frozen", "minmax", "maxabs", "decades"))
    units: frozenset[str] = frozenset(("standard", "spread", "raw", "decade"))
    batches: frozenset[str] = frozenset(("full", "mini"))
    speed: tuple[float, float] = (0.1, 0.7)
    patience: int = 1
    basis: bool = False
    tails: tuple[str, ...] = ("normal", "normal", "normal", "uniform", "laplace", "heavy")
    momenta: tuple[float, ...] = (0.5, 0.8, 0.9)

    def meet(self, other: Wish) -> Wish | None:
        """Return the wish for both, None where nothing fulfils it."""
        met: dict[str, Any] = {}
        for name in ("rows", "width", "noise", "speed"):
            (a, b), (c, d) = getattr(self, name), getattr(other, name)
            met[name] = (max(a, c), min(b, d))
        for name in ("kinds", "losses", "scalers", "units", "batches"):
            met[name] = getattr(self, name) & getattr(other, name)
        if any(low > high for low, high in (met[n] for n in ("rows", "width", "noise", "speed"))):
            return None
        if not all(met[name] for name in ("kinds", "losses", "scalers", "units", "batches")):
            return None
        met["real"] = max(self.real, other.real, key=("own", "made", "never").index)
        met["val"] = self.val if other.val is None else other.val
        met["tails"] = min(self.tails, other.tails, key=len)
        return Wish(**met, patience=max(self.patience, other.patience), basis=self.basis or other.basis)


class World(NamedTuple):
    """A made table: the target's mean and deviation, and the columns with their laws (see `LAWS`)."""

    target: float
    spread: float
    columns: tuple[tuple[Any, ...], ...]


WORLDS = {
    "hotel": World(210, 64, (("lead_days", "waiting", 24), ("price_eur", "skewed", 118, 0.35),
        ("events", "counts", 1.2), ("weekend", "yesno", 0.29), ("yearly", "season", 365))),
    "beehives": World(18, 6, (("brood_frames", "integer", 2, 11), ("mites", "rare", 0.35, 2), ("forage", "share", 2, 5),
        ("queen_years", "integer", 1, 4))),
    "river": World(245, 60, (("level_lag", "lags", 3, 0.8), ("rain_mm", "rare", 0.4, 6), ("snowmelt", "season", 365))),
    "call_centre": World(95, 38, (("agents", "integer", 6, 30), ("calls", "counts", 45), ("new_hires", "rare", 0.2, 1),
        ("day", "kinds", 5))),
    "data_centre": World(42, 11, (("requests", "skewed", 5200, 0.5), ("cached", "share", 8, 2),
        ("nodes", "levels", 2, 4, 8, 16), ("region", "kinds", 4))),
    "greenhouse": World(5400, 900, (("co2_ppm", "clusters", 420, 900, 40, 0.5), ("light_mol", "normal", 17, 4),
        ("feed_ml", "levels", 0, 50, 100, 200), ("variety", "kinds", 3))),
    "school": World(512, 78, (("item", "likert", 8), ("homework_h", "waiting", 4), ("siblings", "counts", 1.3))),
    "brewery": World(77, 4, (("mash_c", "levels", 62, 64, 66, 68, 70), ("pitch", "skewed", 0.9, 0.3),
        ("ph", "normal", 5.3, 0.12), ("days", "integer", 5, 16))),
    "air": World(31, 12, (("traffic", "counts", 60), ("wind_m_s", "skewed", 3.1, 0.45), ("warmth", "season", 365),
        ("inversion", "yesno", 0.2), ("no2_lag", "lags", 2, 0.6))),
    "gas_sensor": World(140, 45, (("ratio", "share", 4, 3), ("humidity", "uniform", 20, 90),
        ("cell_c", "clusters", 15, 38, 2.5, 0.6))),
    "rents": World(12.4, 2.9, (("floor", "integer", 0, 8), ("size_m2", "skewed", 64, 0.4), ("lift", "yesno", 0.45),
        ("district", "kinds", 10))),
    "earthquakes": World(-1.9, 0.6, (("magnitude", "waiting", 0.45), ("distance_km", "skewed", 60, 0.6),
        ("depth_km", "clusters", 8, 35, 4, 0.7), ("soil", "kinds", 3))),
    "fishing": World(760, 240, (("hours", "waiting", 9), ("engine_kw", "levels", 40, 75, 110), ("moon", "season", 29.5),
        ("crew", "integer", 2, 6))),
    "milling": World(2.1, 0.5, (("feed", "levels", -1, 0, 1), ("speed", "levels", -1, 0, 1), ("depth", "levels", -1, 1),
        ("coolant", "levels", 0, 1))),
    "podcast": World(15400, 5200, (("episode", "trend"), ("minutes", "uniform", 18, 95), ("guests", "rare", 0.5, 0.6),
        ("month", "kinds", 12))),
    "glacier": World(24, 8, (("degree_days", "skewed", 4.2, 0.4), ("albedo", "share", 5, 4), ("day", "trend"),
        ("snow_mm", "rare", 0.25, 14))),
    "resistance": World(109, 5.8, (("celsius", "uniform", 0, 60),)),
    "counter": World(880, 150, (("pulses", "counts", 300),)),
    "chess": World(1620, 210, (("games", "skewed", 240, 0.8), ("puzzles", "rare", 0.6, 30),
        ("years", "integer", 1, 25))),
    "warehouse": World(48, 13, (("shelf", "kinds", 22), ("kilos", "skewed", 2.4, 0.6), ("aisle", "integer", 1, 40))),
    "survey": World(62, 17, (("item", "likert", 24), ("age", "integer", 18, 88))),
    "telemetry": World(310, 85, (("torque_lag", "lags", 20, 0.5), ("gear", "kinds", 6), ("grade", "normal", 0, 3))),
    "postcodes": World(3.4, 0.9, (("code", "kinds", 36), ("income", "skewed", 31000, 0.35))),
    "tide": World(1013, 8, (("level", "slow", 0, 1.4, 0.9), ("moon", "season", 29.5), ("day", "trend"))),
}  # fmt: skip
"""No two columns of a world repeat each other; "kinds" are dummies without their reference."""


# Laws of columns: (rng, count, t, *numbers) -> (count, columns).


def _slow(rng: Generator, count: int, phi: float, width: int = 1) -> Array:
    """Return a first-order autoregression of variance 1, in `width` steps behind one another."""
    series = lfilter([1.0], [1.0, -phi], rng.normal(size=count + width + 200))[200:] * np.sqrt(1 - phi**2)
    return np.column_stack([series[k : k + count] for k in range(width)])


def _kinds(rng: Generator, count: int, levels: int) -> Array:
    share = 1 / (levels + np.arange(levels))
    drawn = rng.choice(levels, count, p=share / share.sum())
    return (drawn[:, np.newaxis] == np.arange(1, levels)).astype(float)


def _likert(rng: Generator, count: int, items: int) -> Array:
    mood = rng.normal(size=(count, 1))
    return np.clip(np.round(3 + 0.6 * mood + 1.0 * rng.normal(size=(count, items))), 1, 5)


def _rare(rng: Generator, count: int, often: float, size: float) -> Array:
    return np.where(rng.random(count) < often, 1 + rng.poisson(size, count), 0).astype(float)


def _clusters(rng: Generator, count: int, one: float, other: float, size: float, often: float) -> Array:
    return np.where(rng.random(count) < often, one, other) + size * rng.normal(size=count)


LAWS: dict[str, Callable[..., Array]] = {
    "normal": lambda rng, n, t, mean, size: mean + size * rng.normal(size=n),  # noqa: ARG005
    "uniform": lambda rng, n, t, low, high: rng.uniform(low, high, n),  # noqa: ARG005
    "integer": lambda rng, n, t, low, high: rng.integers(low, high + 1, n).astype(float),  # noqa: ARG005
    "skewed": lambda rng, n, t, median, sigma: median * np.exp(sigma * rng.normal(size=n)),  # noqa: ARG005
    "counts": lambda rng, n, t, mean: rng.poisson(mean, n).astype(float),  # noqa: ARG005
    "rare": lambda rng, n, t, often, size: _rare(rng, n, often, size),  # noqa: ARG005
    "clusters": lambda rng, n, t, *about: _clusters(rng, n, *about),  # noqa: ARG005
    "waiting": lambda rng, n, t, mean: rng.exponential(mean, n),  # noqa: ARG005
    "share": lambda rng, n, t, a, b: rng.beta(a, b, n),  # noqa: ARG005
    "levels": lambda rng, n, t, *values: rng.choice(np.array(values, float), n),  # noqa: ARG005
    "yesno": lambda rng, n, t, often: (rng.random(n) < often).astype(float),  # noqa: ARG005
    "season": lambda rng, n, t, period: np.sin(2 * np.pi * t / period),  # noqa: ARG005
    "trend": lambda rng, n, t: t.astype(float),  # noqa: ARG005
    "slow": lambda rng, n, t, mean, size, phi: mean + size * _slow(rng, n, phi),  # noqa: ARG005
    "lags": lambda rng, n, t, width, phi: _slow(rng, n, phi, width),  # noqa: ARG005
    "kinds": lambda rng, n, t, levels: _kinds(rng, n, levels),  # noqa: ARG005
    "likert": lambda rng, n, t, items: _likert(rng, n, items),  # noqa: ARG005
}


def _width(column: tuple[Any, ...]) -> int:
    if column[1] == "kinds":
        return int(column[2]) - 1
    return int(column[2]) if column[1] in ("likert", "lags") else 1


def _noise(rng: Generator, count: int, tail: str) -> Array:
    if tail == "heavy":
        return rng.standard_t(4, count) / np.sqrt(2)
    if tail == "laplace":
        return rng.laplace(size=count) / np.sqrt(2)
    return rng.uniform(-1, 1, count) * np.sqrt(3) if tail == "uniform" else rng.normal(size=count)


# Columns that can be mixed into an ill-conditioned table: orthogonal ones, and the matrix that mixes them.

BASES = ("bands", "probes", "windows", "hinges", "transforms")


def mixing(basis: str, k: int) -> Callable[[float], Array]:
    """Return what mixes k independent columns, for a strength of 0 (hardly) to 1 (badly).

    "bands": absorption at neighbouring wavelengths, whose bell curves overlap. "probes": sensors along a pipe, each
    like its neighbour. "windows": averages of the last 1, 2, .. k weeks.
    """
    steps = np.arange(k)
    apart = np.abs(steps[:, np.newaxis] - steps)
    if basis == "bands":
        return lambda strength: np.exp(-(apart**2) / (2 * (0.4 + 1.7 * strength) ** 2))
    if basis == "probes":
        return lambda strength: np.linalg.cholesky((1 - 0.5 * 10 ** (-3 * strength)) ** apart).T
    return lambda strength: np.triu(np.ones((k, k))) / (steps + 1)  # noqa: ARG005


def _raw_curve(basis: str, x: Array, k: int) -> Array:
    """Return k functions of one variable between 0 and 1: hinges at k knots, or the usual transformations."""
    if basis == "hinges":
        return np.maximum(x[:, np.newaxis] - np.arange(k) / (k + 1), 0)
    return np.column_stack([x, np.sqrt(x), np.log(x + 0.05), x**2, x**1.5][:k])


def _curve(rng: Generator, basis: str, k: int) -> tuple[Callable[[Generator, int], Array], Callable[[float], Array]]:
    """Return how the orthogonal columns of a curve are drawn, and what mixes them."""
    if basis not in ("hinges", "transforms"):
        return lambda draws, count: draws.normal(size=(count, k)), mixing(basis, k)
    raw = _raw_curve(basis, rng.random(20000), k)
    mean, triangle = raw.mean(axis=0), np.linalg.cholesky(np.cov(raw.T)).T
    return (
        lambda draws, count: np.linalg.solve(triangle.T, (_raw_curve(basis, draws.random(count), k) - mean).T).T,
        lambda strength: triangle,  # noqa: ARG005
    )


def made(rng: Generator, wish: Wish) -> Plan | None:
    """Draw a made table that fulfils a wish.

    Parameters
    ----------
    rng : Generator
        Decides everything.
    wish : Wish
        What is wanted.

    Returns
    -------
    Plan or None
        The table with no decisions taken yet; None where the draw does not fulfil the wish.
    """
    place = str(rng.choice(list(WORLDS)))
    world = WORLDS[place]
    columns = list(world.columns)
    if wish.basis:
        columns = [c for c in columns if c[1] not in ("kinds", "likert", "lags")][: int(rng.integers(0, 3))]
    elif rng.random() < 0.25 and wish.width[0] <= 8:
        columns = [columns[j] for j in sorted(rng.choice(len(columns), int(rng.integers(1, len(columns) + 1)), False))]
    basis = str(rng.choice(BASES)) if wish.basis else ""
    k = {"": 0, "transforms": int(rng.integers(3, 6))}.get(basis, int(rng.integers(4, 11)))
    names, blocks, clock = [], [], None
    for column in columns:
        begin, width = len(names), _width(column)
        names += [column[0]] if width == 1 else [f"{column[0]}_{j + 1}" for j in range(width)]
        blocks += [tuple(range(begin, begin + width))] if column[1] == "kinds" else []
        clock = begin if column[1] == "trend" else clock
    curve = tuple(range(len(names), len(names) + k))
    names += [f"{basis}_{j + 1}" for j in range(k)]
    if not wish.width[0] <= len(names) <= wish.width[1]:
        return None
    least = max(wish.rows[0], 6 * (len(names) + 1))
    if least > wish.rows[1]:
        return None
    n = round(float(np.exp(rng.uniform(np.log(least), np.log(max(least, min(wish.rows[1], least * 60)))))))
    draw_curve, recipe = _curve(rng, basis, k) if k else (None, None)
    tail, ratio = str(rng.choice(wish.tails)), float(np.exp(rng.uniform(*np.log(wish.noise))))

    def features(count: int, t: Array) -> Array:
        parts = [LAWS[c[1]](rng, count, t, *c[2:]).reshape(count, -1) for c in columns]
        return np.column_stack(parts + ([draw_curve(rng, count)] if draw_curve else []))

    fresh = features(2000, np.sort(rng.integers(0, n, 2000)))
    size = fresh.std(axis=0)
    if (size == 0).any():
        return None
    effects = rng.uniform(0.3, 1.2, len(names)) * rng.choice([-1, 1], len(names)) / size
    effects *= world.spread / max(float((fresh @ effects).std()), 1e-12) / np.sqrt(1 + ratio**2)
    noise = world.spread * ratio / np.sqrt(1 + ratio**2)

    def targets(X: Array) -> Array:
        return world.target + (X - fresh.mean(axis=0)) @ effects + noise * _noise(rng, len(X), tail)

    X = features(n, np.arange(n))
    if (X.std(axis=0) == 0).any():
        return None
    val_X = features(count := int(rng.integers(40, 300)), np.sort(rng.integers(0, n, count)))
    wanted = rng.random() < 0.35 if wish.val is None else wish.val
    return Plan(
        place=place,
        names=tuple(names),
        X=X,
        y=targets(X),
        fresh=(fresh, targets(fresh)),
        coef=effects,
        noise=noise,
        blocks=tuple(blocks),
        clock=clock,
        basis=basis,
        curve=curve,
        recipe=recipe,
        val=(val_X, targets(val_X)) if wanted else None,
        natural=("outliers", "high_leverage") if tail == "heavy" else (),
    )
