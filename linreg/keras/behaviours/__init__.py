"""What tf.keras is known to do that one would not guess: each claim as a function that tests it live.

A module a theme; `observed()` tests them all on the TensorFlow that is installed, in well under half a minute. A check
computes what it expects by hand, and what one might expect instead, and asks Keras which of them it is.
"""

from linreg.keras.behaviours import arithmetic, around, callbacks, data, losses, randomness, rules, schedules
from linreg.keras.behaviours.comparing import Comparison
from linreg.keras.behaviours.registry import BEHAVIOURS, Behaviour, Observation, observed

THEMES = {
    rules.__name__: "Update rules",
    around.__name__: "Clipping, accumulation, moving averages",
    losses.__name__: "Losses and the history",
    data.__name__: "Data on their way in",
    randomness.__name__: "Seeds and shuffling",
    schedules.__name__: "Learning rate schedules",
    callbacks.__name__: "Callbacks",
    arithmetic.__name__: "Arithmetic",
}
"""Title of each module of claims, in the order in which they are tested."""

BEHAVIOURS.sort(key=lambda known: list(THEMES).index(known.theme))

__all__ = ["BEHAVIOURS", "THEMES", "Behaviour", "Comparison", "Observation", "observed"]
