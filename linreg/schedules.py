"""Learning rate schedules: the rate as a function of the step, each formula written once.

`step` counts batches from 0 (also under gradient accumulation, as in Keras). Every schedule can be called with a step,
`ExponentialDecay(0.1, 100, 0.5)(200)`, and gives a Python float; the training loop asks for many steps at once, in
the arithmetic of the run, through `rates`. Operation order and the rounding of constants follow Keras.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.hyperparameters import HyperParameters, check_count, check_flag, check_number
from linreg.precision import FLOAT64, Precision

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "Schedule",
]


class Schedule(HyperParameters):
    """A learning rate that depends on the step.

    Notes
    -----
    Dialect: Keras' `LearningRateSchedule`: a step is a batch, counted from 0 over all epochs. Any callable of the step
    can take the place of a schedule.
    Source: the formula of each schedule and who proposed it stand with the schedule.

    Examples
    --------
    >>> from linreg import SGD
    >>> from linreg.schedules import ExponentialDecay, Schedule
    >>> schedule = ExponentialDecay(0.1, 100, 0.5)
    >>> isinstance(schedule, Schedule), schedule(0), schedule(100)
    (True, 0.1, 0.05)
    >>> SGD(schedule)
    SGD(learning_rate=ExponentialDecay(initial_learning_rate=0.1, decay_steps=100, decay_rate=0.5))
    >>> SGD(lambda step: 0.1 / (1 + step)).learning_rate(4)
    0.02
    """

    def rates(self, steps: Any, precision: Precision) -> Any:
        """Return the learning rates of an array of steps, in the arithmetic of the run.

        Parameters
        ----------
        steps : array of int of shape (steps,)
            Steps, from 0.
        precision : Precision
            The arithmetic of the run.

        Returns
        -------
        array of shape (steps,)
            One learning rate a step, in units of parameter per unit of gradient.
        """
        raise NotImplementedError

    def __call__(self, step: int) -> float:
        """Return the learning rate of one step, computed in float64."""
        return float(self.rates(np.array([step]), FLOAT64)[0])


def rates_of(learning_rate: Any, steps: Any, precision: Precision) -> Any:
    """Return the learning rates of an array of steps, whatever `learning_rate` is.

    Parameters
    ----------
    learning_rate : float, Schedule or callable of the step, or a tuple of K of them
        Where the rates come from.
    steps : array of int
        Steps, from 0.
    precision : Precision
        The arithmetic of the run.

    Returns
    -------
    array of shape (steps,) or (steps, K)
        One learning rate a step.
    """
    if isinstance(learning_rate, tuple):
        constants = [precision.number(0 if callable(source) else source) for source in learning_rate]
        rates, asked = np.tile(np.array(constants), (len(steps), 1)), {}
        for k, source in enumerate(learning_rate):
            if callable(source):
                if id(source) not in asked:
                    asked[id(source)] = rates_of(source, steps, precision)
                rates[:, k] = asked[id(source)]
        return rates
    if isinstance(learning_rate, Schedule):
        if precision.schedules is None:
            return learning_rate.rates(steps, precision)
        return np.array([precision.number(float(rate)) for rate in learning_rate.rates(steps, precision.schedules)])
    if callable(learning_rate):
        return np.array([precision.number(_asked(learning_rate, int(step))) for step in steps])
    return np.full(len(steps), precision.number(learning_rate))


def _asked(learning_rate: Callable[[int], float], step: int) -> float:
    rate = learning_rate(step)
    check_number(f"learning_rate={learning_rate!r}", f"the rate of step {step}", rate)
    return rate


@dataclass(frozen=True, repr=False)
class Decay(Schedule):
    """Base of the schedules that fall with the number of periods, step / decay_steps."""

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False

    def __post_init__(self) -> None:
        """Check every hyper-parameter."""
        _check(self, "initial_learning_rate", "decay_rate")
        check_number(type(self).__name__, "decay_steps", self.decay_steps, open_low=True)
        check_flag(type(self).__name__, "staircase", self.staircase)

    def rates(self, steps: Any, precision: Precision) -> Any:
        """Return the learning rates of an array of steps, in the arithmetic of the run."""
        periods = precision.steps(steps) / precision.cast(self.decay_steps)
        periods = np.floor(periods) if self.staircase else periods
        initial, decay_rate = precision.cast(self.initial_learning_rate), precision.cast(self.decay_rate)
        return self.formula(initial, decay_rate, periods, precision)

    @staticmethod
    def formula(initial: Any, decay_rate: Any, periods: Any, precision: Precision) -> Any:
        """Return the rate after so many periods."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class ExponentialDecay(Decay):
    """Exponential decay: lr = initial_learning_rate * decay_rate ^ (step / decay_steps).

    Parameters
    ----------
    initial_learning_rate : float
        Rate at step 0.
    decay_steps : float
        Unit in which steps are counted.
    decay_rate : float
        Factor by which the rate falls in `decay_steps` steps.
    staircase : bool, default=False
        Round step / decay_steps down, so that the rate falls in stairs.

    Raises
    ------
    TypeError
        If a hyper-parameter is of the wrong type.
    ValueError
        If a number is negative or not finite, or decay_steps is 0.

    Notes
    -----
    Dialect: Keras `ExponentialDecay`, in its order of operations. PyTorch's `ExponentialLR` counts epochs and has no
    stairs.
    Source: A. Senior, G. Heigold, M. Ranzato and K. Yang, "An Empirical Study of Learning Rates in Deep Neural Networks
    for Speech Recognition", ICASSP 2013, "exponential scheduling".

    Examples
    --------
    >>> from linreg.schedules import ExponentialDecay
    >>> rate = ExponentialDecay(0.1, decay_steps=100, decay_rate=0.5)
    >>> rate(0), rate(100), rate(200)
    (0.1, 0.05, 0.025)
    """

    @staticmethod
    def formula(initial: Any, decay_rate: Any, periods: Any, precision: Precision) -> Any:
        """Return the rate after so many periods."""
        return initial * precision.power(decay_rate, periods)


