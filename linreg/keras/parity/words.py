"""A comparison in words: what was found, and the input that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

TABLE = ("rule", "mode", "oneDNN", "worst ULP", "of bound", "numbers off", "first step")
RUNS = ("run", "mode", "oneDNN", "worst ULP", "of bound", "first epoch", "loss here", "in Keras")


def problems(document: dict[str, Any]) -> list[str]:
    """Return what a comparison found: each difference that is not allowed, each behaviour that changed.

    Parameters
    ----------
    document : dict
        The document of `compare` or of `compare_model`.

    Returns
    -------
    list of str
        Sentences; none if all is well.
    """
    found = [f"{place(cell)}: {_why(cell)} {first_input(cell)}" for cell in document.get("table", ()) if not cell["ok"]]
    found += [f"{place(run)}: {_why(run)} {first_input(run)}" for run in document["runs"] if not run["ok"]]
    changed = (one for one in document.get("behaviours", ()) if not one["as_known"])
    return found + [f"Changed: {one['name']}. {one['claim']} Now: {one['shown']}" for one in changed]


def place(part: dict[str, Any]) -> str:
    """Return which cell of the table, or which run, it is."""
    of_what = part.get("rule") or part["run"]
    setting = f", oneDNN {part['onednn']}" if part["onednn"] else ""
    return f"{of_what}, {mode(part)}{setting}"


def mode(part: dict[str, Any]) -> str:
    """Return how Keras ran, and where if not on a CPU."""
    return str(part["mode"]) + ("" if part["device"] == "CPU" else f" on {part['device']}")


def _why(part: dict[str, Any]) -> str:
    if part.get("decided") == 0:
        return "not one epoch can be followed, so nothing is decided: lower the learning rate, or scale the features."
    limit = part.get("allowed_ulp")
    if limit is not None:
        return f"up to {part['worst_ulp']:,} ULP, {limit} are allowed."
    return f"up to {part['worst_ulp']:,} ULP, beyond what rounding explains ({bound(part)})."


def bound(part: dict[str, Any]) -> str:
    """Return the share of the bound in words, and of a run how far it could be followed if not to its end."""
    share, decided = part["share"], part.get("decided")
    to = f" to epoch {decided}" if part.get("doubts") else ""
    if decided == 0:
        return "not decided"
    if share is None:
        return f"infinite{to}"
    return (f"{share:.2g} times" if share > 1 else f"{100 * share:.2g} %") + to


def verdict(document: dict[str, Any]) -> str:
    """Return what is to be said where nothing was found."""
    if any(run["doubts"] for run in document["runs"]):
        return "Nothing differs that is not explained, as far as the runs could be followed."
    return "Nothing differs that is not explained."


def first_input(part: dict[str, Any]) -> str:
    """Return the first difference of a cell or a run and the input that shows it; "" if there is none.

    Parameters
    ----------
    part : dict
        A cell or a run.

    Returns
    -------
    str
        A sentence.
    """
    first = part["first"]
    if first is None:
        return ""
    both = f"{first['ours']!r} here and {first['keras']!r} in Keras, {first['ulp']:,} ULP apart"
    if "epoch" in first:
        return f"After epoch {first['epoch']} parameter {first['parameter']} is {both}."
    before = ", ".join(f"{letter} = {number!r}" for letter, number in first["before"].items())
    return (
        f"Step {first['step']} of {first['optimizer']}, with the gradient {first['gradient']!r} and the rate "
        f"{first['rate']!r}, from {before}: {first['array']} is {both}."
    )


def table_rows(cells: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Yield the table's rows, by `TABLE`; settings of oneDNN that make no difference share one.

    Parameters
    ----------
    cells : list of dict
        The cells.

    Yields
    ------
    tuple of str
        A row.
    """
    for settings, cell in _grouped(cells, ("rule", "mode", "device")):
        first = cell["first"]
        yield (
            cell["rule"], mode(cell), settings, f"{cell['worst_ulp']:,}", bound(cell) if first else "0",
            f"{100 * cell['differing']:.3g} %" if first else "0", str(first["step"]) if first else "none",
        )  # fmt: skip


def run_rows(runs: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Yield the rows of whole runs, by `RUNS`.

    Parameters
    ----------
    runs : list of dict
        The runs.

    Yields
    ------
    tuple of str
        A row.
    """
    for settings, run in _grouped(runs, ("run", "mode", "device")):
        first = run["first"]
        epoch = str(first["epoch"]) if first else "none"
        losses = (loss if isinstance(loss, str) else f"{loss:.7g}" for loss in run["loss"])
        yield run["run"], mode(run), settings, f"{run['worst_ulp']:,}", bound(run), epoch, *losses


def _grouped(parts: list[dict[str, Any]], names: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (settings of oneDNN, part), parts that differ in nothing but the setting together, in order."""
    groups: dict[tuple[Any, ...], list[list[dict[str, Any]]]] = {}
    for part in parts:
        alike = groups.setdefault(tuple(part[name] for name in names), [])
        same = next((group for group in alike if _same(group[0], part)), None)
        if same is None:
            alike.append([part])
        else:
            same.append(part)
    for alike in groups.values():
        for group in alike:
            yield ", ".join(part["onednn"] or "" for part in group), group[0]


def _same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return {**a, "onednn": None} == {**b, "onednn": None}
