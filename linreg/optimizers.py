"""Optimizers: the hyper-parameters of each update rule, in Keras' names, and how they are bound to the rule.

The formulas themselves are in `linreg.rules`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg import rules
from linreg.hyperparameters import HyperParameters, check_count, check_flag, check_number
from linreg.precision import Precision
from linreg.schedules import Schedule

Update = Callable[..., tuple[Any, ...]]


@dataclass(frozen=True)
class Rule:
    """An update rule with its constants bound: what a training loop calls.

    Parameters
    ----------
    update : callable
        The pure function `update(p, g, *state, rate, *constants) -> (p, *state)`.
    state : tuple of str
        The letters of its state arrays, each of the shape of the parameters and zero at the start.
    constants : tuple
        Its constants, as numbers of the run's arithmetic.
    rate : callable
        `rate(lr, t)`: what the rule takes in place of the learning rate `lr` at its t-th update, t = 1, 2, ...;
        element-wise in both. Where it returns `lr` itself, it does so at all later updates.
    """

    update: Update
    state: tuple[str, ...]
    constants: tuple[Any, ...]
    rate: Callable[[Any, Any], Any]


def rate_is_learning_rate(lr: Any, t: Any) -> Any:  # noqa: ARG001 (only Adam counts)
    """Return what most rules take for the learning rate: itself."""
    return lr


@dataclass(frozen=True)
class _CorrectedRate:
    """Adam's rate; equal for models with equal betas, so that their powers are taken once."""

    precision: Precision
    beta_1: Any
    beta_2: Any

    def __call__(self, lr: Any, t: Any) -> Any:
        early = int(np.searchsorted(np.ravel(t), self._settled()))
        if early == 0:
            return lr  # as it is at most steps of a long run
        if early < np.size(t):
            return np.concatenate([self(lr[:early], t[:early]), lr[early:]])
        power, t = self.precision.power, self.precision.steps(t)
        return rules.corrected_rate(lr, power(self.beta_1, t), power(self.beta_2, t))

    def _settled(self) -> int:
        """Return a step from which on 1 - beta^t is rounded to 1 for both betas."""
        slowest = float(max(self.beta_1, self.beta_2))
        if np.dtype(self.precision.dtype).kind != "f" or slowest == 1:  # numbers of any length, or a beta rounded to 1
            return 2**62
        least = float(np.finfo(self.precision.dtype).eps) / 4
        return math.ceil(math.log(least) / math.log(max(slowest, least))) + 1


@dataclass(frozen=True, kw_only=True, repr=False)
class Optimizer(HyperParameters):
    """What all optimizers share: the learning rate and the steps around the rule.

    Parameters
    ----------
    weight_decay : float, optional
        Multiplies kernel *and bias* by 1 - learning_rate * weight_decay before the rule.
    clipnorm : float, optional
        The gradient of kernel and bias, each by itself, is scaled down to at most this norm.
    clipvalue : float, optional
        Each element of the gradient is clipped to [-clipvalue, clipvalue].
    global_clipnorm : float, optional
        The whole gradient is scaled down to at most this norm.
    use_ema : bool, default=False
        Keep an exponential moving average of the parameters, which becomes the fitted model.
    ema_momentum : float, default=0.99
        Share of the old average, in [0, 1].
    ema_overwrite_frequency : int, optional
        Overwrite the parameters with the average every so many updates; ignored without `use_ema`, as in Keras.
    gradient_accumulation_steps : int, optional
        Update once every so many batches (at least 2), with the mean of their gradients. A learning rate schedule
        still counts batches; Adam's t counts updates; the average moves at every batch (all as in Keras).
    learning_rate : float, Schedule or callable of the step
        Step size, at least 0.
    """

    weight_decay: float | None = None
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None
    use_ema: bool = False
    ema_momentum: float = 0.99
    ema_overwrite_frequency: int | None = None
    gradient_accumulation_steps: int | None = None

    learning_rate: float | Schedule | Callable[[int], float]

    def __post_init__(self) -> None:
        """Check every hyper-parameter, refusing the combinations that Keras refuses."""
        owner = type(self).__name__
        if not callable(self.learning_rate):
            check_number(owner, "learning_rate", self.learning_rate)
        clips = ("clipnorm", "clipvalue", "global_clipnorm")
        given = {name: getattr(self, name) for name in clips if getattr(self, name) is not None}
        if len(given) > 1:
            raise ValueError(f"{owner}: only one of {', '.join(clips)} can be set, got {given}.")
        for name, value in (*given.items(), ("weight_decay", self.weight_decay)):
            if value is not None:
                check_number(owner, name, value)
        if self.gradient_accumulation_steps is not None:
            check_count(owner, "gradient_accumulation_steps", self.gradient_accumulation_steps, low=2)
        check_flag(owner, "use_ema", self.use_ema)
        if self.use_ema:
            check_number(owner, "ema_momentum", self.ema_momentum, high=1.0)
            if self.ema_overwrite_frequency is not None:
                check_count(owner, "ema_overwrite_frequency", self.ema_overwrite_frequency)

    def rule(self, precision: Precision) -> Rule:
        """Return the update rule with its constants in the arithmetic of the run."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class SGD(Optimizer):
    """Gradient descent, with momentum and Nesterov's momentum.

    Parameters
    ----------
    learning_rate : float, schedule or callable of the step, default=0.01
        Step size, at least 0, in units of parameter per unit of gradient.
    momentum : float, default=0.0
        Share of the last step that is kept, in [0, 1].
    nesterov : bool, default=False
        Look ahead along the velocity; without momentum it changes nothing.
    weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency, \
