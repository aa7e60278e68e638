"""tf.keras beside linreg: the same model trained by TensorFlow, twins of compiled models, and what tells them apart.

TensorFlow is imported when something here is called, never before.
"""

from linreg.keras.counterparts import counterpart, dense, train, weights
from linreg.keras.explain import ExplainLoss
from linreg.keras.files import from_file, to_file
from linreg.keras.loading import load
from linreg.keras.twins import twin

__all__ = ["ExplainLoss", "counterpart", "dense", "from_file", "load", "to_file", "train", "twin", "weights"]
