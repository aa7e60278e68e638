"""Many configurations trained at once: learning rates, momenta, starts, rules, side by side in one pass over the data.

`sweep` makes the configurations (`linreg.sweeps.grid`), trains those of one structure together (`linreg.sweeps.passes`)
and returns a `Sweep`: history, table, the best run, a picture.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from linreg.fitting import runs_of
from linreg.progress import progress_bar
from linreg.sweeps.grid import configured
from linreg.sweeps.passes import Records, together, train
from linreg.sweeps.result import Sweep

__all__ = ["Sweep", "sweep"]


def sweep(
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    validation_data: Any = None,
    paired: bool = False,
    verbose: int = 0,
    **parameters: Any,
) -> Sweep:
    """Train K configurations of `LinearRegression` at once, each as its own run would.

    Parameters
    ----------
    X : array or frame of shape (rows, features), or Gram
        Features: finite numbers; moments of all rows (`linreg.gram.gather`) take the place of X and y.
    y : array of shape (rows,) or (rows, 1)
        Target.
    sample_weight : array of shape (rows,), optional
        Weight of each row in the loss.
    validation_data : tuple (X, y) or (X, y, sample_weight), optional
        Data whose loss is reported after each epoch, and decides which configuration is best.
    paired : bool, default=False
        False trains every combination of the lists; True goes through lists of one length side by side.
    verbose : {0, 1}, default=0
        1 shows a progress bar, on a terminal only.
    **parameters : object
        Parameters of `LinearRegression`: `optimizer`, `loss`, `epochs`, `batch_size`, `random_state` and so on, and
        those of its optimizer, loss and regulariser, as `optimizer__learning_rate` or shorter as `learning_rate`. A
        list (tuple, range, 1-d array) is swept over, anything else is the same for all; of `kernel_initializer`, an
        array of shape (K, features) is K starts and one of shape (features,) a single one. A parameter that some of the
        optimizers (losses, regularisers) of a sweep do not have is left out for them. `epochs`, `dtype`, `engine` and
        the like are the same for all; there are no callbacks and no warm start. `engine` is "numpy" or "numba".

    Returns
    -------
    Sweep
        Configurations, history, parameters; table, best run, heat map.

    Raises
    ------
    ImportError
        If `engine="numba"` is asked for and Numba is missing.
    TypeError
        If a list is given where a sweep has one value, or data or a value are of the wrong type.
    ValueError
        If a parameter is unknown (the nearest name is suggested) or refused, a list is empty, or paired lists differ in
        length.

    Notes
    -----
    Configurations that differ in numbers only (learning rates, schedules, momenta, deltas, penalties, thresholds of
    clipping, starts) are trained in one vectorised pass over shared batches in a shared order: their parameters are the
    columns of one array (features + 1, K), which goes through the same formulas as one vector does. Configurations of
    another rule, loss, batch size or order of rows get a pass of their own.

    With `engine="numba"` (extra `fast`) the same formulas run compiled, over blocks of 16 to 64 configurations and on
    all cores; the first sweep with a rule and a loss takes seconds more, and what was compiled is kept on disk.

    Each column equals its own run but for the order in which a matrix product adds up, and bit for bit where all sums
    are exact. What is not finite stays in its column; columns that hold nothing but nan are left out after some epochs.

    Without `random_state`, one seed is drawn for the whole sweep. A generator is copied for each configuration and left
    as it is. Ctrl-C ends a sweep with a warning, and it returns what it had.

    Examples
    --------
    >>> import numpy as np
    >>> from linreg import sweep
    >>> X = np.arange(8.0).reshape(8, 1)
    >>> found = sweep(X, 2 * X[:, 0] + 1, learning_rate=[0.001, 0.01, 1.0], momentum=[0.0, 0.5], random_state=0)
    >>> len(found.configurations), found.best_configuration
    (6, {'learning_rate': 0.01, 'momentum': 0.5})
    """
    tried = configured(parameters, paired=paired)
    models = [one.model for one in tried]
    data = X, y, sample_weight, validation_data
    runs_of(models[0].engine)  # before any work: its extra may be missing
    groups = together(models, *data)
    epochs = int(models[0].epochs)
    names = ("loss", "learning_rate", "val_loss")[: 2 if validation_data is None else 3]
    records = Records.empty(
        epochs, len(models), groups[0].problem.kernel_size, names, models[0].settings().precision.dtype
    )
    with progress_bar(len(groups) * epochs, enabled=bool(verbose)) as bar:
        try:
            for group in groups:
                train(group, models[0].engine, epochs, records, bar)
        except KeyboardInterrupt:
            records.interrupted = True
    found = Sweep([one.given for one in tried], models, records.history, records.coef, records.intercept,
                  records.epochs, records.interrupted, data)  # fmt: skip
    if records.interrupted:
        done = math.floor(100 * np.mean(records.epochs) / epochs)
        warnings.warn(
            f"The sweep was ended by Ctrl-C after {done} % of its epochs; this is what it had.",
            RuntimeWarning, stacklevel=2,
        )  # fmt: skip
    return found
