"""TensorFlow's power: the one number that a run must be given by TensorFlow to be equal to it in the last bit."""

from __future__ import annotations

from typing import Any, Self

from linreg.precision import Precision


class KerasPower(Precision):
    """An arithmetic with TensorFlow's power, which is not always the nearest number (docs/dialects.md)."""

    @classmethod
    def of(cls, precision: Precision) -> Self:
        """Return the arithmetic given, but with TensorFlow's power.

        Parameters
        ----------
        precision : Precision
            The arithmetic.

        Returns
        -------
        KerasPower
            The same, but for `power`.
        """
        return cls(precision.dtype, precision.number, precision.cast, precision.schedules)

    def power(self, base: Any, exponent: Any) -> Any:
        """Return base ** exponent as TensorFlow computes it eagerly."""
        import tensorflow as tf

        return tf.pow(tf.constant(base), tf.constant(exponent)).numpy()
