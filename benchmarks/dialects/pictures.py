"""The picture of the line trained by the same words: the slope over the steps, and how far each is off Algorithm 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

NAME = "tf-keras-same-words.png"
PAPER = "Algorithm 1, 50 digits"
STYLES = {
    "tf.keras": {"color": "#e66101", "lw": 4, "alpha": 0.6},
    "linreg": {"color": "#b30000", "lw": 1.4, "ls": "--"},
    "PyTorch": {"color": "#2166ac", "lw": 4, "alpha": 0.5},
    "optax": {"color": "#1b7837", "lw": 1.8, "ls": "-."},
    PAPER: {"color": "k", "lw": 1, "ls": ":"},
}
FIRST = 40
"""Steps in which the paths can be seen to differ."""


def paths(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the paths by unit and library, each of shape (steps, 2)."""
    found: dict[str, dict[str, Any]] = {}
    for entry in document["paths"]:
        found.setdefault(entry["unit"], {})[entry["who"]] = np.array(entry["path"])
    return found


def off(by_library: dict[str, Any], who: str, reference: str = PAPER) -> Any:
    """Return how far a library is from another after each step: the larger of the two parameters' differences."""
    return np.abs(by_library[who] - by_library[reference]).max(axis=1)


def draw(document: dict[str, Any], folder: Path) -> None:
    """Draw the picture."""
    from matplotlib.figure import Figure

    units = paths(document)
    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots(2, len(units), squeeze=False)
    for (unit, by_library), (above, below) in zip(units.items(), axes.T, strict=True):
        for who, style in STYLES.items():
            if who not in by_library:
                continue
            steps = np.arange(1, len(by_library[who]) + 1)
            above.plot(steps[:FIRST], by_library[who][:FIRST, 0], label=who, **style)
            if who != PAPER:
                # Below 1e-11 there are only zeros.
                below.semilogy(steps, np.maximum(off(by_library, who), 1e-11), label=who, **style)
        above.set(title=unit, xlabel="step", ylabel="slope")
        below.set(xlabel="step", ylabel="off Algorithm 1", ylim=(1e-11, 1))
        for panel in (above, below):
            panel.grid(alpha=0.3)
    axes[0, 0].legend(loc="lower right")
    figure.suptitle("Adam, lr 0.1, epsilon 1e-3")
    figure.savefig(folder / NAME, dpi=100)
