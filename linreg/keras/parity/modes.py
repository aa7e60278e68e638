"""The ways in which TensorFlow can be told to run the same optimizer: eagerly, as a graph, compiled by XLA."""

from __future__ import annotations

from typing import Any

import numpy as np

from linreg.keras import state as keras_state
from linreg.keras.counterparts import counterpart
from linreg.keras.loading import load
from linreg.keras.parity.cases import Example
from linreg.precision import FLOAT32

Array = Any

MODES = ("eager", "graph", "XLA")


def devices() -> list[str]:
    """Return the devices that TensorFlow sees, of CPU and GPU."""
    import tensorflow as tf

    return [kind for kind in ("CPU", "GPU") if tf.config.list_physical_devices(kind)]


def onednn() -> str | None:
    """Return whether TensorFlow uses oneDNN in this process: "on", "off", or None where it does not tell.

    Returns
    -------
    str or None
        What TensorFlow made of TF_ENABLE_ONEDNN_OPTS when it was imported.
    """
    load()
    try:
        from tensorflow.python.util import _pywrap_util_port

        return "on" if _pywrap_util_port.IsMklEnabled() else "off"
    except (ImportError, AttributeError):  # it is no public name
        return None


def keras_run(example: Example, mode: str, device: str) -> Array:
    """Run Keras' optimizer.

    Parameters
    ----------
    example : Example
        The optimizer and its gradients.
    mode : {"eager", "graph", "XLA"}
        How.
    device : {"CPU", "GPU"}
        Where.

    Returns
    -------
    array of shape (steps, 1 + slots, size)
        The parameters and the state arrays after each step.
    """
    keras = load()
    import tensorflow as tf

    letters = example.optimizer.rule(FLOAT32).state
    with tf.device(f"/{device}:0"):
        variable = keras.Variable(np.zeros(example.gradients.shape[1], np.float32))
        theirs = counterpart(example.optimizer)
        theirs.build([variable])

        def step(g: Any) -> None:
            theirs.apply([g])

        if mode != "eager":
            step = tf.function(step, jit_compile=mode == "XLA")
        after = []
        for g in example.gradients:
            step(tf.constant(g))
            after.append([np.asarray(variable), *(keras_state.slot(theirs, letter) for letter in letters)])
    return np.array(after)
