"""A diagnosis in words for a terminal, and as plain values for JSON.

Names and values in a diagnosis may come out of a file: here every control character in them becomes an escape.
"""

from __future__ import annotations

import contextlib
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linreg.diagnosis.code import keras_code, python_code

if TYPE_CHECKING:
    from linreg.diagnosis.cases import Case, Outcome
    from linreg.diagnosis.diagnosis import Diagnosis
    from linreg.diagnosis.findings import Finding
    from linreg.diagnosis.remedies import Remedy

WIDTH = 79
LABEL = 15
"""Columns in front of the text that a label may fill."""
CHANGE = "What to change"
VISIBLE = 1e-4
"""A smaller share of the way to the optimum is not worth a word."""
LISTED = 8
"""So many values of a long list are shown."""

VERDICTS = {
    "converges": "The run converges",
    "diverges": "The run diverges",
    "oscillates": "The run oscillates: the loss goes up and down and does not settle",
    "too_slow": "The run is too slow: the loss is still falling when it ends",
    "stuck": "The run is stuck: the loss does not fall any more",
    "cannot_run": "The run cannot take a step",
}
LABELS = {
    "limit": "largest stable learning rate",
    "limit_scaled": "the same, features standardised",
    "limit_without": "the same without these columns",
    "limit_without_them": "the same without these rows",
    "ratio": "learning rate / largest stable",
    "of": "of all rows",
    "growth": "growth per epoch",
    "sizes": "size of each feature",
    "condition": "condition number",
    "condition_scaled": "condition number, standardised",
}
PROOFS = {
    "missing_values": ("missing", "rows", "of"),
    "wrong_dtype": ("columns",),
    "shape_mismatch": ("loss", "variance"),
    "constant_feature": ("columns", "values"),
    "collinearity": ("variance_inflation", "condition_index"),
    "feature_scale": ("learning_rate", "limit", "ratio"),
    "target_scale": ("reach", "distance", "standard_deviation"),
    "learning_rate_too_high": ("learning_rate", "limit", "ratio", "growth"),
    "learning_rate_too_low": ("reach", "distance", "learning_rate", "limit"),
    "momentum_too_high": ("momentum", "beta_1", "steps_remembered"),
    "ill_conditioned": ("condition_index", "relative_error_of_the_coefficients"),
    "outliers": ("largest_residual", "scatter_of_the_others"),
    "high_leverage": ("leverage", "rows"),
    "loss_reduction": ("step_is_larger_by",),
    "regularization": ("loss_at_the_optimum", "loss_without_penalty"),
    "batch_noise": ("batch_size", "rows"),
    "validation_shift": ("training_loss", "validation_loss"),
    "overfitting": ("training_loss", "validation_loss", "rows", "parameters"),
}
"""The numbers of the evidence that prove a cause, most telling first."""


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


def healthy(diagnosis: Diagnosis) -> bool:
    """Whether the run converges and nothing was found."""
    return diagnosis.verdict == "converges" and not diagnosis.findings


def _short(diagnosis: Diagnosis, width: int) -> Iterator[Line]:
    yield from _wrapped(verdict_sentence(diagnosis), width, role="good" if diagnosis.verdict == "converges" else "bad")
    for sentence in without_findings(diagnosis):
        yield from _wrapped(sentence, width)
    if diagnosis.findings:
        yield Line("")
    for name, words in answer(diagnosis):
        yield from _labelled(name, words, width, role="advice" if name == CHANGE else "plain")


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
        yield "Nothing is wrong with it."
    elif not diagnosis.findings:
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
        f"{len(case.y)} rows, {len(case.names)} feature{'s'[: len(case.names) > 1]}; {', '.join(map(repr, trained))}, "
        f"{model.epochs} epoch{'s'[: model.epochs > 1]}, batches of {case.batch_size}, {model.dtype}."
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
    numbers = loss_in_numbers(diagnosis)
    return f"{VERDICTS[diagnosis.verdict]}{f' ({numbers})' if numbers else ''}."


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
    parts = [f"loss {short(curve[0])} at the start, {short(curve[-1])} at the end"]
    if not math.isfinite(curve[-1]):
        gone = int(np.argmin(np.isfinite(curve)))
        parts.append(f"no longer finite from epoch {gone + (diagnosis.case is None)} on")
    if math.isfinite(outcome.least):
        parts.append(f"{short(outcome.least)} at the optimum")
    return ", ".join(parts)


def proof(finding: Finding) -> str:
    """Return the numbers that prove a cause.

    Parameters
    ----------
    finding : Finding
        The finding.

    Returns
    -------
    str
        Up to three of them, named.
    """
    names = [name for name in PROOFS.get(finding.cause, ()) if name in finding.evidence] or list(finding.evidence)
    return ", ".join(f"{label(name)} {shown(finding.evidence[name])}" for name in names[:3])


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
        return f"Tried: the run then {_becomes(after)}, loss {short(after.curve[-1])} at the end."
    same = "still " if after.verdict == before.verdict else ""
    losses = f"{short(before.curve[-1])} -> {short(after.curve[-1])}"
    words = f"Tried: the run then {same}{_becomes(after)}, loss at the end {losses}"
    if VISIBLE < after.share < 1:
        words += f", {100 * after.share:.2g} % of the way to the optimum left"
    return f"{words}."


