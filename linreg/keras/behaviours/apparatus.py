"""What the checks experiment with: an optimizer that is fed by hand, a line to be fitted, a seed for a while."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import Any

import numpy as np

Array = Any


class Fed:
    """A Keras optimizer on variables of its own, fed with gradients by hand, eagerly.

    Parameters
    ----------
    keras : module
        Keras.
    optimizer : keras.optimizers.Optimizer
        A new optimizer.
    *starts : float or sequence of float
        Where each variable starts; one variable that starts at 0 if none is given.
    dtype : str, default="float32"
        Type of the variables.
    """

    def __init__(self, keras: Any, optimizer: Any, *starts: Any, dtype: str = "float32") -> None:
        self.optimizer = optimizer
        self.variables = [keras.Variable(np.atleast_1d(start), dtype=dtype) for start in starts or (0.0,)]
        self._tensor = keras.ops.convert_to_tensor
        self._dtype = dtype
        optimizer.build(self.variables)

    def step(self, *gradients: Any) -> Array:
        """Apply one gradient a variable and return where the variables are then.

        Parameters
        ----------
        *gradients : float or sequence of float
            One for each variable.

        Returns
        -------
        array
            All variables, one after the other.
        """
        self.optimizer.apply([self._tensor(np.atleast_1d(g), self._dtype) for g in gradients])
        return self.numbers

    def steps(self, gradients: Sequence[Any]) -> Array:
        """Apply gradients of the one variable in turn, and return where it is after each.

        Parameters
        ----------
        gradients : sequence of float
            One a step.

        Returns
        -------
        array of shape (steps,) or (steps, n)
            Where the variable is.
        """
        return np.array([self.step(g) for g in gradients]).squeeze()

    @property
    def numbers(self) -> Array:
        """All variables, one after the other."""
        return np.concatenate([np.asarray(variable) for variable in self.variables])


def line(keras: Any, optimizer: Any, *, slope: float = 0.0, eager: bool = False, **settings: Any) -> Any:
    """Return a compiled model y = slope * x without intercept.

    Parameters
    ----------
    keras : module
        Keras.
    optimizer : keras.optimizers.Optimizer
        Its optimizer.
    slope : float, default=0.0
        Slope to start from.
    eager : bool, default=False
        Whether to run it eagerly, which is quicker than to trace a graph for a few steps.
    **settings
        `kernel_regularizer` and `dtype` of the layer; everything else goes to `compile`, whose loss is "mse".

    Returns
    -------
    keras.Sequential
        The model.
    """
    of_layer = {name: settings.pop(name) for name in ("kernel_regularizer", "dtype") if name in settings}
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, **of_layer)])
    model.set_weights([np.array([[slope]])])
    model.compile(**{"optimizer": optimizer, "loss": "mse", "run_eagerly": eager, **settings})
    return model


def fit(model: Any, x: Sequence[float], y: Sequence[float], **settings: Any) -> dict[str, list[float]]:
    """Run `model.fit`, silent and unshuffled and with full batches unless told otherwise, and return its history.

    Parameters
    ----------
    model : keras.Model
        A model of `line`.
    x, y : sequence of float
        The data.
    **settings
        Further arguments of `model.fit`.

    Returns
    -------
    dict of str to list of float
        The history of this call.
    """
    columns = np.array(x, np.float32)[:, None], np.array(y, np.float32)
    told = {"batch_size": len(x), "shuffle": False, "verbose": 0} | settings
    with quiet():
        return dict(model.fit(*columns, **told).history)


def slope(model: Any) -> float:
    """Return the slope of a model of `line`."""
    return float(model.get_weights()[0].item())


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what NumPy, Keras and TensorFlow warn of and print to themselves, inside the block.

    Yields
    ------
    None
        Nothing.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def seeded(keras: Any, seed: int) -> Iterator[None]:
    """Seed every generator as `keras.utils.set_random_seed` does, inside the block.

    Parameters
    ----------
    keras : module
        Keras.
    seed : int
        The seed.

    Yields
    ------
    None
        Afterwards Python's and NumPy's generators are where they were, and TensorFlow's has no seed.
    """
    import tensorflow as tf

    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 (what Keras seeds)
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
        tf.random.set_seed(None)


@contextmanager
def float64_by_default(keras: Any) -> Iterator[None]:
    """Make float64 the default type of new Keras objects, inside the block.

    Parameters
    ----------
    keras : module
        Keras.

    Yields
    ------
    None
        Afterwards the default is what it was.
    """
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def version(keras: Any) -> tuple[int, int]:
    """Return the major and the minor version of Keras."""
    major, minor = keras.__version__.split(".")[:2]
    return int(major), int(minor)
