"""The pictures of a study, drawn by matplotlib (extra `plot`), each by one function of the subject."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from linreg.diagnosis import diagnose
from linreg.diagnosis.cases import Case
from linreg.diagnosis.exact_fits import clean_fit
from linreg.diagnosis.fit_causes import HUBER, usual_delta
from linreg.losses import Huber, Loss
from linreg.study.figures import COLOURS, DASHES, draw_losses, new_figure
from linreg.study.maps import MARKERS, draw_contours, draw_path, span
from linreg.study.subject import Compared, Subject
from linreg.study.traces import trace

Array = Any

TRACED = 100
"""Steps whose gradient and state are drawn."""
LINES = 4
"""Parameters that are drawn: those with the largest gradients."""
WIDE = 30.0
"""A largest number so many times the usual one is drawn on a logarithmic axis."""
TOP = 1e3
"""A loss above this many times its start leaves a picture."""
STATES = {
    ("SGD", "m"): "m: velocity (momentum),\nin units of the parameter",
    ("RMSprop", "v"): "v: mean of squared gradients",
    ("RMSprop", "a"): "a: mean gradient",
    ("RMSprop", "m"): "m: velocity (momentum),\nin units of the parameter",
    ("Adam", "m"): "m: mean gradient",
    ("Adam", "v"): "v: mean of squared gradients",
    ("Adam", "v_hat"): "v_hat: largest v so far",
}
"""What the letters of a rule's state are."""


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
    axes.set_ylabel(f"loss ({subject.loss_unit})")
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
    projected = f"\n{subject.projection}" if subject.projection else ""
    figure, (axes,) = new_figure(1, f"{subject.target}: paths of the first steps on the loss{projected}")
    figure.set_size_inches(8, 6.2)
    # Adaptive rules may shoot out far; the start, the optimum and most of every path are seen.
    low, high = span(np.concatenate([*walked.values(), [plane.at]]))
    draw_contours(figure, axes, subject, plane, low, high)
    for i, (label, path) in enumerate(walked.items()):
        draw_path(axes, path, i, label)
    axes.plot(*plane.of(subject.path(most=0)[0]), linestyle="", marker="s", markersize=9, markerfacecolor="white",
              markeredgecolor="black", label="start")  # fmt: skip
    axes.legend(fontsize=8)
    return figure


def edge(subject: Subject) -> Any:
    """Draw the loss at the end against the learning rate, the computed limit marked: where the edge is.

    Parameters
    ----------
    subject : Subject
        What is studied.

    Returns
    -------
    matplotlib.figure.Figure
        The picture; runs that diverge stand in a band at its top.
    """
    optimizer = subject.optimizer
    limit, own = subject.limit(optimizer), optimizer.learning_rate
    rates = _rates_about_the_edge(subject)
    figure, (axes,) = new_figure(1, f"{subject.target}: {optimizer!r}, loss at the end by learning rate")
    figure.set_size_inches(8, 5.4)
    band = _band(axes)
    runs = {"full batches": len(subject.y), f"batches of {subject.model.batch_size}": int(subject.model.batch_size)}
    start = float(subject.problem.objective(subject.path(most=0)[0]))
    for i, (size, label) in enumerate({size: label for label, size in runs.items()}.items()):
        found = subject.swept(optimizer, learning_rate=rates.tolist(), batch_size=size)
        last = np.nan_to_num(found.last("loss"), nan=np.inf)
        inside = last <= TOP * start
        look = {"color": COLOURS[i], "marker": MARKERS[i]}
        axes.plot(rates[inside], last[inside], linestyle=DASHES[i], markersize=4, label=label, **look)
        if not inside.all():
            band.plot(rates[~inside], np.full((~inside).sum(), i), linestyle="", markersize=5, markerfacecolor="white",
                      label=f"{label}: diverges", **look)  # fmt: skip
    axes.axhline(start, color="0.5", linewidth=1, linestyle=(0, (1, 2)), label="loss at the start")
    if math.isfinite(limit):
        _line_across(axes, band, limit, f"computed limit of full batches: {limit:.3g}", color="black", linestyle="--")
    if not callable(own):
        _line_across(axes, band, own, f"the rate of this run: {own:.3g}", color=COLOURS[1], linestyle="-.", linewidth=2)
    positive = subject.least > 0 or start > 0
    axes.set(xscale="log", yscale="log" if positive else "linear", xlabel="learning rate",
             ylabel=f"loss of the last epoch ({subject.loss_unit})")  # fmt: skip
    axes.grid(alpha=0.3)
    handles, labels = (of + more for of, more in zip(axes.get_legend_handles_labels(),
                                                     band.get_legend_handles_labels(), strict=True))  # fmt: skip
    axes.legend(handles, labels, fontsize=8)
    return figure


