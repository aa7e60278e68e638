"""TensorFlow's Keras, imported when it is needed, and refused where it is another Keras."""

from __future__ import annotations

import os
from typing import Any


def load() -> Any:
    """Import Keras as TensorFlow brings it and return the module.

    Returns
    -------
    module
        `keras`, version 3, on the TensorFlow backend.

    Raises
    ------
    ImportError
        If TensorFlow is missing, too old (tf_keras 2), or Keras runs on another backend.

    Examples
    --------
    >>> from linreg.keras import load
    >>> keras = load()
    >>> keras.__version__.split(".")[0], keras.backend.backend()
    ('3', 'tensorflow')
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in {"1", "true"}:
        raise ImportError("TF_USE_LEGACY_KERAS selects tf_keras 2, but linreg compares with Keras 3: unset it.")
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise ImportError(f"KERAS_BACKEND selects {backend!r}, but linreg compares with TensorFlow: unset it.")
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ImportError(f"TensorFlow cannot be imported ({error}): pip install 'linreg[tf]'.") from None
    keras = tf.keras
    version = getattr(keras, "__version__", "2")
    if not version.startswith("3."):
        raise ImportError(f"linreg compares with Keras 3, but tf.keras is {version}: install tensorflow>=2.18.")
    if keras.backend.backend() != "tensorflow":
        raise ImportError(
            f"Keras runs on the {keras.backend.backend()!r} backend, but linreg compares with TensorFlow: set "
            '"backend": "tensorflow" in Keras\' configuration file.'
        )
    return keras
