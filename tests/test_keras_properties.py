"""Properties against live Keras, on random hyper-parameters, gradients and data."""

import os
from unittest import mock

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from strategies import any_schedule, gradients, optimizers
from ulp import assert_equal_bits, note, ulp_distance

from linreg import rules
from linreg.keras import counterpart
from linreg.keras import state as keras_state
from linreg.keras.powers import KerasPower
from linreg.precision import FLOAT32, KERAS_FLOAT64
from linreg.steps import State, bind_step

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


def assert_steps_match_keras(keras, optimizer, precision, grads, kernel_size):
    """Drive both with the same gradients from zero; learning rate, powers of beta and norms are those of Keras.

    Each of the three has a test of its own below.
    """
    import tensorflow as tf

    size, dtype = grads.shape[1], np.dtype(precision.dtype).name
    parts = [part for part in (kernel_size, size - kernel_size) if part]
    variables = [keras.Variable(np.zeros(part, dtype), dtype=dtype) for part in parts]
    theirs = counterpart(optimizer)
    theirs.build(variables)
    ours = State.start(np.zeros(size, precision.dtype), optimizer, precision, np.random.default_rng(0))
    step = bind_step(optimizer, precision, kernel_size)
    rule = optimizer.rule(KerasPower.of(precision))
    every = optimizer.gradient_accumulation_steps or 1

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
            assert_equal_bits(ours.parameters, keras_state.flat(variables), what=f"parameters of {where}")
            for letter, slot in zip(ours.letters, ours.slots, strict=True):
                assert_equal_bits(slot, keras_state.slot(theirs, letter), what=f"{letter} of {where}")
            if optimizer.use_ema:
                assert_equal_bits(ours.average, keras_state.average(theirs), what=f"average of {where}")
            if ours.total is not None:
                total = keras_state.accumulated(theirs)
                assert_equal_bits(ours.total, total, what=f"accumulated gradient of {where}")


@pytest.mark.parametrize("precision", [FLOAT32, KERAS_FLOAT64], ids=["float32", "float64"])
@settings(max_examples=5000 if THOROUGH else 50)
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


def scalar_powers(beta, t):
    """Ask TensorFlow as Keras' Adam does, one number at a time: of an array it takes other, less accurate powers."""
    import tensorflow as tf

    base = tf.constant(beta, tf.float32)
    return np.array([tf.pow(base, tf.constant(step, tf.float32)).numpy() for step in t], np.float32)


@given(st.floats(0.5, 0.9999), st.lists(st.integers(1, 200), min_size=1, max_size=20))
def test_powers_of_beta_are_within_one_ulp_of_tensorflows(keras, beta, t):
    ours, theirs = FLOAT32.power(FLOAT32.cast(beta), np.array(t, np.float32)), scalar_powers(beta, t)
    normal = ours >= np.finfo(np.float32).tiny  # TensorFlow flushes the others to zero
    note("powers of beta", ulp_distance(ours[normal], theirs[normal]))
    assert ulp_distance(ours[normal], theirs[normal]).max(initial=0) <= 1
    event("equal to the last bit" if (ours == theirs)[normal].all() else "one ULP apart somewhere")


def test_tensorflows_power_is_not_always_the_nearest_number(keras):
    import tensorflow as tf

    beta, t = 0.704757559385484, np.arange(1, 200, dtype=np.float32)
    ours = FLOAT32.power(FLOAT32.cast(beta), t)
    assert ulp_distance(ours, scalar_powers(beta, t)).max() <= 1
    # Of an array at once TensorFlow takes its powers in another way.
    assert (tf.pow(tf.fill(t.shape, np.float32(beta)), t).numpy() != scalar_powers(beta, t)).any()


@given(any_schedule(), st.lists(st.integers(0, 10_000), min_size=1, max_size=5))
def test_every_schedule_matches_keras_within_two_ulp_of_its_largest_term(keras, schedule, steps):
    ours = schedule.rates(np.array(steps), FLOAT32)
    theirs = np.array([np.asarray(counterpart(schedule)(step)) for step in steps], np.float32)
    highest = np.float32(max(np.asarray(counterpart(schedule)(step)) for step in range(100)))
    note("schedules", ulp_distance(ours, theirs)[np.abs(ours - theirs) > 2 * np.spacing(highest)])
    # Near the end of a cosine or polynomial the rate is a small difference of terms as large as the highest rate.
    assert np.all((ulp_distance(ours, theirs) <= 2) | (np.abs(ours - theirs) <= 2 * np.spacing(highest)))


def test_tensorflow_flushes_subnormal_numbers_and_numpy_keeps_them(keras):
    import tensorflow as tf

    tiny = np.float32(1e-40)
    assert tiny * np.float32(1) == tiny > 0
    assert float(tf.constant(tiny) * tf.constant(np.float32(1))) == 0