@dataclass(frozen=True, repr=False)
class InverseTimeDecay(Decay):
    """Hyperbolic decay: lr = initial_learning_rate / (1 + decay_rate * step / decay_steps).

    Parameters
    ----------
    initial_learning_rate : float
        Rate at step 0.
    decay_steps : float
        Unit in which steps are counted.
    decay_rate : float
        Speed of the decay: after `decay_steps` steps the rate is divided by 1 + decay_rate.
    staircase : bool, default=False
        Round step / decay_steps down, so that the rate falls in stairs.

    Raises
    ------
    TypeError
        If a hyper-parameter is of the wrong type.
    ValueError
        If a number is negative or not finite, or decay_steps is 0.

    Notes
    -----
    Dialect: Keras `InverseTimeDecay`, in its order of operations.
    Source: H. Robbins and S. Monro, "A Stochastic Approximation Method", Ann. Math. Statist. 22 (1951), for rates that
    fall as 1 / step.

    Examples
    --------
    >>> from linreg.schedules import InverseTimeDecay
    >>> rate = InverseTimeDecay(0.1, decay_steps=100, decay_rate=1.0)
    >>> rate(0), rate(100), rate(300)
    (0.1, 0.05, 0.025)
    """

    @staticmethod
    def formula(initial: Any, decay_rate: Any, periods: Any, precision: Precision) -> Any:  # noqa: ARG004
        """Return the rate after so many periods."""
        return initial / (1 + decay_rate * periods)


@dataclass(frozen=True, repr=False)
class PolynomialDecay(Schedule):
    """Polynomial decay: lr = (initial - end) * (1 - step / decay_steps) ^ power + end, and `end` afterwards.

    Parameters
    ----------
    initial_learning_rate : float
        Rate at step 0.
    decay_steps : float
        Steps until the end.
    end_learning_rate : float, default=0.0001
        Rate at the end.
    power : float, default=1.0
        Power of the polynomial; 1 is a straight line.
    cycle : bool, default=False
        Start again, over 2, 3, ... times `decay_steps`, whenever the end is passed.

    Raises
    ------
    TypeError
        If a hyper-parameter is of the wrong type.
    ValueError
        If a number is negative or not finite, or decay_steps is 0.

    Notes
    -----
    Dialect: Keras `PolynomialDecay`, in its order of operations. The steps at which a cycle begins differ when
    TensorFlow runs it as a graph.
    Source: as the "poly" policy, L.-C. Chen et al., "DeepLab", arXiv:1606.00915; `end_learning_rate` and `cycle` are
    Keras'.

    Examples
    --------
    >>> from linreg.schedules import PolynomialDecay
    >>> rate = PolynomialDecay(0.1, decay_steps=100, end_learning_rate=0.0)
    >>> rate(0), rate(50), rate(100), rate(1000)
    (0.1, 0.05, 0.0, 0.0)
    """

    initial_learning_rate: float
    decay_steps: float
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False

    def __post_init__(self) -> None:
        """Check every hyper-parameter."""
        _check(self, "initial_learning_rate", "end_learning_rate", "power")
        check_flag("PolynomialDecay", "cycle", self.cycle)
        check_number(type(self).__name__, "decay_steps", self.decay_steps, open_low=True)

    def rates(self, steps: Any, precision: Precision) -> Any:
        """Return the learning rates of an array of steps, in the arithmetic of the run."""
        initial, end, power, decay_steps = map(
            precision.cast, (self.initial_learning_rate, self.end_learning_rate, self.power, self.decay_steps)
        )
        step = precision.steps(steps)
        if self.cycle:
            decay_steps = decay_steps * np.where(step == 0, precision.cast(1), np.ceil(step / decay_steps))
        else:
            step = np.minimum(step, decay_steps)
        return (initial - end) * precision.power(1 - step / decay_steps, power) + end


