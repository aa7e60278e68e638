"""From lists of values to configurations: one `LinearRegression` each, not yet fitted."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.hyperparameters import changed_params, nearest
from linreg.regression import LinearRegression
from linreg.settings import with_groups

OWNER = "sweep"
GROUPS = ("optimizer", "loss", "kernel_regularizer")
SAME_FOR_ALL = ("epochs", "dtype", "engine", "warm_start", "callbacks", "verbose", "device",
                "checkpoint", "checkpoint_every")  # fmt: skip
REFUSED = {
    "warm_start": (False, "a sweep starts anew: leave it out, and set it on one of its models"),
    "callbacks": ((), "a sweep has no callbacks: fit one of its models with them"),
    "checkpoint": (None, "a sweep keeps no checkpoint: fit one of its models with it"),
}


@dataclass(frozen=True)
class Configuration:
    """One configuration of a sweep.

    Parameters
    ----------
    given : dict of str to object
        The values that were swept over, by the names that the user gave.
    model : LinearRegression
        The model to train.
    """

    given: dict[str, Any]
    model: LinearRegression


def configured(parameters: Mapping[str, Any], *, paired: bool) -> list[Configuration]:
    """Return the configurations that lists of values stand for.

    Parameters
    ----------
    parameters : mapping of str to object
        As `linreg.sweep` takes them.
    paired : bool
        Whether the lists go side by side instead of in all combinations.

    Returns
    -------
    list of Configuration
        At least one. Parameters of the model itself vary slower than those of its optimizer, loss and regulariser, and
        among both the first one slowest.

    Raises
    ------
    TypeError
        If a list is given where a sweep has one value.
    ValueError
        If a name is unknown, a list is empty, or paired lists differ in length.
    """
    lists = {name: values for name, given in parameters.items() if (values := _listed(name, given)) is not None}
    fixed = {name: value for name, value in parameters.items() if name not in lists}
    _refuse(lists, fixed)
    # One seed for all, unless seeds are swept over: configurations share the order of their rows.
    if fixed.get("random_state") is None:
        fixed["random_state"] = _fresh_seed()
    seen = _Names(set(), set())
    found = [one for grid in _grids(lists, paired) for one in _product(grid, fixed, seen)]
    for name in parameters:
        if name not in seen.used:
            alike = {known for known in seen.known if ("__" in known) == ("__" in name)}
            raise ValueError(f"{OWNER}: no model of this sweep has a parameter {name!r}{nearest(name, alike)}.")
    return found


@dataclass
class _Names:
    """Names of parameters: those that models have, and those that were found in one."""

    known: set[str]
    used: set[str]


def _listed(name: str, given: Any) -> list[Any] | None:
    """Return the values that a parameter is swept over, None if it has one value for all."""
    if name == "callbacks":
        return None
    if isinstance(given, str) or callable(given):
        return None
    if name == "kernel_initializer":
        starts = list(given) if hasattr(given, "__iter__") else [given]
        single = getattr(given, "ndim", None) == 1 or all(np.ndim(start) == 0 and not _word(start) for start in starts)
        return None if single and starts else starts
    if isinstance(given, list | tuple | range):
        return list(given)
    if hasattr(given, "__array__") and np.ndim(given) == 1:
        return list(np.asarray(given).tolist())
    return None


def _word(start: Any) -> bool:
    return isinstance(start, str)


def _refuse(lists: Mapping[str, list[Any]], fixed: Mapping[str, Any]) -> None:
    """Raise for what a sweep cannot do."""
    for name, values in lists.items():
        if name in SAME_FOR_ALL:
            raise TypeError(f"{OWNER}: {name} is the same for all configurations, got the list {values!r}: give one.")
        if not values:
            raise ValueError(f"{OWNER}: {name} is an empty list: give at least one value.")
    for name, (allowed, reason) in REFUSED.items():
        if name in fixed and fixed[name] != allowed and not (name == "callbacks" and not fixed[name]):
            raise ValueError(f"{OWNER}: {name}={fixed[name]!r} is not possible: {reason}.")
    if fixed.get("engine") == "exact":
        raise ValueError(
            f'{OWNER}: engine="exact" is not possible: it computes one run at a time; set engine="numpy" or "numba".'
        )
    if fixed.get("engine") == "dask":
        raise ValueError(
            f'{OWNER}: engine="dask" is not possible: sum up the rows once, rows = linreg.gram.gather(X, y), '
            "and give the sweep these."
        )


def _grids(lists: dict[str, list[Any]], paired: bool) -> list[dict[str, list[Any]]]:
    """Return grids of values whose combinations are the configurations."""
    if not paired:
        return [lists]
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) != 1:
        told = ", ".join(f"{name} has {length}" for name, length in lengths.items()) or "there is none"
        raise ValueError(f"{OWNER}: paired=True needs lists of one length, but {told}.")
    return [dict(zip(lists, ([value] for value in row), strict=True)) for row in zip(*lists.values(), strict=True)]


def _product(grid: dict[str, list[Any]], fixed: dict[str, Any], seen: _Names) -> Iterator[Configuration]:
    """Return a configuration for each combination of the values of a grid."""
    own = LinearRegression().get_params(deep=False)
    for outer in _combinations({name: values for name, values in grid.items() if name in own}):
        direct = {name: value for name, value in {**fixed, **outer}.items() if name in own}
        direct["random_state"] = _alone(direct["random_state"])
        base = LinearRegression(**direct)
        base.settings()  # refuses an unknown optimizer before its parameters are looked for
        places = _places(base, [*grid, *fixed], seen)
        constant = {places[name]: value for name, value in fixed.items() if name in places}
        groups = with_groups(base.get_params(deep=False))
        for inner in _combinations({name: values for name, values in grid.items() if name in places}):
            values = constant | {places[name]: value for name, value in inner.items()}
            chosen = {**outer, **inner}
            yield Configuration(
                {name: chosen[name] for name in grid if name in chosen},
                LinearRegression(**{**direct, **changed_params(OWNER, groups, values)}),
            )


def _places(model: LinearRegression, names: list[str], seen: _Names) -> dict[str, str]:
    """Return where the parameters of a model's optimizer, loss and regulariser stand: `optimizer__momentum`."""
    own, deep = model.get_params(deep=False), model.get_params(deep=True)
    short = {place.removeprefix(f"{group}__"): place for group in GROUPS for place in deep if place not in own
             if place.startswith(f"{group}__")}  # fmt: skip
    full = {place: place for place in deep if place not in own}
    seen.known |= {*own, *short, *full}
    places = {name: {**short, **full}[name] for name in names if name in short or name in full}
    seen.used |= {*places, *(name for name in names if name in own)}
    return places


def _combinations(grid: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _fresh_seed() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])


def _alone(random_state: Any) -> Any:
    """Return a random state of a model's own, in the place where the user's stands."""
    return _fresh_seed() if random_state is None else copy.deepcopy(random_state)
