"""The pictures of a study, drawn by matplotlib (extra `plot`), each by one function of the subject."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from linreg.diagnosis import diagnose
from linreg.losses import Huber, Loss
from linreg.study.figures import COLOURS, DASHES, draw_losses, new_figure
from linreg.study.subject import Compared, Plane, Subject
from linreg.study.traces import trace

Array = Any

MARKERS = "osD^vP*"
GRID = 61
TRACED = 100
"""Steps whose gradient and state are drawn."""
LINES = 4
"""Parameters that are drawn: those with the largest gradients."""
WIDE = 30.0
"""A largest number so many times the usual one is drawn on a logarithmic axis."""
TOP = 1e3
"""A loss above this many times its start leaves a picture."""
UNIT = "units of {target} squared"


def losses(subject: Subject, compared: list[Compared]) -> Any:
    """Draw loss against epoch for every known optimizer at its best learning rate.

    Parameters
    ----------
    subject : Subject
        What is studied.
    compared : list of Compared
        See `Subject.compared`.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    figure, (axes,) = new_figure(1, f"{subject.target}: which optimizer gets there first")
    figure.set_size_inches(8, 5)
    told = {one: f"epoch {one.arrived}" if one.arrived else "not there" for one in compared}
    draw_losses(axes, {f"{one.label}, rate {one.optimizer.learning_rate:.3g}: {told[one]}": one.losses.tolist()
                       for one in compared}, {})  # fmt: skip
    if subject.least > 0:
        axes.axhline(subject.least, color="0.4", linewidth=1, linestyle=(0, (1, 2)))
        axes.annotate("least there is", (1, subject.least), fontsize=8, va="bottom", color="0.3")
    axes.set_ylabel(f"loss ({_unit(subject)})")
    axes.legend(fontsize=8, title="at its best learning rate: 99 % of the way", title_fontsize=8)
    return figure