@dataclass(frozen=True, repr=False)
class PiecewiseConstantDecay(Schedule):
    """A constant rate on each piece: values[0] up to and including step boundaries[0], then values[1], and so on.

    Parameters
    ----------
    boundaries : sequence of int
        Last step of each piece but the last, increasing.
    values : sequence of float
        Rate on each piece: one more than there are boundaries.

    Raises
    ------
    TypeError
        If a boundary or a value is no number.
    ValueError
        If there is not one more value than boundaries, the boundaries do not increase, or a number is negative or not
        finite.

    Notes
    -----
    Dialect: Keras `PiecewiseConstantDecay`: a boundary is the last step of its piece. PyTorch's `MultiStepLR` changes
    the rate at its milestones, which are epochs.
    Source: Keras' documentation of the schedule; as the habit of dividing the rate by ten, K. He et al., "Deep Residual
    Learning for Image Recognition", arXiv:1512.03385, section 3.4.

    Examples
    --------
    >>> from linreg.schedules import PiecewiseConstantDecay
    >>> rate = PiecewiseConstantDecay(boundaries=[100, 200], values=[0.1, 0.05, 0.01])
    >>> rate(100), rate(101), rate(201)
    (0.1, 0.05, 0.01)
    """

    boundaries: tuple[int, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        """Keep both as tuples, and check that they fit together."""
        object.__setattr__(self, "boundaries", tuple(self.boundaries))
        object.__setattr__(self, "values", tuple(self.values))
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                "PiecewiseConstantDecay: needs one more value than boundaries, got "
                f"{len(self.boundaries)} boundaries and {len(self.values)} values."
            )
        for boundary in self.boundaries:
            check_number("PiecewiseConstantDecay", "boundaries", boundary)
        if any(b <= a for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise ValueError(f"PiecewiseConstantDecay: boundaries must increase, got {self.boundaries}.")
        for value in self.values:
            check_number("PiecewiseConstantDecay", "values", value)

    def rates(self, steps: Any, precision: Precision) -> Any:
        """Return the learning rates of an array of steps, in the arithmetic of the run."""
        values = np.array([precision.cast(value) for value in self.values])
        return values[np.searchsorted(np.asarray(self.boundaries), np.asarray(steps), side="left")]


def cosine_decayed(
    fraction: Any, height: Any, alpha: Any, one_minus_alpha: Any, pi: Any, cosine: Callable[[Any], Any]
) -> Any:
    # (1 - alpha) height (1 + cos(pi fraction)) / 2 + alpha
    return one_minus_alpha * (height * (1 + cosine(pi * fraction)) / 2) + alpha


@dataclass(frozen=True, repr=False)
class CosineDecay(Schedule):
    """Half a cosine wave from the initial rate down to `alpha` times it, after an optional linear warm-up.

    Parameters
    ----------
    initial_learning_rate : float
        Rate at step 0.
    decay_steps : float
        Steps of the decay.
    alpha : float, default=0.0
        Final rate as a share of the rate from which the decay starts.
    warmup_target : float, optional
        Rate at the end of the warm-up, from which the decay then starts. No warm-up without it.
    warmup_steps : int, default=0
        Steps of the warm-up.

    Raises
    ------
    TypeError
        If a hyper-parameter is of the wrong type.
    ValueError
        If a number is negative or not finite, or decay_steps is 0.

    Notes
    -----
    Dialect: Keras `CosineDecay`, in its order of operations; PyTorch's `CosineAnnealingLR` counts epochs and rises
    again.
    Source: I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017,
    arXiv:1608.03983; warm-up: P. Goyal et al., arXiv:1706.02677.

    Examples
    --------
    >>> from linreg.schedules import CosineDecay
    >>> rate = CosineDecay(0.1, decay_steps=100)
    >>> rate(0), rate(50), rate(100)
    (0.1, 0.05, 0.0)
    >>> warmed = CosineDecay(0.0, decay_steps=100, warmup_target=0.1, warmup_steps=10)
    >>> warmed(5), warmed(10), warmed(60)
    (0.05, 0.1, 0.05)
    """

    initial_learning_rate: float
    decay_steps: float
    alpha: float = 0.0
    warmup_target: float | None = None
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        """Check every hyper-parameter."""
        _check(self, "initial_learning_rate", "alpha", *(() if self.warmup_target is None else ("warmup_target",)))
        check_number("CosineDecay", "decay_steps", self.decay_steps, open_low=True)
        check_count("CosineDecay", "warmup_steps", self.warmup_steps, low=0)

    def rates(self, steps: Any, precision: Precision) -> Any:
        """Return the learning rates of an array of steps, in the arithmetic of the run."""
        initial, decay_steps, pi = map(precision.cast, (self.initial_learning_rate, self.decay_steps, math.pi))
        alpha, one_minus_alpha = precision.number(self.alpha), precision.number(1 - self.alpha)
        step = precision.steps(steps)

        def decay(step: Any, start: Any) -> Any:
            return start * cosine_decayed(step / decay_steps, 1, alpha, one_minus_alpha, pi, precision.cosine)

        if self.warmup_target is None:
            return decay(np.minimum(step, decay_steps), initial)
        target, warmup_steps = precision.cast(self.warmup_target), precision.cast(self.warmup_steps)
        step = np.minimum(step, decay_steps + warmup_steps)
        with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0 where there are no warm-up steps: not chosen
            warm = (target - initial) * (step / warmup_steps) + initial
        return np.where(step < warmup_steps, warm, decay(step - warmup_steps, target))


def logarithm(x: Any, precision: Precision) -> Any:
    """Return log(x), taken in float64 and rounded once, as powers and cosines are."""
    # NumPy's float32 logarithm is 1 ULP off for one x in 20; TensorFlow's, of a scalar, for one in 2,000.
    return np.log(x, dtype=np.float64).astype(precision.dtype)


@dataclass(frozen=True, repr=False)
class CosineDecayRestarts(Schedule):
    """Cosine decay that starts again, each period `t_mul` times as long and `m_mul` times as high as the one before.

    Parameters
    ----------
    initial_learning_rate : float
        Rate at step 0.
    first_decay_steps : float
        Steps of the first period.
    t_mul : float, default=2.0
        Length of a period, as a multiple of the one before.
    m_mul : float, default=1.0
        Height of a period, as a multiple of the one before.
    alpha : float, default=0.0
        Lowest rate, as a share of the initial one.

    Raises
    ------
    TypeError
        If a hyper-parameter is of the wrong type.
    ValueError
        If a number is negative or not finite, first_decay_steps is 0, or t_mul is below 1.

    Notes
    -----
    Dialect: Keras `CosineDecayRestarts`, in its order of operations.
    Source: I. Loshchilov and F. Hutter, arXiv:1608.03983. The period is found with logarithms, as in Keras; at the
    step where a period begins the last bit of a logarithm decides, so this and Keras may differ there by a period. In
    float32 they do at 15 of 37 million steps, all of them with t_mul < 1.04.

    Examples
    --------
    >>> from linreg.schedules import CosineDecayRestarts
    >>> rate = CosineDecayRestarts(0.1, first_decay_steps=100)  # the second period takes 200 steps
    >>> rate(0), rate(50), rate(100), rate(200)
    (0.1, 0.05, 0.1, 0.05)
    """

    initial_learning_rate: float
    first_decay_steps: float
    t_mul: float = 2.0
    m_mul: float = 1.0
    alpha: float = 0.0

    def __post_init__(self) -> None:
        """Check every hyper-parameter."""
        _check(self, "initial_learning_rate", "m_mul", "alpha")
        check_number("CosineDecayRestarts", "first_decay_steps", self.first_decay_steps, open_low=True)
        check_number("CosineDecayRestarts", "t_mul", self.t_mul, low=1.0)

    def rates(self, steps: Any, precision: Precision) -> Any:
        """Return the learning rates of an array of steps, in the arithmetic of the run."""
        initial, first, t_mul, m_mul, alpha, pi = map(
            precision.cast,
            (self.initial_learning_rate, self.first_decay_steps, self.t_mul, self.m_mul, self.alpha, math.pi),
        )
        fraction = precision.steps(steps) / first
        if self.t_mul == 1:
            period = np.floor(fraction)
            fraction = fraction - period
        else:
            # Periods are t_mul^i long, so i of them take (1 - t_mul^i) / (1 - t_mul) times the first.
            period = np.floor(logarithm(1 - fraction * (1 - t_mul), precision) / logarithm(t_mul, precision))
            length = precision.power(t_mul, period)
            fraction = (fraction - (1 - length) / (1 - t_mul)) / length
        height = precision.power(m_mul, period)
        return initial * cosine_decayed(fraction, height, alpha, 1 - alpha, pi, precision.cosine)


def _check(schedule: Schedule, *names: str) -> None:
    """Raise unless each named hyper-parameter is a finite number of at least 0."""
    for name in names:
        check_number(type(schedule).__name__, name, getattr(schedule, name))
