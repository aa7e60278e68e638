"""The public names of linreg: what these modules list in `__all__`."""

import importlib
import inspect

MODULES = (
    "linreg",
    "linreg.dynamics",
    "linreg.schedules",
    "linreg.callbacks",
    "linreg.diagnosis",
    "linreg.sweeps",
    "linreg.study",
    "linreg.gram",
    "linreg.replay",
    "linreg.data",
    "linreg.streaming",
    "linreg.own_rules",
    "linreg.keras",
)


def exported():
    """Return every public object by the name under which the first module lists it."""
    found = {}
    for module in map(importlib.import_module, MODULES):
        for name in module.__all__:
            value = getattr(module, name)
            if not any(value is other for other in found.values()):
                found[f"{module.__name__}.{name}"] = value
    return found


def public_callables():
    """Return every public class and function by name."""
    return {name: value for name, value in exported().items() if inspect.isclass(value) or inspect.isfunction(value)}


def public_methods(kind):
    """Return the methods and properties that a public class has of its own or of a base in linreg, by name."""
    found = {}
    for base in reversed([one for one in kind.__mro__ if one.__module__.startswith("linreg.")]):
        for name, member in vars(base).items():
            member = getattr(member, "__func__", member)
            if not name.startswith(("_", "on_")) and inspect.isfunction(member):
                found[name] = member
    return found
