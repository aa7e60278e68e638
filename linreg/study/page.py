"""The interactive page: one file that opens without a network. Every number in it was computed by the library."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from linreg.data.arrays import design_matrix
from linreg.study.bad_inputs import known_bad_inputs
from linreg.study.choices import (
    POINTS,
    STEPS,
    SWEPT_STEPS,
    TOP,
    Axis,
    Run,
    axes_of,
    epochs_of,
    shown_parameters,
    values_of,
)
from linreg.study.maps import heights
from linreg.study.subject import Compared, Plane, Subject, known_optimizers
from linreg.whole_files import file_path, write_text

Array = Any

LEVELS = 9
DIGITS = 5
POINTS_SHOWN = 300
"""Rows that are drawn beside the fitted line."""


DELTA = (
    "Each delta is another loss: curves of different deltas cannot be compared, so the ends are compared by their mean "
    "squared error. Contours and optimum on the map are those of delta {delta}."
)


def page_path(path: str | os.PathLike[str]) -> Path:
    """Check, before any work is done, that a page can go to this path; see `linreg.whole_files.file_path`."""
    return file_path(path, "page.html")


def write(data: dict[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write a page, whole or not at all.

    Parameters
    ----------
    data : dict
        See `page_data`.
    path : path
        The file.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    OSError
        If the folder is missing or the file cannot be written.
    """
    text = page(data)
    return write_text(page_path(path), text)


def page(data: dict[str, Any]) -> str:
    """Return the page as text.

    Parameters
    ----------
    data : dict
        See `page_data`.

    Returns
    -------
    str
        HTML that loads nothing.
    """
    assets = files("linreg.study") / "assets"
    names = ("page.html", "page.css", "plotly-basic.min.js", "page.js")
    html, css, plotly, script = ((assets / name).read_text(encoding="utf-8") for name in names)
    # Nothing in a script element can end it, or keep it open, that has no "<".
    embedded = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    parts = {"title": escape(data["title"]), "css": css, "plotly": plotly, "data": embedded, "script": script}
    # All at once: a file may be called {{script}}, and a column {{data}}.
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], html)


def parts(subject: Subject) -> int:
    """Return how often `page_data` tells what it has done."""
    return 1 + sum(len(values_of(subject, optimizer)) for _, optimizer in known_optimizers())


