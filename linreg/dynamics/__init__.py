"""What the mathematics says a run must do, before it is run: linear algebra in float64, no simulation.

`limits` and `speed` are about full batches; `epoch_map` and `runs` about minibatches in one order, `growth` and `floor`
about reshuffled ones; `adaptive` about RMSprop and Adam. `quadratic` holds the data; `optima` finds the exact optimum,
with `lasso` under an l1 penalty.
"""

from linreg.dynamics.adaptive import (
    Preconditioned,
    jitter,
    max_preconditioned_curvature,
    preconditioned_curvature,
    reach,
)
from linreg.dynamics.floor import StochasticFloor, stochastic_floor
from linreg.dynamics.growth import GrowthRate, growth_rate
from linreg.dynamics.limits import (
    Curvature,
    curvature,
    largest_gradient,
    local_max_learning_rate,
    max_learning_rate,
)
from linreg.dynamics.optima import least_squares, optimum
from linreg.dynamics.quadratic import Direction
from linreg.dynamics.runs import ClosedForm, closed_form
from linreg.dynamics.speed import Fastest, fastest, spectral_radius, step_matrices

__all__ = [
    "ClosedForm",
    "Curvature",
    "Direction",
    "Fastest",
    "GrowthRate",
    "Preconditioned",
    "StochasticFloor",
    "closed_form",
    "curvature",
    "fastest",
    "growth_rate",
    "jitter",
    "largest_gradient",
    "least_squares",
    "local_max_learning_rate",
    "max_learning_rate",
    "max_preconditioned_curvature",
    "optimum",
    "preconditioned_curvature",
    "reach",
    "spectral_radius",
    "step_matrices",
    "stochastic_floor",
]
