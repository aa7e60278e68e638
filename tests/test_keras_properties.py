"""Properties against live Keras, on random hyper-parameters, gradients and data."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import any_schedule, gradients, optimizers
from ulp import assert_equal_bits, ulp_distance

from linreg import rules
from linreg.keras import counterpart
from linreg.precision import FLOAT32, KERAS_FLOAT64
from linreg.steps import State, bind_step

STATE_IN_KERAS = {
    "m": {"SGD": "momentums", "RMSprop": "_momentums", "Adam": "_momentums"},
    "v": {"RMSprop": "_velocities", "Adam": "_velocities"},
    "a": {"RMSprop": "_average_gradients"},
    "v_hat": {"Adam": "_velocity_hats"},
}


def in_keras(variables):
    return np.concatenate([np.asarray(variable) for variable in variables])


def assert_steps_match_keras(keras, optimizer, precision, grads, kernel_size):
    """Drive both with the same gradients from zero; the learning rate of each step is Keras'."""
    import tensorflow as tf

    size, dtype = grads.shape[1], np.dtype(precision.dtype).name
    parts = [part for part in (kernel_size, size - kernel_size) if part]
    variables = [keras.Variable(np.zeros(part, dtype), dtype=dtype) for part in parts]
    theirs = counterpart(optimizer)
    theirs.build(variables)
    ours = State.start(np.zeros(size, precision.dtype), optimizer, precision, np.random.default_rng(0))
    step, rule = bind_step(optimizer, precision, kernel_size), optimizer.rule(precision)
    every, name = optimizer.gradient_accumulation_steps or 1, type(optimizer).__name__

    def keras_norm(g):
        """Sum the squares in TensorFlow's order; the order of a sum is not imitated here."""
        sums = [tf.reduce_sum(tf.square(part)) for part in tf.split(g, parts if len(g) == size else [len(g)])]
        return np.asarray(tf.sqrt(tf.reduce_sum(tf.stack(sums)) if optimizer.global_clipnorm else sums[0]))

    with mock.patch.object(rules, "norm", keras_norm), np.errstate(all="ignore"):  # as in the loop
        for i, g in enumerate(grads):
            lr = np.asarray(theirs.learning_rate).astype(precision.dtype)
            rate = np.asarray(rule.rate(lr, np.array([ours.iterations // every + 1]))).reshape(())
            theirs.apply([tf.constant(part) for part in np.split(g, [kernel_size]) if len(part)])
            step(ours, g, rate, lr)
            ours.iterations += 1
            where = f"{optimizer!r} in {dtype}, step {i + 1}"
            assert_equal_bits(ours.parameters, in_keras(variables), what=f"parameters of {where}")
            for letter, slot in zip(ours.letters, ours.slots, strict=True):
                theirs_slot = in_keras(getattr(theirs, STATE_IN_KERAS[letter][name]))
                assert_equal_bits(slot, theirs_slot, what=f"{letter} of {where}")
            if optimizer.use_ema:
                average = in_keras(theirs._model_variables_moving_average)
                assert_equal_bits(ours.average, average, what=f"average of {where}")
            if ours.total is not None:
                total = in_keras(theirs._accumulated_gradients)
                assert_equal_bits(ours.total, total, what=f"accumulated gradient of {where}")


@pytest.mark.parametrize("precision", [FLOAT32, KERAS_FLOAT64], ids=["float32", "float64"])
@given(st.data())
def test_every_optimizer_with_every_option_matches_eager_keras_bit_for_bit(keras, precision, draw):
    optimizer = draw.draw(optimizers())
    grads = draw.draw(gradients(precision.dtype))
    kernel_size = draw.draw(st.sampled_from(sorted({grads.shape[1], max(grads.shape[1] - 1, 1)})))
    assert_steps_match_keras(keras, optimizer, precision, grads, kernel_size)


@given(gradients(steps=1))
def test_norm_matches_tensorflows_to_the_rounding_of_its_sum(keras, grads):
    import tensorflow as tf

    (g,) = grads
    theirs = float(tf.sqrt(tf.reduce_sum(tf.square(g))))
    # n squares and n - 1 sums, each rounded once on either side; the root halves the relative error and rounds once.
    assert abs(float(rules.norm(g)) - theirs) <= (len(g) + 2) * np.finfo(np.float32).eps * theirs


@given(any_schedule(), st.lists(st.integers(0, 10_000), min_size=1, max_size=5))
def test_every_schedule_matches_keras_within_two_ulp_of_its_largest_term(keras, schedule, steps):
    ours = schedule.rates(np.array(steps), FLOAT32)
    theirs = np.array([np.asarray(counterpart(schedule)(step)) for step in steps], np.float32)
    highest = np.float32(max(schedule.rates(np.arange(100), FLOAT32)))
    # Near the end of a cosine or polynomial the rate is a small difference of terms as large as the highest rate.
    assert np.all((ulp_distance(ours, theirs) <= 2) | (np.abs(ours - theirs) <= 2 * np.spacing(highest)))


def test_tensorflow_flushes_subnormal_numbers_and_numpy_keeps_them(keras):
    import tensorflow as tf

    tiny = np.float32(1e-40)
    assert tiny * np.float32(1) == tiny > 0
    assert float(tf.constant(tiny) * tf.constant(np.float32(1))) == 0