def _becomes(outcome: Outcome) -> str:
    return {"too_slow": "is too slow", "stuck": "is stuck"}.get(outcome.verdict, outcome.verdict)


def _details(diagnosis: Diagnosis, finding: Finding, number: int, width: int) -> Iterator[Line]:
    yield Line(f"{number}. {name_of(finding)}", role="heading")
    if number > 1:
        yield from _wrapped(finding.explanation, width, indent=3)
    names = [label(name) for name in finding.evidence]
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
    return f"{was} -> {after.verdict}", f"{short(loss)} -> {short(after.curve[-1])}"


def scripts(diagnosis: Diagnosis, finding: Finding, remedy: Remedy) -> dict[str, str]:
    """Return a remedy as code that can be pasted where X and y are.

    Parameters
    ----------
    diagnosis : Diagnosis
        The diagnosis.
    finding : Finding
        The finding that the remedy belongs to.
    remedy : Remedy
        The remedy.

    Returns
    -------
    dict of str to str
        Scripts by "python" (linreg and scikit-learn) and "keras"; empty for advice that no code can follow.
    """
    if diagnosis.given is None or not remedy.changes:
        return {}
    weight = None if diagnosis.given.sample_weight is None else "sample_weight"
    whole, written = diagnosis.from_given(finding, remedy), {}
    for name, write in (("python", python_code), ("keras", keras_code)):
        # A model may also hold what cannot be written, such as a function for a learning rate.
        with contextlib.suppress(ValueError):
            written[name] = write(whole, diagnosis.given.model, sample_weight=weight)
    return written


def label(name: str) -> str:
    """Return the name of a number of the evidence as it is shown."""
    return printable(LABELS.get(name, name.replace("_", " ")))


def shown(found: Any) -> str:
    """Return a value of the evidence as it is shown: numbers with four digits, long lists cut."""
    found = plain(found, keep=True)
    if isinstance(found, dict):
        return _listed([f"{key} {shown(inner)}" for key, inner in found.items()])
    if isinstance(found, list):
        return _listed([shown(inner) for inner in found])
    return f"{found:.4g}" if isinstance(found, float) else printable(str(found))


def _listed(values: Sequence[str]) -> str:
    left_out = len(values) - LISTED
    more = [f"and {left_out} more"] if left_out > 0 else []
    return printable(", ".join([*values[:LISTED], *more]))


def short(number: float) -> str:
    """Write a loss with three digits."""
    return f"{float(number):.3g}"


def printable(text: str) -> str:
    """Show control characters as escapes, so that what comes out of a file cannot steer a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


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


def to_dict(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return a diagnosis as plain values, as JSON can hold them.

    Parameters
    ----------
    diagnosis : Diagnosis
        The diagnosis.

    Returns
    -------
    dict
        Verdict, healthy, findings, notes, run (settings and size of the data) and loss; what is not finite is None.
    """
    outcome, case = diagnosis.outcome, diagnosis.case
    run = None
    if case is not None:
        run = {
            "rows": len(case.y),
            "features": list(case.names),
            **{name: case.model.get_params(deep=False)[name] for name in ("epochs", "batch_size", "shuffle", "dtype")},
            **{name: str(getattr(case.settings, name)) for name in ("optimizer", "loss", "regularizer")},
        }
    cleaned: dict[str, Any] = plain(
        {
            "verdict": diagnosis.verdict,
            "healthy": healthy(diagnosis),
            "findings": [_finding_to_dict(diagnosis, finding) for finding in diagnosis.findings],
            "notes": diagnosis.notes,
            "run": run,
            "loss": None if outcome is None else {**_outcome_to_dict(outcome), "curve": outcome.curve},
        }
    )
    return cleaned


def _finding_to_dict(diagnosis: Diagnosis, finding: Finding) -> dict[str, Any]:
    return {
        "cause": finding.cause or None,
        "explanation": finding.explanation,
        "evidence": finding.evidence,
        "gain": finding.gain,
        "remedies": [
            {
                "name": remedy.name,
                "words": remedy.words,
                "steps": [str(step) for step in remedy.steps],
                "settings": {name: repr(setting) for name, setting in remedy.settings.items()},
                "scale_target": remedy.scale_target,
                "drop_rows": remedy.drop_rows,
                "complete_rows_only": remedy.complete,
                "reads_text": remedy.reads,
                "after": None if remedy.after is None else _outcome_to_dict(remedy.after),
                "code": scripts(diagnosis, finding, remedy),
            }
            for remedy in finding.remedies
        ],
    }


def _outcome_to_dict(outcome: Outcome) -> dict[str, Any]:
    return {
        "verdict": outcome.verdict,
        "start": outcome.curve[0],
        "end": outcome.curve[-1],
        "optimum": outcome.least,
        "share_left": outcome.share,
    }


def plain(value: Any, *, keep: bool = False) -> Any:
    """Return a value as dicts, lists, numbers and text.

    Parameters
    ----------
    value : object
        Dicts, sequences, arrays, numbers; anything else becomes text.
    keep : bool, default=False
        Whether floats that are not finite stay; else they become None, because JSON has no nan.

    Returns
    -------
    object
        The plain value.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(inner, keep=keep) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, keep=keep) for inner in value]
    if isinstance(value, float):
        return value if keep or math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
