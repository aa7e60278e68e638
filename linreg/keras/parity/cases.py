"""What the rules are compared on: nine rules, hyper-parameters drawn at random, and gradients that spare nothing."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from linreg.optimizers import SGD, Adam, Optimizer, RMSprop

Array = Any

RULES: dict[str, Optimizer] = {
    "SGD": SGD(),
    "momentum": SGD(momentum=0.9),
    "Nesterov": SGD(momentum=0.9, nesterov=True),
    "RMSprop": RMSprop(),
    "RMSprop centered": RMSprop(centered=True),
    "RMSprop momentum": RMSprop(momentum=0.9),
    "RMSprop centered momentum": RMSprop(momentum=0.9, centered=True),
    "Adam": Adam(),
    "AMSGrad": Adam(amsgrad=True),
}
"""The rules by name, with Keras' defaults; momentum, which has none but 0, is 0.9."""

STEPS = 20
SIZE = 250
"""Elements of a gradient; no multiple of a vector register, whose remainder compilers treat by other code."""
SMALLEST, LARGEST = -8.0, 2.0
"""Powers of ten over which gradients are spread: an epsilon in the wrong place shows at one end of them."""


@dataclass(frozen=True, eq=False)
class Example:
    """One run of a rule.

    Parameters
    ----------
    optimizer : Optimizer
        The rule with its hyper-parameters.
    gradients : array of shape (steps, size)
        The gradients that it is given, float32; the parameters start at 0.
    """

    optimizer: Optimizer
    gradients: Array


def examples(rule: str, count: int, seed: int) -> list[Example]:
    """Return the runs on which a rule is compared; more of them begin with the same.

    Parameters
    ----------
    rule : str
        Name of the rule, one of `RULES`.
    count : int
        How many.
    seed : int
        Decides gradients and hyper-parameters.

    Returns
    -------
    list of Example
        The first has Keras' defaults.
    """
    made = []
    for i in range(count):
        rng = np.random.default_rng([seed, zlib.crc32(rule.encode()), i])
        gradients = _gradients(rng)
        made.append(Example(_drawn(RULES[rule], rng) if i else RULES[rule], gradients))
    return made


def _gradients(rng: np.random.Generator) -> Array:
    """Draw gradients log-uniform over ten powers of ten, with both signs and exact zeros."""
    shape = STEPS, SIZE
    signs = rng.choice([-1, 1, 0], p=[0.45, 0.45, 0.1], size=shape)
    return (10.0 ** rng.uniform(SMALLEST, LARGEST, size=shape) * signs).astype(np.float32)


def _drawn(optimizer: Optimizer, rng: np.random.Generator) -> Optimizer:
    """Draw each hyper-parameter that the rule has.

    Shares (momentum, rho, betas) lie in 0.5 to 0.9999: with less, moving averages sink within a run below the normal
    numbers, which TensorFlow flushes to zero and NumPy does not, and a centered RMSprop divides by mere roundings.
    """

    def log_uniform(low: float, high: float) -> float:
        return float(f"{10.0 ** rng.uniform(low, high):.4g}")

    drawn = {"learning_rate": log_uniform(-4, -1), "epsilon": log_uniform(-12, -1)}
    drawn |= {name: round(1 - log_uniform(-4, np.log10(0.5)), 8) for name in ("rho", "momentum", "beta_1", "beta_2")}
    return optimizer.set_params(**{name: value for name, value in drawn.items() if getattr(optimizer, name, 0) != 0})
