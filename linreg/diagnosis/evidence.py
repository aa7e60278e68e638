"""The numbers of a finding, as they are shown.

Names and values in a diagnosis may come out of a file: here every control character in them becomes an escape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from linreg.diagnosis.findings import Finding

LISTED = 8
"""So many values of a long list are shown."""
LABELS = {
    "missing": "missing values",
    "first_rows": "first incomplete rows",
    "reach": "farthest that a parameter can move",
    "distance": "farthest that one has to move",
    "standard_deviation": "scatter about it",
    "step_is_larger_by": "steps are longer by a factor of",
    "last_batch": "rows in the last batch",
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
    return ", ".join(f"{label(name, finding.evidence[name])} {shown(finding.evidence[name])}" for name in names[:3])


def label(name: str, found: Any) -> str:
    """Return the name of a value of the evidence as it is shown; `rows` may be their number or their numbers."""
    if name == "rows" and isinstance(found, list):
        return "row numbers"
    return printable(LABELS.get(name, name.replace("_", " ")))


def shown(found: Any) -> str:
    """Return a value of the evidence as it is shown: numbers with four digits, long lists cut."""
    found = plain(found, keep=True)
    if isinstance(found, dict):
        return _listed([f"{key} {shown(inner)}" for key, inner in found.items()])
    if isinstance(found, list):
        return _ranges(found) or _listed([shown(inner) for inner in found])
    return _readable(found, 4) if isinstance(found, float) else printable(str(found))


def _ranges(values: list[Any]) -> str | None:
    """Return whole numbers that rise as ranges, 3-7 for 3, 4, 5, 6, 7; None if they are none."""
    if not all(type(value) is int for value in values) or values != sorted(set(values)):
        return None
    parts: list[list[int]] = []
    for value in values:
        if parts and value == parts[-1][-1] + 1:
            parts[-1].append(value)
        else:
            parts.append([value])
    words = [f"{part[0]}-{part[-1]}" if len(part) > 2 else ", ".join(map(str, part)) for part in parts[:LISTED]]
    left_out = len(values) - sum(map(len, parts[:LISTED]))
    return ", ".join([*words, *([f"and {left_out} more"] if left_out else [])])


def _listed(values: Sequence[str]) -> str:
    left_out = len(values) - LISTED
    more = [f"and {left_out} more"] if left_out > 0 else []
    return printable(", ".join([*values[:LISTED], *more]))


def number(value: float) -> str:
    """Write a number with three digits, so that a newcomer can read and type it: 12800, and not 1.28e+04."""
    return _readable(value, 3)


def _readable(value: float, digits: int) -> str:
    """Return a number rounded to so many digits, with an exponent only from a million on and below 0.0001."""
    return f"{float(f'{float(value):.{digits}g}'):g}"


def printable(text: str) -> str:
    """Show control characters as escapes, so that what comes out of a file cannot steer a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


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
