"""Claims about rounding: types, graphs, subnormal numbers, functions of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from linreg.keras.behaviours.apparatus import Array, Fed, fit, float64_by_default, line, version
from linreg.keras.behaviours.comparing import FEW_ROUNDINGS
from linreg.keras.behaviours.registry import Observation, behaviour, which

FLOAT32_ENDS = 2e-7
"""More than float32 can be off, relative to a number; whatever is nearer to it than a ten-thousandth of that is no
float32 by chance."""


@behaviour(
    "float64-through-float32",
    "In a float64 model some hyper-parameters pass through float32. keras.ops.cast(0.9, 'float64') is not 0.9, so "
    "momentum, weight decay and the betas in beta^t have seven right digits, not sixteen.",
)
def _float64_through_float32(keras: Any) -> Observation:
    seen = np.asarray(keras.ops.cast(0.9, "float64"))
    return which(seen, {"rounded to float32": np.float32(0.9), "0.9": 0.9}, within=0)


@behaviour(
    "float64-momentum-is-rounded",
    "In a float64 model SGD(momentum=0.9) keeps 0.8999999761581421 of its velocity. That is 0.9 rounded to float32.",
)
def _float64_momentum_is_rounded(keras: Any) -> Observation:
    with float64_by_default(keras):
        fed = Fed(keras, keras.optimizers.SGD(1.0, momentum=0.9), dtype="float64")
        first, both = fed.steps([1.0, 0.0])
    return which(first - both, {"rounded": np.float32(0.9), "0.9": 0.9}, within=1e-15)


@behaviour(
    "learning-rate-is-float32",
    "The learning rate is kept in float32: 0.1 is 0.10000000149011612. It is so for a float64 layer, too, unless "
    "float64 is the default of the whole program (keras.config.set_floatx).",
)
def _learning_rate_is_float32(keras: Any) -> Observation:
    seen = [float(np.asarray(keras.optimizers.SGD(0.1).learning_rate))]
    with float64_by_default(keras):
        seen.append(float(np.asarray(keras.optimizers.SGD(0.1).learning_rate)))
    rounded = np.float32(0.1)
    formulas = {"float32, by default": [rounded, 0.1], "float32 always": [rounded, rounded], "float64": [0.1, 0.1]}
    return which(seen, formulas, within=0)


@behaviour(
    "float64-layer-has-a-float32-loss",
    "A layer with dtype='float64' has its loss computed in float32. Predictions are rounded before they are compared "
    "with the target.",
)
def _float64_layer_has_a_float32_loss(keras: Any) -> Observation:
    model = line(keras, keras.optimizers.SGD(0.0), slope=0.1, dtype="float64", eager=True)
    # The target is the prediction's nearest float32: only a float64 loss sees that they differ.
    target = np.float64(np.float32(0.1))
    loss = model.evaluate(np.array([[1.0]]), np.array([[target]]), verbose=0)
    return which(loss, {"float32": 0.0, "float64": (0.1 - target) ** 2})


@behaviour(
    "float64-schedules-are-float32",
    "Schedules are computed in float32, in float64 models too.",
)
def _float64_schedules_are_float32(keras: Any) -> Observation:
    with float64_by_default(keras):
        seen = float(keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.9)(1))
    exact = 0.1 * 0.9 ** (1 / 3)
    off = abs(seen / exact - 1)
    known = 1e-4 * FLOAT32_ENDS < off < 2 * FLOAT32_ENDS
    return Observation(known, f"{seen!r}, in float64 {exact!r}")


@behaviour(
    "float64-penalties",
    "In a float64 model the strength of a penalty is rounded to float32 since Keras 3.14. Before, L2 was not, and L1 "
    "could not be computed at all.",
)
def _float64_penalties(keras: Any) -> Observation:
    with float64_by_default(keras):
        w = keras.ops.convert_to_tensor(np.array([3.0]))
        squared = float(keras.regularizers.L2(0.1)(w))
        try:
            absolute = float(keras.regularizers.L1(0.1)(w))
        except Exception as error:  # TensorFlow's own, InvalidArgumentError
            absolute = np.nan
            how = type(error).__name__
        else:
            how = repr(absolute)
    rounded = float(np.float32(0.1))
    formulas = {
        "rounded, as since Keras 3.14": [rounded * 9, rounded * 3],
        "L2 exact and no L1, as before": [0.1 * 9, np.nan],
        "both exact": [0.1 * 9, 0.1 * 3],
    }
    known = list(formulas)[0 if version(keras) >= (3, 14) else 1]
    told = which([squared, absolute], formulas, known=known, within=1e-15)
    return Observation(told.as_known, f"L2 {squared!r}, L1 {how}", told.compared)


@behaviour(
    "subnormals-are-flushed",
    "On a CPU TensorFlow takes numbers below 1.2e-38, the subnormal ones, for 0. NumPy keeps them. Adam's second "
    "moment of gradients below 1e-18 is such a number.",
)
def _subnormals_are_flushed(keras: Any) -> Observation:  # noqa: ARG001 (TensorFlow does it)
    import tensorflow as tf

    tiny = np.float32(1e-40)
    product = float(tf.multiply(tf.constant(tiny), tf.constant(np.float32(1))))
    return which(product, {"flushed to 0": 0.0, "kept": tiny * np.float32(1)})


@behaviour(
    "functions-of-arrays-round-otherwise",
    "TensorFlow's power, cosine and logarithm of an array are not those of its elements one by one. Some differ in "
    "the last bit or two of float32, so a schedule asked for many steps at once gives other rates than asked step by "
    "step.",
)
def _functions_of_arrays_round_otherwise(keras: Any) -> Observation:  # noqa: ARG001
    import tensorflow as tf

    x = np.random.default_rng(0).uniform(0.1, 10, 500).astype(np.float32)
    functions = {"power": lambda t: tf.pow(t, np.float32(0.7)), "cosine": tf.cos, "logarithm": tf.math.log}
    shares, worst = {}, 0
    for name, function in functions.items():
        at_once = function(tf.constant(x)).numpy()
        one_by_one = np.array([function(tf.constant(number)).numpy() for number in x])
        shares[name] = float(np.mean(at_once != one_by_one))
        worst = max(worst, int(np.max(np.abs(at_once - one_by_one) / np.spacing(np.abs(one_by_one)))))
    shown = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    known = min(shares.values()) > 0 and worst <= 2
    return Observation(known, f"differ: {shown}; by {worst} units in the last place at most")


@behaviour(
    "powers-are-not-the-nearest",
    "TensorFlow's power is not always the nearest float32. So Adam's beta^t, and with it a step, can be off in the "
    "last bit.",
)
def _powers_are_not_the_nearest(keras: Any) -> Observation:  # noqa: ARG001
    import tensorflow as tf

    beta, t = np.float32(0.704757559385484), np.arange(1, 200, dtype=np.float32)
    seen = np.array([tf.pow(tf.constant(beta), tf.constant(step)).numpy() for step in t])
    nearest = (np.float64(beta) ** np.float64(t)).astype(np.float32)
    off = np.abs(seen - nearest) / np.spacing(nearest)
    return Observation(
        bool(off.max() == 1), f"{np.count_nonzero(off)} of {len(t)} powers of {beta} off, by {off.max():g} unit at most"
    )


@behaviour(
    "eager-steps-are-reproducible",
    "Run eagerly, a step is exactly what its formula gives in float32. Every operation is rounded by itself, in the "
    "order in which Keras' source has them: NumPy gets the same bits.",
)
def _eager_steps_are_reproducible(keras: Any) -> Observation:
    f, lr, epsilon = np.float32, np.float32(0.1), np.float32(1e-7)
    (g,) = _gradients(1)
    m, v = g * f(1 - 0.9), (g * g) * f(1 - 0.999)
    alpha = lr * np.sqrt(1 - f(0.999)) / (1 - f(0.9))
    by_hand = {
        "RMSprop": lr * g / np.sqrt(f(1 - 0.9) * (g * g) + epsilon),
        "Adam": m * alpha / (np.sqrt(v) + epsilon),
    }
    wrong = {name: int(np.count_nonzero(_after(keras, name, [g]) != -step)) for name, step in by_hand.items()}
    shown = ", ".join(f"{name} {count}" for name, count in wrong.items())
    return Observation(not any(wrong.values()), f"of {len(g)} steps not equal to NumPy's: {shown}")


@behaviour(
    "graphs-round-otherwise",
    "As a graph, which is how fit runs, steps of RMSprop are off in the last bits. The graph optimizer makes g / "
    "sqrt(v) into g * rsqrt(v). Adam's and SGD's steps are not touched.",
)
def _graphs_round_otherwise(keras: Any) -> Observation:
    import tensorflow as tf

    off = {name: _off(keras, name, tf.function) for name in ("RMSprop", "Adam", "SGD")}
    touched = 0 < off["RMSprop"].max() <= 3 * FEW_ROUNDINGS
    return Observation(bool(touched and not off["Adam"].any() and not off["SGD"].any()), _told(off))


@behaviour(
    "xla-rounds-otherwise",
    "Compiled by XLA (jit_compile=True), steps of RMSprop and Adam are off in the last bits. Multiplications and "
    "additions are fused and no longer rounded one by one.",
)
def _xla_rounds_otherwise(keras: Any) -> Observation:
    import tensorflow as tf

    off = {
        name: _off(keras, name, lambda update: tf.function(update, jit_compile=True)) for name in ("RMSprop", "Adam")
    }
    return Observation(all(0 < apart.max() <= 3 * FEW_ROUNDINGS for apart in off.values()), _told(off))


def _gradients(steps: int) -> Array:
    return np.random.default_rng(0).normal(size=(steps, 4000)).astype(np.float32)


def _after(keras: Any, name: str, gradients: Any, executed: Any = None) -> Array:
    """Return 4,000 parameters after some steps from zero, eagerly or as `executed` makes of it."""
    fed = Fed(keras, getattr(keras.optimizers, name)(0.1), np.zeros(4000))

    def update(gradient: Any) -> None:
        fed.optimizer.apply([gradient])

    run = update if executed is None else executed(update)
    for gradient in gradients:
        run(keras.ops.convert_to_tensor(gradient))
    return fed.numbers


def _off(keras: Any, name: str, executed: Any) -> Array:
    """Return how far three steps, which come no further than 1 from zero, are off the eager ones."""
    gradients = _gradients(3)
    return np.abs(_after(keras, name, gradients, executed) - _after(keras, name, gradients))


def _told(off: dict[str, Array]) -> str:
    return "; ".join(
        f"{name}: {np.mean(apart > 0):.0%} off" + (f", by {apart.max():.2g} at most" if apart.any() else "")
        for name, apart in off.items()
    )


@behaviour(
    "large-losses-of-float32",
    "A squared error is inf once the error is above 1.8e19. The loss overflows long before the weights do.",
)
def _large_losses_of_float32(keras: Any) -> Observation:
    model = line(keras, keras.optimizers.SGD(0.0), slope=1e20, eager=True, loss=keras.losses.MeanSquaredError())
    loss = fit(model, (1.0,), (0.0,))["loss"]
    return which(loss, {"inf": np.inf, "float64": 1e40})
