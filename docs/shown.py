"""What pages that are run show of a run: what was done, why it failed, the number that proves it, and the run after."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from IPython.display import HTML, Markdown, display

from linreg import diagnose
from linreg.diagnosis import Diagnosis
from linreg.diagnosis.words import answer, verdict_sentence
from linreg.study import draw_losses, new_figure

ZEROS = {"kernel_initializer": "zeros", "random_state": 0}
"""Every run starts from zeros, and is the same whenever it is made."""
LABELS = {"Main cause": "The cause", "What it shows": "The cause", "The proof": "The number that proves it",
          "What to change": "The remedy", "": "The run after"}  # fmt: skip


def picture(figure: Any, says: str) -> HTML:
    """Return a matplotlib figure as a picture of a page, with words for those who do not see it."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return HTML(f'<img class="run" alt="{html.escape(says)}" src="data:image/png;base64,{data}">')


def curves(losses: Mapping[str, Sequence[float]], title: str = "", ylabel: str = "loss on all rows") -> Any:
    """Return a figure of losses by epoch, from the first epoch on."""
    figure, (axes,) = new_figure(1, title)
    figure.set_size_inches(7.5, 3.6)
    draw_losses(axes, losses, {})
    axes.set_ylabel(ylabel)
    return figure


def bad_run(X: Any, y: Any, *, cause: str, **settings: Any) -> None:
    """Show a run that goes wrong by one cause, and what became of it with the first remedy.

    Raises if its main cause is another one, or the remedy leaves it as bad as it was.
    """
    found = diagnose(X, y, **{**ZEROS, **settings})
    main = found.findings[0]
    if main.cause != cause:
        raise ValueError(f"The main cause is {main.cause}, not {cause}.")
    after = main.remedies[0].after
    if after is None or after.verdict != "converges":
        raise ValueError(f"{main.remedies[0].name} does not cure the run: {after and after.verdict}.")
    display(Markdown(told(found)), _before_and_after(found))


def told(found: Diagnosis) -> str:
    """Return what a diagnosis says of its main cause as a list in Markdown."""
    parts = [("The run", verdict_sentence(found))]
    parts += [(LABELS[name], words) for name, words in answer(found) if name in LABELS]
    return "\n".join(f"- **{name}:** {_as_text(words)}" for name, words in parts)


def _as_text(words: str) -> str:
    """Return words in which nothing is markup."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]<>#|$~" else c for c in words)


def _before_and_after(found: Diagnosis) -> HTML:
    main = found.findings[0]
    remedy = main.remedies[0]
    before = found.before(main)
    runs = {"as given": before, remedy.name: remedy.after}
    losses: dict[str, list[float]] = {}
    for name, outcome in runs.items():
        if outcome is not None:
            losses[f"{name}: {outcome.verdict}"] = outcome.curve[1:].tolist()
            if outcome.validation is not None:
                losses[f"{name}, validation rows"] = outcome.validation[1:].tolist()
    says = "; ".join(f"{name}, loss at the end {_number(curve[-1])}" for name, curve in losses.items())
    return picture(curves(losses), f"Loss by epoch. {says}.")


def _number(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "not finite"