def paths(subject: Subject, compared: list[Compared]) -> Any:
    """Draw the contours of the loss with the paths of the optimizers on them.

    Parameters
    ----------
    subject : Subject
        What is studied.
    compared : list of Compared
        See `Subject.compared`.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    plane = subject.plane
    walked = {one.label: plane.of(subject.path(one.optimizer)) for one in compared}
    seen_from = ", projected onto a plane through the optimum" if subject.problem.size > 2 else ""
    figure, (axes,) = new_figure(1, f"{subject.target}: paths of the first steps on the loss{seen_from}")
    figure.set_size_inches(8, 6.2)
    # Adaptive rules may shoot out far; the start, the optimum and most of every path are seen.
    seen = np.concatenate([*walked.values(), [plane.at]])
    low, high = span(seen)
    draw_contours(figure, axes, subject, plane, low, high)
    for i, (label, path) in enumerate(walked.items()):
        draw_path(axes, path, i, label)
    axes.plot(*plane.of(subject.path(most=0)[0]), linestyle="", marker="s", markersize=9, markerfacecolor="white",
              markeredgecolor="black", label="start")  # fmt: skip
    axes.legend(fontsize=8)
    return figure


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

    across, up, height = surface(subject, plane, low, high)
    excess = height - subject.least
    floor = max(float(np.quantile(excess, 0.01)), float(excess.max()) * 1e-6) or 1.0
    levels = np.geomspace(floor, max(float(excess.max()), 2 * floor), 14)
    norm = LogNorm(levels[0], levels[-1])
    filled = axes.contourf(across, up, np.maximum(excess, floor), levels=levels, norm=norm, cmap="Greys", alpha=0.22)
    axes.contour(across, up, np.maximum(excess, floor), levels=levels, norm=norm, colors="0.35", linewidths=0.6)
    figure.colorbar(filled, ax=axes, label=f"loss above the optimum ({_unit(subject)})", format="%.2g")
    axes.plot(*plane.at, linestyle="", marker="x", markersize=11, markeredgewidth=2.5, color="black",
              zorder=5, label="optimum")  # fmt: skip
    across_label, up_label = (
        f"{label}:\n{along}" if along else label for label, along in zip(plane.labels, plane.along, strict=True)
    )
    axes.set(xlabel=across_label, ylabel=up_label, xlim=(low[0], high[0]), ylim=(low[1], high[1]))


def surface(subject: Subject, plane: Plane, low: Array, high: Array, points: int = GRID) -> tuple[Array, Array, Array]:
    """Return the loss on a grid of a plane.

    Parameters
    ----------
    subject : Subject
        What is studied.
    plane : Plane
        The plane.
    low, high : array of shape (2,)
        Corners.
    points : int, default=61
        Points along an axis.

    Returns
    -------
    across, up : array of shape (points,)
        The places.
    height : array of shape (points, points)
        The loss at (up, across), in units of the loss.
    """
    across, up = (np.linspace(low[k], high[k], points) for k in (0, 1))
    grid = np.meshgrid(across, up)
    rows = [subject.problem.objective(plane.parameters(*(line[np.newaxis] for line in pair)))
            for pair in zip(*grid, strict=True)]  # fmt: skip
    return across, up, np.array(rows)


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


def edge(subject: Subject) -> Any:
    """Draw the loss at the end against the learning rate, the computed limit marked: where the edge is.

    Parameters
    ----------
    subject : Subject
        What is studied.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    optimizer = subject.optimizer
    limit, own = subject.limit(optimizer), optimizer.learning_rate
    middle = limit if math.isfinite(limit) else float(subject.rates(optimizer)[-3])
    # Densely about the limit, so that the edge is seen to be there.
    ends = [1e-3 * middle, 8 * middle, *([] if callable(own) or not own else [own / 3, own * 3])]
    around = middle * np.geomspace(0.8, 1.25, 12)
    rates = np.unique(np.concatenate([np.geomspace(min(ends), max(ends), 34), around]))
    figure, (axes,) = new_figure(1, f"{subject.target}: {type(optimizer).__name__}, loss at the end by learning rate")
    figure.set_size_inches(8, 5)
    runs = {"full batches": len(subject.y), f"batches of {subject.model.batch_size}": int(subject.model.batch_size)}
    start = float(subject.problem.objective(subject.path(most=0)[0]))
    top = TOP * start
    for i, (size, label) in enumerate({size: label for label, size in runs.items()}.items()):
        found = subject.swept(optimizer, learning_rate=rates.tolist(), batch_size=size)
        last = np.nan_to_num(found.last("loss"), nan=np.inf)
        inside = last <= top
        axes.plot(rates[inside], last[inside], color=COLOURS[i], linestyle=DASHES[i], marker=MARKERS[i], markersize=4,
                  label=label)  # fmt: skip
        if inside.all():
            continue
        axes.plot(rates[~inside], np.full((~inside).sum(), top * 2.0 ** (i + 1)), linestyle="", marker=MARKERS[i],
                  markersize=5, color=COLOURS[i], markerfacecolor="white",
                  label=f"{label}: diverged, or above {TOP:g} times the start")  # fmt: skip
    axes.axhline(start, color="0.5", linewidth=1, linestyle=(0, (1, 2)), label="loss at the start")
    if math.isfinite(limit):
        axes.axvline(limit, color="black", linestyle="--", label=f"computed limit of full batches: {limit:.3g}")
    if not callable(own):
        axes.axvline(own, color=COLOURS[1], linestyle="-.", linewidth=2, label=f"the rate of this run: {own:.3g}")
    positive = subject.least > 0 or start > 0
    axes.set(xscale="log", yscale="log" if positive else "linear", xlabel="learning rate",
             ylabel=f"loss of the last epoch ({_unit(subject)})")  # fmt: skip
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def state(subject: Subject) -> Any:
    """Draw gradient, state of the rule and update of the run's first steps.

    Parameters
    ----------
    subject : Subject
        What is studied.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    own = {**subject.model.get_params(deep=False), "callbacks": (), "verbose": 0}
    found = trace(subject.X, subject.y, steps=range(1, TRACED + 1), names=subject.names, **own)
    letters = found.model.state_.letters
    kinds = [name for name in ("gradient", *letters, "update") if all(name in step.quantities for step in found.steps)]
    figure, panels = new_figure(len(kinds), f"{subject.target}: {subject.optimizer!r}, first {len(found.steps)} steps")
    figure.set_size_inches(1.5 + 3.7 * len(kinds), 4.2)
    gradients = np.array([step["gradient"] for step in found.steps], np.float64)
    largest = np.argsort(-np.nan_to_num(np.abs(gradients)).max(axis=0), kind="stable")[:LINES]
    at = [step.number for step in found.steps]
    units = {"gradient": "loss per unit of parameter", "update": "units of parameter"}
    for axes, name in zip(panels, kinds, strict=True):
        values = np.array([step[name] for step in found.steps], np.float64)
        values[~np.isfinite(values)] = np.nan
        for i, j in enumerate(sorted(largest)):
            axes.plot(at, values[:, j], color=COLOURS[i], linestyle=DASHES[i], label=found.names[j])
        sizes = np.abs(values[np.isfinite(values) & (values != 0)])
        # Sizes of many powers of ten are drawn by their logarithm, those about zero are not.
        if len(sizes) and sizes.max() > WIDE * np.median(sizes):
            axes.set_yscale("symlog", linthresh=max(float(np.median(sizes)), 1e-3 * float(sizes.max())))
        axes.set(xlabel="step", ylabel=f"{name} ({units[name]})" if name in units else name, title=name)
        axes.grid(alpha=0.3)
    panels[0].legend(fontsize=8)
    return figure


def residuals(subject: Subject) -> Any:
    """Draw the residuals of the optimum and how hard each loss lets them pull: Huber's corner at delta.

    Parameters
    ----------
    subject : Subject
        What is studied.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    loss = subject.model.settings().loss
    corner = loss if isinstance(loss, Huber) else Huber()
    errors = subject.problem.matrix @ subject.best - subject.problem.target
    figure, (left, right) = new_figure(2, f"{subject.target}: residuals, and where Huber's loss has its corner")
    left.hist(
        errors, bins=min(60, max(8, int(np.sqrt(len(errors)) * 2))), color="#56B4E9", edgecolor="black", linewidth=0.4
    )
    unit = f"units of {subject.target}"
    left.set(xlabel=f"residual: prediction minus {subject.target} ({unit})", ylabel="rows")
    wide = max(float(np.abs(errors).max()), 1.5 * corner.delta)
    line = np.linspace(-wide, wide, 601)
    drawn: dict[str, Loss] = {f"Huber, delta {corner.delta:g}": corner}
    if not isinstance(loss, Huber):
        drawn["squared error"] = loss
    for i, (label, one) in enumerate(drawn.items()):
        slope = one.slope(line, float(one.slope_factor), *one.constants(np.float64))
        right.plot(line, slope, color=COLOURS[i], linestyle=DASHES[i], label=label)
    pulls = corner.slope(errors, float(corner.slope_factor), *corner.constants(np.float64))
    faint = min(1.0, 60 / len(errors) + 0.1)
    right.plot(errors, pulls, linestyle="", marker="|", markersize=9, color="black", alpha=faint, label="the rows")
    beyond = int((np.abs(errors) > corner.delta).sum())
    for axes in (left, right):
        for sign in (-1, 1):
            axes.axvline(sign * corner.delta, color="black", linestyle="--", linewidth=1,
                         label=f"delta: {beyond} of {len(errors)} rows beyond" if sign == 1 else None)  # fmt: skip
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    right.set(xlabel=f"residual ({unit})", ylabel="slope of the loss of a row: how hard it pulls")
    limit = 2.5 * float(np.abs(pulls).max())
    if limit > 0:
        right.set_ylim(-limit, limit)
    return figure


