"""A diagnosis as plain values, as JSON can hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linreg.diagnosis.code import scripts
from linreg.diagnosis.evidence import plain
from linreg.diagnosis.words import healthy

if TYPE_CHECKING:
    from linreg.diagnosis.cases import Outcome
    from linreg.diagnosis.diagnosis import Diagnosis
    from linreg.diagnosis.findings import Finding


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
            "rows": case.count,
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
