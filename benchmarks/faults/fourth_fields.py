"""Tables as practitioners have them: what is measured where, in which units, and what truly follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import gamma, norm

from benchmarks.faults import tables
from benchmarks.faults.objective import Array

Generator = np.random.Generator


@dataclass(frozen=True, eq=False)
class Study:
    """What someone has and decides before `fit`: rows in their raw units, how they are prepared, training."""

    place: str
    names: tuple[str, ...]
    X: Array
    y: Array
    fresh: tuple[Array, Array]  # many clean rows of the same law
    coef: Array
    noise: float
    val: tuple[Array, Array] | None = None
    weight: Array | None = None
    prep: str = "standard"  # "robust": median and quartiles; "pilot": by earlier, clean rows; "none"
    raw: tuple[int, ...] = ()  # columns that the preparation leaves out
    unit: tuple[float, float] = (0.0, 1.0)  # the target is given as (y - unit[0]) / unit[1]
    val_prep: str = "same"  # "own" scaler; "raw X"; "raw y"
    cells: tuple[tuple[int, int, Any], ...] = ()  # row, column (-1: the target), what the cell holds in the end
    container: str = "array"  # "pandas", "polars"
    batch: int | None = 32  # None: full batch
    settings: dict[str, Any] = field(default_factory=dict)
    natural: tuple[str, ...] = ()


class Field(NamedTuple):
    """A made table: the target's mean and noise, and for each column mean, deviation and effect of one deviation.

    A column without a deviation is yes or no; one whose deviation is above a third of its mean is skewed and positive.
    `shared` is how much all columns have in common (size, season, age), as a correlation.
    """

    target: str
    mean: float
    noise: float
    shared: float
    columns: tuple[tuple[str, float, float | None, float], ...]


FIELDS = {
    "house_sales": Field("price_keur", 340, 32, 0.3, (
        ("area_m2", 112, 34, 71), ("rooms", 4.2, 1.1, 12), ("age_years", 31, 19, -22), ("garden", 0.4, None, 15))),
    "web_shop": Field("revenue_eur_day", 12400, 1500, 0.4, (
        ("visits_day", 8300, 2100, 2600), ("ad_spend_eur", 410, 160, 900), ("mail_sent", 0.3, None, 700))),
    "ad_campaign": Field("sales_kunits", 14, 1.6, 0.0, (
        ("tv_keur", 147, 86, 3.9), ("radio_keur", 23, 15, 2.8), ("newspaper_keur", 30, 22, 0.1))),
    "hospital_stay": Field("stay_days", 6.8, 1.9, 0.2, (
        ("age_years", 58, 17, 1.6), ("crp_mg_l", 42, 38, 1.3), ("hemoglobin_g_dl", 12.9, 1.7, -0.5),
        ("emergency", 0.45, None, 0.9))),
    "blood_pressure": Field("systolic_mmhg", 128, 9, 0.35, (
        ("age_years", 47, 15, 8), ("bmi_kg_m2", 26.4, 4.3, 5), ("salt_g_day", 9.1, 2.4, 3), ("smoker", 0.27, None, 2))),
    "wheat_yield": Field("yield_t_ha", 7.4, 0.55, 0.15, (
        ("nitrogen_kg_ha", 165, 38, 0.8), ("rain_mm", 310, 82, 0.6), ("sunshine_h", 640, 75, 0.2))),
    "dairy_herd": Field("milk_kg_day", 29, 2.6, 0.25, (
        ("feed_kg", 21.5, 2.7, 3.4), ("lactation_week", 18, 9, -2.2), ("cow_weight_kg", 655, 58, 0.7))),
    "power_load": Field("load_mw", 5200, 310, 0.3, (
        ("heating_k", 11, 6, 420), ("workday", 0.69, None, 510), ("hours_light", 12.1, 2.9, -160))),
    "wind_park": Field("power_kw", 1450, 130, 0.0, (
        ("wind_m_s", 8.4, 2.4, 610), ("density_kg_m3", 1.22, 0.04, 55), ("pitch_deg", 4.1, 2.2, -75))),
    "solar_roof": Field("energy_kwh_day", 18, 1.7, 0.4, (
        ("irradiance_w_m2", 340, 125, 6.5), ("panel_temp_c", 31, 9, -1.1), ("dust_index", 0.8, 0.5, -0.9))),
    "heat_pump": Field("cop", 3.6, 0.18, 0.2, (
        ("outside_c", 5.5, 6.2, 0.46), ("flow_c", 41, 5.5, -0.38), ("speed_hz", 58, 14, -0.11))),
    "stock_factor": Field("return_pct", 0.04, 1.1, 0.1, (
        ("market_pct", 0.03, 1.0, 0.95), ("size_pct", 0.0, 0.5, 0.22), ("value_pct", 0.01, 0.6, 0.31))),
    "loan_rates": Field("rate_pct", 6.1, 0.6, 0.2, (
        ("income_eur", 47000, 16000, -0.6), ("debt_ratio", 0.34, 0.12, 0.9), ("owner", 0.5, None, -0.2))),
    "insurance": Field("claim_eur", 2700, 380, 0.15, (
        ("mileage_km", 13800, 5200, 520), ("driver_age_years", 44, 14, -310), ("car_value_eur", 19500, 8000, 640))),
    "bike_rides": Field("rides_day", 4100, 520, 0.3, (
        ("feels_like_c", 14, 8.3, 980), ("rain_mm", 2.6, 2.5, -430), ("stations", 96, 12, 240))),
    "marathon": Field("finish_min", 241, 13, 0.3, (
        ("weekly_km", 52, 17, -19), ("age_years", 39, 9, 7), ("half_time_min", 108, 11, 22))),
    "football": Field("goal_difference", 0.2, 1.2, 0.45, (
        ("shots", 12.4, 3.9, 0.7), ("possession_pct", 50, 8, 0.3), ("passes", 455, 90, 0.2), ("home", 0.5, None, 0.2))),
    "pendulum": Field("period2_s2", 3.1, 0.05, 0.0, (("length_m", 0.78, 0.26, 1.05), ("swing_rad", 0.2, 0.07, 0.03))),
    "spectrometer": Field("concentration_mmol_l", 4.2, 0.12, 0.3, (
        ("a450", 0.62, 0.19, 0.9), ("a520", 0.47, 0.14, 0.55), ("a610", 0.31, 0.09, 0.35), ("a700", 0.18, 0.05, -0.2))),
    "strain_gauge": Field("force_n", 52, 1.3, 0.0, (("bridge_mv", 1.9, 0.7, 19), ("temperature_c", 24, 4.5, 1.4))),
    "steel_mill": Field("strength_mpa", 540, 16, 0.2, (
        ("carbon_pct", 0.21, 0.05, 31), ("furnace_c", 1240, 22, -9), ("thickness_mm", 9.5, 3.4, -12))),
    "battery_cells": Field("capacity_mah", 2870, 38, 0.15, (
        ("cycles", 310, 170, -118), ("temperature_c", 28, 6, -33), ("current_ma", 1450, 420, -41))),
    "delivery": Field("duration_min", 34, 4.6, 0.1, (
        ("distance_m", 4100, 1900, 8.8), ("stops", 3.4, 1.6, 5.2), ("parcel_kg", 6.3, 3.9, 1.1))),
}  # fmt: skip
REAL = ("diabetes", "wine", "iris", "engel", "norris", "star98", "ccard", "scotland", "copper", "statecrime", "nile")


def study_of(rng: Generator, flags: frozenset[str]) -> Study:
    """Draw a table.

    `flags` ask for "made" (no real table), "noisy", "exact" (little noise), "tails" (heavy ones), "correlated", "few"
    or "many" rows, "wide" (many columns without an effect), "curve" (a polynomial), "val" (rows to validate on).
    """
    asked = flags & {"made", "noisy", "exact", "tails", "correlated", "few", "many", "wide", "curve", "val"}
    if not asked and rng.random() < 0.2:
        return _real(str(rng.choice(REAL)))
    place = str(rng.choice(list(FIELDS)))
    about = FIELDS[place]
    effects = np.array([column[3] for column in about.columns]) * rng.uniform(0.7, 1.3, len(about.columns))
    noise = about.noise * rng.uniform(0.7, 1.3)
    if "noisy" in flags:
        noise = float(np.linalg.norm(effects)) * rng.uniform(1, 2.5)
    if "exact" in flags:
        noise *= rng.uniform(0.1, 0.4)
    n = int(rng.integers(*((14, 30) if "few" in flags else (250, 700) if "many" in flags else (60, 500))))
    shared = 0.9 if "correlated" in flags else about.shared
    names = [column[0] for column in about.columns]
    deviations = np.array([_deviation(column) for column in about.columns])
    junk = int(rng.integers(12, 30)) if "wide" in flags else 0
    scale = np.append(deviations, np.full(junk, 2.0))
    effects = np.append(effects, np.zeros(junk))
    names += [f"marker_{k + 1}" for k in range(junk)]
    if "curve" in flags:
        names, scale = ["p1", "p2", "p3"], np.ones(3)
        effects = about.noise * rng.choice([-1, 1], 3) * rng.uniform(1, 6, 3)

    def rows(count: int) -> tuple[Array, Array]:
        if "curve" in flags:
            t = rng.uniform(-1, 1, count)
            X = np.column_stack([t, 1.5 * t**2 - 0.5, 2.5 * t**3 - 1.5 * t])
        else:
            common = rng.normal(size=(count, 1))
            z = np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.normal(size=(count, len(about.columns)))
            X = np.column_stack([_column(z[:, j], *about.columns[j][1:3]) for j in range(len(about.columns))])
            X = np.column_stack([X, 10 + 2 * rng.normal(size=(count, junk))])
        off = rng.standard_t(3, count) / np.sqrt(3) if "tails" in flags else rng.normal(size=count)
        centre = np.zeros(3) if "curve" in flags else np.append([column[1] for column in about.columns], [10] * junk)
        return X, about.mean + (X - centre) @ (effects / scale) + noise * off

    X, y = rows(n)
    return Study(
        place=place,
        names=tuple(names),
        X=X,
        y=y,
        fresh=rows(2000),
        coef=effects / scale,
        noise=noise,
        val=rows(int(rng.integers(50, 200))) if "val" in flags or rng.random() < 0.3 else None,
        container=str(rng.choice(["array", "array", "array", "pandas", "polars"])),
        natural=("outliers", "high_leverage") if "tails" in flags else (),
    )


def _deviation(column: tuple[str, float, float | None, float]) -> float:
    return float(np.sqrt(column[1] * (1 - column[1]))) if column[2] is None else column[2]


def _column(z: Array, mean: float, deviation: float | None) -> Array:
    """Return a column of this mean and deviation from normal numbers."""
    if deviation is None:
        return (z < norm.ppf(mean)).astype(float)
    if 0 < mean < 3 * deviation and mean > deviation:
        shape = (mean / deviation) ** 2
        return gamma.ppf(norm.cdf(z), shape, scale=mean / shape)
    return mean + deviation * z


def _real(name: str) -> Study:
    table = tables.load(name)
    matrix = np.column_stack([table.X, np.ones(len(table.y))])
    coef = np.linalg.lstsq(matrix, table.y, rcond=None)[0]
    noise = float(np.sqrt(np.sum((table.y - matrix @ coef) ** 2) / (len(table.y) - len(coef))))
    names = tuple(f"x{j}" for j in range(table.X.shape[1]))
    known = ("outliers", "high_leverage")
    return Study(name, names, table.X, table.y, (table.X, table.y), coef[:-1], noise, natural=known)
