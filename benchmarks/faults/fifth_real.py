"""Tables that scikit-learn and statsmodels install, with columns that the other generators do not use."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.faults.fifth_plan import Generator, Plan
from benchmarks.faults.fifth_worlds import Wish
from benchmarks.faults.objective import Array

Frame = pd.DataFrame


def _path(package: str, file: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ImportError(f"The fault bench reads tables of {package}: pip install 'linreg[test]'.")
    return Path(found.submodule_search_locations[0]) / "datasets" / file


def _pick(target: str, *features: str) -> Callable[[Frame], Frame]:
    return lambda table: table[[*features, target]]


def _lagged(name: str, *lags: int) -> Callable[[Frame], Frame]:
    """Return the columns as they were so many rows before, and the column itself."""
    return lambda table: pd.concat(
        [*(table[name].shift(lag).rename(f"lag_{lag}") for lag in lags), table[name].rename("now")], axis=1
    )


def _carbon(table: Frame) -> Frame:
    week = np.arange(len(table))
    seasons = {"week": week, "sine": np.sin(week * 2 * np.pi / 52.18), "cosine": np.cos(week * 2 * np.pi / 52.18)}
    return pd.DataFrame({**seasons, "co2": table["co2"]})


def _ink(table: Frame) -> Frame:
    """Return twelve pixels of the upper half of a written digit, and the ink of the lower half."""
    pixels = table.to_numpy(float)[:, :64]
    upper = {f"p{j}": pixels[:, j] for j in (2, 3, 4, 5, 10, 13, 18, 21, 26, 27, 28, 29)}
    return pd.DataFrame({**upper, "ink": pixels[:, 32:].sum(axis=1)})


def _cells(table: Frame) -> Frame:
    """Return what cell nuclei of a breast look like, and their radius."""
    values = table.to_numpy(float)
    names = {"texture": 1, "smoothness": 4, "concavity": 6, "symmetry": 8, "fractal": 9, "texture_se": 11}
    return pd.DataFrame({**{name: values[:, j] for name, j in names.items()}, "radius": values[:, 0]})


_READ: dict[str, tuple[str, str, dict[str, object], Callable[[Frame], Frame]]] = {
    "fair": ("statsmodels", "fair/fair.csv", {}, _pick("rate_marriage", "age", "children", "religious", "educ")),
    "randhie": ("statsmodels", "randhie/randhie.csv", {},
        _pick("disea", "lncoins", "fmde", "physlm", "hlthf", "hlthp")),
    "macrodata": ("statsmodels", "macrodata/macrodata.csv", {}, _pick("unemp", "tbilrate", "infl", "realinv")),
    "strikes": ("statsmodels", "strikes/strikes.csv", {"skipinitialspace": True}, _pick("duration", "iprod")),
    "sunspots": ("statsmodels", "sunspots/sunspots.csv", {}, _lagged("SUNACTIVITY", 1, 2, 9)),
    "elnino": ("statsmodels", "elnino/elnino.csv", {}, _pick("DEC", "YEAR", "MAR", "JUL", "NOV")),
    "heart": ("statsmodels", "heart/heart.csv", {}, _pick("survival", "censors", "age")),
    "modechoice": ("statsmodels", "modechoice/modechoice.csv", {"sep": ";"},
        _pick("gc", "ttme", "invc", "hinc", "psize")),
    "co2": ("statsmodels", "co2/co2.csv", {}, _carbon),
    "anes96": ("statsmodels", "anes96/anes96.csv", {"sep": "\t", "quotechar": "'"},
        _pick("income", "popul", "TVnews", "age", "educ")),
    "spector": ("statsmodels", "spector/spector.csv", {"sep": r"\s+", "quotechar": "'"},
        _pick("GPA", "TUCE", "PSI", "GRADE")),
    "danish_data": ("statsmodels", "danish_data/data.csv", {"encoding": "utf-8-sig"},
        _pick("lrm", "lry", "ibo", "ide")),
    "interest": ("statsmodels", "interest_inflation/E6.csv", {}, _pick("R", "year", "quarter", "Dp")),
    "elec_equip": ("statsmodels", "elec_equip/elec_equip.csv", {"names": ["date", "made"], "skiprows": 1},
        _lagged("made", 1, 12)),
    "fertility": ("statsmodels", "fertility/fertility.csv", {}, _pick("1988", "1960", "1975")),
    "digits": ("sklearn", "data/digits.csv.gz", {"header": None}, _ink),
    "breast_cancer": ("sklearn", "data/breast_cancer.csv", {"header": None, "skiprows": 1}, _cells),
}  # fmt: skip


@cache
def load(name: str) -> tuple[tuple[str, ...], Array, Array]:
    """Load a real table: names of its features, X and y, without rows that have holes."""
    package, file, how, chosen = _READ[name]
    table = chosen(pd.read_csv(_path(package, file), **how)).apply(pd.to_numeric, errors="coerce").dropna()
    values = table.to_numpy(float)
    return tuple(table.columns[:-1]), values[:, :-1], values[:, -1]


def real(rng: Generator, wish: Wish) -> Plan | None:
    """Draw a real table that fulfils a wish, with its own target or, of a known law, a made one.

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
    place = str(rng.choice(list(_READ)))
    names, X, y = load(place)
    held = max(10, len(y) // 5)
    wanted = rng.random() < 0.35 if wish.val is None else wish.val
    order = rng.permutation(len(y))[: int(min(len(y), wish.rows[1] + held, 2500))]
    count = len(order) - held * wanted
    if count < max(wish.rows[0], 5 * (len(names) + 1)) or not wish.width[0] <= len(names) <= wish.width[1]:
        return None
    if np.linalg.matrix_rank((X - X.mean(axis=0)) / X.std(axis=0)) < X.shape[1] or (X[order].std(axis=0) == 0).any():
        return None
    fresh, natural = (X, y), ("outliers", "high_leverage")
    if wish.real == "own" and rng.random() < 0.6:
        matrix = np.column_stack([X, np.ones(len(y))])
        coef = np.linalg.lstsq(matrix, y, rcond=None)[0]
        noise = float(np.sqrt(np.sum((y - matrix @ coef) ** 2) / (len(y) - len(coef))))
        coef = coef[:-1]
    else:
        place, natural = f"{place}_made", ()
        ratio, spread = float(np.exp(rng.uniform(*np.log(wish.noise)))), 10 ** rng.uniform(-1, 3)
        coef = rng.uniform(0.3, 1.2, len(names)) * rng.choice([-1, 1], len(names)) / X.std(axis=0)
        coef *= spread / float((X @ coef).std())
        noise, level = ratio * spread, spread * rng.uniform(-1, 6)
        centre = X.mean(axis=0)
        y = level + (X - centre) @ coef + noise * rng.normal(size=len(y))
        many = np.tile(X, (-(-1500 // len(X)), 1))
        fresh = (many, level + (many - centre) @ coef + noise * rng.normal(size=len(many)))
    order = np.sort(order[:count]), order[count:]
    return Plan(
        place=place,
        names=names,
        X=X[order[0]],
        y=y[order[0]],
        fresh=fresh,
        coef=coef,
        noise=noise,
        val=(X[order[1]], y[order[1]]) if wanted else None,
        natural=natural,
    )
