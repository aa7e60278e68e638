"""Two pictures of one run: microseconds a step against size, and how cost grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.hot_loop.growth import AXES, slopes
from benchmarks.hot_loop.peers import BARE_CALLS, NUMBA, NUMPY, PEERS, READ
from benchmarks.hot_loop.sweeps import SWEPT, SWEPT_BY_NUMPY
from benchmarks.hot_loop.table import Case

NAMES = ("benchmarks-steps.png", "benchmarks-growth.png")
STYLES = {
    NUMPY: {"color": "#b30000", "lw": 2.5},
    NUMBA: {"color": "#e66101", "lw": 2.5},
    SWEPT_BY_NUMPY: {"color": "#b30000", "lw": 2.5},
    SWEPT: {"color": "#e66101", "lw": 2.5},
    READ: {"color": "k", "lw": 1.5, "ls": "--"},
    BARE_CALLS: {"color": "k", "lw": 1.5, "ls": ":"},
}


def draw(document: dict[str, Any], folder: Path) -> list[Path]:
    """Draw both pictures.

    Parameters
    ----------
    document : dict
        One run.
    folder : Path
        Where they go.

    Returns
    -------
    list of Path
        The pictures; only those that the run has numbers for.
    """
    drawn = []
    for name, make in zip(NAMES, (_steps, _growth), strict=True):
        figure = make(document)
        if figure is not None:
            figure.savefig(folder / name, dpi=100)
            drawn.append(folder / name)
    return drawn


def _figure(rows: int, columns: int, **size: Any) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f"pictures need matplotlib ({error}): pip install 'linreg[plot]'.") from None
    figure = Figure(layout="constrained", **size)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _steps(document: dict[str, Any]) -> Any:
    """Draw microseconds a step against features at one batch size, and against the batch size of one table."""
    entries = [(Case(**entry["case"]), entry["loops"]) for entry in document["cases"]]
    if not entries:
        return None
    rules = ("SGD", "Adam")
    figure, axes = _figure(2, 2, figsize=(11, 9))
    for row, rule in zip(axes, rules, strict=True):
        plain = [(c, loops) for c, loops in entries if (c.optimizer, c.loss, c.dtype) == (rule, "MSE", "float32")]
        by_features = [(c.features, loops) for c, loops in plain if c.batch == 32]
        by_batch = [(c.batch, loops) for c, loops in plain if (c.rows, c.features) == (65_536, 512)]
        _lines(row[0], by_features, f"{rule}, batches of 32", "features")
        _lines(row[1], by_batch, f"{rule}, 65536 x 512", "rows in a batch")
    handles = {h.get_label(): h for axis in axes.flat for h in axis.get_lines()}
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=8
    )  # fmt: skip
    return figure


def _lines(axis: Any, points: list[tuple[int, Any]], title: str, label: str) -> None:
    for number, name in enumerate(PEERS):
        known = sorted((size, loops[name]) for size, loops in points if name in loops)
        if known:
            style = STYLES.get(name, {"color": f"C{number % 10}", "lw": 1, "ls": "-" if number < 10 else "-."})
            marker = "." if name in STYLES else "ov^sDPX*<>hd8pH1234"[number]
            sizes, times = [size for size, _ in known], [loop["us"] for _, loop in known]
            axis.plot(sizes, times, label=name, marker=marker, ms=5, **style)
    axis.set(xscale="log", yscale="log", title=title, xlabel=label, ylabel="microseconds a step")
    axis.grid(alpha=0.3)


def _growth(document: dict[str, Any]) -> Any:
    points = document["growth"]
    if not points:
        return None
    steep = slopes(points)
    figure, axes = _figure(1, 3, figsize=(12, 4))
    for axis, letter in zip(axes.flat, "ndK", strict=True):
        label = AXES[letter]
        along = [p for p in points if p["axis"] == letter]
        for name in along[0]["us"] if along else ():
            sizes, times = [p["size"] for p in along], [p["us"][name] for p in along]
            slope = f", slope {steep[letter, name]:.2f}" if (letter, name) in steep else ""
            axis.plot(sizes, times, marker="o", label=name + slope, **STYLES[name])
        axis.set(xscale="log", yscale="log", title=f"growth in {letter}", xlabel=label, ylabel="microseconds a step")
        axis.grid(alpha=0.3)
        if along:
            axis.legend(fontsize=8)
    return figure
