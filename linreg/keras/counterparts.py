"""The same model, optimizer, loss and data, trained by TensorFlow.

Hyper-parameters carry Keras' names, so the translation is by name; what Keras cannot express is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from linreg.hyperparameters import HyperParameters
from linreg.keras.loading import load
from linreg.regression import LinearRegression
from linreg.schedules import Schedule

Array = Any


def counterpart(hyperparameters: HyperParameters) -> Any:
    """Return the Keras object with the same name and hyper-parameters.

    Parameters
    ----------
    hyperparameters : Optimizer, Loss, Schedule or Regularizer
        One of linreg's.

    Returns
    -------
    object
        Keras' optimizer, loss, schedule or regulariser.

    Raises
    ------
    ValueError
        If Keras has no counterpart, for example for a learning rate that is a plain callable of the step.

    Examples
    --------
    >>> from linreg import SGD
    >>> from linreg.keras import counterpart
    >>> theirs = counterpart(SGD(0.1, momentum=0.9))
    >>> type(theirs).__name__, theirs.momentum
    ('SGD', 0.9)
    """
    keras = load()
    name = type(hyperparameters).__name__
    homes = (keras.optimizers, keras.losses, keras.optimizers.schedules, keras.regularizers)
    kind = next((getattr(home, name) for home in homes if hasattr(home, name)), None)
    if kind is None:
        raise ValueError(f"Keras has no counterpart of {hyperparameters!r}.")
    return kind(**{key: _argument(key, value) for key, value in hyperparameters.get_params(deep=False).items()})


def _argument(name: str, value: Any) -> Any:
    if isinstance(value, Schedule):
        return counterpart(value)
    if callable(value):
        raise ValueError(f"Keras cannot call {name}={value!r} with the step: use a schedule of linreg.schedules.")
    if isinstance(value, tuple):
        return list(value)
    # Keras refuses 0 for 0.0.
    return float(value) if name in {"learning_rate", "momentum"} else value


def dense(model: LinearRegression, features: int, kernel: Array, bias: float) -> Any:
    """Return `Sequential([Input((features,)), Dense(1)])`, compiled as `model` would train and with these weights.

    Parameters
    ----------
    model : LinearRegression
        Its optimizer, loss, regulariser and intercept are taken over.
    features : int
        Number of features.
    kernel : array of shape (features,)
        Coefficients to start from.
    bias : float
        Intercept to start from.

    Returns
    -------
    keras.Sequential
        The compiled model.

    Raises
    ------
    ImportError
        If TensorFlow is missing or its Keras is not version 3.
    ValueError
        If Keras has no counterpart of a setting, or the kernel has another shape.

    Examples
    --------
    >>> from linreg import LinearRegression
    >>> from linreg.keras import dense, weights
    >>> weights(dense(LinearRegression("adam"), features=2, kernel=[1.0, 2.0], bias=3.0))
    array([1., 2., 3.], dtype=float32)
    """
    keras = load()
    settings = model.settings()
    layer = keras.layers.Dense(
        1,
        use_bias=model.fit_intercept,
        kernel_regularizer=settings.regularizer and counterpart(settings.regularizer),
        dtype=np.dtype(settings.precision.dtype).name,
    )
    twin = keras.Sequential([keras.Input((features,)), layer])
    layer.set_weights([np.reshape(kernel, (features, 1)), *([np.reshape(bias, 1)] if model.fit_intercept else [])])
    twin.compile(optimizer=counterpart(settings.optimizer), loss=counterpart(settings.loss))
    return twin


def train(
    twin: Any,
    X: Array,
    y: Array,
    *,
    epochs: int,
    batch_size: int,
    sample_weight: Array | None = None,
    validation_data: tuple[Array, ...] | None = None,
    callbacks: Any = (),
) -> dict[str, list[float]]:
    """Run `twin.fit`, unshuffled, and return its history.

    Parameters
    ----------
    twin : keras.Model
        A compiled model.
    X : array of shape (rows, features)
        Features, in the type of the model.
    y : array of shape (rows,)
        Target.
    epochs : int
        Epochs.
    batch_size : int
        Rows in a step.
    sample_weight : array of shape (rows,), optional
        Weights.
    validation_data : tuple of array, optional
        (X, y) or (X, y, sample_weight), of shapes as above.
    callbacks : sequence of keras.callbacks.Callback, default=()
        Keras' own callbacks.

    Returns
    -------
    dict of str to list of float
        Keras' history; losses of a squared error in units of y squared.

    Raises
    ------
    ImportError
        If TensorFlow is missing or its Keras is not version 3.
    ValueError
        If Keras refuses the data.

    Notes
    -----
    The data go in as a `tf.data.Dataset` of batches, which is what Keras makes of arrays too; given arrays, every epoch
    of `fit` spends some 30 ms on making it again, a Dataset 6 (Keras 3.15, 100 rows).

    Examples
    --------
    >>> import numpy as np
    >>> from linreg import LinearRegression
    >>> from linreg.keras import dense, train
    >>> X, y = np.array([[0.0], [1.0]], np.float32), np.array([1.0, 3.0], np.float32)
    >>> theirs = dense(LinearRegression(), features=1, kernel=[0.0], bias=0.0)
    >>> train(theirs, X, y, epochs=1, batch_size=2)["loss"]  # (1 + 9) / 2
    [5.0]
    """
    load()
    import tensorflow as tf

    def batches(X: Array, y: Array, *weight: Array) -> Any:
        return tf.data.Dataset.from_tensor_slices((X, np.reshape(y, (-1, 1)), *weight)).batch(batch_size)

    history = twin.fit(
        batches(X, y, *(() if sample_weight is None else (sample_weight,))),
        epochs=epochs,
        validation_data=validation_data and batches(*validation_data),
        callbacks=list(callbacks),
        shuffle=False,
        verbose=0,
    )
    return {name: [float(value) for value in values] for name, values in history.history.items()}


def weights(twin: Any) -> Array:
    """Return the weights of a Dense(1) model as linreg keeps its parameters: the kernel, then the bias.

    Parameters
    ----------
    twin : keras.Model
        A built model of one `Dense(1)` layer.

    Returns
    -------
    array of shape (features + 1,), or (features,) without a bias
        The weights, in the type of the model and units of y per unit of each feature.

    Examples
    --------
    >>> from linreg import LinearRegression
    >>> from linreg.keras import dense, weights
    >>> weights(dense(LinearRegression(), features=1, kernel=[2.0], bias=1.0))
    array([2., 1.], dtype=float32)
    """
    return np.concatenate([weight.reshape(-1) for weight in twin.get_weights()])
