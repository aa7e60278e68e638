"""How far apart two loops may end that take the same steps."""

import numpy as np

from linreg import SGD
from linreg.data.arrays import design_matrix


def rounding_bound(task, parameters):
    """How far apart two runs of one precision may end that round the same numbers in different places.

    In each step the sums over features and rows put some `features + rows` roundings on the gradient, relative to the
    sum of the sizes of its terms; a few more come from the rule. The step is lr times the gradient (an adaptive rule
    divides it by its root mean square first), and adding it rounds the parameters. Below the largest stable learning
    rate later steps shrink such an error. N roundings of either sign add up to 6 sqrt(N) u but for a chance of 1e-7
    (N. Higham and T. Mary, "A new approach to probabilistic rounding error analysis", SISC 2019).
    """
    u, features, c = np.finfo(task.X.dtype).eps / 2, task.X.shape[1], 1 / task.batch_size
    A = design_matrix(task.X, True).astype(np.float64)
    slope = task.loss.slope(A @ parameters - task.y, c, *task.loss.constants(np.float64))
    sizes = 2 * c * (np.abs(A) @ np.abs(parameters) + np.abs(task.y))
    gradients, size = _batch_sums(task, A.T * slope), _batch_sums(task, np.abs(A).T * sizes).mean(axis=-1)
    scale = 1 if isinstance(task.optimizer, SGD) else np.sqrt((gradients**2).mean(axis=-1))
    step = task.optimizer.learning_rate * np.sqrt(features + task.batch_size + 10) * (size / scale).max()
    return 6 * np.sqrt(task.steps) * u * (step + np.abs(parameters).max())


def _batch_sums(task, terms):
    return terms.reshape(len(terms), -1, task.batch_size).sum(axis=-1)
