"""Every cause, in the order in which they are looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from linreg.diagnosis.cases import Case
from linreg.diagnosis.coefficients import collinear, collinearity, conditioning, unfinished
from linreg.diagnosis.data_causes import constant_feature, feature_scale, high_leverage, target_scale
from linreg.diagnosis.findings import Finding
from linreg.diagnosis.fit_causes import constant, outliers, regularization
from linreg.diagnosis.setting_causes import (
    batch_noise,
    learning_rate_too_high,
    learning_rate_too_low,
    loss_reduction,
    momentum_too_high,
    steep_penalty,
    unusual_momentum,
)
from linreg.diagnosis.symptoms import Symptoms
from linreg.diagnosis.validation_causes import few_rows, validation_causes

SPECIFIC: tuple[Callable[[Case, Symptoms], Finding | None], ...] = (
    loss_reduction,
    unusual_momentum,
    high_leverage,
    constant_feature,
    feature_scale,
    target_scale,
    momentum_too_high,
    collinearity,
    conditioning,
    batch_noise,
    steep_penalty,
)

RATE_CAUSES: tuple[Callable[[Case, Symptoms], Finding | None], ...] = (learning_rate_too_high, learning_rate_too_low)

FIT_CAUSES = (outliers, regularization, validation_causes, few_rows, constant, collinear, unfinished)

BEHIND = (regularization, constant, collinear, unfinished)
"""Causes that show, or show better, once the run converges."""


def suspicions(case: Case, symptoms: Symptoms) -> Iterator[Finding]:
    """Yield every cause whose symptom is there, the specific ones first.

    Parameters
    ----------
    case : Case
        The run.
    symptoms : Symptoms
        Its numbers.

    Yields
    ------
    Finding
        Its remedies are not tried yet.
    """
    for cause in (*SPECIFIC, *RATE_CAUSES):
        suspicion = cause(case, symptoms)
        if suspicion is not None:
            yield suspicion
