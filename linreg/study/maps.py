"""The loss as a map: over a plane of the parameters, with lines of equal loss and paths on it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from linreg.losses import MeanSquaredError
from linreg.study.figures import COLOURS, DASHES
from linreg.study.subject import Plane, Subject

Array = Any

MARKERS = "osD^vP*"
EVEN, CLOSE = 61, 40
"""Points along an axis of a map: evenly spread, and on each side of the optimum ever closer to it."""
NEAREST = 1e-3
"""The closest of these, as a share of the way to the edge."""
LEVELS = 14


def span(points: Array) -> tuple[Array, Array]:
    """Return the corners of a picture: what holds 99 % of all points, the first and the last of them, with a margin.

    Parameters
    ----------
    points : array of shape (points, 2)
        The points.

    Returns
    -------
    low : array of shape (2,)
        The left lower corner.
    high : array of shape (2,)
        The right upper corner.
    """
    low, high = np.quantile(points, 0.005, axis=0), np.quantile(points, 0.995, axis=0)
    for point in (points[0], points[-1]):
        low, high = np.minimum(low, point), np.maximum(high, point)
    margin = 0.08 * np.where(high > low, high - low, np.maximum(np.abs(high), 1.0))
    return low - margin, high + margin


def surface(subject: Subject, plane: Plane, across: Array, up: Array) -> Array:
    """Return the loss on a grid of a plane.

    Parameters
    ----------
    subject : Subject
        What is studied.
    plane : Plane
        The plane.
    across, up : array of shape (points,)
        Places along its axes.

    Returns
    -------
    array of shape (places up, places across)
        The loss at (up, across), in units of the loss.
    """
    problem = subject.problem
    if isinstance(problem.loss, MeanSquaredError):  # as few rows as have the same sums of squares
        rows = problem.weighted_rows()
        problem = dataclasses.replace(
            problem, matrix=rows[:, :-1], target=rows[:, -1], weight=None, loss=MeanSquaredError(reduction="sum")
        )
    lines = (plane.parameters(*pair) for pair in zip(*np.meshgrid(across, up), strict=True))
    return np.array([problem.objective(line) for line in lines])


def places(low: float, high: float, optimum: float) -> Array:
    """Return the places along one axis at which the loss is computed for a map.

    Parameters
    ----------
    low, high : float
        Where the axis ends.
    optimum : float
        Where the optimum is: lines of equal loss are short and curved about it.

    Returns
    -------
    array of shape (places,)
        Rising.
    """
    shares = np.geomspace(NEAREST, 1, CLOSE)
    close = [optimum + shares * (end - optimum) for end in (low, high)]
    return np.unique(np.concatenate([np.linspace(low, high, EVEN), *close, [optimum]]).clip(low, high))


def heights(subject: Subject, plane: Plane, low: Array, high: Array, count: int) -> tuple[Array, Array, Array, Array]:
    """Return the root of the loss above the optimum over a part of a plane, and levels for lines of equal loss.

    The root grows evenly away from the optimum, so that lines which are interpolated between few places are smooth.

    Parameters
    ----------
    subject : Subject
        What is studied.
    plane : Plane
        The plane.
    low, high : array of shape (2,)
        Corners.
    count : int
        How many levels.

    Returns
    -------
    across, up : array of shape (places,)
        Where, along both axes.
    root : array of shape (places up, places across)
        The root of the loss above the optimum.
    levels : array of shape (count,)
        Levels of the root, evenly spread by their logarithm; 1 % of the part lies below the lowest.
    """
    across, up = (places(*ends) for ends in zip(low, high, plane.at, strict=True))
    evenly = (np.linspace(*ends, EVEN) for ends in zip(low, high, strict=True))
    spread = surface(subject, plane, *evenly) - subject.least
    top = float(spread.max())
    floor = max(float(np.quantile(spread, 0.01)), top * 1e-6) or 1.0
    levels = np.sqrt(np.geomspace(floor, max(top, 2 * floor), count))
    excess = surface(subject, plane, across, up) - subject.least
    return across, up, np.sqrt(np.maximum(excess, 1e-9 * floor)), levels


def draw_contours(figure: Any, axes: Any, subject: Subject, plane: Plane, low: Array, high: Array) -> None:
    """Draw lines of equal loss over a plane, the optimum as a cross.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Where the bar of colours goes.
    axes : matplotlib.axes.Axes
        Where to draw.
    subject : Subject
        What is studied.
    plane : Plane
        The plane.
    low, high : array of shape (2,)
        Corners.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import FuncFormatter

    across, up, root, levels = heights(subject, plane, low, high, LEVELS)
    drawn = {"levels": levels, "norm": LogNorm(levels[0], levels[-1]), "extend": "min"}
    filled = axes.contourf(across, up, root, cmap="Greys", alpha=0.22, **drawn)
    axes.contour(across, up, root, colors="0.35", linewidths=0.6, **drawn)
    label = f"loss above the optimum ({subject.loss_unit})"
    figure.colorbar(filled, ax=axes, label=label, format=FuncFormatter(lambda value, _: f"{value**2:.2g}"))
    axes.plot(*plane.at, linestyle="", marker="x", markersize=11, markeredgewidth=2.5, color="black",
              zorder=5, label="optimum")  # fmt: skip
    across_label, up_label = (
        "\n".join([f"{label}:", along, f"({unit})"] if along else [label, f"({unit})"])
        for label, along, unit in zip(plane.labels, plane.along, plane.units, strict=True)
    )
    axes.set(xlabel=across_label, ylabel=up_label, xlim=(low[0], high[0]), ylim=(low[1], high[1]))


def draw_path(axes: Any, path: Array, i: int, label: str) -> None:
    """Draw one path; it can be told apart by colour, dashes and mark.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    path : array of shape (points, 2)
        The path.
    i : int
        Which of the paths.
    label : str
        What it is called.
    """
    axes.plot(*path.T, color=COLOURS[i % len(COLOURS)], linestyle=DASHES[i % len(DASHES)], linewidth=1.3,
              marker=MARKERS[i % len(MARKERS)], markersize=4.5, markeredgecolor="white", markeredgewidth=0.4,
              markevery=max(1, len(path) // 12), label=label)  # fmt: skip
