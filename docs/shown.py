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
from linreg.diagnosis.cases import Outcome
from linreg.diagnosis.words import VERDICTS, answer, verdict_sentence
from linreg.study import draw_losses, new_figure

ZEROS = {"kernel_initializer": "zeros", "random_state": 0}
"""Every run starts from zeros, and is the same whenever it is made."""
LABELS = {"Main cause": "The cause, `{}`", "What it shows": "The cause, `{}`", "The proof": "The number that proves it",
          "What to change": "The remedy", "": "The run after"}  # fmt: skip
MARKUP = r"\`*_{}[]<>#|$~"


def picture(figure: Any, says: str) -> HTML:
    """Return a matplotlib figure as a picture of a page, with words for those who do not see it."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return HTML(f'<img class="run" alt="{html.escape(says)}" src="data:image/png;base64,{data}">')


def curves(losses: Mapping[str, Sequence[float]], title: str = "", ylabel: str = "loss on all rows") -> Any:
    """Return a figure of losses by epoch, from the first epoch on."""
    figure, (axes,) = new_figure(1, title)
    figure.set_size_inches(6.2, 3.4)
    draw_losses(axes, losses, {})
    axes.set_ylabel(ylabel)
    return figure


def bad_run(X: Any, y: Any, *, cause: str, then: Mapping[str, Any] | None = None, **settings: Any) -> None:
    """Show a run that goes wrong by one cause, and the run with its first remedy.

    Where no program can apply the remedy, `then` holds what is changed. Raises if the main cause is another one, or the
    run after is not better.
    """
    found = diagnose(X, y, **{**ZEROS, **settings})
    main = found.findings[0]
    remedy, before = main.remedies[0], found.before(main)
    if main.cause != cause:
        raise ValueError(f"The main cause is {main.cause}, not {cause}.")
    after, words = remedy.after, told(found)
    if then is not None:
        after = diagnose(**{"X": X, "y": y, **ZEROS, **settings, **then}).outcome
        held = [float(outcome.validation[-1]) for outcome in (before, after)]
        words[-1] = ("The run after", f"{VERDICTS[after.verdict]}; the validation loss at the end {_change(*held)}.")
        if not held[1] < held[0]:
            raise ValueError(f"{remedy.name} does not lower the validation loss: {_change(*held)}.")
    if after is None or after.verdict != "converges":
        raise ValueError(f"{remedy.name} does not cure the run: {after and after.verdict}.")
    display(as_list(words), _before_and_after(before, remedy.name, after))


def told(found: Diagnosis) -> list[tuple[str, str]]:
    """Return what a diagnosis says of its main cause, each part with its label."""
    cause = found.findings[0].cause
    parts = ((LABELS[name], words.removeprefix(f"{cause}. ")) for name, words in answer(found) if name in LABELS)
    return [("What happens", verdict_sentence(found)), *((name.format(cause), words) for name, words in parts)]


def as_list(parts: Sequence[tuple[str, str]]) -> Markdown:
    """Return labelled words as a list in which nothing is markup."""
    lines = (f"- **{name}:** {''.join(f'{chr(92)}{c}' if c in MARKUP else c for c in words)}" for name, words in parts)
    return Markdown("\n".join(lines))


def _before_and_after(before: Outcome | None, name: str, after: Outcome) -> HTML:
    losses: dict[str, list[float]] = {}
    for label, outcome in (("as given", before), (name, after)):
        if outcome is not None:
            losses[f"{label}: {outcome.verdict}"] = outcome.curve[1:].tolist()
            if outcome.validation is not None:
                losses[f"{label}, validation rows"] = outcome.validation[1:].tolist()
    says = "; ".join(f"{label}, loss at the end {_number(curve[-1])}" for label, curve in losses.items())
    return picture(curves(losses), f"Loss by epoch. {says}.")


def _change(before: float, after: float) -> str:
    return f"{_number(before)} -> {_number(after)}"


def _number(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "not finite"