gradient_accumulation_steps : optional
        See `Optimizer`.

    Raises
    ------
    TypeError
        If a hyper-parameter is of the wrong type.
    ValueError
        If one lies outside its range, or if more than one of clipnorm, clipvalue and global_clipnorm is set.

    Notes
    -----
    Dialect: Keras. m <- momentum m - lr g, p <- p + m. PyTorch keeps the learning rate outside the velocity
    (m <- momentum m + g, p <- p - lr m): the same while the rate is constant, different as soon as it changes.
    Source: B. T. Polyak, "Some methods of speeding up the convergence of iteration methods" (1964); for Nesterov's
    form I. Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.

    Examples
    --------
    >>> from linreg import SGD, LinearRegression
    >>> SGD(learning_rate=0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9)
    >>> model = LinearRegression(SGD(0.1), epochs=1, kernel_initializer="zeros", fit_intercept=False)
    >>> model.fit([[1.0]], [1.0]).coef_.round(4)  # the gradient is -2
    array([0.2], dtype=float32)
    """

    learning_rate: float | Schedule | Callable[[int], float] = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        """Check every hyper-parameter."""
        super().__post_init__()
        check_number("SGD", "momentum", self.momentum, high=1.0)
        check_flag("SGD", "nesterov", self.nesterov)

    def rule(self, precision: Precision) -> Rule:
        """Return the update rule with its constants in the arithmetic of the run."""
        if self.momentum == 0:
            return Rule(rules.sgd, (), (), rate_is_learning_rate)
        update = rules.sgd_nesterov if self.nesterov else rules.sgd_momentum
        return Rule(update, ("m",), (precision.cast(self.momentum),), rate_is_learning_rate)


@dataclass(frozen=True, repr=False)
class RMSprop(Optimizer):
    """RMSprop: each coordinate's step is divided by the root of its mean squared gradient.

    Parameters
    ----------
    learning_rate : float, schedule or callable of the step, default=0.001
        Step size, at least 0; about the distance that a parameter moves in a step.
    rho : float, default=0.9
        Share of the old mean square, in [0, 1].
    momentum : float, default=0.0
        Share of the last step that is kept, at least 0.
    epsilon : float, default=1e-7
        Added to the mean square *inside* the root, at least 0.
    centered : bool, default=False
        Divide by the root of the variance instead of the mean square.
    weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency, \
