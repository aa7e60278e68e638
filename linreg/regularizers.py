"""Penalties on the kernel: value and slope, each written once.

`w` is the kernel (shape (d,), or (d, K) for K models at once); the bias is never penalised, as in Keras'
`kernel_regularizer`. A penalty is part of the reported loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.hyperparameters import HyperParameters, check_number


def l1_penalty(w: Any, l1: Any) -> Any:
    # l1 sum |w|
    return l1 * np.sum(np.abs(w), axis=0)


def l1_slope(w: Any, l1: Any) -> Any:
    # l1 sign(w), and 0 where w is 0
    return l1 * np.sign(w)


def l2_penalty(w: Any, l2: Any) -> Any:
    # l2 sum w^2
    return l2 * np.sum(w * w, axis=0)


def l2_slope(w: Any, l2: Any) -> Any:
    # 2 l2 w
    return l2 * (2 * w)


class Regularizer(HyperParameters):
    """A sum of penalties. `terms` lists them as (penalty, slope, strength)."""

    def terms(self) -> list[tuple[Callable[..., Any], Callable[..., Any], float]]:
        """Return the penalties as (penalty, slope, strength)."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        """Refuse negative and non-finite strengths."""
        for name, value in self.get_params(deep=False).items():
            check_number(type(self).__name__, name, value)

    def bind(self, number: Callable[[float], Any]) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
        """Return penalty(w) and slope(w) with their strengths as numbers of the run's arithmetic."""
        return self.bind_strengths([number(strength) for *_, strength in self.terms()])

    def bind_strengths(self, strengths: Sequence[Any]) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
        """Return penalty(w) and slope(w) with these strengths, one a term, each a number or an array (K,)."""
        terms = [(*term[:2], strength) for term, strength in zip(self.terms(), strengths, strict=True)]

        def penalty_of(w: Any) -> Any:
            return sum(penalty(w, strength) for penalty, _, strength in terms)

        def slope_of(w: Any) -> Any:
            return sum(slope(w, strength) for _, slope, strength in terms)

        return penalty_of, slope_of


@dataclass(frozen=True, repr=False)
class L1(Regularizer):
    """Penalty `l1 * sum(abs(w))`: pulls small coefficients to zero.

    Parameters
    ----------
    l1 : float, default=0.01
        Strength, at least 0.

    Raises
    ------
    TypeError
        If the strength is no number.
    ValueError
        If it is negative or not finite.

    Notes
    -----
    Dialect: Keras `L1`, a penalty on the kernel alone, whose slope at 0 is 0. scikit-learn's `Lasso` halves the squared
    error, so its alpha is l1 / 2 here.
    Source: R. Tibshirani, "Regression Shrinkage and Selection via the Lasso", J. R. Statist. Soc. B 58 (1996), 267-288.

    Examples
    --------
    >>> import numpy as np
    >>> from linreg import L1, LinearRegression
    >>> penalty, slope = L1(0.5).bind(float)
    >>> w = np.array([1.0, -2.0])
    >>> float(penalty(w)), slope(w)
    (1.5, array([ 0.5, -0.5]))
    >>> LinearRegression(kernel_regularizer=L1(0.5))
    LinearRegression(kernel_regularizer=L1(l1=0.5))
    """

    l1: float = 0.01

    def terms(self) -> list[tuple[Callable[..., Any], Callable[..., Any], float]]:
        """Return the penalties as (penalty, slope, strength)."""
        return [(l1_penalty, l1_slope, self.l1)]


@dataclass(frozen=True, repr=False)
class L2(Regularizer):
    """Penalty `l2 * sum(w**2)`: pulls all coefficients towards zero.

    Parameters
    ----------
    l2 : float, default=0.01
        Strength, at least 0.

    Raises
    ------
    TypeError
        If the strength is no number.
    ValueError
        If it is negative or not finite.

    Notes
    -----
    Dialect: Keras and PyTorch-style penalties differ by 2: the slope here is 2 l2 w, that of PyTorch's `weight_decay`
    is weight_decay * w. Ridge regression with penalty alpha * sum w^2 on the *sum* of squares is l2 = alpha / n here.
    Source: A. E. Hoerl and R. W. Kennard, "Ridge Regression: Biased Estimation for Nonorthogonal Problems",
    Technometrics 12 (1970), 55-67.

    Examples
    --------
    >>> import numpy as np
    >>> from linreg import L2, LinearRegression
    >>> penalty, slope = L2(0.5).bind(float)
    >>> w = np.array([1.0, -2.0])
    >>> float(penalty(w)), slope(w)
    (2.5, array([ 1., -2.]))
    >>> LinearRegression(kernel_regularizer=L2(0.5))
    LinearRegression(kernel_regularizer=L2(l2=0.5))
    """

    l2: float = 0.01

    def terms(self) -> list[tuple[Callable[..., Any], Callable[..., Any], float]]:
        """Return the penalties as (penalty, slope, strength)."""
        return [(l2_penalty, l2_slope, self.l2)]


@dataclass(frozen=True, repr=False)
class L1L2(Regularizer):
    """Both penalties at once, each with its strength.

    Parameters
    ----------
    l1 : float, default=0.0
        Strength of `l1 * sum(abs(w))`, at least 0.
    l2 : float, default=0.0
        Strength of `l2 * sum(w**2)`, at least 0.

    Raises
    ------
    TypeError
        If one of them is no number.
    ValueError
        If one of them is negative or not finite.

    Notes
    -----
    Dialect: Keras `L1L2`, two strengths of their own. scikit-learn's `ElasticNet` has one strength alpha and a share,
    and halves the squared error.
    Source: H. Zou and T. Hastie, "Regularization and Variable Selection via the Elastic Net", J. R. Statist. Soc. B 67
    (2005), 301-320.

    Examples
    --------
    >>> import numpy as np
    >>> from linreg import L1L2
    >>> penalty, slope = L1L2(l1=0.5, l2=0.25).bind(float)
    >>> w = np.array([1.0, -2.0])
    >>> float(penalty(w)), slope(w)
    (2.75, array([ 1. , -1.5]))
    """

    l1: float = 0.0
    l2: float = 0.0

    def terms(self) -> list[tuple[Callable[..., Any], Callable[..., Any], float]]:
        """Return the penalties as (penalty, slope, strength)."""
        return [(l1_penalty, l1_slope, self.l1), (l2_penalty, l2_slope, self.l2)]


REGULARIZERS: dict[str, type[Regularizer]] = {"l1": L1, "l2": L2}