def page_data(
    subject: Subject,
    compared: list[Compared],
    title: str,
    after_each: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Run everything that a page lets its reader choose.

    Parameters
    ----------
    subject : Subject
        What is studied.
    compared : list of Compared
        See `Subject.compared`.
    title : str
        What is studied, in words.
    after_each : callable, optional
        Called with what was done.

    Returns
    -------
    dict
        Plain values, five digits each; None where a number is not finite.
    """
    plane, chosen = subject.plane, {one.label: list(axes_of(subject, one, after_each)) for one in compared}
    start = float(subject.problem.objective(subject.path(most=0)[0]))
    defaults = [axes[0].runs[axes[0].chosen] for axes in chosen.values()]
    low, high = _window(np.concatenate([plane.of(run.parameters) for run in defaults]), plane)
    bad = known_bad_inputs()
    after_each("bad inputs")
    return {
        "title": title,
        "target": subject.target,
        "epochs": epochs_of(subject),
        "start": rounded(start),
        "caps": _caps(subject),
        "lossUnit": subject.loss_unit,
        "shown": [subject.parameters[j] for j in shown_parameters(subject)],
        "plane": {
            "labels": list(plane.labels),
            "units": list(plane.units),
            "along": list(plane.along),
            "projection": subject.projection,
            "low": rounded(low),
            "high": rounded(high),
            "optimum": rounded(plane.at),
            "contours": _contours(subject, plane, low, high),
        },
        "line": _line(subject),
        "optimizers": {label: [_axis(subject, plane, axis) for axis in axes] for label, axes in chosen.items()},
        "bad": [
            {"name": one.name, "story": one.story, "verdict": one.verdict, "cause": one.cause, "why": one.why,
             "change": one.change, "before": rounded(one.before), "after": rounded(one.after),
             "top": rounded(TOP * TOP * one.before[0])}
            for one in bad
        ],
    }  # fmt: skip


def rounded(values: Any) -> Any:
    """Return numbers with five digits, None where they are not finite.

    Parameters
    ----------
    values : float or array
        Numbers.

    Returns
    -------
    float, None, or list of them
        As JSON can hold them.
    """
    if np.ndim(values):
        return [rounded(value) for value in values]
    value = float(values)
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short == int(short) and abs(short) < 1e15 else short


def _axis(subject: Subject, plane: Plane, axis: Axis) -> dict[str, Any]:
    low, own = min(run.least for run in axis.runs), axis.runs[axis.chosen].value
    return {
        "name": axis.name,
        "chosen": axis.chosen,
        "limit": rounded(axis.limit),
        "measure": axis.measure,
        "ends": rounded(axis.ends),
        "top": rounded(axis.top),
        "note": DELTA.format(delta=f"{own:g}") if axis.name == "delta" else "",
        "bounds": [rounded(0.8 * low) if low > 0 else None, rounded(TOP * max(run.losses[0] for run in axis.runs))],
        "runs": [_run(subject, plane, run) for run in axis.runs],
    }


def _run(subject: Subject, plane: Plane, run: Run) -> dict[str, Any]:
    place = plane.of(run.parameters)
    found = {
        "value": rounded(run.value),
        "steps": run.steps.tolist(),
        "x": rounded(place[:, 0]),
        "y": rounded(place[:, 1]),
        "loss": rounded(run.losses),
        "least": rounded(run.least),
        "best": rounded(run.best),
        "numbers": {name: rounded(values) for name, values in run.numbers.items()},
    }
    with np.errstate(all="ignore"):
        found["line"] = rounded(run.parameters @ _ends(subject).T)
    return found


def _along(subject: Subject) -> int:
    """Return the feature along which predictions are drawn: the one that moves them most at the optimum."""
    return int(np.argmax(np.abs(subject.best[: subject.X.shape[1]]) * subject.X.std(axis=0)))


def _ends(subject: Subject) -> Array:
    """Return the rows of [X, 1] at the two ends of that feature, the others at their means."""
    j = _along(subject)
    rows = np.tile(subject.X.mean(axis=0), (2, 1))
    rows[:, j] = subject.X[:, j].min(), subject.X[:, j].max()
    return design_matrix(rows, bool(subject.model.fit_intercept))


def _caps(subject: Subject) -> str:
    """Say how much of each run the page knows."""
    epochs, asked = epochs_of(subject), int(subject.model.epochs)
    cut = f", of the {asked} asked for: they are cut after {SWEPT_STEPS} steps" if epochs < asked else ""
    return (
        f"Of each run the page shows up to {POINTS} of the first {STEPS} steps, densely at first; losses at the end "
        f"are those of epoch {epochs}{cut}."
    )


def _window(points: Array, plane: Plane) -> tuple[Array, Array]:
    """Return the corners of the map: what holds nearly all of the paths that it starts with."""
    points = points[np.isfinite(points).all(axis=1)]
    low, high = np.quantile(points, 0.02, axis=0), np.quantile(points, 0.98, axis=0)
    for point in (points[0], np.array(plane.at)):
        low, high = np.minimum(low, point), np.maximum(high, point)
    margin = 0.15 * np.where(high > low, high - low, np.maximum(np.abs(high), 1.0))
    return low - margin, high + margin


def _contours(subject: Subject, plane: Plane, low: Array, high: Array) -> list[dict[str, Any]]:
    """Return lines of equal loss; plotly's basic bundle has no contours of its own."""
    from contourpy import contour_generator

    across, up, root, levels = heights(subject, plane, low, high, LEVELS + 1)
    generator, found = contour_generator(across, up, root), []
    for level in levels[:-1]:
        x: list[float | None] = []
        y: list[float | None] = []
        for line in map(np.asarray, generator.lines(level)):
            x += [*rounded(line[:, 0]), None]
            y += [*rounded(line[:, 1]), None]
        found.append({"x": x, "y": y})
    return found


def _line(subject: Subject) -> dict[str, Any]:
    """Return the rows beside which predictions along a feature are drawn, and how the picture is labelled."""
    j, several = _along(subject), subject.X.shape[1] > 1
    shown = np.unique(np.linspace(0, len(subject.y) - 1, POINTS_SHOWN).astype(int))
    # What the other features add, beyond what they add at their means, is taken out.
    others = subject.X[shown] - subject.X.mean(axis=0)
    others[:, j] = 0
    y = subject.y[shown] - others @ subject.best[: len(subject.names)]
    first = _ends(subject) @ subject.path(most=0)[0]
    low, high = min(y.min(), first.min()), max(y.max(), first.max())
    margin = 0.06 * (high - low or 1.0)
    name = subject.names[j]
    return {
        "title": f"The prediction along {name} at this step, the other features at their means" if several
                 else "The fitted line at this step",
        "name": subject.feature_label(name),
        "note": f"Points: {subject.target}, less what the other features add at the optimum." if several else "",
        "x": rounded(subject.X[shown, j]), "y": rounded(y), "ends": rounded(_ends(subject)[:, j]),
        "low": rounded(low - margin), "high": rounded(high + margin),
    }  # fmt: skip
