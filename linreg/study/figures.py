"""Pictures of runs, drawn by matplotlib (extra `plot`)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from linreg.whole_files import file_path, write_whole

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, told apart by people with any kind of colour vision."""
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))
"""Dashes of lines, by which they are told apart also in grey."""


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

    Examples
    --------
    >>> from linreg import study
    >>> figure, axes = study.new_figure(2, "Two runs")
    >>> len(axes), figure.get_suptitle()
    (2, 'Two runs')
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


def draw_losses(
    axes: Any, losses: Mapping[str, Sequence[float]], others: Mapping[str, Sequence[float]], *, first: int = 1
) -> None:
    """Draw loss against epoch on logarithmic axes; a loss that leaves the picture is marked by an arrow at its top.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    losses : mapping of str to sequence of float
        Loss by epoch of each run, drawn as lines.
    others : mapping of str to sequence of float
        The same runs by tf.keras, drawn as dots; may be empty.
    first : int, default=1
        Epoch of the first losses; 0 where they are those before the first epoch.

    Examples
    --------
    >>> from linreg import study
    >>> figure, (axes,) = study.new_figure(1, "Two runs")
    >>> study.draw_losses(axes, {"stays": [4.0, 2.0, 1.0], "leaves": [4.0, 400.0, float("inf")]}, {})
    >>> [text.get_text() for text in axes.get_legend().get_texts()]
    ['stays', 'leaves (not finite from epoch 3)']
    """
    for i, (label, values) in enumerate(losses.items()):
        colour = COLOURS[i % len(COLOURS)]
        epochs, finite = _finite(values, first)
        ended = len(finite) < len(values)
        axes.plot(epochs, finite, color=colour, linestyle=DASHES[i % len(DASHES)],
                  label=f"{label} (not finite from epoch {len(finite) + first})" if ended else label)  # fmt: skip
        if label in others:
            epochs, finite = _finite(others[label], first)
            marks = np.unique(np.geomspace(1, max(len(finite), 1), 12).astype(int)) - 1
            marks = marks[marks < len(finite)]
            axes.plot(epochs[marks], finite[marks], linestyle="", marker="o", markersize=4, color=colour, alpha=0.6)
    if others:
        axes.plot([], [], linestyle="", marker="o", markersize=4, color="0.4", label="the same by tf.keras")
    positive = any((_finite(values)[1] > 0).any() for values in losses.values())
    axes.set(
        yscale="log" if positive else "linear",
        xlabel="epoch",
        ylabel="loss (mean over the epoch, units of y squared)",
    )
    if first:
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(-0.15, 1.2 * max(2, *map(len, losses.values())))
    if len(losses) > 1:
        _leave_at_the_top(axes, losses, first)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _leave_at_the_top(axes: Any, losses: Mapping[str, Sequence[float]], first: int) -> None:
    """Cut the loss axis above the runs that stay, so that they can be told apart; an arrow marks where one leaves."""
    curves = {label: _finite(values, first) for label, values in losses.items()}
    values = np.concatenate([curve for _, curve in curves.values()])
    values = values[values > 0]
    if not len(values):
        return
    top = 1e3 * float(np.median([curve[0] for _, curve in curves.values() if len(curve)]))
    axes.set_ylim(float(values.min()) / 2, min(top, 2 * float(values.max())))
    for i, (epochs, curve) in enumerate(curves.values()):
        leaves = np.flatnonzero(curve > top)
        if len(leaves):
            at = _crossing(axes, epochs, curve, int(leaves[0]), top)
            axes.plot(at, top, marker="^", markersize=9, color=COLOURS[i % len(COLOURS)], clip_on=False)


def _crossing(axes: Any, epochs: Any, curve: Any, i: int, top: float) -> float:
    """Return where on the axis of epochs a curve whose i-th point lies above a height crosses it, as it is drawn."""
    if i == 0:
        return float(epochs[0])
    ends = axes.transData.transform(np.column_stack([epochs, curve])[i - 1 : i + 1])
    height = axes.transData.transform((epochs[i], top))[1]
    there = np.interp(height, ends[:, 1], ends[:, 0]), height
    return float(axes.transData.inverted().transform(there)[0])


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

    Examples
    --------
    >>> from linreg import study
    >>> figure, (axes,) = study.new_figure(1, "A line")
    >>> study.draw_lines(axes, [0.0, 1.0], [1.0, 3.0], {"fitted": (2.0, 1.0)})
    >>> axes.lines[1].get_ydata()
    array([1., 3.])
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


def picture_path(path: str | os.PathLike[str]) -> Path:
    """Check, before any work is done, that a picture can go to this path.

    Parameters
    ----------
    path : path
        Where a picture is wanted.

    Returns
    -------
    pathlib.Path
        The same path.

    Raises
    ------
    ValueError
        If matplotlib does not know the format.
    FileNotFoundError
        If the folder is missing.
    IsADirectoryError
        If it is a folder itself.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> from linreg import study
    >>> study.picture_path("loss.jpeg2")
    Traceback (most recent call last):
    ValueError: Pictures cannot be written as '.jpeg2': choose one of ...
    """
    target = file_path(path, "loss.png")
    known = new_figure(1, "")[0].canvas.get_supported_filetypes()
    if target.suffix.lstrip(".").lower() not in known:
        raise ValueError(f"Pictures cannot be written as {target.suffix!r}: choose one of {', '.join(sorted(known))}.")
    return target


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

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from linreg import study
    >>> figure, axes = study.new_figure(1, "Nothing yet")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study.save(figure, Path(folder) / "loss.svg").read_text().startswith("<?xml")
    True
    """
    target = picture_path(path)
    kind = target.suffix.lstrip(".").lower()
    return write_whole(target, lambda file: figure.savefig(file, format=kind, dpi=150))


def _finite(values: Sequence[float], first: int = 1) -> tuple[Any, Any]:
    """Return epochs and values up to the first value that is not finite."""
    array = np.asarray(values, np.float64)
    bad = np.flatnonzero(~np.isfinite(array))
    array = array[: bad[0]] if len(bad) else array
    return np.arange(first, len(array) + first), array
