"""A comparison as one page that needs nothing else: what was found, divergence over steps drawn, tables, inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from linreg.diagnosis.page import framed
from linreg.diagnosis.svg import WIDTH, Chart, Scale, escaped
from linreg.keras.parity import words
from linreg.keras.parity.modes import MODES
from linreg.whole_files import write_text

Document = dict[str, Any]

COLOURS = dict(zip(MODES, ("s1", "s4", "s0"), strict=True))
NOTHING = 0.5
"""Where 0 ULP lies on the logarithmic axis."""
DRAWN = (
    "Worst distance at each step, over all examples, parameters and state arrays, in units in the last place (ULP). A "
    "parameter that passes near zero is many ULP off by a rounding of its step, so what is judged is the share of the "
    "bound: how far roundings alone can carry two float32 runs apart. Lines that coincide lie over each other."
)


def write(document: Document, path: Path) -> None:
    """Write the page to a file, whole or not at all.

    Parameters
    ----------
    document : dict
        What was found.
    path : Path
        The file.
    """
    write_text(path, html(document))


def html(document: Document) -> str:
    """Return the page.

    Parameters
    ----------
    document : dict
        What was found.

    Returns
    -------
    str
        HTML that loads nothing.
    """
    found = words.problems(document)
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    title = f"linreg parity, TensorFlow {document['versions']['TensorFlow']}"
    head = f"{len(found)} differences that nothing explains" if found else words.verdict(document)
    parts = [
        f'<h1 class="{"bad" if found else "good"}">{head}</h1>',
        f'<p class="quiet">{escaped(versions)}; {escaped(document["system"]["machine"])}.</p>',
        *(f'<p class="bad">{escaped(sentence)}</p>' for sentence in found),
    ]
    if document.get("table"):
        parts += ["<h2>Each rule, step by step</h2>", f"<p>{DRAWN}</p>", *_rules(document["table"])]
        parts += _table(words.TABLE, words.table_rows(document["table"]))
        parts += ["<h2>The inputs that show each first difference</h2>", *_inputs(document["table"])]
    parts += ["<h2>Whole runs of fit, epoch by epoch</h2>", *_runs(document["runs"])]
    parts += _table(words.RUNS, words.run_rows(document["runs"]))
    if document.get("behaviours"):
        parts += ["<h2>Known behaviours</h2>", *_table(("behaviour", "", "seen"), _behaviours(document["behaviours"]))]
    return framed(title, parts)


def _rules(cells: list[dict[str, Any]]) -> Iterator[str]:
    yield _legend(cells)
    for rule in dict.fromkeys(cell["rule"] for cell in cells):
        yield f"<h3>{escaped(rule)}</h3>"
        yield _chart(rule, "step", [(cell, cell["by_step"]) for cell in cells if cell["rule"] == rule])


def _runs(runs: list[dict[str, Any]]) -> Iterator[str]:
    yield _legend(runs)
    for name in dict.fromkeys(run["run"] for run in runs):
        yield f"<h3>{escaped(name)}</h3>"
        yield _chart(name, "epoch", [(run, run["by_epoch"]) for run in runs if run["run"] == name])
        doubts = sorted({doubt for run in runs if run["run"] == name for doubt in run["doubts"]})
        if doubts:
            yield f'<p class="quiet">It cannot be followed to its end: {escaped("; ".join(doubts))}.</p>'


def _kind(part: dict[str, Any]) -> str:
    thin = "" if part["device"] == "CPU" else " thin"
    return COLOURS[part["mode"]] + (" dashed" if part["onednn"] == "off" else "") + thin


def _legend(parts: list[dict[str, Any]]) -> str:
    entries = dict.fromkeys((_kind(part), words.mode(part), part["onednn"]) for part in parts)
    keys = (
        f'<li><span class="key {kind}"></span>{mode}{f", oneDNN {setting}" if setting else ""}</li>'
        for kind, mode, setting in entries
    )
    return f'<ul class="legend">{"".join(keys)}</ul>'


def _chart(title: str, unit: str, curves: Sequence[tuple[dict[str, Any], list[int]]]) -> str:
    chart = Chart(f"{title}: worst ULP by {unit}", 200)
    last, most = len(curves[0][1]), max(10, *(max(curve) for _, curve in curves))
    x = Scale(1, max(2, last), 64, WIDTH - 16)
    y = Scale(NOTHING, 2.0 * most, 156, 26, log=True)
    chart.x_axis(x, 26, 156, unit)
    chart.y_axis(y, x.start, x.end, "worst ULP (logarithmic; 0 at the bottom)")
    for part, curve in curves:
        chart.line([*x.at(range(1, last + 1))], [*y.at([max(at, NOTHING) for at in curve])], _kind(part))
    return chart.svg()


def _inputs(cells: list[dict[str, Any]]) -> Iterator[str]:
    sentences = dict.fromkeys(
        (cell["rule"], cell["mode"], words.first_input(cell)) for cell in cells if cell["first"] is not None
    )
    if not sentences:
        yield "<p>No number differs anywhere.</p>"
    yield from _table(("rule", "Keras run", "input"), sentences)


def _behaviours(behaviours: list[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for one in behaviours:
        yield one["claim"], "as known" if one["as_known"] else "changed", one["shown"]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"<table><tr>{''.join(f'<th>{escaped(head)}</th>' for head in heads)}</tr>"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{escaped(cell)}</td>' for cell in row)}</tr>"
    yield "</table>"
