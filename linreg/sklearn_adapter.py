"""What scikit-learn wants to see of an estimator; scikit-learn itself is only imported where it is in use already."""

from __future__ import annotations

import sys
import warnings
from typing import Any


def tags() -> Any:
    """Return scikit-learn's tags of a regressor; only scikit-learn asks for them, so it is installed."""
    from sklearn.utils import InputTags, RegressorTags, Tags, TargetTags

    return Tags(
        estimator_type="regressor",
        target_tags=TargetTags(required=True),
        regressor_tags=RegressorTags(),
        input_tags=InputTags(),
    )


def not_fitted(owner: str) -> Exception:
    """Return the error for a model that is used before `fit`: scikit-learn's own where scikit-learn is loaded."""
    message = f"This {owner} instance is not fitted yet. Call 'fit' with training data before using it."
    if sys.modules.get("sklearn") is not None:
        from sklearn.exceptions import NotFittedError

        error: Exception = NotFittedError(message)
        return error
    return ValueError(message)


def check_feature_names(owner: str, given: list[str] | None, fitted: Any) -> None:
    """Compare the column names of new data with those of `fit`, in scikit-learn's words.

    Parameters
    ----------
    owner : str
        Name of the estimator.
    given : list of str or None
        Names of the new data.
    fitted : array of str or None
        Names at `fit`.

    Raises
    ------
    ValueError
        If both have names and they differ.
    """
    if given is None and fitted is None:
        return
    if fitted is None:
        warnings.warn(f"X has feature names, but {owner} was fitted without feature names", stacklevel=4)
        return
    if given is None:
        warnings.warn(f"X does not have valid feature names, but {owner} was fitted with feature names", stacklevel=4)
        return
    known = list(fitted)
    if given == known:
        return
    message = "The feature names should match those that were passed during fit.\n"
    unseen, missing = sorted(set(given) - set(known)), sorted(set(known) - set(given))
    if unseen:
        message += "Feature names unseen at fit time:\n" + _listed(unseen)
    if missing:
        message += "Feature names seen at fit time, yet now missing:\n" + _listed(missing)
    if not unseen and not missing:
        message += "Feature names must be in the same order as they were in fit.\n"
    raise ValueError(message)


def _listed(names: list[str]) -> str:
    shown = [f"- {name}\n" for name in names[:5]]
    return "".join(shown) + ("- ...\n" if len(names) > 5 else "")
