"""Losses: value and slope of the error, each written once.

Throughout, `e` is the error *prediction minus target*, one number a row (shape (n,), or (n, K) for K models at once),
and `c` is the factor that the reduction puts on a row: the loss of a batch is sum(c * value(e)), and its derivative
with respect to the predictions is slope(e, f) with f = slope_factor * c, a product that is taken before the loop. The
functions are made of `+ - * /` and NumPy ufuncs only, so the same
lines run on float32, on float64, on arrays of `decimal.Decimal`, on GPU arrays and compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from linreg.hyperparameters import HyperParameters, check_number, nearest

REDUCTIONS = ("sum_over_batch_size", "sum", "mean_with_sample_weight")


def squared_error(e: Any) -> Any:
    # e^2
    return e * e


def squared_error_slope(e: Any, two_c: Any) -> Any:
    # d/de c e^2 = 2 c e           slope_factor is 2
    return two_c * e


def huber(e: Any, delta: Any) -> Any:
    # e^2 / 2                    where |e| <= delta
    # delta |e| - delta^2 / 2    elsewhere
    a = np.abs(e)
    return np.where(a <= delta, e * e / 2, delta * a - delta * delta / 2)


def huber_slope(e: Any, c: Any, delta: Any) -> Any:
    # d/de c huber(e) = c min(max(e, -delta), delta)
    return c * np.minimum(np.maximum(e, -delta), delta)


def divisor(reduction: str, rows: int, sample_weight: Any = None) -> Any:
    """Return what the sum over a batch is divided by.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "sum", "mean_with_sample_weight"}
        Keras' names. `sum_over_batch_size` divides by the number of rows even where rows have weights.
    rows : int
        Rows in the batch.
    sample_weight : array of shape (rows,), optional
        Weights of the rows.

    Returns
    -------
    int or scalar
        The divisor.
    """
    if reduction == "sum":
        return 1
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        return sample_weight.sum()
    return rows


def row_factor(number: Callable[[Any], Any], divided_by: Any, sample_weight: Any = None) -> Any:
    """Return `c`, the factor of each row in the loss of its batch: 1/divisor, times the weight of the row.

    Parameters
    ----------
    number : callable
        Makes a number of the run's arithmetic.
    divided_by : int or scalar
        What `divisor` returned.
    sample_weight : array of shape (rows,), optional
        Weights of the rows.

    Returns
    -------
    scalar or array of shape (rows,)
        The factor. A batch whose weights sum to nothing has none: Keras divides with `divide_no_nan`.
    """
    one_row = number(1) / number(divided_by) if divided_by != 0 else number(0)
    return one_row if sample_weight is None else one_row * sample_weight


class Loss(HyperParameters):
    """A loss: its two equations, its constants and its reduction."""

    value: ClassVar[Callable[..., Any]]
    slope: ClassVar[Callable[..., Any]]
    slope_factor: ClassVar[int] = 1
    reduction: str

    def __post_init__(self) -> None:
        """Refuse an unknown reduction."""
        if self.reduction not in REDUCTIONS:
            hint = nearest(self.reduction, REDUCTIONS)
            raise ValueError(f"{type(self).__name__}: unknown reduction {self.reduction!r}{hint}.")

    def constants(self, number: Callable[[float], Any]) -> tuple[Any, ...]:  # noqa: ARG002 (some losses have none)
        """Return the last arguments of `value` and `slope`, as numbers of the run's arithmetic."""
        return ()


@dataclass(frozen=True, repr=False)
class MeanSquaredError(Loss):
    """Squared error, value e^2 and slope 2e.

    Parameters
    ----------
    reduction : {"sum_over_batch_size", "sum", "mean_with_sample_weight"}, default="sum_over_batch_size"
        How the values of a batch become one number: divided by its rows, not divided, or divided by the sum of the
        sample weights.

    Raises
    ------
    ValueError
        If the reduction is unknown; the nearest one is suggested.

    Notes
    -----
    Dialect: Keras `MeanSquaredError` and PyTorch `MSELoss`. Textbooks often write 1/(2n), which halves the slope and
    so doubles every learning rate.
    Source: A.-M. Legendre, "Nouvelles méthodes pour la détermination des orbites des comètes" (1805), appendix.

    Examples
    --------
    >>> import numpy as np
    >>> from linreg import LinearRegression, MeanSquaredError
    >>> errors = np.array([1.0, -2.0])  # prediction minus target, in units of y
    >>> MeanSquaredError.value(errors)
    array([1., 4.])
    >>> LinearRegression(loss=MeanSquaredError(reduction="sum"))
    LinearRegression(loss=MeanSquaredError(reduction='sum'))
    """

    value: ClassVar[Callable[..., Any]] = staticmethod(squared_error)
    slope: ClassVar[Callable[..., Any]] = staticmethod(squared_error_slope)
    slope_factor: ClassVar[int] = 2
    reduction: str = "sum_over_batch_size"


@dataclass(frozen=True, repr=False)
class Huber(Loss):
    """Huber's loss: quadratic near zero, linear beyond `delta`, so that far points pull with bounded force.

    Parameters
    ----------
    delta : float, default=1.0
        Where the parabola becomes a line, in units of y. Above 0.
    reduction : {"sum_over_batch_size", "sum", "mean_with_sample_weight"}, default="sum_over_batch_size"
        How the values of a batch become one number: divided by its rows, not divided, or divided by the sum of the
        sample weights.

    Raises
    ------
    TypeError
        If delta is no number.
    ValueError
        If delta is not finite and above 0, or the reduction is unknown.

    Notes
    -----
    Dialect: Keras `Huber` and PyTorch `HuberLoss` (e^2/2 inside, so half of the squared error there; PyTorch's
    `SmoothL1Loss` divides by delta once more). Source: P. J. Huber, "Robust Estimation of a Location Parameter",
    Annals of Mathematical Statistics 35 (1964), 73-101.

    Examples
    --------
    >>> import numpy as np
    >>> from linreg import Huber, LinearRegression
    >>> errors = np.array([0.5, -3.0])  # prediction minus target, in units of y
    >>> Huber.value(errors, 1.0)  # the second is beyond a delta of 1
    array([0.125, 2.5  ])
    >>> LinearRegression(loss=Huber(delta=2.0))
    LinearRegression(loss=Huber(delta=2.0))
    """

    value: ClassVar[Callable[..., Any]] = staticmethod(huber)
    slope: ClassVar[Callable[..., Any]] = staticmethod(huber_slope)
    delta: float = 1.0
    reduction: str = "sum_over_batch_size"

    def __post_init__(self) -> None:
        """Refuse an unknown reduction or a delta that is not above 0."""
        super().__post_init__()
        check_number("Huber", "delta", self.delta, open_low=True)

    def constants(self, number: Callable[[float], Any]) -> tuple[Any, ...]:
        """Return delta as a number of the run's arithmetic."""
        return (number(self.delta),)


LOSSES: dict[str, type[Loss]] = {"mse": MeanSquaredError, "mean_squared_error": MeanSquaredError, "huber": Huber}
