"""Every schedule against live Keras, step by step; and the few steps at which the two differ, with the cause.

Keras computes one rate at a time. TensorFlow's power, cosine and logarithm of an array are other functions, up to some
units in the last place off those of a scalar, so Keras is asked step by step here too.
"""

from unittest import mock

import numpy as np
import pytest
from ulp import assert_equal_bits, ulp_distance

from linreg import schedules
from linreg.keras import counterpart
from linreg.precision import FLOAT32, Precision

STEPS = np.concatenate([np.arange(2000), 2000 + 997 * np.arange(100)])

# Name: schedule, and how many ULP of the largest term it may be off: 0 where every operation is rounded correctly, 1
# where a power is taken, 2 where more follows.
SETTINGS = {
    "exponential": (schedules.ExponentialDecay(0.1, 700, 0.96), 1),
    "exponential-stairs": (schedules.ExponentialDecay(0.1, 30, 0.96, staircase=True), 1),
    "exponential-short": (schedules.ExponentialDecay(0.1, 7, 0.885), 1),
    "inverse": (schedules.InverseTimeDecay(0.1, 7, 0.5), 0),
    "inverse-stairs": (schedules.InverseTimeDecay(0.1, 33, 1.7, staircase=True), 0),
    "line": (schedules.PolynomialDecay(0.1, 1999, 0.001), 1),
    "parabola": (schedules.PolynomialDecay(0.1, 2000, 0.001, power=2.0), 1),
    "root": (schedules.PolynomialDecay(0.1, 1234, 0.001, power=0.5), 1),
    "parabola-cycles": (schedules.PolynomialDecay(0.1, 7, 0.001, power=2.0, cycle=True), 2),
    "piecewise": (schedules.PiecewiseConstantDecay([5, 100, 1500], [0.1, 0.05, 0.02, 0.01]), 0),
    "cosine": (schedules.CosineDecay(0.1, 1999, 0.1), 2),
    "cosine-to-zero": (schedules.CosineDecay(0.1, 1234), 2),
    "cosine-warm-up": (schedules.CosineDecay(0.001, 1500, 0.0, 0.1, 300), 2),
    "restarts-of-equal-length": (schedules.CosineDecayRestarts(0.1, 7, 1.0), 2),
    "restarts-falling": (schedules.CosineDecayRestarts(0.1, 33, 1.0, 0.9, 0.05), 2),
    "restarts-a-little-longer": (schedules.CosineDecayRestarts(0.1, 3, 1.1, 0.8), 2),
    "restarts-1.25": (schedules.CosineDecayRestarts(0.1, 10, 1.25, 0.9, 0.1), 2),
    "restarts-1.5": (schedules.CosineDecayRestarts(0.1, 1, 1.5), 2),
    "restarts-2": (schedules.CosineDecayRestarts(0.1, 1), 2),
    "restarts-2-falling": (schedules.CosineDecayRestarts(0.1, 10, 2.0, 0.5), 2),
    "restarts-2-rising": (schedules.CosineDecayRestarts(0.1, 100, 2.0, 1.5, 0.1), 2),
    "restarts-3": (schedules.CosineDecayRestarts(0.1, 7, 3.0, 0.9), 2),
    "restarts-10": (schedules.CosineDecayRestarts(0.1, 3, 10.0), 2),
}

# Steps at which a period begins, found among 37 million (t_mul, first_decay_steps, step): the quotient of TensorFlow's
# logarithms, which are the C library's, falls on the other side of an integer than that of the nearest numbers.
OTHER_SIDE = [
    (1.0064, 2, 4185),
    (1.0064, 7, 7118),
    (1.0075, 1, 7692),
    (1.0113, 50, 9812),
    (1.0129, 5, 2951),
    (1.0129, 10, 5902),
    (1.0158, 3, 1900),
    (1.0216, 1, 4250),
    (1.0303, 5, 5099),
]


@pytest.fixture
def as_eager(keras):
    """Graphs that compute as eager TensorFlow does: without their optimizer, which turns x / 7 into x * (1 / 7)."""
    import tensorflow as tf

    options = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options(options)


def one_by_one(function, *arrays):
    """Return what a TensorFlow function gives for each scalar, from one loop in one graph: eager calls take 1 ms."""
    import tensorflow as tf

    def looped(*tensors):
        return tf.map_fn(lambda scalars: function(*scalars), tensors, fn_output_signature=tf.float32)

    shape = np.broadcast_shapes(*map(np.shape, arrays))
    flat = [np.broadcast_to(array, shape).reshape(-1) for array in arrays]
    return tf.function(looped)(*map(tf.constant, flat)).numpy().reshape(shape)


