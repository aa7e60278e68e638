"""Switching Keras to float64 for a while."""

from contextlib import contextmanager


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
