"""What every group of hyper-parameters can do: be checked, listed, and copied with changes.

Optimizers, losses, schedules and regularisers are frozen dataclasses. `get_params` and `set_params` follow
scikit-learn, so that a search reaches `optimizer__learning_rate`; because the dataclasses are frozen, `set_params`
returns a changed copy instead of changing the object that somebody else may hold too.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any, Self

MOST_NAMES = 50
"""So many names are listed where one is mistyped."""


class HyperParameters:
    """Base of the frozen dataclasses that hold hyper-parameters."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the hyper-parameters by name.

        Parameters
        ----------
        deep : bool, default=True
            Also list the hyper-parameters of nested groups, as `group__name`.

        Returns
        -------
        dict of str to object
            Name and value of each hyper-parameter.
        """
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        return with_nested(own) if deep else own

    def __repr__(self) -> str:
        """Show the hyper-parameters that differ from their defaults."""
        return short_repr(self, {field.name: field.default for field in dataclasses.fields(self)})  # type: ignore[arg-type]

    def set_params(self, **params: Any) -> Self:
        """Return a copy with some hyper-parameters changed; the object itself is frozen.

        Parameters
        ----------
        **params : object
            New values by name; `group__name` reaches into a nested group.

        Returns
        -------
        HyperParameters
            The changed copy.

        Raises
        ------
        ValueError
            If a name is unknown or a value is refused.
        """
        changed = changed_params(type(self).__name__, self.get_params(deep=False), params)
        return dataclasses.replace(self, **changed)  # type: ignore[type-var]


def short_repr(owner: object, defaults: Mapping[str, Any]) -> str:
    """Show an object as its constructor call, with only the arguments that differ from their defaults."""
    values = {name: getattr(owner, name) for name in defaults}
    changed = [f"{name}={value!r}" for name, value in values.items() if repr(value) != repr(defaults[name])]
    return f"{type(owner).__name__}({', '.join(changed)})"


def with_nested(own: Mapping[str, Any]) -> dict[str, Any]:
    """Add `group__name` for every value in `own` that has hyper-parameters itself."""
    listed = dict(own)
    for name, value in own.items():
        if hasattr(value, "get_params") and not isinstance(value, type):
            listed.update({f"{name}__{inner}": v for inner, v in value.get_params(deep=True).items()})
    return listed


def changed_params(owner: str, own: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Resolve `set_params(**params)` of `owner` into new values for its own parameters."""
    changed: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for key, value in params.items():
        name, _, inner = key.partition("__")
        if name not in own:
            raise ValueError(f"{owner} has no parameter {name!r}{nearest(name, own)}.")
        if inner:
            nested.setdefault(name, {})[inner] = value
        else:
            changed[name] = value
    for name, inner_params in nested.items():
        group = changed.get(name, own[name])
        if not hasattr(group, "set_params") or isinstance(group, type):
            inner = next(iter(inner_params))
            raise ValueError(
                f"{owner}: {name}={group!r} has no parameters of its own, so {inner!r} cannot be set in it."
            )
        changed[name] = group.set_params(**inner_params)
    return changed


def nearest(given: object, known: Iterable[str]) -> str:
    """Suggest the known name closest to a mistyped one, then list all: ends an error message."""
    import difflib

    names = sorted(known)
    close = difflib.get_close_matches(str(given), names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{hint} Known: {', '.join(names[:MOST_NAMES])}{more}"


def check_number(
    owner: str,
    name: str,
    value: object,
    *,
    low: float = 0.0,
    high: float = math.inf,
    open_low: bool = False,
) -> None:
    """Raise unless `value` is a finite real number in [low, high] (or (low, high] with `open_low`)."""
    bounds = f"{'above' if open_low else 'at least'} {low:g}" + (f" and at most {high:g}" if high < math.inf else "")
    problem = f"{owner}: {name} must be a finite number {bounds}, got {value!r}."
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(problem)
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(problem) from None
    if not math.isfinite(number) or number < low or number > high or (open_low and number == low):
        raise ValueError(problem)


def check_count(owner: str, name: str, value: object, *, low: int = 1) -> None:
    """Raise unless `value` is an integer of at least `low`."""
    problem = f"{owner}: {name} must be an integer of at least {low}, got {value!r}."
    count = as_integer(value)
    if count is None:
        raise TypeError(problem)
    if count < low:
        raise ValueError(problem)


def check_flag(owner: str, name: str, value: object) -> None:
    """Raise unless `value` is True or False."""
    if not isinstance(value, bool) and type(value).__name__ != "bool":
        raise TypeError(f"{owner}: {name} must be True or False, got {value!r}.")


def as_integer(value: object) -> int | None:
    """Return an integer of any kind as an int, None for everything else (a bool counts as nothing else)."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None
