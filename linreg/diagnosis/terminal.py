"""A diagnosis as lines for a terminal: the answer in short, then the details."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from linreg.diagnosis.evidence import label, printable, shown
from linreg.diagnosis.words import (
    CHANGE,
    answer,
    before_and_after,
    name_of,
    run_sentence,
    verdict_sentence,
    without_findings,
)

if TYPE_CHECKING:
    from linreg.diagnosis.diagnosis import Diagnosis
    from linreg.diagnosis.findings import Finding

WIDTH = 79
LABEL = 15
"""Columns in front of the text that a label may fill."""


@dataclass(frozen=True)
class Line:
    """One line of the report.

    Parameters
    ----------
    text : str
        What it says, printable.
    label : str
        What stands in front of it, with the spaces up to the text.
    role : {"plain", "good", "bad", "heading", "advice", "quiet"}
        What kind of line it is; decides the colour where there are colours.
    """

    text: str
    label: str = ""
    role: str = "plain"

    def __str__(self) -> str:
        """Return the whole line."""
        return self.label + self.text


def text(diagnosis: Diagnosis) -> str:
    """Return the report as text of at most 79 columns.

    Parameters
    ----------
    diagnosis : Diagnosis
        The diagnosis.

    Returns
    -------
    str
        Verdict, main cause, its proof and what to change first; then the details.
    """
    return "\n".join(map(str, lines(diagnosis)))


def lines(diagnosis: Diagnosis, width: int = WIDTH) -> Iterator[Line]:
    """Yield the lines of the report.

    Parameters
    ----------
    diagnosis : Diagnosis
        The diagnosis.
    width : int, default=79
        Longest line.

    Yields
    ------
    Line
        Verdict, main cause, its proof and what to change first; then the details.
    """
    yield from _short(diagnosis, width)
    if diagnosis.case is not None:
        yield Line("")
        yield from _labelled("The run", run_sentence(diagnosis.case), width, role="quiet")
    for number, finding in enumerate(diagnosis.findings, start=1):
        yield Line("")
        yield from _details(diagnosis, finding, number, width)
    if diagnosis.notes:
        yield Line("")
        yield Line("Worth knowing", role="heading")
        for note in diagnosis.notes:
            yield from _labelled("-", note, width, indent=2, hang=4)


def _short(diagnosis: Diagnosis, width: int) -> Iterator[Line]:
    yield from _wrapped(verdict_sentence(diagnosis), width, role="good" if diagnosis.verdict == "converges" else "bad")
    for sentence in without_findings(diagnosis):
        yield from _wrapped(sentence, width)
    if diagnosis.findings:
        yield Line("")
    for name, words in answer(diagnosis):
        yield from _labelled(name, words, width, role="advice" if name == CHANGE else "plain")


def _details(diagnosis: Diagnosis, finding: Finding, number: int, width: int) -> Iterator[Line]:
    yield Line(f"{number}. {name_of(finding)}", role="heading")
    if number > 1:
        yield from _wrapped(finding.explanation, width, indent=3)
    names = [label(name, found) for name, found in finding.evidence.items()]
    hang = 3 + min(max(map(len, names), default=0) + 2, width // 2 - 3)
    for name, found in zip(names, finding.evidence.values(), strict=True):
        yield from _labelled(name, shown(found), width, indent=3, hang=hang, role="quiet")
    if number > 1 and finding.remedies and finding.remedies is diagnosis.findings[number - 2].remedies:
        yield from _wrapped(f"-> As for {number - 1}: what repairs one repairs both.", width, indent=3)
        return
    before = diagnosis.before(finding)
    for remedy in finding.remedies:
        yield from _labelled("->", remedy.words, width, indent=3, hang=6)
        if diagnosis.case is not None:
            verdicts, losses = before_and_after(before, remedy)
            yield from _wrapped(f"{verdicts}{losses and f', loss {losses}'}", width, indent=6, role="quiet")


def _wrapped(text: str, width: int, *, indent: int = 0, role: str = "plain") -> Iterator[Line]:
    for line in _folded(text, width - indent):
        yield Line(" " * indent + line, role=role)


def _labelled(
    name: str, text: str, width: int, *, indent: int = 0, hang: int = LABEL, role: str = "plain"
) -> Iterator[Line]:
    """Yield a text with a label in front of its first line."""
    first, *rest = _folded(name, hang - indent - 1) or [""]
    names = [first, *rest]
    folded = _folded(text, width - hang) or [""]
    for i in range(max(len(names), len(folded))):
        before = (" " * indent + (names[i] if i < len(names) else "")).ljust(hang)
        yield Line(folded[i] if i < len(folded) else "", label=before, role=role)


def _folded(text: str, width: int) -> list[str]:
    return textwrap.wrap(printable(text), max(width, 10), break_on_hyphens=False)
