"""The pictures of a diagnosis: losses, learning rate, scales, residuals and leverage, correlations."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from linreg import dynamics
from linreg.diagnosis.svg import CHARACTER, WIDTH, Chart, Scale, cut, escaped
from linreg.diagnosis.symptoms import Symptoms
from linreg.optimizers import SGD, Adam, RMSprop

if TYPE_CHECKING:
    from linreg.diagnosis.cases import Case, Outcome
    from linreg.diagnosis.diagnosis import Diagnosis

Array = Any

POINTS = 300
"""So many points of a loss curve are drawn."""
ROWS = 1500
"""So many rows are drawn: the most influential ones, and others spread evenly."""
FEATURES = 30
"""So many features are drawn: the largest."""
NUMBERED = 10
"""A table of correlations up to this size shows its numbers."""
CURVES = 4
NAMED = 5
"""So many rows carry their number."""
APART = 80.0
"""Two numbers of rows stand at least so far from each other, or a fifth of it above each other."""
ROUNDING = 1e-12
TOP = 1e3
"""A loss above this many times its start leaves the picture."""


def pictures(diagnosis: Diagnosis) -> Iterator[str]:
    """Yield the pictures of a diagnosis as HTML, each with its heading and what to see in it.

    Parameters
    ----------
    diagnosis : Diagnosis
        The diagnosis.

    Yields
    ------
    str
        HTML; only the losses where there are no data.
    """
    outcome, case = diagnosis.outcome, diagnosis.case
    if outcome is not None and np.isfinite(outcome.curve[:1]).all():
        yield "<h2>Loss, as it is and with what was tried</h2>"
        if diagnosis.verdict == "cannot_run":
            yield "<p>The run itself cannot take a step. All pictures show the data once that is repaired.</p>"
        yield from _losses(diagnosis, outcome)
    if case is None:
        return
    symptoms = Symptoms(case)
    yield from _rates(case, symptoms)
    yield "<h2>Scale of each column</h2>"
    yield from _scales(case, symptoms)
    yield "<h2>Residuals and leverage</h2>"
    yield from _rows(case, symptoms)
    if case.X.shape[1] > 1:
        yield "<h2>Correlations</h2>"
        yield from _correlations(case, symptoms)


def _losses(diagnosis: Diagnosis, outcome: Outcome) -> Iterator[str]:
    curves = [("as given", outcome.curve, "s0")]
    if outcome.validation is not None:
        curves.append(("as given, validation", outcome.validation, "s0 dashed"))
    curves += [(name, after.curve, f"s{i}") for i, (name, after) in enumerate(_cures(diagnosis), start=1)]
    first = 0 if diagnosis.case is not None else 1
    top = TOP * float(outcome.curve[0])
    least = outcome.least if outcome.least > 0 else math.nan
    seen = np.concatenate([curve[np.isfinite(curve) & (curve <= top)] for _, curve, _ in curves] + [[least]])
    chart = Chart("loss by epoch", 330)
    x = Scale(first, max(first + 1, *(first + len(curve) - 1 for _, curve, _ in curves)), 64, WIDTH - 16)
    y = Scale.over(seen, 278, 26, log=bool((seen[np.isfinite(seen)] > 0).all()))
    chart.x_axis(x, 26, 278, "epoch")
    chart.y_axis(y, x.start, x.end, "loss (logarithmic)" if y.log else "loss")
    if math.isfinite(least):
        chart.line((x.start, x.end), y.at([least, least]), "soft dashed")
    for name, curve, kind in curves:
        gone = np.flatnonzero(~(curve <= max(top, y.high)))
        end = int(gone[0]) if len(gone) else len(curve)
        picked = np.unique(np.linspace(0, end - 1, min(end, POINTS)).astype(int)) if end else np.empty(0, int)
        chart.line([*x.at(first + picked)], [*y.at(curve[picked])], kind)
        if len(gone):
            at = float(x.at(first + end))
            chart.line([float(x.at(first + max(end - 1, 0))), at], [float(y.at(curve[max(end - 1, 0)])), y.end], kind)
            chart.up(at, y.end - 8, kind, f"{name}: leaves the picture in epoch {first + end}")
    legend = [(name, kind) for name, _, kind in curves]
    yield _legend([*legend, ("least loss there is", "soft dashed")] if math.isfinite(least) else legend)
    yield chart.svg()
    if any((~(curve <= max(top, y.high))).any() for _, curve, _ in curves):
        yield '<p class="quiet">An arrow marks where a loss leaves the picture upwards.</p>'


def _cures(diagnosis: Diagnosis) -> list[tuple[str, Outcome]]:
    """Return name and outcome of the best remedy of each finding: those that cure, or the first if none does."""
    best = [finding.remedies[0] for finding in diagnosis.findings if finding.remedies]
    tried = [(f"{remedy.name}: {remedy.after.verdict}", remedy.after) for remedy in best if remedy.after is not None]
    curing = [(name, after) for name, after in tried if after.healthy]
    return list(dict(curing or tried[:1]).items())[:CURVES]


def _legend(entries: list[tuple[str, str]]) -> str:
    keys = (f'<li><span class="key {kind}"></span>{escaped(name)}</li>' for name, kind in entries)
    return f'<ul class="legend">{"".join(keys)}</ul>'


def _rates(case: Case, symptoms: Symptoms) -> Iterator[str]:
    rate, optimizer = case.learning_rate, case.settings.optimizer
    if isinstance(optimizer, SGD):
        limit, scaled = symptoms.limit_now, symptoms.limit_scaled
        values = [(limit, "limit of these data", "s1"), (scaled, "limit, features standardised", "s2"),
                  (rate, "learning rate", "s0")]  # fmt: skip
        values = [value for value in values if 0 < value[0] < math.inf]
        yield "<h2>Learning rate against its limit</h2>"
        yield _marks("learning rate and its limit", values, "learning rate", stable_to=limit)
        yield (
            '<p class="quiet">Full-batch steps are stable in the shaded range; the learning rate is '
            f"{rate / limit:.3g} times the limit of these data.</p>"
        )
        return
    if not isinstance(optimizer, Adam | RMSprop):  # nobody has worked out how far a rule of one's own reaches
        return
    reach = dynamics.reach(optimizer, case.steps)
    farthest = float(np.abs(case.best).max())
    values = [(farthest, "size of the largest parameter at the optimum", "s1"), (reach, "reach of this run", "s0")]
    values = [value for value in values if 0 < value[0] < math.inf]
    if values:
        yield "<h2>How far the learning rate reaches</h2>"
        yield _marks("reach of the run", values, "distance from 0", stable_to=reach)
        yield (
            f'<p class="quiet">{type(optimizer).__name__} divides each step by the size of its gradients, so no '
            f"learning rate is unstable as such. In {case.steps} steps a parameter moves by {reach:.3g} at most.</p>"
        )


def _marks(title: str, values: Sequence[tuple[float, str, str]], words: str, *, stable_to: float = math.nan) -> str:
    """Return a chart of a few values on one logarithmic axis, each named on a line of its own.

    Parameters
    ----------
    title : str
        What it shows.
    values : sequence of (float, str, str)
        Value, name and class of each.
    words : str
        What the axis counts.
    stable_to : float, optional
        Everything below it is shaded.

    Returns
    -------
    str
        SVG.
    """
    top, step = 10.0, 26.0
    bottom = top + step * len(values) + 4
    chart = Chart(title, bottom + 44)
    scale = Scale.over([value for value, _, _ in values], 20, WIDTH - 20, log=True, room=0.12)
    chart.x_axis(scale, top, bottom, words)
    if math.isfinite(stable_to):
        chart.box(scale.start, top, float(scale.at(stable_to)) - scale.start, bottom - top, "stable")
    for i, (value, name, kind) in enumerate(values):
        x, y = float(scale.at(value)), top + step * (i + 0.5) + 2
        chart.line((x, x), (y, bottom), kind)
        chart.dot(x, y, kind, size=5)
        chart.beside(x, y, f"{name}: {value:.3g}")
    return chart.svg()


def _scales(case: Case, symptoms: Symptoms) -> Iterator[str]:
    names = [*case.names, "(target)"]
    means = np.abs(np.append(symptoms.mean, case.y.mean()))
    spreads = np.append(symptoms.spread, case.y.std())
    order = np.argsort(-np.maximum(means, spreads)[:-1], kind="stable")[:FEATURES]
    order = np.append(order, len(names) - 1)
    bottom = 8.0 + 20 * len(order)
    chart = Chart("mean and standard deviation of each column", bottom + 44)
    scale = Scale.over(np.append(means[order], spreads[order]), 150, WIDTH - 20, log=True)
    chart.x_axis(scale, 8, bottom, "mean (without its sign) and standard deviation, in the units of each column")
    for i, j in enumerate(order):
        y = 20.0 * i + 18
        chart.text(142, y + 4, cut(names[j]), anchor="end", hint=names[j])
        ends = [float(scale.at(value)) for value in (means[j], spreads[j]) if value > 0]
        if len(ends) == 2:
            chart.line(ends, (y, y), "soft thin")
        for value, kind, name in ((means[j], "s1", "mean"), (spreads[j], "s0", "standard deviation")):
            if value > 0:
                chart.dot(float(scale.at(value)), y, kind, size=5, hint=f"{names[j]}: {name} {value:.4g}")
    yield _legend([("mean", "s1 round"), ("standard deviation", "s0 round")])
    yield chart.svg()
    left_out = len(case.names) - (len(order) - 1)
    more = f" The {len(order) - 1} largest are shown, {left_out} are left out." if left_out else ""
    yield (
        '<p class="quiet">One learning rate suits all columns only if they are of one size and their means are small '
        f"beside their standard deviations. A dot that is missing is 0.{more}</p>"
    )


def _rows(case: Case, symptoms: Symptoms) -> Iterator[str]:
    residual, leverage, rows = case.y - case.objective.matrix @ case.best, symptoms.leverage, len(case.y)
    scale = math.sqrt(float(residual @ residual) / max(rows - case.objective.size, 1))
    if scale <= ROUNDING * float(np.abs(case.y).max()):
        yield "<p>The optimum meets every row exactly: there are no residuals.</p>"
        return
    # The variance of a residual is scale^2 (1 - leverage); R. D. Cook, Technometrics 19 (1977).
    left = np.maximum(1 - leverage, ROUNDING)
    studentised = residual / (scale * np.sqrt(left))
    influence = studentised**2 * leverage / left / case.objective.size
    order = np.argsort(-influence, kind="stable")
    far = [row for row in order[:NAMED].tolist() if influence[row] > 4 / rows]
    chart = Chart("standardised residual by leverage", 330)
    x = Scale(0.0, Scale.over([0.0, *leverage], 0, 1).high, 64, WIDTH - 16)
    y = Scale.over([-3.0, 3.0, *studentised], 278, 26)
    chart.x_axis(x, 26, 278, "leverage: the share of a row in its own prediction, 0 to 1")
    chart.y_axis(y, x.start, x.end, "residual at the exact optimum, in its standard deviations")
    chart.line((x.start, x.end), y.at([0, 0]), "soft thin")
    named: list[tuple[float, float]] = []
    drawn = np.union1d(order[: ROWS // 3], order[:: max(1, rows // ROWS)]).tolist()
    for row in drawn:
        across, up = float(x.at(leverage[row])), float(y.at(studentised[row]))
        numbers = f"residual {residual[row]:.4g}, leverage {leverage[row]:.3g}, Cook's distance {influence[row]:.3g}"
        chart.dot(across, up, "s0" if row in far else "s1 faint", hint=f"row {case.row_numbers[row]}: {numbers}")
        if row in far and all(abs(across - x) > APART or abs(up - y) > APART / 5 for x, y in named):
            chart.beside(across, up, f"row {case.row_numbers[row]}")
            named.append((across, up))
    yield chart.svg()
    some = f"{len(drawn)} of {rows} rows are drawn, the most influential among them. " if len(drawn) < rows else ""
    yield (
        f'<p class="quiet">{some}Rows are counted from 0 in the data as given. The rows that move the optimum most '
        "(Cook's distance above 4 / rows) carry their number.</p>"
    )


def _correlations(case: Case, symptoms: Symptoms) -> Iterator[str]:
    varying = np.flatnonzero(~symptoms.constant)
    varying = varying[np.argsort(-symptoms.spread[varying], kind="stable")[:FEATURES]]
    varying.sort()
    columns = np.column_stack([case.X[:, varying], case.y])
    spread = columns.std(axis=0)
    if len(varying) < 2 or not spread.all():
        yield "<p>There are no two columns that vary.</p>"
        return
    standardised = (columns - columns.mean(axis=0)) / spread
    correlation = standardised.T @ standardised / len(columns)
    names = [*(case.names[j] for j in varying), "(target)"]
    side = min(46.0, (WIDTH - 170) / len(names))
    below = 24 + CHARACTER * max(len(cut(name)) for name in names)
    chart = Chart("correlations", side * len(names) + below)
    for i, name in enumerate(names):
        chart.text(142, side * (i + 0.5) + 4, cut(name), anchor="end", hint=name)
        chart.turned(150 + side * (i + 0.5) + 4, side * len(names) + 8, cut(name))
        for j, other in enumerate(names):
            value = float(correlation[i, j])
            place = 150 + side * j, side * i
            hint = f"{name}, {other}: {value:.3f}"
            chart.box(*place, side, side, "cell", style=f"fill:{_colour(value)}", hint=hint)
            if len(names) <= NUMBERED:
                kind = "oncell dark" if abs(value) > 0.75 else "oncell"
                chart.text(place[0] + side / 2, place[1] + side / 2 + 4, f"{value:.2f}", kind=kind, anchor="middle")
    yield chart.svg()
    left_out = len(case.names) - len(varying)
    more = f" {left_out} columns are left out: they are constant, or smaller than those shown." if left_out else ""
    yield f'<p class="quiet">Blue: they rise together; orange: one falls as the other rises.{more}</p>'


def _colour(value: float) -> str:
    """Return blue for 1, white for 0 and orange for -1: told apart with any kind of colour vision."""
    end = np.array([0, 90, 160]) if value > 0 else np.array([190, 75, 0])
    red, green, blue = (255 + (end - 255) * min(abs(value), 1.0)).round().astype(int)
    return f"rgb({red},{green},{blue})"
