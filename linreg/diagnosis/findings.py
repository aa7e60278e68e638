"""What a diagnosis says: findings, each a cause with evidence, words for a newcomer, and remedies that were tried."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from linreg.diagnosis.remedies import Remedy

CAUSES = (
    "missing_values",
    "wrong_dtype",
    "shape_mismatch",
    "constant_feature",
    "collinearity",
    "feature_scale",
    "target_scale",
    "learning_rate_too_high",
    "learning_rate_too_low",
    "momentum_too_high",
    "ill_conditioned",
    "outliers",
    "high_leverage",
    "loss_reduction",
    "regularization",
    "batch_noise",
    "validation_shift",
    "overfitting",
)
"""The names of all causes; docs/diagnosis.md says what each looks like and what is tried against it."""


@dataclass(frozen=True, eq=False)
class Finding:
    """One cause of what is wrong with a run.

    Parameters
    ----------
    cause : str
        One of `CAUSES`.
    evidence : dict of str to object
        The numbers that show it.
    explanation : str
        What they mean, in words.
    remedies : tuple of Remedy
        What to change, the best first; each has been tried on this run (`remedy.after`), where that can be.
    gain : float
        What the best remedy alone wins, in powers of ten: by how many of them the share of excess loss falls that is
        left at the end of the run, 0 where the loss does not show it.
    harm : float
        Of causes that the training loss does not show: how many times larger the error of what they spoil is.

    Examples
    --------
    >>> from linreg import SGD, diagnose
    >>> found = diagnose([[-3.0], [3.0]], [-5.0, 7.0], optimizer=SGD(0.15))
    >>> finding = found.findings[0]
    >>> finding.cause, round(finding.evidence["limit"], 6)
    ('learning_rate_too_high', 0.111111)
    """

    cause: str
    evidence: dict[str, Any]
    explanation: str
    remedies: tuple[Remedy, ...] = ()
    gain: float = 0.0
    harm: float = 1.0

    def told(self, when: str) -> Finding:
        """Return the finding of a run that was changed, with words in front that say how."""
        return dataclasses.replace(self, explanation=f"{when}: {self.explanation}")
