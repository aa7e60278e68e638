"""Claims about the update rules: one step, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np

from linreg.keras.behaviours.apparatus import Fed
from linreg.keras.behaviours.registry import Observation, behaviour, which

CORRECTED = 1e-4
"""How far off Adam's bias correction may be: 1 - beta_2^t is 0.001 at first, and taken in float32 from numbers near 1
that leaves four digits."""


@behaviour(
    "adam-epsilon-hat",
    "Adam's epsilon is added before the bias correction. It is the paper's 'epsilon hat', so in the first step it "
    "counts 1 / sqrt(1 - beta_2) = 32 times as much as the epsilon of Algorithm 1, and after t steps 1 / sqrt(1 - "
    "beta_2^t) times: where gradients are small, Adam begins slower than the same words promise elsewhere.",
)
def _adam_epsilon_hat(keras: Any) -> Observation:
    lr, b1, b2, epsilon, g = 0.1, 0.9, 0.999, 1e-3, 1e-3
    m, v = (1 - b1) * g, (1 - b2) * g * g
    hat = lr * sqrt(1 - b2) / (1 - b1) * m / (sqrt(v) + epsilon)
    after = lr * (m / (1 - b1)) / (sqrt(v / (1 - b2)) + epsilon)
    seen = Fed(keras, keras.optimizers.Adam(lr, epsilon=epsilon)).step(g)
    formulas = {"before the bias correction": hat, "after the bias correction": after}
    return which(-seen, formulas, within=CORRECTED)


@behaviour(
    "adam-corrects-in-float32",
    "Adam's bias correction is taken in float32. Of 1 - 0.999 four digits are left there, so the first step without "
    "epsilon is 0.0999993 long, not 0.1.",
)
def _adam_corrects_in_float32(keras: Any) -> Observation:
    lr, b1, b2 = 0.1, 0.9, 0.999
    seen = Fed(keras, keras.optimizers.Adam(lr, epsilon=0.0)).step(1.0)

    def first_step(*, rounded: bool) -> float:
        c1, c2 = (1 - float(np.float32(beta)) if rounded else 1 - beta for beta in (b1, b2))
        return lr * sqrt(c2) / c1 * (1 - b1) / sqrt(1 - b2)

    return which(-seen, {"in float32": first_step(rounded=True), "in float64": first_step(rounded=False)})


@behaviour(
    "amsgrad-maximum",
    "AMSGrad keeps the largest second moment before it is corrected for its start at zero. The correction of the "
    "current step is then applied to a maximum of an earlier one, so after one large gradient the steps are longer "
    "than with a maximum of corrected moments: by sqrt(2) in the second step.",
)
def _amsgrad_maximum(keras: Any) -> Observation:
    lr, b1, b2, gradients = 0.1, 0.9, 0.999, (1.0, 0.01)
    m = v = largest = largest_corrected = 0.0
    uncorrected, corrected, never = [], [], []
    for t, g in enumerate(gradients, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        largest, largest_corrected = max(largest, v), max(largest_corrected, v / (1 - b2**t))
        m_hat = m / (1 - b1**t)
        uncorrected.append(lr * m_hat / sqrt(largest / (1 - b2**t)))
        corrected.append(lr * m_hat / sqrt(largest_corrected))
        never.append(lr * m / sqrt(largest))
    fed = Fed(keras, keras.optimizers.Adam(lr, epsilon=0.0, amsgrad=True))
    first, second = fed.steps(gradients)
    formulas = {
        "the maximum of uncorrected moments": uncorrected,
        "the maximum of corrected moments": corrected,
        "no correction at all": never,
    }
    return which([-first, first - second], formulas, within=CORRECTED)


@behaviour(
    "rmsprop-epsilon-inside",
    "RMSprop's epsilon is inside the root: sqrt(v + epsilon). So it has the unit of a squared gradient, and 1e-7 "
    "works like 3e-4 outside of the root. The same number taken over from a library that adds it outside means "
    "another thing.",
)
def _rmsprop_epsilon_inside(keras: Any) -> Observation:
    lr, rho, epsilon, g = 0.1, 0.9, 1e-3, 1e-3
    v = (1 - rho) * g * g
    seen = Fed(keras, keras.optimizers.RMSprop(lr, rho=rho, epsilon=epsilon)).step(g)
    return which(
        -seen, {"inside the root": lr * g / sqrt(v + epsilon), "outside of the root": lr * g / (sqrt(v) + epsilon)}
    )


@behaviour(
    "rmsprop-first-steps",
    "RMSprop's mean square is not corrected for its start at zero, as Adam's is. So its first step is 1 / sqrt(1 - "
    "rho) = 3.2 times the learning rate long, whatever the gradient.",
)
def _rmsprop_first_steps(keras: Any) -> Observation:
    lr, rho, g = 0.1, 0.9, 3.0
    v = (1 - rho) * g * g
    seen = Fed(keras, keras.optimizers.RMSprop(lr, rho=rho, epsilon=0.0)).step(g)
    return which(-seen, {"uncorrected": lr * g / sqrt(v), "corrected for its start": lr * g / sqrt(v / (1 - rho))})


@behaviour(
    "momentum-holds-the-rate",
    "SGD's velocity holds the learning rate: m <- momentum m - lr g. When the rate is changed, by hand, by a schedule "
    "or by a callback, the steps go on for a while with the old rate, about 1 / (1 - momentum) of them. With the rate "
    "outside of the velocity they change at once.",
)
def _momentum_holds_the_rate(keras: Any) -> Observation:
    before, after, momentum = 0.1, 0.01, 0.5
    fed = Fed(keras, keras.optimizers.SGD(before, momentum=momentum))
    first = fed.step(1.0)
    fed.optimizer.learning_rate = after
    second = fed.step(0.0) - first  # no gradient: what moves is the velocity alone
    return which(-second, {"inside the velocity": momentum * before, "outside of the velocity": momentum * after})


@behaviour(
    "rmsprop-momentum-holds-the-rate",
    "RMSprop's velocity holds the learning rate, too. It is m <- momentum m + lr g / sqrt(v + epsilon), so a new rate "
    "arrives late, as in SGD.",
)
def _rmsprop_momentum_holds_the_rate(keras: Any) -> Observation:
    before, after, momentum, rho = 0.1, 0.01, 0.5, 0.9
    fed = Fed(keras, keras.optimizers.RMSprop(before, rho=rho, momentum=momentum, epsilon=1e-20))
    first = fed.step(1.0)
    fed.optimizer.learning_rate = after
    second = fed.step(0.0) - first
    scaled = 1 / sqrt(1 - rho)  # the first gradient over its root mean square
    formulas = {
        "inside the velocity": momentum * before * scaled,
        "outside of the velocity": momentum * after * scaled,
    }
    return which(-second, formulas)


@behaviour(
    "nesterov-looks-ahead",
    "With Nesterov's momentum the weights that Keras shows are the ones looked ahead to. The paper keeps weights w "
    "and takes the gradient at w + momentum m; Keras keeps w + momentum m, the point where the next gradient is "
    "taken, and nobody ever sees the paper's w.",
)
def _nesterov_looks_ahead(keras: Any) -> Observation:
    lr, momentum, start = 0.1, 0.9, 1.0
    fed = Fed(keras, keras.optimizers.SGD(lr, momentum=momentum, nesterov=True), start)
    for _ in range(3):  # on the loss p^2 / 2, whose gradient is p
        seen = fed.step(fed.numbers)
    w, m, p, velocity = start, 0.0, start, 0.0
    for _ in range(3):
        m = momentum * m - lr * (w + momentum * m)
        w = w + m
        velocity = momentum * velocity - lr * p
        p = p + velocity
    formulas = {
        "the point looked ahead to": w + momentum * m,
        "the paper's weights": w,
        "plain momentum": p,
    }
    return which(seen, formulas)


@behaviour(
    "nesterov-needs-momentum",
    "SGD(nesterov=True) without momentum is plain gradient descent, and nothing says so.",
)
def _nesterov_needs_momentum(keras: Any) -> Observation:
    lr, momentum = 0.1, 0.9
    seen = -Fed(keras, keras.optimizers.SGD(lr, nesterov=True)).step(1.0)
    return which(seen, {"plain": lr, "looked ahead with a momentum of 0.9": lr * (1 + momentum)})


@behaviour(
    "one-huge-gradient-makes-adam-nan",
    "One gradient above 1.8e19 makes Adam's weights nan in the next step. Its square overflows to inf, and v + (g^2 - "
    "v) (1 - beta_2), as Keras writes the second moment, is then inf - inf. Written beta_2 v + (1 - beta_2) g^2 it "
    "stays inf, and the weights stand still instead.",
)
def _one_huge_gradient_makes_adam_nan(keras: Any) -> Observation:
    lr, b1, b2, gradients = 0.1, 0.9, 0.999, (1e25, 1.0)
    path = -Fed(keras, keras.optimizers.Adam(lr)).steps(gradients)
    m = v = p = 0.0
    in_float64 = []
    for t, g in enumerate(gradients, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        p += lr * m / (1 - b1**t) / sqrt(v / (1 - b2**t))
        in_float64.append(p)
    formulas = {"nan": [0.0, np.nan], "it stands still": [0.0, 0.0], "as in float64": in_float64}
    return which(path, formulas, within=CORRECTED)


@behaviour(
    "weight-decay-takes-all",
    "Weight decay shrinks every variable, the bias too. A penalty (kernel_regularizer) shrinks the kernel alone; "
    "optimizer.exclude_from_weight_decay spares what it is told.",
)
def _weight_decay_takes_all(keras: Any) -> Observation:
    lr, decay = 0.1, 0.5
    kernel, bias = Fed(keras, keras.optimizers.SGD(lr, weight_decay=decay), 1.0, 1.0).step(0.0, 0.0)
    shrunk = 1 - lr * decay
    return which([kernel, bias], {"kernel and bias": [shrunk, shrunk], "the kernel alone": [shrunk, 1.0]})


@behaviour(
    "weight-decay-stands-apart",
    "Weight decay is taken from the weights, not put into the gradient. p <- p - lr wd p comes before the step, in "
    "every optimizer of Keras: no clip shortens it, Adam does not divide it by anything, and momentum does not carry "
    "it on. So Adam(weight_decay=...) is AdamW.",
)
def _weight_decay_stands_apart(keras: Any) -> Observation:
    lr, decay, clip, p, g = 0.1, 0.5, 0.01, 1.0, 1.0
    sgd = Fed(keras, keras.optimizers.SGD(lr, weight_decay=decay, clipvalue=clip), p).step(g)
    adam = Fed(keras, keras.optimizers.Adam(lr, weight_decay=decay, epsilon=0.0), p).step(g)
    # Without epsilon Adam's first step is lr long, whatever the gradient is.
    decayed, clipped = p - lr * decay * p, lr * clip
    formulas = {
        "apart, from the weights": [decayed - clipped, decayed - lr],
        "apart, but not times the learning rate": [p - decay * p - clipped, p - decay * p - lr],
        "in the gradient, after the clip": [decayed - clipped, p - lr],
        "in the gradient, before the clip": [p - clipped, p - lr],
    }
    return which([sgd.item(), adam.item()], formulas, within=CORRECTED)


@behaviour(
    "numbers-written-as-integers",
    "A learning rate or a momentum written without its point is refused. SGD(1) and SGD(0.1, momentum=0) raise an "
    "error, SGD(1.0, momentum=0.0) does not. RMSprop's momentum is not checked at all: even -1 is taken.",
)
def _numbers_written_as_integers(keras: Any) -> Observation:
    sgd, rmsprop = keras.optimizers.SGD, keras.optimizers.RMSprop
    tried: dict[str, Callable[[], Any]] = {
        "SGD(1)": lambda: sgd(1),
        "SGD(0.1, momentum=0)": lambda: sgd(0.1, momentum=0),
        "SGD(1.0, momentum=0.0)": lambda: sgd(1.0, momentum=0.0),
        "RMSprop(0.1, momentum=-1)": lambda: rmsprop(0.1, momentum=-1),
    }
    refused = []
    for name, make in tried.items():
        try:
            make()
        except ValueError:
            refused.append(name)
    return Observation(refused == ["SGD(1)", "SGD(0.1, momentum=0)"], f"refused: {', '.join(refused) or 'nothing'}")
