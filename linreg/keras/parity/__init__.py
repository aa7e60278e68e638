"""Parity: where TensorFlow differs from linreg, and from itself. docs/parity.md says what is compared and why.

`compare` makes one document of everything; the rest is what it is made of, and how it is shown.
"""

from linreg.keras.parity.document import compare
from linreg.keras.parity.settings import Asked
from linreg.keras.parity.user_model import compare_model

__all__ = ["Asked", "compare", "compare_model"]
