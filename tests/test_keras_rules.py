"""The update rules against eager Keras: equal to the last bit, state arrays included."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from ulp import assert_equal_bits

from linreg import SGD, Adam, RMSprop
from linreg.decimals import Exact
from linreg.drift import FEW
from linreg.keras import counterpart
from linreg.keras import state as keras_state
from linreg.precision import FLOAT32, KERAS_FLOAT64
from linreg.steps import Rates, State, bind_step

STEPS = 500
SIZE = 24
RULES = {
    "sgd": SGD(0.01),
    "sgd_momentum": SGD(0.01, momentum=0.9),
    "sgd_nesterov": SGD(0.01, momentum=0.9, nesterov=True),
    "rmsprop": RMSprop(0.01),
    "rmsprop_centered": RMSprop(0.01, centered=True),
    "rmsprop_momentum": RMSprop(0.01, momentum=0.9),
    "rmsprop_centered_momentum": RMSprop(0.01, momentum=0.9, centered=True),
    "adam": Adam(0.01),
    "adam_amsgrad": Adam(0.01, amsgrad=True),
}
AROUND = {
    "weight_decay": {"weight_decay": 0.004},
    "clipvalue": {"clipvalue": 0.5},
    "ema": {"use_ema": True, "ema_momentum": 0.9},
    "ema_overwriting": {"use_ema": True, "ema_overwrite_frequency": 7},
    "accumulation": {"gradient_accumulation_steps": 3},
    "accumulation_ema": {"gradient_accumulation_steps": 3, "use_ema": True, "ema_overwrite_frequency": 5},
    "decay_clip_ema": {"weight_decay": 0.01, "clipvalue": 1.0, "use_ema": True},
}


def gradients(steps, size, dtype, seed):
    """Gradients spread over 1e-8..1e2 with both signs and exact zeros: what catches a misplaced epsilon."""
    rng = np.random.default_rng(seed)
    magnitude = 10.0 ** rng.uniform(-8, 2, size=(steps, size))
    return (magnitude * rng.choice([-1, 1, 0], p=[0.45, 0.45, 0.1], size=(steps, size))).astype(dtype)


def run_both(keras, optimizer, precision, grads, kernel_size=None):
    """Yield (step, ours, Keras' parameters, Keras' optimizer) after each step, parameters from 0."""
    size = grads.shape[1]
    kernel_size = size if kernel_size is None else kernel_size
    dtype = np.dtype(precision.dtype).name
    variables = [
        keras.Variable(np.zeros(part, dtype), dtype=dtype) for part in (kernel_size, size - kernel_size) if part
    ]
    theirs = counterpart(optimizer)
    theirs.build(variables)
    ours = State.start(np.zeros(size, precision.dtype), optimizer, precision, np.random.default_rng(0))
    step, rates = bind_step(optimizer, precision, kernel_size), Rates(optimizer, precision)
    for i, g in enumerate(grads):
        theirs.apply([keras.ops.convert_to_tensor(part) for part in np.split(g, [kernel_size]) if len(part)])
        ((rate, lr),) = rates.pairs(ours.learning_rate, ours.iterations, 1)
        step(ours, g, rate, lr)
        ours.iterations += 1
        yield i, ours, keras_state.flat(variables), theirs


def assert_same_run(keras, optimizer, precision, grads):
    for i, ours, parameters, theirs in run_both(keras, optimizer, precision, grads):
        assert_equal_bits(ours.parameters, parameters, what=f"parameters after step {i + 1}")
        for letter, slot in zip(optimizer.rule(precision).state, ours.slots, strict=True):
            assert_equal_bits(slot, keras_state.slot(theirs, letter), what=f"{letter} after step {i + 1}")
        if optimizer.use_ema:
            assert_equal_bits(ours.average, keras_state.average(theirs), what=f"average after step {i + 1}")
    assert np.abs(parameters).max() > 0


@pytest.mark.parametrize("rule", RULES)
def test_rule_matches_eager_keras_bit_for_bit_over_500_steps(keras, rule):
    assert_same_run(keras, RULES[rule], FLOAT32, gradients(STEPS, SIZE, np.float32, seed=1))


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("rule", RULES)
def test_steps_around_the_rule_match_eager_keras_bit_for_bit(keras, rule, around):
    assert_same_run(keras, RULES[rule].set_params(**AROUND[around]), FLOAT32, gradients(45, SIZE, np.float32, seed=2))


@pytest.mark.parametrize("rule", RULES)
def test_rule_matches_float64_keras_bit_for_bit_with_keras_roundings(keras_float64, rule):
    assert_same_run(keras_float64, RULES[rule], KERAS_FLOAT64, gradients(100, SIZE, np.float64, seed=3))


@pytest.mark.parametrize("clip", ["clipnorm", "global_clipnorm"])
@pytest.mark.parametrize("kernel_size", [SIZE - 1, SIZE])
def test_clip_by_norm_matches_keras_to_the_rounding_of_the_norm(keras, clip, kernel_size):
    # Only the order in which the squares are summed differs: n roundings of the sum, halved by the root, and a few
    # more for root, product and quotient. One SGD step from zero at rate 1 returns the clipped gradient.
    eps = np.finfo(np.float32).eps
    for seed, clip_at in enumerate([1e-3, 1.0, 1e3]):
        optimizer = SGD(1.0).set_params(**{clip: clip_at})
        grads = gradients(1, SIZE, np.float32, seed=seed)
        ((_, ours, parameters, _),) = run_both(keras, optimizer, FLOAT32, grads, kernel_size)
        np.testing.assert_allclose(ours.parameters, parameters, rtol=(SIZE / 2 + 4) * eps, atol=0)
        limit = clip_at * (1 + SIZE * eps)
        assert np.linalg.norm(ours.parameters[:kernel_size]) <= limit
        if clip_at < 1:  # It really was clipped: kernel and bias each by itself, or both together.
            parts = [ours.parameters[:kernel_size], ours.parameters[kernel_size:]]
            lengths = [np.linalg.norm(part) for part in parts if part.any()]
            together = [np.linalg.norm(ours.parameters)]
            np.testing.assert_allclose(lengths if clip == "clipnorm" else together, clip_at, rtol=SIZE * eps)


@pytest.mark.parametrize("clip_at", [10.0**1.5, 3.3, 0.7])
def test_a_gradient_within_its_global_norm_is_scaled_as_in_keras_bit_for_bit(keras, clip_at):
    # Even then Keras multiplies it by clipnorm * (1 / clipnorm), and takes the reciprocal in double.
    g = np.array([[-2.3421617e-02]], np.float32)
    ((_, ours, parameters, _),) = run_both(keras, SGD(1.0, global_clipnorm=clip_at), FLOAT32, g)
    assert_equal_bits(ours.parameters, parameters, what="parameters")


class OfFloat32(Exact):
    """Decimals of the float32 constants that a run has: what is left is the rounding of the rule itself."""


OF_FLOAT32 = OfFloat32(
    object, lambda x: Decimal(float(np.float32(x))), lambda x: Decimal(float(np.float32(x))), schedules=FLOAT32
)


def decimals(array):
    return np.array([Decimal(float(x)) for x in np.ravel(array)], dtype=object)


@pytest.mark.parametrize("name", RULES)
def test_fifty_digits_bound_the_rounding_of_both_libraries_and_neither_is_closer(keras, name):
    """One step at a time from what Keras has: the rule in 50 digits, given the same rate, is the truth."""
    optimizer, eps = RULES[name], float(np.finfo(np.float32).eps)
    exact = optimizer.rule(OF_FLOAT32)
    rates, before = Rates(optimizer, FLOAT32), None
    grads = np.maximum(np.abs(gradients(60, SIZE, np.float32, 3)), np.float32(1e-8))
    for i, ours, variables, _ in run_both(keras, optimizer, FLOAT32, grads):
        theirs = keras_state.flat(variables).astype(float)
        if before is not None:
            ((rate, _),) = rates.pairs(optimizer.learning_rate, i, 1)
            with localcontext() as context:
                context.prec = 50
                parts = [decimals(part) for part in (before[0], grads[i], *before[1])]
                p, *slots = exact.update(*parts, Decimal(float(rate)), *exact.constants)
            truth, moved = p.astype(float), np.abs(p - parts[0]).astype(float)
            terms = np.zeros(SIZE)
            if "a" in ours.letters:
                # v - a^2 cancels where gradients agree: half of the relative error of the difference is the root's.
                v, a = (slots[ours.letters.index(letter)].astype(float) for letter in "va")
                terms = (v + a * a) / (v - a * a + optimizer.epsilon)
            # A few roundings of the step, each half an eps, and one of the sum.
            bound = eps / 2 * np.abs(truth) + (FEW + FEW * terms) * eps * moved
            for parameters in (ours.parameters.astype(float), theirs):
                assert (np.abs(parameters - truth) <= bound).all(), (name, i, np.abs(parameters - truth) / bound)
        np.testing.assert_array_equal(ours.parameters, theirs.astype(np.float32))  # so neither is closer
        before = ours.parameters.copy(), [slot.copy() for slot in ours.slots]
