"""Update rules: each a pure function that reads like its formula.

A rule takes the parameters `p`, the gradient `g`, its own state, the rate of this step and its constants, and returns
the new parameters and the new state: `rule(p, g, *state, rate, *constants) -> (p, *state)`. It is element-wise, so
`p` may be one flat vector, a (d+1, K) array of K models, an array of `decimal.Decimal`, an array on a GPU, or one
number inside a compiled loop. Letters are the papers': g gradient, m first moment or velocity, v second moment.
The order of operations is that of Keras, because the last bit depends on it. The dialects and sources stand with the
hyper-parameters in `linreg.optimizers`.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def sgd(p: Any, g: Any, lr: Any) -> tuple[Any, ...]:
    # p <- p - lr g
    return (p - g * lr,)


def velocity(m: Any, g: Any, lr: Any, momentum: Any) -> Any:
    # m <- momentum m - lr g        the learning rate is inside the velocity
    return m * momentum - g * lr


def sgd_momentum(p: Any, g: Any, m: Any, lr: Any, momentum: Any) -> tuple[Any, ...]:
    # p <- p + m
    m = velocity(m, g, lr, momentum)
    return p + m, m


def sgd_nesterov(p: Any, g: Any, m: Any, lr: Any, momentum: Any) -> tuple[Any, ...]:
    # p <- p + (momentum m - lr g)  the velocity, looked ahead by one more step
    m = velocity(m, g, lr, momentum)
    return p + velocity(m, g, lr, momentum), m


def moving_average(a: Any, x: Any, rho: Any, one_minus_rho: Any) -> Any:
    # a <- rho a + (1 - rho) x
    return rho * a + one_minus_rho * x


def rms_step(g: Any, v: Any, lr: Any, epsilon: Any) -> Any:
    # lr g / sqrt(v + epsilon)      epsilon is inside the root
    return lr * g / np.sqrt(v + epsilon)


def rmsprop(p: Any, g: Any, v: Any, lr: Any, rho: Any, one_minus_rho: Any, epsilon: Any) -> tuple[Any, ...]:
    # v <- rho v + (1 - rho) g^2;  p <- p - lr g / sqrt(v + epsilon)
    v = moving_average(v, g * g, rho, one_minus_rho)
    return p - rms_step(g, v, lr, epsilon), v


def rmsprop_centered(
    p: Any, g: Any, v: Any, a: Any, lr: Any, rho: Any, one_minus_rho: Any, epsilon: Any
) -> tuple[Any, ...]:
    # a <- rho a + (1 - rho) g;  the variance v - a^2 takes the place of v
    v = moving_average(v, g * g, rho, one_minus_rho)
    a = moving_average(a, g, rho, one_minus_rho)
    return p - rms_step(g, v - a * a, lr, epsilon), v, a


def rmsprop_momentum(
    p: Any, g: Any, v: Any, m: Any, lr: Any, rho: Any, one_minus_rho: Any, epsilon: Any, momentum: Any
) -> tuple[Any, ...]:
    # m <- momentum m + step;  p <- p - m
    v = moving_average(v, g * g, rho, one_minus_rho)
    m = momentum * m + rms_step(g, v, lr, epsilon)
    return p - m, v, m


def rmsprop_centered_momentum(
    p: Any, g: Any, v: Any, a: Any, m: Any, lr: Any, rho: Any, one_minus_rho: Any, epsilon: Any, momentum: Any
) -> tuple[Any, ...]:
    # both of the above
    v = moving_average(v, g * g, rho, one_minus_rho)
    a = moving_average(a, g, rho, one_minus_rho)
    m = momentum * m + rms_step(g, v - a * a, lr, epsilon)
    return p - m, v, a, m


def corrected_rate(lr: Any, beta_1_power: Any, beta_2_power: Any) -> Any:
    # alpha = lr sqrt(1 - beta_2^t) / (1 - beta_1^t)    undoes the start of both moments at zero
    return lr * np.sqrt(1 - beta_2_power) / (1 - beta_1_power)


def moved_towards(a: Any, x: Any, one_minus_beta: Any) -> Any:
    # a <- a + (1 - beta) (x - a)   beta a + (1 - beta) x, in Adam's order of operations
    return a + (x - a) * one_minus_beta


def adam(
    p: Any, g: Any, m: Any, v: Any, alpha: Any, one_minus_beta_1: Any, one_minus_beta_2: Any, epsilon: Any
) -> tuple[Any, ...]:
    # m <- beta_1 m + (1 - beta_1) g;  v <- beta_2 v + (1 - beta_2) g^2;  p <- p - alpha m / (sqrt(v) + epsilon)
    m = moved_towards(m, g, one_minus_beta_1)
    v = moved_towards(v, g * g, one_minus_beta_2)
    return p - m * alpha / (np.sqrt(v) + epsilon), m, v


def adam_amsgrad(
    p: Any, g: Any, m: Any, v: Any, v_hat: Any, alpha: Any, one_minus_beta_1: Any, one_minus_beta_2: Any, epsilon: Any
) -> tuple[Any, ...]:
    # v_hat <- max(v_hat, v) takes the place of v, so that a coordinate's step never grows again
    m = moved_towards(m, g, one_minus_beta_1)
    v = moved_towards(v, g * g, one_minus_beta_2)
    v_hat = np.maximum(v_hat, v)
    return p - m * alpha / (np.sqrt(v_hat) + epsilon), m, v, v_hat


# What stands around a rule, in this order: accumulate -> clip -> decay -> rule -> average.


def accumulated(total: Any, g: Any) -> Any:
    # total <- g + total            until the step is due
    return g + total


def mean_gradient(total: Any, batches: Any) -> Any:
    # g = total / batches           takes the place of the gradient when the step is due
    return total / batches


def clip_by_value(g: Any, clipvalue: Any) -> Any:
    # min(max(g, -clipvalue), clipvalue)
    return np.minimum(np.maximum(g, -clipvalue), clipvalue)


def norm(g: Any) -> Any:
    # sqrt(sum g^2)
    return np.sqrt(np.sum(g * g, axis=0))


def clip_by_norm(g: Any, g_norm: Any, clipnorm: Any) -> Any:
    # g clipnorm / max(|g|, clipnorm)
    return g * clipnorm / np.maximum(g_norm, clipnorm)


def clip_by_global_norm(g: Any, g_norm: Any, clipnorm: Any, one_over_clipnorm: Any) -> Any:
    # g (clipnorm min(1/|g|, 1/clipnorm)), and nan where the norm is not finite
    return g * (clipnorm * np.minimum(1 / g_norm, one_over_clipnorm) + (g_norm - g_norm))


def decayed(p: Any, weight_decay: Any, lr: Any) -> Any:
    # p <- p - lr weight_decay p
    return p - p * weight_decay * lr


def averaged(average: Any, p: Any, ema_momentum: Any) -> Any:
    # average <- ema_momentum average + (1 - ema_momentum) p
    return ema_momentum * average + (1 - ema_momentum) * p