def rates_of_keras(schedule, steps):
    import tensorflow as tf

    theirs = counterpart(schedule)
    rates = one_by_one(lambda step: tf.convert_to_tensor(theirs(step)), steps)
    some = np.linspace(0, len(steps) - 1, 10).astype(int)
    eager = np.array([np.asarray(theirs(step)) for step in steps[some]], np.float32)
    assert_equal_bits(rates[some], eager, what="the loop against eager Keras")
    return rates


class TensorFlowPower(Precision):
    def power(self, base, exponent):
        import tensorflow as tf

        return one_by_one(tf.pow, base, exponent)


def tensorflow_logarithm(x, precision):
    import tensorflow as tf

    return one_by_one(tf.math.log, x)


def rates_with_functions_of_tensorflow(schedule, steps):
    """Return our rates with TensorFlow's logarithm and power: then the operations alone are compared."""
    precision = TensorFlowPower(FLOAT32.dtype, FLOAT32.number, FLOAT32.cast)
    with mock.patch.object(schedules, "logarithm", tensorflow_logarithm):
        return schedule.rates(steps, precision)


def too_far(ours, theirs, limit):
    """Tell which rates are off by more than `limit` ULP of themselves and of the largest term (the highest rate).

    Near the end of a cosine or polynomial the rate is a small difference of terms as large as the highest rate.
    """
    return (ulp_distance(ours, theirs) > limit) & (np.abs(ours - theirs) > limit * np.spacing(theirs.max()))


@pytest.mark.parametrize("name", SETTINGS)
def test_every_rate_is_keras_rate_to_the_last_bits(as_eager, name):
    schedule, limit = SETTINGS[name]
    far = too_far(schedule.rates(STEPS, FLOAT32), rates_of_keras(schedule, STEPS), limit)
    assert STEPS[far].tolist() == []


@pytest.mark.parametrize("t_mul", [1.0001, 1.001, 1.01])
def test_rates_of_periods_hardly_longer_are_those_of_keras_given_tensorflows_power(as_eager, t_mul):
    # (1 - length) / (1 - t_mul) magnifies the last bit of the power, 100 to 10,000 times.
    schedule = schedules.CosineDecayRestarts(0.1, 1, t_mul)
    theirs = rates_of_keras(schedule, STEPS)
    assert too_far(schedule.rates(STEPS, FLOAT32), theirs, 2).any()
    assert STEPS[too_far(rates_with_functions_of_tensorflow(schedule, STEPS), theirs, 2)].tolist() == []


@pytest.mark.parametrize(("t_mul", "first", "step"), OTHER_SIDE)
def test_at_a_few_restarts_keras_is_a_period_off_given_tensorflows_logarithm_it_is_not(as_eager, t_mul, first, step):
    schedule = schedules.CosineDecayRestarts(0.1, first, t_mul)
    steps = np.arange(step - 1, step + 2)
    theirs = rates_of_keras(schedule, steps)
    assert too_far(schedule.rates(steps, FLOAT32), theirs, 2)[1]
    assert not too_far(rates_with_functions_of_tensorflow(schedule, steps), theirs, 2).any()


@pytest.mark.parametrize(
    ("t_mul", "first", "step"),
    [(1.1, 10, 21), (1.1, 100, 210), (1.2, 100, 364), (1.2, 1000, 5368), (2.0, 1, 8191)],
)
def test_periods_begin_where_keras_begins_them(as_eager, t_mul, first, step):
    # NumPy's float32 logarithm begins these a step later or earlier, on some processors.
    schedule = schedules.CosineDecayRestarts(0.1, first, t_mul)
    steps = np.arange(step - 1, step + 2)
    assert not too_far(schedule.rates(steps, FLOAT32), rates_of_keras(schedule, steps), 2).any()


def test_a_bound_of_two_ulp_notices_a_step_too_many(as_eager):
    schedule = schedules.CosineDecayRestarts(0.1, 10, 1.5, 0.9)
    theirs = rates_of_keras(schedule, STEPS)
    assert too_far(schedule.rates(STEPS + 1, FLOAT32), theirs, 2)[:2000].mean() > 0.99
    wrong = np.nextafter(theirs, np.float32(1), dtype=np.float32) + 2 * np.spacing(theirs.max())
    assert too_far(wrong, theirs, 2)[:1000].all()


def test_polynomial_cycles_differ_between_graph_and_eager_keras(keras):
    import tensorflow as tf

    schedule, steps = schedules.PolynomialDecay(0.1, 7, 0.01, 1.0, True), np.arange(43)
    theirs = counterpart(schedule)
    eager = np.array([np.asarray(theirs(tf.constant(int(step)))) for step in steps])
    graph = tf.function(theirs)
    traced = np.array([graph(tf.constant(int(step))).numpy() for step in steps])
    # 21 / 7 becomes 21 times the rounded 1/7: above 3, and the fourth cycle begins a step early.
    assert np.flatnonzero(np.abs(eager - traced) > 0.001).tolist() == [21, 42]
    np.testing.assert_array_equal(schedule.rates(steps, FLOAT32), eager)
