"""Linear regression by gradient descent, written by hand in plain NumPy: every number of a run can be explained.

Each loss and each update rule stands in one place, as a pure function of arrays that reads like its formula: see
`linreg.losses` and `linreg.rules`. `LinearRegression` trains with them as `tf.keras` would.
"""

from linreg import callbacks, dynamics, schedules
from linreg.diagnosis import diagnose
from linreg.losses import Huber, MeanSquaredError
from linreg.optimizers import SGD, Adam, RMSprop
from linreg.pipelines import load, save
from linreg.regression import LinearRegression
from linreg.regularizers import L1, L1L2, L2
from linreg.seeds import KerasSeed
from linreg.sweeps import Sweep, sweep

__version__ = "0.1.0"

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "SGD",
    "Adam",
    "Huber",
    "KerasSeed",
    "LinearRegression",
    "MeanSquaredError",
    "RMSprop",
    "Sweep",
    "callbacks",
    "diagnose",
    "dynamics",
    "load",
    "save",
    "schedules",
    "sweep",
]