gradient_accumulation_steps : optional
        See `Optimizer`.

    Raises
    ------
    TypeError
        If a hyper-parameter is of the wrong type.
    ValueError
        If one lies outside its range, or if more than one of clipnorm, clipvalue and global_clipnorm is set.

    Notes
    -----
    Dialect: Keras, with epsilon inside the root. PyTorch adds it outside: lr g / (sqrt(v) + eps).
    Source: T. Tieleman and G. Hinton, "Lecture 6.5 - rmsprop", Coursera: Neural Networks for Machine Learning (2012);
    for the centered form A. Graves, "Generating Sequences With Recurrent Neural Networks", arXiv:1308.0850, eq. 38-45.

    Examples
    --------
    >>> from linreg import RMSprop, LinearRegression
    >>> RMSprop(learning_rate=0.1, centered=True)
    RMSprop(learning_rate=0.1, centered=True)
    >>> model = LinearRegression(RMSprop(0.1), epochs=1, kernel_initializer="zeros", fit_intercept=False)
    >>> model.fit([[1.0]], [1.0]).coef_.round(4)  # 0.1 / sqrt(1 - rho), however large the gradient
    array([0.3162], dtype=float32)
    """

    learning_rate: float | Schedule | Callable[[int], float] = 0.001
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7
    centered: bool = False

    def __post_init__(self) -> None:
        """Check every hyper-parameter."""
        super().__post_init__()
        check_number("RMSprop", "rho", self.rho, high=1.0)
        check_number("RMSprop", "momentum", self.momentum)
        check_number("RMSprop", "epsilon", self.epsilon)
        check_flag("RMSprop", "centered", self.centered)

    def rule(self, precision: Precision) -> Rule:
        """Return the update rule with its constants in the arithmetic of the run."""
        number = precision.number
        constants = (number(self.rho), number(1 - self.rho), number(self.epsilon))
        plain: Update = rules.rmsprop_centered if self.centered else rules.rmsprop
        with_momentum: Update = rules.rmsprop_centered_momentum if self.centered else rules.rmsprop_momentum
        state = ("v", "a") if self.centered else ("v",)
        if self.momentum > 0:
            return Rule(with_momentum, (*state, "m"), (*constants, number(self.momentum)), rate_is_learning_rate)
        return Rule(plain, state, constants, rate_is_learning_rate)


@dataclass(frozen=True, repr=False)
class Adam(Optimizer):
    """Adam: momentum divided by the root of the mean squared gradient, both corrected for their start at zero.

    Parameters
    ----------
    learning_rate : float, schedule or callable of the step, default=0.001
        Step size, at least 0; about the largest distance that a parameter moves in a step.
    beta_1 : float, default=0.9
        Share of the old first moment, in [0, 1).
    beta_2 : float, default=0.999
        Share of the old second moment, in [0, 1).
    epsilon : float, default=1e-7
        Added to the root of the second moment, at least 0.
    amsgrad : bool, default=False
        Divide by the largest second moment so far.
    weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency, \
gradient_accumulation_steps : optional
        See `Optimizer`.

    Raises
    ------
    TypeError
        If a hyper-parameter is of the wrong type.
    ValueError
        If one lies outside its range, or if more than one of clipnorm, clipvalue and global_clipnorm is set.

    Notes
    -----
    Dialect: Keras, which follows the efficient form just before section 2.1 of the paper, so that epsilon is the
    paper's "epsilon hat": it is added to sqrt(v) before the bias correction. PyTorch follows Algorithm 1 and adds
    eps = 1e-8 after it. AMSGrad takes the maximum of the uncorrected v in Keras and PyTorch alike.
    Source: D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, arXiv:1412.6980;
    S. J. Reddi, S. Kale and S. Kumar, "On the Convergence of Adam and Beyond", ICLR 2018.

    Examples
    --------
    >>> from linreg import Adam, LinearRegression
    >>> Adam(learning_rate=0.1, amsgrad=True)
    Adam(learning_rate=0.1, amsgrad=True)
    >>> model = LinearRegression(Adam(0.1), epochs=1, kernel_initializer="zeros", fit_intercept=False)
    >>> model.fit([[1.0]], [1.0]).coef_.round(4)  # the learning rate, however large the gradient
    array([0.1], dtype=float32)
    """

    learning_rate: float | Schedule | Callable[[int], float] = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    amsgrad: bool = False

    def __post_init__(self) -> None:
        """Check every hyper-parameter."""
        super().__post_init__()
        for name in ("beta_1", "beta_2"):
            check_number("Adam", name, getattr(self, name), high=1.0)
            if getattr(self, name) == 1:
                raise ValueError(f"Adam: {name} must be below 1, got 1: the bias correction 1 - {name}^t would be 0.")
        check_number("Adam", "epsilon", self.epsilon)
        check_flag("Adam", "amsgrad", self.amsgrad)

    def rule(self, precision: Precision) -> Rule:
        """Return the update rule with its constants in the arithmetic of the run."""
        number = precision.number
        rate = _CorrectedRate(precision, precision.cast(self.beta_1), precision.cast(self.beta_2))
        constants = (number(1 - self.beta_1), number(1 - self.beta_2), number(self.epsilon))
        if self.amsgrad:
            return Rule(rules.adam_amsgrad, ("m", "v", "v_hat"), constants, rate)
        return Rule(rules.adam, ("m", "v"), constants, rate)


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "rmsprop": RMSprop, "adam": Adam}
