"""Pictures of runs, drawn by matplotlib (extra `plot`)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Okabe and Ito's palette, told apart by people with any kind of colour vision; the dashes also in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))


def new_figure(panels: int, title: str) -> tuple[Any, list[Any]]:
    """Return an empty matplotlib figure with panels side by side, without touching the user's pyplot state.

    Parameters
    ----------
    panels : int
        How many.
    title : str
        Title of the whole figure.

    Returns
    -------
    figure : matplotlib.figure.Figure
        The figure.
    axes : list of matplotlib.axes.Axes
        Its panels.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("Pictures are drawn with matplotlib: pip install 'linreg[plot]'.") from None
    figure = Figure(figsize=(1.5 + 5 * panels, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=12)
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def draw_losses(axes: Any, losses: Mapping[str, Sequence[float]], others: Mapping[str, Sequence[float]]) -> None:
    """Draw loss against epoch on logarithmic axes; where a loss stops being finite, the legend says so.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    losses : mapping of str to sequence of float
        Loss by epoch of each run, drawn as lines.
    others : mapping of str to sequence of float
        The same runs by tf.keras, drawn as dots; may be empty.
    """
    for i, (label, values) in enumerate(losses.items()):
        colour = COLOURS[i % len(COLOURS)]
        epochs, finite = _finite(values)
        ended = len(finite) < len(values)
        axes.plot(epochs, finite, color=colour, linestyle=DASHES[i % len(DASHES)],
                  label=f"{label} (not finite from epoch {len(finite) + 1})" if ended else label)  # fmt: skip
        if label in others:
            epochs, finite = _finite(others[label])
            marks = np.unique(np.geomspace(1, max(len(finite), 1), 12).astype(int)) - 1
            marks = marks[marks < len(finite)]
            axes.plot(epochs[marks], finite[marks], linestyle="", marker="o", markersize=4, color=colour, alpha=0.6)
    if others:
        axes.plot([], [], linestyle="", marker="o", markersize=4, color="0.4", label="the same by tf.keras")
    axes.set(xscale="log", yscale="log", xlabel="epoch", ylabel="loss (mean over the epoch, units of y squared)")
    starts = [values[0] for values in losses.values() if values and 0 < values[0] < np.inf]
    if starts and len(losses) > 1:
        # A run that diverges leaves the picture at the top, so that the others can be told apart.
        axes.set_ylim(top=min(axes.get_ylim()[1], 1e3 * float(np.median(starts))))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def draw_lines(axes: Any, x: Any, y: Any, lines: Mapping[str, tuple[float, float]]) -> None:
    """Draw points and fitted lines.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    x, y : array of shape (rows,)
        The points.
    lines : mapping of str to (coefficient, intercept)
        The lines; those that are not finite are left out, and the legend says so.
    """
    axes.plot(x, y, linestyle="", marker="o", markersize=4, color="0.5", label="data")
    ends = np.array([np.min(x), np.max(x)])
    for i, (label, (coef, intercept)) in enumerate(lines.items()):
        finite = np.isfinite(coef) and np.isfinite(intercept)
        axes.plot(ends if finite else [], coef * ends + intercept if finite else [], color=COLOURS[i % len(COLOURS)],
                  linestyle=DASHES[i % len(DASHES)], label=label if finite else f"{label}: nan, no line")  # fmt: skip
    axes.set(xlabel="x", ylabel="y")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def save(figure: Any, path: str | os.PathLike[str]) -> Path:
    """Write a figure to a file, whole or not at all: under a temporary name first, then renamed.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    path : path
        The file; its ending chooses the format (.png, .svg, .pdf).

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ValueError
        If matplotlib does not know the format.
    OSError
        If the folder is missing or the file cannot be written.
    """
    target = Path(path)
    kind = target.suffix.lstrip(".").lower() or "png"
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise ValueError(f"Pictures cannot be written as {target.suffix!r}: choose one of {', '.join(sorted(known))}.")
    handle, temporary = tempfile.mkstemp(suffix=f".{kind}", prefix=f".{target.stem}-", dir=target.parent)
    os.close(handle)
    try:
        figure.savefig(temporary, format=kind, dpi=150)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    return target


def _finite(values: Sequence[float]) -> tuple[Any, Any]:
    """Return epochs (from 1) and values up to the first value that is not finite."""
    array = np.asarray(values, np.float64)
    bad = np.flatnonzero(~np.isfinite(array))
    array = array[: bad[0]] if len(bad) else array
    return np.arange(1, len(array) + 1), array
