"""The picture of a sweep: a map over two parameters or a curve over one, drawn by matplotlib (extra `plot`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from linreg.dynamics import max_learning_rate
from linreg.hyperparameters import nearest
from linreg.optimizers import SGD
from linreg.sweeps.result import finite_number, short

if TYPE_CHECKING:
    from linreg.sweeps.result import Sweep

Array = Any

LARGEST_EIGENPROBLEM = 2000
"""Features up to which the largest stable learning rate is computed for a picture."""


def heatmap(found: Sweep, x: str | None, y: str | None) -> Any:
    """Draw the criterion of a sweep; see `Sweep.heatmap`.

    Parameters
    ----------
    found : Sweep
        The sweep.
    x, y : str, optional
        The parameters.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If a parameter was not swept over.
    """
    names = _varied(found)
    for name in (x, y):
        if name is not None and name not in names:
            raise ValueError(f"No parameter {name!r} was swept over{nearest(name, names)}.")
    free = [name for name in names if name not in (x, y)]
    x = x or (free.pop(0) if free else None)
    if x is None:
        raise ValueError("Every configuration is the same, so there is nothing to draw them over.")
    y = y or (free.pop(0) if free else None)
    figure, axes = _new_figure()
    if y is None:
        _draw_curve(axes, found, x)
    else:
        _draw_map(figure, axes, found, x, y)
    of = f", the best over {', '.join(free)}" if free else ""
    figure.suptitle(f"{found.criterion} after the last epoch{of}", fontsize=12)
    return figure


def _varied(found: Sweep) -> list[str]:
    """Return the parameters that have more than one value."""
    names = dict.fromkeys(name for one in found.configurations for name in one)
    return [name for name in names if len(_Axis(found, name).values) > 1]


def _new_figure() -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("Pictures are drawn with matplotlib: pip install 'linreg[plot]'.") from None
    figure = Figure(figsize=(7.5, 5.2), layout="constrained")
    FigureCanvasAgg(figure)  # without touching the user's pyplot state
    return figure, figure.subplots()


class _Axis:
    """The values of a parameter along an axis: numbers rising, anything else in the order of the sweep."""

    def __init__(self, found: Sweep, name: str) -> None:
        given: list[Any] = [one.get(name) for one in found.configurations]
        self.name = name
        self.numeric = all(map(finite_number, given))
        keys = [value if self.numeric else repr(value) for value in given]
        distinct = dict(zip(keys, given, strict=True))
        order: list[Any] = sorted(distinct) if self.numeric else list(distinct)
        self.values = [distinct[key] for key in order]
        self.place = np.array([order.index(key) for key in keys])
        self.logarithmic = self.numeric and min(self.values) > 0 and max(self.values) > 5 * min(self.values)

    def at(self) -> list[Any]:
        """Return where the values stand on the axis of a curve."""
        return self.values if self.numeric else list(range(len(self.values)))


def _draw_curve(axes: Any, found: Sweep, x: str) -> None:
    axis = _Axis(found, x)
    at = np.array(axis.at(), float)
    scores = _least(found.scores, (axis.place,), (len(at),))
    finite = np.isfinite(scores)
    axes.plot(at[finite], scores[finite], marker="o", markersize=3, color="#0072B2")
    if finite.any():
        k = int(np.nanargmin(scores))
        axes.plot(at[k], scores[k], marker="*", markersize=14, color="#E69F00", linestyle="",
                  label=f"best: {short(axis.values[k])}")  # fmt: skip
    for k, place in enumerate(at[~finite]):
        axes.axvline(place, color="#D55E00", alpha=0.25, label="not finite" if k == 0 else None)
    limit = _stable_limit(found, x)
    if math.isfinite(limit):
        axes.axvline(limit, color="black", linestyle="--", label=f"largest stable rate of full batches: {limit:.3g}")
    if (scores[finite] > 0).all() and finite.any():
        axes.set_yscale("log")
    if axis.logarithmic:
        axes.set_xscale("log")
    if not axis.numeric:
        axes.set_xticks(at, [short(value) for value in axis.values])
    axes.set(xlabel=x, ylabel=found.criterion)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=8)


def _draw_map(figure: Any, axes: Any, found: Sweep, x: str, y: str) -> None:
    from matplotlib.colors import LogNorm

    across, up = _Axis(found, x), _Axis(found, y)
    scores = _least(found.scores, (up.place, across.place), (len(up.values), len(across.values)))
    finite = np.isfinite(scores)
    positive = finite.any() and (scores[finite] > 0).all()
    colours = axes.pcolormesh(
        np.arange(scores.shape[1]), np.arange(scores.shape[0]), np.ma.masked_invalid(scores),
        shading="nearest", cmap="viridis", norm=LogNorm() if positive else None,
    )  # fmt: skip
    tried = np.zeros(scores.shape, bool)
    tried[up.place, across.place] = True
    rows, columns = np.nonzero(tried & ~finite)
    if len(rows):
        axes.plot(columns, rows, linestyle="", marker="x", color="#D55E00", markersize=6, label="not finite")
    if finite.any():
        row, column = np.unravel_index(np.nanargmin(scores), scores.shape)
        axes.plot(column, row, linestyle="", marker="*", color="#E69F00", markeredgecolor="black", markersize=15,
                  label=f"best: {x} {short(across.values[column])}, {y} {short(up.values[row])}")  # fmt: skip
        figure.colorbar(colours, ax=axes, label=found.criterion)
    for axis, where in ((across, axes.xaxis), (up, axes.yaxis)):
        ticks = _ticks(len(axis.values))
        slanted = {"rotation": 45, "ha": "right"} if axis is across else {}
        where.set_ticks(ticks, [short(axis.values[k]) for k in ticks], **slanted)
    axes.set(xlabel=x, ylabel=y)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(0, 1.1), ncols=2, borderaxespad=0)


def _ticks(values: int) -> list[int]:
    """Return at most a dozen places that are marked."""
    return [*range(0, values, -(-values // 12))]


def _least(scores: Array, place: tuple[Array, ...], shape: tuple[int, ...]) -> Array:
    """Return the smallest score at each place, nan where there is none."""
    least = np.full(shape, np.inf)
    np.minimum.at(least, place, np.where(np.isnan(scores), np.inf, scores))
    return np.where(np.isinf(least), np.nan, least)


def _stable_limit(found: Sweep, x: str) -> float:
    """Return the largest stable learning rate of full batches, nan where `dynamics` has none for this sweep."""
    model, optimizer = found.models[0], found.models[0].settings().optimizer
    rates_alone = x.rpartition("__")[2] == "learning_rate" and all({*one} == {x} for one in found.configurations)
    if not isinstance(optimizer, SGD) or not rates_alone or found.coef_.shape[1] > LARGEST_EIGENPROBLEM:
        return math.nan
    if any((optimizer.weight_decay, optimizer.clipnorm, optimizer.clipvalue, optimizer.global_clipnorm)):
        return math.nan
    penalty, momentum = model.kernel_regularizer, optimizer.momentum
    X, _, weight, _ = found.data
    return float(
        max_learning_rate(X, model.loss, momentum, optimizer.nesterov, bool(model.fit_intercept),
                          sample_weight=weight, kernel_regularizer=penalty)
    )  # fmt: skip