def _band(axes: Any) -> Any:
    """Return a band above a picture for runs that diverge: they have no loss that could be drawn."""
    band = axes.inset_axes((0, 1.02, 1, 0.16), sharex=axes)
    band.set(ylim=(-1, 2.6), yticks=[], facecolor="0.95")
    band.tick_params(labelbottom=False, which="both", bottom=False)
    band.text(0.01, 0.78, f"diverges: not finite at the end, or above {TOP:g} times the start", fontsize=8, va="center",
              transform=band.transAxes)  # fmt: skip
    return band


def _line_across(axes: Any, band: Any, rate: float, label: str, **look: Any) -> None:
    axes.axvline(rate, label=label, **look)
    band.axvline(rate, **look)


def _rates_about_the_edge(subject: Subject) -> Array:
    """Return learning rates from too small to too large, densely about the limit, so that the edge is seen."""
    optimizer = subject.optimizer
    limit, own = subject.limit(optimizer), optimizer.learning_rate
    middle = limit if math.isfinite(limit) else float(subject.rates(optimizer)[-3])
    ends = [1e-3 * middle, 8 * middle, *([] if callable(own) or not own else [own / 3, own * 3])]
    around = middle * np.geomspace(0.8, 1.25, 12)
    return np.unique(np.concatenate([np.geomspace(min(ends), max(ends), 34), around]))


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
    rule = type(subject.optimizer).__name__
    labels = {
        "gradient": f"gradient ({subject.loss_unit}\nper unit of the parameter)",
        **{letter: STATES.get((rule, letter), f"{letter}: state of {rule}") for letter in found.model.state_.letters},
        "update": "update: what is added to the parameter,\nin its unit",
    }
    kinds = [name for name in labels if all(name in step.quantities for step in found.steps)]
    figure, panels = new_figure(len(kinds), f"{subject.target}: {subject.optimizer!r}, first {len(found.steps)} steps")
    figure.set_size_inches(1.5 + 3.7 * len(kinds), 4.2)
    gradients = np.array([step["gradient"] for step in found.steps], np.float64)
    largest = np.argsort(-np.nan_to_num(np.abs(gradients)).max(axis=0), kind="stable")[:LINES]
    at = [step.number for step in found.steps]
    for axes, name in zip(panels, kinds, strict=True):
        values = np.array([step[name] for step in found.steps], np.float64)
        values[~np.isfinite(values)] = np.nan
        for i, j in enumerate(sorted(largest)):
            axes.plot(at, values[:, j], color=COLOURS[i], linestyle=DASHES[i], label=found.names[j])
        sizes = np.abs(values[np.isfinite(values) & (values != 0)])
        # Sizes of many powers of ten are drawn by their logarithm, those about zero are not.
        if len(sizes) and sizes.max() > WIDE * np.median(sizes):
            usual = max(float(np.median(sizes)), 1e-3 * float(sizes.max()))
            # A power of ten, and a little more: its logarithm must not be rounded down to the next one.
            axes.set_yscale("symlog", linthresh=(1 + 1e-9) * 10.0 ** math.ceil(math.log10(usual)))
        axes.set(xlabel="step", ylabel=labels[name], title=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
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
        The picture. Delta is that of the run, or where its loss has none, the one that the diagnosis offers.
    """
    loss = subject.model.settings().loss
    corner, chosen = _corner(subject, loss)
    errors = subject.problem.matrix @ subject.best - subject.problem.target
    figure, (left, right) = new_figure(
        2, f"{subject.target}: residuals, and where Huber's loss has its corner\ndelta {corner.delta:.3g}: {chosen}"
    )
    bins = min(60, max(8, int(np.sqrt(len(errors)) * 2)))
    left.hist(errors, bins=bins, color="#56B4E9", edgecolor="black", linewidth=0.4)
    left.yaxis.get_major_locator().set_params(integer=True)
    unit = f"units of {subject.target}"
    left.set(xlabel=f"residual: prediction minus {subject.target} ({unit})", ylabel="rows")
    wide = max(float(np.abs(errors).max()), 1.5 * corner.delta)
    line = np.linspace(-wide, wide, 601)
    drawn: dict[str, Loss] = {f"Huber, delta {corner.delta:.3g}": corner}
    if not isinstance(loss, Huber):
        drawn["squared error, the loss of this run"] = loss
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
    right.set(xlabel=f"residual ({unit})", ylabel=f"slope of a row's loss:\nhow hard it pulls ({unit})")
    limit = 2.5 * float(np.abs(pulls).max())
    if limit > 0:
        right.set_ylim(-limit, limit)
    return figure


def _corner(subject: Subject, loss: Loss) -> tuple[Huber, str]:
    """Return Huber's loss with a delta, and where that comes from."""
    if isinstance(loss, Huber):
        return loss, "that of this run"
    scale = clean_fit(Case(subject.X, subject.y, tuple(subject.names), subject.model))[1]
    if scale > 0:
        return Huber(usual_delta(scale)), f"as linreg why offers it, {HUBER} robust standard deviations of the errors"
    return Huber(), "Keras' default, for so few rows have no scatter to measure"


def remedy(subject: Subject) -> Any:
    """Draw the loss of the run as it is, and with the best remedy of each finding of its diagnosis.

    Parameters
    ----------
    subject : Subject
        What is studied.

    Returns
    -------
    matplotlib.figure.Figure
        The picture; with one curve where nothing was found. Losses that cannot be compared have panels of their own.
    """
    own = {**subject.model.get_params(deep=False), "callbacks": (), "verbose": 0}
    found = diagnose(subject.X, subject.y, **own)
    cause = f": {found.findings[0].cause}" if found.findings else ", nothing to cure"
    curves = {} if found.outcome is None else {"as given": (_objective(subject.model), found.outcome.curve)}
    for finding in found.findings:
        first = finding.remedies[0] if finding.remedies else None
        if first is not None and first.after is not None:
            kind = _objective(first.model_for(subject.model)) + (", without those rows" if first.drop_rows else "")
            curves.setdefault(f"{first.name}: {first.after.verdict}", (kind, first.after.curve))
    shown = list(curves.items())[:LINES]
    kinds = list(dict.fromkeys(kind for _, (kind, _) in shown)) or [""]
    figure, panels = new_figure(len(kinds), f"{subject.target}: before and after ({found.verdict}{cause})")
    figure.set_size_inches(8 if len(kinds) == 1 else 1.5 + 5 * len(kinds), 5)
    for axes, kind in zip(panels, kinds, strict=True):
        alike = {label: curve.tolist() for label, (of, curve) in shown if of == kind}
        if alike:
            draw_losses(axes, alike, {}, first=0)
        else:
            axes.text(0.5, 0.5, "no step can be taken", ha="center", transform=axes.transAxes)
        axes.set(xlabel="epoch (0: before the first)", ylabel=f"loss on all rows ({subject.loss_unit})", title=kind)
    return figure


def _objective(model: Any) -> str:
    """Return what a run makes small, in words: curves of the same can be compared."""
    settings = model.settings()
    return f"{settings.loss!r}" + (f" + {settings.regularizer!r}" if settings.regularizer is not None else "")


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