def remedy(subject: Subject) -> Any:
    """Draw the loss of the run as it is, and with the best remedy of each finding of its diagnosis.

    Parameters
    ----------
    subject : Subject
        What is studied.

    Returns
    -------
    matplotlib.figure.Figure
        The picture; with one curve where nothing was found.
    """
    own = {**subject.model.get_params(deep=False), "callbacks": (), "verbose": 0}
    found = diagnose(subject.X, subject.y, **own)
    cause = f": {found.findings[0].cause}" if found.findings else ", nothing to cure"
    figure, (axes,) = new_figure(1, f"{subject.target}: before and after ({found.verdict}{cause})")
    figure.set_size_inches(8, 5)
    curves = {} if found.outcome is None else {"as given": found.outcome.curve}
    for finding in found.findings:
        after = finding.remedies[0].after if finding.remedies else None
        if after is not None:
            curves.setdefault(f"{finding.remedies[0].name}: {after.verdict}", after.curve)
    if curves:
        draw_losses(axes, {label: curve[1:].tolist() for label, curve in list(curves.items())[:LINES]}, {})
    else:
        axes.text(0.5, 0.5, "no step can be taken", ha="center", transform=axes.transAxes)
    axes.set(xlabel="epoch, the start as 1", ylabel=f"loss on all rows ({_unit(subject)})")
    return figure


def _unit(subject: Subject) -> str:
    return UNIT.format(target=subject.target)


PICTURES: dict[str, Callable[..., Any]] = {
    "losses": losses, "paths": paths, "edge": edge, "state": state, "residuals": residuals, "remedy": remedy,
}  # fmt: skip
"""By name; the first two are given what was compared as well."""


def draw(name: str, subject: Subject, compared: list[Compared]) -> Any:
    """Draw one of the pictures.

    Parameters
    ----------
    name : str
        One of `PICTURES`.
    subject : Subject
        What is studied.
    compared : list of Compared
        See `Subject.compared`.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Raises
    ------
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from linreg import LinearRegression, study
    >>> model = LinearRegression(epochs=3, random_state=0)
    >>> subject = study.Subject(np.array([[-3.0], [3.0]]), np.array([-5.0, 7.0]), ["x"], "y", model)
    >>> figure = study.draw("residuals", subject, [])
    >>> len(figure.axes)
    2
    """
    made, subject = PICTURES[name], subject.drawn
    return made(subject, compared) if name in ("losses", "paths") else made(subject)
