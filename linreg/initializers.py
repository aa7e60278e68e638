"""Where training starts: the initial kernel and bias.

Keras' defaults are `glorot_uniform` for the kernel and `zeros` for the bias.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from linreg.hyperparameters import check_number, nearest

INITIALIZERS = ("glorot_uniform", "zeros")


def glorot_limit(fan_in: int, fan_out: int) -> float:
    # sqrt(6 / (fan_in + fan_out))
    return math.sqrt(6 / (fan_in + fan_out))


def initial_kernel(initializer: Any, features: int, generator: np.random.Generator, dtype: Any) -> Any:
    """Return the kernel that training starts from.

    Parameters
    ----------
    initializer : {"glorot_uniform", "zeros"} or array of shape (features,)
        `glorot_uniform` draws from U(-limit, limit) with limit = sqrt(6 / (features + 1)): fan-out is 1.
    features : int
        Number of features.
    generator : numpy.random.Generator
        Source of randomness; used by `glorot_uniform` only.
    dtype : type
        Type of the parameters.

    Returns
    -------
    array of shape (features,)
        The kernel.

    Raises
    ------
    ValueError
        If the name is unknown, or the values have another shape or are not finite.

    Notes
    -----
    Dialect: Keras `GlorotUniform` and `Zeros`; the numbers are NumPy's, or Keras' own with a `KerasSeed`. PyTorch's
    `Linear` draws from +-1 / sqrt(features).
    Source: X. Glorot and Y. Bengio, "Understanding the Difficulty of Training Deep Feedforward Neural Networks",
    AISTATS 2010, equation 16.
    """
    if isinstance(initializer, str):
        if initializer == "glorot_uniform":
            limit = glorot_limit(features, 1)
            return generator.uniform(-limit, limit, size=features).astype(dtype)
        if initializer == "zeros":
            return np.zeros(features, dtype)
        raise ValueError(f"Unknown kernel_initializer {initializer!r}{nearest(initializer, INITIALIZERS)}.")
    kernel = np.array(initializer, dtype=dtype)
    if kernel.shape in {(features, 1), (1, features)}:
        kernel = kernel.reshape(features)
    if kernel.shape != (features,):
        raise ValueError(
            f"kernel_initializer has shape {kernel.shape}, but X has {features} features: give an array of shape "
            f"({features},), or one of {', '.join(INITIALIZERS)}."
        )
    if not np.isfinite(kernel).all():
        raise ValueError(f"kernel_initializer must hold finite numbers, got {kernel}.")
    return kernel


def initial_bias(initializer: Any, dtype: Any) -> Any:
    """Return the bias that training starts from.

    Parameters
    ----------
    initializer : {"zeros"} or float
        Its value.
    dtype : type
        Type of the parameters.

    Returns
    -------
    scalar
        The bias.

    Raises
    ------
    ValueError
        If the name is unknown or the value is not finite.

    Notes
    -----
    Dialect: Keras' default, `Zeros`; PyTorch's `Linear` draws its bias as it does its weights.
    """
    if isinstance(initializer, str):
        if initializer == "zeros":
            return dtype(0)
        raise ValueError(f"Unknown bias_initializer {initializer!r}{nearest(initializer, ['zeros'])} (or a number).")
    check_number("LinearRegression", "bias_initializer", initializer, low=-math.inf)
    return dtype(initializer)
