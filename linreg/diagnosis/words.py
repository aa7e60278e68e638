"""What a diagnosis says, sentence by sentence: for the terminal and for the page."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from linreg.diagnosis.evidence import number, proof
from linreg.diagnosis.remedies import parameter_of

Array = Any

if TYPE_CHECKING:
    from linreg.diagnosis.cases import Case, Outcome
    from linreg.diagnosis.diagnosis import Diagnosis
    from linreg.diagnosis.findings import Finding
    from linreg.diagnosis.remedies import Remedy

CHANGE = "What to change"
SWING = 0.5
"""Share of its fall by which a loss that swings comes back up."""
VISIBLE = 1e-4
"""A smaller share of the way to the optimum is not worth a word."""
VERDICTS = {
    "converges": "The run converges",
    "diverges": "The run diverges",
    "oscillates": "The run oscillates: the loss goes up and down and does not settle",
    "too_slow": "The run is too slow: the loss is still falling when it ends",
    "stuck": "The run is stuck: the loss does not fall any more",
    "cannot_run": "The run cannot take a step",
}


def healthy(diagnosis: Diagnosis) -> bool:
    """Whether the run converges and nothing was found."""
    return diagnosis.verdict == "converges" and not diagnosis.findings


def without_findings(diagnosis: Diagnosis) -> Iterator[str]:
    """Yield what there is to say where nothing was found.

    Parameters
    ----------
    diagnosis : Diagnosis
        The diagnosis.

    Yields
    ------
    str
        One sentence, or nothing.
    """
    if healthy(diagnosis):
        if diagnosis.could_end_lower:
            yield "Nothing keeps the run from converging; it could end lower, see below."
        elif diagnosis.poor:
            yield "Nothing is wrong with the training; the data deserve a look."
        else:
            yield "Nothing is wrong with the training."
    elif not diagnosis.findings and diagnosis.verdict != "cannot_run":
        yield "No cause could be proved: none of the remedies tried makes the run better."


def answer(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    """Yield the answer in short, each part with its label.

    Parameters
    ----------
    diagnosis : Diagnosis
        The diagnosis.

    Yields
    ------
    (str, str)
        Main cause, the number that proves it, what to change and what that did; nothing where nothing was found.
    """
    if not diagnosis.findings:
        return
    first, *others = diagnosis.findings
    if first.cause:
        yield "Main cause", f"{first.cause}. {first.explanation}"
    else:
        yield "What it shows", first.explanation
    if first.evidence:
        yield "The proof", proof(first)
    if first.remedies:
        yield CHANGE, first.remedies[0].words
        if diagnosis.case is not None:
            yield "", tried_sentence(diagnosis.before(first), first.remedies[0])
    if others:
        yield "Found as well", ", ".join(map(name_of, others))


def name_of(finding: Finding) -> str:
    """Return the cause of a finding, or where the finding comes from if it has none.

    Parameters
    ----------
    finding : Finding
        The finding.

    Returns
    -------
    str
        Its name.
    """
    return finding.cause or "what the curve shows"


def run_sentence(case: Case) -> str:
    """Return what was run, on what.

    Parameters
    ----------
    case : Case
        Data and model.

    Returns
    -------
    str
        One line.
    """
    settings, model = case.settings, case.model
    trained = [settings.optimizer, settings.loss, *([settings.regularizer] if settings.regularizer else [])]
    return (
        f"{case.count} rows, {len(case.names)} feature{'s'[: len(case.names) > 1]}; {', '.join(map(repr, trained))}, "
        f"{model.epochs} epoch{'s'[: model.epochs > 1]}, batches of {case.batch_size}, "
        f"{'' if model.shuffle else 'not shuffled, '}{model.dtype}."
    )


def verdict_sentence(diagnosis: Diagnosis) -> str:
    """Say what the run did, and what its loss did.

    Parameters
    ----------
    diagnosis : Diagnosis
        The diagnosis.

    Returns
    -------
    str
        One sentence.
    """
    numbers, verdict = loss_in_numbers(diagnosis), VERDICTS[diagnosis.verdict]
    if diagnosis.verdict == "too_slow" and diagnosis.outcome is not None and _swings(diagnosis.outcome.curve):
        verdict = "The run swings: the loss goes up and down, and has not come near its optimum when it ends"
    return f"{verdict}{f' ({numbers})' if numbers else ''}."


def _swings(curve: Array) -> bool:
    """Whether a loss has come back up by half of its fall, or more."""
    lowest = np.minimum.accumulate(curve)
    return bool((curve - lowest > SWING * (curve[0] - lowest)).any() and np.isfinite(curve).all())


def loss_in_numbers(diagnosis: Diagnosis) -> str:
    """Say what the loss did, or why there is none.

    Parameters
    ----------
    diagnosis : Diagnosis
        The diagnosis.

    Returns
    -------
    str
        A part of a sentence; empty where there is nothing to say.
    """
    outcome = diagnosis.outcome
    if outcome is None or diagnosis.verdict == "cannot_run":
        return "" if outcome is None else outcome.error.rstrip(".")
    curve = outcome.curve
    parts = [f"loss {number(curve[0])} at the start, {number(curve[-1])} at the end"]
    if not math.isfinite(curve[-1]):
        gone = int(np.argmin(np.isfinite(curve)))
        parts.append(f"no longer finite from epoch {gone + (diagnosis.case is None)} on")
    if math.isfinite(outcome.least):
        parts.append(f"{number(outcome.least)} at the optimum")
    return ", ".join(parts)


def tried_sentence(before: Outcome | None, remedy: Remedy) -> str:
    """Say what a remedy did to the run.

    Parameters
    ----------
    before : Outcome or None
        The run as it was given.
    remedy : Remedy
        The remedy.

    Returns
    -------
    str
        Loss, share of the excess and verdict, before and after; or that it was not tried.
    """
    after = remedy.after
    if after is None:
        return "Not tried: this is yours to do."
    if after.verdict == "cannot_run":
        return f"Tried: the run still cannot take a step. {after.error}".rstrip()
    if before is None or before.verdict == "cannot_run":
        return f"Tried: the run then {_becomes(after)}, loss {number(after.curve[-1])} at the end."
    same = "still " if after.verdict == before.verdict else ""
    losses = f"{number(before.curve[-1])} -> {number(after.curve[-1])}{_incomparable(remedy)}"
    words = f"Tried: the run then {same}{_becomes(after)}, loss at the end {losses}"
    if VISIBLE < after.share < 1:
        words += f", {100 * after.share:.2g} % of the way to the optimum left"
    if after.validation is not None and before.validation is not None:
        words += f", on the validation rows {number(before.validation[-1])} -> {number(after.validation[-1])}"
    return f"{words}."


def _incomparable(remedy: Remedy) -> str:
    """Say where the loss of the run with a remedy is not what the loss was before."""
    changed = {parameter_of(name) for name in remedy.settings}
    if "loss" in changed:
        return " (by another loss)"
    return " (with another penalty in it)" if "kernel_regularizer" in changed else ""


def _becomes(outcome: Outcome) -> str:
    return {"too_slow": "is too slow", "stuck": "is stuck"}.get(outcome.verdict, outcome.verdict)


def before_and_after(before: Outcome | None, remedy: Remedy) -> tuple[str, str]:
    """Return verdict and loss at the end, before and after a remedy.

    Parameters
    ----------
    before : Outcome or None
        The run as it was given.
    remedy : Remedy
        The remedy.

    Returns
    -------
    verdicts : str
        For example "diverges -> converges"; "not tried" for one that cannot be applied from here.
    losses : str
        For example "inf -> 0.27".
    """
    after = remedy.after
    if after is None:
        return "not tried", ""
    was, loss = ("cannot_run", math.nan) if before is None else (before.verdict, before.curve[-1])
    return f"{was} -> {after.verdict}", f"{number(loss)} -> {number(after.curve[-1])}{_incomparable(remedy)}"
