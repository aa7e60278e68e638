"""Reading Keras' optimizer state by linreg's letters, and switching Keras to float64 for a while."""

from contextlib import contextmanager

import numpy as np

_NAMES = {
    "m": {"SGD": "momentums", "RMSprop": "_momentums", "Adam": "_momentums"},
    "v": {"RMSprop": "_velocities", "Adam": "_velocities"},
    "a": {"RMSprop": "_average_gradients"},
    "v_hat": {"Adam": "_velocity_hats"},
}


def flat(variables):
    """One flat array of several variables: the kernel, then the bias."""
    return np.concatenate([np.asarray(variable).reshape(-1) for variable in variables])


def slot(theirs, letter):
    """The state array that linreg calls by this letter, of a Keras optimizer."""
    return flat(getattr(theirs, _NAMES[letter][type(theirs).__name__]))


def average(theirs):
    return flat(theirs._model_variables_moving_average)


def accumulated(theirs):
    return flat(theirs._accumulated_gradients)


@contextmanager
def float64_by_default(keras):
    """Keras with float64 as its default, inside the block."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield keras
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
